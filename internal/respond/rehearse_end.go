package respond

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// end adds up.
func (s *rehearsing) end() Rehearsed {
	res := &s.res
	res.To = s.now
	byFinding := map[[2]string]Decision{}
	for _, d := range res.Decisions {
		byFinding[[2]string{d.Plan.Playbook, d.Finding.ID}] = d
	}
	people, byBook := map[string]bool{}, map[string]map[string]bool{}
	var took []time.Duration
	for _, e := range s.ledger.Episodes() {
		x := Suspension{Episode: e}
		if p := s.resident(e.PersonID); p != nil {
			x.Person = p.Person
		}
		if d, kept := byFinding[[2]string{e.Playbook, e.FindingID}]; kept {
			x.Decision, x.Rule, x.Took = d.N, d.Finding.Rule, e.From.Sub(d.At)
			if e.Target == LocalTarget {
				took = append(took, x.Took)
			}
		}
		res.Held = append(res.Held, x)
		people[e.PersonID] = true
		if byBook[e.Playbook] == nil {
			byBook[e.Playbook] = map[string]bool{}
		}
		byBook[e.Playbook][e.PersonID] = true
	}
	res.People = len(people)
	if len(took) > 0 {
		slices.Sort(took)
		res.Took = took[(len(took)-1)/2]
	}
	for stop, n := range s.stops {
		stop.Count = n
		res.Stopped = append(res.Stopped, stop)
	}
	slices.SortFunc(res.Stopped, func(a, b StopCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Playbook, b.Playbook), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Code, b.Code))
	})
	for _, name := range slices.Sorted(maps.Keys(s.books)) {
		b := *s.books[name]
		b.People = len(byBook[name])
		res.Books = append(res.Books, b)
	}
	return *res
}

// heldHere is how many people are suspended in the account itself.
func (l *Ledger) heldHere() (n int) {
	for k := range l.holds {
		if k.target == LocalTarget {
			n++
		}
	}
	return n
}
