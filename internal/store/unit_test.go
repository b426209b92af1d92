package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/seal"
)

// openPlain opens an empty SQLite store.
func openPlain(t *testing.T) *DB {
	t.Helper()
	dir := t.TempDir()
	master, err := seal.OpenMaster("file", dir, true)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), Options{
		Database: "sqlite", Dir: dir, Master: master, Now: time.Now, Migrate: true,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return db
}

// synchronous reads the pragma of the writing connection: 1 is NORMAL, 2 is FULL.
func synchronous(t *testing.T, db *DB) (level int) {
	t.Helper()
	if err := db.write.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&level); err != nil {
		t.Fatal(err)
	}
	return level
}

// TestRelaxedEnds: whatever becomes of a unit that may be lost, the next commit reaches the disk.
func TestRelaxedEnds(t *testing.T) {
	bad := errors.New("bad")
	for _, tt := range []struct {
		name string
		run  func(tx *Tx) error
	}{
		{"done", func(*Tx) error { return nil }},
		{"error", func(*Tx) error { return bad }},
		{"panic", func(*Tx) error { panic(bad) }},
		{"statement_fails", func(tx *Tx) error { _, err := tx.exec("INSERT INTO nowhere VALUES (1)"); return err }},
		{"ended_early", func(tx *Tx) error { return tx.tx.Commit() }},
		{"connection_interrupted", func(tx *Tx) error {
			ctx, stop := context.WithCancel(tx.ctx)
			stop()
			_, err := tx.tx.ExecContext(ctx, "SELECT 1")
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := openPlain(t)
			_ = db.do(t.Context(), audit.System, lazy, tt.run) // of interest is only what it leaves behind
			if got := synchronous(t, db); got != 2 {
				t.Errorf("synchronous is %d, want 2 (FULL)", got)
			}
			if err := db.AppendAudit(t.Context(), audit.System, audit.Entry{Actor: "x"}); err != nil {
				t.Errorf("the next unit: %v", err)
			}
		})
	}
}

// TestDiscard: a connection that is in no state to be used again is closed, not given back.
func TestDiscard(t *testing.T) {
	db := openPlain(t)
	conn, err := db.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "PRAGMA synchronous = NORMAL"); err != nil {
		t.Fatal(err)
	}
	discard(conn)
	_ = conn.Close() // as a deferred one would
	if got := synchronous(t, db); got != 2 {
		t.Errorf("synchronous is %d, so the connection was used again", got)
	}
}

// TestPanicOutsideUnits: a mistake in the store itself, such as a nil keyring, costs its group and no more.
func TestPanicOutsideUnits(t *testing.T) {
	db := openPlain(t)
	entry := audit.Entry{Actor: "x"}
	keys := db.keys
	db.keys = nil // the heads cannot be written
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := db.AppendAudit(t.Context(), audit.System, entry); err == nil {
				t.Error("a unit whose transaction panicked was answered as done")
			}
		})
	}
	wg.Wait()
	db.keys = keys
	if err := db.AppendAudit(t.Context(), audit.System, entry); err != nil {
		t.Errorf("the next unit: %v", err)
	}
	if n, err := db.VerifyAudit(t.Context(), audit.System); err != nil || n != 1 {
		t.Errorf("%d entries, %v, want the one that was answered", n, err)
	}
}

// TestRelaxedForGood: a connection that does not go back to full durability is not used again. The units
// are committed by then, so it is no error of theirs.
func TestRelaxedForGood(t *testing.T) {
	db := openPlain(t)
	conn, err := db.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	restore, err := db.relax(t.Context(), conn, lazy)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN"); err != nil { // inside a transaction the level cannot be changed
		t.Fatal(err)
	}
	restore()
	_ = conn.Close() // as the deferred one does
	if got := synchronous(t, db); got != 2 {
		t.Errorf("synchronous is %d, want 2 (FULL)", got)
	}
	if err := db.AppendAudit(t.Context(), audit.System, audit.Entry{Actor: "x"}); err != nil {
		t.Errorf("the next unit: %v", err)
	}
}

// TestPurgeInParts deletes more tokens than one unit may, and no others.
func TestPurgeInParts(t *testing.T) {
	db := openPlain(t)
	now := time.Now()
	fill := func(n int, expires time.Time) {
		if _, err := db.write.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO tokens (hash, account_id, client_id, secret_id, issued_at, expires_at) SELECT randomblob(32), 'A', 'C', 'S', $2, $2 FROM n`,
			n, expires.UnixMicro()); err != nil {
			t.Fatal(err)
		}
	}
	fill(purgeRows+1, now.Add(-time.Minute))
	fill(3, now.Add(time.Minute))
	if err := db.PurgeTokens(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM tokens").Scan(&left); err != nil || left != 3 {
		t.Errorf("%d tokens are left, %v, want the 3 that have not expired", left, err)
	}
}

// TestLogStaysShort writes while there is always somebody who reads: the log must not grow with what is written.
func TestLogStaysShort(t *testing.T) {
	db := openPlain(t)
	db.wal.most, db.wal.every = 1<<20, 16
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				rows, err := db.query(t.Context(), "SELECT seq FROM audit_links ORDER BY seq LIMIT 300")
				if _, err := collect(rows, err, func(r scanner) (n int, err error) { return n, r.Scan(&n) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 6 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := db.AppendAudit(t.Context(), audit.System, audit.Entry{Actor: "x", Reason: strings.Repeat("x", 900)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	most := int64(0)
	for db.wal.groups.Load() < 128 {
		time.Sleep(10 * time.Millisecond)
		if info, err := os.Stat(db.wal.path); err == nil {
			most = max(most, info.Size())
		}
	}
	stop()
	wg.Wait()
	t.Logf("at most %d KiB", most>>10)
	if limit := int64(3 << 20); most > limit {
		t.Errorf("the log grew to %d bytes, want at most %d", most, limit)
	}
	if _, err := db.VerifyAudit(t.Context(), audit.System); err != nil {
		t.Error(err)
	}
}
