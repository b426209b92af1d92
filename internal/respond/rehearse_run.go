package respond

import (
	"context"
	"fmt"
	"slices"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

// Rehearse says what playbooks would have done. Live, a decision is made moments after its event; here at its time.
func Rehearse(ctx context.Context, r Rehearsal) (Rehearsed, error) {
	s := &rehearsing{
		Rehearsal: r, ledger: NewLedger(), people: map[string]*Resident{}, cases: map[string]int{}, known: map[string]EventFacts{},
		stops: map[StopCount]int{}, books: map[string]*BookCount{},
	}
	s.res.From = r.From
	s.ledger.Consent, s.ledger.Silence = r.Consent, r.Silence
	for i := range r.People {
		s.people[r.People[i].ID] = &r.People[i]
		if r.Active == 0 && r.People[i].Active {
			s.active++
		}
	}
	s.active += r.Active
	for _, p := range r.Books {
		s.books[p.Name] = &BookCount{Playbook: p.Name, Mode: p.Mode, Runs: map[RunState]int{}}
	}
	x, err := detect.NewEngine(detect.Config{Set: r.Set, Memory: detect.NewMemory(), People: s, AllFeatures: true})
	if err != nil {
		return Rehearsed{}, err
	}
	for e, err := range r.Events {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = s.take(x, e)
		}
		if err != nil {
			return Rehearsed{}, err
		}
	}
	got, err := x.Finish()
	if err != nil {
		return Rehearsed{}, fmt.Errorf("end the rehearsal: %w", err)
	}
	if r.Taken != nil {
		if err := r.Taken(nil, got); err != nil {
			return Rehearsed{}, err
		}
	}
	if err := s.respond(got.Begun); err != nil {
		return Rehearsed{}, err
	}
	s.res.Flooded = x.Flooded()
	return s.end(), nil
}

// rehearsing is a rehearsal on its way.
type rehearsing struct {
	Rehearsal
	res    Rehearsed
	ledger *Ledger
	people map[string]*Resident
	active int
	now    time.Time
	event  *signals.Stored

	known  map[string]EventFacts // of late events, by id
	order  []string              // of known
	oldest int                   // place in order

	cases map[string]int // by subject
	stops map[StopCount]int
	books map[string]*BookCount
}

func (s *rehearsing) take(x *detect.Engine, e *signals.Stored) error {
	if s.Before != nil {
		if err := s.Before(x, e); err != nil {
			return err
		}
	}
	s.event, s.now = e, latest(s.now, e.Event.When())
	if err := s.ledger.Until(s.now); err != nil {
		return err
	}
	s.remember(e)
	if !s.now.Before(s.From) {
		s.res.Events++
	}
	got, err := x.Take(&e.Event)
	if err != nil {
		return fmt.Errorf("rehearse event %s: %w", e.Event.SourceID, err)
	}
	if s.Taken != nil {
		if err := s.Taken(e, got); err != nil {
			return err
		}
	}
	return s.respond(got.Begun)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// remember keeps what a condition may ask of an event, for findings that it will be in.
func (s *rehearsing) remember(e *signals.Stored) {
	f := EventOf(e.Event, e.SourceID)
	f.Trust = TrustAsked
	if s.Trust != nil {
		f.Trust = s.Trust(e.SourceID)
	}
	if len(s.order) < rehearseFacts {
		s.order = append(s.order, f.ID)
	} else {
		delete(s.known, s.order[s.oldest])
		s.order[s.oldest] = f.ID
		s.oldest = (s.oldest + 1) % rehearseFacts
	}
	s.known[f.ID] = f
}

// Person implements [detect.People].
func (s *rehearsing) Person(e *signals.Event) (detect.Person, bool) {
	id := s.event.Match.PersonID
	if s.Who != nil {
		id = s.Who(s.event)
	}
	if id == "" {
		return detect.Person{}, false
	}
	p := s.resident(id)
	if p == nil { // who was removed since is nobody of whom more is known
		return detect.Person{ID: id}, true
	}
	return detect.Person{ID: id, Protected: p.Protected, Groups: p.MemberOf, Suspended: s.suspended(p, e.When())}, true
}

func (s *rehearsing) resident(id string) *Resident {
	if p := s.people[id]; p != nil || id == "" || s.Meet == nil {
		return p
	}
	if p, ok := s.Meet(id); ok {
		s.people[id] = &p
	}
	return s.people[id]
}

// suspended says whether the person is, by a case of the rehearsal or by somebody else at the time.
func (s *rehearsing) suspended(p *Resident, at time.Time) bool {
	return s.ledger.holds[holdKey{p.ID, LocalTarget}] != nil ||
		slices.ContainsFunc(p.Away, func(a detect.Span) bool { return !at.Before(a.From) && (a.Until.IsZero() || at.Before(a.Until)) })
}

// respond decides about findings, in their order.
func (s *rehearsing) respond(found []detect.Found) error {
	for _, f := range found {
		if s.now.Before(s.From) {
			continue
		}
		s.res.Findings++
		facts := s.facts(f)
		if err := s.ledger.Fill(&facts); err != nil {
			return err
		}
		plans, err := DecideAll(s.Books, facts)
		if err != nil {
			return fmt.Errorf("finding %s of rule %s: %w", f.ID, f.Rule, err)
		}
		if err := s.ledger.Note(facts, plans); err != nil {
			return err
		}
		s.res.AtOnce = max(s.res.AtOnce, s.ledger.heldHere())
		number := s.caseOf(f, plans)
		for _, p := range plans {
			if err := s.note(facts, number, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// facts are those of a finding, but for what the ledger knows.
func (s *rehearsing) facts(f detect.Found) Facts {
	x := Facts{Now: s.now, Finding: f, Guard: s.Guard, ActivePeople: s.active}
	for _, id := range f.Events {
		e, ok := s.known[id]
		switch {
		case !ok:
		case x.Event.ID == "":
			x.Event = e
		default:
			x.Event.Trust = min(x.Event.Trust, e.Trust)
		}
	}
	p := s.resident(f.PersonID)
	if p == nil {
		return x
	}
	x.Person = p.Person
	x.Person.Suspended = s.suspended(p, s.now)
	x.Person.LastOwner = p.Owner && !x.Person.Suspended
	if !x.Person.LastOwner {
		return x
	}
	for _, other := range s.people {
		if other.Owner && other.ID != p.ID && !s.suspended(other, s.now) {
			x.Person.LastOwner = false
			break
		}
	}
	return x
}

// caseOf is the number of the case that the finding is put to; 0: it is worth none.
func (s *rehearsing) caseOf(f detect.Found, plans []Plan) int {
	n, open := s.cases[f.Subject]
	if !open && OpensCase(f, plans) {
		s.res.Cases++
		n = s.res.Cases
		s.cases[f.Subject] = n
	}
	return n
}

func (s *rehearsing) note(f Facts, number int, p Plan) error {
	s.res.More++ // until it is kept
	d := Decision{N: len(s.res.Decisions) + s.res.More, At: s.now, Case: number, Finding: f.Finding, Event: f.Event, Person: f.Person, Plan: p}
	count := s.books[p.Playbook]
	count.Runs[p.State]++
	if p.Approval != nil && p.Mode == ModeEnforce {
		count.Asked++
	}
	last := d.Last()
	if last.Verdict == Stop || last.Verdict == Hold {
		s.stops[StopCount{Playbook: p.Playbook, Check: last.Name, Verdict: last.Verdict, Code: last.Code}]++
	}
	quiet := last.Verdict == Stop && (last.Name == CheckWhen || last.Name == CheckDedupe)
	if !quiet && len(s.res.Decisions) < rehearseKept {
		s.res.More--
		s.res.Decisions = append(s.res.Decisions, d)
	}
	if s.Each != nil {
		return s.Each(d)
	}
	return nil
}
