package server_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// TestTimedHold lets a hold end by itself: by a job, and only that hold.
func TestTimedHold(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel() // it waits for the scheduler of jobs, which looks every five seconds
			in := servertest.Start(t, kind)
			free, held := in.AddUser(t, "free@example.org"), in.AddUser(t, "held@example.org")
			until := time.Now().Add(200 * time.Millisecond)
			for _, u := range []directory.User{free, held} {
				if _, err := in.Store().SuspendUser(t.Context(), in.Account.ID, u.ID, directory.NewHold{Holder: "case:1", Reason: "r", Until: until}, storetest.By()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := in.Store().SuspendUser(t.Context(), in.Account.ID, held.ID, directory.NewHold{Holder: "client:1"}, storetest.By()); err != nil {
				t.Fatal(err)
			}
			released := func(id string) bool {
				holds, err := in.Store().Holds(t.Context(), in.Account.ID, id)
				if err != nil {
					t.Fatal(err)
				}
				return !holds[0].ReleasedAt.IsZero()
			}
			for range 300 {
				if released(free.ID) && released(held.ID) {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			for id, suspended := range map[string]bool{free.ID: false, held.ID: true} {
				u, err := in.Store().User(t.Context(), in.Account.ID, id)
				if err != nil {
					t.Fatal(err)
				}
				if !released(id) || u.Suspended != suspended {
					t.Errorf("released is %v, suspended is %v, want true and %v", released(id), u.Suspended, suspended)
				}
			}
			entries := 0
			for l, err := range in.Store().AuditLinks(t.Context(), in.Account.ID, 0) {
				if err != nil {
					t.Fatal(err)
				}
				if l.Entry.Action == audit.HoldRelease && l.Entry.Actor == "system" {
					entries++
				}
			}
			if entries != 2 {
				t.Errorf("%d entries for two releases", entries)
			}
		})
	}
}

// TestShutdownFinishesWhatWasAccepted stops the server while requests are under way: each is answered,
// and what was answered is in the database.
func TestShutdownFinishesWhatWasAccepted(t *testing.T) {
	place := storetest.NewPlace(t, "sqlite")
	var begun sync.WaitGroup
	const n = 16
	begun.Add(n)
	var slow atomic.Bool
	in := servertest.StartWrapped(t, place, nil, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slow.Load() {
				begun.Done()
				time.Sleep(200 * time.Millisecond) // as a request that takes its time
			}
			h.ServeHTTP(w, r)
		})
	})
	token := in.Token(t, in.Credentials)
	users := make([]directory.User, n)
	for i := range users {
		users[i] = in.AddUser(t, string(rune('a'+i))+"@example.org")
	}
	slow.Store(true)
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() {
			if a := in.Call(t, "POST", in.UsersURL()+"/"+u.ID+":suspend", token); a.Status != 200 {
				t.Errorf("a request that was accepted got %d %s", a.Status, a.Body)
			}
		})
	}
	begun.Wait()
	in.Stop(t)
	wg.Wait()
	db := place.Open(t)
	for _, u := range users {
		if u, err := db.User(t.Context(), in.Account.ID, u.ID); err != nil || !u.Suspended {
			t.Errorf("answered, but not in the database: %+v %v", u, err)
		}
	}
	if _, err := http.Get(in.URL + "/healthz"); err == nil {
		t.Error("after it stopped, the server still answers")
	}
}
