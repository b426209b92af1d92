package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// linker makes a Set of rules: it finds who is meant by a name, and where fields are.
type linker struct {
	set    *Set
	faults Faults
	byName map[string]int // name or id, in lower case for ids, to index in the set
	taken  map[string]*Rule
}

func (l *linker) bad(r *Rule, p pos, format string, args ...any) {
	if p.line == 0 {
		p = pos{r.Line, 1}
	}
	f := Fault{File: r.File, Line: p.line, Column: p.column, Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(l.faults, f) { // the same for another source
		l.faults = append(l.faults, f)
	}
}

func (l *linker) warn(r *Rule, p pos, format string, args ...any) {
	f := Fault{File: r.File, Line: p.line, Column: p.column, Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(l.set.warnings, f) {
		l.set.warnings = append(l.set.warnings, f)
	}
}

// free says whether neither name nor id of the rule is another's, and takes them.
func (l *linker) free(r *Rule) bool {
	ok := true
	for _, x := range []struct {
		what, text string
		at         pos
	}{{"name", r.Name, r.places.name}, {"id", r.ID, r.places.id}} {
		if x.text == "" {
			continue
		}
		if first := l.taken[x.text]; first != nil {
			l.bad(r, x.at, "%s %s is taken by the rule %s in %s, line %d", x.what, shown(x.text), shown(first.Title), first.File, first.Line)
			ok = false
			continue
		}
		l.taken[x.text] = r
	}
	return ok
}

// add puts a rule that is good into the set.
func (l *linker) add(r *Rule) int {
	i := len(l.set.rules)
	l.set.rules = append(l.set.rules, r)
	l.set.alone = append(l.set.alone, true)
	for _, text := range []string{r.Name, r.ID} {
		if text != "" {
			l.byName[text] = i
		}
	}
	return i
}

// singles compiles the rules on single events.
func (l *linker) singles(rules []*Rule) {
	for _, r := range rules {
		if r.Correlation != nil {
			continue
		}
		if r.detection == nil || r.detection.condition == nil {
			l.bad(r, pos{}, "the rule was not read by Parse, so it has no condition")
			continue
		}
		before := len(l.faults)
		free := l.free(r)
		programs := l.programsFor(r)
		e := r.detection.condition
		l.judge(r, e)
		var compiled []entry
		for _, p := range programs {
			compiled = append(compiled, l.compile(r, e, p))
		}
		l.explained(r, programs)
		if !free || len(l.faults) > before {
			continue
		}
		i := l.add(r)
		for k, p := range programs {
			compiled[k].rule = i
			p.entries = append(p.entries, compiled[k])
		}
	}
}

// programsFor are the sources that the rule is about.
func (l *linker) programsFor(r *Rule) (found []*program) {
	if r.Status == Unsupported {
		l.bad(r, r.places.status, "status is unsupported: by its own word the rule cannot be used as it is")
	}
	if r.Status == Deprecated {
		l.warn(r, r.places.status, "status is deprecated: another rule has taken this one's place")
	}
	taxonomy := r.Taxonomy
	if taxonomy == "" {
		taxonomy = sigmaTaxonomy
	}
	spoken := false
	for _, p := range l.set.programs {
		if !r.LogSource.covers(p.source.Source) {
			continue
		}
		if p.source.taxonomy() != taxonomy {
			spoken = true
			continue
		}
		found = append(found, p)
	}
	switch {
	case len(found) > 0:
	case spoken:
		l.bad(r, r.places.taxonomy, "the rule uses field names of the taxonomy %s, which the source it is about does not have", taxonomy)
	default:
		l.bad(r, r.places.logsource, "no source has events of %s; there are: %s", r.LogSource, l.set.sourcesText())
	}
	return found
}

func (l *linker) judge(r *Rule, e *expr) {
	switch e.judge() {
	case always:
		l.bad(r, r.places.condition, "the condition holds for every event, so the rule would match all there are")
	case never:
		l.bad(r, r.places.condition, "the condition contradicts itself, so the rule can never match")
	case depends:
		if e.withoutFields() {
			l.warn(r, r.places.condition, "the condition says only what must not be there; it holds for every event without these fields")
		}
	}
}

// compile makes the entry for one source, and gives each field of the rule its place there.
func (l *linker) compile(r *Rule, e *expr, p *program) entry {
	c := &compiler{
		cache: map[*expr]predicate{},
		place: func(field string, at pos) int {
			path, ok := p.source.path(field)
			if !ok {
				l.bad(r, at, "%s", p.source.unknown(field))
				return 0
			}
			return p.place(path)
		},
		list: func(name string, at pos) {
			if l.set.lists.List(name) == nil {
				l.bad(r, at, "there is no list %%%s%%; make it first", name)
			}
		},
	}
	x := entry{match: c.expr(e)}
	for _, need := range e.required() {
		if path, ok := p.source.path(need.field); ok {
			need.field = path
			x.need = append(x.need, need)
		}
	}
	for _, field := range r.Fields { // shown with a finding; that one is missing harms nothing
		if path, ok := p.source.path(field); ok {
			p.place(path)
		} else {
			l.warn(r, pos{r.Line, 1}, "fields: %s", p.source.unknown(field))
		}
	}
	return x
}

// explained gives places to the fields that the sentences of the rule name.
func (l *linker) explained(r *Rule, programs []*program) {
	for _, language := range slices.Sorted(maps.Keys(r.Explain)) {
		for _, name := range r.Explain[language].Names() {
			for _, p := range programs {
				if path, ok := p.source.path(name); ok {
					p.place(path)
				} else {
					l.bad(r, r.places.explain[language], "explain.%s: %s", language, p.source.unknown(name))
				}
			}
		}
	}
}

// state of a correlation while those that it uses are looked at.
type state uint8

const (
	untouched state = iota
	underway
	done
)

// correlations links the correlations, each behind those that it uses.
func (l *linker) correlations(rules []*Rule) {
	byName := map[string]*Rule{}
	var all []*Rule
	for _, r := range rules {
		if r.Correlation == nil {
			continue
		}
		if !l.free(r) {
			continue
		}
		all = append(all, r)
		for _, text := range []string{r.Name, r.ID} {
			if text != "" {
				byName[text] = r
			}
		}
	}
	states := map[*Rule]state{}
	var visit func(r *Rule, trail []string)
	visit = func(r *Rule, trail []string) {
		states[r] = underway
		trail = append(trail, r.Key())
		good := true
		for _, ref := range r.Correlation.refs {
			other := byName[canonical(ref.text)]
			if other == nil {
				continue
			}
			if states[other] == underway {
				l.bad(r, ref.pos, "correlations in a circle: %s", strings.Join(append(trail, other.Key()), " uses "))
				good = false
			} else if states[other] == untouched {
				visit(other, trail)
			}
		}
		states[r] = done
		if good {
			l.link(r)
		}
	}
	for _, r := range all {
		if states[r] == untouched {
			visit(r, nil)
		}
	}
}

// canonical is a reference in the form of names and ids: ids are in lower case.
func canonical(text string) string {
	if isUUID(text) {
		return strings.ToLower(text)
	}
	return text
}

// link resolves one correlation and puts it into the set.
func (l *linker) link(r *Rule) {
	before := len(l.faults)
	c := *r.Correlation
	c.Inputs = nil
	for _, ref := range c.refs {
		i, ok := l.byName[canonical(ref.text)]
		if !ok {
			if l.taken[canonical(ref.text)] != nil {
				l.bad(r, ref.pos, "rule %s is faulty itself", shown(ref.text))
			} else {
				l.bad(r, ref.pos, "there is no rule with the name or id %s%s", shown(ref.text), meant(ref.text, slices.Sorted(maps.Keys(l.byName))))
			}
			continue
		}
		if k := slices.IndexFunc(c.Inputs, func(in Input) bool { return in.Rule == i }); k >= 0 {
			l.bad(r, ref.pos, "%s is the rule that stands here as %s already", shown(ref.text), shown(c.refs[k].text))
			continue
		}
		in := Input{Rule: i}
		in.Group = l.inputFields(r, &c, ref, i, c.GroupBy, c.places.group)
		in.Values = l.inputFields(r, &c, ref, i, c.values, c.places.values)
		c.Inputs = append(c.Inputs, in)
	}
	l.aliased(r, &c)
	for _, language := range slices.Sorted(maps.Keys(r.Explain)) {
		for _, name := range r.Explain[language].Names() {
			if known := append([]string{"count", "timespan"}, c.GroupBy...); !slices.Contains(known, name) {
				l.bad(r, r.places.explain[language], "explain.%s names %s; a correlation has %s", language, shown(name), strings.Join(known, ", "))
			}
		}
	}
	if len(l.faults) > before {
		return
	}
	if c.Threshold.Holds(1) {
		l.warn(r, c.places.section, "one event alone meets the condition")
	}
	linked := *r
	linked.Correlation = &c
	l.set.order = append(l.set.order, l.add(&linked))
	for _, in := range c.Inputs {
		l.set.alone[in.Rule] = l.generated(in.Rule)
	}
}

// generated says whether one of the correlations so far wants the rule's matches as findings, too.
func (l *linker) generated(rule int) bool {
	for _, i := range l.set.order {
		c := l.set.rules[i].Correlation
		if c.Generate && slices.ContainsFunc(c.Inputs, func(in Input) bool { return in.Rule == rule }) {
			return true
		}
	}
	return false
}

// aliased checks that aliases are about rules of the correlation, and about each of them once.
func (l *linker) aliased(r *Rule, c *Correlation) {
	for _, a := range c.aliases {
		for text, at := range a.at {
			i, ok := l.byName[canonical(text)]
			if !ok || !slices.ContainsFunc(c.refs, func(ref reference) bool {
				k, ok := l.byName[canonical(ref.text)]
				return ok && k == i
			}) {
				l.bad(r, at, "alias %s names the rule %s, which is not among rules", a.name, shown(text))
				continue
			}
			for other := range a.at {
				if k, ok := l.byName[canonical(other)]; ok && k == i && other < text {
					l.bad(r, at, "alias %s names the rule %s as %s already", a.name, shown(text), shown(other))
				}
			}
		}
	}
}

// of is the field that stands for the alias in the rule with this index, or empty.
func (a *alias) of(byName map[string]int, rule int) string {
	for text, field := range a.fields {
		if i, ok := byName[canonical(text)]; ok && i == rule {
			return field
		}
	}
	return ""
}

// inputFields are the fields of the input for these names: what an alias says, else the name itself.
func (l *linker) inputFields(r *Rule, c *Correlation, ref reference, input int, names []string, at []pos) []string {
	fields := make([]string, 0, len(names))
	for i, name := range names {
		field := name
		if k := slices.IndexFunc(c.aliases, func(a alias) bool { return a.name == name }); k >= 0 {
			field = c.aliases[k].of(l.byName, input)
			if field == "" {
				l.bad(r, c.aliases[k].pos, "alias %s says nothing for the rule %s", name, shown(ref.text))
				continue
			}
		}
		fields = append(fields, field)
		l.reachable(r, at[i], input, field)
	}
	return fields
}

// reachable checks that what the input hands on has the field, and gives it a place.
func (l *linker) reachable(r *Rule, at pos, input int, field string) {
	rule := l.set.rules[input]
	if c := rule.Correlation; c != nil {
		if !slices.Contains(c.GroupBy, field) {
			l.bad(r, at, "the correlation %s has no field %s; it has those of its group-by: %s", shown(rule.Key()), shown(field), strings.Join(c.GroupBy, ", "))
		}
		return
	}
	for _, p := range l.set.programs {
		if !slices.ContainsFunc(p.entries, func(e entry) bool { return e.rule == input }) {
			continue
		}
		if path, ok := p.source.path(field); ok {
			p.place(path)
		} else {
			l.bad(r, at, "%s", p.source.unknown(field))
		}
	}
}
