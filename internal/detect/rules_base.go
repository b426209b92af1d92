package detect

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"
	"time"
)

// Origin is where a rule or a list comes from.
type Origin string

// The origins, in the order in which they are read.
const (
	Shipped  Origin = "pack"    // in the program
	OfServer Origin = "server"  // in the folder of the server
	Own      Origin = "account" // of the account
)

// sourced is a rule with its origin.
type sourced struct {
	*Rule

	origin Origin
	own    string // name of the OwnRule that it is in; empty: none
}

// ruleBase is what all accounts have.
type ruleBase struct {
	rules  []sourced
	lists  map[string][]string // of files
	origin map[string]Origin   // of the lists
	faults Faults
}

// readBase reads the pack and, if there is one, the folder of the server, and leaves out what cannot be used.
// The error is what kept a file from being read.
func readBase(pack, dir fs.FS) (*ruleBase, error) {
	b := &ruleBase{lists: map[string][]string{}, origin: map[string]Origin{}}
	for _, source := range []struct {
		origin Origin
		fsys   fs.FS
	}{{Shipped, pack}, {OfServer, dir}} {
		if source.fsys == nil {
			continue
		}
		lists, err := ReadLists(source.fsys)
		if err != nil {
			return nil, err
		}
		for name, l := range lists {
			b.lists[name], b.origin[name] = l.Entries(), source.origin
		}
		rules, err := Read(source.fsys)
		faults, ok := errors.AsType[Faults](err)
		if err != nil && !ok {
			return nil, err
		}
		for _, f := range faults {
			f.File = string(source.origin) + "/" + f.File
			b.faults = append(b.faults, f)
		}
		for _, r := range rules {
			r.File = string(source.origin) + "/" + r.File
			b.rules = append(b.rules, sourced{r, source.origin, ""})
		}
	}
	m := newModel(b, book{})
	b.rules, b.faults = m.rules, append(b.faults, m.faults...).sorted()
	return b, nil
}

// RuleFolder opens the folder of the server for RulesConfig.Dir; nil for no path.
func RuleFolder(path string) (fs.FS, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err != nil {
		return nil, fmt.Errorf("open the folder of rules %s: %w", path, err)
	}
	return os.DirFS(path), nil
}

// fileState tells one state of a folder from another without reading its files.
func fileState(dir fs.FS) (string, error) {
	if dir == nil {
		return "", nil
	}
	var b strings.Builder
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch path.Ext(name) {
		case ".yml", ".yaml", ".txt":
		default:
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s\x00%d\x00%s\x00", name, info.Size(), info.ModTime().Format(time.RFC3339Nano))
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look at the folder of rules: %w", err)
	}
	return b.String(), nil
}

// model is the rules of an account before they are compiled: those that fit together.
type model struct {
	book

	rules    []sourced
	byKey    map[string]sourced
	lists    map[string]*ValueList
	faults   Faults
	warnings Faults
}

// newModel puts the rules of the base and of the account together, and leaves out what is faulty.
func newModel(b *ruleBase, of book) *model {
	m := &model{book: of, byKey: map[string]sourced{}, lists: map[string]*ValueList{}}
	for name, entries := range b.lists {
		m.lists[name] = NewValueList(entries...)
	}
	for _, l := range of.lists {
		m.lists[l.Name] = l.values(b.lists[l.Name])
	}
	candidates := b.rules[:len(b.rules):len(b.rules)]
	for _, own := range of.own {
		rules, faults := Parse(string(Own)+"/"+own.Name, []byte(own.Text))
		m.faults = append(m.faults, faults...)
		for _, r := range rules {
			candidates = append(candidates, sourced{r, Own, own.Name})
		}
	}
	m.fit(candidates)
	return m
}

// fit keeps the rules that are good by themselves and together.
func (m *model) fit(candidates []sourced) {
	taken := map[string]sourced{}
	var plain []*Rule
	var kept []sourced
	for _, r := range candidates {
		bad := Unfit(r.Rule)
		for _, text := range []string{r.Name, r.ID, r.Key()} {
			if other, ok := taken[text]; ok && text != "" && other.Rule != r.Rule {
				bad = append(bad, Fault{File: r.File, Line: r.Line, Text: fmt.Sprintf("%s is taken by the rule %s, which %s", shown(text), shown(other.Title), other.place())})
				break
			}
			taken[text] = r
		}
		m.faults = append(m.faults, bad...)
		if len(bad) == 0 {
			plain, kept = append(plain, r.Rule), append(kept, r)
		}
	}
	set, err := Compile(plain, FieldMaps(), StaticLists(m.lists))
	if faults, ok := errors.AsType[Faults](err); ok {
		m.faults = append(m.faults, faults...)
	}
	if set == nil {
		return // the maps are faulty, which a test would have told
	}
	type place struct {
		file string
		line int
	}
	good := map[place]bool{}
	for _, r := range set.rules {
		good[place{r.File, r.Line}] = true
	}
	for _, r := range kept {
		if good[place{r.File, r.Line}] {
			m.rules = append(m.rules, r)
			m.byKey[r.Key()] = r
		}
	}
	m.warnings = set.warnings
}

// place says where a rule is, for people.
func (s sourced) place() string {
	switch s.origin {
	case Shipped:
		return "Holdfast comes with; give yours another name and id, and switch that one off if it is in the way"
	case OfServer:
		return "is in the rule folder of the server"
	default:
		return "the account has already"
	}
}

// plain are the rules.
func (m *model) plain() []*Rule {
	all := make([]*Rule, len(m.rules))
	for i, r := range m.rules {
		all[i] = r.Rule
	}
	return all
}

// compile makes the set. Faults are what is wrong with settings; rules with them are left out, and exceptions
// that name a list which is not there any more are passed over.
func (m *model) compile() (*Set, Faults, error) {
	var faults Faults
	w := wish{settings: m.settings}
	for _, x := range m.exceptions {
		if r, ok := m.byKey[x.Rule]; ok {
			if missing := m.missing(x); missing != "" {
				faults = append(faults, Fault{File: r.File, Line: r.Line, Text: fmt.Sprintf("an exception of %s is passed over: there is no list %s", x.Rule, missing)})
				continue
			}
			w.exceptions = append(w.exceptions, x)
		}
	}
	set, err := compileTuned(m.plain(), w, FieldMaps(), StaticLists(maps.Clone(m.lists)))
	more, ok := errors.AsType[Faults](err)
	if err != nil && !ok {
		return nil, nil, err
	}
	return set, append(faults, more...), nil
}

// missing is the list that an exception names and that is not there.
func (m *model) missing(x Exception) string {
	for _, v := range x.Values {
		if name, ok := listName(v); ok && m.lists[name] == nil {
			return v
		}
	}
	return ""
}

// find is the rule with the name or id.
func (m *model) find(nameOrID string) (sourced, bool) {
	if r, ok := m.byKey[nameOrID]; ok {
		return r, true
	}
	for _, r := range m.rules {
		if r.ID != "" && r.ID == canonical(nameOrID) {
			return r, true
		}
	}
	return sourced{}, false
}
