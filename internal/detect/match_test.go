package detect_test

import (
	"encoding/json"
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
)

// matcherFor compiles one rule with this detection section, in flow style.
func matcherFor(t testing.TB, detection string, lists detect.Lists) *detect.Matcher {
	t.Helper()
	rules, faults := detect.Parse("r.yml", []byte("title: T\nlogsource: {product: test}\ndetection: "+detection+"\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := detect.Compile(rules, anyFields(), lists)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := set.Matcher("test")
	if !ok {
		t.Fatal("no matcher")
	}
	return m
}

func matches(t testing.TB, m *detect.Matcher, event string) bool {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(event), &doc); err != nil {
		t.Fatal(err)
	}
	return len(m.Match(nil, detect.NewDocument(m.Paths(), doc))) == 1
}

// TestMatch is the table of the package comment, by example: a selection, events that it matches, and
// events that it does not.
func TestMatch(t *testing.T) {
	lists := detect.StaticLists{
		"nets": detect.NewValueList("10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "not a network", "::ffff:198.51.100.1", "::ffff:203.0.113.0/120"), "words": detect.NewValueList("Alpha", "b*", `c\*`), "none": detect.NewValueList(),
	}
	for _, c := range []struct {
		name, selection string
		yes, no         []string
	}{
		{"text", `{f: Value}`, []string{`{"f":"value"}`, `{"f":"VALUE"}`, `{"f":["x","Value"]}`}, []string{`{"f":"values"}`, `{}`, `{"f":null}`, `{"f":{"Value":1}}`, `{"F":"value"}`}},
		{"cased", `{f|cased: Value}`, []string{`{"f":"Value"}`}, []string{`{"f":"value"}`}},
		{"unicode", `{f: "straße k"}`, []string{`{"f":"STRAßE \u212a"}`, `{"f":"ſtraẞe K"}`}, []string{`{"f":"STRASSE K"}`}},
		{"number", `{f: 3}`, []string{`{"f":3}`, `{"f":3.0}`, `{"f":"3"}`, `{"f":[1,3]}`}, []string{`{"f":"3.0"}`, `{"f":33}`, `{"f":true}`}},
		{"fraction", `{f: 0.5}`, []string{`{"f":0.5}`, `{"f":"0.5"}`, `{"f":5e-1}`}, []string{`{"f":".5"}`}},
		{"true", `{f: true}`, []string{`{"f":true}`, `{"f":"True"}`}, []string{`{"f":1}`, `{"f":"yes"}`, `{"f":false}`}},
		{"quoted-true", `{f: 'true'}`, []string{`{"f":true}`, `{"f":"true"}`}, []string{`{"f":false}`}},
		{"null", `{f: null}`, []string{`{}`, `{"f":null}`, `{"f":[1,null]}`}, []string{`{"f":""}`, `{"f":[]}`, `{"f":0}`}},
		{"null-or", `{f: [null, x]}`, []string{`{}`, `{"f":"x"}`}, []string{`{"f":"y"}`}},
		{"empty", `{f: ''}`, []string{`{"f":""}`}, []string{`{}`, `{"f":null}`, `{"f":" "}`}},
		{"exists", `{f|exists: true}`, []string{`{"f":1}`, `{"f":null}`, `{"f":""}`, `{"f":[]}`, `{"f":{}}`}, []string{`{}`}},
		{"exists-not", `{f|exists: false}`, []string{`{}`, `{"g":1}`}, []string{`{"f":null}`}},
		{"star", `{f: 'a*c'}`, []string{`{"f":"ac"}`, `{"f":"A b\nC"}`}, []string{`{"f":"acd"}`, `{"f":"bac"}`}},
		{"star-any", `{f: '*'}`, []string{`{"f":""}`, `{"f":5}`}, []string{`{}`, `{"f":null}`}},
		{"question", `{f: 'a?c'}`, []string{`{"f":"aäc"}`}, []string{`{"f":"ac"}`, `{"f":"abbc"}`}},
		{"escapes", `{f: 'a\*b\\\?c\d'}`, []string{`{"f":"a*b\\?c\\d"}`}, []string{`{"f":"axb\\?c\\d"}`}},
		{"backslash-star", `{f: 'a\\*'}`, []string{`{"f":"a\\"}`, `{"f":"a\\b"}`}, []string{`{"f":"ab"}`}},
		{"contains", `{f|contains: 'b?d'}`, []string{`{"f":"abcde"}`, `{"f":"BXD"}`}, []string{`{"f":"bd"}`}},
		{"contains-number", `{f|contains: 22}`, []string{`{"f":1223}`, `{"f":"x22"}`}, []string{`{"f":121}`}},
		{"startswith", `{f|startswith: Ab}`, []string{`{"f":"abc"}`, `{"f":"AB"}`}, []string{`{"f":"cab"}`}},
		{"endswith", `{f|endswith: [yz, '0']}`, []string{`{"f":"xYZ"}`, `{"f":10}`}, []string{`{"f":"yzx"}`}},
		{"all", `{f|contains|all: [a, b]}`, []string{`{"f":"xbax"}`, `{"f":["a","b"]}`}, []string{`{"f":"a"}`}},
		{"all-equal", `{f|all: [a, b]}`, []string{`{"f":["b","A"]}`}, []string{`{"f":"a"}`, `{"f":"ab"}`}},
		{"re", `{f|re: '^a.c'}`, []string{`{"f":"abcd"}`}, []string{`{"f":"Abc"}`, `{"f":"a\nc"}`}},
		{"re-i", `{f|re|i: '^a.c$'}`, []string{`{"f":"ABC"}`}, []string{`{"f":"abcd"}`}},
		{"re-s", `{f|re|s: 'a.c'}`, []string{`{"f":"a\nc"}`}, nil},
		{"re-m", `{f|re|m: '^b$'}`, []string{`{"f":"a\nb"}`}, []string{`{"f":"ab"}`}},
		{"re-ims", `{f|re|i|m|s: '^B.c$'}`, []string{`{"f":"a\nb\nC"}`}, nil},
		{"cidr", `{f|cidr: [10.0.0.0/8, '2001:db8::/32']}`, []string{`{"f":"10.1.2.3"}`, `{"f":"2001:DB8::1"}`, `{"f":"::ffff:10.1.2.3"}`, `{"f":["x","10.0.0.1"]}`}, []string{`{"f":"11.0.0.1"}`, `{"f":"10.1.2"}`, `{"f":"10.1.2.3:80"}`, `{"f":10}`}},
		{"lt", `{f|lt: 3}`, []string{`{"f":2.9}`, `{"f":"-1"}`, `{"f":[9,1]}`}, []string{`{"f":3}`, `{"f":"x"}`, `{}`, `{"f":true}`, `{"f":""}`}},
		{"lte", `{f|lte: [1, 3]}`, []string{`{"f":3}`}, []string{`{"f":3.01}`}},
		{"gt", `{f|gt: 3}`, []string{`{"f":3.01}`, `{"f":"4"}`, `{"f":"1e3"}`}, []string{`{"f":3}`, `{"f":"0x10"}`, `{"f":"inf"}`, `{"f":"1_000"}`}},
		{"gte", `{f|gte: 3, f|lt: 5}`, []string{`{"f":3}`, `{"f":[1,9,4]}`}, []string{`{"f":5}`, `{"f":2}`}},
		{"either-number", `[{f|gte: 3}, {f|gt: 8, g: x}]`, []string{`{"f":4}`, `{"f":"8"}`}, []string{`{"f":2}`, `{"g":"x"}`}},
		{"either-number-below", `[{f|lt: 3}, {f|lte: 8}]`, []string{`{"f":8}`, `{"f":0}`}, []string{`{"f":8.5}`}},
		{"either-end", `[{f|gte: 9}, {f|lte: 2}]`, []string{`{"f":1}`, `{"f":10}`}, []string{`{"f":5}`}},
		{"either-kind", `[{f|gte: 9}, {f: x}]`, []string{`{"f":"x"}`, `{"f":10}`}, []string{`{"f":5}`, `{"f":"y"}`}},
		{"either-text", `[{f: a, g: b}, {g: c, f: d}]`, []string{`{"f":"a","g":"b"}`, `{"f":"d","g":"c"}`}, []string{`{"f":"a","g":"c"}`}},
		{"fieldref", `{f|fieldref: g}`, []string{`{"f":"a","g":"A"}`, `{"f":3,"g":"3"}`, `{"f":["a","b"],"g":["c","b"]}`, `{"f":"","g":""}`}, []string{`{"f":"a","g":"b"}`, `{}`, `{"f":"a"}`, `{"f":null,"g":null}`}},
		{"fieldref-cased", `{f|fieldref|cased: g}`, []string{`{"f":"a","g":"a"}`}, []string{`{"f":"a","g":"A"}`}},
		{"fieldref-endswith", `{f|fieldref|endswith: g}`, []string{`{"f":"ann@x.org","g":"X.org"}`}, []string{`{"f":"ann@x.org","g":"ann"}`, `{"f":"ann","g":""}`, `{"f":"a*","g":"*b"}`}},
		{"expand", `{f|expand: '%words%'}`, []string{`{"f":"ALPHA"}`, `{"f":"beta"}`, `{"f":"c*"}`}, []string{`{"f":"cx"}`, `{"f":"alph"}`, `{}`}},
		{"expand-contains", `{f|contains|expand: '%words%'}`, []string{`{"f":"an alpha"}`}, []string{`{"f":"alph"}`}},
		{"expand-cased", `{f|expand|cased: '%words%'}`, []string{`{"f":"Alpha"}`}, []string{`{"f":"alpha"}`}},
		{"expand-cidr", `{f|cidr|expand: '%nets%'}`, []string{`{"f":"10.9.9.9"}`, `{"f":"192.0.2.1"}`, `{"f":"2001:db8::5"}`, `{"f":"198.51.100.1"}`, `{"f":"203.0.113.9"}`}, []string{`{"f":"192.0.2.2"}`, `{"f":"x"}`, `{"f":"203.0.114.1"}`}},
		{"expand-none", `{f|expand: '%none%'}`, nil, []string{`{"f":""}`, `{}`, `{"f":"x"}`}},
		{"nested", `{a.b.c: x}`, []string{`{"a":{"b":{"c":"x"}}}`, `{"a.b":{"c":"x"}}`, `{"a.b.c":"x"}`, `{"a":[{"b":{"c":"y"}},{"b":{"c":"x"}}]}`}, []string{`{"a":{"b":"x"}}`, `{"a":"x"}`}},
		{"lists-in-objects", `{a.b|all: [x, y]}`, []string{`{"a":[{"b":["x","z"]},{"b":["y"]}]}`, `{"a":[{"b":["x"]},{"b":"y"},{"c":1}]}`}, []string{`{"a":[{"b":["x"]}]}`}},
		{"and", `{f: a, g: b}`, []string{`{"f":"a","g":"b"}`}, []string{`{"f":"a"}`, `{"g":"b"}`}},
		{"list-of-maps", `[{f: a, g: b}, {h: c}]`, []string{`{"h":"c"}`, `{"f":"a","g":"b"}`}, []string{`{"f":"a"}`}},
		{"words", `[Needle, 'h?y']`, []string{`{"a":{"b":["x","a NEEDLE in"]}}`, `{"f":"oh HOY"}`, `{"f":"hay"}`}, []string{`{"needle":"x"}`, `{"f":5}`, `{"f":"hy"}`}},
		{"word", `needle`, []string{`{"f":"needles"}`}, []string{`{"f":"needl"}`}},
		{"words-all", `{'|all': [hay, needle]}`, []string{`{"f":"hay","g":"needle"}`}, []string{`{"f":"hay"}`}},
		{"words-re", `{'|re': '^n.*e$'}`, []string{`{"f":"needle"}`}, []string{`{"f":"needles"}`}},
		{"words-or-fields", `[needle, {f: a}]`, []string{`{"f":"a"}`, `{"g":"needle"}`}, []string{`{"f":"b"}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := matcherFor(t, "{selection: "+c.selection+", condition: selection}", lists)
			for _, e := range c.yes {
				if !matches(t, m, e) {
					t.Errorf("does not match %s", e)
				}
			}
			for _, e := range c.no {
				if matches(t, m, e) {
					t.Errorf("matches %s", e)
				}
			}
		})
	}
}

func TestCondition(t *testing.T) {
	const searches = "s_a: {a: 1}, s_b: {b: 1}, c: {c: 1}, _d: {d: 1}"
	all := []string{`{"a":1}`, `{"b":1}`, `{"c":1}`, `{"d":1}`, `{"a":1,"b":1}`, `{"a":1,"b":1,"c":1}`, `{}`, `{"a":1,"d":1}`}
	for _, c := range []struct {
		condition string
		want      []int // of all
	}{
		{"s_a and s_b and not c and not _d", []int{4}},
		{"s_a or s_b and c or _d and c", []int{0, 4, 5, 7}},
		{"(s_a or s_b) and (c or _d)", []int{5, 7}},
		{"not not s_a and not (s_b or c or _d)", []int{0}},
		{"1 of them and not _d", []int{0, 1, 2, 4, 5}},
		{"all of them or _d", []int{3, 5, 7}},
		{"all of s_* and not c and not _d", []int{4}},
		{"any of s_* and not 1 of c and not _d", []int{0, 1, 4}},
		{"1 of *d or all of *_* or c", []int{2, 3, 5, 7}},
		{"not 1 of them and not _d", []int{6}},
	} {
		t.Run(c.condition, func(t *testing.T) {
			m := matcherFor(t, "{"+searches+", condition: '"+c.condition+"'}", nil)
			var got []int
			for i, e := range all {
				if matches(t, m, e) {
					got = append(got, i)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// changing is lists that somebody changes.
type changing struct {
	mu   sync.Mutex
	list *detect.ValueList
}

func (c *changing) List(string) *detect.ValueList {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list
}

func (c *changing) set(l *detect.ValueList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = l
}

// TestListsChange: a list is asked when an event is looked at, not when the rule is compiled.
func TestListsChange(t *testing.T) {
	lists := &changing{list: detect.NewValueList("KP")}
	m := matcherFor(t, "{selection: {country|expand: '%sanctioned%'}, condition: selection}", lists)
	if !matches(t, m, `{"country":"kp"}`) || matches(t, m, `{"country":"IR"}`) {
		t.Error("before the change: want KP and not IR")
	}
	lists.set(detect.NewValueList("IR"))
	if matches(t, m, `{"country":"kp"}`) || !matches(t, m, `{"country":"IR"}`) {
		t.Error("after the change: want IR and not KP")
	}
	lists.set(nil)
	if matches(t, m, `{"country":"IR"}`) {
		t.Error("a list that went away has an entry")
	}
}

// TestMatchersShareASet: matchers of one set work at the same time, with lists that change meanwhile.
func TestMatchersShareASet(t *testing.T) {
	lists := &changing{list: detect.NewValueList("KP")}
	rules, faults := detect.Parse("r.yml", []byte("title: T\nlogsource: {product: test}\ndetection: {a: {f: x, g|re: '^y'}, b: {c|expand: '%l%'}, condition: a or b}\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := detect.Compile(rules, anyFields(), lists)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			m, _ := set.Matcher("test")
			for i := range 500 {
				if !matches(t, m, `{"f":"X","g":"yes"}`) || matches(t, m, `{"f":"X","g":"no"}`) {
					t.Error("wrong match")
				}
				if i%50 == 0 {
					lists.set(detect.NewValueList("IR"))
				}
			}
		})
	}
	group.Wait()
}

// TestTurnsStartAgain: what was found out about one event is never taken for another's, not even when the
// counter of events starts again.
func TestTurnsStartAgain(t *testing.T) {
	for _, turn := range []uint32{0, math.MaxUint32, math.MaxUint32 - 2} {
		m := matcherFor(t, "{a: {f: x}, b: {n|gt: 3}, c: [word], condition: a or b or c}", nil)
		m.SetTurn(turn)
		for i := range 6 {
			if !matches(t, m, `{"f":"x"}`) || matches(t, m, `{"f":"y"}`) || !matches(t, m, `{"n":4}`) || matches(t, m, `{"n":2}`) || !matches(t, m, `{"g":"words"}`) || matches(t, m, `{}`) {
				t.Errorf("wrong from turn %d, round %d", turn, i)
			}
		}
	}
}

// TestSources: a rule sees the events of each source that its log source covers, and no others.
func TestSources(t *testing.T) {
	rules, faults := detect.Parse("r.yml", []byte(`title: any holdfast
logsource: {product: holdfast}
detection: {s: {user: a}, condition: s}
---
title: sign-ins only
logsource: {product: Holdfast, service: signin}
detection: {s: {user: a}, condition: s}
---
title: authentication of any product
logsource: {category: authentication}
detection: {s: {user: a}, condition: s}
`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := detect.Compile(rules, []detect.FieldMap{
		{Name: "signin", Source: detect.LogSource{Product: "holdfast", Service: "signin", Category: "authentication"}, Fields: map[string]string{"user": "actor.email"}},
		{Name: "audit", Source: detect.LogSource{Product: "holdfast", Service: "audit"}, Fields: map[string]string{"user": "who"}},
		{Name: "okta", Source: detect.LogSource{Product: "okta", Category: "authentication"}, Fields: map[string]string{"user": "who"}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]int{}
	for _, source := range set.Sources() {
		m, ok := set.Matcher(source)
		if !ok {
			t.Fatal(source)
		}
		got[source] = m.Match(nil, detect.NewDocument(m.Paths(), map[string]any{"actor": map[string]any{"email": "A"}, "who": "a"}))
	}
	if diff := cmp.Diff(map[string][]int{"signin": {0, 1, 2}, "audit": {0}, "okta": {2}}, got); diff != "" {
		t.Errorf("rules by source (-want +got):\n%s", diff)
	}
	if _, ok := set.Matcher("other"); ok {
		t.Error("a matcher for a source that is not there")
	}
}
