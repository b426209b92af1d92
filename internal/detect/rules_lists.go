package detect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// What lists of an account may hold at most.
const (
	maxLists   = 200
	maxEntries = 20_000 // of a list
)

// ListView is a list as an account has it.
type ListView struct {
	Name    string
	Files   []string // the entries of files; they count if Own is nil or extends them
	Origin  Origin   // of the files; empty: there are none of this name
	Own     *AccountList
	UsedBy  []string // rules that name it, or have an exception that does
	Entries int      // that count now
}

// Lists are all lists that rules of the account can name, by name.
func (s *Rules) Lists(ctx context.Context, accountID string) ([]ListView, error) {
	c, err := s.current(ctx, accountID)
	if err != nil {
		return nil, err
	}
	var all []ListView
	for _, name := range slices.Sorted(maps.Keys(c.model.lists)) {
		all = append(all, s.listView(c, name))
	}
	return all, nil
}

// ListOf is the list of the name.
func (s *Rules) ListOf(ctx context.Context, accountID, name string) (ListView, error) {
	c, err := s.current(ctx, accountID)
	if err != nil {
		return ListView{}, err
	}
	name = strings.Trim(name, "%")
	if c.model.lists[name] == nil {
		return ListView{}, errNoList(name)
	}
	return s.listView(c, name), nil
}

func errNoList(name string) *problem.Error {
	return problem.New(problem.NotFound, "there is no list %q", name)
}

func (s *Rules) listView(c *compiled, name string) ListView {
	v := ListView{Name: name, Files: c.base.lists[name], Origin: c.base.origin[name]}
	own, ok := c.model.list(name)
	if ok {
		v.Own = &own
		now := s.now()
		for _, e := range own.Entries {
			if e.Until.IsZero() || e.Until.After(now) {
				v.Entries++
			}
		}
	}
	if !ok || own.Extends {
		v.Entries += len(v.Files)
	}
	for _, r := range c.model.rules {
		if slices.Contains(listsOf(r.Rule, c.model.exceptionsOf(r.Key())), name) {
			v.UsedBy = append(v.UsedBy, r.Key())
		}
	}
	return v
}

// SaveList changes the account's list of a name, which may be new. A list of files stays behind it: the
// account's takes its place, or extends it. change gets the list as the account has it; a new one extends
// the files of its name. Fields of errors: name, entries.
func (s *Rules) SaveList(ctx context.Context, accountID, name string, change func(*AccountList) error, by audit.Entry) (ListView, error) {
	name = strings.Trim(name, "%")
	err := s.change(ctx, accountID, func(m *model) (step, error) {
		if !isIdentifier(name) || len(name) > 64 {
			return step{}, problem.InField("name", "%s cannot be the name of a list; use letters, digits, _ and -, 64 at most", shown(name))
		}
		before, there := m.list(name)
		next := before
		if !there {
			if len(m.book.lists) >= maxLists {
				return step{}, problem.New(problem.Conflict, "the account has %d lists, which is the most", maxLists)
			}
			next = AccountList{Name: name, Extends: m.lists[name] != nil}
		}
		next.Entries = slices.Clone(before.Entries)
		if err := change(&next); err != nil {
			return step{}, err
		}
		next.Name = name
		if err := checkEntries(&next); err != nil {
			return step{}, err
		}
		if there && next.Extends == before.Extends && slices.Equal(next.Entries, before.Entries) {
			return step{}, nil
		}
		item, err := itemOf(listItem, name, next)
		about := "list:" + name
		words := fmt.Sprintf("%d entries", len(next.Entries))
		if next.Extends {
			words += " beside those of the files"
		}
		return step{items: []RuleItem{item}, about: about, by: because(by, words).For(audit.ListSave, about), field: "entries"}, err
	})
	if err != nil {
		return ListView{}, err
	}
	return s.ListOf(ctx, accountID, name)
}

// checkEntries brings entries into shape. The last of those with one value counts.
func checkEntries(l *AccountList) error {
	var all []ListEntry
	at := map[string]int{}
	for _, e := range l.Entries {
		e.Value, e.Note = strings.TrimSpace(e.Value), strings.TrimSpace(e.Note)
		e.Until = e.Until.UTC().Truncate(time.Microsecond)
		switch {
		case e.Value == "":
			continue
		case len([]rune(e.Note)) > maxNote:
			return problem.InField("entries", "the note of %s has more than %d characters", shown(e.Value), maxNote)
		}
		if err := checkValue("entries", e.Value); err != nil {
			return err
		}
		if i, ok := at[e.Value]; ok {
			all[i] = e
			continue
		}
		at[e.Value] = len(all)
		all = append(all, e)
	}
	if len(all) > maxEntries {
		return problem.InField("entries", "there are %d entries, %d are allowed; split the list", len(all), maxEntries)
	}
	l.Entries = all
	return nil
}

// RemoveList removes the account's list; one of files with this name counts again. One that rules need stays:
// a Conflict.
func (s *Rules) RemoveList(ctx context.Context, accountID, name string, by audit.Entry) error {
	name = strings.Trim(name, "%")
	base, _ := s.files()
	return s.change(ctx, accountID, func(m *model) (step, error) {
		if _, ok := m.list(name); !ok {
			if m.lists[name] != nil {
				return step{}, problem.New(problem.Conflict, "the list %s is of files, so it cannot be removed; an own list can take its place", name)
			}
			return step{}, errNoList(name)
		}
		if _, files := base.lists[name]; !files {
			for _, r := range m.rules {
				if slices.Contains(listsOf(r.Rule, m.exceptionsOf(r.Key())), name) {
					return step{}, problem.New(problem.Conflict, "the rule %s names the list %s; change the rule or its exceptions first", r.Key(), name)
				}
			}
		}
		about := "list:" + name
		return step{items: []RuleItem{{Kind: listItem, Name: name}}, about: about, by: by.For(audit.ListRemove, about), field: "name"}, nil
	})
}
