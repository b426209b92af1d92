package detect_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
)

// everyCorrelation has each type, thresholds that more events can break, and correlations of correlations.
const everyCorrelation = `name: many
title: many
correlation: {type: event_count, rules: [fail], group-by: [user], timespan: 8s, condition: {gte: 3}}
---
title: exactly two
name: two
correlation: {type: event_count, rules: [fail, reset], group-by: [user], timespan: 6s, condition: {eq: 2}}
---
title: not four
correlation: {type: event_count, rules: [fail], group-by: [ip], timespan: 9s, condition: {gte: 2, neq: 4}}
---
title: spray
name: spray
correlation: {type: value_count, rules: [fail, reset], group-by: [ip], timespan: 20s, condition: {field: user, gte: 3}}
---
title: few
correlation: {type: value_count, rules: [ok], group-by: [ip], timespan: 12s, condition: {field: user, gte: 1, lt: 3}}
---
title: everybody
correlation: {type: value_count, rules: [ok, fail], group-by: [], timespan: 3s, condition: {field: [user, ip], gte: 4}}
---
title: three
name: three
correlation: {type: temporal, rules: [fail, ok, reset], group-by: [user], timespan: 10s}
---
title: two of three
correlation: {type: temporal, rules: [fail, ok, reset], group-by: [user], timespan: 4s, condition: {eq: 2}}
---
title: in order
correlation: {type: temporal_ordered, rules: [fail, reset, ok], group-by: [user], timespan: 10s}
---
title: chained
name: chained
correlation: {type: temporal_ordered, rules: [many, ok], group-by: [user], timespan: 30s}
---
title: chained once more
correlation: {type: temporal, rules: [chained, three, two], group-by: [user], timespan: 25s, condition: {gte: 2}}
---
title: sprays
correlation: {type: event_count, rules: [spray, fail], group-by: [ip], timespan: 15s, condition: {gte: 4}}
`

// TestIncremental compares windows that events come into with the definition, on random streams with
// many events of one time.
func TestIncremental(t *testing.T) {
	set := correlationRules(t, everyCorrelation)
	found := map[string]int{}
	for seed := range uint64(300) {
		d := newDice(seed)
		length := pick(d, 30, 90, 300)
		var hs []happening
		for range 70 {
			hs = append(hs, happening{d.IntN(length), pick(d, "fail", "fail", "fail", "ok", "reset", "fail ok", "ok reset"), map[string]any{"user": pick(d, "a", "b", "B", "c"), "ip": pick(d, "x", "y")}})
		}
		slices.SortStableFunc(hs, func(a, b happening) int { return a.at - b.at })
		events := observe(t, set, hs)
		want := detect.Correlate(set, events)
		got, _ := detect.Incremental(set, events)
		if diff := cmp.Diff(told(set, want), told(set, got)); diff != "" {
			t.Fatalf("seed %d (-definition +incremental):\n%s", seed, diff)
		}
		for _, f := range got {
			found[set.Rules()[f.Rule].Title]++
		}
	}
	for _, i := range set.Correlations() {
		if title := set.Rules()[i].Title; found[title] < 50 {
			t.Errorf("%d findings of %q; the test tests too little", found[title], title)
		}
	}
}

// TestIncrementalForgets is that a window takes no memory when nothing can enter it any more.
func TestIncrementalForgets(t *testing.T) {
	set := correlationRules(t, everyCorrelation)
	var hs []happening
	for i := range 4000 {
		hs = append(hs, happening{i, "fail", map[string]any{"user": time.Unix(int64(i), 0).String(), "ip": "x"}})
	}
	if _, held := detect.Incremental(set, observe(t, set, hs)); held > 120 {
		t.Errorf("%d groups are held at a time, want those of the last seconds only", held)
	}
}
