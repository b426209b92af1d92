package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to reach around the store

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/store"
)

// raw opens the database beside the store, as an attacker or a mistake would.
func (p *Place) raw(t *testing.T) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", p.Database
	if p.Kind == "sqlite" {
		driver, dsn = "sqlite", "file:"+p.Dir+"/holdfast.db?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func testTampering(t *testing.T, p *Place) {
	drop := []string{"DROP TRIGGER audit_links_no_update", "DROP TRIGGER audit_links_no_delete"}
	if p.Kind == "postgres" {
		drop = []string{"DROP TRIGGER audit_links_append_only ON audit_links"}
	}
	where := func(a string) string { return " WHERE account_id = '" + a + "'" }
	for _, tt := range []struct {
		name   string
		tamper func(account string) []string
		at     int64 // link at which it must show; 0: at the head
	}{
		{"flip", func(a string) []string {
			return []string{"UPDATE audit_links SET reason = 'x'" + where(a) + " AND seq = 3"}
		}, 3},
		{"flip_time", func(a string) []string {
			return []string{"UPDATE audit_links SET at = at + 1" + where(a) + " AND seq = 4"}
		}, 4},
		{"drop", func(a string) []string { return []string{"DELETE FROM audit_links" + where(a) + " AND seq = 2"} }, 2},
		{"cut_tail", func(a string) []string { return []string{"DELETE FROM audit_links" + where(a) + " AND seq = 6"} }, 6},
		{"swap", func(a string) []string {
			return []string{
				"UPDATE audit_links SET seq = -1" + where(a) + " AND seq = 3", "UPDATE audit_links SET seq = 3" + where(a) + " AND seq = 4",
				"UPDATE audit_links SET seq = 4" + where(a) + " AND seq = -1",
			}
		}, 3},
		{"cut_tail_and_head", func(a string) []string {
			return []string{
				"DELETE FROM audit_links" + where(a) + " AND seq = 6",
				"UPDATE audit_heads SET seq = 5, hash = (SELECT hash FROM audit_links" + where(a) + " AND seq = 5)" + where(a),
			}
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := NewPlace(t, p.Kind)
			db := p.Open(t)
			a, _ := Account(t, db)
			for i := range 5 {
				User(t, db, a.ID, fmt.Sprintf("p%d@example.org", i))
			}
			raw := p.raw(t)
			if _, err := raw.Exec(tt.tamper(a.ID)[0]); err == nil {
				t.Error("the database lets the audit log be changed by mistake")
			}
			for _, q := range append(drop, tt.tamper(a.ID)...) {
				if _, err := raw.Exec(q); err != nil {
					t.Fatalf("%s: %v", q, err)
				}
			}
			head, err := db.AuditHead(t.Context(), a.ID)
			if err == nil {
				_, err = audit.Verify(db.AuditLinks(t.Context(), a.ID, 0), head)
			}
			if tt.at == 0 {
				if !problem.Is(err, problem.Conflict) {
					t.Errorf("error is %v, want that the head was written by something else", err)
				}
				return
			}
			if f, ok := errors.AsType[*audit.Fault](err); !ok || f.Seq != tt.at || f.AccountID != a.ID {
				t.Errorf("error is %v, want a fault at link %d", err, tt.at)
			}
		})
	}
}

// testGroupCommit runs many units at once, half of which fail: the others must not notice.
func testGroupCommit(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	User(t, db, a.ID, "taken@example.org")
	User(t, db, b.ID, "taken@example.org")
	var wg sync.WaitGroup
	const each = 60
	for i := range 2 * each {
		wg.Go(func() {
			account := []string{a.ID, b.ID}[i%2]
			email := fmt.Sprintf("p%d@example.org", i)
			if i%4 < 2 {
				email = "taken@example.org"
			}
			_, err := db.AddUser(t.Context(), account, directory.NewUser{Email: email, DisplayName: "x"}, By())
			if taken := i%4 < 2; taken != problem.Is(err, problem.Conflict) || !taken && err != nil {
				t.Errorf("add %s: %v", email, err)
			}
		})
	}
	wg.Wait()
	for _, account := range []string{a.ID, b.ID} {
		people := of(db.ListUsers(t.Context(), account, directory.ListQuery{Limit: 1000})).must(t)
		if got, want := len(people), 2+each/2; got != want {
			t.Errorf("%d people, want %d", got, want)
		}
		if got, want := Verify(t, db, account), int64(2+each/2); got != want {
			t.Errorf("%d audit entries, want %d: one for each change and none for what failed", got, want)
		}
	}
}

// testCancelled lets callers give up at any moment: each unit is done or not, and the queue goes on.
func testCancelled(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	var wg sync.WaitGroup
	var mu sync.Mutex
	claimed := map[string]bool{}
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%20)*time.Millisecond/2)
			defer cancel()
			email := fmt.Sprintf("p%d@example.org", i)
			_, err := db.AddUser(ctx, a.ID, directory.NewUser{Email: email, DisplayName: "x"}, By())
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("add: %v", err)
			}
			mu.Lock()
			claimed[email] = err == nil
			mu.Unlock()
		})
	}
	wg.Wait()
	for email, done := range claimed {
		if _, err := db.UserByEmail(t.Context(), a.ID, email); done != (err == nil) {
			t.Errorf("%s: the caller heard %v, the database says %v", email, done, err)
		}
	}
	User(t, db, a.ID, "after@example.org") // nobody is stuck
	Verify(t, db, a.ID)
}

// testTwoProcesses appends to one chain from two stores at once.
func testTwoProcesses(t *testing.T, p *Place) {
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	a, _ := Account(t, dbs[0])
	var wg sync.WaitGroup
	for i := range 80 {
		wg.Go(func() {
			if _, err := dbs[i%2].AddUser(t.Context(), a.ID, directory.NewUser{Email: fmt.Sprintf("p%d@example.org", i), DisplayName: "x"}, By()); err != nil {
				t.Errorf("add: %v", err)
			}
		})
	}
	wg.Wait()
	if n := Verify(t, dbs[0], a.ID); n != 81 {
		t.Errorf("%d entries, want 81", n)
	}
	if got := actions(t, dbs[1], a.ID); got[0] != audit.AccountCreate || got[80] != audit.UserAdd {
		t.Errorf("actions: %v", got)
	}
}

func testNewerSchema(t *testing.T, p *Place) {
	db := p.Open(t)
	have, known, err := db.SchemaVersion(t.Context())
	if err != nil || have != known {
		t.Fatalf("version %d of %d: %v", have, known, err)
	}
	insert := "INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, %s)"
	applied := "1"
	if p.Kind == "postgres" {
		applied = "true"
	}
	if _, err := p.raw(t).Exec(fmt.Sprintf(insert, known+1, applied)); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), p.Options(t))
	if err == nil || !strings.Contains(err.Error(), "newer holdfast binary") {
		t.Errorf("error is %v, want a refusal that says what to do", err)
	}
}
