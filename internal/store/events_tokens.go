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
	"holdfast/internal/seal"
)

var _ feed.Store = (*DB)(nil)

// CreateToken implements [feed.Store].
func (db *DB) CreateToken(ctx context.Context, t feed.Token, hash seal.Hash, by audit.Entry) error {
	return db.do(ctx, t.AccountID, durable, func(tx *Tx) error {
		if _, err := tx.groupIDs(t.AccountID); err != nil { // the account exists
			return err
		}
		if t.CreateKey != "" {
			var id string
			err := tx.row("SELECT id FROM events_tokens WHERE account_id = $1 AND create_key = $2", t.AccountID, t.CreateKey).Scan(&id)
			if err == nil {
				return feed.ErrAlreadyCreated(id)
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("look for events token: %w", err)
			}
		}
		names := make([]string, len(t.Features))
		for i, f := range t.Features {
			names[i] = string(f)
		}
		features := strings.Join(names, " ")
		_, err := tx.exec(`INSERT INTO events_tokens (account_id, id, hash, key_id, name, features, created_at, created_by, create_key, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			t.AccountID, t.ID, hash[:], t.KeyID, t.Name, features, t.CreatedAt.UnixMicro(), t.CreatedBy,
			sql.NullString{String: t.CreateKey, Valid: t.CreateKey != ""}, micros(t.ExpiresAt))
		if err != nil {
			return fmt.Errorf("insert events token: %w", err)
		}
		return tx.append(t.AccountID, by.Because(t.Name+": "+features))
	})
}

const tokenColumns = "account_id, id, key_id, name, features, created_at, created_by, COALESCE(create_key, ''), expires_at, revoked_at"

func scanToken(r scanner) (feed.Token, error) {
	var t feed.Token
	var features string
	var created int64
	var expires, revoked sql.NullInt64
	err := r.Scan(&t.AccountID, &t.ID, &t.KeyID, &t.Name, &features, &created, &t.CreatedBy, &t.CreateKey, &expires, &revoked)
	for f := range strings.FieldsSeq(features) {
		t.Features = append(t.Features, feed.Stream(f))
	}
	t.CreatedAt, t.ExpiresAt, t.RevokedAt = time.UnixMicro(created).UTC(), at(expires), at(revoked)
	return t, err
}

// EventsTokens implements [feed.Store].
func (db *DB) EventsTokens(ctx context.Context, accountID string) ([]feed.Token, error) {
	rows, err := db.query(ctx, "SELECT "+tokenColumns+" FROM events_tokens WHERE account_id = $1", accountID)
	all, err := collect(rows, err, scanToken)
	if err != nil {
		return nil, fmt.Errorf("list events tokens: %w", err)
	}
	slices.SortFunc(all, func(a, b feed.Token) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

// EventsToken implements [feed.Store].
func (db *DB) EventsToken(ctx context.Context, accountID, id string) (feed.Token, error) {
	rows, err := db.query(ctx, "SELECT "+tokenColumns+" FROM events_tokens WHERE account_id = $1 AND id = $2", accountID, id)
	return oneToken(rows, err, id)
}

// EventsTokenByHash implements [feed.Store].
func (db *DB) EventsTokenByHash(ctx context.Context, hash seal.Hash) (feed.Token, error) {
	rows, err := db.query(ctx, "SELECT "+tokenColumns+" FROM events_tokens WHERE hash = $1", hash[:])
	return oneToken(rows, err, "")
}

func oneToken(rows *sql.Rows, err error, id string) (feed.Token, error) {
	found, err := collect(rows, err, scanToken)
	if err != nil {
		return feed.Token{}, fmt.Errorf("read events token %q: %w", id, err)
	}
	if len(found) == 0 {
		return feed.Token{}, feed.ErrNoToken(id)
	}
	return found[0], nil
}

// RevokeEventsToken implements [feed.Store].
func (db *DB) RevokeEventsToken(ctx context.Context, accountID, id string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		var name string
		var revoked sql.NullInt64
		err := tx.row("SELECT name, revoked_at FROM events_tokens WHERE account_id = $1 AND id = $2", accountID, id).Scan(&name, &revoked)
		if errors.Is(err, sql.ErrNoRows) {
			return feed.ErrNoToken(id)
		}
		if err != nil || revoked.Valid {
			return err
		}
		if _, err := tx.exec("UPDATE events_tokens SET revoked_at = $1 WHERE account_id = $2 AND id = $3", tx.now.UnixMicro(), accountID, id); err != nil {
			return fmt.Errorf("revoke events token %q: %w", id, err)
		}
		reason := name
		if by.Reason != "" {
			reason += ": " + by.Reason
		}
		return tx.append(accountID, by.Because(reason))
	})
}

// SigningKeys implements [feed.Store].
func (db *DB) SigningKeys(ctx context.Context) ([]feed.SigningKey, error) {
	rows, err := db.query(ctx, "SELECT id, public_key, sealed, created_at FROM events_keys ORDER BY created_at DESC, id")
	all, err := collect(rows, err, func(r scanner) (k feed.SigningKey, err error) {
		var us int64
		err = r.Scan(&k.ID, &k.Public, &k.Sealed, &us)
		k.CreatedAt = time.UnixMicro(us).UTC()
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("read keys of events tokens: %w", err)
	}
	return all, nil
}

// AddSigningKey implements [feed.Store].
func (db *DB) AddSigningKey(ctx context.Context, k feed.SigningKey, first, revoke bool, by audit.Entry) error {
	return db.do(ctx, audit.System, durable, func(tx *Tx) error {
		var there int
		if err := tx.row("SELECT COUNT(*) FROM events_keys").Scan(&there); err != nil {
			return fmt.Errorf("count keys of events tokens: %w", err)
		}
		if first && there > 0 {
			return nil
		}
		if _, err := tx.exec("INSERT INTO events_keys (id, public_key, sealed, created_at) VALUES ($1, $2, $3, $4)", k.ID, k.Public, k.Sealed, k.CreatedAt.UnixMicro()); err != nil {
			return fmt.Errorf("insert key of events tokens: %w", err)
		}
		entry := by.Because("tokens of earlier keys stay good")
		if revoke {
			n, err := tx.revokeSignedBefore(k.ID, by)
			if err != nil {
				return err
			}
			entry = by.Because(fmt.Sprintf("%d tokens of earlier keys are revoked", n))
		}
		return tx.append(audit.System, entry)
	})
}

// revokeSignedBefore revokes the live tokens of all other keys. Accounts are taken in the order of their ids,
// so that two who do this do not wait for each other crosswise.
func (tx *Tx) revokeSignedBefore(key string, by audit.Entry) (int, error) {
	rows, err := tx.rows("SELECT account_id, id, name FROM events_tokens WHERE key_id <> $1 AND revoked_at IS NULL ORDER BY account_id, created_at, id", key)
	all, err := collect(rows, err, func(r scanner) (t feed.Token, err error) { return t, r.Scan(&t.AccountID, &t.ID, &t.Name) })
	if err != nil {
		return 0, fmt.Errorf("read events tokens of earlier keys: %w", err)
	}
	for _, t := range all {
		if err := tx.lock(t.AccountID); err != nil {
			return 0, err
		}
		if _, err := tx.exec("UPDATE events_tokens SET revoked_at = $1 WHERE account_id = $2 AND id = $3", tx.now.UnixMicro(), t.AccountID, t.ID); err != nil {
			return 0, fmt.Errorf("revoke events token %q: %w", t.ID, err)
		}
		if err := tx.append(t.AccountID, by.For(audit.EventsTokenRevoke, "events_token:"+t.ID).Because(t.Name+": the key that signed it was rotated")); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}
