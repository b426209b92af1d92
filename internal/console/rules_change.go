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
	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

// ruleSettingsForm is what is at the address of the settings when it is opened as a page.
func (c *Console) ruleSettingsForm(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, ruleAt(r.PathValue("rule"))+"#settings")
}

func (c *Console) setDetectionRule(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	key := r.PathValue("rule")
	set, err := settingOf(f)
	if err == nil {
		_, err = c.Rules.Set(r.Context(), me(r).AccountID, key, func(s *detect.Setting) { *s = set }, audit.By(r, audit.RuleSet, "rule:"+key))
	}
	if err != nil {
		if problem.Is(err, problem.NotFound) {
			return err
		}
		data, failed := c.rulePage(r)
		if failed != nil {
			return failed
		}
		return c.again(w, r, page{name: "rule", title: data.Title, form: f, data: data}, err)
	}
	return redirect(w, r, ruleAt(key)+"?done=rule_set")
}

// settingOf reads the form of settings.
func settingOf(f url.Values) (detect.Setting, error) {
	set := detect.Setting{Off: f.Get("enabled") != "on", Level: detect.Level(f.Get("level"))}
	if text := strings.TrimSpace(f.Get("threshold")); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return set, problem.InField("threshold", "the threshold is %q; it must be a whole number", text)
		}
		set.Threshold = &n
	}
	if text := strings.TrimSpace(f.Get("timespan")); text != "" {
		d, err := detect.ParseTimespan(text)
		if err != nil {
			return set, err
		}
		set.Timespan = &d
	}
	return set, nil
}

// exceptionPage is the data of pages/rule-exception.html.
type exceptionPage struct {
	detect.RuleView
	Path   string
	Fields []string
	Lists  []string
}

// exceptionFields are fields that exceptions are usually about.
func exceptionFields() []string {
	return []string{"user.email_addr", "user.name", "src_endpoint.ip", "src_endpoint.location.country", "src_endpoint.autonomous_system.number", "http_request.user_agent", "device.uid"}
}

func (c *Console) exceptionPage(r *http.Request) (exceptionPage, error) {
	rule, err := c.Rules.Get(r.Context(), me(r).AccountID, r.PathValue("rule"))
	if err != nil {
		return exceptionPage{}, err
	}
	data := exceptionPage{RuleView: rule, Path: ruleAt(rule.Key), Fields: exceptionFields()}
	lists, err := c.Rules.Lists(r.Context(), me(r).AccountID)
	for _, l := range lists {
		data.Lists = append(data.Lists, "%"+l.Name+"%")
	}
	return data, err
}

func (c *Console) exceptionForm(w http.ResponseWriter, r *http.Request) error {
	data, err := c.exceptionPage(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "rule-exception", title: c.tr(r, "rule.except_title"), form: r.URL.Query(), data: data})
}

func (c *Console) addException(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	data, err := c.exceptionPage(r)
	if err != nil {
		return err
	}
	until, err := day(f, "until")
	if err == nil {
		if !until.IsZero() {
			until = until.AddDate(0, 0, 1) // the day itself belongs to it
		}
		_, err = c.Rules.Except(r.Context(), me(r).AccountID, detect.Exception{
			Rule: data.Key, Field: f.Get("field"), Values: strings.Split(f.Get("values"), "\n"), Reason: f.Get("reason"), Until: until,
		}, audit.By(r, audit.RuleExcept, "rule:"+data.Key))
	}
	if err != nil {
		return c.again(w, r, page{name: "rule-exception", title: c.tr(r, "rule.except_title"), form: f, data: data}, nameless(err))
	}
	return redirect(w, r, data.Path+"?done=rule_excepted")
}

// nameless makes a problem of the rule, which no field of the form is about, one of the form as a whole.
func nameless(err error) error {
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Field == "name" {
		whole := *p
		whole.Field = ""
		return &whole
	}
	return err
}

func (c *Console) removeException(w http.ResponseWriter, r *http.Request) error {
	key := r.PathValue("rule")
	if _, err := c.Rules.Unexcept(r.Context(), me(r).AccountID, r.PathValue("exception"), audit.By(r, audit.RuleUnexcept, "rule:"+key)); err != nil {
		return err
	}
	return redirect(w, r, ruleAt(key)+"?done=rule_unexcepted")
}

// ownRulePage is the data of pages/rule-form.html.
type ownRulePage struct {
	Own    string // name of the text that is edited; empty: it is a new one
	Path   string // of the rule's page; empty: it is a new one
	Days   int
	Lines  []sourceLine // the text with what is wrong in it; empty: nothing is
	Faults []textFault
	Tried  *tried
}

// textFault is one thing that is wrong in a text.
type textFault struct {
	Line, Column int
	Text         string
}

// defaultTry is for how many days a rule is tried if nobody says otherwise.
const defaultTry = 14

func (c *Console) newOwnRule(w http.ResponseWriter, r *http.Request) error {
	f := url.Values{"text": {firstRule}, "days": {strconv.Itoa(defaultTry)}}
	if key := r.URL.Query().Get("from"); key != "" {
		rule, err := c.Rules.Get(r.Context(), me(r).AccountID, key)
		if err != nil {
			return err
		}
		f.Set("text", strings.TrimSpace(rule.Text)+"\n")
	}
	return c.render(w, r, page{name: "rule-form", title: c.tr(r, "rule_form.new"), form: f, data: ownRulePage{Days: defaultTry}})
}

func (c *Console) backToNewRule(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/rules/own/new")
}

// firstRule is what the form of a new rule begins with.
const firstRule = `title: Success at night on a new device
name: night_and_new_device
status: experimental
logsource: {product: holdfast, category: authentication, service: signin}
taxonomy: ocsf
detection:
  selection:
    activity_name: Logon
    status: Success
    holdfast.hour_unusual: true
    holdfast.known_device: false
  condition: selection
level: medium
holdfast:
  explain:
    en: "{user.email_addr} got in at an unusual hour and on a new device."
    de: "{user.email_addr} hat sich zu ungewohnter Stunde und mit einem neuen Gerät angemeldet."
`

// ownRule is the account's text that the rule of the path is in. Rules of others are not found.
func (c *Console) ownRule(r *http.Request) (detect.OwnRule, error) {
	name := r.PathValue("rule")
	rule, err := c.Rules.Get(r.Context(), me(r).AccountID, name)
	if err == nil {
		if rule.Own == "" {
			return detect.OwnRule{}, problem.New(problem.NotFound, "%q is not a rule of the account's own", name)
		}
		name = rule.Own
	} else if !problem.Is(err, problem.NotFound) {
		return detect.OwnRule{}, err
	}
	return c.Rules.Text(r.Context(), me(r).AccountID, name) // also one of which no rule is in use
}

func (c *Console) editOwnRule(w http.ResponseWriter, r *http.Request) error {
	own, err := c.ownRule(r)
	if err != nil {
		return err
	}
	p := page{
		name: "rule-form", title: c.tr(r, "rule_form.edit", "Name", own.Name), form: url.Values{"text": {own.Text}, "own": {own.Name}, "days": {strconv.Itoa(defaultTry)}},
		data: ownRulePage{Own: own.Name, Path: ruleAt(own.Name), Days: defaultTry},
	}
	if _, err := c.Rules.Check(r.Context(), me(r).AccountID, own.Text); err != nil { // it became faulty since it was saved
		return c.againText(w, r, p, err)
	}
	return c.render(w, r, p)
}

func (c *Console) saveOwnRule(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	account, text, own := me(r).AccountID, f.Get("text"), f.Get("own")
	p := c.ownRuleForm(r, f)
	name, err := c.Rules.Check(r.Context(), account, text)
	if err == nil && name != own {
		if _, failed := c.Rules.Text(r.Context(), account, name); failed == nil {
			err = problem.InField("text", "the account has a rule %q already; edit that one, or give this one another name", name)
		} else if !problem.Is(failed, problem.NotFound) {
			return failed
		}
	}
	if err != nil {
		return c.againText(w, r, p, err)
	}
	by := audit.By(r, audit.RuleSave, "rule:"+name)
	by.Reason = strings.TrimSpace(f.Get("reason"))
	if len(by.Reason) > 1000 {
		return c.againText(w, r, p, problem.InField("reason", "the reason has %d bytes, 1000 are allowed", len(by.Reason)))
	}
	rule, err := c.Rules.Save(r.Context(), account, text, by)
	if err != nil {
		return c.againText(w, r, p, err)
	}
	return redirect(w, r, ruleAt(rule.Key)+"?done=rule_saved")
}

// ownRuleForm is the form with what was typed.
func (c *Console) ownRuleForm(r *http.Request, f url.Values) page {
	f.Set("text", strings.ReplaceAll(f.Get("text"), "\r\n", "\n"))
	data := ownRulePage{Own: f.Get("own"), Days: defaultTry}
	p := page{name: "rule-form", title: c.tr(r, "rule_form.new"), form: f}
	if data.Own != "" {
		data.Path, p.title = ruleAt(data.Own), c.tr(r, "rule_form.edit", "Name", data.Own)
	}
	if n, err := strconv.Atoi(f.Get("days")); err == nil {
		data.Days = n
	}
	p.data = data
	return p
}

// againText shows the form of a text again, with each fault at its line.
func (c *Console) againText(w http.ResponseWriter, r *http.Request, p page, err error) error {
	data, ok := p.data.(ownRulePage)
	faults, found := errors.AsType[detect.Faults](err)
	if ok && found {
		data.Lines = highlight(p.form.Get("text"))
		for _, f := range faults {
			data.Faults = append(data.Faults, textFault{f.Line, f.Column, f.Text})
			if i := f.Line - 1; i >= 0 && i < len(data.Lines) {
				data.Lines[i].Fault = f.Text
			}
		}
		if len(data.Lines) > mostShownLines {
			data.Lines = slices.DeleteFunc(data.Lines, func(l sourceLine) bool { return l.Fault == "" })
		}
		p.data = data
	}
	return c.again(w, r, p, err)
}

// mostShownLines is up to which length a faulty text is shown as a whole, beside the field.
const mostShownLines = 400

// removeRulePage is the data of pages/rule-remove.html.
type removeRulePage struct {
	detect.OwnRule
	Path string
}

func (c *Console) removeOwnRuleForm(w http.ResponseWriter, r *http.Request) error {
	own, err := c.ownRule(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "rule-remove", title: c.tr(r, "rule.remove_title", "Name", own.Name), data: removeRulePage{own, ruleAt(own.Name)}})
}

func (c *Console) removeOwnRule(w http.ResponseWriter, r *http.Request) error {
	own, err := c.ownRule(r)
	if err != nil {
		return err
	}
	if err := c.Rules.Remove(r.Context(), me(r).AccountID, own.Name, audit.By(r, audit.RuleRemove, "rule:"+own.Name)); err != nil {
		return c.again(w, r, page{name: "rule-remove", title: c.tr(r, "rule.remove_title", "Name", own.Name), data: removeRulePage{own, ruleAt(own.Name)}}, nameless(err))
	}
	return redirect(w, r, "/rules?done=rule_removed")
}

// tried is what came of trying a rule, for people.
type tried struct {
	detect.Tried
	Bars     *dayBars
	Examples []findingRow
	Took     time.Duration
}
