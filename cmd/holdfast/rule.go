package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/problem"
)

type ruleCmd struct {
	List    ruleListCmd    `cmd:"" help:"List the rules."`
	Check   ruleCheckCmd   `cmd:"" help:"Check rule files, and say what is wrong with file, line and column."`
	Test    ruleTestCmd    `cmd:"" help:"Run rules over events of a file, or measure them on a history in which it is known what is an attack."`
	Show    ruleShowCmd    `cmd:"" help:"Show a rule as the account has it."`
	Save    ruleSaveCmd    `cmd:"" help:"Save a rule of the account's own."`
	Remove  ruleRemoveCmd  `cmd:"" help:"Remove a rule of the account's own."`
	Enable  ruleEnableCmd  `cmd:"" help:"Switch a rule on."`
	Disable ruleDisableCmd `cmd:"" help:"Switch a rule off."`
	Tune    ruleTuneCmd    `cmd:"" help:"Set level, threshold or timespan of a rule."`
	Except  ruleExceptCmd  `cmd:"" help:"Manage exceptions: what a rule shall not find."`
	History ruleHistoryCmd `cmd:"" help:"Show who changed rules and lists, when and how."`
	Try     ruleTryCmd     `cmd:"" help:"Say what a rule would have found in the account's events."`
}

// builtIn is the name by which --rules means the pack.
const builtIn = "pack"

// rulesFlag chooses the rules.
type rulesFlag struct {
	Rules []string `placeholder:"DIR" complete:"dir" help:"Rules of this folder instead of the built-in ones; repeat for several, pack means the built-in ones. Lists that the rules name as %NAME% are DIR/lists/NAME.txt."`
}

// ruleSet is rules as they were loaded: the good ones, and what is wrong with the others.
type ruleSet struct {
	set    *detect.Set
	faults detect.Faults
}

func (f rulesFlag) load() (ruleSet, error) {
	sources := f.Rules
	if len(sources) == 0 {
		sources = []string{builtIn}
	}
	return loadRules(sources...)
}

// loadRules reads and compiles rules of files and folders. The error is what kept a file from being read.
func loadRules(sources ...string) (ruleSet, error) {
	var all []*detect.Rule
	var faults detect.Faults
	lists, err := detect.ReadLists(rules.FS()) // those of a folder take the place of these
	if err != nil {
		return ruleSet{}, err
	}
	for _, source := range sources {
		fsys, files, err := ruleFiles(source)
		if err != nil {
			return ruleSet{}, err
		}
		own, err := detect.ReadLists(fsys)
		if err != nil {
			return ruleSet{}, fmt.Errorf("%s: %w", source, err)
		}
		maps.Copy(lists, own)
		for _, file := range files {
			data, err := fs.ReadFile(fsys, file)
			if err != nil {
				return ruleSet{}, fmt.Errorf("read rules: %w", err)
			}
			rs, bad := detect.Parse(shownPath(source, file), data)
			faults = append(faults, bad...)
			for _, r := range rs {
				if bad := detect.Unfit(r); len(bad) > 0 {
					faults = append(faults, bad...)
					continue
				}
				all = append(all, r)
			}
		}
	}
	set, err := detect.Compile(all, detect.FieldMaps(), lists)
	bad, ok := errors.AsType[detect.Faults](err)
	if err != nil && !ok {
		return ruleSet{}, err
	}
	faults = append(faults, bad...)
	slices.SortStableFunc(faults, func(a, b detect.Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return ruleSet{set, faults}, nil
}

// ruleFiles are the rule files of a folder, or the one that is named.
func ruleFiles(source string) (fs.FS, []string, error) {
	if source == builtIn {
		files, err := fs.Glob(rules.FS(), "*.yml")
		return rules.FS(), files, err
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, nil, problem.New(problem.NotFound, "%s cannot be read: %v; name a rule file or a folder of them", source, err)
	}
	if !info.IsDir() {
		return os.DirFS(filepath.Dir(source)), []string{filepath.Base(source)}, nil
	}
	fsys := os.DirFS(source)
	var files []string
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(name); err == nil && !d.IsDir() && (ext == ".yml" || ext == ".yaml") {
			files = append(files, name)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		return nil, nil, problem.New(problem.NotFound, "%s has no rule files; they end in .yml or .yaml", source)
	}
	return fsys, files, err
}

// shownPath is the path of a rule file as an editor finds it.
func shownPath(source, file string) string {
	if info, err := os.Stat(source); source == builtIn || err != nil || !info.IsDir() {
		if source == builtIn {
			return builtIn + "/" + file
		}
		return source
	}
	return filepath.Join(source, filepath.FromSlash(file))
}

// tellFaults says which rules are left out and why.
func tellFaults(std stdio, r ruleSet) {
	for _, f := range r.faults {
		fmt.Fprintln(std.err, f)
	}
}

type ruleListCmd struct {
	rulesFlag
	Account string `placeholder:"ID" help:"Rules as this account has them: with its own, its settings and the server's folder."`
	JSON    bool   `name:"json" help:"Print one JSON object with the list as results."`
}

// ruleJSON is a rule without what it looks for.
type ruleJSON struct {
	Rule    string   `json:"rule"`
	ID      string   `json:"id,omitempty"`
	Title   string   `json:"title"`
	Level   string   `json:"level,omitempty"`
	Status  string   `json:"status,omitempty"`
	Kind    string   `json:"kind"`  // "event", or the type of the correlation
	Alone   bool     `json:"alone"` // its matches are findings, not only what correlations are made of
	Version string   `json:"version"`
	Tags    []string `json:"tags"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
}

func ruleViews(set *detect.Set) []ruleJSON {
	views := []ruleJSON{}
	for i, r := range set.Rules() {
		v := ruleJSON{
			Rule: r.Key(), ID: r.ID, Title: r.Title, Level: string(r.Level), Status: string(r.Status), Kind: "event", Alone: set.Alone(i),
			Version: r.Version(), Tags: append([]string{}, r.Tags...), File: r.File, Line: r.Line,
		}
		if r.Correlation != nil {
			v.Kind = string(r.Correlation.Type)
		}
		views = append(views, v)
	}
	rank := []string{"critical", "high", "medium", "low", "informational", ""}
	slices.SortStableFunc(views, func(a, b ruleJSON) int {
		return cmp.Or(cmp.Compare(slices.Index(rank, a.Level), slices.Index(rank, b.Level)), cmp.Compare(a.Rule, b.Rule))
	})
	return views
}

func (c *ruleListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if c.Account != "" {
		return c.ofAccount(ctx, g, std)
	}
	r, err := c.load()
	if err != nil {
		return err
	}
	tellFaults(std, r)
	views := ruleViews(r.set)
	if c.JSON {
		return printJSON(std, map[string]any{"results": views})
	}
	paint := painter(std.out, std.env)
	width := 0
	for _, v := range views {
		width = max(width, len(v.Rule))
	}
	for _, v := range views {
		part := ""
		if !v.Alone {
			part = paint(grey, "  (part of a correlation)")
		}
		fmt.Fprintf(std.out, "%s  %-*s  %s%s\n", levelWord(paint, v.Level), min(width, 48), v.Rule, v.Title, part)
	}
	fmt.Fprintln(std.out, plural(len(views), "rule", "rules")+leftOut(r.faults))
	return nil
}

func leftOut(faults detect.Faults) string {
	if len(faults) == 0 {
		return ""
	}
	return "; what is faulty is left out, with " + plural(len(faults), "fault", "faults")
}

// levelWord is the level in its colour, as wide as the widest.
func levelWord(paint func(colour, text string) string, level string) string {
	colours := map[string]string{"critical": red, "high": red, "medium": yellow, "low": cyan}
	word := map[string]string{"informational": "info", "": "-"}[level]
	return paint(cmp.Or(colours[level], grey), fmt.Sprintf("%-8s", cmp.Or(word, level)))
}

type ruleCheckCmd struct {
	Paths []string `arg:"" name:"path" complete:"file" help:"Rule files, and folders of them."`
	JSON  bool     `name:"json" help:"Print one JSON object."`
}

type faultJSON struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
}

func faultViews(faults detect.Faults) []faultJSON {
	views := make([]faultJSON, len(faults))
	for i, f := range faults {
		views[i] = faultJSON(f)
	}
	return views
}

func (c *ruleCheckCmd) Run(std stdio) error {
	r, err := loadRules(c.Paths...)
	if err != nil {
		return err
	}
	warnings := r.set.Warnings()
	if c.JSON {
		err = printJSON(std, struct {
			OK       bool        `json:"ok"`
			Rules    int         `json:"rules"`
			Faults   []faultJSON `json:"faults"`
			Warnings []faultJSON `json:"warnings"`
		}{len(r.faults) == 0, len(r.set.Rules()), faultViews(r.faults), faultViews(warnings)})
	} else {
		paint := painter(std.err, std.env)
		for _, f := range r.faults {
			fmt.Fprintln(std.err, paint(red, "fault   "), f)
		}
		for _, f := range warnings {
			fmt.Fprintln(std.err, paint(yellow, "doubtful"), f)
		}
	}
	switch {
	case err != nil:
		return err
	case len(r.faults) > 0: // the rules are wrong, not the command line
		return errors.New("found " + plural(len(r.faults), "fault", "faults") + " in " + strings.Join(c.Paths, ", "))
	case !c.JSON:
		fmt.Fprintf(std.out, "%s, no faults\n", plural(len(r.set.Rules()), "rule", "rules"))
	}
	return nil
}
