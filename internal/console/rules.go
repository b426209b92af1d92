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
	"holdfast/internal/web"
)

// Rules are the rules by which detection finds, see [detect.Rules].
type Rules interface {
	List(ctx context.Context, accountID string) (detect.Overview, error)
	Get(ctx context.Context, accountID, name string) (detect.RuleView, error)
	Text(ctx context.Context, accountID, own string) (detect.OwnRule, error)
	Check(ctx context.Context, accountID, text string) (string, error)
	Save(ctx context.Context, accountID, text string, by audit.Entry) (detect.RuleView, error)
	Remove(ctx context.Context, accountID, name string, by audit.Entry) error
	Set(ctx context.Context, accountID, rule string, change func(*detect.Setting), by audit.Entry) (detect.RuleView, error)
	Except(ctx context.Context, accountID string, x detect.Exception, by audit.Entry) (detect.Exception, error)
	Unexcept(ctx context.Context, accountID, id string, by audit.Entry) (detect.Exception, error)
	History(ctx context.Context, accountID, about string, before int64, limit int) ([]detect.RuleChange, error)
	Try(ctx context.Context, accountID string, t detect.Trial, progress func(done, of int)) (detect.Tried, error)

	Lists(ctx context.Context, accountID string) ([]detect.ListView, error)
	ListOf(ctx context.Context, accountID, name string) (detect.ListView, error)
	SaveList(ctx context.Context, accountID, name string, change func(*detect.AccountList) error, by audit.Entry) (detect.ListView, error)
	RemoveList(ctx context.Context, accountID, name string, by audit.Entry) error
}

func (c *Console) ruleRoutes() []web.Route {
	may := web.SignedIn(web.Integrations)
	fresh := may.Fresh()
	return []web.Route{
		{Pattern: "GET /rules", Access: may, Handle: c.ruleList},
		{Pattern: "GET /rules/own/new", Access: may, Handle: c.newOwnRule},
		{Pattern: "GET /rules/own/try", Access: may, Handle: c.backToNewRule},
		{Pattern: "POST /rules/own/try", Access: may, Handle: c.tryText},
		{Pattern: "POST /rules", Access: fresh, Handle: c.saveOwnRule},
		{Pattern: "GET /rules/{rule}", Access: may, Handle: c.detectionRule},
		{Pattern: "GET /rules/{rule}/edit", Access: may, Handle: c.editOwnRule},
		{Pattern: "GET /rules/{rule}/remove", Access: may, Handle: c.removeOwnRuleForm},
		{Pattern: "POST /rules/{rule}/remove", Access: fresh, Handle: c.removeOwnRule},
		{Pattern: "GET /rules/{rule}/settings", Access: may, Handle: c.ruleSettingsForm},
		{Pattern: "POST /rules/{rule}/settings", Access: fresh, Handle: c.setDetectionRule},
		{Pattern: "GET /rules/{rule}/exceptions", Access: may, Handle: c.exceptionForm},
		{Pattern: "POST /rules/{rule}/exceptions", Access: fresh, Handle: c.addException},
		{Pattern: "POST /rules/{rule}/exceptions/{exception}/remove", Access: fresh, Handle: c.removeException},
		{Pattern: "GET /rules/{rule}/try", Access: may, Handle: c.tryDetectionRule},
	}
}

// ruleAt is the address of a rule's page.
func ruleAt(key string) string { return "/rules/" + url.PathEscape(key) }

// countedDays is of how many days the bars of a rule are.
const countedDays = 30

// rulesPage is the data of pages/rules.html.
type rulesPage struct {
	Rows     []ruleRow // whose matches are findings
	Parts    []ruleRow // that are only parts of others
	Broken   []detect.OwnRule
	Faults   []string
	Stale    []string
	Warnings []string
	Origins  []detect.Origin
	Found    int // findings of the rules in 30 days
	Off      int // rules that are switched off
	Total    int
	Filtered bool
}

// ruleRow is a rule in the list.
type ruleRow struct {
	detect.RuleView
	Path   string
	Bars   *dayBars // nil: it has found nothing
	Flood  *detect.Flood
	Tuned  bool
	Except int // exceptions that count now
}

func (c *Console) ruleList(w http.ResponseWriter, r *http.Request) error {
	ctx, account, asked := r.Context(), me(r).AccountID, r.URL.Query()
	o, err := c.Rules.List(ctx, account)
	if err != nil {
		return err
	}
	counts, err := c.Findings.RuleCounts(ctx, account, countedDays)
	if err != nil {
		return err
	}
	floods, err := c.Findings.Flooded(ctx, account)
	if err != nil {
		return err
	}
	q, origin, state := strings.TrimSpace(asked.Get("q")), asked.Get("origin"), asked.Get("state")
	data := rulesPage{
		Broken: o.Broken, Faults: faultLines(o.Faults), Stale: faultLines(o.Stale), Warnings: faultLines(o.Warnings),
		Origins: []detect.Origin{detect.Shipped, detect.OfServer, detect.Own}, Filtered: q != "" || origin != "" || state != "",
	}
	for _, rule := range o.Rules {
		row := c.ruleRow(rule, counts, floods)
		data.Total++
		if !rule.On {
			data.Off++
		}
		if row.Bars != nil {
			data.Found += row.Bars.Total
		}
		if !matchesRule(row, q, origin, state) {
			continue
		}
		if rule.Alone {
			data.Rows = append(data.Rows, row)
		} else {
			data.Parts = append(data.Parts, row)
		}
	}
	return c.render(w, r, page{name: "rules", title: c.tr(r, "nav.rules"), form: asked, data: data})
}

// matchesRule says whether the filter leaves the rule.
func matchesRule(row ruleRow, q, origin, state string) bool {
	switch {
	case origin != "" && string(row.Origin) != origin:
		return false
	case state == "on" && !row.On, state == "off" && row.On, state == "tuned" && !row.Tuned, state == "flooded" && row.Flood == nil:
		return false
	case q == "":
		return true
	}
	q = strings.ToLower(q)
	return slices.ContainsFunc(append([]string{row.Title, row.Key, row.ID}, row.Tags...), func(s string) bool { return strings.Contains(strings.ToLower(s), q) })
}

func (c *Console) ruleRow(rule detect.RuleView, counts map[string][]int, floods map[string]detect.Flood) ruleRow {
	row := ruleRow{RuleView: rule, Path: ruleAt(rule.Key), Tuned: rule.Setting != (detect.Setting{}) || len(rule.Exceptions) > 0}
	row.Bars = barsOf(counts[rule.Key], c.Now().UTC())
	if f, ok := floods[rule.Key]; ok {
		row.Flood = &f
	}
	for _, x := range rule.Exceptions {
		if x.Until.IsZero() || x.Until.After(c.Now()) {
			row.Except++
		}
	}
	return row
}

// faultLines are faults for people, each with where it is.
func faultLines(all detect.Faults) []string {
	lines := make([]string, len(all))
	for i, f := range all {
		lines[i] = f.String()
	}
	return lines
}

// dayBars is a picture of how much there was on each day, in the units of its viewBox: as wide as there are
// days, 10 each, and 50 high.
type dayBars struct {
	Width    int
	Bars     []dayBar
	Total    int
	Peak     int
	PeakDay  time.Time
	From, To time.Time
}

type dayBar struct {
	X, Y, Height int
	Now          bool
}

// The measures of bars.
const (
	dayWidth  = 10
	dayHeight = 46
)

// barsOf draws counts of the days that end with the present one; nil if there is nothing to draw.
func barsOf(counts []int, now time.Time) *dayBars {
	last := now.Truncate(24 * time.Hour)
	b := &dayBars{Width: dayWidth * len(counts), From: last.AddDate(0, 0, 1-len(counts)), To: last}
	for i, n := range counts {
		b.Total += n
		if n > b.Peak {
			b.Peak, b.PeakDay = n, b.From.AddDate(0, 0, i)
		}
	}
	if b.Total == 0 {
		return nil
	}
	for i, n := range counts {
		if n == 0 {
			continue
		}
		high := max(3, n*dayHeight/b.Peak)
		b.Bars = append(b.Bars, dayBar{X: i*dayWidth + 1, Y: 50 - high, Height: high, Now: i == len(counts)-1})
	}
	return b
}

// rulePage is the data of pages/rule.html.
type rulePage struct {
	ruleRow
	Status     string
	Condition  string // of a correlation: how many it takes; empty: it has none
	Span       string // within which, as rules write it
	SpanWords  string
	SetBy      party
	Tags       []ruleTag
	Source     []sourceLine
	Uses       []choice
	UsedBy     []choice
	Exceptions []exceptionRow
	History    []ruleChangeRow
	Latest     []findingRow
	Levels     []detect.Level
	CanCount   bool // there is a threshold that can be set
	CanSpan    bool // there is a timespan that can be set
	Own        detect.OwnRule
}

// ruleTag is a tag; attack.t1110.003 leads to where it is described.
type ruleTag struct{ Name, Href string }

type exceptionRow struct {
	detect.Exception
	By   party
	Over bool
}

// ruleChangeRow is a step of the history.
type ruleChangeRow struct {
	detect.RuleChange
	By     party
	Before []sourceLine // the text before, if it was changed
}

// How much of what has happened a rule's page shows.
const (
	ruleHistoryShown = 20
	ruleLatestShown  = 5
)

func (c *Console) detectionRule(w http.ResponseWriter, r *http.Request) error {
	data, err := c.rulePage(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "rule", title: data.Title, form: data.settings(), data: data})
}

// settings are the fields of the form of settings as they are.
func (p rulePage) settings() url.Values {
	f := url.Values{"level": {string(p.Setting.Level)}, "threshold": {""}, "timespan": {""}}
	if p.On {
		f.Set("enabled", "on")
	}
	if p.Setting.Threshold != nil {
		f.Set("threshold", strconv.FormatInt(*p.Setting.Threshold, 10))
	}
	if p.Setting.Timespan != nil {
		f.Set("timespan", detect.FormatTimespan(*p.Setting.Timespan))
	}
	return f
}

func (c *Console) rulePage(r *http.Request) (rulePage, error) {
	ctx, account := r.Context(), me(r).AccountID
	rule, err := c.Rules.Get(ctx, account, r.PathValue("rule"))
	if err != nil {
		return rulePage{}, err
	}
	counts, err := c.Findings.RuleCounts(ctx, account, countedDays)
	if err != nil {
		return rulePage{}, err
	}
	floods, err := c.Findings.Flooded(ctx, account)
	if err != nil {
		return rulePage{}, err
	}
	data := rulePage{ruleRow: c.ruleRow(rule, counts, floods), Status: string(rule.Status), Source: highlight(rule.Text)}
	data.Levels = []detect.Level{detect.Informational, detect.Low, detect.Medium, detect.High, detect.Critical}
	if rule.Correlation != nil {
		data.CanCount, data.CanSpan = rule.Correlation.Type != detect.TemporalOrdered, true
		data.Condition, data.Span = thresholdWords(rule.Threshold), detect.FormatTimespan(rule.Timespan)
	}
	for _, tag := range rule.Rule.Tags {
		data.Tags = append(data.Tags, ruleTag{tag, attackPage(tag)})
	}
	for _, pair := range []struct {
		keys []string
		to   *[]choice
	}{{rule.Uses, &data.Uses}, {rule.UsedBy, &data.UsedBy}} {
		for _, key := range pair.keys {
			*pair.to = append(*pair.to, choice{ruleAt(key), c.ruleTitle(r, key)})
		}
	}
	who := c.parties(r)
	if data.SetBy, err = who.of(ctx, rule.SetBy); err != nil {
		return data, err
	}
	for _, x := range rule.Exceptions {
		row := exceptionRow{Exception: x, Over: !x.Until.IsZero() && !x.Until.After(c.Now())}
		if row.By, err = who.of(ctx, x.CreatedBy); err != nil {
			return data, err
		}
		data.Exceptions = append(data.Exceptions, row)
	}
	if rule.Own != "" {
		if data.Own, err = c.Rules.Text(ctx, account, rule.Own); err != nil {
			return data, err
		}
	}
	if err := c.ruleHistory(r, &data, who); err != nil {
		return data, err
	}
	latest, err := c.Findings.FindingList(ctx, detect.FindingQuery{AccountID: account, Rule: rule.Key, Limit: ruleLatestShown})
	if err != nil {
		return data, err
	}
	data.Latest, err = c.findingRows(r, latest)
	return data, err
}

// ruleTitle is what a rule is called; its key if it is not there any more.
func (c *Console) ruleTitle(r *http.Request, key string) string {
	rule, err := c.Rules.Get(r.Context(), me(r).AccountID, key)
	if err != nil {
		return key
	}
	return cmp.Or(rule.Title, key)
}

func (c *Console) ruleHistory(r *http.Request, data *rulePage, who *parties) error {
	abouts := []string{"rule:" + data.Key}
	if data.RuleView.Own != "" && data.RuleView.Own != data.Key {
		abouts = append(abouts, "rule:"+data.RuleView.Own)
	}
	for _, about := range abouts {
		changes, err := c.Rules.History(r.Context(), me(r).AccountID, about, 0, ruleHistoryShown)
		if err != nil {
			return err
		}
		for _, x := range changes {
			row := ruleChangeRow{RuleChange: x}
			if row.By, err = who.of(r.Context(), x.By); err != nil {
				return err
			}
			if text := x.TextBefore(); text != "" {
				row.Before = highlight(text)
			}
			data.History = append(data.History, row)
		}
	}
	slices.SortStableFunc(data.History, func(a, b ruleChangeRow) int { return cmp.Compare(b.Revision, a.Revision) })
	data.History = data.History[:min(len(data.History), ruleHistoryShown)]
	return nil
}

// attackPage is where a tag of MITRE ATT&CK is described; empty for other tags.
func attackPage(tag string) string {
	id, ok := strings.CutPrefix(tag, "attack.")
	if !ok || len(id) < 5 || id[0] != 't' && id[0] != 'g' && id[0] != 's' || strings.Trim(id[1:], "0123456789.") != "" {
		return ""
	}
	id, sub, _ := strings.Cut(strings.ToUpper(id), ".")
	kind := map[byte]string{'T': "techniques/", 'G': "groups/", 'S': "software/"}[id[0]]
	at := "https://attack.mitre.org/" + kind + id + "/"
	if sub != "" {
		at += sub + "/"
	}
	return at
}
