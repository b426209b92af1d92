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
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/vault"
)

var _ vault.Store = (*DB)(nil)

// mine begins a statement that asks for what a person may see: mine are the grantees that she is, none if
// she is not active. $1 is the account, $2 the person, $3 false.
const mine = `WITH mine (account_id, grantee) AS (
		SELECT u.account_id, 'user:' || u.id FROM users u
		WHERE u.account_id = $1 AND u.id = $2 AND u.lifecycle = 'active' AND u.suspended = $3
		UNION ALL SELECT u.account_id, 'group:' || m.group_id FROM users u JOIN group_members m ON m.account_id = u.account_id AND m.user_id = u.id
		WHERE u.account_id = $1 AND u.id = $2 AND u.lifecycle = 'active' AND u.suspended = $3
		UNION ALL SELECT u.account_id, 'group:' || g.id FROM users u JOIN groups g ON g.account_id = u.account_id AND g.kind = 'team_members'
		WHERE u.account_id = $1 AND u.id = $2 AND u.lifecycle = 'active' AND u.suspended = $3) `

// The rest of such statements. The grants are looked into from the grantees (CROSS JOIN keeps the order),
// or SQLite would read those of the whole account.
const (
	vaultColumns = `v.id, v.name, v.description, v.created_at, v.created_by, seen.access,
		(SELECT COUNT(*) FROM vault_items WHERE vault_items.account_id = v.account_id AND vault_items.vault_id = v.id AND vault_items.archived_at IS NULL) `
	seenVaults = "SELECT " + vaultColumns + `FROM (
		SELECT vault_grants.account_id, vault_grants.vault_id, MAX(vault_grants.access) AS access FROM mine CROSS JOIN vault_grants
		WHERE vault_grants.account_id = mine.account_id AND vault_grants.grantee = mine.grantee
		GROUP BY vault_grants.account_id, vault_grants.vault_id) seen JOIN vaults v ON v.account_id = seen.account_id AND v.id = seen.vault_id`
	seenVault = "SELECT " + vaultColumns + `FROM (
		SELECT vault_grants.account_id, vault_grants.vault_id, MAX(vault_grants.access) AS access FROM mine CROSS JOIN vault_grants
		WHERE vault_grants.account_id = mine.account_id AND vault_grants.grantee = mine.grantee AND vault_grants.vault_id = $4
		GROUP BY vault_grants.account_id, vault_grants.vault_id) seen JOIN vaults v ON v.account_id = seen.account_id AND v.id = seen.vault_id`
)

func scanVault(account string) func(scanner) (vault.Vault, error) {
	return func(r scanner) (vault.Vault, error) {
		v := vault.Vault{AccountID: account}
		var created int64
		err := r.Scan(&v.ID, &v.Name, &v.Description, &created, &v.CreatedBy, &v.Access, &v.Items)
		v.CreatedAt, v.CreatedBy = time.UnixMicro(created).UTC(), vault.UserGrantee+v.CreatedBy
		return v, err
	}
}

// oneVault is the vault of the rows.
func oneVault(v vault.Viewer, id string, rows *sql.Rows, err error) (vault.Vault, error) {
	found, err := collect(rows, err, scanVault(v.AccountID))
	if err != nil {
		return vault.Vault{}, fmt.Errorf("read vault %q: %w", id, err)
	}
	if len(found) == 0 {
		return vault.Vault{}, vault.ErrNoVault(id)
	}
	return found[0], nil
}

// Vaults implements [vault.Store].
func (db *DB) Vaults(ctx context.Context, v vault.Viewer) ([]vault.Vault, error) {
	rows, err := db.query(ctx, mine+seenVaults, v.AccountID, v.UserID, false)
	vaults, err := collect(rows, err, scanVault(v.AccountID))
	if err != nil {
		return nil, fmt.Errorf("read vaults of %q: %w", v.UserID, err)
	}
	slices.SortFunc(vaults, func(a, b vault.Vault) int {
		return cmp.Or(cmp.Compare(vault.Key(a.Name), vault.Key(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	return vaults, nil
}

// Vault implements [vault.Store].
func (db *DB) Vault(ctx context.Context, v vault.Viewer, id string) (vault.Vault, error) {
	if !seal.ValidID(id) {
		return vault.Vault{}, vault.ErrNoVault(id)
	}
	rows, err := db.query(ctx, mine+seenVault, v.AccountID, v.UserID, false, id)
	return oneVault(v, id, rows, err)
}

// vault reads a vault inside the transaction. If the viewer has less access than needed, the attempt
// is refused.
func (tx *Tx) vault(v vault.Viewer, id string, need vault.Access, by audit.Entry) (vault.Vault, error) {
	if !seal.ValidID(id) {
		return vault.Vault{}, vault.ErrNoVault(id)
	}
	rows, err := tx.rows(mine+seenVault, v.AccountID, v.UserID, false, id)
	found, err := oneVault(v, id, rows, err)
	if err == nil && found.Access < need {
		err = tx.refuse(v.AccountID, by, vault.ErrAccess(found.Access, need))
	}
	return found, err
}

// CreateVault implements [vault.Store].
func (db *DB) CreateVault(ctx context.Context, v vault.Viewer, n vault.Vault, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		var owners string
		err := tx.row("SELECT id FROM groups WHERE account_id = $1 AND kind = 'owners'", v.AccountID).Scan(&owners)
		if errors.Is(err, sql.ErrNoRows) {
			return problem.New(problem.NotFound, "no account %q", v.AccountID)
		}
		if err != nil {
			return fmt.Errorf("read group of owners: %w", err)
		}
		var active int
		if err := tx.row("SELECT COUNT(*) FROM users WHERE account_id = $1 AND id = $2 AND lifecycle = 'active' AND suspended = $3",
			v.AccountID, v.UserID, false).Scan(&active); err != nil {
			return fmt.Errorf("read user %q: %w", v.UserID, err)
		}
		if active == 0 {
			return tx.refuse(v.AccountID, by, problem.New(problem.Forbidden, "only somebody who is active in the account can make a vault"))
		}
		if _, err := tx.exec("INSERT INTO vaults (account_id, id, name, description, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)",
			v.AccountID, n.ID, n.Name, n.Description, n.CreatedAt.UnixMicro(), v.UserID); err != nil {
			return fmt.Errorf("insert vault: %w", err)
		}
		for _, grantee := range []string{vault.UserGrantee + v.UserID, vault.GroupGrantee + owners} {
			if err := tx.writeGrant(v.AccountID, n.ID, grantee, vault.Manage); err != nil {
				return err
			}
		}
		return tx.append(v.AccountID, by.Because(n.Name))
	})
}

// UpdateVault implements [vault.Store].
func (db *DB) UpdateVault(ctx context.Context, v vault.Viewer, id, name, description string, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		was, err := tx.vault(v, id, vault.Manage, by)
		if err != nil || was.Name == name && was.Description == description {
			return err
		}
		if _, err := tx.exec("UPDATE vaults SET name = $1, description = $2 WHERE account_id = $3 AND id = $4", name, description, v.AccountID, id); err != nil {
			return fmt.Errorf("update vault %q: %w", id, err)
		}
		return tx.append(v.AccountID, by.Because(name+", before "+was.Name))
	})
}

// DeleteVault implements [vault.Store].
func (db *DB) DeleteVault(ctx context.Context, v vault.Viewer, id string, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		was, err := tx.vault(v, id, vault.Manage, by)
		if err != nil {
			return err
		}
		if was.Items > 0 {
			return vault.ErrNotEmpty(was.Items)
		}
		for _, q := range []string{
			"DELETE FROM vault_item_versions WHERE account_id = $1 AND vault_id = $2",
			"DELETE FROM vault_items WHERE account_id = $1 AND vault_id = $2",
			"DELETE FROM vault_grants WHERE account_id = $1 AND vault_id = $2",
			"DELETE FROM vaults WHERE account_id = $1 AND id = $2",
		} {
			if _, err := tx.exec(q, v.AccountID, id); err != nil {
				return fmt.Errorf("delete vault %q: %w", id, err)
			}
		}
		return tx.append(v.AccountID, by.Because(was.Name))
	})
}

// Grants implements [vault.Store].
func (db *DB) Grants(ctx context.Context, v vault.Viewer, id string) ([]vault.Grant, error) {
	if _, err := db.Vault(ctx, v, id); err != nil {
		return nil, err
	}
	// SUBSTR leaves the id behind the prefix. Who was removed has no name here, and no access.
	rows, err := db.query(ctx, `SELECT vault_grants.grantee, vault_grants.access, COALESCE(u.display_name, g.name) FROM vault_grants
		LEFT JOIN users u ON u.account_id = vault_grants.account_id AND u.id = SUBSTR(vault_grants.grantee, 6)
		LEFT JOIN groups g ON g.account_id = vault_grants.account_id AND g.id = SUBSTR(vault_grants.grantee, 7)
		WHERE vault_grants.account_id = $1 AND vault_grants.vault_id = $2 AND COALESCE(u.display_name, g.name) IS NOT NULL`, v.AccountID, id)
	grants, err := collect(rows, err, func(r scanner) (g vault.Grant, err error) {
		return g, r.Scan(&g.Grantee, &g.Access, &g.Name)
	})
	if err != nil {
		return nil, fmt.Errorf("read grants of vault %q: %w", id, err)
	}
	person := func(g vault.Grant) int { return strings.Index(g.Grantee, vault.GroupGrantee) }
	slices.SortFunc(grants, func(a, b vault.Grant) int {
		return cmp.Or(cmp.Compare(person(b), person(a)), cmp.Compare(vault.Key(a.Name), vault.Key(b.Name)), cmp.Compare(a.Grantee, b.Grantee))
	})
	return grants, nil
}

// SetGrant implements [vault.Store].
func (db *DB) SetGrant(ctx context.Context, v vault.Viewer, id, grantee string, access vault.Access, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		if _, err := tx.vault(v, id, vault.Manage, by); err != nil {
			return err
		}
		if err := tx.checkGrantee(v.AccountID, grantee); err != nil {
			return err
		}
		was, err := tx.grant(v.AccountID, id, grantee)
		if err != nil || was == access {
			return err
		}
		if err := tx.keepManaged(v.AccountID, id, grantee, was, by); err != nil {
			return err
		}
		if err := tx.writeGrant(v.AccountID, id, grantee, access); err != nil {
			return err
		}
		return tx.append(v.AccountID, by.Because(fmt.Sprintf("%s: %s, before %s", grantee, access, was)))
	})
}

// RemoveGrant implements [vault.Store].
func (db *DB) RemoveGrant(ctx context.Context, v vault.Viewer, id, grantee string, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		if _, err := tx.vault(v, id, vault.Manage, by); err != nil {
			return err
		}
		was, err := tx.grant(v.AccountID, id, grantee)
		if err != nil || was == vault.None {
			return err
		}
		if err := tx.keepManaged(v.AccountID, id, grantee, was, by); err != nil {
			return err
		}
		if err := tx.deleteGrant(v.AccountID, id, grantee); err != nil {
			return err
		}
		return tx.append(v.AccountID, by.Because(fmt.Sprintf("%s: before %s", grantee, was)))
	})
}

// grant is the access that a grantee was given itself.
func (tx *Tx) grant(account, id, grantee string) (a vault.Access, err error) {
	err = tx.row("SELECT access FROM vault_grants WHERE account_id = $1 AND vault_id = $2 AND grantee = $3", account, id, grantee).Scan(&a)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return a, fmt.Errorf("read grant of vault %q: %w", id, err)
	}
	return a, nil
}

func (tx *Tx) writeGrant(account, id, grantee string, access vault.Access) error {
	_, err := tx.exec(`INSERT INTO vault_grants (account_id, vault_id, grantee, access, granted_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account_id, vault_id, grantee) DO UPDATE SET access = excluded.access, granted_at = excluded.granted_at`,
		account, id, grantee, int64(access), tx.now.UnixMicro())
	if err != nil {
		return fmt.Errorf("write grant of vault %q: %w", id, err)
	}
	return nil
}

// checkGrantee looks whether the account has the person or the group.
func (tx *Tx) checkGrantee(account, grantee string) error {
	query := "SELECT COUNT(*) FROM users WHERE account_id = $1 AND id = $2"
	id, person := strings.CutPrefix(grantee, vault.UserGrantee)
	if !person {
		query, id = "SELECT COUNT(*) FROM groups WHERE account_id = $1 AND id = $2", strings.TrimPrefix(grantee, vault.GroupGrantee)
	}
	n := 0
	if err := tx.row(query, account, id).Scan(&n); err != nil {
		return fmt.Errorf("look for %q: %w", grantee, err)
	}
	if n == 0 {
		return vault.ErrNoGrantee(grantee)
	}
	return nil
}

// keepManaged refuses to take the manage grant from a grantee if no other is left that is somebody.
func (tx *Tx) keepManaged(account, id, grantee string, was vault.Access, by audit.Entry) error {
	if was != vault.Manage {
		return nil
	}
	managed, err := tx.managedBeside(account, id, grantee)
	if err == nil && !managed {
		err = tx.refuse(account, by, vault.ErrLastManage())
	}
	return err
}

// managedBeside reports whether somebody manages the vault besides the grantee: a person who is there, or
// a group that has members.
func (tx *Tx) managedBeside(account, id, grantee string) (bool, error) {
	others := 0
	err := tx.row(`SELECT COUNT(*) FROM vault_grants WHERE account_id = $1 AND vault_id = $2 AND grantee <> $3 AND access = $4 AND (
		EXISTS (SELECT 1 FROM users u WHERE u.account_id = vault_grants.account_id AND u.id = SUBSTR(vault_grants.grantee, 6))
		OR EXISTS (SELECT 1 FROM group_members m WHERE m.account_id = vault_grants.account_id AND m.group_id = SUBSTR(vault_grants.grantee, 7))
		OR EXISTS (SELECT 1 FROM groups g WHERE g.account_id = vault_grants.account_id AND g.id = SUBSTR(vault_grants.grantee, 7) AND g.kind = 'team_members'))`,
		account, id, grantee, int64(vault.Manage)).Scan(&others)
	if err != nil {
		return false, fmt.Errorf("count who manages vault %q: %w", id, err)
	}
	return others > 0, nil
}

// endGrantsOf takes a group that is to be deleted out of every vault, and returns of how many. It is refused while
// the group is the only one that manages a vault; the vault is not named, since who deletes the group need
// not see it.
func (tx *Tx) endGrantsOf(account, groupID string, by audit.Entry) (vaults int, err error) {
	grantee := vault.GroupGrantee + groupID
	type grant struct {
		vault  string
		access vault.Access
	}
	rows, err := tx.rows("SELECT vault_id, access FROM vault_grants WHERE account_id = $1 AND grantee = $2", account, grantee)
	grants, err := collect(rows, err, func(r scanner) (g grant, err error) { return g, r.Scan(&g.vault, &g.access) })
	if err != nil {
		return 0, fmt.Errorf("read grants of %q: %w", grantee, err)
	}
	for _, g := range grants {
		if g.access != vault.Manage {
			continue
		}
		managed, err := tx.managedBeside(account, g.vault, grantee)
		if err != nil {
			return 0, err
		}
		if !managed {
			return 0, tx.refuse(account, by, directory.ErrManagesVault())
		}
	}
	for _, g := range grants {
		if err := tx.deleteGrant(account, g.vault, grantee); err != nil {
			return 0, err
		}
	}
	return len(grants), nil
}

func (tx *Tx) deleteGrant(account, id, grantee string) error {
	if _, err := tx.exec("DELETE FROM vault_grants WHERE account_id = $1 AND vault_id = $2 AND grantee = $3", account, id, grantee); err != nil {
		return fmt.Errorf("remove grant of vault %q: %w", id, err)
	}
	return nil
}
