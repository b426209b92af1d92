package console

import (
	"net/http"
	"net/url"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/web"
)

func (c *Console) auditRoutes() []web.Route {
	may := web.SignedIn(web.Integrations)
	return []web.Route{
		{Pattern: "GET /audit", Access: may, Handle: c.auditLog},
		{Pattern: "GET /audit/verify", Access: may, Handle: c.backToAudit},
		{Pattern: "POST /audit/verify", Access: may, Handle: c.verifyAudit},
		{Pattern: "GET /audit/export", Access: may, Handle: c.backToAudit},
		{Pattern: "POST /audit/export", Access: may.Fresh(), Handle: c.exportAudit},
	}
}

// auditPage is the data of pages/audit.html.
type auditPage struct {
	Rows     []auditRow
	Chain    audit.Status
	Groups   []actionGroup
	Filtered bool
	First    string // address of the first page; empty: this is it
	Next     string // address of the next page, with older entries
	From, To int64  // numbers of the newest and the oldest entry shown
}

func (c *Console) auditLog(w http.ResponseWriter, r *http.Request) error {
	asked := r.URL.Query()
	data := auditPage{Groups: actionGroups(), Filtered: filtered(asked)}
	p := page{name: "audit", title: c.tr(r, "nav.audit"), form: asked}
	var err error
	if data.Chain, err = c.Audit.AuditStatus(r.Context(), me(r).AccountID); err != nil {
		return err
	}
	query, err := c.auditQuery(r, asked)
	if err != nil {
		p.data = data
		return c.again(w, r, p, err)
	}
	links, err := c.Audit.AuditEntries(r.Context(), query)
	if err != nil {
		return err
	}
	if len(links) == query.Limit { // one more was asked for, to see whether there is another page
		links = links[:query.Limit-1]
		data.Next = here(r, "before", links[len(links)-1].Seq)
	}
	if asked.Get("before") != "" {
		data.First = here(r, "before", "")
	}
	if len(links) > 0 {
		data.From, data.To = links[0].Seq, links[len(links)-1].Seq
	}
	if data.Rows, err = c.subjects(r).rows(r.Context(), links); err != nil {
		return err
	}
	p.data = data
	return c.render(w, r, p)
}

// filtered reports whether the query leaves anything out.
func filtered(asked url.Values) bool {
	for _, field := range [...]string{"q", "action", "outcome", "from", "to"} {
		if asked.Get(field) != "" {
			return true
		}
	}
	return false
}

// backToAudit is what is at the address of a form that was posted, when it is opened as a page.
func (c *Console) backToAudit(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/audit")
}

// verifyAudit looks at the whole chain. One look at a time: each reads all entries.
func (c *Console) verifyAudit(w http.ResponseWriter, r *http.Request) error {
	if !c.chains.verifying.TryLock() {
		return problem.Coded(problem.Conflict, "audit_being_verified", "the audit log is being verified already; look at the result in a while")
	}
	defer c.chains.verifying.Unlock()
	account := me(r).AccountID
	longer(w, c.Now().Add(verifyLimit))
	status, err := c.Audit.CheckAudit(r.Context(), account, true)
	if err != nil {
		return err
	}
	c.chains.know(account, status, c.Now())
	web.RecordOf(r.Context()).Target = "audit"
	if status.Broken != "" {
		return redirect(w, r, "/audit")
	}
	return redirect(w, r, "/audit?done=audit_verified")
}
