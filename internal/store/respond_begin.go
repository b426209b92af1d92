package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/jobs"
	"holdfast/internal/respond"
)

// Begin implements [respond.Store].
func (db *DB) Begin(ctx context.Context, accountID, actionID string, again func(respond.Facts, respond.Action) (respond.Check, error)) (respond.Action, bool, error) {
	var a respond.Action
	var do bool
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		do = false
		var err error
		if a, err = readAction(tx, accountID, actionID); err != nil {
			return err
		}
		if a.Who, err = tx.knownPerson(accountID, a.PersonID); err != nil {
			return err
		}
		switch a.State {
		case respond.ActionPlanned:
			if busy, err := tx.busy(a); err != nil {
				return err
			} else if busy {
				return tx.enqueue(jobs.Job{Args: respond.Do{AccountID: accountID, ActionID: actionID}, RunAt: tx.now.Add(time.Second)})
			}
		case respond.ActionBegun, respond.ActionUnknown:
			if err := respond.MoveAction(a.State, respond.ActionUnknown); err != nil {
				return err
			}
			a.State, do = respond.ActionUnknown, true
			return tx.writeAction(a, a.Kind == respond.ActSuspend, true)
		default:
			return nil
		}
		c, err := readCase(tx, accountID, a.CaseID)
		if err != nil {
			return err
		}
		var run *respond.Run
		if a.RunID != "" {
			x, err := readRun(tx, accountID, a.RunID)
			if err != nil {
				return err
			}
			if x.State == respond.RunWaiting {
				return nil
			}
			run = &x
		}
		check, err := tx.askAgain(a, c, run, again)
		if err != nil {
			return err
		}
		if check.Verdict != respond.Pass {
			return tx.stopAction(&a, c, run, check)
		}
		if a.BegunAt.IsZero() && a.Kind == respond.ActSuspend {
			if err := tx.recount(a); err != nil {
				return err
			}
		}
		a.BegunAt = tx.now.Truncate(time.Microsecond)
		if local(a) {
			if err := tx.doLocal(&a, c, audit.Entry{Actor: a.By}); err != nil {
				return err
			}
			return tx.afterAction(c, run)
		}
		if err := respond.MoveAction(a.State, respond.ActionBegun); err != nil {
			return err
		}
		a.State, a.Attempts, do = respond.ActionBegun, a.Attempts+1, true
		return tx.writeAction(a, a.Kind == respond.ActSuspend, true)
	})
	return a, do && err == nil, err
}

// busy says whether the opposite is under way in the same place: one goes after the other, or nobody knew how it ends.
func (tx *Tx) busy(a respond.Action) (bool, error) {
	if a.Kind != respond.ActSuspend && a.Kind != respond.ActReactivate || local(a) {
		return false, nil
	}
	all, err := readActions(tx, actionsOfCase, a.AccountID, a.CaseID)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(x respond.Action) bool {
		return x.ID != a.ID && x.Target == a.Target && (x.Kind == respond.ActSuspend || x.Kind == respond.ActReactivate) &&
			(x.State == respond.ActionBegun || x.State == respond.ActionUnknown)
	}), nil
}

// askAgain asks the guard rails once more, with the facts of now.
func (tx *Tx) askAgain(a respond.Action, c respond.Case, run *respond.Run, again func(respond.Facts, respond.Action) (respond.Check, error)) (respond.Check, error) {
	query, id := newestFindingOf, c.ID
	if run != nil {
		query, id = findingByID, run.FindingID
	}
	rows, err := tx.rows(query, a.AccountID, id)
	f, _, err := one(rows, err, scanFinding) // it may be gone; then it is the zero one
	if err != nil {
		return respond.Check{}, fmt.Errorf("read finding of case %q: %w", c.ID, err)
	}
	subject := c.Subject
	subject.PersonID = cmp.Or(a.PersonID, subject.PersonID)
	facts, err := tx.facts(a.AccountID, f, subject, &c)
	if err != nil {
		return respond.Check{}, err
	}
	if facts.HeldAt, err = tx.heldAt(a.AccountID, subject.PersonID, a.ID); err != nil {
		return respond.Check{}, err
	}
	facts.Run = run
	return again(facts, a)
}

// recount has a suspension count from now on.
func (tx *Tx) recount(a respond.Action) error {
	_, err := tx.exec("UPDATE actions SET counted_at = $1 WHERE account_id = $2 AND id = $3 AND counted_at IS NOT NULL", tx.now.UnixMicro(), a.AccountID, a.ID)
	if err != nil {
		return fmt.Errorf("count action %q: %w", a.ID, err)
	}
	return nil
}

// stopAction cancels an action that may not be begun any more. On Hold its run is held, and somebody is paged.
func (tx *Tx) stopAction(a *respond.Action, c respond.Case, run *respond.Run, check respond.Check) error {
	if err := tx.ended(a, c, respond.Result{State: respond.ActionCancelled, Code: check.Code, Reason: string(check.Name)}); err != nil {
		return err
	}
	if check.Verdict != respond.Hold || run == nil || run.State != respond.RunActing {
		return tx.afterAction(c, run)
	}
	others, err := readActions(tx, actionsOfRun, a.AccountID, run.ID)
	if err != nil {
		return err
	}
	for _, x := range others { // who goes on decides about all of them anew
		if x.State == respond.ActionPlanned {
			if err := tx.ended(&x, c, respond.Result{State: respond.ActionCancelled, Code: check.Code, Reason: string(check.Name)}); err != nil {
				return err
			}
		}
	}
	run.Checks = append(run.Checks, check)
	checks, err := asJSON(run.Checks)
	if err != nil {
		return err
	}
	if _, err := tx.exec("UPDATE runs SET checks = $1 WHERE account_id = $2 AND id = $3", checks, a.AccountID, run.ID); err != nil {
		return fmt.Errorf("write checks of run %q: %w", run.ID, err)
	}
	if err := tx.setRun(a.AccountID, run, respond.RunHeld); err != nil {
		return err
	}
	by := audit.Entry{Actor: a.By, Action: audit.RunHold, Target: "case:" + c.ID, Reason: caseWords(c) + " (" + string(check.Name) + ": " + check.Code + ")"}
	if err := tx.append(a.AccountID, by); err != nil {
		return err
	}
	page := respond.Send{AccountID: a.AccountID, CaseID: c.ID, Template: respond.TemplateHeld, RunID: run.ID, ActionID: a.ID}
	if err := tx.enqueue(jobs.Job{Args: page}); err != nil {
		return err
	}
	return tx.settleCase(a.AccountID, c.ID)
}

// heldAt are the targets where cases hold the person, or are about to; the action is not looked at.
func (tx *Tx) heldAt(account, person, except string) ([]string, error) {
	if person == "" {
		return nil, nil
	}
	rows, err := tx.rows(`SELECT a.target FROM actions a LEFT JOIN runs r ON r.account_id = a.account_id AND r.id = a.run_id
		WHERE a.account_id = $1 AND a.person_id = $2 AND a.reserved IS NOT NULL AND a.id <> $3 AND COALESCE(r.state, '') <> 'waiting'
		AND NOT EXISTS (SELECT 1 FROM actions b WHERE b.account_id = a.account_id AND b.case_id = a.case_id AND b.kind = 'reactivate' AND b.target = a.target
			AND b.state IN ('planned', 'begun', 'unknown'))`, account, person, except)
	targets, err := collect(rows, err, func(r scanner) (t string, err error) { return t, r.Scan(&t) })
	if err != nil {
		return nil, fmt.Errorf("look where cases hold %q: %w", person, err)
	}
	var held int
	if err := tx.row(holdsOfCases, account, person).Scan(&held); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("look for holds on %q: %w", person, err)
	}
	if held > 0 {
		targets = append(targets, respond.LocalTarget)
	}
	slices.Sort(targets)
	return slices.Compact(targets), nil
}
