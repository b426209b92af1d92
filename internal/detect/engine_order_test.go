package detect_test

import (
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/signals"
)

// several are rules of each kind: alone, for correlations, both, and correlations of two kinds.
const several = `title: Failure
name: failure
logsource: {category: authentication}
taxonomy: ocsf
detection: {s: {status: Failure, holdfast.failures_person_10m|exists: true}, condition: s}
---
title: Success
name: success
logsource: {category: authentication}
taxonomy: ocsf
detection: {s: {activity_name: Logon, status: Success}, condition: s}
---
title: Many
name: many
level: medium
correlation: {type: event_count, rules: [failure], group-by: [user.email_addr], timespan: 10m, condition: {gte: 3}}
holdfast: {explain: {en: "{count} for {user.email_addr} within {timespan}", de: "{count} für {user.email_addr} in {timespan}"}}
---
title: Then success
name: then
level: critical
correlation: {type: temporal_ordered, rules: [many, success], group-by: [user.email_addr], timespan: 1h}
---
title: Exactly two
name: two
level: low
correlation: {type: event_count, rules: [failure], group-by: [src_endpoint.ip], timespan: 1m, condition: {eq: 2}, generate: true}
---
title: Never seen here
name: new_address
logsource: {category: authentication}
taxonomy: ocsf
level: low
detection: {s: {holdfast.known_address: false}, condition: s}
`

// plain is a finding as a line.
func plain(all []detect.Found) (lines []string) {
	for _, f := range all {
		lines = append(lines, fmt.Sprintf("%s %s %s %s+%s x%d %v %s", f.Rule, f.User, f.Address, f.Time.Format("15:04:05"), f.Last.Sub(f.Time), f.Count, f.Events, f.Explain["en"]))
	}
	return lines
}

func burst() (all []signals.Event) {
	start := monday().AddDate(0, 0, 30)
	for i := range 4 {
		e := fail(signIn(fmt.Sprint("f", i), "ann@example.com", start.Add(time.Duration(i)*40*time.Second)), signals.BadCredentials)
		e.Src.IP = "203.0.113.5"
		all = append(all, e)
	}
	in := signIn("in", "ann@example.com", start.Add(5*time.Minute))
	in.Src.IP = "203.0.113.5"
	return append(all, in)
}

// TestEngineRules is which matches become findings of their own, and how one leads to another.
func TestEngineRules(t *testing.T) {
	x := newEngine(t, compile(t, several, nil), detect.NewMemory())
	got := plain(run(t, x, append(habits("ann@example.com", 20), burst()...)))
	want := []string{
		"failure ann@example.com 203.0.113.5 09:00:00+2m0s x4 [f0 f1 f2 f3] ", // two says generate
		"new_address ann@example.com 203.0.113.5 09:00:00+5m0s x5 [f0 f1 f2 f3 in] ",
		"two ann@example.com 203.0.113.5 09:00:40+1m20s x2 [f0 f1 f2 f3] ",
		"then ann@example.com 203.0.113.5 09:05:00+0s x2 [f0 f1 f2 f3 in] ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestEngineLateness is that within the lateness the order of arrival changes nothing.
func TestEngineLateness(t *testing.T) {
	set := compile(t, several, nil)
	var events []signals.Event
	d := newDice(5)
	for i := range 400 {
		email := pick(d, "a@example.com", "b@example.com", "c@example.com")
		e := signIn(fmt.Sprintf("e%03d", i), email, monday().Add(time.Duration(d.IntN(40*24*60))*time.Minute))
		e.Src.IP = pick(d, "192.0.2.1", "192.0.2.2", "203.0.113.9")
		if d.IntN(3) == 0 {
			e = fail(e, signals.BadCredentials)
		}
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b signals.Event) int { return detect.Earlier(&a, &b) })
	want := run(t, newEngine(t, set, detect.NewMemory()), events)
	if len(want) < 20 {
		t.Fatalf("%d findings; the test tests too little", len(want))
	}
	for seed := range uint64(20) {
		d := newDice(seed)
		late := slices.Clone(events)
		for i := range late { // each is up to three hours late, and some come twice
			j := i
			for j+1 < len(late) && late[j+1].Time.Sub(late[i].Time) < 3*time.Hour && d.IntN(3) > 0 {
				j++
			}
			if late[j].Time.Sub(late[i].Time) < 3*time.Hour {
				late[i], late[j] = late[j], late[i]
			}
		}
		late = slices.Insert(late, 200, late[199])
		x, err := detect.NewEngine(detect.Config{Set: set, Memory: detect.NewMemory(), Lateness: 12 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain(want), plain(run(t, x, late))); diff != "" {
			t.Fatalf("seed %d (-in order +late):\n%s", seed, diff)
		}
	}
}

// TestUnlearn is that what only events of a serious finding have taught is forgotten when it begins, and
// what is known otherwise stays.
func TestUnlearn(t *testing.T) {
	const text = `title: Success
name: success
logsource: {category: authentication}
taxonomy: ocsf
detection: {s: {status: Success, src_endpoint.location.country: AU}, condition: s}
---
title: Twice from there
name: twice
level: LEVEL
correlation: {type: event_count, rules: [success], group-by: [user.email_addr], timespan: 1d, condition: {gte: 2}}
---
title: Look
name: look
logsource: {category: authentication}
taxonomy: ocsf
level: informational
detection: {s: {message: look}, condition: s}
fields: [holdfast.known_country, holdfast.known_device]
`
	for level, want := range map[string]string{"high": "false true", "critical": "false true", "medium": "true true"} {
		t.Run(level, func(t *testing.T) {
			x := newEngine(t, compile(t, strings.Replace(text, "LEVEL", level, 1), nil), detect.NewMemory())
			events := habits("ann@example.com", 20)
			for i := range 4 {
				e := signIn(fmt.Sprint("away", i), "ann@example.com", monday().AddDate(0, 0, 19).Add(time.Duration(i+1)*time.Hour))
				e.Src.Location = sydney()
				events = append(events, e)
			}
			look := fail(signIn("look", "ann@example.com", monday().AddDate(0, 0, 20)), signals.BadCredentials)
			look.Src.Location, look.Message = sydney(), "look"
			for _, f := range run(t, x, append(events, look)) {
				if f.Rule == "look" {
					var got strings.Builder
					for _, v := range f.Features {
						got.WriteString(v.Value.Texts()[0] + " ")
					}
					if got.String() != want+" " {
						t.Errorf("country and device are known: %s, want %s", got.String(), want)
					}
					return
				}
			}
			t.Error("no finding of the rule that looks")
		})
	}
}

// TestVendorRules is that rules written for a vendor's log see its events and no others, and search all
// texts of it where they name no field.
func TestVendorRules(t *testing.T) {
	set := compile(t, `title: Okta
name: by_field
logsource: {product: okta, service: okta}
detection: {s: {eventType: user.session.start, outcome.result: FAILURE, holdfast.failures_person_1h: 0}, condition: s}
---
title: Okta
name: by_word
logsource: {product: okta, service: okta}
detection: {keywords: [0ktapus], condition: keywords}
---
title: OneLogin
name: other
logsource: {product: onelogin}
detection: {keywords: [0ktapus], condition: keywords}
`, nil)
	decoder, err := signals.NewDecoder(signals.Okta)
	if err != nil {
		t.Fatal(err)
	}
	e, err := decoder.Decode([]byte(`{"uuid":"1","published":"2026-03-02T09:00:00Z","eventType":"user.session.start","outcome":{"result":"FAILURE","reason":"INVALID_CREDENTIALS"},
		"actor":{"alternateId":"ann@example.com"},"debugContext":{"debugData":{"requestUri":"/0ktapus"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range run(t, newEngine(t, set, detect.NewMemory()), []signals.Event{e}) {
		got = append(got, f.Rule)
	}
	if diff := cmp.Diff([]string{"by_field", "by_word"}, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// TestOneFindingADay is that what goes on without a pause is reported again after a day.
func TestOneFindingADay(t *testing.T) {
	set := compile(t, `title: Any
name: any
logsource: {category: authentication}
taxonomy: ocsf
detection: {s: {status: Success}, condition: s}
`, nil)
	var events []signals.Event
	for i := range 120 {
		events = append(events, signIn(fmt.Sprint(i), "ann@example.com", monday().Add(time.Duration(i)*30*time.Minute)))
	}
	var counts []int64
	for _, f := range run(t, newEngine(t, set, detect.NewMemory()), events) {
		counts = append(counts, f.Count)
	}
	if diff := cmp.Diff([]int64{48, 48, 24}, counts); diff != "" {
		t.Errorf("events of the findings (-want +got):\n%s", diff)
	}
}

// TestFlooded is that a rule that matches everybody is stopped, and said.
func TestFlooded(t *testing.T) {
	set := compile(t, `title: Any
name: any
logsource: {category: authentication}
taxonomy: ocsf
detection: {s: {status: Success}, condition: s}
`, nil)
	var events []signals.Event
	for i := range 6000 {
		events = append(events, signIn(fmt.Sprint(i), fmt.Sprintf("p%d@example.com", i), monday().Add(time.Duration(i)*100*time.Millisecond)))
	}
	x := newEngine(t, set, detect.NewMemory())
	if n := len(run(t, x, events)); n != 5000 {
		t.Errorf("%d findings, want 5000", n)
	}
	if diff := cmp.Diff(map[string]int{"any": 1000}, x.Flooded()); diff != "" {
		t.Errorf("flooded (-want +got):\n%s", diff)
	}
}

// TestRunEnds is that a run ends with its context, and with who reads it.
func TestRunEnds(t *testing.T) {
	x := newEngine(t, compile(t, newCountry, nil), detect.NewMemory())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range x.Run(ctx, slices.Values(habits("ann@example.com", 20))) {
		if n++; n == 5 {
			cancel()
		}
		last = err
	}
	if n != 6 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d results, the last error is %v", n, last)
	}
	for range newEngine(t, compile(t, newCountry, nil), detect.NewMemory()).Run(t.Context(), slices.Values(habits("ann@example.com", 20))) {
		break
	}
}

// TestEngineCorrelates compares what the engine finds by correlations, on a history with attacks and with
// the rule pack, with the definition.
func TestEngineCorrelates(t *testing.T) {
	lists, err := detect.ReadLists(rules.FS())
	if err != nil {
		t.Fatal(err)
	}
	set, err := detect.Load(rules.FS(), detect.FieldMaps(), lists)
	if err != nil {
		t.Fatal(err)
	}
	m := detect.NewMemory()
	x, shadow := newEngine(t, set, m), newEngine(t, set, m)
	var observed []detect.Observed
	byKey := map[string]int{}
	for i, r := range set.Rules() {
		byKey[r.Key()] = i
	}
	var got, want []detect.Finding
	keep := func(res detect.Result, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Ended {
			if i := byKey[f.Rule]; set.Rules()[i].Correlation != nil {
				got = append(got, detect.Finding{Rule: i, Key: f.Key, Time: f.Time, Last: f.Last, Count: f.Count, Events: f.Events})
			}
		}
	}
	events := madeUp(150, 60, 50_000)
	for i := range events {
		if o := shadow.Observe(&events[i]); len(o.Rules) > 0 {
			observed = append(observed, o)
		}
		keep(x.Take(&events[i]))
	}
	keep(x.Finish())
	for _, f := range detect.Correlate(set, observed) {
		if set.Alone(f.Rule) {
			f.Events = f.Events[:min(len(f.Events), 1000)]
			want = append(want, f)
		}
	}
	order := func(a, b detect.Finding) int {
		return stdcmp.Or(a.Time.Compare(b.Time), a.Rule-b.Rule, slices.Compare(a.Key, b.Key))
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if diff := cmp.Diff(told(set, want), told(set, got)); diff != "" {
		t.Errorf("findings of correlations (-definition +engine):\n%s", diff)
	}
	if len(want) < 10 {
		t.Errorf("%d findings in %d events; the test tests too little", len(want), len(events))
	}
}
