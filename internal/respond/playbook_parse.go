package respond

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"holdfast/internal/detect"
)

// What a playbook may hold at most.
const (
	maxSteps       = 20
	maxTestCases   = 100
	maxDescription = 4_000
	maxTitle       = 200
	maxWord        = 100 // characters of a name of somebody or something
	maxPeopleLimit = 100_000
)

// ParsePlaybooks reads a file of playbooks: one or more YAML documents. It returns those that are good, and
// [detect.Faults] with all that is wrong, each with its place. Whether rules, targets and channels exist is for
// [CheckPlaybooks] to say.
func ParsePlaybooks(file string, text []byte) ([]*Playbook, error) {
	y := detect.NewYAML(file)
	var all []*Playbook
	lines := map[string]int{}
	for _, doc := range y.All(text) {
		before := y.Count()
		r := &playbookReader{YAML: y, p: &Playbook{File: file, Line: doc.Line, Text: y.Source(doc.Line)}}
		r.playbook(doc)
		if first, twice := lines[r.p.Name]; twice && r.p.Name != "" {
			y.Bad(doc, "a playbook called %s is in line %d already; names must differ", r.p.Name, first)
		}
		lines[r.p.Name] = doc.Line
		if y.Count() == before {
			all = append(all, r.p)
		}
	}
	return all, y.Err()
}

// playbookReader reads one document.
type playbookReader struct {
	*detect.YAML
	p     *Playbook
	at    map[string]*yaml.Node // the keys of the document
	steps map[*Step]*yaml.Node  // where a step begins
}

// readers read the values of the keys of a mapping.
type readers map[string]func(v *yaml.Node)

// read goes through a mapping, refuses what is unknown or missing, and returns the keys' nodes.
func (r *playbookReader) read(n *yaml.Node, what string, known readers, must ...string) map[string]*yaml.Node {
	at := map[string]*yaml.Node{}
	names := slices.Sorted(maps.Keys(known))
	r.Keys(n, what, func(name string, k, v *yaml.Node) {
		at[name] = k
		get, ok := known[name]
		if !ok {
			r.Bad(k, "unknown key %s in %s%s; known are %s", detect.Shown(name), what, detect.Meant(name, names), strings.Join(names, ", "))
			return
		}
		get(v)
	})
	if n.Kind == yaml.MappingNode {
		for _, name := range must {
			if at[name] == nil {
				r.Bad(n, "%s is missing in %s", name, what)
			}
		}
	}
	return at
}

func (r *playbookReader) playbook(doc *yaml.Node) {
	p := r.p
	r.steps = map[*Step]*yaml.Node{}
	at := r.read(doc, "the playbook", readers{
		"apiVersion": func(v *yaml.Node) { r.fixed(v, "apiVersion", APIVersion) },
		"kind":       func(v *yaml.Node) { r.fixed(v, "kind", PlaybookKind) },
		"metadata":   r.metadata,
		"mode": func(v *yaml.Node) {
			p.places.mode = placeOf(v)
			p.Mode = Mode(r.OneOf(v, "mode", words(Modes())))
		},
		"on":         r.trigger,
		"when":       func(v *yaml.Node) { p.When = r.condition(v, "when") },
		"dedupe":     r.dedupe,
		"approval":   r.approval,
		"do":         func(v *yaml.Node) { p.Do = r.stepList(v, "do") },
		"on_release": func(v *yaml.Node) { p.OnRelease = r.stepList(v, "on_release") },
		"guard":      r.guard,
		"tests":      func(*yaml.Node) {}, // below: they need all else
	}, "apiVersion", "kind", "metadata", "mode", "on", "do")
	if doc.Kind != yaml.MappingNode {
		return
	}
	r.at = at
	r.combinations()
	if at["tests"] != nil {
		for i := 0; i+1 < len(doc.Content); i += 2 {
			if doc.Content[i] == at["tests"] {
				r.tests(doc.Content[i+1])
			}
		}
	}
}

func (r *playbookReader) metadata(v *yaml.Node) {
	p := r.p
	r.read(v, "metadata", readers{
		"name": func(v *yaml.Node) {
			p.places.name = placeOf(v)
			p.Name = r.name(v, "metadata.name")
		},
		"owner":       func(v *yaml.Node) { p.Owner = r.YAML.Text(v, "metadata.owner", maxWord) },
		"description": func(v *yaml.Node) { p.Description = r.YAML.Text(v, "metadata.description", maxDescription) },
	}, "name")
}

// trigger reads `on: [rule, …]`, or `on: {rules: [rule, …], levels: [high, …], except: [rule, …]}`.
func (r *playbookReader) trigger(v *yaml.Node) {
	on := &r.p.On
	r.p.places.on = placeOf(v)
	rule := func(n *yaml.Node, s string) { r.outside("rule", n, s) }
	if v.Kind == yaml.SequenceNode {
		if on.Rules = r.Texts(v, "on", rule); len(v.Content) == 0 {
			r.Bad(v, "on is empty: the playbook would never run; write the rules, or {levels: [high, critical]}")
		}
		return
	}
	if v.Kind != yaml.MappingNode {
		r.Bad(v, "on must be a list of rules, or {levels: [high, critical]}")
		return
	}
	at := r.read(v, "on", readers{
		"rules": func(v *yaml.Node) { on.Rules = r.Texts(v, "on.rules", rule) },
		"levels": func(v *yaml.Node) {
			for _, s := range r.Texts(v, "on.levels", func(n *yaml.Node, _ string) { r.OneOf(n, "an entry of on.levels", levelWords()) }) {
				on.Levels = append(on.Levels, detect.Level(s))
			}
		},
		"except": func(v *yaml.Node) { on.Except = r.Texts(v, "on.except", rule) },
	})
	switch {
	case len(on.Rules) == 0 && len(on.Levels) == 0:
		r.Bad(v, "on names neither rules nor levels: the playbook would never run")
	case at["except"] != nil && len(on.Levels) == 0:
		r.Bad(at["except"], "except takes rules out of levels, and there are no levels")
	}
	for _, name := range on.Except {
		if slices.Contains(on.Rules, name) {
			r.Bad(at["except"], "%s is in rules and in except", detect.Shown(name))
		}
	}
}

func (r *playbookReader) dedupe(v *yaml.Node) {
	d := &r.p.Dedupe
	r.read(v, "dedupe", readers{
		"key": func(v *yaml.Node) {
			if text, ok := r.expression(v, "dedupe.key"); ok {
				key, err := compileKey(text)
				r.expressionFault(v, "dedupe.key", err)
				d.Key = key
			}
		},
		"window": func(v *yaml.Node) { d.Window = r.span(v, "dedupe.window", time.Minute, 30*24*time.Hour) },
	}, "key", "window")
}

func (r *playbookReader) approval(v *yaml.Node) {
	a := &ApprovalRule{Needed: 1}
	r.p.Approval = a
	r.read(v, "approval", readers{
		"when":  func(v *yaml.Node) { a.When = r.condition(v, "approval.when") },
		"order": func(v *yaml.Node) { a.Order = Order(r.OneOf(v, "approval.order", words([]Order{Before, After}))) },
		"from": func(v *yaml.Node) {
			at := r.read(v, "approval.from", readers{
				"groups": func(v *yaml.Node) { a.Groups = r.Texts(v, "approval.from.groups", nil) },
				"not": func(v *yaml.Node) {
					r.Texts(v, "approval.from.not", func(n *yaml.Node, _ string) { r.OneOf(n, "an entry of approval.from.not", []string{"self"}) })
					a.NotSelf = true
				},
			}, "groups")
			if at["groups"] != nil && len(a.Groups) == 0 {
				r.Bad(at["groups"], "approval.from.groups is empty: nobody could answer")
			}
		},
		"needed":  func(v *yaml.Node) { a.Needed = int(r.number(v, "approval.needed", 1, 2)) },
		"timeout": func(v *yaml.Node) { a.Timeout = r.span(v, "approval.timeout", time.Minute, 7*24*time.Hour) },
		"on_timeout": func(v *yaml.Node) {
			a.OnTimeout = OnTimeout(r.OneOf(v, "approval.on_timeout", words([]OnTimeout{TimeoutDeny, TimeoutApprove, TimeoutHold})))
		},
	}, "order", "from", "timeout", "on_timeout")
}

func (r *playbookReader) guard(v *yaml.Node) {
	g := &r.p.Guard
	at := r.read(v, "guard", readers{
		"max_people": func(v *yaml.Node) { g.MaxPeople = int(r.number(v, "guard.max_people", 1, maxPeopleLimit)) },
		"window":     func(v *yaml.Node) { g.Window = r.span(v, "guard.window", time.Minute, 30*24*time.Hour) },
		"max_share": func(v *yaml.Node) {
			text := r.YAML.Text(v, "guard.max_share", maxWord)
			share, err := strconv.ParseFloat(text, 64)
			if text != "" && (err != nil || !(share > 0 && share <= 100)) {
				r.Bad(v, "guard.max_share is %s; it must be a number of percent over 0 and up to 100", detect.Shown(text))
				return
			}
			g.MaxShare = share
		},
		"max_event_age":    func(v *yaml.Node) { g.MaxEventAge = r.span(v, "guard.max_event_age", time.Second, 24*time.Hour) },
		"min_trust":        func(v *yaml.Node) { g.MinTrust = r.trust(v, "guard.min_trust") },
		"protected_groups": func(v *yaml.Node) { g.ProtectedGroups = r.Texts(v, "guard.protected_groups", nil) },
	})
	switch {
	case v.Kind == yaml.MappingNode && len(v.Content) == 0:
		r.Bad(v, "guard is empty; leave it out: the guard rails of the account count anyway")
	case (at["max_people"] == nil) != (at["window"] == nil):
		r.Bad(v, "guard.max_people and guard.window belong together: so many people within so long")
	}
}

// trust reads the name of a level of trust.
func (r *playbookReader) trust(v *yaml.Node, what string) Trust {
	return map[string]Trust{"sent": TrustSent, "asked": TrustAsked, "own": TrustOwn}[r.OneOf(v, what, []string{"sent", "asked", "own"})]
}

// fixed wants one word.
func (r *playbookReader) fixed(v *yaml.Node, what, want string) {
	if s := r.YAML.Text(v, what, maxWord); s != "" && s != want {
		r.Bad(v, "%s is %s; this version reads %s", what, detect.Shown(s), want)
	}
}

// name is a name that people write in commands and files.
func (r *playbookReader) name(v *yaml.Node, what string) string {
	s := r.YAML.Text(v, what, maxWord)
	if s != "" && !regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`).MatchString(s) {
		r.Bad(v, "%s is %s; it must begin with a lower-case letter and have lower-case letters, digits and hyphens, 63 at most", what, detect.Shown(s))
		return ""
	}
	return s
}

// condition compiles a condition in a single value.
func (r *playbookReader) condition(v *yaml.Node, what string) Condition {
	text, ok := r.expression(v, what)
	if !ok {
		return Condition{}
	}
	c, err := compileCondition(text)
	r.expressionFault(v, what, err)
	return c
}

// expression is the text of an expression. YAML's own true and 1 are expressions as well.
func (r *playbookReader) expression(v *yaml.Node, what string) (string, bool) {
	if s := r.YAML.Text(v, what, maxExpression); s == "" || len(s) > maxExpression {
		return "", false // it has been said
	}
	return v.Value, true
}

func (r *playbookReader) expressionFault(v *yaml.Node, what string, err error) {
	if err == nil {
		return
	}
	offset := 0
	if f, ok := errors.AsType[*exprFault](err); ok {
		offset = f.offset
	}
	r.BadInside(v, offset, "%s: %v", what, err)
}

// span reads a length of time: a whole number with s, m, h or d.
func (r *playbookReader) span(v *yaml.Node, what string, least, most time.Duration) time.Duration {
	s := r.YAML.Text(v, what, maxWord)
	if s == "" {
		return 0
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	unit := units[s[len(s)-1]]
	n, err := strconv.ParseInt(s[:len(s)-1], 10, 32)
	switch {
	case err != nil || unit == 0 || n < 0 || s[0] == '+':
		r.Bad(v, "%s is %s; write a whole number with s, m, h or d, such as 30m or 24h", what, detect.Shown(s))
		return 0
	case time.Duration(n) > most/unit || time.Duration(n)*unit < least:
		r.Bad(v, "%s is %s; it must be from %s to %s", what, s, spanText(least), spanText(most))
		return 0
	}
	return time.Duration(n) * unit
}

// spanText is a length of time as it is written in a playbook.
func spanText(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}} {
		if d > 0 && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// number reads a whole number.
func (r *playbookReader) number(v *yaml.Node, what string, least, most int64) int64 {
	s := r.YAML.Text(v, what, maxWord)
	if s == "" {
		return least
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > most || s[0] == '+' {
		r.Bad(v, "%s is %s; it must be a whole number from %d to %d", what, detect.Shown(s), least, most)
		return least
	}
	return n
}

// yes reads true or false.
func (r *playbookReader) yes(v *yaml.Node, what string) bool {
	return r.OneOf(v, what, []string{"true", "false"}) == "true"
}

// outside notes a name of something that is not in the file.
func (r *playbookReader) outside(what string, n *yaml.Node, name string) {
	r.p.places.words = append(r.p.places.words, placed{what, name, placeOf(n)})
}

func placeOf(n *yaml.Node) place { return place{n.Line, n.Column} }

// words are values of a type of texts as texts.
func words[S ~string](all []S) []string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = string(s)
	}
	return texts
}
