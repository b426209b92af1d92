package detect_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdfast/internal/detect"
)

// dice makes rules and events that meet often: few fields, few values, and variants of them.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x5167))} }

func pick[T any](d dice, xs ...T) T { return xs[d.IntN(len(xs))] }

func (d dice) field() string {
	return pick(d, "eventType", "outcome", "actor.id", "actor.name", "target.name", "client.ip", "count", "flag", "odd", "missing", "target", "actor")
}

func (d dice) base() string {
	return pick(d, "user.session.start", "User.Session.Start", "FAILURE", "success", "ab", "aab", "abab", "a*b", `a\b`, `\`, "", "Straße", "STRASSE",
		"\u212Aelvin", "kelvin", "ſet", "SET", "İ", "i", "x\ny", "3", "3.5", "007", "-1", "true", "null", "1e3",
		"192.0.2.7", "192.0.3.7", "2001:db8::1", "::ffff:192.0.2.9", "日本", "日x本")
}

// pattern is a text for rules: a base, or one with wildcards and escapes in it.
func (d dice) pattern() string {
	s := d.base()
	switch d.IntN(6) {
	case 0:
		return s
	case 1:
		return "*" + s
	case 2:
		return s + "*"
	case 3:
		return strings.ReplaceAll(s, "a", pick(d, "?", "*", `\*`, `\\`, `\?`, `\a`))
	default:
		r := []rune(s)
		if len(r) == 0 {
			return s
		}
		i := d.IntN(len(r))
		return string(r[:i]) + pick(d, "*", "?", "**", "*?", `\\*`, `\`, "") + string(r[i+d.IntN(2):])
	}
}

func (d dice) scalar() any {
	switch d.IntN(8) {
	case 0:
		return pick(d, 3, 0, -1, 41, 3000000000)
	case 1:
		return pick(d, 3.5, 0.25)
	case 2:
		return pick(d, true, false)
	case 3:
		return nil
	default:
		return d.base()
	}
}

func (d dice) event() map[string]any {
	value := func() any {
		switch d.IntN(7) {
		case 0:
			list := []any{}
			for range d.IntN(4) {
				list = append(list, d.scalar())
			}
			return list
		case 1:
			return 3.0
		default:
			return d.scalar()
		}
	}
	e := map[string]any{}
	for _, f := range []string{"eventType", "outcome", "count", "flag", "odd"} {
		if d.IntN(4) > 0 {
			e[f] = value()
		}
	}
	if d.IntN(4) > 0 {
		e["actor"] = map[string]any{"id": value(), "name": d.base()}
	}
	if d.IntN(4) > 0 {
		e["client"] = map[string]any{"ip": pick(d, any("192.0.2.7"), "192.0.3.7", "::ffff:192.0.2.9", "2001:db8::1", "none", nil)}
	}
	targets := []any{}
	for range d.IntN(3) {
		targets = append(targets, pick(d, map[string]any{"name": value()}, map[string]any{"other": d.base()}))
	}
	e["target"] = targets
	return e
}

// predicate is a key with modifiers, and its values.
func (d dice) predicate() (string, any) {
	key := d.field()
	many := func(one func() any) any {
		if d.IntN(3) > 0 {
			return one()
		}
		list := []any{}
		for range 2 + d.IntN(12) {
			list = append(list, one())
		}
		return list
	}
	all := func(key string, v any) (string, any) {
		if _, ok := v.([]any); ok && d.IntN(3) == 0 {
			key += "|all"
		}
		return key, v
	}
	solid := func() any {
		for {
			if p := d.pattern(); strings.Trim(p, "*") != "" {
				return p
			}
		}
	}
	switch d.IntN(14) {
	case 0, 1, 2:
		return all(key, many(func() any { return d.base() }))
	case 3:
		return key, many(func() any { return d.scalar() })
	case 4:
		return all(key+pick(d, "", "|cased"), many(func() any { return d.pattern() }))
	case 5, 6:
		return all(key+pick(d, "|contains", "|startswith", "|endswith")+pick(d, "", "", "|cased"), many(solid))
	case 7:
		return all(key+"|re"+pick(d, "", "|i", "|s", "|i|m"), many(func() any {
			return pick(d, "^a.*b$", "session", "x.y", `^\d+$`, "(?:ab)+", "^$", "[^a]", "straße", "x$")
		}))
	case 8:
		return pick(d, "client.ip", key) + "|cidr", many(func() any { return pick(d, "192.0.2.0/24", "192.0.0.0/16", "2001:db8::/32", "192.0.2.7/32", "::/0") })
	case 9:
		return key + "|exists", pick(d, true, false)
	case 10:
		return pick(d, "count", key) + "|" + pick(d, "lt", "lte", "gt", "gte"), many(func() any { return pick(d, any(3), 3.5, 0, -1, 41) })
	case 11:
		return all(key+"|fieldref"+pick(d, "", "|contains", "|startswith", "|endswith")+pick(d, "", "|cased"), many(func() any { return d.field() }))
	case 12:
		return all(key+"|expand"+pick(d, "", "", "|contains", "|startswith", "|endswith", "|cidr", "|cased"), many(func() any { return pick(d, "%some%", "%nets%", "%none%") }))
	default:
		return all(pick(d, "|contains", "|re", "|cased", "|startswith"), []any{pick(d, "ab", "session"), pick(d, "a", "kelvin")})
	}
}

func (d dice) fields() map[string]any {
	m := map[string]any{}
	for range 1 + d.IntN(3) {
		k, v := d.predicate()
		m[k] = v
	}
	return m
}

func (d dice) search() any {
	switch d.IntN(6) {
	case 0:
		list := []any{}
		for range 1 + d.IntN(3) {
			list = append(list, d.fields())
		}
		return list
	case 1:
		return []any{pick(d, "ab", "session", "K", "3"), pick(d, any("日"), 3, "a?b")}
	case 2:
		return pick(d, "ab", "session", "K", "3")
	default:
		return d.fields()
	}
}

func (d dice) condition(names []string, depth int) string {
	if depth == 0 || d.IntN(3) == 0 {
		return pick(d, append([]string{"1 of them", "all of selection*", "1 of s*b", "any of _*", "1 of selection_a"}, append(names, names...)...)...)
	}
	switch d.IntN(4) {
	case 0:
		return "not " + d.condition(names, depth-1)
	case 1:
		return "(" + d.condition(names, depth-1) + ")"
	case 2:
		return d.condition(names, depth-1) + " or " + d.condition(names, depth-1)
	default:
		return d.condition(names, depth-1) + " and " + d.condition(names, depth-1)
	}
}

// rule is the text of a rule with four searches.
func (d dice) rule(t testing.TB, i int) string {
	names := []string{"selection_a", "selection_b", "filter", "_hidden"}
	detection := map[string]any{}
	for _, n := range names {
		detection[n] = d.search()
	}
	// All are used, so that none is a fault.
	detection["condition"] = "(" + d.condition(names, 3) + ") " + pick(d, "or", "and") + " (" + d.condition(names, 2) + ")" +
		pick(d, " or selection_a and filter and selection_b and not _hidden", " and selection_a and (selection_b or filter or not _hidden)")
	// JSON is YAML, and nothing in it is left to the taste of a writer.
	text, err := json.MarshalIndent(map[string]any{"title": "rule " + strconv.Itoa(i), "logsource": map[string]any{"product": "test"}, "detection": detection}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func anyFields() []detect.FieldMap {
	return []detect.FieldMap{{Name: "test", Source: detect.LogSource{Product: "test"}, Open: true}}
}

// compare makes some rules and events, and returns how many pairs it compared, how many of them match, and
// for how many the index knew that they do not.
func compare(t testing.TB, n *naive, seed uint64, rules, events int) (cases, matches, passedOver int) {
	d := newDice(seed)
	lists := detect.StaticLists{}
	for name, list := range n.lists {
		lists[name] = detect.NewValueList(list...)
	}
	var parsed []*detect.Rule
	texts := map[string]string{}
	for i := range rules {
		text := d.rule(t, i)
		rs, faults := detect.Parse(fmt.Sprintf("%d.yml", i), []byte(text))
		if len(faults) > 0 {
			t.Fatalf("seed %d: %v\n%s", seed, faults, text)
		}
		parsed = append(parsed, rs...)
		texts[rs[0].File] = text
	}
	set, err := detect.Compile(parsed, anyFields(), lists)
	docs := make([]map[string]any, events)
	for i := range docs {
		docs[i] = d.event()
	}
	refusals := map[string]bool{}
	if faults, ok := errors.AsType[detect.Faults](err); ok {
		for _, f := range faults {
			holds := strings.Contains(f.Text, "holds for every event")
			if !holds && !strings.Contains(f.Text, "contradicts itself") {
				t.Fatalf("seed %d: %v\n%s", seed, f, texts[f.File])
			}
			refusals[f.File] = true
			rule := decoded(t, texts[f.File])
			for _, doc := range docs {
				if n.rule(rule, doc) != holds {
					t.Fatalf("seed %d: %v, but not for %v\n%s", seed, f, doc, texts[f.File])
				}
			}
		}
	} else if err != nil {
		t.Fatal(err)
	}
	if rules > 20 && len(refusals)*2 > rules {
		t.Fatalf("seed %d: %d of %d rules always or never match; the test tests nothing", seed, len(refusals), rules)
	}
	m, ok := set.Matcher("test")
	if !ok {
		t.Fatal("no matcher")
	}
	rulesDecoded := make([]map[string]any, len(set.Rules()))
	for i, r := range set.Rules() {
		rulesDecoded[i] = decoded(t, texts[r.File])
	}
	for _, doc := range docs {
		event := detect.NewDocument(m.Paths(), doc)
		got := m.Match(nil, event)
		if all := m.MatchAll(nil, event); !slices.Equal(got, all) {
			t.Fatalf("seed %d: with index %v, without %v\n%v", seed, got, all, doc)
		}
		passedOver += len(set.Rules()) - m.Candidates(event)
		for i := range set.Rules() {
			want := n.rule(rulesDecoded[i], doc)
			if want {
				matches++
			}
			if cases++; slices.Contains(got, i) != want {
				t.Fatalf("seed %d: compiled %t, naive %t\nevent: %v\n%s", seed, !want, want, doc, texts[set.Rules()[i].File])
			}
		}
	}
	return cases, matches, passedOver
}

func diceLists() map[string][]string {
	return map[string][]string{
		"some": {"kelvin", "a*b", "STRASSE", "3", "日?本", `\*`}, "nets": {"192.0.2.0/24", "2001:db8::1", "10.0.0.0/8"}, "none": {},
	}
}

// TestAgainstNaive compares the compiled rules with the interpreter of naive_test.go.
func TestAgainstNaive(t *testing.T) {
	cases, matches, passedOver := 0, 0, 0
	n := newNaive(t, diceLists())
	for seed := range uint64(20) {
		c, m, p := compare(t, n, seed, 40, 40)
		cases, matches, passedOver = cases+c, matches+m, passedOver+p
	}
	t.Logf("%d cases, %d matches, %d passed over by the index", cases, matches, passedOver)
	if cases < 20_000 || matches*20 < cases || matches*20 > cases*19 || passedOver*20 < cases {
		t.Errorf("%d cases, %d matches, %d passed over; want 20,000 or more, and enough of each", cases, matches, passedOver)
	}
}

func FuzzAgainstNaive(f *testing.F) {
	for seed := range uint64(3) {
		f.Add(1000 + seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, newNaive(t, diceLists()), seed, 6, 12) })
}
