package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
)

const tokenUseColumns = "account_id, token_id, feature, hour, calls, refused, events, last_at, last_address, last_user_agent"

// mergeTokenUse adds to a count that is there.
const mergeTokenUse = ` ON CONFLICT (account_id, token_id, feature, hour) DO UPDATE SET
	calls = events_token_activity.calls + excluded.calls, refused = events_token_activity.refused + excluded.refused,
	events = events_token_activity.events + excluded.events,
	last_address = CASE WHEN excluded.last_at > events_token_activity.last_at THEN excluded.last_address ELSE events_token_activity.last_address END,
	last_user_agent = CASE WHEN excluded.last_at > events_token_activity.last_at THEN excluded.last_user_agent ELSE events_token_activity.last_user_agent END,
	last_at = CASE WHEN excluded.last_at > events_token_activity.last_at THEN excluded.last_at ELSE events_token_activity.last_at END`

// AddTokenUse implements [feed.Store].
func (db *DB) AddTokenUse(ctx context.Context, uses []feed.TokenUse) error {
	return db.do(ctx, audit.System, lazy, func(tx *Tx) error {
		for _, u := range uses {
			var there int
			err := tx.row("SELECT 1 FROM events_tokens WHERE account_id = $1 AND id = $2", u.AccountID, u.TokenID).Scan(&there)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return fmt.Errorf("look for events token %q: %w", u.TokenID, err)
			}
			if err := tx.addTokenUse(u); err != nil {
				return err
			}
		}
		return nil
	})
}

func (tx *Tx) addTokenUse(u feed.TokenUse) error {
	_, err := tx.exec("INSERT INTO events_token_activity ("+tokenUseColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"+mergeTokenUse,
		u.AccountID, u.TokenID, string(u.Feature), hour(u.Hour), u.Calls, u.Refused, u.Events, u.LastAt.UnixMicro(),
		storable(u.LastAddress, mostAddress), storable(u.LastUserAgent, mostUserAgent))
	if err != nil {
		return fmt.Errorf("count use of events token %q: %w", u.TokenID, err)
	}
	return nil
}

func scanTokenUse(r scanner) (feed.TokenUse, error) {
	var u feed.TokenUse
	var h, last int64
	err := r.Scan(&u.AccountID, &u.TokenID, &u.Feature, &h, &u.Calls, &u.Refused, &u.Events, &last, &u.LastAddress, &u.LastUserAgent)
	u.Hour, u.LastAt = fromHour(h), fromHour(last)
	return u, err
}

// TokenUses implements [feed.Store]. From where and as what a token came last is told once for each kind of
// events, not for each hour.
func (db *DB) TokenUses(ctx context.Context, accountID, id string, since time.Time) ([]feed.TokenUse, error) {
	args, one := []any{accountID}, ""
	if id != "" {
		args, one = append(args, id), " AND token_id = $2"
	}
	rows, err := db.query(ctx, `SELECT a.account_id, a.token_id, a.feature, 0, 0, 0, 0, a.last_at, a.last_address, a.last_user_agent
		FROM events_token_activity AS a
		JOIN (SELECT token_id, feature, MAX(last_at) AS last_at FROM events_token_activity WHERE account_id = $1`+one+` GROUP BY token_id, feature) AS b
			ON a.token_id = b.token_id AND a.feature = b.feature AND a.last_at = b.last_at
		WHERE a.account_id = $1`, args...)
	last, err := collect(rows, err, scanTokenUse)
	if err != nil {
		return nil, fmt.Errorf("read last use of events tokens: %w", err)
	}
	args, one = []any{since.UnixMicro(), accountID}, ""
	if id != "" {
		args, one = append(args, id), " AND token_id = $3"
	}
	rows, err = db.query(ctx, `SELECT account_id, token_id, feature, CASE WHEN hour < $1 THEN 0 ELSE hour END AS h, CAST(SUM(calls) AS BIGINT), CAST(SUM(refused) AS BIGINT),
			CAST(SUM(events) AS BIGINT), MAX(last_at), '', ''
		FROM events_token_activity WHERE account_id = $2`+one+` GROUP BY account_id, token_id, feature, h ORDER BY token_id, feature, h`, args...)
	all, err := collect(rows, err, scanTokenUse)
	if err != nil {
		return nil, fmt.Errorf("read use of events tokens: %w", err)
	}
	for _, l := range last {
		for i := range all {
			if u := &all[i]; u.TokenID == l.TokenID && u.Feature == l.Feature && u.LastAt.Equal(l.LastAt) {
				u.LastAddress, u.LastUserAgent = l.LastAddress, l.LastUserAgent
			}
		}
	}
	return all, nil
}

// PurgeTokenUse implements [feed.Store].
func (db *DB) PurgeTokenUse(ctx context.Context, before time.Time) error {
	for purged := purgeRows; purged == purgeRows; {
		err := db.do(ctx, audit.System, lazy, func(tx *Tx) error {
			rows, err := tx.rows("SELECT "+tokenUseColumns+" FROM events_token_activity WHERE hour > 0 AND hour < $1 ORDER BY hour LIMIT $2", before.UnixMicro(), purgeRows)
			old, err := collect(rows, err, scanTokenUse)
			if err != nil {
				return fmt.Errorf("read old use of events tokens: %w", err)
			}
			for _, u := range old {
				if _, err := tx.exec("DELETE FROM events_token_activity WHERE account_id = $1 AND token_id = $2 AND feature = $3 AND hour = $4",
					u.AccountID, u.TokenID, string(u.Feature), u.Hour.UnixMicro()); err != nil {
					return fmt.Errorf("delete old use of events tokens: %w", err)
				}
				u.Hour = time.Time{}
				if err := tx.addTokenUse(u); err != nil {
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
