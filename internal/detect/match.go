package detect

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// predicate is a compiled condition, or a part of one.
type predicate func(v *view) bool

// compiler makes predicates for the events of one source.
type compiler struct {
	place func(field string, at pos) int
	list  func(name string, at pos)
	cache map[*expr]predicate
}

func (c *compiler) expr(e *expr) predicate {
	if p, ok := c.cache[e]; ok { // a search that the condition uses more than once
		return p
	}
	var p predicate
	switch e.op {
	case opAtom:
		p = c.atom(e.atom)
	case opNot:
		kid := c.expr(e.kids[0])
		p = func(v *view) bool { return !kid(v) }
	case opAnd:
		p = allOf(c.kids(e))
	case opOr:
		p = anyOf(c.kids(e))
	}
	c.cache[e] = p
	return p
}

func (c *compiler) kids(e *expr) []predicate {
	ps := make([]predicate, len(e.kids))
	for i, k := range e.kids {
		ps[i] = c.expr(k)
	}
	return ps
}

func allOf(ps []predicate) predicate {
	if len(ps) == 2 {
		a, b := ps[0], ps[1]
		return func(v *view) bool { return a(v) && b(v) }
	}
	return func(v *view) bool {
		for _, p := range ps {
			if !p(v) {
				return false
			}
		}
		return true
	}
}

func anyOf(ps []predicate) predicate {
	if len(ps) == 2 {
		a, b := ps[0], ps[1]
		return func(v *view) bool { return a(v) || b(v) }
	}
	return func(v *view) bool {
		for _, p := range ps {
			if p(v) {
				return true
			}
		}
		return false
	}
}

func (c *compiler) atom(a *atom) predicate {
	place := anywhere
	if a.field != "" {
		place = c.place(a.field, a.pos)
	}
	switch {
	case a.except != nil:
		return c.excluded(a, place)
	case a.ref:
		return c.fieldRef(a, place)
	case a.lists:
		return c.inLists(a, place)
	}
	switch a.way {
	case byExists:
		return func(v *view) bool { return (v.at(place).value.kind != None) == a.exists }
	case byLess, byLessEqual, byGreater, byGreaterEqual:
		return compareNumber(a, place)
	case byCIDR:
		return quantified(a, place, a.networks, func(n netip.Prefix, s string) bool {
			addr, ok := addressOf(s)
			return ok && n.Contains(addr)
		}, true)
	case byRegexp:
		return quantified(a, place, a.regexps, (*regexp.Regexp).MatchString, true)
	default:
		return textual(a, place)
	}
}

// quantified holds if one of the values, or with the modifier all each of them, matches one of the texts.
func quantified[T any](a *atom, place int, values []T, match func(T, string) bool, raw bool) predicate {
	all := a.all
	return func(v *view) bool {
		c := v.texts(place)
		texts := c.folded
		if raw {
			texts = c.raw
		}
		for _, x := range values {
			hit := false
			for _, s := range texts {
				if match(x, s) {
					hit = true
					break
				}
			}
			if hit != all {
				return hit
			}
		}
		return all
	}
}

// textual is the way of most predicates, so its common forms have code of their own.
func textual(a *atom, place int) predicate {
	var exact []string
	var rest []pattern
	for _, p := range a.patterns {
		if s, ok := p.exact(); ok && !a.all {
			exact = append(exact, s)
		} else {
			rest = append(rest, p)
		}
	}
	var p predicate
	switch {
	case a.all:
		return quantified(a, place, rest, pattern.match, a.cased)
	case len(exact) == 0:
		p = quantified(a, place, rest, pattern.match, a.cased)
	case len(rest) == 0:
		p = equals(a, place, exact)
	default:
		p = anyOf([]predicate{equals(a, place, exact), quantified(a, place, rest, pattern.match, a.cased)})
	}
	if !a.null {
		return p
	}
	null := func(v *view) bool { return v.at(place).value.isNull() }
	if len(a.patterns) == 0 {
		return null
	}
	return func(v *view) bool { return null(v) || p(v) }
}

// isNull is what null in a rule stands for: no field, no value, or a list that has such an entry.
func (v Value) isNull() bool {
	switch v.kind {
	case None, Null:
		return true
	case List:
		return slices.ContainsFunc(v.list, func(e Value) bool { return e.kind == None || e.kind == Null })
	default:
		return false
	}
}

// few is up to how many texts comparing with each is faster than a set.
const few = 8

func equals(a *atom, place int, exact []string) predicate {
	cased := a.cased
	texts := func(v *view) []string {
		if cased {
			return v.texts(place).raw
		}
		return v.texts(place).folded
	}
	switch {
	case len(exact) == 1:
		want := exact[0]
		return func(v *view) bool {
			return slices.Contains(texts(v), want)
		}
	case len(exact) <= few:
		return func(v *view) bool {
			for _, s := range texts(v) {
				if slices.Contains(exact, s) {
					return true
				}
			}
			return false
		}
	}
	set := make(map[string]struct{}, len(exact))
	for _, s := range exact {
		set[s] = struct{}{}
	}
	return func(v *view) bool {
		for _, s := range texts(v) {
			if _, ok := set[s]; ok {
				return true
			}
		}
		return false
	}
}

// compareNumber holds if one of the values of the field compares so with one of the numbers: the largest
// value with the least number, or the other way round.
func compareNumber(a *atom, place int) predicate {
	least, most := slices.Min(a.numbers), slices.Max(a.numbers)
	switch a.way {
	case byLess:
		return func(v *view) bool { c := v.numbers(place); return c.numeric && c.lowest < most }
	case byLessEqual:
		return func(v *view) bool { c := v.numbers(place); return c.numeric && c.lowest <= most }
	case byGreater:
		return func(v *view) bool { c := v.numbers(place); return c.numeric && c.highest > least }
	default:
		return func(v *view) bool { c := v.numbers(place); return c.numeric && c.highest >= least }
	}
}

// fieldRef compares two fields of the event; a field without a value is like no other.
func (c *compiler) fieldRef(a *atom, place int) predicate {
	others := make([]int, len(a.names))
	for i, name := range a.names {
		others[i] = c.place(name, a.pos)
	}
	texts := func(v *view, place int) []string {
		if a.cased {
			return v.texts(place).raw
		}
		return v.texts(place).folded
	}
	return func(v *view) bool {
		left := texts(v, place)
		for _, other := range others {
			hit := false
			for _, s := range left {
				for _, o := range texts(v, other) {
					hit = hit || a.way.holds(s, o)
				}
			}
			if hit != a.all {
				return hit
			}
		}
		return a.all
	}
}

// holds compares two texts of an event, neither of which is a pattern. What is empty is within every
// text, which says nothing, so it does not count.
func (w matching) holds(s, other string) bool {
	switch {
	case w == byEqual:
		return s == other
	case other == "":
		return false
	}
	switch w {
	case byContains:
		return strings.Contains(s, other)
	case byStart:
		return strings.HasPrefix(s, other)
	default:
		return strings.HasSuffix(s, other)
	}
}

// inLists asks lists, as they are at that moment.
func (c *compiler) inLists(a *atom, place int) predicate {
	for _, name := range a.names {
		c.list(name, a.pos)
	}
	return func(v *view) bool {
		cell := v.texts(place)
		texts := cell.folded
		if a.cased || a.way == byCIDR {
			texts = cell.raw
		}
		for _, name := range a.names {
			list := v.lists.List(name)
			hit := slices.ContainsFunc(texts, func(s string) bool { return list.asked(v, s, a.way, a.cased) })
			if hit != a.all {
				return hit
			}
		}
		return a.all
	}
}
