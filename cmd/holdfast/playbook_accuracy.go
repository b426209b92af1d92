package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/respond"
	"holdfast/internal/signals"
)

// playbookAccuracy measures playbooks, all in enforce, over a labelled history.
type playbookAccuracy struct {
	rulesFlag
	What    string // a file of events that say what is an attack, or synth:SEED[:PEOPLE[:DAYS]]
	Format  string
	Review  time.Duration // how long until a person has said of a wrong finding that it is harmless; 0: nobody does
	Approve time.Duration // how long until an approval is given, whatever it is about; 0: nobody answers
	JSON    bool
}

// containedWithin is how long after a takeover a suspension still contains it, even where the attacker has gone already.
const containedWithin = time.Hour

// containScore measures suspensions against what is known.
type containScore struct {
	*score
	ends  map[int]time.Time // last event of an attack on its victim
	right map[[2]string]bool
	note  map[[2]string]string // of the event that led to it, by playbook and finding
	rule  map[[2]string]string
	asked int
	held  int // by a guard rail
}

// playbookRates are what came of a playbook.
type playbookRates struct {
	Suspensions int `json:"suspensions"`
	Wrong       int `json:"wrong"`
	Contained   int `json:"contained"` // takeovers, by its suspension as the first
}

// containKind is how takeovers of a kind were contained.
type containKind struct {
	Kind      string `json:"kind"`
	Takeovers int    `json:"takeovers"`
	Contained int    `json:"contained"`
}

type containJSON struct {
	Events        int                       `json:"events"`
	People        int                       `json:"people"`
	Days          float64                   `json:"days"`
	PersonMonths  float64                   `json:"person_months"`         // of 30 days
	Approve       string                    `json:"approvals_given_after"` // empty: nobody answers
	Suspensions   int                       `json:"suspensions"`
	Wrong         int                       `json:"wrong"`
	WrongPer10000 float64                   `json:"wrong_per_10000_person_months"`
	Takeovers     int                       `json:"takeovers"`
	Contained     int                       `json:"contained"`
	Containment   float64                   `json:"containment"`
	AtOnce        int                       `json:"contained_within_a_minute"`
	MedianSeconds *float64                  `json:"median_seconds"` // from the takeover to the suspension; 0 where it was there before
	WorstSeconds  *float64                  `json:"worst_seconds"`
	Approvals     int                       `json:"approvals_asked"`
	Held          int                       `json:"held_by_guard_rails"`
	MostAtOnce    int                       `json:"most_suspended_at_once"`
	Kinds         []containKind             `json:"kinds"`
	Playbooks     map[string]*playbookRates `json:"playbooks"`
	WrongByRule   map[string]int            `json:"wrong_by_rule"`
	WrongByNote   map[string]int            `json:"wrong_by_note"`
}

func userOf(e *signals.Event) string {
	return strings.ToLower(firstOf(e.User.Email, e.User.Login, e.User.ID))
}

func (c *playbookAccuracy) run(ctx context.Context, std stdio, books []*respond.Playbook) error {
	r, err := c.load()
	if err != nil {
		return err
	}
	tellFaults(std, r)
	t := ruleTestCmd{Accuracy: c.What, Format: c.Format}
	var in *counted
	if !strings.HasPrefix(c.What, synthScheme) {
		if in, err = t.open(ctx, std, c.What); err != nil {
			return err
		}
		defer in.Close()
	}
	h, err := t.openHistory(in, std)
	if err != nil {
		return err
	}
	if in != nil {
		h.steps = in.size
	}
	bar := newProgress(std.err)
	defer bar.done()
	bar.start("measuring", h.steps)
	s := &containScore{score: newScore(), ends: map[int]time.Time{}, right: map[[2]string]bool{}, note: map[[2]string]string{}, rule: map[[2]string]string{}}
	res, err := respond.Rehearse(ctx, c.rehearsal(h, s, r.set, books, func() {
		if in != nil {
			bar.at(in.read)
		} else {
			bar.at(int64(s.last.Sub(s.first).Hours() / 24))
		}
	}))
	bar.done()
	if err = cmp.Or(h.err, err); err != nil {
		return err
	}
	if s.events == 0 {
		return fmt.Errorf("%s has no events that could be read", c.What)
	}
	out := s.result(h, res)
	if c.Approve > 0 {
		out.Approve = respond.Span(c.Approve)
	}
	if c.JSON {
		return printJSON(std, out)
	}
	tellContained(std, out)
	return nil
}

// rehearsal is that of the history; everybody in it is an active person in no group.
func (c *playbookAccuracy) rehearsal(h *history, s *containScore, set *detect.Set, books []*respond.Playbook, step func()) respond.Rehearsal {
	var now *labelled
	var w reviewer
	run := respond.Rehearsal{
		Events: storedEvents(h.events, &now), Set: set, Guard: respond.DefaultGuard(), Active: cmp.Or(h.people, 1000), Silence: true,
		Who: func(e *signals.Stored) string { return userOf(&e.Event) },
		Meet: func(id string) (respond.Resident, bool) {
			return respond.Resident{Person: respond.Person{ID: id, Email: id, Name: id, Active: true}}, true
		},
		Before: func(x *detect.Engine, _ *signals.Stored) error {
			s.score.note(now)
			if ref := s.ofEvent[now.event.SourceID]; ref != nil {
				s.ends[ref.attack] = ref.at
			}
			w.engine, w.after = x, c.Review
			step()
			return w.until(s.last)
		},
		Taken: func(e *signals.Stored, got detect.Result) error {
			if e != nil {
				w.see(got, now)
			}
			return nil
		},
		Each: func(d respond.Decision) error {
			s.decided(d, now)
			return nil
		},
	}
	if c.Approve > 0 {
		run.Consent = respond.Consent{Answer: respond.AssumeApprove, After: c.Approve}
	}
	for _, p := range books {
		enforced := *p
		enforced.Mode = respond.ModeEnforce
		run.Books = append(run.Books, &enforced)
	}
	return run
}

// storedEvents are the events as those of a store, each with its label in now.
func storedEvents(all iter.Seq[labelled], now **labelled) iter.Seq2[*signals.Stored, error] {
	return func(yield func(*signals.Stored, error) bool) {
		for l := range all {
			*now = &l
			if !yield(&signals.Stored{Event: l.event}, nil) {
				return
			}
		}
	}
}

// decided notes of a run that suspends, or may, whether it is about an attack.
func (s *containScore) decided(d respond.Decision, l *labelled) {
	if d.Plan.Approval != nil {
		s.asked++
	}
	if d.Plan.State == respond.RunHeld {
		s.held++
	}
	if d.Plan.State != respond.RunActing && d.Plan.State != respond.RunWaiting {
		return
	}
	key := [2]string{d.Plan.Playbook, d.Finding.ID}
	s.rule[key], s.note[key] = d.Finding.Rule, l.truth.Note
	s.right[key] = slices.ContainsFunc(d.Finding.Events, func(id string) bool { return s.ofEvent[id] != nil })
}

// result compares suspensions with attacks.
func (s *containScore) result(h *history, r respond.Rehearsed) containJSON {
	base := s.score.result(h.people, h.days)
	out := containJSON{
		Events: base.Events, People: base.People, Days: base.Days, PersonMonths: base.PersonMonths, Approvals: s.asked, Held: s.held, MostAtOnce: r.AtOnce,
		Kinds: []containKind{}, Playbooks: map[string]*playbookRates{}, WrongByRule: map[string]int{}, WrongByNote: map[string]int{},
	}
	for _, b := range r.Books {
		out.Playbooks[b.Playbook] = &playbookRates{}
	}
	byPerson := map[string][]respond.Suspension{}
	for _, x := range r.Held {
		if x.Target != respond.LocalTarget {
			continue
		}
		byPerson[x.PersonID] = append(byPerson[x.PersonID], x)
		out.Suspensions++
		out.Playbooks[x.Playbook].Suspensions++
		if key := [2]string{x.Playbook, x.FindingID}; !s.right[key] {
			out.Wrong++
			out.Playbooks[x.Playbook].Wrong++
			out.WrongByRule[s.rule[key]]++
			out.WrongByNote[cmp.Or(s.note[key], "nothing unusual")]++
		}
	}
	kinds := map[string]*containKind{}
	var took []float64
	for _, number := range slices.Sorted(maps.Keys(s.attacks)) {
		a := s.attacks[number]
		if a.takeover.IsZero() {
			continue
		}
		k := kinds[a.kind]
		if k == nil {
			k = &containKind{Kind: a.kind}
			kinds[a.kind] = k
		}
		k.Takeovers++
		out.Takeovers++
		i := slices.IndexFunc(byPerson[a.victim], func(x respond.Suspension) bool { return contains(x, a.takeover, s.ends[number]) })
		if i < 0 {
			continue
		}
		x := byPerson[a.victim][i]
		k.Contained++
		out.Contained++
		out.Playbooks[x.Playbook].Contained++
		seconds := max(0, x.From.Sub(a.takeover).Seconds())
		if seconds <= 60 {
			out.AtOnce++
		}
		took = append(took, seconds)
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		out.Kinds = append(out.Kinds, *kinds[kind])
	}
	out.Containment = share(out.Contained, out.Takeovers)
	if len(took) > 0 {
		median, worst := middle(took), slices.Max(took)
		out.MedianSeconds, out.WorstSeconds = &median, &worst
	}
	if out.PersonMonths > 0 {
		out.WrongPer10000 = 10_000 * float64(out.Wrong) / out.PersonMonths
	}
	return out
}

// contains says whether the suspension of the victim was there at the takeover, or came before the attacker's last event
// or within an hour.
func contains(x respond.Suspension, takeover, end time.Time) bool {
	last := takeover.Add(containedWithin)
	if end.After(last) {
		last = end
	}
	return !x.From.After(last) && (x.Until.IsZero() || x.Until.After(takeover))
}

func tellContained(std stdio, r containJSON) {
	paint := painter(std.out, std.env)
	good := func(ok bool, text string) string {
		if ok {
			return paint(green, text)
		}
		return paint(red, text)
	}
	fmt.Fprintf(std.out, "%s of %s over %.0f days (%s person-months); all playbooks in enforce; approvals: %s\n\n", plural(r.Events, "event", "events"),
		plural(r.People, "person", "people"), r.Days, grouped(int(r.PersonMonths)), approvalsText(r.Approve))
	fmt.Fprintf(std.out, "takeovers contained    %s  %d of %d, %d of them within a minute\n", good(r.Containment >= 0.9, fmt.Sprintf("%6.3f", r.Containment)), r.Contained, r.Takeovers, r.AtOnce)
	fmt.Fprintf(std.out, "wrong suspensions      %s  in 10,000 person-months; %d of %d\n", good(r.WrongPer10000 <= 1, fmt.Sprintf("%6.2f", r.WrongPer10000)), r.Wrong, r.Suspensions)
	fmt.Fprintf(std.out, "time to contain        %6s  in the median, %s at worst\n", spanText(r.MedianSeconds), spanText(r.WorstSeconds))
	fmt.Fprintf(std.out, "approvals asked        %6d\nheld by guard rails    %6d\nmost suspended at once %6d\n\n", r.Approvals, r.Held, r.MostAtOnce)
	fmt.Fprintf(std.out, "%-24s %10s %10s\n", "attack", "takeovers", "contained")
	for _, k := range r.Kinds {
		fmt.Fprintf(std.out, "%-24s %10d %s\n", k.Kind, k.Takeovers, good(k.Contained == k.Takeovers, fmt.Sprintf("%10d", k.Contained)))
	}
	fmt.Fprintf(std.out, "\n%-24s %12s %10s %10s\n", "playbook", "suspensions", "wrong", "contained")
	for _, name := range slices.Sorted(maps.Keys(r.Playbooks)) {
		p := r.Playbooks[name]
		fmt.Fprintf(std.out, "%-24s %12d %10d %10d\n", name, p.Suspensions, p.Wrong, p.Contained)
	}
	for _, rule := range slices.Sorted(maps.Keys(r.WrongByRule)) {
		fmt.Fprintf(std.out, "\nwrong because of %s: %d", rule, r.WrongByRule[rule])
	}
	for _, note := range slices.Sorted(maps.Keys(r.WrongByNote)) {
		fmt.Fprintf(std.out, "\nwrong, and unusual was %s: %d", note, r.WrongByNote[note])
	}
	if r.Wrong > 0 {
		fmt.Fprintln(std.out)
	}
}

func approvalsText(after string) string {
	if after == "" {
		return "nobody answers"
	}
	return "given after " + after
}
