package detect

import (
	"cmp"
	"math/bits"
	"slices"
)

// index finds the rules that may match an event by what the event has in some fields, so that cost grows
// with the number of rules that are near and not with all there are.
//
// It is sound by construction: a rule is passed over only if it requires one of some texts in a field
// (requirement) and the event has none of them there. Rules that require nothing are always candidates.
type index struct {
	always []uint64 // entries, as bits
	fields []indexed
}

type indexed struct {
	place  int
	byText map[string][]uint32 // folded text to entries
}

// newIndex files each entry under one of its requirements: the one that lets the fewest events through,
// judged by how many different texts the rules know for the field.
func newIndex(entries []entry, places map[string]int) index {
	x := index{always: make([]uint64, (len(entries)+63)/64)}
	known := map[string]map[string]bool{}
	for _, e := range entries {
		for _, r := range e.need {
			if known[r.field] == nil {
				known[r.field] = map[string]bool{}
			}
			for _, t := range r.texts {
				known[r.field][t] = true
			}
		}
	}
	share := func(r requirement) float64 { return float64(len(r.texts)) / float64(len(known[r.field])) }
	byPlace := map[int]map[string][]uint32{}
	for i, e := range entries {
		if len(e.need) == 0 {
			x.always[i>>6] |= 1 << (i & 63)
			continue
		}
		best := slices.MinFunc(e.need, func(a, b requirement) int {
			return cmp.Or(cmp.Compare(share(a), share(b)), cmp.Compare(a.field, b.field))
		})
		place := places[best.field]
		if byPlace[place] == nil {
			byPlace[place] = map[string][]uint32{}
		}
		for _, t := range slices.Compact(slices.Sorted(slices.Values(best.texts))) {
			byPlace[place][t] = append(byPlace[place][t], uint32(i))
		}
	}
	for place, byText := range byPlace {
		x.fields = append(x.fields, indexed{place, byText})
	}
	slices.SortFunc(x.fields, func(a, b indexed) int { return cmp.Compare(a.place, b.place) })
	return x
}

// candidates sets the bits of the entries that may match.
func (x *index) candidates(dst []uint64, v *view) {
	copy(dst, x.always)
	for i := range x.fields {
		f := &x.fields[i]
		for _, text := range v.texts(f.place).folded {
			for _, e := range f.byText[text] {
				dst[e>>6] |= 1 << (e & 63)
			}
		}
	}
}

// nextBit takes the lowest bit out of the word.
func nextBit(word *uint64) int {
	i := bits.TrailingZeros64(*word)
	*word &= *word - 1
	return i
}
