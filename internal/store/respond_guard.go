package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

// guardSettings are guard rails as they are stored.
type guardSettings struct {
	People      []respond.Protected `json:"people"`
	Groups      []respond.Protected `json:"groups"`
	BreakGlass  []string            `json:"break_glass"`
	MaxPeople   int                 `json:"max_people"`
	Window      time.Duration       `json:"window"`
	MaxShare    float64             `json:"max_share"`
	MaxEventAge time.Duration       `json:"max_event_age"`
	MinTrust    respond.Trust       `json:"min_trust"`
}

func scanGuard(r scanner) (respond.Guard, error) {
	var g respond.Guard
	var text string
	var killed sql.NullInt64
	var updated int64
	if err := r.Scan(&g.Revision, &text, &g.Kill.On, &g.Kill.Door, &g.Kill.By, &killed, &g.Kill.Reason, &updated, &g.UpdatedBy); err != nil {
		return g, err
	}
	var s guardSettings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return g, err
	}
	g.People, g.Groups, g.BreakGlass = s.People, s.Groups, s.BreakGlass
	g.MaxPeople, g.Window, g.MaxShare, g.MaxEventAge, g.MinTrust = s.MaxPeople, s.Window, s.MaxShare, s.MaxEventAge, s.MinTrust
	g.Kill.At, g.UpdatedAt = at(killed), time.UnixMicro(updated).UTC()
	return g, nil
}

const guardOf = "SELECT revision, settings, kill_on, kill_door, kill_by, kill_at, kill_reason, updated_at, updated_by FROM guard_rails WHERE account_id = $1"

func readGuard(q reader, account string) (respond.Guard, error) {
	rows, err := q.rows(guardOf, account)
	g, ok, err := one(rows, err, scanGuard)
	if err != nil {
		return g, fmt.Errorf("read guard rails of %q: %w", account, err)
	}
	if !ok {
		return respond.DefaultGuard(), nil
	}
	return g, nil
}

// Guard implements [respond.Settings].
func (db *DB) Guard(ctx context.Context, accountID string) (respond.Guard, error) {
	rows, err := db.query(ctx, guardOf, accountID)
	g, ok, err := one(rows, err, scanGuard)
	if err != nil {
		return g, fmt.Errorf("read guard rails of %q: %w", accountID, err)
	}
	if !ok {
		return respond.DefaultGuard(), nil
	}
	return g, nil
}

// ChangeGuard implements [respond.Settings]. The audit entry says whether the kill switch was turned.
func (db *DB) ChangeGuard(ctx context.Context, accountID string, change func(*respond.Guard) error, by audit.Entry) (respond.Guard, error) {
	var g respond.Guard
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		if err := tx.accountThere(accountID); err != nil {
			return err
		}
		before, err := readGuard(tx, accountID)
		if err != nil {
			return err
		}
		g = before
		by := by.For(audit.GuardSet, "")
		err = change(&g)
		if p, ok := errors.AsType[*problem.Error](err); ok && (p.Kind == problem.Conflict || p.Kind == problem.Forbidden) {
			return tx.refuse(accountID, by, p)
		}
		if err != nil {
			return err
		}
		switch {
		case g.Kill.On && !before.Kill.On:
			by.Action = audit.GuardKill
			by.Reason = cmp.Or(g.Kill.Reason, by.Reason)
			g.Kill.At, g.Kill.By = tx.now.Truncate(time.Microsecond), cmp.Or(g.Kill.By, by.Actor)
		case !g.Kill.On && before.Kill.On:
			by.Action = audit.GuardResume
			g.Kill = respond.Kill{}
		}
		g.Revision, g.UpdatedAt, g.UpdatedBy = before.Revision+1, tx.now.Truncate(time.Microsecond), by.Actor
		if err := tx.writeGuard(accountID, g); err != nil {
			return err
		}
		return tx.append(accountID, by)
	})
	return g, err
}

func (tx *Tx) writeGuard(account string, g respond.Guard) error {
	settings, err := asJSON(guardSettings{
		People: g.People, Groups: g.Groups, BreakGlass: g.BreakGlass, MaxPeople: g.MaxPeople, Window: g.Window, MaxShare: g.MaxShare,
		MaxEventAge: g.MaxEventAge, MinTrust: g.MinTrust,
	})
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO guard_rails (account_id, revision, settings, kill_on, kill_door, kill_by, kill_at, kill_reason, updated_at, updated_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (account_id) DO UPDATE SET revision = excluded.revision, settings = excluded.settings,
		kill_on = excluded.kill_on, kill_door = excluded.kill_door, kill_by = excluded.kill_by, kill_at = excluded.kill_at, kill_reason = excluded.kill_reason,
		updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
		account, g.Revision, strings.ReplaceAll(settings, "\x00", ""), g.Kill.On, g.Kill.Door, g.Kill.By, micros(g.Kill.At), storable(g.Kill.Reason, mostText),
		g.UpdatedAt.UnixMicro(), g.UpdatedBy)
	if err != nil {
		return fmt.Errorf("write guard rails of %q: %w", account, err)
	}
	return nil
}

// accountThere refuses what is for an account that is not there.
func (tx *Tx) accountThere(account string) error {
	var there int
	if err := tx.row("SELECT COUNT(*) FROM accounts WHERE id = $1", account).Scan(&there); err != nil {
		return fmt.Errorf("look for account %q: %w", account, err)
	}
	if there == 0 {
		return errNoAccount(account)
	}
	return nil
}

// suspensionsPlanned are those that have a place in the counts and have not begun.
const suspensionsPlanned = "SELECT COUNT(*) FROM actions WHERE account_id = $1 AND reserved IS NOT NULL AND state = 'planned'"

// GuardUse implements [respond.Settings].
func (db *DB) GuardUse(ctx context.Context, accountID string) (respond.GuardUse, error) {
	var u respond.GuardUse
	now := db.now()
	err := db.reading(ctx, func(q reader) error {
		g, err := readGuard(q, accountID)
		if err != nil {
			return err
		}
		if u.Suspended, err = countSuspensions(q, accountID, "", "", now.Add(-g.Window)); err != nil {
			return err
		}
		if u.Held, err = db.countHeld(q, accountID, ""); err != nil {
			return err
		}
		for _, c := range []struct {
			query string
			into  *int
		}{{suspensionsPlanned, &u.Planned}, {db.countActive(), &u.Active}} {
			rows, err := q.rows(c.query, accountID)
			n, _, err := one(rows, err, func(r scanner) (n int, err error) { return n, r.Scan(&n) })
			if err != nil {
				return fmt.Errorf("count how far guard rails are used: %w", err)
			}
			*c.into = n
		}
		return nil
	})
	return u, err
}
