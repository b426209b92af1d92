package store_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
	"holdfast/internal/signals"
	"holdfast/internal/store/storetest"
	"holdfast/internal/synth"
)

// liveDays are days of a made-up company that are lived, and then rehearsed.
type liveDays struct {
	*drama
	rules  *detect.Rules
	source string
	events []signals.Event
	seq    int64
	due    []dueJob
	seen   map[string]bool // ids of what due knows
	runs   []string
	people map[string]string
}

// dueJob is what a job would do at a time.
type dueJob struct {
	at time.Time
	do func(context.Context) error
}

// newLiveDays has the shipped playbooks in enforce, and people with habits.
func newLiveDays(t *testing.T, p *storetest.Place, people, days int) *liveDays {
	t.Helper()
	d := &liveDays{drama: newDrama(t, p, "", ""), seen: map[string]bool{}, people: map[string]string{}}
	books, err := respond.ShippedPlaybooks()
	must(t, err)
	for i, b := range books {
		enforced := *b
		enforced.Mode = respond.ModeEnforce
		books[i] = &enforced
	}
	d.Shipped, d.Log = books, nil
	d.rules, err = detect.NewRules(detect.RulesConfig{Store: d.DB, Pack: rules.FS(), Now: d.now})
	must(t, err)
	g, err := d.DB.Guard(t.Context(), d.drama.id)
	must(t, err)
	g.MaxPeople, g.MaxShare = 2, 20 // so that they speak
	_, err = d.SetGuard(t.Context(), d.drama.id, g, user(d.owner.ID))
	must(t, err)
	x := signals.Setup{
		AccountID: d.drama.id, ID: seal.NewID(), Kind: signals.KindOCSF, Name: "Test", State: signals.Active, Revision: 1, CreatedAt: d.now(), CreatedBy: "operator:test",
	}
	must(t, d.CreateSource(t.Context(), x, storetest.By().For(audit.SourceAdd, x.Target())))
	d.source = x.ID
	start := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	c := synth.Config{Seed: 41, Start: start, Days: days, Invent: people, Awkward: true, Attacks: synth.Each(5)}
	for i, who := range c.Roster() {
		groups := []string{}
		if i%9 == 4 {
			groups = []string{"Owners"}
		}
		d.people[who.Email] = storetest.User(t, d.DB, d.drama.id, who.Email, groups...).ID
	}
	for s := range synth.Generate(c) {
		d.events = append(d.events, madeUpEvent(s, len(d.events)))
	}
	return d
}

func madeUpEvent(s synth.Event, n int) signals.Event {
	e := signals.Event{
		Source: signals.OCSF, SourceID: "E" + strconv.Itoa(n), Time: s.At, ReceivedAt: s.At, Class: signals.ClassAuthentication, Activity: signals.Logon,
		StatusID: signals.StatusFailure, Status: "Failure", StatusCode: s.Type, Session: s.Session,
		User: signals.User{Email: s.Email, Login: s.Email}, Client: s.Client, Src: signals.Endpoint{IP: s.Client.Address, Location: s.Location},
	}
	switch s.Category {
	case "success":
		e.StatusID, e.Status = signals.StatusSuccess, "Success"
		e.MFA = map[bool]signals.Tri{true: signals.Yes, false: signals.No}[s.Type == "mfa_ok"]
	case "mfa_failed":
		e.Reason = signals.MFAFailed
	case "credentials_failed":
		e.Reason = signals.BadCredentials
	}
	return e
}

// add stores events at the time of the last of them, and waits until detection has looked at them.
func (d *liveDays) add(t *testing.T, events ...signals.Event) {
	t.Helper()
	d.clock.Store(events[len(events)-1].Time.UnixMicro())
	in := signals.Addition{AccountID: d.drama.id, SourceID: d.source}
	for _, e := range events {
		e.AccountID = d.drama.id
		text, err := signals.EncodeOCSF(&e)
		must(t, err)
		in.Rows = append(in.Rows, signals.Row{
			SourceEventID: e.SourceID, At: e.When(), ReceivedAt: e.ReceivedAt, Match: signals.Match{PersonID: d.people[e.User.Email]}, Event: text, Raw: string(text),
		})
	}
	_, err := d.AddSignals(t.Context(), in)
	must(t, err)
	d.seq += int64(len(events))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 20_000 {
		s, err := d.DetectState(t.Context(), d.drama.id)
		must(t, err)
		if s.Cursor >= d.seq {
			return
		}
		<-tick.C
	}
	t.Fatalf("detection does not come to event %d", d.seq)
}

// answer responds to all findings that there are, and notes which jobs follow.
func (d *liveDays) answer(t *testing.T, note bool) {
	t.Helper()
	for {
		r, some, err := d.Next(t.Context(), d.drama.id)
		must(t, err)
		if !some {
			return
		}
		if len(r.Runs) == 0 || !note {
			continue
		}
		f, err := d.Finding(t.Context(), d.drama.id, r.FindingID)
		must(t, err)
		for _, run := range r.Runs {
			d.runs = append(d.runs, runLine(f.Rule, f.PersonID, run.Playbook, run.State, run.Checks))
		}
		if r.CaseID != "" {
			d.later(d.record(r.CaseID))
		}
	}
}

// later notes what is due of a case.
func (d *liveDays) later(r respond.Record) {
	add := func(id string, at time.Time, do func(context.Context) error) {
		if !at.IsZero() && !d.seen[id] {
			d.seen[id] = true
			d.due = append(d.due, dueJob{at, do})
		}
	}
	account := d.drama.id
	for _, a := range r.Actions {
		if a.Kind == respond.ActSuspend && a.Target == respond.LocalTarget {
			add(a.ID+stampOf(a.Until), a.Until, func(ctx context.Context) error { return d.ReleaseDue(ctx, account, a.ID) })
		}
	}
	for _, a := range r.Approvals {
		add(a.ID, a.ExpiresAt, func(ctx context.Context) error { return d.ExpireApproval(ctx, account, a.ID) })
	}
	for _, q := range r.Questions {
		add(q.ID, q.ExpiresAt, func(ctx context.Context) error { return d.ExpireQuestion(ctx, account, q.ID) })
	}
}

func stampOf(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// until does what is due until then.
func (d *liveDays) until(t *testing.T, now time.Time) {
	t.Helper()
	for {
		slices.SortStableFunc(d.due, func(a, b dueJob) int { return a.at.Compare(b.at) })
		if len(d.due) == 0 || d.due[0].at.After(now) {
			return
		}
		job := d.due[0]
		d.due = d.due[1:]
		d.clock.Store(job.at.UnixMicro())
		must(t, job.do(t.Context()))
		cases, err := d.CaseList(t.Context(), respond.CaseQuery{AccountID: d.drama.id, Limit: 1000})
		must(t, err)
		for _, c := range cases {
			if c.State != respond.CaseClosed {
				d.later(d.record(c.ID))
			}
		}
	}
}

// runLine is what must be the same: when is not, as live a moment passes.
func runLine(rule, person, playbook string, state respond.RunState, checks []respond.Check) string {
	if state == respond.RunDone { // its actions were done at once
		state = respond.RunActing
	}
	parts := []string{rule, cmp.Or(person, "nobody"), playbook, string(state)}
	for _, c := range checks {
		part := fmt.Sprintf("%s:%s:%s", c.Name, c.Verdict, c.Code)
		if c.Name == respond.CheckBlast {
			part += fmt.Sprint(c.Facts)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

// TestRehearsalIsLive lives some days, event by event, and rehearses them: the same playbooks decide the
// same about the same people, in the same order and for the same reasons.
func TestRehearsalIsLive(t *testing.T) {
	const lived = 4 * 24 * time.Hour
	d := newLiveDays(t, storetest.NewPlace(t, "sqlite"), 18, 24)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var calls atomic.Int64 // Live waits for its own clock before it stores what nothing came of
	go func() {
		defer close(ended)
		detect.NewLive(detect.LiveConfig{
			Store: d.DB, Rules: d.rules, Pace: detect.Pace{Look: 20 * time.Millisecond, Poll: 2 * time.Millisecond},
			Now: func() time.Time { return time.Date(2036, 1, 1, 0, 0, int(calls.Add(1)), 0, time.UTC) },
		}).Run(ctx)
	}()
	defer func() { stop(); <-ended }()

	from := d.events[len(d.events)-1].Time.Add(-lived)
	n := slices.IndexFunc(d.events, func(e signals.Event) bool { return !e.Time.Before(from) })
	for before := range slices.Chunk(d.events[:n], 500) {
		d.add(t, before...)
	}
	d.clock.Add(time.Hour.Microseconds()) // they are too old to be acted on
	d.answer(t, false)
	for _, e := range d.events[n:] {
		d.until(t, e.Time)
		d.add(t, e)
		d.answer(t, true)
	}

	r := &respond.Rehearser{Service: d.Service, Rules: d.rules, History: d.DB, Now: d.now, Hurry: true}
	start, _, err := d.SignalsReach(t.Context(), d.drama.id, time.Unix(0, 0), math.MaxInt32)
	must(t, err)
	taken := 0
	var got []string
	res, err := r.Rehearse(t.Context(), d.drama.id, respond.RehearseRequest{Silence: true}, start, from, func(done, _ int) { taken = done }, func(x respond.Decision) error {
		got = append(got, runLine(x.Finding.Rule, x.Finding.PersonID, x.Plan.Playbook, x.Plan.State, x.Plan.Checks))
		return nil
	})
	must(t, err)
	want(t, "events", taken, len(d.events))
	if diff := gocmp.Diff(d.runs, got); diff != "" {
		t.Errorf("runs (-live +rehearsed):\n%s", diff)
	}
	want(t, "people who were suspended", res.People, int(d.count("SELECT COUNT(DISTINCT user_id) FROM holds WHERE substr(holder, 1, 5) = 'case:'")))
	states := map[respond.RunState]int{}
	for _, b := range res.Books {
		for state, n := range b.Runs {
			states[state] += n
		}
	}
	t.Logf("%d people were suspended; runs: %v", res.People, states)
	if res.People < 3 || states[respond.RunHeld] == 0 || states[respond.RunWaiting] == 0 {
		t.Error("this says too little; choose another seed")
	}
}
