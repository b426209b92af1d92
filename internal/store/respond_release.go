package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/jobs"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
)

// releaseCaseHold releases the case's own hold on its person, and no other.
func (tx *Tx) releaseCaseHold(account string, c respond.Case, by audit.Entry) error {
	if c.Subject.PersonID == "" {
		return nil
	}
	h := openHold{Holder: caseHolder + c.ID}
	err := tx.row("SELECT id FROM holds WHERE account_id = $1 AND user_id = $2 AND holder = $3 AND released_at IS NULL", account, c.Subject.PersonID, h.Holder).Scan(&h.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the hold of case %q: %w", c.ID, err)
	}
	if err := tx.release(account, c.Subject.PersonID, h.ID, by); err != nil {
		return err
	}
	return tx.holdEnded(account, h, by)
}

// endCaseHolds releases the holds of cases on a person who is removed.
func (tx *Tx) endCaseHolds(account, userID string, by audit.Entry) error {
	holders, err := tx.openHolders(account, userID)
	if err != nil {
		return err
	}
	for _, h := range holders {
		if !strings.HasPrefix(h.Holder, caseHolder) {
			continue
		}
		if err := tx.release(account, userID, h.ID, by); err != nil {
			return err
		}
		if err := tx.holdEnded(account, h, by); err != nil {
			return err
		}
	}
	return nil
}

// holdEnded follows up the end of a hold, whoever ended it: if it was a case's, its actions are undone, and it is said.
func (tx *Tx) holdEnded(account string, h openHold, by audit.Entry) error {
	caseID, ours := strings.CutPrefix(h.Holder, caseHolder)
	if !ours {
		return nil
	}
	actions, err := readActions(tx, actionsOfCase, account, caseID)
	if err != nil {
		return err
	}
	said := respond.Send{AccountID: account, CaseID: caseID, Template: respond.TemplateReleased}
	for _, a := range actions {
		if a.Kind != respond.ActSuspend || !local(a) || a.State != respond.ActionDone || a.HoldID != h.ID {
			continue
		}
		if err := tx.undone(a); err != nil {
			return err
		}
		said.ActionID, said.RunID = a.ID, a.RunID
	}
	if said.ActionID == "" {
		return nil // a hold of a case that this store did not open
	}
	facts := map[string]string{"action": said.ActionID, "target": respond.LocalTarget, "reason": by.Reason}
	if err := tx.moment(account, caseID, respond.Moment{Kind: "released", Actor: by.Actor, Facts: facts}); err != nil {
		return err
	}
	if err := tx.enqueue(jobs.Job{Args: said}); err != nil {
		return err
	}
	return tx.settleCase(account, caseID)
}

// planReactivate plans the way back of a suspension elsewhere, unless it is on its way.
func (tx *Tx) planReactivate(a respond.Action, c respond.Case, actor string) error {
	all, err := readActions(tx, actionsOfCase, a.AccountID, c.ID)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Kind == respond.ActReactivate && r.Target == a.Target && !r.State.Final() {
			return nil
		}
	}
	back := respond.Action{
		AccountID: a.AccountID, ID: seal.NewID(), CaseID: c.ID, Step: a.Step, Kind: respond.ActReactivate, Target: a.Target,
		PersonID: a.PersonID, State: respond.ActionPlanned, PlannedAt: tx.now.Truncate(time.Microsecond), Release: respond.ReleaseNever, By: actor,
	}
	if err := tx.insertAction(back, ""); err != nil {
		return err
	}
	if err := tx.moment(a.AccountID, c.ID, respond.Moment{Kind: "releasing", Actor: actor, Facts: map[string]string{"action": back.ID, "target": a.Target}}); err != nil {
		return err
	}
	return tx.enqueue(jobs.Job{Args: respond.Do{AccountID: a.AccountID, ActionID: back.ID}})
}

// takeBack undoes the suspensions of a case that are chosen: those done here are released at once, those elsewhere by
// jobs, those planned are cancelled, and those on their way are taken back once they are done. Where another
// suspension of the case keeps the person out of the same place, they stay out.
func (tx *Tx) takeBack(c respond.Case, chosen func(respond.Action) bool, by audit.Entry) error {
	all, err := readActions(tx, actionsOfCase, c.AccountID, c.ID)
	if err != nil {
		return err
	}
	others := map[string]bool{}
	for _, a := range all {
		if a.Kind == respond.ActSuspend && a.State == respond.ActionDone && !a.Already && !chosen(a) {
			others[a.Target] = true
		}
	}
	release := false
	for _, a := range all {
		if !chosen(a) || a.Kind == respond.ActReactivate {
			continue
		}
		switch {
		case a.State == respond.ActionPlanned:
			err = tx.ended(&a, c, respond.Result{State: respond.ActionCancelled, Code: "undone"})
		case a.Kind != respond.ActSuspend:
		case a.State == respond.ActionBegun, a.State == respond.ActionUnknown:
			_, err = tx.exec("UPDATE actions SET unwanted = $1 WHERE account_id = $2 AND id = $3", true, c.AccountID, a.ID)
		case a.State != respond.ActionDone || a.Already:
		case others[a.Target]:
			err = tx.undone(a)
		case local(a):
			release = true
		default:
			err = tx.planReactivate(a, c, by.Actor)
		}
		if err != nil {
			return fmt.Errorf("take back action %q: %w", a.ID, err)
		}
	}
	if release {
		if err := tx.releaseCaseHold(c.AccountID, c, by); err != nil {
			return err
		}
	}
	return tx.settleRuns(c)
}

// settleRuns ends the runs of a case whose actions have come to an end.
func (tx *Tx) settleRuns(c respond.Case) error {
	rows, err := tx.rows(runsOfCase, c.AccountID, c.ID)
	runs, err := collect(rows, err, scanRun(c.AccountID))
	if err != nil {
		return fmt.Errorf("read runs of case %q: %w", c.ID, err)
	}
	for _, r := range runs {
		if err := tx.settleRun(c.AccountID, &r); err != nil {
			return err
		}
	}
	return nil
}

const runsOfCase = "SELECT " + runColumns + " FROM runs WHERE account_id = $1 AND case_id = $2 ORDER BY created_at, id"

// ReleaseDue implements [respond.Store].
func (db *DB) ReleaseDue(ctx context.Context, accountID, actionID string) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		a, err := readAction(tx, accountID, actionID)
		if err != nil || a.State != respond.ActionDone || a.Until.IsZero() || !ends(a) || a.Already {
			return err
		}
		if tx.now.Before(a.Until) { // the clock went back, or it goes on for longer
			return tx.enqueue(jobs.Job{Args: respond.EndHold{AccountID: accountID, ActionID: actionID}, RunAt: a.Until})
		}
		c, err := readCase(tx, accountID, a.CaseID)
		if err != nil {
			return err
		}
		why, err := tx.keeps(a, c)
		if err != nil {
			return err
		}
		if why != "" {
			if err := tx.goesOn(a, c, why); err != nil {
				return err
			}
			return tx.settleCase(accountID, c.ID)
		}
		by := audit.Entry{Actor: "system", Reason: caseWords(c) + "; the time of the hold was over"}
		if err := tx.takeBack(c, func(x respond.Action) bool { return x.ID == a.ID }, by); err != nil {
			return err
		}
		return tx.settleCase(accountID, c.ID)
	})
}

// keeps says what keeps a hold whose time is over; nothing: it ends.
func (tx *Tx) keeps(a respond.Action, c respond.Case) (string, error) {
	if a.Kept {
		return "kept", nil
	}
	if a.Release == respond.ReleaseAlways {
		return "", nil
	}
	var pending, newer int64
	err := tx.row(`SELECT (SELECT COUNT(*) FROM approvals WHERE account_id = $1 AND case_id = $2 AND state = 'pending')
		+ (SELECT COUNT(*) FROM questions WHERE account_id = $1 AND case_id = $2 AND state = 'pending')`, c.AccountID, c.ID).Scan(&pending)
	if err != nil {
		return "", fmt.Errorf("look for what waits in case %q: %w", c.ID, err)
	}
	if pending > 0 {
		return "pending", nil
	}
	if a.PersonID == "" {
		return "", nil
	}
	// A day before: a finding may have begun before the hold, and gone on since.
	since := a.Until.Add(-a.For)
	err = tx.row(`SELECT COUNT(*) FROM (SELECT seq FROM findings WHERE account_id = $1 AND person_id = $2 AND created_at > $3 AND last_at > $4
		AND level IN ('medium', 'high', 'critical') AND state <> 'withdrawn' LIMIT 1) newer`,
		c.AccountID, a.PersonID, since.Add(-24*time.Hour).UnixMicro(), since.UnixMicro()).Scan(&newer)
	if err != nil {
		return "", fmt.Errorf("look for newer findings about %q: %w", a.PersonID, err)
	}
	if newer > 0 {
		return "newer_finding", nil
	}
	return "", nil
}

// goesOn has a hold go on for as long again.
func (tx *Tx) goesOn(a respond.Action, c respond.Case, why string) error {
	until := tx.now.Add(a.For).Truncate(time.Microsecond)
	if _, err := tx.exec("UPDATE actions SET until_at = $1 WHERE account_id = $2 AND id = $3", until.UnixMicro(), a.AccountID, a.ID); err != nil {
		return fmt.Errorf("go on with action %q: %w", a.ID, err)
	}
	if a.HoldID != "" {
		if _, err := tx.exec("UPDATE holds SET until_at = $1 WHERE account_id = $2 AND id = $3 AND released_at IS NULL", until.UnixMicro(), a.AccountID, a.HoldID); err != nil {
			return fmt.Errorf("go on with hold %q: %w", a.HoldID, err)
		}
	}
	facts := map[string]string{"action": a.ID, "target": a.Target, "why": why, "until": until.Format(time.RFC3339)}
	if err := tx.moment(a.AccountID, c.ID, respond.Moment{Kind: "hold_goes_on", Facts: facts}); err != nil {
		return err
	}
	return tx.enqueue(jobs.Job{Args: respond.EndHold{AccountID: a.AccountID, ActionID: a.ID}, RunAt: until})
}

// KeepHold implements [respond.Store].
func (db *DB) KeepHold(ctx context.Context, accountID, actionID string, kept bool, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		a, err := readAction(tx, accountID, actionID)
		if err != nil {
			return err
		}
		if a.Kind != respond.ActSuspend || a.State != respond.ActionDone {
			return problem.Coded(problem.Conflict, respond.CodeWrongState, "the action is %s at %s and %s; only a suspension that is done can be kept", a.Kind, a.Target, a.State)
		}
		if a.Kept == kept {
			return nil
		}
		c, err := readCase(tx, accountID, a.CaseID)
		if err != nil {
			return err
		}
		if err := tx.setKept(&a, kept, by.Actor); err != nil {
			return err
		}
		if err := tx.settleCase(accountID, c.ID); err != nil {
			return err
		}
		what := "the hold does not end by itself"
		if !kept {
			what = "the hold ends by itself again"
		}
		return tx.append(accountID, by.For(audit.CaseUpdate, "case:"+c.ID).Because(caseWords(c)+"; "+what))
	})
}

func (tx *Tx) setKept(a *respond.Action, kept bool, actor string) error {
	a.Kept = kept
	if _, err := tx.exec("UPDATE actions SET kept = $1 WHERE account_id = $2 AND id = $3", kept, a.AccountID, a.ID); err != nil {
		return fmt.Errorf("keep the hold of action %q: %w", a.ID, err)
	}
	kind := "kept"
	if !kept {
		kind = "not_kept"
	}
	return tx.moment(a.AccountID, a.CaseID, respond.Moment{Kind: kind, Actor: actor, Facts: map[string]string{"action": a.ID, "target": a.Target}})
}

// UndoCase implements [respond.Store].
func (db *DB) UndoCase(ctx context.Context, accountID, caseID, reason string, by audit.Entry) (respond.Case, error) {
	var c respond.Case
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		var err error
		if c, err = readCase(tx, accountID, caseID); err != nil {
			return err
		}
		if c.State == respond.CaseClosed {
			return problem.Coded(problem.Conflict, respond.CodeFinal, "case %d is closed; nothing of it is in force", c.Number)
		}
		words := caseWords(c)
		if reason != "" {
			words += "; " + reason
		}
		by := by.For(audit.CaseUndo, "case:"+c.ID).Because(words)
		if err := tx.append(accountID, by); err != nil {
			return err
		}
		if err := tx.moment(accountID, c.ID, respond.Moment{Kind: "undone", Actor: by.Actor, Facts: map[string]string{"reason": reason}}); err != nil {
			return err
		}
		if err := tx.endWaiting(c, by.Actor); err != nil {
			return err
		}
		if err := tx.takeBack(c, func(respond.Action) bool { return true }, by); err != nil {
			return err
		}
		if err := tx.settleCase(accountID, c.ID); err != nil {
			return err
		}
		c, err = readCase(tx, accountID, caseID)
		return err
	})
	return c, err
}

// endWaiting ends what waits in a case: nobody is asked any more, and runs that waited have come to nothing.
func (tx *Tx) endWaiting(c respond.Case, actor string) error {
	rows, err := tx.rows("SELECT "+approvalColumns+" FROM approvals WHERE account_id = $1 AND case_id = $2 AND state = 'pending'", c.AccountID, c.ID)
	approvals, err := collect(rows, err, scanApproval(c.AccountID))
	if err != nil {
		return fmt.Errorf("read approvals of case %q: %w", c.ID, err)
	}
	for _, a := range approvals {
		if err := tx.setApproval(&a, respond.ApprovalExpired, actor); err != nil {
			return err
		}
		run, err := readRun(tx, c.AccountID, a.RunID)
		if err != nil {
			return err
		}
		if err := tx.giveUp(&run, c, respond.RunExpired); err != nil {
			return err
		}
	}
	rows, err = tx.rows("SELECT "+questionColumns+" FROM questions WHERE account_id = $1 AND case_id = $2 AND state = 'pending'", c.AccountID, c.ID)
	questions, err := collect(rows, err, scanQuestion(c.AccountID))
	if err != nil {
		return fmt.Errorf("read questions of case %q: %w", c.ID, err)
	}
	for _, x := range questions {
		if err := tx.setQuestion(&x, respond.QuestionSilent, actor); err != nil {
			return err
		}
	}
	return nil
}
