package detect

import (
	"maps"
	"slices"
	"time"
)

// ListEntry is an entry of a list as an account keeps it.
type ListEntry struct {
	Value string    `json:"value"`          // as NewValueList reads it
	Note  string    `json:"note,omitempty"` // why it is there
	Until time.Time `json:"until,omitzero"` // the first moment, of events, at which it does not count; zero: it stays
}

// limited is entries that end together.
type limited struct {
	until time.Time
	list  *ValueList
}

// NewLimitedList prepares entries of which some end. Nobody has to take these out: the list is asked about
// an event, and an entry counts for events before its end.
func NewLimitedList(entries ...ListEntry) *ValueList {
	byEnd := map[time.Time][]string{}
	for _, e := range entries {
		byEnd[e.Until.UTC()] = append(byEnd[e.Until.UTC()], e.Value)
	}
	l := NewValueList(byEnd[time.Time{}]...)
	delete(byEnd, time.Time{})
	for _, until := range slices.SortedFunc(maps.Keys(byEnd), time.Time.Compare) {
		l.limited = append(l.limited, limited{until, NewValueList(byEnd[until]...)})
		l.entries = append(l.entries, byEnd[until]...)
	}
	return l
}

// asked reports whether an entry that counts for the event in view matches the text, which is folded unless
// cased, and as it is for byCIDR.
func (l *ValueList) asked(v *view, s string, way matching, cased bool) bool {
	if l == nil {
		return false
	}
	if l.matches(s, way, cased) {
		return true
	}
	return slices.ContainsFunc(l.limited, func(part limited) bool {
		return v.before(part.until) && part.list.matches(s, way, cased)
	})
}

// matches asks the entries that do not end.
func (l *ValueList) matches(s string, way matching, cased bool) bool {
	if way != byCIDR {
		return l.has(s, way, cased)
	}
	a, ok := addressOf(s)
	return ok && l.hasAddress(a)
}

// dated is an event that says when it happened.
type dated interface{ When() time.Time }

// When is the time of the event in hand.
func (l *lens) When() time.Time { return l.x.features.event.When() }

// before says whether the event in view happened before. One that does not say when did.
func (v *view) before(t time.Time) bool {
	e, ok := v.event.(dated)
	return !ok || e.When().Before(t)
}

// exclusion is what an exception lets pass: its values, for events before its end.
type exclusion struct {
	values *ValueList // nil: the lists that the atom names
	until  time.Time  // zero: it has no end
}

// excluded holds for the events of an exception.
func (c *compiler) excluded(a *atom, place int) predicate {
	for _, name := range a.names {
		c.list(name, a.pos)
	}
	x := a.except
	return func(v *view) bool {
		if !x.until.IsZero() && !v.before(x.until) {
			return false
		}
		cell := v.texts(place)
		for i, raw := range cell.raw {
			hit := func(l *ValueList) bool {
				return l.asked(v, cell.folded[i], byEqual, false) || l.asked(v, raw, byCIDR, false)
			}
			if x.values != nil && hit(x.values) || slices.ContainsFunc(a.names, func(name string) bool { return hit(v.lists.List(name)) }) {
				return true
			}
		}
		return false
	}
}
