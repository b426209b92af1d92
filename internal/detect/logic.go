package detect

import "slices"

// requirement is what an event must have in a field for a rule to match.
type requirement struct {
	subject
	texts []string // of oneText: one of these, folded
	bound float64  // of atLeast and atMost: a number from here up, or down
}

// subject is what requirements must have in common to be compared.
type subject struct {
	field string
	kind  requirementKind
}

type requirementKind uint8

const (
	oneText requirementKind = iota
	atLeast
	atMost
)

const (
	maxRequired     = 256 // entries that one rule makes in an index
	maxRequirements = 64  // that are looked at for one rule
)

// required is what must hold for e to hold, as far as it can be told: each requirement returned holds for
// every event for which e does. None says that nothing can be told.
func (e *expr) required() []requirement {
	switch e.op {
	case opAtom:
		return e.atom.required()
	case opAnd:
		var all []requirement
		for _, k := range e.kids {
			all = append(all, k.required()...)
		}
		return all[:min(len(all), maxRequirements)]
	case opOr:
		return either(e.kids)
	default:
		return nil
	}
}

// either keeps the fields that every kid has a requirement for, with the texts of all.
func either(kids []*expr) []requirement {
	var common []requirement
	for i, k := range kids {
		rs := k.required()
		if i == 0 {
			common = rs
			continue
		}
		var next []requirement
		for _, a := range common {
			for _, b := range rs {
				if a.subject == b.subject && len(a.texts)+len(b.texts) <= maxRequired {
					next = append(next, a.or(b))
					break
				}
			}
		}
		common = next
	}
	return common
}

// or is what is required if one of the two is; both are about the same.
func (r requirement) or(other requirement) requirement {
	switch r.kind {
	case atLeast:
		r.bound = min(r.bound, other.bound)
	case atMost:
		r.bound = max(r.bound, other.bound)
	default:
		r.texts = append(slices.Clip(r.texts), other.texts...)
	}
	return r
}

// required holds for plain comparisons with whole texts and with numbers. What is equal with case is equal
// without, what is more is not less, and where all texts are asked for the first one is.
func (a *atom) required() []requirement {
	switch a.way {
	case byGreater, byGreaterEqual:
		return []requirement{{subject: subject{a.field, atLeast}, bound: slices.Min(a.numbers)}}
	case byLess, byLessEqual:
		return []requirement{{subject: subject{a.field, atMost}, bound: slices.Max(a.numbers)}}
	}
	if a.field == "" || a.way != byEqual || a.ref || a.lists || a.null || len(a.patterns) > maxRequired {
		return nil
	}
	r := requirement{subject: subject{a.field, oneText}}
	for _, p := range a.patterns {
		s, ok := p.exact()
		if !ok {
			return nil
		}
		r.texts = append(r.texts, fold(s))
	}
	if a.all {
		r.texts = r.texts[:1]
	}
	return []requirement{r}
}

// verdict is what can be said about a condition without an event.
type verdict uint8

const (
	depends verdict = iota
	always
	never
)

// judge says whether the condition holds for every event, for none, or whether that depends. It tries all
// combinations of its predicates, where they are few enough; predicates that are the same, or the
// opposite of each other, go together.
func (e *expr) judge() verdict {
	index := map[string]int{}
	e.collect(index)
	if len(index) > maxAtomsProof || e.size()<<len(index) > maxProof {
		return depends
	}
	holds, fails := false, false
	for values := range 1 << len(index) {
		if e.under(index, values) {
			holds = true
		} else {
			fails = true
		}
		if holds && fails {
			return depends
		}
	}
	if holds {
		return always
	}
	return never
}

// identity is the key of a predicate, and whether it is the opposite of the one with that key.
func (a *atom) identity() (key string, opposite bool) {
	if a.way == byExists {
		return a.field + "\x00exists", !a.exists
	}
	return a.key, false
}

func (e *expr) collect(index map[string]int) {
	if e.op == opAtom {
		key, _ := e.atom.identity()
		if _, ok := index[key]; !ok {
			index[key] = len(index)
		}
		return
	}
	for _, k := range e.kids {
		if len(index) > maxAtomsProof {
			return
		}
		k.collect(index)
	}
}

func (e *expr) under(index map[string]int, values int) bool {
	switch e.op {
	case opAtom:
		key, opposite := e.atom.identity()
		return (values>>index[key]&1 == 1) != opposite
	case opNot:
		return !e.kids[0].under(index, values)
	case opAnd:
		for _, k := range e.kids {
			if !k.under(index, values) {
				return false
			}
		}
		return true
	default:
		for _, k := range e.kids {
			if k.under(index, values) {
				return true
			}
		}
		return false
	}
}

// withoutFields says whether the condition holds for an event that has no fields at all: the rule tells
// what must not be there and nothing that must.
func (e *expr) withoutFields() bool {
	switch e.op {
	case opAtom:
		a := e.atom
		return a.way == byExists && !a.exists || a.null
	case opNot:
		return !e.kids[0].withoutFields()
	case opAnd:
		for _, k := range e.kids {
			if !k.withoutFields() {
				return false
			}
		}
		return true
	default:
		for _, k := range e.kids {
			if k.withoutFields() {
				return true
			}
		}
		return false
	}
}
