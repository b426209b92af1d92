package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

// casesPath is where cases are; the number follows, or the ID.
const casesPath = respond.CasePath

func (c *Console) caseRoutes() []web.Route {
	may := web.SignedIn(web.Integrations)
	routes := []web.Route{
		{Pattern: "GET /cases", Access: may, Handle: c.cases},
		{Pattern: "GET /cases/{case}", Access: may, Handle: c.caseView},
		{Pattern: "GET /cases/{case}/live", Access: may, Handle: c.caseLive},
		{Pattern: "POST /cases/{case}/comment", Access: may, Handle: c.commentCase},
		{Pattern: "POST /cases/{case}/assign", Access: may, Handle: c.assignCase},
		{Pattern: "POST /cases/{case}/actions/{action}/keep", Access: may, Handle: c.keepHold},
		{Pattern: "GET /cases/{case}/comment", Access: may, Handle: c.backToCase},
		{Pattern: "GET /cases/{case}/assign", Access: may, Handle: c.backToCase},
		{Pattern: "GET /cases/{case}/actions/{action}/keep", Access: may, Handle: c.backToCase},
		{Pattern: "GET /cases/{case}/runs/{run}/go-on", Access: may, Handle: c.caseForm(caseGoOn)},
		{Pattern: "POST /cases/{case}/runs/{run}/go-on", Access: may.Fresh(), Handle: c.changeCase(caseGoOn)},
	}
	for _, kind := range []string{caseSuspend, caseSessions, caseUndo, caseClose} {
		routes = append(routes,
			web.Route{Pattern: "GET /cases/{case}/" + kind, Access: may, Handle: c.caseForm(kind)},
			web.Route{Pattern: "POST /cases/{case}/" + kind, Access: may.Fresh(), Handle: c.changeCase(kind)})
	}
	return slices.Concat(routes, c.approvalRoutes(), c.questionRoutes())
}

// casesPage is the data of pages/cases.html.
type casesPage struct {
	Rows   []caseRow
	Counts respond.CaseCounts
	States []string
	Levels []detect.Level
	State  string
	Level  string
	Person string // whose cases only; an ID
	Name   string // of that person
	Newest string
	Older  string
}

// Filtered says whether something is left out.
func (p casesPage) Filtered() bool { return p.State != "" || p.Level != "" || p.Person != "" }

// caseRow is a case with the name of whom it is given to.
type caseRow struct {
	respond.Case
	Path     string
	PersonAt string // address of the person's page; empty: nobody was recognised
	Assignee string
}

// Called is what people call whom the case is about.
func (c caseRow) Called() string { return cmp.Or(c.Subject.Name, c.Subject.Email) }

// casesPending is the choice of cases in which something waits for an answer.
const casesPending = "pending"

func caseStates() []string {
	return []string{casesPending, string(respond.CaseOpen), string(respond.CaseContained), string(respond.CaseClosed)}
}

func caseLevels() []detect.Level {
	return []detect.Level{detect.Critical, detect.High, detect.Medium, detect.Low, detect.Informational}
}

func (c *Console) cases(w http.ResponseWriter, r *http.Request) error {
	asked := r.URL.Query()
	data := casesPage{States: caseStates(), Levels: caseLevels(), State: asked.Get("state"), Level: asked.Get("level"), Person: asked.Get("person")}
	q := respond.CaseQuery{
		AccountID: me(r).AccountID, State: respond.CaseState(data.State), Level: detect.Level(data.Level), PersonID: data.Person, Limit: onPage + 1,
	}
	switch {
	case data.State != "" && !slices.Contains(data.States, data.State):
		return problem.New(problem.Invalid, "there is no state %q; choose one of the list", data.State)
	case data.Level != "" && !slices.Contains(data.Levels, q.Level):
		return problem.New(problem.Invalid, "there is no level %q; choose one of the list", data.Level)
	}
	if before := asked.Get("before"); before != "" {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil || n <= 0 {
			return problem.New(problem.Invalid, "before is %q; it must be the number of a case", before)
		}
		q.Before, data.Newest = n, here(r, "before", "")
	}
	found, err := c.Respond.Store.CaseList(r.Context(), q)
	if err != nil {
		return err
	}
	if len(found) > onPage {
		found = found[:onPage]
		data.Older = here(r, "before", found[onPage-1].Number)
	}
	if data.Counts, err = c.Respond.Store.CaseCounts(r.Context(), q.AccountID); err != nil {
		return err
	}
	if data.Person != "" {
		name, _, err := c.names(r).of(r.Context(), "user", data.Person)
		if err != nil {
			return err
		}
		data.Name = cmp.Or(name, c.tr(r, "audit.subject.no_user"))
	}
	if data.Rows, err = c.caseRows(r, found); err != nil {
		return err
	}
	return c.render(w, r, page{name: "cases", title: c.tr(r, "nav.cases"), data: data})
}

// caseRows adds names to cases.
func (c *Console) caseRows(r *http.Request, all []respond.Case) ([]caseRow, error) {
	names, rows := c.names(r), make([]caseRow, 0, len(all))
	for _, x := range all {
		row, err := c.caseRow(r.Context(), names, x)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (c *Console) caseRow(ctx context.Context, names *names, x respond.Case) (caseRow, error) {
	row := caseRow{Case: x, Path: casesPath + strconv.FormatInt(x.Number, 10)}
	if x.AssigneeID != "" {
		name, _, err := names.of(ctx, "user", x.AssigneeID)
		if err != nil {
			return row, err
		}
		row.Assignee = name
	}
	if x.Subject.PersonID != "" {
		name, found, err := names.of(ctx, "user", x.Subject.PersonID)
		if err != nil {
			return row, err
		}
		if found {
			row.Subject.Name, row.PersonAt = name, "/people/"+x.Subject.PersonID
		}
	}
	return row, nil
}

// guardView is how much of the guard rails is used.
type guardView struct {
	respond.Guard
	Use             respond.GuardUse
	Suspended, Held rail
}

func (c *Console) guardView(r *http.Request) (guardView, error) {
	account := me(r).AccountID
	g, err := c.Respond.Guard(r.Context(), account)
	if err != nil {
		return guardView{}, err
	}
	use, err := c.Respond.Store.GuardUse(r.Context(), account)
	return guardView{g, use, railOf(use.Suspended, use.Planned, g.MaxPeople), railOf(use.Held, use.Planned, g.MostHeld(use.Active))}, err
}
