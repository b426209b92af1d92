package detect_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/seal"
	"holdfast/internal/signals"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// intake makes a source of the account, and returns what stores events as from it.
func intake(t testing.TB, db *store.DB, account string) func(events []signals.Event, person func(*signals.Event) string) {
	t.Helper()
	x := signals.Setup{
		AccountID: account, ID: seal.NewID(), Kind: signals.KindOCSF, Name: "Test", State: signals.Active, Revision: 1, CreatedAt: time.Now(), CreatedBy: "operator:test",
	}
	if err := db.CreateSource(t.Context(), x, storetest.By().For(audit.SourceAdd, x.Target())); err != nil {
		t.Fatal(err)
	}
	return func(events []signals.Event, person func(*signals.Event) string) {
		t.Helper()
		in := signals.Addition{AccountID: account, SourceID: x.ID}
		for i := range events {
			e := events[i]
			e.AccountID = account
			b, err := signals.EncodeOCSF(&e)
			if err != nil {
				t.Fatal(err)
			}
			in.Rows = append(in.Rows, signals.Row{
				SourceEventID: e.SourceID, At: e.When(), ReceivedAt: e.ReceivedAt, Match: signals.Match{PersonID: person(&e)}, Event: b, Raw: e.Raw,
			})
		}
		if _, err := db.AddSignals(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
}

// reads waits until all events up to the number have been looked at.
func reads(t testing.TB, db *store.DB, account string, seq int64) {
	t.Helper()
	until(t, func() bool {
		s, err := db.DetectState(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		return s.Cursor >= seq
	})
}

// until waits for something to become so.
func until(t testing.TB, so func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 15_000 {
		if so() {
			return
		}
		<-tick.C
	}
	t.Fatal("what is waited for does not come")
}

// TestLiveStores is the service on each database: two processes take turns, and what is stored is what Run
// finds.
func TestLiveStores(t *testing.T) {
	set := compile(t, several, nil)
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		one, two := p.Open(t), p.Open(t)
		account, _ := storetest.Account(t, one)
		ann := storetest.User(t, one, account.ID, "a@example.com")
		people := byEmail{"a@example.com": ann.ID}
		d := newDice(21)
		events := story(d, 160)
		for i := range events {
			events[i].AccountID = account.ID
		}
		want := reference(t, set, people, events)
		add := intake(t, one, account.ID)
		pace := detect.Pace{Batch: 40, Snapshots: 10, Snapshot: time.Nanosecond, Checkpoint: time.Nanosecond, Look: 20 * time.Millisecond, Poll: 5 * time.Millisecond, Share: -1}
		begin := func(db *store.DB) (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				detect.NewLive(detect.LiveConfig{
					Store: db, Rules: &book{set: set, revision: 1}, Now: time.Now, Lateness: 10 * time.Minute, Pace: pace,
				}).Run(ctx)
			}()
			return func() { cancel(); <-done }
		}
		running := []*store.DB{one, two}
		stops := []func(){begin(one), begin(two)}
		late := shuffle(d, events, 9*time.Minute)
		read := 0
		for part := range slices.Chunk(late, 20) {
			add(part, func(e *signals.Event) string { return people[e.User.Email] })
			read += len(part)
			if i := d.IntN(4); i < 2 { // it is replaced
				stops[i]()
				stops[i] = begin(running[i])
			}
		}
		reads(t, one, account.ID, int64(read))
		until(t, func() bool { // what is of the last time is settled after that
			all, err := one.FindingList(t.Context(), detect.FindingQuery{AccountID: account.ID, Limit: 1000})
			return err == nil && len(all) == len(want)
		})
		for _, stop := range stops {
			stop()
		}
		all, err := two.FindingList(t.Context(), detect.FindingQuery{AccountID: account.ID, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		var found []detect.Found
		for _, f := range all {
			evidence, err := two.FindingEvents(t.Context(), account.ID, f.ID)
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(evidence, func(a, b signals.Stored) int { return detect.Earlier(&a.Event, &b.Event) })
			f.Found.Events = nil
			for _, e := range evidence {
				f.Found.Events = append(f.Found.Events, e.Event.SourceID)
			}
			found = append(found, f.Found)
		}
		detect.OrderFound(found)
		var got []string
		for _, f := range found {
			got = append(got, line(f))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-run +live):\n%s", diff)
		}
	})
}
