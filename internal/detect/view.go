package detect

// view is an event while rules look at it. Each field is fetched and brought into shape once, however
// many rules ask.
type view struct {
	event Event
	lists Lists
	turn  uint32 // cells of an earlier turn are stale
	cells []cell // by place
	words cell
}

// cell is one field of the event.
type cell struct {
	turn   uint32
	shaped uint32 // the turn in which raw and folded were made
	value  Value
	raw    []string // the texts of the value
	folded []string

	measured        uint32 // the turn in which these were made
	numeric         bool   // there is a number
	lowest, highest float64

	// The common case of one text needs no memory of its own.
	oneRaw, oneFolded [1]string
}

// begin makes v one of another event.
func (v *view) begin(e Event) {
	v.event = e
	if v.turn++; v.turn == 0 { // after four thousand million events the numbers start again
		for i := range v.cells {
			v.cells[i].turn, v.cells[i].shaped, v.cells[i].measured = 0, 0, 0
		}
		v.words.shaped = 0
		v.turn = 1
	}
}

func (v *view) at(place int) *cell {
	c := &v.cells[place]
	if c.turn != v.turn {
		c.turn = v.turn
		c.value = v.event.Value(place)
	}
	return c
}

// texts is the cell with raw and folded made.
func (v *view) texts(place int) *cell {
	if place == anywhere {
		if c := &v.words; c.shaped != v.turn {
			c.shaped = v.turn
			c.raw = v.event.Words()
			c.folded = appendFolded(c.folded[:0], c.raw)
		}
		return &v.words
	}
	c := v.at(place)
	if c.shaped == v.turn {
		return c
	}
	c.shaped = v.turn
	switch c.value.kind {
	case None, Null:
		c.raw, c.folded = nil, nil
	case List:
		c.raw = c.value.appendTexts(nil)
		c.folded = appendFolded(nil, c.raw)
	default:
		c.oneRaw[0], _ = c.value.scalar() // what has no text is in the cases above
		c.oneFolded[0] = fold(c.oneRaw[0])
		c.raw, c.folded = c.oneRaw[:], c.oneFolded[:]
	}
	return c
}

// numbers is the cell with the bounds of its numbers.
func (v *view) numbers(place int) *cell {
	c := v.at(place)
	if c.measured == v.turn {
		return c
	}
	c.measured = v.turn
	if c.value.kind != List {
		c.lowest, c.numeric = c.value.number()
		c.highest = c.lowest
		return c
	}
	c.numeric = false
	for _, e := range c.value.list {
		f, ok := e.number()
		switch {
		case !ok:
		case !c.numeric:
			c.lowest, c.highest, c.numeric = f, f, true
		default:
			c.lowest, c.highest = min(c.lowest, f), max(c.highest, f)
		}
	}
	return c
}

func appendFolded(dst, texts []string) []string {
	for _, s := range texts {
		dst = append(dst, fold(s))
	}
	return dst
}

// anywhere is the place of a predicate without a field.
const anywhere = -1
