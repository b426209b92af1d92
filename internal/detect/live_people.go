package detect

import (
	"context"
	"maps"
	"slices"
	"time"

	"holdfast/internal/signals"
)

// peopleStates is where people are looked up; see [Progress].
type peopleStates interface {
	PeopleStates(ctx context.Context, accountID string, ids []string) (map[string]PersonState, error)
}

// crowd is the people of a batch of events, for the engine. It knows who the event in hand is about by how it
// was stored.
type crowd struct {
	states map[string]PersonState
	match  signals.Match
}

// meet looks up the people whom events are about.
func (c *crowd) meet(ctx context.Context, s peopleStates, account string, events []*signals.Stored) error {
	var ids []string
	seen := map[string]bool{}
	for _, e := range events {
		if id := e.Match.PersonID; id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	c.states = map[string]PersonState{}
	for part := range slices.Chunk(ids, 1000) {
		states, err := s.PeopleStates(ctx, account, part)
		if err != nil {
			return err
		}
		maps.Copy(c.states, states)
	}
	return nil
}

// Person implements [People].
func (c *crowd) Person(e *signals.Event) (Person, bool) {
	if c.match.PersonID == "" {
		return Person{}, false
	}
	return c.states[c.match.PersonID].at(c.match.PersonID, e.When()), true
}

// at is the person as rules see them at a time, which matters where somebody was suspended because of what
// came before: it must not look as if they had been suspended then.
func (p PersonState) at(id string, t time.Time) Person {
	return Person{
		ID: id, Protected: p.Protected, Groups: p.Groups,
		Suspended: slices.ContainsFunc(p.Holds, func(h Span) bool { return !t.Before(h.From) && (h.Until.IsZero() || t.Before(h.Until)) }),
	}
}
