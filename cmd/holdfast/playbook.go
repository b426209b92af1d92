package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

type playbookCmd struct {
	List     playbookListCmd     `cmd:"" help:"List the playbooks of the account."`
	Show     playbookShowCmd     `cmd:"" help:"Show a playbook as the account has it."`
	Check    playbookCheckCmd    `cmd:"" help:"Check playbook files, and say what is wrong with file, line and column."`
	Test     playbookTestCmd     `cmd:"" help:"Run the tests that are written in playbooks."`
	Save     playbookSaveCmd     `cmd:"" help:"Save a playbook of the account's own."`
	Mode     playbookModeCmd     `cmd:"" help:"Say how far a playbook goes: off, observe or enforce."`
	Remove   playbookRemoveCmd   `cmd:"" help:"Forget the account's own text or mode; what is shipped counts again."`
	Rehearse playbookRehearseCmd `cmd:"" help:"Say what playbooks would have done about the events of the last days."`
}

// playbookJSON is a playbook as an account has it.
type playbookJSON struct {
	Playbook    string    `json:"playbook"`
	Owner       string    `json:"owner,omitempty"`
	Description string    `json:"description,omitempty"`
	Mode        string    `json:"mode"`
	WrittenMode string    `json:"written_mode,omitempty"` // if it is set otherwise
	Origin      string    `json:"origin"`                 // "shipped" or "account"
	Version     string    `json:"version"`
	Revision    int64     `json:"revision,omitempty"`
	Rules       []string  `json:"rules"`
	Levels      []string  `json:"levels,omitempty"`
	Does        []string  `json:"does"`
	Asks        bool      `json:"asks"` // may ask for an approval
	Tests       int       `json:"tests"`
	Fault       string    `json:"fault,omitempty"`
	UpdateTime  time.Time `json:"update_time,omitzero"`
	UpdatedBy   string    `json:"updated_by,omitempty"`
	Text        string    `json:"text,omitempty"`
}

func playbookView(e respond.BookEntry) playbookJSON {
	p := e.Playbook
	v := playbookJSON{
		Playbook: p.Name, Owner: p.Owner, Description: strings.TrimSpace(p.Description), Mode: string(p.Mode), Origin: string(e.Origin), Version: p.Version(),
		Revision: e.Stored.Revision, Rules: append([]string{}, p.On.Rules...), Levels: mapped(p.On.Levels, func(l detect.Level) string { return string(l) }),
		Does: mapped(p.Do, func(s respond.Step) string { return string(s.Kind) }), Asks: p.Approval != nil, Tests: len(p.Tests), Fault: e.Fault,
		UpdateTime: e.Stored.UpdatedAt, UpdatedBy: e.Stored.UpdatedBy,
	}
	if e.Written != p.Mode {
		v.WrittenMode = string(e.Written)
	}
	return v
}

type playbookListCmd struct{ respondAccount }

func (c *playbookListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(_ *handle, s *respond.Service, account string) error {
		all, err := s.Playbooks(ctx, account)
		if err != nil {
			return err
		}
		if c.JSON {
			return printResults(std, all, playbookView)
		}
		paint := painter(std.out, std.env)
		colours := map[respond.Mode]string{respond.ModeEnforce: green, respond.ModeOff: grey}
		for _, e := range all {
			own := ""
			if e.Origin == respond.OriginAccount {
				own = "  (own)"
			}
			if e.Fault != "" {
				own += "  cannot be read"
			}
			v := playbookView(e)
			fmt.Fprintf(std.out, "%s  %-24s  %s: %s%s\n", paint(colours[e.Playbook.Mode], fmt.Sprintf("%-7s", e.Playbook.Mode)), v.Playbook,
				strings.Join(append(v.Rules, v.Levels...), ", "), strings.Join(v.Does, ", "), own)
		}
		return nil
	})
}

// playbookArg names one playbook.
type playbookArg struct {
	respondAccount
	Name string `arg:"" help:"Name of the playbook."`
}

type playbookShowCmd struct{ playbookArg }

func (c *playbookShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(_ *handle, s *respond.Service, account string) error {
		e, err := s.Playbook(ctx, account, c.Name)
		if err != nil {
			return err
		}
		if c.JSON {
			v := playbookView(e)
			v.Text = e.Playbook.Text
			return printJSON(std, v)
		}
		written := ""
		if e.Written != e.Playbook.Mode {
			written = " (written: " + string(e.Written) + ")"
		}
		fmt.Fprintf(std.out, "%-8s  %s\n%-8s  %s%s\n%-8s  %s\n%-8s  %s\n\n%s\n", "Playbook", e.Playbook.Name, "Mode", e.Playbook.Mode, written, "Origin", e.Origin,
			"Version", e.Playbook.Version(), strings.TrimSpace(e.Playbook.Text))
		return nil
	})
}

// playbookFiles are files or folders with playbooks; none means those that Holdfast comes with.
type playbookFiles struct {
	Files []string `arg:"" optional:"" complete:"file" help:"Files or folders with playbooks; without them those that Holdfast comes with."`
	JSON  bool     `name:"json" help:"Print one JSON object."`
}

// read reads them all, and says of all what is wrong.
func (f playbookFiles) read() ([]*respond.Playbook, error) {
	if len(f.Files) == 0 {
		return respond.ShippedPlaybooks()
	}
	var all []*respond.Playbook
	var faults detect.Faults
	for _, name := range f.Files {
		some, err := readPlaybooks(name)
		found, ok := errors.AsType[detect.Faults](err)
		if err != nil && !ok {
			return nil, err
		}
		all, faults = append(all, some...), append(faults, found...)
	}
	if len(faults) > 0 {
		return all, faults
	}
	return all, respond.CheckPlaybooks(all, respond.Known{})
}

func readPlaybooks(name string) ([]*respond.Playbook, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, problem.New(problem.NotFound, "%s cannot be read: %v", name, err)
	}
	if info.IsDir() {
		return respond.ReadPlaybooks(os.DirFS(name))
	}
	text, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		return nil, problem.New(problem.NotFound, "%s cannot be read: %v", name, err)
	}
	return respond.ParsePlaybooks(name, text)
}

type playbookCheckCmd struct{ playbookFiles }

func (c *playbookCheckCmd) Run(std stdio) error {
	all, err := c.read()
	faults, ok := errors.AsType[detect.Faults](err)
	if err != nil && !ok {
		return err
	}
	if c.JSON {
		if err := printJSON(std, struct {
			OK        bool        `json:"ok"`
			Playbooks int         `json:"playbooks"`
			Faults    []faultJSON `json:"faults"`
		}{len(faults) == 0, len(all), faultViews(faults)}); err != nil {
			return err
		}
	} else {
		for _, f := range faults {
			fmt.Fprintln(std.out, f)
		}
	}
	if len(faults) > 0 {
		return errors.New("found " + plural(len(faults), "fault", "faults"))
	}
	if !c.JSON {
		fmt.Fprintf(std.out, "%s, nothing is wrong.\n", plural(len(all), "playbook", "playbooks"))
	}
	return nil
}

// playbookTestJSON is a test with what came of it.
type playbookTestJSON struct {
	Playbook string          `json:"playbook"`
	Test     string          `json:"test"`
	Line     int             `json:"line"`
	State    string          `json:"state"`
	Checks   []respond.Check `json:"checks"`
	Fault    string          `json:"fault,omitempty"`
}

type playbookTestCmd struct{ playbookFiles }

func (c *playbookTestCmd) Run(std stdio) error {
	all, err := c.read()
	if err != nil {
		return err
	}
	var views []playbookTestJSON
	failed := 0
	for _, p := range all {
		for _, t := range respond.RunTests(p) {
			views = append(views, playbookTestJSON{p.Name, t.Name, t.Line, string(t.Plan.State), append([]respond.Check{}, t.Plan.Checks...), t.Fault})
			if t.Fault == "" {
				continue
			}
			failed++
			if !c.JSON {
				fmt.Fprintf(std.out, "%s, line %d: %s: %s\n", p.Name, t.Line, t.Name, t.Fault)
			}
		}
	}
	if c.JSON {
		if err := printResults(std, views, func(v playbookTestJSON) playbookTestJSON { return v }); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(std.out, "%s of %s, %d failed.\n", plural(len(views), "test", "tests"), plural(len(all), "playbook", "playbooks"), failed)
	}
	if failed > 0 {
		return errors.New(plural(failed, "test failed", "tests failed"))
	}
	return nil
}

type playbookSaveCmd struct {
	respondAccount
	File   string `arg:"" complete:"file" help:"File with one playbook; - reads standard input."`
	New    bool   `help:"Refuse it if the account has a playbook of that name."`
	Reason string `help:"Why, for the audit log."`
}

func (c *playbookSaveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	text, err := ruleText(ctx, std, c.File)
	if err != nil {
		return err
	}
	return c.with(ctx, g, std, func(_ *handle, s *respond.Service, account string) error {
		name := ""
		if !c.New {
			all, err := respond.ParsePlaybooks(inputName(c.File), []byte(text))
			if err != nil {
				return err
			}
			if len(all) == 1 {
				if _, err := s.Playbook(ctx, account, all[0].Name); err == nil {
					name = all[0].Name
				} else if !problem.Is(err, problem.NotFound) {
					return err
				}
			}
		}
		saved, err := s.SavePlaybook(ctx, account, name, text, 0, operator(std).Because(c.Reason))
		if err != nil {
			return inFile(err, inputName(c.File))
		}
		return sayPlaybook(ctx, s, std, account, saved.Name, "is saved.", c.JSON)
	})
}

func sayPlaybook(ctx context.Context, s *respond.Service, std stdio, account, name, sentence string, asJSON bool) error {
	e, err := s.Playbook(ctx, account, name)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(std, playbookView(e))
	}
	fmt.Fprintf(std.out, "Playbook %s %s Its mode is %s.\n", name, sentence, e.Playbook.Mode)
	return nil
}

type playbookModeCmd struct {
	playbookArg
	Mode   string `arg:"" enum:"off,observe,enforce" complete:"off observe enforce" help:"off, observe (all checks are made and stored, nothing is done) or enforce."`
	Reason string `help:"Why, for the audit log."`
}

func (c *playbookModeCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(_ *handle, s *respond.Service, account string) error {
		if _, err := s.SetMode(ctx, account, c.Name, respond.Mode(c.Mode), operator(std).Because(c.Reason)); err != nil {
			return err
		}
		return sayPlaybook(ctx, s, std, account, c.Name, "is set.", c.JSON)
	})
}

type playbookRemoveCmd struct {
	playbookArg
	Reason string `help:"Why, for the audit log."`
}

func (c *playbookRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(_ *handle, s *respond.Service, account string) error {
		if err := s.RemovePlaybook(ctx, account, c.Name, operator(std).Because(c.Reason)); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, map[string]any{"playbook": c.Name, "removed": true})
		}
		fmt.Fprintf(std.out, "What the account had set for the playbook %s is forgotten.\n", c.Name)
		return nil
	})
}
