package detect

import (
	"bytes"
	"cmp"
	"encoding/base32"
	"encoding/json"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Found is a finding as it is shown, stored and acted on.
type Found struct {
	ID      string // the same for the same events and rules
	Rule    string // what the rule is called: Rule.Key
	RuleID  string // empty where the rule has none
	Title   string
	Version string // of the rule's text
	Level   Level

	Person   string // key of the one person that all events are about; empty: several, or nobody
	PersonID string // of that person in the directory; empty: they are not in it
	User     string // as the source calls them
	Address  string // from which all events came; empty: several, or none
	Subject  string // what it is about: person:ID, user:NAME, address:IP or key:… of the correlation
	Key      []string

	Time   time.Time // when it began
	Last   time.Time // of the last event by which it went on
	Count  int64     // what the correlation counted at most; for other rules, the events
	Events []string  // the first 1,000, in order of time
	Seqs   []int64   // of Events, where they are stored
	More   int       // how many more there are

	Features []FeatureValue // of the event with which it began
	Explain  map[string]string
}

// FeatureValue is a feature with its value.
type FeatureValue struct {
	Name  string
	Value Value
}

// Serious says that the level is one that playbooks act on.
func (l Level) Serious() bool { return l == High || l == Critical }

// found is the finding as it is now.
func (x *Engine) found(r *running) Found {
	rule := x.set.rules[r.rule]
	events, more := r.evidence()
	f := Found{
		ID: r.id(rule), Rule: rule.Key(), RuleID: rule.ID, Title: rule.Title, Version: x.versions[r.rule], Level: rule.Level,
		Time: r.time, Last: r.last, Count: r.count, More: more, Features: r.features,
	}
	if rule.Correlation != nil {
		f.Key = r.key
	}
	for i, e := range events {
		f.Events = append(f.Events, e.id)
		if e.seq != 0 {
			f.Seqs = append(f.Seqs, e.seq)
		}
		if i == 0 {
			f.Person, f.PersonID, f.User, f.Address = e.who, e.person, e.user, e.address
			continue
		}
		if e.who != f.Person {
			f.Person, f.PersonID, f.User = "", "", ""
		}
		if e.address != f.Address {
			f.Address = ""
		}
	}
	f.Subject = subjectOf(f, r.key)
	f.Explain = map[string]string{}
	for language, t := range rule.Explain {
		f.Explain[language] = t.Fill(func(name string) string { return r.word(rule, name, language) })
	}
	return f
}

// subjectOf is what a finding is about.
func subjectOf(f Found, key []string) string {
	switch {
	case f.PersonID != "":
		return "person:" + f.PersonID
	case f.User != "":
		return "user:" + f.User
	case f.Address != "":
		return "address:" + f.Address
	}
	return "key:" + strings.Join(key, " ")
}

func (r *running) id(rule *Rule) string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(rule.Key() + "\x00" + joined(r.key) + "\x00" + strconv.FormatInt(r.time.UnixMicro(), 10))) // a hash never fails
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil))
}

// word is what stands for a name in the rule's sentence.
func (r *running) word(rule *Rule, name, language string) string {
	if c := rule.Correlation; c != nil {
		switch name {
		case "count":
			return strconv.FormatInt(r.count, 10)
		case "timespan":
			return spokenSpan(c.Timespan, language)
		}
		if i := slices.Index(c.GroupBy, name); i >= 0 && i < len(r.key) {
			return r.key[i]
		}
		return "–"
	}
	i := slices.IndexFunc(r.named, func(v FeatureValue) bool { return v.Name == name })
	if i < 0 {
		return "–"
	}
	return r.named[i].Value.spoken(language)
}

// spoken is the value in a sentence.
func (v Value) spoken(language string) string {
	switch v.kind {
	case None, Null:
		return "–"
	case Bool:
		words := map[string][2]string{"de": {"nein", "ja"}}
		w, ok := words[language]
		if !ok {
			w = [2]string{"no", "yes"}
		}
		return w[v.bits&1]
	case Float:
		f := math.Float64frombits(v.bits)
		digits := 1
		switch {
		case math.Abs(f) >= 10:
			digits = 0
		case math.Abs(f) < 1:
			digits = 2
		}
		s := strconv.FormatFloat(f, 'f', digits, 64)
		if language == "de" {
			s = strings.Replace(s, ".", ",", 1)
		}
		return s
	}
	return strings.Join(v.Texts(), ", ")
}

// spokenSpan is a time in the largest unit that it is a whole number of.
func spokenSpan(d time.Duration, language string) string {
	units := []struct {
		length time.Duration
		en, de [2]string
	}{
		{24 * time.Hour, [2]string{"day", "days"}, [2]string{"Tag", "Tagen"}},
		{time.Hour, [2]string{"hour", "hours"}, [2]string{"Stunde", "Stunden"}},
		{time.Minute, [2]string{"minute", "minutes"}, [2]string{"Minute", "Minuten"}},
		{time.Second, [2]string{"second", "seconds"}, [2]string{"Sekunde", "Sekunden"}},
	}
	for _, u := range units {
		if d < u.length || d%u.length != 0 {
			continue
		}
		n, words := int64(d/u.length), u.en
		if language == "de" {
			words = u.de
		}
		return strconv.FormatInt(n, 10) + " " + words[min(1, n-1)]
	}
	return d.String()
}

// MarshalJSON writes the value as JSON has it.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case Text:
		return json.Marshal(v.text)
	case Bool, Int:
		s, _ := v.scalar()
		return []byte(s), nil
	case Float:
		f := math.Float64frombits(v.bits)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return []byte("null"), nil
		}
		return json.Marshal(f)
	case List:
		return json.Marshal(v.list)
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *Value) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return err
	}
	*v = ValueOf(x)
	return nil
}

// OrderFound puts findings in order of their time, and those of one time in an order that is always the same.
func OrderFound(all []Found) {
	slices.SortFunc(all, func(a, b Found) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.User, b.User), cmp.Compare(a.ID, b.ID))
	})
}
