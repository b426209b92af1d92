package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/jobs"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
)

// ask asks for the approval of a plan.
func (w *work) ask(run *respond.Run, p respond.Plan, by audit.Entry) error {
	if p.Approval == nil {
		return nil
	}
	a := *p.Approval
	a.AccountID, a.ID, a.CaseID, a.RunID, a.State, a.AskedAt = w.account, seal.NewID(), w.cse.ID, run.ID, respond.ApprovalPending, w.tx.now.Truncate(time.Microsecond)
	if err := respond.MoveApproval("", a.State); err != nil {
		return err
	}
	from, err := asJSON(a.From)
	if err != nil {
		return err
	}
	_, err = w.tx.exec(`INSERT INTO approvals (account_id, id, case_id, run_id, comes, needed, from_groups, not_self, on_timeout, state, asked_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, a.AccountID, a.ID, a.CaseID, a.RunID, string(a.Order), max(a.Needed, 1), from, a.NotSelf,
		string(a.OnTimeout), string(a.State), a.AskedAt.UnixMicro(), a.ExpiresAt.UnixMicro())
	if err != nil {
		return fmt.Errorf("ask for an approval: %w", err)
	}
	if err := w.moment("approval_asked", by.Actor, map[string]string{
		"approval": a.ID, "run": run.ID, "order": string(a.Order), "until": a.ExpiresAt.UTC().Format(time.RFC3339),
	}); err != nil {
		return err
	}
	if err := w.tx.append(w.account, by.For(audit.ApprovalAsk, "case:"+w.cse.ID).Because(caseWords(w.cse))); err != nil {
		return err
	}
	return w.tx.enqueue(
		jobs.Job{Args: respond.Send{AccountID: w.account, CaseID: w.cse.ID, Template: respond.TemplateApprovalNeeded, ApprovalID: a.ID, RunID: run.ID}},
		jobs.Job{Args: respond.EndApproval{AccountID: w.account, ApprovalID: a.ID}, RunAt: a.ExpiresAt},
	)
}

// Vote implements [respond.Store].
func (db *DB) Vote(ctx context.Context, accountID, approvalID string, v respond.Vote, may func(respond.Approval, respond.Case, respond.Person) error, by audit.Entry) (respond.Approval, error) {
	var a respond.Approval
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		var err error
		a, err = tx.vote(accountID, approvalID, v, may, by)
		return err
	})
	return a, err
}

func (tx *Tx) vote(account, id string, v respond.Vote, may func(respond.Approval, respond.Case, respond.Person) error, by audit.Entry) (respond.Approval, error) {
	a, err := readApproval(tx, account, id)
	if err != nil {
		return a, err
	}
	c, err := readCase(tx, account, a.CaseID)
	if err != nil {
		return a, err
	}
	action := audit.ApprovalApprove
	if !v.Approve {
		action = audit.ApprovalDeny
	}
	by = by.For(action, "case:"+c.ID)
	voter, err := readPerson(tx, account, v.UserID)
	if err != nil {
		return a, err
	}
	err = respond.MayVote(tx.now, a, c, voter)
	if err == nil && may != nil {
		err = may(a, c, voter)
	}
	if p, ok := errors.AsType[*problem.Error](err); ok {
		return a, tx.refuse(account, by, p)
	}
	if err != nil {
		return a, err
	}
	v.At = tx.now.Truncate(time.Microsecond)
	if _, err := tx.exec("INSERT INTO approval_votes (account_id, approval_id, user_id, approve, reason, at, door) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		account, id, v.UserID, v.Approve, storable(v.Reason, mostText), v.At.UnixMicro(), v.Door); err != nil {
		return a, fmt.Errorf("vote on approval %q: %w", id, err)
	}
	a.Votes = append(a.Votes, v)
	if err := tx.moment(account, c.ID, respond.Moment{Kind: "vote", Actor: by.Actor, Facts: map[string]string{
		"approval": id, "approve": fmt.Sprint(v.Approve), "reason": v.Reason, "door": v.Door,
	}}); err != nil {
		return a, err
	}
	reason := caseWords(c)
	if v.Reason != "" {
		reason += "; " + v.Reason
	}
	if err := tx.append(account, by.Because(reason)); err != nil {
		return a, err
	}
	if to := a.Tally(); to != respond.ApprovalPending {
		return a, tx.answered(&a, c, to, by)
	}
	return a, tx.settleCase(account, c.ID) // others are needed, too
}

// asks says whether the group is asked for the approval.
func asks(a respond.Approval, g directory.Group) bool {
	return slices.ContainsFunc(a.From, func(from string) bool { return from == g.ID || directory.GroupKey(from) == directory.GroupKey(g.Name) })
}

// setApproval ends an approval and says so.
func (tx *Tx) setApproval(a *respond.Approval, to respond.ApprovalState, actor string) error {
	if err := respond.MoveApproval(a.State, to); err != nil {
		return err
	}
	a.State = to
	if _, err := tx.exec("UPDATE approvals SET state = $1 WHERE account_id = $2 AND id = $3", string(to), a.AccountID, a.ID); err != nil {
		return fmt.Errorf("end approval %q: %w", a.ID, err)
	}
	if err := tx.moment(a.AccountID, a.CaseID, respond.Moment{Kind: "approval", Actor: actor, Facts: map[string]string{"approval": a.ID, "state": string(to)}}); err != nil {
		return err
	}
	return tx.enqueue(jobs.Job{Args: respond.Send{AccountID: a.AccountID, CaseID: a.CaseID, Template: respond.TemplateApprovalAnswered, ApprovalID: a.ID, RunID: a.RunID}})
}

// answered ends an approval, and does what follows from it.
func (tx *Tx) answered(a *respond.Approval, c respond.Case, to respond.ApprovalState, by audit.Entry) error {
	if err := tx.setApproval(a, to, by.Actor); err != nil {
		return err
	}
	run, err := readRun(tx, a.AccountID, a.RunID)
	if err != nil {
		return err
	}
	switch {
	case to == respond.ApprovalApproved && a.Order == respond.Before:
		err = tx.letAct(&run, c)
	case to == respond.ApprovalApproved:
	case a.Order == respond.Before:
		err = tx.giveUp(&run, c, map[respond.ApprovalState]respond.RunState{respond.ApprovalDenied: respond.RunDenied, respond.ApprovalExpired: respond.RunExpired}[to])
	default:
		err = tx.takeBack(c, func(x respond.Action) bool { return x.RunID == run.ID }, by.Because(caseWords(c)))
	}
	if err != nil {
		return err
	}
	return tx.settleCase(a.AccountID, c.ID)
}

// letAct lets a run that waited act.
func (tx *Tx) letAct(run *respond.Run, c respond.Case) error {
	if run.State != respond.RunWaiting {
		return nil // it was given up meanwhile
	}
	if err := tx.setRun(run.AccountID, run, respond.RunActing); err != nil {
		return err
	}
	actions, err := readActions(tx, actionsOfRun, run.AccountID, run.ID)
	if err != nil {
		return err
	}
	for _, a := range actions {
		if a.State == respond.ActionPlanned {
			if err := tx.enqueue(jobs.Job{Args: respond.Do{AccountID: a.AccountID, ActionID: a.ID}}); err != nil {
				return err
			}
		}
	}
	var later string
	if err := tx.row("SELECT question FROM runs WHERE account_id = $1 AND id = $2", run.AccountID, run.ID).Scan(&later); err != nil {
		return fmt.Errorf("read what run %q asks: %w", run.ID, err)
	}
	if later != "" {
		var w waitingQuestion
		if err := json.Unmarshal([]byte(later), &w); err != nil {
			return fmt.Errorf("read what run %q asks: %w", run.ID, err)
		}
		q := w.Question
		q.ExpiresAt = tx.now.Add(w.Within)
		if err := tx.addQuestion(run.AccountID, c.ID, run.ID, q); err != nil {
			return err
		}
	}
	return tx.settleRun(run.AccountID, run)
}

// giveUp ends a run that waited without having done anything.
func (tx *Tx) giveUp(run *respond.Run, c respond.Case, to respond.RunState) error {
	if run.State != respond.RunWaiting {
		return nil
	}
	actions, err := readActions(tx, actionsOfRun, run.AccountID, run.ID)
	if err != nil {
		return err
	}
	for _, a := range actions {
		if a.State == respond.ActionPlanned {
			if err := tx.ended(&a, c, respond.Result{State: respond.ActionCancelled, Code: string(to)}); err != nil {
				return err
			}
		}
	}
	return tx.setRun(run.AccountID, run, to)
}

// ExpireApproval implements [respond.Store].
func (db *DB) ExpireApproval(ctx context.Context, accountID, approvalID string) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		a, err := readApproval(tx, accountID, approvalID)
		if err != nil || a.State != respond.ApprovalPending {
			return err
		}
		if tx.now.Before(a.ExpiresAt) { // the clock went back
			return tx.enqueue(jobs.Job{Args: respond.EndApproval{AccountID: accountID, ApprovalID: approvalID}, RunAt: a.ExpiresAt})
		}
		c, err := readCase(tx, accountID, a.CaseID)
		if err != nil {
			return err
		}
		by := audit.Entry{Actor: "system", Action: audit.ApprovalExpire, Target: "case:" + c.ID, Reason: caseWords(c) + "; on time-out: " + string(a.OnTimeout)}
		if err := tx.append(accountID, by); err != nil {
			return err
		}
		if a.OnTimeout == respond.TimeoutDeny {
			return tx.answered(&a, c, respond.ApprovalExpired, by)
		}
		if err := tx.setApproval(&a, respond.ApprovalExpired, by.Actor); err != nil {
			return err
		}
		run, err := readRun(tx, accountID, a.RunID)
		if err != nil {
			return err
		}
		switch {
		case a.OnTimeout == respond.TimeoutApprove && a.Order == respond.Before:
			err = tx.letAct(&run, c)
		case a.OnTimeout == respond.TimeoutHold:
			if a.Order == respond.Before {
				if err := tx.giveUp(&run, c, respond.RunHeld); err != nil {
					return err
				}
			}
			err = tx.enqueue(jobs.Job{Args: respond.Send{AccountID: accountID, CaseID: c.ID, Template: respond.TemplatePage, RunID: run.ID, ApprovalID: a.ID}})
		}
		if err != nil {
			return err
		}
		return tx.settleCase(accountID, c.ID)
	})
}

// waitingQuestion is a question that is asked once a run is approved. How long it may be answered counts from then.
type waitingQuestion struct {
	Question respond.Question
	Within   time.Duration
}

// laterQuestion is what a plan that waits will ask, as it is stored with the run.
func laterQuestion(p respond.Plan) (string, error) {
	if p.State != respond.RunWaiting || p.Question == nil {
		return "", nil
	}
	return asJSON(waitingQuestion{Question: *p.Question, Within: p.Question.ExpiresAt.Sub(p.Question.AskedAt)})
}

// PendingApprovals implements [respond.Store].
func (db *DB) PendingApprovals(ctx context.Context, accountID, userID string) ([]respond.Approval, error) {
	var out []respond.Approval
	err := db.reading(ctx, func(q reader) error {
		out = nil
		voter, err := readPerson(q, accountID, userID)
		if err != nil {
			return err
		}
		rows, err := q.rows("SELECT "+approvalColumns+" FROM approvals WHERE account_id = $1 AND state = 'pending' ORDER BY expires_at, id", accountID)
		all, err := collect(rows, err, scanApproval(accountID))
		if err != nil {
			return fmt.Errorf("read approvals that wait: %w", err)
		}
		for _, a := range all {
			if a.Votes, err = readVotes(q, accountID, a.ID); err != nil {
				return err
			}
			c, err := readCase(q, accountID, a.CaseID)
			if err != nil {
				return err
			}
			if respond.MayVote(db.now(), a, c, voter) == nil {
				out = append(out, a)
			}
		}
		return nil
	})
	return out, err
}

// mostApprovers bounds who is told that an approval waits.
const mostApprovers = 200

// Approvers implements [respond.Store].
func (db *DB) Approvers(ctx context.Context, accountID, approvalID string) ([]respond.Person, error) {
	var out []respond.Person
	err := db.reading(ctx, func(q reader) error {
		out = nil
		a, err := readApproval(q, accountID, approvalID)
		if err != nil {
			return err
		}
		c, err := readCase(q, accountID, a.CaseID)
		if err != nil {
			return err
		}
		rows, err := q.rows("SELECT id, name, kind FROM groups WHERE account_id = $1", accountID)
		groups, err := collect(rows, err, scanGroup(accountID))
		if err != nil {
			return fmt.Errorf("read groups: %w", err)
		}
		seen := map[string]bool{}
		for _, g := range groups {
			if !asks(a, g) {
				continue
			}
			query, args := membersToAsk, []any{accountID, g.ID, false, mostApprovers}
			if g.Kind == directory.TeamMembers {
				query, args = anybodyToAsk, []any{accountID, false, mostApprovers}
			}
			rows, err := q.rows(query, args...)
			ids, err := collect(rows, err, func(r scanner) (id string, err error) { return id, r.Scan(&id) })
			if err != nil {
				return fmt.Errorf("read members of %q: %w", g.Name, err)
			}
			for _, id := range ids {
				if seen[id] {
					continue
				}
				seen[id] = true
				p, err := readPerson(q, accountID, id)
				if err != nil {
					return err
				}
				if respond.MayVote(db.now(), a, c, p) == nil {
					out = append(out, p)
				}
			}
		}
		slices.SortFunc(out, func(x, y respond.Person) int { return cmp.Compare(x.ID, y.ID) })
		out = out[:min(len(out), mostApprovers)]
		return nil
	})
	return out, err
}

const (
	membersToAsk = `SELECT u.id FROM group_members m JOIN users u ON u.account_id = m.account_id AND u.id = m.user_id
		WHERE m.account_id = $1 AND m.group_id = $2 AND u.suspended = $3 AND u.lifecycle <> 'invited' LIMIT $4`
	anybodyToAsk = "SELECT id FROM users WHERE account_id = $1 AND suspended = $2 AND lifecycle = 'active' ORDER BY id LIMIT $3"
)
