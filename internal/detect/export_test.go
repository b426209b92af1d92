package detect

// MatchAll is Match without the index.
func (m *Matcher) MatchAll(dst []int, e Event) []int {
	m.view.begin(e)
	for i := range m.program.entries {
		if e := &m.program.entries[i]; e.match(&m.view) {
			dst = append(dst, e.rule)
		}
	}
	m.view.event = nil
	return dst
}

// Candidates is how many rules the index leaves for the event.
func (m *Matcher) Candidates(e Event) int {
	m.view.begin(e)
	m.program.index.candidates(m.candidates, m.near, &m.view)
	n := 0
	for _, word := range m.candidates {
		for word != 0 {
			nextBit(&word)
			n++
		}
	}
	m.view.event = nil
	return n
}

// SetTurn makes the next event the one after turn.
func (m *Matcher) SetTurn(turn uint32) { m.view.turn = turn }

// Fold is the form in which texts are compared.
func Fold(s string) string { return fold(s) }

// PatternMatches reads a text value of a rule and says whether it matches, any case.
func PatternMatches(written, text string) bool {
	return newPattern(written, false, false, true).match(fold(text))
}
