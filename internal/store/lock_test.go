package store_test

import (
	"errors"
	"sync"
	"testing"

	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// TestLocksOfNeighbours: PostgreSQL gives back what was locked in a savepoint when it is rolled back. A
// neighbour that needs the same lock must take it again.
func TestLocksOfNeighbours(t *testing.T) {
	db := storetest.NewPlace(t, "postgres").Open(t)
	a, _ := storetest.Account(t, db)
	const held = `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`
	failed := errors.New("a unit that fails")
	begun, waiting := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // keeps the queue waiting until both others are in it
		if err := db.Do(t.Context(), a.ID, func(*store.Tx) error { close(begun); <-waiting; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-begun
	wg.Go(func() {
		err := db.Do(t.Context(), a.ID, func(tx *store.Tx) error { return errors.Join(tx.Lock("other"), failed) })
		if !errors.Is(err, failed) {
			t.Errorf("error is %v, want the unit's own", err)
		}
	})
	db.WaitQueued(a.ID, 1)
	wg.Go(func() {
		err := db.Do(t.Context(), a.ID, func(tx *store.Tx) error {
			if err := tx.Lock("other"); err != nil {
				return err
			}
			n, err := tx.Int(held)
			if n != 2 {
				t.Errorf("%d locks are held, want the account's and the other", n)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	db.WaitQueued(a.ID, 2)
	close(waiting)
	wg.Wait()
}
