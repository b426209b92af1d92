package respond

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Ledger is what a decision looks up, in memory and in virtual time, so that the same [Decide] can be asked what it would
// have done. It is not safe for concurrent use. Facts are filled in order of time, each followed by what was decided.
//
//	f.Now = finding.Last
//	l.Fill(&f)
//	plans, err := DecideAll(books, f)
//	err = l.Note(f, plans)
type Ledger struct {
	Consent Consent // how approvals are assumed to be answered
	Silence bool    // people who are asked are assumed not to answer; else to say that it was not them

	now       time.Time
	runs      map[runKey]time.Time
	counted   []counted // suspensions by playbooks, oldest first
	holds     map[holdKey]*Episode
	found     map[string]time.Time // when there was a finding about a person last
	reserved  map[string]int       // by person: suspensions that wait for an approval
	due       []due                // by time
	ended     []Episode
	longest   time.Duration // for how long counted is kept
	sequences int
}

// Consent is how approvals are assumed to be answered.
type Consent struct {
	Answer Assumed
	After  time.Duration // it takes that long; beyond the time of the approval it counts as no answer
}

// Assumed is an answer that is assumed.
type Assumed string

// The answers.
const (
	AssumeNone    Assumed = "" // nobody answers; the approval says what that means
	AssumeApprove Assumed = "approve"
	AssumeDeny    Assumed = "deny"
)

// Episode is a suspension.
type Episode struct {
	PersonID, Playbook, FindingID, Target string
	From, Until                           time.Time // zero Until: it had not ended
	Ended                                 string    // released, denied, answered; empty: it had not
}

type runKey struct{ playbook, key string }

type holdKey struct{ person, target string }

type counted struct {
	person, playbook string
	at               time.Time
}

// due is something that happens at a time.
type due struct {
	at    time.Time
	n     int // of two at the same time the earlier one first
	event func() error
}

// NewLedger is an empty one.
func NewLedger() *Ledger {
	return &Ledger{
		runs: map[runKey]time.Time{}, holds: map[holdKey]*Episode{}, found: map[string]time.Time{}, reserved: map[string]int{}, longest: maxGuardWindow,
	}
}

// Fill lets time go on to that of the facts, and fills in what is looked up. Whom it holds in the account itself is
// suspended there.
func (l *Ledger) Fill(f *Facts) error {
	if err := l.Until(f.Now); err != nil {
		return err
	}
	person := f.Person.ID
	f.LastRun = func(playbook, key string) (time.Time, error) { return l.runs[runKey{playbook, key}], nil }
	f.Suspensions = func(playbook string, since time.Time) (int, error) {
		return l.suspensions(playbook, person, since), nil
	}
	f.HeldPeople = func() (int, error) { return l.held(person), nil }
	f.HeldAt = nil
	for _, k := range slices.SortedFunc(maps.Keys(l.holds), func(a, b holdKey) int { return cmp.Compare(a.target, b.target) }) {
		if k.person == person && person != "" {
			f.HeldAt = append(f.HeldAt, k.target)
			f.Person.Suspended = f.Person.Suspended || k.target == LocalTarget
		}
	}
	return nil
}

func (l *Ledger) suspensions(playbook, except string, since time.Time) int {
	people := map[string]bool{}
	for _, c := range l.counted {
		if c.person != except && c.at.After(since) && (playbook == "" || c.playbook == playbook) {
			people[c.person] = true
		}
	}
	if playbook == "" { // an approval that is pending keeps its place
		for person := range l.reserved {
			if person != except {
				people[person] = true
			}
		}
	}
	return len(people)
}

func (l *Ledger) held(except string) int {
	people := map[string]bool{}
	for k := range l.holds {
		people[k.person] = true
	}
	for person := range l.reserved {
		people[person] = true
	}
	delete(people, except)
	return len(people)
}

// Until lets time go on: holds end, approvals are answered.
func (l *Ledger) Until(now time.Time) error {
	if now.Before(l.now) {
		return fmt.Errorf("virtual time cannot go back from %s to %s", stamp(l.now), stamp(now))
	}
	for len(l.due) > 0 && !l.due[0].at.After(now) {
		d := l.due[0]
		l.due = l.due[1:]
		l.now = d.at
		if err := d.event(); err != nil {
			return err
		}
	}
	l.now = now
	old := now.Add(-l.longest)
	l.counted = l.counted[max(0, slices.IndexFunc(l.counted, func(c counted) bool { return c.at.After(old) })):]
	return nil
}

// at lets something happen at a time, or now if that is over.
func (l *Ledger) at(t time.Time, event func() error) {
	l.sequences++
	d := due{t, l.sequences, event}
	i, _ := slices.BinarySearchFunc(l.due, d, func(a, b due) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.n, b.n)) })
	l.due = slices.Insert(l.due, i, d)
}

// Note takes down what was decided for the facts. Each approval is answered as is assumed.
func (l *Ledger) Note(f Facts, plans []Plan) error {
	if f.Person.ID != "" {
		l.found[f.Person.ID] = f.Now
	}
	for _, p := range plans {
		if p.State != RunStopped && p.DedupeKey != "" {
			l.runs[runKey{p.Playbook, p.DedupeKey}] = f.Now
		}
		switch p.State {
		case RunActing:
			l.act(f, p, p.Actions)
			if p.Approval != nil {
				l.after(f, p)
			}
		case RunWaiting:
			l.wait(f, p)
		}
		if p.State == RunActing && p.Question != nil {
			l.ask(f, p)
		}
	}
	return nil
}

// act suspends.
func (l *Ledger) act(f Facts, p Plan, actions []Action) {
	for _, a := range actions {
		k := holdKey{a.PersonID, a.Target}
		if a.Kind != ActSuspend || l.holds[k] != nil {
			continue
		}
		e := &Episode{PersonID: a.PersonID, Playbook: p.Playbook, FindingID: f.Finding.ID, Target: a.Target, From: l.now}
		l.holds[k] = e
		l.counted = append(l.counted, counted{a.PersonID, p.Playbook, l.now})
		if a.For > 0 && a.Release != ReleaseNever {
			l.release(k, e, a)
		}
	}
}

// release ends the hold at its time; one that wants quiet goes on for as long again if there was none.
func (l *Ledger) release(k holdKey, e *Episode, a Action) {
	began := l.now
	l.at(l.now.Add(a.For), func() error {
		switch {
		case l.holds[k] != e: // it has ended already
		case a.Release == ReleaseIfQuiet && l.found[k.person].After(began):
			l.release(k, e, a)
		default:
			l.end(k, "released")
		}
		return nil
	})
}

func (l *Ledger) end(k holdKey, how string) {
	e := l.holds[k]
	delete(l.holds, k)
	e.Until, e.Ended = l.now, how
	l.ended = append(l.ended, *e)
}

// endAll ends what the plan's actions hold.
func (l *Ledger) endAll(p Plan, finding, how string) {
	for _, a := range p.Actions {
		k := holdKey{a.PersonID, a.Target}
		if e := l.holds[k]; a.Kind == ActSuspend && e != nil && e.FindingID == finding && e.Playbook == p.Playbook {
			l.end(k, how)
		}
	}
}

// answer is what comes of an approval, and when.
func (l *Ledger) answer(a Approval) (yes bool, at time.Time) {
	at = a.AskedAt.Add(l.Consent.After)
	if l.Consent.Answer == AssumeNone || at.After(a.ExpiresAt) {
		return a.OnTimeout == TimeoutApprove || a.OnTimeout == TimeoutHold && a.Order == After, a.ExpiresAt
	}
	return l.Consent.Answer == AssumeApprove, at
}

// wait keeps a place until the approval is answered; then the guard rails are asked again.
func (l *Ledger) wait(f Facts, p Plan) {
	yes, at := l.answer(*p.Approval)
	person := f.Person.ID
	if slices.ContainsFunc(p.Actions, func(a Action) bool { return a.Kind == ActSuspend }) {
		l.reserved[person]++
	}
	l.at(at, func() error {
		if l.reserved[person]--; l.reserved[person] <= 0 {
			delete(l.reserved, person)
		}
		if !yes {
			return nil
		}
		f.Now, f.Case = l.now, &Case{State: CaseOpen}
		for _, a := range p.Actions {
			f.HeldAt = nil
			if l.holds[holdKey{a.PersonID, a.Target}] != nil {
				f.HeldAt = []string{a.Target}
			}
			c, err := Again(f, a)
			if err != nil {
				return err
			}
			if c.Verdict == Pass {
				l.act(f, p, []Action{a})
			}
		}
		return nil
	})
}

// after undoes what was done if the approval is denied.
func (l *Ledger) after(f Facts, p Plan) {
	if yes, at := l.answer(*p.Approval); !yes {
		l.at(at, func() error { l.endAll(p, f.Finding.ID, "denied"); return nil })
	}
}

// ask does what follows from the answer of the person that is assumed.
func (l *Ledger) ask(f Facts, p Plan) {
	answer, at := p.Question.OnDeny, p.Question.AskedAt
	if l.Silence {
		answer, at = p.Question.OnSilence, p.Question.ExpiresAt
	}
	if answer == string(AnswerRelease) {
		l.at(at, func() error { l.endAll(p, f.Finding.ID, "answered"); return nil })
	}
}

// Episodes are all suspensions in the order in which they began.
func (l *Ledger) Episodes() []Episode {
	all := slices.Clone(l.ended)
	for _, e := range l.holds {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b Episode) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.PersonID, b.PersonID), cmp.Compare(a.Target, b.Target))
	})
	return all
}
