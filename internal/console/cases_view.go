package console

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

// casePage is the data of pages/case.html.
type casePage struct {
	caseRow
	Who        respond.Person // as of now; zero: nobody was recognised
	Findings   []caseFinding
	Events     []caseEvent
	Runs       []caseRun
	Steps      []caseStep
	Approvals  []caseApproval // that wait
	Questions  []respond.Question
	Moments    []caseMoment // the newest first
	Guard      guardView
	Targets    []string  // where people can be suspended
	Choices    []choice  // to whom the case can be given
	Last       int64     // the number of the newest moment
	Holding    bool      // a hold of the case is open, here or elsewhere
	Undoable   bool      // there is something to undo, or to cancel
	Kept       bool      // a person wants the hold kept
	EndsItself *caseStep // the step whose hold ends by itself, or would if nobody kept it
}

// caseFinding is a finding of the case.
type caseFinding struct {
	detect.Found
	Path     string
	Sentence string
	English  bool // there is no sentence in the reader's language
	Known    []caseFact
}

// caseFact is something that was known at the event with which a finding began.
type caseFact struct{ Name, Value string }

// caseEvent is an event of the evidence.
type caseEvent struct {
	respond.EventFacts
	What  string
	Place string
	Class string // ok, wait or bad, as in a timeline
}

// caseRun is a run with its checks in words.
type caseRun struct {
	respond.Run
	Rows []caseCheck
	GoOn string // where a person goes on with it; empty: it is not held
}

type caseCheck struct {
	respond.Check
	Text string
}

// caseStep is an action of the case.
type caseStep struct {
	respond.Action
	Where   string
	Class   string // done, wait or next
	By      party
	Holding bool // it keeps the person out now
	EndsBy  bool // it has an end
}

// caseApproval is an approval that waits, and whether who looks may answer it.
type caseApproval struct {
	respond.Approval
	Path string
	Ask  string // the question in words
	May  bool
	Why  string // why not
	Left int    // how many must still approve
}

// record is the case of the path.
func (c *Console) record(r *http.Request) (respond.Record, error) {
	return c.Respond.Store.Case(r.Context(), me(r).AccountID, r.PathValue("case"))
}

func (c *Console) caseView(w http.ResponseWriter, r *http.Request) error {
	return c.showCase(w, r, nil, nil)
}

// showCase shows the case; after a form of it has failed, with what was typed.
func (c *Console) showCase(w http.ResponseWriter, r *http.Request, typed url.Values, failed error) error {
	rec, err := c.record(r)
	if err != nil {
		return err
	}
	data, err := c.casePage(r, rec)
	if err != nil {
		return err
	}
	p := page{name: "case", title: rec.Case.Title, data: data, form: typed}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// caseLive answers with the parts of the case's page, if something has happened since the moment with the number; else
// with 204.
func (c *Console) caseLive(w http.ResponseWriter, r *http.Request) error {
	since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	if err != nil || since < 0 {
		return problem.New(problem.Invalid, "since is %q; it must be the number that the page gave", r.URL.Query().Get("since"))
	}
	rec, err := c.record(r)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	if lastMoment(rec) <= since {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	data, err := c.casePage(r, rec)
	if err != nil {
		return err
	}
	return c.part(w, r, "main", page{name: "case", title: rec.Case.Title, data: data})
}

func lastMoment(rec respond.Record) int64 {
	last := int64(0)
	for _, m := range rec.Moments {
		last = max(last, m.Seq)
	}
	return last
}

func (c *Console) casePage(r *http.Request, rec respond.Record) (casePage, error) {
	ctx, lang := r.Context(), c.catalogue.languageOf(r)
	data := casePage{Who: rec.Person, Last: lastMoment(rec), Targets: []string{respond.LocalTarget}}
	var err error
	if data.caseRow, err = c.caseRow(ctx, c.names(r), rec.Case); err != nil {
		return data, err
	}
	for _, f := range rec.Findings {
		data.Findings = append(data.Findings, c.caseFinding(lang, f))
	}
	for _, e := range rec.Events {
		data.Events = append(data.Events, c.caseEvent(r, e))
	}
	for _, run := range rec.Runs {
		data.Runs = append(data.Runs, caseRunOf(lang, run, data.Path))
	}
	slices.Reverse(data.Runs)
	who := c.parties(r)
	for _, a := range rec.Actions {
		step := caseStep{Action: a, Where: c.target(r, a.Target), Class: stepClass(a.State), EndsBy: a.For > 0}
		if step.By, err = who.of(ctx, a.By); err != nil {
			return data, err
		}
		step.Holding = a.Kind == respond.ActSuspend && a.State == respond.ActionDone && !a.Already
		data.Holding = data.Holding || step.Holding
		data.Kept = data.Kept || step.Holding && a.Kept
		data.Undoable = data.Undoable || step.Holding || a.State == respond.ActionPlanned
		data.Steps = append(data.Steps, step)
		if step.Holding && step.EndsBy {
			data.EndsItself = &data.Steps[len(data.Steps)-1]
		}
	}
	if data.Approvals, err = c.caseApprovals(r, rec); err != nil {
		return data, err
	}
	data.Questions = slices.DeleteFunc(slices.Clone(rec.Questions), func(q respond.Question) bool { return q.State != respond.QuestionPending })
	if data.Moments, err = c.caseMoments(r, rec); err != nil {
		return data, err
	}
	if data.Guard, err = c.guardView(r); err != nil {
		return data, err
	}
	targets, err := c.Respond.Store.Targets(ctx, rec.Case.AccountID)
	if err != nil {
		return data, err
	}
	for _, t := range targets {
		data.Targets = append(data.Targets, t.Name)
	}
	data.Choices, err = c.caseWorkers(r)
	return data, err
}

func (c *Console) caseFinding(lang string, f detect.Found) caseFinding {
	x := caseFinding{Found: f, Path: "/findings/" + url.PathEscape(f.ID), Sentence: f.Explain[lang]}
	if x.Sentence == "" {
		x.Sentence, x.English = cmp.Or(f.Explain["en"], f.Title), lang != "en"
	}
	for _, known := range f.Features {
		if text := strings.Join(known.Value.Texts(), ", "); text != "" {
			x.Known = append(x.Known, caseFact{strings.TrimPrefix(known.Name, detect.FeaturePrefix), text})
		}
	}
	return x
}

// caseEvent puts an event into words. What the source wrote stays as it is where there are no words for it.
func (c *Console) caseEvent(r *http.Request, e respond.EventFacts) caseEvent {
	x := caseEvent{EventFacts: e, Class: "wait", What: strings.TrimSpace(e.Activity + ", " + strings.ToLower(e.Status))}
	if e.Kind == "Authentication" && e.Activity == "Logon" {
		switch e.Status {
		case "Success":
			x.What, x.Class = c.tr(r, "cases.event.success"), "ok"
		case "Failure":
			x.What, x.Class = c.tr(r, "cases.event.failure"), "bad"
		default:
			x.What = c.tr(r, "cases.event.attempt")
		}
	}
	var parts []string
	for _, part := range []string{e.City, c.country(r, e.Country), e.Network} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	x.Place = strings.Join(parts, ", ")
	return x
}

func caseRunOf(lang string, run respond.Run, at string) caseRun {
	x := caseRun{Run: run}
	for _, k := range run.Checks {
		x.Rows = append(x.Rows, caseCheck{k, k.SentenceIn(lang)})
	}
	if run.State == respond.RunHeld {
		x.GoOn = at + "/runs/" + url.PathEscape(run.ID) + "/go-on"
	}
	return x
}

func stepClass(s respond.ActionState) string {
	switch s {
	case respond.ActionDone, respond.ActionUndone:
		return "done"
	case respond.ActionBegun, respond.ActionUnknown:
		return "wait"
	}
	return "next"
}

// target is what a target or channel is called.
func (c *Console) target(r *http.Request, name string) string {
	if name == respond.LocalTarget || name == "" {
		return c.tr(r, "cases.target_local")
	}
	return name
}

// voter is who looks, as far as it decides whether they may answer.
func (c *Console) voter(r *http.Request) (respond.Person, error) {
	who := me(r)
	groups, err := c.Directory.Store.GroupsOf(r.Context(), who.AccountID, who.UserID)
	p := respond.Person{ID: who.UserID, Name: who.Name, Active: true}
	for _, g := range groups {
		p.Groups, p.GroupIDs = append(p.Groups, g.Name), append(p.GroupIDs, g.ID)
	}
	return p, err
}

// caseApprovals are those that wait.
func (c *Console) caseApprovals(r *http.Request, rec respond.Record) ([]caseApproval, error) {
	var all []caseApproval
	for _, a := range rec.Approvals {
		if a.State != respond.ApprovalPending {
			continue
		}
		x, err := c.caseApproval(r, rec, a)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

func (c *Console) caseApproval(r *http.Request, rec respond.Record, a respond.Approval) (caseApproval, error) {
	x := caseApproval{Approval: a, Path: casesPath + strconv.FormatInt(rec.Case.Number, 10) + "/approvals/" + url.PathEscape(a.ID), Ask: c.askOf(r, rec, a)}
	x.Left = max(1, a.Needed)
	for _, v := range a.Votes {
		if v.Approve {
			x.Left--
		}
	}
	voter, err := c.voter(r)
	if err != nil {
		return x, err
	}
	refused := respond.MayVote(c.Now(), a, rec.Case, voter)
	x.May, x.Why = refused == nil, c.sayWhy(r, refused)
	return x, nil
}

// sayWhy is a problem in words; empty: there is none.
func (c *Console) sayWhy(r *http.Request, err error) string {
	if err == nil {
		return ""
	}
	if p, ok := errors.AsType[*problem.Error](err); ok {
		return c.words(c.catalogue.languageOf(r), p)
	}
	return ""
}

// askOf is what an approval asks: to suspend, and for how long; or, after that, to leave it so.
func (c *Console) askOf(r *http.Request, rec respond.Record, a respond.Approval) string {
	name := cmp.Or(rec.Case.Subject.Name, rec.Case.Subject.Email)
	if a.Order == respond.After {
		return c.tr(r, "approval.ask_after", "Name", name)
	}
	var longest time.Duration
	suspends := false
	for _, x := range rec.Actions {
		if x.RunID == a.RunID && x.Kind == respond.ActSuspend {
			suspends, longest = true, max(longest, x.For)
		}
	}
	switch {
	case !suspends:
		return c.tr(r, "approval.ask_other", "Name", name)
	case longest == 0:
		return c.tr(r, "approval.ask_before", "Name", name)
	}
	return c.tr(r, "approval.ask_before_for", "Name", name, "Span", spanWords(longest))
}

// mostWorkers is how many people a case can be given to, of each group.
const mostWorkers = 100

// caseWorkers are those who may work on cases.
func (c *Console) caseWorkers(r *http.Request) ([]choice, error) {
	account := me(r).AccountID
	groups, err := c.Directory.Store.Groups(r.Context(), account)
	if err != nil {
		return nil, err
	}
	var all []choice
	for _, g := range groups {
		if g.Kind != directory.Owners && g.Kind != directory.Administrators && g.Kind != directory.Security {
			continue
		}
		members, err := c.Directory.Store.Members(r.Context(), account, g.ID, "", mostWorkers)
		if err != nil {
			return nil, err
		}
		for _, u := range members {
			x := choice{u.ID, u.DisplayName}
			if !slices.Contains(all, x) {
				all = append(all, x)
			}
		}
	}
	return sorted(c.catalogue.languageOf(r), all), nil
}
