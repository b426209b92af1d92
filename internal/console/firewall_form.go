package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// ruleForm is the data of pages/firewall-form.html: a new rule, or one to change.
type ruleForm struct {
	Rule       signin.Rule // the one to change; without ID: a new one
	Action     string      // where the form goes
	Self       string      // where its preview is
	Countries  []choice
	Continents []choice
	Positions  []choice // where a new rule can stand
	Places     knownPlaces

	Preview   *signin.Preview // of all rules, with this one; nil: none is shown yet
	Own       signin.Tally    // what this rule would have decided about
	LockedOut int             // position of the rule that would deny who fills the form in; 0: none
	Wrong     string          // why there is no preview, in words
}

// Kinds are the kinds of rules, in the order of the form.
func (ruleForm) Kinds() []signin.Kind { return signin.Kinds() }

// Actions are the actions of rules, in the order of the form.
func (ruleForm) Actions() []signin.Action {
	return []signin.Action{signin.Deny, signin.Report, signin.Allow}
}

// newRuleID stands for the ID of a rule that has none yet.
const newRuleID = "new"

// ruleOf reads a rule from the form. Only the value of the kind that was chosen counts.
func ruleOf(f url.Values) signin.Rule {
	r := signin.Rule{Action: signin.Action(f.Get("action")), Kind: signin.Kind(f.Get("kind")), Note: f.Get("note")}
	if slices.Contains([]signin.Kind{signin.MatchCountry, signin.MatchContinent, signin.MatchAddress}, r.Kind) {
		r.Value = f.Get(string(r.Kind))
	}
	return r
}

// ruleValues is the form of a rule.
func ruleValues(r signin.Rule) url.Values {
	return url.Values{"action": {string(r.Action)}, "kind": {string(r.Kind)}, string(r.Kind): {r.Value}, "note": {r.Note}}
}

// ruleFormOf prepares the form for the rule of the path, or for a new one if it is the zero one.
func (c *Console) ruleFormOf(r *http.Request, rule signin.Rule, rules []signin.Rule) ruleForm {
	lang := c.catalogue.languageOf(r)
	d := ruleForm{
		Rule: rule, Action: "/firewall", Self: "/firewall/new", Countries: countryChoices(lang), Continents: c.continentChoices(lang), Places: c.knownPlaces(),
	}
	if rule.ID != "" {
		d.Self = "/firewall/" + rule.ID + "/edit"
		d.Action = d.Self
		return d
	}
	for _, o := range rules {
		text := c.tr(r, "firewall_form.before", "Number", o.Position, "Action", c.tr(r, "firewall.action."+string(o.Action)), "What", c.matched(lang, o))
		d.Positions = append(d.Positions, choice{strconv.Itoa(o.Position), text})
	}
	return d
}

// candidate is the list of rules as the form would make it, and the ID of its rule there.
func (d ruleForm) candidate(rules []signin.Rule, f url.Values) (next []signin.Rule, id string, err error) {
	rule, err := ruleOf(f).Check()
	if err != nil {
		return nil, "", inRuleForm(err, f)
	}
	if d.Rule.ID != "" {
		rule.ID = d.Rule.ID
		next, err = signin.WithUpdate(rules, rule)
		return next, rule.ID, inRuleForm(err, f)
	}
	rule.ID = newRuleID
	if rule.Position, err = positionOf(f); err != nil {
		return nil, "", err
	}
	next, err = signin.WithRule(rules, rule)
	return next, rule.ID, inRuleForm(err, f)
}

// positionOf is where a new rule shall stand; 0: behind all others.
func positionOf(f url.Values) (int, error) {
	text := f.Get("position")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, problem.InField("position", "%q is no position; choose one of the list", text)
	}
	return n, nil
}

// inRuleForm says of an error of the rule's value which field of the form it is about.
func inRuleForm(err error, f url.Values) error {
	if err == nil {
		return nil
	}
	p := problem.Public(err)
	if p.Field != "value" {
		return err
	}
	moved := *p
	moved.Field = "country"
	if kind := f.Get("kind"); slices.Contains([]string{"country", "continent", "address"}, kind) {
		moved.Field = kind
	}
	return &moved
}

// showRuleForm shows the form as it is filled in, with a preview if it is asked for and can be made; after a failure
// with the error.
func (c *Console) showRuleForm(w http.ResponseWriter, r *http.Request, d ruleForm, rules []signin.Rule, f url.Values, preview bool, failed error) error {
	p := page{name: "firewall-form", title: c.tr(r, "firewall_form.new.title"), form: f}
	if d.Rule.ID != "" {
		p.title = c.tr(r, "firewall_form.edit.title", "Number", d.Rule.Position)
	}
	if preview {
		next, id, err := d.candidate(rules, f)
		switch {
		case err == nil:
			found, err := c.SignIn.Preview(r.Context(), me(r).AccountID, next, signin.PreviewMost)
			if err != nil {
				return err
			}
			d.Preview, d.Own = &found, found.Rule(id)
			_, already := c.SignIn.LockedOut(rules, c.client(r))
			if rule, out := c.SignIn.LockedOut(next, c.client(r)); out && !already {
				d.LockedOut = rule.Position
			}
		case failed == nil && r.Header.Get("HX-Request") != "":
			d.Wrong = c.words(c.catalogue.languageOf(r), problem.Public(err)) // the part that is asked for has no fields
		case failed == nil:
			failed = err
		}
	}
	p.data = d
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func (c *Console) newRule(w http.ResponseWriter, r *http.Request) error {
	rules, err := c.SignIn.Rules(r.Context(), me(r).AccountID)
	if err != nil {
		return err
	}
	f, filled := r.URL.Query(), r.URL.Query().Has("kind")
	if !filled {
		f = url.Values{"action": {string(signin.Deny)}, "kind": {string(signin.MatchCountry)}}
	}
	return c.showRuleForm(w, r, c.ruleFormOf(r, signin.Rule{}, rules), rules, f, filled, nil)
}

func (c *Console) addRule(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	account := me(r).AccountID
	rules, err := c.SignIn.Rules(r.Context(), account)
	if err != nil {
		return err
	}
	rule := ruleOf(f)
	rule.AccountID = account
	if rule.Position, err = positionOf(f); err == nil {
		rule, err = c.SignIn.AddRule(r.Context(), rule, c.guard(r, f.Get("accept") == "on"), audit.By(r, audit.FirewallAdd, ""))
	}
	if err != nil {
		return c.showRuleForm(w, r, c.ruleFormOf(r, signin.Rule{}, rules), rules, f, true, inRuleForm(err, f))
	}
	return redirect(w, r, "/firewall?done=rule_added#rule-"+rule.ID)
}

func (c *Console) editRule(w http.ResponseWriter, r *http.Request) error {
	rule, rules, err := c.theRule(r)
	if err != nil {
		return err
	}
	f := r.URL.Query()
	if !f.Has("kind") {
		f = ruleValues(rule)
	}
	return c.showRuleForm(w, r, c.ruleFormOf(r, rule, rules), rules, f, true, nil)
}

func (c *Console) updateRule(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	old, rules, err := c.theRule(r)
	if err != nil {
		return err
	}
	rule := ruleOf(f)
	rule.ID, rule.AccountID = old.ID, old.AccountID
	if _, err = c.SignIn.UpdateRule(r.Context(), rule, c.guard(r, f.Get("accept") == "on"), audit.By(r, audit.FirewallUpdate, "firewall_rule:"+old.ID)); err != nil {
		return c.showRuleForm(w, r, c.ruleFormOf(r, old, rules), rules, f, true, inRuleForm(err, f))
	}
	return redirect(w, r, "/firewall?done=rule_changed#rule-"+old.ID)
}
