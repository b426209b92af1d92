package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

type playbookRehearseCmd struct {
	rulesFlag
	accountFlag
	From      string        `default:"30d" placeholder:"SPAN" help:"So far back, 30d at most (default: 30d)."`
	Enforce   []string      `sep:"," placeholder:"NAME" help:"Playbooks that are taken as enforced, all means all of them; the others have the mode that they have."`
	Draft     string        `placeholder:"FILE" complete:"file" help:"File with a playbook that the account does not have yet, or has otherwise."`
	Approve   time.Duration `placeholder:"SPAN" help:"Approvals are taken as given after that; without it nobody answers."`
	Accuracy  string        `placeholder:"FILE" complete:"file" help:"Measure playbooks instead on events that say what is an attack, or on synth:SEED[:PEOPLE[:DAYS]], made up and the same for the same seed."`
	Playbooks string        `placeholder:"DIR" complete:"dir" help:"With --accuracy: playbooks of this file or folder instead of those that Holdfast comes with."`
	Format    string        `default:"1password" complete:"1password okta entra ocsf rba" help:"With --accuracy: how the lines are written (default: 1password)."`
	Review    time.Duration `default:"24h" help:"With --accuracy: so long until a person has said of a wrong finding that it is harmless; 0s: nobody does (default: 24h)."`
	JSON      bool          `name:"json" help:"Print one JSON object."`
}

func (c *playbookRehearseCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if c.Accuracy != "" {
		books, err := respond.ShippedPlaybooks()
		if c.Playbooks != "" {
			books, err = readPlaybooks(c.Playbooks)
		}
		if err != nil {
			return err
		}
		return (&playbookAccuracy{rulesFlag: c.rulesFlag, What: c.Accuracy, Format: c.Format, Review: c.Review, Approve: c.Approve, JSON: c.JSON}).run(ctx, std, books)
	}
	if len(c.Rules) > 0 || c.Playbooks != "" {
		return problem.New(problem.Invalid, "--rules and --playbooks go with --accuracy: an account has the rules and playbooks that it has")
	}
	ask, err := c.request()
	if err != nil {
		return err
	}
	return respondAccount{accountFlag: c.accountFlag}.with(ctx, g, std, func(h *handle, s *respond.Service, account string) error {
		rules, err := h.rules(std)
		if err != nil {
			return err
		}
		bar := newProgress(std.err)
		defer bar.done()
		started := false
		r := &respond.Rehearser{Service: s, Rules: rules, History: h.db, Now: time.Now, Hurry: true}
		out, err := r.Run(ctx, account, ask, func(done, of int) {
			if !started {
				bar.start("rehearsing", int64(of))
				started = true
			}
			bar.at(int64(done))
		})
		bar.done()
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, rehearsedView(out))
		}
		tellRehearsed(std, out)
		return nil
	})
}

func (c *playbookRehearseCmd) request() (respond.RehearseRequest, error) {
	ask := respond.RehearseRequest{Enforce: c.Enforce}
	for i, name := range ask.Enforce {
		if name == "all" {
			ask.Enforce[i] = "*"
		}
	}
	span, err := detect.ParseTimespan(c.From)
	if err != nil {
		return ask, err
	}
	if ask.Days = int(span / (24 * time.Hour)); span%(24*time.Hour) != 0 || ask.Days < 1 {
		return ask, problem.InField("from", "%q are no whole days; write for example 7d", c.From)
	}
	if c.Approve > 0 {
		ask.Consent = respond.Consent{Answer: respond.AssumeApprove, After: c.Approve}
	}
	if c.Draft != "" {
		text, err := os.ReadFile(c.Draft)
		if err != nil {
			return ask, problem.New(problem.NotFound, "%s cannot be read: %v", c.Draft, err)
		}
		ask.Draft = string(text)
	}
	return ask, nil
}

// rehearsedJSON is what came of a rehearsal.
type rehearsedJSON struct {
	From        time.Time       `json:"from"`
	To          time.Time       `json:"to"`
	Events      int             `json:"events"`
	Cut         bool            `json:"cut"` // there are more events than a rehearsal takes
	Findings    int             `json:"findings"`
	Cases       int             `json:"cases"`
	People      int             `json:"people_suspended"`
	AtOnce      int             `json:"most_at_once"`
	Suspensions []heldJSON      `json:"suspensions"`
	Decisions   []decisionJSON  `json:"decisions"`
	More        int             `json:"more_decisions"`
	Stopped     []stopCountJSON `json:"stopped"`
	Playbooks   []bookCountJSON `json:"playbooks"`
	Flooded     map[string]int  `json:"flooded,omitempty"`
}

type heldJSON struct {
	PersonID string    `json:"person_id"`
	Person   string    `json:"person"`
	Rule     string    `json:"rule"`
	Decision int       `json:"decision"`
	Time     time.Time `json:"time"`
	EndTime  time.Time `json:"end_time,omitzero"`
	Target   string    `json:"target"`
	AfterMS  int64     `json:"after_ms"`
}

type decisionJSON struct {
	Decision  int             `json:"decision"`
	Time      time.Time       `json:"time"`
	Playbook  string          `json:"playbook"`
	Mode      string          `json:"mode"`
	State     string          `json:"state"`
	Rule      string          `json:"rule"`
	FindingID string          `json:"finding_id"`
	PersonID  string          `json:"person_id,omitempty"`
	Person    string          `json:"person,omitempty"`
	Checks    []respond.Check `json:"checks"`
}

type stopCountJSON struct {
	Playbook string `json:"playbook"`
	Check    string `json:"check"`
	Verdict  string `json:"verdict"`
	Code     string `json:"code"`
	Count    int    `json:"count"`
}

type bookCountJSON struct {
	Playbook string                   `json:"playbook"`
	Mode     string                   `json:"mode"`
	Runs     map[respond.RunState]int `json:"runs"`
	People   int                      `json:"people"`
	Asked    int                      `json:"asked"`
}

func rehearsedView(r respond.Rehearsed) rehearsedJSON {
	return rehearsedJSON{
		From: r.From, To: r.To, Events: r.Events, Cut: r.Cut, Findings: r.Findings, Cases: r.Cases, People: r.People, AtOnce: r.AtOnce, More: r.More, Flooded: r.Flooded,
		Suspensions: mapped(r.Held, func(x respond.Suspension) heldJSON {
			return heldJSON{x.Person.ID, x.Person.Name, x.Rule, x.Decision, x.From, x.Until, x.Target, x.Took.Milliseconds()}
		}),
		Decisions: mapped(r.Decisions, func(d respond.Decision) decisionJSON {
			return decisionJSON{
				d.N, d.At, d.Plan.Playbook, string(d.Plan.Mode), string(d.Plan.State), d.Finding.Rule, d.Finding.ID, d.Person.ID, d.Person.Name, append([]respond.Check{}, d.Plan.Checks...),
			}
		}),
		Stopped: mapped(r.Stopped, func(x respond.StopCount) stopCountJSON {
			return stopCountJSON{x.Playbook, string(x.Check), string(x.Verdict), x.Code, x.Count}
		}),
		Playbooks: mapped(r.Books, func(b respond.BookCount) bookCountJSON {
			return bookCountJSON{b.Playbook, string(b.Mode), b.Runs, b.People, b.Asked}
		}),
	}
}

func tellRehearsed(std stdio, r respond.Rehearsed) {
	fmt.Fprintf(std.out, "%s from %s to %s: %s, %s.\n", plural(r.Events, "event", "events"), moment(r.From), moment(r.To),
		plural(r.Findings, "finding", "findings"), plural(r.Cases, "case", "cases"))
	if r.Cut {
		fmt.Fprintln(std.out, "There are more events than a rehearsal takes, so it begins later than was asked for.")
	}
	fmt.Fprintf(std.out, "%s would have been suspended, at most %d at a time.\n", plural(r.People, "person", "people"), r.AtOnce)
	for _, x := range r.Held {
		fmt.Fprintf(std.out, "  %s  %-24s  %-28s  %s\n", moment(x.From), firstOf(x.Person.Name, x.Person.Email), x.Rule, x.Target)
	}
	if len(r.Stopped) > 0 {
		fmt.Fprintln(std.out, "\nWhy nothing was done:")
	}
	for _, x := range r.Stopped {
		name := strings.ReplaceAll(string(x.Check), "_", " ")
		fmt.Fprintf(std.out, "%6d  %-24s  %-13s  %s\n", x.Count, x.Playbook, name, x.Code)
	}
}
