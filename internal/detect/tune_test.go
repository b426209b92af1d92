package detect

import (
	"slices"
	"testing"
)

// TestWindowsStay holds whose windows a setting begins anew: those of the rule, and of what is made of it; but
// an exception of a part says nothing to who uses it.
func TestWindowsStay(t *testing.T) {
	rules, faults := Parse("chain.yml", []byte(`title: Let in after many failures
name: chain
correlation: {type: temporal, rules: [many, wrong], group-by: [user.email_addr], timespan: 1h}
---
title: Many failures
name: many
correlation: {type: event_count, rules: [wrong], group-by: [user.email_addr], timespan: 10m, condition: {gte: 3}, generate: true}
---
title: Wrong
name: wrong
logsource: {product: okta, service: okta}
detection:
  selection: {status: Failure}
  condition: selection
`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	prints := func(w wish) map[string]uint64 {
		set, err := compileTuned(rules, w, FieldMaps(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var versions []string
		for _, r := range set.Rules() {
			versions = append(versions, r.Version())
		}
		all := map[string]uint64{}
		for i, r := range set.Rules() {
			if !r.Hidden() {
				all[r.Key()] = printOf(set, versions, i)
			}
		}
		return all
	}
	before := prints(wish{})
	five := int64(5)
	except := func(rule string) wish {
		return wish{exceptions: []Exception{{ID: "x", Rule: rule, Field: "actor.id", Values: []string{"y"}}}}
	}
	for _, c := range []struct {
		name string
		wish wish
		anew []string
	}{
		{"off", wish{settings: map[string]Setting{"wrong": {Off: true}}}, nil},
		{"exception of a part", except("wrong"), []string{"wrong"}},
		{"exception of a correlation", except("many"), []string{"chain", "many"}},
		{"exception of the outer", except("chain"), []string{"chain"}},
		{"threshold", wish{settings: map[string]Setting{"many": {Threshold: &five}}}, []string{"chain", "many"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var anew []string
			for key, print := range prints(c.wish) {
				if before[key] != print {
					anew = append(anew, key)
				}
			}
			slices.Sort(anew)
			if !slices.Equal(anew, c.anew) {
				t.Errorf("windows begin anew: %v, want %v", anew, c.anew)
			}
		})
	}
}
