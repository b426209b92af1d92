package detect

import (
	"encoding/json"
	"fmt"
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

// lens is the rules of one source with what they ask events for.
type lens struct {
	matcher *Matcher
	gets    []func(x *Engine) Value // by place
	x       *Engine
}

func (x *Engine) lens(source string, features map[string]Feature) (*lens, error) {
	m, ok := x.set.Matcher(source)
	if !ok {
		return nil, nil
	}
	l := &lens{matcher: m, x: x}
	for _, path := range m.Paths() {
		f, isFeature := features[path]
		switch {
		case isFeature:
			l.gets = append(l.gets, func(x *Engine) Value { return f.get(&x.features) })
		case strings.HasPrefix(path, FeaturePrefix):
			var names []string
			for name := range features {
				names = append(names, name)
			}
			return nil, fmt.Errorf("a rule asks for %s, which is no feature%s", shown(path), meant(path, names))
		default:
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
	}
	return l, nil
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
