package respond

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/types"

	"holdfast/internal/detect"
)

// Env is what the expressions of playbooks are evaluated on: the facts of one finding, of which nothing can be
// changed. What is unknown is not there.
type Env struct{ groups map[string]any }

// field is a name of the environment: state.known_device.
type field struct{ root, name string }

func (f field) String() string { return f.root + "." + f.name }

// of is the field's value; nil if it is unknown.
func (e Env) of(f field) any {
	values, _ := e.groups[f.root].(map[string]any)
	return values[f.name]
}

// roots are the four groups of names. The machine only reads them.
func (e Env) roots() map[string]any { return e.groups }

// NewEnv is the environment of a decision.
func NewEnv(f Facts) Env {
	return Env{map[string]any{
		"event": eventValues(f.Event), "user": userValues(f), "state": stateValues(f.Finding.Features), "finding": findingValues(f.Finding),
	}}
}

// values are known values by name.
type values map[string]any

func (v values) text(name, s string) {
	if s != "" {
		v[name] = s
	}
}

func (v values) time(name string, t time.Time) {
	if !t.IsZero() {
		v[name] = t
	}
}

func (v values) yes(name string, b *bool) {
	if b != nil {
		v[name] = *b
	}
}

func eventValues(e EventFacts) map[string]any {
	v := values{}
	for name, s := range map[string]string{
		"id": e.ID, "source": e.Source, "kind": e.Kind, "activity": e.Activity, "status": e.Status, "reason": e.Reason,
		"ip": e.IP, "country": e.Country, "region": e.Region, "city": e.City, "network": e.Network,
		"session": e.Session, "app": e.App, "os": e.OS, "vendor_verdict": e.Verdict,
	} {
		v.text(name, s)
	}
	if e.ASN != 0 {
		v["asn"] = int(e.ASN)
	}
	v.time("time", e.Time)
	v.yes("anonymous", e.Anonymous)
	v.yes("mfa", e.MFA)
	return v
}

// What user.state can be.
const (
	userActive    = "ACTIVE"
	userSuspended = "SUSPENDED"
	userInactive  = "INACTIVE" // invited, or gone
)

func userValues(f Facts) map[string]any {
	p := f.Person
	if p.ID == "" {
		return values{"matched": false}
	}
	state := userInactive
	switch {
	case p.Suspended:
		state = userSuspended
	case p.Active:
		state = userActive
	}
	groups := slices.Clone(p.Groups)
	if groups == nil {
		groups = []string{}
	}
	listed := func(list []Protected, ids ...string) bool {
		return slices.ContainsFunc(list, func(one Protected) bool {
			return slices.Contains(ids, one.ID) && (one.Until.IsZero() || f.Now.Before(one.Until))
		})
	}
	protected := listed(f.Guard.People, p.ID) || listed(f.Guard.Groups, p.GroupIDs...) || slices.Contains(f.Guard.BreakGlass, p.ID)
	v := values{
		"id": p.ID, "state": state, "groups": groups,
		"externally_managed": p.ExternallyManaged, "protected": protected, "matched": true,
	}
	v.text("email", p.Email)
	v.text("name", p.Name)
	return v
}

func stateValues(features []detect.FeatureValue) map[string]any {
	v := values{}
	for _, f := range features {
		name := strings.TrimPrefix(f.Name, detect.FeaturePrefix)
		switch x := f.Value.Scalar().(type) {
		case nil:
		case int64:
			v[name] = int(x)
		default:
			v[name] = x
		}
	}
	for alias, name := range stateAliases() {
		if x, ok := v[name]; ok {
			v[alias] = x
		}
	}
	return v
}

func findingValues(f detect.Found) map[string]any {
	v := values{"count": int(f.Count), "events": len(f.Events) + f.More}
	v.text("rule", f.Rule)
	v.text("level", string(f.Level))
	v.text("title", f.Title)
	v.text("address", f.Address)
	v.time("time", f.Time)
	v.time("last", f.Last)
	return v
}

// stateAliases are other names of features.
func stateAliases() map[string]string { return map[string]string{"known_asn": "known_network"} }

// exprTypes are the types of all names. Every name can be unknown, whatever its type.
func exprTypes() map[string]types.Map {
	all := map[string]types.Map{
		"event": {"time": types.TypeOf(time.Time{}), "asn": types.Int, "anonymous": types.Bool, "mfa": types.Bool},
		"user": {
			"id": types.String, "email": types.String, "name": types.String, "state": types.String, "groups": types.TypeOf([]string{}),
			"externally_managed": types.Bool, "protected": types.Bool, "matched": types.Bool,
		},
		"state": {},
		"finding": {
			"rule": types.String, "level": types.String, "title": types.String, "address": types.String,
			"count": types.Int, "events": types.Int, "time": types.TypeOf(time.Time{}), "last": types.TypeOf(time.Time{}),
		},
	}
	for name := range strings.FieldsSeq("id source kind activity status reason ip country region city network session app os vendor_verdict") {
		all["event"][name] = types.String
	}
	for _, f := range detect.Features() {
		all["state"][strings.TrimPrefix(f.Name, detect.FeaturePrefix)] = kindType(f.Type)
	}
	for alias, name := range stateAliases() {
		all["state"][alias] = all["state"][name]
	}
	return all
}

func kindType(k detect.Kind) types.Type {
	switch k {
	case detect.Int:
		return types.Int
	case detect.Float:
		return types.Float64
	case detect.Bool:
		return types.Bool
	default:
		return types.String
	}
}

// ExpressionName is a name that expressions know.
type ExpressionName struct {
	Name string // "state.known_device"
	Type string // text, whole number, number, yes or no, time, list of texts
}

// ExpressionNames are all names in order, for editors and for the documents.
func ExpressionNames() []ExpressionName {
	var all []ExpressionName
	for _, root := range exprRoots() {
		names := exprTypes()[root]
		for _, name := range slices.Sorted(maps.Keys(names)) {
			all = append(all, ExpressionName{root + "." + name, typeWord(names[name].Nature().Type)})
		}
	}
	return all
}

func exprRoots() []string { return []string{"event", "user", "state", "finding"} }

// closed are the names whose values are a few words, so that a comparison with any other is a mistake.
func closed(f field) []string {
	switch f.String() {
	case "user.state":
		return []string{userActive, userSuspended, userInactive}
	case "finding.level":
		return levelWords()
	default:
		return nil
	}
}

func levelWords() (all []string) {
	for _, l := range detect.Levels() {
		all = append(all, string(l))
	}
	return all
}
