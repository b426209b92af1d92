package detect

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The grammar of a condition; not binds more than and, and more than or.
//
//	or      = and { "or" and }
//	and     = not { "and" not }
//	not     = "not" not | primary
//	primary = "(" or ")" | ( "1" | "any" | "all" ) "of" ( "them" | pattern ) | identifier
//
// "them" are all searches whose name does not begin with _; a pattern may hold * in any place.

// isIdentifier allows what can be the name of a search or of a list.
func isIdentifier(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	switch s {
	case "and", "or", "not", "of", "them", "1", "any", "all":
		return false
	}
	return true
}

type token struct {
	text   string // "" at the end
	offset int
}

// conditionParser reads one condition. At the first fault it is done: what follows would be guessing.
type conditionParser struct {
	r        *reader
	node     *yaml.Node
	searches []*search
	tokens   []token
	next     int
	depth    int
	expanded int // predicates so far
	failed   bool
	broken   bool // a search that is used was faulty itself, so there is no expression
}

// condition reads the text of node; nil where it or one of its searches is faulty.
func (r *reader) condition(n *yaml.Node, searches []*search) *expr {
	if len(n.Value) > maxCondition {
		r.bad(n, "the condition has %d bytes, %d are allowed", len(n.Value), maxCondition)
		r.useAll(searches)
		return nil
	}
	p := &conditionParser{r: r, node: n, searches: searches, tokens: lex(n.Value)}
	e := p.or()
	if t := p.peek(); !p.failed && t.text != "" {
		switch {
		case t.text == "|":
			p.bad(t, "counting behind | is of Sigma 1; write a correlation document of type event_count or value_count")
		case t.text == ")":
			p.bad(t, "a ) that closes nothing")
		case isUpper(t.text):
			p.bad(t, "%s must be written in lower case", t.text)
		default:
			p.bad(t, "and or or is missing before %s", shown(t.text))
		}
	}
	if p.failed || p.broken {
		if p.failed {
			r.useAll(searches) // which of them are used is not known
		}
		return nil
	}
	return e
}

func (r *reader) useAll(searches []*search) {
	for _, s := range searches {
		s.used = true
	}
}

func lex(s string) []token {
	var ts []token
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '(' || c == ')' || c == '|':
			ts = append(ts, token{s[i : i+1], i})
			i++
		default:
			end := i
			for end < len(s) && !strings.ContainsRune(" \t\n\r()|", rune(s[end])) {
				end++
			}
			ts = append(ts, token{s[i:end], i})
			i = end
		}
	}
	return append(ts, token{"", len(s)})
}

func (p *conditionParser) peek() token { return p.tokens[p.next] }

func (p *conditionParser) take() token {
	t := p.tokens[p.next]
	if t.text != "" {
		p.next++
	}
	return t
}

func (p *conditionParser) bad(t token, format string, args ...any) *expr {
	if !p.failed {
		p.failed = true
		p.r.at(p.r.inside(p.node, t.offset), format, args...)
	}
	return nil
}

func (p *conditionParser) or() *expr {
	e := &expr{op: opOr, kids: []*expr{p.and()}}
	for !p.failed && p.peek().text == "or" {
		p.take()
		e.kids = append(e.kids, p.and())
	}
	return whole(e, true)
}

func (p *conditionParser) and() *expr {
	e := &expr{op: opAnd, kids: []*expr{p.not()}}
	for !p.failed && p.peek().text == "and" {
		p.take()
		e.kids = append(e.kids, p.not())
	}
	return whole(e, true)
}

func (p *conditionParser) not() *expr {
	if p.peek().text != "not" {
		return p.primary()
	}
	t := p.take()
	if !p.enter(t) {
		return nil
	}
	defer p.leave()
	return &expr{op: opNot, kids: []*expr{p.not()}}
}

func (p *conditionParser) enter(t token) bool {
	if p.depth++; p.depth > maxNesting {
		p.bad(t, "more than %d levels of parentheses and not", maxNesting)
		return false
	}
	return true
}

func (p *conditionParser) leave() { p.depth-- }

func (p *conditionParser) primary() *expr {
	t := p.take()
	switch t.text {
	case "":
		if t.offset == 0 || len(p.tokens) == 1 {
			return p.bad(t, "the condition is empty")
		}
		return p.bad(t, "the condition ends where a search must follow")
	case "(":
		if !p.enter(t) {
			return nil
		}
		defer p.leave()
		e := p.or()
		if p.failed {
			return nil
		}
		switch end := p.take(); {
		case end.text == ")":
		case end.text == "":
			return p.bad(t, "a ( that is not closed")
		case isUpper(end.text):
			return p.bad(end, "%s must be written in lower case", end.text)
		default:
			return p.bad(end, "and, or or ) must follow, not %s", shown(end.text))
		}
		return e
	case ")", "and", "or", "of", "|":
		return p.bad(t, "a search must stand here, not %s", shown(t.text))
	}
	if p.peek().text == "of" {
		return p.some(t)
	}
	for _, s := range p.searches {
		if s.name == t.text {
			return p.use(t, s)
		}
	}
	if isUpper(t.text) {
		return p.bad(t, "%s must be written in lower case", t.text)
	}
	names := make([]string, len(p.searches))
	for i, s := range p.searches {
		names[i] = s.name
	}
	return p.bad(t, "there is no search %s%s", shown(t.text), meant(t.text, names))
}

// isUpper says whether a word is one of the grammar but for its case.
func isUpper(word string) bool {
	lower := strings.ToLower(word)
	return lower != word && (lower == "and" || lower == "or" || lower == "not" || lower == "of")
}

// some reads "of" and what follows.
func (p *conditionParser) some(quantifier token) *expr {
	p.take()
	e := &expr{op: opOr}
	switch quantifier.text {
	case "1", "any":
	case "all":
		e.op = opAnd
	default:
		return p.bad(quantifier, "1 of, any of or all of, not %s of", quantifier.text)
	}
	t := p.take()
	if t.text == "" || strings.ContainsAny(t.text, "()|?[\\") {
		return p.bad(t, "them or the name of searches must follow, such as selection_*")
	}
	found := false
	for _, s := range p.searches {
		ok := !strings.HasPrefix(s.name, "_")
		if t.text != "them" {
			ok, _ = path.Match(t.text, s.name) // the one error is a bad pattern, and [ \ are refused above
		}
		if ok {
			found = true
			e.kids = append(e.kids, p.use(t, s))
		}
	}
	if !found {
		return p.bad(t, "no search matches %s", shown(t.text))
	}
	return whole(e, true)
}

func (p *conditionParser) use(t token, s *search) *expr {
	s.used = true
	if s.expr == nil {
		p.broken = true
		return &expr{op: opAnd}
	}
	p.expanded += s.expr.size()
	if p.expanded > maxExpanded {
		return p.bad(t, "the condition asks more than %d things when written out; make the searches smaller", maxExpanded)
	}
	return s.expr
}

// size is the number of predicates below e.
func (e *expr) size() int {
	n := 1
	for _, k := range e.kids {
		n += k.size()
	}
	return n
}
