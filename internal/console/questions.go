package console

import (
	"net/http"
	"slices"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

func (c *Console) questionRoutes() []web.Route {
	member := web.SignedIn(web.Member)
	return []web.Route{
		{Pattern: "GET /questions/{question}", Access: member, Handle: c.question},
		{Pattern: "GET /questions/{question}/confirm", Access: member, Handle: c.backToQuestion},
		{Pattern: "POST /questions/{question}/confirm", Access: member.Fresh(), Handle: c.answerQuestion(true)},
		{Pattern: "GET /questions/{question}/deny", Access: member, Handle: c.backToQuestion},
		{Pattern: "POST /questions/{question}/deny", Access: member, Handle: c.answerQuestion(false)},
	}
}

// questionPage is the data of pages/question.html. The person does not learn what was found: only when and from where.
type questionPage struct {
	respond.Question
	Path   string
	Events []caseEvent
}

func (c *Console) questionOf(r *http.Request) (questionPage, error) {
	who := me(r)
	mine, err := c.Respond.Store.PendingQuestions(r.Context(), who.AccountID, who.UserID)
	if err != nil {
		return questionPage{}, err
	}
	i := slices.IndexFunc(mine, func(q respond.Question) bool { return q.ID == r.PathValue("question") })
	if i < 0 {
		return questionPage{}, problem.Coded(problem.NotFound, "no_question", "there is no question for you here; it was answered, its time is over, or it is for somebody else")
	}
	data := questionPage{Question: mine[i], Path: respond.QuestionPath + mine[i].ID}
	rec, err := c.Respond.Store.Case(r.Context(), who.AccountID, data.CaseID)
	if err != nil {
		return data, err
	}
	for _, e := range rec.Events[max(0, len(rec.Events)-recentAttempts):] {
		data.Events = append(data.Events, c.caseEvent(r, e))
	}
	slices.Reverse(data.Events)
	return data, nil
}

func (c *Console) question(w http.ResponseWriter, r *http.Request) error {
	data, err := c.questionOf(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "question", title: c.tr(r, "question.title"), data: data})
}

func (c *Console) backToQuestion(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, respond.QuestionPath+r.PathValue("question"))
}

func (c *Console) answerQuestion(itWasMe bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		data, err := c.questionOf(r)
		if err != nil {
			return err
		}
		who := me(r)
		_, err = c.Respond.AnswerQuestion(r.Context(), who.AccountID, data.ID, who.UserID, itWasMe, audit.By(r, audit.CaseAnswer, "case:"+data.CaseID))
		if err != nil {
			return c.again(w, r, page{name: "question", title: c.tr(r, "question.title"), data: data}, err)
		}
		if itWasMe {
			return redirect(w, r, "/?done=question_confirmed")
		}
		return redirect(w, r, "/?done=question_denied")
	}
}
