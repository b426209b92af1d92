package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
)

// What people may do to people, and what the console asks of groups and links.

// isOwner reports whether the person belongs to the owners; active, only if she may act as one.
const isOwner = `SELECT COUNT(*) FROM group_members m JOIN users u ON u.account_id = m.account_id AND u.id = m.user_id
	WHERE m.account_id = $1 AND m.user_id = $2 AND m.group_id = (SELECT id FROM groups WHERE account_id = $1 AND kind = 'owners')
	AND u.suspended <= $3`

// owner reports whether the person is an owner, suspended or not if that does not matter.
func (tx *Tx) owner(account, userID string, suspendedToo bool) (bool, error) {
	n := 0
	if err := tx.row(isOwner, account, userID, suspendedToo).Scan(&n); err != nil {
		return false, fmt.Errorf("look whether %q is an owner: %w", userID, err)
	}
	return n > 0, nil
}

// ownersOnly refuses a person who is no active owner.
func (tx *Tx) ownersOnly(account string, by audit.Entry) error {
	actor, person := strings.CutPrefix(by.Actor, "user:")
	if !person {
		return nil
	}
	owner, err := tx.owner(account, actor, false)
	if err != nil || owner {
		return err
	}
	return tx.refuse(account, by, directory.ErrOwnersOnly())
}

// mayAffect refuses a person who is no owner what she would do to one.
func (tx *Tx) mayAffect(account, userID string, by audit.Entry) error {
	if !strings.HasPrefix(by.Actor, "user:") {
		return nil
	}
	owner, err := tx.owner(account, userID, true)
	if err != nil || !owner {
		return err
	}
	return tx.ownersOnly(account, by)
}

// mayJoin refuses a person who is no owner to put somebody into Owners.
func (tx *Tx) mayJoin(account string, names []string, groups map[string]directory.Group, by audit.Entry) error {
	for _, name := range names {
		if groups[directory.GroupKey(name)].Kind == directory.Owners {
			return tx.ownersOnly(account, by)
		}
	}
	return nil
}

// InviteUser implements [directory.Store].
func (db *DB) InviteUser(ctx context.Context, accountID string, n directory.NewUser, link directory.SetupLink, by audit.Entry) (directory.User, error) {
	var u directory.User
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		groups, err := tx.groupIDs(accountID)
		if err != nil {
			return err
		}
		if err := tx.mayJoin(accountID, n.Groups, groups, by.For(audit.UserInvite, "")); err != nil {
			return err
		}
		if u, err = tx.insertUser(accountID, n, directory.Invited); err != nil {
			return err
		}
		if err := tx.joinGroups(accountID, u.ID, n.Groups, groups); err != nil {
			return err
		}
		if err := tx.insertLink(accountID, u.ID, link); err != nil {
			return err
		}
		return tx.append(accountID, by.For(audit.UserInvite, "user:"+u.ID))
	})
	return u, err
}

// ReplaceSetupLink implements [directory.Store].
func (db *DB) ReplaceSetupLink(ctx context.Context, accountID, userID string, link directory.SetupLink, by audit.Entry) error {
	by = by.For(audit.UserSetupLink, "user:"+userID)
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		u, err := tx.user(accountID, userID)
		if err != nil {
			return err
		}
		if u.Suspended {
			return tx.refuse(accountID, by, problem.Coded(problem.Conflict, "suspended", "this person is suspended; reactivate first"))
		}
		if err := tx.mayAffect(accountID, userID, by); err != nil {
			return err
		}
		if _, err := tx.exec("DELETE FROM setup_links WHERE account_id = $1 AND user_id = $2 AND used_at IS NULL", accountID, userID); err != nil {
			return fmt.Errorf("delete set-up links of %q: %w", userID, err)
		}
		if err := tx.insertLink(accountID, userID, link); err != nil {
			return err
		}
		return tx.append(accountID, by)
	})
}

func (tx *Tx) insertLink(account, userID string, l directory.SetupLink) error {
	_, err := tx.exec("INSERT INTO setup_links (hash, account_id, user_id, expires_at) VALUES ($1, $2, $3, $4)",
		l.Hash[:], account, userID, l.ExpiresAt.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert set-up link: %w", err)
	}
	return nil
}

// RenameGroup implements [directory.Store].
func (db *DB) RenameGroup(ctx context.Context, accountID, groupID, name string, by audit.Entry) error {
	by = by.For(audit.GroupUpdate, "group:"+groupID)
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		g, err := tx.customGroup(accountID, groupID, by)
		if err != nil || g.Name == name {
			return err
		}
		key := directory.GroupKey(name)
		var other string
		err = tx.row("SELECT id FROM groups WHERE account_id = $1 AND name_key = $2", accountID, key).Scan(&other)
		switch {
		case err == nil && other != groupID:
			return errGroupTaken(name)
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("look for group: %w", err)
		}
		if _, err := tx.exec("UPDATE groups SET name = $1, name_key = $2 WHERE account_id = $3 AND id = $4", name, key, accountID, groupID); err != nil {
			return fmt.Errorf("rename group %q: %w", groupID, err)
		}
		return tx.append(accountID, by.Because(fmt.Sprintf("name %q to %q", g.Name, name)))
	})
}

// DeleteGroup implements [directory.Store].
func (db *DB) DeleteGroup(ctx context.Context, accountID, groupID string, by audit.Entry) error {
	by = by.For(audit.GroupDelete, "group:"+groupID)
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		g, err := tx.customGroup(accountID, groupID, by)
		if err != nil {
			return err
		}
		vaults, err := tx.endGrantsOf(accountID, groupID, by)
		if err != nil {
			return err
		}
		members := "group_members"
		if db.postgres == "" { // left alone, SQLite would look at everybody who is in any group
			members += " INDEXED BY group_members_group"
		}
		n, err := tx.exec("DELETE FROM "+members+" WHERE account_id = $1 AND group_id = $2", accountID, groupID)
		if err != nil {
			return fmt.Errorf("delete members of group %q: %w", groupID, err)
		}
		if _, err := tx.exec("DELETE FROM groups WHERE account_id = $1 AND id = $2", accountID, groupID); err != nil {
			return fmt.Errorf("delete group %q: %w", groupID, err)
		}
		return tx.append(accountID, by.Because(fmt.Sprintf("%s, which had %d members and access to %d vaults", g.Name, n, vaults)))
	})
}

// customGroup is a group that may be changed; a built-in one is refused.
func (tx *Tx) customGroup(account, id string, by audit.Entry) (directory.Group, error) {
	g, err := tx.group(account, id)
	if err == nil && g.Kind != directory.Custom {
		err = tx.refuse(account, by, directory.ErrBuiltIn(g.Name))
	}
	return g, err
}

// GroupCounts implements [directory.Store].
func (db *DB) GroupCounts(ctx context.Context, accountID string) ([]directory.GroupCount, error) {
	rows, err := db.query(ctx, `SELECT g.id, g.name, g.kind,
		(SELECT COUNT(*) FROM group_members m WHERE m.account_id = g.account_id AND m.group_id = g.id)
		FROM groups g WHERE g.account_id = $1 ORDER BY g.name_key`, accountID)
	counts, err := collect(rows, err, func(r scanner) (directory.GroupCount, error) {
		c := directory.GroupCount{Group: directory.Group{AccountID: accountID}}
		return c, r.Scan(&c.ID, &c.Name, &c.Kind, &c.Members)
	})
	if err != nil {
		return nil, fmt.Errorf("count members of groups: %w", err)
	}
	everybody := slices.IndexFunc(counts, func(c directory.GroupCount) bool { return c.Kind == directory.TeamMembers })
	if everybody < 0 {
		return counts, nil
	}
	n, err := db.Counts(ctx, accountID)
	counts[everybody].Members = n.Active + n.Suspended
	return counts, err
}

const (
	countByState = "SELECT COUNT(*) FROM users" + countedByState
	// As with listByStateSQLite.
	countByStateSQLite = "SELECT COUNT(*) FROM users INDEXED BY users_state" + countedByState
	countedByState     = " WHERE account_id = $1 AND suspended = $2 AND lifecycle = 'active'"
	countInvited       = "SELECT COUNT(*) FROM users" + countedInvited
	countInvitedSQLite = "SELECT COUNT(*) FROM users INDEXED BY users_invited" + countedInvited
	countedInvited     = " WHERE account_id = $1 AND lifecycle = 'invited'"
)

// Counts implements [directory.Store].
func (db *DB) Counts(ctx context.Context, accountID string) (directory.Counts, error) {
	var n directory.Counts
	byState, invited := countByState, countInvited
	if db.postgres == "" {
		byState, invited = countByStateSQLite, countInvitedSQLite
	}
	for _, c := range []struct {
		query string
		args  []any
		into  *int
	}{
		{byState, []any{accountID, false}, &n.Active},
		{byState, []any{accountID, true}, &n.Suspended},
		{invited, []any{accountID}, &n.Invited},
		{"SELECT COUNT(*) FROM removed_users WHERE account_id = $1", []any{accountID}, &n.Removed},
	} {
		if err := db.get(ctx, c.query, c.args, c.into); err != nil {
			return n, fmt.Errorf("count people: %w", err)
		}
	}
	return n, nil
}
