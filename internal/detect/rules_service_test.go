package detect_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

const shippedFailures = `title: Many failures
name: many_failures
id: 7e57ab1e-0000-4000-8000-000000000001
level: high
correlation: {type: event_count, rules: [failure], group-by: [user.email_addr], timespan: 10m, condition: {gte: 3}}
---
title: Failures of many
name: many_people
level: medium
correlation: {type: value_count, rules: [failure], group-by: [src_endpoint.ip], timespan: 10m, condition: {field: user.email_addr, gte: 2}}
---
title: Failure
name: failure
logsource: {product: holdfast, service: signin}
taxonomy: ocsf
detection:
  selection: {activity_name: Logon, status: Failure}
  condition: selection
`

const shippedOutside = `title: Success from outside
name: outside
level: low
logsource: {product: holdfast, service: signin}
taxonomy: ocsf
detection:
  selection: {status: Success}
  office: {src_endpoint.ip|cidr|expand: '%offices%'}
  condition: selection and not office
`

const ownDawn = `title: Success after failures
name: dawn
level: medium
logsource: {product: holdfast, service: signin}
taxonomy: ocsf
detection:
  selection: {status: Success, holdfast.failures_person_1h|gte: 1}
  condition: selection
`

func smallPack() fstest.MapFS {
	return fstest.MapFS{
		"failures.yml":      {Data: []byte(shippedFailures)},
		"outside.yml":       {Data: []byte(shippedOutside)},
		"lists/offices.txt": {Data: []byte("192.0.2.0/24\n")},
	}
}

var dawn = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// attempt is an event at the second after dawn.
func attempt(second int, who, address string, ok bool) signals.Event {
	e := signals.Event{
		Source: signals.OCSF, SourceID: fmt.Sprintf("%s-%d", who, second), Time: dawn.Add(time.Duration(second) * time.Second),
		Class: signals.ClassAuthentication, Activity: signals.Logon, StatusID: signals.StatusFailure, Severity: 1,
	}
	if ok {
		e.StatusID = signals.StatusSuccess
	}
	e.User.Email, e.Src.IP = who+"@example.org", address
	return e
}

// morning is three failures and a success of mira, a failure of tomas from the same address, and a success of
// ines in the office.
func morning() []signals.Event {
	return []signals.Event{
		attempt(0, "mira", "198.51.100.7", false), attempt(10, "mira", "198.51.100.7", false), attempt(15, "tomas", "198.51.100.7", false),
		attempt(20, "mira", "198.51.100.7", false), attempt(30, "mira", "198.51.100.7", true), attempt(40, "ines", "192.0.2.9", true),
	}
}

// findings are what the rules find in events: rule, level, who or where, and how much.
func findings(t *testing.T, set *detect.Set, events []signals.Event) (all []string) {
	t.Helper()
	x, err := detect.NewEngine(detect.Config{Set: set, Memory: detect.NewMemory()})
	if err != nil {
		t.Fatal(err)
	}
	for res, err := range x.Run(t.Context(), slices.Values(events)) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Ended {
			who, _, _ := strings.Cut(f.User, "@")
			all = append(all, fmt.Sprintf("%s %s %s %d", f.Rule, f.Level, who, f.Count))
		}
	}
	slices.Sort(all)
	return all
}

type ruleBench struct {
	rules   *detect.Rules
	db      *store.DB
	account string
}

func newRuleBench(t *testing.T) ruleBench {
	t.Helper()
	db := storetest.NewPlace(t, "sqlite").Open(t)
	a, _ := storetest.Account(t, db)
	rules, err := detect.NewRules(detect.RulesConfig{Store: db, Pack: smallPack(), Now: func() time.Time { return dawn }})
	if err != nil {
		t.Fatal(err)
	}
	return ruleBench{rules, db, a.ID}
}

// another account of the same database.
func (b ruleBench) another(t *testing.T) ruleBench {
	t.Helper()
	a, _ := storetest.Account(t, b.db)
	b.account = a.ID
	return b
}

func (b ruleBench) found(t *testing.T) []string {
	t.Helper()
	set, _, err := b.rules.Rules(t.Context(), b.account)
	if err != nil {
		t.Fatal(err)
	}
	return findings(t, set, morning())
}

func (b ruleBench) except(t *testing.T, rule, field string, until time.Time, values ...string) (detect.Exception, error) {
	t.Helper()
	return b.rules.Except(t.Context(), b.account, detect.Exception{Rule: rule, Field: field, Values: values, Reason: "known", Until: until}, storetest.By())
}

func (b ruleBench) set(t *testing.T, rule string, change func(*detect.Setting)) error {
	t.Helper()
	_, err := b.rules.Set(t.Context(), b.account, rule, change, storetest.By())
	return err
}

// whatRulesFind is what the pack finds in the morning.
func whatRulesFind() []string {
	return []string{"many_failures high mira 3", "many_people medium  2", "outside low mira 1"}
}

func TestRulesAsSet(t *testing.T) {
	bench := newRuleBench(t)
	two := int64(2)
	for _, c := range []struct {
		name string
		do   func(t *testing.T, b ruleBench) error
		lost []string // of what the pack finds
		more []string
	}{
		{name: "nothing", do: func(t *testing.T, b ruleBench) error { return nil }},
		{name: "off", lost: []string{"outside low mira 1"}, do: func(t *testing.T, b ruleBench) error {
			return b.set(t, "outside", func(s *detect.Setting) { s.Off = true })
		}},
		// Its part does not become a rule by itself.
		{name: "correlations off", lost: []string{"many_failures high mira 3", "many_people medium  2"}, do: func(t *testing.T, b ruleBench) error {
			return errors.Join(b.set(t, "many_failures", func(s *detect.Setting) { s.Off = true }), b.set(t, "many_people", func(s *detect.Setting) { s.Off = true }))
		}},
		{name: "by id", lost: []string{"many_failures high mira 3"}, do: func(t *testing.T, b ruleBench) error {
			return b.set(t, "7E57AB1E-0000-4000-8000-000000000001", func(s *detect.Setting) { s.Off = true })
		}},
		{name: "level", lost: []string{"outside low mira 1"}, more: []string{"outside critical mira 1"}, do: func(t *testing.T, b ruleBench) error {
			return b.set(t, "outside", func(s *detect.Setting) { s.Level = detect.Critical })
		}},
		{name: "threshold up", lost: []string{"many_failures high mira 3"}, do: func(t *testing.T, b ruleBench) error {
			four := int64(4)
			return b.set(t, "many_failures", func(s *detect.Setting) { s.Threshold = &four })
		}},
		{name: "timespan down", lost: []string{"many_failures high mira 3"}, more: []string{"many_failures high mira 2"}, do: func(t *testing.T, b ruleBench) error {
			short := 12 * time.Second
			return b.set(t, "many_failures", func(s *detect.Setting) { s.Threshold, s.Timespan = &two, &short })
		}},
		{name: "exception on a rule", lost: []string{"outside low mira 1"}, do: func(t *testing.T, b ruleBench) error {
			_, err := b.except(t, "outside", "user.email_addr", time.Time{}, "MIRA@*")
			return err
		}},
		// The other correlation of the same part still hears of mira.
		{name: "exception on a correlation", lost: []string{"many_failures high mira 3"}, do: func(t *testing.T, b ruleBench) error {
			_, err := b.except(t, "many_failures", "user.email_addr", time.Time{}, "mira@example.org")
			return err
		}},
		{name: "network", lost: []string{"many_people medium  2"}, do: func(t *testing.T, b ruleBench) error {
			_, err := b.except(t, "many_people", "src_endpoint.ip", time.Time{}, "203.0.113.5", "198.51.100.0/24")
			return err
		}},
		{name: "two exceptions on two", lost: []string{"many_failures high mira 3", "many_people medium  2"}, do: func(t *testing.T, b ruleBench) error {
			_, err := b.except(t, "many_failures", "user.email_addr", time.Time{}, "mira@example.org")
			_, err2 := b.except(t, "many_people", "user.email_addr", time.Time{}, "tomas@example.org")
			return errors.Join(err, err2)
		}},
		{name: "exception by list", lost: []string{"outside low mira 1"}, do: func(t *testing.T, b ruleBench) error {
			_, err := b.rules.SaveList(t.Context(), b.account, "friends", func(l *detect.AccountList) error {
				l.Entries = []detect.ListEntry{{Value: "198.51.100.7"}}
				return nil
			}, storetest.By())
			_, err2 := b.except(t, "outside", "src_endpoint.ip", time.Time{}, "%friends%")
			return errors.Join(err, err2)
		}},
		{name: "exception that ends before the third failure", lost: []string{"many_people medium  2"}, do: func(t *testing.T, b ruleBench) error {
			_, err := b.except(t, "many_people", "user.email_addr", dawn.Add(16*time.Second), "tomas@example.org")
			_, err2 := b.except(t, "outside", "user.email_addr", dawn.Add(30*time.Second), "mira@example.org") // exactly then: over
			return errors.Join(err, err2)
		}},
		{name: "list extended", lost: []string{"outside low mira 1"}, do: func(t *testing.T, b ruleBench) error {
			return b.offices(t, true, detect.ListEntry{Value: "198.51.100.7", Until: dawn.Add(31 * time.Second)})
		}},
		{name: "list extended for less time", do: func(t *testing.T, b ruleBench) error {
			return b.offices(t, true, detect.ListEntry{Value: "198.51.100.7", Until: dawn.Add(29 * time.Second)})
		}},
		{name: "list replaced", more: []string{"outside low ines 1"}, do: func(t *testing.T, b ruleBench) error {
			return b.offices(t, false, detect.ListEntry{Value: "203.0.113.0/24"})
		}},
		{name: "own rule", more: []string{"dawn medium mira 1"}, do: func(t *testing.T, b ruleBench) error {
			_, err := b.rules.Save(t.Context(), b.account, ownDawn, storetest.By())
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bench.another(t)
			before, _, err := b.rules.Rules(t.Context(), b.account)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.do(t, b); err != nil {
				t.Fatal(err)
			}
			want := append(slices.DeleteFunc(whatRulesFind(), func(s string) bool { return slices.Contains(c.lost, s) }), c.more...)
			slices.Sort(want)
			if diff := cmp.Diff(want, b.found(t)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			after, _, err := b.rules.Rules(t.Context(), b.account)
			if err != nil || (c.lost == nil && c.more == nil && c.name == "nothing") != (before == after) {
				t.Errorf("the set is the same: %v, %v", before == after, err)
			}
		})
	}
}

func (b ruleBench) offices(t *testing.T, extends bool, entries ...detect.ListEntry) error {
	t.Helper()
	_, err := b.rules.SaveList(t.Context(), b.account, "offices", func(l *detect.AccountList) error {
		l.Extends, l.Entries = extends, entries
		return nil
	}, storetest.By())
	return err
}

// TestRuleVersions holds that a change touches the version of its rule and of no other.
func TestRuleVersions(t *testing.T) {
	b := newRuleBench(t)
	versions := func() map[string]string {
		all := map[string]string{}
		set, _, err := b.rules.Rules(t.Context(), b.account)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range set.Rules() {
			if set.Alone(i) {
				all[r.Key()] = r.Version()
			} else if r.Hidden() == (strings.Contains(r.Key(), "\x00") == false) {
				t.Errorf("%q is hidden: %v", r.Key(), r.Hidden())
			}
		}
		return all
	}
	before := versions()
	x, err := b.except(t, "many_failures", "user.email_addr", time.Time{}, "mira@example.org")
	if err != nil {
		t.Fatal(err)
	}
	tuned := versions()
	if tuned["many_failures"] == before["many_failures"] || tuned["many_people"] != before["many_people"] || tuned["outside"] != before["outside"] {
		t.Errorf("before %v, with an exception %v", before, tuned)
	}
	if _, err := b.rules.Unexcept(t.Context(), b.account, x.ID, storetest.By()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, versions()); diff != "" {
		t.Errorf("taken back (-before +after):\n%s", diff)
	}
}

func TestRulesRefuse(t *testing.T) {
	b := newRuleBench(t)
	if _, err := b.rules.Save(t.Context(), b.account, ownDawn, storetest.By()); err != nil {
		t.Fatal(err)
	}
	set := func(rule string, change func(*detect.Setting)) func() error {
		return func() error { return b.set(t, rule, change) }
	}
	threshold := func(n int64) func(*detect.Setting) { return func(s *detect.Setting) { s.Threshold = &n } }
	timespan := func(d time.Duration) func(*detect.Setting) { return func(s *detect.Setting) { s.Timespan = &d } }
	except := func(rule, field string, until time.Time, values ...string) func() error {
		return func() error { _, err := b.except(t, rule, field, until, values...); return err }
	}
	save := func(text string) func() error {
		return func() error { _, err := b.rules.Save(t.Context(), b.account, text, storetest.By()); return err }
	}
	list := func(name string, entries ...string) func() error {
		return func() error {
			_, err := b.rules.SaveList(t.Context(), b.account, name, func(l *detect.AccountList) error {
				for _, e := range entries {
					l.Entries = append(l.Entries, detect.ListEntry{Value: e})
				}
				return nil
			}, storetest.By())
			return err
		}
	}
	for _, c := range []struct {
		name  string
		do    func() error
		field string // empty: kind
		kind  problem.Kind
		text  string
	}{
		{"no rule", set("nothing", threshold(1)), "", problem.NotFound, `no rule "nothing"`},
		{"threshold 0", set("many_failures", threshold(0)), "threshold", 0, "must be 1 or more"},
		{"threshold below 0", set("many_failures", threshold(-5)), "threshold", 0, "must be 1 or more"},
		{"threshold beyond windows", set("many_failures", threshold(20_001)), "threshold", 0, "can count to 20000"},
		{"threshold of a rule", set("outside", threshold(3)), "threshold", 0, "single events"},
		{"timespan of a rule", set("outside", timespan(time.Hour)), "timespan", 0, "single events"},
		{"timespan too long", set("many_failures", timespan(400*24*time.Hour)), "timespan", 0, "to a year"},
		{"timespan too short", set("many_failures", timespan(time.Millisecond)), "timespan", 0, "from a second"},
		{"level", set("outside", func(s *detect.Setting) { s.Level = "bad" }), "level", 0, "there are informational"},
		{"part off", set("failure", func(s *detect.Setting) { s.Off = true }), "enabled", 0, "a part of many_failures"},
		{"exception without field", except("outside", "", time.Time{}, "x"), "field", 0, "needs a field"},
		{"exception of unknown field", except("outside", "user.emial_addr", time.Time{}, "x"), "field", 0, `no field "user.emial_addr" (is user.email_addr meant?)`},
		{"exception of unknown feature", except("outside", "holdfast.mood", time.Time{}, "x"), "field", 0, "no feature"},
		{"exception without value", except("outside", "user.email_addr", time.Time{}, " "), "values", 0, "needs a value"},
		{"exception for everybody", except("outside", "user.email_addr", time.Time{}, "*"), "values", 0, "stands for everything"},
		{"exception for all addresses", except("outside", "src_endpoint.ip", time.Time{}, "0.0.0.0/0"), "values", 0, "every address"},
		{"exception by a list that is not there", except("outside", "user.email_addr", time.Time{}, "%friends%"), "values", 0, "no list %friends%"},
		{"exception that is over", except("outside", "user.email_addr", dawn, "x"), "until", 0, "which is over"},
		{"exception on a part", except("failure", "user.email_addr", time.Time{}, "x"), "name", 0, "make the exception there"},
		{"no reason", func() error {
			_, err := b.rules.Except(t.Context(), b.account, detect.Exception{Rule: "outside", Field: "user.email_addr", Values: []string{"x"}}, storetest.By())
			return err
		}, "reason", 0, "needs a reason"},
		{"no exception", func() error { _, err := b.rules.Unexcept(t.Context(), b.account, "x", storetest.By()); return err }, "", problem.NotFound, "no exception"},
		{"text empty", save("# nothing\n"), "text", 0, ""},
		{"text faulty", save(strings.ReplaceAll(ownDawn, "status", "stats")), "text", 0, "line 7: "},
		{"text without a name", save(strings.Replace(ownDawn, "name: dawn\n", "", 1)), "text", 0, "neither name nor id"},
		{"text of a bad name", save(strings.Replace(ownDawn, "dawn", "'a b/c'", 1)), "text", 0, "cannot be a name"},
		{"name of the pack", save(strings.Replace(ownDawn, "dawn", "outside", 1)), "text", 0, "which Holdfast comes with"},
		{"id of the pack", save(ownDawn + "id: 7e57ab1e-0000-4000-8000-000000000001\n"), "text", 0, "which Holdfast comes with"},
		{"list that is not there", save(strings.Replace(ownDawn, "condition: selection", "more: {user.name|expand: '%x%'}\n  condition: selection and more", 1)), "text", 0, "no list %x%"},
		{"feature that is not there", save(strings.Replace(ownDawn, "failures_person_1h", "failures_person_2h", 1)), "text", 0, "failures_person_1h meant"},
		{"remove of the pack", func() error { return b.rules.Remove(t.Context(), b.account, "outside", storetest.By()) }, "", problem.Conflict, "switch it off"},
		{"remove nothing", func() error { return b.rules.Remove(t.Context(), b.account, "nothing", storetest.By()) }, "", problem.NotFound, "no rule"},
		{"list of a bad name", list("a b", "x"), "name", 0, "cannot be the name of a list"},
		{"list of everything", list("friends", "x", "*"), "entries", 0, "stands for everything"},
		{"list of the files", func() error { return b.rules.RemoveList(t.Context(), b.account, "offices", storetest.By()) }, "", problem.Conflict, "is of files"},
		{"no list", func() error { return b.rules.RemoveList(t.Context(), b.account, "friends", storetest.By()) }, "", problem.NotFound, "no list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.do()
			p, ok := errors.AsType[*problem.Error](err)
			if !ok || p.Field != c.field || c.field == "" && p.Kind != c.kind || !strings.Contains(p.Detail, c.text) {
				t.Errorf("%#v\n%v", p, err)
			}
		})
	}
	o, err := b.rules.List(t.Context(), b.account)
	if err != nil || o.Revision != 1 || len(o.Rules) != 5 {
		t.Errorf("%+v %v", o, err)
	}
}
