package detect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Setting is how an account has a rule. The zero Setting is the rule as it is written.
type Setting struct {
	Off       bool           `json:"off,omitempty"`       // it finds nothing; correlations that use it go on
	Level     Level          `json:"level,omitempty"`     // empty: as the rule says
	Threshold *int64         `json:"threshold,omitempty"` // how many it takes, for a correlation; nil: as the rule says
	Timespan  *time.Duration `json:"timespan,omitempty"`  // within which, for a correlation; nil: as the rule says
}

// Exception is something that a rule shall not find.
//
// On a rule it is about that rule's own findings: correlations that use the rule still hear of the event. On
// a correlation it is about the events that enter it, through whatever rules.
type Exception struct {
	ID        string    `json:"id"`
	Rule      string    `json:"rule"`   // Rule.Key
	Field     string    `json:"field"`  // of the event, as rules call it
	Values    []string  `json:"values"` // one of these: texts with * and ?, addresses and networks, or %list%
	Reason    string    `json:"reason"`
	Until     time.Time `json:"until,omitzero"` // the first moment, of events, at which it does not count; zero: it stays
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
}

// tuned is what became of a rule.
type tuned struct {
	as     string // what was set, for the version; empty: nothing
	hidden bool   // a copy for a correlation
	stands bool   // its matches are findings
	key    string // for windows: the rule that it was made of, and whose exceptions; empty: Rule.Key
}

// windowKey is by what windows over the rule's matches are known: that it has become a copy, since an exception
// is about the rule itself, says nothing to those who use it.
func (r *Rule) windowKey() string { return cmp.Or(r.tuned.key, r.Key()) }

// Hidden says that the rule is a copy of another, which a correlation with exceptions has for itself.
func (r *Rule) Hidden() bool { return r.tuned.hidden }

// wish is how rules are wanted.
type wish struct {
	settings   map[string]Setting // by Rule.Key
	exceptions []Exception
}

// of are the exceptions of the rule.
func (w wish) of(key string) (all []Exception) {
	for _, x := range w.exceptions {
		if x.Rule == key {
			all = append(all, x)
		}
	}
	return all
}

// tuner makes the rules that are wanted out of rules that fit together.
//
// An exception becomes a condition. Since it is about one rule's findings and not about others that use the
// same rule, who has exceptions gets copies of what it uses: the copies are hidden, and what Correlate says
// of a finding goes on to hold.
type tuner struct {
	wish
	rules  []*Rule
	byName map[string]*Rule
	made   map[string]*Rule // by name of the copy
	out    []*Rule
}

// tune is rules, without those that nobody wants, as they are wanted.
func tune(rules []*Rule, w wish) []*Rule {
	t := &tuner{wish: w, rules: rules, byName: map[string]*Rule{}, made: map[string]*Rule{}}
	for _, r := range rules {
		for _, text := range []string{r.Name, r.ID} {
			if text != "" {
				t.byName[text] = r
			}
		}
	}
	for _, r := range rules {
		if !t.stands(r) {
			continue
		}
		if r.Correlation != nil || len(t.of(r.Key())) == 0 {
			t.used(r, nil).tuned.stands = true
			continue
		}
		own := t.copied(r, r.Name, t.of(r.Key()))
		own.ID, own.Explain, own.Fields = r.ID, r.Explain, r.Fields
		own.tuned.stands, own.tuned.hidden = true, false
	}
	return t.out
}

// stands says whether matches of the rule are findings: nobody uses it, or who does says generate. That it
// is switched off, or who uses it, does not make a part of a correlation a rule by itself.
func (t *tuner) stands(r *Rule) bool {
	if t.settings[r.Key()].Off {
		return false
	}
	users := usersOf(t.rules, r)
	return len(users) == 0 || slices.ContainsFunc(users, func(u *Rule) bool { return u.Correlation.Generate })
}

// usersOf are the correlations that are made of the rule.
func usersOf(rules []*Rule, r *Rule) (all []*Rule) {
	for _, u := range rules {
		if u.Correlation != nil && slices.ContainsFunc(u.Correlation.refs, func(ref reference) bool {
			return ref.text != "" && (canonical(ref.text) == r.Name || canonical(ref.text) == r.ID)
		}) {
			all = append(all, u)
		}
	}
	return all
}

// used is the rule as correlations use it, or stand: without its own exceptions if it is one on single
// events, and with those of the correlations above it.
func (t *tuner) used(r *Rule, above []Exception) *Rule {
	hidden := len(above) > 0 || r.Correlation == nil && len(t.of(r.Key())) > 0 && t.stands(r)
	name := r.Name
	if hidden {
		name = r.Key() + "\x00" + idsOf(above)
	}
	key := cmp.Or(name, r.ID, fmt.Sprintf("%s\x00%d", r.File, r.Line))
	if n := t.made[key]; n != nil {
		return n
	}
	n := t.copied(r, name, above)
	n.tuned.key = strings.TrimSuffix(r.Key()+"\x00"+idsOf(above), "\x00")
	if n.tuned.hidden = hidden; !hidden {
		n.ID, n.Explain, n.Fields = r.ID, r.Explain, r.Fields
	}
	t.made[key] = n
	return n
}

func idsOf(all []Exception) string {
	ids := make([]string, len(all))
	for i, x := range all {
		ids[i] = x.ID
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), "\x00")
}

// copied is a copy of the rule as it is set, with these exceptions, and, for a correlation, its own.
func (t *tuner) copied(r *Rule, name string, exceptions []Exception) *Rule {
	n := *r
	n.Name, n.ID, n.Explain, n.Fields = name, "", nil, nil
	set := t.settings[r.Key()]
	n.Level = cmp.Or(set.Level, r.Level)
	if r.Correlation == nil {
		d := *r.detection
		d.condition = without(d.condition, exceptions)
		n.detection = &d
	} else {
		exceptions = append(slices.Clip(exceptions), t.of(r.Key())...)
		n.Correlation = t.correlation(r.Correlation, set, exceptions)
	}
	n.tuned = tuned{as: tuningText(set, exceptions)}
	t.out = append(t.out, &n)
	return &n
}

// correlation is the plan as it is set, of rules with the exceptions.
func (t *tuner) correlation(of *Correlation, set Setting, exceptions []Exception) *Correlation {
	c := *of
	if set.Threshold != nil {
		c.Threshold.Min = *set.Threshold
		if !c.places.hasOperand { // all rules, as it is written
			c.Threshold.Max = int64(len(c.refs))
		}
	}
	if set.Timespan != nil {
		c.Timespan = *set.Timespan
	}
	called := func(text string) string {
		r := t.byName[canonical(text)]
		if r == nil {
			return text
		}
		n := t.used(r, exceptions)
		return cmp.Or(n.Name, n.ID)
	}
	c.refs = slices.Clone(of.refs)
	for i := range c.refs {
		c.refs[i].text = called(c.refs[i].text)
	}
	c.aliases = slices.Clone(of.aliases)
	for i, a := range of.aliases {
		renamed := alias{name: a.name, pos: a.pos, fields: map[string]string{}, at: map[string]pos{}}
		for text, field := range a.fields {
			renamed.fields[called(text)], renamed.at[called(text)] = field, a.at[text]
		}
		c.aliases[i] = renamed
	}
	return &c
}

// without is the condition, but not for the events of the exceptions.
func without(condition *expr, exceptions []Exception) *expr {
	if len(exceptions) == 0 {
		return condition
	}
	all := &expr{op: opAnd, kids: []*expr{condition}}
	for _, x := range exceptions {
		a := &atom{field: x.Field, lists: true, except: &exclusion{until: x.Until}, key: "\x00" + x.ID}
		var texts []string
		for _, v := range x.Values {
			if name, ok := listName(v); ok {
				a.names = append(a.names, name)
			} else {
				texts = append(texts, v)
			}
		}
		if len(texts) > 0 {
			a.except.values = NewValueList(texts...)
		}
		all.kids = append(all.kids, &expr{op: opNot, kids: []*expr{{atom: a}}})
	}
	return all
}

// listName is the name of the list if the value is %name%.
func listName(value string) (string, bool) {
	name, ok := strings.CutPrefix(value, "%")
	name, closed := strings.CutSuffix(name, "%")
	return name, ok && closed && isIdentifier(name)
}

// tuningText is what was set, in a form that is the same for the same settings. Why, when and by whom is not
// in it, and neither is that the rule is off.
func tuningText(set Setting, exceptions []Exception) string {
	type exception struct {
		Field  string
		Values []string
		Until  int64
	}
	if set.Off = false; set == (Setting{}) && len(exceptions) == 0 {
		return ""
	}
	all := make([]exception, len(exceptions))
	for i, x := range exceptions {
		all[i] = exception{x.Field, slices.Sorted(slices.Values(x.Values)), 0}
		if !x.Until.IsZero() {
			all[i].Until = x.Until.UnixMicro()
		}
	}
	b, err := json.Marshal(struct {
		Setting    Setting
		Exceptions []exception
	}{set, all})
	if err != nil {
		return "" // neither type can fail
	}
	return "\x00" + string(b)
}

// compileTuned compiles rules that are good as they are written, in the way that is wanted.
func compileTuned(rules []*Rule, w wish, maps []FieldMap, lists Lists) (*Set, error) {
	set, err := Compile(tune(rules, w), maps, lists)
	if set == nil {
		return nil, err
	}
	for i, r := range set.rules {
		set.alone[i] = r.tuned.stands
	}
	return set, err
}
