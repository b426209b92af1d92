package feed_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"

	"holdfast/internal/seal"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
)

// storm is how long the writers write: a minute where it counts, a moment where somebody waits.
func storm() time.Duration {
	if os.Getenv("CI") == "true" {
		return time.Minute
	}
	return 5 * time.Second
}

// TestExactlyOnce has eight writers on two servers of one database, whose commits overtake each other as they
// like, and readers with every kind of habit. Each cursor is to see every event once, all in the same order.
func TestExactlyOnce(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			place := storetest.NewPlace(t, kind)
			servers := []*servertest.Instance{servertest.StartAt(t, place, nil), servertest.StartAt(t, place, nil)}
			servers[1].Account, servers[1].Owner = servers[0].Account, servers[0].Owner
			for _, in := range servers {
				in.Events().Limits = nil // readers are to be as fast as they can
			}
			token := servers[0].EventsToken(t)
			begin := read(t, servers[0], "/api/v2/signinattempts", token, `{"limit":1000}`).Cursor

			var writing sync.WaitGroup
			written := make([][]string, 8)
			until := time.Now().Add(storm())
			for w := range written {
				in := servers[w%2]
				writing.Go(func() {
					for n := 0; time.Now().Before(until); n++ {
						written[w] = append(written[w], attempt(t, in, n%3 == 0))
					}
				})
			}
			done := make(chan struct{})
			go func() { writing.Wait(); close(done) }()

			habits := []habit{{limit: 1000}, {limit: 20}, {limit: 7, wait: true}, {limit: 1000, wait: true, other: true}, {limit: 50, v1: true, other: true}}
			seen := make([][]string, len(habits))
			var reading sync.WaitGroup
			for i, h := range habits {
				reading.Go(func() { seen[i] = h.follow(t, servers, token, done, &written) })
			}
			reading.Wait()
			var all []string
			for _, ids := range written {
				all = append(all, ids...)
			}
			slices.Sort(all)
			t.Logf("%d events", len(all))
			for i := range habits {
				if diff := cmp.Diff(all, slices.Sorted(slices.Values(seen[i]))); diff != "" {
					t.Errorf("reader %+v (-written +seen):\n%.2000s", habits[i], diff)
				}
				if !slices.Equal(seen[0], seen[i]) {
					t.Errorf("reader %+v saw the events in another order", habits[i])
				}
			}
			if p := read(t, servers[1], "/api/v2/signinattempts", token, cursorBody(begin)); len(p.Items) != min(1000, len(all)) {
				t.Errorf("the first cursor now gives %d events", len(p.Items))
			}
		})
	}
}

// attempt records one, of somebody who gets in or not, and returns its ID.
func attempt(t *testing.T, in *servertest.Instance, lazily bool) string {
	a := signin.Attempt{
		ID: seal.NewID(), AccountID: in.Account.ID, Category: signin.CredentialsFailed, Type: signin.PasswordSecretBad,
		UserID: in.Owner.ID, Email: "owner@example.org", Method: signin.ByPassword, Client: signin.Client{Address: "203.0.113.7"},
	}
	var err error
	if lazily { // not synced to the disk before it is answered
		err = in.Store().Fail(t.Context(), a, nil, storetest.By())
	} else {
		err = in.Store().ImportAttempts(t.Context(), in.Account.ID, []signin.Attempt{stamped(a)}, storetest.By())
	}
	if err != nil {
		t.Errorf("record an attempt: %v", err)
	}
	return a.ID
}

func stamped(a signin.Attempt) signin.Attempt {
	a.At = time.Now()
	return a
}

// habit is how a reader reads.
type habit struct {
	limit int
	wait  bool // asks to be answered when there is something
	v1    bool
	other bool // uses both servers in turn
}

// follow reads until it has as many events as were written once writing is done.
func (h habit) follow(t *testing.T, servers []*servertest.Instance, token string, done <-chan struct{}, written *[][]string) []string {
	path, n := "/api/v2/signinattempts", 0
	if h.v1 {
		path = "/api/v1/signinattempts"
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	if h.wait {
		header.Set("Prefer", "wait=1")
	}
	body := fmt.Sprintf(`{"limit":%d}`, h.limit)
	var seen []string
	for deadline := time.Now().Add(storm() + 2*time.Minute); time.Now().Before(deadline); n++ {
		in := servers[0]
		if h.other {
			in = servers[n%2]
		}
		a := in.Do(t, "POST", path, body, header)
		var p page
		if err := json.Unmarshal([]byte(a.Body), &p); err != nil || a.Status != http.StatusOK {
			t.Errorf("reader %+v: %d %s", h, a.Status, a.Body)
			return seen
		}
		seen, body = append(seen, p.ids()...), cursorBody(p.Cursor)
		if p.More || len(p.Items) > 0 {
			continue
		}
		select {
		case <-done:
			total := 0
			for _, ids := range *written {
				total += len(ids)
			}
			if len(seen) >= total {
				return seen
			}
		default:
		}
	}
	t.Errorf("reader %+v never came to the end", h)
	return seen
}

// TestLateCommit holds a transaction open in which an event has its number already, while another writer and
// a reader go on: the reader must get both, in order, once the transaction ends.
func TestLateCommit(t *testing.T) {
	place := storetest.NewPlace(t, "postgres")
	in := servertest.StartAt(t, place, nil)
	token := in.EventsToken(t)
	attempt(t, in, false)
	p := read(t, in, "/api/v2/signinattempts", token, "{}")

	raw, err := sql.Open("pgx", place.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	tx, err := raw.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, q := range []string{
		"SELECT pg_advisory_xact_lock(hashtextextended('" + in.Account.ID + "', 0))",
		strings.ReplaceAll(`INSERT INTO signin_attempts SELECT account_id, seq + 1, at + 1, 'LATEAAAAAAAAAAAAAAAAAAAAAA', category, type, details, session_id, user_id,
			name, email, method, address, user_agent, app, app_version, platform, platform_version, os, os_version, country, continent, region, city,
			latitude, longitude, radius, asn, network, anonymous FROM signin_attempts WHERE account_id = 'X' ORDER BY seq DESC LIMIT 1`, "'X'", "'"+in.Account.ID+"'"),
	} {
		if _, err := tx.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	next := make(chan string)
	go func() { next <- attempt(t, in, false) }()
	waiting(t, raw)
	if p = read(t, in, "/api/v2/signinattempts", token, cursorBody(p.Cursor)); len(p.Items) != 0 {
		t.Fatalf("events are seen before their transaction ends: %v", p.ids())
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	want := []string{"LATEAAAAAAAAAAAAAAAAAAAAAA", <-next}
	p = read(t, in, "/api/v2/signinattempts", token, cursorBody(p.Cursor))
	if diff := cmp.Diff(want, p.ids()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// waiting returns once somebody waits for a lock that another transaction of the database has.
func waiting(t *testing.T, db *sql.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for n := 0; n == 0; {
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
}
