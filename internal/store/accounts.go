package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

var _ directory.Store = (*DB)(nil)

// CreateAccount implements [directory.Store].
func (db *DB) CreateAccount(ctx context.Context, n directory.NewAccount, by audit.Entry) (directory.Account, directory.User, error) {
	var a directory.Account
	var owner directory.User
	id := seal.NewID()
	err := db.do(ctx, id, durable, func(tx *Tx) error {
		a = directory.Account{ID: id, Name: n.Name, CreatedAt: tx.now}
		if _, err := tx.exec("INSERT INTO accounts (id, name, created_at) VALUES ($1, $2, $3)", a.ID, a.Name, tx.now.UnixMicro()); err != nil {
			return fmt.Errorf("insert account: %w", err)
		}
		owners := ""
		for _, g := range directory.BuiltIn() {
			g.AccountID, g.ID = id, seal.NewID()
			if err := tx.insertGroup(g); err != nil {
				return err
			}
			if g.Kind == directory.Owners {
				owners = g.ID
			}
		}
		u, err := tx.insertUser(id, directory.NewUser{Email: n.OwnerEmail, DisplayName: n.OwnerName})
		if err != nil {
			return err
		}
		owner = u
		if _, err := tx.insertMember(id, owners, u.ID); err != nil {
			return err
		}
		if n.SetupLink != (seal.Hash{}) {
			_, err := tx.exec("INSERT INTO setup_links (hash, account_id, user_id, expires_at) VALUES ($1, $2, $3, $4)",
				n.SetupLink[:], id, u.ID, n.SetupExpires.UnixMicro())
			if err != nil {
				return fmt.Errorf("insert set-up link: %w", err)
			}
		}
		by.Action, by.Target = audit.AccountCreate, "user:"+u.ID
		return tx.append(id, by.Because("first owner of the new account "+n.Name))
	})
	return a, owner, err
}

// Account implements [directory.Store].
func (db *DB) Account(ctx context.Context, id string) (directory.Account, error) {
	a := directory.Account{ID: id}
	var us int64
	err := db.get(ctx, "SELECT name, created_at FROM accounts WHERE id = $1", []any{id}, &a.Name, &us)
	if errors.Is(err, sql.ErrNoRows) {
		return a, problem.New(problem.NotFound, "no account %q", id)
	}
	if err != nil {
		return a, fmt.Errorf("read account %q: %w", id, err)
	}
	a.CreatedAt = time.UnixMicro(us).UTC()
	return a, nil
}

// Accounts implements [directory.Store].
func (db *DB) Accounts(ctx context.Context) ([]directory.Account, error) {
	rows, err := db.query(ctx, "SELECT id, name, created_at FROM accounts ORDER BY created_at, id")
	return collect(rows, err, func(r scanner) (a directory.Account, err error) {
		var us int64
		err = r.Scan(&a.ID, &a.Name, &us)
		a.CreatedAt = time.UnixMicro(us).UTC()
		return a, err
	})
}
