package signals

import (
	"errors"
	"iter"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What a parsed document is asked for. A node that is absent may be asked everything and says nothing.

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
		if !n.keyEscaped && (int(n.keyTo-n.keyFrom) != len(name) || name != "" && differ(d.src[n.keyFrom], name[0])) {
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

// differ says that two letters of ASCII are not the same one, in whatever case. It is quick, not complete.
func differ(a, b byte) bool { return a < utf8.RuneSelf && b < utf8.RuneSelf && (a^b)&^0x20 != 0 }

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

// first is str of the first path from the top that says something.
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
