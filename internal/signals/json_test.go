package signals

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDocumentParse(t *testing.T) {
	for _, tc := range []struct{ name, src, want string }{
		{"object", `{"a":1,"b":[true,null,"x"],"c":{}}`, ""},
		{"spaces", " { \"a\" :\t1 }\r\n", ""},
		{"scalar", `"text"`, ""},
		{"escapes", `{"\u00e9\n":"\ud83d\ude00\\"}`, ""},
		{"empty", "", "not JSON: it ends where a value was expected"},
		{"no_end", `{"a":1`, `not JSON: it ends where "," or "}" was expected`},
		{"two", `{} {}`, `not JSON: '{' at byte 4, where the end of the event was expected`},
		{"bare_name", `{a:1}`, `not JSON: 'a' at byte 2, where a name in quotes was expected`},
		{"comma_at_end", `{"a":1,}`, `not JSON: '}' at byte 8, where a name in quotes was expected`},
		{"leading_zero", `[01]`, `not JSON: '1' at byte 3, where "," or "]" was expected`},
		{"no_fraction", `[1.]`, `not JSON: ']' at byte 4, where a digit was expected`},
		{"control_character", "[\"a\x01\"]", "not JSON: a control character (0x01) at byte 4, inside quotes"},
		{"bad_escape", `["\x"]`, `not JSON: '\\' at byte 3, where an escape that JSON knows was expected`},
		{"bad_unicode", `["\u12g4"]`, `not JSON: '\\' at byte 3, where an escape such as \u00e9 was expected`},
		{"as_deep_as_allowed", strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), ""},
		{"too_deep", strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), "objects and lists are more than 32 deep inside one another"},
		{"too_many_values", "[" + strings.Repeat("1,", maxNodes) + "1]", "the event has more than 16384 values"},
		{"too_long", `"` + strings.Repeat("a", maxEvent) + `"`, "the event is longer than 1048576 bytes, the most that is read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var d document
			got := ""
			if err := d.parse(tc.src); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("parse(%.60q) = %q, want %q", tc.src, got, tc.want)
			}
		})
	}
}

func TestDocumentLookup(t *testing.T) {
	var d document
	if err := d.parse(`{"a":{"B":1,"b":"two","B":3},"t\u00eate":"x\ty","n":null,"f":-1.5e2,"i":"42","yes":"TRUE","list":[{"k":"1"},{"k":["2","3"]},7]}`); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, got, want string }{
		{"last_of_the_same_name", d.str(d.path("a", "B")), "3"},
		{"exact_before_folded", d.str(d.path("a", "b")), "two"},
		{"folded", d.str(d.path("A", "b")), "two"},
		{"escaped_name", d.raw(d.path("tête")), "x\ty"},
		{"clean", d.str(d.path("tête")), "x y"},
		{"null", d.str(d.path("n")), ""},
		{"absent", d.str(d.path("a", "x", "y")), ""},
		{"below_a_scalar", d.str(d.path("i", "x")), ""},
		{"object_is_no_text", d.str(d.path("a")), ""},
		{"object_as_json", d.raw(d.path("list")), `[{"k":"1"},{"k":["2","3"]},7]`},
		{"collect", strings.Join(d.collect(0, "list.k", nil), " "), "1 2 3"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, tc.got, tc.want)
		}
	}
	if f, i, y := d.float(d.path("f")), d.integer(d.path("i")), d.tri(d.path("yes")); f != -150 || i != 42 || y != Yes {
		t.Errorf("number %v, integer in quotes %v, yes in quotes %v; want -150, 42, Yes", f, i, y)
	}
	if got := d.integer(d.path("f")); got != -150 {
		t.Errorf("integer of a float = %v, want -150", got)
	}
}

// FuzzDocument holds our reader against the one of the standard library.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u00e9\ud83d\ude00\ud800y"],"b":null}`, `[]`, `{"":""}`, `-0`, `"\`, `{"a":`, "\"\u2028\"", `[1e]`, `truefalse`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if !utf8.ValidString(src) || len(src) > 1<<16 {
			return
		}
		var d document
		err := d.parse(src)
		if err != nil && strings.HasPrefix(err.Error(), "not JSON") == json.Valid([]byte(src)) {
			t.Fatalf("parse(%q) = %v, but valid is %v", src, err, json.Valid([]byte(src)))
		}
		if err != nil {
			return
		}
		if !json.Valid([]byte(src)) {
			t.Fatalf("parse(%q) succeeded, and it is not valid", src)
		}
		var want any
		dec := json.NewDecoder(strings.NewReader(src))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, tree(&d, 0)); diff != "" {
			t.Fatalf("parse(%q) (-encoding/json +ours):\n%s", src, diff)
		}
	})
}

// tree is node i as encoding/json would give it.
func tree(d *document, i int) any {
	switch d.kindOf(i) {
	case object:
		m := map[string]any{}
		for j := range d.inside(i) {
			m[d.key(j)] = tree(d, j)
		}
		return m
	case array:
		a := []any{}
		for j := range d.inside(i) {
			a = append(a, tree(d, j))
		}
		return a
	case text:
		return d.raw(i)
	case number:
		return json.Number(d.raw(i))
	case boolean:
		return d.raw(i) == "true"
	}
	return nil
}
