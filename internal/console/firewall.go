package console

import (
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"holdfast/internal/audit"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

func (c *Console) firewallRoutes() []web.Route {
	manage := web.SignedIn(web.Integrations)
	fresh := manage.Fresh()
	return []web.Route{
		{Pattern: "GET /firewall", Access: manage, Handle: c.firewall},
		{Pattern: "GET /firewall/new", Access: manage, Handle: c.newRule},
		{Pattern: "POST /firewall", Access: fresh, Handle: c.addRule},
		{Pattern: "GET /firewall/{rule}/edit", Access: manage, Handle: c.editRule},
		{Pattern: "POST /firewall/{rule}/edit", Access: fresh, Handle: c.updateRule},
		{Pattern: "GET /firewall/{rule}/move", Access: manage, Handle: c.moveRuleForm},
		{Pattern: "POST /firewall/{rule}/move", Access: fresh, Handle: c.moveRule},
		{Pattern: "GET /firewall/{rule}/remove", Access: manage, Handle: c.removeRuleForm},
		{Pattern: "POST /firewall/{rule}/remove", Access: fresh, Handle: c.removeRule},
	}
}

// firewallPage is the data of pages/firewall.html.
type firewallPage struct {
	Rows    []firewallRow
	Preview signin.Preview // of the rules as they are
	Rest    int            // attempts that no rule decided about
	Places  knownPlaces
	Blind   bool // there is a rule that can match nothing, as nobody knows where addresses are
	Here    hereAndNow
}

// firewallRow is a rule as the list shows it.
type firewallRow struct {
	signin.Rule
	What      string // what it matches, in words
	Hits      signin.Tally
	By        party
	Up, Down  int  // positions that it can be moved to; 0: none
	Overruled int  // position of a rule before it that decides about all attempts; 0: none does
	Unmatched bool // it can match nothing at present: its kind of place is not known of any address
}

// hereAndNow is what the rules make of who looks.
type hereAndNow struct {
	Address string
	Country string // in words; empty: not known
	Action  signin.Action
	Rule    int // position of the rule that decides; 0: none does
}

// knownPlaces are the kinds of places that are known of addresses.
type knownPlaces struct {
	Countries bool
	Anonymous bool
}

// Of reports whether rules of the kind can match.
func (k knownPlaces) Of(kind signin.Kind) bool {
	switch kind {
	case signin.MatchCountry, signin.MatchContinent:
		return k.Countries
	case signin.MatchAnonymous:
		return k.Anonymous
	}
	return true
}

// knownPlaces says what the databases of the operator know.
func (c *Console) knownPlaces() knownPlaces {
	if c.SignIn.Places == nil {
		return knownPlaces{}
	}
	k := knownPlaces{
		Countries: true,
		Anonymous: c.SignIn.Places.Locate("192.0.2.1").AnonymousKnown, // any address tells whether such a database is there
	}
	if d, ok := c.SignIn.Places.(interface{ Files() []origin.File }); ok {
		k.Countries = slices.ContainsFunc(d.Files(), func(f origin.File) bool { return f.Error == "" })
	}
	return k
}

func (c *Console) firewall(w http.ResponseWriter, r *http.Request) error {
	ctx, account := r.Context(), me(r).AccountID
	rules, err := c.SignIn.Rules(ctx, account)
	if err != nil {
		return err
	}
	data := firewallPage{Places: c.knownPlaces(), Here: c.hereAndNow(r, rules)}
	if len(rules) > 0 {
		if data.Preview, err = c.SignIn.Preview(ctx, account, rules, signin.PreviewGlance); err != nil {
			return err
		}
	}
	data.Rest = data.Preview.Attempts
	who, overruled := c.parties(r), 0
	for i, rule := range rules {
		row := firewallRow{
			Rule: rule, What: c.matched(c.catalogue.languageOf(r), rule), Hits: data.Preview.Rule(rule.ID), Up: i, Overruled: overruled,
			Unmatched: !data.Places.Of(rule.Kind),
		}
		if i+1 < len(rules) {
			row.Down = i + 2
		}
		if rule.Kind == signin.MatchAll && overruled == 0 {
			overruled = i + 1
		}
		if row.By, err = who.of(ctx, rule.CreatedBy); err != nil {
			return err
		}
		data.Rest -= row.Hits.Attempts
		data.Blind = data.Blind || row.Unmatched
		data.Rows = append(data.Rows, row)
	}
	return c.render(w, r, page{name: "firewall", title: c.tr(r, "nav.firewall"), data: data})
}

// hereAndNow says what the rules make of the browser that asks.
func (c *Console) hereAndNow(r *http.Request, rules []signin.Rule) hereAndNow {
	from := c.client(r)
	at := c.SignIn.Locate(from)
	h := hereAndNow{Address: from.Address, Country: countryName(c.catalogue.languageOf(r), at.Country), Action: signin.Allow}
	if rule, ok := signin.Match(rules, at, from.Address); ok {
		h.Action, h.Rule = rule.Action, rule.Position
	}
	return h
}

// guard is that of a change from the browser that asks; accept: the box was ticked that says so.
func (c *Console) guard(r *http.Request, accept bool) signin.Guard {
	from := c.client(r)
	return signin.Guard{Client: &from, Accept: accept}
}

// theRule is the rule of the path, with all rules.
func (c *Console) theRule(r *http.Request) (signin.Rule, []signin.Rule, error) {
	rules, err := c.SignIn.Rules(r.Context(), me(r).AccountID)
	if err != nil {
		return signin.Rule{}, nil, err
	}
	for _, rule := range rules {
		if rule.ID == r.PathValue("rule") {
			return rule, rules, nil
		}
	}
	return signin.Rule{}, nil, problem.New(problem.NotFound, "no firewall rule %q", r.PathValue("rule"))
}

// firewallAction is the data of pages/firewall-action.html: moving or removing a rule.
type firewallAction struct {
	Kind   string // the key of its texts: "move" or "remove"
	Rule   signin.Rule
	What   string
	To     int // position to move to
	Accept bool
}

// ruleAction prepares the page of the kind about the rule of the path.
func (c *Console) ruleAction(r *http.Request, kind, to string) (firewallAction, error) {
	rule, rules, err := c.theRule(r)
	if err != nil {
		return firewallAction{}, err
	}
	a := firewallAction{Kind: kind, Rule: rule, What: c.matched(c.catalogue.languageOf(r), rule)}
	if kind != "move" {
		return a, nil
	}
	if a.To, err = strconv.Atoi(to); err != nil || a.To < 1 || a.To > len(rules) {
		return a, problem.New(problem.NotFound, "no position %q: there are %d rules", to, len(rules))
	}
	return a, nil
}

// showRuleAction shows the page; after a refusal with the reason, and with the box that overrides it.
func (c *Console) showRuleAction(w http.ResponseWriter, r *http.Request, a firewallAction, failed error) error {
	p := page{name: "firewall-action", title: c.tr(r, "firewall_action."+a.Kind+".title", "Number", a.Rule.Position), data: a, form: r.PostForm}
	if failed != nil {
		a.Accept = lockedOut(failed)
		p.data = a
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// lockedOut reports whether a change was refused that would lock out who makes it.
func lockedOut(err error) bool {
	return problem.Is(err, problem.Conflict) && problem.Public(err).Field == "accept"
}

func (c *Console) moveRuleForm(w http.ResponseWriter, r *http.Request) error {
	a, err := c.ruleAction(r, "move", r.URL.Query().Get("to"))
	if err != nil {
		return err
	}
	return c.showRuleAction(w, r, a, nil)
}

func (c *Console) moveRule(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	a, err := c.ruleAction(r, "move", f.Get("to"))
	if err != nil {
		return err
	}
	_, err = c.SignIn.MoveRule(r.Context(), me(r).AccountID, a.Rule.ID, a.To, c.guard(r, f.Get("accept") == "on"), audit.By(r, audit.FirewallOrder, "firewall_rule:"+a.Rule.ID))
	if err != nil {
		return c.showRuleAction(w, r, a, err)
	}
	return redirect(w, r, "/firewall?done=rule_moved#rule-"+a.Rule.ID)
}

func (c *Console) removeRuleForm(w http.ResponseWriter, r *http.Request) error {
	a, err := c.ruleAction(r, "remove", "")
	if err != nil {
		return err
	}
	return c.showRuleAction(w, r, a, nil)
}

func (c *Console) removeRule(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	a, err := c.ruleAction(r, "remove", "")
	if err != nil {
		return err
	}
	err = c.SignIn.RemoveRule(r.Context(), me(r).AccountID, a.Rule.ID, c.guard(r, f.Get("accept") == "on"), audit.By(r, audit.FirewallRemove, "firewall_rule:"+a.Rule.ID))
	if err != nil {
		return c.showRuleAction(w, r, a, err)
	}
	return redirect(w, r, "/firewall?done=rule_removed")
}

// matched says in words what a rule matches.
func (c *Console) matched(lang string, rule signin.Rule) string {
	switch rule.Kind {
	case signin.MatchCountry:
		return countryName(lang, rule.Value)
	case signin.MatchContinent:
		return c.catalogue.text(lang, "firewall.continent."+rule.Value)
	case signin.MatchAddress:
		return rule.Value
	}
	return c.catalogue.text(lang, "firewall.any."+string(rule.Kind))
}

// countryName is the name of a country in the language, by its code; the code, if it has none.
func countryName(lang, code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := display.Regions(language.Make(lang)).Name(region); name != "" {
		return name
	}
	return code
}

// choice is an option of a list.
type choice struct{ Value, Name string }

// countryChoices are all countries, in the order of the language.
func countryChoices(lang string) []choice {
	var all []choice
	for _, code := range signin.Countries() {
		all = append(all, choice{code, countryName(lang, code)})
	}
	return sorted(lang, all)
}

func (c *Console) continentChoices(lang string) []choice {
	var all []choice
	for _, code := range signin.Continents() {
		all = append(all, choice{code, c.catalogue.text(lang, "firewall.continent."+code)})
	}
	return sorted(lang, all)
}

func sorted(lang string, all []choice) []choice {
	order := collate.New(language.Make(lang))
	slices.SortStableFunc(all, func(a, b choice) int { return order.CompareString(a.Name, b.Name) })
	return all
}
