package signals

import (
	"bytes"
	"strings"
)

// shapes of what begins with a brace.
type shape uint8

const (
	oneLine   shape = iota // an event in one line
	manyLines              // an event that goes on in the next line
	envelope               // an object around a list of events
)

// shape finds out what begins here, by looking ahead as far as needed: for an envelope also how many
// bytes there are before its first event, and how many braces it opened.
func (f *file) shape() (s shape, n, depth int) {
	for want := 1; ; {
		b, err := f.in.Peek(min(max(want, f.in.Buffered()), lookAhead))
		n, depth, more := openEnvelope(b)
		switch {
		case n > 0:
			return envelope, n, depth
		case !more || err != nil || len(b) >= lookAhead:
			if alone(b) {
				return manyLines, 0, 0
			}
			return oneLine, 0, 0
		}
		want = len(b) + len(b)/8 + 1 // in steps that grow, as everything is looked at again
	}
}

// opensAlone says whether the brace is all that stands in its line.
func (f *file) opensAlone() bool {
	b, _ := f.in.Peek(min(max(8, f.in.Buffered()), lookAhead)) // what is not there is no brace either
	return alone(b)
}

func alone(b []byte) bool {
	rest := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("{")), " \t\r")
	return len(rest) > 0 && rest[0] == '\n'
}

// openEnvelope looks for the list of events in an object of which b is the beginning. n is 0 if there
// is none, or none yet: then more says that a longer beginning might show it.
func openEnvelope(b []byte) (n, depth int, more bool) {
	s := glance{b: b}
	if !s.take('{') {
		return 0, 0, false
	}
	for depth = 1; ; {
		name, ok := s.name()
		if !ok {
			return 0, 0, s.ended()
		}
		switch strings.ToLower(name) {
		case "items", "value", "events", "records", "data":
			if s.take('[') {
				if c := s.next(); c == '{' || c == ']' {
					return s.at, depth, false
				}
				return 0, 0, s.ended()
			}
			if strings.EqualFold(name, "data") && depth == 1 && s.take('{') {
				depth++
				continue
			}
		}
		if !s.over() {
			return 0, 0, s.ended()
		}
		if s.take(',') {
			continue
		}
		return 0, 0, s.ended()
	}
}

// glance reads JSON roughly, as far as it is there.
type glance struct {
	b  []byte
	at int
}

// next is the next byte that is no space, or 0.
func (s *glance) next() byte {
	for s.at < len(s.b) {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *glance) take(c byte) bool {
	if s.next() != c {
		return false
	}
	s.at++
	return true
}

// ended says that there is nothing left to look at.
func (s *glance) ended() bool { return s.next() == 0 }

// name reads the name of a member and the colon.
func (s *glance) name() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	from := s.at
	if !s.quote() {
		return "", false
	}
	name := string(s.b[from : s.at-1])
	return name, s.take(':')
}

// quote goes behind the closing quote.
func (s *glance) quote() bool {
	for ; s.at < len(s.b); s.at++ {
		switch s.b[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return true
		}
	}
	s.at = len(s.b)
	return false
}

// over goes behind a value.
func (s *glance) over() bool {
	depth := 0
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case '"':
			s.at++
			if !s.quote() {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return true
			}
			depth--
		case ',':
			if depth == 0 {
				return true
			}
		}
		s.at++
	}
	return false
}
