package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

// reader is where rows are read: a transaction that changes something, or one that only reads.
type reader interface {
	rows(query string, args ...any) (*sql.Rows, error)
}

// one is the only row that a query finds; false: there is none.
func one[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) (T, bool, error) {
	all, err := collect(rows, err, scan)
	if err != nil || len(all) == 0 {
		var zero T
		return zero, false, err
	}
	return all[0], true, nil
}

// asJSON is how lists and maps are stored.
func asJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return string(b), nil
}

const caseColumns = "id, number, person_id, name, email, title, level, state, resolution, note, assignee_id, opened_at, updated_at, closed_at, closed_by, findings, pending, held_until"

func scanCase(account string) func(scanner) (respond.Case, error) {
	return func(r scanner) (respond.Case, error) {
		c := respond.Case{AccountID: account}
		var opened, updated int64
		var closed, held sql.NullInt64
		err := r.Scan(&c.ID, &c.Number, &c.Subject.PersonID, &c.Subject.Name, &c.Subject.Email, &c.Title, &c.Level, &c.State, &c.Resolution, &c.Note,
			&c.AssigneeID, &opened, &updated, &closed, &c.ClosedBy, &c.Findings, &c.Pending, &held)
		c.OpenedAt, c.UpdatedAt, c.ClosedAt, c.HeldUntil = time.UnixMicro(opened).UTC(), time.UnixMicro(updated).UTC(), at(closed), at(held)
		return c, err
	}
}

const oneCase = "SELECT " + caseColumns + " FROM cases WHERE account_id = $1 AND id = $2"

func readCase(q reader, account, id string) (respond.Case, error) {
	rows, err := q.rows(oneCase, account, id)
	c, ok, err := one(rows, err, scanCase(account))
	if err != nil {
		return c, fmt.Errorf("read case %q: %w", id, err)
	}
	if !ok {
		return c, problem.New(problem.NotFound, "no case %q in this account", id)
	}
	return c, nil
}

const runColumns = "id, case_id, finding_id, playbook, version, mode, state, checks, dedupe_key, created_at, ended_at"

func scanRun(account string) func(scanner) (respond.Run, error) {
	return func(r scanner) (respond.Run, error) {
		x := respond.Run{AccountID: account}
		var checks string
		var created int64
		var ended sql.NullInt64
		if err := r.Scan(&x.ID, &x.CaseID, &x.FindingID, &x.Playbook, &x.Version, &x.Mode, &x.State, &checks, &x.DedupeKey, &created, &ended); err != nil {
			return x, err
		}
		x.CreatedAt, x.EndedAt = time.UnixMicro(created).UTC(), at(ended)
		if err := json.Unmarshal([]byte(checks), &x.Checks); err != nil {
			return x, fmt.Errorf("read checks of run %q: %w", x.ID, err)
		}
		return x, nil
	}
}

func readRun(q reader, account, id string) (respond.Run, error) {
	rows, err := q.rows("SELECT "+runColumns+" FROM runs WHERE account_id = $1 AND id = $2", account, id)
	x, ok, err := one(rows, err, scanRun(account))
	if err != nil {
		return x, fmt.Errorf("read run %q: %w", id, err)
	}
	if !ok {
		return x, problem.New(problem.NotFound, "no run %q in this account", id)
	}
	return x, nil
}

const actionColumns = "id, case_id, run_id, step, kind, target, template, person_id, state, attempts, code, reason, planned_at, begun_at, ended_at, hold_for, release, until_at, hold_id, already, kept, override, actor"

func scanAction(account string) func(scanner) (respond.Action, error) {
	return func(r scanner) (respond.Action, error) {
		a := respond.Action{AccountID: account}
		var planned, length int64
		var begun, ended, until sql.NullInt64
		err := r.Scan(&a.ID, &a.CaseID, &a.RunID, &a.Step, &a.Kind, &a.Target, &a.Template, &a.PersonID, &a.State, &a.Attempts, &a.Code, &a.Reason,
			&planned, &begun, &ended, &length, &a.Release, &until, &a.HoldID, &a.Already, &a.Kept, &a.Override, &a.By)
		a.PlannedAt, a.BegunAt, a.EndedAt, a.Until = time.UnixMicro(planned).UTC(), at(begun), at(ended), at(until)
		a.For = time.Duration(length) * time.Microsecond
		return a, err
	}
}

func readAction(q reader, account, id string) (respond.Action, error) {
	rows, err := q.rows("SELECT "+actionColumns+" FROM actions WHERE account_id = $1 AND id = $2", account, id)
	a, ok, err := one(rows, err, scanAction(account))
	if err != nil {
		return a, fmt.Errorf("read action %q: %w", id, err)
	}
	if !ok {
		return a, problem.New(problem.NotFound, "no action %q in this account", id)
	}
	return a, nil
}

const (
	actionsOfCase = "SELECT " + actionColumns + " FROM actions WHERE account_id = $1 AND case_id = $2 ORDER BY planned_at, step, id"
	actionsOfRun  = "SELECT " + actionColumns + " FROM actions WHERE account_id = $1 AND run_id = $2 AND run_id <> '' ORDER BY step"
)

func readActions(q reader, query, account, id string) ([]respond.Action, error) {
	rows, err := q.rows(query, account, id)
	all, err := collect(rows, err, scanAction(account))
	if err != nil {
		return nil, fmt.Errorf("read actions of %q: %w", id, err)
	}
	return all, nil
}

const approvalColumns = "id, case_id, run_id, comes, needed, from_groups, not_self, on_timeout, state, asked_at, expires_at"

func scanApproval(account string) func(scanner) (respond.Approval, error) {
	return func(r scanner) (respond.Approval, error) {
		a := respond.Approval{AccountID: account}
		var from string
		var asked, expires int64
		if err := r.Scan(&a.ID, &a.CaseID, &a.RunID, &a.Order, &a.Needed, &from, &a.NotSelf, &a.OnTimeout, &a.State, &asked, &expires); err != nil {
			return a, err
		}
		a.AskedAt, a.ExpiresAt = time.UnixMicro(asked).UTC(), time.UnixMicro(expires).UTC()
		if err := json.Unmarshal([]byte(from), &a.From); err != nil {
			return a, fmt.Errorf("read who may answer %q: %w", a.ID, err)
		}
		return a, nil
	}
}

func readApproval(q reader, account, id string) (respond.Approval, error) {
	rows, err := q.rows("SELECT "+approvalColumns+" FROM approvals WHERE account_id = $1 AND id = $2", account, id)
	a, ok, err := one(rows, err, scanApproval(account))
	if err != nil {
		return a, fmt.Errorf("read approval %q: %w", id, err)
	}
	if !ok {
		return a, problem.New(problem.NotFound, "no approval %q in this account", id)
	}
	a.Votes, err = readVotes(q, account, id)
	return a, err
}

func readVotes(q reader, account, id string) ([]respond.Vote, error) {
	rows, err := q.rows("SELECT user_id, approve, reason, at, door FROM approval_votes WHERE account_id = $1 AND approval_id = $2", account, id)
	votes, err := collect(rows, err, func(r scanner) (respond.Vote, error) {
		var v respond.Vote
		var us int64
		err := r.Scan(&v.UserID, &v.Approve, &v.Reason, &us, &v.Door)
		v.At = time.UnixMicro(us).UTC()
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read votes of %q: %w", id, err)
	}
	return votes, nil
}

const questionColumns = "id, case_id, run_id, person_id, state, on_confirm, on_deny, on_silence, asked_at, expires_at, answered_at"

func scanQuestion(account string) func(scanner) (respond.Question, error) {
	return func(r scanner) (respond.Question, error) {
		x := respond.Question{AccountID: account}
		var asked, expires int64
		var answered sql.NullInt64
		err := r.Scan(&x.ID, &x.CaseID, &x.RunID, &x.PersonID, &x.State, &x.OnConfirm, &x.OnDeny, &x.OnSilence, &asked, &expires, &answered)
		x.AskedAt, x.ExpiresAt, x.AnsweredAt = time.UnixMicro(asked).UTC(), time.UnixMicro(expires).UTC(), at(answered)
		return x, err
	}
}

func readQuestion(q reader, account, id string) (respond.Question, error) {
	rows, err := q.rows("SELECT "+questionColumns+" FROM questions WHERE account_id = $1 AND id = $2", account, id)
	x, ok, err := one(rows, err, scanQuestion(account))
	if err != nil {
		return x, fmt.Errorf("read question %q: %w", id, err)
	}
	if !ok {
		return x, problem.New(problem.NotFound, "no question %q in this account", id)
	}
	return x, nil
}

func scanMoment(r scanner) (respond.Moment, error) {
	var m respond.Moment
	var us int64
	var facts string
	if err := r.Scan(&m.Seq, &us, &m.Kind, &m.Actor, &facts); err != nil {
		return m, err
	}
	m.At = time.UnixMicro(us).UTC()
	return m, json.Unmarshal([]byte(facts), &m.Facts)
}

// number reads one number of a row that may be missing.
func number(row *sql.Row) (int64, error) {
	var n sql.NullInt64
	err := row.Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return n.Int64, err
}
