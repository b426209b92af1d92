package store_test

import (
	"errors"
	"sync"
	"testing"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// TestNeighbours: whatever becomes of one unit of a group, its neighbours are done once, and of the one
// that failed nothing is left.
func TestNeighbours(t *testing.T) {
	bad := errors.New("bad")
	rename := func(tx *store.Tx, account string) error {
		return tx.Exec("UPDATE accounts SET name = 'renamed' WHERE id = $1", account)
	}
	for _, tt := range []struct {
		name string
		run  func(tx *store.Tx, account string) error
		runs int // of the neighbours: 3 if the transaction could not go on and the first had to run again
	}{
		{"problem_at_once", func(*store.Tx, string) error { return problem.New(problem.NotFound, "no such thing") }, 2},
		{"problem_after_entry", func(tx *store.Tx, account string) error {
			return errors.Join(tx.Append(account, storetest.By()), problem.New(problem.Conflict, "no"))
		}, 2},
		{"problem_after_change_of_nothing", func(tx *store.Tx, _ string) error {
			return errors.Join(tx.Exec("UPDATE accounts SET name = 'renamed' WHERE id = 'nobody'"), problem.New(problem.Conflict, "no"))
		}, 2},
		{"problem_after_change", func(tx *store.Tx, account string) error {
			return errors.Join(rename(tx, account), problem.New(problem.Conflict, "no"))
		}, 3},
		{"error_after_change", func(tx *store.Tx, account string) error { return errors.Join(rename(tx, account), bad) }, 3},
		{"error", func(*store.Tx, string) error { return bad }, 3},
		{"statement_fails", func(tx *store.Tx, account string) error {
			return errors.Join(rename(tx, account), tx.Exec("INSERT INTO nowhere VALUES (1)"))
		}, 3},
		{"failure_is_told_as_problem", func(tx *store.Tx, _ string) error {
			_ = tx.Exec("INSERT INTO nowhere VALUES (1)")
			return problem.New(problem.Conflict, "no")
		}, 3},
		{"panic", func(tx *store.Tx, account string) error { _ = rename(tx, account); panic(bad) }, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, p *storetest.Place) {
				db := p.Open(t)
				a, _ := storetest.Account(t, db)
				key := a.ID
				if p.Kind == "sqlite" {
					key = ""
				}
				begun, waiting := make(chan struct{}), make(chan struct{})
				var wg sync.WaitGroup
				wg.Go(func() { // keeps the queue waiting until all are in it
					if err := db.Do(t.Context(), a.ID, func(*store.Tx) error { close(begun); <-waiting; return nil }); err != nil {
						t.Error(err)
					}
				})
				<-begun
				runs := 0
				neighbour := func(tx *store.Tx) error {
					runs++
					return tx.Append(a.ID, audit.Entry{Actor: "operator:neighbour"})
				}
				for i, run := range []func(tx *store.Tx) error{neighbour, func(tx *store.Tx) error { return tt.run(tx, a.ID) }, neighbour} {
					wg.Go(func() {
						if err := db.Do(t.Context(), a.ID, run); (err != nil) != (i == 1) {
							t.Errorf("unit %d: error is %v", i, err)
						}
					})
					db.WaitQueued(key, i+1)
				}
				close(waiting)
				wg.Wait()
				if runs != tt.runs {
					t.Errorf("the neighbours ran %d times, want %d", runs, tt.runs)
				}
				if n := storetest.Verify(t, db, a.ID); n != 3 {
					t.Errorf("%d entries, want 3: of the account and of two neighbours", n)
				}
				if now, err := db.Account(t.Context(), a.ID); err != nil || now.Name != a.Name {
					t.Errorf("the account is named %q, %v, want %q as before", now.Name, err, a.Name)
				}
			})
		})
	}
}

// TestImportAlone: what takes long shares its transaction with nobody, so it is never run again because
// of a neighbour that failed.
func TestImportAlone(t *testing.T) {
	db := storetest.NewPlace(t, "sqlite").Open(t)
	a, _ := storetest.Account(t, db)
	begun, waiting := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.Do(t.Context(), a.ID, func(*store.Tx) error { close(begun); <-waiting; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-begun
	bad := errors.New("bad")
	fail := func() {
		if err := db.Do(t.Context(), a.ID, func(*store.Tx) error { return bad }); !errors.Is(err, bad) {
			t.Errorf("error is %v, want the unit's own", err)
		}
	}
	imports := 0
	wg.Go(fail)
	db.WaitQueued("", 1)
	wg.Go(func() {
		err := db.ImportUsers(t.Context(), a.ID, nil, func(int) { imports++ }, storetest.By())
		if err != nil {
			t.Errorf("import: %v", err)
		}
	})
	db.WaitQueued("", 2)
	wg.Go(fail)
	db.WaitQueued("", 3)
	close(waiting)
	wg.Wait()
	if imports != 1 {
		t.Errorf("the import ran %d times, want once", imports)
	}
}
