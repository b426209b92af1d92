package detect

import (
	"cmp"
	"errors"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"strings"

	"go.yaml.in/yaml/v3"
)

// matching is how a predicate compares.
type matching uint8

const (
	byEqual matching = iota
	byContains
	byStart
	byEnd
	byCIDR
	byRegexp
	byExists
	byLess
	byLessEqual
	byGreater
	byGreaterEqual
)

// atom is one predicate: a field, a way to compare, and values.
type atom struct {
	pos   pos
	field string // empty: all texts of the event
	way   matching
	all   bool // every value must match, not just one
	cased bool
	ref   bool // the values are names of fields
	lists bool // the values are names of lists

	options string // of byRegexp: i, m, s

	// What the values are made into; which of them depends on the way.
	patterns []pattern // byEqual to byEnd, folded unless cased
	null     bool      // byEqual: one of the values is null
	regexps  []*regexp.Regexp
	networks []netip.Prefix
	numbers  []float64
	exists   bool
	names    []string // of fields or lists
	except   *exclusion

	key string // what two predicates that are the same have in common
}

// modifiers reads what stands behind the field's name.
func (r *reader) modifiers(a *atom, k *yaml.Node, parts []string) bool {
	ways := map[string]matching{
		"contains": byContains, "startswith": byStart, "endswith": byEnd, "cidr": byCIDR, "re": byRegexp, "exists": byExists,
		"lt": byLess, "lte": byLessEqual, "gt": byGreater, "gte": byGreaterEqual,
	}
	flags := map[string]*bool{"all": &a.all, "cased": &a.cased, "fieldref": &a.ref, "expand": &a.lists}
	var names []string
	for name := range ways {
		names = append(names, name)
	}
	names = append(names, "all", "cased", "fieldref", "expand")

	offset := len(a.field) + 1
	var way string
	seen := map[string]bool{}
	var options strings.Builder
	good := true
	bad := func(format string, args ...any) {
		good = false
		r.at(r.inside(k, offset), format, args...)
	}
	for i, m := range parts {
		w, isWay := ways[m]
		flag, isFlag := flags[m]
		switch {
		case seen[m]:
			bad("modifier %s is there twice", m)
		case isWay && way != "":
			bad("modifiers %s and %s exclude each other", way, m)
		case isWay:
			a.way, way = w, m
		case isFlag:
			*flag = true
		case m == "i" || m == "m" || m == "s":
			if !seen["re"] {
				bad("modifier %s belongs behind re", m)
			}
			options.WriteString(m)
		case m == "":
			bad("an empty modifier; remove the |")
		default:
			if why := unsupported(m); why != "" {
				bad("modifier %s is not supported here: %s", m, why)
			} else {
				bad("unknown modifier %s%s", shown(m), meant(m, names))
			}
		}
		seen[m] = true
		offset += len(parts[i]) + 1
	}
	if !good {
		return false
	}
	offset = 0
	textual := a.way <= byEnd
	switch {
	case a.ref && a.lists:
		bad("modifiers fieldref and expand exclude each other")
	case a.ref && !textual:
		bad("modifier fieldref goes with contains, startswith and endswith, not with %s", way)
	case a.lists && !textual && a.way != byCIDR:
		bad("modifier expand goes with contains, startswith, endswith and cidr, not with %s", way)
	case a.cased && a.way == byRegexp:
		bad("modifier cased says nothing new: re is case-sensitive unless i follows")
	case a.cased && !textual:
		bad("modifier cased is for texts, not for %s", way)
	case a.all && a.way >= byExists:
		bad("modifier all does not go with %s", way)
	case a.field == "" && (a.ref || a.way >= byExists || a.way == byCIDR):
		bad("modifier %s needs a field before it", cmp.Or(way, "fieldref"))
	}
	if a.field == "" && way == "" { // a word is looked for within the texts
		a.way = byContains
	}
	a.options = options.String()
	return good
}

// unsupported says why a modifier of Sigma is not offered.
func unsupported(m string) string {
	switch m {
	case "base64", "base64offset", "utf16", "utf16le", "utf16be", "wide":
		return "it looks into encoded command lines, which sign-in events do not have"
	case "windash":
		return "it is about command lines of Windows, which sign-in events do not have"
	case "neq":
		return "put the field into a search of its own and write not before it in the condition"
	case "minute", "hour", "day", "week", "month", "year":
		return "what an hour is depends on the time zone; use the fields that Holdfast computes"
	default:
		return ""
	}
}

// values reads the values and makes of them what the way of comparing needs.
func (r *reader) values(a *atom, nodes []*yaml.Node, list *yaml.Node) bool {
	good := true
	var key strings.Builder
	key.WriteString(strings.Join([]string{a.field, string(rune('A' + a.way)), flagText(a), a.options}, "\x00"))
	for _, n := range nodes {
		s, ok := r.scalar(n)
		if ok {
			key.WriteString("\x00" + string(rune('A'+s.kind)) + s.text)
			ok = r.value(a, s)
		}
		good = good && ok
	}
	a.key = key.String()
	if good && a.way == byExists && len(nodes) > 1 {
		r.bad(list, "exists takes true or false, not a list")
		return false
	}
	return good
}

func flagText(a *atom) string {
	b := []byte("----")
	for i, f := range []bool{a.all, a.cased, a.ref, a.lists} {
		if f {
			b[i] = 'x'
		}
	}
	return string(b)
}

func (r *reader) value(a *atom, s scalar) bool {
	bad := func(format string, args ...any) bool {
		r.bad(s.node, format, args...)
		return false
	}
	switch {
	case a.ref:
		if s.kind != Text || !isFieldName(s.text) {
			return bad("fieldref needs the name of a field")
		}
		a.names = append(a.names, s.text)
		return true
	case a.lists:
		name, ok := strings.CutPrefix(s.text, "%")
		name, closed := strings.CutSuffix(name, "%")
		if s.kind != Text || !ok || !closed || !isIdentifier(name) {
			return bad("expand needs the name of a list and nothing else, such as '%%sanctioned%%'")
		}
		a.names = append(a.names, name)
		return true
	}
	switch a.way {
	case byExists:
		if s.kind != Bool {
			return bad("exists takes true or false")
		}
		a.exists = s.text == "true"
	case byLess, byLessEqual, byGreater, byGreaterEqual:
		if s.kind != Int && s.kind != Float {
			return bad("%s is not a number", shown(s.text))
		}
		a.numbers = append(a.numbers, s.number)
	case byCIDR:
		p, err := netip.ParsePrefix(s.text)
		switch {
		case s.kind != Text || err != nil:
			return bad("%s is not a network; write one as 192.0.2.0/24 or 2001:db8::/32", shown(s.text))
		case p.Masked() != p:
			return bad("%s has bits behind the prefix; is %s meant?", s.text, p.Masked())
		case p.Addr().Is4In6():
			return bad("%s is an IPv4 network in IPv6 form; write it as IPv4", s.text)
		}
		a.networks = append(a.networks, p)
	case byRegexp:
		return r.regexp(a, s)
	default:
		return r.pattern(a, s)
	}
	return true
}

func (r *reader) regexp(a *atom, s scalar) bool {
	bad := func(format string, args ...any) bool {
		r.bad(s.node, format, args...)
		return false
	}
	r.regexps++
	switch {
	case s.kind != Text:
		return bad("a regular expression must be a text; write it in quotes")
	case s.text == "":
		return bad("an empty regular expression matches everything; use exists: true")
	case len(s.text) > maxRegexp:
		return bad("the regular expression has %d bytes, %d are allowed", len(s.text), maxRegexp)
	case r.regexps > maxRegexps:
		return bad("more than %d regular expressions in a file; use lists of texts, or split the file", maxRegexps)
	}
	written := s.text
	if a.options != "" {
		written = "(?" + a.options + ")" + written
	}
	re, err := regexp.Compile(written)
	if err != nil {
		return bad("the regular expression cannot be used: %s (RE2 syntax: no look-ahead, no back references)", regexpError(err))
	}
	if re.NumSubexp() > 50 {
		return bad("the regular expression has %d groups, 50 are allowed", re.NumSubexp())
	}
	a.regexps = append(a.regexps, re)
	return true
}

func regexpError(err error) string {
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		return e.Code.String() + ": " + shown(e.Expr)
	}
	return err.Error()
}

func (r *reader) pattern(a *atom, s scalar) bool {
	switch {
	case s.kind == Null && (a.way != byEqual || a.field == "" || a.all || a.cased):
		r.bad(s.node, "null stands for a field without a value; it goes with no modifier")
		return false
	case s.kind == Null:
		a.null = true
		return true
	case s.text == "" && (a.way != byEqual || a.field == ""):
		r.bad(s.node, "an empty text is in every text; use exists: true if any value will do")
		return false
	}
	p := newPattern(s.text, a.way == byContains || a.way == byEnd, a.way == byContains || a.way == byStart, !a.cased)
	if p.everything() && a.way != byEqual {
		r.bad(s.node, "%s is in every text; use exists: true if any value will do", shown(s.text))
		return false
	}
	a.patterns = append(a.patterns, p)
	return true
}
