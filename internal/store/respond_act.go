package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/jobs"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

// actNow does the actions on the account's own directory.
func (w *work) actNow(actions []respond.Action, by audit.Entry) error {
	for i := range actions {
		if local(actions[i]) {
			if err := w.tx.doLocal(&actions[i], w.cse, by); err != nil {
				return err
			}
		}
	}
	return nil
}

// doLocal does a planned action on the account's own directory, and writes what came of it.
func (tx *Tx) doLocal(a *respond.Action, c respond.Case, by audit.Entry) error {
	var result respond.Result
	var err error
	switch a.Kind {
	case respond.ActSuspend:
		result, err = tx.suspendFor(a, c, by)
	case respond.ActEndSessions:
		result, err = tx.endSessionsFor(a, c, by)
	case respond.ActReactivate:
		result = respond.Result{State: respond.ActionDone}
		err = tx.releaseCaseHold(a.AccountID, c, by.Because(caseWords(c)))
	}
	if err != nil {
		return err
	}
	a.Attempts++
	return tx.ended(a, c, result)
}

// suspendFor opens the case's hold on the person.
func (tx *Tx) suspendFor(a *respond.Action, c respond.Case, by audit.Entry) (respond.Result, error) {
	refused := func(p *problem.Error) respond.Result {
		return respond.Result{State: respond.ActionRefused, Code: cmp.Or(p.Code, "refused"), Reason: p.Detail}
	}
	g, err := readGuard(tx, a.AccountID)
	if err != nil {
		return respond.Result{}, err
	}
	if slices.Contains(g.BreakGlass, a.PersonID) { // whatever was decided, and whoever decided it
		return refused(problem.Coded(problem.Conflict, "break_glass", "the person must always be able to get in")), nil
	}
	u, err := tx.user(a.AccountID, a.PersonID)
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind == problem.NotFound {
		return refused(problem.Coded(problem.NotFound, "no_user", "the person is not in the account any more")), nil
	}
	if err != nil {
		return respond.Result{}, err
	}
	if ends(*a) {
		a.Until = tx.now.Add(a.For).Truncate(time.Microsecond)
	}
	entry := by.For(audit.UserSuspend, "user:"+u.ID)
	holdID, no, err := tx.suspend(&u, directory.NewHold{Holder: caseHolder + c.ID, Reason: caseWords(c), Until: a.Until}, entry)
	if err != nil {
		return respond.Result{}, err
	}
	if no != nil {
		a.Until = time.Time{}
		return refused(no), nil
	}
	if holdID == "" { // another action of the case has opened it
		err := tx.row("SELECT id FROM holds WHERE account_id = $1 AND user_id = $2 AND holder = $3 AND released_at IS NULL", a.AccountID, u.ID, caseHolder+c.ID).Scan(&holdID)
		if err != nil {
			return respond.Result{}, fmt.Errorf("read the hold of case %q: %w", c.ID, err)
		}
	}
	a.HoldID = holdID
	return respond.Result{State: respond.ActionDone}, nil
}

// ends says whether the hold of an action ends by itself.
func ends(a respond.Action) bool { return a.For > 0 && a.Release != respond.ReleaseNever }

func (tx *Tx) endSessionsFor(a *respond.Action, c respond.Case, by audit.Entry) (respond.Result, error) {
	if a.PersonID == "" {
		return respond.Result{State: respond.ActionRefused, Code: "no_user", Reason: "nobody of the directory was recognised"}, nil
	}
	n, err := tx.endSessions(a.AccountID, a.PersonID, "", caseWords(c))
	if err != nil {
		return respond.Result{}, err
	}
	if n > 0 {
		entry := by.For(audit.SessionEnd, "user:"+a.PersonID).Because(fmt.Sprintf("sessions ended: %d; %s", n, caseWords(c)))
		if err := tx.append(a.AccountID, entry); err != nil {
			return respond.Result{}, err
		}
	}
	return respond.Result{State: respond.ActionDone}, nil
}

// ended writes what came of an action, with what follows from it for the hold. Run and case are for the caller.
func (tx *Tx) ended(a *respond.Action, c respond.Case, r respond.Result) error {
	if err := respond.MoveAction(a.State, r.State); err != nil {
		return err
	}
	a.State, a.Code, a.Reason, a.Already = r.State, storable(r.Code, mostName), storable(r.Reason, mostText), r.Already
	a.EndedAt = tx.now.Truncate(time.Microsecond)
	suspended := a.Kind == respond.ActSuspend && a.State == respond.ActionDone
	if suspended && !local(*a) && ends(*a) {
		a.Until = a.EndedAt.Add(a.For)
	}
	// The hold itself says whom the directory keeps out; elsewhere, the action does.
	if err := tx.writeAction(*a, suspended && !local(*a) && !a.Already, a.State == respond.ActionDone && !a.Already); err != nil {
		return err
	}
	facts := map[string]string{"action": a.ID, "kind": string(a.Kind), "target": a.Target, "state": string(a.State), "code": a.Code, "reason": a.Reason}
	if !a.Until.IsZero() {
		facts["until"] = a.Until.Format(time.RFC3339)
	}
	if a.Already {
		facts["already"] = "true"
	}
	if err := tx.moment(a.AccountID, c.ID, respond.Moment{Kind: "action", Actor: a.By, Facts: facts}); err != nil {
		return err
	}
	if suspended && !a.Until.IsZero() {
		return tx.enqueue(jobs.Job{Args: respond.EndHold{AccountID: a.AccountID, ActionID: a.ID}, RunAt: a.Until})
	}
	return nil
}

// writeAction writes an action whose state has changed. Reserved: it keeps the person suspended, or may do so. Counted:
// if it has a place in the counts of what playbooks suspend, it keeps it.
func (tx *Tx) writeAction(a respond.Action, reserved, counted bool) error {
	var keep any
	if reserved {
		keep = 1
	}
	_, err := tx.exec(`UPDATE actions SET state = $1, attempts = $2, code = $3, reason = $4, begun_at = $5, ended_at = $6, until_at = $7, hold_id = $8, already = $9,
		reserved = $10, counted_at = CASE WHEN $11 THEN counted_at ELSE NULL END WHERE account_id = $12 AND id = $13`,
		string(a.State), a.Attempts, a.Code, a.Reason, micros(a.BegunAt), micros(a.EndedAt), micros(a.Until), a.HoldID, a.Already,
		keep, counted, a.AccountID, a.ID)
	if err != nil {
		return fmt.Errorf("write action %q: %w", a.ID, err)
	}
	return nil
}

// afterAction brings run and case to where their actions are.
func (tx *Tx) afterAction(c respond.Case, run *respond.Run) error {
	if run != nil {
		if err := tx.settleRun(c.AccountID, run); err != nil {
			return err
		}
	}
	return tx.settleCase(c.AccountID, c.ID)
}

// Finish implements [respond.Store].
func (db *DB) Finish(ctx context.Context, accountID, actionID string, result respond.Result) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		a, err := readAction(tx, accountID, actionID)
		if err != nil {
			return err
		}
		if a.State != respond.ActionBegun && a.State != respond.ActionUnknown {
			return nil // what came of it is written
		}
		c, err := readCase(tx, accountID, a.CaseID)
		if err != nil {
			return err
		}
		if result.State == respond.ActionPlanned || result.State == respond.ActionUnknown {
			return tx.tryLater(a, result)
		}
		if err := tx.ended(&a, c, result); err != nil {
			return err
		}
		if a.Kind == respond.ActSuspend || a.Kind == respond.ActReactivate {
			e := audit.Entry{Actor: a.By, Action: audit.CaseAct, Target: "case:" + c.ID, Reason: caseWords(c) + "; " + string(a.Kind) + " at " + a.Target + ": " + string(a.State)}
			if a.State != respond.ActionDone {
				e = e.AsRefused(e.Reason + " (" + cmp.Or(a.Reason, a.Code) + ")")
			}
			if err := tx.append(accountID, e); err != nil {
				return err
			}
		}
		if err := tx.followUp(a, c); err != nil {
			return err
		}
		var run *respond.Run
		if a.RunID != "" {
			x, err := readRun(tx, accountID, a.RunID)
			if err != nil {
				return err
			}
			run = &x
		}
		if a.Kind == respond.ActSuspend && (a.State == respond.ActionRefused || a.State == respond.ActionFailed) {
			page := respond.Send{AccountID: accountID, CaseID: c.ID, Template: respond.TemplatePage, ActionID: a.ID, RunID: a.RunID}
			if err := tx.enqueue(jobs.Job{Args: page}); err != nil {
				return err
			}
		}
		return tx.afterAction(c, run)
	})
}

// tryLater notes that it is not known what came of an action, or that nothing did.
func (tx *Tx) tryLater(a respond.Action, r respond.Result) error {
	if err := respond.MoveAction(a.State, r.State); err != nil {
		return err
	}
	a.State, a.Code, a.Reason = r.State, storable(r.Code, mostName), storable(r.Reason, mostText)
	if err := tx.writeAction(a, a.Kind == respond.ActSuspend, true); err != nil {
		return err
	}
	if r.RetryAt.IsZero() {
		return nil
	}
	return tx.enqueue(jobs.Job{Args: respond.Do{AccountID: a.AccountID, ActionID: a.ID}, RunAt: r.RetryAt})
}

// followUp does what follows from an action that has ended: what was undone on its way is taken back, and what was
// reactivated is not suspended any more.
func (tx *Tx) followUp(a respond.Action, c respond.Case) error {
	if a.State != respond.ActionDone || a.Already && a.Kind == respond.ActSuspend {
		return nil
	}
	switch a.Kind {
	case respond.ActSuspend:
		var unwanted bool
		if err := tx.row("SELECT unwanted FROM actions WHERE account_id = $1 AND id = $2", a.AccountID, a.ID).Scan(&unwanted); err != nil {
			return fmt.Errorf("look whether action %q is still wanted: %w", a.ID, err)
		}
		if unwanted {
			return tx.planReactivate(a, c, a.By)
		}
	case respond.ActReactivate:
		all, err := readActions(tx, actionsOfCase, a.AccountID, c.ID)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.Kind == respond.ActSuspend && s.Target == a.Target && s.PersonID == a.PersonID && s.State == respond.ActionDone && !s.Already && !s.EndedAt.After(a.PlannedAt) {
				if err := tx.undone(s); err != nil {
					return err
				}
			}
		}
		facts := map[string]string{"action": a.ID, "target": a.Target}
		if err := tx.moment(a.AccountID, c.ID, respond.Moment{Kind: "released", Actor: a.By, Facts: facts}); err != nil {
			return err
		}
		return tx.enqueue(jobs.Job{Args: respond.Send{AccountID: a.AccountID, CaseID: c.ID, Template: respond.TemplateReleased, ActionID: a.ID}})
	}
	return nil
}

// undone notes that a suspension has been taken back.
func (tx *Tx) undone(a respond.Action) error {
	if err := respond.MoveAction(a.State, respond.ActionUndone); err != nil {
		return err
	}
	a.State, a.Until = respond.ActionUndone, time.Time{}
	return tx.writeAction(a, false, true)
}
