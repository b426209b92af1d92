package store

import (
	"context"
	"database/sql"
	"time"

	"holdfast/internal/audit"
)

// Do runs a durable unit, for tests of what all units have in common.
func (db *DB) Do(ctx context.Context, account string, run func(tx *Tx) error) error {
	return db.do(ctx, account, durable, run)
}

// Lock takes another lock.
func (tx *Tx) Lock(key string) error { return tx.lock(key) }

// Int reads one number.
func (tx *Tx) Int(query string, args ...any) (n int64, err error) {
	return n, tx.row(query, args...).Scan(&n)
}

// WaitQueued waits until so many units wait for the one that is under way.
func (db *DB) WaitQueued(key string, n int) {
	for {
		db.groups.mu.Lock()
		have := len(db.groups.waiting[key])
		db.groups.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Exec changes rows.
func (tx *Tx) Exec(query string, args ...any) error {
	_, err := tx.exec(query, args...)
	return err
}

// Append adds an audit entry.
func (tx *Tx) Append(account string, e audit.Entry) error { return tx.append(account, e) }

// MigrateTo brings an empty database to an older version of the tables.
func MigrateTo(ctx context.Context, o Options, version int64) (*sql.DB, error) {
	db, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	p, release, err := db.goose(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if _, err := p.UpTo(ctx, version); err != nil {
		return nil, err
	}
	return db.write, nil
}
