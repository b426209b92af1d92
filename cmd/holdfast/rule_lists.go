package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

type ruleListsCmd struct {
	List   listListCmd   `cmd:"" help:"List the lists."`
	Show   listShowCmd   `cmd:"" help:"Show the entries of a list."`
	Set    listSetCmd    `cmd:"" help:"Write a list anew."`
	Add    listAddCmd    `cmd:"" help:"Add entries to a list."`
	Remove listRemoveCmd `cmd:"" help:"Remove entries from a list, or the list."`
}

// listJSON is a list as an account has it.
type listJSON struct {
	Name    string          `json:"name"`
	Origin  string          `json:"origin,omitempty"` // of the files of this name: "pack" or "server"
	Own     bool            `json:"own"`              // the account has one of its own
	Extends bool            `json:"extends"`          // the entries of files count as well
	Entries []listEntryJSON `json:"entries"`
	UsedBy  []string        `json:"used_by"`
}

type listEntryJSON struct {
	Value string    `json:"value"`
	Note  string    `json:"note,omitempty"`
	Until time.Time `json:"until,omitzero"`
	File  bool      `json:"file,omitempty"` // it is of a file
}

func listView(v detect.ListView) listJSON {
	l := listJSON{Name: v.Name, Origin: string(v.Origin), Own: v.Own != nil, Entries: []listEntryJSON{}, UsedBy: append([]string{}, v.UsedBy...)}
	if v.Own != nil {
		l.Extends = v.Own.Extends
		for _, e := range v.Own.Entries {
			l.Entries = append(l.Entries, listEntryJSON{Value: e.Value, Note: e.Note, Until: e.Until})
		}
	}
	if v.Own == nil || v.Own.Extends {
		for _, value := range v.Files {
			l.Entries = append(l.Entries, listEntryJSON{Value: value, File: true})
		}
	}
	return l
}

type listListCmd struct{ ruleAccount }

func (c *listListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		all, err := r.Lists(ctx, account)
		if err != nil {
			return err
		}
		if c.JSON {
			return printResults(std, all, listView)
		}
		for _, v := range all {
			whose := "comes with Holdfast"
			switch {
			case v.Own != nil && v.Own.Extends:
				whose = "extended"
			case v.Own != nil:
				whose = "own"
			case v.Origin == detect.OfServer:
				whose = "folder of the server"
			}
			fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("%-24s  %-11s  %-20s  %s", v.Name, plural(v.Entries, "entry", "entries"), whose, strings.Join(v.UsedBy, ", ")), " "))
		}
		return nil
	})
}

// listArg names one list.
type listArg struct {
	ruleAccount
	Name string `arg:"" help:"Name of the list; what rules name as %NAME%."`
}

type listShowCmd struct{ listArg }

func (c *listShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		v, err := r.ListOf(ctx, account, c.Name)
		if err != nil {
			return err
		}
		return printList(std, v, c.JSON)
	})
}

func printList(std stdio, v detect.ListView, asJSON bool) error {
	view := listView(v)
	if asJSON {
		return printJSON(std, view)
	}
	for _, e := range view.Entries {
		text := e.Value
		if e.File {
			text += "  (" + view.Origin + ")"
		}
		if !e.Until.IsZero() {
			text += "  until " + moment(e.Until)
		}
		if e.Note != "" {
			text += "  # " + e.Note
		}
		fmt.Fprintln(std.out, text)
	}
	return nil
}

// change changes the list and shows it.
func (c listArg) change(ctx context.Context, g *globals, std stdio, reason string, change func(*detect.AccountList) error) error {
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		v, err := r.SaveList(ctx, account, c.Name, change, because(std, reason))
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, listView(v))
		}
		fmt.Fprintf(std.out, "List %s has %s.\n", v.Name, plural(v.Entries, "entry", "entries"))
		return nil
	})
}

type listSetCmd struct {
	listArg
	Values []string `arg:"" optional:"" name:"value" help:"Entries: texts with * and ?, addresses, networks."`
	File   string   `placeholder:"FILE" complete:"file" help:"Read entries from this file, one a line, what follows # being a note; - reads standard input."`
	Extend bool     `help:"Entries of the built-in list of this name, or of the server's, count as well."`
	Reason string   `help:"Why, for the audit log."`
}

func (c *listSetCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if (c.File == "") == (len(c.Values) == 0) {
		return problem.New(problem.Invalid, "give the entries, or --file FILE")
	}
	entries := entriesOf(c.Values, "", time.Time{})
	if c.File != "" {
		text, err := ruleText(ctx, std, c.File)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(strings.NewReader(text))
		for lines.Scan() {
			value, note, _ := strings.Cut(lines.Text(), "#")
			entries = append(entries, detect.ListEntry{Value: value, Note: note})
		}
		if err := lines.Err(); err != nil {
			return fmt.Errorf("read %s: %w", inputName(c.File), err)
		}
	}
	return c.change(ctx, g, std, c.Reason, func(l *detect.AccountList) error {
		l.Extends, l.Entries = c.Extend, entries
		return nil
	})
}

func entriesOf(values []string, note string, until time.Time) []detect.ListEntry {
	var all []detect.ListEntry
	for _, v := range values {
		all = append(all, detect.ListEntry{Value: v, Note: note, Until: until})
	}
	return all
}

type listAddCmd struct {
	listArg
	Values []string `arg:"" name:"value" help:"Entries: texts with * and ?, addresses, networks. One that is there gets the note and the end."`
	Note   string   `placeholder:"TEXT" help:"Why they are there."`
	untilFlag
}

func (c *listAddCmd) Run(ctx context.Context, g *globals, std stdio) error {
	until, err := c.time(time.Now())
	if err != nil {
		return err
	}
	return c.change(ctx, g, std, "", func(l *detect.AccountList) error {
		l.Entries = append(l.Entries, entriesOf(c.Values, c.Note, until)...)
		return nil
	})
}

type listRemoveCmd struct {
	listArg
	Values []string `arg:"" optional:"" name:"value" help:"Entries; without any the account's list is removed, and the built-in one of this name counts again."`
	Reason string   `help:"Why, for the audit log."`
}

func (c *listRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if len(c.Values) > 0 {
		return c.change(ctx, g, std, c.Reason, func(l *detect.AccountList) error {
			for _, v := range c.Values {
				if !slices.ContainsFunc(l.Entries, func(e detect.ListEntry) bool { return e.Value == v }) {
					return problem.New(problem.NotFound, "the account's list %s has no entry %q", c.Name, v)
				}
			}
			l.Entries = slices.DeleteFunc(l.Entries, func(e detect.ListEntry) bool { return slices.Contains(c.Values, e.Value) })
			return nil
		})
	}
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		if err := r.RemoveList(ctx, account, c.Name, because(std, c.Reason)); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, map[string]any{"name": c.Name, "removed": true})
		}
		fmt.Fprintf(std.out, "The account's list %s is removed.\n", c.Name)
		return nil
	})
}
