package detect

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Parse reads a rule file: one or more YAML documents, each a Sigma rule or a correlation.
//
// It returns the rules that are good by themselves, and all faults of the file. Whether the rules fit
// together and into the fields of the sources is for Compile to say.
func Parse(file string, data []byte) ([]*Rule, Faults) {
	r := &reader{file: file}
	var rules []*Rule
	for _, doc := range r.documents(data) {
		before := len(r.faults)
		rule := r.rule(doc)
		if len(r.faults) == before && !r.dropped {
			rules = append(rules, rule)
		}
	}
	return rules, r.faults.sorted()
}

// key reads the value of one key of a document into the rule.
type key func(rule *Rule, k, v *yaml.Node)

// rule reads a document.
func (r *reader) rule(doc *yaml.Node) *Rule {
	rule := &Rule{File: r.file, Line: doc.Line, Text: r.source(doc.Line), places: rulePlaces{explain: map[string]pos{}}}
	known := r.known()
	at := map[string]*yaml.Node{}
	r.keys(doc, "the document", func(name string, k, v *yaml.Node) {
		at[name] = k
		read, ok := known[name]
		if !ok {
			if why := notHere(name); why != "" {
				r.bad(k, "%s", why)
				return
			}
			r.bad(k, "unknown key %s%s", shown(name), meant(name, slices.Sorted(maps.Keys(known))))
			return
		}
		read(rule, k, v)
	})
	if doc.Kind != yaml.MappingNode {
		return rule
	}
	switch {
	case at["filter"] != nil || at["action"] != nil:
	case at["correlation"] != nil && at["detection"] != nil:
		r.bad(at["correlation"], "a document is a rule or a correlation; put the correlation into a document of its own, behind ---")
	case at["correlation"] != nil && at["logsource"] != nil:
		r.bad(at["logsource"], "a correlation has no logsource; its rules have")
	case at["correlation"] == nil && at["detection"] == nil:
		r.bad(doc, "neither detection nor correlation: the document says nothing about what to look for")
	case at["correlation"] == nil && at["logsource"] == nil:
		r.bad(doc, "logsource is missing: which events the rule is about")
	case at["correlation"] == nil && at["generate"] != nil:
		r.bad(at["generate"], "generate belongs to a correlation")
	}
	if at["title"] == nil {
		r.bad(doc, "title is missing")
	}
	return rule
}

// notHere says why a key that exists elsewhere is refused.
func notHere(name string) string {
	switch name {
	case "filter":
		return "Sigma filters are not supported here; write an exception to the rule, or put the condition into the rule"
	case "action":
		return "collections of Sigma 1 (action: global, repeat, reset) are not supported; write each rule out"
	default:
		return ""
	}
}

// known are the keys of a document, by the schemas of Sigma 2 for rules and correlations, and ours.
func (r *reader) known() map[string]key {
	return map[string]key{
		"title": func(rule *Rule, _, v *yaml.Node) { rule.Title = r.text(v, "title", maxShort) },
		"id": func(rule *Rule, _, v *yaml.Node) {
			rule.ID, rule.places.id = strings.ToLower(r.uuid(v, "id")), pos{v.Line, v.Column}
		},
		"name": func(rule *Rule, _, v *yaml.Node) {
			rule.Name, rule.places.name = r.text(v, "name", maxShort), pos{v.Line, v.Column}
		},
		"taxonomy": func(rule *Rule, _, v *yaml.Node) {
			rule.Taxonomy, rule.places.taxonomy = r.text(v, "taxonomy", maxShort), pos{v.Line, v.Column}
		},
		"status": func(rule *Rule, _, v *yaml.Node) {
			rule.Status, rule.places.status = Status(r.oneOf(v, "status", statuses())), pos{v.Line, v.Column}
		},
		"level":       func(rule *Rule, _, v *yaml.Node) { rule.Level = Level(r.oneOf(v, "level", levels())) },
		"description": func(rule *Rule, _, v *yaml.Node) { rule.Description = r.text(v, "description", maxLong) },
		"license":     func(rule *Rule, _, v *yaml.Node) { rule.License = r.text(v, "license", maxShort) },
		"author":      func(rule *Rule, _, v *yaml.Node) { rule.Author = r.text(v, "author", maxLong) },
		"date":        func(rule *Rule, _, v *yaml.Node) { rule.Date = r.date(v, "date") },
		"modified":    func(rule *Rule, _, v *yaml.Node) { rule.Modified = r.date(v, "modified") },
		"references":  func(rule *Rule, _, v *yaml.Node) { rule.References = r.texts(v, "references", nil) },
		"tags":        func(rule *Rule, _, v *yaml.Node) { rule.Tags = r.texts(v, "tags", r.tag) },
		"fields":      func(rule *Rule, _, v *yaml.Node) { rule.Fields = r.texts(v, "fields", r.fieldName) },
		"scope":       func(rule *Rule, _, v *yaml.Node) { rule.Scope = r.texts(v, "scope", nil) },
		"falsepositives": func(rule *Rule, _, v *yaml.Node) {
			if v.Kind == yaml.ScalarNode && !isNull(v) { // the schema of correlations allows a single one
				rule.FalsePositives = []string{r.text(v, "falsepositives", maxLong)}
				return
			}
			rule.FalsePositives = r.texts(v, "falsepositives", nil)
		},
		"related":     func(rule *Rule, _, v *yaml.Node) { rule.Related = r.related(v) },
		"logsource":   r.logSource,
		"detection":   r.detection,
		"correlation": r.correlation,
		"generate": func(rule *Rule, k, v *yaml.Node) {
			r.generate(correlationOf(rule), k, v)
		},
		"holdfast": r.holdfast,
	}
}

func (r *reader) uuid(n *yaml.Node, what string) string {
	s := r.text(n, what, maxShort)
	if s != "" && !isUUID(s) {
		r.bad(n, "%s is %s; it must be a UUID such as 0e95725d-7320-415d-80f7-004da920fc11, or left out", what, shown(s))
		return ""
	}
	return s
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}

func (r *reader) date(n *yaml.Node, what string) string {
	s := r.text(n, what, maxShort)
	if s == "" {
		return ""
	}
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		r.bad(n, "%s is %s; write a day as YYYY-MM-DD", what, shown(s))
		return ""
	}
	return s
}

func (r *reader) tag(n *yaml.Node, s string) {
	if !regexp.MustCompile(`^[a-z0-9_-]+\.[a-z0-9._-]+$`).MatchString(s) {
		r.bad(n, "tag %s; a tag is namespace.name in lower case, such as attack.t1110.003", shown(s))
	}
}

func (r *reader) fieldName(n *yaml.Node, s string) {
	if !isFieldName(s) {
		r.bad(n, "%s is not the name of a field", shown(s))
	}
}

func (r *reader) related(n *yaml.Node) (all []Related) {
	if n.Kind != yaml.SequenceNode {
		r.bad(n, "related must be a list, not %s", kindOf(n))
		return nil
	}
	for _, e := range n.Content {
		var one Related
		r.keys(e, "an entry of related", func(name string, k, v *yaml.Node) {
			switch name {
			case "id":
				one.ID = strings.ToLower(r.uuid(v, "id"))
			case "type":
				one.Type = r.oneOf(v, "type", []string{"derived", "obsolete", "merged", "renamed", "similar"})
			default:
				r.bad(k, "unknown key %s in related; known are id and type", shown(name))
			}
		})
		if e.Kind == yaml.MappingNode && len(e.Content) < 4 {
			r.bad(e, "an entry of related needs id and type")
		}
		all = append(all, one)
	}
	return all
}

func (r *reader) logSource(rule *Rule, k, v *yaml.Node) {
	rule.places.logsource = pos{k.Line, k.Column}
	l := &rule.LogSource
	into := map[string]*string{"product": &l.Product, "category": &l.Category, "service": &l.Service, "definition": &l.Definition}
	r.keys(v, "logsource", func(name string, k, v *yaml.Node) {
		at, ok := into[name]
		if !ok {
			r.bad(k, "unknown key %s in logsource%s; known are product, category, service and definition", shown(name),
				meant(name, []string{"product", "category", "service", "definition"}))
			return
		}
		*at = r.text(v, name, maxLong)
	})
	if v.Kind == yaml.MappingNode && l.Product == "" && l.Category == "" && l.Service == "" {
		r.bad(k, "logsource names neither product nor category nor service, so the rule would be about every event there is")
	}
}

// holdfast reads what is ours: an extension that other tools leave alone.
func (r *reader) holdfast(rule *Rule, _, v *yaml.Node) {
	r.keys(v, "holdfast", func(name string, k, v *yaml.Node) {
		if name != "explain" {
			r.bad(k, "unknown key %s in holdfast; known is explain", shown(name))
			return
		}
		rule.Explain = map[string]Template{}
		r.keys(v, "explain", func(language string, k, v *yaml.Node) {
			if language != "en" && language != "de" {
				r.bad(k, "explain in %s; the languages are en and de", shown(language))
				return
			}
			t, err := ParseTemplate(r.text(v, "explain."+language, maxLong))
			if err != nil {
				r.bad(v, "explain.%s %s", language, fmt.Sprint(err))
			}
			rule.Explain[language], rule.places.explain[language] = t, pos{v.Line, v.Column}
		})
	})
}
