package console

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"holdfast/internal/detect"
)

// sourceLine is a line of a rule's text, in parts that are coloured alike.
type sourceLine struct {
	Number int
	Parts  []sourcePart
	Fault  string // what is wrong in it; empty: nothing
}

// sourcePart is a part of a line.
type sourcePart struct {
	Class string // key, text, note or none
	Text  string
}

var (
	yamlKey    = regexp.MustCompile(`^(\s*(?:- )*)([A-Za-z_][\w.|*-]*:)(?:\s|$)`)
	yamlNumber = regexp.MustCompile(`^\s*-?[0-9][0-9.]*[smhdwMy]?\s*$`)
)

// highlight splits a text in YAML into parts, for the eye only: what it takes for a text or a note may be none
// in a block of several lines.
func highlight(text string) []sourceLine {
	var lines []sourceLine
	for line := range strings.Lines(strings.TrimRight(strings.TrimLeft(text, "\r\n"), " \t\r\n") + "\n") {
		l := sourceLine{Number: len(lines) + 1}
		line = strings.TrimRight(line, "\r\n")
		if m := yamlKey.FindStringSubmatch(line); m != nil {
			l.add("", m[1])
			l.add("key", m[2])
			line = line[len(m[1])+len(m[2]):]
		}
		rest, note := cutNote(line)
		switch trimmed := strings.TrimSpace(rest); {
		case strings.HasPrefix(trimmed, `"`), strings.HasPrefix(trimmed, "'"), strings.HasPrefix(trimmed, `- "`), strings.HasPrefix(trimmed, "- '"), yamlNumber.MatchString(rest) && trimmed != "":
			l.add("text", rest)
		case trimmed == "true", trimmed == "false", trimmed == "null":
			l.add("text", rest)
		default:
			l.add("", rest)
		}
		l.add("note", note)
		lines = append(lines, l)
	}
	return lines
}

func (l *sourceLine) add(class, text string) {
	if text != "" {
		l.Parts = append(l.Parts, sourcePart{class, text})
	}
}

// cutNote splits a line before a # that begins a note.
func cutNote(line string) (rest, note string) {
	var quote rune
	before := ' '
	for i, x := range line {
		switch {
		case quote != 0:
			if x == quote {
				quote = 0
			}
		case x == '"' || x == '\'':
			quote = x
		case x == '#' && (before == ' ' || before == '\t'):
			return line[:i], line[i:]
		}
		before = x
	}
	return line, ""
}

// thresholdWords says which counts a threshold means: "≥ 10", "3–8".
func thresholdWords(t detect.Threshold) string {
	words := ""
	switch {
	case t.Max == 0 && t.Min == 0:
		return ""
	case t.Max == math.MaxInt64:
		words = "≥ " + strconv.FormatInt(t.Min, 10)
	case t.Min == t.Max:
		words = "= " + strconv.FormatInt(t.Min, 10)
	default:
		words = strconv.FormatInt(t.Min, 10) + "–" + strconv.FormatInt(t.Max, 10)
	}
	for _, n := range t.Not {
		words += ", ≠ " + strconv.FormatInt(n, 10)
	}
	return words
}
