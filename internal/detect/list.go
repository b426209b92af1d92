package detect

import (
	"net/netip"
	"slices"
)

// Lists are the lists that rules name as %name% with the modifier expand.
//
// List is asked at each evaluation, so a list may change at any time: it hands out the list as it is
// now, or nil where there is none of that name. It must be safe for concurrent use and fast, since it is
// on the path of every event. A list that a compiled rule names must not go away: as nil it has no
// entries, and "not in the list" would hold for every event.
type Lists interface {
	List(name string) *ValueList
}

// StaticLists are lists that do not change, by name.
type StaticLists map[string]*ValueList

// List is the list of the name, or nil.
func (l StaticLists) List(name string) *ValueList { return l[name] }

// ValueList is a list's entries, prepared for every way in which a rule may ask. It does not change.
//
// An entry is written like a value in a rule: * and ? stand for others, a backslash takes that from them.
// For cidr an entry is a network (10.0.0.0/8) or an address; others are passed over.
type ValueList struct {
	entries  []string
	plain    asked
	cased    asked
	prefixes map[netip.Prefix]struct{}
	bits     [2][]int // prefix lengths in use, for IPv4 and for IPv6
	limited  []limited
}

// asked is what plain and cased need: the exact entries as a set, the others as patterns, and all of them
// as patterns for contains, startswith and endswith.
type asked struct {
	exact                        map[string]struct{}
	patterns                     []pattern
	contains, startswith, endsin []pattern
}

// NewValueList prepares the entries.
func NewValueList(entries ...string) *ValueList {
	l := &ValueList{
		entries: slices.Clone(entries), plain: newAsked(entries, true), cased: newAsked(entries, false),
		prefixes: map[netip.Prefix]struct{}{},
	}
	for _, e := range entries {
		p, ok := networkOf(e)
		if !ok {
			continue
		}
		l.prefixes[p] = struct{}{}
		if family := &l.bits[familyOf(p.Addr())]; !slices.Contains(*family, p.Bits()) {
			*family = append(*family, p.Bits())
		}
	}
	return l
}

// networkOf reads a network, or an address as the network of that address alone.
func networkOf(s string) (netip.Prefix, bool) {
	if a, ok := addressOf(s); ok {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// Entries are the entries as they were given.
func (l *ValueList) Entries() []string { return slices.Clone(l.entries) }

func newAsked(entries []string, folded bool) asked {
	a := asked{exact: map[string]struct{}{}}
	for _, e := range entries {
		p := newPattern(e, false, false, folded)
		if s, ok := p.exact(); ok {
			a.exact[s] = struct{}{}
		} else {
			a.patterns = append(a.patterns, p)
		}
		a.contains = append(a.contains, newPattern(e, true, true, folded))
		a.startswith = append(a.startswith, newPattern(e, false, true, folded))
		a.endsin = append(a.endsin, newPattern(e, true, false, folded))
	}
	return a
}

// has reports whether an entry, read by the way of comparing, matches s; s is folded unless cased.
func (l *ValueList) has(s string, way matching, cased bool) bool {
	if l == nil {
		return false
	}
	a := &l.plain
	if cased {
		a = &l.cased
	}
	patterns := a.patterns
	switch way {
	case byContains:
		patterns = a.contains
	case byStart:
		patterns = a.startswith
	case byEnd:
		patterns = a.endsin
	default:
		if _, ok := a.exact[s]; ok {
			return true
		}
	}
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.match(s) })
}

// hasAddress reports whether an entry is or holds the address, which is neither mapped nor zoned.
func (l *ValueList) hasAddress(a netip.Addr) bool {
	if l == nil {
		return false
	}
	for _, bits := range l.bits[familyOf(a)] {
		p, err := a.Prefix(bits)
		if err != nil {
			continue
		}
		if _, ok := l.prefixes[p]; ok {
			return true
		}
	}
	return false
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// addressOf reads an address of an event; an IPv4 address in IPv6 form is the IPv4 address.
func addressOf(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}
