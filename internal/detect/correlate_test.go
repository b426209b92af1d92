package detect_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
)

// correlationRules are three rules, told apart by the field kind, and the correlations behind them.
func correlationRules(t testing.TB, correlations string) *detect.Set {
	t.Helper()
	var text strings.Builder
	for _, kind := range []string{"fail", "ok", "reset"} {
		fmt.Fprintf(&text, "name: %[1]s\ntitle: %[1]s\nlogsource: {product: test}\ndetection: {selection: {kind: '*%[1]s*'}, condition: selection}\n---\n", kind)
	}
	rules, faults := detect.Parse("correlations.yml", []byte(text.String()+correlations))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := detect.Compile(rules, anyFields(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// happening is an event, short: at the second, of the kinds (fail, ok, reset), with fields.
type happening struct {
	at     int
	kind   string
	fields map[string]any
}

// observe matches the events as the product does; the id of each is its number.
func observe(t testing.TB, set *detect.Set, hs []happening) []detect.Observed {
	t.Helper()
	m, ok := set.Matcher("test")
	if !ok {
		t.Fatal("no matcher")
	}
	out := make([]detect.Observed, len(hs))
	for i, h := range hs {
		doc := map[string]any{"kind": h.kind}
		maps.Copy(doc, h.fields)
		event := detect.NewDocument(m.Paths(), doc)
		out[i] = detect.Observed{
			ID: fmt.Sprintf("%02d", i), Time: time.Unix(int64(h.at), 0).UTC(), Rules: m.Match(nil, event),
			Value: func(field string) detect.Value {
				place, ok := m.Place(field)
				if !ok {
					t.Errorf("correlation asks for %s, which has no place", field)
					return detect.Value{}
				}
				return event.Value(place)
			},
		}
	}
	return out
}

// told is a finding as a line: rule, key, when, until, count, events.
func told(set *detect.Set, fs []detect.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s %s at %d to %d count %d: %s", set.Rules()[f.Rule].Key(), strings.Join(f.Key, "/"), f.Time.Unix(), f.Last.Unix(), f.Count, strings.Join(f.Events, " ")))
	}
	return out
}

func by(user string) map[string]any { return map[string]any{"user": user} }

func TestCorrelate(t *testing.T) {
	for _, c := range []struct {
		name, rules string
		events      []happening
		want        []string
	}{
		{"event-count", "title: many\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 3}}",
			[]happening{{0, "fail", by("a")}, {4, "fail", by("a")}, {5, "fail", by("b")}, {5, "ok", by("a")}, {10, "fail", by("a")}},
			[]string{"many a at 10 to 10 count 3: 00 01 04"}},
		{"window-ends", "title: many\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 3}}",
			[]happening{{0, "fail", by("a")}, {4, "fail", by("a")}, {11, "fail", by("a")}}, nil},
		{"goes-on", "title: many\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			[]happening{{0, "fail", by("a")}, {5, "fail", by("a")}, {12, "fail", by("a")}, {20, "fail", by("a")}, {40, "fail", by("a")}, {41, "fail", by("a")}},
			[]string{"many a at 5 to 20 count 2: 00 01 02 03", "many a at 41 to 41 count 2: 04 05"}},
		{"largest-count", "title: many\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			[]happening{{0, "fail", by("a")}, {1, "fail", by("a")}, {2, "fail", by("a")}, {12, "fail", by("a")}}, []string{"many a at 1 to 12 count 3: 00 01 02 03"}},
		{"case-of-keys", "title: many\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			[]happening{{0, "fail", by("Ann@x")}, {1, "fail", by("ann@X")}}, []string{"many ann@x at 1 to 1 count 2: 00 01"}},
		{"no-key-no-group", "title: many\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			[]happening{{0, "fail", nil}, {1, "fail", nil}, {2, "fail", by("")}, {3, "fail", by("")}}, nil},
		{"list-is-each", "title: many\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			[]happening{{0, "fail", map[string]any{"user": []any{"a", "b", "A"}}}, {1, "fail", by("b")}}, []string{"many b at 1 to 1 count 2: 00 01"}},
		{"all-together", "title: many\ncorrelation: {type: event_count, rules: [fail, ok], group-by: [], timespan: 10s, condition: {gte: 3}}",
			[]happening{{0, "fail", by("a")}, {1, "ok", by("b")}, {2, "fail", nil}}, []string{"many  at 2 to 2 count 3: 00 01 02"}},
		{"once-if-two-rules-match", "title: many\ncorrelation: {type: event_count, rules: [fail, ok], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			[]happening{{0, "fail ok", by("a")}}, nil},
		{"range", "title: some\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 2, lt: 4, neq: 3}}",
			[]happening{{0, "fail", by("a")}, {1, "fail", by("a")}, {2, "fail", by("a")}, {3, "fail", by("a")}, {12, "fail", by("a")}, {13, "fail", by("a")}},
			[]string{"some a at 1 to 1 count 2: 00 01"}},
		{"value-count", "title: spray\ncorrelation: {type: value_count, rules: [fail], group-by: [ip], timespan: 10s, condition: {field: user, gte: 3}}",
			[]happening{
				{0, "fail", map[string]any{"ip": "x", "user": "a"}}, {1, "fail", map[string]any{"ip": "x", "user": "A"}}, {2, "fail", map[string]any{"ip": "x"}},
				{3, "fail", map[string]any{"ip": "x", "user": "b"}}, {4, "fail", map[string]any{"ip": "y", "user": "c"}}, {5, "fail", map[string]any{"ip": "x", "user": "c"}},
			}, []string{"spray x at 5 to 5 count 3: 00 01 02 03 05"}},
		{"value-combinations", "title: pairs\ncorrelation: {type: value_count, rules: [fail], group-by: [], timespan: 10s, condition: {field: [user, ip], gte: 3}}",
			[]happening{
				{0, "fail", map[string]any{"ip": "x", "user": "a"}}, {1, "fail", map[string]any{"ip": "y", "user": "a"}}, {2, "fail", map[string]any{"ip": "y"}},
				{3, "fail", map[string]any{"ip": "y", "user": "b"}},
			}, []string{"pairs  at 3 to 3 count 3: 00 01 02 03"}},
		{"temporal", "title: both\ncorrelation: {type: temporal, rules: [fail, ok], group-by: [user], timespan: 10s}",
			[]happening{{0, "ok", by("a")}, {9, "fail", by("a")}, {9, "fail", by("b")}}, []string{"both a at 9 to 9 count 2: 00 01"}},
		{"temporal-some", "title: two\ncorrelation: {type: temporal, rules: [fail, ok, reset], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			[]happening{{0, "reset", by("a")}, {1, "reset", by("a")}, {2, "fail", by("a")}, {3, "ok", by("a")}}, []string{"two a at 2 to 3 count 3: 00 01 02 03"}},
		{"ordered", "title: then\ncorrelation: {type: temporal_ordered, rules: [fail, ok], group-by: [user], timespan: 10s}",
			[]happening{{0, "ok", by("a")}, {1, "fail", by("a")}, {12, "ok", by("a")}, {13, "fail", by("b")}, {14, "ok", by("b")}}, []string{"then b at 14 to 14 count 2: 03 04"}},
		{"ordered-same-time", "title: then\ncorrelation: {type: temporal_ordered, rules: [fail, ok, reset], group-by: [user], timespan: 10s}",
			[]happening{{0, "reset fail", by("a")}, {0, "ok", by("a")}, {0, "fail", by("a")}}, []string{"then a at 0 to 0 count 3: 00 01 02"}},
		{"ordered-needs-two-events", "title: then\ncorrelation: {type: temporal_ordered, rules: [fail, ok], group-by: [user], timespan: 10s}",
			[]happening{{0, "fail ok", by("a")}}, nil},
		{"aliases", `title: same
correlation:
  type: temporal
  rules: [fail, ok]
  group-by: [who]
  timespan: 10s
  aliases: {who: {fail: target, ok: actor}}`,
			[]happening{{0, "fail", map[string]any{"target": "a", "actor": "b"}}, {1, "ok", map[string]any{"actor": "A"}}, {2, "ok", map[string]any{"target": "a"}}},
			[]string{"same a at 1 to 1 count 2: 00 01"}},
		{"chained", `name: many
title: many
correlation: {type: event_count, rules: [fail], group-by: [user, ip], timespan: 10s, condition: {gte: 2}}
---
title: then in
correlation: {type: temporal_ordered, rules: [many, ok], group-by: [user], timespan: 1m}`,
			[]happening{
				{0, "fail", map[string]any{"user": "a", "ip": "x"}}, {1, "ok", by("a")}, {5, "fail", map[string]any{"user": "a", "ip": "x"}},
				{6, "fail", map[string]any{"user": "a", "ip": "x"}}, {20, "ok", map[string]any{"user": "a", "ip": "y"}}, {30, "ok", by("b")},
			},
			[]string{"many a/x at 5 to 6 count 3: 00 02 03", "then in a at 20 to 20 count 2: 00 01 02 03 04"}},
		{"chained-goes-on", `name: many
title: many
correlation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 2}}
---
name: regular
title: regular
correlation: {type: event_count, rules: [ok], group-by: [user], timespan: 10s, condition: {gte: 1}}
---
title: tired
correlation: {type: temporal, rules: [many, regular], group-by: [user], timespan: 5s}`,
			[]happening{{0, "ok", by("a")}, {8, "ok", by("a")}, {16, "ok", by("a")}, {20, "fail", by("a")}, {21, "fail", by("a")}, {24, "ok", by("a")}, {50, "ok", by("a")}},
			[]string{
				"regular a at 0 to 24 count 2: 00 01 02 05", "regular a at 50 to 50 count 1: 06", "many a at 21 to 21 count 2: 03 04",
				"tired a at 21 to 24 count 2: 01 02 03 04 05",
			}},
		{"count-of-one-finding", `name: many
title: many
correlation: {type: event_count, rules: [fail], group-by: [user], timespan: 10s, condition: {gte: 2}}
---
title: twice
correlation: {type: event_count, rules: [many], group-by: [user], timespan: 1m, condition: {gte: 2}}`,
			[]happening{
				{0, "fail", by("a")}, {1, "fail", by("a")}, {2, "fail", by("a")}, {3, "fail", by("a")}, {30, "fail", by("a")}, {31, "fail", by("a")},
				{0, "fail", by("b")}, {1, "fail", by("b")}, {2, "fail", by("b")},
			},
			[]string{
				"many a at 1 to 3 count 4: 00 01 02 03", "many a at 31 to 31 count 2: 04 05", "many b at 1 to 2 count 3: 06 07 08",
				"twice a at 31 to 31 count 2: 00 01 02 03 04 05",
			}},
		{"count-of-findings", `name: many
title: many
correlation: {type: event_count, rules: [fail], group-by: [user, ip], timespan: 10s, condition: {gte: 2}}
---
title: everywhere
correlation: {type: value_count, rules: [many], group-by: [ip], timespan: 1m, condition: {field: user, gte: 2}}`,
			[]happening{
				{0, "fail", map[string]any{"user": "a", "ip": "x"}}, {1, "fail", map[string]any{"user": "a", "ip": "x"}},
				{2, "fail", map[string]any{"user": "b", "ip": "x"}}, {3, "fail", map[string]any{"user": "b", "ip": "x"}},
			},
			[]string{"many a/x at 1 to 1 count 2: 00 01", "everywhere x at 3 to 3 count 2: 00 01 02 03", "many b/x at 3 to 3 count 2: 02 03"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := correlationRules(t, c.rules)
			got := told(set, detect.Correlate(set, observe(t, set, c.events)))
			slices.Sort(got)
			want := slices.Clone(c.want)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCorrelateAnyOrder: the findings are the same for any order of arrival, and an event that comes twice
// counts once.
func TestCorrelateAnyOrder(t *testing.T) {
	set := correlationRules(t, `name: many
title: many
correlation: {type: event_count, rules: [fail], group-by: [user], timespan: 8s, condition: {gte: 3}}
---
title: spray
correlation: {type: value_count, rules: [fail, reset], group-by: [ip], timespan: 20s, condition: {field: user, gte: 3}}
---
title: three
correlation: {type: temporal, rules: [fail, ok, reset], group-by: [user], timespan: 10s}
---
title: in order
correlation: {type: temporal_ordered, rules: [fail, reset, ok], group-by: [user], timespan: 10s}
---
title: chained
correlation: {type: temporal_ordered, rules: [many, ok], group-by: [user], timespan: 30s}
`)
	found := 0
	for seed := range uint64(40) {
		d := newDice(seed)
		var hs []happening
		for range 60 {
			hs = append(hs, happening{d.IntN(90), pick(d, "fail", "fail", "fail", "ok", "reset", "fail ok"), map[string]any{"user": pick(d, "a", "b", "c"), "ip": pick(d, "x", "y")}})
		}
		events := observe(t, set, hs)
		want := detect.Correlate(set, events)
		found += len(want)
		for range 3 {
			shuffled := append(slices.Clone(events), events[d.IntN(len(events))])
			d.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if diff := cmp.Diff(want, detect.Correlate(set, shuffled)); diff != "" {
				t.Fatalf("seed %d: in another order (-want +got):\n%s", seed, diff)
			}
		}
	}
	if found < 200 {
		t.Errorf("%d findings; the test tests too little", found)
	}
}

// TestCorrelateByDefinition compares with a second reading of the definition, which tries every choice of
// events instead of counting, for one correlation of each type.
func TestCorrelateByDefinition(t *testing.T) {
	const span = 6
	for _, c := range []struct {
		kind, condition string
		rules           []string
		holds           func(window []happening) bool
	}{
		{"event_count", "{gte: 3}", []string{"fail"}, func(w []happening) bool {
			n := 0
			for _, h := range w {
				if strings.Contains(h.kind, "fail") {
					n++
				}
			}
			return n >= 3
		}},
		{"value_count", "{field: ip, gt: 1}", []string{"fail"}, func(w []happening) bool {
			for _, a := range w {
				for _, b := range w {
					if strings.Contains(a.kind, "fail") && strings.Contains(b.kind, "fail") && a.fields["ip"] != b.fields["ip"] {
						return true
					}
				}
			}
			return false
		}},
		{"temporal", "{gte: 2}", []string{"fail", "ok"}, func(w []happening) bool {
			var all strings.Builder
			for _, h := range w {
				all.WriteString(h.kind)
			}
			return strings.Contains(all.String(), "fail") && strings.Contains(all.String(), "ok")
		}},
		{"temporal_ordered", "{gte: 3}", []string{"fail", "ok", "reset"}, func(w []happening) bool {
			for i, a := range w {
				for j, b := range w {
					for k, c := range w {
						if i != j && j != k && i != k && a.at <= b.at && b.at <= c.at &&
							strings.Contains(a.kind, "fail") && strings.Contains(b.kind, "ok") && strings.Contains(c.kind, "reset") {
							return true
						}
					}
				}
			}
			return false
		}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			set := correlationRules(t, fmt.Sprintf("title: it\ncorrelation: {type: %s, rules: [%s], group-by: [user], timespan: %ds, condition: %s}", c.kind, strings.Join(c.rules, ", "), span, c.condition))
			total := 0
			for seed := range uint64(60) {
				d := dice{rand.New(rand.NewPCG(seed, 9))}
				var hs []happening
				for range 14 {
					hs = append(hs, happening{d.IntN(30), pick(d, "fail", "ok", "reset", "fail ok", "ok reset", "other"), map[string]any{"user": "a", "ip": pick(d, "x", "y")}})
				}
				var times []string
				for _, f := range detect.Correlate(set, observe(t, set, hs)) {
					times = append(times, fmt.Sprint(f.Time.Unix(), "-", f.Last.Unix()))
				}
				var want []string
				first, last := -1, -1
				flush := func() {
					if first >= 0 {
						want = append(want, fmt.Sprint(first, "-", last))
					}
					first = -1
				}
				for at := range 30 {
					var window []happening
					now := false
					for _, h := range hs {
						relevant := slices.ContainsFunc(c.rules, func(r string) bool { return strings.Contains(h.kind, r) })
						now = now || relevant && h.at == at
						if relevant && h.at <= at && h.at >= at-span {
							window = append(window, h)
						}
					}
					switch {
					case !now:
					case !c.holds(window):
						flush()
					case first >= 0 && at-last <= span:
						last = at
					default:
						flush()
						first, last = at, at
					}
				}
				flush()
				total += len(want)
				if diff := cmp.Diff(want, times); diff != "" {
					t.Fatalf("seed %d (-want +got):\n%s\n%v", seed, diff, hs)
				}
			}
			if total < 20 {
				t.Errorf("%d findings; the test tests too little", total)
			}
		})
	}
}

// TestAlone: whose matches are findings by themselves.
func TestAlone(t *testing.T) {
	const correlation = "title: %s\ncorrelation: {type: event_count, rules: [%s], group-by: [user], timespan: 10s, condition: {gte: 3}, generate: %t}\n---\n"
	set := correlationRules(t, fmt.Sprintf(correlation, "one", "fail", false)+fmt.Sprintf(correlation, "two", "ok", true)+fmt.Sprintf(correlation, "three", "ok", false))
	got := map[string]bool{}
	for i, r := range set.Rules() {
		got[r.Key()] = set.Alone(i)
	}
	want := map[string]bool{"fail": false, "ok": true, "reset": true, "one": true, "two": true, "three": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alone (-want +got):\n%s", diff)
	}
}
