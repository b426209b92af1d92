package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
)

// The most bytes that are stored of what browsers send and strangers type.
const (
	mostEmail     = 254
	mostUserAgent = 400
	mostAddress   = 64
	mostText      = 1000
)

// storable makes a text from outside one that both databases take: bounded, valid UTF-8, without NUL.
func storable(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	s = strings.ReplaceAll(s, "\x00", "")
	return strings.ToValidUTF8(s, "")
}

// insertAttempt stores an attempt with a time of the store's: its own was taken before the wait for the lock.
func (tx *Tx) insertAttempt(a signin.Attempt) error {
	err := tx.insertEvent(feed.SignInAttempts, a.AccountID, a.Client, a.Location,
		cmp.Or(a.ID, seal.NewID()), string(a.Category), string(a.Type), storable(a.Details, mostText), a.SessionID,
		a.UserID, a.Name, storable(a.Email, mostEmail), string(a.Method))
	if err != nil {
		return fmt.Errorf("insert sign-in attempt: %w", err)
	}
	return nil
}

// failuresLock is for who changes counters: they belong to no account, and two accounts that changed the same
// ones in another order would wait for each other for ever. It is taken after the lock of an account.
const failuresLock = "sign-in failures"

// Fail implements [signin.Store].
func (db *DB) Fail(ctx context.Context, a signin.Attempt, keys []string, by audit.Entry) error {
	chain := cmp.Or(a.AccountID, audit.System)
	// What was typed as an e-mail may be a password: the entry does not repeat it.
	by.Action, by.Target = audit.SignInFail, ""
	if a.UserID != "" {
		by.Target = "user:" + a.UserID
	}
	return db.do(ctx, chain, lazy, func(tx *Tx) error {
		attempt := a
		if a.UserID != "" && a.Category != signin.FirewallFailed {
			rules, err := tx.rules(a.AccountID)
			if err != nil {
				return err
			}
			attempt, _ = signin.Screen(rules, a)
		}
		if err := tx.insertAttempt(attempt); err != nil {
			return err
		}
		if err := tx.countFailure(keys); err != nil {
			return err
		}
		return tx.append(chain, by.AsRefused(string(attempt.Category)+": "+string(attempt.Type)))
	})
}

func (tx *Tx) countFailure(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	if err := tx.lock(failuresLock); err != nil {
		return err
	}
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		if _, err := tx.exec(`INSERT INTO signin_failures (key, count, last_at) VALUES ($1, 1, $2) ON CONFLICT (key) DO UPDATE SET
			count = CASE WHEN signin_failures.last_at < $3 THEN 1 ELSE signin_failures.count + 1 END, last_at = excluded.last_at`,
			key, tx.now.UnixMicro(), tx.now.Add(-signin.FailuresFor).UnixMicro()); err != nil {
			return fmt.Errorf("count failure: %w", err)
		}
	}
	return nil
}

func (tx *Tx) forgetFailures(keys []string) error {
	for _, key := range keys {
		var n int
		if err := tx.row("SELECT COUNT(*) FROM signin_failures WHERE key = $1", key).Scan(&n); err != nil {
			return fmt.Errorf("read failures: %w", err)
		}
		if n == 0 {
			continue // nearly always: nobody waits for the lock then
		}
		if err := tx.lock(failuresLock); err != nil {
			return err
		}
		if _, err := tx.exec("DELETE FROM signin_failures WHERE key = $1", key); err != nil {
			return fmt.Errorf("forget failures: %w", err)
		}
	}
	return nil
}

// Throttle implements [signin.Store].
func (db *DB) Throttle(ctx context.Context, keys []string) (map[string]signin.Failures, error) {
	since := db.now().Add(-signin.FailuresFor).UnixMicro()
	all := make(map[string]signin.Failures, len(keys))
	for _, key := range keys {
		var count int
		var last int64
		err := db.get(ctx, "SELECT count, last_at FROM signin_failures WHERE key = $1 AND last_at >= $2", []any{key, since}, &count, &last)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			all[key] = signin.Failures{}
		case err != nil:
			return nil, fmt.Errorf("read failures: %w", err)
		default:
			all[key] = signin.Failures{Count: count, Last: time.UnixMicro(last).UTC()}
		}
	}
	return all, nil
}

// KnownAddress implements [signin.Store].
func (db *DB) KnownAddress(ctx context.Context, accountID, userID, address string, since time.Time) (bool, error) {
	var one int
	err := db.get(ctx, `SELECT 1 FROM signin_attempts WHERE account_id = $1 AND user_id = $2 AND address = $3 AND at >= $4 AND category = 'success' LIMIT 1`,
		[]any{accountID, userID, address, since.UnixMicro()}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for sign-ins from the address: %w", err)
	}
	return true, nil
}

func scanAttempt(r scanner) (signin.Attempt, error) {
	var a signin.Attempt
	var us int64
	err := scanEvent(r, &a.Client, &a.Location, &a.AccountID, &us, &a.ID, &a.Category, &a.Type, &a.Details, &a.SessionID, &a.UserID, &a.Name, &a.Email, &a.Method)
	a.At = time.UnixMicro(us).UTC()
	return a, err
}

// ticketsLock is for who stores and takes tickets: they belong to no account.
const ticketsLock = "sign-in tickets"

// Put implements [signin.Store]. A ticket may be lost with the power: the person begins again.
func (db *DB) Put(ctx context.Context, ticket seal.Hash, purpose string, sealed []byte, expires time.Time) error {
	return db.do(ctx, ticketsLock, lazy, func(tx *Tx) error {
		if _, err := tx.exec("INSERT INTO signin_tickets (hash, purpose, sealed, expires_at) VALUES ($1, $2, $3, $4)",
			ticket[:], purpose, sealed, expires.UnixMicro()); err != nil {
			return fmt.Errorf("insert ticket: %w", err)
		}
		return nil
	})
}

// Take implements [signin.Store]. That it was taken is on the disk as soon as what comes of it is: both
// databases write in order.
func (db *DB) Take(ctx context.Context, ticket seal.Hash, purpose string, now time.Time) ([]byte, error) {
	var sealed []byte
	err := db.do(ctx, ticketsLock, lazy, func(tx *Tx) error {
		var found []byte
		err := tx.row(ticketQuery, ticket[:], purpose, now.UnixMicro()).Scan(&found)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoTicket()
		}
		if err != nil {
			return fmt.Errorf("read ticket: %w", err)
		}
		n, err := tx.exec("DELETE FROM signin_tickets WHERE hash = $1", ticket[:])
		if err != nil {
			return fmt.Errorf("take ticket: %w", err)
		}
		if n == 0 {
			return errNoTicket()
		}
		sealed = found
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sealed, nil
}

const ticketQuery = "SELECT sealed FROM signin_tickets WHERE hash = $1 AND purpose = $2 AND expires_at > $3"

func errNoTicket() error {
	return problem.New(problem.NotFound, "this step of signing in was done already or has taken too long; begin again")
}

// Peek implements [signin.Store].
func (db *DB) Peek(ctx context.Context, ticket seal.Hash, purpose string, now time.Time) ([]byte, error) {
	var sealed []byte
	err := db.get(ctx, ticketQuery, []any{ticket[:], purpose, now.UnixMicro()}, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoTicket()
	}
	if err != nil {
		return nil, fmt.Errorf("read ticket: %w", err)
	}
	return sealed, nil
}

// keepFailures is how long counters are kept that nobody asks about any more.
const keepFailures = 24 * time.Hour

// Purge implements [signin.Store]. It is bookkeeping: what it deletes is worth nothing.
func (db *DB) Purge(ctx context.Context, now time.Time) error {
	for _, p := range []struct {
		lock, query string
		before      time.Time
	}{
		{ticketsLock, "DELETE FROM signin_tickets WHERE hash IN (SELECT hash FROM signin_tickets WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)", now},
		{failuresLock, "DELETE FROM signin_failures WHERE key IN (SELECT key FROM signin_failures WHERE last_at < $1 ORDER BY last_at LIMIT $2)", now.Add(-keepFailures)},
		{audit.System, "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)", now.Add(-signin.KeepSessions)},
		{audit.System, "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE ended_at IS NOT NULL AND ended_at < $1 ORDER BY ended_at LIMIT $2)", now.Add(-signin.KeepSessions)},
	} {
		for deleted := int64(purgeRows); deleted == purgeRows; {
			err := db.do(ctx, p.lock, lazy, func(tx *Tx) error {
				var err error
				deleted, err = tx.exec(p.query, p.before.UnixMicro(), purgeRows)
				return err
			})
			if err != nil {
				return fmt.Errorf("delete what signing in left behind: %w", err)
			}
		}
	}
	return nil
}
