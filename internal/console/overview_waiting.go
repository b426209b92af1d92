package console

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"holdfast/internal/respond"
)

// waiting is what somebody is asked: whether a playbook may act, or whether it was them.
type waiting struct {
	Path  string
	Ask   string // in words
	About string // the title of the case; empty for who is asked about themself
	Until time.Time
}

// waitingFor is what waits for an answer of who looks, whatever their role: a playbook can ask any group. What they are
// asked about themself comes first.
func (c *Console) waitingFor(r *http.Request) ([]waiting, error) {
	who, store := me(r), c.Respond.Store
	var all []waiting
	questions, err := store.PendingQuestions(r.Context(), who.AccountID, who.UserID)
	if err != nil {
		return nil, err
	}
	for _, q := range questions {
		all = append(all, waiting{Path: respond.QuestionPath + q.ID, Ask: c.tr(r, "question.title"), Until: q.ExpiresAt})
	}
	approvals, err := store.PendingApprovals(r.Context(), who.AccountID, who.UserID)
	if err != nil {
		return nil, err
	}
	for _, a := range approvals[:min(len(approvals), overviewWaiting)] {
		rec, err := store.Case(r.Context(), who.AccountID, a.CaseID)
		if err != nil {
			return nil, err
		}
		path := casesPath + strconv.FormatInt(rec.Case.Number, 10) + "/approvals/" + url.PathEscape(a.ID)
		all = append(all, waiting{path, c.askOf(r, rec, a), rec.Case.Title, a.ExpiresAt})
	}
	return all, nil
}
