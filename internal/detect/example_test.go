package detect_test

import (
	"fmt"
	"strings"
	"testing/fstest"
	"time"

	"holdfast/internal/detect"
)

// A rule, a correlation of what it matches, and the sentence of the finding.
func Example() {
	files := fstest.MapFS{"failures.yml": {Data: []byte(`
name: failure
title: Sign-in failed
logsource: {product: holdfast, service: signin}
detection:
  selection: {outcome: failure}
  filter: {client.ip|cidr|expand: '%corp_egress%'}
  condition: selection and not filter
---
title: Many failures of a person
level: medium
correlation:
  type: event_count
  rules: [failure]
  group-by: [user.email]
  timespan: 10m
  condition: {gte: 3}
holdfast:
  explain:
    en: '{user.email} failed {count} times'
`)}}
	maps := []detect.FieldMap{{
		Name: "signin", Source: detect.LogSource{Product: "holdfast", Service: "signin"},
		Fields: map[string]string{"outcome": "status", "client.ip": "src_endpoint.ip", "user.email": "user.email_addr"},
	}}
	set, err := detect.Load(files, maps, detect.StaticLists{"corp_egress": detect.NewValueList("192.0.2.0/24")})
	if err != nil {
		fmt.Println(err)
		return
	}
	matcher, _ := set.Matcher("signin")

	var observed []detect.Observed
	for i, ip := range []string{"198.51.100.1", "192.0.2.9", "198.51.100.2", "198.51.100.3"} {
		event := detect.NewDocument(matcher.Paths(), map[string]any{
			"status": "Failure", "src_endpoint": map[string]any{"ip": ip}, "user": map[string]any{"email_addr": "Ann@example.com"},
		})
		observed = append(observed, detect.Observed{
			ID: fmt.Sprint("event", i), Time: time.Unix(int64(60*i), 0), Rules: matcher.Match(nil, event),
			Value: func(field string) detect.Value {
				place, _ := matcher.Place(field)
				return event.Value(place)
			},
		})
	}
	for _, f := range detect.Correlate(set, observed) {
		rule := set.Rules()[f.Rule]
		known := map[string]string{"count": fmt.Sprint(f.Count)}
		for i, name := range rule.Correlation.GroupBy {
			known[name] = f.Key[i]
		}
		fmt.Println(rule.Title, "-", rule.Explain["en"].Fill(func(name string) string { return known[name] }), "-", strings.Join(f.Events, ", "))
	}
	// Output: Many failures of a person - ann@example.com failed 3 times - event0, event2, event3
}
