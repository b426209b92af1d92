package detect

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Observed is an event that at least one rule matched, as correlations see it.
type Observed struct {
	ID    string // unique; an event that is there twice counts once
	Time  time.Time
	Rules []int // what Match said
	// Value is what the event has in a field, by its name in rules.
	Value func(field string) Value
}

// Finding is what a correlation found for one group.
type Finding struct {
	Rule   int
	Key    []string  // for each name of GroupBy the value, folded
	Time   time.Time // when the condition held first
	Last   time.Time // of the last event up to which it went on holding
	Count  int64     // the largest count in between
	Events []string  // in order of time: all that were in a window in between
}

// Correlate evaluates all correlations of a set on a finite number of events, given in any order. It is
// the definition of what a correlation means, written to be read; what runs on a database must give the
// same.
//
// Time is that of the events. For each group, and at the time t of each of its events, the window is the
// events from t-Timespan to t, both included; with the same time all belong to it. The count of the
// window is by Type:
//
//	event_count       how many events
//	value_count       how many different values, or combinations where there are several fields; texts
//	                  that differ only in case are the same; an event without a value adds nothing
//	temporal          how many of the rules matched
//	temporal_ordered  how many rules, if all matched different events in the order of the rules, else 0;
//	                  events with the same time count as in either order
//
// As long as the count meets the Threshold at one time after another, with no more than Timespan between
// two, that is one Finding; so an attack that goes on for an hour is one and not hundreds. An event that
// arrives late changes only windows within a Timespan after it.
//
// An event without a value in one field of the group belongs to no group, since what is unknown is not
// the same. With a list there it belongs to the group of each element.
//
// A correlation that another one uses matches there at each time at which its condition holds, with the
// values of its Key; so "many failures, then a success" is found however long the failures go on. Counted
// by event_count, all these times of one finding are one.
func Correlate(s *Set, events []Observed) []Finding {
	byRule := map[int][]occurrence{}
	for _, e := range events {
		for _, rule := range slices.Compact(slices.Sorted(slices.Values(e.Rules))) {
			id := "event\x00" + e.ID
			byRule[rule] = append(byRule[rule], occurrence{id: id, of: id, time: e.Time, value: e.Value, evidence: []evidence{{e.Time, e.ID}}})
		}
	}
	var all []Finding
	for _, i := range s.order {
		for _, f := range correlateOne(s.rules[i].Correlation, i, byRule) {
			byRule[i] = append(byRule[i], f.occurrences()...)
			all = append(all, f.Finding)
		}
	}
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Rule, b.Rule), slices.Compare(a.Key, b.Key))
	})
	return all
}

// occurrence is a match of an input: an event, or a time at which another correlation held.
type occurrence struct {
	id       string
	of       string // the event, or the finding of the other correlation
	time     time.Time
	value    func(field string) Value
	evidence []evidence
}

type evidence struct {
	time time.Time
	id   string
}

// member is an occurrence in a group, with all inputs that it is a match of there.
type member struct {
	occurrence
	inputs []int
	values []string // what value_count counts
}

func correlateOne(c *Correlation, rule int, byRule map[int][]occurrence) (found []episode) {
	groups := map[string]map[string]*member{} // by key, by id
	keys := map[string][]string{}
	for i, in := range c.Inputs {
		for _, o := range byRule[in.Rule] {
			for _, key := range GroupKeys(fieldsOf(o, in.Group)) {
				k := joined(key)
				keys[k] = key
				if groups[k] == nil {
					groups[k] = map[string]*member{}
				}
				m := groups[k][o.id]
				if m == nil {
					m = &member{occurrence: o}
					groups[k][o.id] = m
				}
				m.inputs = append(m.inputs, i)
				if c.Type == ValueCount {
					for _, v := range GroupKeys(fieldsOf(o, in.Values)) {
						m.values = append(m.values, joined(v))
					}
				}
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(groups)) {
		members := slices.SortedFunc(maps.Values(groups[k]), func(a, b *member) int {
			return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.id, b.id))
		})
		for _, f := range episodes(c, members) {
			f.Rule, f.Key, f.names = rule, keys[k], c.GroupBy
			found = append(found, f)
		}
	}
	return found
}

// episode is a finding with the times at which its condition held.
type episode struct {
	Finding
	names []string // of the values of Key
	held  []held
}

type held struct {
	time     time.Time
	evidence []evidence
}

// episodes goes through the times of a group's members, which are sorted.
func episodes(c *Correlation, members []*member) (found []episode) {
	var current *episode
	for end := 0; end < len(members); {
		t := members[end].time
		for end < len(members) && members[end].time.Equal(t) {
			end++
		}
		start := 0
		for t.Sub(members[start].time) > c.Timespan {
			start++
		}
		window := members[start:end]
		n := c.count(window)
		if !c.Threshold.Holds(n) {
			current = nil
			continue
		}
		if current == nil || t.Sub(current.Last) > c.Timespan {
			found = append(found, episode{Finding: Finding{Time: t}})
			current = &found[len(found)-1]
		}
		current.Last = t
		current.Count = max(current.Count, n)
		h := held{time: t}
		for _, m := range window {
			h.evidence = append(h.evidence, m.evidence...)
		}
		current.held = append(current.held, h)
	}
	for i := range found {
		found[i].Events = found[i].events()
	}
	return found
}

// events are the ids of the evidence, each once, in order of time.
func (f *episode) events() (ids []string) {
	var all []evidence
	for _, h := range f.held {
		all = append(all, h.evidence...)
	}
	slices.SortFunc(all, func(a, b evidence) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.id, b.id)) })
	for _, e := range slices.CompactFunc(all, func(a, b evidence) bool { return a.id == b.id }) {
		ids = append(ids, e.id)
	}
	return ids
}

// occurrences are what the finding is for a correlation that uses this one.
func (f *episode) occurrences() (out []occurrence) {
	id := strings.Join([]string{"finding", strconv.Itoa(f.Rule), joined(f.Key), strconv.FormatInt(f.Time.UnixNano(), 10)}, "\x00")
	for _, h := range f.held {
		out = append(out, occurrence{
			id: id + "\x00" + strconv.FormatInt(h.time.UnixNano(), 10), of: id, time: h.time, evidence: h.evidence,
			value: func(field string) Value {
				if i := slices.Index(f.names, field); i >= 0 {
					return TextValue(f.Key[i])
				}
				return Value{}
			},
		})
	}
	return out
}

// count is the count of a window.
func (c *Correlation) count(window []*member) int64 {
	switch c.Type {
	case EventCount:
		of := map[string]bool{}
		for _, m := range window {
			of[m.of] = true
		}
		return int64(len(of))
	case ValueCount:
		values := map[string]bool{}
		for _, m := range window {
			for _, v := range m.values {
				values[v] = true
			}
		}
		return int64(len(values))
	}
	inputs := map[int]bool{}
	for _, m := range window {
		for _, i := range m.inputs {
			inputs[i] = true
		}
	}
	if c.Type == TemporalOrdered && !inOrder(window, len(c.Inputs)) {
		return 0
	}
	return int64(len(inputs))
}

// inOrder says whether different members of the window match the inputs 0 to n-1 one after the other.
func inOrder(window []*member, n int) bool {
	reached := 0
	for i := 0; i < len(window) && reached < n; {
		end := i
		for end < len(window) && window[end].time.Equal(window[i].time) {
			end++
		}
		reached += together(window[i:end], reached, n)
		i = end
	}
	return reached == n
}

// together is how many of the inputs from first on, without a gap, the members can match at one time,
// each member one of them. To match more of them early never harms later.
func together(members []*member, first, n int) int {
	takenBy := make([]int, len(members)) // member to input, -1 for none
	for i := range takenBy {
		takenBy[i] = -1
	}
	var place func(input int, tried []bool) bool
	place = func(input int, tried []bool) bool {
		for i, m := range members {
			if tried[i] || !slices.Contains(m.inputs, input) {
				continue
			}
			tried[i] = true
			if takenBy[i] < 0 || place(takenBy[i], tried) {
				takenBy[i] = input
				return true
			}
		}
		return false
	}
	count := 0
	for first+count < n && place(first+count, make([]bool, len(members))) {
		count++
	}
	return count
}

func fieldsOf(o occurrence, fields []string) []Value {
	values := make([]Value, len(fields))
	for i, f := range fields {
		values[i] = o.value(f)
	}
	return values
}

// maxKeys bounds the groups of one event.
const maxKeys = 64

// GroupKeys are the groups that an event belongs to, by its values in the fields of group-by: none if one
// of them is absent, more than one if there are lists. Texts are folded, so that people who are written
// in different case are one. Of more than 64 combinations the first 64 count.
func GroupKeys(values []Value) [][]string {
	keys := [][]string{{}}
	for _, v := range values {
		var texts []string
		for _, s := range v.Texts() {
			if s = fold(s); s != "" && !slices.Contains(texts, s) {
				texts = append(texts, s)
			}
		}
		var next [][]string
		for _, key := range keys {
			for _, s := range texts {
				if len(next) < maxKeys {
					next = append(next, append(key[:len(key):len(key)], s))
				}
			}
		}
		keys = next
	}
	return keys
}

// joined makes one text of a key, different for different keys.
func joined(key []string) string {
	var b strings.Builder
	for _, s := range key {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	return b.String()
}
