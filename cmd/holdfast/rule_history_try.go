package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

type ruleTryCmd struct {
	ruleAccount
	Name string `arg:"" optional:"" help:"Name or ID of a rule that is there."`
	File string `placeholder:"FILE" complete:"file" help:"Try the rule of this file instead; - reads standard input."`
	From string `default:"30d" placeholder:"SPAN" help:"How far back, 30 days at most, such as 7d (default: 30d)."`
	tuneFlags
}

// triedJSON is what came of a trial.
type triedJSON struct {
	Rules    []string       `json:"rules"`
	From     time.Time      `json:"from"`
	To       time.Time      `json:"to"`
	Events   int            `json:"events"`
	Cut      bool           `json:"cut"` // there are more events than are tried
	Findings int            `json:"findings"`
	Ended    bool           `json:"ended_early"`
	People   int            `json:"people"`
	Levels   map[string]int `json:"levels"`
	Days     []dayJSON      `json:"days"`
	Flooded  map[string]int `json:"flooded"` // matches that were too many, by rule
	Examples []foundJSON    `json:"examples"`
}

type dayJSON struct {
	Day   string `json:"day"`
	Count int    `json:"count"`
}

func (c *ruleTryCmd) trial(ctx context.Context, std stdio) (detect.Trial, error) {
	var t detect.Trial
	if (c.Name == "") == (c.File == "") {
		return t, problem.New(problem.Invalid, "name a rule, or a file with --file FILE")
	}
	span, err := detect.ParseTimespan(c.From)
	if err != nil {
		return t, err
	}
	const day = 24 * time.Hour
	if t.Days = int((span + day - 1) / day); t.Days > detect.MaxTryDays {
		return t, problem.InField("from", "%s is too far back; %d days can be tried", c.From, detect.MaxTryDays)
	}
	if t.Rule = c.Name; c.File != "" {
		t.Text, err = ruleText(ctx, std, c.File)
	}
	return t, err
}

func (c *ruleTryCmd) Run(ctx context.Context, g *globals, std stdio) error {
	t, err := c.trial(ctx, std)
	if err != nil {
		return err
	}
	change, err := c.change()
	if err != nil {
		return err
	}
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		if c.given() {
			t.Setting = &detect.Setting{}
			if v, err := r.Get(ctx, account, c.Name); err == nil && c.Name != "" {
				*t.Setting = v.Setting
			}
			change(t.Setting)
		}
		bar := newProgress(std.err)
		defer bar.done()
		begun := false
		got, err := r.Try(ctx, account, t, func(done, of int) {
			if !begun {
				bar.start("trying", int64(of))
				begun = true
			}
			bar.at(int64(done))
		})
		bar.done()
		if err != nil {
			return inFile(err, inputName(c.File))
		}
		return printTried(std, got, c.JSON)
	})
}

func printTried(std stdio, t detect.Tried, asJSON bool) error {
	if asJSON {
		v := triedJSON{
			Rules: t.Rules, From: t.From, To: t.To, Events: t.Events, Cut: t.Cut, Findings: t.Findings, Ended: t.Ended, People: t.People,
			Levels: t.Levels, Flooded: t.Flooded, Days: []dayJSON{}, Examples: mapped(t.Examples, foundView),
		}
		for _, d := range t.Days {
			v.Days = append(v.Days, dayJSON{d.Day.Format(time.DateOnly), d.Count})
		}
		return printJSON(std, v)
	}
	tellFound(std, t.Examples)
	if more := t.Findings - len(t.Examples); more > 0 {
		fmt.Fprintf(std.out, "… and %s more\n", grouped(more))
	}
	for _, d := range t.Days {
		if d.Count > 0 {
			fmt.Fprintf(std.out, "%s  %7s  %s\n", d.Day.Format(time.DateOnly), grouped(d.Count), strings.Repeat("▇", min(60, d.Count)))
		}
	}
	for rule, n := range t.Flooded {
		fmt.Fprintf(std.out, "Rule %s matches too much: %s were passed over. Make it narrower.\n", rule, plural(n, "match", "matches"))
	}
	if t.Cut {
		fmt.Fprintln(std.out, "There are older events, which were not looked at.")
	}
	if t.Ended {
		fmt.Fprintln(std.out, "There would be more findings; the trial ended here.")
	}
	fmt.Fprintf(std.out, "%s of %s about %s, in %s since %s\n", plural(t.Findings, "finding", "findings"), strings.Join(t.Rules, ", "),
		plural(t.People, "person", "people"), plural(t.Events, "event", "events"), moment(t.From))
	return nil
}
