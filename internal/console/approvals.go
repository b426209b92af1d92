package console

import (
	"cmp"
	"net/http"
	"slices"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

func (c *Console) approvalRoutes() []web.Route {
	member := web.SignedIn(web.Member)
	link := web.Guest("the one-time link is what shows who answers; it works once, for one approval")
	return []web.Route{
		{Pattern: "GET /cases/{case}/approvals/{approval}", Access: member, Handle: c.approvalForm},
		{Pattern: "POST /cases/{case}/approvals/{approval}", Access: member.Fresh(), Handle: c.answerApproval},
		{Pattern: "GET /respond/approvals/{token}", Access: link, Handle: c.approvalLink},
		{Pattern: "POST /respond/approvals/{token}", Access: link, Handle: c.answerLink},
	}
}

// approvalPage is the data of pages/approval.html and pages/gate-approval.html.
type approvalPage struct {
	caseApproval
	Case     caseRow
	Run      caseRun
	Findings []caseFinding
	Action   string // where the form goes
	Mine     bool   // who looks may open the case
}

// Answers to an approval, as its buttons are named.
const (
	answerDeny    = "deny"
	answerApprove = "approve"
)

// approvalOf is the approval of the path, for who works on cases, may answer it, or has answered it.
func (c *Console) approvalOf(r *http.Request) (approvalPage, error) {
	rec, err := c.record(r)
	if err != nil {
		return approvalPage{}, err
	}
	i := slices.IndexFunc(rec.Approvals, func(a respond.Approval) bool { return a.ID == r.PathValue("approval") })
	if i < 0 {
		return approvalPage{}, problem.New(problem.NotFound, "the case has no such approval")
	}
	data := approvalPage{Mine: me(r).Has(web.Integrations)}
	if data.caseApproval, err = c.caseApproval(r, rec, rec.Approvals[i]); err != nil {
		return data, err
	}
	voted := slices.ContainsFunc(data.Votes, func(v respond.Vote) bool { return v.UserID == me(r).UserID })
	if !data.Mine && !data.May && !voted {
		return data, problem.New(problem.NotFound, "the case has no such approval")
	}
	data.Action = data.caseApproval.Path
	if data.Case, err = c.caseRow(r.Context(), c.names(r), rec.Case); err != nil {
		return data, err
	}
	lang := c.catalogue.languageOf(r)
	for _, run := range rec.Runs {
		if run.ID == data.RunID {
			data.Run = caseRunOf(lang, run, data.Case.Path)
		}
	}
	for _, f := range rec.Findings {
		data.Findings = append(data.Findings, c.caseFinding(lang, f))
	}
	return data, nil
}

func (c *Console) approvalForm(w http.ResponseWriter, r *http.Request) error {
	data, err := c.approvalOf(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "approval", title: data.Ask, data: data})
}

// answering reads an answer. Who denies says why.
func answering(r *http.Request, door string) (respond.Answering, error) {
	f, err := form(r)
	if err != nil {
		return respond.Answering{}, err
	}
	x := respond.Answering{Approve: f.Get("answer") == answerApprove, Reason: f.Get("reason"), Door: door}
	if !x.Approve && f.Get("answer") != answerDeny {
		return x, problem.New(problem.Invalid, "the answer is %q; it must be %s or %s", f.Get("answer"), answerDeny, answerApprove)
	}
	if !x.Approve {
		if _, err := respond.CheckWhy("reason", x.Reason); err != nil {
			return x, err
		}
	}
	return x, nil
}

func voteAction(x respond.Answering) audit.Action {
	if x.Approve {
		return audit.ApprovalApprove
	}
	return audit.ApprovalDeny
}

func (c *Console) answerApproval(w http.ResponseWriter, r *http.Request) error {
	data, err := c.approvalOf(r)
	if err != nil {
		return err
	}
	x, err := answering(r, respond.DoorConsole)
	if err == nil {
		who := me(r)
		_, err = c.Respond.Answer(r.Context(), who.AccountID, data.ID, who.UserID, x, audit.By(r, voteAction(x), "case:"+data.Case.ID))
	}
	if err != nil {
		return c.again(w, r, page{name: "approval", title: data.Ask, data: data, form: r.PostForm}, err)
	}
	done := "?done=approval_denied"
	if x.Approve {
		done = "?done=approval_approved"
	}
	if !data.Mine {
		return redirect(w, r, data.Action+done)
	}
	return redirect(w, r, data.Case.Path+done)
}

// linkPage is what a link asks. It changes nothing.
func (c *Console) linkPage(r *http.Request) (page, error) {
	asked, err := c.Respond.Link(r.Context(), r.PathValue("token"))
	if err != nil {
		return page{}, err
	}
	rec, err := c.Respond.Store.Case(r.Context(), asked.Approval.AccountID, asked.Case.ID)
	if err != nil {
		return page{}, err
	}
	data := approvalPage{Action: r.URL.Path, Case: caseRow{Case: asked.Case}, Run: caseRunOf(c.catalogue.languageOf(r), asked.Run, "")}
	data.Approval, data.May, data.Why = asked.Approval, asked.Refused == nil, c.sayWhy(r, asked.Refused)
	data.Left = max(1, asked.Approval.Needed)
	data.Ask = c.askOf(r, rec, asked.Approval)
	return page{name: "gate-approval", title: cmp.Or(data.Ask, asked.Case.Title), data: data, secret: true}, nil
}

func (c *Console) approvalLink(w http.ResponseWriter, r *http.Request) error {
	p, err := c.linkPage(r)
	if err != nil {
		return err
	}
	return c.render(w, r, p)
}

func (c *Console) answerLink(w http.ResponseWriter, r *http.Request) error {
	p, err := c.linkPage(r)
	if err != nil {
		return err
	}
	x, err := answering(r, respond.DoorLink)
	if err == nil {
		_, err = c.Respond.AnswerLink(r.Context(), r.PathValue("token"), x, audit.By(r, voteAction(x), ""))
	}
	if err != nil {
		p.form = r.PostForm
		return c.again(w, r, p, err)
	}
	if x.Approve {
		return redirect(w, r, r.URL.Path+"?done=approval_approved")
	}
	return redirect(w, r, r.URL.Path+"?done=approval_denied")
}
