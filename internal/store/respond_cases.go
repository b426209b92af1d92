package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

// reading runs reads that must agree with each other in one state of the database.
func (db *DB) reading(ctx context.Context, run func(q reader) error) error {
	options := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	if db.postgres == "" {
		options = nil // a transaction of SQLite sees one state, and the connection does not write
	}
	tx, err := db.read.BeginTx(ctx, options)
	if err != nil {
		return asUnavailable(fmt.Errorf("begin to read: %w", err))
	}
	defer func() { _ = tx.Rollback() }() // there is nothing to commit
	return run(&readTx{ctx: ctx, tx: tx})
}

type readTx struct {
	ctx context.Context
	tx  *sql.Tx
}

func (r *readTx) rows(query string, args ...any) (*sql.Rows, error) {
	rows, err := r.tx.QueryContext(r.ctx, query, args...)
	return rows, asUnavailable(err)
}

// Of one case.
const (
	findingsOfCase = "SELECT " + findingColumns + ` FROM findings WHERE account_id = $1
		AND seq IN (SELECT seq FROM case_findings WHERE account_id = $1 AND case_id = $2) ORDER BY seq`
	approvalsOfCase = "SELECT " + approvalColumns + " FROM approvals WHERE account_id = $1 AND case_id = $2 ORDER BY asked_at, id"
	questionsOfCase = "SELECT " + questionColumns + " FROM questions WHERE account_id = $1 AND case_id = $2 ORDER BY asked_at, id"
	momentsOfCase   = "SELECT seq, at, kind, actor, facts FROM case_moments WHERE account_id = $1 AND case_id = $2 ORDER BY seq"
	eventsOfCase    = `SELECT source_id, event FROM signal_events WHERE account_id = $1 AND seq IN (SELECT f.event FROM case_findings c CROSS JOIN finding_events f
		WHERE c.account_id = $1 AND c.case_id = $2 AND f.account_id = c.account_id AND f.finding = c.seq) ORDER BY at, seq LIMIT $3`
)

// mostEvidence is how many events a record shows.
const mostEvidence = 200

// Case implements [respond.Cases].
func (db *DB) Case(ctx context.Context, accountID, id string) (respond.Record, error) {
	var x respond.Record
	err := db.reading(ctx, func(q reader) error {
		x = respond.Record{}
		var err error
		if x.Case, err = caseOf(q, accountID, id); err != nil {
			return err
		}
		id := x.Case.ID
		if x.Person, err = readPerson(q, accountID, x.Case.Subject.PersonID); err != nil {
			return err
		}
		rows, err := q.rows(findingsOfCase, accountID, id)
		found, err := collect(rows, err, scanFinding)
		if err != nil {
			return fmt.Errorf("read findings of case %q: %w", id, err)
		}
		for _, f := range found {
			x.Findings = append(x.Findings, f.Found)
		}
		rows, err = q.rows(runsOfCase, accountID, id)
		if x.Runs, err = collect(rows, err, scanRun(accountID)); err != nil {
			return fmt.Errorf("read runs of case %q: %w", id, err)
		}
		if x.Actions, err = readActions(q, actionsOfCase, accountID, id); err != nil {
			return err
		}
		rows, err = q.rows(approvalsOfCase, accountID, id)
		if x.Approvals, err = collect(rows, err, scanApproval(accountID)); err != nil {
			return fmt.Errorf("read approvals of case %q: %w", id, err)
		}
		for i, a := range x.Approvals {
			if x.Approvals[i].Votes, err = readVotes(q, accountID, a.ID); err != nil {
				return err
			}
		}
		rows, err = q.rows(questionsOfCase, accountID, id)
		if x.Questions, err = collect(rows, err, scanQuestion(accountID)); err != nil {
			return fmt.Errorf("read questions of case %q: %w", id, err)
		}
		rows, err = q.rows(momentsOfCase, accountID, id)
		if x.Moments, err = collect(rows, err, scanMoment); err != nil {
			return fmt.Errorf("read the timeline of case %q: %w", id, err)
		}
		rows, err = q.rows(eventsOfCase, accountID, id, mostEvidence)
		if x.Events, err = collect(rows, err, scanEventFacts); err != nil {
			return fmt.Errorf("read evidence of case %q: %w", id, err)
		}
		return nil
	})
	return x, err
}

// caseOf reads a case by its id or its number.
func caseOf(q reader, account, id string) (respond.Case, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return readCase(q, account, id)
	}
	rows, err := q.rows("SELECT "+caseColumns+" FROM cases WHERE account_id = $1 AND number = $2", account, number)
	c, ok, err := one(rows, err, scanCase(account))
	if err != nil {
		return c, fmt.Errorf("read case %d: %w", number, err)
	}
	if !ok {
		return c, problem.New(problem.NotFound, "no case %q in this account", id)
	}
	return c, nil
}

// CaseList implements [respond.Cases].
func (db *DB) CaseList(ctx context.Context, q respond.CaseQuery) ([]respond.Case, error) {
	st := new(statement).add("SELECT "+caseColumns+" FROM cases WHERE account_id = ?", q.AccountID)
	switch q.State {
	case "":
	case "pending":
		st.add(" AND pending > 0")
	default:
		st.add(" AND state = ?", string(q.State))
	}
	if q.Level != "" {
		st.add(" AND level = ?", string(q.Level))
	}
	if q.PersonID != "" {
		st.add(" AND person_id = ?", q.PersonID)
	}
	if q.Before > 0 {
		st.add(" AND number < ?", q.Before)
	}
	st.add(" ORDER BY number DESC LIMIT ?", q.Limit)
	rows, err := db.query(ctx, st.text.String(), st.args...)
	all, err := collect(rows, err, scanCase(q.AccountID))
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	return all, nil
}

const (
	caseCounts = `SELECT (SELECT COUNT(*) FROM cases WHERE account_id = $1 AND state = 'open'),
		(SELECT COUNT(*) FROM cases WHERE account_id = $1 AND state = 'contained'), (SELECT COUNT(*) FROM cases` + andPending
	caseCountsSQLite = `SELECT (SELECT COUNT(*) FROM cases WHERE account_id = $1 AND state = 'open'),
		(SELECT COUNT(*) FROM cases WHERE account_id = $1 AND state = 'contained'), (SELECT COUNT(*) FROM cases INDEXED BY cases_pending` + andPending
	andPending = " WHERE account_id = $1 AND pending > 0)"
)

// CaseCounts implements [respond.Cases].
func (db *DB) CaseCounts(ctx context.Context, accountID string) (respond.CaseCounts, error) {
	var n respond.CaseCounts
	query := caseCounts
	if db.postgres == "" {
		query = caseCountsSQLite
	}
	if err := db.get(ctx, query, []any{accountID}, &n.Open, &n.Contained, &n.Pending); err != nil {
		return n, fmt.Errorf("count cases: %w", err)
	}
	return n, nil
}

// Runs implements [respond.Cases].
func (db *DB) Runs(ctx context.Context, accountID, playbook string, limit int) ([]respond.Run, error) {
	query, args := "SELECT "+runColumns+" FROM runs WHERE account_id = $1 ORDER BY created_at DESC LIMIT $2", []any{accountID, limit}
	if playbook != "" {
		query, args = "SELECT "+runColumns+" FROM runs WHERE account_id = $1 AND playbook = $2 ORDER BY created_at DESC, id DESC LIMIT $3", []any{accountID, playbook, limit}
	}
	rows, err := db.query(ctx, query, args...)
	all, err := collect(rows, err, scanRun(accountID))
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return all, nil
}

// RunCounts implements [respond.Cases].
func (db *DB) RunCounts(ctx context.Context, accountID string, since time.Time) (map[string]map[respond.RunState]int, error) {
	type count struct {
		playbook string
		state    respond.RunState
		n        int
	}
	rows, err := db.query(ctx, "SELECT playbook, state, COUNT(*) FROM runs WHERE account_id = $1 AND created_at >= $2 GROUP BY playbook, state", accountID, since.UnixMicro())
	all, err := collect(rows, err, func(r scanner) (c count, err error) { return c, r.Scan(&c.playbook, &c.state, &c.n) })
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	counts := map[string]map[respond.RunState]int{}
	for _, c := range all {
		if counts[c.playbook] == nil {
			counts[c.playbook] = map[respond.RunState]int{}
		}
		counts[c.playbook][c.state] = c.n
	}
	return counts, nil
}

// CloseCase implements [respond.Cases].
func (db *DB) CloseCase(ctx context.Context, accountID, caseID string, r respond.Resolution, note string, by audit.Entry) (respond.Case, error) {
	return db.changeCase(ctx, accountID, caseID, func(tx *Tx, c respond.Case) error {
		switch {
		case c.State == respond.CaseClosed:
			return problem.Coded(problem.Conflict, respond.CodeFinal, "case %d is closed already", c.Number)
		case c.State == respond.CaseContained:
			return respond.ErrStillHolding()
		}
		if err := respond.MoveCase(c.State, respond.CaseClosed); err != nil {
			return err
		}
		if err := tx.endWaiting(c, by.Actor); err != nil {
			return err
		}
		if err := tx.takeBack(c, func(a respond.Action) bool { return a.State != respond.ActionDone }, by); err != nil {
			return err
		}
		if err := tx.settleCase(accountID, c.ID); err != nil {
			return err
		}
		_, err := tx.exec("UPDATE cases SET state = $1, resolution = $2, note = $3, closed_at = $4, closed_by = $5 WHERE account_id = $6 AND id = $7",
			string(respond.CaseClosed), string(r), storable(note, mostText), tx.now.UnixMicro(), by.Actor, accountID, c.ID)
		if err != nil {
			return fmt.Errorf("close case %q: %w", c.ID, err)
		}
		if err := tx.moment(accountID, c.ID, respond.Moment{Kind: "closed", Actor: by.Actor, Facts: map[string]string{"resolution": string(r), "note": note}}); err != nil {
			return err
		}
		return tx.append(accountID, by.For(audit.CaseClose, "case:"+c.ID).Because(strings.TrimSuffix(caseWords(c)+"; "+string(r)+"; "+note, "; ")))
	})
}

// changeCase changes a case in a unit, and reads it as it is then.
func (db *DB) changeCase(ctx context.Context, accountID, caseID string, change func(tx *Tx, c respond.Case) error) (respond.Case, error) {
	var c respond.Case
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		before, err := readCase(tx, accountID, caseID)
		if err != nil {
			return err
		}
		if err := change(tx, before); err != nil {
			return err
		}
		c, err = readCase(tx, accountID, caseID)
		return err
	})
	return c, err
}

// AssignCase implements [respond.Cases]. To nobody, if the person is empty.
func (db *DB) AssignCase(ctx context.Context, accountID, caseID, userID string, by audit.Entry) (respond.Case, error) {
	return db.changeCase(ctx, accountID, caseID, func(tx *Tx, c respond.Case) error {
		if c.AssigneeID == userID {
			return nil
		}
		to := "given to nobody"
		if userID != "" {
			u, err := tx.user(accountID, userID)
			if err != nil {
				return err
			}
			if u.Lifecycle != directory.Active {
				return directory.ErrNoUser(userID)
			}
			to = "given to user:" + userID
		}
		if _, err := tx.exec("UPDATE cases SET assignee_id = $1, updated_at = $2 WHERE account_id = $3 AND id = $4", userID, tx.now.UnixMicro(), accountID, c.ID); err != nil {
			return fmt.Errorf("assign case %q: %w", c.ID, err)
		}
		if err := tx.moment(accountID, c.ID, respond.Moment{Kind: "assigned", Actor: by.Actor, Facts: map[string]string{"user": userID}}); err != nil {
			return err
		}
		return tx.append(accountID, by.For(audit.CaseUpdate, "case:"+c.ID).Because(caseWords(c)+"; "+to))
	})
}

// CommentCase implements [respond.Cases]. What was said is in the timeline, not in the audit log.
func (db *DB) CommentCase(ctx context.Context, accountID, caseID, text string, by audit.Entry) error {
	_, err := db.changeCase(ctx, accountID, caseID, func(tx *Tx, c respond.Case) error {
		if err := tx.moment(accountID, c.ID, respond.Moment{Kind: "comment", Actor: by.Actor, Facts: map[string]string{"text": text}}); err != nil {
			return err
		}
		if _, err := tx.exec("UPDATE cases SET updated_at = $1 WHERE account_id = $2 AND id = $3", tx.now.UnixMicro(), accountID, c.ID); err != nil {
			return fmt.Errorf("comment on case %q: %w", c.ID, err)
		}
		return tx.append(accountID, by.For(audit.CaseUpdate, "case:"+c.ID).Because(caseWords(c)+"; commented"))
	})
	return err
}

// Notified implements [respond.Responses].
func (db *DB) Notified(ctx context.Context, accountID, caseID string, m respond.Moment) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		if _, err := readCase(tx, accountID, caseID); err != nil {
			return err
		}
		return tx.moment(accountID, caseID, m)
	})
}
