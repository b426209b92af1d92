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
	"holdfast/internal/signals"
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
		if err := tx.insertSource(signals.OwnSource(id, tx.now, by.Actor)); err != nil {
			return err
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
		u, err := tx.insertUser(id, directory.NewUser{Email: n.OwnerEmail, DisplayName: n.OwnerName}, directory.Active)
		if err != nil {
			return err
		}
		owner = u
		if _, err := tx.insertMember(id, owners, u.ID); err != nil {
			return err
		}
		if n.SetupLink != (seal.Hash{}) {
			if err := tx.insertLink(id, u.ID, directory.SetupLink{Hash: n.SetupLink, ExpiresAt: n.SetupExpires}); err != nil {
				return err
			}
		}
		by.Action, by.Target = audit.AccountCreate, "user:"+u.ID
		return tx.append(id, by.Because("first owner of the new account "+n.Name))
	})
	return a, owner, err
}

// RenameAccount implements [directory.Store].
func (db *DB) RenameAccount(ctx context.Context, accountID, name string, by audit.Entry) error {
	by.Action, by.Target = audit.AccountUpdate, ""
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		var old string
		err := tx.row("SELECT name FROM accounts WHERE id = $1", accountID).Scan(&old)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoAccount(accountID)
		}
		if err != nil {
			return fmt.Errorf("read account %q: %w", accountID, err)
		}
		if old == name {
			return nil
		}
		if _, err := tx.exec("UPDATE accounts SET name = $1 WHERE id = $2", name, accountID); err != nil {
			return fmt.Errorf("rename account %q: %w", accountID, err)
		}
		return tx.append(accountID, by.Because(fmt.Sprintf("name %q to %q", old, name)))
	})
}

func errNoAccount(id string) error { return problem.New(problem.NotFound, "no account %q", id) }

// Account implements [directory.Store].
func (db *DB) Account(ctx context.Context, id string) (directory.Account, error) {
	a := directory.Account{ID: id}
	var us int64
	err := db.get(ctx, "SELECT name, created_at FROM accounts WHERE id = $1", []any{id}, &a.Name, &us)
	if errors.Is(err, sql.ErrNoRows) {
		return a, errNoAccount(id)
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
