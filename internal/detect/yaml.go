package detect

import "go.yaml.in/yaml/v3"

// YAML reads YAML files as rule files are read: strictly, with all faults of a file and the place of each.
// It is for what is written beside rules, such as playbooks.
type YAML struct{ r reader }

// NewYAML is for one file.
func NewYAML(file string) *YAML { return &YAML{reader{file: file}} }

// All hands out the documents of the file that are not empty.
func (y *YAML) All(text []byte) []*yaml.Node { return y.r.documents(text) }

// Source is the text of the document whose first key is in this line.
func (y *YAML) Source(line int) string { return y.r.source(line) }

// Bad notes a fault at a value.
func (y *YAML) Bad(n *yaml.Node, format string, args ...any) { y.r.bad(n, format, args...) }

// BadInside notes a fault at a byte of the text of a value.
func (y *YAML) BadInside(n *yaml.Node, offset int, format string, args ...any) {
	y.r.at(y.r.inside(n, offset), format, args...)
}

// Count is how many faults there are so far.
func (y *YAML) Count() int {
	if y.r.dropped {
		return maxFaults + 1
	}
	return len(y.r.faults)
}

// Err is all faults, in order of their places, as an error; nil where there are none.
func (y *YAML) Err() error { return y.r.faults.sorted().err() }

// Keys calls each for the pairs of a mapping; it refuses anything else, and a key given twice.
func (y *YAML) Keys(n *yaml.Node, what string, each func(key string, k, v *yaml.Node)) {
	y.r.keys(n, what, each)
}

// Text is a single text of at most so many characters.
func (y *YAML) Text(n *yaml.Node, what string, limit int) string { return y.r.text(n, what, limit) }

// Texts is a list of texts, none of them twice.
func (y *YAML) Texts(n *yaml.Node, what string, check func(n *yaml.Node, s string)) []string {
	return y.r.texts(n, what, check)
}

// OneOf is a text that must be one of those known; empty, and a fault, where it is not.
func (y *YAML) OneOf(n *yaml.Node, what string, known []string) string {
	return y.r.oneOf(n, what, known)
}

// Meant is " (is X meant?)" for the known name nearest to what was written, or empty.
func Meant(written string, known []string) string { return meant(written, known) }

// Shown is a text in a message: quoted, and cut where it is long.
func Shown(s string) string { return shown(s) }

// Sorted puts the faults in the order in which a person reads the files.
func (f Faults) Sorted() Faults { return f.sorted() }

// Levels are the levels from least to worst.
func Levels() []Level { return []Level{Informational, Low, Medium, High, Critical} }
