package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/feed"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// TestMigrateEvents brings a database of version 6, with attempts and usages in it, to the newest one: what
// was there has numbers in the order of its times, per account, and what comes next goes on behind it.
func TestMigrateEvents(t *testing.T) {
	storetest.EachBare(t, func(t *testing.T, p *storetest.Place) {
		ctx := t.Context()
		raw, err := store.MigrateTo(ctx, p.Options(t), 6)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range []int64{300, 100, 200, 100} {
			for _, account := range []string{"A", "B"} {
				id := fmt.Sprintf("%s%d", account, i)
				if _, err := raw.Exec(`INSERT INTO signin_attempts (account_id, at, id, category, type, details, session_id, user_id, name, email, method, address, user_agent)
					VALUES ($1, $2, $3, 'success', 'mfa_ok', '', '', 'U', 'Ines', 'i@example.org', 'passkey', '192.0.2.7', 'Firefox')`, account, at, id); err != nil {
					t.Fatal(err)
				}
				if _, err := raw.Exec(`INSERT INTO item_usages (account_id, at, id, vault_id, item_id, version, user_id, action, address, user_agent, session_id)
					VALUES ($1, $2, $3, 'V', 'I', 1, 'U', 'reveal', '192.0.2.7', 'Firefox', 'S')`, account, at, id); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
		db := p.Open(t)
		for _, account := range []string{"A", "B"} {
			attempts, err := db.FeedAttempts(ctx, account, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			usages, err := db.FeedUsages(ctx, account, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			want := []feed.Event{}
			for i, n := range []int{1, 3, 2, 0} {
				want = append(want, feed.Event{Seq: int64(i + 1), ID: fmt.Sprintf("%s%d", account, n)})
			}
			var got, used []feed.Event
			for i := range attempts {
				got = append(got, feed.Event{Seq: attempts[i].Seq, ID: attempts[i].ID})
				used = append(used, feed.Event{Seq: usages[i].Seq, ID: usages[i].ID})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("attempts of %s (-want +got):\n%s", account, diff)
			}
			if diff := cmp.Diff(want, used); diff != "" {
				t.Errorf("usages of %s (-want +got):\n%s", account, diff)
			}
			if a := attempts[0]; a.Client.Address != "192.0.2.7" || a.Client.UserAgent != "Firefox" || a.Location.Country != "" || a.Location.AnonymousKnown {
				t.Errorf("an attempt is now %+v", a)
			}
		}
	})
}
