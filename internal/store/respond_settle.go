package store

import (
	"database/sql"
	"fmt"

	"holdfast/internal/respond"
)

// endRun ends a run that waits for nothing, or brings it to where its actions are.
func (w *work) endRun(run *respond.Run) error {
	if run.State == respond.RunActing {
		return w.tx.settleRun(w.account, run)
	}
	if run.State.Final() {
		return w.tx.setRun(w.account, run, run.State)
	}
	return nil
}

// setRun writes a run's state; a final one ends it.
func (tx *Tx) setRun(account string, run *respond.Run, to respond.RunState) error {
	if err := respond.MoveRun(run.State, to); err != nil {
		return err
	}
	run.State = to
	var ended any
	if to.Final() {
		ended = tx.now.UnixMicro()
		run.EndedAt = tx.now
	}
	if _, err := tx.exec("UPDATE runs SET state = $1, ended_at = $2 WHERE account_id = $3 AND id = $4", string(to), ended, account, run.ID); err != nil {
		return fmt.Errorf("write state of run %q: %w", run.ID, err)
	}
	return nil
}

// settleRun ends a run that acts once all its actions have come to an end.
func (tx *Tx) settleRun(account string, run *respond.Run) error {
	if run.State != respond.RunActing {
		return nil
	}
	actions, err := readActions(tx, actionsOfRun, account, run.ID)
	if err != nil {
		return err
	}
	to := respond.RunDone
	for _, a := range actions {
		switch {
		case !a.State.Final():
			return nil
		case a.State == respond.ActionRefused, a.State == respond.ActionFailed:
			to = respond.RunFailed
		}
	}
	return tx.setRun(account, run, to)
}

// settleCase brings a case up to date with its findings, holds, approvals and questions.
func (tx *Tx) settleCase(account, id string) error {
	c, err := readCase(tx, account, id)
	if err != nil {
		return err
	}
	var findings, pending, holds int64
	var until sql.NullInt64
	for _, q := range []struct {
		query string
		args  []any
		into  []any
	}{
		{"SELECT COUNT(*) FROM case_findings WHERE account_id = $1 AND case_id = $2", []any{account, id}, []any{&findings}},
		{`SELECT (SELECT COUNT(*) FROM approvals WHERE account_id = $1 AND case_id = $2 AND state = 'pending')
			+ (SELECT COUNT(*) FROM questions WHERE account_id = $1 AND case_id = $2 AND state = 'pending')`, []any{account, id}, []any{&pending}},
		{"SELECT COUNT(*) FROM holds WHERE account_id = $1 AND user_id = $2 AND holder = $3 AND released_at IS NULL", []any{account, c.Subject.PersonID, caseHolder + id}, []any{&holds}},
	} {
		if err := tx.row(q.query, q.args...).Scan(q.into...); err != nil {
			return fmt.Errorf("look at what belongs to case %q: %w", id, err)
		}
	}
	actions, err := readActions(tx, actionsOfCase, account, id)
	if err != nil {
		return err
	}
	endless := false
	for _, a := range actions {
		if a.Kind != respond.ActSuspend || a.State != respond.ActionDone || a.Already {
			continue
		}
		if a.Target != respond.LocalTarget {
			holds++
		}
		endless = endless || a.Until.IsZero()
		until = sql.NullInt64{Int64: max(until.Int64, a.Until.UnixMicro()), Valid: true}
	}
	if endless || holds == 0 {
		until = sql.NullInt64{}
	}
	to := c.State
	switch {
	case c.State == respond.CaseOpen && holds > 0:
		to = respond.CaseContained
	case c.State == respond.CaseContained && holds == 0:
		to = respond.CaseOpen
	}
	if err := respond.MoveCase(c.State, to); err != nil {
		return err
	}
	_, err = tx.exec("UPDATE cases SET state = $1, findings = $2, pending = $3, held_until = $4, updated_at = $5 WHERE account_id = $6 AND id = $7",
		string(to), findings, pending, until, tx.now.UnixMicro(), account, id)
	if err != nil {
		return fmt.Errorf("bring case %q up to date: %w", id, err)
	}
	return nil
}
