package signals

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of one event. No source comes near them; they bound what a hostile line costs.
const (
	maxEvent = 1 << 20 // bytes
	maxDepth = 32      // objects and arrays inside one another
	maxNodes = 1 << 14 // values
)

type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

// node is one value of a document. The values inside it follow it directly; next is the index after
// the last of them.
type node struct {
	keyFrom, keyTo int32 // the member's name, without quotes; nothing in an array
	from, to       int32 // the value, of a text without quotes
	next           int32
	kind           kind
	escaped        bool // the text has \ in it
	keyEscaped     bool
}

// document is JSON (RFC 8259), checked and indexed in one pass, without copying: most events are asked
// for twenty of their fields and never again. Its memory is used again by the next parse. The zero
// document is that of an absent value: asking it is allowed and answers nothing.
//
// Of members with the same name the last one counts, for readers of the normalised and of the raw
// event alike.
type document struct {
	src   string
	nodes []node
	at    int
}

// absent is the index of a value that is not there.
const absent = -1

// parse reads one value and nothing after it. On error the document is empty.
func (d *document) parse(src string) error { return d.parseUpTo(src, maxEvent) }

func (d *document) parseUpTo(src string, most int) error {
	d.src, d.nodes, d.at = src, d.nodes[:0], 0
	if len(src) > most {
		return errTooLong(most)
	}
	d.space()
	err := d.value(node{}, 0)
	if err == nil {
		if d.space(); d.at != len(src) {
			err = d.unexpected("the end of the event")
		}
	}
	if err != nil {
		d.nodes = d.nodes[:0]
	}
	return err
}

func (d *document) unexpected(want string) error {
	if d.at >= len(d.src) {
		return fmt.Errorf("not JSON: it ends where %s was expected", want)
	}
	r, _ := utf8.DecodeRuneInString(d.src[d.at:])
	return fmt.Errorf("not JSON: %q at byte %d, where %s was expected", r, d.at+1, want)
}

func (d *document) space() {
	for d.at < len(d.src) {
		switch d.src[d.at] {
		case ' ', '\t', '\r', '\n':
			d.at++
		default:
			return
		}
	}
}

func (d *document) peek() byte {
	if d.at < len(d.src) {
		return d.src[d.at]
	}
	return 0
}

// value reads one value; n has its name already.
func (d *document) value(n node, depth int) error {
	if len(d.nodes) == maxNodes {
		return fmt.Errorf("the event has more than %d values", maxNodes)
	}
	me := len(d.nodes)
	d.nodes = append(d.nodes, n)
	from := d.at
	var err error
	switch c := d.peek(); c {
	case '{':
		n.kind, err = object, d.members(depth+1)
	case '[':
		n.kind, err = array, d.elements(depth+1)
	case '"':
		n.kind = text
		n.escaped, err = d.string()
		from++
	case 't':
		n.kind, err = boolean, d.word("true")
	case 'f':
		n.kind, err = boolean, d.word("false")
	case 'n':
		n.kind, err = null, d.word("null")
	default:
		n.kind, err = number, d.number()
	}
	if err != nil {
		return err
	}
	n.from, n.to, n.next = int32(from), int32(d.at), int32(len(d.nodes))
	if n.kind == text {
		n.to--
	}
	d.nodes[me] = n
	return nil
}

func (d *document) members(depth int) error {
	if depth > maxDepth {
		return errTooDeep()
	}
	d.at++ // {
	if d.space(); d.peek() == '}' {
		d.at++
		return nil
	}
	for {
		if d.space(); d.peek() != '"' {
			return d.unexpected(`a name in quotes`)
		}
		var n node
		var err error
		from := d.at + 1
		if n.keyEscaped, err = d.string(); err != nil {
			return err
		}
		n.keyFrom, n.keyTo = int32(from), int32(d.at-1)
		if d.space(); d.peek() != ':' {
			return d.unexpected(`":"`)
		}
		d.at++
		d.space()
		if err := d.value(n, depth); err != nil {
			return err
		}
		switch d.space(); d.peek() {
		case ',':
			d.at++
		case '}':
			d.at++
			return nil
		default:
			return d.unexpected(`"," or "}"`)
		}
	}
}

func (d *document) elements(depth int) error {
	if depth > maxDepth {
		return errTooDeep()
	}
	d.at++ // [
	if d.space(); d.peek() == ']' {
		d.at++
		return nil
	}
	for {
		d.space()
		if err := d.value(node{}, depth); err != nil {
			return err
		}
		switch d.space(); d.peek() {
		case ',':
			d.at++
		case ']':
			d.at++
			return nil
		default:
			return d.unexpected(`"," or "]"`)
		}
	}
}

func errTooDeep() error {
	return fmt.Errorf("objects and lists are more than %d deep inside one another", maxDepth)
}

func (d *document) word(w string) error {
	if !strings.HasPrefix(d.src[d.at:], w) {
		return d.unexpected("a value")
	}
	d.at += len(w)
	return nil
}

// string reads from quote to quote and says whether there are escapes.
func (d *document) string() (escaped bool, err error) {
	i := d.at + 1
	for i < len(d.src) {
		switch c := d.src[i]; {
		case c == '"':
			d.at = i + 1
			return escaped, nil
		case c < 0x20:
			d.at = i
			return false, fmt.Errorf("not JSON: a control character (%#02x) at byte %d, inside quotes", c, i+1)
		case c != '\\':
			i++
			continue
		}
		escaped = true
		d.at = i
		if i++; i == len(d.src) {
			break
		}
		switch d.src[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i++
		case 'u':
			if _, ok := hex4(d.src[i+1:]); !ok {
				return false, d.unexpected(`an escape such as \u00e9`)
			}
			i += 5
		default:
			return false, d.unexpected("an escape that JSON knows")
		}
	}
	d.at = len(d.src)
	return false, d.unexpected("a closing quote")
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	v, err := strconv.ParseUint(s[:4], 16, 16)
	return rune(v), err == nil && s[0] != '+' && s[0] != '-' && s[0] != '_'
}

func (d *document) number() error {
	if d.peek() == '-' {
		d.at++
	}
	switch c := d.peek(); {
	case c == '0':
		d.at++
	case '1' <= c && c <= '9':
		d.digits()
	default:
		return d.unexpected("a value")
	}
	if d.peek() == '.' {
		d.at++
		if !d.digits() {
			return d.unexpected("a digit")
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.at++
		if c := d.peek(); c == '+' || c == '-' {
			d.at++
		}
		if !d.digits() {
			return d.unexpected("a digit")
		}
	}
	return nil
}

func (d *document) digits() (some bool) {
	for '0' <= d.peek() && d.peek() <= '9' {
		d.at++
		some = true
	}
	return some
}
