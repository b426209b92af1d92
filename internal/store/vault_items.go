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
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/vault"
)

// summaryColumns are those of an item i and its current version x.
const summaryColumns = "i.id, i.category, i.title, i.subtitled, i.link, i.version, x.made_at, x.made_by"

// summaryTargets are what summaryColumns are scanned into; made finishes the summary.
func summaryTargets(s *vault.SealedSummary, made *int64) []any {
	return []any{&s.ID, &s.Category, &s.Title, &s.Subtitled, &s.Link, &s.Version, made, &s.UpdatedBy}
}

func made(s *vault.SealedSummary, us int64) {
	s.UpdatedAt, s.UpdatedBy = time.UnixMicro(us).UTC(), vault.UserGrantee+s.UpdatedBy
}

// Items implements [vault.Store].
func (db *DB) Items(ctx context.Context, v vault.Viewer, vaultID string, q vault.ItemQuery) ([]vault.SealedSummary, error) {
	if _, err := db.Vault(ctx, v, vaultID); err != nil {
		return nil, err
	}
	after := ""
	if q.After != "" {
		if !seal.ValidID(q.After) {
			return nil, problem.InField("after", "%q is not the id of an item", q.After)
		}
		// It may have been archived since; its place in the order stays.
		err := db.get(ctx, "SELECT title_key FROM vault_items WHERE account_id = $1 AND vault_id = $2 AND id = $3", []any{v.AccountID, vaultID, q.After}, &after)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, problem.InField("after", "the vault has no item %q", q.After)
		}
		if err != nil {
			return nil, fmt.Errorf("find item %q: %w", q.After, err)
		}
	}
	rows, err := db.query(ctx, "SELECT "+summaryColumns+` FROM vault_items i
		JOIN vault_item_versions x ON x.account_id = i.account_id AND x.vault_id = i.vault_id AND x.item_id = i.id AND x.version = i.version
		WHERE i.account_id = $1 AND i.vault_id = $2 AND i.archived_at IS NULL AND (i.title_key, i.id) > ($3, $4) AND i.title_key LIKE $5 ESCAPE '\'
		ORDER BY i.title_key, i.id LIMIT $6`, v.AccountID, vaultID, after, q.After, containing(q.Search), q.Limit)
	items, err := collect(rows, err, func(r scanner) (s vault.SealedSummary, err error) {
		var us int64
		err = r.Scan(summaryTargets(&s, &us)...)
		made(&s, us)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read items of vault %q: %w", vaultID, err)
	}
	return items, nil
}

// containing is a pattern for what contains the text as it is.
func containing(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`, "\x00", "").Replace(strings.ToValidUTF8(s, "")) + "%"
}

// ItemsLinkedTo implements [vault.Store].
func (db *DB) ItemsLinkedTo(ctx context.Context, v vault.Viewer, link string) ([]vault.SealedLinked, error) {
	rows, err := db.query(ctx, mine+`SELECT v.id, v.name, v.description, v.created_at, v.created_by, seen.access, `+summaryColumns+`
		FROM (SELECT vault_grants.account_id, vault_grants.vault_id, MAX(vault_grants.access) AS access FROM mine CROSS JOIN vault_grants
		WHERE vault_grants.account_id = mine.account_id AND vault_grants.grantee = mine.grantee
		GROUP BY vault_grants.account_id, vault_grants.vault_id) seen
		JOIN vault_items i ON i.account_id = seen.account_id AND i.vault_id = seen.vault_id
		JOIN vaults v ON v.account_id = i.account_id AND v.id = i.vault_id
		JOIN vault_item_versions x ON x.account_id = i.account_id AND x.vault_id = i.vault_id AND x.item_id = i.id AND x.version = i.version
		WHERE i.link = $4 AND i.link <> '' AND i.archived_at IS NULL`, v.AccountID, v.UserID, false, link)
	linked, err := collect(rows, err, func(r scanner) (l vault.SealedLinked, err error) {
		var created, us int64
		l.Vault.AccountID = v.AccountID
		err = r.Scan(append([]any{&l.Vault.ID, &l.Vault.Name, &l.Vault.Description, &created, &l.Vault.CreatedBy, &l.Vault.Access},
			summaryTargets(&l.Item, &us)...)...)
		l.Vault.CreatedAt, l.Vault.CreatedBy = time.UnixMicro(created).UTC(), vault.UserGrantee+l.Vault.CreatedBy
		made(&l.Item, us)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("read items linked to %q: %w", link, err)
	}
	slices.SortFunc(linked, func(a, b vault.SealedLinked) int {
		return cmp.Or(b.Item.UpdatedAt.Compare(a.Item.UpdatedAt), cmp.Compare(a.Item.ID, b.Item.ID))
	})
	return linked, nil
}

// Item implements [vault.Store].
func (db *DB) Item(ctx context.Context, v vault.Viewer, vaultID, itemID string, version int) (vault.SealedItem, error) {
	i := vault.SealedItem{Item: vault.Item{AccountID: v.AccountID, VaultID: vaultID, ID: itemID}}
	if _, err := db.Vault(ctx, v, vaultID); err != nil {
		return i, err
	}
	if !seal.ValidID(itemID) {
		return i, vault.ErrNoItem(itemID)
	}
	var created, made int64
	err := db.get(ctx, `SELECT i.category, i.title, i.subtitled, i.link, i.created_at, i.created_by, x.version, x.made_at, x.made_by, x.sealed FROM vault_items i
		JOIN vault_item_versions x ON x.account_id = i.account_id AND x.vault_id = i.vault_id AND x.item_id = i.id
		WHERE i.account_id = $1 AND i.vault_id = $2 AND i.id = $3 AND i.archived_at IS NULL AND x.version = COALESCE($4, i.version)`,
		[]any{v.AccountID, vaultID, itemID, sql.NullInt64{Int64: int64(version), Valid: version != 0}},
		&i.Category, &i.Title, &i.Subtitled, &i.Link, &created, &i.CreatedBy, &i.Version, &made, &i.UpdatedBy, &i.Sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return i, vault.ErrNoItem(itemID)
	}
	if err != nil {
		return i, fmt.Errorf("read item %q: %w", itemID, err)
	}
	i.CreatedAt, i.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(made).UTC()
	i.CreatedBy, i.UpdatedBy = vault.UserGrantee+i.CreatedBy, vault.UserGrantee+i.UpdatedBy
	return i, nil
}

// SaveItem implements [vault.Store].
func (db *DB) SaveItem(ctx context.Context, v vault.Viewer, i vault.SealedItem, u vault.Usage, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		in, err := tx.vault(v, i.VaultID, vault.Edit, by)
		if err != nil {
			return err
		}
		if _, err := tx.exec(`INSERT INTO vault_items (account_id, vault_id, id, category, title, title_key, subtitled, link, version, created_at, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, v.AccountID, i.VaultID, i.ID, string(i.Category), i.Title, vault.Key(i.Title),
			blob(i.Subtitled), i.Link, i.Version, i.CreatedAt.UnixMicro(), v.UserID); err != nil {
			return fmt.Errorf("insert item: %w", err)
		}
		if err := tx.insertVersion(v, i, nil); err != nil {
			return err
		}
		return tx.use(u, by.Because(i.Title+", in vault "+in.Name))
	})
}

// blob is how bytes are stored that may not be there; none are NULL.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func (tx *Tx) insertVersion(v vault.Viewer, i vault.SealedItem, changed []string) error {
	_, err := tx.exec(`INSERT INTO vault_item_versions (account_id, vault_id, item_id, version, made_at, made_by, changed, sealed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		v.AccountID, i.VaultID, i.ID, i.Version, i.UpdatedAt.UnixMicro(), v.UserID, strings.Join(changed, " "), i.Sealed)
	if err != nil {
		return fmt.Errorf("insert version %d of item %q: %w", i.Version, i.ID, err)
	}
	return nil
}

// UpdateItem implements [vault.Store].
func (db *DB) UpdateItem(ctx context.Context, v vault.Viewer, i vault.SealedItem, changed []string, u vault.Usage, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		if _, err := tx.vault(v, i.VaultID, vault.Edit, by); err != nil {
			return err
		}
		current, _, err := tx.item(v.AccountID, i.VaultID, i.ID)
		if err != nil {
			return err
		}
		if seen := i.Version - 1; current != seen {
			return vault.ErrChanged(seen, current)
		}
		if len(changed) == 0 {
			return nil
		}
		if _, err := tx.exec("UPDATE vault_items SET title = $1, title_key = $2, subtitled = $3, version = $4 WHERE account_id = $5 AND vault_id = $6 AND id = $7",
			i.Title, vault.Key(i.Title), blob(i.Subtitled), i.Version, v.AccountID, i.VaultID, i.ID); err != nil {
			return fmt.Errorf("update item %q: %w", i.ID, err)
		}
		if err := tx.insertVersion(v, i, changed); err != nil {
			return err
		}
		return tx.use(u, by.Because(fmt.Sprintf("version %d: %s", i.Version, strings.Join(changed, ", "))))
	})
}

// item returns version and title of an item that is not archived.
func (tx *Tx) item(account, vaultID, id string) (version int, title string, err error) {
	if !seal.ValidID(id) {
		return 0, "", vault.ErrNoItem(id)
	}
	err = tx.row("SELECT version, title FROM vault_items WHERE account_id = $1 AND vault_id = $2 AND id = $3 AND archived_at IS NULL",
		account, vaultID, id).Scan(&version, &title)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", vault.ErrNoItem(id)
	}
	if err != nil {
		return 0, "", fmt.Errorf("read item %q: %w", id, err)
	}
	return version, title, nil
}

// ArchiveItem implements [vault.Store].
func (db *DB) ArchiveItem(ctx context.Context, v vault.Viewer, vaultID, itemID string, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		if _, err := tx.vault(v, vaultID, vault.Edit, by); err != nil {
			return err
		}
		_, title, err := tx.item(v.AccountID, vaultID, itemID)
		if err != nil {
			return err
		}
		if _, err := tx.exec("UPDATE vault_items SET archived_at = $1 WHERE account_id = $2 AND vault_id = $3 AND id = $4",
			tx.now.UnixMicro(), v.AccountID, vaultID, itemID); err != nil {
			return fmt.Errorf("archive item %q: %w", itemID, err)
		}
		return tx.append(v.AccountID, by.Because(title))
	})
}

// UseItem implements [vault.Store].
func (db *DB) UseItem(ctx context.Context, v vault.Viewer, u vault.Usage, by audit.Entry) error {
	return db.do(ctx, v.AccountID, durable, func(tx *Tx) error {
		if _, err := tx.vault(v, u.VaultID, vault.View, by); err != nil {
			return err
		}
		current, title, err := tx.item(v.AccountID, u.VaultID, u.ItemID)
		if err != nil {
			return err
		}
		if u.Version < 1 || u.Version > current {
			return vault.ErrNoItem(u.ItemID)
		}
		return tx.use(u, by.Because(fmt.Sprintf("%s of %s, version %d", by.Reason, title, u.Version)))
	})
}

// use writes a usage together with its audit entry.
func (tx *Tx) use(u vault.Usage, by audit.Entry) error {
	err := tx.insertEvent(feed.ItemUsages, u.AccountID, u.Client, u.Location,
		u.ID, u.VaultID, u.ItemID, u.Version, u.UserID, u.Action, u.SessionID)
	if err != nil {
		return fmt.Errorf("insert usage of item %q: %w", u.ItemID, err)
	}
	return tx.append(u.AccountID, by)
}

// ItemVersions implements [vault.Store].
func (db *DB) ItemVersions(ctx context.Context, v vault.Viewer, vaultID, itemID string) ([]vault.Version, error) {
	if _, err := db.Item(ctx, v, vaultID, itemID, 0); err != nil {
		return nil, err
	}
	rows, err := db.query(ctx, `SELECT x.version, x.made_at, x.made_by, COALESCE(u.display_name, r.display_name, ''), x.changed FROM vault_item_versions x
		LEFT JOIN users u ON u.account_id = x.account_id AND u.id = x.made_by
		LEFT JOIN removed_users r ON r.account_id = x.account_id AND r.id = x.made_by
		WHERE x.account_id = $1 AND x.vault_id = $2 AND x.item_id = $3 ORDER BY x.version DESC`, v.AccountID, vaultID, itemID)
	versions, err := collect(rows, err, func(r scanner) (x vault.Version, err error) {
		var us int64
		var changed string
		err = r.Scan(&x.Version, &us, &x.By, &x.ByName, &changed)
		x.At, x.By, x.Changed = time.UnixMicro(us).UTC(), vault.UserGrantee+x.By, strings.Fields(changed)
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("read versions of item %q: %w", itemID, err)
	}
	return versions, nil
}

// ItemUsages implements [vault.Store].
func (db *DB) ItemUsages(ctx context.Context, v vault.Viewer, vaultID, itemID string, limit int) ([]vault.Usage, error) {
	if _, err := db.Item(ctx, v, vaultID, itemID, 0); err != nil {
		return nil, err
	}
	rows, err := db.query(ctx, `SELECT x.id, x.at, x.user_id, COALESCE(u.display_name, r.display_name, ''), x.version, x.action, x.session_id, `+originOf("x.")+`
		FROM item_usages x LEFT JOIN users u ON u.account_id = x.account_id AND u.id = x.user_id
		LEFT JOIN removed_users r ON r.account_id = x.account_id AND r.id = x.user_id
		WHERE x.account_id = $1 AND x.item_id = $2 ORDER BY x.at DESC, x.id DESC LIMIT $3`, v.AccountID, itemID, limit)
	usages, err := collect(rows, err, func(r scanner) (vault.Usage, error) {
		x := vault.Usage{AccountID: v.AccountID, VaultID: vaultID, ItemID: itemID}
		var us int64
		err := scanEvent(r, &x.Client, &x.Location, &x.ID, &us, &x.UserID, &x.UserName, &x.Version, &x.Action, &x.SessionID)
		x.At = time.UnixMicro(us).UTC()
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("read usages of item %q: %w", itemID, err)
	}
	return usages, nil
}
