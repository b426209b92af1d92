package detect_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/internal/detect"
)

const wholeRule = `title: Everything
id: 6C82CF5C-090d-4d57-9188-533577631108
name: everything
taxonomy: sigma
status: test
level: high
description: |
  Two lines
  of it.
license: DRL-1.1
author: Somebody
date: 2024-01-02
modified: '2024-02-29'
references: [https://example.org/a, https://example.org/b]
tags: [attack.credential-access, attack.t1110.003]
fields: [user.email]
falsepositives: [Tests]
scope: [server]
related:
  - {id: 0e95725d-7320-415d-80f7-004da920fc11, type: derived}
logsource: {product: holdfast, category: authentication, service: signin, definition: as it comes}
detection:
  selection:
    outcome: failure
  condition: selection
holdfast:
  explain:
    en: '{user.email} failed from {client.ip}'
    de: '{user.email} ist von {client.ip} gescheitert'
`

func TestRule(t *testing.T) {
	rules, faults := detect.Parse("all.yml", []byte("# a comment\n"+wholeRule+"\n--- # next\ntitle: Second\nlogsource: {product: holdfast}\ndetection: {s: {outcome: x}, condition: s}\n"))
	if len(faults) > 0 || len(rules) != 2 {
		t.Fatal(len(rules), faults)
	}
	want := &detect.Rule{
		File: "all.yml", Line: 2, Text: wholeRule, ID: "6c82cf5c-090d-4d57-9188-533577631108", Name: "everything", Title: "Everything", Taxonomy: "sigma",
		Status: detect.Test, Level: detect.High, Description: "Two lines\nof it.", License: "DRL-1.1", Author: "Somebody", Date: "2024-01-02", Modified: "2024-02-29",
		References: []string{"https://example.org/a", "https://example.org/b"}, Tags: []string{"attack.credential-access", "attack.t1110.003"},
		Fields: []string{"user.email"}, FalsePositives: []string{"Tests"}, Scope: []string{"server"},
		Related:   []detect.Related{{ID: "0e95725d-7320-415d-80f7-004da920fc11", Type: "derived"}},
		LogSource: detect.LogSource{Product: "holdfast", Category: "authentication", Service: "signin", Definition: "as it comes"},
	}
	if diff := cmp.Diff(want, rules[0], cmpopts.IgnoreUnexported(detect.Rule{}), cmpopts.IgnoreFields(detect.Rule{}, "Explain")); diff != "" {
		t.Errorf("rule (-want +got):\n%s", diff)
	}
	sentence := rules[0].Explain["de"].Fill(func(name string) string { return "<" + name + ">" })
	if sentence != "<user.email> ist von <client.ip> gescheitert" {
		t.Errorf("explain.de filled: %s", sentence)
	}
	if got := []string{rules[0].Key(), rules[1].Key()}; got[0] != "everything" || got[1] != "Second" {
		t.Errorf("keys %v", got)
	}
	if !strings.HasPrefix(rules[1].Text, "title: Second\n") || rules[1].Version() == rules[0].Version() || len(rules[0].Version()) != 12 {
		t.Errorf("second rule: version %s, text %q", rules[1].Version(), rules[1].Text)
	}

	other, faults := detect.Parse("all.yml", []byte("\uFEFF"+strings.ReplaceAll(wholeRule, "\n", "\r\n")))
	if len(faults) > 0 || other[0].Version() != rules[0].Version() {
		t.Errorf("with a byte order mark and the line ends of Windows: %v, version %s, want %s", faults, other[0].Version(), rules[0].Version())
	}

	// What a sentence names can be asked for, though no predicate does.
	set, err := detect.Compile(rules, signInFields()[:1], nil)
	if err == nil || len(set.Rules()) != 1 {
		t.Fatal("a rule on another category than the source's was taken")
	}
	maps := signInFields()[:1]
	maps[0].Source.Category = "authentication"
	set, err = detect.Compile(rules, maps, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"everything", "6C82cf5c-090d-4d57-9188-533577631108"} {
		if i, ok := set.Index(name); i != 0 || !ok {
			t.Errorf("Index(%s) = %d, %t", name, i, ok)
		}
	}
	if _, ok := set.Index("nothing"); ok {
		t.Error("an index of a rule that is not there")
	}
	m, _ := set.Matcher("signin")
	for _, field := range []string{"outcome", "client.ip", "user.email"} {
		if _, ok := m.Place(field); !ok {
			t.Errorf("no place for %s", field)
		}
	}
	if _, ok := m.Place("country"); ok {
		t.Error("a place for a field that nobody wants")
	}
	if diff := cmp.Diff([]string{"src_endpoint.ip", "status", "user.email"}, m.Paths(), cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestCorrelationPlan(t *testing.T) {
	set := correlationRules(t, `name: many
title: Many
correlation:
  type: value_count
  rules: [fail, ok]
  group-by: [from, flag]
  timespan: 2w
  condition: {field: who, gt: 4, lte: 9, neq: 7}
  generate: true
  aliases:
    from: {fail: ip, ok: address}
    who: {fail: user, ok: login}
---
title: Then
correlation: {type: temporal_ordered, rules: [many, reset], group-by: [flag], timespan: 90m}
`)
	var got []detect.Correlation
	for _, i := range set.Correlations() {
		got = append(got, *set.Rules()[i].Correlation)
	}
	want := []detect.Correlation{
		{
			Type: detect.ValueCount, Timespan: 14 * 24 * time.Hour, GroupBy: []string{"from", "flag"}, Generate: true,
			Threshold: detect.Threshold{Min: 5, Max: 9, Not: []int64{7}},
			Inputs:    []detect.Input{{Rule: 0, Group: []string{"ip", "flag"}, Values: []string{"user"}}, {Rule: 1, Group: []string{"address", "flag"}, Values: []string{"login"}}},
		},
		{
			Type: detect.TemporalOrdered, Timespan: 90 * time.Minute, GroupBy: []string{"flag"}, Threshold: detect.Threshold{Min: 2, Max: 2},
			Inputs: []detect.Input{{Rule: 3, Group: []string{"flag"}, Values: []string{}}, {Rule: 2, Group: []string{"flag"}, Values: []string{}}},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(detect.Correlation{})); diff != "" {
		t.Errorf("correlations (-want +got):\n%s", diff)
	}
	for n, want := range map[int64]bool{0: false, 4: false, 5: true, 7: false, 9: true, 10: false} {
		if got[0].Threshold.Holds(n) != want {
			t.Errorf("Holds(%d) = %t", n, !want)
		}
	}
}

func TestTimespans(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "5m": 5 * time.Minute, "24h": day, "1d": day, "2w": 14 * day, "1M": 30 * day, "12M": 360 * day, "1y": 365 * day,
	} {
		set := correlationRules(t, "title: C\ncorrelation: {type: event_count, rules: [fail], group-by: [user], timespan: "+text+", condition: {gte: 2}}")
		if got := set.Rules()[set.Correlations()[0]].Correlation.Timespan; got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"words", "nothing to fill", "nothing to fill"},
		{"names", "{a} and {b.c} and {a}", "A and B.C and A"},
		{"braces", "{{a}} {a}}}", "{a} A}"},
		{"only", "{a}", "A"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tpl, err := detect.ParseTemplate(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := tpl.Fill(strings.ToUpper); got != c.want || tpl.String() != c.text {
				t.Errorf("%s: %q, want %q", tpl, got, c.want)
			}
		})
	}
	for _, text := range []string{"{", "}", "{}", "{a", "a}", "{a|b}", "{{a}"} {
		if _, err := detect.ParseTemplate(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		name  string
		value detect.Value
		kind  detect.Kind
		texts []string
	}{
		{"absent", detect.Value{}, detect.None, nil},
		{"null", detect.ValueOf(nil), detect.Null, nil},
		{"object", detect.ValueOf(map[string]any{"a": 1}), detect.Null, nil},
		{"text", detect.ValueOf("x"), detect.Text, []string{"x"}},
		{"bad-utf8", detect.ValueOf("a\xff"), detect.Text, []string{"a\uFFFD"}},
		{"int", detect.ValueOf(7), detect.Int, []string{"7"}},
		{"int64", detect.ValueOf(int64(math.MinInt64)), detect.Int, []string{"-9223372036854775808"}},
		{"float", detect.ValueOf(2.50), detect.Float, []string{"2.5"}},
		{"whole-float", detect.ValueOf(3.0), detect.Float, []string{"3"}},
		{"minus-zero", detect.FloatValue(math.Copysign(0, -1)), detect.Float, []string{"0"}},
		{"huge", detect.ValueOf(1e300), detect.Float, []string{"1e+300"}},
		{"number", detect.ValueOf(json.Number("9007199254740993")), detect.Int, []string{"9007199254740993"}},
		{"number-fraction", detect.ValueOf(json.Number("1.50")), detect.Float, []string{"1.5"}},
		{"number-beyond", detect.ValueOf(json.Number("1e999")), detect.Text, []string{"1e999"}},
		{"bool", detect.ValueOf(true), detect.Bool, []string{"true"}},
		{"list", detect.ValueOf([]any{"a", 1, nil, []any{"deeper"}}), detect.List, []string{"a", "1"}},
		{"texts", detect.TextsValue("a", "b"), detect.List, []string{"a", "b"}},
		{"made-null", detect.NullValue(), detect.Null, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.value.Kind() != c.kind {
				t.Errorf("kind %d, want %d", c.value.Kind(), c.kind)
			}
			if diff := cmp.Diff(c.texts, c.value.Texts()); diff != "" {
				t.Errorf("texts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGroupKeys(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	for _, c := range []struct {
		name   string
		values []detect.Value
		want   [][]string
	}{
		{"none", nil, [][]string{{}}},
		{"one", []detect.Value{detect.TextValue("A")}, [][]string{{"a"}}},
		{"absent", []detect.Value{detect.TextValue("A"), {}}, nil},
		{"empty", []detect.Value{detect.TextValue("")}, nil},
		{"lists", []detect.Value{detect.TextsValue("a", "B", "b"), detect.IntValue(1), detect.TextsValue("x", "y")}, [][]string{{"a", "1", "x"}, {"a", "1", "y"}, {"b", "1", "x"}, {"b", "1", "y"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, detect.GroupKeys(c.values)); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
	if got := detect.GroupKeys([]detect.Value{detect.TextsValue(many...), detect.TextsValue(many...)}); len(got) != 64 {
		t.Errorf("%d keys of two long lists, want 64", len(got))
	}
}

func TestRecordIsShorterThanAsked(t *testing.T) {
	m := matcherFor(t, "{a: {f: x}, b: {g|exists: false}, condition: a and b}", nil)
	place, ok := m.Place("f")
	if !ok {
		t.Fatal("no place for f")
	}
	values := make([]detect.Value, place+1)
	values[place] = detect.TextValue("X")
	if got := m.Match(nil, &detect.Record{Values: values}); len(got) != 1 {
		t.Errorf("matched %v, want the rule", got)
	}
	w := matcherFor(t, "{a: [needle], condition: a}", nil)
	if got := w.Match(nil, &detect.Record{Texts: []string{"x", "A Needle"}}); len(got) != 1 {
		t.Errorf("matched %v, want the rule", got)
	}
}
