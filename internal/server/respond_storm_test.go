package server_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"holdfast/internal/respond"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

const stormRule = `title: Sign-in in a storm
name: storm
level: high
logsource: {product: holdfast, category: authentication, service: signin}
taxonomy: ocsf
detection:
  signed_in: {activity_name: Logon, status: Success}
  condition: signed_in
`

const stormPlaybook = `apiVersion: holdfast/v1
kind: Playbook
metadata: {name: storm, owner: secops}
mode: enforce
on: [storm]
do:
  - suspend: {for: 24h, release: always}
  - end_sessions: {}
`

// stormKills is the variable that says how often all servers are killed; a run by hand is longer.
const stormKills = "HOLDFAST_TEST_STORM_KILLS"

// TestRespondStorm kills all servers of an account again and again while everybody who signs in is found, and is to
// be suspended. Whatever was under way then: nobody beyond the limit is suspended, nobody twice, nobody without a case,
// each finding is decided once, and the audit chain is whole. There are three servers on PostgreSQL.
func TestRespondStorm(t *testing.T) {
	kills := 3
	if text := os.Getenv(stormKills); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil || kills < 1 {
			t.Fatalf("%s is %q, want how often to kill", stormKills, text)
		}
	}
	storetest.Each(t, func(t *testing.T, place *storetest.Place) {
		const limit, each = 7, 12
		db := place.Open(t)
		read, write, err := store.Pools(t.Context(), place.Options(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(read.Close(), write.Close()); err != nil {
				t.Error(err)
			}
		}()
		a, _ := storetest.Account(t, db)
		g := respond.DefaultGuard()
		g.MaxPeople, g.MaxShare, g.MinTrust = limit, 100, respond.TrustOwn
		if _, err := db.ChangeGuard(t.Context(), a.ID, func(now *respond.Guard) error { *now = g; return nil }, storetest.By()); err != nil {
			t.Fatal(err)
		}
		servers := 1
		if place.Database != "sqlite" {
			servers = 3
		}
		var people []string
		for round := range kills {
			running := stormServers(t, place, servers)
			for range each {
				u := storetest.User(t, db, a.ID, fmt.Sprintf("p%d@example.org", len(people)))
				people = append(people, u.ID)
				stormEnter(t, db, a.ID, u.ID, len(people))
			}
			if round == 0 { // until the first are suspended, so that something is under way
				stormUntil(t, write, "SELECT COUNT(*) FROM holds WHERE account_id = $1", a.ID, 1)
			}
			time.Sleep(rand.N(300 * time.Millisecond)) // the moment is the point
			for _, cmd := range running {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			for _, cmd := range running {
				_ = cmd.Wait() // "signal: killed"
			}
			stormLeases(t, write, a.ID)
		}
		running := stormServers(t, place, servers)
		stormUntil(t, write, "SELECT COUNT(*) FROM runs WHERE account_id = $1 AND playbook = 'storm'", a.ID, int64(len(people)))
		for _, cmd := range running {
			_ = cmd.Process.Kill() // may have ended by itself
			_ = cmd.Wait()
		}
		for _, c := range []struct {
			what, query string
			want        int64
		}{
			{"findings", "SELECT COUNT(*) FROM findings WHERE account_id = $1 AND rule = 'storm'", int64(len(people))},
			{"findings decided", "SELECT COUNT(DISTINCT finding_id) FROM runs WHERE account_id = $1 AND playbook = 'storm'", int64(len(people))},
			{"runs that acted", "SELECT COUNT(*) FROM runs WHERE account_id = $1 AND playbook = 'storm' AND state = 'done'", limit},
			{"runs that are held", "SELECT COUNT(*) FROM runs WHERE account_id = $1 AND playbook = 'storm' AND state = 'held'", int64(len(people)) - limit},
			{"holds", "SELECT COUNT(*) FROM holds WHERE account_id = $1", limit},
			{"people on hold", "SELECT COUNT(DISTINCT user_id) FROM holds WHERE account_id = $1 AND released_at IS NULL", limit},
			{"cases that hold", "SELECT COUNT(*) FROM cases WHERE account_id = $1 AND state = 'contained'", limit},
			{"entries of suspensions", "SELECT COUNT(*) FROM audit_links WHERE account_id = $1 AND action = 'user.suspend' AND outcome = 'done'", limit},
		} {
			if got := stormCount(t, write, c.query, a.ID); got != c.want {
				t.Errorf("%s: %d, want %d", c.what, got, c.want)
			}
		}
		storetest.Verify(t, db, a.ID)
		t.Logf("%d sign-ins, %d servers killed %d times", len(people), servers, kills)
	})
}

// stormServers starts servers in processes of their own, with the rule and the playbook.
func stormServers(t *testing.T, place *storetest.Place, n int) (all []*exec.Cmd) {
	t.Helper()
	set := map[string]string{"data": place.Dir, "database": place.Database, "listen.api": "127.0.0.1:0", "listen.ops": "off"}
	for key, text := range map[string]string{"rules": stormRule, "playbooks": stormPlaybook} {
		set[key] = filepath.Join(place.Dir, key)
		if err := os.MkdirAll(set[key], 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(set[key], "storm.yml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
		cmd.Env = append(os.Environ(), crashChild+"="+string(spec))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if cmd.ProcessState == nil {
				_ = cmd.Process.Kill() // may have ended by itself
				_ = cmd.Wait()
			}
		})
		all = append(all, cmd)
	}
	return all
}

func stormEnter(t *testing.T, db *store.DB, account, person string, i int) {
	t.Helper()
	_, hash := seal.NewCredential("storm_")
	client := signin.Client{Address: fmt.Sprintf("2001:db8::%x", i), UserAgent: "Storm/1"}
	_, err := db.SignIn(t.Context(), account, person, signin.NewSession{Hash: hash, Method: signin.ByPassword, Client: client}, signin.Used{}, signin.Attempt{
		Category: signin.Success, Type: signin.CredentialsOK, AccountID: account, UserID: person, Method: signin.ByPassword, Client: client,
	}, storetest.By())
	if err != nil {
		t.Fatal(err)
	}
}

// stormLeases ends the leases of processes that are dead, as 20 seconds would.
func stormLeases(t *testing.T, db *sql.DB, account string) {
	t.Helper()
	for _, table := range []string{"detect_state", "signal_sources"} {
		if _, err := db.ExecContext(t.Context(), "UPDATE "+table+" SET lease_until = 0 WHERE account_id = $1", account); err != nil {
			t.Fatal(err)
		}
	}
}

func stormCount(t *testing.T, db *sql.DB, query, account string) (n int64) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, account).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// stormUntil waits until so many are counted.
func stormUntil(t *testing.T, db *sql.DB, query, account string, least int64) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var n int64
	for range 1200 {
		if n = stormCount(t, db, query, account); n >= least {
			return
		}
		<-tick.C
	}
	t.Fatalf("there are %d within a minute, want %d: %s", n, least, query)
}
