package feed_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/directory"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// TestCursorsGoOn walks through a stream in steps of every size, over a restart.
func TestCursorsGoOn(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			place := storetest.NewPlace(t, kind)
			in := servertest.StartAt(t, place, nil)
			token := in.EventsToken(t)
			first := time.Date(2026, 10, 19, 12, 0, 0, 0, time.UTC)
			history(t, in, first, 250)
			var want []string
			for i := range 250 {
				want = append(want, attemptID(i))
			}
			cursors := map[int]string{}
			for _, limit := range []int{1, 3, 100, 249, 250, 251, 1000} {
				got := []string{}
				p := read(t, in, "/api/v2/signinattempts", token, fmt.Sprintf(`{"limit":%d,"start_time":"2026-10-19T12:00:00Z"}`, limit))
				for {
					got = append(got, p.ids()...)
					if len(p.Items) > limit {
						t.Fatalf("limit %d: a page has %d events", limit, len(p.Items))
					}
					if !p.More {
						break
					}
					p = read(t, in, "/api/v2/signinattempts", token, cursorBody(p.Cursor))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("limit %d (-want +got):\n%s", limit, diff)
				}
				if len(p.Cursor) >= 200 {
					t.Errorf("the cursor has %d characters", len(p.Cursor))
				}
				cursors[limit] = p.Cursor
				if again := read(t, in, "/api/v1/signinattempts", token, cursorBody(p.Cursor)); len(again.Items) != 0 || again.More || again.Cursor != p.Cursor {
					t.Errorf("limit %d: the end of the stream has %+v", limit, again)
				}
			}
			in.Stop(t)
			// The same account goes on at the same place; the second instance has an account of its own besides.
			again := servertest.StartAt(t, place, nil)
			again.Account, again.Owner = in.Account, in.Owner
			history(t, again, first.Add(time.Hour*24), 2)
			for limit, cursor := range cursors {
				p := read(t, again, "/api/v2/signinattempts", token, cursorBody(cursor))
				if diff := cmp.Diff([]string{attemptID(0), attemptID(1)}[:min(limit, 2)], p.ids()); diff != "" {
					t.Errorf("limit %d, after the restart (-want +got):\n%s", limit, diff)
				}
			}
		})
	}
}

// TestCursorKeepsTheEnd is about a cursor of a request with an end.
func TestCursorKeepsTheEnd(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	token := in.EventsToken(t)
	first := time.Date(2026, 10, 19, 12, 0, 0, 0, time.UTC)
	history(t, in, first, 600)
	p := read(t, in, "/api/v2/signinattempts", token, `{"limit":40,"start_time":"2026-10-19T13:00:00Z","end_time":"2026-10-19T15:00:00Z"}`)
	n := len(p.Items)
	for p.More {
		p = read(t, in, "/api/v2/signinattempts", token, cursorBody(p.Cursor))
		n += len(p.Items)
	}
	if n != 120 {
		t.Errorf("%d events between the times, want 120", n)
	}
	if p = read(t, in, "/api/v2/signinattempts", token, cursorBody(p.Cursor)); len(p.Items) != 0 || p.More {
		t.Errorf("behind the end there is %+v", p)
	}
}

// TestCursorsCannotBeMade changes a cursor everywhere, and takes those of others.
func TestCursorsCannotBeMade(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	token := in.EventsToken(t)
	history(t, in, time.Now().Add(-30*time.Minute), 3)
	good := read(t, in, "/api/v2/signinattempts", token, `{"limit":1}`).Cursor
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatalf("the cursor is not base64url: %v", err)
	}
	refused := func(name, stream, token, cursor string) {
		t.Helper()
		if a := ask(t, in, "/api/v2/"+stream, token, cursorBody(cursor)); a.Status != http.StatusBadRequest || eventsMessage(a) == "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	for i := range raw {
		changed := slices.Clone(raw)
		changed[i] ^= 1
		refused(fmt.Sprintf("byte %d changed", i), "signinattempts", token, base64.RawURLEncoding.EncodeToString(changed))
	}
	for n := range len(good) {
		if n > 0 {
			refused(fmt.Sprintf("cut to %d", n), "signinattempts", token, good[:n])
		}
	}
	refused("longer", "signinattempts", token, good+"A")
	refused("padded", "signinattempts", token, good+"=")
	refused("of another stream", "itemusages", token, good)
	other, _, err := in.Store().CreateAccount(t.Context(), directory.NewAccount{Name: "Other", OwnerEmail: "o@example.com", OwnerName: "O"}, storetest.By())
	if err != nil {
		t.Fatal(err)
	}
	mine := in.Account
	in.Account = other
	foreign := in.EventsToken(t)
	in.Account = mine
	refused("of another account", "signinattempts", foreign, good)
	if p := read(t, in, "/api/v2/signinattempts", foreign, `{"start_time":"2020-01-01T00:00:00Z"}`); len(p.Items) != 0 {
		t.Errorf("another account's events: %v", p.ids())
	}
	if p := read(t, in, "/api/v2/signinattempts", token, cursorBody(good)); len(p.Items) != 1 {
		t.Errorf("the cursor itself gives %d events", len(p.Items))
	}
}
