package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/store"
)

// floorSQL holds the prepared statements of the floor.
type floorSQL struct {
	pools    []*sql.DB
	synced   *sql.DB // where transactions begin that must be on the disk
	prepared map[string]*sql.Stmt
}

// The statements, by where they run: reading, writing synced, writing not synced.
const (
	floorTokenQuery = `SELECT t.client_id, t.account_id FROM tokens t JOIN clients c ON c.id = t.client_id
		JOIN client_secrets s ON s.client_id = t.client_id AND s.id = t.secret_id
		WHERE t.hash = $1 AND t.expires_at > $2 AND t.revoked_at IS NULL AND c.revoked_at IS NULL AND s.ends_at IS NULL`
	floorUserQuery   = "SELECT id, email, display_name, suspended, created_at FROM users WHERE account_id = $1 AND id = $2"
	floorUsersQuery  = "SELECT id, email, display_name, suspended, created_at FROM users WHERE account_id = $1 AND id > $2 AND lifecycle = 'active' ORDER BY id LIMIT $3"
	floorSecretQuery = `SELECT c.account_id, s.id, s.hash FROM clients c JOIN client_secrets s ON s.client_id = c.id
		WHERE c.id = $1 AND c.revoked_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > $2)`

	floorSetState = `UPDATE users SET suspended = $1 WHERE account_id = $2 AND id = $3 AND suspended <> $1
		RETURNING id, email, display_name, suspended, created_at`
	floorOpenHold    = "INSERT INTO holds (account_id, id, user_id, holder, reason, opened_at) VALUES ($1, $2, $3, $4, '', $5)"
	floorReleaseHold = "UPDATE holds SET released_at = $1 WHERE account_id = $2 AND user_id = $3 AND released_at IS NULL"

	floorInsertToken = "INSERT INTO tokens (hash, account_id, client_id, secret_id, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)"
)

// openFloor opens pools as the store does. Those that write without a sync are separate, so that no
// request has to switch.
func openFloor(ctx context.Context, s served) (*floorSQL, error) {
	f := &floorSQL{prepared: map[string]*sql.Stmt{}}
	read, synced, err := f.open(ctx, s)
	if err != nil {
		return nil, err
	}
	_, lazy, err := f.open(ctx, s)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	f.synced = synced
	relax := "PRAGMA synchronous = NORMAL"
	if s.Database != "sqlite" {
		lazy.SetMaxOpenConns(connections) // the setting below is per connection
		relax = "SET synchronous_commit = off"
	}
	if err := onEach(ctx, lazy, relax); err != nil {
		return nil, errors.Join(err, f.close())
	}
	for _, on := range []struct {
		db      *sql.DB
		queries []string
	}{
		{read, []string{floorTokenQuery, floorUserQuery, floorUsersQuery, floorSecretQuery, floorEventsQuery}},
		{synced, []string{floorSetState, floorOpenHold, floorReleaseHold}},
		{lazy, []string{floorInsertToken}},
	} {
		for _, q := range on.queries {
			stmt, err := on.db.PrepareContext(ctx, q)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("prepare %q: %w", q, err), f.close())
			}
			f.prepared[q] = stmt
		}
	}
	return f, nil
}

func (f *floorSQL) open(ctx context.Context, s served) (read, write *sql.DB, err error) {
	read, write, err = store.Pools(ctx, store.Options{Database: s.Database, Dir: s.Dir, MmapSize: s.MmapSize})
	if err != nil {
		return nil, nil, fmt.Errorf("open database for the floor: %w", err)
	}
	f.pools = append(f.pools, read, write)
	return read, write, nil
}

// onEach runs a statement on each connection that the pool may have.
func onEach(ctx context.Context, db *sql.DB, statement string) (err error) {
	var conns []*sql.Conn
	defer func() {
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
	}()
	for range db.Stats().MaxOpenConnections {
		c, err := db.Conn(ctx)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		conns = append(conns, c)
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (f *floorSQL) close() error {
	var errs []error
	for _, stmt := range f.prepared {
		errs = append(errs, stmt.Close())
	}
	for _, db := range f.pools {
		errs = append(errs, db.Close()) // on PostgreSQL each is there twice; closing again is no error
	}
	return errors.Join(errs...)
}

func (f *floorSQL) token(ctx context.Context, hash []byte, now int64) (clientID, account string, err error) {
	err = f.prepared[floorTokenQuery].QueryRowContext(ctx, hash, now).Scan(&clientID, &account)
	return clientID, account, err
}

func (f *floorSQL) user(ctx context.Context, account, id string) (floorUser, error) {
	return scanFloorUser(account, f.prepared[floorUserQuery].QueryRowContext(ctx, account, id).Scan)
}

func (f *floorSQL) users(ctx context.Context, account, after string, limit int) ([]floorUser, error) {
	rows, err := f.prepared[floorUsersQuery].QueryContext(ctx, account, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	us := make([]floorUser, 0, limit)
	for rows.Next() {
		u, err := scanFloorUser(account, rows.Scan)
		if err != nil {
			return nil, err
		}
		us = append(us, u)
	}
	return us, rows.Err()
}

func scanFloorUser(account string, scan func(...any) error) (floorUser, error) {
	u := floorUser{State: "ACTIVE"}
	var suspended bool
	var created int64
	if err := scan(&u.ID, &u.Email, &u.DisplayName, &suspended, &created); err != nil {
		return u, err
	}
	if suspended {
		u.State = "SUSPENDED"
	}
	u.CreateTime = time.UnixMicro(created).UTC().Format(time.RFC3339)
	u.Path = "accounts/" + account + "/users/" + u.ID
	return u, nil
}

// floorSecret is the live secret of an application.
type floorSecret struct {
	account, id string
	hash        []byte
}

func (f *floorSQL) secret(ctx context.Context, clientID string, now int64) (s floorSecret, err error) {
	err = f.prepared[floorSecretQuery].QueryRowContext(ctx, clientID, now).Scan(&s.account, &s.id, &s.hash)
	return s, err
}

func (f *floorSQL) insertToken(ctx context.Context, hash []byte, account, clientID, secretID string, issued, expires int64) error {
	_, err := f.prepared[floorInsertToken].ExecContext(ctx, hash, account, clientID, secretID, issued, expires)
	return err
}

func (f *floorSQL) suspend(ctx context.Context, account, id, holder, holdID string, now int64) (floorUser, error) {
	return f.change(ctx, account, id, true, floorOpenHold, account, holdID, id, holder, now)
}

func (f *floorSQL) reactivate(ctx context.Context, account, id string, now int64) (floorUser, error) {
	return f.change(ctx, account, id, false, floorReleaseHold, now, account, id)
}

// change sets the state of a person and runs one more statement, in a transaction.
func (f *floorSQL) change(ctx context.Context, account, id string, suspended bool, query string, args ...any) (u floorUser, err error) {
	tx, err := f.synced.BeginTx(ctx, nil)
	if err != nil {
		return u, err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // fails when the transaction has ended already, which is what we want
		}
	}()
	row := tx.StmtContext(ctx, f.prepared[floorSetState]).QueryRowContext(ctx, suspended, account, id)
	if u, err = scanFloorUser(account, row.Scan); err != nil {
		return u, fmt.Errorf("set state of %q: %w", id, err)
	}
	if _, err := tx.StmtContext(ctx, f.prepared[query]).ExecContext(ctx, args...); err != nil {
		return u, fmt.Errorf("hold on %q: %w", id, err)
	}
	return u, tx.Commit()
}
