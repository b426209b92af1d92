package detect

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Set is rules that were compiled together. It does not change and is safe for concurrent use.
type Set struct {
	rules    []*Rule
	byName   map[string]int // name or id to index
	alone    []bool
	order    []int // correlations, each behind those that it uses
	warnings Faults
	lists    Lists
	programs []*program
}

// program is what concerns the events of one source.
type program struct {
	source  *FieldMap
	paths   []string
	places  map[string]int // by path
	entries []entry
	index   index
}

// entry is a rule, compiled for this source.
type entry struct {
	rule  int
	match predicate
	need  []requirement // with field replaced by its path
}

// Read parses all files below fsys that end in .yml or .yaml, in order of their names.
// The error is Faults, or what kept a file from being read.
func Read(fsys fs.FS) ([]*Rule, error) {
	var rules []*Rule
	var faults Faults
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ext := path.Ext(name); d.IsDir() || ext != ".yml" && ext != ".yaml" {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxFile { // said before it is in memory
			faults = append(faults, Fault{File: name, Text: fmt.Sprintf("the file has %d bytes, %d are allowed; split it", info.Size(), maxFile)})
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		rs, fs := Parse(name, data)
		rules, faults = append(rules, rs...), append(faults, fs...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	return rules, faults.err()
}

// Load reads and compiles all rules below fsys; all of them or none.
// The error is Faults, or what kept a file from being read.
func Load(fsys fs.FS, maps []FieldMap, lists Lists) (*Set, error) {
	rules, err := Read(fsys)
	faults, ok := errors.AsType[Faults](err)
	if err != nil && !ok {
		return nil, err
	}
	set, err := Compile(rules, maps, lists)
	compiled, ok := errors.AsType[Faults](err)
	if err != nil && !ok {
		return nil, err
	}
	if all := append(faults, compiled...); len(all) > 0 {
		return nil, all.sorted()
	}
	return set, nil
}

// Compile puts rules together for sources with these fields. Where rules are faulty the error is Faults
// and the set has the others, so that one bad file in a folder need not be the end of all; a correlation
// is faulty if one of its rules is.
func Compile(rules []*Rule, maps []FieldMap, lists Lists) (*Set, error) {
	if err := checkMaps(maps); err != nil {
		return nil, err
	}
	if lists == nil {
		lists = StaticLists{}
	}
	byName := map[string]int{}
	l := &linker{set: &Set{lists: lists, byName: byName}, byName: byName, taken: map[string]*Rule{}}
	for i := range maps {
		l.set.programs = append(l.set.programs, &program{source: &maps[i], places: map[string]int{}})
	}
	l.singles(rules)
	l.correlations(rules)
	for _, p := range l.set.programs {
		p.index = newIndex(p.entries, p.places)
	}
	l.set.warnings = l.set.warnings.sorted()
	return l.set, l.faults.sorted().err()
}

// Rules are the rules by index. Neither the slice nor the rules may be changed.
func (s *Set) Rules() []*Rule { return s.rules }

// Index is the index of the rule with the name or id.
func (s *Set) Index(nameOrID string) (int, bool) {
	i, ok := s.byName[canonical(nameOrID)]
	return i, ok
}

// Warnings are rules that are right but doubtful.
func (s *Set) Warnings() Faults { return s.warnings }

// Alone says whether matches of the rule are findings by themselves. Those of a rule that a correlation
// puts together are not, unless the correlation says generate: true.
func (s *Set) Alone(rule int) bool { return s.alone[rule] }

// Correlations are the indices of the correlations, each behind those that it is made of.
func (s *Set) Correlations() []int { return s.order }

// Sources are the names of the field maps that the set was compiled for.
func (s *Set) Sources() []string {
	names := make([]string, len(s.programs))
	for i, p := range s.programs {
		names[i] = p.source.Name
	}
	return names
}

// Matcher evaluates the rules of a set on events of one source. It is for one goroutine at a time; a
// process has one per goroutine and source.
type Matcher struct {
	program    *program
	view       view
	candidates []uint64
	near       []uint64
}

// Matcher makes a matcher for events of the source; false where the set has no such field map.
func (s *Set) Matcher(source string) (*Matcher, bool) {
	i := slices.IndexFunc(s.programs, func(p *program) bool { return p.source.Name == source })
	if i < 0 {
		return nil, false
	}
	p := s.programs[i]
	return &Matcher{
		program:    p,
		view:       view{lists: s.lists, cells: make([]cell, len(p.paths))},
		candidates: make([]uint64, len(p.index.all)),
		near:       make([]uint64, len(p.index.all)),
	}, true
}

// Paths are what the matcher asks an event for, by place: every field that a rule, a correlation or an
// explanation needs. It must not be changed.
func (m *Matcher) Paths() []string { return m.program.paths }

// Place is where in Paths a field is, by its name in rules.
func (m *Matcher) Place(field string) (int, bool) {
	path, ok := m.program.source.path(field)
	if !ok {
		return 0, false
	}
	place, ok := m.program.places[path]
	return place, ok
}

// Match appends the indices of the rules that match, in rising order. Correlations are not among them.
func (m *Matcher) Match(dst []int, e Event) []int {
	m.view.begin(e)
	m.program.index.candidates(m.candidates, m.near, &m.view)
	for w, word := range m.candidates {
		for word != 0 {
			i := nextBit(&word)
			if e := &m.program.entries[w<<6|i]; e.match(&m.view) {
				dst = append(dst, e.rule)
			}
		}
	}
	m.view.event = nil
	return dst
}

// place is the place of a path, a new one if need be.
func (p *program) place(path string) int {
	i, ok := p.places[path]
	if !ok {
		i = len(p.paths)
		p.paths = append(p.paths, path)
		p.places[path] = i
	}
	return i
}

func (s *Set) sourcesText() string {
	parts := make([]string, len(s.programs))
	for i, p := range s.programs {
		parts[i] = p.source.Source.String()
	}
	return strings.Join(parts, "; ")
}
