package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// AccountName implements [signin.Store].
func (db *DB) AccountName(ctx context.Context, accountID string) (string, error) {
	var name string
	err := db.get(ctx, "SELECT name FROM accounts WHERE id = $1", []any{accountID}, &name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", problem.New(problem.NotFound, "no account %q", accountID)
	}
	if err != nil {
		return "", fmt.Errorf("read name of account %q: %w", accountID, err)
	}
	return name, nil
}

// SetFirstPassword implements [signin.Store].
func (db *DB) SetFirstPassword(ctx context.Context, accountID, userID, hash string, by audit.Entry) error {
	by.Action, by.Target = audit.PasswordSet, "user:"+userID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		p, err := tx.person(accountID, userID)
		if err != nil {
			return err
		}
		if p.Suspended {
			return tx.refuse(accountID, by, signin.ErrMayNot())
		}
		if p.Invited {
			if err := tx.startOver(p); err != nil {
				return err
			}
		}
		if err := tx.writePassword(accountID, userID, hash); err != nil {
			return err
		}
		return tx.append(accountID, by)
	})
}
