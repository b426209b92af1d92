package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
)

const revisionQuery = "SELECT COALESCE((SELECT revision FROM rule_books WHERE account_id = $1), 0)"

// RulesRevision implements [detect.RuleStore].
func (db *DB) RulesRevision(ctx context.Context, accountID string) (int64, error) {
	var revision int64
	if err := db.get(ctx, revisionQuery, []any{accountID}, &revision); err != nil {
		return 0, fmt.Errorf("read the revision of rules: %w", err)
	}
	return revision, nil
}

// RuleItems implements [detect.RuleStore]. It is one statement, so that items and revision are of one moment.
func (db *DB) RuleItems(ctx context.Context, accountID string) (int64, []detect.RuleItem, error) {
	var revision int64
	rows, err := db.query(ctx, `SELECT b.revision, item.kind, item.name, item.body, item.updated_at, item.updated_by
		FROM rule_books b LEFT JOIN rule_items item ON item.account_id = b.account_id WHERE b.account_id = $1 ORDER BY item.kind, item.name`, accountID)
	all, err := collect(rows, err, func(r scanner) (item detect.RuleItem, err error) {
		var kind, name, by sql.NullString
		var us sql.NullInt64
		err = r.Scan(&revision, &kind, &name, &item.Body, &us, &by)
		item.Kind, item.Name, item.UpdatedAt, item.UpdatedBy = detect.RuleItemKind(kind.String), name.String, at(us), by.String
		return item, err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("read the rules of the account: %w", err)
	}
	if len(all) == 1 && all[0].Kind == "" { // a book without items
		all = nil
	}
	return revision, all, nil
}

// ChangeRuleBook implements [detect.RuleStore].
func (db *DB) ChangeRuleBook(ctx context.Context, accountID string, revision int64, items []detect.RuleItem, about string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		if err := tx.turnPage(accountID, revision); err != nil {
			return err
		}
		for i, item := range items {
			var before []byte
			err := tx.row("SELECT body FROM rule_items WHERE account_id = $1 AND kind = $2 AND name = $3", accountID, string(item.Kind), item.Name).Scan(&before)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("read %s %q: %w", item.Kind, item.Name, err)
			}
			if item.Body == nil {
				_, err = tx.exec("DELETE FROM rule_items WHERE account_id = $1 AND kind = $2 AND name = $3", accountID, string(item.Kind), item.Name)
			} else {
				_, err = tx.exec(`INSERT INTO rule_items (account_id, kind, name, body, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, $6)
					ON CONFLICT (account_id, kind, name) DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
					accountID, string(item.Kind), item.Name, item.Body, tx.now.UnixMicro(), by.Actor)
			}
			if err != nil {
				return fmt.Errorf("write %s %q: %w", item.Kind, item.Name, err)
			}
			if i > 0 {
				continue
			}
			_, err = tx.exec(`INSERT INTO rule_changes (account_id, revision, action, about, body_before, body_after, reason, at, actor)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
				accountID, revision+1, string(by.Action), about, bytesOrNull(before), bytesOrNull(item.Body), by.Reason, tx.now.UnixMicro(), by.Actor)
			if err != nil {
				return fmt.Errorf("note change of rules: %w", err)
			}
		}
		return tx.append(accountID, by)
	})
}

// turnPage makes the revision grow, if it is still the one that the change was made for.
func (tx *Tx) turnPage(accountID string, revision int64) error {
	var have int64
	err := tx.row("SELECT revision FROM rule_books WHERE account_id = $1", accountID).Scan(&have)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		var there int
		if err := tx.row("SELECT COUNT(*) FROM accounts WHERE id = $1", accountID).Scan(&there); err != nil {
			return fmt.Errorf("look for account %q: %w", accountID, err)
		}
		if there == 0 {
			return errNoAccount(accountID)
		}
	case err != nil:
		return fmt.Errorf("read the revision of rules: %w", err)
	}
	if have != revision {
		return detect.ErrRulesChanged()
	}
	_, err = tx.exec(`INSERT INTO rule_books (account_id, revision) VALUES ($1, $2) ON CONFLICT (account_id) DO UPDATE SET revision = excluded.revision`, accountID, revision+1)
	if err != nil {
		return fmt.Errorf("write the revision of rules: %w", err)
	}
	return nil
}

func bytesOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

const changeColumns = "revision, action, about, body_before, body_after, reason, at, actor"

// RuleChanges implements [detect.RuleStore].
func (db *DB) RuleChanges(ctx context.Context, accountID, about string, before int64, limit int) ([]detect.RuleChange, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	query, args := "SELECT "+changeColumns+" FROM rule_changes WHERE account_id = $1 AND revision < $2 ORDER BY revision DESC LIMIT $3", []any{accountID, before, limit}
	if about != "" {
		query = "SELECT " + changeColumns + " FROM rule_changes WHERE account_id = $1 AND about = $2 AND revision < $3 ORDER BY revision DESC LIMIT $4"
		args = []any{accountID, about, before, limit}
	}
	rows, err := db.query(ctx, query, args...)
	all, err := collect(rows, err, func(r scanner) (c detect.RuleChange, err error) {
		var us int64
		err = r.Scan(&c.Revision, &c.Action, &c.About, &c.Before, &c.After, &c.Reason, &us, &c.By)
		c.At = time.UnixMicro(us).UTC()
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read changes of rules: %w", err)
	}
	return all, nil
}

// SignalsReach implements [detect.RuleStore].
func (db *DB) SignalsReach(ctx context.Context, accountID string, from time.Time, most int) (detect.Place, int, error) {
	count, first := 0, int64(0)
	err := db.get(ctx, `SELECT COUNT(*), COALESCE(MIN(at), 0) FROM (SELECT at FROM signal_events WHERE account_id = $1 AND at >= $2 ORDER BY at DESC, seq DESC LIMIT $3) AS latest`,
		[]any{accountID, from.UnixMicro(), most}, &count, &first)
	if err != nil {
		return detect.Place{}, 0, fmt.Errorf("count events since %s: %w", from.Format(time.RFC3339), err)
	}
	if count < most {
		first = from.UnixMicro()
	}
	return detect.Place{At: time.UnixMicro(first).UTC()}, count, nil
}
