package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/origin"
	"holdfast/internal/signals"
)

// monday is when the tests begin.
func monday() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

// signIn is a successful sign-in of somebody on her laptop at home in Berlin.
func signIn(id, email string, at time.Time) signals.Event {
	return signals.Event{
		Source: signals.OnePassword, SourceID: id, Time: at, Class: signals.ClassAuthentication, Activity: signals.Logon,
		StatusID: signals.StatusSuccess, MFA: signals.Yes, Session: "session-" + id,
		User:   signals.User{ID: strings.ToUpper(email[:1]), Email: email, Login: email},
		Src:    signals.Endpoint{IP: "192.0.2.10", Location: berlin()},
		Client: origin.Client{App: "Console", Platform: "Chrome", PlatformVersion: "129", OS: "Windows", OSVersion: "11"},
	}
}

func berlin() origin.Location {
	return origin.Location{Country: "DE", City: "Berlin", Latitude: 52.52, Longitude: 13.4, Radius: 20, ASN: 64500, AnonymousKnown: true}
}

func sydney() origin.Location {
	return origin.Location{Country: "AU", City: "Sydney", Latitude: -33.87, Longitude: 151.2, Radius: 20, ASN: 64501, AnonymousKnown: true}
}

// fail makes the event a failure.
func fail(e signals.Event, reason signals.Reason) signals.Event {
	e.StatusID, e.Reason, e.MFA = signals.StatusFailure, reason, signals.Unknown
	return e
}

// habits are n days of ordinary sign-ins from monday on.
func habits(email string, n int) (all []signals.Event) {
	for d := range n {
		all = append(all, signIn(fmt.Sprintf("%s-%d", email, d), email, monday().AddDate(0, 0, d)))
	}
	return all
}

func compile(t testing.TB, text string, lists detect.Lists) *detect.Set {
	t.Helper()
	parsed, faults := detect.Parse("test.yml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := detect.Compile(parsed, detect.FieldMaps(), lists)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newEngine(t testing.TB, set *detect.Set, memory detect.Memory) *detect.Engine {
	t.Helper()
	x, err := detect.NewEngine(detect.Config{Set: set, Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// run takes the events and returns the findings as they are in the end, in order.
func run(t testing.TB, x *detect.Engine, events []signals.Event) (all []detect.Found) {
	t.Helper()
	begun := map[string]bool{}
	for res, err := range x.Run(t.Context(), slices.Values(events)) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Begun {
			begun[f.ID] = true
		}
		for _, f := range res.Ended {
			if !begun[f.ID] {
				t.Errorf("finding %s of %s ends and never began", f.ID, f.Rule)
			}
			delete(begun, f.ID)
		}
		all = append(all, res.Ended...)
	}
	if len(begun) > 0 {
		t.Errorf("%d findings never ended", len(begun))
	}
	detect.OrderFound(all)
	return all
}

const newCountry = `title: New country
name: new_country
logsource: {product: holdfast, category: authentication, service: signin}
taxonomy: ocsf
level: high
detection:
  selection: {activity_name: Logon, status: Success, holdfast.known_country: false}
  condition: selection
holdfast:
  explain:
    en: "{user.email_addr} from {src_endpoint.location.country} at {holdfast.travel_speed} km/h, recovery {holdfast.recovery_code_used}"
    de: "{user.email_addr} aus {src_endpoint.location.country} mit {holdfast.travel_speed} km/h"
`

// TestEngineFinding is a finding from beginning to end: what it says, that more of it joins it, and that
// nothing is learned from it until a person says so.
func TestEngineFinding(t *testing.T) {
	x := newEngine(t, compile(t, newCountry, nil), detect.NewMemory())
	events := habits("ann@example.com", 20)
	for i, after := range []time.Duration{3 * time.Hour, 3*time.Hour + 50*time.Minute, 4*time.Hour + 40*time.Minute, 9 * time.Hour} {
		e := signIn(fmt.Sprintf("away-%d", i), "Ann@Example.com", monday().AddDate(0, 0, 19).Add(after))
		e.Src.Location, e.Src.IP = sydney(), "198.51.100.7"
		events = append(events, e)
	}
	got := run(t, x, events)
	begin := monday().AddDate(0, 0, 19)
	want := []detect.Found{
		{
			Rule: "new_country", Title: "New country", Level: detect.High, User: "Ann@Example.com", Address: "198.51.100.7", Subject: "user:Ann@Example.com",
			Time: begin.Add(3 * time.Hour), Last: begin.Add(4*time.Hour + 40*time.Minute), Count: 3, Events: []string{"away-0", "away-1", "away-2"},
			Features: []detect.FeatureValue{{Name: "holdfast.known_country", Value: detect.BoolValue(false)}, {Name: "holdfast.travel_speed", Value: detect.FloatValue(5351)}},
			Explain: map[string]string{
				"en": "Ann@Example.com from AU at 5351 km/h, recovery –",
				"de": "Ann@Example.com aus AU mit 5351 km/h",
			},
		},
		{
			Rule: "new_country", Title: "New country", Level: detect.High, User: "Ann@Example.com", Address: "198.51.100.7", Subject: "user:Ann@Example.com",
			Time: begin.Add(9 * time.Hour), Last: begin.Add(9 * time.Hour), Count: 1, Events: []string{"away-3"},
			Features: []detect.FeatureValue{{Name: "holdfast.known_country", Value: detect.BoolValue(false)}, {Name: "holdfast.travel_speed", Value: detect.FloatValue(1784)}},
			Explain: map[string]string{
				"en": "Ann@Example.com from AU at 1784 km/h, recovery –",
				"de": "Ann@Example.com aus AU mit 1784 km/h",
			},
		},
	}
	for i := range got {
		if got[i].ID == "" || got[i].Version != x.Version(0) {
			t.Errorf("finding %d has the id %q and the version %q", i, got[i].ID, got[i].Version)
		}
		got[i].ID, got[i].Version, got[i].Person = "", "", ""
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b detect.Value) bool { return slices.Equal(a.Texts(), b.Texts()) })); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestHarmless is that a person's word makes a country known, and nothing else does.
func TestHarmless(t *testing.T) {
	x := newEngine(t, compile(t, newCountry, nil), detect.NewMemory())
	away := signIn("away", "ann@example.com", monday().AddDate(0, 0, 20))
	away.Src.Location = sydney()
	again := away
	again.SourceID, again.Time = "again", away.Time.Add(2*time.Hour)
	third := away
	third.SourceID, third.Time = "third", away.Time.Add(5*time.Hour)
	take := func(e signals.Event) int {
		res, err := x.Take(&e)
		if err != nil {
			t.Fatal(err)
		}
		return len(res.Begun)
	}
	for _, e := range habits("ann@example.com", 20) {
		take(e)
	}
	if n := take(away) + take(again); n != 2 {
		t.Errorf("%d findings from a country that is new twice, want 2", n)
	}
	if err := x.Harmless(&again); err != nil {
		t.Fatal(err)
	}
	if n := take(third); n != 0 {
		t.Errorf("%d findings after a person said it is harmless, want none", n)
	}
}

// TestRulePack holds that the pack compiles for the field maps, and an engine for it.
func TestRulePack(t *testing.T) {
	lists, err := detect.ReadLists(rules.FS())
	if err != nil {
		t.Fatal(err)
	}
	set, err := detect.Load(rules.FS(), detect.FieldMaps(), lists)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Rules()) == 0 {
		t.Error("there are no rules")
	}
	newEngine(t, set, detect.NewMemory())
}

// TestUnfit is what an engine refuses, with the place in the file: also where names are free.
func TestUnfit(t *testing.T) {
	const begin = "title: x\nname: x\nlogsource: {product: okta}\n"
	for name, c := range map[string]struct{ text, want string }{
		"field":     {begin + "detection: {s: {holdfast.know_country: false}, condition: s}\n", `test.yml:4:17: "holdfast.know_country" is no feature (is holdfast.known_country meant?)`},
		"reference": {begin + "detection: {s: {a|fieldref: holdfast.sucesses}, condition: s}\n", `test.yml:4:17: "holdfast.sucesses" is no feature (is holdfast.successes meant?)`},
		"sentence":  {begin + "detection: {s: {a: b}, condition: s}\nholdfast: {explain: {en: 'in {holdfast.nothing}'}}\n", `test.yml:5:26: "holdfast.nothing" is no feature`},
		"group": {begin + "detection: {s: {a: b}, condition: s}\n---\ntitle: y\ncorrelation: {type: event_count, rules: [x], group-by: [holdfast.persn], timespan: 1h, condition: {gte: 3}}\n",
			`test.yml:7:1: "holdfast.persn" is no feature (is holdfast.person meant?)`},
		"threshold": {begin + "detection: {s: {a: b}, condition: s}\n---\ntitle: y\ncorrelation: {type: event_count, rules: [x], group-by: [a], timespan: 1h, condition: {gte: 30000}}\n",
			"test.yml:7:86: the condition asks for 30000, but a window holds the latest 20000 events of a group; ask for fewer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := detect.NewEngine(detect.Config{Set: compile(t, c.text, nil), Memory: detect.NewMemory()})
			if err == nil || err.Error() != c.want {
				t.Errorf("the error is %v\nwant %s", err, c.want)
			}
		})
	}
}
