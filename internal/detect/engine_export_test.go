package detect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"holdfast/internal/signals"
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

// FeatureProbe computes features, without rules.
type FeatureProbe struct{ f features }

// NewFeatureProbe makes one that remembers in memory.
func NewFeatureProbe(m Memory, people People) *FeatureProbe {
	return &FeatureProbe{features{memory: m, people: people}}
}

// Take returns the features of the event, and learns from it.
func (x *FeatureProbe) Take(e *signals.Event) (map[string]Value, error) {
	x.f.load(e)
	values := map[string]Value{}
	for _, f := range Features() {
		if v := f.get(&x.f); v.kind != None {
			values[f.Name] = v
		}
	}
	return values, x.f.learn(true)
}

// Keys are the keys of what is remembered, in order.
func Keys(m *MapMemory) []string { return slices.Sorted(maps.Keys(m.values)) }

// RewriteProfiles reads the value as each kind of profile. The error says which is not the same when it
// is written and read again.
func RewriteProfiles(value []byte) error {
	return cmp.Or(rewrite[personProfile](value), rewrite[placeProfile](value), rewrite[deviceProfile](value), rewrite[sessionProfile](value), rewrite[crowdProfile](value))
}

func rewrite[T any, P profile[T]](value []byte) error {
	var one, two T
	var r recall
	if err := P(&one).read(&r, value); err != nil {
		return nil
	}
	var first, second scribe
	P(&one).write(&first)
	if err := P(&two).read(&r, first.b); err != nil {
		return fmt.Errorf("%T: what was written is not read again: %w", one, err)
	}
	P(&two).write(&second)
	if !slices.Equal(first.b, second.b) {
		return fmt.Errorf("%T: %x is %x when written again", one, first.b, second.b)
	}
	return nil
}

// Observe is the event as correlations see it, before anything is learned from it. The engine takes no
// events itself; it looks at the memory of another one.
func (x *Engine) Observe(e *signals.Event) Observed {
	x.view.Reset(e)
	x.features.load(e)
	values := map[string]Value{}
	o := Observed{ID: e.SourceID, Time: e.When(), Value: func(field string) Value { return values[field] }}
	for _, source := range [...]string{normalised, sourceOf(e)} {
		l := x.lenses[source]
		if l == nil {
			continue
		}
		for _, rule := range l.matcher.Match(nil, l) {
			if !x.windows.used(rule) {
				continue
			}
			o.Rules = append(o.Rules, rule)
			for _, u := range x.windows.uses[rule] {
				in := x.windows.streams[u.stream].c.Inputs[u.input]
				for _, field := range slices.Concat(in.Group, in.Values) {
					values[field] = l.field(field)
				}
			}
		}
	}
	return o
}

// Course is an account's detection in one process, a step at a time.
type Course struct{ c *course }

// Begin loads where the account stands.
func (l *Live) Begin(ctx context.Context, account string) (*Course, error) {
	c, err := l.load(ctx, account)
	return &Course{c}, err
}

// Step takes what has come.
func (x *Course) Step(ctx context.Context) error { return x.c.step(ctx) }

// Leave ends.
func (x *Course) Leave(ctx context.Context) error { return x.c.leave(ctx) }

// Overtaken says whether the error is ErrOvertaken.
func Overtaken(err error) bool { return overtaken(err) }
