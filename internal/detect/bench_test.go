package detect_test

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/internal/detect"
)

// mixedRules writes n rules as a team that watches sign-ins has them: most are about a kind of event and
// a few more fields, some about features or the client alone, one in thirty about no fixed text at all.
func mixedRules(n int) string {
	d := newDice(7)
	kinds := make([]string, max(40, n/3))
	for i := range kinds {
		kinds[i] = fmt.Sprintf("%s.%s.%s", pick(d, "user", "policy", "app", "system", "group"), pick(d, "session", "mfa", "lifecycle", "token", "rule"), fmt.Sprintf("act%d", i))
	}
	kinds[0], kinds[1] = "user.session.start", "user.authentication.auth_via_mfa"
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "title: Rule %d\nname: rule_%d\nlogsource: {product: bench}\ndetection:\n", i, i)
		kind := pick(d, kinds...)
		if i%25 == 0 {
			kind = kinds[i/25%2] // some are about the two kinds that most events are of
		}
		switch i % 10 {
		case 0, 1, 2:
			fmt.Fprintf(&b, "  selection: {eventType: %s}\n  condition: selection\n", kind)
		case 3, 4:
			fmt.Fprintf(&b, "  selection: {eventType: [%s, %s, %s], outcome.result: FAILURE}\n  condition: selection\n", kind, pick(d, kinds...), pick(d, kinds...))
		case 5:
			fmt.Fprintf(&b, "  selection: {eventType: %s, feature.new_country: true, feature.new_device: true}\n  filter: {client.ip|cidr: [10.0.0.0/8, 192.168.0.0/16]}\n  condition: selection and not filter\n", kind)
		case 6:
			fmt.Fprintf(&b, "  selection: {eventType|startswith: '%s', eventType: '%s'}\n  agent: {client.userAgent|contains: [curl, python, 'Go-http*%d']}\n  condition: selection and agent\n", kind[:5], kind, i)
		case 7:
			fmt.Fprintf(&b, "  selection: {eventType: %s, actor.alternateId|re: '(^0oa.*|[a-z0-9._%%+-]+@example%d\\.org)'}\n  condition: selection\n", kind, i)
		case 8:
			fmt.Fprintf(&b, "  a: {actor.alternateId: person%d@example.com}\n  b: {outcome.reason: 'REASON_%d'}\n  condition: a and b\n", i, i)
		default:
			if i%30 == 9 {
				fmt.Fprintf(&b, "  selection: {feature.failures|gte: %d, feature.travel_kmh|gt: %d}\n  condition: selection\n", 20+i, 900+i)
			} else {
				fmt.Fprintf(&b, "  selection_x: {eventType: %s}\n  selection_y:\n    - {client.country|expand: '%%sanctioned%%'}\n    - {client.zone: tor%d}\n  condition: all of selection_*\n", kind, i)
			}
		}
		b.WriteString("---\n")
	}
	return b.String()
}

// benchEvents are sign-ins for the greater part, in the proportions of an ordinary day.
func benchEvents(m *detect.Matcher, n int) []*detect.Record {
	d := newDice(11)
	events := make([]*detect.Record, n)
	for i := range events {
		doc := map[string]any{
			"eventType": pick(d, "user.session.start", "user.session.start", "user.authentication.auth_via_mfa", "user.session.end", "app.token.act12"),
			"outcome":   map[string]any{"result": pick(d, "SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "FAILURE"), "reason": pick(d, "", "INVALID_CREDENTIALS")},
			"actor":     map[string]any{"alternateId": fmt.Sprintf("Person%d@Example.com", d.IntN(5000))},
			"client": map[string]any{
				"ip": fmt.Sprintf("198.51.%d.%d", d.IntN(256), d.IntN(256)), "country": pick(d, "DE", "DE", "US", "FR"), "zone": "null",
				"userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.4844.83 Safari/537.36",
			},
			"feature": map[string]any{"new_country": d.IntN(100) == 0, "new_device": d.IntN(30) == 0, "failures": d.IntN(5), "travel_kmh": d.Float64() * 800},
		}
		r := &detect.Record{Values: make([]detect.Value, len(m.Paths()))}
		for place, path := range m.Paths() {
			r.Values[place] = detect.Lookup(doc, path)
		}
		events[i] = r
	}
	return events
}

func benchMatcher(tb testing.TB, n int) *detect.Matcher {
	tb.Helper()
	var rules []*detect.Rule
	for i, text := range strings.SplitAfter(mixedRules(n), "---\n") {
		rs, faults := detect.Parse(fmt.Sprintf("%d.yml", i), []byte(text))
		if len(faults) > 0 {
			tb.Fatalf("%v\n%s", faults, text)
		}
		rules = append(rules, rs...)
	}
	maps := []detect.FieldMap{{Name: "bench", Source: detect.LogSource{Product: "bench"}, Open: true}}
	set, err := detect.Compile(rules, maps, detect.StaticLists{"sanctioned": detect.NewValueList("KP", "IR", "SY", "CU")})
	if err != nil {
		tb.Fatal(err)
	}
	m, ok := set.Matcher("bench")
	if !ok || len(set.Rules()) != n {
		tb.Fatalf("%d rules, want %d", len(set.Rules()), n)
	}
	return m
}

// BenchmarkMatch is one event against n rules, on one core.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{50, 200, 1000, 5000} {
		b.Run(fmt.Sprintf("rules-%d", n), func(b *testing.B) {
			m := benchMatcher(b, n)
			events := benchEvents(m, 4096)
			var dst []int
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				dst = m.Match(dst[:0], events[i&4095])
				i++
			}
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkMatchDocument is the same for events that are decoded JSON objects.
func BenchmarkMatchDocument(b *testing.B) {
	m := benchMatcher(b, 50)
	doc := map[string]any{
		"eventType": "user.session.start", "outcome": map[string]any{"result": "FAILURE"}, "actor": map[string]any{"alternateId": "a@example.com"},
		"client": map[string]any{"ip": "198.51.100.7", "userAgent": "curl/8"},
	}
	var dst []int
	b.ReportAllocs()
	for b.Loop() {
		dst = m.Match(dst[:0], detect.NewDocument(m.Paths(), doc))
	}
}

// BenchmarkCompile is 1,000 rules from text to a set.
func BenchmarkCompile(b *testing.B) {
	text := mixedRules(1000)
	maps := []detect.FieldMap{{Name: "bench", Source: detect.LogSource{Product: "bench"}, Open: true}}
	lists := detect.StaticLists{"sanctioned": detect.NewValueList("KP")}
	for b.Loop() {
		var rules []*detect.Rule
		for i, one := range strings.SplitAfter(text, "---\n") {
			rs, faults := detect.Parse(fmt.Sprint(i), []byte(one))
			if len(faults) > 0 {
				b.Fatal(faults)
			}
			rules = append(rules, rs...)
		}
		set, err := detect.Compile(rules, maps, lists)
		if err != nil || len(set.Rules()) != 1000 {
			b.Fatal(err)
		}
	}
}

// TestIndexLeavesFew is why 1,000 rules cost little more than 50: few of them are looked at. It counts
// instead of measuring time, which BenchmarkMatch does.
func TestIndexLeavesFew(t *testing.T) {
	for _, c := range []struct {
		rules int
		most  float64 // looked at per event, on average
	}{{50, 2}, {1000, 12}} {
		m := benchMatcher(t, c.rules)
		looked, events := 0, benchEvents(m, 1000)
		for _, e := range events {
			looked += m.Candidates(e)
		}
		mean := float64(looked) / float64(len(events))
		t.Logf("%d rules: %.2f looked at per event", c.rules, mean)
		if mean > c.most {
			t.Errorf("of %d rules %.2f are looked at per event, want at most %g", c.rules, mean, c.most)
		}
	}
}
