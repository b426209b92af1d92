package feed_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// TestWait is about readers who would rather wait: they get an event as soon as it is there, also one that
// another server has recorded.
func TestWait(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			place := storetest.NewPlace(t, kind)
			came := make(chan struct{}, 100) // one for each request
			in := servertest.StartWrapped(t, place, nil, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { came <- struct{}{}; h.ServeHTTP(w, r) })
			})
			other := servertest.StartAt(t, place, nil)
			other.Account, other.Owner = in.Account, in.Owner
			token := in.EventsToken(t)
			cursor := read(t, in, "/api/v2/signinattempts", token, "{}").Cursor
			waitFor := func(prefer string) servertest.Answer {
				return in.Do(t, "POST", "/api/v2/signinattempts", cursorBody(cursor), http.Header{"Authorization": {"Bearer " + token}, "Prefer": {prefer}})
			}
			for _, writer := range []*servertest.Instance{in, other} {
				answers := make(chan servertest.Answer)
				began := time.Now()
				go func() { answers <- waitFor("respond-async, wait=25") }()
				id := attempt(t, writer, true)
				a := <-answers
				p := pageOf(t, a)
				if diff := cmp.Diff([]string{id}, p.ids()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				if a.Header.Get("Preference-Applied") != "wait=25" {
					t.Errorf("Preference-Applied: %q", a.Header.Get("Preference-Applied"))
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("it was not woken, but waited for %s", took)
				}
				cursor = p.Cursor
			}
			began := time.Now()
			if p := pageOf(t, waitFor("wait=1")); len(p.Items) != 0 || p.More || time.Since(began) < time.Second {
				t.Errorf("without events: %+v after %s", p, time.Since(began))
			}
			for _, nonsense := range []string{"wait=0", "wait=-5", "wait", "wait=soon", "handling=strict"} {
				if a := waitFor(nonsense); a.Status != http.StatusOK || a.Header.Get("Preference-Applied") != "" {
					t.Errorf("Prefer: %s: %d, applied %q", nonsense, a.Status, a.Header.Get("Preference-Applied"))
				}
			}
			// A server that stops lets go of who waits.
			stopped := make(chan servertest.Answer)
			for len(came) > 0 {
				<-came
			}
			go func() { stopped <- waitFor("wait=30") }()
			<-came
			began = time.Now()
			in.Stop(t)
			if a := <-stopped; a.Status != http.StatusOK || time.Since(began) > 10*time.Second {
				t.Errorf("who waited got %d after %s", a.Status, time.Since(began))
			}
		})
	}
}

// TestPurge deletes what is old. Numbers go on, and so do cursors.
func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, in *servertest.Instance) {
		token := in.EventsToken(t)
		history(t, in, time.Now().Add(-3000*time.Minute), 3000)
		first := read(t, in, "/api/v2/signinattempts", token, `{"limit":10,"start_time":"2020-01-01T00:00:00Z"}`)
		if err := in.Events().Purge(t.Context(), 100*time.Minute+30*time.Second); err != nil {
			t.Fatal(err)
		}
		left := read(t, in, "/api/v2/signinattempts", token, `{"limit":1000,"start_time":"2020-01-01T00:00:00Z"}`)
		if n := len(left.Items); n < 99 || n > 101 || left.More {
			t.Errorf("%d events are left of 3000, want about 100", n)
		}
		on := read(t, in, "/api/v2/signinattempts", token, cursorBody(first.Cursor))
		if diff := cmp.Diff(left.ids()[:10], on.ids()); diff != "" {
			t.Errorf("an old cursor goes on with (-want +got):\n%s", diff)
		}
		end := left.Cursor
		if err := in.Events().Purge(t.Context(), time.Nanosecond); err != nil {
			t.Fatal(err)
		}
		id := attempt(t, in, true)
		if p := read(t, in, "/api/v2/signinattempts", token, cursorBody(end)); fmt.Sprint(p.ids()) != fmt.Sprint([]string{id}) {
			t.Errorf("after everything was deleted the next event is %v, want %s", p.ids(), id)
		}
		if err := in.Events().Purge(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	})
}
