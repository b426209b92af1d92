package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/internal/detect"
)

// CommitDetection implements [detect.Progress].
func (db *DB) CommitDetection(ctx context.Context, c detect.Commit) error {
	level := durability(len(c.Changes) > 0 || len(c.Withdrawn) > 0)
	return db.do(ctx, c.AccountID, level, func(tx *Tx) error {
		if err := tx.mayDetect(c.AccountID, c.Holder, c.From); err != nil {
			return err
		}
		if _, err := tx.exec("UPDATE detect_state SET version = version + 1, cursor = $1, late = late + $2, ahead = ahead + $3 WHERE account_id = $4",
			c.Cursor, c.Late, c.Ahead, c.AccountID); err != nil {
			return fmt.Errorf("move the cursor of detection: %w", err)
		}
		if err := tx.writeFindings(c.AccountID, c.Changes); err != nil {
			return err
		}
		if err := tx.setFindings(c.AccountID, c.Withdrawn, detect.FindingWithdrawn); err != nil {
			return err
		}
		if err := tx.setFindings(c.AccountID, c.Over, detect.FindingEnded); err != nil {
			return err
		}
		for _, l := range c.Learned {
			if _, err := tx.exec("UPDATE detect_lessons SET applied_at = $1 WHERE account_id = $2 AND number = $3", micros(l.At), c.AccountID, l.Number); err != nil {
				return fmt.Errorf("note lesson %d: %w", l.Number, err)
			}
		}
		for _, rule := range slices.Sorted(maps.Keys(c.Flooded)) {
			if _, err := tx.exec(`INSERT INTO detect_floods (account_id, rule, passed, last_at) VALUES ($1, $2, $3, $4)
				ON CONFLICT (account_id, rule) DO UPDATE SET passed = detect_floods.passed + excluded.passed, last_at = excluded.last_at`,
				c.AccountID, rule, c.Flooded[rule], tx.now.UnixMicro()); err != nil {
				return fmt.Errorf("note flood of rule %q: %w", rule, err)
			}
		}
		if len(c.Changes) > 0 || len(c.Withdrawn) > 0 {
			tx.ring(c.AccountID)
		}
		return nil
	})
}

// mayDetect refuses who does not know the present state of the account's detection, or does not have the lease.
func (tx *Tx) mayDetect(accountID, holder string, from int64) error {
	var version int64
	var by string
	err := tx.row("SELECT version, lease_holder FROM detect_state WHERE account_id = $1", accountID).Scan(&version, &by)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return detect.ErrOvertaken()
	case err != nil:
		return fmt.Errorf("read the state of detection: %w", err)
	case version != from || by != holder:
		return detect.ErrOvertaken()
	}
	return nil
}

// writeFindings writes findings as they are now, and their evidence.
func (tx *Tx) writeFindings(accountID string, changes []detect.Change) error {
	if len(changes) == 0 {
		return nil
	}
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.Found.ID
	}
	seqs, err := tx.findingSeqs(accountID, ids)
	if err != nil {
		return err
	}
	var last int64
	if err := tx.row("SELECT COALESCE((SELECT seq FROM findings WHERE account_id = $1 ORDER BY seq DESC LIMIT 1), 0)", accountID).Scan(&last); err != nil {
		return fmt.Errorf("read the last finding: %w", err)
	}
	var evidence []evidenceRow
	for _, c := range changes {
		seq, there := seqs[c.Found.ID]
		if !there {
			last++
			seq = last
			seqs[c.Found.ID] = seq
		}
		if err := tx.writeFinding(accountID, seq, there, c); err != nil {
			return fmt.Errorf("write finding %s: %w", c.Found.ID, err)
		}
		if c.Anew && there {
			if _, err := tx.exec("DELETE FROM finding_events WHERE account_id = $1 AND finding = $2", accountID, seq); err != nil {
				return fmt.Errorf("remove evidence of finding %s: %w", c.Found.ID, err)
			}
			evidence = slices.DeleteFunc(evidence, func(e evidenceRow) bool { return e.finding == seq })
		}
		for _, e := range c.Events {
			evidence = append(evidence, evidenceRow{seq, e})
		}
	}
	return tx.insertEvidence(accountID, evidence)
}

// findingSeqs are the numbers of the findings that are stored, by their ids.
func (tx *Tx) findingSeqs(accountID string, ids []string) (map[string]int64, error) {
	seqs := map[string]int64{}
	for _, part := range padded(ids, tx.db.manyRows()) {
		args := append(make([]any, 0, 1+len(part)), accountID)
		for _, id := range part {
			args = append(args, id)
		}
		rows, err := tx.rows("SELECT id, seq FROM findings WHERE account_id = $1 AND id IN ("+placeholders(2, len(part))+")", args...)
		type stored struct {
			id  string
			seq int64
		}
		some, err := collect(rows, err, func(r scanner) (s stored, err error) { return s, r.Scan(&s.id, &s.seq) })
		if err != nil {
			return nil, fmt.Errorf("look for findings: %w", err)
		}
		for _, s := range some {
			seqs[s.id] = s.seq
		}
	}
	return seqs, nil
}

// changedColumns are those of a finding that each change writes.
const changedColumns = "rule, rule_id, version, level, title, person, person_id, user_name, address, subject, key, at, last_at, count, more, features, explain, state"

const changedWidth = 18

func changedValues(c detect.Change) ([]any, error) {
	f := c.Found
	key, err := json.Marshal(append([]string{}, f.Key...))
	if err != nil {
		return nil, err
	}
	features, err := json.Marshal(append([]detect.FeatureValue{}, f.Features...))
	if err != nil {
		return nil, err
	}
	explain, err := json.Marshal(f.Explain)
	if err != nil {
		return nil, err
	}
	state := detect.FindingEnded
	if c.Open {
		state = detect.FindingOpen
	}
	return []any{
		f.Rule, f.RuleID, f.Version, string(f.Level), storable(f.Title, mostText), storable(f.Person, mostText), f.PersonID, storable(f.User, mostText),
		storable(f.Address, mostText), storable(f.Subject, 2*mostText), string(key), f.Time.UnixMicro(), f.Last.UnixMicro(), f.Count, f.More,
		string(features), string(explain), string(state),
	}, nil
}

// writeFinding inserts the finding, or changes the one that is there.
func (tx *Tx) writeFinding(accountID string, seq int64, there bool, c detect.Change) error {
	values, err := changedValues(c)
	if err != nil {
		return err
	}
	if there {
		_, err := tx.exec("UPDATE findings SET ("+changedColumns+") = ("+placeholders(1, changedWidth)+") WHERE account_id = $19 AND seq = $20", append(values, accountID, seq)...)
		return err
	}
	_, err = tx.exec("INSERT INTO findings ("+changedColumns+", account_id, seq, id, harmless, judged_by, taught, case_id, created_at) VALUES ("+placeholders(1, changedWidth+8)+")",
		append(values, accountID, seq, c.Found.ID, false, "", false, "", tx.now.UnixMicro())...)
	return err
}

// evidenceRow is an event of the finding with the number.
type evidenceRow struct {
	finding int64
	detect.Evidence
}

func (tx *Tx) insertEvidence(accountID string, list []evidenceRow) error {
	const width = 4
	for _, part := range batches(list, tx.db.manyRows()) {
		groups, args := make([]string, len(part)), make([]any, 0, width*len(part))
		for i, e := range part {
			groups[i] = "(" + placeholders(1+i*width, width) + ")"
			args = append(args, accountID, e.finding, e.Seq, e.ID)
		}
		if _, err := tx.exec("INSERT INTO finding_events (account_id, finding, event, event_id) VALUES "+strings.Join(groups, ", ")+" ON CONFLICT DO NOTHING", args...); err != nil {
			return fmt.Errorf("insert evidence: %w", err)
		}
	}
	return nil
}

// setFindings gives findings another state: withdrawn from whatever they are in, ended from open.
func (tx *Tx) setFindings(accountID string, ids []string, state detect.FindingState) error {
	seqs, err := tx.findingSeqs(accountID, ids)
	if err != nil {
		return err
	}
	for _, part := range batches(slices.Sorted(maps.Values(seqs)), tx.db.manyRows()) {
		args := append(make([]any, 0, 2+len(part)), string(state), accountID)
		for _, n := range part {
			args = append(args, n)
		}
		query := "UPDATE findings SET state = $1 WHERE account_id = $2 AND seq IN (" + placeholders(3, len(part)) + ")"
		if state == detect.FindingEnded {
			query += " AND state = 'open'"
		}
		if _, err := tx.exec(query, args...); err != nil {
			return fmt.Errorf("make findings %s: %w", state, err)
		}
	}
	return nil
}

// WriteCheckpoint implements [detect.Progress].
func (db *DB) WriteCheckpoint(ctx context.Context, c detect.Checkpoint) error {
	run := func(tx *Tx) error {
		if err := tx.mayDetect(c.AccountID, c.Holder, c.From); err != nil {
			return err
		}
		if _, err := tx.exec("UPDATE detect_state SET version = version + 1, checkpoint_at = $1, windows = $2, rules = $3 WHERE account_id = $4",
			c.At.UnixMicro(), bytesOrNull(c.Windows), c.Rules, c.AccountID); err != nil {
			return fmt.Errorf("write checkpoint: %w", err)
		}
		if err := tx.writeProfiles(c.AccountID, c.Profiles); err != nil {
			return err
		}
		if _, err := tx.exec("DELETE FROM detect_lessons WHERE account_id = $1 AND applied_at <= $2", c.AccountID, c.At.UnixMicro()); err != nil {
			return fmt.Errorf("remove lessons: %w", err)
		}
		return nil
	}
	// A large one alone: who waits would share its end otherwise.
	return db.enter(c.AccountID, &unit{ctx: ctx, durable: lazy, most: groupTimeout, alone: len(c.Profiles) > manyRows, run: run, turn: make(chan bool, 1)})
}

// writeProfiles writes each profile, and deletes those without a value.
func (tx *Tx) writeProfiles(accountID string, list []detect.ProfileRow) error {
	const width = 4
	var kept []detect.ProfileRow
	var gone []string
	for _, p := range list {
		if p.Value == nil {
			gone = append(gone, p.Key)
		} else {
			kept = append(kept, p)
		}
	}
	for _, part := range batches(kept, tx.db.manyRows()) {
		groups, args := make([]string, len(part)), make([]any, 0, width*len(part))
		for i, p := range part {
			groups[i] = "(" + placeholders(1+i*width, width) + ")"
			args = append(args, accountID, p.Key, p.Value, p.Until.UnixMicro())
		}
		if _, err := tx.exec("INSERT INTO detect_profiles (account_id, key, value, until) VALUES "+strings.Join(groups, ", ")+
			" ON CONFLICT (account_id, key) DO UPDATE SET value = excluded.value, until = excluded.until", args...); err != nil {
			return fmt.Errorf("write profiles: %w", err)
		}
	}
	for _, part := range padded(gone, tx.db.manyRows()) {
		args := append(make([]any, 0, 1+len(part)), accountID)
		for _, key := range part {
			args = append(args, key)
		}
		if _, err := tx.exec("DELETE FROM detect_profiles WHERE account_id = $1 AND key IN ("+placeholders(2, len(part))+")", args...); err != nil {
			return fmt.Errorf("forget profiles: %w", err)
		}
	}
	return nil
}
