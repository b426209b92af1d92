package respond

import (
	"errors"
	"strings"
	"testing"
	"time"

	"holdfast/internal/detect"
)

// someFacts are those of a sign-in from a new place, of somebody who was recognised.
func someFacts() Facts {
	yes, at := true, time.Date(2026, 11, 24, 21, 30, 0, 0, time.UTC)
	return Facts{
		Now: at.Add(time.Second),
		Finding: detect.Found{
			Rule: "mfa_fatigue", Level: detect.High, Title: "Prompts", Count: 7, Events: []string{"a", "b"}, More: 3, Time: at, Last: at.Add(time.Minute),
			Features: []detect.FeatureValue{
				{Name: "holdfast.known_device", Value: detect.BoolValue(false)},
				{Name: "holdfast.known_network", Value: detect.BoolValue(true)},
				{Name: "holdfast.failures_person_1h", Value: detect.IntValue(4)},
				{Name: "holdfast.travel_speed", Value: detect.FloatValue(1200.5)},
			},
		},
		Event:  EventFacts{ID: "e1", Kind: "signin", IP: "203.0.113.9", Country: "RO", ASN: 64500, Time: at, MFA: &yes},
		Person: Person{ID: "P1", Email: "ada@example.org", Name: "Ada", Active: true, Groups: []string{"Staff", "Owners"}, GroupIDs: []string{"g1", "g2"}},
		Guard:  Guard{Groups: []Protected{{ID: "g2"}}},
	}
}

func TestCondition(t *testing.T) {
	tests := []struct {
		name, text, want string // true, false, or the words of what is not known
	}{
		{"the example of the issue", `user.state == "ACTIVE" && !(state.known_device && state.known_asn)`, "true"},
		{"group", `"Owners" in user.groups`, "true"},
		{"no group", `"owners" in user.groups`, "false"},
		{"loop", `any(user.groups, lower(#) == "owners")`, "true"},
		{"list", `event.country in ["RO", "BG"] and finding.level in ["high"]`, "true"},
		{"not in", `event.country not in ["RO"]`, "false"},
		{"numbers", `state.failures_person_1h >= 4 && state.travel_speed > 1000 && event.asn == 64500`, "true"},
		{"text", `event.ip startsWith "203." && user.email endsWith "@example.org" && finding.title contains "omp"`, "true"},
		{"pattern", `user.email matches "^[a-d]+@"`, "true"},
		{"network", `cidr(event.ip, "198.51.100.0/24", "203.0.113.0/24")`, "true"},
		{"network of the other kind", `cidr(event.ip, "2001:db8::/32")`, "false"},
		{"hour", `hour(event.time, "Europe/Berlin") == 22 && weekday(event.time, "UTC") == "Tuesday"`, "true"},
		{"time", `finding.last - finding.time == duration("1m")`, "true"},
		{"counts", `finding.count == 7 && finding.events == 5`, "true"},
		{"protected", `user.protected && user.matched && !user.externally_managed`, "true"},
		{"factor", `event.mfa`, "true"},

		{"unknown", `state.known_country`, "cannot be decided: state.known_country is unknown"},
		{"unknown, not", `!state.known_country`, "cannot be decided: state.known_country is unknown"},
		{"unknown in a comparison", `event.city == "Cluj"`, "cannot be decided: event.city is unknown"},
		{"unknown beside no", `state.known_country && state.known_device`, "false"},
		{"no beside unknown", `state.known_device && state.known_country`, "false"},
		{"unknown beside yes", `state.known_country && state.known_network`, "cannot be decided: state.known_country is unknown"},
		{"unknown or yes", `state.known_country || state.known_network`, "true"},
		{"unknown or no", `state.known_device || event.city == "x"`, "cannot be decided: event.city is unknown"},
		{"two unknown", `state.known_country || state.hour_unusual || event.anonymous`, "cannot be decided: event.anonymous, state.hour_unusual and state.known_country are unknown"},
		{"default", `state.known_country ?? false`, "false"},
		{"default of a number", `(state.dormant_days ?? 0) > 3`, "false"},
		{"no default needed", `(state.failures_person_1h ?? 0) > 3`, "true"},
		{"second name", `(event.city ?? event.region ?? event.country) == "RO"`, "true"},
		{"no name is known", `(event.city ?? event.region) == "RO"`, "cannot be decided: event.region is unknown"},
		{"asked for", `state.known_country == nil && state.known_device != nil`, "true"},
		{"choice", `state.known_device ? state.known_country : true`, "true"},
		{"unknown choice", `state.known_country ? true : true`, "cannot be decided: state.known_country is unknown"},
		{"no such thing as division", `finding.count % (finding.events - 5) == 0`, "cannot be decided: integer divide by zero"},
	}
	env := NewEnv(someFacts())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := compileCondition(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := decided(c.Holds(env)); !strings.Contains(got, tt.want) {
				t.Errorf("%s = %s, want %s", tt.text, got, tt.want)
			}
		})
	}
	nobody := NewEnv(Facts{})
	for text, want := range map[string]string{
		`user.state == "ACTIVE"`: "cannot be decided: user.state is unknown", `user.matched`: "false", `"Owners" in user.groups`: "cannot be decided: user.groups is unknown",
		`!cidr(event.ip, "10.0.0.0/8")`: "cannot be decided: event.ip is unknown",
	} {
		c, err := compileCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := decided(c.Holds(nobody)); got != want {
			t.Errorf("about nobody, %s = %s, want %s", text, got, want)
		}
	}
	if is, err := (Condition{}).Holds(nobody); !is || err != nil {
		t.Errorf("no condition = %v, %v; want true", is, err)
	}
}

func decided(is bool, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case is:
		return "true"
	default:
		return "false"
	}
}

func TestConditionRefused(t *testing.T) {
	tests := []struct {
		name, text string
		offset     int
		want       string
	}{
		{"empty", " ", 0, "empty"},
		{"syntax", `user.state == `, 13, "unexpected token EOF"},
		{"unknown name", `state.known_devise`, 0, "unknown name state.known_devise (is known_device meant?)"},
		{"unknown name of few", `user.mail == "x"`, 0, "unknown name user.mail (is email meant?)"},
		{"unknown name, all shown", `finding.score > 3`, 0, "known are address, count, events, last, level, rule, time, title"},
		{"unknown group", `usr.state == "ACTIVE"`, 0, `unknown name "usr" (is user meant?)`},
		{"text without quotes", `user.state == ACTIVE`, 14, "texts stand in quotes"},
		{"group alone", `user`, 0, "user is a group of names"},
		{"text for yes", `user.state`, 0, "the expression is a text; it must be true or false"},
		{"types", `user.state == state.known_device`, 11, "mismatched types string and bool"},
		{"types in logic", `user.state && true`, 11, "mismatched types"},
		{"number and text", `state.dormant_days > "3"`, 19, "mismatched types int and string"},
		{"not a text", `!user.state`, 0, "mismatched type string"},
		{"state that there is not", `user.state == "active"`, 14, `user.state is never "active"; it is one of ACTIVE, SUSPENDED, INACTIVE`},
		{"level that there is not", `finding.level in ["high", "urgent"]`, 26, "finding.level is never"},
		{"types of a default", `state.known_device ?? "no"`, 22, "in front of ?? is true or false, behind it a text"},
		{"default of an expression", `(state.dormant_days + 1 ?? 3) > 2`, 22, "in front of ?? must be a name"},
		{"nil as a default", `(state.known_device ?? nil) == true`, 23, "behind ??"},
		{"nil", `nil`, 0, "the expression is"},
		{"nil in a list", `event.country in ["RO", nil]`, 24, "nil can only be asked for"},
		{"nil as an argument", `cidr(nil, "10.0.0.0/8")`, 5, "nil can only be asked for"},
		{"chain", `user?.state == "ACTIVE"`, 6, "?."},
		{"index", `user.groups[0] == "x"`, 11, "no [ ] and no methods"},
		{"method", `event.time.IsZero()`, 11, "no methods"},
		{"let", `let x = 1; x == 1`, 4, "let has no place here"},
		{"range", `1 in 1..1000000000`, 6, "operator .. is not known"},
		{"power", `2 ** 100000 > 3`, 2, "not known here"},
		{"map", `{"a": 1} == {"a": 1}`, 0, "a map has no place here"},
		{"library function", `now() > event.time`, 0, `unknown function "now"`},
		{"library function that grows", `repeat(user.name, 1000000) == ""`, 0, `unknown function "repeat"`},
		{"loop in a loop", `any(user.groups, any(user.groups, # == "a"))`, 34, "a loop in a loop"},
		{"pattern of an event", `user.name matches event.city`, 18, "behind matches must be a written pattern"},
		{"bad pattern", `user.name matches "("`, 18, "not a pattern"},
		{"network", `cidr(event.ip, "10.0.0.1")`, 15, "a network such as"},
		{"network of an event", `cidr(event.ip, event.network)`, 15, "a network such as"},
		{"zone", `hour(event.time, "Berlin") > 3`, 17, "a time zone such as"},
		{"machine's zone", `hour(event.time, "Local") > 3`, 17, "a time zone such as"},
		{"duration", `finding.last - finding.time > duration("x")`, 39, "a time such as"},
		{"too long", strings.Repeat("true && ", 300) + "true", 0, "2048 are allowed"},
		{"too much", strings.Repeat("1+", 300) + "1 > 2", 301, "exceeds maximum allowed nodes"},
		{"deep", strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000), 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := compileCondition(tt.text)
			if tt.name == "deep" {
				return // parentheses cost nothing; it must only not fail badly
			}
			fault, ok := errors.AsType[*exprFault](err)
			if !ok {
				t.Fatalf("err = %v, want a fault with %q", err, tt.want)
			}
			if !strings.Contains(fault.text, tt.want) || fault.offset != tt.offset {
				t.Errorf("fault at %d: %s\nwant at %d: %s", fault.offset, fault.text, tt.offset, tt.want)
			}
		})
	}
}

func TestKey(t *testing.T) {
	env := NewEnv(someFacts())
	for text, want := range map[string]string{
		`user.id`: "P1", `user.id + "|" + event.country`: "P1|RO", `event.city ?? event.country`: "RO",
		`event.city`: "cannot be decided: event.city is unknown", `user.matched ? user.id : finding.rule`: "P1",
	} {
		k, err := compileKey(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Value(env)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s = %s, want %s", text, got, want)
		}
	}
	if _, err := compileKey(`user.groups`); err == nil || !strings.Contains(err.Error(), "a list of texts; it must be a text") {
		t.Errorf("a list as a key: %v", err)
	}
	long := someFacts()
	long.Event.City = strings.Repeat("x", 1000)
	k, err := compileKey(`event.city`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Value(NewEnv(long)); err != nil || len(got) != 64 {
		t.Errorf("key of 1,000 bytes = %q, %v; want a hash", got, err)
	}
}

// FuzzCondition holds that no text makes compiling or evaluating fail badly, and that the same is decided twice.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{
		`user.state == "ACTIVE" && !(state.known_device && state.known_asn)`, `(state.dormant_days ?? 0) > 3`, `any(user.groups, # matches "^a")`,
		`cidr(event.ip, "10.0.0.0/8")`, `finding.count % 0 == 1`, `[1, "a"] == [nil]`, `-"a" == +1`, `not true ? 1 : 2`, `count(user.groups) > 1e308`,
		`len(user.groups) == 9223372036854775807 + 1`, `"a" in "b"`, `all([1, 2], # / 0 > 1)`, `if true { false } else { true }`, `user.groups == ["a"]`, `#`, `$env`,
	} {
		f.Add(s)
	}
	envs := []Env{NewEnv(someFacts()), NewEnv(Facts{})}
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := compileKey(text); err == nil {
			for _, env := range envs {
				if _, err := k.Value(env); err != nil {
					if _, ok := errors.AsType[*Undecided](err); !ok {
						t.Errorf("%q: %v is no *Undecided", text, err)
					}
				}
			}
		}
		c, err := compileCondition(text)
		if err != nil {
			if fault, ok := errors.AsType[*exprFault](err); !ok || fault.text == "" || fault.offset > len(text) {
				t.Errorf("%q: %#v is no fault inside the text", text, err)
			}
			return
		}
		for _, env := range envs {
			first, why := c.Holds(env)
			second, whyToo := c.Holds(env)
			if decided(first, why) != decided(second, whyToo) {
				t.Errorf("%q: %s, then %s", text, decided(first, why), decided(second, whyToo))
			}
			if why != nil {
				if u, ok := errors.AsType[*Undecided](why); !ok || len(u.Fields) == 0 && u.Why == "" {
					t.Errorf("%q: %#v says nothing", text, why)
				}
			}
		}
	})
}

func BenchmarkCondition(b *testing.B) {
	c, err := compileCondition(`user.state == "ACTIVE" && !(state.known_device && state.known_asn) && (state.failures_person_1h ?? 0) >= 3`)
	if err != nil {
		b.Fatal(err)
	}
	f := someFacts()
	for b.Loop() {
		if is, err := c.Holds(NewEnv(f)); !is || err != nil {
			b.Fatal(is, err)
		}
	}
}
