package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
	"holdfast/internal/web"
)

// Findings are what detection has found, see [detect.Findings].
type Findings interface {
	FindingList(ctx context.Context, q detect.FindingQuery) ([]detect.StoredFinding, error)
	Finding(ctx context.Context, accountID, id string) (detect.StoredFinding, error)
	FindingEvents(ctx context.Context, accountID, id string) ([]signals.Stored, error)
	JudgeFinding(ctx context.Context, accountID, id string, harmless bool, by audit.Entry) (detect.StoredFinding, error)
	RuleCounts(ctx context.Context, accountID string, days int) (map[string][]int, error)
	Flooded(ctx context.Context, accountID string) (map[string]detect.Flood, error)
}

func (c *Console) findingRoutes() []web.Route {
	may := web.SignedIn(web.Integrations)
	return []web.Route{
		{Pattern: "GET /findings", Access: may, Handle: c.findings},
		{Pattern: "GET /findings/new", Access: may, Handle: c.newFindings},
		{Pattern: "GET /findings/{finding}", Access: may, Handle: c.finding},
		{Pattern: "GET /findings/{finding}/judge", Access: may, Handle: c.backToFinding},
		{Pattern: "POST /findings/{finding}/judge", Access: may.Fresh(), Handle: c.judgeFinding},
	}
}

// findingsPage is the data of pages/findings.html.
type findingsPage struct {
	Rows   []findingRow
	Chips  []signInChip
	Levels []string
	Rules  []choice
	States []detect.FindingState
	Times  []string
	Days   bool // the days are to be entered

	Newest string
	Older  string
	Live   string // where to ask for new ones; empty: not here
	Since  int64  // after this one
}

// findingRow is a finding with names.
type findingRow struct {
	detect.StoredFinding
	Path     string
	Sentence string // in the reader's language
	English  bool   // it is the English one, since the rule has no other
	About    about
	RuleAt   string // address of the rule's page
}

// about is whom or what a finding is about.
type about struct {
	Name  string // of a person, or what the source calls them, or an address; empty: several
	Path  string // of the person's page; empty: there is none
	Known bool   // it is a person of the account
}

// serious is the choice of a level that stands for those that playbooks act on.
const serious = "serious"

func findingLevels() []string {
	return []string{serious, string(detect.Critical), string(detect.High), string(detect.Medium), string(detect.Low), string(detect.Informational)}
}

func findingStates() []detect.FindingState {
	return []detect.FindingState{detect.FindingOpen, detect.FindingEnded, detect.FindingWithdrawn}
}

func (c *Console) findings(w http.ResponseWriter, r *http.Request) error {
	asked := r.URL.Query()
	data := findingsPage{Levels: findingLevels(), States: findingStates(), Times: signInTimes(), Days: asked.Get("time") == customDays}
	p := page{name: "findings", title: c.tr(r, "nav.findings"), form: asked}
	var err error
	if data.Rules, err = c.ruleChoices(r, asked.Get("rule")); err != nil {
		return err
	}
	q, err := c.findingQuery(r, asked)
	if err == nil {
		err = c.fillFindings(r, &data, q)
	}
	p.data = data
	if err != nil {
		return c.again(w, r, p, err)
	}
	return c.render(w, r, p)
}

// ruleChoices are the rules whose matches are findings, and the one that is chosen.
func (c *Console) ruleChoices(r *http.Request, chosen string) ([]choice, error) {
	o, err := c.Rules.List(r.Context(), me(r).AccountID)
	if err != nil {
		return nil, err
	}
	var all []choice
	for _, rule := range o.Rules {
		if rule.Alone || rule.Key == chosen {
			all = append(all, choice{rule.Key, rule.Title})
		}
	}
	if chosen != "" && !slices.ContainsFunc(all, func(x choice) bool { return x.Value == chosen }) {
		all = append(all, choice{chosen, chosen}) // it is gone, its findings are not
	}
	return sorted(c.catalogue.languageOf(r), all), nil
}

// findingQuery understands the fields. What it cannot is a problem in its field.
func (c *Console) findingQuery(r *http.Request, asked url.Values) (detect.FindingQuery, error) {
	q := detect.FindingQuery{AccountID: me(r).AccountID, Rule: asked.Get("rule"), PersonID: asked.Get("person"), Limit: onPage}
	switch level := asked.Get("level"); {
	case level == serious:
		q.Levels = []detect.Level{detect.High, detect.Critical}
	case level == "":
	case slices.Contains(findingLevels(), level):
		q.Levels = []detect.Level{detect.Level(level)}
	default:
		return q, problem.InField("level", "there is no level %q", level)
	}
	if q.State = detect.FindingState(asked.Get("state")); q.State != "" && !slices.Contains(findingStates(), q.State) {
		return q, problem.InField("state", "there is no state %q", q.State)
	}
	var err error
	if q.From, q.To, err = c.signInTime(asked); err != nil {
		return q, err
	}
	if before := asked.Get("before"); before != "" {
		if q.Before, err = strconv.ParseInt(before, 10, 64); err != nil || q.Before <= 0 {
			return q, problem.New(problem.Invalid, "before is %q; it must be the number of a finding", before)
		}
	}
	if text := strings.TrimSpace(asked.Get("q")); text != "" {
		q.PersonID, err = c.onePerson(r.Context(), q.AccountID, text)
	}
	return q, err
}

// onePerson is the person whom a text of the search means: by the address of e-mail, or a part of the name
// that nobody else has.
func (c *Console) onePerson(ctx context.Context, accountID, text string) (string, error) {
	if strings.Contains(text, "@") {
		u, err := c.Directory.Store.UserByEmail(ctx, accountID, text)
		if err == nil {
			return u.ID, nil
		}
		if !problem.Is(err, problem.NotFound) {
			return "", err
		}
	}
	found, err := c.Directory.People(ctx, accountID, directory.ListQuery{Search: text, IncludeInvited: true, Limit: 2})
	switch {
	case err != nil:
		return "", inSearch(err)
	case len(found.Users) == 0:
		return "", problem.InField("q", "nobody is called %q; write a part of a name, or an address of e-mail", text)
	case len(found.Users) > 1:
		return "", problem.InField("q", "several people are called %q; write more of the name, or the address of e-mail", text)
	}
	return found.Users[0].ID, nil
}

func (c *Console) fillFindings(r *http.Request, data *findingsPage, q detect.FindingQuery) error {
	asked := r.URL.Query()
	q.Limit = onPage + 1
	found, err := c.Findings.FindingList(r.Context(), q)
	if err != nil {
		return err
	}
	if len(found) > onPage {
		found = found[:onPage]
		data.Older = here(r, "before", found[onPage-1].Seq)
	}
	if q.Before == 0 {
		data.Live = changed(url.URL{Path: "/findings/new", RawQuery: r.URL.RawQuery}, "done", "", "before", "")
		if len(found) > 0 {
			data.Since = found[0].Seq
		}
	} else {
		data.Newest = here(r, "before", "")
	}
	if data.Rows, err = c.findingRows(r, found); err != nil {
		return err
	}
	data.Chips, err = c.findingChips(r, asked, data.Rules)
	return err
}

// findingChips are the filters that are on, each with the address of the page without it.
func (c *Console) findingChips(r *http.Request, asked url.Values, rules []choice) ([]signInChip, error) {
	var chips []signInChip
	add := func(label, field string) {
		chips = append(chips, signInChip{label, here(r, field, "", "before", "")})
	}
	if q := strings.TrimSpace(asked.Get("q")); q != "" {
		add(c.tr(r, "sign_ins.chip.text", "Text", q), "q")
	}
	if id := asked.Get("person"); id != "" {
		name, _, err := c.names(r).of(r.Context(), "user", id)
		if err != nil {
			return nil, err
		}
		add(cmp.Or(name, c.tr(r, "audit.subject.no_user")), "person")
	}
	if level := asked.Get("level"); level != "" {
		add(c.tr(r, "level."+level), "level")
	}
	if rule := asked.Get("rule"); rule != "" {
		i := slices.IndexFunc(rules, func(x choice) bool { return x.Value == rule })
		add(rules[i].Name, "rule")
	}
	if state := asked.Get("state"); state != "" {
		add(c.tr(r, "findings.state."+state), "state")
	}
	lang := c.catalogue.languageOf(r)
	switch chosen := asked.Get("time"); chosen {
	case "":
	case customDays:
		for _, field := range []string{"from", "to"} {
			if t, err := time.Parse(time.DateOnly, asked.Get(field)); err == nil {
				add(c.tr(r, "sign_ins.chip."+field, "Day", formatter{c, lang}.date(t)), field)
			}
		}
	default:
		add(c.tr(r, "sign_ins.time."+chosen), "time")
	}
	return chips, nil
}

// findingRows adds names and words to findings.
func (c *Console) findingRows(r *http.Request, all []detect.StoredFinding) ([]findingRow, error) {
	names, rows := c.names(r), make([]findingRow, 0, len(all))
	for _, f := range all {
		row := findingRow{StoredFinding: f, Path: "/findings/" + url.PathEscape(f.ID), RuleAt: ruleAt(f.Rule)}
		row.Sentence, row.English = sentenceIn(c.catalogue.languageOf(r), f.Found)
		var err error
		if row.About, err = c.aboutOf(r, names, f.Found); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// sentenceIn says what was found in the language, else in English, else by the title of the rule.
func sentenceIn(lang string, f detect.Found) (text string, english bool) {
	if text := f.Explain[lang]; text != "" {
		return text, false
	}
	return cmp.Or(f.Explain["en"], f.Title), lang != "en"
}

func (c *Console) aboutOf(r *http.Request, names *names, f detect.Found) (about, error) {
	if f.PersonID == "" {
		return about{Name: cmp.Or(f.User, f.Address)}, nil
	}
	name, found, err := names.of(r.Context(), "user", f.PersonID)
	if err != nil {
		return about{}, err
	}
	a := about{Name: cmp.Or(name, f.User, c.tr(r, "audit.subject.no_user")), Known: found}
	if found {
		a.Path = "/people/" + f.PersonID
	}
	return a, nil
}

// newFindings answers with the rows of findings that came since, and nothing else; with 204 if there are none.
func (c *Console) newFindings(w http.ResponseWriter, r *http.Request) error {
	asked := r.URL.Query()
	since, err := strconv.ParseInt(asked.Get("since"), 10, 64)
	if err != nil || since < 0 {
		return problem.New(problem.Invalid, "since is %q; it must be the number that the page or the last answer gave", asked.Get("since"))
	}
	asked.Del("before")
	q, err := c.findingQuery(r, asked)
	if err != nil {
		return err
	}
	q.Limit = mostNew
	found, err := c.Findings.FindingList(r.Context(), q)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(f detect.StoredFinding) bool { return f.Seq <= since })
	if len(found) > 0 {
		since = found[0].Seq
	}
	w.Header().Set(sinceHeader, strconv.FormatInt(since, 10))
	w.Header().Set("Cache-Control", "no-store")
	if len(found) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	rows, err := c.findingRows(r, found)
	if err != nil {
		return err
	}
	return c.part(w, r, "findings-rows", page{name: "findings", data: findingsPage{Rows: rows}})
}
