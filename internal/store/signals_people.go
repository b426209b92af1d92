package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/signals"
)

// FindPeople implements [signals.Store].
func (db *DB) FindPeople(ctx context.Context, accountID, format string, ids, emails, aliases []string) (signals.Found, error) {
	found := signals.Found{}
	var err error
	same := func(s string) string { return s }
	if found.IDs, err = db.lookUp(ctx, []any{accountID}, ids, same, idsQuery); err != nil {
		return found, fmt.Errorf("find people by ID: %w", err)
	}
	if found.Emails, err = db.lookUp(ctx, []any{accountID}, emails, directory.EmailKey, emailsQuery); err != nil {
		return found, fmt.Errorf("find people by email: %w", err)
	}
	if found.Aliases, err = db.lookUp(ctx, []any{accountID, format}, aliases, directory.NameKey, aliasesQuery); err != nil {
		return found, fmt.Errorf("find people by alias: %w", err)
	}
	return found, nil
}

func idsQuery(n int) string {
	list := placeholders(2, n)
	return "SELECT id, id FROM users WHERE account_id = $1 AND id IN (" + list + ") UNION ALL SELECT id, id FROM removed_users WHERE account_id = $1 AND id IN (" + list + ")"
}

func emailsQuery(n int) string {
	return "SELECT email_key, id FROM users WHERE account_id = $1 AND email_key IN (" + placeholders(2, n) + ")"
}

// aliasesQuery finds those of the format last, so that they win over those of any.
func aliasesQuery(n int) string {
	return "SELECT alias_key, person_id FROM signal_aliases WHERE account_id = $1 AND source IN ('', $2) AND alias_key IN (" + placeholders(3, n) + ") ORDER BY alias_key, source"
}

// lookUp answers a query for keys of texts with what it finds by text. A key of nothing finds nothing.
func (db *DB) lookUp(ctx context.Context, first []any, texts []string, key func(string) string, query func(n int) string) (map[string]string, error) {
	byKey, keys := map[string]string{}, make([]string, 0, len(texts))
	for _, t := range texts {
		if k := key(storable(t, mostText)); k != "" {
			keys = append(keys, k)
		}
	}
	for _, part := range padded(keys, db.manyRows()) {
		args := append([]any{}, first...)
		for _, k := range part {
			args = append(args, k)
		}
		rows, err := db.query(ctx, query(len(part)), args...)
		pairs, err := collect(rows, err, func(r scanner) (p [2]string, err error) { return p, r.Scan(&p[0], &p[1]) })
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			byKey[p[0]] = p[1]
		}
	}
	found := map[string]string{}
	for _, t := range texts {
		if id, ok := byKey[key(storable(t, mostText))]; ok {
			found[t] = id
		}
	}
	return found, nil
}

// SetAlias implements [signals.Store].
func (db *DB) SetAlias(ctx context.Context, a signals.Alias, by audit.Entry) error {
	return db.do(ctx, a.AccountID, durable, func(tx *Tx) error {
		key := directory.NameKey(a.Name)
		if a.PersonID == "" {
			n, err := tx.exec("DELETE FROM signal_aliases WHERE account_id = $1 AND alias_key = $2 AND source = $3", a.AccountID, key, a.Format)
			if err != nil {
				return fmt.Errorf("remove alias: %w", err)
			}
			if n == 0 {
				return signals.ErrNoAlias(a.Name)
			}
			return tx.append(a.AccountID, by)
		}
		var there int
		err := tx.row("SELECT 1 FROM users WHERE account_id = $1 AND id = $2", a.AccountID, a.PersonID).Scan(&there)
		if errors.Is(err, sql.ErrNoRows) {
			return directory.ErrNoUser(a.PersonID)
		}
		if err != nil {
			return fmt.Errorf("look for user %q: %w", a.PersonID, err)
		}
		_, err = tx.exec(`INSERT INTO signal_aliases (account_id, source, alias_key, alias, person_id) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account_id, alias_key, source) DO UPDATE SET alias = excluded.alias, person_id = excluded.person_id`, a.AccountID, a.Format, key, a.Name, a.PersonID)
		if err != nil {
			return fmt.Errorf("set alias: %w", err)
		}
		return tx.append(a.AccountID, by)
	})
}

// Aliases implements [signals.Store].
func (db *DB) Aliases(ctx context.Context, accountID string) ([]signals.Alias, error) {
	rows, err := db.query(ctx, "SELECT source, alias, person_id FROM signal_aliases WHERE account_id = $1 ORDER BY alias_key, source", accountID)
	all, err := collect(rows, err, func(r scanner) (signals.Alias, error) {
		a := signals.Alias{AccountID: accountID}
		return a, r.Scan(&a.Format, &a.Name, &a.PersonID)
	})
	if err != nil {
		return nil, fmt.Errorf("read aliases: %w", err)
	}
	return all, nil
}
