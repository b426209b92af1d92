package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

type firewallCmd struct {
	List   firewallListCmd   `cmd:"" help:"List firewall rules in their order, with what each of them met."`
	Add    firewallAddCmd    `cmd:"" help:"Add a firewall rule."`
	Update firewallUpdateCmd `cmd:"" help:"Change a firewall rule; its position stays."`
	Move   firewallMoveCmd   `cmd:"" help:"Put a firewall rule at another position."`
	Remove firewallRemoveCmd `cmd:"" help:"Remove a firewall rule."`
}

// firewallJSON is a firewall rule as --json shows one.
type firewallJSON struct {
	AccountID string        `json:"account_id"`
	RuleID    string        `json:"rule_id"`
	Position  int           `json:"position"`
	Action    signin.Action `json:"action"`
	Kind      signin.Kind   `json:"kind"`
	Value     string        `json:"value"`
	Note      string        `json:"note"`
	CreatedAt time.Time     `json:"created_at"`
	CreatedBy string        `json:"created_by"`
	Hits      *tallyJSON    `json:"hits_30_days,omitempty"`
}

// tallyJSON counts attempts, and the people who made them.
type tallyJSON struct {
	Attempts int `json:"attempts"`
	People   int `json:"people"`
}

func firewallView(r signin.Rule) firewallJSON {
	return firewallJSON{
		AccountID: r.AccountID, RuleID: r.ID, Position: r.Position, Action: r.Action, Kind: r.Kind, Value: r.Value, Note: r.Note,
		CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy,
	}
}

func printFirewall(std stdio, r signin.Rule, asJSON bool) error {
	if asJSON {
		return printJSON(std, firewallView(r))
	}
	fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("%s  %3d  %-36s  %s", r.ID, r.Position, r, r.Note), " "))
	return nil
}

// firewall is what the rules of the account are worked on with.
func (h *handle) firewall() *signin.Service { return &signin.Service{Store: h.db, Now: time.Now} }

type firewallListCmd struct {
	accountFlag
	JSON bool `name:"json" help:"Print one JSON object with the list as results."`
}

func (c *firewallListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	rules, err := h.firewall().Rules(ctx, account)
	if err != nil {
		return err
	}
	if len(rules) == 0 && !c.JSON {
		fmt.Fprintln(std.out, "There are no firewall rules: people can sign in from everywhere.")
		return nil
	}
	p, err := h.firewall().Preview(ctx, account, rules, signin.PreviewMost)
	if err != nil {
		return err
	}
	if c.JSON {
		return printResults(std, rules, func(r signin.Rule) firewallJSON {
			v, hits := firewallView(r), tallyJSON(p.Rule(r.ID))
			v.Hits = &hits
			return v
		})
	}
	for _, r := range rules {
		fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("%s  %3d  %-36s  %6d attempts  %s", r.ID, r.Position, r, p.Rule(r.ID).Attempts, r.Note), " "))
	}
	return nil
}

// firewallArg names one rule.
type firewallArg struct {
	Rule string `arg:"" help:"Position or ID of the rule."`
}

func (a firewallArg) find(rules []signin.Rule) (signin.Rule, error) {
	for _, r := range rules {
		if r.ID == a.Rule || strconv.Itoa(r.Position) == a.Rule {
			return r, nil
		}
	}
	return signin.Rule{}, problem.New(problem.NotFound, "the account has no firewall rule %q; there are %d (see: holdfast firewall list)", a.Rule, len(rules))
}

// forceFlag is for changes after which nobody could sign in.
type forceFlag struct {
	Force bool `help:"Change it also if nobody could sign in any more then."`
}

// guard looks at the rules alone: here nobody comes from an address.
func (f forceFlag) guard() signin.Guard { return signin.Guard{Accept: f.Force} }

// forced says of a refusal how to override it.
func forced(err error) error {
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Code == "firewall_all" {
		return problem.Coded(p.Kind, p.Code, "%s. If it is meant so: --force", p.Detail)
	}
	return err
}

// previewFlags are of changes that can be looked at before.
type previewFlags struct {
	DryRun bool `help:"Change nothing; print what the rules, with this change, would have done to the attempts of the last 30 days."`
	JSON   bool `name:"json" help:"Print one JSON object."`
}

// dryRun prints what the rules would have done; id is the rule that the change is about.
func (f previewFlags) dryRun(ctx context.Context, std stdio, h *handle, account string, rules []signin.Rule, id string) error {
	p, err := h.firewall().Preview(ctx, account, rules, signin.PreviewMost)
	if err != nil {
		return err
	}
	if f.JSON {
		return printJSON(std, previewView(p, id))
	}
	fmt.Fprintf(std.out, "Of %d attempts since %s, the rules would have\n", p.Attempts, p.Since.Format(time.DateOnly))
	for _, o := range []struct {
		name string
		n    signin.Tally
	}{{"denied", p.Denied}, {"reported", p.Reported}, {"allowed", p.Allowed}, {"(this rule)", p.Rule(id)}} {
		fmt.Fprintf(std.out, "  %-12s %7d of %d people\n", o.name, o.n.Attempts, o.n.People)
	}
	for _, who := range p.People {
		fmt.Fprintf(std.out, "%s <%s>: %d denied, %d reported\n", who.Name, who.Email, who.Denied, who.Reported)
	}
	if p.More > 0 {
		fmt.Fprintf(std.out, "and %d more people\n", p.More)
	}
	if p.Cut {
		fmt.Fprintln(std.out, "There are older attempts, which were not looked at.")
	}
	if signin.DeniesAll(rules) {
		fmt.Fprintln(std.out, "Nobody could sign in any more, from anywhere.")
	}
	fmt.Fprintln(std.out, "Nothing was changed.")
	return nil
}

// previewJSON is a preview as --json shows one.
type previewJSON struct {
	Since    time.Time           `json:"since"`
	Attempts int                 `json:"attempts"`
	Cut      bool                `json:"cut"`
	Denied   tallyJSON           `json:"denied"`
	Reported tallyJSON           `json:"reported"`
	Allowed  tallyJSON           `json:"allowed"`
	Rule     tallyJSON           `json:"rule"`
	People   []previewPersonJSON `json:"people"`
	More     int                 `json:"more_people"`
}

type previewPersonJSON struct {
	UserID   string `json:"user_id"`
	Name     string `json:"name"`
	Email    string `json:"email"`
	Denied   int    `json:"denied"`
	Reported int    `json:"reported"`
}

func previewView(p signin.Preview, id string) previewJSON {
	v := previewJSON{
		Since: p.Since, Attempts: p.Attempts, Cut: p.Cut, Denied: tallyJSON(p.Denied), Reported: tallyJSON(p.Reported), Allowed: tallyJSON(p.Allowed),
		Rule: tallyJSON(p.Rule(id)), People: []previewPersonJSON{}, More: p.More,
	}
	for _, who := range p.People {
		v.People = append(v.People, previewPersonJSON(who))
	}
	return v
}

type firewallAddCmd struct {
	accountFlag
	Action   string `arg:"" enum:"deny,report,allow" help:"What it does: deny, report or allow."`
	Kind     string `arg:"" enum:"country,continent,address,anonymous,all" help:"What it matches: country, continent, address, anonymous or all."`
	Value    string `arg:"" optional:"" help:"Which one: a country code (DE), a continent (AF, AN, AS, EU, NA, OC or SA), an IP address or network (192.0.2.0/24)."`
	Note     string `placeholder:"TEXT" help:"Why it is there."`
	Position int    `placeholder:"N" help:"Where it stands; 1 is looked at first (default: behind all others)."`
	forceFlag
	previewFlags
}

func (c *firewallAddCmd) Run(ctx context.Context, g *globals, std stdio) error {
	rule, err := signin.Rule{Action: signin.Action(c.Action), Kind: signin.Kind(c.Kind), Value: c.Value, Note: c.Note}.Check()
	if err != nil {
		return err
	}
	if c.Position < 0 {
		return problem.InField("position", "the position %d is none; the first is 1", c.Position)
	}
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	rule.AccountID, rule.Position = account, c.Position
	if c.DryRun {
		rules, err := h.firewall().Rules(ctx, account)
		if err != nil {
			return err
		}
		rule.ID = "new"
		if rules, err = signin.WithRule(rules, rule); err != nil {
			return err
		}
		return c.dryRun(ctx, std, h, account, rules, rule.ID)
	}
	if rule, err = h.firewall().AddRule(ctx, rule, c.guard(), operator(std)); err != nil {
		return forced(err)
	}
	return printFirewall(std, rule, c.JSON)
}

type firewallUpdateCmd struct {
	accountFlag
	firewallArg
	Action string  `placeholder:"ACTION" enum:",deny,report,allow" default:"" complete:"deny report allow" help:"What it does from now on: deny, report or allow."`
	Kind   string  `placeholder:"KIND" enum:",country,continent,address,anonymous,all" default:"" complete:"country continent address anonymous all" help:"What it matches from now on: country, continent, address, anonymous or all."`
	Value  *string `placeholder:"VALUE" help:"Which country, continent, address or network it matches from now on."`
	Note   *string `placeholder:"TEXT" help:"Why it is there."`
	forceFlag
	previewFlags
}

func (c *firewallUpdateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	rules, err := h.firewall().Rules(ctx, account)
	if err != nil {
		return err
	}
	rule, err := c.find(rules)
	if err != nil {
		return err
	}
	if c.Kind != "" && signin.Kind(c.Kind) != rule.Kind {
		rule.Kind, rule.Value = signin.Kind(c.Kind), "" // the value was one of the kind before
	}
	rule.Action = cmp.Or(signin.Action(c.Action), rule.Action)
	if c.Value != nil {
		rule.Value = *c.Value
	}
	if c.Note != nil {
		rule.Note = *c.Note
	}
	if rule, err = rule.Check(); err != nil {
		return err
	}
	if c.DryRun {
		if rules, err = signin.WithUpdate(rules, rule); err != nil {
			return err
		}
		return c.dryRun(ctx, std, h, account, rules, rule.ID)
	}
	if rule, err = h.firewall().UpdateRule(ctx, rule, c.guard(), operator(std)); err != nil {
		return forced(err)
	}
	return printFirewall(std, rule, c.JSON)
}

type firewallMoveCmd struct {
	accountFlag
	firewallArg
	Position int `arg:"" help:"Its new position; 1 is looked at first."`
	forceFlag
	JSON bool `name:"json" help:"Print one JSON object."`
}

func (c *firewallMoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.change(ctx, g, std, c.accountFlag, func(h *handle, r signin.Rule) error {
		r, err := h.firewall().MoveRule(ctx, r.AccountID, r.ID, c.Position, c.guard(), operator(std))
		if err != nil {
			return forced(err)
		}
		return printFirewall(std, r, c.JSON)
	})
}

type firewallRemoveCmd struct {
	accountFlag
	firewallArg
	forceFlag
	JSON bool `name:"json" help:"Print one JSON object."`
}

func (c *firewallRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.change(ctx, g, std, c.accountFlag, func(h *handle, r signin.Rule) error {
		if err := h.firewall().RemoveRule(ctx, r.AccountID, r.ID, c.guard(), operator(std)); err != nil {
			return forced(err)
		}
		if c.JSON {
			return printJSON(std, firewallView(r))
		}
		fmt.Fprintf(std.out, "rule %d (%s) is removed\n", r.Position, r)
		return nil
	})
}

// change finds the rule and does something with it.
func (a firewallArg) change(ctx context.Context, g *globals, std stdio, of accountFlag, do func(*handle, signin.Rule) error) error {
	h, account, err := g.openAccount(ctx, std, of.Account)
	if err != nil {
		return err
	}
	defer h.close()
	rules, err := h.firewall().Rules(ctx, account)
	if err != nil {
		return err
	}
	r, err := a.find(rules)
	if err != nil {
		return err
	}
	return do(h, r)
}
