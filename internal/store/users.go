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

const userColumns = "id, email, display_name, lifecycle, suspended, externally_managed, created_at"

func scanUser(account string) func(scanner) (directory.User, error) {
	return func(r scanner) (directory.User, error) {
		u := directory.User{AccountID: account}
		var us int64
		err := r.Scan(&u.ID, &u.Email, &u.DisplayName, &u.Lifecycle, &u.Suspended, &u.ExternallyManaged, &us)
		u.CreatedAt = time.UnixMicro(us).UTC()
		return u, err
	}
}

// User implements [directory.Store].
func (db *DB) User(ctx context.Context, accountID, id string) (directory.User, error) {
	u := directory.User{AccountID: accountID}
	var us int64
	err := db.get(ctx, "SELECT "+userColumns+" FROM users WHERE account_id = $1 AND id = $2", []any{accountID, id},
		&u.ID, &u.Email, &u.DisplayName, &u.Lifecycle, &u.Suspended, &u.ExternallyManaged, &us)
	if errors.Is(err, sql.ErrNoRows) {
		return u, directory.ErrNoUser(id)
	}
	if err != nil {
		return u, fmt.Errorf("read user %q: %w", id, err)
	}
	u.CreatedAt = time.UnixMicro(us).UTC()
	return u, nil
}

// UserByEmail implements [directory.Store].
func (db *DB) UserByEmail(ctx context.Context, accountID, email string) (directory.User, error) {
	rows, err := db.query(ctx, "SELECT "+userColumns+" FROM users WHERE account_id = $1 AND email_key = $2", accountID, directory.EmailKey(email))
	us, err := collect(rows, err, scanUser(accountID))
	if err != nil {
		return directory.User{}, fmt.Errorf("read user by email: %w", err)
	}
	if len(us) == 0 {
		return directory.User{}, problem.New(problem.NotFound, "no user with the email %q", email)
	}
	return us[0], nil
}

const (
	selectPage  = "SELECT id, email, display_name, suspended, externally_managed, created_at FROM users "
	listAnybody = selectPage + "WHERE account_id = $1 AND id > $2 AND lifecycle = 'active' ORDER BY id LIMIT $3"
	listByState = selectPage + inState
	// Left alone, SQLite would read all people to find the few who are suspended.
	listByStateSQLite = selectPage + "INDEXED BY users_state " + inState
	inState           = "WHERE account_id = $1 AND suspended = $2 AND id > $3 AND lifecycle = 'active' ORDER BY id LIMIT $4"
)

// ListUsers implements [directory.Store].
func (db *DB) ListUsers(ctx context.Context, accountID string, q directory.ListQuery) ([]directory.User, error) {
	if q.State == directory.OnlyInvited || q.State == directory.AnyState && q.IncludeInvited {
		return db.listInvited(ctx, accountID, q)
	}
	query, args := listAnybody, []any{accountID, q.After, q.Limit}
	if q.State != directory.AnyState {
		query, args = listByState, []any{accountID, q.State == directory.OnlySuspended, q.After, q.Limit}
		if db.postgres == "" {
			query = listByStateSQLite
		}
	}
	rows, err := db.query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	defer rows.Close()
	// Pages are what is read most, so a row costs no more than its texts: one target for all rows.
	us := make([]directory.User, 0, q.Limit)
	u := directory.User{AccountID: accountID, Lifecycle: directory.Active}
	var created int64
	into := []any{&u.ID, &u.Email, &u.DisplayName, &u.Suspended, &u.ExternallyManaged, &created}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("list users: %w", err)
		}
		u.CreatedAt = time.UnixMicro(created).UTC()
		us = append(us, u)
	}
	if err := asUnavailable(rows.Err()); err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return us, nil
}

const (
	listInvited   = "SELECT " + userColumns + " FROM users " + inInvited
	listEverybody = "SELECT " + userColumns + " FROM users WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3"
	inInvited     = "WHERE account_id = $1 AND id > $2 AND lifecycle = 'invited' ORDER BY id LIMIT $3"
	// As with listByStateSQLite.
	listInvitedSQLite = "SELECT " + userColumns + " FROM users INDEXED BY users_invited " + inInvited
)

// listInvited lists who is invited, with or without everybody else.
func (db *DB) listInvited(ctx context.Context, accountID string, q directory.ListQuery) ([]directory.User, error) {
	query := listEverybody
	switch {
	case q.State == directory.OnlyInvited && db.postgres == "":
		query = listInvitedSQLite
	case q.State == directory.OnlyInvited:
		query = listInvited
	}
	rows, err := db.query(ctx, query, accountID, q.After, q.Limit)
	us, err := collect(rows, err, scanUser(accountID))
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return us, nil
}

// AddUser implements [directory.Store].
func (db *DB) AddUser(ctx context.Context, accountID string, n directory.NewUser, by audit.Entry) (directory.User, error) {
	var u directory.User
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		groups, err := tx.groupIDs(accountID)
		if err != nil {
			return err
		}
		if err := tx.mayJoin(accountID, n.Groups, groups, by.For(audit.UserAdd, "")); err != nil {
			return err
		}
		if u, err = tx.insertUser(accountID, n, directory.Active); err != nil {
			return err
		}
		if err := tx.joinGroups(accountID, u.ID, n.Groups, groups); err != nil {
			return err
		}
		return tx.append(accountID, by.For(audit.UserAdd, "user:"+u.ID))
	})
	return u, err
}

// RemoveUser implements [directory.Store].
func (db *DB) RemoveUser(ctx context.Context, accountID, id string, by audit.Entry) error {
	by.Action, by.Target = audit.UserRemove, "user:"+id
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		u, err := tx.user(accountID, id)
		if err != nil {
			return err
		}
		if by.Actor == "user:"+id {
			return tx.refuse(accountID, by, directory.ErrSelfRemove())
		}
		if err := tx.mayAffect(accountID, id, by); err != nil {
			return err
		}
		if last, err := tx.isLastOwner(u); err != nil {
			return err
		} else if last {
			return tx.refuse(accountID, by, directory.ErrLastOwner())
		}
		if err := tx.endCaseHolds(accountID, id, by.Because("removed")); err != nil {
			return err
		}
		for _, q := range []string{
			"DELETE FROM group_members WHERE account_id = $1 AND user_id = $2",
			"DELETE FROM setup_links WHERE account_id = $1 AND user_id = $2",
		} {
			if _, err := tx.exec(q, accountID, id); err != nil {
				return fmt.Errorf("remove user %q: %w", id, err)
			}
		}
		if err := tx.signOut(accountID, id, "removed"); err != nil {
			return err
		}
		if _, err := tx.exec("INSERT INTO removed_users (account_id, id, email, display_name, created_at, removed_at) VALUES ($1, $2, $3, $4, $5, $6)",
			accountID, id, u.Email, u.DisplayName, u.CreatedAt.UnixMicro(), tx.now.UnixMicro()); err != nil {
			return fmt.Errorf("keep removed user %q: %w", id, err)
		}
		if _, err := tx.exec("DELETE FROM users WHERE account_id = $1 AND id = $2", accountID, id); err != nil {
			return fmt.Errorf("remove user %q: %w", id, err)
		}
		return tx.append(accountID, by)
	})
}

// user reads a person inside the transaction.
func (tx *Tx) user(account, id string) (directory.User, error) {
	u, err := scanUser(account)(tx.row("SELECT "+userColumns+" FROM users WHERE account_id = $1 AND id = $2", account, id))
	if errors.Is(err, sql.ErrNoRows) {
		return u, directory.ErrNoUser(id)
	}
	if err != nil {
		return u, fmt.Errorf("read user %q: %w", id, err)
	}
	return u, nil
}

func (tx *Tx) insertUser(account string, n directory.NewUser, l directory.Lifecycle) (directory.User, error) {
	u := directory.User{
		AccountID: account, ID: seal.NewID(), Email: n.Email, DisplayName: n.DisplayName, Lifecycle: l,
		ExternallyManaged: n.ExternallyManaged, CreatedAt: tx.now.Truncate(time.Microsecond),
	}
	n2, err := tx.exec(`INSERT INTO users (account_id, id, email, email_key, display_name, name_key, lifecycle, suspended, externally_managed, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (account_id, email_key) DO NOTHING`,
		account, u.ID, u.Email, directory.EmailKey(u.Email), u.DisplayName, directory.NameKey(u.DisplayName), string(u.Lifecycle), u.Suspended, u.ExternallyManaged, u.CreatedAt.UnixMicro())
	if err != nil {
		return u, fmt.Errorf("insert user: %w", err)
	}
	if n2 == 0 {
		return u, errEmailTaken(n.Email)
	}
	return u, nil
}

// countOwners is asked for each suspension, so it must not look at more than the owners. The group comes
// from a subquery, or SQLite would begin with everybody who is in any group; lifecycle is compared with its
// other value, or PostgreSQL, while it knows no better, would read the whole index of active people.
const countOwners = `SELECT COALESCE(SUM(CASE WHEN u.id = $1 THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN u.id = $1 THEN 0 ELSE 1 END), 0)
	FROM group_members m JOIN users u ON u.account_id = m.account_id AND u.id = m.user_id
	WHERE m.account_id = $2 AND m.group_id = (SELECT id FROM groups WHERE account_id = $2 AND kind = 'owners')
	AND u.lifecycle <> 'invited' AND u.suspended = $3`

// isLastOwner reports whether the account would have no active owner without this person.
func (tx *Tx) isLastOwner(u directory.User) (bool, error) {
	if u.Suspended || u.Lifecycle != directory.Active {
		return false, nil
	}
	owner, others := 0, 0
	if err := tx.row(countOwners, u.ID, u.AccountID, false).Scan(&owner, &others); err != nil {
		return false, fmt.Errorf("count owners: %w", err)
	}
	return owner == 1 && others == 0, nil
}
