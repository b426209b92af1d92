package respond

import (
	"context"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// linkPrefix begins the tokens of links that answer an approval. They hold 256 random bits and a checksum; only the hash
// is stored.
const linkPrefix = "hfl_"

// newLink makes a link for one approver. It works once, for this approval, as this person, until the approval's end.
func (s *Service) newLink(ctx context.Context, a Approval, userID string) (string, error) {
	token, hash := seal.NewCredential(linkPrefix)
	l := Link{AccountID: a.AccountID, ApprovalID: a.ID, UserID: userID, Hash: hash[:], ExpiresAt: a.ExpiresAt}
	if err := s.Store.AddLink(ctx, l); err != nil {
		return "", err
	}
	return s.URL + LinkPath + token.Reveal(), nil
}

// badLink is the one answer to a link that never was one: who guesses learns nothing.
func badLink() *problem.Error {
	return problem.Coded(problem.NotFound, "bad_link", "this link is not valid; copy it in full from the message, or answer in the console")
}

// Asked is what the reader of a link is asked.
type Asked struct {
	Approval Approval
	Case     Case
	Run      Run // with the checks that led to it
	UserID   string
	Refused  error // why the link does not work (any more); nil: it does
}

// Link is what the link with the token asks. It changes nothing. A link that was used or is over comes with the reason.
func (s *Service) Link(ctx context.Context, token string) (Asked, error) {
	hash, err := seal.ParseCredential(linkPrefix, token)
	if err != nil {
		return Asked{}, badLink()
	}
	a, l, err := s.Store.ApprovalByLink(ctx, hash[:])
	if err != nil {
		return Asked{}, hideMissing(err)
	}
	rec, err := s.Store.Case(ctx, l.AccountID, a.CaseID)
	if err != nil {
		return Asked{}, hideMissing(err)
	}
	asked := Asked{Approval: a, Case: rec.Case, UserID: l.UserID, Refused: l.check(s.Now(), a, rec.Case)}
	if run := pick(rec.Runs, func(r Run) bool { return r.ID == a.RunID }); run != nil {
		asked.Run = *run
	}
	return asked, nil
}

func hideMissing(err error) error {
	if problem.KindOf(err) == problem.NotFound {
		return badLink().WithCause(err)
	}
	return err
}

// check says why a link does not work, as far as can be seen without its person.
func (l Link) check(now time.Time, a Approval, c Case) error {
	switch {
	case !l.UsedAt.IsZero():
		return problem.Coded(problem.Conflict, "link_used", "this link was used at %s; each works once", stamp(l.UsedAt))
	case a.State == ApprovalExpired, !now.Before(l.ExpiresAt), !now.Before(a.ExpiresAt):
		return problem.Coded(problem.Conflict, CodeTooLate, "the time to answer was over at %s", stamp(a.ExpiresAt))
	case a.State != ApprovalPending:
		return problem.Coded(problem.Conflict, CodeFinal, "it is %s already; nothing was changed", a.State)
	case a.NotSelf && l.UserID == c.Subject.PersonID:
		return problem.Coded(problem.Forbidden, CodeSelf, "this is about you, so somebody else has to answer")
	}
	return nil
}

// AnswerLink answers by a link, as the person it was sent to, and uses it up. What does not count does not use it up.
func (s *Service) AnswerLink(ctx context.Context, token string, x Answering, by audit.Entry) (Approval, error) {
	hash, err := seal.ParseCredential(linkPrefix, token)
	if err != nil {
		return Approval{}, badLink()
	}
	a, l, err := s.Store.ApprovalByLink(ctx, hash[:])
	if err != nil {
		return Approval{}, hideMissing(err)
	}
	if !l.UsedAt.IsZero() {
		return Approval{}, l.check(s.Now(), a, Case{})
	}
	x.Door = DoorLink
	v, err := s.vote(l.UserID, x)
	if err != nil {
		return Approval{}, err
	}
	by.Actor = "user:" + l.UserID
	return s.Store.UseLink(ctx, hash[:], v, s.may(v.At), by)
}
