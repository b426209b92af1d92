package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// raw opens the database past the store.
func raw(t *testing.T, p *storetest.Place) *sql.DB {
	t.Helper()
	driver, source := "sqlite", filepath.Join(p.Dir, "holdfast.db")
	if p.Kind == "postgres" {
		driver, source = "pgx", p.Database
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, queries ...string) {
	t.Helper()
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func inspect(t *testing.T, p *storetest.Place) *store.DB {
	t.Helper()
	db, err := store.Inspect(t.Context(), p.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestInspectMakesNothing looks where nothing is.
func TestInspectMakesNothing(t *testing.T) {
	p := storetest.NewBarePlace(t, "sqlite")
	o := p.Options(t)
	o.Dir = filepath.Join(p.Dir, "deeper")
	if there, err := store.Exists(o); there || err != nil {
		t.Errorf("Exists = %v, %v", there, err)
	}
	if _, err := store.Inspect(t.Context(), o); !errors.Is(err, store.ErrNoDatabase) {
		t.Errorf("error is %v, want ErrNoDatabase", err)
	}
	o.Existing = true
	if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrNoDatabase) {
		t.Errorf("error is %v, want ErrNoDatabase", err)
	}
	if _, err := os.Stat(o.Dir); !os.IsNotExist(err) {
		t.Errorf("looking made the folder: %v", err)
	}
}

// TestInspectEmpty looks at a database without tables and leaves it so.
func TestInspectEmpty(t *testing.T) {
	storetest.EachBare(t, func(t *testing.T, p *storetest.Place) {
		exec(t, raw(t, p), "CREATE TABLE other (x INTEGER)")
		db := inspect(t, p)
		if have, known, err := db.SchemaVersion(t.Context()); have != 0 || known < 3 || err != nil {
			t.Errorf("SchemaVersion = %d, %d, %v", have, known, err)
		}
		o := p.Options(t)
		o.Existing, o.Migrate = true, false
		if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrNoDatabase) {
			t.Errorf("error is %v, want ErrNoDatabase", err)
		}
		if have, _, err := db.SchemaVersion(t.Context()); have != 0 || err != nil {
			t.Errorf("after looking: version %d, %v", have, err)
		}
	})
}

func TestInspect(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		server := p.Open(t)
		a, _ := storetest.Account(t, server)
		db := inspect(t, p)
		if _, _, err := db.CreateAccount(t.Context(), directory.NewAccount{Name: "x", OwnerEmail: "o@example.org", OwnerName: "O"}, storetest.By()); err == nil {
			t.Error("an inspected database was written to")
		}
		if err := db.CheckSchema(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.OpenKeyring(t.Context(), p.Options(t).Master); err != nil {
			t.Fatal(err)
		}
		if damage, err := db.QuickCheck(t.Context()); len(damage) > 0 || err != nil {
			t.Errorf("QuickCheck = %q, %v", damage, err)
		}
		if now, err := db.Clock(t.Context()); time.Since(now).Abs() > time.Minute || err != nil {
			t.Errorf("Clock = %v, %v", now, err)
		}
		if l, err := db.LastLink(t.Context(), a.ID); l.Seq != 1 || l.Entry.Action != audit.AccountCreate || err != nil {
			t.Errorf("LastLink = %+v, %v", l, err)
		}
		if l, err := db.LastLink(t.Context(), "nobody's"); l.Seq != 0 || err != nil {
			t.Errorf("LastLink of no chain = %+v, %v", l, err)
		}
		if n, err := db.CountJobs(t.Context()); n != (store.JobCounts{}) || err != nil {
			t.Errorf("CountJobs = %+v, %v", n, err)
		}
	})
}

// TestCountJobs has one job for later, one that is late, and one that failed for good.
func TestCountJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		db := p.Open(t)
		a, _ := storetest.Account(t, db)
		for i := range 3 {
			u := storetest.User(t, db, a.ID, fmt.Sprintf("p%d@example.org", i))
			hold := directory.NewHold{Holder: "user:1", Until: time.Now().Add(time.Hour)}
			if _, err := db.SuspendUser(t.Context(), a.ID, u.ID, hold, storetest.By()); err != nil {
				t.Fatal(err)
			}
		}
		late, gone := "'2026-01-01 00:00:00'", "'2026-01-01 00:00:00'"
		exec(t, raw(t, p),
			"UPDATE river_job SET scheduled_at = "+late+" WHERE id = (SELECT MIN(id) FROM river_job)",
			"UPDATE river_job SET state = 'discarded', finalized_at = "+gone+" WHERE id = (SELECT MAX(id) FROM river_job)")
		got, err := db.CountJobs(t.Context())
		if diff := cmp.Diff(store.JobCounts{Waiting: 2, Overdue: 1, GivenUp: 1}, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// TestForgedTail appends a link that continues the chain correctly, past the head, and one that
// replaces the last.
func TestForgedTail(t *testing.T) {
	forge := "INSERT INTO audit_links (account_id, seq, at, actor, action, target, outcome, reason, request_id, address, prev, hash) " +
		"SELECT account_id, seq + 1, at, actor, action, target, outcome, reason, request_id, address, hash, hash FROM audit_links WHERE seq = 2"
	for _, tt := range []struct {
		name, query string
		seq         int64
	}{
		{"beyond_head", forge, 3},
		{"last_changed", "UPDATE audit_links SET reason = 'nothing' WHERE seq = 2", 2},
		{"last_removed", "DELETE FROM audit_links WHERE seq = 2", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, p *storetest.Place) {
				db := p.Open(t)
				a, _ := storetest.Account(t, db)
				storetest.User(t, db, a.ID, "mira@example.org")
				if n, err := db.VerifyAudit(t.Context(), a.ID); n != 2 || err != nil {
					t.Fatalf("before: %d, %v", n, err)
				}
				drop := []string{"DROP TRIGGER audit_links_no_update", "DROP TRIGGER audit_links_no_delete"}
				if p.Kind == "postgres" {
					drop = []string{"DROP TRIGGER audit_links_append_only ON audit_links"}
				}
				exec(t, raw(t, p), append(drop, tt.query)...)
				for name, look := range map[string]func(context.Context, string) error{
					"VerifyAudit": func(ctx context.Context, id string) error { _, err := db.VerifyAudit(ctx, id); return err },
					"LastLink":    func(ctx context.Context, id string) error { _, err := db.LastLink(ctx, id); return err },
				} {
					if f, ok := errors.AsType[*audit.Fault](look(t.Context(), a.ID)); !ok || f.Seq != tt.seq {
						t.Errorf("%s finds %v, want a fault at link %d", name, f, tt.seq)
					}
				}
			})
		})
	}
}

// TestVerifyWhileWriting verifies a chain that grows meanwhile: there must be no false alarm.
func TestVerifyWhileWriting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		db := p.Open(t)
		a, _ := storetest.Account(t, db)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if err := db.AppendRefusal(ctx, a.ID, storetest.By()); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var last int64
		for deadline := time.Now().Add(20 * time.Second); last < 300 && time.Now().Before(deadline); {
			n, err := db.VerifyAudit(t.Context(), a.ID)
			if _, err2 := db.LastLink(t.Context(), a.ID); err != nil || err2 != nil {
				t.Errorf("false alarm after %d links: %v, %v", n, err, err2)
				break
			}
			last = n
		}
		stop()
		wg.Wait()
		if last < 300 {
			t.Errorf("only %d links were written meanwhile; little is proven", last)
		}
	})
}

func TestMembers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		db := p.Open(t)
		a, owner := storetest.Account(t, db)
		groups, err := db.Groups(t.Context(), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		id := map[directory.GroupKind]string{}
		for _, g := range groups {
			id[g.Kind] = g.ID
		}
		var want []string
		for i := range 5 {
			want = append(want, storetest.User(t, db, a.ID, fmt.Sprintf("p%d@example.org", i), "Security").ID)
		}
		slices.Sort(want)
		read := func(kind directory.GroupKind) (ids []string) {
			for after := ""; ; {
				us, err := db.Members(t.Context(), a.ID, id[kind], after, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range us {
					ids = append(ids, u.ID)
				}
				if len(us) < 2 {
					return ids
				}
				after = us[1].ID
			}
		}
		if diff := cmp.Diff(want, read(directory.Security)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{owner.ID}, read(directory.Owners)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := len(read(directory.TeamMembers)); n != 6 {
			t.Errorf("%d people are in the team, want 6", n)
		}
		if _, err := db.Members(t.Context(), a.ID, "NOSUCH", "", 1); !problem.Is(err, problem.NotFound) {
			t.Errorf("error is %v, want NotFound", err)
		}
		before := storetest.Verify(t, db, a.ID)
		if err := db.AddMember(t.Context(), a.ID, id[directory.Security], want[0], storetest.By()); err != nil {
			t.Fatal(err)
		}
		if after := storetest.Verify(t, db, a.ID); after != before {
			t.Errorf("adding who is there already wrote %d entries", after-before)
		}
	})
}

// TestImportConflict names the person whose email is taken, wherever in the file, and adds nobody.
func TestImportConflict(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		db := p.Open(t)
		a, _ := storetest.Account(t, db)
		storetest.User(t, db, a.ID, "TAKEN@example.org")
		for _, n := range []int{1, 49, 50, 51, 120} {
			for _, at := range []int{0, n / 2, n - 1} {
				us := make([]directory.NewUser, n)
				for i := range us {
					us[i] = directory.NewUser{Email: fmt.Sprintf("p%d@example.org", i*7919%n), DisplayName: "x", Groups: []string{"Security", "Team Members"}}
				}
				us[at].Email = "taken@Example.org"
				err := db.ImportUsers(t.Context(), a.ID, us, func(int) {}, storetest.By())
				if e, ok := errors.AsType[*directory.ImportError](err); !ok || e.Index != at || !problem.Is(err, problem.Conflict) {
					t.Errorf("%d people, %d is taken: error is %v", n, at, err)
				}
			}
		}
		us := []directory.NewUser{{Email: "p@example.org", DisplayName: "x", Groups: []string{"Nowhere"}}}
		err := db.ImportUsers(t.Context(), a.ID, us, func(int) {}, storetest.By())
		if e, ok := errors.AsType[*directory.ImportError](err); !ok || e.Index != 0 || !problem.Is(err, problem.Invalid) {
			t.Errorf("unknown group: error is %v", err)
		}
		if got, err := db.ListUsers(t.Context(), a.ID, directory.ListQuery{Limit: 10}); len(got) != 2 || err != nil {
			t.Errorf("%d people, %v; want the two from before", len(got), err)
		}
	})
}

// TestKnownEmails asks for more than fits into one statement.
func TestKnownEmails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		db := p.Open(t)
		a, _ := storetest.Account(t, db)
		for _, n := range []int{0, 1, 2, 249, 250, 251, 501} {
			var us []directory.NewUser
			var keys, want []string
			for i := range n {
				key := fmt.Sprintf("n%d.p%03d@example.org", n, i)
				keys = append(keys, key)
				if i%3 == 0 {
					us = append(us, directory.NewUser{Email: key, DisplayName: "x"})
					want = append(want, key)
				}
			}
			if err := db.ImportUsers(t.Context(), a.ID, us, func(int) {}, storetest.By()); err != nil {
				t.Fatal(err)
			}
			got, err := db.KnownEmails(t.Context(), a.ID, keys)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%d keys: %v (-want +got):\n%s", n, err, diff)
			}
		}
	})
}

// TestOpenMaster makes a master key where a database is to be made, and for no other.
func TestOpenMaster(t *testing.T) {
	storetest.EachBare(t, func(t *testing.T, p *storetest.Place) {
		key := filepath.Join(p.Dir, "master.key")
		o := store.Options{Database: p.Database, Dir: p.Dir, Now: p.Now, Existing: true}
		made := func() bool {
			_, err := os.Stat(key)
			return err == nil
		}
		if _, err := store.OpenMaster(t.Context(), o, "file"); !errors.Is(err, store.ErrNoDatabase) || made() {
			t.Errorf("nothing may be made: %v, made %v", err, made())
		}
		if p.Kind == "sqlite" { // a file that a crash left before its first table
			if err := os.WriteFile(filepath.Join(p.Dir, "holdfast.db"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o.Existing = false
		if _, err := store.OpenMaster(t.Context(), o, "file"); err != nil || !made() {
			t.Fatalf("first start: %v, made %v", err, made())
		}
		storetest.Account(t, p.Open(t))
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		for _, o.Existing = range []bool{true, false} {
			if _, err := store.OpenMaster(t.Context(), o, "file"); !errors.Is(err, seal.ErrNoMaster) || errors.Is(err, store.ErrNoDatabase) || made() {
				t.Errorf("the key is gone: %v, made %v", err, made())
			}
		}
	})
}
