package respond

import (
	"context"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// Codes of problems with answers.
const (
	CodeTooLate      = "too_late"
	CodeNotActive    = "not_active"
	CodeNotAsked     = "not_asked"
	CodeSelf         = "self"
	CodeTwice        = "twice"
	CodeStillHolding = "still_holding"
)

// MayVote says whether the person may answer the approval now; it is called in the transaction that notes the answer. The
// person must be active and not suspended, and of a group that is asked: those of now, not of when it was asked.
func MayVote(now time.Time, a Approval, c Case, voter Person) error {
	switch {
	case a.State == ApprovalExpired, a.State == ApprovalPending && !now.Before(a.ExpiresAt):
		return problem.Coded(problem.Conflict, CodeTooLate, "the time to answer was over at %s", stamp(a.ExpiresAt))
	case a.State != ApprovalPending:
		return problem.Coded(problem.Conflict, CodeFinal, "it is %s already; nothing was changed", a.State)
	case voter.ID == "" || !voter.Active || voter.Suspended:
		return problem.Coded(problem.Forbidden, CodeNotActive, "only people who are active and not suspended can answer")
	case a.NotSelf && c.Subject.PersonID == voter.ID:
		return problem.Coded(problem.Forbidden, CodeSelf, "this is about you, so somebody else has to answer")
	case !a.asks(voter):
		return problem.Coded(problem.Forbidden, CodeNotAsked, "only people of these groups can answer: %s", strings.Join(a.From, ", "))
	case slices.ContainsFunc(a.Votes, func(v Vote) bool { return v.UserID == voter.ID }):
		return problem.Coded(problem.Conflict, CodeTwice, "you have answered already; %d of %d who approve are needed, and the others must be other people", a.approvals(), a.Needed)
	}
	return nil
}

// asks says whether the person is of a group that is asked. Names are compared as the directory does.
func (a Approval) asks(p Person) bool {
	return slices.ContainsFunc(a.From, func(want string) bool {
		return slices.Contains(p.GroupIDs, want) || slices.ContainsFunc(p.Groups, func(name string) bool { return strings.EqualFold(name, want) })
	})
}

func (a Approval) approvals() int {
	n := 0
	for _, v := range a.Votes {
		if v.Approve {
			n++
		}
	}
	return n
}

// Tally is the state that follows from the votes: one who denies is enough, and as many as are needed must approve.
func (a Approval) Tally() ApprovalState {
	switch {
	case slices.ContainsFunc(a.Votes, func(v Vote) bool { return !v.Approve }):
		return ApprovalDenied
	case len(a.Votes) > 0 && a.approvals() >= max(1, a.Needed):
		return ApprovalApproved
	}
	return ApprovalPending
}

// Answering is how somebody answers an approval.
type Answering struct {
	Approve bool
	Reason  string // optional
	Door    string // DoorConsole or DoorCLI
}

// Answer answers an approval as the person. The route has made sure that it is them, a short while ago.
func (s *Service) Answer(ctx context.Context, accountID, approvalID, userID string, x Answering, by audit.Entry) (Approval, error) {
	v, err := s.vote(userID, x)
	if err != nil {
		return Approval{}, err
	}
	return s.Store.Vote(ctx, accountID, approvalID, v, s.may(v.At), by)
}

func (s *Service) vote(userID string, x Answering) (Vote, error) {
	v := Vote{UserID: userID, Approve: x.Approve, At: s.Now(), Door: x.Door}
	if strings.TrimSpace(x.Reason) != "" {
		var err error
		if v.Reason, err = CheckWhy("reason", x.Reason); err != nil {
			return Vote{}, err
		}
	}
	return v, nil
}

func (s *Service) may(now time.Time) func(Approval, Case, Person) error {
	return func(a Approval, c Case, voter Person) error { return MayVote(now, a, c, voter) }
}

// AnswerQuestion is the person's own answer to whether it was them. The route has made sure that it is them, with a
// confirmation, a short while ago.
func (s *Service) AnswerQuestion(ctx context.Context, accountID, questionID, personID string, itWasMe bool, by audit.Entry) (Question, error) {
	return s.Store.AnswerQuestion(ctx, accountID, questionID, personID, itWasMe, by)
}
