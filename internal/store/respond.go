package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

var _ respond.Store = (*DB)(nil)

const nextFinding = "SELECT " + findingColumns + " FROM findings WHERE account_id = $1 AND seq > $2 AND state <> 'withdrawn' ORDER BY seq LIMIT 1"

// Respond implements [respond.Store].
func (db *DB) Respond(ctx context.Context, accountID string, decide func(respond.Facts) ([]respond.Plan, error)) (respond.Responded, bool, error) {
	var out respond.Responded
	var found bool
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		out, found = respond.Responded{}, false
		state, err := tx.respondState(accountID)
		if err != nil {
			return err
		}
		rows, err := tx.rows(nextFinding, accountID, state.cursor)
		f, ok, err := one(rows, err, scanFinding)
		if err != nil {
			return fmt.Errorf("read the finding after %d: %w", state.cursor, err)
		}
		if !ok {
			return nil
		}
		state.cursor = f.Seq
		if err := tx.setRespondState(accountID, state); err != nil {
			return err
		}
		w, err := tx.work(accountID, f)
		if err != nil {
			return err
		}
		facts, err := tx.facts(accountID, f, w.subject, w.open())
		if err != nil {
			return err
		}
		plans, err := decide(facts)
		if err != nil {
			return fmt.Errorf("decide about finding %q: %w", f.ID, err)
		}
		if err := w.apply(plans); err != nil {
			return err
		}
		out, found = w.out, true
		return w.settle()
	})
	return out, found && err == nil, err
}

// RespondingAccounts implements [respond.Store].
func (db *DB) RespondingAccounts(ctx context.Context) ([]string, error) {
	accounts, err := db.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(accounts))
	for i, a := range accounts {
		ids[i] = a.ID
	}
	return ids, nil
}

// AwaitFindings implements [respond.Store].
func (db *DB) AwaitFindings(ctx context.Context, accountID string) error {
	return db.await(ctx, accountID, `SELECT seq FROM findings WHERE account_id = $1
		AND seq > $2 + COALESCE((SELECT cursor FROM respond_state WHERE account_id = $1), 0) AND state <> 'withdrawn' ORDER BY seq LIMIT 1`, 0)
}

// RespondTo implements [respond.Store].
func (db *DB) RespondTo(ctx context.Context, accountID string, on respond.Manual, decide func(respond.Facts) (respond.Plan, error), by audit.Entry) (respond.Responded, error) {
	by = by.For(audit.CaseAct, "case:"+on.CaseID)
	var out respond.Responded
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		out = respond.Responded{}
		c, err := readCase(tx, accountID, on.CaseID)
		if err != nil {
			return err
		}
		if c.State == respond.CaseClosed {
			return problem.Coded(problem.Conflict, respond.CodeFinal, "case %d is closed; a new finding opens another", c.Number)
		}
		var run *respond.Run
		query, args := newestFindingOf, []any{accountID, c.ID}
		if on.RunID != "" {
			x, err := readRun(tx, accountID, on.RunID)
			if err != nil {
				return err
			}
			if x.CaseID != c.ID || x.State != respond.RunHeld {
				return problem.Coded(problem.Conflict, respond.CodeWrongState, "the run is %s; only one of this case that is held can go on", x.State)
			}
			run, query, args = &x, findingByID, []any{accountID, x.FindingID}
		}
		rows, err := tx.rows(query, args...)
		f, _, err := one(rows, err, scanFinding) // it may be gone; then it is the zero one
		if err != nil {
			return fmt.Errorf("read finding of case %q: %w", c.ID, err)
		}
		facts, err := tx.facts(accountID, f, c.Subject, &c)
		if err != nil {
			return err
		}
		facts.Run = run
		plan, err := decide(facts)
		if p, ok := errors.AsType[*problem.Error](err); ok {
			return tx.refuse(accountID, by, p)
		}
		if err != nil {
			return err
		}
		w := &work{tx: tx, account: accountID, finding: f, subject: c.Subject, cse: c, exists: true, by: by}
		w.out.FindingID, w.out.CaseID = f.ID, c.ID
		if err := w.goOn(run, plan, on); err != nil {
			return err
		}
		out = w.out
		return w.settle()
	})
	return out, err
}

const (
	findingByID     = "SELECT " + findingColumns + " FROM findings WHERE account_id = $1 AND id = $2"
	newestFindingOf = "SELECT " + findingColumns + ` FROM findings WHERE account_id = $1 AND seq = (SELECT seq FROM case_findings
		WHERE account_id = $1 AND case_id = $2 ORDER BY seq DESC LIMIT 1)`
)

// work is what is done about one finding in a transaction.
type work struct {
	tx      *Tx
	account string
	finding detect.StoredFinding
	subject respond.Subject
	cse     respond.Case
	exists  bool        // the case
	by      audit.Entry // who acts: the system, or a person from the case
	out     respond.Responded
}

// work begins with the case of the finding's subject that is not closed, if there is one.
func (tx *Tx) work(account string, f detect.StoredFinding) (*work, error) {
	w := &work{tx: tx, account: account, finding: f, by: audit.Entry{Actor: "system"}}
	w.out.FindingID = f.ID
	var err error
	if w.subject, err = tx.subjectOf(account, f); err != nil {
		return nil, err
	}
	key := w.subject.Key()
	if key == "" {
		return w, nil
	}
	rows, err := tx.rows("SELECT "+caseColumns+" FROM cases WHERE account_id = $1 AND subject_key = $2 AND state <> 'closed' AND subject_key <> ''", account, key)
	if w.cse, w.exists, err = one(rows, err, scanCase(account)); err != nil {
		return nil, fmt.Errorf("look for the case of %q: %w", key, err)
	}
	w.out.CaseID = w.cse.ID
	return w, nil
}

// open is the case that is there.
func (w *work) open() *respond.Case {
	if !w.exists {
		return nil
	}
	c := w.cse
	return &c
}

// apply writes what was decided about the finding.
func (w *work) apply(plans []respond.Plan) error {
	if !w.exists {
		if !respond.OpensCase(w.finding.Found, plans) {
			for _, p := range plans {
				if err := w.addRun(p); err != nil {
					return err
				}
			}
			return nil
		}
		if err := w.openCase(plans); err != nil {
			return err
		}
	}
	if err := w.addFinding(); err != nil {
		return err
	}
	for _, p := range plans {
		if err := w.addRun(p); err != nil {
			return err
		}
	}
	return nil
}

// settle brings the case up to date with what belongs to it.
func (w *work) settle() error {
	if !w.exists {
		return nil
	}
	return w.tx.settleCase(w.account, w.cse.ID)
}

// caseWords are how reasons name a case.
func caseWords(c respond.Case) string {
	return storable("case "+strconv.FormatInt(c.Number, 10)+": "+c.Title, mostText)
}

// worse says whether the first level is worse than the other.
func worse(a, b detect.Level) bool {
	order := []detect.Level{detect.Informational, detect.Low, detect.Medium, detect.High, detect.Critical}
	return slices.Index(order, a) > slices.Index(order, b)
}
