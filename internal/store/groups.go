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
	"holdfast/internal/seal"
)

func scanGroup(account string) func(scanner) (directory.Group, error) {
	return func(r scanner) (directory.Group, error) {
		g := directory.Group{AccountID: account}
		return g, r.Scan(&g.ID, &g.Name, &g.Kind)
	}
}

// Groups implements [directory.Store].
func (db *DB) Groups(ctx context.Context, accountID string) ([]directory.Group, error) {
	rows, err := db.query(ctx, "SELECT id, name, kind FROM groups WHERE account_id = $1 ORDER BY name_key", accountID)
	groups, err := collect(rows, err, scanGroup(accountID))
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	return groups, nil
}

// GroupsOf implements [directory.Store].
func (db *DB) GroupsOf(ctx context.Context, accountID, userID string) ([]directory.Group, error) {
	rows, err := db.query(ctx, `SELECT g.id, g.name, g.kind FROM group_members m
		JOIN groups g ON g.account_id = m.account_id AND g.id = m.group_id
		WHERE m.account_id = $1 AND m.user_id = $2
		UNION SELECT id, name, kind FROM groups WHERE account_id = $1 AND kind = 'team_members' ORDER BY 2`, accountID, userID)
	groups, err := collect(rows, err, scanGroup(accountID))
	if err != nil {
		return nil, fmt.Errorf("read groups of %q: %w", userID, err)
	}
	return groups, nil
}

// GroupsOfMany implements [directory.Store]. The last id fills up the list, so that there is one statement
// to prepare, however many people a page has.
func (db *DB) GroupsOfMany(ctx context.Context, accountID string, userIDs []string) (map[string][]directory.Group, error) {
	groups := map[string][]directory.Group{}
	if len(userIDs) == 0 {
		return groups, nil
	}
	if len(userIDs) > directory.MaxGroupsOf {
		return nil, fmt.Errorf("read groups of %d people: at most %d can be asked for at once", len(userIDs), directory.MaxGroupsOf)
	}
	st := new(statement).add(`SELECT m.user_id, g.id, g.name, g.kind FROM group_members m
		JOIN groups g ON g.account_id = m.account_id AND g.id = m.group_id
		WHERE m.account_id = ? AND m.user_id IN (?`, accountID, userIDs[0])
	for i := range directory.MaxGroupsOf - 1 {
		st.add(", ?", userIDs[min(i+1, len(userIDs)-1)])
	}
	st.add(")")
	rows, err := db.query(ctx, st.text.String(), st.args...)
	type membership struct {
		user  string
		group directory.Group
	}
	all, err := collect(rows, err, func(r scanner) (membership, error) {
		m := membership{group: directory.Group{AccountID: accountID}}
		return m, r.Scan(&m.user, &m.group.ID, &m.group.Name, &m.group.Kind)
	})
	if err != nil {
		return nil, fmt.Errorf("read groups of %d people: %w", len(userIDs), err)
	}
	for _, m := range all {
		groups[m.user] = append(groups[m.user], m.group)
	}
	for _, gs := range groups {
		slices.SortFunc(gs, func(a, b directory.Group) int { return strings.Compare(a.Name, b.Name) })
	}
	return groups, nil
}

// Members implements [directory.Store].
func (db *DB) Members(ctx context.Context, accountID, groupID, after string, limit int) ([]directory.User, error) {
	var g directory.Group
	err := db.get(ctx, "SELECT name, kind FROM groups WHERE account_id = $1 AND id = $2", []any{accountID, groupID}, &g.Name, &g.Kind)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoGroupID(groupID)
	}
	if err != nil {
		return nil, fmt.Errorf("read group %q: %w", groupID, err)
	}
	if g.Kind == directory.TeamMembers { // everybody, of which no rows are kept
		return db.ListUsers(ctx, accountID, directory.ListQuery{After: after, Limit: limit})
	}
	rows, err := db.query(ctx, `SELECT u.id, u.email, u.display_name, u.lifecycle, u.suspended, u.externally_managed, u.created_at FROM group_members m
		JOIN users u ON u.account_id = m.account_id AND u.id = m.user_id
		WHERE m.account_id = $1 AND m.group_id = $2 AND m.user_id > $3 ORDER BY m.user_id LIMIT $4`, accountID, groupID, after, limit)
	us, err := collect(rows, err, scanUser(accountID))
	if err != nil {
		return nil, fmt.Errorf("read members of %q: %w", g.Name, err)
	}
	return us, nil
}

// CreateGroup implements [directory.Store].
func (db *DB) CreateGroup(ctx context.Context, accountID, name string, by audit.Entry) (directory.Group, error) {
	g := directory.Group{AccountID: accountID, ID: seal.NewID(), Name: strings.TrimSpace(name), Kind: directory.Custom}
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		if _, err := tx.groupIDs(accountID); err != nil {
			return err
		}
		if err := tx.insertGroup(g); err != nil {
			return err
		}
		by.Action, by.Target = audit.GroupCreate, "group:"+g.ID
		return tx.append(accountID, by.Because(g.Name))
	})
	return g, err
}

func (tx *Tx) insertGroup(g directory.Group) error {
	n, err := tx.exec(`INSERT INTO groups (account_id, id, name, name_key, kind, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account_id, name_key) DO NOTHING`,
		g.AccountID, g.ID, g.Name, directory.GroupKey(g.Name), string(g.Kind), tx.now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert group: %w", err)
	}
	if n == 0 {
		return errGroupTaken(g.Name)
	}
	return nil
}

// AddMember implements [directory.Store].
func (db *DB) AddMember(ctx context.Context, accountID, groupID, userID string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		g, err := tx.group(accountID, groupID)
		if err != nil {
			return err
		}
		if _, err := tx.user(accountID, userID); err != nil {
			return err
		}
		if g.Kind == directory.TeamMembers {
			return nil // everybody is
		}
		by := by.For(audit.GroupMemberAdd, "user:"+userID)
		if g.Kind == directory.Owners {
			if err := tx.ownersOnly(accountID, by); err != nil {
				return err
			}
		}
		if added, err := tx.insertMember(accountID, groupID, userID); err != nil || !added {
			return err
		}
		return tx.append(accountID, by.Because("group "+g.Name))
	})
}

// RemoveMember implements [directory.Store].
func (db *DB) RemoveMember(ctx context.Context, accountID, groupID, userID string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		g, err := tx.group(accountID, groupID)
		if err != nil {
			return err
		}
		by.Action, by.Target = audit.GroupMemberRemove, "user:"+userID
		if g.Kind == directory.Owners {
			u, err := tx.user(accountID, userID)
			if err != nil {
				return err
			}
			if err := tx.ownersOnly(accountID, by); err != nil {
				return err
			}
			if last, err := tx.isLastOwner(u); err != nil {
				return err
			} else if last {
				return tx.refuse(accountID, by, directory.ErrLastOwner())
			}
		}
		n, err := tx.exec("DELETE FROM group_members WHERE account_id = $1 AND group_id = $2 AND user_id = $3", accountID, groupID, userID)
		if err != nil || n == 0 {
			return err
		}
		return tx.append(accountID, by.Because("group "+g.Name))
	})
}

func (tx *Tx) group(account, id string) (directory.Group, error) {
	g, err := scanGroup(account)(tx.row("SELECT id, name, kind FROM groups WHERE account_id = $1 AND id = $2", account, id))
	if errors.Is(err, sql.ErrNoRows) {
		return g, errNoGroupID(id)
	}
	if err != nil {
		return g, fmt.Errorf("read group %q: %w", id, err)
	}
	return g, nil
}

// insertMember reports whether the person was not in the group before.
func (tx *Tx) insertMember(account, groupID, userID string) (added bool, err error) {
	n, err := tx.exec(`INSERT INTO group_members (account_id, group_id, user_id, added_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id, group_id, user_id) DO NOTHING`, account, groupID, userID, tx.now.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("add %q to group %q: %w", userID, groupID, err)
	}
	return n > 0, nil
}

// groupIDs maps the folded names of the account's groups to their ids.
func (tx *Tx) groupIDs(account string) (map[string]directory.Group, error) {
	rows, err := tx.rows("SELECT id, name, kind FROM groups WHERE account_id = $1", account)
	groups, err := collect(rows, err, scanGroup(account))
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	if len(groups) == 0 {
		return nil, problem.New(problem.NotFound, "no account %q", account)
	}
	byName := make(map[string]directory.Group, len(groups))
	for _, g := range groups {
		byName[directory.GroupKey(g.Name)] = g
	}
	return byName, nil
}

func (tx *Tx) joinGroups(account, userID string, names []string, groups map[string]directory.Group) error {
	for _, name := range names {
		g, ok := groups[directory.GroupKey(name)]
		if !ok {
			return errNoGroup(name)
		}
		if g.Kind == directory.TeamMembers {
			continue // everybody is
		}
		if _, err := tx.insertMember(account, g.ID, userID); err != nil {
			return err
		}
	}
	return nil
}

func errNoGroupID(id string) error { return problem.New(problem.NotFound, "no group %q", id) }

func errGroupTaken(name string) error {
	return problem.New(problem.Conflict, "the account already has a group %q", name)
}
