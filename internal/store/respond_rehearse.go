package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/respond"
)

// holdsOfOthers are those that no case has opened, ended ones too.
const holdsOfOthers = "SELECT user_id, opened_at, until_at, released_at FROM holds WHERE account_id = $1 AND substr(holder, 1, 5) <> 'case:'"

// Residents implements [respond.RehearseHistory]. Suspended and LastOwner are left to the rehearsal: they depend on the
// time, and on what it did before.
func (db *DB) Residents(ctx context.Context, accountID string) ([]respond.Resident, error) {
	rows, err := db.query(ctx, "SELECT "+userColumns+" FROM users WHERE account_id = $1 ORDER BY id", accountID)
	users, err := collect(rows, err, scanUser(accountID))
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	rows, err = db.query(ctx, "SELECT id, name, kind FROM groups WHERE account_id = $1", accountID)
	groups, err := collect(rows, err, scanGroup(accountID))
	if err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	slices.SortFunc(groups, func(a, b directory.Group) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	type member struct{ group, user string }
	rows, err = db.query(ctx, "SELECT group_id, user_id FROM group_members WHERE account_id = $1", accountID)
	members, err := collect(rows, err, func(r scanner) (m member, err error) { return m, r.Scan(&m.group, &m.user) })
	if err != nil {
		return nil, fmt.Errorf("read members of groups: %w", err)
	}
	in := make(map[member]bool, len(members))
	for _, m := range members {
		in[m] = true
	}
	rows, err = db.query(ctx, holdsOfOthers, accountID)
	holds, err := collect(rows, err, scanHeld)
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	away := map[string][]detect.Span{}
	for _, h := range holds {
		away[h.user] = append(away[h.user], h.span)
	}
	all := make([]respond.Resident, 0, len(users))
	for _, u := range users {
		r := respond.Resident{
			Person: respond.Person{
				ID: u.ID, Email: u.Email, Name: u.DisplayName, Active: u.Lifecycle == directory.Active, ExternallyManaged: u.ExternallyManaged,
			},
			Away: away[u.ID],
		}
		for _, g := range groups {
			member := in[member{g.ID, u.ID}]
			if member {
				r.MemberOf = append(r.MemberOf, g.ID)
				r.Protected = r.Protected || protects(g.Kind)
				r.Owner = r.Owner || g.Kind == directory.Owners && r.Active
			}
			if member || g.Kind == directory.TeamMembers {
				r.Groups, r.GroupIDs = append(r.Groups, g.Name), append(r.GroupIDs, g.ID)
			}
		}
		slices.Sort(r.MemberOf)
		all = append(all, r)
	}
	return all, nil
}

var _ respond.RehearseHistory = (*DB)(nil)
