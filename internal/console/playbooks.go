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

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

func (c *Console) playbookRoutes() []web.Route {
	manage := web.SignedIn(web.Integrations)
	fresh := manage.Fresh()
	return []web.Route{
		{Pattern: "GET /playbooks", Access: manage, Handle: c.playbooks},
		{Pattern: "GET /playbooks/new", Access: manage, Handle: c.newPlaybook},
		{Pattern: "POST /playbooks", Access: fresh, Handle: c.addPlaybook},
		{Pattern: "GET /playbooks/{playbook}", Access: manage, Handle: c.playbook},
		{Pattern: "GET /playbooks/{playbook}/edit", Access: manage, Handle: c.editPlaybook},
		{Pattern: "POST /playbooks/{playbook}/edit", Access: fresh, Handle: c.savePlaybook},
		{Pattern: "GET /playbooks/{playbook}/mode", Access: manage, Handle: c.playbookModeForm},
		{Pattern: "POST /playbooks/{playbook}/mode", Access: fresh, Handle: c.setPlaybookMode},
		{Pattern: "GET /playbooks/{playbook}/remove", Access: manage, Handle: c.removePlaybookForm},
		{Pattern: "POST /playbooks/{playbook}/remove", Access: fresh, Handle: c.removePlaybook},
	}
}

// countedRuns is how far back runs are counted.
const countedRuns = 30 * 24 * time.Hour

// playbooksPage is the data of pages/playbooks.html.
type playbooksPage struct {
	Rows []playbookRow
	Kill bool // nothing is done at present, whatever the modes are
}

// playbookRow is a playbook as the list shows it.
type playbookRow struct {
	respond.BookEntry
	Steps []string // in words
	Runs  runTally
}

// runTally are the runs of a playbook by what came of them.
type runTally struct {
	All     int
	Acted   int // something was done
	Waiting int // for an approval, or a person
	States  []runCount
}

type runCount struct {
	State respond.RunState
	Count int
}

// runStates are the states of runs, in the order in which they are counted up.
func runStates() []respond.RunState {
	return []respond.RunState{
		respond.RunActing, respond.RunDone, respond.RunFailed, respond.RunWaiting, respond.RunHeld, respond.RunDenied, respond.RunExpired,
		respond.RunObserved, respond.RunStopped,
	}
}

func tallied(counts map[respond.RunState]int) runTally {
	var t runTally
	for _, state := range runStates() {
		n := counts[state]
		if n == 0 {
			continue
		}
		t.All += n
		t.States = append(t.States, runCount{state, n})
		switch state {
		case respond.RunActing, respond.RunDone, respond.RunFailed:
			t.Acted += n
		case respond.RunWaiting, respond.RunHeld:
			t.Waiting += n
		}
	}
	return t
}

func (c *Console) playbooks(w http.ResponseWriter, r *http.Request) error {
	ctx, account, lang := r.Context(), me(r).AccountID, c.catalogue.languageOf(r)
	all, err := c.Respond.Playbooks(ctx, account)
	if err != nil {
		return err
	}
	counts, err := c.Respond.Store.RunCounts(ctx, account, c.Now().Add(-countedRuns))
	if err != nil {
		return err
	}
	guard, err := c.Respond.Guard(ctx, account)
	if err != nil {
		return err
	}
	d := playbooksPage{Kill: guard.Kill.On}
	for _, e := range all {
		d.Rows = append(d.Rows, playbookRow{e, c.stepsOf(lang, e.Playbook.Do), tallied(counts[e.Playbook.Name])})
	}
	slices.SortStableFunc(d.Rows, func(a, b playbookRow) int { return cmp.Compare(modeRank(a.Playbook.Mode), modeRank(b.Playbook.Mode)) })
	return c.render(w, r, page{name: "playbooks", title: c.tr(r, "nav.playbooks"), data: d})
}

// modeRank puts what acts first.
func modeRank(m respond.Mode) int { return -slices.Index(respond.Modes(), m) }

// stepsOf says in words what is done.
func (c *Console) stepsOf(lang string, steps []respond.Step) []string {
	var all []string
	for _, s := range steps {
		key := "playbook.step." + string(s.Kind)
		if s.Kind == respond.StepSuspend && s.For == 0 {
			key = "playbook.step.suspend_open"
		}
		text := c.catalogue.text(lang, key, "Time", spanWords(cmp.Or(s.For, s.Within)), "To", strings.Join(s.To, ", "))
		if s.Kind == respond.StepNotify && len(s.To) == 0 {
			text = c.catalogue.text(lang, "playbook.step.notify_pages")
		}
		if others := slices.DeleteFunc(slices.Clone(s.Targets), func(t string) bool { return t == respond.LocalTarget }); len(others) > 0 {
			text += " " + c.catalogue.text(lang, "playbook.step.also", "Targets", strings.Join(others, ", "))
		}
		all = append(all, text)
	}
	return all
}

// playbookPage is the data of pages/playbook.html.
type playbookPage struct {
	respond.BookEntry
	Steps    []string
	After    []string // on_release
	Runs     runTally
	Latest   []playbookRun
	Versions []playbookVersion
	Tests    []respond.TestResult
	Failed   int // of the tests
}

// Levels are those of the findings that it is for.
func (p playbookPage) Levels() []detect.Level { return p.Playbook.On.Levels }

// playbookRun is a run as the page shows it.
type playbookRun struct {
	respond.Run
	Last string // the check that decided, in words
}

type playbookVersion struct {
	respond.StoredPlaybook
	By party
}

// latestRuns is how many runs the page of a playbook shows.
const latestRuns = 20

// entry is the playbook of the path.
func (c *Console) entry(r *http.Request) (respond.BookEntry, error) {
	return c.Respond.Playbook(r.Context(), me(r).AccountID, r.PathValue("playbook"))
}

func (c *Console) playbook(w http.ResponseWriter, r *http.Request) error {
	ctx, account, lang := r.Context(), me(r).AccountID, c.catalogue.languageOf(r)
	e, err := c.entry(r)
	if err != nil {
		return err
	}
	d := playbookPage{BookEntry: e, Steps: c.stepsOf(lang, e.Playbook.Do), After: c.stepsOf(lang, e.Playbook.OnRelease)}
	counts, err := c.Respond.Store.RunCounts(ctx, account, c.Now().Add(-countedRuns))
	if err != nil {
		return err
	}
	d.Runs = tallied(counts[e.Playbook.Name])
	runs, err := c.Respond.Store.Runs(ctx, account, e.Playbook.Name, latestRuns)
	if err != nil {
		return err
	}
	for _, run := range runs {
		row := playbookRun{Run: run}
		if n := len(run.Checks); n > 0 {
			row.Last = run.Checks[n-1].SentenceIn(lang)
		}
		d.Latest = append(d.Latest, row)
	}
	versions, err := c.Respond.Store.PlaybookVersions(ctx, account, e.Playbook.Name)
	if err != nil {
		return err
	}
	who := c.parties(r)
	for _, v := range versions {
		by, err := who.of(ctx, v.UpdatedBy)
		if err != nil {
			return err
		}
		d.Versions = append(d.Versions, playbookVersion{v, by})
	}
	if e.Fault == "" {
		d.Tests = respond.RunTests(e.Playbook)
	}
	for _, t := range d.Tests {
		if t.Fault != "" {
			d.Failed++
		}
	}
	return c.render(w, r, page{name: "playbook", title: e.Playbook.Name, data: d})
}

// playbookForm is the data of pages/playbook-form.html.
type playbookForm struct {
	Name   string // of the one to change; empty: a new one
	Action string
	Own    bool // it is the account's already
	Faults []playbookFault
}

// playbookFault is what is wrong with the text. Line is 0 where no line is meant.
type playbookFault struct {
	Line, Column int
	Text         string
}

// faultsIn are the faults that an error tells of, in the words of the parser.
func faultsIn(err error) []playbookFault {
	if faults, ok := errors.AsType[detect.Faults](err); ok {
		var all []playbookFault
		for _, f := range faults {
			all = append(all, playbookFault{f.Line, f.Column, sentence(f.Text)})
		}
		return all
	}
	if p := problem.Public(err); p.Kind == problem.Invalid && p.Detail != "" {
		return []playbookFault{{Text: sentence(p.Detail)}}
	}
	return nil
}

// newPlaybookText is what a new playbook begins with.
const newPlaybookText = `apiVersion: holdfast/v1
kind: Playbook
metadata:
  name: my-playbook
  owner: security
  description: Say in a sentence what it is for.
mode: observe
on: {levels: [high, critical]}
when: user.state == "ACTIVE"
dedupe: {key: user.id, window: 1h}
approval: {order: before, from: {groups: [Security], not: [self]}, timeout: 30m, on_timeout: hold}
do:
  - suspend: {for: 8h, release: if_quiet}
  - end_sessions: {}
  - notify: {template: suspended}
`

func (c *Console) showPlaybookForm(w http.ResponseWriter, r *http.Request, d playbookForm, f url.Values, failed error) error {
	p := page{name: "playbook-form", title: c.tr(r, "playbook_form.new"), data: d, form: f}
	if d.Name != "" {
		p.title = c.tr(r, "playbook_form.edit", "Name", d.Name)
	}
	if failed == nil {
		return c.render(w, r, p)
	}
	if problem.Is(failed, problem.Invalid) {
		d.Faults = faultsIn(failed)
		p.data = d
		failed = problem.InField("text", "%s", c.tr(r, "playbook_form.wrong"))
	}
	return c.again(w, r, p, failed)
}

func (c *Console) newPlaybook(w http.ResponseWriter, r *http.Request) error {
	return c.showPlaybookForm(w, r, playbookForm{Action: "/playbooks"}, url.Values{"text": {newPlaybookText}}, nil)
}

func (c *Console) addPlaybook(w http.ResponseWriter, r *http.Request) error {
	return c.storePlaybook(w, r, playbookForm{Action: "/playbooks"})
}

// editForm is the form of the playbook of the path.
func (c *Console) editForm(r *http.Request) (playbookForm, respond.BookEntry, error) {
	e, err := c.entry(r)
	if err != nil {
		return playbookForm{}, e, err
	}
	name := e.Playbook.Name
	return playbookForm{Name: name, Action: "/playbooks/" + url.PathEscape(name) + "/edit", Own: e.Origin == respond.OriginAccount}, e, nil
}

func (c *Console) editPlaybook(w http.ResponseWriter, r *http.Request) error {
	d, e, err := c.editForm(r)
	if err != nil {
		return err
	}
	f := url.Values{"text": {e.Playbook.Text}, "revision": {strconv.FormatInt(e.Stored.Revision, 10)}}
	return c.showPlaybookForm(w, r, d, f, nil)
}

func (c *Console) savePlaybook(w http.ResponseWriter, r *http.Request) error {
	d, _, err := c.editForm(r)
	if err != nil {
		return err
	}
	return c.storePlaybook(w, r, d)
}

// storePlaybook stores what the form has.
func (c *Console) storePlaybook(w http.ResponseWriter, r *http.Request, d playbookForm) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	revision, err := strconv.ParseInt(cmp.Or(f.Get("revision"), "0"), 10, 64)
	if err != nil {
		return problem.New(problem.Invalid, "the form is not complete; open it again")
	}
	text := strings.ReplaceAll(f.Get("text"), "\r\n", "\n") // a form sends lines that end so
	saved, err := c.Respond.SavePlaybook(r.Context(), me(r).AccountID, d.Name, text, revision, audit.By(r, audit.PlaybookSave, ""))
	if err != nil {
		return c.showPlaybookForm(w, r, d, f, err)
	}
	return redirect(w, r, "/playbooks/"+url.PathEscape(saved.Name)+"?done=playbook_saved")
}

// playbookAction is the data of pages/playbook-action.html: setting the mode, or removing what the account has set.
type playbookAction struct {
	Kind    string // "mode" or "remove": the key of its texts
	Name    string
	Origin  respond.Origin
	Now     respond.Mode
	Steps   []string
	Fault   string // why the mode cannot be set, in the words of the check
	Shipped bool   // removing brings back the shipped one
}

// Modes are those to choose from.
func (playbookAction) Modes() []respond.Mode { return respond.Modes() }

func (c *Console) playbookActionOf(r *http.Request, kind string) (playbookAction, error) {
	e, err := c.entry(r)
	if err != nil {
		return playbookAction{}, err
	}
	if kind == "remove" && e.Stored.Name == "" {
		return playbookAction{}, problem.New(problem.NotFound, "the account has set nothing for the playbook %q", e.Playbook.Name)
	}
	name := e.Playbook.Name
	return playbookAction{
		Kind: kind, Name: name, Origin: e.Origin, Now: e.Playbook.Mode, Steps: c.stepsOf(c.catalogue.languageOf(r), e.Playbook.Do),
		Shipped: slices.ContainsFunc(c.Respond.Shipped, func(p *respond.Playbook) bool { return p.Name == name }),
	}, nil
}

func (c *Console) showPlaybookAction(w http.ResponseWriter, r *http.Request, a playbookAction, f url.Values, failed error) error {
	p := page{name: "playbook-action", title: c.tr(r, "playbook_action."+a.Kind+".title", "Name", a.Name), data: a, form: f}
	if failed == nil {
		return c.render(w, r, p)
	}
	if faults := faultsIn(failed); len(faults) > 0 {
		a.Fault = faults[0].Text
		p.data = a
	}
	return c.again(w, r, p, failed)
}

func (c *Console) playbookModeForm(w http.ResponseWriter, r *http.Request) error {
	a, err := c.playbookActionOf(r, "mode")
	if err != nil {
		return err
	}
	mode := respond.Mode(r.URL.Query().Get("mode"))
	if !slices.Contains(respond.Modes(), mode) {
		mode = a.Now
	}
	return c.showPlaybookAction(w, r, a, url.Values{"mode": {string(mode)}}, nil)
}

func (c *Console) setPlaybookMode(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	a, err := c.playbookActionOf(r, "mode")
	if err != nil {
		return err
	}
	mode := respond.Mode(f.Get("mode"))
	if _, err := c.Respond.SetMode(r.Context(), me(r).AccountID, a.Name, mode, audit.By(r, audit.PlaybookSave, "").Because(string(mode))); err != nil {
		return c.showPlaybookAction(w, r, a, f, err)
	}
	return redirect(w, r, "/playbooks/"+url.PathEscape(a.Name)+"?done=playbook_mode")
}

func (c *Console) removePlaybookForm(w http.ResponseWriter, r *http.Request) error {
	a, err := c.playbookActionOf(r, "remove")
	if err != nil {
		return err
	}
	return c.showPlaybookAction(w, r, a, nil, nil)
}

func (c *Console) removePlaybook(w http.ResponseWriter, r *http.Request) error {
	a, err := c.playbookActionOf(r, "remove")
	if err != nil {
		return err
	}
	if err := c.Respond.RemovePlaybook(r.Context(), me(r).AccountID, a.Name, audit.By(r, audit.PlaybookRemove, "")); err != nil {
		return c.showPlaybookAction(w, r, a, nil, err)
	}
	return redirect(w, r, "/playbooks?done=playbook_removed")
}
