package detect

import (
	"cmp"
	"slices"
)

// Version is that of a rule's text.
func (x *Engine) Version(rule int) string { return x.versions[rule] }

// Incremental is Correlate, done as events come in, in order of time. Held is the most groups at a time.
func Incremental(s *Set, events []Observed) (found []Finding, held int) {
	w := newWindows(s)
	for _, e := range events {
		w.advance(e.Time)
		w.take(&witness{id: e.ID, time: e.Time}, e.Rules, e.Value)
		n := 0
		for _, st := range w.streams {
			n += len(st.groups)
		}
		held = max(held, n)
	}
	w.finish()
	for _, r := range w.ended {
		f := Finding{Rule: r.rule, Key: r.key, Time: r.time, Last: r.last, Count: r.count}
		all, _ := r.evidence()
		for _, e := range all {
			f.Events = append(f.Events, e.id)
		}
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Rule, b.Rule), slices.Compare(a.Key, b.Key))
	})
	return found, held
}
