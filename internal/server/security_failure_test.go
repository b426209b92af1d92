package server_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/store/storetest"
)

// ward is a person on whom changes are tried while the database fails, and what became of them.
type ward struct {
	directory.User
	suspended bool // as last answered
	unknown   bool // the last change was not answered with success: it may have happened or not
}

func (at target) wards(t *testing.T, n int) []*ward {
	t.Helper()
	all := make([]*ward, n)
	for i := range all {
		all[i] = &ward{User: at.AddUser(t, fmt.Sprintf("ward-%d@example.org", i))}
	}
	return all
}

// change suspends or reactivates the ward, whichever changes something, and returns the status.
func (at target) change(t *testing.T, w *ward, token string) int {
	t.Helper()
	verb := ":suspend"
	if w.suspended {
		verb = ":reactivate"
	}
	a := at.send(t, sent{method: "POST", path: at.person(w.User) + verb, bearer: token})
	if a.Status == http.StatusOK {
		w.suspended, w.unknown = !w.suspended, false
	} else {
		w.unknown = true
	}
	return a.Status
}

// look finds out what has become of a change that was not answered with success.
func (at target) look(t *testing.T, w *ward, token string) {
	t.Helper()
	for range 200 {
		switch a := at.send(t, sent{path: at.person(w.User), bearer: token}); a.Status {
		case http.StatusOK:
			w.suspended, w.unknown = a.Field("state") == "SUSPENDED", false
			return
		case http.StatusServiceUnavailable:
			time.Sleep(5 * time.Millisecond)
		default:
			t.Errorf("reading is answered %d %s", a.Status, a.Body)
			return
		}
	}
}

// settle compares what was answered with what another process reads in the database: a change that was
// answered is there, each change has its entry, and the chain is whole.
func (at target) settle(t *testing.T, wards []*ward) {
	t.Helper()
	db := at.Place.Open(t)
	entries := map[string]int{}
	for l, err := range db.AuditLinks(t.Context(), at.Account.ID, 0) {
		if err != nil {
			t.Fatal(err)
		}
		switch l.Entry.Action {
		case audit.UserSuspend:
			entries[l.Entry.Target]++
		case audit.UserReactivate:
			entries[l.Entry.Target]--
		}
	}
	for _, w := range wards {
		u, err := db.User(t.Context(), w.AccountID, w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !w.unknown && u.Suspended != w.suspended {
			t.Errorf("answered: suspended %t; stored: %t", w.suspended, u.Suspended)
		}
		if got := entries["user:"+w.ID]; got != 0 && got != 1 || (got == 1) != u.Suspended {
			t.Errorf("suspended is %t with a balance of %d entries", u.Suspended, got)
		}
		w.suspended, w.unknown = u.Suspended, false
	}
	storetest.Verify(t, db, at.Account.ID)
}

// recovers waits until everything works again.
func (at target) recovers(t *testing.T, wards []*ward, token string) {
	t.Helper()
	for range 200 {
		if at.send(t, sent{path: "/readyz"}).Status == http.StatusOK {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, w := range wards {
		if got := at.change(t, w, token); got != http.StatusOK {
			t.Errorf("afterwards a change is answered %d", got)
		}
	}
	if a := at.send(t, asks(at.Credentials, grant())); a.Status != http.StatusOK {
		t.Errorf("afterwards a token request is answered %d %s", a.Status, a.Body)
	}
	at.settle(t, wards)
}

func sum(ns []int) (all int) {
	for _, n := range ns {
		all += n
	}
	return all
}

// administer runs a statement on the PostgreSQL server, beside the test's database.
func administer(t *testing.T, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("pgx", os.Getenv("TEST_POSTGRES"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Row 31, PostgreSQL: connections are cut in mid-request, then the database is gone for a while. No change
// is answered that was not saved, no token is accepted that was not read, and afterwards all works again.
func TestSecurityFailsClosedPostgres(t *testing.T) {
	at := attacked(t, "postgres", nil)
	u, err := url.Parse(at.Place.Database)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	const cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
	token := at.Token(t, at.Credentials)
	wards := at.wards(t, 8)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	done, failed := make([]int, len(wards)), make([]int, len(wards))
	for i, w := range wards {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch status := at.change(t, w, token); status {
				case http.StatusOK:
					done[i]++
				case http.StatusServiceUnavailable:
					failed[i]++
					at.look(t, w, token)
				default:
					t.Errorf("while connections are cut a change is answered %d", status)
				}
			}
		})
	}
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		administer(t, cut, name)
	}
	close(stop)
	wg.Wait()
	at.settle(t, wards)
	if sum(done) < 20 || sum(failed) < 5 {
		t.Errorf("changes answered %v, failed %v: too few to prove anything", done, failed)
	}

	administer(t, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
	administer(t, cut, name)
	for range 3 {
		for _, s := range []sent{
			{path: at.person(at.Owner), bearer: token}, {path: at.UsersURL(), bearer: token}, asks(at.Credentials, grant()),
			{method: "POST", path: at.person(wards[0].User) + ":suspend", bearer: token}, {path: "/readyz"},
			{path: at.person(at.Owner), bearer: newToken()}, {path: tokenPath, form: grant(), basic: [2]string{at.Credentials.Client.ID, wrongSecret()}},
		} {
			if a := at.send(t, s); a.Status != http.StatusServiceUnavailable {
				t.Errorf("without a database %s is answered %d %s", s.path, a.Status, a.Body)
			} else {
				tellsNothing(t, s.path, a)
			}
		}
	}
	if a := at.send(t, sent{path: "/healthz"}); a.Status != http.StatusOK {
		t.Errorf("the process is alive and answers %d", a.Status)
	}
	administer(t, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true")
	at.recovers(t, wards, token)
}

// Row 31, SQLite: the disk is full. What does not fit is refused, what was answered is there.
func TestSecurityFailsClosedDiskFull(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	token := at.Token(t, at.Credentials)
	wards := at.wards(t, 4)
	writer := at.Store().Jobs().SQL // has one connection, to which the limit belongs
	var pages int64
	if err := writer.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)); err != nil {
		t.Fatal(err)
	}
	var full bool
	for i := 0; i < 5000 && !full; i++ {
		status := at.change(t, wards[i%len(wards)], token)
		if full = status != http.StatusOK; full && status != http.StatusServiceUnavailable {
			t.Errorf("with a full disk a change is answered %d", status)
		}
	}
	if !full {
		t.Fatal("the disk did not fill")
	}
	at.settle(t, wards)
	refused := 0
	for range 20 { // some may still fit into what is free within pages
		if a := at.send(t, asks(at.Credentials, grant())); a.Status == http.StatusServiceUnavailable {
			refused++
			tellsNothing(t, "token", a)
		} else if a.Status != http.StatusOK || at.send(t, sent{path: at.person(at.Owner), bearer: a.Field("access_token")}).Status != http.StatusOK {
			t.Errorf("with a full disk a token request is answered %d, and the token does not work", a.Status)
		}
	}
	if _, err := writer.ExecContext(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	at.recovers(t, wards, token)
	t.Logf("%d of 20 token requests were refused", refused)
}

// lockChild turns this test binary into a process that holds the write lock of the database it names.
const lockChild = "HOLDFAST_TEST_LOCK_CHILD"

// TestLockChild is no test: it is the process that TestSecurityFailsClosedLocked starts.
func TestLockChild(t *testing.T) {
	file := os.Getenv(lockChild)
	if file == "" {
		return
	}
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Error(err)
	}
}

// Row 31, SQLite: another process holds the database's write lock. Reading goes on, a change is refused
// after a while, and nothing of it has happened.
func TestSecurityFailsClosedLocked(t *testing.T) {
	t.Parallel() // it waits for the server's patience, ten seconds
	at := attacked(t, "sqlite", nil)
	token := at.Token(t, at.Credentials)
	wards := at.wards(t, 2)
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockChild$", "-test.v")
	cmd.Env = append(os.Environ(), lockChild+"="+filepath.Join(at.Place.Dir, "holdfast.db"))
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		hold.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process that held the lock: %v", err)
		}
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "locked" {
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	var wg sync.WaitGroup
	wg.Go(func() {
		if got := at.change(t, wards[0], token); got != http.StatusServiceUnavailable {
			t.Errorf("while the database is locked a change is answered %d", got)
		}
	})
	time.Sleep(500 * time.Millisecond) // the change waits; meanwhile
	if a := at.send(t, sent{path: at.person(wards[0].User), bearer: token}); a.Status != http.StatusOK || a.Field("state") != "ACTIVE" {
		t.Errorf("while the database is locked reading is answered %d %s", a.Status, a.Body)
	}
	wg.Wait()
	if u, err := at.Store().User(t.Context(), at.Account.ID, wards[0].ID); err != nil || u.Suspended {
		t.Errorf("what was refused has happened: %+v %v", u, err)
	}
	hold.Close()
	time.Sleep(100 * time.Millisecond)
	at.recovers(t, wards, token)
}
