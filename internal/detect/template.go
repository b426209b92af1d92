package detect

import (
	"errors"
	"fmt"
	"strings"
)

// Template is a sentence with names in braces, such as "{user.email} failed {count} times". Two braces
// are one brace.
type Template struct {
	written string
	parts   []templatePart
}

type templatePart struct {
	text string
	name bool // text is a name, not words
}

// ParseTemplate reads a sentence; the error says what to change.
func ParseTemplate(s string) (Template, error) {
	t := Template{written: s}
	var words strings.Builder
	flush := func() {
		if words.Len() > 0 {
			t.parts = append(t.parts, templatePart{text: words.String()})
			words.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c:
			words.WriteByte(c)
			i++
		case c == '}':
			return Template{}, errors.New("has a } that closes nothing; write }} for the character")
		case c == '{':
			name, _, closed := strings.Cut(s[i+1:], "}")
			if !closed {
				return Template{}, errors.New("has a { that is not closed; write {{ for the character")
			}
			if !isFieldName(name) {
				return Template{}, fmt.Errorf("has %s in braces; a field's name must be there", shown(name))
			}
			flush()
			t.parts = append(t.parts, templatePart{text: name, name: true})
			i += len(name) + 1
		default:
			words.WriteByte(c)
		}
	}
	flush()
	return t, nil
}

// String is the template as written.
func (t Template) String() string { return t.written }

// Names are the names in braces, in their order; one that occurs twice is there twice.
func (t Template) Names() []string {
	var names []string
	for _, p := range t.parts {
		if p.name {
			names = append(names, p.text)
		}
	}
	return names
}

// Fill puts the values in.
func (t Template) Fill(value func(name string) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.name {
			b.WriteString(value(p.text))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// isFieldName allows what field names of log formats are made of.
func isFieldName(s string) bool {
	if s == "" || len(s) > maxName || s != strings.TrimSpace(s) {
		return false
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`|{}*?"'%`+"`", r) {
			return false
		}
	}
	return true
}
