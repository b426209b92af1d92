package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

// What a person does from a case on a page of its own; the end of its path and the key of its texts.
const (
	caseSuspend  = "suspend"
	caseSessions = "sessions"
	caseUndo     = "undo"
	caseClose    = "close"
	caseGoOn     = "go_on"
)

// caseAction is the data of pages/case-action.html.
type caseAction struct {
	casePage
	Kind        string
	Action      string // where its form goes
	Blocked     string // the key of why it cannot be done
	Run         caseRun
	Resolutions []respond.Resolution
}

// Untils are the choices of how long a suspension lasts; the empty one has no end.
func (caseAction) Untils() []string { return personAction{}.Untils() }

func (c *Console) caseActionOf(r *http.Request, kind string) (caseAction, error) {
	rec, err := c.record(r)
	if err != nil {
		return caseAction{}, err
	}
	data := caseAction{Kind: kind, Resolutions: respond.Resolutions()}
	if data.casePage, err = c.casePage(r, rec); err != nil {
		return data, err
	}
	data.Action = data.Path + "/" + kind
	switch kind {
	case caseGoOn:
		i := slices.IndexFunc(data.Runs, func(x caseRun) bool { return x.ID == r.PathValue("run") })
		if i < 0 || data.Runs[i].GoOn == "" {
			return data, errElsewhere
		}
		data.Run, data.Action = data.Runs[i], data.Runs[i].GoOn
	case caseUndo:
		if !data.Undoable {
			return data, errElsewhere
		}
	}
	if data.State == respond.CaseClosed {
		return data, errElsewhere
	}
	data.Blocked, err = c.caseBlocked(r, kind, data)
	return data, err
}

// caseBlocked is the key of why something cannot be done to whom the case is about: rules that hold on their page, too.
func (c *Console) caseBlocked(r *http.Request, kind string, data caseAction) (string, error) {
	if kind != caseSuspend && kind != caseSessions {
		return "", nil
	}
	id := data.Subject.PersonID
	if id == "" || data.PersonAt == "" {
		return "nobody", nil
	}
	if id == me(r).UserID {
		return "self", nil
	}
	u, err := c.Directory.Store.User(r.Context(), me(r).AccountID, id)
	if err != nil {
		return "", err
	}
	if touch, err := c.mayTouch(r, u); err != nil || !touch {
		return "owner", err
	}
	return "", nil
}

func (c *Console) caseForm(kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return c.showCaseAction(w, r, kind, nil) }
}

func (c *Console) showCaseAction(w http.ResponseWriter, r *http.Request, kind string, failed error) error {
	data, err := c.caseActionOf(r, kind)
	if errors.Is(err, errElsewhere) && failed == nil {
		return redirect(w, r, data.Path)
	}
	if err != nil && !errors.Is(err, errElsewhere) {
		return err
	}
	p := page{name: "case-action", title: c.tr(r, "case_action."+kind+".title"), data: data, form: r.PostForm}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// changeCase carries out an action, and shows its page again if it failed.
func (c *Console) changeCase(kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		f, err := form(r)
		if err != nil {
			return err
		}
		data, err := c.caseActionOf(r, kind)
		if errors.Is(err, errElsewhere) {
			return redirect(w, r, data.Path)
		}
		if err != nil {
			return err
		}
		if data.Blocked != "" {
			return problem.New(problem.Forbidden, "this cannot be done from this case; open its page to see why")
		}
		if err := c.doCase(r, kind, data, f); err != nil {
			return c.showCaseAction(w, r, kind, c.inOverride(r, err))
		}
		return redirect(w, r, data.Path+"?done=case_"+kind)
	}
}

func (c *Console) doCase(r *http.Request, kind string, data caseAction, f url.Values) error {
	ctx, account := r.Context(), me(r).AccountID
	by := audit.By(r, audit.CaseAct, "case:"+data.ID)
	var err error
	switch kind {
	case caseSuspend:
		m := respond.Manual{CaseID: data.ID, Kind: respond.ActSuspend, Target: f.Get("target"), Override: strings.TrimSpace(f.Get("override"))}
		end, err := untilOf(f.Get("until"), time.Time{})
		if err != nil {
			return err
		}
		if f.Get("until") != "" {
			m.For = end.Sub(time.Time{})
		}
		_, err = c.Respond.Act(ctx, account, m, by)
		return err
	case caseSessions:
		_, err = c.Respond.Act(ctx, account, respond.Manual{CaseID: data.ID, Kind: respond.ActEndSessions, Override: strings.TrimSpace(f.Get("override"))}, by)
	case caseGoOn:
		_, err = c.Respond.Act(ctx, account, respond.Manual{CaseID: data.ID, RunID: data.Run.ID, Override: strings.TrimSpace(f.Get("override"))}, by)
	case caseUndo:
		_, err = c.Respond.Undo(ctx, account, data.ID, f.Get("reason"), audit.By(r, audit.CaseUndo, "case:"+data.ID))
	case caseClose:
		x := respond.Closing{Resolution: respond.Resolution(f.Get("resolution")), Note: f.Get("note"), Release: f.Get("release") != ""}
		if !slices.Contains(data.Resolutions, x.Resolution) {
			return problem.InField("resolution", "choose what it turned out to be")
		}
		_, err = c.Respond.Close(ctx, account, data.ID, x, audit.By(r, audit.CaseClose, "case:"+data.ID))
	}
	return err
}

// inOverride puts what a guard rail says to the field in which a reason to go beyond it can be given. In German the
// sentence is that of the check without its figures.
func (c *Console) inOverride(r *http.Request, err error) error {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != problem.Conflict {
		return err
	}
	name, _, ok := strings.Cut(p.Code, ".")
	if !ok {
		return err
	}
	q := *p
	q.Field = "override"
	if _, known := c.catalogue.lookup(c.catalogue.languageOf(r), "error.code."+name); known {
		q.Code = name
		if c.catalogue.languageOf(r) == languages[0].String() {
			q.Code = "" // its own words have the figures
		}
	}
	return &q
}

func (c *Console) backToCase(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, casesPath+url.PathEscape(r.PathValue("case")))
}

func (c *Console) commentCase(w http.ResponseWriter, r *http.Request) error {
	return c.smallChange(w, r, "case_comment", func(f url.Values, id string) error {
		return c.Respond.Comment(r.Context(), me(r).AccountID, id, f.Get("text"), audit.By(r, audit.CaseUpdate, "case:"+id))
	})
}

func (c *Console) assignCase(w http.ResponseWriter, r *http.Request) error {
	return c.smallChange(w, r, "case_assign", func(f url.Values, id string) error {
		_, err := c.Respond.Assign(r.Context(), me(r).AccountID, id, f.Get("assignee"), audit.By(r, audit.CaseUpdate, "case:"+id))
		return err
	})
}

func (c *Console) keepHold(w http.ResponseWriter, r *http.Request) error {
	return c.smallChange(w, r, "case_keep", func(f url.Values, id string) error {
		rec, err := c.record(r)
		if err != nil {
			return err
		}
		action := r.PathValue("action")
		if !slices.ContainsFunc(rec.Actions, func(a respond.Action) bool { return a.ID == action }) {
			return problem.New(problem.NotFound, "the case has no such action")
		}
		return c.Respond.Keep(r.Context(), me(r).AccountID, action, f.Get("kept") == "true", audit.By(r, audit.CaseUpdate, "case:"+id))
	})
}

// smallChange does what a form on the case's page asks for.
func (c *Console) smallChange(w http.ResponseWriter, r *http.Request, done string, do func(f url.Values, id string) error) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	rec, err := c.record(r)
	if err != nil {
		return err
	}
	if err := do(f, rec.Case.ID); err != nil {
		return c.showCase(w, r, f, err)
	}
	return redirect(w, r, casesPath+strconv.FormatInt(rec.Case.Number, 10)+"?done="+done)
}
