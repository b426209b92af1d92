package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// source is where values come from: a file, the environment, or flags.
type source struct {
	values map[string]any    // by key with dots; each a string
	where  map[string]string // by key, how to tell a person where it stands
}

func newSource() source {
	return source{values: map[string]any{}, where: map[string]string{}}
}

// reader reads one YAML file into a source.
//
// It reads the nodes, not Go values, so that a value stays as it was written: "data: 0755" is a folder
// of that name, not the number 493. It refuses what would be ignored in silence, such as a key given
// twice or a second document, and what a list of settings has no use for: anchors, aliases and tags. An
// error names the line; it repeats neither a line nor a value, which may hold a password.
type reader struct {
	file  string
	known map[string]field
	sections
	source
	lines map[string]int
	errs  []error
}

// sections are the keys that have keys below them, such as listen.
type sections map[string]bool

func sectionsOf(all []field) sections {
	s := sections{}
	for _, f := range all {
		for i, c := range f.key {
			if c == '.' {
				s[f.key[:i]] = true
			}
		}
	}
	return s
}

func readFile(file string, text []byte, known map[string]field, s sections) (source, []error) {
	r := &reader{file: file, known: known, sections: s, source: newSource(), lines: map[string]int{}}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) { // empty, or nothing but comments
		return r.source, nil
	}
	if err != nil {
		return r.source, []error{fmt.Errorf("%s is not valid YAML%s; put a value that begins with a special character in quotes", file, lineOf(err))}
	}
	if root := doc.Content[0]; root.Kind != yaml.MappingNode && !null(root) {
		r.bad(root, "is not a list of keys; write one key: value a line")
	} else if !null(root) {
		r.mapping("", root)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		r.errs = append(r.errs, fmt.Errorf("%s: there is something behind the first document; remove --- and what follows, or what is no YAML%s", file, lineOf(err)))
	}
	return r.source, r.errs
}

func (r *reader) bad(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s line %d %s", r.file, n.Line, fmt.Sprintf(format, args...)))
}

func (r *reader) mapping(prefix string, m *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		if !r.plain(k) || !r.plain(v) {
			continue
		}
		if k.Kind != yaml.ScalarNode {
			r.bad(k, "has a list or keys where a key must be")
			continue
		}
		r.key(prefix+k.Value, k, v)
	}
}

// key takes the value of a key.
func (r *reader) key(key string, k, v *yaml.Node) {
	_, known := r.known[key]
	switch {
	case r.sections[key]:
		switch {
		case v.Kind == yaml.MappingNode:
			r.mapping(key+".", v)
		case !null(v):
			r.bad(k, "gives %s a value, but it has keys below it, such as %s", key, r.below(key))
		}
		return
	case !known && v.Kind == yaml.MappingNode && len(v.Content) > 0:
		r.mapping(key+".", v)
		return
	case !known:
		r.bad(k, "has the key %s, which does not exist%s", shownKey(key), nearest(key, names(r.known)))
		return
	}
	if line, twice := r.lines[key]; twice {
		r.bad(k, "gives %s again, after line %d; keep one", key, line)
		return
	}
	r.lines[key] = k.Line
	if text, ok := r.text(key, v); ok {
		r.values[key] = text
		r.where[key] = fmt.Sprintf("%s line %d", r.file, k.Line)
	}
}

// text is the value as written; a list is joined by commas. It is absent for null: the default holds.
func (r *reader) text(key string, v *yaml.Node) (string, bool) {
	switch {
	case null(v):
		return "", false
	case v.Kind == yaml.ScalarNode:
		return v.Value, true
	case v.Kind == yaml.SequenceNode && r.known[key].list():
		parts := make([]string, 0, len(v.Content))
		for _, e := range v.Content {
			if !r.plain(e) {
				return "", false
			}
			if e.Kind != yaml.ScalarNode || strings.ContainsAny(e.Value, ", ") || null(e) {
				r.bad(e, "has something other than one value in the list %s", key)
				return "", false
			}
			parts = append(parts, e.Value)
		}
		return strings.Join(parts, ","), true
	}
	r.bad(v, "gives %s a list or keys; it takes one value", key)
	return "", false
}

func (r *reader) plain(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		r.bad(n, "uses an anchor, an alias or a tag (&, * or !), which are not supported here; put the value in quotes if it is one")
		return false
	}
	return true
}

func (r *reader) below(section string) string {
	for _, name := range names(r.known) {
		if strings.HasPrefix(name, section+".") {
			return name
		}
	}
	return section
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// lineOf keeps of a YAML error nothing but the line.
func lineOf(err error) string {
	if err == nil {
		return ""
	}
	_, rest, ok := strings.Cut(err.Error(), "line ")
	if !ok {
		return ""
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if n <= 0 {
		return ""
	}
	return ": look at line " + rest[:n]
}
