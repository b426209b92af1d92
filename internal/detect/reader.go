package detect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// What a rule file may hold at most. Rules are written by people; what is larger is a mistake or an
// attack, and each of these bounds the time of a load or of an evaluation.
const (
	maxFile       = 256 << 10 // bytes
	maxDocuments  = 200       // in a file
	maxNodes      = 20_000    // keys, values, lists and list entries of a document
	maxDepth      = 12        // of lists and keys in each other
	maxFaults     = 50        // reported per file
	maxCondition  = 4_096     // bytes
	maxNesting    = 32        // of parentheses and not in a condition
	maxExpanded   = 20_000    // predicates of a rule when its condition is written out
	maxRegexp     = 1_024     // bytes
	maxRegexps    = 100       // in a file
	maxName       = 256       // bytes of a name, a field's too
	maxShort      = 256       // characters of a title
	maxLong       = 65_535    // characters of a description
	maxAtomsProof = 14        // different predicates up to which a rule is proved to depend on the event
	maxProof      = 1 << 20   // steps of that proof
)

// reader reads the documents of one file. It collects faults instead of stopping at the first.
type reader struct {
	file    string
	lines   []string
	faults  Faults
	dropped bool
	nodes   int
	regexps int
}

func (r *reader) at(p pos, format string, args ...any) {
	if len(r.faults) >= maxFaults {
		if !r.dropped {
			r.dropped = true
			r.faults = append(r.faults, Fault{r.file, p.line, p.column, fmt.Sprintf("more than %d faults; this one and the others are not listed", maxFaults)})
		}
		return
	}
	r.faults = append(r.faults, Fault{File: r.file, Line: p.line, Column: p.column, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) bad(n *yaml.Node, format string, args ...any) {
	r.at(pos{n.Line, n.Column}, format, args...)
}

// documents hands out the documents of the file that are not empty.
func (r *reader) documents(data []byte) []*yaml.Node {
	switch {
	case len(data) > maxFile:
		r.at(pos{}, "the file has %d bytes, %d are allowed; split it", len(data), maxFile)
		return nil
	case !utf8.Valid(data):
		r.at(pos{}, "the file is not UTF-8; save it as UTF-8")
		return nil
	}
	r.lines = strings.Split(strings.ReplaceAll(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n", "\n"), "\n")
	var docs []*yaml.Node
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			line, text := syntaxError(err)
			r.at(pos{line, 0}, "not valid YAML: %s", text)
			return docs
		}
		if len(doc.Content) != 1 || isNull(doc.Content[0]) {
			continue
		}
		if len(docs) == maxDocuments {
			r.bad(doc.Content[0], "more than %d documents; split the file", maxDocuments)
			return docs
		}
		r.nodes = 0
		if r.sane(doc.Content[0], 1) {
			docs = append(docs, doc.Content[0])
		}
	}
}

// source is the text of the document whose first key is in this line, up to the mark of the next one.
func (r *reader) source(line int) string {
	if line < 1 || line > len(r.lines) {
		return ""
	}
	end := line // the first line may bear the mark itself
	for end < len(r.lines) && !strings.HasPrefix(r.lines[end], "---") && !strings.HasPrefix(r.lines[end], "...") {
		end++
	}
	return strings.TrimRight(strings.Join(r.lines[line-1:end], "\n"), " \t\r\n") + "\n"
}

// syntaxError takes the line out of the library's message.
func syntaxError(err error) (line int, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return n, m[2]
		}
	}
	return 0, text
}

// sane refuses what rules have no use for and what would make them grow when they are read.
func (r *reader) sane(n *yaml.Node, depth int) bool {
	r.nodes++
	switch {
	case r.nodes > maxNodes:
		r.bad(n, "the document has more than %d values; split it", maxNodes)
		return false
	case depth > maxDepth:
		r.bad(n, "lists and keys lie more than %d deep in each other", maxDepth)
		return false
	case n.Kind == yaml.AliasNode:
		r.bad(n, "an alias (*%s); write out what it stands for", n.Value)
		return false
	case n.Anchor != "":
		r.bad(n, "an anchor (&%s); there are no aliases here, remove it", n.Anchor)
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.bad(n, "a tag (%s); write the value without, in quotes if it is a text", n.Tag)
		return false
	}
	ok := true
	for _, c := range n.Content {
		if !r.sane(c, depth+1) {
			ok = false
			if r.nodes > maxNodes {
				break
			}
		}
	}
	return ok
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// plain says whether a scalar stands without quotes, so that YAML guesses what it is.
func plain(n *yaml.Node) bool {
	return n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// keys calls each for the pairs of a mapping; it refuses anything else, and a key given twice.
func (r *reader) keys(n *yaml.Node, what string, each func(key string, k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.bad(n, "%s must be keys with values, not %s", what, kindOf(n))
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch first, twice := lines[k.Value]; {
		case k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null" || k.ShortTag() == "!!merge":
			r.bad(k, "%s has something other than a name as a key", what)
		case twice:
			r.bad(k, "%s has the key %s already, in line %d; YAML would keep one of them only", what, shown(k.Value), first)
		default:
			lines[k.Value] = k.Line
			each(k.Value, k, v)
		}
	}
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	default:
		return "a single value"
	}
}

// text is a single text; what is a number, a date or a word of YAML is taken as it is written.
func (r *reader) text(n *yaml.Node, what string, limit int) string {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.bad(n, "%s must be a text, not %s", what, kindOf(n))
		return ""
	}
	s := strings.TrimSpace(n.Value)
	switch {
	case s == "":
		r.bad(n, "%s is empty", what)
	case utf8.RuneCountInString(s) > limit:
		r.bad(n, "%s has %d characters, %d are allowed", what, utf8.RuneCountInString(s), limit)
	}
	return s
}

// texts is a list of texts, none of them twice.
func (r *reader) texts(n *yaml.Node, what string, check func(n *yaml.Node, s string)) []string {
	if n.Kind != yaml.SequenceNode {
		r.bad(n, "%s must be a list, not %s", what, kindOf(n))
		return nil
	}
	seen := map[string]bool{}
	var out []string
	for _, e := range n.Content {
		s := r.text(e, "an entry of "+what, maxLong)
		if s == "" {
			continue
		}
		if seen[s] {
			r.bad(e, "%s has %s twice", what, shown(s))
			continue
		}
		seen[s] = true
		if check != nil {
			check(e, s)
		}
		out = append(out, s)
	}
	return out
}

// oneOf is a text that must be one of those known.
func (r *reader) oneOf(n *yaml.Node, what string, known []string) string {
	s := r.text(n, what, maxShort)
	if s == "" {
		return ""
	}
	if slices.Contains(known, s) {
		return s
	}
	r.bad(n, "%s is %s; it must be one of %s%s", what, shown(s), strings.Join(known, ", "), meant(s, known))
	return ""
}

// inside is the place of the byte at offset in the text of a scalar, where that can be told: the text
// stands in one line, as it is. Else it is where the scalar begins.
func (r *reader) inside(n *yaml.Node, offset int) pos {
	p := pos{n.Line, n.Column}
	if n.Line < 1 || n.Line > len(r.lines) {
		return p
	}
	line := []rune(r.lines[n.Line-1])
	start := n.Column - 1
	if !plain(n) {
		start++
	}
	if start < 0 || start > len(line) || !strings.HasPrefix(string(line[start:]), n.Value) {
		return p
	}
	return pos{n.Line, start + 1 + utf8.RuneCountInString(n.Value[:min(offset, len(n.Value))])}
}
