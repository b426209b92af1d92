package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
)

// findingPage is the data of pages/finding.html.
type findingPage struct {
	findingRow
	Rule     *detect.RuleView // as it is now; nil: it is gone
	Changed  bool             // the rule is another one than that which found it
	OfAddr   string           // address of the list of sign-ins from there; empty: there is none
	OfPerson string           // of findings about the person; empty: it is about nobody of the account
	Judge    party            // who has judged it
	Used     []featureRow     // that the rule asks for
	Others   []featureRow
	Events   []findingEvent
	Missing  int // events that are not kept any more, or are too many to be shown
}

// featureRow is a feature in words.
type featureRow struct {
	Name  string // as rules call it
	Label string
	Value string
}

// findingEvent is one of the events on which a finding rests.
type findingEvent struct {
	signals.Stored
	At      time.Time
	Who     string
	Result  string // in words
	State   string // ok, wait or bad, as in a timeline
	Place   string
	Program string
	Path    string // of the event's page; empty: it is from elsewhere
	Source  string // what the source calls it
}

// eventsShown is how many events of a finding its page shows.
const eventsShown = 100

func (c *Console) finding(w http.ResponseWriter, r *http.Request) error {
	ctx, account := r.Context(), me(r).AccountID
	f, err := c.Findings.Finding(ctx, account, r.PathValue("finding"))
	if err != nil {
		return err
	}
	rows, err := c.findingRows(r, []detect.StoredFinding{f})
	if err != nil {
		return err
	}
	data := findingPage{findingRow: rows[0]}
	rule, err := c.Rules.Get(ctx, account, f.Rule)
	if err != nil && !problem.Is(err, problem.NotFound) {
		return err
	}
	asked := ""
	if err == nil {
		data.Rule, data.Changed = &rule, rule.Version != f.Version
		if asked, err = c.rulesText(r, rule); err != nil {
			return err
		}
	}
	c.features(r, &data, asked)
	if f.JudgedBy != "" {
		if data.Judge, err = c.parties(r).of(ctx, f.JudgedBy); err != nil {
			return err
		}
	}
	if _, ok := addresses(f.Address); ok {
		data.OfAddr = changed(url.URL{Path: "/sign-ins"}, "q", f.Address)
	}
	if f.PersonID != "" {
		data.OfPerson = changed(url.URL{Path: "/findings"}, "person", f.PersonID)
	}
	if err := c.evidence(r, &data); err != nil {
		return err
	}
	return c.render(w, r, page{name: "finding", title: data.Sentence, data: data})
}

// rulesText is the text of a rule and of those that it is made of.
func (c *Console) rulesText(r *http.Request, rule detect.RuleView) (string, error) {
	var text strings.Builder
	text.WriteString(rule.Text)
	for _, name := range rule.Uses {
		used, err := c.Rules.Get(r.Context(), me(r).AccountID, name)
		if err != nil && !problem.Is(err, problem.NotFound) {
			return "", err
		}
		if err == nil {
			text.WriteString("\n" + used.Text)
		}
	}
	return text.String(), nil
}

// features puts what was known at the event with which the finding began into words: first what the rule asks for.
func (c *Console) features(r *http.Request, data *findingPage, asked string) {
	for _, f := range data.Features {
		if f.Value.Kind() == detect.None {
			continue
		}
		row := featureRow{Name: f.Name, Label: c.featureName(r, f.Name), Value: c.featureValue(r, f)}
		if mentions(asked, f.Name) {
			data.Used = append(data.Used, row)
		} else {
			data.Others = append(data.Others, row)
		}
	}
}

// mentions says whether a rule's text has the name, and not only as the beginning of a longer one.
func mentions(text, name string) bool {
	for rest := text; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		rest = rest[i+len(name):]
		if rest == "" || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_", rune(rest[0])) {
			return true
		}
	}
}

// featureWindows are the ends of names that say how far back a feature looks.
func featureWindows() []string { return []string{"_10m", "_1h", "_24h", "_30d"} }

// featureName is what a feature is called in the language: "Failures of the person, last hour".
func (c *Console) featureName(r *http.Request, name string) string {
	lang, base, window := c.catalogue.languageOf(r), strings.TrimPrefix(name, detect.FeaturePrefix), ""
	for _, end := range featureWindows() {
		if before, ok := strings.CutSuffix(base, end); ok {
			base, window = before, c.tr(r, "feature.window."+end[1:])
			break
		}
	}
	text, ok := c.catalogue.lookup(lang, "feature."+base)
	if !ok {
		return name
	}
	if window != "" {
		text += ", " + window
	}
	return text
}

// featureValue is a value with its unit.
func (c *Console) featureValue(r *http.Request, f detect.FeatureValue) string {
	lang := c.catalogue.languageOf(r)
	switch x := f.Value.Scalar().(type) {
	case bool:
		if x {
			return c.tr(r, "feature.yes")
		}
		return c.tr(r, "feature.no")
	case int64:
		if !unitless(f.Name) {
			return number(lang, x) + " " + featureUnit(f.Name)
		}
		return number(lang, x)
	case float64:
		if strings.HasSuffix(f.Name, "_share") || strings.Contains(f.Name, "_share_") {
			return number(lang, float64(int(x*1000+.5))/10) + " %"
		}
		text := number(lang, float64(int(x*10+.5))/10)
		if !unitless(f.Name) {
			text += " " + featureUnit(f.Name)
		}
		return text
	}
	return strings.Join(f.Value.Texts(), ", ")
}

func unitless(name string) bool { return featureUnit(name) == "" }

// featureUnit is the unit that a feature's name does not say in words; they are the same in all languages.
func featureUnit(name string) string {
	switch strings.TrimPrefix(name, detect.FeaturePrefix) {
	case "distance_km":
		return "km"
	case "travel_speed":
		return "km/h"
	case "last_success_hours", "factor_disabled_hours":
		return "h"
	case "history_days", "dormant_days":
		return "d"
	}
	return ""
}

// evidence reads the events of the finding.
func (c *Console) evidence(r *http.Request, data *findingPage) error {
	events, err := c.Findings.FindingEvents(r.Context(), data.AccountID, data.ID)
	if err != nil {
		return err
	}
	names := c.names(r)
	for _, e := range events[:min(len(events), eventsShown)] {
		row, err := c.findingEvent(r, names, e)
		if err != nil {
			return err
		}
		data.Events = append(data.Events, row)
	}
	data.Missing = max(0, len(events)-eventsShown) + data.More
	return nil
}

func (c *Console) findingEvent(r *http.Request, names *names, e signals.Stored) (findingEvent, error) {
	ev := &e.Event
	row := findingEvent{
		Stored: e, At: ev.When(), Who: cmp.Or(ev.User.Name, ev.User.Email, ev.User.Login, ev.User.ID), Result: c.eventResult(r, ev),
		Place: c.place(r, ev.Src.Location), Program: program(ev.Client), Source: cmp.Or(strings.Join(slices.DeleteFunc([]string{ev.StatusDetail, ev.StatusCode}, func(s string) bool { return s == "" }), " · "), ev.Code),
	}
	switch ev.StatusID {
	case signals.StatusSuccess:
		row.State = "ok"
	case signals.StatusFailure:
		row.State = "bad"
	default:
		row.State = "wait"
	}
	if e.SourceID == signals.LocalID && ev.SignIn() {
		row.Path = "/sign-ins/" + url.PathEscape(eventRef(ev.When(), ev.SourceID))
	}
	if e.Match.PersonID == "" {
		return row, nil
	}
	name, _, err := names.of(r.Context(), "user", e.Match.PersonID)
	row.Who = cmp.Or(name, row.Who, c.tr(r, "audit.subject.no_user"))
	return row, err
}

// eventResult says what came of an event: for one of the account's own as the list of sign-ins does, else by
// why it failed.
func (c *Console) eventResult(r *http.Request, e *signals.Event) string {
	lang := c.catalogue.languageOf(r)
	if e.Reason != "" {
		if text, ok := c.catalogue.lookup(lang, "findings.reason."+string(e.Reason)); ok {
			return text
		}
	}
	what := "other"
	switch {
	case e.SignIn():
		what = "sign_in"
	case e.Class == signals.ClassAccountChange:
		what = "change"
	case e.Class == signals.ClassAuthentication:
		what = "step"
	}
	return c.tr(r, "findings.event."+what+"."+statusWord(e.StatusID))
}

func statusWord(s signals.StatusID) string {
	switch s {
	case signals.StatusSuccess:
		return "success"
	case signals.StatusFailure:
		return "failure"
	}
	return "unknown"
}

// backToFinding is what is at the address of judging when it is opened as a page.
func (c *Console) backToFinding(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/findings/"+url.PathEscape(r.PathValue("finding")))
}

func (c *Console) judgeFinding(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	harmless, err := strconv.ParseBool(f.Get("harmless"))
	if err != nil {
		return problem.New(problem.Invalid, "harmless is %q; it must be true or false", f.Get("harmless"))
	}
	id := r.PathValue("finding")
	judged, err := c.Findings.JudgeFinding(r.Context(), me(r).AccountID, id, harmless, audit.By(r, audit.FindingJudge, "finding:"+id))
	if err != nil {
		return err
	}
	done := "finding_suspicious"
	if harmless {
		done = "finding_harmless"
	}
	return redirect(w, r, "/findings/"+url.PathEscape(judged.ID)+"?done="+done)
}
