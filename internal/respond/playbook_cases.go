package respond

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"holdfast/internal/detect"
)

// tests reads the cases of a playbook.
func (r *playbookReader) tests(v *yaml.Node) {
	if v.Kind != yaml.SequenceNode || len(v.Content) > maxTestCases {
		r.Bad(v, "tests must be a list of %d cases at most", maxTestCases)
		return
	}
	lines := map[string]int{}
	for _, n := range v.Content {
		c := TestCase{Line: n.Line}
		r.read(n, "a test", readers{
			"name":    func(v *yaml.Node) { c.Name = r.YAML.Text(v, "the name of a test", maxTitle) },
			"finding": func(v *yaml.Node) { c.Given.Finding = r.facts(v, "finding", caseTypes("finding", "time", "last")) },
			"event":   func(v *yaml.Node) { c.Given.Event = r.facts(v, "event", caseTypes("event")) },
			"user":    func(v *yaml.Node) { r.caseUser(v, &c.Given) },
			"state":   func(v *yaml.Node) { c.Given.State = r.caseState(v) },
			"given":   func(v *yaml.Node) { r.given(v, &c.Given) },
			"expect":  func(v *yaml.Node) { r.expected(v, &c.Want) },
		}, "name", "expect")
		if first, twice := lines[c.Name]; twice && c.Name != "" {
			r.Bad(n, "a test called %s is in line %d already", detect.Shown(c.Name), first)
		}
		lines[c.Name] = n.Line
		r.caseFinding(n, &c.Given)
		r.p.Tests = append(r.p.Tests, c)
	}
}

// caseTypes are the types of the names of a group, in words, without some.
func caseTypes(root string, without ...string) map[string]string {
	all := map[string]string{}
	for name, t := range exprTypes()[root] {
		if !slices.Contains(without, name) {
			all[name] = typeWord(t.Nature().Type)
		}
	}
	return all
}

// facts reads values by name, each of its type.
func (r *playbookReader) facts(v *yaml.Node, what string, types map[string]string) map[string]any {
	all := map[string]any{}
	known := readers{}
	for name, kind := range types {
		known[name] = func(v *yaml.Node) {
			if x := r.fact(v, what+"."+name, kind); x != nil {
				all[name] = x
			}
		}
	}
	names := slices.Sorted(maps.Keys(known))
	r.Keys(v, what, func(name string, k, v *yaml.Node) {
		if get := known[name]; get != nil {
			get(v)
			return
		}
		hint := detect.Meant(name, names)
		if hint == "" && len(names) < 30 {
			hint = "; known are " + strings.Join(names, ", ")
		}
		r.Bad(k, "unknown name %s%s", detect.Shown(what+"."+name), hint)
	})
	return all
}

func (r *playbookReader) fact(v *yaml.Node, what, kind string) any {
	if kind == "a list of texts" {
		texts := r.Texts(v, what, nil)
		return slices.Concat([]string{}, texts)
	}
	s := r.YAML.Text(v, what, maxDescription)
	if s == "" {
		return nil
	}
	var x any
	var err error
	switch kind {
	case "true or false":
		if s != "true" && s != "false" {
			err = strconv.ErrSyntax
		}
		x = s == "true"
	case "a whole number":
		x, err = strconv.ParseInt(s, 10, 64)
	case "a number":
		x, err = strconv.ParseFloat(s, 64)
	case "a time":
		x, err = time.Parse(time.RFC3339, s)
	default:
		x = s
	}
	if err != nil {
		if kind == "a time" {
			kind += " such as 2026-01-14T10:00:00Z"
		}
		r.Bad(v, "%s is %s; it must be %s", what, detect.Shown(s), kind)
		return nil
	}
	if what == "user.state" || what == "finding.level" {
		root, name, _ := strings.Cut(what, ".")
		r.OneOf(v, what, closed(field{root, name}))
	}
	return x
}

// caseUser reads user: the facts about a person, or the word nobody.
func (r *playbookReader) caseUser(v *yaml.Node, g *Given) {
	if v.Kind == yaml.ScalarNode && v.Value == "nobody" {
		g.Nobody = true
		return
	}
	if v.Kind != yaml.MappingNode {
		r.Bad(v, "user must be keys with values, or the word nobody")
		return
	}
	types := caseTypes("user", "matched")
	types["last_owner"] = "true or false"
	g.User = r.facts(v, "user", types)
	g.LastOwner, _ = g.User["last_owner"].(bool)
	delete(g.User, "last_owner")
}

// caseState reads state; an alias stands for the feature's own name.
func (r *playbookReader) caseState(v *yaml.Node) map[string]any {
	all := r.facts(v, "state", caseTypes("state"))
	for alias, name := range stateAliases() {
		x, ok := all[alias]
		if !ok {
			continue
		}
		if _, both := all[name]; both {
			r.Bad(v, "state.%s and state.%s are the same; write one of them", alias, name)
		}
		all[name] = x
		delete(all, alias)
	}
	return all
}

// caseFinding fills in rule and level, and refuses a finding that the playbook is not for.
func (r *playbookReader) caseFinding(n *yaml.Node, g *Given) {
	on := r.p.On
	if g.Finding == nil {
		g.Finding = map[string]any{}
	}
	if g.Finding["rule"] == nil {
		if len(on.Rules) != 1 || len(on.Levels) > 0 {
			r.Bad(n, "the test does not say of which rule its finding is; write finding: {rule: NAME}")
			return
		}
		g.Finding["rule"] = on.Rules[0]
	}
	if g.Finding["level"] == nil {
		level := detect.High
		if len(on.Levels) > 0 && !slices.Contains(on.Levels, level) {
			level = on.Levels[0]
		}
		g.Finding["level"] = string(level)
	}
	rule, _ := g.Finding["rule"].(string)
	level, _ := g.Finding["level"].(string)
	if !on.Meets(rule, detect.Level(level)) && len(on.Rules)+len(on.Levels) > 0 {
		r.Bad(n, "the playbook is not for findings of rule %s at level %s", rule, level)
	}
}

// given reads what is said beside the facts of the finding.
func (r *playbookReader) given(v *yaml.Node, g *Given) {
	people := func(into *int, what string) func(*yaml.Node) {
		return func(v *yaml.Node) { *into = int(r.number(v, what, 0, maxPeopleLimit)) }
	}
	r.read(v, "given", readers{
		"event_age":   func(v *yaml.Node) { g.EventAge = r.span(v, "given.event_age", 0, 365*24*time.Hour) },
		"trust":       func(v *yaml.Node) { g.Trust = r.trust(v, "given.trust") },
		"kill_switch": func(v *yaml.Node) { g.Kill = r.yes(v, "given.kill_switch") },
		"ran":         func(v *yaml.Node) { g.Ran = r.span(v, "given.ran", time.Second, 365*24*time.Hour) },
		"suspended":   people(&g.Suspended, "given.suspended"),
		"held":        people(&g.Held, "given.held"),
		"active":      people(&g.Active, "given.active"),
	})
}

// stopping are the checks at which a test can see a run stop, and holding those at which it is held.
func stopping() []CheckName {
	return []CheckName{CheckKill, CheckAge, CheckTrust, CheckWhen, CheckDedupe, CheckProtected, CheckBlast}
}

func holding() []CheckName { return []CheckName{CheckKill, CheckBlast} }

func (r *playbookReader) expected(v *yaml.Node, e *Expected) {
	p := r.p
	at := r.read(v, "expect", readers{
		"acts": func(v *yaml.Node) {
			if v.Kind != yaml.SequenceNode || len(v.Content) == 0 {
				r.Bad(v, "expect.acts must be a list of steps, such as [suspend, notify]")
				return
			}
			for _, n := range v.Content { // a step may stand there twice
				kind := StepKind(r.OneOf(n, "an entry of expect.acts", words(StepKinds())))
				if kind != "" && !p.Has(kind) {
					r.Bad(n, "expect.acts has %s, and the playbook has no such step", kind)
				}
				e.Acts = append(e.Acts, kind)
			}
		},
		"stops_at": func(v *yaml.Node) { e.Stops = r.check(v, "expect.stops_at", stopping()) },
		"holds_at": func(v *yaml.Node) { e.Holds = r.check(v, "expect.holds_at", holding()) },
		"asks":     func(v *yaml.Node) { e.Asks = Order(r.OneOf(v, "expect.asks", words([]Order{Before, After}))) },
		"code":     func(v *yaml.Node) { e.Code = r.YAML.Text(v, "expect.code", maxWord) },
	})
	if v.Kind != yaml.MappingNode {
		return
	}
	outcomes := 0
	for _, name := range []string{"acts", "stops_at", "holds_at", "asks"} {
		if at[name] != nil {
			outcomes++
		}
	}
	switch {
	case e.Asks == After && outcomes == 2 && at["acts"] != nil:
	case e.Asks == After:
		r.Bad(v, "an approval that is asked for afterwards goes with acts: what is done before")
	case outcomes != 1:
		r.Bad(v, "expect must have one of acts, stops_at, holds_at and asks; this has %d", outcomes)
	}
	switch {
	case at["code"] != nil && at["stops_at"] == nil && at["holds_at"] == nil:
		r.Bad(at["code"], "code goes with stops_at or holds_at: it is that of the check")
	case e.Stops == CheckWhen && r.at["when"] == nil:
		r.Bad(at["stops_at"], "the playbook has no when, so nothing stops there")
	case e.Stops == CheckDedupe && r.at["dedupe"] == nil:
		r.Bad(at["stops_at"], "the playbook has no dedupe, so nothing stops there")
	case e.Asks != "" && (p.Approval == nil || p.Approval.Order != e.Asks):
		r.Bad(at["asks"], "the playbook has no approval of that order")
	}
}

func (r *playbookReader) check(v *yaml.Node, what string, known []CheckName) CheckName {
	if v.Kind == yaml.ScalarNode && v.Value == string(CheckMode) {
		r.Bad(v, "%s is mode; tests are made as if the mode were enforce", what)
		return ""
	}
	return CheckName(r.OneOf(v, what, words(known)))
}
