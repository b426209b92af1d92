package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast/internal/feed"
)

// bells wake who waits for events of an account as soon as this process has committed some.
type bells struct {
	mu      sync.Mutex
	waiting map[string]chan struct{} // by account; closed when it rings
}

// hear returns what is closed at the account's next event.
func (b *bells) hear(account string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = map[string]chan struct{}{}
	}
	c := b.waiting[account]
	if c == nil {
		c = make(chan struct{})
		b.waiting[account] = c
	}
	return c
}

// ring wakes who waits for what the transaction has committed.
func (b *bells) ring(tx *Tx) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return
	}
	for account := range tx.rings {
		b.ringLocked(account)
	}
}

func (b *bells) ringLocked(account string) {
	if c := b.waiting[account]; c != nil {
		close(c)
		delete(b.waiting, account)
	}
}

// ring notes that the account has a new event.
func (tx *Tx) ring(account string) {
	if tx.rings == nil {
		tx.rings = map[string]bool{}
	}
	tx.rings[account] = true
}

// lookEvery is how often the database is asked for events that another process has committed. The look-up
// is of one row, by the primary key.
const lookEvery = 20 * time.Millisecond

// WaitEvents implements [feed.Store].
func (db *DB) WaitEvents(ctx context.Context, accountID string, s feed.Stream, after int64) error {
	table, _ := eventTable(s)
	return db.await(ctx, accountID, "SELECT seq FROM "+table+" WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT 1", after)
}

// FeedEnds are the numbers of the account's last event of each stream, 0 without any, all as of one moment.
func (db *DB) FeedEnds(ctx context.Context, accountID string) (map[feed.Stream]int64, error) {
	var attempts, usages, audited int64
	err := db.get(ctx, feedEnds, []any{accountID}, &attempts, &usages, &audited)
	if err != nil {
		return nil, fmt.Errorf("read the ends of the streams of %q: %w", accountID, err)
	}
	return map[feed.Stream]int64{feed.SignInAttempts: attempts, feed.ItemUsages: usages, feed.AuditEvents: audited}, nil
}

const feedEnds = `SELECT COALESCE((SELECT seq FROM signin_attempts WHERE account_id = $1 ORDER BY seq DESC LIMIT 1), 0),
	COALESCE((SELECT seq FROM item_usages WHERE account_id = $1 ORDER BY seq DESC LIMIT 1), 0),
	COALESCE((SELECT seq FROM audit_links WHERE account_id = $1 ORDER BY seq DESC LIMIT 1), 0)`

// WaitFeed returns once one of the account's streams has an event after the number, or with the context's error.
func (db *DB) WaitFeed(ctx context.Context, accountID string, after map[feed.Stream]int64) error {
	return db.await(ctx, accountID, `SELECT seq FROM (SELECT 1 AS seq) one WHERE EXISTS (SELECT 1 FROM signin_attempts WHERE account_id = $1 AND seq > $2)
		OR EXISTS (SELECT 1 FROM item_usages WHERE account_id = $1 AND seq > $3) OR EXISTS (SELECT 1 FROM audit_links WHERE account_id = $1 AND seq > $4)`,
		after[feed.SignInAttempts], after[feed.ItemUsages], after[feed.AuditEvents])
}

// await returns once the query, whose first parameter is the account, finds the number of an event.
func (db *DB) await(ctx context.Context, accountID, query string, after ...any) error {
	args := append([]any{accountID}, after...)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		heard := db.bells.hear(accountID) // before looking, so that nothing falls in between
		var seq int64
		err := db.get(ctx, query, args, &seq)
		if err == nil {
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("look for events after %v: %w", after, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-heard:
		case <-tick.C:
		}
	}
}
