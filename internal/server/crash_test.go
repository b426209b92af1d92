package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/config"
	"holdfast/internal/oauth"
	"holdfast/internal/server"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// crashChild is the variable that turns this test binary into a server to be killed; its value says
// where the database is.
const crashChild = "HOLDFAST_TEST_CRASH_CHILD"

// TestCrashChild is no test: it is the server that TestCrash kills.
func TestCrashChild(t *testing.T) {
	spec := os.Getenv(crashChild)
	if spec == "" {
		return
	}
	var overrides map[string]string
	if err := json.Unmarshal([]byte(spec), &overrides); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{Overrides: overrides})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), cfg, server.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("url=%s\n", s.URL())
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// child starts a server in a process of its own and returns it with its URL.
func child(t *testing.T, place *storetest.Place) (*exec.Cmd, string) {
	t.Helper()
	spec, err := json.Marshal(map[string]string{
		"data": place.Dir, "database": place.Database, "listen.api": "127.0.0.1:0", "listen.ops": "off",
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
	cmd.Env = append(os.Environ(), crashChild+"="+string(spec))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // may have ended by itself
			_ = cmd.Wait()
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if u, ok := strings.CutPrefix(lines.Text(), "url="); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return cmd, u
		}
	}
	t.Fatalf("the server does not start: %v", lines.Err())
	return nil, ""
}

// fate is what a worker knows of its person: the state last answered, and whether a change was under
// way when the server died.
type fate struct {
	suspended bool
	pending   bool
}

// TestCrash kills the server at random moments while people are suspended and reactivated. Afterwards
// the database opens, the audit chain is whole, what was answered is there, and nothing is half done.
func TestCrash(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place *storetest.Place) {
		const workers, rounds = 8, 6
		people, account, cred := prepareCrash(t, place, workers)
		fates := make([]fate, workers)
		changes := 0
		// On a busy machine a server is killed before it has answered much: it goes on until enough is proven.
		for round := 0; round < rounds || changes < rounds*workers && round < 5*rounds; round++ {
			cmd, base := child(t, place)
			token := fetchToken(t, base, cred)
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			done := make([]int, workers)
			for i := range workers {
				wg.Go(func() { done[i] = work(ctx, base, account, people[i], token, &fates[i]) })
			}
			time.Sleep(50*time.Millisecond + rand.N(250*time.Millisecond)) // the moment is the point
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // "signal: killed"
			stop()
			wg.Wait()
			for _, n := range done {
				changes += n
			}
			inspect(t, place, account, people, fates)
		}
		if changes < rounds*workers {
			t.Errorf("only %d changes were answered in %d rounds; little is proven", changes, rounds)
		}
		t.Logf("%d changes answered, %d kills", changes, rounds)
	})
}

func prepareCrash(t *testing.T, place *storetest.Place, n int) (people []string, account string, cred oauth.Credentials) {
	t.Helper()
	db, err := store.Open(t.Context(), place.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a, _ := storetest.Account(t, db)
	for i := range n {
		people = append(people, storetest.User(t, db, a.ID, fmt.Sprintf("p%d@example.org", i)).ID)
	}
	apps := &oauth.Service{Store: db, Now: time.Now}
	cred, err = apps.Create(t.Context(), a.ID, oauth.NewClient{Name: "SOAR", Scopes: oauth.Scopes()}, storetest.By())
	if err != nil {
		t.Fatal(err)
	}
	return people, a.ID, cred
}

func fetchToken(t *testing.T, base string, cred oauth.Credentials) string {
	t.Helper()
	for range 300 { // until it listens
		resp, err := http.PostForm(base+"/v1/oauth/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {cred.Client.ID}, "client_secret": {cred.Secret.Reveal()},
		})
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		defer resp.Body.Close()
		var body struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.AccessToken == "" {
			t.Fatalf("no token: %d %v", resp.StatusCode, err)
		}
		return body.AccessToken
	}
	t.Fatal("the server does not answer")
	return ""
}

// work suspends and reactivates one person until the server is gone, and returns how often it was answered.
func work(ctx context.Context, base, account, user, token string, f *fate) (answered int) {
	for {
		verb := ":suspend"
		if f.suspended {
			verb = ":reactivate"
		}
		req, err := http.NewRequestWithContext(ctx, "POST", base+"/v1/accounts/"+account+"/users/"+user+verb, nil)
		if err != nil {
			return answered
		}
		req.Header.Set("Authorization", "Bearer "+token)
		f.pending = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return answered
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return answered
		}
		f.suspended, f.pending = !f.suspended, false
		answered++
	}
}

// inspect opens what the dead server left.
func inspect(t *testing.T, place *storetest.Place, account string, people []string, fates []fate) {
	t.Helper()
	db, err := store.Open(t.Context(), place.Options(t))
	if err != nil {
		t.Fatalf("after the crash the database does not open: %v", err)
	}
	defer db.Close()
	storetest.Verify(t, db, account)
	entries := map[string]map[audit.Action]int{}
	for l, err := range db.AuditLinks(t.Context(), account, 0) {
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimPrefix(l.Entry.Target, "user:")
		if entries[id] == nil {
			entries[id] = map[audit.Action]int{}
		}
		entries[id][l.Entry.Action]++
	}
	for i, id := range people {
		u, err := db.User(t.Context(), account, id)
		if err != nil {
			t.Fatal(err)
		}
		holds, err := db.Holds(t.Context(), account, id)
		if err != nil {
			t.Fatal(err)
		}
		open := 0
		for _, h := range holds {
			if h.ReleasedAt.IsZero() {
				open++
			}
		}
		if u.Suspended != (open > 0) || open > 1 {
			t.Errorf("half done: suspended is %v with %d open holds", u.Suspended, open)
		}
		if got, want := entries[id][audit.UserSuspend], len(holds); got != want {
			t.Errorf("%d entries for %d holds", got, want)
		}
		if got, want := entries[id][audit.UserReactivate], len(holds)-open; got != want {
			t.Errorf("%d entries for %d releases", got, want)
		}
		if !fates[i].pending && u.Suspended != fates[i].suspended {
			t.Errorf("lost: the last answer said suspended=%v, the database says %v", fates[i].suspended, u.Suspended)
		}
		fates[i] = fate{suspended: u.Suspended}
	}
}
