package detect

import (
	"slices"
	"strings"
)

// Event is what rules read. It is asked by place, not by name: a Matcher says in Paths what it wants to
// know at which place, and whoever makes events for it looks the names up once.
//
// An event is asked for a field once at most, and only if a rule that may match needs it; so Value can
// be a look at a decoded document.
type Event interface {
	// Value is what the event has in the field that Paths names at this place; the zero Value if nothing.
	Value(place int) Value

	// Words are all texts of the event, for rules that search without naming a field.
	Words() []string
}

// Record is an event that has its values at hand.
type Record struct {
	Values []Value // by place
	Texts  []string
}

// Value is the value at the place; absent where the record is shorter.
func (r *Record) Value(place int) Value {
	if place >= len(r.Values) {
		return Value{}
	}
	return r.Values[place]
}

// Words are the texts.
func (r *Record) Words() []string { return r.Texts }

// Document is a decoded JSON object as an event for the matcher whose Paths it was made with.
type Document struct {
	paths []string
	body  map[string]any
}

// NewDocument reads the object by these paths.
func NewDocument(paths []string, object map[string]any) *Document {
	return &Document{paths: paths, body: object}
}

// Value looks the path of the place up.
func (d *Document) Value(place int) Value { return Lookup(d.body, d.paths[place]) }

// Words are the texts of the object at any depth, in order of their keys.
func (d *Document) Words() []string { return appendWords(nil, d.body) }

func appendWords(dst []string, x any) []string {
	switch x := x.(type) {
	case string:
		return append(dst, strings.ToValidUTF8(x, "\uFFFD"))
	case []any:
		for _, e := range x {
			dst = appendWords(dst, e)
		}
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			dst = appendWords(dst, x[k])
		}
	}
	return dst
}

// Lookup follows a path with dots through a decoded JSON object. A key that has dots itself is found as
// well. A list on the way stands for all its elements: target.displayName has the names of all targets.
func Lookup(object map[string]any, path string) Value {
	found := lookup(nil, object, path)
	switch len(found) {
	case 0:
		return Value{}
	case 1:
		return found[0]
	}
	var all []Value
	for _, v := range found {
		if v.kind == List {
			all = append(all, v.list...)
		} else {
			all = append(all, v)
		}
	}
	return ListValue(all...)
}

func lookup(dst []Value, x any, path string) []Value {
	switch x := x.(type) {
	case []any:
		for _, e := range x {
			dst = lookup(dst, e, path)
		}
	case map[string]any:
		if v, ok := x[path]; ok {
			return append(dst, ValueOf(v))
		}
		for i := range len(path) {
			if path[i] != '.' {
				continue
			}
			child, ok := x[path[:i]]
			if !ok {
				continue
			}
			before := len(dst)
			if dst = lookup(dst, child, path[i+1:]); len(dst) > before {
				return dst
			}
		}
	}
	return dst
}
