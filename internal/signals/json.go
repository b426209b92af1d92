package signals

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode/utf16"
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

// isObject says whether the document is one object with something in it.
func (d *document) isObject() error {
	switch {
	case len(d.nodes) == 0 || d.nodes[0].kind != object:
		return errors.New("the event is not a JSON object")
	case len(d.nodes) == 1:
		return errors.New("the event is an empty object")
	}
	return nil
}

// inside goes through the values that are directly inside node i; there are none in a scalar.
func (d *document) inside(i int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if i == absent || i >= len(d.nodes) {
			return
		}
		for j, end := i+1, int(d.nodes[i].next); j < end; j = int(d.nodes[j].next) {
			if !yield(j) {
				return
			}
		}
	}
}

// key is the name of member i.
func (d *document) key(i int) string {
	n := &d.nodes[i]
	k := d.src[n.keyFrom:n.keyTo]
	if n.keyEscaped {
		return unescape(k)
	}
	return k
}

// get is the member of object i with that name: the last one that is spelt so, or else the last one
// that differs in letter case, because data lakes like to lower names.
func (d *document) get(i int, name string) int {
	if i == absent || i >= len(d.nodes) || d.nodes[i].kind != object {
		return absent
	}
	exact, folded := absent, absent
	for j, end := i+1, int(d.nodes[i].next); j < end; j = int(d.nodes[j].next) {
		n := &d.nodes[j]
		if int(n.keyTo-n.keyFrom) != len(name) && !n.keyEscaped {
			continue
		}
		switch k := d.key(j); {
		case k == name:
			exact = j
		case strings.EqualFold(k, name):
			folded = j
		}
	}
	if exact != absent {
		return exact
	}
	return folded
}

// path goes down through objects, from the top.
func (d *document) path(names ...string) int { return d.down(0, names...) }

func (d *document) down(i int, names ...string) int {
	for _, name := range names {
		i = d.get(i, name)
	}
	return i
}

// raw is node i as text: of a string what it says, of everything else its JSON; nothing for null.
func (d *document) raw(i int) string {
	if i == absent || i >= len(d.nodes) {
		return ""
	}
	n := &d.nodes[i]
	switch {
	case n.kind == null:
		return ""
	case n.escaped:
		return unescape(d.src[n.from:n.to])
	}
	return d.src[n.from:n.to]
}

// str is node i as a field of an event, if it is a scalar.
func (d *document) str(i int) string {
	if i == absent || i >= len(d.nodes) || d.nodes[i].kind > text {
		return ""
	}
	return clean(d.raw(i))
}

// at string paths, from the top: the first one that says something.
func (d *document) first(paths ...[]string) string {
	for _, p := range paths {
		if s := d.str(d.path(p...)); s != "" {
			return s
		}
	}
	return ""
}

func (d *document) kindOf(i int) kind {
	if i == absent || i >= len(d.nodes) {
		return null
	}
	return d.nodes[i].kind
}

// float is node i as a number, also if it is written as text; 0 if it is none.
func (d *document) float(i int) float64 {
	f, err := strconv.ParseFloat(d.str(i), 64)
	if err != nil {
		return 0
	}
	return f
}

// integer is node i as a whole number, also if it is written as text; 0 if it is none.
func (d *document) integer(i int) int64 {
	s := d.str(i)
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f > -1e15 && f < 1e15 {
		return int64(f)
	}
	return 0
}

// tri is node i as yes or no, also if it is written as text.
func (d *document) tri(i int) Tri {
	switch s := d.str(i); {
	case strings.EqualFold(s, "true"):
		return Yes
	case strings.EqualFold(s, "false"):
		return No
	}
	return Unknown
}

// unescape resolves the escapes of a JSON string that string has accepted.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, _ := hex4(s) // string has checked it
			s = s[4:]
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if strings.HasPrefix(s, `\u`) {
					low, ok = hex4(s[2:])
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					s = s[6:]
				}
			}
			b.WriteRune(r)
		default: // " \ /
			b.WriteByte(c)
		}
	}
}
