package detect

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// detection is the section of that name: searches by identifier, and how they are put together.
type detection struct {
	condition *expr // of searches written out
}

// search is one search identifier.
type search struct {
	name string
	node *yaml.Node // of the name
	expr *expr      // nil where it was faulty
	used bool
}

// op is what an expr does with its kids.
type op uint8

const (
	opAtom op = iota
	opAnd
	opOr
	opNot
)

// expr is a condition as a tree of predicates. Subtrees may be shared; nothing changes them once read.
type expr struct {
	op   op
	kids []*expr
	atom *atom
}

func (r *reader) detection(rule *Rule, k, v *yaml.Node) {
	var searches []*search
	var condition *yaml.Node
	r.keys(v, "detection", func(name string, k, v *yaml.Node) {
		switch name {
		case "condition":
			condition = v
		case "timeframe":
			r.bad(k, "timeframe is of Sigma 1; write a correlation document with timespan")
		default:
			if !isIdentifier(name) {
				r.bad(k, "%s cannot be the name of a search: use letters, digits, _ and -, and none of the words of a condition", shown(name))
				return
			}
			searches = append(searches, &search{name: name, node: k, expr: r.search(v)})
		}
	})
	d := &detection{}
	rule.detection = d
	switch {
	case v.Kind != yaml.MappingNode:
		return
	case condition == nil:
		r.bad(k, "detection has no condition; the simplest is condition: selection")
		return
	case condition.Kind == yaml.SequenceNode:
		r.bad(condition, "condition is a list, which Sigma 2 no longer has; put the parts together by or, or write a rule each")
		return
	case condition.Kind != yaml.ScalarNode || isNull(condition):
		r.bad(condition, "condition must be a text, not %s", kindOf(condition))
		return
	}
	rule.places.condition = pos{condition.Line, condition.Column}
	d.condition = r.condition(condition, searches)
	for _, s := range searches {
		if !s.used {
			r.bad(s.node, "search %s is not used in the condition; use it or remove it", s.name)
		}
	}
}

// search reads what stands below an identifier: keys (all must hold), or a list of keys and of texts (one
// must). A text without a field is looked for in all texts of the event.
func (r *reader) search(v *yaml.Node) *expr {
	switch {
	case v.Kind == yaml.MappingNode:
		if len(v.Content) == 0 {
			r.bad(v, "an empty search; name at least one field")
			return nil
		}
		all := &expr{op: opAnd}
		good := true
		r.keys(v, "a search", func(_ string, k, v *yaml.Node) {
			e := r.predicate(k, v)
			good = good && e != nil
			all.kids = append(all.kids, e)
		})
		return whole(all, good)
	case v.Kind == yaml.SequenceNode:
		if len(v.Content) == 0 {
			r.bad(v, "an empty list; it would match nothing")
			return nil
		}
		some := &expr{op: opOr}
		good := true
		var words []*yaml.Node
		for _, e := range v.Content {
			if e.Kind == yaml.ScalarNode {
				words = append(words, e)
				continue
			}
			if e.Kind == yaml.SequenceNode {
				r.bad(e, "a list in a list; write one list")
				good = false
				continue
			}
			kid := r.search(e)
			good = good && kid != nil
			some.kids = append(some.kids, kid)
		}
		if len(words) > 0 {
			a := &atom{way: byContains, pos: pos{v.Line, v.Column}}
			good = r.values(a, words, v) && good
			some.kids = append(some.kids, &expr{atom: a})
		}
		return whole(some, good)
	case isNull(v):
		r.bad(v, "an empty search; name at least one field")
		return nil
	default:
		a := &atom{way: byContains, pos: pos{v.Line, v.Column}}
		return whole(&expr{atom: a}, r.values(a, []*yaml.Node{v}, v))
	}
}

func whole(e *expr, good bool) *expr {
	if !good {
		return nil
	}
	if len(e.kids) == 1 && e.op != opNot {
		return e.kids[0]
	}
	return e
}

// predicate reads "field|modifiers: values".
func (r *reader) predicate(k, v *yaml.Node) *expr {
	a := &atom{pos: pos{k.Line, k.Column}}
	var parts []string
	a.field, parts = cutKey(k.Value)
	if a.field != "" && !isFieldName(a.field) {
		r.bad(k, "%s is not the name of a field", shown(a.field))
		return nil
	}
	if !r.modifiers(a, k, parts) {
		return nil
	}
	values := []*yaml.Node{v}
	switch v.Kind {
	case yaml.SequenceNode:
		values = v.Content
		if len(values) == 0 {
			r.bad(v, "an empty list; it would match nothing")
			return nil
		}
	case yaml.MappingNode:
		r.bad(v, "%s has keys below it; for a field within a field write the name with dots", shown(k.Value))
		return nil
	}
	if a.all && len(values) < 2 {
		r.bad(k, "all is for lists with more than one value; leave it out")
		return nil
	}
	if !r.values(a, values, v) {
		return nil
	}
	return &expr{atom: a}
}

func cutKey(key string) (field string, modifiers []string) {
	parts := strings.Split(key, "|")
	return parts[0], parts[1:]
}

// scalar is a value of a rule.
type scalar struct {
	kind   Kind // Text, Int, Float, Bool or Null
	text   string
	number float64
	node   *yaml.Node
}

// scalar reads one value. What YAML itself is in two minds about, or reads as something other than what
// stands there, is refused: a rule must not depend on the reader's version of YAML.
func (r *reader) scalar(n *yaml.Node) (scalar, bool) {
	s := scalar{kind: Text, text: n.Value, node: n}
	if n.Kind != yaml.ScalarNode {
		r.bad(n, "%s where a value must be", kindOf(n))
		return s, false
	}
	if !plain(n) {
		return s, true
	}
	switch tag := n.ShortTag(); tag {
	case "!!null":
		s.kind = Null
	case "!!bool":
		s.kind, s.text = Bool, strings.ToLower(n.Value)
	case "!!int":
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || strconv.FormatInt(i, 10) != n.Value {
			r.bad(n, "%s is a number that is written in a way of its own; write it in decimal, or in quotes if the text is meant", n.Value)
			return s, false
		}
		s.kind, s.number = Int, float64(i)
	case "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || floatText(f) != n.Value {
			r.bad(n, "%s is a number that reads back as another text; write it in quotes if the text is meant, else without needless digits", n.Value)
			return s, false
		}
		s.kind, s.number = Float, f
	case "!!str":
		switch strings.ToLower(n.Value) {
		case "yes", "no", "on", "off":
			r.bad(n, "%s is a text in YAML 1.2 and true or false in YAML 1.1; write it in quotes, or true or false", n.Value)
			return s, false
		}
		if isSexagesimal(n.Value) {
			r.bad(n, "%s is a text in YAML 1.2 and a number to the base 60 in YAML 1.1; write it in quotes", n.Value)
			return s, false
		}
	default:
		r.bad(n, "%s is a %s to YAML; write it in quotes", n.Value, strings.TrimPrefix(tag, "!!"))
		return s, false
	}
	return s, true
}

// isSexagesimal says whether YAML 1.1 takes a text for a number to the base 60, such as 12:30.
func isSexagesimal(s string) bool {
	digits := strings.Split(strings.TrimLeft(s, "+-"), ":")
	if len(digits) < 2 {
		return false
	}
	for i, d := range digits {
		n, err := strconv.ParseUint(d, 10, 32)
		if err != nil || i > 0 && n > 59 {
			return false
		}
	}
	return true
}
