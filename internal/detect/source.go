package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// LogSource says which events a rule is about. An empty part of a rule's log source stands for any.
type LogSource struct {
	Product, Category, Service string
	Definition                 string // for people: what must be logged for the rule to work
}

// String is the parts that are given: product okta, service okta.
func (l LogSource) String() string {
	var parts []string
	for _, p := range []struct{ name, value string }{{"product", l.Product}, {"category", l.Category}, {"service", l.Service}} {
		if p.value != "" {
			parts = append(parts, p.name+" "+p.value)
		}
	}
	return strings.Join(parts, ", ")
}

// covers reports whether a rule with log source l is about events of source s.
func (l LogSource) covers(s LogSource) bool {
	same := func(rule, source string) bool { return rule == "" || strings.EqualFold(rule, source) }
	return same(l.Product, s.Product) && same(l.Category, s.Category) && same(l.Service, s.Service)
}

// FieldMap describes the events of one source to rules: which log source they are, and where the
// fields that rules name are found.
type FieldMap struct {
	Name     string // of the source, unique
	Source   LogSource
	Taxonomy string            // whose field names these are; empty is "sigma"
	Fields   map[string]string // name in rules to path in the event; names are compared exactly
	// Open says that a name not among Fields is a path itself, as for events of unknown shape. In a map
	// that is not open such a name is an error: it is a slip of the pen, and the rule would never match.
	Open bool
}

const sigmaTaxonomy = "sigma"

func (m *FieldMap) taxonomy() string { return cmp.Or(m.Taxonomy, sigmaTaxonomy) }

// path is where the field is found in events of the source.
func (m *FieldMap) path(field string) (string, bool) {
	if p, ok := m.Fields[field]; ok {
		return p, true
	}
	return field, m.Open
}

// unknown says what is wrong with the field.
func (m *FieldMap) unknown(field string) string {
	names := make([]string, 0, len(m.Fields))
	for name := range m.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Sprintf("events of %s have no field %s%s", m.Name, shown(field), meant(field, names))
}

// checkMaps refuses maps that could not be told apart.
func checkMaps(maps []FieldMap) error {
	for i := range maps {
		if maps[i].Name == "" {
			return fmt.Errorf("field map %d has no name", i+1)
		}
		if slices.ContainsFunc(maps[:i], func(m FieldMap) bool { return m.Name == maps[i].Name }) {
			return fmt.Errorf("two field maps are called %s", maps[i].Name)
		}
	}
	return nil
}
