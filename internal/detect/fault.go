package detect

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/internal/problem"
)

// Fault is one thing that is wrong in a rule file, or, among the warnings of a Set, doubtful.
type Fault struct {
	File   string
	Line   int // from 1; 0 where the file as a whole is meant
	Column int // from 1, in characters; 0 where the line as a whole is meant
	Text   string
}

// String is "file:line:column: text", which editors make a link of.
func (f Fault) String() string {
	switch {
	case f.Line == 0:
		return fmt.Sprintf("%s: %s", f.File, f.Text)
	case f.Column == 0:
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
	default:
		return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Text)
	}
}

// Faults are all that was found; an error where there is at least one.
type Faults []Fault

// Error has one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes faults a problem of kind Invalid, so that an endpoint can show them.
func (f Faults) Unwrap() error { return problem.New(problem.Invalid, "%s", f.Error()) }

// err is the faults as an error, nil where there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// sorted puts the faults in the order in which a person reads the files.
func (f Faults) sorted() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return f
}

// pos is a place in a rule file.
type pos struct{ line, column int }

// meant is " (is X meant?)" for the known name nearest to what was written, or empty.
func meant(written string, known []string) string {
	best, name := 3, ""
	for _, k := range known {
		if d := distance(strings.ToLower(written), strings.ToLower(k), best); d < best {
			best, name = d, k
		}
	}
	if name == "" || best >= len(written) {
		return ""
	}
	return fmt.Sprintf(" (is %s meant?)", name)
}

// distance is how many characters must be put in, taken out or replaced to make b of a; it stops counting
// at limit, so that long texts cost little.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// shown is a text of the file in a message: quoted, and cut where it is long.
func shown(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
