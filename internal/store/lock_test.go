package store_test

import (
	"errors"
	"sync"
	"testing"

	"holdfast/internal/problem"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// TestLocksOfNeighbours: PostgreSQL gives back what was locked when a transaction is given up. A neighbour
// that needs the same lock must take it again.
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

// TestConnectionLost: a unit whose connection goes away under it fails with what the caller can act on, and
// its neighbour is done all the same, on another connection.
func TestConnectionLost(t *testing.T) {
	db := storetest.NewPlace(t, "postgres").Open(t)
	a, _ := storetest.Account(t, db)
	lose := func(tx *store.Tx) error {
		if _, err := tx.Int("SELECT 1 FROM pg_terminate_backend(pg_backend_pid())"); err == nil {
			t.Error("the connection is still there")
		}
		_, err := tx.Int("SELECT 1")
		return err
	}
	lost := func(err error) {
		if !problem.Is(err, problem.Unavailable) {
			t.Errorf("error is %v, want that the database cannot be reached", err)
		}
	}
	lost(db.Do(t.Context(), a.ID, lose)) // alone

	begun, waiting := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.Do(t.Context(), a.ID, func(*store.Tx) error { close(begun); <-waiting; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-begun
	wg.Go(func() { lost(db.Do(t.Context(), a.ID, lose)) })
	db.WaitQueued(a.ID, 1)
	wg.Go(func() { storetest.User(t, db, a.ID, "neighbour@example.org") })
	db.WaitQueued(a.ID, 2)
	close(waiting)
	wg.Wait()
	if n := storetest.Verify(t, db, a.ID); n != 2 {
		t.Errorf("%d entries, want 2: of the account and of the neighbour", n)
	}
}
