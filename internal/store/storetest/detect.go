package storetest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/feed"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
	"holdfast/internal/signin"
	"holdfast/internal/store"
)

// detecting is an account with a lease on its detection, and events 1 to n, a second apart.
func detecting(t *testing.T, db *store.DB, n int) (account, person string) {
	t.Helper()
	a, owner := Account(t, db)
	x := source(t, db, a.ID, "Lake")
	var rows []signals.Row
	for i := range n {
		rows = append(rows, signal(t, fmt.Sprintf("e%d", i+1), int64(i+1), owner.ID))
	}
	if _, err := db.AddSignals(t.Context(), signals.Addition{AccountID: a.ID, SourceID: x.ID, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	if !of(db.LeaseDetection(t.Context(), a.ID, "one", time.Now().Add(time.Hour))).must(t) {
		t.Fatal("nobody has the lease, and it is not given")
	}
	return a.ID, owner.ID
}

// found is a finding that began at the second after the epoch.
func found(id, rule string, second int64) detect.Found {
	when := time.Unix(epoch+second, 0).UTC()
	return detect.Found{
		ID: id, Rule: rule, RuleID: "r", Title: "Title", Version: "v1", Level: detect.High, Person: "p", User: "mira\x00", Address: "192.0.2.7", Subject: "user:mira",
		Key: []string{"a", "b"}, Time: when, Last: when, Count: 1, Features: []detect.FeatureValue{{Name: "holdfast.speed", Value: detect.FloatValue(900.5)}},
		Explain: map[string]string{"en": "why", "de": "warum"},
	}
}

func evidence(seqs ...int64) (all []detect.Evidence) {
	for _, n := range seqs {
		all = append(all, detect.Evidence{Seq: n, ID: fmt.Sprintf("e%d", n)})
	}
	return all
}

func testDetection(t *testing.T, p *Place) {
	db := p.Open(t)
	ctx := t.Context()
	wantKind(t, of(db.LeaseDetection(ctx, "nobody", "one", time.Now().Add(time.Hour))).err, problem.NotFound)
	account, person := detecting(t, db, 9)
	if diff := cmp.Diff([]string{account}, of(db.DetectAccounts(ctx)).must(t)); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	if s := of(db.DetectState(ctx, "nobody")).must(t); !cmp.Equal(s, detect.State{}) {
		t.Errorf("state of nobody %+v", s)
	}
	commit := func(from int64, c detect.Commit) error {
		c.AccountID, c.Holder, c.From = account, "one", from
		return db.CommitDetection(ctx, c)
	}
	one, two := found("A", "spray", 1), found("B", "travel", 2)
	one.PersonID = person
	changes := []detect.Change{{Found: one, Open: true, Events: evidence(1, 2)}, {Found: two, Events: evidence(2)}}
	for _, err := range []error{
		db.CommitDetection(ctx, detect.Commit{AccountID: account, Holder: "two", Cursor: 3, Changes: changes}),
		commit(1, detect.Commit{Cursor: 3, Changes: changes}),
	} {
		wantKind(t, err, problem.Conflict)
	}
	if all := of(db.FindingList(ctx, detect.FindingQuery{AccountID: account, Limit: 9})).must(t); len(all) != 0 {
		t.Errorf("who was overtaken has written %+v", all)
	}
	if err := commit(0, detect.Commit{Cursor: 3, Changes: changes, Late: 2, Ahead: 1, Flooded: map[string]int{"spray": 7}}); err != nil {
		t.Fatal(err)
	}
	one.User, two.User = "mira", "mira"
	want := []detect.StoredFinding{
		{Found: two, AccountID: account, Seq: 2, State: detect.FindingEnded}, {Found: one, AccountID: account, Seq: 1, State: detect.FindingOpen},
	}
	list := func() []detect.StoredFinding {
		return of(db.FindingList(ctx, detect.FindingQuery{AccountID: account, Limit: 9})).must(t)
	}
	same := []cmp.Option{cmpopts.IgnoreFields(detect.StoredFinding{}, "CreatedAt"), cmp.Comparer(func(a, b detect.Value) bool {
		return slices.Equal(a.Texts(), b.Texts())
	})}
	if diff := cmp.Diff(want, list(), same...); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}

	one.Last, one.Count, one.More, one.Level = one.Last.Add(time.Minute), 5, 3, detect.Critical
	err := commit(1, detect.Commit{Cursor: 5, Changes: []detect.Change{
		{Found: one, Open: true, Events: evidence(2, 4)}, {Found: found("C", "spray", 3), Open: true, Events: evidence(5, 6)},
		{Found: found("C", "spray", 3), Open: true, Anew: true, Events: evidence(5)},
	}, Withdrawn: []string{"B", "unknown"}, Flooded: map[string]int{"spray": 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := commit(2, detect.Commit{Cursor: 6, Over: []string{"C", "B"}}); err != nil {
		t.Fatal(err)
	}
	states := map[string]detect.FindingState{}
	for _, id := range []string{"1", "2", "3"} {
		f := of(db.Finding(ctx, account, id)).must(t)
		states[f.ID] = f.State
	}
	if diff := cmp.Diff(map[string]detect.FindingState{"A": "open", "B": "withdrawn", "C": "ended"}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	known := of(db.FindingsAfter(ctx, account, time.Unix(epoch+2, 0))).must(t)
	wantKnown := []detect.Known{
		{ID: "A", Rule: "spray", Text: "v1", At: one.Time, Open: true, Last: one.Last, Count: 5, More: 3, Events: []int64{1, 2, 4}},
		{ID: "C", Rule: "spray", Text: "v1", At: time.Unix(epoch+3, 0).UTC(), Last: time.Unix(epoch+3, 0).UTC(), Count: 1, Events: []int64{5}},
	}
	if diff := cmp.Diff(wantKnown, known); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
	if err := commit(3, detect.Commit{Cursor: 6, Changes: []detect.Change{{Found: two, Events: evidence(3), Anew: true}}}); err != nil { // there is reason for it again
		t.Fatal(err)
	}
	if f := of(db.Finding(ctx, account, "B")).must(t); f.State != detect.FindingEnded || f.Seq != 2 {
		t.Errorf("a finding that is there again is %+v", f)
	}
	s := of(db.DetectState(ctx, account)).must(t)
	if diff := cmp.Diff(detect.State{Version: 4, Cursor: 6, Late: 2, Ahead: 1}, s); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	floods := of(db.Flooded(ctx, account)).must(t)
	if f := floods["spray"]; len(floods) != 1 || f.Passed != 8 || time.Since(f.Last) > time.Minute {
		t.Errorf("floods %+v", floods)
	}
	testCheckpoint(t, db, account)
}

// testCheckpoint goes on from version 4.
func testCheckpoint(t *testing.T, db *store.DB, account string) {
	t.Helper()
	ctx := t.Context()
	until := time.Unix(epoch+100, 0).UTC()
	rows := func(n int, value string) (all []detect.ProfileRow) {
		for i := range n {
			all = append(all, detect.ProfileRow{Key: fmt.Sprintf("k%03d", i), Value: []byte(value), Until: until})
		}
		return all
	}
	profiles := func() map[string]string {
		all := map[string]string{}
		err := db.Profiles(ctx, account, func(key string, value []byte, until time.Time) error {
			all[key] = string(value) + until.Format(" 05")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	write := func(from int64, holder string, list []detect.ProfileRow) error {
		return db.WriteCheckpoint(ctx, detect.Checkpoint{AccountID: account, Holder: holder, From: from, At: time.Unix(epoch+5, 7000).UTC(), Windows: []byte("w"), Rules: 3, Profiles: list})
	}
	wantKind(t, write(4, "two", rows(1, "x")), problem.Conflict)
	wantKind(t, write(3, "one", rows(1, "x")), problem.Conflict)
	if err := write(4, "one", rows(128, "x")); err != nil {
		t.Fatal(err)
	}
	if all := profiles(); len(all) != 128 || all["k127"] != "x 00" {
		t.Errorf("%d profiles, the last one %q", len(all), all["k127"])
	}
	if err := write(5, "one", append(rows(1, "y"), detect.ProfileRow{Key: "k001"}, detect.ProfileRow{Key: "none"})); err != nil {
		t.Fatal(err)
	}
	if all := profiles(); len(all) != 127 || all["k000"] != "y 00" || all["k001"] != "" {
		t.Errorf("%d profiles, the first ones %q and %q", len(all), all["k000"], all["k001"])
	}
	s := of(db.DetectState(ctx, account)).must(t)
	if s.Version != 6 || !s.CheckpointAt.Equal(time.Unix(epoch+5, 7000)) || string(s.Windows) != "w" || s.Rules != 3 || s.Cursor != 6 {
		t.Errorf("state %+v", s)
	}
}

// testDetectionTwo lets two processes go on from the same state, again and again: each time one of them does.
func testDetectionTwo(t *testing.T, p *Place) {
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	account, _ := detecting(t, dbs[0], 1)
	for round := range int64(12) {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				id := fmt.Sprintf("F%d.%d", round, i)
				err := dbs[i%2].CommitDetection(t.Context(), detect.Commit{
					AccountID: account, Holder: "one", From: round, Cursor: round, Changes: []detect.Change{{Found: found(id, "spray", round), Events: evidence(1)}},
				})
				if err == nil {
					won.Add(1)
				} else if !problem.Is(err, problem.Conflict) {
					t.Errorf("who was too late hears %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d went on from version %d", won.Load(), round)
		}
	}
	all := of(dbs[1].FindingList(t.Context(), detect.FindingQuery{AccountID: account, Limit: 100})).must(t)
	for i, f := range all {
		if f.Seq != int64(12-i) {
			t.Errorf("finding %d has the number %d", 12-i, f.Seq)
		}
	}
	if len(all) != 12 {
		t.Errorf("%d findings", len(all))
	}
	lease := func(db *store.DB, holder string, until time.Time) bool {
		return of(db.LeaseDetection(t.Context(), account, holder, until)).must(t)
	}
	now := time.Now()
	got := []bool{
		lease(dbs[1], "two", now.Add(time.Hour)), lease(dbs[0], "one", now.Add(30*time.Millisecond)), // who has it goes on having it
		lease(dbs[0], "one", time.Time{}), lease(dbs[1], "two", now.Add(time.Hour)), lease(dbs[0], "one", now.Add(time.Hour)),
	}
	if diff := cmp.Diff([]bool{false, true, true, true, false}, got); diff != "" {
		t.Errorf("leases (-want +got):\n%s", diff)
	}
	wantKind(t, dbs[0].CommitDetection(t.Context(), detect.Commit{AccountID: account, Holder: "one", From: 12}), problem.Conflict)
}

func testFindings(t *testing.T, p *Place) {
	db, second := p.Open(t), p.Open(t)
	ctx := t.Context()
	account, person := detecting(t, db, 9)
	heard := make(chan error, 2)
	for _, db := range []*store.DB{db, second} {
		go func() { heard <- db.WaitFindings(ctx, account, 0) }()
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	var changes []detect.Change
	for i := range 6 {
		f := found(fmt.Sprintf("F%d", i+1), []string{"spray", "travel"}[i%2], 0)
		f.Time = today.Add(-time.Duration(i/2) * 24 * time.Hour)
		f.Last, f.Level = f.Time.Add(time.Second), []detect.Level{detect.Low, detect.High, detect.Critical}[i%3]
		if i < 3 {
			f.PersonID = person
		}
		changes = append(changes, detect.Change{Found: f, Open: i == 4, Events: evidence(int64(i+1), 9)})
	}
	if err := db.CommitDetection(ctx, detect.Commit{AccountID: account, Holder: "one", Changes: changes, Withdrawn: []string{"F6"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-heard; err != nil {
			t.Errorf("who waits for findings hears %v", err)
		}
	}
	for _, tt := range []struct {
		name string
		q    detect.FindingQuery
		want []int64
	}{
		{"all", detect.FindingQuery{}, []int64{5, 4, 3, 2, 1}},
		{"page", detect.FindingQuery{Before: 4, Limit: 2}, []int64{3, 2}},
		{"person", detect.FindingQuery{PersonID: person}, []int64{3, 2, 1}},
		{"rule", detect.FindingQuery{Rule: "travel"}, []int64{4, 2}},
		{"levels", detect.FindingQuery{Levels: []detect.Level{detect.High, detect.Critical}}, []int64{5, 3, 2}},
		{"open", detect.FindingQuery{State: detect.FindingOpen}, []int64{5}},
		{"withdrawn", detect.FindingQuery{State: detect.FindingWithdrawn}, []int64{6}},
		{"from", detect.FindingQuery{From: today}, []int64{2, 1}},
		{"to", detect.FindingQuery{To: today, PersonID: person}, []int64{3}},
	} {
		tt.q.AccountID = account
		if tt.q.Limit == 0 {
			tt.q.Limit = 9
		}
		var got []int64
		for _, f := range of(db.FindingList(ctx, tt.q)).must(t) {
			got = append(got, f.Seq)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	counts := of(db.RuleCounts(ctx, account, 3)).must(t)
	if diff := cmp.Diff(map[string][]int{"spray": {1, 1, 1}, "travel": {0, 1, 1}}, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	var events []string
	for _, e := range of(db.FindingEvents(ctx, account, "F2")).must(t) {
		events = append(events, fmt.Sprint(e.Seq, e.Event.SourceID, e.Event.Raw, e.Match.PersonID == person))
	}
	if diff := cmp.Diff([]string{"2e2raw of e2true", "9e9raw of e9true"}, events); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
	_, err := db.FindingEvents(ctx, account, "none")
	wantKind(t, err, problem.NotFound)
	testJudging(t, db, account)

	if err := db.PurgeFindings(ctx, today.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var left []int64
	for _, f := range of(db.FindingList(ctx, detect.FindingQuery{AccountID: account, Limit: 9})).must(t) {
		left = append(left, f.Seq)
	}
	if diff := cmp.Diff([]int64{5}, left); diff != "" { // it is open; 6 is withdrawn, and stays as the last one
		t.Errorf("left after a purge (-want +got):\n%s", diff)
	}
	of(db.Finding(ctx, account, "F6")).must(t)
	Verify(t, db, account)
}

func testJudging(t *testing.T, db *store.DB, account string) {
	t.Helper()
	ctx := t.Context()
	judge := func(id string, harmless bool) detect.StoredFinding {
		t.Helper()
		return of(db.JudgeFinding(ctx, account, id, harmless, By().Because("their new phone"))).must(t)
	}
	f := judge("F2", true)
	if e := last(t, db, account); e.Action != audit.FindingJudge || e.Target != "finding:F2" || e.Reason != "harmless: their new phone" {
		t.Errorf("entry %+v", e)
	}
	if g := of(db.Finding(ctx, account, "2")).must(t); !g.Harmless || g.JudgedBy != "operator:test" || !g.JudgedAt.Equal(f.JudgedAt) {
		t.Errorf("judged %+v", g)
	}
	judge("F2", false)
	judge("F2", true) // teaches nothing more
	judge("F4", false)
	judge("F4", true)
	_, err := db.JudgeFinding(ctx, account, "none", true, By())
	wantKind(t, err, problem.NotFound)
	lessons := of(db.Lessons(ctx, account, time.Unix(epoch, 0))).must(t)
	if diff := cmp.Diff([]detect.Lesson{{Number: 1, FindingID: "F2", Events: []int64{2, 9}}, {Number: 2, FindingID: "F4", Events: []int64{4, 9}}}, lessons); diff != "" {
		t.Errorf("lessons (-want +got):\n%s", diff)
	}
	applied := time.Unix(epoch+50, 0).UTC()
	s := of(db.DetectState(ctx, account)).must(t)
	lessons[0].At, lessons[1].At = applied, applied.Add(time.Second)
	if err := db.CommitDetection(ctx, detect.Commit{AccountID: account, Holder: "one", From: s.Version, Learned: lessons}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lessons[1:], of(db.Lessons(ctx, account, applied)).must(t)); diff != "" {
		t.Errorf("lessons applied later (-want +got):\n%s", diff)
	}
	if err := db.WriteCheckpoint(ctx, detect.Checkpoint{AccountID: account, Holder: "one", From: s.Version + 1, At: applied.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	judge("F3", true)
	if left := of(db.Lessons(ctx, account, time.Time{})).must(t); len(left) != 1 || left[0].Number != 3 || left[0].FindingID != "F3" {
		t.Errorf("lessons after a checkpoint %+v", left)
	}
}

// testStretch reads events in order of time.
func testStretch(t *testing.T, p *Place) {
	db := p.Open(t)
	ctx := t.Context()
	a, owner := Account(t, db)
	x := source(t, db, a.ID, "Lake")
	seconds := []int64{5, 3, 9, 3, 3, 7, 1}
	var rows []signals.Row
	for i, s := range seconds {
		rows = append(rows, signal(t, fmt.Sprintf("e%d", i+1), s, owner.ID))
	}
	if _, err := db.AddSignals(ctx, signals.Addition{AccountID: a.ID, SourceID: x.ID, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	at := func(s int64) time.Time { return time.Unix(epoch+s, 0).UTC() }
	for _, tt := range []struct {
		name  string
		s     detect.Stretch
		limit int
		want  []int64
	}{
		{"all", detect.Stretch{UpTo: 99}, 9, []int64{7, 2, 4, 5, 1, 6, 3}},
		{"limit", detect.Stretch{UpTo: 99}, 3, []int64{7, 2, 4}},
		{"after_a_place", detect.Stretch{After: detect.Place{At: at(3), Seq: 4}, UpTo: 99}, 9, []int64{5, 1, 6, 3}},
		{"behind_a_time", detect.Stretch{After: detect.Place{At: at(3), Seq: math.MaxInt64}, UpTo: 99}, 9, []int64{1, 6, 3}},
		{"up_to", detect.Stretch{UpTo: 4}, 9, []int64{2, 4, 1, 3}},
		{"until", detect.Stretch{UpTo: 99, Until: at(5)}, 9, []int64{7, 2, 4, 5, 1}},
	} {
		var times, events []int64
		for _, s := range of(db.SignalTimes(ctx, a.ID, tt.s, tt.limit)).must(t) {
			times = append(times, s.Seq)
			if !s.At.Equal(at(seconds[s.Seq-1])) || s.ReceivedAt.IsZero() {
				t.Errorf("%s: event %d is of %s", tt.name, s.Seq, s.At)
			}
		}
		for _, s := range of(db.SignalsByTime(ctx, a.ID, tt.s, tt.limit)).must(t) {
			events = append(events, s.Seq)
		}
		if diff := cmp.Diff(tt.want, times); diff != "" {
			t.Errorf("times, %s (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.want, events); diff != "" {
			t.Errorf("events, %s (-want +got):\n%s", tt.name, diff)
		}
	}
	var some []int64
	for _, s := range of(db.SignalsBySeq(ctx, a.ID, []int64{3, 1, 77, 2, 1})).must(t) {
		some = append(some, s.Seq)
	}
	if diff := cmp.Diff([]int64{2, 1, 3}, some); diff != "" {
		t.Errorf("events by number (-want +got):\n%s", diff)
	}
}

func testPeopleStates(t *testing.T, p *Place) {
	db := p.Open(t)
	ctx := t.Context()
	a, owner := Account(t, db)
	b, _ := Account(t, db)
	mira, sol := User(t, db, a.ID, "mira@example.org"), User(t, db, b.ID, "sol@example.org")
	if _, err := db.SuspendUser(ctx, a.ID, mira.ID, directory.NewHold{Holder: "admin", Reason: "x"}, By()); err != nil {
		t.Fatal(err)
	}
	states := of(db.PeopleStates(ctx, a.ID, []string{mira.ID, owner.ID, sol.ID, "none"})).must(t)
	if len(states) != 2 || !states[owner.ID].Protected || len(states[owner.ID].Groups) == 0 || len(states[owner.ID].Holds) != 0 {
		t.Errorf("states %+v", states)
	}
	m := states[mira.ID]
	if m.ID != mira.ID || m.Protected || len(m.Holds) != 1 || time.Since(m.Holds[0].From) > time.Minute || !m.Holds[0].Until.IsZero() {
		t.Errorf("state of who is suspended %+v", m)
	}
	if n := len(of(db.PeopleStates(ctx, a.ID, nil)).must(t)); n != 0 {
		t.Errorf("nobody is %d people", n)
	}
}

// testOneTime lets two servers, one of whose clocks is behind, do things in an account. All that happened has a
// time of its own, in the order of commit across the streams.
func testOneTime(t *testing.T, p *Place) {
	db := p.Open(t)
	slow := *p
	slow.Now = func() time.Time { return time.Now().Add(-time.Second) }
	dbs := []*store.DB{db, slow.Open(t)}
	a, owner := Account(t, db)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 6 {
				x := signin.Attempt{AccountID: a.ID, UserID: owner.ID, At: time.Unix(1, 0), Category: signin.CredentialsFailed, Type: signin.PasswordSecretBad}
				if err := dbs[i%2].Fail(t.Context(), x, nil, By()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var before map[feed.Stream]int64
	var newest time.Time
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for more := true; more; {
		select {
		case <-done:
			more = false
		default:
		}
		ends := of(db.FeedEnds(t.Context(), a.ID)).must(t)
		var times []time.Time
		for _, x := range of(db.FeedAttempts(t.Context(), a.ID, before[feed.SignInAttempts], 1000)).must(t) {
			if x.Seq <= ends[feed.SignInAttempts] {
				times = append(times, x.At)
			}
		}
		for _, x := range of(db.FeedAudited(t.Context(), a.ID, before[feed.AuditEvents], 1000)).must(t) {
			if x.Seq <= ends[feed.AuditEvents] {
				times = append(times, x.At)
			}
		}
		slices.SortFunc(times, time.Time.Compare)
		for _, at := range times {
			if !at.After(newest) {
				t.Fatalf("something of %s became visible after something of %s", at, newest)
			}
			newest = at
		}
		before = ends
	}
	if before[feed.SignInAttempts] != 48 || before[feed.AuditEvents] != 49 {
		t.Errorf("the streams end at %v", before)
	}
	Verify(t, db, a.ID)

	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := db.WaitFeed(ctx, a.ID, before); err == nil {
		t.Error("there is more in the feed than there is")
	}
	before[feed.AuditEvents]--
	if err := db.WaitFeed(t.Context(), a.ID, before); err != nil {
		t.Error(err)
	}
}
