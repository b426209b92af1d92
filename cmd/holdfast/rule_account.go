package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/problem"
)

// rules are the rules of accounts, with the folder of the configuration.
func (h *handle) rules(std stdio) (*detect.Rules, error) {
	dir, err := detect.RuleFolder(h.cfg.Rules)
	if err != nil {
		return nil, err
	}
	return detect.NewRules(detect.RulesConfig{Store: h.db, Pack: rules.FS(), Dir: dir, Now: time.Now, Log: slog.New(slog.NewTextHandler(std.err, nil))})
}

// ruleAccount is the account whose rules a command is about.
type ruleAccount struct {
	accountFlag
	JSON bool `name:"json" help:"Print one JSON object."`
}

// with opens the account's rules and does something with them.
func (c ruleAccount) with(ctx context.Context, g *globals, std stdio, do func(r *detect.Rules, account string) error) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	r, err := h.rules(std)
	if err != nil {
		return err
	}
	return do(r, account)
}

// ruleStateJSON is a rule as an account has it.
type ruleStateJSON struct {
	ruleJSON
	Origin       string          `json:"origin"` // "pack", "server" or "account"
	Own          string          `json:"own,omitempty"`
	Enabled      bool            `json:"enabled"`
	WrittenLevel string          `json:"written_level,omitempty"` // if it is set otherwise
	Threshold    int64           `json:"threshold,omitempty"`
	Timespan     string          `json:"timespan,omitempty"`
	SetTime      time.Time       `json:"set_time,omitzero"`
	SetBy        string          `json:"set_by,omitempty"`
	Exceptions   []exceptionJSON `json:"exceptions"`
	Uses         []string        `json:"uses,omitempty"`
	UsedBy       []string        `json:"used_by,omitempty"`
	Lists        []string        `json:"lists,omitempty"`
	Text         string          `json:"text,omitempty"`
}

type exceptionJSON struct {
	ExceptionID string    `json:"exception_id"`
	Rule        string    `json:"rule"`
	Field       string    `json:"field"`
	Values      []string  `json:"values"`
	Reason      string    `json:"reason"`
	Until       time.Time `json:"until,omitzero"`
	CreateTime  time.Time `json:"create_time"`
	CreatedBy   string    `json:"created_by"`
}

func exceptionView(x detect.Exception) exceptionJSON {
	return exceptionJSON{x.ID, x.Rule, x.Field, x.Values, x.Reason, x.Until, x.CreatedAt, x.CreatedBy}
}

func ruleState(r detect.RuleView) ruleStateJSON {
	v := ruleStateJSON{
		ruleJSON: ruleJSON{
			Rule: r.Key, ID: r.ID, Title: r.Title, Level: string(r.Level), Status: string(r.Status), Kind: r.Kind, Alone: r.Alone,
			Version: r.Version, Tags: append([]string{}, r.Tags...), File: r.File, Line: r.Line,
		},
		Origin: string(r.Origin), Own: r.Own, Enabled: r.On, SetTime: r.SetAt, SetBy: r.SetBy, Exceptions: []exceptionJSON{},
		Uses: r.Uses, UsedBy: r.UsedBy, Lists: r.Lists,
	}
	if r.Level != r.Rule.Level {
		v.WrittenLevel = string(r.Rule.Level)
	}
	if r.Correlation != nil {
		v.Threshold, v.Timespan = r.Threshold.Min, detect.FormatTimespan(r.Timespan)
	}
	for _, x := range r.Exceptions {
		v.Exceptions = append(v.Exceptions, exceptionView(x))
	}
	return v
}

// ofAccount lists the rules of the account.
func (c *ruleListCmd) ofAccount(ctx context.Context, g *globals, std stdio) error {
	if len(c.Rules) > 0 {
		return problem.New(problem.Invalid, "--account and --rules exclude each other: an account has the rules that it has")
	}
	return ruleAccount{accountFlag: accountFlag{Account: c.Account}}.with(ctx, g, std, func(r *detect.Rules, account string) error {
		o, err := r.List(ctx, account)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, struct {
				Results  []ruleStateJSON `json:"results"`
				Revision int64           `json:"revision"`
				Faults   []faultJSON     `json:"faults"`
			}{mapped(o.Rules, ruleState), o.Revision, faultViews(append(o.Faults, o.Stale...))})
		}
		for _, f := range append(o.Faults, o.Stale...) {
			fmt.Fprintln(std.err, f)
		}
		paint := painter(std.out, std.env)
		width := 0
		for _, v := range o.Rules {
			width = max(width, len(v.Key))
		}
		for _, v := range o.Rules {
			fmt.Fprintf(std.out, "%s  %-*s  %s%s\n", levelWord(paint, string(v.Level)), min(width, 48), v.Key, v.Title, paint(grey, ruleMarks(v)))
		}
		fmt.Fprintf(std.out, "%s, revision %d%s\n", plural(len(o.Rules), "rule", "rules"), o.Revision, leftOut(o.Faults))
		return nil
	})
}

// ruleMarks is what is special about a rule, in brackets.
func ruleMarks(v detect.RuleView) string {
	var marks []string
	add := func(is bool, text string) {
		if is {
			marks = append(marks, text)
		}
	}
	add(!v.On, "off")
	add(!v.Alone, "part of a correlation")
	add(v.Origin == detect.OfServer, "of the server")
	add(v.Origin == detect.Own, "own")
	add(v.Setting.Level != "" || v.Setting.Threshold != nil || v.Setting.Timespan != nil, "tuned")
	add(len(v.Exceptions) > 0, plural(len(v.Exceptions), "exception", "exceptions"))
	if len(marks) == 0 {
		return ""
	}
	return "  (" + strings.Join(marks, ", ") + ")"
}

// mapped is the list in another form.
func mapped[T, V any](list []T, view func(T) V) []V {
	views := make([]V, len(list))
	for i, v := range list {
		views[i] = view(v)
	}
	return views
}

// ruleArg names one rule.
type ruleArg struct {
	ruleAccount
	Name string `arg:"" help:"Name or ID of the rule."`
}

// ruleChange names one rule to change, and says why.
type ruleChange struct {
	ruleArg
	Reason string `help:"Why, for the audit log."`
}

type ruleShowCmd struct{ ruleArg }

func (c *ruleShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		v, err := r.Get(ctx, account, c.Name)
		if err != nil {
			return err
		}
		return printRule(std, v, c.JSON)
	})
}

func printRule(std stdio, v detect.RuleView, asJSON bool) error {
	if asJSON {
		view := ruleState(v)
		view.Text = v.Text
		return printJSON(std, view)
	}
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(std.out, "%-10s  %s\n", name, text)
		}
	}
	level := string(v.Level)
	if v.Level != v.Rule.Level {
		level += " (written: " + firstOf(string(v.Rule.Level), "none") + ")"
	}
	line("Rule", v.Key)
	line("Title", v.Title)
	line("Level", level)
	line("State", map[bool]string{true: "on", false: "off"}[v.On])
	line("Origin", map[detect.Origin]string{detect.Shipped: "comes with Holdfast", detect.OfServer: "folder of the server", detect.Own: "of the account"}[v.Origin])
	if v.Correlation != nil {
		line("Counts", fmt.Sprintf("%s, %d or more within %s", v.Kind, v.Threshold.Min, detect.FormatTimespan(v.Timespan)))
	}
	line("Uses", strings.Join(v.Uses, ", "))
	line("Part of", strings.Join(v.UsedBy, ", "))
	line("Lists", strings.Join(v.Lists, ", "))
	line("Version", v.Version)
	for _, x := range v.Exceptions {
		line("Except", exceptionText(x))
	}
	fmt.Fprintf(std.out, "\n%s", strings.TrimRight(v.Text, "\n")+"\n")
	return nil
}

type ruleSaveCmd struct {
	ruleAccount
	File   string `arg:"" complete:"file" help:"Rule file; - reads standard input."`
	Reason string `help:"Why, for the audit log."`
}

func (c *ruleSaveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	text, err := ruleText(ctx, std, c.File)
	if err != nil {
		return err
	}
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		v, err := r.Save(ctx, account, text, operator(std).Because(c.Reason))
		if err != nil {
			return inFile(err, inputName(c.File))
		}
		return sayRule(std, v, "is saved.", c.JSON)
	})
}

// maxRuleText is more than a rule file may have, which Parse says better.
const maxRuleText = 1 << 20

func ruleText(ctx context.Context, std stdio, file string) (string, error) {
	if file == "-" {
		b, err := io.ReadAll(io.LimitReader(interruptible(ctx, std.in), maxRuleText))
		return string(b), err
	}
	f, err := os.Open(file)
	if err != nil {
		return "", problem.New(problem.NotFound, "%s cannot be read: %v", file, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxRuleText))
	return string(b), errors.Join(err, f.Close())
}

// inFile makes of the faults of a text lines that an editor makes links of.
func inFile(err error, file string) error {
	faults, ok := errors.AsType[detect.Faults](err)
	if !ok {
		return err
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		f.File = file
		lines[i] = f.String()
	}
	return problem.New(problem.Invalid, "%s", strings.Join(lines, "\n"))
}

func sayRule(std stdio, v detect.RuleView, sentence string, asJSON bool) error {
	if asJSON {
		return printJSON(std, ruleState(v))
	}
	fmt.Fprintf(std.out, "Rule %s %s\n", v.Key, sentence)
	return nil
}

type ruleRemoveCmd struct{ ruleChange }

func (c *ruleRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		if err := r.Remove(ctx, account, c.Name, operator(std).Because(c.Reason)); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, map[string]any{"rule": c.Name, "removed": true})
		}
		fmt.Fprintf(std.out, "Rule %s is removed, with its settings and exceptions.\n", c.Name)
		return nil
	})
}

// set changes the setting and says so.
func (c ruleChange) set(ctx context.Context, g *globals, std stdio, change func(*detect.Setting), sentence string) error {
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		v, err := r.Set(ctx, account, c.Name, change, operator(std).Because(c.Reason))
		if err != nil {
			return err
		}
		return sayRule(std, v, sentence, c.JSON)
	})
}

type ruleEnableCmd struct{ ruleChange }

func (c *ruleEnableCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.set(ctx, g, std, func(s *detect.Setting) { s.Off = false }, "is on.")
}

type ruleDisableCmd struct{ ruleChange }

func (c *ruleDisableCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.set(ctx, g, std, func(s *detect.Setting) { s.Off = true }, "is off.")
}

// tuneFlags are what can be set.
type tuneFlags struct {
	Level     string `placeholder:"LEVEL" enum:",informational,low,medium,high,critical" default:"" complete:"informational low medium high critical" help:"Level of its findings."`
	Threshold *int64 `placeholder:"N" help:"How many it takes, for a rule that counts."`
	Timespan  string `placeholder:"SPAN" help:"Within which time, for a rule that counts, such as 15m, 6h or 2d."`
}

func (f tuneFlags) given() bool { return f.Level != "" || f.Threshold != nil || f.Timespan != "" }

// change is what the flags make of a setting.
func (f tuneFlags) change() (func(*detect.Setting), error) {
	var span *time.Duration
	if f.Timespan != "" {
		d, err := detect.ParseTimespan(f.Timespan)
		if err != nil {
			return nil, err
		}
		span = &d
	}
	return func(s *detect.Setting) {
		if f.Level != "" {
			s.Level = detect.Level(f.Level)
		}
		if f.Threshold != nil {
			s.Threshold = f.Threshold
		}
		if span != nil {
			s.Timespan = span
		}
	}, nil
}

type ruleTuneCmd struct {
	ruleChange
	tuneFlags
	Reset bool `help:"Set it as it is written, before anything else."`
}

func (c *ruleTuneCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if !c.given() && !c.Reset {
		return problem.New(problem.Invalid, "say what to set: --level, --threshold, --timespan or --reset")
	}
	change, err := c.change()
	if err != nil {
		return err
	}
	return c.set(ctx, g, std, func(s *detect.Setting) {
		if c.Reset {
			*s = detect.Setting{Off: s.Off}
		}
		change(s)
	}, "is set.")
}

type ruleHistoryCmd struct {
	ruleAccount
	Name  string `arg:"" optional:"" help:"Name of the rule; without it, of all."`
	List  string `placeholder:"NAME" help:"Of this list."`
	Limit int    `default:"100" placeholder:"N" help:"How many changes, the latest first (default: 100)."`
}

// changeJSON is a change of rules or lists.
type changeJSON struct {
	Revision int64     `json:"revision"`
	Time     time.Time `json:"time"`
	By       string    `json:"by"`
	Action   string    `json:"action"`
	About    string    `json:"about"` // "rule:NAME" or "list:NAME"
	Reason   string    `json:"reason,omitempty"`
	Before   rawJSON   `json:"before"`
	After    rawJSON   `json:"after"`
}

// rawJSON is JSON as it is; null for none.
type rawJSON []byte

// MarshalJSON is the text itself.
func (r rawJSON) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("null"), nil
	}
	return r, nil
}

func (c *ruleHistoryCmd) Run(ctx context.Context, g *globals, std stdio) error {
	about := ""
	switch {
	case c.Name != "" && c.List != "":
		return problem.New(problem.Invalid, "name a rule or a list, not both")
	case c.Name != "":
		about = "rule:" + c.Name
	case c.List != "":
		about = "list:" + strings.Trim(c.List, "%")
	}
	if c.Limit < 1 {
		return problem.InField("limit", "the limit is %d; it must be 1 or more", c.Limit)
	}
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		all, err := r.History(ctx, account, about, 0, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return printResults(std, all, func(x detect.RuleChange) changeJSON {
				return changeJSON{x.Revision, x.At, x.By, string(x.Action), x.About, x.Reason, x.Before, x.After}
			})
		}
		if len(all) == 0 {
			fmt.Fprintln(std.out, "Nothing was changed.")
		}
		for _, x := range all {
			fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("%4d  %s  %-13s  %-30s  %s  %s", x.Revision, moment(x.At), x.Action, x.About, x.By, x.Reason), " "))
		}
		return nil
	})
}

// because is the entry of what is done on the command line.
func because(std stdio, reason string) audit.Entry { return operator(std).Because(reason) }
