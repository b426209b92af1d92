package store

import (
	"context"
	"database/sql"
	"encoding/base32"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/origin"
)

// Columns of events. What comes before origin differs, from where they came is said alike.
const (
	attemptColumns = "at, id, category, type, details, session_id, user_id, name, email, method"
	usageColumns   = "at, id, vault_id, item_id, version, user_id, action, session_id"
	originColumns  = "address, user_agent, app, app_version, platform, platform_version, os, os_version, " +
		"country, continent, region, city, latitude, longitude, radius, asn, network, anonymous"
)

// originWidth is how many originColumns there are.
const originWidth = 18

// originOf is originColumns of the table with the alias, which ends in a dot.
func originOf(alias string) string {
	return alias + strings.ReplaceAll(originColumns, ", ", ", "+alias)
}

// eventTable is where the events of a stream are.
func eventTable(s feed.Stream) (table, columns string) {
	switch s {
	case feed.SignInAttempts:
		return "signin_attempts", attemptColumns
	case feed.ItemUsages:
		return "item_usages", usageColumns
	}
	return "audit_links", ""
}

// insertEvent adds an event to the stream of the account, whose lock the transaction has, with the next
// number and the next time. The values are those of the stream's own columns behind the time. The unit must
// append an entry to the account's chain afterwards: see [Tx.tick].
func (tx *Tx) insertEvent(s feed.Stream, accountID string, c origin.Client, l origin.Location, values ...any) error {
	now := tx.now
	if accountID != "" { // else it is nobody's, and no reader's
		var err error
		if now, err = tx.tick(accountID); err != nil {
			return err
		}
	}
	table, columns := eventTable(s)
	query := "INSERT INTO " + table + " (account_id, seq, " + columns + ", " + originColumns + ") VALUES ($1, COALESCE((SELECT seq FROM " + table +
		" WHERE account_id = $1 AND seq > 0 ORDER BY seq DESC LIMIT 1), 0) + 1, " + placeholders(2, 1+len(values)+originWidth) + ")"
	args := append(append(make([]any, 0, 2+len(values)+originWidth), accountID, now.UnixMicro()), values...)
	_, err := tx.exec(query, append(args, originValues(c, l)...)...)
	if err == nil {
		tx.ring(accountID)
	}
	return err
}

// placeholders is so many of them, from the number on: "$2, $3, $4".
func placeholders(from, n int) string {
	var b []byte
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(append(b, '$'), int64(from+i), 10)
	}
	return string(b)
}

// originValues are the values of originColumns.
func originValues(c origin.Client, l origin.Location) []any {
	return []any{
		storable(c.Address, mostAddress), storable(c.UserAgent, mostUserAgent), storable(c.App, mostName), storable(c.AppVersion, mostName),
		storable(c.Platform, mostName), storable(c.PlatformVersion, mostName), storable(c.OS, mostName), storable(c.OSVersion, mostName),
		l.Country, l.Continent, storable(l.Region, mostName), storable(l.City, mostName), l.Latitude, l.Longitude, l.Radius, l.ASN,
		storable(l.Network, mostName), sql.NullBool{Bool: l.Anonymous, Valid: l.AnonymousKnown},
	}
}

// mostName is how many bytes of a name are stored that programs or databases of others give.
const mostName = 100

// scanEvent scans dest and, behind it, originColumns.
func scanEvent(r scanner, c *origin.Client, l *origin.Location, dest ...any) error {
	var anonymous sql.NullBool
	err := r.Scan(append(dest, originDest(c, l, &anonymous)...)...)
	l.Anonymous, l.AnonymousKnown = anonymous.Bool, anonymous.Valid
	return err
}

// originDest is where originColumns are scanned to.
func originDest(c *origin.Client, l *origin.Location, anonymous *sql.NullBool) []any {
	return []any{
		&c.Address, &c.UserAgent, &c.App, &c.AppVersion, &c.Platform, &c.PlatformVersion, &c.OS, &c.OSVersion,
		&l.Country, &l.Continent, &l.Region, &l.City, &l.Latitude, &l.Longitude, &l.Radius, &l.ASN, &l.Network, anonymous,
	}
}

// collectEvents scans each row to dest, which are parts of event, and closes the rows. Pages are long: where
// a row is scanned to is made once, and what was collected is moved seldom, but not made for more than there is.
func collectEvents[E any](rows *sql.Rows, err error, most int, event *E, dest []any, complete func()) ([]E, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []E
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		complete()
		if n := len(all); n == cap(all) {
			all = slices.Grow(all, max(1, min(most-n, max(16, 3*n))))
		}
		all = append(all, *event)
	}
	return all, asUnavailable(rows.Err())
}

// Bounds implements [feed.Store].
func (db *DB) Bounds(ctx context.Context, accountID string, s feed.Stream) (first, last int64, err error) {
	table, _ := eventTable(s)
	for _, bound := range []struct {
		order string
		to    *int64
	}{{"ASC", &first}, {"DESC", &last}} {
		rows, err := db.query(ctx, "SELECT seq FROM "+table+" WHERE account_id = $1 AND seq > 0 ORDER BY seq "+bound.order+" LIMIT 1", accountID)
		found, err := collect(rows, err, func(r scanner) (n int64, err error) { return n, r.Scan(&n) })
		if err != nil {
			return 0, 0, fmt.Errorf("read bounds of %s: %w", s, err)
		}
		if len(found) == 1 {
			*bound.to = found[0]
		}
	}
	return first, last, nil
}

// TimeOf implements [feed.Store].
func (db *DB) TimeOf(ctx context.Context, accountID string, s feed.Stream, seq int64) (time.Time, bool, error) {
	table, _ := eventTable(s)
	rows, err := db.query(ctx, "SELECT at FROM "+table+" WHERE account_id = $1 AND seq >= $2 ORDER BY seq LIMIT 1", accountID, seq)
	found, err := collect(rows, err, func(r scanner) (us int64, err error) { return us, r.Scan(&us) })
	if err != nil || len(found) == 0 {
		return time.Time{}, false, err
	}
	return time.UnixMicro(found[0]).UTC(), true, nil
}

// FeedAttempts implements [feed.Store].
func (db *DB) FeedAttempts(ctx context.Context, accountID string, after int64, limit int) ([]feed.Attempt, error) {
	rows, err := db.query(ctx, "SELECT seq, "+attemptColumns+", "+originColumns+" FROM signin_attempts WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
		accountID, after, limit)
	var a feed.Attempt
	var us int64
	var method string
	var anonymous sql.NullBool
	dest := append([]any{&a.Seq, &us, &a.ID, &a.Category, &a.Type, &a.Details, &a.SessionID, &a.User.ID, &a.User.Name, &a.User.Email, &method},
		originDest(&a.Client, &a.Location, &anonymous)...)
	all, err := collectEvents(rows, err, limit, &a, dest, func() {
		a.At = time.UnixMicro(us).UTC()
		a.Federated = method == "sso" && a.Type == "credentials_ok"
		a.Location.Anonymous, a.Location.AnonymousKnown = anonymous.Bool, anonymous.Valid
	})
	if err != nil {
		return nil, fmt.Errorf("read sign-in attempts after %d: %w", after, err)
	}
	return all, nil
}

// FeedUsages implements [feed.Store].
func (db *DB) FeedUsages(ctx context.Context, accountID string, after int64, limit int) ([]feed.Usage, error) {
	rows, err := db.query(ctx, "SELECT x.seq, x.at, x.id, x.vault_id, x.item_id, x.version, x.user_id, COALESCE(u.display_name, r.display_name, ''), COALESCE(u.email, r.email, ''), x.action, "+originOf("x.")+`
		FROM item_usages x LEFT JOIN users u ON u.account_id = x.account_id AND u.id = x.user_id
		LEFT JOIN removed_users r ON r.account_id = x.account_id AND r.id = x.user_id
		WHERE x.account_id = $1 AND x.seq > $2 ORDER BY x.seq LIMIT $3`, accountID, after, limit)
	all, err := collect(rows, err, func(r scanner) (u feed.Usage, err error) {
		var us int64
		err = scanEvent(r, &u.Client, &u.Location, &u.Seq, &us, &u.ID, &u.VaultID, &u.ItemID, &u.Version, &u.User.ID, &u.User.Name, &u.User.Email, &u.Action)
		u.At = time.UnixMicro(us).UTC()
		return u, err
	})
	if err != nil {
		return nil, fmt.Errorf("read item usages after %d: %w", after, err)
	}
	return all, nil
}

// FeedAudited implements [feed.Store].
func (db *DB) FeedAudited(ctx context.Context, accountID string, after int64, limit int) ([]feed.Audited, error) {
	rows, err := db.query(ctx, `SELECT l.seq, l.at, l.hash, l.actor, l.action, l.target, l.outcome, l.reason, l.address,
			COALESCE(a.display_name, ra.display_name, ca.name, ''), COALESCE(a.email, ra.email, ''),
			COALESCE(t.display_name, rt.display_name, ct.name, g.name, ''), COALESCE(t.email, rt.email, '')
		FROM audit_links l
		LEFT JOIN users a ON a.account_id = l.account_id AND a.id = substr(l.actor, 6) AND l.actor LIKE 'user:%'
		LEFT JOIN removed_users ra ON ra.account_id = l.account_id AND ra.id = substr(l.actor, 6) AND l.actor LIKE 'user:%'
		LEFT JOIN clients ca ON ca.id = substr(l.actor, 8) AND ca.account_id = l.account_id AND l.actor LIKE 'client:%'
		LEFT JOIN users t ON t.account_id = l.account_id AND t.id = substr(l.target, 6) AND l.target LIKE 'user:%'
		LEFT JOIN removed_users rt ON rt.account_id = l.account_id AND rt.id = substr(l.target, 6) AND l.target LIKE 'user:%'
		LEFT JOIN clients ct ON ct.id = substr(l.target, 8) AND ct.account_id = l.account_id AND l.target LIKE 'client:%'
		LEFT JOIN groups g ON g.account_id = l.account_id AND g.id = substr(l.target, 7) AND l.target LIKE 'group:%'
		WHERE l.account_id = $1 AND l.seq > $2 ORDER BY l.seq LIMIT $3`, accountID, after, limit)
	all, err := collect(rows, err, scanAudited)
	if err != nil {
		return nil, fmt.Errorf("read audit events after %d: %w", after, err)
	}
	return all, nil
}

func scanAudited(r scanner) (feed.Audited, error) {
	var a feed.Audited
	var us int64
	var hash []byte
	err := r.Scan(&a.Seq, &us, &hash, &a.Entry.Actor, &a.Entry.Action, &a.Entry.Target, &a.Entry.Outcome, &a.Entry.Reason, &a.Entry.Address,
		&a.Actor.Name, &a.Actor.Email, &a.Target.Name, &a.Target.Email)
	if err != nil {
		return a, err
	}
	a.At, a.ID = time.UnixMicro(us).UTC(), eventID(hash)
	a.Actor.ID, a.Target.ID = partyID(a.Entry.Actor), partyID(a.Entry.Target)
	return a, nil
}

// eventID is the ID of an audit entry for readers: the beginning of its hash, in the form of our IDs.
func eventID(hash []byte) string {
	const idLen = 26 // of base32, 130 bits
	text := base32.StdEncoding.EncodeToString(hash)
	return text[:min(len(text), idLen)]
}

// partyID is the ID in "kind:id"; what has no kind is its own ID.
func partyID(ref string) string {
	if _, id, ok := strings.Cut(ref, ":"); ok {
		return id
	}
	return ref
}

// PurgeEvents implements [feed.Store].
func (db *DB) PurgeEvents(ctx context.Context, before time.Time) error {
	accounts, err := db.Accounts(ctx)
	if err != nil {
		return err
	}
	ids := []string{""} // of nobody's e-mail
	for _, a := range accounts {
		ids = append(ids, a.ID)
	}
	for _, id := range ids {
		for _, s := range []feed.Stream{feed.SignInAttempts, feed.ItemUsages} {
			if err := db.purgeEvents(ctx, id, s, before); err != nil {
				return err
			}
		}
	}
	return nil
}

// purgeEvents deletes from the beginning of the stream on, in order, and stops at the first event that is
// young enough. The last event stays, so that numbers go on from it.
func (db *DB) purgeEvents(ctx context.Context, accountID string, s feed.Stream, before time.Time) error {
	table, _ := eventTable(s)
	first, last, err := db.Bounds(ctx, accountID, s)
	if err != nil {
		return err
	}
	for first < last {
		next := min(first+purgeRows, last)
		at, ok, err := db.TimeOf(ctx, accountID, s, next-1)
		if err != nil || !ok {
			return err
		}
		for !at.Before(before) && next > first { // this many are too many: look for fewer
			next = first + (next-first)/2
			if next == first {
				return nil
			}
			if at, _, err = db.TimeOf(ctx, accountID, s, next-1); err != nil {
				return err
			}
		}
		chain := accountID
		if chain == "" {
			chain = audit.System
		}
		err = db.do(ctx, chain, lazy, func(tx *Tx) error {
			_, err := tx.exec("DELETE FROM "+table+" WHERE account_id = $1 AND seq < $2 AND at < $3", accountID, next, before.UnixMicro())
			return err
		})
		if err != nil {
			return fmt.Errorf("delete old %s: %w", s, err)
		}
		first = next
	}
	return nil
}
