package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/signals"
)

// Rows go into statements many at a time, some at a time, and one by one, so that there are three statements
// and not as many as there are lengths.
const (
	manyRows       = 100
	manyRowsSQLite = 20 // its driver asks for the name of each parameter, and SQLite counts to find it
	someRows       = 5
)

func (db *DB) manyRows() int {
	if db.postgres == "" {
		return manyRowsSQLite
	}
	return manyRows
}

// batches cuts a list into pieces of many, of some, and of one.
func batches[T any](list []T, many int) [][]T {
	var all [][]T
	for _, size := range []int{many, someRows, 1} {
		for len(list) >= size {
			all = append(all, list[:size])
			list = list[size:]
		}
	}
	return all
}

// AddSignals implements [signals.Store].
func (db *DB) AddSignals(ctx context.Context, in signals.Addition) (signals.Added, error) {
	var added signals.Added
	run := func(tx *Tx) error {
		added = signals.Added{}
		if err := tx.mayTake(in.AccountID, in.SourceID, in.Holder); err != nil {
			return err
		}
		rows, err := tx.newSignals(in)
		if err != nil {
			return err
		}
		added.Accepted, added.Duplicates = len(rows), len(in.Rows)-len(rows)
		for _, r := range rows {
			if r.Match.PersonID == "" {
				added.Unmatched++
			}
		}
		if err := tx.insertSignals(in, rows); err != nil {
			return err
		}
		return tx.moveCursor(in, added)
	}
	// A large one alone: who waits would share its end otherwise.
	err := db.enter(in.AccountID, &unit{ctx: ctx, durable: durable, most: groupTimeout, alone: len(in.Rows) > manyRows, run: run, turn: make(chan bool, 1)})
	return added, err
}

// newSignals are the rows that are not stored yet, each once.
func (tx *Tx) newSignals(in signals.Addition) ([]signals.Row, error) {
	stored := map[string]bool{}
	for _, part := range batches(in.Rows, tx.db.manyRows()) {
		args := []any{in.AccountID, in.SourceID}
		for _, r := range part {
			args = append(args, r.SourceEventID)
		}
		found, err := tx.rows("SELECT source_event_id FROM signal_events WHERE account_id = $1 AND source_id = $2 AND source_event_id IN ("+
			placeholders(3, len(part))+")", args...)
		ids, err := collect(found, err, func(r scanner) (id string, err error) { return id, r.Scan(&id) })
		if err != nil {
			return nil, fmt.Errorf("look for stored events: %w", err)
		}
		for _, id := range ids {
			stored[id] = true
		}
	}
	rows := make([]signals.Row, 0, len(in.Rows))
	for _, r := range in.Rows {
		if !stored[r.SourceEventID] {
			stored[r.SourceEventID] = true
			rows = append(rows, r)
		}
	}
	return rows, nil
}

const signalColumns = "account_id, seq, source_id, source_event_id, at, received_at, person_id, matched_by, event, raw"

func (tx *Tx) insertSignals(in signals.Addition, rows []signals.Row) error {
	if len(rows) == 0 {
		return nil
	}
	var last int64
	err := tx.row("SELECT COALESCE((SELECT seq FROM signal_events WHERE account_id = $1 ORDER BY seq DESC LIMIT 1), 0)", in.AccountID).Scan(&last)
	if err != nil {
		return fmt.Errorf("read the last event: %w", err)
	}
	const width = 10
	for _, part := range batches(rows, tx.db.manyRows()) {
		groups, args := make([]string, len(part)), make([]any, 0, width*len(part))
		for i, r := range part {
			last++
			groups[i] = "(" + placeholders(1+i*width, width) + ")"
			args = append(args, in.AccountID, last, in.SourceID, r.SourceEventID, r.At.UnixMicro(), r.ReceivedAt.UnixMicro(),
				r.Match.PersonID, string(r.Match.By), r.Event, []byte(r.Raw))
		}
		if _, err := tx.exec("INSERT INTO signal_events ("+signalColumns+") VALUES "+strings.Join(groups, ", "), args...); err != nil {
			return fmt.Errorf("insert events: %w", err)
		}
	}
	tx.ring(in.AccountID)
	return nil
}

// moveCursor notes how far a stream was read, and what came.
func (tx *Tx) moveCursor(in signals.Addition, added signals.Added) error {
	if in.Stream != "" {
		_, err := tx.exec(`INSERT INTO signal_cursors (account_id, source_id, stream, cursor) VALUES ($1, $2, $3, $4)
			ON CONFLICT (account_id, source_id, stream) DO UPDATE SET cursor = excluded.cursor`, in.AccountID, in.SourceID, in.Stream, in.Cursor)
		if err != nil {
			return fmt.Errorf("move cursor: %w", err)
		}
	}
	var came any // only if something did
	if added.Accepted > 0 {
		came = tx.now.UnixMicro()
	}
	_, err := tx.exec(`UPDATE signal_sources SET events = events + $1, unmatched = unmatched + $2, last_event_at = COALESCE($3, last_event_at), state = 'active', last_error = ''
		WHERE account_id = $4 AND id = $5`, added.Accepted, added.Unmatched, came, in.AccountID, in.SourceID)
	if err != nil {
		return fmt.Errorf("count events: %w", err)
	}
	return nil
}

// storedColumns are what collectSignals reads.
const storedColumns = "seq, source_id, received_at, person_id, matched_by, event, raw"

// Signals implements [signals.Store].
func (db *DB) Signals(ctx context.Context, accountID string, after int64, limit int) ([]signals.Stored, error) {
	rows, err := db.query(ctx, "SELECT "+storedColumns+" FROM signal_events WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3", accountID, after, limit)
	all, err := collectSignals(rows, err, limit)
	if err != nil {
		return nil, fmt.Errorf("read events after %d: %w", after, err)
	}
	return all, nil
}

// collectSignals reads at most so many events and closes the rows.
func collectSignals(rows *sql.Rows, err error, most int) ([]signals.Stored, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []signals.Stored
	var event sql.RawBytes
	var reader signals.OCSFReader
	for rows.Next() {
		if n := len(all); n == cap(all) {
			all = slices.Grow(all, max(1, min(most-n, max(16, 3*n))))
		}
		all = append(all, signals.Stored{})
		s := &all[len(all)-1]
		var received int64
		if err := rows.Scan(&s.Seq, &s.SourceID, &received, &s.Match.PersonID, &s.Match.By, &event, &s.Event.Raw); err != nil {
			return nil, err
		}
		raw := s.Event.Raw
		if s.Event, err = reader.Decode(event); err != nil {
			return nil, fmt.Errorf("decode event %d: %w", s.Seq, err)
		}
		s.Event.Raw = raw
		if s.Event.ReceivedAt.IsZero() {
			s.Event.ReceivedAt = time.UnixMicro(received).UTC()
		}
	}
	return all, asUnavailable(rows.Err())
}

// WaitSignals implements [signals.Store].
func (db *DB) WaitSignals(ctx context.Context, accountID string, after int64) error {
	return db.await(ctx, accountID, "SELECT seq FROM signal_events WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT 1", after)
}

// PurgeSignals implements [signals.Store]. The last event stays, so that numbers go on from it.
func (db *DB) PurgeSignals(ctx context.Context, before time.Time) error {
	accounts, err := db.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		for purged := int64(purgeRows); purged == purgeRows; {
			err := db.do(ctx, a.ID, lazy, func(tx *Tx) error {
				var err error
				purged, err = tx.exec(`DELETE FROM signal_events WHERE account_id = $1 AND seq IN (SELECT seq FROM signal_events WHERE account_id = $1 AND at < $2
					AND seq < (SELECT seq FROM signal_events WHERE account_id = $1 ORDER BY seq DESC LIMIT 1) ORDER BY at, seq LIMIT $3)`,
					a.ID, before.UnixMicro(), purgeRows)
				return err
			})
			if err != nil {
				return fmt.Errorf("delete old events: %w", err)
			}
		}
	}
	return nil
}

// padded fills a list up to one of the sizes of batches by repeating its last text.
func padded(list []string, many int) [][]string {
	var all [][]string
	for part := range slices.Chunk(list, many) {
		size := 1
		if len(part) > 1 {
			size = someRows
		}
		if len(part) > someRows {
			size = many
		}
		part = slices.Clone(part)
		for len(part) < size {
			part = append(part, part[len(part)-1])
		}
		all = append(all, part)
	}
	return all
}
