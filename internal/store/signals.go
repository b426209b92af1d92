package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
)

var _ signals.Store = (*DB)(nil)

const sourceColumns = "account_id, id, kind, name, config, secret, former_secret, former_until, state, revision, events, unmatched, last_event_at, last_error, created_at, created_by"

func scanSource(r scanner) (signals.Setup, error) {
	var x signals.Setup
	var config string
	var former, last sql.NullInt64
	var created int64
	err := r.Scan(&x.AccountID, &x.ID, &x.Kind, &x.Name, &config, &x.Secrets.Current, &x.Secrets.Former, &former, &x.State, &x.Revision,
		&x.Events, &x.Unmatched, &last, &x.LastError, &created, &x.CreatedBy)
	if err != nil {
		return x, err
	}
	x.Secrets.FormerUntil, x.LastEventAt, x.CreatedAt = at(former), at(last), time.UnixMicro(created).UTC()
	if err := json.Unmarshal([]byte(config), &x.Config); err != nil {
		return x, fmt.Errorf("read configuration of source %q: %w", x.ID, err)
	}
	return x, nil
}

// sourceValues are the values of sourceColumns, without the first two, and name_key.
func sourceValues(x signals.Setup) ([]any, error) {
	config, err := x.Config.JSON()
	return []any{
		string(x.Kind), x.Name, directory.NameKey(x.Name), config, x.Secrets.Current, x.Secrets.Former, micros(x.Secrets.FormerUntil),
		string(x.State), x.Revision, x.LastError,
	}, err
}

// CreateSource implements [signals.Store].
func (db *DB) CreateSource(ctx context.Context, x signals.Setup, by audit.Entry) error {
	return db.do(ctx, x.AccountID, durable, func(tx *Tx) error {
		var there int
		if err := tx.row("SELECT COUNT(*) FROM accounts WHERE id = $1", x.AccountID).Scan(&there); err != nil {
			return fmt.Errorf("look for account %q: %w", x.AccountID, err)
		}
		if there == 0 {
			return errNoAccount(x.AccountID)
		}
		if err := tx.freeName(x); err != nil {
			return err
		}
		if err := tx.insertSource(x); err != nil {
			return err
		}
		return tx.append(x.AccountID, by)
	})
}

func (tx *Tx) insertSource(x signals.Setup) error {
	values, err := sourceValues(x)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO signal_sources (account_id, id, kind, name, name_key, config, secret, former_secret, former_until, state, revision, last_error,
		created_at, created_by, events, unmatched, lease_holder, lease_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, 0, '', 0)`,
		append(append([]any{x.AccountID, x.ID}, values...), x.CreatedAt.UnixMicro(), x.CreatedBy)...)
	if err != nil {
		return fmt.Errorf("insert source: %w", err)
	}
	return nil
}

// freeName refuses a name that another source of the account has.
func (tx *Tx) freeName(x signals.Setup) error {
	var other string
	err := tx.row("SELECT id FROM signal_sources WHERE account_id = $1 AND name_key = $2 AND id <> $3", x.AccountID, directory.NameKey(x.Name), x.ID).Scan(&other)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the name of a source: %w", err)
	}
	return problem.New(problem.Conflict, "another source of this account is called %q", x.Name)
}

// SignalSources implements [signals.Store]. There are few of an account, and of an installation.
func (db *DB) SignalSources(ctx context.Context, accountID string) ([]signals.Setup, error) {
	query, args := "SELECT "+sourceColumns+" FROM signal_sources ORDER BY account_id, id", []any{}
	if accountID != "" {
		query, args = "SELECT "+sourceColumns+" FROM signal_sources WHERE account_id = $1 ORDER BY created_at, id", []any{accountID}
	}
	rows, err := db.query(ctx, query, args...)
	all, err := collect(rows, err, scanSource)
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	return all, nil
}

const oneSource = "SELECT " + sourceColumns + " FROM signal_sources WHERE account_id = $1 AND id = $2"

// SignalSource implements [signals.Store].
func (db *DB) SignalSource(ctx context.Context, accountID, id string) (signals.Setup, error) {
	rows, err := db.query(ctx, oneSource, accountID, id)
	return theSource(id, rows, err)
}

func theSource(id string, rows *sql.Rows, err error) (signals.Setup, error) {
	found, err := collect(rows, err, scanSource)
	if err != nil {
		return signals.Setup{}, fmt.Errorf("read source %q: %w", id, err)
	}
	if len(found) == 0 {
		return signals.Setup{}, signals.ErrNoSource(id)
	}
	return found[0], nil
}

// ChangeSource implements [signals.Store].
func (db *DB) ChangeSource(ctx context.Context, accountID, id string, change func(*signals.Setup) error, by audit.Entry) (signals.Setup, error) {
	var x signals.Setup
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		rows, err := tx.rows(oneSource, accountID, id)
		if x, err = theSource(id, rows, err); err != nil {
			return err
		}
		before := x.State
		if err := change(&x); err != nil {
			return err
		}
		if by.Action == audit.SourcePause && before == signals.Paused {
			return nil
		}
		if err := tx.freeName(x); err != nil {
			return err
		}
		x.Revision++
		values, err := sourceValues(x)
		if err != nil {
			return err
		}
		_, err = tx.exec(`UPDATE signal_sources SET kind = $1, name = $2, name_key = $3, config = $4, secret = $5, former_secret = $6, former_until = $7, state = $8,
			revision = $9, last_error = $10 WHERE account_id = $11 AND id = $12`, append(values, accountID, id)...)
		if err != nil {
			return fmt.Errorf("update source %q: %w", id, err)
		}
		entry := by
		if entry.Reason == "" {
			entry.Reason = x.Name
		}
		return tx.append(accountID, entry)
	})
	return x, err
}

// RemoveSource implements [signals.Store].
func (db *DB) RemoveSource(ctx context.Context, accountID, id string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		rows, err := tx.rows(oneSource, accountID, id)
		x, err := theSource(id, rows, err)
		if err != nil {
			return err
		}
		if x.Kind == signals.KindLocal {
			return signals.ErrOwnSource()
		}
		for _, table := range []string{"signal_cursors WHERE account_id = $1 AND source_id = $2", "signal_sources WHERE account_id = $1 AND id = $2"} {
			if _, err := tx.exec("DELETE FROM "+table, accountID, id); err != nil {
				return fmt.Errorf("remove source %q: %w", id, err)
			}
		}
		entry := by
		if entry.Reason == "" {
			entry.Reason = x.Name
		}
		return tx.append(accountID, entry)
	})
}

// LeaseSource implements [signals.Store].
func (db *DB) LeaseSource(ctx context.Context, accountID, id, holder string, until time.Time) (bool, error) {
	ours := false
	err := db.do(ctx, accountID, lazy, func(tx *Tx) error {
		free, end := "", int64(0)
		if !until.IsZero() {
			free, end = holder, until.UnixMicro()
		}
		n, err := tx.exec(`UPDATE signal_sources SET lease_holder = $1, lease_until = $2
			WHERE account_id = $3 AND id = $4 AND (lease_holder = $5 OR $6 AND lease_until < $7 AND state <> 'paused')`,
			free, end, accountID, id, holder, !until.IsZero(), tx.now.UnixMicro())
		ours = n > 0
		if err != nil {
			return fmt.Errorf("lease source %q: %w", id, err)
		}
		return nil
	})
	return ours && err == nil, err
}

// SourceCursors implements [signals.Store].
func (db *DB) SourceCursors(ctx context.Context, accountID, id string) (map[string]string, error) {
	rows, err := db.query(ctx, "SELECT stream, cursor FROM signal_cursors WHERE account_id = $1 AND source_id = $2", accountID, id)
	all, err := collect(rows, err, func(r scanner) (c [2]string, err error) { return c, r.Scan(&c[0], &c[1]) })
	if err != nil {
		return nil, fmt.Errorf("read cursors of source %q: %w", id, err)
	}
	cursors := map[string]string{}
	for _, c := range all {
		cursors[c[0]] = c[1]
	}
	return cursors, nil
}

// SourceFailed implements [signals.Store].
func (db *DB) SourceFailed(ctx context.Context, accountID, id, holder, reason string) error {
	return db.do(ctx, accountID, lazy, func(tx *Tx) error {
		if err := tx.mayTake(accountID, id, holder); err != nil {
			return err
		}
		_, err := tx.exec("UPDATE signal_sources SET state = 'failed', last_error = $1 WHERE account_id = $2 AND id = $3", storable(reason, mostText), accountID, id)
		if err != nil {
			return fmt.Errorf("note failure of source %q: %w", id, err)
		}
		return nil
	})
}

// mayTake refuses events of a source that is not there, is paused, or is asked by another holder.
func (tx *Tx) mayTake(accountID, id, holder string) error {
	var state, by string
	err := tx.row("SELECT state, lease_holder FROM signal_sources WHERE account_id = $1 AND id = $2", accountID, id).Scan(&state, &by)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return signals.ErrNoSource(id)
	case err != nil:
		return fmt.Errorf("read source %q: %w", id, err)
	case holder == "" && state != string(signals.Paused):
		return nil
	case by != holder || state == string(signals.Paused):
		return signals.ErrNoLease()
	}
	return nil
}
