package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/signals"
)

var _ detect.Store = (*DB)(nil)

// DetectAccounts implements [detect.Progress].
func (db *DB) DetectAccounts(ctx context.Context) ([]string, error) {
	rows, err := db.query(ctx, "SELECT id FROM accounts ORDER BY created_at, id")
	ids, err := collect(rows, err, scanText)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return ids, nil
}

func scanText(r scanner) (s string, err error) { return s, r.Scan(&s) }

// LeaseDetection implements [detect.Progress].
func (db *DB) LeaseDetection(ctx context.Context, accountID, holder string, until time.Time) (bool, error) {
	ours := false
	err := db.do(ctx, accountID, lazy, func(tx *Tx) error {
		ours = false
		if until.IsZero() || !until.After(tx.now) {
			n, err := tx.exec("UPDATE detect_state SET lease_holder = '', lease_until = 0 WHERE account_id = $1 AND lease_holder = $2", accountID, holder)
			ours = n > 0
			return err
		}
		var there int
		if err := tx.row("SELECT COUNT(*) FROM accounts WHERE id = $1", accountID).Scan(&there); err != nil {
			return err
		}
		if there == 0 {
			return errNoAccount(accountID)
		}
		n, err := tx.exec(`INSERT INTO detect_state (account_id, version, cursor, late, ahead, rules, lessons, lease_holder, lease_until) VALUES ($1, 0, 0, 0, 0, 0, 0, $2, $3)
			ON CONFLICT (account_id) DO UPDATE SET lease_holder = excluded.lease_holder, lease_until = excluded.lease_until
			WHERE detect_state.lease_holder = $2 OR detect_state.lease_until < $4`, accountID, holder, until.UnixMicro(), tx.now.UnixMicro())
		ours = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("lease the detection of %q: %w", accountID, err)
	}
	return ours, nil
}

// DetectState implements [detect.Progress].
func (db *DB) DetectState(ctx context.Context, accountID string) (detect.State, error) {
	var s detect.State
	var checkpoint sql.NullInt64
	err := db.get(ctx, "SELECT version, cursor, late, ahead, checkpoint_at, windows, rules FROM detect_state WHERE account_id = $1", []any{accountID},
		&s.Version, &s.Cursor, &s.Late, &s.Ahead, &checkpoint, &s.Windows, &s.Rules)
	if errors.Is(err, sql.ErrNoRows) {
		return detect.State{}, nil
	}
	if err != nil {
		return detect.State{}, fmt.Errorf("read the state of detection: %w", err)
	}
	s.CheckpointAt = at(checkpoint)
	return s, nil
}

// Profiles implements [detect.Progress].
func (db *DB) Profiles(ctx context.Context, accountID string, take func(key string, value []byte, until time.Time) error) error {
	rows, err := db.query(ctx, "SELECT key, value, until FROM detect_profiles WHERE account_id = $1", accountID)
	if err != nil {
		return fmt.Errorf("read profiles: %w", err)
	}
	defer rows.Close()
	var key string
	var value sql.RawBytes
	var until int64
	for rows.Next() {
		if err := rows.Scan(&key, &value, &until); err != nil {
			return fmt.Errorf("read profiles: %w", err)
		}
		if err := take(key, value, time.UnixMicro(until).UTC()); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read profiles: %w", asUnavailable(err))
	}
	return nil
}

// within is a stretch as a condition on signal_events, whose first parameter is the account, and its values.
// Three ranges instead of an OR keep the index of the times leading.
const within = "account_id = $1 AND at >= $2 AND at <= $3 AND (at > $2 OR seq > $4) AND seq <= $5"

func withinValues(accountID string, s detect.Stretch) []any {
	until := s.Until.UnixMicro()
	if s.Until.IsZero() {
		until = maxTime
	}
	return []any{accountID, s.After.At.UnixMicro(), until, s.After.Seq, s.UpTo}
}

// maxTime is later than all times, in microseconds.
const maxTime = 1<<63 - 1

// SignalTimes implements [detect.Progress].
func (db *DB) SignalTimes(ctx context.Context, accountID string, s detect.Stretch, limit int) ([]detect.SignalTime, error) {
	rows, err := db.query(ctx, "SELECT seq, at, received_at FROM signal_events WHERE "+within+" ORDER BY at, seq LIMIT $6", append(withinValues(accountID, s), limit)...)
	all, err := collect(rows, err, func(r scanner) (t detect.SignalTime, err error) {
		var when, received int64
		err = r.Scan(&t.Seq, &when, &received)
		t.At, t.ReceivedAt = time.UnixMicro(when).UTC(), time.UnixMicro(received).UTC()
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read times of events: %w", err)
	}
	return all, nil
}

// SignalsByTime implements [detect.Progress].
func (db *DB) SignalsByTime(ctx context.Context, accountID string, s detect.Stretch, limit int) ([]signals.Stored, error) {
	rows, err := db.query(ctx, "SELECT "+storedColumns+" FROM signal_events WHERE "+within+" ORDER BY at, seq LIMIT $6", append(withinValues(accountID, s), limit)...)
	all, err := collectSignals(rows, err, limit)
	if err != nil {
		return nil, fmt.Errorf("read events after %s: %w", s.After.At, err)
	}
	return all, nil
}

// SignalsBySeq implements [detect.Progress].
func (db *DB) SignalsBySeq(ctx context.Context, accountID string, seqs []int64) ([]signals.Stored, error) {
	var all []signals.Stored
	for _, part := range batches(slices.Compact(slices.Sorted(slices.Values(seqs))), db.manyRows()) {
		args := make([]any, 0, 1+len(part))
		args = append(args, accountID)
		for _, n := range part {
			args = append(args, n)
		}
		rows, err := db.query(ctx, "SELECT "+storedColumns+" FROM signal_events WHERE account_id = $1 AND seq IN ("+placeholders(2, len(part))+")", args...)
		some, err := collectSignals(rows, err, len(part))
		if err != nil {
			return nil, fmt.Errorf("read %d events: %w", len(part), err)
		}
		all = append(all, some...)
	}
	sortSignals(all)
	return all, nil
}

// sortSignals puts events in order of time and number.
func sortSignals(all []signals.Stored) {
	slices.SortFunc(all, func(a, b signals.Stored) int {
		if c := a.Event.When().Compare(b.Event.When()); c != 0 {
			return c
		}
		return int(a.Seq - b.Seq)
	})
}

// endedHolds is how long a hold that has ended is still told of.
const endedHolds = 24 * time.Hour

// PeopleStates implements [detect.Progress].
func (db *DB) PeopleStates(ctx context.Context, accountID string, ids []string) (map[string]detect.PersonState, error) {
	all := map[string]detect.PersonState{}
	for _, part := range padded(ids, db.manyRows()) {
		args := append(make([]any, 0, 2+len(part)), accountID)
		for _, id := range part {
			args = append(args, id)
		}
		list := placeholders(2, len(part))
		if err := db.peopleIn(ctx, all, "SELECT u.id, g.id, g.kind FROM users u LEFT JOIN group_members m ON m.account_id = u.account_id AND m.user_id = u.id "+
			"LEFT JOIN groups g ON g.account_id = m.account_id AND g.id = m.group_id WHERE u.account_id = $1 AND u.id IN ("+list+")", args); err != nil {
			return nil, fmt.Errorf("read groups of people: %w", err)
		}
		last := placeholders(2+len(part), 1)
		rows, err := db.query(ctx, "SELECT user_id, opened_at, until_at, released_at FROM holds WHERE account_id = $1 AND user_id IN ("+list+") AND (released_at IS NULL OR released_at > "+last+")",
			append(args, db.now().Add(-endedHolds).UnixMicro())...)
		holds, err := collect(rows, err, scanHeld)
		if err != nil {
			return nil, fmt.Errorf("read holds of people: %w", err)
		}
		for _, h := range holds {
			if p, ok := all[h.user]; ok {
				p.Holds = append(p.Holds, h.span)
				all[h.user] = p
			}
		}
	}
	for id, p := range all {
		slices.Sort(p.Groups)
		slices.SortFunc(p.Holds, func(a, b detect.Span) int { return a.From.Compare(b.From) })
		p.Holds = slices.Compact(p.Holds)
		all[id] = p
	}
	return all, nil
}

// peopleIn adds people with their groups to all.
func (db *DB) peopleIn(ctx context.Context, all map[string]detect.PersonState, query string, args []any) error {
	type member struct{ user, group, kind string }
	rows, err := db.query(ctx, query, args...)
	members, err := collect(rows, err, func(r scanner) (m member, err error) {
		var group, kind sql.NullString
		err = r.Scan(&m.user, &group, &kind)
		m.group, m.kind = group.String, kind.String
		return m, err
	})
	if err != nil {
		return err
	}
	for _, m := range members {
		p := all[m.user]
		p.ID = m.user
		if m.group != "" && !slices.Contains(p.Groups, m.group) {
			p.Groups = append(p.Groups, m.group)
		}
		p.Protected = p.Protected || protects(directory.GroupKind(m.kind))
		all[m.user] = p
	}
	return nil
}

// protects says whether who is in a group of the kind can do more to an account than others.
func protects(k directory.GroupKind) bool {
	return k == directory.Owners || k == directory.Administrators || k == directory.Security
}

// held is for how long somebody is, or was, suspended.
type held struct {
	user string
	span detect.Span
}

// scanHeld reads a hold. One that ends by itself ends then.
func scanHeld(r scanner) (held, error) {
	var h held
	var opened int64
	var until, released sql.NullInt64
	err := r.Scan(&h.user, &opened, &until, &released)
	h.span.From, h.span.Until = time.UnixMicro(opened).UTC(), at(released)
	if !released.Valid {
		h.span.Until = at(until)
	}
	return h, err
}

// FindingsAfter implements [detect.Progress].
func (db *DB) FindingsAfter(ctx context.Context, accountID string, after time.Time) ([]detect.Known, error) {
	type numbered struct {
		seq int64
		detect.Known
	}
	known := map[int64]detect.Known{}
	const columns = "SELECT seq, id, rule, version, at, state, last_at, count, more FROM findings"
	for _, part := range []struct {
		query string
		args  []any
	}{
		{columns + " WHERE account_id = $1 AND at > $2 AND state <> 'withdrawn'", []any{accountID, after.UnixMicro()}},
		{columns + db.openFindings() + " WHERE account_id = $1 AND state = 'open'", []any{accountID}},
	} {
		rows, err := db.query(ctx, part.query, part.args...)
		some, err := collect(rows, err, func(r scanner) (n numbered, err error) {
			var began, last int64
			var state string
			err = r.Scan(&n.seq, &n.ID, &n.Rule, &n.Text, &began, &state, &last, &n.Count, &n.More)
			n.At, n.Last, n.Open = time.UnixMicro(began).UTC(), time.UnixMicro(last).UTC(), state == string(detect.FindingOpen)
			return n, err
		})
		if err != nil {
			return nil, fmt.Errorf("read findings after %s: %w", after, err)
		}
		for _, n := range some {
			known[n.seq] = n.Known
		}
	}
	numbers := slices.Sorted(maps.Keys(known))
	for _, part := range batches(numbers, db.manyRows()) {
		args := append(make([]any, 0, 1+len(part)), accountID)
		for _, n := range part {
			args = append(args, n)
		}
		rows, err := db.query(ctx, "SELECT finding, event FROM finding_events WHERE account_id = $1 AND finding IN ("+placeholders(2, len(part))+") ORDER BY finding, event", args...)
		pairs, err := collect(rows, err, func(r scanner) (p [2]int64, err error) { return p, r.Scan(&p[0], &p[1]) })
		if err != nil {
			return nil, fmt.Errorf("read evidence of findings: %w", err)
		}
		for _, p := range pairs {
			k := known[p[0]]
			k.Events = append(k.Events, p[1])
			known[p[0]] = k
		}
	}
	all := make([]detect.Known, 0, len(known))
	for _, n := range numbers {
		all = append(all, known[n])
	}
	return all, nil
}

// openFindings names the index of the open ones to SQLite, which would look at all findings of the account.
func (db *DB) openFindings() string {
	if db.postgres != "" {
		return ""
	}
	return " INDEXED BY findings_open"
}

// Lessons implements [detect.Progress].
func (db *DB) Lessons(ctx context.Context, accountID string, after time.Time) ([]detect.Lesson, error) {
	rows, err := db.query(ctx, "SELECT number, finding_id, events, applied_at FROM detect_lessons WHERE account_id = $1 AND (applied_at IS NULL OR applied_at > $2) ORDER BY number",
		accountID, after.UnixMicro())
	all, err := collect(rows, err, func(r scanner) (l detect.Lesson, err error) {
		var events string
		var applied sql.NullInt64
		if err := r.Scan(&l.Number, &l.FindingID, &events, &applied); err != nil {
			return l, err
		}
		l.At = at(applied)
		return l, json.Unmarshal([]byte(events), &l.Events)
	})
	if err != nil {
		return nil, fmt.Errorf("read lessons: %w", err)
	}
	return all, nil
}
