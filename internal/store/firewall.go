package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

const rulesQuery = "SELECT id, account_id, position, action, kind, value, note, created_at, created_by FROM firewall_rules WHERE account_id = $1"

// collectRules reads rules in order. There are few of them, so no index has to keep the order, too.
func collectRules(rows *sql.Rows, err error) ([]signin.Rule, error) {
	all, err := collect(rows, err, scanRule)
	if err != nil {
		return nil, fmt.Errorf("read firewall rules: %w", err)
	}
	slices.SortFunc(all, func(a, b signin.Rule) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

func scanRule(r scanner) (signin.Rule, error) {
	var rule signin.Rule
	var us int64
	err := r.Scan(&rule.ID, &rule.AccountID, &rule.Position, &rule.Action, &rule.Kind, &rule.Value, &rule.Note, &us, &rule.CreatedBy)
	rule.CreatedAt = time.UnixMicro(us).UTC()
	return rule, err
}

// Rules implements [signin.RuleStore].
func (db *DB) Rules(ctx context.Context, accountID string) ([]signin.Rule, error) {
	return collectRules(db.query(ctx, rulesQuery, accountID))
}

// rules are those in force: who changes them waits for the lock that the transaction has.
func (tx *Tx) rules(accountID string) ([]signin.Rule, error) {
	return collectRules(tx.rows(rulesQuery, accountID))
}

// ChangeRules implements [signin.RuleStore].
func (db *DB) ChangeRules(ctx context.Context, accountID string, change func([]signin.Rule) ([]signin.Rule, error), by audit.Entry) ([]signin.Rule, error) {
	var stored []signin.Rule
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		var there int
		if err := tx.row("SELECT COUNT(*) FROM accounts WHERE id = $1", accountID).Scan(&there); err != nil {
			return fmt.Errorf("look for account %q: %w", accountID, err)
		}
		if there == 0 {
			return errNoAccount(accountID)
		}
		before, err := tx.rules(accountID)
		if err != nil {
			return err
		}
		next, err := change(before)
		if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind == problem.Conflict {
			return tx.refuse(accountID, by, p)
		}
		if err != nil {
			return err
		}
		if err := tx.writeRules(accountID, before, next); err != nil {
			return err
		}
		stored = next
		return tx.append(accountID, by)
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// writeRules writes what differs.
func (tx *Tx) writeRules(accountID string, before, next []signin.Rule) error {
	old := make(map[string]signin.Rule, len(before))
	for _, r := range before {
		old[r.ID] = r
	}
	for _, r := range next {
		was, there := old[r.ID]
		delete(old, r.ID)
		var err error
		switch {
		case !there:
			_, err = tx.exec(`INSERT INTO firewall_rules (account_id, id, position, action, kind, value, note, created_at, created_by)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, accountID, r.ID, r.Position, string(r.Action), string(r.Kind), r.Value, r.Note,
				r.CreatedAt.UnixMicro(), r.CreatedBy)
		case was != r:
			_, err = tx.exec(`UPDATE firewall_rules SET position = $1, action = $2, kind = $3, value = $4, note = $5 WHERE account_id = $6 AND id = $7`,
				r.Position, string(r.Action), string(r.Kind), r.Value, r.Note, accountID, r.ID)
		}
		if err != nil {
			return fmt.Errorf("write firewall rule: %w", err)
		}
	}
	for id := range old {
		if _, err := tx.exec("DELETE FROM firewall_rules WHERE account_id = $1 AND id = $2", accountID, id); err != nil {
			return fmt.Errorf("delete firewall rule: %w", err)
		}
	}
	return nil
}

// Tried implements [signin.RuleStore].
func (db *DB) Tried(ctx context.Context, accountID string, since time.Time, last signin.Tried, limit int) ([]signin.Tried, error) {
	before, id := int64(math.MaxInt64), ""
	if last.ID != "" {
		before, id = last.At.UnixMicro(), last.ID
	}
	rows, err := db.query(ctx, `SELECT at, id, user_id, name, email, address, country, continent, COALESCE(anonymous, $1) FROM signin_attempts
		WHERE account_id = $2 AND at >= $3 AND at <= $4 AND (at < $4 OR id < $5) ORDER BY at DESC, id DESC LIMIT $6`,
		false, accountID, since.UnixMicro(), before, id, limit)
	all, err := collect(rows, err, func(r scanner) (t signin.Tried, err error) {
		var us int64
		err = r.Scan(&us, &t.ID, &t.UserID, &t.Name, &t.Email, &t.Address, &t.Location.Country, &t.Location.Continent, &t.Location.Anonymous)
		t.At, t.Location.AnonymousKnown = time.UnixMicro(us).UTC(), t.Location.Anonymous
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read where people tried to sign in from: %w", err)
	}
	return all, nil
}

// denied ends the unit of somebody whom a firewall rule does not let in. All that her credentials changed
// is undone: a recovery code or a set-up link that is used in the wrong place is not used up.
type denied struct{ attempt signin.Attempt }

func (*denied) Error() string { return "a firewall rule denies it" }

// screen completes the attempt of somebody who has shown the right credentials by the rules in force.
func (tx *Tx) screen(a *signin.Attempt) error {
	rules, err := tx.rules(a.AccountID)
	if err != nil {
		return err
	}
	screened, no := signin.Screen(rules, *a)
	if no {
		return &denied{screened}
	}
	*a = screened
	return nil
}

// afterScreen is the error of a unit that let somebody in, or did not. If a rule denied her it is recorded.
func (db *DB) afterScreen(ctx context.Context, err error, by audit.Entry) error {
	d, ok := errors.AsType[*denied](err)
	if !ok {
		return err
	}
	return db.do(ctx, d.attempt.AccountID, durable, func(tx *Tx) error {
		if err := tx.insertAttempt(d.attempt); err != nil {
			return err
		}
		return tx.refuse(d.attempt.AccountID, by, signin.ErrFirewall())
	})
}
