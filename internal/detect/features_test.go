package detect_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/origin"
	"holdfast/internal/signals"
)

// TestFeaturesDocumented compares the features with the one table of them.
func TestFeaturesDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/events/features.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[detect.Kind]string{detect.Text: "text", detect.Int: "int", detect.Float: "float", detect.Bool: "bool"}
	var want, got []string
	for _, f := range detect.Features() {
		want = append(want, f.Name+" "+kinds[f.Type])
	}
	ticked := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `"+detect.FeaturePrefix) || len(cells) < 4 {
			continue
		}
		stem := ""
		for _, m := range ticked.FindAllStringSubmatch(cells[0], -1) {
			name := m[1] // `…_10m`, `_1h`: the same with another end
			if strings.HasPrefix(name, "_") {
				name = stem[:strings.LastIndex(stem, "_")] + name
			}
			stem = name
			got = append(got, name+" "+cells[1])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/events/features.md is not what there is (-code +document):\n%s", diff)
	}
}

// featuresOf learns from earlier events and returns what is known about the last one: names without the
// prefix, and values as text. What is absent is not there.
func featuresOf(t *testing.T, people detect.People, events []signals.Event) map[string]string {
	t.Helper()
	got := map[string]string{}
	x := detect.NewFeatureProbe(detect.NewMemory(), people)
	for i := range events {
		values, err := x.Take(&events[i])
		if err != nil {
			t.Fatal(err)
		}
		clear(got)
		for name, v := range values {
			got[strings.TrimPrefix(name, detect.FeaturePrefix)] = strings.Join(v.Texts(), ",")
		}
	}
	return got
}

// absent is in place of a value that must not be there.
const absent = "absent"

type directory map[string]detect.Person

func (d directory) Person(e *signals.Event) (detect.Person, bool) {
	p, ok := d[strings.ToLower(e.User.Email)]
	return p, ok
}

func TestFeatures(t *testing.T) {
	ann := "ann@example.com"
	later := func(d time.Duration) time.Time { return monday().AddDate(0, 0, 19).Add(d) }
	at := func(after time.Duration, change func(*signals.Event)) signals.Event {
		e := signIn(fmt.Sprint("x", after), ann, later(after))
		if change != nil {
			change(&e)
		}
		return e
	}
	inSydney := func(e *signals.Event) { e.Src.Location, e.Src.IP = sydney(), "198.51.100.7" }
	bad := func(reason signals.Reason) func(*signals.Event) {
		return func(e *signals.Event) { *e = fail(*e, reason) }
	}
	other := func(email string, change func(*signals.Event)) func(*signals.Event) {
		return func(e *signals.Event) {
			e.User = signals.User{Email: email}
			if change != nil {
				change(e)
			}
		}
	}
	code := func(reason signals.Reason) func(*signals.Event) {
		return func(e *signals.Event) {
			if reason != "" {
				*e = fail(*e, reason)
			}
			e.Factors = []signals.Factor{{ID: signals.FactorOther, Name: "code"}}
		}
	}
	known := slices.Clip(habits(ann, 20)) // each case appends a copy of its own
	for name, c := range map[string]struct {
		people directory
		events []signals.Event
		want   map[string]string
	}{
		"nobody": {nil, []signals.Event{{Source: "x", SourceID: "1", Time: monday(), Class: signals.ClassAuthentication, Activity: signals.Logon}}, map[string]string{
			"known_country": absent, "learning": absent, "failures_person_1h": absent, "failures_address_1h": absent, "suspended": absent, "successes": absent,
		}},
		"first": {nil, known[:1], map[string]string{
			"learning": "true", "successes": "0", "history_days": absent, "known_country": absent, "known_device": absent, "known_anonymous": absent,
			"last_success_hours": absent, "dormant_days": absent, "travel_speed": absent, "distance_km": absent, "hour_share": absent, "mfa_share": absent,
			"failures_person_24h": "0", "people_address_1h": "1", "succeeded_people_address_30d": "0", "session_address_jump": absent, "new_device_people_1h": "1",
			"unknown_names_address_24h": "1", "firewall_reported": absent, "country_share_group": absent, "suspended": absent, "person": absent, "protected": absent,
		}},
		"learning": {nil, append(slices.Clip(known[:12]), func() signals.Event {
			e := signIn("y", ann, monday().AddDate(0, 0, 12))
			inSydney(&e)
			return e
		}()), map[string]string{
			"learning": "true", "successes": "12", "known_country": absent, "known_network": absent, "known_address": absent, "known_device": "true", "known_client": "true",
			"history_days": "12", "new_device_people_1h": absent,
		}},
		"usual": {nil, append(known, at(2*time.Hour, nil)), map[string]string{
			"learning": "false", "successes": "20", "known_country": "true", "known_network": "true", "known_address": "true", "known_device": "true",
			"known_client": "true", "known_anonymous": "false", "last_success_hours": "2", "dormant_days": "0", "distance_km": "0", "travel_speed": "0",
			"mfa_share": "1", "hour_share": absent, "succeeded_people_address_30d": "1", "people_address_1h": "1", "people_address_24h": "1", "unknown_names_address_24h": "0",
		}},
		"elsewhere": {nil, append(known, at(2*time.Hour, inSydney)), map[string]string{
			"known_country": "false", "known_network": "false", "known_address": "false", "known_device": "true", "travel_speed": "8027", "distance_km": "16054.3",
			"succeeded_people_address_30d": "0", "succeeded_people_network_30d": "0",
		}},
		"near": {nil, append(known, at(10*time.Minute, func(e *signals.Event) { e.Src.Location.Latitude += 1.2 })), map[string]string{
			"distance_km": "93.4", "travel_speed": "0",
		}},
		"behind-a-vpn": {nil, append(known, at(2*time.Hour, func(e *signals.Event) { inSydney(e); e.Src.Location.Anonymous = true })), map[string]string{
			"travel_speed": absent, "distance_km": absent, "known_country": "false", "known_anonymous": "false",
		}},
		"after-a-vpn": {nil, append(known, at(time.Hour, func(e *signals.Event) { inSydney(e); e.Src.Location.Anonymous = true }), at(2*time.Hour, nil)), map[string]string{
			"travel_speed": "0", "known_anonymous": "true", "last_success_hours": "1",
		}},
		"no-point": {nil, append(known, at(2*time.Hour, func(e *signals.Event) { e.Src.Location = origin.Location{Country: "AU"} })), map[string]string{
			"travel_speed": absent, "distance_km": absent, "known_country": "false", "known_network": "false", "known_anonymous": "false",
		}},
		"other-device": {nil, append(known, at(2*time.Hour, func(e *signals.Event) {
			e.Client = origin.Client{App: "Console", Platform: "Firefox", OS: "Linux"}
		})), map[string]string{"known_device": "false", "known_client": "true", "known_address": "true", "new_device_people_1h": "1"}},
		"device-by-id": {nil, append(known, at(2*time.Hour, func(e *signals.Event) { e.Device.ID = "D1" }), at(3*time.Hour, func(e *signals.Event) {
			e.Device.ID, e.Client = "D1", origin.Client{}
		})), map[string]string{"known_device": "true", "known_client": absent}},
		"same-line-of-ipv6": {nil, append(known, at(time.Hour, func(e *signals.Event) { e.Src.IP = "2001:db8:1:2::7" }), at(2*time.Hour, func(e *signals.Event) { e.Src.IP = "2001:db8:1:2:aaaa::1" })),
			map[string]string{"known_address": "true", "succeeded_people_address_24h": "1"}},
		"network-without-number": {nil, append(known, at(time.Hour, func(e *signals.Event) { e.Src.Location.ASN = 0 }), at(2*time.Hour, func(e *signals.Event) {
			e.Src.Location.ASN, e.Src.IP = 0, "192.0.2.99"
		})), map[string]string{"known_address": "false", "known_network": "true"}},
		"failures": {nil, append(known, at(1*time.Minute, bad(signals.BadCredentials)), at(50*time.Minute, bad(signals.MFAFailed)), at(55*time.Minute, bad(signals.ClientOutdated)),
			at(56*time.Minute, bad(signals.MFATimeout)), at(61*time.Minute, nil)), map[string]string{
			"failures_person_10m": "1", "failures_person_1h": "3", "failures_person_24h": "3", "mfa_failures_person_10m": "1", "mfa_failures_person_1h": "2", "mfa_failures_person_24h": "2",
			"failures_address_10m": "1", "failures_address_1h": "3", "failures_address_24h": "3", "failed_people_address_1h": "1",
		}},
		"failures-stop-counting-at-64": {nil, append(known, func() (all []signals.Event) {
			for i := range 100 {
				all = append(all, at(time.Duration(i)*time.Second, bad(signals.BadCredentials)))
			}
			return all
		}()...), map[string]string{"failures_person_10m": "64", "failures_address_24h": "64"}},
		"people-of-an-address": {nil, append(known, at(1*time.Minute, other("b@example.com", bad(signals.BadCredentials))), at(2*time.Minute, other("c@example.com", bad(signals.NoSuchUser))),
			at(3*time.Minute, other("C@example.com", bad(signals.NoSuchUser))), at(4*time.Minute, other("d@example.com", bad(signals.NoSuchUser))),
			at(90*time.Minute, bad(signals.BadCredentials))), map[string]string{
			"people_address_1h": "1", "people_address_24h": "4", "failed_people_address_1h": "1", "failed_people_address_24h": "4", "unknown_names_address_24h": "3",
			"people_network_1h": "1", "people_network_24h": "4", "failed_people_network_24h": "4", "succeeded_people_address_24h": "1",
		}},
		"success-counts-as-tried-not-as-failed": {nil, append(known, at(1*time.Minute, other("b@example.com", bad(signals.BadCredentials))), at(2*time.Minute, nil)), map[string]string{
			"people_address_1h": "2", "failed_people_address_1h": "1",
		}},
		"colleague-on-the-same-machine": {nil, append(known, at(time.Minute, other("b@example.com", nil)), at(2*time.Minute, other("c@example.com", func(e *signals.Event) { e.Client.PlatformVersion = "1" })),
			at(3*time.Minute, other("d@example.com", bad(signals.BadCredentials))), at(time.Hour, nil)), map[string]string{"others_device_24h": "1"}},
		"colleague-a-day-later": {nil, append(known, at(time.Minute, other("b@example.com", nil)), at(25*time.Hour, nil)), map[string]string{"others_device_24h": "0"}},
		"recovery-code": {nil, append(known, at(1*time.Minute, code(signals.MFAFailed)), at(2*time.Minute, code(""))), map[string]string{
			"recovery_code_used": "true", "recovery_code_tries_1h": "2", "mfa_failures_person_10m": "1",
		}},
		"another-factor": {nil, append(known, at(1*time.Minute, func(e *signals.Event) { e.Factors = []signals.Factor{{ID: signals.FactorOTP, Name: "totp"}} })), map[string]string{
			"recovery_code_used": "false", "recovery_code_tries_1h": "0",
		}},
		"factor-is-off": {nil, append(known, at(time.Hour, func(e *signals.Event) { *e = fail(*e, signals.MFAFailed); e.StatusCode = "totp_disabled" }), at(3*time.Hour, nil)), map[string]string{
			"factor_disabled_hours": "2", "factor_disabled_recently": "true",
		}},
		"factor-was-switched-off": {nil, append(known, signals.Event{
			Source: "x", SourceID: "off", Time: later(time.Hour), Class: signals.ClassAccountChange, Activity: signals.FactorDisable, User: signals.User{Email: ann},
		}, at(31*time.Hour, nil)), map[string]string{"factor_disabled_hours": "30", "factor_disabled_recently": "false"}},
		"session-jumps": {nil, append(known, at(time.Hour, func(e *signals.Event) { e.Session = "S" }), at(2*time.Hour, func(e *signals.Event) {
			inSydney(e)
			e.Session, e.Client.Platform = "S", "curl"
		})), map[string]string{"session_address_jump": "true", "session_device_change": "true"}},
		"session-stays": {nil, append(known, at(time.Hour, func(e *signals.Event) { e.Session = "S" }), at(2*time.Hour, func(e *signals.Event) { e.Session, e.Src.IP = "S", "192.0.2.11" })), map[string]string{
			"session_address_jump": "false", "session_device_change": "false", "known_address": "false",
		}},
		"dormant": {nil, append(known, at(100*24*time.Hour, nil)), map[string]string{"dormant_days": "100", "last_success_hours": "2400", "history_days": "119", "known_country": "true"}},
		"directory": {directory{ann: {ID: "P1", Suspended: true, Protected: true}}, append(known, at(time.Hour, nil)), map[string]string{
			"person": "P1", "suspended": "true", "protected": "true", "known_country": "true",
		}},
		"suspended-as-events-say": {nil, append(known, signals.Event{
			Source: "x", SourceID: "off", Time: later(time.Hour), Class: signals.ClassAccountChange, Activity: signals.AccountDisable, User: signals.User{Email: ann},
		}, at(2*time.Hour, nil)), map[string]string{"suspended": "true"}},
		"reactivated": {nil, append(known,
			signals.Event{Source: "x", SourceID: "off", Time: later(time.Hour), Class: signals.ClassAccountChange, Activity: signals.AccountDisable, User: signals.User{Email: ann}},
			signals.Event{Source: "x", SourceID: "on", Time: later(2 * time.Hour), Class: signals.ClassAccountChange, Activity: signals.AccountEnable, User: signals.User{Email: ann}},
			at(3*time.Hour, nil)), map[string]string{"suspended": "false"}},
		"disabled-says-the-source": {nil, append(known, at(time.Hour, bad(signals.Disabled))), map[string]string{"suspended": "true"}},
		"firewall":                 {nil, append(known, at(time.Hour, func(e *signals.Event) { e.Disposition = signals.DispositionLogged })), map[string]string{"firewall_reported": "true"}},
		"blocked":                  {nil, append(known, at(time.Hour, func(e *signals.Event) { e.Disposition = signals.DispositionBlocked })), map[string]string{"firewall_reported": "false"}},
		"hours":                    {nil, append(habits(ann, 60), signIn("late", ann, monday().AddDate(0, 0, 60).Add(14*time.Hour))), map[string]string{"hour_share": "0", "hour_unusual": "true"}},
		"usual-hour": {nil, append(habits(ann, 60), signIn("same", ann, monday().AddDate(0, 0, 60).Add(50*time.Minute))), map[string]string{
			"hour_share": "1", "hour_unusual": "false",
		}},
		"same-hour-where-the-sun-is": {nil, append(habits(ann, 60), func() signals.Event {
			e := signIn("away", ann, monday().AddDate(0, 0, 60).Add(15*time.Hour)) // in Sydney it is 9 hours later than in Berlin
			inSydney(&e)
			return e
		}()), map[string]string{"hour_share": "1", "hour_unusual": "false"}},
		"late": {nil, append(known, at(5*time.Hour, nil), at(2*time.Hour, inSydney)), map[string]string{
			"last_success_hours": absent, "dormant_days": absent, "travel_speed": absent, "known_country": "false",
		}},
		"no-time": {nil, append(known, func() signals.Event { e := at(0, nil); e.Time = time.Time{}; return e }()), map[string]string{
			"failures_person_1h": absent, "travel_speed": absent, "last_success_hours": absent, "people_address_1h": absent, "known_country": "true",
		}},
		"country-of-the-group": {directory{"z@example.com": {ID: "Z", Groups: []string{"g"}}, ann: {ID: "P1", Groups: []string{"g", "h"}}, "b@example.com": {ID: "B", Groups: []string{"g"}}, "c@example.com": {ID: "C", Groups: []string{"g"}}, "d@example.com": {ID: "D", Groups: []string{"g"}}},
			append(known, at(1*time.Minute, other("b@example.com", nil)), at(2*time.Minute, other("c@example.com", nil)), at(3*time.Minute, other("d@example.com", nil)),
				at(4*time.Minute, other("z@example.com", inSydney)), at(time.Hour, inSydney)), map[string]string{"country_share_group": "0.2"}},
	} {
		t.Run(name, func(t *testing.T) {
			var people detect.People
			if c.people != nil {
				people = c.people
			}
			got := featuresOf(t, people, c.events)
			for name, want := range c.want {
				v, ok := got[name]
				if !ok {
					v = absent
				}
				if v != want {
					t.Errorf("%s is %s, want %s", name, v, want)
				}
			}
		})
	}
}

// TestFeatureTypes is that every value is of the type that the table says, on a stream in which all occur.
func TestFeatureTypes(t *testing.T) {
	types := map[string]detect.Kind{}
	for _, f := range detect.Features() {
		types[f.Name] = f.Type
	}
	seen := map[string]bool{}
	x := detect.NewFeatureProbe(detect.NewMemory(), directory{"ann@example.com": {ID: "P1"}})
	events := habits("ann@example.com", 60)
	for i := range 6 {
		e := signIn(fmt.Sprint("other", i), fmt.Sprintf("p%d@example.com", i), monday().AddDate(0, 0, 58).Add(time.Duration(i)*time.Minute))
		events = append(events, e)
	}
	off := fail(signIn("off", "ann@example.com", monday().AddDate(0, 0, 61)), signals.MFAFailed)
	off.StatusCode, off.Factors, off.Session, off.Disposition = "totp_disabled", []signals.Factor{{Name: "totp"}}, "S", signals.DispositionAllowed
	again := signIn("again", "ann@example.com", monday().AddDate(0, 0, 61).Add(time.Hour))
	again.Session, again.Client.OS = "S", "Plan 9"
	for _, e := range append(events, off, again) {
		values, err := x.Take(&e)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range values {
			seen[name] = true
			if v.Kind() != types[name] {
				t.Errorf("%s is of kind %d, want %d", name, v.Kind(), types[name])
			}
		}
	}
	for name := range types {
		if !seen[name] {
			t.Errorf("%s never has a value; the test tests too little", name)
		}
	}
}

// TestDocumentedRule is that the rule in the document is one.
func TestDocumentedRule(t *testing.T) {
	text, err := os.ReadFile("../../docs/events/features.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	rule, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/events/features.md shows no rule")
	}
	newEngine(t, compile(t, rule, nil), detect.NewMemory())
}
