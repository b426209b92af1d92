package detect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"holdfast/internal/signals"
)

// The names of the field maps beside those of the sources.
const (
	normalised = "events"
	entraRisk  = "entra-risk"
)

// FieldMaps are the sources that rules can be about: all events in the normalised form, with the names of
// OCSF and the features, and each format with the paths of its own. In the former a name that does not
// exist is an error.
func FieldMaps() []FieldMap {
	fields := map[string]string{}
	for _, name := range signals.FieldNames() {
		fields[name] = name
	}
	for _, f := range Features() {
		fields[f.Name] = f.Name
	}
	for _, verdict := range verdicts() {
		fields["enrichments."+verdict] = "enrichments." + verdict
	}
	maps := []FieldMap{{
		Name: normalised, Taxonomy: "ocsf", Fields: fields,
		Source: LogSource{Product: "holdfast", Category: "authentication", Service: "signin"},
	}}
	for _, s := range []struct{ name, product, service string }{
		{signals.Okta, "okta", "okta"},
		{signals.Entra, "azure", "signinlogs"},
		{entraRisk, "azure", "riskdetection"},
		{signals.OneLogin, "onelogin", "onelogin.events"},
		{signals.OnePassword, "1password", "signin"},
		{signals.OCSF, "ocsf", "authentication"},
		{signals.RBA, "rba", "login"},
	} {
		maps = append(maps, FieldMap{Name: s.name, Open: true, Source: LogSource{Product: s.product, Category: "authentication", Service: s.service}})
	}
	return maps
}

// verdicts are those of sources that rules on all events can ask for; there is no end to what sources say.
func verdicts() []string {
	return []string{
		"firewall", "zone", "threatSuspected", "threatDetections", "conditionalAccessStatus", "authenticationProtocol",
		"New Geo-Location", "New Device", "New IP", "New State", "New Country", "New City", "Velocity",
	}
}

// sourceOf is the field map of the format that the event came in.
func sourceOf(e *signals.Event) string {
	if e.Source == signals.Entra && e.Code == "riskDetection" {
		return entraRisk
	}
	return e.Source
}

// maxList keeps a list in memory.
const maxList = 8 << 20

// ReadLists reads the lists of a folder of rules: lists/NAME.txt, an entry a line; # begins a comment. A
// folder without any has none.
func ReadLists(fsys fs.FS) (StaticLists, error) {
	lists := StaticLists{}
	files, err := fs.Glob(fsys, "lists/*.txt")
	if err != nil {
		return nil, fmt.Errorf("look for lists: %w", err)
	}
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err == nil && len(data) > maxList {
			err = fmt.Errorf("%s has %d bytes, a list may have %d; split it", file, len(data), maxList)
		}
		if err != nil {
			return nil, fmt.Errorf("read list: %w", err)
		}
		var entries []string
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, maxList)
		for lines.Scan() {
			text, _, _ := strings.Cut(lines.Text(), "#")
			if text = strings.TrimSpace(text); text != "" {
				entries = append(entries, text)
			}
		}
		lists[strings.TrimSuffix(path.Base(file), ".txt")] = NewValueList(entries...)
	}
	return lists, nil
}

// Unfit is what an engine cannot do with a rule that is right otherwise: look at features that do not
// exist, which Compile cannot know of sources whose fields have any name, and count further than windows
// reach.
func Unfit(r *Rule) Faults {
	names := map[string]bool{}
	for _, f := range Features() {
		names[f.Name] = true
	}
	var faults Faults
	check := func(field string, at pos) {
		if !strings.HasPrefix(field, FeaturePrefix) || names[field] {
			return
		}
		if at.line == 0 {
			at = pos{r.Line, 1}
		}
		f := Fault{File: r.File, Line: at.line, Column: at.column, Text: fmt.Sprintf("%s is no feature%s", shown(field), meant(field, slices.Sorted(maps.Keys(names))))}
		if !slices.Contains(faults, f) {
			faults = append(faults, f)
		}
	}
	if r.detection != nil {
		eachAtom(r.detection.condition, func(a *atom) {
			check(a.field, a.pos)
			if a.ref {
				for _, name := range a.names {
					check(name, a.pos)
				}
			}
		})
	}
	for language, t := range r.Explain {
		for _, name := range t.Names() {
			check(name, r.places.explain[language])
		}
	}
	if c := r.Correlation; c != nil {
		if c.Threshold.Min > maxWindow {
			faults = append(faults, Fault{File: r.File, Line: c.places.condition.line, Column: c.places.condition.column,
				Text: fmt.Sprintf("the condition asks for %d, but a window holds the latest %d events of a group; ask for fewer", c.Threshold.Min, maxWindow)})
		}
		for _, name := range slices.Concat(c.GroupBy, c.values) {
			check(name, c.places.section)
		}
		for _, a := range c.aliases {
			for rule, field := range a.fields {
				check(field, a.at[rule])
			}
		}
	}
	return faults.sorted()
}

// eachAtom goes through the predicates of a condition.
func eachAtom(e *expr, f func(*atom)) {
	if e == nil {
		return
	}
	if e.atom != nil {
		f(e.atom)
	}
	for _, k := range e.kids {
		eachAtom(k, f)
	}
}

// lens is the rules of one source with what they ask events for.
type lens struct {
	matcher *Matcher
	gets    []func(x *Engine) Value // by place
	x       *Engine
}

// lens looks at events of a source. Unfit has found nothing.
func (x *Engine) lens(source string, features map[string]Feature) *lens {
	m, ok := x.set.Matcher(source)
	if !ok {
		return nil
	}
	l := &lens{matcher: m, x: x}
	for _, path := range m.Paths() {
		if f, ok := features[path]; ok {
			l.gets = append(l.gets, func(x *Engine) Value { return f.get(&x.features) })
			continue
		}
		get := signals.Field(path)
		l.gets = append(l.gets, func(x *Engine) Value {
			texts := get(&x.view, x.texts[:0])
			switch x.texts = texts; len(texts) {
			case 0:
				return Value{}
			case 1:
				return TextValue(texts[0])
			}
			return TextsValue(texts...)
		})
	}
	return l
}

// Value is what the event has at the place.
func (l *lens) Value(place int) Value { return l.gets[place](l.x) }

// Words are all texts of the event as it came.
func (l *lens) Words() []string {
	var body map[string]any
	if err := json.Unmarshal([]byte(l.x.features.event.Raw), &body); err != nil {
		return []string{l.x.features.event.Raw} // made by hand, or a table
	}
	return appendWords(nil, body)
}

// field is what the event has in a field, by its name in rules.
func (l *lens) field(name string) Value {
	place, ok := l.matcher.Place(name)
	if !ok {
		return Value{}
	}
	return l.Value(place)
}
