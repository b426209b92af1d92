package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/jobs"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// SuspendUser implements [directory.Store].
func (db *DB) SuspendUser(ctx context.Context, accountID, id string, h directory.NewHold, by audit.Entry) (directory.User, error) {
	by.Action, by.Target = audit.UserSuspend, "user:"+id
	var u directory.User
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		var err error
		if u, err = tx.user(accountID, id); err != nil {
			return err
		}
		holdID, no, err := tx.suspend(&u, h, by)
		switch {
		case err != nil:
			return err
		case no != nil && no.Kind == problem.NotFound:
			return no
		case no != nil:
			return tx.refuse(accountID, by, no)
		case holdID == "" || h.Until.IsZero():
			return nil
		}
		return tx.enqueue(jobs.Job{Args: directory.ReleaseHold{AccountID: accountID, HoldID: holdID}, RunAt: h.Until})
	})
	return u, err
}

// suspend opens a hold, for whomever, ends the sessions and records it. The id is empty if the holder has one
// already. A problem says why the person cannot be suspended; nothing is changed then. That a hold ends by
// itself is for the caller to see to.
func (tx *Tx) suspend(u *directory.User, h directory.NewHold, by audit.Entry) (holdID string, no *problem.Error, err error) {
	switch {
	case u.Lifecycle != directory.Active:
		return "", directory.ErrNoUser(u.ID), nil
	case h.Holder == "user:"+u.ID:
		return "", directory.ErrSelfSuspend(), nil
	case u.ExternallyManaged:
		return "", directory.ErrExternallyManaged(), nil
	}
	if err := tx.mayAffect(u.AccountID, u.ID, by); err != nil {
		return "", nil, err
	}
	if last, err := tx.isLastOwner(*u); err != nil {
		return "", nil, err
	} else if last {
		return "", directory.ErrLastOwner(), nil
	}
	holdID = seal.NewID()
	opened, err := tx.exec(`INSERT INTO holds (account_id, id, user_id, holder, reason, opened_at, until_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account_id, user_id, holder) WHERE released_at IS NULL DO NOTHING`,
		u.AccountID, holdID, u.ID, h.Holder, h.Reason, tx.now.UnixMicro(), micros(h.Until))
	if err != nil {
		return "", nil, fmt.Errorf("open hold on %q: %w", u.ID, err)
	}
	if opened == 0 {
		return "", nil, nil
	}
	if err := tx.setSuspended(u, true); err != nil {
		return "", nil, err
	}
	if _, err := tx.endSessions(u.AccountID, u.ID, "", "suspended"); err != nil {
		return "", nil, err
	}
	return holdID, nil, tx.append(u.AccountID, by.For(audit.UserSuspend, "user:"+u.ID).Because(h.Reason))
}

// ReactivateUser implements [directory.Store].
func (db *DB) ReactivateUser(ctx context.Context, accountID, id string, by audit.Entry) (directory.User, error) {
	by.Action, by.Target = audit.UserReactivate, "user:"+id
	var u directory.User
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		var err error
		if u, err = tx.user(accountID, id); err != nil {
			return err
		}
		if u.Lifecycle != directory.Active {
			return directory.ErrNoUser(id)
		}
		if !u.Suspended {
			return nil
		}
		var provisioned int
		if err := tx.row("SELECT COUNT(*) FROM holds WHERE account_id = $1 AND user_id = $2 AND released_at IS NULL AND holder LIKE $3",
			accountID, id, directory.ScimHolder+"%").Scan(&provisioned); err != nil {
			return fmt.Errorf("count holds of %q: %w", id, err)
		}
		if provisioned > 0 {
			return tx.refuse(accountID, by, directory.ErrProvisioned())
		}
		holders, err := tx.openHolders(accountID, id)
		if err != nil {
			return err
		}
		if _, err := tx.exec(`UPDATE holds SET released_at = $1, released_by = $2, release_reason = $3
			WHERE account_id = $4 AND user_id = $5 AND released_at IS NULL`,
			tx.now.UnixMicro(), by.Actor, by.Reason, accountID, id); err != nil {
			return fmt.Errorf("release holds of %q: %w", id, err)
		}
		if err := tx.setSuspended(&u, false); err != nil {
			return err
		}
		if err := tx.append(accountID, by); err != nil {
			return err
		}
		for _, h := range holders {
			if err := tx.holdEnded(accountID, h, by); err != nil {
				return err
			}
		}
		return nil
	})
	return u, err
}

// ReleaseHold implements [directory.Store].
func (db *DB) ReleaseHold(ctx context.Context, accountID, holdID string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		var userID, holder string
		err := tx.row("SELECT user_id, holder FROM holds WHERE account_id = $1 AND id = $2 AND released_at IS NULL", accountID, holdID).Scan(&userID, &holder)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // somebody was faster
		}
		if err != nil {
			return fmt.Errorf("read hold %q: %w", holdID, err)
		}
		by := by.For(audit.HoldRelease, "user:"+userID)
		if strings.HasPrefix(holder, directory.ScimHolder) && by.Actor != "system" && !strings.HasPrefix(by.Actor, directory.ScimHolder) {
			return tx.refuse(accountID, by, directory.ErrProvisioned())
		}
		if err := tx.release(accountID, userID, holdID, by); err != nil {
			return err
		}
		return tx.holdEnded(accountID, openHold{ID: holdID, Holder: holder}, by)
	})
}

// release releases an open hold and records it; the person is suspended on as long as another is open.
func (tx *Tx) release(accountID, userID, holdID string, by audit.Entry) error {
	if _, err := tx.exec("UPDATE holds SET released_at = $1, released_by = $2, release_reason = $3 WHERE account_id = $4 AND id = $5",
		tx.now.UnixMicro(), by.Actor, by.Reason, accountID, holdID); err != nil {
		return fmt.Errorf("release hold %q: %w", holdID, err)
	}
	var open int
	if err := tx.row("SELECT COUNT(*) FROM holds WHERE account_id = $1 AND user_id = $2 AND released_at IS NULL", accountID, userID).Scan(&open); err != nil {
		return fmt.Errorf("count holds of %q: %w", userID, err)
	}
	if open == 0 {
		u := directory.User{AccountID: accountID, ID: userID}
		if err := tx.setSuspended(&u, false); err != nil {
			return err
		}
	}
	return tx.append(accountID, by.For(audit.HoldRelease, "user:"+userID))
}

// openHold is a hold that is not released.
type openHold struct{ ID, Holder string }

func (tx *Tx) openHolders(accountID, userID string) ([]openHold, error) {
	rows, err := tx.rows("SELECT id, holder FROM holds WHERE account_id = $1 AND user_id = $2 AND released_at IS NULL", accountID, userID)
	all, err := collect(rows, err, func(r scanner) (h openHold, err error) { return h, r.Scan(&h.ID, &h.Holder) })
	if err != nil {
		return nil, fmt.Errorf("read open holds of %q: %w", userID, err)
	}
	return all, nil
}

func (tx *Tx) setSuspended(u *directory.User, suspended bool) error {
	if _, err := tx.exec("UPDATE users SET suspended = $1 WHERE account_id = $2 AND id = $3", suspended, u.AccountID, u.ID); err != nil {
		return fmt.Errorf("set state of %q: %w", u.ID, err)
	}
	u.Suspended = suspended
	return nil
}

// Holds implements [directory.Store].
func (db *DB) Holds(ctx context.Context, accountID, userID string) ([]directory.Hold, error) {
	rows, err := db.query(ctx, `SELECT id, holder, reason, opened_at, until_at, released_at, released_by, release_reason
		FROM holds WHERE account_id = $1 AND user_id = $2 ORDER BY opened_at, id`, accountID, userID)
	holds, err := collect(rows, err, func(r scanner) (directory.Hold, error) {
		h := directory.Hold{AccountID: accountID, UserID: userID}
		var opened int64
		var until, released sql.NullInt64
		err := r.Scan(&h.ID, &h.Holder, &h.Reason, &opened, &until, &released, &h.ReleasedBy, &h.ReleaseReason)
		h.OpenedAt, h.Until, h.ReleasedAt = time.UnixMicro(opened).UTC(), at(until), at(released)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("read holds of %q: %w", userID, err)
	}
	return holds, nil
}

// holdsOpen finds the newest by an index of open holds alone.
const holdsOpen = `SELECT h.id, h.user_id, h.holder, h.reason, h.opened_at, h.until_at, u.email, u.display_name
	FROM holds h JOIN users u ON u.account_id = h.account_id AND u.id = h.user_id
	WHERE h.account_id = $1 AND h.released_at IS NULL ORDER BY h.opened_at DESC, h.id DESC LIMIT $2`

// HoldsOpen implements [directory.Store].
func (db *DB) HoldsOpen(ctx context.Context, accountID string, limit int) ([]directory.OpenHold, error) {
	query := holdsOpen
	if db.postgres == "" { // left alone, SQLite would read and sort all that were ever opened
		query = strings.Replace(query, "FROM holds h", "FROM holds h INDEXED BY holds_newest", 1)
	}
	rows, err := db.query(ctx, query, accountID, limit)
	holds, err := collect(rows, err, func(r scanner) (directory.OpenHold, error) {
		h := directory.OpenHold{Hold: directory.Hold{AccountID: accountID}}
		var opened int64
		var until sql.NullInt64
		err := r.Scan(&h.ID, &h.UserID, &h.Holder, &h.Reason, &opened, &until, &h.Email, &h.DisplayName)
		h.OpenedAt, h.Until = time.UnixMicro(opened).UTC(), at(until)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("read open holds: %w", err)
	}
	return holds, nil
}
