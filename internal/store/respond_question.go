package store

import (
	"context"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/jobs"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
)

// addQuestion asks the person themself.
func (tx *Tx) addQuestion(account, caseID, runID string, q respond.Question) error {
	q.ID, q.State, q.AskedAt = seal.NewID(), respond.QuestionPending, tx.now.Truncate(time.Microsecond)
	if err := respond.MoveQuestion("", q.State); err != nil {
		return err
	}
	_, err := tx.exec(`INSERT INTO questions (account_id, id, case_id, run_id, person_id, state, on_confirm, on_deny, on_silence, asked_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, account, q.ID, caseID, runID, q.PersonID, string(q.State),
		q.OnConfirm, q.OnDeny, q.OnSilence, q.AskedAt.UnixMicro(), q.ExpiresAt.UnixMicro())
	if err != nil {
		return fmt.Errorf("ask the person: %w", err)
	}
	facts := map[string]string{"question": q.ID, "run": runID, "until": q.ExpiresAt.UTC().Format(time.RFC3339)}
	if err := tx.moment(account, caseID, respond.Moment{Kind: "question_asked", Facts: facts}); err != nil {
		return err
	}
	return tx.enqueue(
		jobs.Job{Args: respond.Send{AccountID: account, CaseID: caseID, Template: respond.TemplateAskPerson, RunID: runID}},
		jobs.Job{Args: respond.EndQuestion{AccountID: account, QuestionID: q.ID}, RunAt: q.ExpiresAt},
	)
}

// AnswerQuestion implements [respond.Store].
func (db *DB) AnswerQuestion(ctx context.Context, accountID, questionID, personID string, confirmed bool, by audit.Entry) (respond.Question, error) {
	var x respond.Question
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		var err error
		if x, err = readQuestion(tx, accountID, questionID); err != nil {
			return err
		}
		c, err := readCase(tx, accountID, x.CaseID)
		if err != nil {
			return err
		}
		by := by.For(audit.CaseAnswer, "case:"+c.ID)
		switch {
		case x.PersonID == "" || x.PersonID != personID:
			return tx.refuse(accountID, by, problem.Coded(problem.Forbidden, "not_asked", "the question is for somebody else"))
		case x.State != respond.QuestionPending:
			return tx.refuse(accountID, by, problem.Coded(problem.Conflict, respond.CodeFinal, "the question has ended; it is %s", x.State))
		case !tx.now.Before(x.ExpiresAt):
			return tx.refuse(accountID, by, problem.Coded(problem.Conflict, "too_late", "the question could be answered until %s", x.ExpiresAt.Format(time.RFC3339)))
		}
		to := respond.QuestionDenied
		if confirmed {
			to = respond.QuestionConfirmed
		}
		if err := tx.append(accountID, by.Because(caseWords(c)+"; "+string(to))); err != nil {
			return err
		}
		return tx.endQuestion(&x, c, to, by)
	})
	return x, err
}

// ExpireQuestion implements [respond.Store].
func (db *DB) ExpireQuestion(ctx context.Context, accountID, questionID string) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		x, err := readQuestion(tx, accountID, questionID)
		if err != nil || x.State != respond.QuestionPending {
			return err
		}
		if tx.now.Before(x.ExpiresAt) { // the clock went back
			return tx.enqueue(jobs.Job{Args: respond.EndQuestion{AccountID: accountID, QuestionID: questionID}, RunAt: x.ExpiresAt})
		}
		c, err := readCase(tx, accountID, x.CaseID)
		if err != nil {
			return err
		}
		by := audit.Entry{Actor: "system", Action: audit.CaseAnswer, Target: "case:" + c.ID, Reason: caseWords(c) + "; " + string(respond.QuestionSilent)}
		if err := tx.append(accountID, by); err != nil {
			return err
		}
		return tx.endQuestion(&x, c, respond.QuestionSilent, by)
	})
}

// What may follow from an answer.
const (
	answerReleases = "release"
	answerKeeps    = "keep"
)

// setQuestion ends a question, and nothing follows from it.
func (tx *Tx) setQuestion(x *respond.Question, to respond.QuestionState, actor string) error {
	if err := respond.MoveQuestion(x.State, to); err != nil {
		return err
	}
	x.State, x.AnsweredAt = to, tx.now.Truncate(time.Microsecond)
	if _, err := tx.exec("UPDATE questions SET state = $1, answered_at = $2 WHERE account_id = $3 AND id = $4",
		string(to), x.AnsweredAt.UnixMicro(), x.AccountID, x.ID); err != nil {
		return fmt.Errorf("end question %q: %w", x.ID, err)
	}
	return tx.moment(x.AccountID, x.CaseID, respond.Moment{Kind: "question", Actor: actor, Facts: map[string]string{"question": x.ID, "state": string(to)}})
}

// endQuestion ends a question and does what the playbook says.
func (tx *Tx) endQuestion(x *respond.Question, c respond.Case, to respond.QuestionState, by audit.Entry) error {
	if err := tx.setQuestion(x, to, by.Actor); err != nil {
		return err
	}
	follows := map[respond.QuestionState]string{
		respond.QuestionConfirmed: x.OnConfirm, respond.QuestionDenied: x.OnDeny, respond.QuestionSilent: x.OnSilence,
	}[to]
	ofRun := func(a respond.Action) bool { return a.RunID == x.RunID }
	switch {
	case follows == answerReleases:
		if err := tx.takeBack(c, ofRun, by.Because(caseWords(c)+"; "+string(to))); err != nil {
			return err
		}
	case follows == answerKeeps && to == respond.QuestionDenied: // it was somebody else: time alone does not end it
		actions, err := readActions(tx, actionsOfRun, x.AccountID, x.RunID)
		if err != nil {
			return err
		}
		for _, a := range actions {
			if a.Kind == respond.ActSuspend && !a.Kept {
				if err := tx.setKept(&a, true, by.Actor); err != nil {
					return err
				}
			}
		}
	}
	if to == respond.QuestionDenied {
		if err := tx.enqueue(jobs.Job{Args: respond.Send{AccountID: x.AccountID, CaseID: c.ID, Template: respond.TemplatePage, RunID: x.RunID}}); err != nil {
			return err
		}
	}
	return tx.settleCase(x.AccountID, c.ID)
}

const questionsPending = "SELECT " + questionColumns + " FROM questions WHERE account_id = $1 AND person_id = $2 AND state = 'pending' ORDER BY asked_at, id"

// PendingQuestions implements [respond.Store].
func (db *DB) PendingQuestions(ctx context.Context, accountID, userID string) ([]respond.Question, error) {
	rows, err := db.query(ctx, questionsPending, accountID, userID)
	all, err := collect(rows, err, scanQuestion(accountID))
	if err != nil {
		return nil, fmt.Errorf("read questions to %q: %w", userID, err)
	}
	now := db.now()
	open := all[:0]
	for _, x := range all {
		if now.Before(x.ExpiresAt) {
			open = append(open, x)
		}
	}
	return open, nil
}
