package detect

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// What an account may have of its own at most.
const (
	maxOwnRules   = 500 // texts
	maxExceptions = 500 // of a rule
	maxValues     = 1_000
	maxReason     = 1_000 // characters
	maxNote       = 500
)

// errNoRule says that the account has no such rule.
func errNoRule(name string) *problem.Error {
	return problem.New(problem.NotFound, "there is no rule %q", name)
}

// because adds a reason to the words that say what was done.
func because(by audit.Entry, words string) audit.Entry {
	if by.Reason != "" {
		words += ": " + by.Reason
	}
	by.Reason = words
	return by
}

// Check says what is wrong with a text that an account would write, against all rules that it has; the error
// of field "text" has Faults with line and column. Else it returns the name under which Save would store it.
func (s *Rules) Check(ctx context.Context, accountID, text string) (string, error) {
	c, err := s.current(ctx, accountID)
	if err != nil {
		return "", err
	}
	own, _, err := s.written(c.model, text)
	if err != nil {
		return "", err
	}
	_, err = s.compileWith(c, own)
	return own.Name, err
}

// compileWith compiles the account's rules with a text.
func (s *Rules) compileWith(c *compiled, own OwnRule) (*compiled, error) {
	item, err := itemOf(ownItem, own.Name, own)
	if err != nil {
		return nil, err
	}
	next, err := c.model.with(item)
	if err != nil {
		return nil, err
	}
	after, err := compileBook(c.base, next)
	if err != nil {
		return nil, err
	}
	if worse := newFaults(c.faults, after.faults); len(worse) > 0 {
		return nil, inField("text", worse)
	}
	return after, nil
}

// Save stores a text of the account: one rule, or rules that belong together, each with a name or an id. Its
// name is that of its first rule that no other one of the text uses; a text of that name is replaced. Names
// and ids of other rules are refused. The error of field "text" has Faults.
func (s *Rules) Save(ctx context.Context, accountID, text string, by audit.Entry) (RuleView, error) {
	var name string
	err := s.change(ctx, accountID, func(m *model) (step, error) {
		own, keys, err := s.written(m, text)
		if err != nil {
			return step{}, err
		}
		name = own.Name
		i := slices.IndexFunc(m.own, func(o OwnRule) bool { return o.Name == own.Name })
		x := step{about: "rule:" + name, field: "text"}
		own.CreatedAt, own.CreatedBy = s.now().UTC().Truncate(time.Microsecond), by.Actor
		words := "new rule"
		switch {
		case i >= 0 && m.own[i].Text == own.Text:
			return x, nil
		case i >= 0:
			own.CreatedAt, own.CreatedBy, words = m.own[i].CreatedAt, m.own[i].CreatedBy, "another text"
		case len(m.own) >= maxOwnRules:
			return x, problem.New(problem.Conflict, "the account has %d rules of its own, which is the most; remove one first, or put rules that belong together into one text", len(m.own))
		}
		item, err := itemOf(ownItem, own.Name, own)
		if err != nil {
			return x, err
		}
		x.items, x.by = append([]RuleItem{item}, m.orphans(own.Name, keys)...), because(by, words).For(audit.RuleSave, x.about)
		return x, nil
	})
	if err != nil {
		return RuleView{}, err
	}
	return s.Get(ctx, accountID, name)
}

// written is a text as it would be stored, with the keys of its rules.
func (s *Rules) written(m *model, text string) (OwnRule, []string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	rules, faults := Parse(textFile, []byte(text))
	if len(faults) == 0 && len(rules) == 0 {
		return OwnRule{}, nil, problem.InField("text", "there is no rule in the text")
	}
	var keys []string
	main := ""
	for _, r := range rules {
		key := cmp.Or(r.Name, r.ID)
		if key == "" {
			faults = append(faults, Fault{File: textFile, Line: r.Line, Text: "the rule has neither name nor id; give it a name, by which it is found again"})
		}
		if !isPlainName(key) {
			faults = append(faults, Fault{File: textFile, Line: r.places.name.line, Column: r.places.name.column,
				Text: shown(key) + " cannot be a name; use letters, digits, and _ - . in between, 64 at most"})
		}
		keys = append(keys, key)
		if main == "" && len(usersOf(rules, r)) == 0 {
			main = key
		}
	}
	if len(faults) > 0 {
		return OwnRule{}, nil, inField("text", faults.sorted())
	}
	main = cmp.Or(main, keys[0]) // rules in a circle, which are refused
	for _, r := range rules {
		for _, name := range []string{r.Name, r.ID} {
			other, ok := m.find(name)
			if name == "" || !ok || other.own == main {
				continue
			}
			faults = append(faults, Fault{File: textFile, Line: r.Line, Text: fmt.Sprintf("%s is taken by the rule %s, which %s", shown(name), shown(other.Title), other.place())})
			break
		}
	}
	if len(faults) > 0 {
		return OwnRule{}, nil, inField("text", faults)
	}
	return OwnRule{Name: main, Text: text}, keys, nil
}

// textFile is what faults of a text call it.
const textFile = "text"

// isPlainName says whether a name can be typed on a command line and stand in an address. An empty one is
// told elsewhere.
func isPlainName(s string) bool {
	if len(s) > 64 || strings.Trim(s, "._-") != s {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.'
	})
}

// orphans are settings and exceptions of rules that the text has now and will not have any more.
func (m *model) orphans(own string, keep []string) (items []RuleItem) {
	for _, r := range m.rules {
		if r.own != own || own == "" || slices.Contains(keep, r.Key()) {
			continue
		}
		if _, ok := m.settings[r.Key()]; ok {
			items = append(items, RuleItem{Kind: settingItem, Name: r.Key()})
		}
		for _, x := range m.exceptionsOf(r.Key()) {
			items = append(items, RuleItem{Kind: exceptionItem, Name: x.ID})
		}
	}
	return items
}

// Remove removes a text of the account, with settings and exceptions of its rules. Rules that come with
// Holdfast or are in the folder of the server can only be switched off. What other rules use stays: a
// Conflict.
func (s *Rules) Remove(ctx context.Context, accountID, name string, by audit.Entry) error {
	return s.change(ctx, accountID, func(m *model) (step, error) {
		own := name
		if r, ok := m.find(name); ok {
			if own = r.own; own == "" {
				return step{}, problem.New(problem.Conflict, "%s is not a rule of the account's own, so it cannot be removed; switch it off", name)
			}
			for _, r := range m.rules {
				if r.own != own {
					continue
				}
				for _, u := range usersOf(m.plain(), r.Rule) {
					if m.byKey[u.Key()].own != own {
						return step{}, problem.New(problem.Conflict, "%s is used by the rule %s; remove that one first", r.Key(), u.Key())
					}
				}
			}
		}
		if !slices.ContainsFunc(m.own, func(o OwnRule) bool { return o.Name == own }) {
			return step{}, errNoRule(name)
		}
		about := "rule:" + own
		return step{
			items: append([]RuleItem{{Kind: ownItem, Name: own}}, m.orphans(own, nil)...),
			about: about, by: by.For(audit.RuleRemove, about), field: "name",
		}, nil
	})
}

// Set changes how the account has a rule. Fields of errors: level, threshold, timespan, enabled.
func (s *Rules) Set(ctx context.Context, accountID, rule string, change func(*Setting), by audit.Entry) (RuleView, error) {
	err := s.change(ctx, accountID, func(m *model) (step, error) {
		r, ok := m.find(rule)
		if !ok {
			return step{}, errNoRule(rule)
		}
		before := m.settings[r.Key()]
		next := before
		change(&next)
		if next.Level == r.Level {
			next.Level = ""
		}
		if reflect.DeepEqual(before, next) {
			return step{}, nil
		}
		if err := m.checkSetting(r, next); err != nil {
			return step{}, err
		}
		item := RuleItem{Kind: settingItem, Name: r.Key()}
		if next != (Setting{}) {
			var err error
			if item, err = itemOf(settingItem, r.Key(), next); err != nil {
				return step{}, err
			}
		}
		about := "rule:" + r.Key()
		return step{items: []RuleItem{item}, about: about, by: because(by, next.words()).For(audit.RuleSet, about), field: "threshold"}, nil
	})
	if err != nil {
		return RuleView{}, err
	}
	return s.Get(ctx, accountID, rule)
}

// checkSetting says what cannot hold.
func (m *model) checkSetting(r sourced, s Setting) error {
	if s.Level != "" && !slices.Contains(levels(), string(s.Level)) {
		return problem.InField("level", "the level %q is none; there are %s", s.Level, strings.Join(levels(), ", "))
	}
	c := r.Correlation
	if c == nil {
		switch {
		case s.Threshold != nil:
			return problem.InField("threshold", "%s is about single events, so there is nothing to count", r.Key())
		case s.Timespan != nil:
			return problem.InField("timespan", "%s is about single events, so it has no timespan", r.Key())
		}
	}
	if users := usersOf(m.plain(), r.Rule); s.Off && len(users) > 0 && !slices.ContainsFunc(users, func(u *Rule) bool { return u.Correlation.Generate }) {
		return problem.InField("enabled", "%s finds nothing by itself: it is a part of %s, which can be switched off", r.Key(), users[0].Key())
	}
	if t := s.Timespan; t != nil && (*t < time.Second || *t > maxTimespan || *t%time.Second != 0) {
		return problem.InField("timespan", "the timespan is %s; it must be a whole number of seconds, from a second to a year", *t)
	}
	if s.Threshold == nil {
		return nil
	}
	n := *s.Threshold
	most := int64(maxWindow)
	if c.Type == Temporal || c.Type == TemporalOrdered {
		most = int64(len(c.refs))
	}
	switch {
	case c.Type == TemporalOrdered:
		return problem.InField("threshold", "%s needs all its rules in order, so it has no threshold", r.Key())
	case n <= 0:
		return problem.InField("threshold", "the threshold is %d; it must be 1 or more", n)
	case n > most:
		return problem.InField("threshold", "the threshold is %d; %s can count to %d", n, r.Key(), most)
	case c.places.hasOperand && n > c.Threshold.Max:
		return problem.InField("threshold", "the threshold is %d, but the rule is about counts up to %d; nothing would meet both", n, c.Threshold.Max)
	case n == c.Threshold.Max && slices.Contains(c.Threshold.Not, n):
		return problem.InField("threshold", "the threshold is %d, which the rule excludes", n)
	}
	return nil
}

// Except adds an exception to a rule. ID, CreatedAt and CreatedBy are made here. Fields of errors: name (of
// the rule), field, values, reason, until.
func (s *Rules) Except(ctx context.Context, accountID string, x Exception, by audit.Entry) (Exception, error) {
	var made Exception
	err := s.change(ctx, accountID, func(m *model) (step, error) {
		r, ok := m.find(x.Rule)
		if !ok {
			return step{}, errNoRule(x.Rule)
		}
		made = x
		made.Rule, made.Field, made.Reason = r.Key(), strings.TrimSpace(x.Field), strings.TrimSpace(x.Reason)
		made.ID, made.CreatedAt, made.CreatedBy = rand.Text(), s.now().UTC().Truncate(time.Microsecond), by.Actor
		made.Until = x.Until.UTC().Truncate(time.Microsecond)
		made.Values = cleanValues(x.Values)
		if err := m.checkException(r, made, s.now()); err != nil {
			return step{}, err
		}
		item, err := itemOf(exceptionItem, made.ID, made)
		about := "rule:" + r.Key()
		words := made.Field + " " + strings.Join(made.Values[:min(3, len(made.Values))], ", ")
		if n := len(made.Values) - 3; n > 0 {
			words += fmt.Sprintf(" and %d more", n)
		}
		if !made.Until.IsZero() {
			words += ", until " + made.Until.Format(time.RFC3339)
		}
		return step{items: []RuleItem{item}, about: about, by: because(by.Because(made.Reason), words).For(audit.RuleExcept, about), field: "field"}, err
	})
	return made, err
}

func cleanValues(values []string) []string {
	var all []string
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" && !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

func (m *model) checkException(r sourced, x Exception, now time.Time) error {
	users := usersOf(m.plain(), r.Rule)
	switch {
	case r.Correlation == nil && len(users) > 0 && !slices.ContainsFunc(users, func(u *Rule) bool { return u.Correlation.Generate }):
		return problem.InField("name", "%s finds nothing by itself: it is a part of %s; make the exception there", r.Key(), users[0].Key())
	case x.Field == "":
		return problem.InField("field", "an exception needs a field of the event, such as user.email_addr or src_endpoint.ip")
	case !isFieldName(x.Field):
		return problem.InField("field", "%s is not the name of a field", shown(x.Field))
	case strings.HasPrefix(x.Field, FeaturePrefix) && !slices.ContainsFunc(Features(), func(f Feature) bool { return f.Name == x.Field }):
		return problem.InField("field", "%s is no feature; docs/events/features.md lists them", shown(x.Field))
	case len(x.Values) == 0:
		return problem.InField("values", "an exception needs a value: a text, an address, a network, or a list as %%name%%")
	case len(x.Values) > maxValues:
		return problem.InField("values", "there are %d values, %d are allowed; make a list of them, and name it as %%name%%", len(x.Values), maxValues)
	case x.Reason == "":
		return problem.InField("reason", "an exception needs a reason, for whoever finds it later")
	case len([]rune(x.Reason)) > maxReason:
		return problem.InField("reason", "the reason has %d characters, %d are allowed", len([]rune(x.Reason)), maxReason)
	case !x.Until.IsZero() && !x.Until.After(now):
		return problem.InField("until", "the exception would end at %s, which is over", x.Until.Format(time.RFC3339))
	case len(m.exceptionsOf(r.Key())) >= maxExceptions:
		return problem.New(problem.Conflict, "%s has %d exceptions, which is the most; put values into a list", r.Key(), maxExceptions)
	}
	for _, v := range x.Values {
		if err := checkValue("values", v); err != nil {
			return err
		}
		if name, ok := listName(v); ok && m.lists[name] == nil {
			return problem.InField("values", "there is no list %s; make it first", v)
		}
	}
	return nil
}

// checkValue refuses a value of an exception or a list that is everything.
func checkValue(field, v string) error {
	switch {
	case len(v) > maxName:
		return problem.InField(field, "the value %s has %d bytes, %d are allowed", shown(v), len(v), maxName)
	case newPattern(v, false, false, true).everything():
		return problem.InField(field, "%s stands for everything", shown(v))
	}
	if p, ok := networkOf(v); ok && p.Bits() == 0 {
		return problem.InField(field, "%s is every address", shown(v))
	}
	return nil
}

// Unexcept removes an exception.
func (s *Rules) Unexcept(ctx context.Context, accountID, id string, by audit.Entry) (Exception, error) {
	var gone Exception
	err := s.change(ctx, accountID, func(m *model) (step, error) {
		i := slices.IndexFunc(m.exceptions, func(x Exception) bool { return x.ID == id })
		if i < 0 {
			return step{}, problem.New(problem.NotFound, "there is no exception %q", id)
		}
		gone = m.exceptions[i]
		about := "rule:" + gone.Rule
		words := gone.Field + " " + strings.Join(gone.Values[:min(3, len(gone.Values))], ", ")
		return step{items: []RuleItem{{Kind: exceptionItem, Name: id}}, about: about, by: because(by, words).For(audit.RuleUnexcept, about), field: "name"}, nil
	})
	return gone, err
}

// History are changes of a rule or a list ("rule:NAME", "list:NAME"; empty: all), the latest first. before is
// the revision from which on they are left out; 0 for none.
func (s *Rules) History(ctx context.Context, accountID, about string, before int64, limit int) ([]RuleChange, error) {
	return s.store.RuleChanges(ctx, accountID, about, before, limit)
}

// TextBefore is the text of the account's rule before a change of it; empty where the change is about
// something else, or there was none.
func (c RuleChange) TextBefore() string {
	var own OwnRule
	if c.Before == nil || json.Unmarshal(c.Before, &own) != nil {
		return ""
	}
	return own.Text
}
