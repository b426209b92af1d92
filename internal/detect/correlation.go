package detect

import (
	"math"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// CorrelationType is what a correlation counts.
type CorrelationType string

// The types that are evaluated. Sigma's value_sum, value_avg and value_percentile are refused.
const (
	EventCount      CorrelationType = "event_count"      // events
	ValueCount      CorrelationType = "value_count"      // different values of a field
	Temporal        CorrelationType = "temporal"         // different rules that matched
	TemporalOrdered CorrelationType = "temporal_ordered" // the rules matched one after the other
)

// Correlation is a plan: which matches to put together, how, and when that is a finding. What a window is
// and what makes a finding stands at Correlate.
type Correlation struct {
	Type      CorrelationType
	Timespan  time.Duration // a month counts as 30 days, a year as 365
	GroupBy   []string      // names that the key of a finding has; empty where all events are one group
	Threshold Threshold     // what the count must be; for temporal_ordered the number of rules
	Inputs    []Input       // one per rule, in the order of the document; set by Compile
	Generate  bool          // matches of the rules are findings by themselves as well

	values  []string // fields of value_count
	refs    []reference
	aliases []alias
	places  correlationPlaces
}

// Input is one of the rules that a correlation puts together.
type Input struct {
	Rule  int      // index in the Set; a rule or another correlation
	Group []string // for each name of GroupBy the field of that rule's events
	// Values are the fields whose values value_count counts; with more than one, their combinations.
	Values []string
}

// Threshold is a set of whole numbers from 1 up: those from Min to Max that are not in Not.
type Threshold struct {
	Min, Max int64 // Max is math.MaxInt64 where there is no upper bound
	Not      []int64
}

// Holds says whether the count is enough and not too much. Nothing at all is never enough.
func (t Threshold) Holds(n int64) bool {
	return n >= max(1, t.Min) && n <= t.Max && !slices.Contains(t.Not, n)
}

// reference is a rule as the document names it: by name or id.
type reference struct {
	text string
	pos  pos
}

// alias gives a name of group-by a field in each rule.
type alias struct {
	name   string
	pos    pos
	fields map[string]string // rule as in refs to field
	at     map[string]pos
}

type correlationPlaces struct {
	section    pos
	generate   *yaml.Node
	group      []pos
	values     []pos
	condition  pos
	hasOperand bool // the condition has a number
}

func correlationOf(rule *Rule) *Correlation {
	if rule.Correlation == nil {
		rule.Correlation = &Correlation{Threshold: Threshold{Min: 1, Max: math.MaxInt64}}
	}
	return rule.Correlation
}

func (r *reader) generate(c *Correlation, k, v *yaml.Node) {
	s, ok := r.scalar(v)
	switch {
	case !ok:
	case s.kind != Bool:
		r.bad(v, "generate is true or false")
	case c.places.generate != nil:
		r.bad(k, "generate is given already, in line %d", c.places.generate.Line)
	default:
		c.Generate, c.places.generate = s.text == "true", k
	}
}

func (r *reader) correlation(rule *Rule, k, v *yaml.Node) {
	c := correlationOf(rule)
	c.places.section = pos{k.Line, k.Column}
	at := map[string]*yaml.Node{}
	known := []string{"type", "rules", "aliases", "group-by", "timespan", "condition", "generate"}
	r.keys(v, "correlation", func(name string, k, v *yaml.Node) {
		at[name] = k
		switch name {
		case "type":
			c.Type = r.correlationType(v)
		case "rules":
			c.refs = r.references(v)
		case "aliases":
			c.aliases = r.aliases(v)
		case "group-by":
			c.GroupBy = r.names(v, "group-by", &c.places.group)
		case "timespan":
			c.Timespan = r.timespan(v)
		case "condition":
			r.threshold(c, v)
		case "generate":
			r.generate(c, k, v)
		default:
			r.bad(k, "unknown key %s in correlation%s", shown(name), meant(name, known))
		}
	})
	if v.Kind != yaml.MappingNode {
		return
	}
	for _, name := range []string{"type", "rules", "timespan"} {
		if at[name] == nil {
			r.bad(k, "%s is missing in correlation", name)
		}
	}
	if at["group-by"] == nil {
		r.bad(k, "group-by is missing in correlation; to count all events together write group-by: []")
	}
	if c.Type != "" {
		r.fitting(c, k, at["condition"])
	}
	for _, a := range c.aliases {
		if !slices.Contains(c.GroupBy, a.name) && !slices.Contains(c.values, a.name) {
			r.at(a.pos, "alias %s is not used in group-by or as the field of the condition; use it or remove it", a.name)
		}
	}
}

func (r *reader) correlationType(n *yaml.Node) CorrelationType {
	switch n.Value {
	case "value_sum", "value_avg", "value_percentile", "value_median":
		r.bad(n, "correlations of type %s are not supported here: sign-in events have no quantities; count by event_count or value_count", n.Value)
		return ""
	}
	return CorrelationType(r.oneOf(n, "type", []string{string(EventCount), string(ValueCount), string(Temporal), string(TemporalOrdered)}))
}

// names are fields or aliases; one without a list is a list of one.
func (r *reader) names(n *yaml.Node, what string, at *[]pos) []string {
	nodes := n.Content
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		nodes = []*yaml.Node{n}
	} else if n.Kind != yaml.SequenceNode {
		r.bad(n, "%s must be a list of fields, not %s", what, kindOf(n))
		return nil
	}
	out := []string{}
	for _, e := range nodes {
		s := r.text(e, "an entry of "+what, maxName)
		switch {
		case s == "":
		case !isFieldName(s):
			r.bad(e, "%s is not the name of a field", shown(s))
		case slices.Contains(out, s):
			r.bad(e, "%s has %s twice", what, s)
		default:
			out = append(out, s)
			*at = append(*at, pos{e.Line, e.Column})
		}
	}
	return out
}

func (r *reader) references(n *yaml.Node) (refs []reference) {
	nodes := n.Content
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		nodes = []*yaml.Node{n}
	} else if n.Kind != yaml.SequenceNode || len(nodes) == 0 {
		r.bad(n, "rules must be a list of names or ids of rules")
		return nil
	}
	for _, e := range nodes {
		s := r.text(e, "an entry of rules", maxShort)
		switch {
		case s == "":
		case slices.ContainsFunc(refs, func(x reference) bool { return x.text == s }):
			r.bad(e, "rules has %s twice", shown(s))
		default:
			refs = append(refs, reference{s, pos{e.Line, e.Column}})
		}
	}
	return refs
}

func (r *reader) aliases(n *yaml.Node) (all []alias) {
	r.keys(n, "aliases", func(name string, k, v *yaml.Node) {
		if !isFieldName(name) {
			r.bad(k, "%s cannot be an alias", shown(name))
			return
		}
		a := alias{name: name, pos: pos{k.Line, k.Column}, fields: map[string]string{}, at: map[string]pos{}}
		r.keys(v, "alias "+name, func(rule string, k, v *yaml.Node) {
			field := r.text(v, "a field of alias "+name, maxName)
			if field != "" && !isFieldName(field) {
				r.bad(v, "%s is not the name of a field", shown(field))
			}
			a.fields[rule], a.at[rule] = field, pos{k.Line, k.Column}
		})
		all = append(all, a)
	})
	return all
}

// maxTimespan keeps windows within what is stored.
const maxTimespan = 366 * 24 * time.Hour

func (r *reader) timespan(n *yaml.Node) time.Duration {
	s := r.text(n, "timespan", maxShort)
	if s == "" {
		return 0
	}
	return r.span(pos{n.Line, n.Column}, s)
}

// span reads the text of a timespan, which is not empty.
func (r *reader) span(at pos, s string) time.Duration {
	const day = 24 * time.Hour
	units := map[byte]time.Duration{
		's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day, 'M': 30 * day, 'y': 365 * day,
	}
	unit, ok := units[s[len(s)-1]]
	count, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	switch {
	case !ok || err != nil || s[0] == '+' || count == 0:
		r.at(at, "timespan is %s; write a whole number and one of s, m, h, d, w, M (month), y, such as 15m", shown(s))
		return 0
	case count > uint64(maxTimespan/unit):
		r.at(at, "timespan is %s; it can be a year at most", shown(s))
		return 0
	}
	return time.Duration(count) * unit
}

// threshold reads the condition: comparisons, all of which must hold, and the field of value_count.
func (r *reader) threshold(c *Correlation, n *yaml.Node) {
	c.places.condition = pos{n.Line, n.Column}
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		r.bad(n, "a condition in words is not supported in correlations; write a comparison such as gte: 10")
		c.places.hasOperand = true // one fault is enough
		return
	}
	t := &c.Threshold
	r.keys(n, "condition", func(name string, k, v *yaml.Node) {
		if name == "field" {
			c.values = r.names(v, "field", &c.places.values)
			if len(c.values) == 0 {
				r.bad(v, "field names no field")
			}
			return
		}
		known := []string{"gt", "gte", "lt", "lte", "eq", "neq", "field"}
		if !slices.Contains(known, name) {
			r.bad(k, "unknown key %s in condition%s; known are gt, gte, lt, lte, eq, neq and field", shown(name), meant(name, known))
			return
		}
		s, ok := r.scalar(v)
		if !ok {
			return
		}
		x := int64(s.number)
		if s.kind != Int || x < 0 || x > math.MaxInt32 {
			r.bad(v, "%s needs a whole number from 0 up, found %s", name, shown(v.Value))
			return
		}
		c.places.hasOperand = true
		switch name {
		case "gt":
			t.Min = max(t.Min, x+1)
		case "gte":
			t.Min = max(t.Min, x)
		case "lt":
			t.Max = min(t.Max, x-1)
		case "lte":
			t.Max = min(t.Max, x)
		case "eq":
			t.Min, t.Max = max(t.Min, x), min(t.Max, x)
		case "neq":
			t.Not = append(t.Not, x)
		}
	})
	if t.Max < t.Min || t.Max == t.Min && slices.Contains(t.Not, t.Min) {
		r.bad(n, "no count from 1 up meets the condition, so the correlation can never match")
	}
}

// fitting checks what depends on the type.
func (r *reader) fitting(c *Correlation, k, condition *yaml.Node) {
	rules := int64(len(c.refs))
	counts := c.Type == EventCount || c.Type == ValueCount
	switch {
	case counts && condition == nil:
		r.bad(k, "condition is missing in correlation; write for example condition: and below it gte: 10")
	case counts && !c.places.hasOperand:
		r.at(c.places.condition, "condition compares with no number; write for example gte: 10")
	case c.Type == ValueCount && len(c.values) == 0:
		r.at(c.places.condition, "value_count needs field in its condition: whose values are counted")
	}
	if c.Type != ValueCount && len(c.values) > 0 {
		r.at(c.places.condition, "field belongs to value_count, not to %s", c.Type)
	}
	if counts || rules == 0 {
		return
	}
	if rules < 2 {
		r.bad(k, "%s puts different rules together; name at least two", c.Type)
		return
	}
	if !c.places.hasOperand {
		c.Threshold = Threshold{Min: rules, Max: rules}
		return
	}
	switch {
	case c.Threshold.Min > rules:
		r.at(c.places.condition, "the condition asks for %d rules, but there are %d", c.Threshold.Min, rules)
	case c.Type == TemporalOrdered && c.Threshold.Min != rules:
		r.at(c.places.condition, "temporal_ordered needs all its rules in order; leave the condition out, or write gte: %d", rules)
	}
}
