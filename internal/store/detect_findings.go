package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

// findingColumns are what scanFinding reads.
const findingColumns = "account_id, seq, id, " + changedColumns + ", harmless, judged_by, judged_at, case_id, created_at"

// scanFinding reads a finding without its evidence.
func scanFinding(r scanner) (detect.StoredFinding, error) {
	var f detect.StoredFinding
	var key, features, explain string
	var began, last, created int64
	var judged sql.NullInt64
	err := r.Scan(&f.AccountID, &f.Seq, &f.ID, &f.Rule, &f.RuleID, &f.Version, &f.Level, &f.Title, &f.Person, &f.PersonID, &f.User, &f.Address, &f.Subject, &key,
		&began, &last, &f.Count, &f.More, &features, &explain, &f.State, &f.Harmless, &f.JudgedBy, &judged, &f.CaseID, &created)
	if err != nil {
		return f, err
	}
	f.Time, f.Last, f.CreatedAt, f.JudgedAt = time.UnixMicro(began).UTC(), time.UnixMicro(last).UTC(), time.UnixMicro(created).UTC(), at(judged)
	for _, part := range []struct {
		text string
		to   any
	}{{key, &f.Key}, {features, &f.Features}, {explain, &f.Explain}} {
		if err := json.Unmarshal([]byte(part.text), part.to); err != nil {
			return f, fmt.Errorf("read finding %s: %w", f.ID, err)
		}
	}
	return f, nil
}

// FindingList implements [detect.Findings]. Whoever asks for one person, one rule or what is open is led by an
// index; the other conditions leave out.
func (db *DB) FindingList(ctx context.Context, q detect.FindingQuery) ([]detect.StoredFinding, error) {
	before := q.Before
	if before == 0 {
		before = math.MaxInt64
	}
	index := ""
	if q.State == detect.FindingOpen && q.PersonID == "" && q.Rule == "" {
		index = db.openFindings()
	}
	st := new(statement).add("SELECT "+findingColumns+" FROM findings"+index+" WHERE account_id = ? AND seq < ?", q.AccountID, before)
	if q.PersonID != "" {
		st.add(" AND person_id = ?", q.PersonID)
	}
	if q.Rule != "" {
		st.add(" AND rule = ?", q.Rule)
	}
	if len(q.Levels) > 0 {
		levels := make([]any, len(q.Levels))
		for i, l := range q.Levels {
			levels[i] = string(l)
		}
		st.add(" AND level IN (?"+strings.Repeat(", ?", len(levels)-1)+")", levels...)
	}
	switch q.State {
	case "":
		st.add(" AND state <> 'withdrawn'")
	case detect.FindingOpen: // as text, or the index of the open ones would not be for it
		st.add(" AND state = 'open'")
	default:
		st.add(" AND state = ?", string(q.State))
	}
	// Not by the index of the times, which has them in another order.
	if !q.From.IsZero() {
		st.add(" AND +at >= ?", q.From.UnixMicro())
	}
	if !q.To.IsZero() {
		st.add(" AND +at < ?", q.To.UnixMicro())
	}
	st.add(" ORDER BY seq DESC LIMIT ?", q.Limit)
	rows, err := db.query(ctx, st.text.String(), st.args...)
	all, err := collect(rows, err, scanFinding)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	return all, nil
}

// findingBy is the condition for one finding, whose first parameter is the account, and the second one's value.
func findingBy(id string) (condition string, value any) {
	if seq, err := strconv.ParseInt(id, 10, 64); err == nil {
		return "account_id = $1 AND seq = $2", seq
	}
	return "account_id = $1 AND id = $2", id
}

// Finding implements [detect.Findings].
func (db *DB) Finding(ctx context.Context, accountID, id string) (detect.StoredFinding, error) {
	condition, value := findingBy(id)
	rows, err := db.query(ctx, "SELECT "+findingColumns+" FROM findings WHERE "+condition, accountID, value)
	return theFinding(id, rows, err)
}

func theFinding(id string, rows *sql.Rows, err error) (detect.StoredFinding, error) {
	found, err := collect(rows, err, scanFinding)
	if err != nil {
		return detect.StoredFinding{}, fmt.Errorf("read finding %q: %w", id, err)
	}
	if len(found) == 0 {
		return detect.StoredFinding{}, detect.ErrNoFinding(id)
	}
	return found[0], nil
}

// FindingEvents implements [detect.Findings].
func (db *DB) FindingEvents(ctx context.Context, accountID, id string) ([]signals.Stored, error) {
	f, err := db.Finding(ctx, accountID, id)
	if err != nil {
		return nil, err
	}
	rows, err := db.query(ctx, `SELECT s.seq, s.source_id, s.received_at, s.person_id, s.matched_by, s.event, s.raw FROM finding_events e
		JOIN signal_events s ON s.account_id = e.account_id AND s.seq = e.event WHERE e.account_id = $1 AND e.finding = $2`, accountID, f.Seq)
	all, err := collectSignals(rows, err, math.MaxInt)
	if err != nil {
		return nil, fmt.Errorf("read evidence of finding %q: %w", id, err)
	}
	sortSignals(all)
	return all, nil
}

// RuleCounts implements [detect.Findings]. An index has all that it reads.
func (db *DB) RuleCounts(ctx context.Context, accountID string, days int) (map[string][]int, error) {
	const day = 24 * time.Hour
	first := db.now().UTC().Truncate(day).Add(-time.Duration(days-1) * day)
	type count struct {
		rule string
		day  int64
		n    int
	}
	rows, err := db.query(ctx, `SELECT rule, (at - $1) / $2 AS day, COUNT(*) FROM findings WHERE account_id = $3 AND at >= $1 AND at < $4 AND state <> 'withdrawn'
		GROUP BY rule, day ORDER BY rule, day`, first.UnixMicro(), day.Microseconds(), accountID, first.Add(time.Duration(days)*day).UnixMicro())
	counts, err := collect(rows, err, func(r scanner) (c count, err error) { return c, r.Scan(&c.rule, &c.day, &c.n) })
	if err != nil {
		return nil, fmt.Errorf("count findings: %w", err)
	}
	all := map[string][]int{}
	for _, c := range counts {
		if all[c.rule] == nil {
			all[c.rule] = make([]int, days)
		}
		all[c.rule][c.day] = c.n
	}
	return all, nil
}

// Flooded implements [detect.Findings].
func (db *DB) Flooded(ctx context.Context, accountID string) (map[string]detect.Flood, error) {
	rows, err := db.query(ctx, "SELECT rule, passed, last_at FROM detect_floods WHERE account_id = $1", accountID)
	type flooded struct {
		rule string
		detect.Flood
	}
	list, err := collect(rows, err, func(r scanner) (f flooded, err error) {
		var us int64
		err = r.Scan(&f.rule, &f.Passed, &us)
		f.Last = time.UnixMicro(us).UTC()
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("read floods: %w", err)
	}
	all := map[string]detect.Flood{}
	for _, f := range list {
		all[f.rule] = f.Flood
	}
	return all, nil
}

// JudgeFinding implements [detect.Findings].
func (db *DB) JudgeFinding(ctx context.Context, accountID, id string, harmless bool, by audit.Entry) (detect.StoredFinding, error) {
	var f detect.StoredFinding
	condition, value := findingBy(id)
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		rows, err := tx.rows("SELECT "+findingColumns+" FROM findings WHERE "+condition, accountID, value)
		if f, err = theFinding(id, rows, err); err != nil {
			return err
		}
		if f.JudgedBy != "" && f.Harmless == harmless {
			return nil
		}
		f.Harmless, f.JudgedBy, f.JudgedAt = harmless, by.Actor, tx.now.Truncate(time.Microsecond)
		if _, err := tx.exec("UPDATE findings SET harmless = $1, judged_by = $2, judged_at = $3 WHERE account_id = $4 AND seq = $5",
			harmless, by.Actor, micros(f.JudgedAt), accountID, f.Seq); err != nil {
			return fmt.Errorf("judge finding %q: %w", id, err)
		}
		if harmless {
			if err := tx.teach(f); err != nil {
				return err
			}
		}
		entry := by.For(audit.FindingJudge, "finding:"+f.ID)
		verdict := "not harmless"
		if harmless {
			verdict = "harmless"
		}
		if entry.Reason != "" {
			verdict += ": " + entry.Reason
		}
		return tx.append(accountID, entry.Because(verdict))
	})
	return f, err
}

// teach makes a lesson of a finding, unless one was made of it before.
func (tx *Tx) teach(f detect.StoredFinding) error {
	n, err := tx.exec("UPDATE findings SET taught = $1 WHERE account_id = $2 AND seq = $3 AND taught <> $1", true, f.AccountID, f.Seq)
	if err != nil || n == 0 {
		return err
	}
	rows, err := tx.rows("SELECT event FROM finding_events WHERE account_id = $1 AND finding = $2 ORDER BY event", f.AccountID, f.Seq)
	events, err := collect(rows, err, func(r scanner) (n int64, err error) { return n, r.Scan(&n) })
	if err != nil {
		return fmt.Errorf("read evidence of finding %s: %w", f.ID, err)
	}
	text, err := json.Marshal(append([]int64{}, events...))
	if err != nil {
		return err
	}
	if _, err := tx.exec("UPDATE detect_state SET lessons = lessons + 1 WHERE account_id = $1", f.AccountID); err != nil {
		return fmt.Errorf("number a lesson: %w", err)
	}
	if _, err := tx.exec("INSERT INTO detect_lessons (account_id, number, finding_id, events) SELECT account_id, lessons, $1, $2 FROM detect_state WHERE account_id = $3",
		f.ID, string(text), f.AccountID); err != nil {
		return fmt.Errorf("add a lesson of finding %s: %w", f.ID, err)
	}
	tx.ring(f.AccountID)
	return nil
}

// WaitFindings implements [detect.Findings].
func (db *DB) WaitFindings(ctx context.Context, accountID string, after int64) error {
	return db.await(ctx, accountID, "SELECT seq FROM findings WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT 1", after)
}

// PurgeFindings implements [detect.Findings].
func (db *DB) PurgeFindings(ctx context.Context, before time.Time) error {
	accounts, err := db.DetectAccounts(ctx)
	if err != nil {
		return err
	}
	for _, id := range accounts {
		for purged := purgeRows; purged == purgeRows; {
			err := db.do(ctx, id, lazy, func(tx *Tx) error {
				rows, err := tx.rows(`SELECT seq FROM findings WHERE account_id = $1 AND at < $2 AND last_at < $2 AND state <> 'open' AND case_id = ''
					AND seq < (SELECT seq FROM findings WHERE account_id = $1 ORDER BY seq DESC LIMIT 1) ORDER BY at LIMIT $3`, id, before.UnixMicro(), purgeRows)
				seqs, err := collect(rows, err, func(r scanner) (n int64, err error) { return n, r.Scan(&n) })
				if err != nil {
					return err
				}
				purged = len(seqs)
				return tx.deleteFindings(id, seqs)
			})
			if err != nil {
				return fmt.Errorf("delete old findings: %w", err)
			}
		}
	}
	return nil
}

func (tx *Tx) deleteFindings(accountID string, seqs []int64) error {
	for part := range slices.Chunk(seqs, someRows) {
		args := append(make([]any, 0, 1+someRows), accountID)
		for i := range someRows {
			args = append(args, part[min(i, len(part)-1)]) // the last one again where there are fewer
		}
		list := placeholders(2, someRows)
		for _, query := range []string{"DELETE FROM finding_events WHERE account_id = $1 AND finding IN (" + list + ")", "DELETE FROM findings WHERE account_id = $1 AND seq IN (" + list + ")"} {
			if _, err := tx.exec(query, args...); err != nil {
				return err
			}
		}
	}
	return nil
}
