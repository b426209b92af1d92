package detect

import (
	"cmp"
	"math/bits"
	"slices"
)

// index finds the rules that may match an event by what the event has in some fields, so that cost grows
// with the number of rules that are near and not with all there are.
//
// It is sound by construction: a rule is passed over only if it requires something in a field (requirement)
// that the event does not have there. Rules that require nothing are always candidates.
type index struct {
	all    []uint64 // every entry, as bits
	fields []indexed
}

// indexed is one field: who does not care about it, and who wants what.
type indexed struct {
	place  int
	kind   requirementKind
	pass   []uint64
	byText map[string][]uint32 // of oneText: folded text to entries
	bounds []bounded           // of the other kinds, easiest to meet first
}

type bounded struct {
	bound float64
	entry uint32
}

// rare is the share of the rules below which a field is not worth a look at each event: one in so many.
const rare = 64

// newIndex takes the fields that many rules have requirements for, and for each rule that has none of
// these the field that lets the fewest events through, judged by how many texts the rules know for it.
func newIndex(entries []entry, places map[string]int) index {
	x := index{all: make([]uint64, (len(entries)+63)/64)}
	uses := map[subject]int{}
	known := map[subject]map[string]bool{}
	for i, e := range entries {
		x.all[i>>6] |= 1 << (i & 63)
		for _, r := range e.need {
			uses[r.subject]++
			if known[r.subject] == nil {
				known[r.subject] = map[string]bool{}
			}
			for _, t := range r.texts {
				known[r.subject][t] = true
			}
		}
	}
	taken := map[subject]bool{}
	for s, n := range uses {
		taken[s] = n > 1 && n*rare >= len(entries)
	}
	share := func(r requirement) float64 {
		if r.kind != oneText {
			return 0.5 // nothing is known about numbers
		}
		return float64(len(r.texts)) / float64(len(known[r.subject]))
	}
	for _, e := range entries {
		if len(e.need) == 0 || slices.ContainsFunc(e.need, func(r requirement) bool { return taken[r.subject] }) {
			continue
		}
		best := slices.MinFunc(e.need, func(a, b requirement) int {
			return cmp.Or(cmp.Compare(share(a), share(b)), cmp.Compare(a.field, b.field))
		})
		taken[best.subject] = true
	}
	for s, ok := range taken {
		if ok {
			x.fields = append(x.fields, newIndexed(entries, s, places[s.field], x.all))
		}
	}
	// First what knows the most texts: most events leave few entries there, and none ends the search.
	slices.SortFunc(x.fields, func(a, b indexed) int {
		return cmp.Or(cmp.Compare(len(b.byText), len(a.byText)), cmp.Compare(a.place, b.place), cmp.Compare(a.kind, b.kind))
	})
	return x
}

func newIndexed(entries []entry, about subject, place int, all []uint64) indexed {
	f := indexed{place: place, kind: about.kind, pass: slices.Clone(all), byText: map[string][]uint32{}}
	for i, e := range entries {
		k := slices.IndexFunc(e.need, func(r requirement) bool { return r.subject == about })
		if k < 0 {
			continue
		}
		f.pass[i>>6] &^= 1 << (i & 63)
		for _, t := range slices.Compact(slices.Sorted(slices.Values(e.need[k].texts))) {
			f.byText[t] = append(f.byText[t], uint32(i))
		}
		if about.kind != oneText {
			f.bounds = append(f.bounds, bounded{e.need[k].bound, uint32(i)})
		}
	}
	slices.SortFunc(f.bounds, func(a, b bounded) int {
		if about.kind == atMost {
			a, b = b, a
		}
		return cmp.Or(cmp.Compare(a.bound, b.bound), cmp.Compare(a.entry, b.entry))
	})
	return f
}

// candidates sets the bits of the entries that may match; near is for its own use, of the same length.
func (x *index) candidates(dst, near []uint64, v *view) {
	copy(dst, x.all)
	for i := range x.fields {
		f := &x.fields[i]
		copy(near, f.pass)
		f.meet(near, v)
		left := uint64(0)
		for w := range dst {
			dst[w] &= near[w]
			left |= dst[w]
		}
		if left == 0 {
			return
		}
	}
}

// meet sets the bits of the entries whose requirement the event meets.
func (f *indexed) meet(near []uint64, v *view) {
	if f.kind == oneText {
		for _, text := range v.texts(f.place).folded {
			for _, e := range f.byText[text] {
				near[e>>6] |= 1 << (e & 63)
			}
		}
		return
	}
	c := v.numbers(f.place)
	if !c.numeric {
		return
	}
	for _, b := range f.bounds {
		if f.kind == atLeast && c.highest < b.bound || f.kind == atMost && c.lowest > b.bound {
			return
		}
		near[b.entry>>6] |= 1 << (b.entry & 63)
	}
}

// nextBit takes the lowest bit out of the word.
func nextBit(word *uint64) int {
	i := bits.TrailingZeros64(*word)
	*word &= *word - 1
	return i
}
