package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
)

// mergeActivity adds to a count that is there. What came later, by its own clock, is what came last.
const mergeActivity = ` ON CONFLICT (client_id, operation, hour) DO UPDATE SET
	calls = client_activity.calls + excluded.calls, refused = client_activity.refused + excluded.refused,
	last_done_at = CASE WHEN excluded.last_done_at > client_activity.last_done_at THEN excluded.last_done_at ELSE client_activity.last_done_at END,
	last_address = CASE WHEN excluded.last_at > client_activity.last_at THEN excluded.last_address ELSE client_activity.last_address END,
	last_user_agent = CASE WHEN excluded.last_at > client_activity.last_at THEN excluded.last_user_agent ELSE client_activity.last_user_agent END,
	last_at = CASE WHEN excluded.last_at > client_activity.last_at THEN excluded.last_at ELSE client_activity.last_at END`

const activityColumns = "client_id, operation, hour, account_id, calls, refused, last_at, last_done_at, last_address, last_user_agent"

// AddActivity implements [oauth.Store].
func (db *DB) AddActivity(ctx context.Context, counts []oauth.ActivityCount) error {
	return db.do(ctx, audit.System, lazy, func(tx *Tx) error {
		for _, n := range counts {
			var there int
			err := tx.row("SELECT 1 FROM clients WHERE id = $1 AND account_id = $2", n.ClientID, n.AccountID).Scan(&there)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return fmt.Errorf("look for application %q: %w", n.ClientID, err)
			}
			if err := tx.addActivity(n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (tx *Tx) addActivity(n oauth.ActivityCount) error {
	_, err := tx.exec("INSERT INTO client_activity ("+activityColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"+mergeActivity,
		n.ClientID, n.Operation, hour(n.Hour), n.AccountID, n.Calls, n.Refused, n.LastAt.UnixMicro(), hour(n.LastDoneAt), n.LastAddress, n.LastUserAgent)
	if err != nil {
		return fmt.Errorf("count %s of %q: %w", n.Operation, n.ClientID, err)
	}
	return nil
}

// hour is how times of counts are stored, with the zero time as 0: a key is never NULL.
func hour(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromHour(us int64) time.Time { return at(sql.NullInt64{Int64: us, Valid: us != 0}) }

func scanActivity(r scanner) (oauth.ActivityCount, error) {
	var n oauth.ActivityCount
	var h, last, done int64
	err := r.Scan(&n.ClientID, &n.Operation, &h, &n.AccountID, &n.Calls, &n.Refused, &last, &done, &n.LastAddress, &n.LastUserAgent)
	n.Hour, n.LastAt, n.LastDoneAt = fromHour(h), fromHour(last), fromHour(done)
	return n, err
}

// Activity implements [oauth.Store].
func (db *DB) Activity(ctx context.Context, accountID, id string, since time.Time) ([]oauth.ActivityCount, error) {
	rows, err := db.query(ctx, "SELECT "+activityColumns+" FROM client_activity WHERE client_id = $1 AND account_id = $2", id, accountID)
	all, err := collect(rows, err, scanActivity)
	if err != nil {
		return nil, fmt.Errorf("read activity of %q: %w", id, err)
	}
	var counts []oauth.ActivityCount
	before := map[string]*oauth.ActivityCount{}
	for _, n := range all {
		if !n.Hour.Before(since) {
			counts = append(counts, n)
			continue
		}
		n.Hour = time.Time{}
		if sum, ok := before[n.Operation]; ok {
			sum.Merge(n)
		} else {
			before[n.Operation] = &n
		}
	}
	for _, op := range oauth.Operations() {
		if sum, ok := before[op]; ok {
			counts = append(counts, *sum)
		}
	}
	return counts, nil
}

// Activities implements [oauth.Store]. The applications lead to their counts, by the primary key.
func (db *DB) Activities(ctx context.Context, accountID string, since time.Time) ([]oauth.OperationUse, error) {
	rows, err := db.query(ctx, `SELECT n.client_id, n.operation, MAX(n.last_at), MAX(n.last_done_at),
		CAST(SUM(CASE WHEN n.hour > $1 THEN n.calls ELSE 0 END) AS BIGINT)
		FROM clients a JOIN client_activity n ON n.client_id = a.id
		WHERE a.account_id = $2 AND n.account_id = $2 GROUP BY n.client_id, n.operation`, since.UnixMicro(), accountID)
	uses, err := collect(rows, err, func(r scanner) (oauth.OperationUse, error) {
		var n oauth.OperationUse
		var last, done int64
		err := r.Scan(&n.ClientID, &n.Operation, &last, &done, &n.Since)
		n.LastAt, n.LastDoneAt = fromHour(last), fromHour(done)
		return n, err
	})
	if err != nil {
		return nil, fmt.Errorf("read activity of applications: %w", err)
	}
	return uses, nil
}

// PurgeActivity implements [oauth.Store].
func (db *DB) PurgeActivity(ctx context.Context, before time.Time) error {
	for purged := purgeRows; purged == purgeRows; {
		err := db.do(ctx, audit.System, lazy, func(tx *Tx) error {
			rows, err := tx.rows("SELECT "+activityColumns+" FROM client_activity WHERE hour > 0 AND hour < $1 ORDER BY hour LIMIT $2", before.UnixMicro(), purgeRows)
			old, err := collect(rows, err, scanActivity)
			if err != nil {
				return fmt.Errorf("read old activity: %w", err)
			}
			for _, n := range old {
				if _, err := tx.exec("DELETE FROM client_activity WHERE client_id = $1 AND operation = $2 AND hour = $3", n.ClientID, n.Operation, n.Hour.UnixMicro()); err != nil {
					return fmt.Errorf("delete old activity: %w", err)
				}
				n.Hour = time.Time{}
				if err := tx.addActivity(n); err != nil {
					return err
				}
			}
			purged = len(old)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
