package detect_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"holdfast/internal/detect"
)

// FuzzRules: whatever stands in a rule file, it is refused or loaded, soon, and every fault says where.
func FuzzRules(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/faults.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if path.Ext(file.Name) == ".yml" {
			f.Add(file.Data)
		}
	}
	for seed := range uint64(5) {
		f.Add([]byte(newDice(seed).rule(f, 0)))
	}
	data := os.DirFS("../../../shared/data/sigma") // where it is absent, Glob finds nothing
	files, err := fs.Glob(data, "rules/identity/*/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(data, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	d := newDice(3)
	docs := []map[string]any{d.event(), d.event(), d.event(), {"eventType": "a", "user": map[string]any{"email": "x"}}, {}}
	lists := detect.StaticLists{"sanctioned": detect.NewValueList("KP"), "some": detect.NewValueList("a*"), "nets": detect.NewValueList("192.0.2.0/24"), "none": detect.NewValueList()}
	sources := append(signInFields(), anyFields()...)
	f.Fuzz(func(t *testing.T, text []byte) {
		start := time.Now()
		rules, faults := detect.Parse("fuzz.yml", text)
		set, err := detect.Compile(rules, sources, lists)
		if err == nil && len(set.Rules()) != len(rules) {
			t.Errorf("%d rules of %d are in the set, but no fault says why", len(set.Rules()), len(rules))
		}
		compiled, _ := errors.AsType[detect.Faults](err)
		for _, fault := range append(faults, compiled...) {
			if fault.Text == "" || fault.File != "fuzz.yml" || fault.Line < 0 {
				t.Errorf("a fault that does not say what and where: %+v", fault)
			}
		}
		var observed []detect.Observed
		for _, source := range set.Sources() {
			m, ok := set.Matcher(source)
			if !ok {
				t.Fatalf("no matcher for %s", source)
			}
			for i, doc := range docs {
				event := detect.NewDocument(m.Paths(), doc)
				matched := m.Match(nil, event)
				if all := m.MatchAll(nil, event); len(all) != len(matched) {
					t.Errorf("with index %v, without %v", matched, all)
				}
				observed = append(observed, detect.Observed{
					ID: source + string(rune('a'+i)), Time: time.Unix(int64(i), 0), Rules: matched,
					Value: func(field string) detect.Value { return detect.Lookup(doc, field) },
				})
			}
		}
		detect.Correlate(set, observed)
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// FuzzPatterns compares patterns with regular expressions made of them.
func FuzzPatterns(f *testing.F) {
	for _, s := range [][2]string{{"a*b", "acb"}, {`a\*b`, "a*b"}, {"?", "ſ"}, {`\\*`, `\x`}, {"**?", ""}, {"*a*b?c*", "xaybzcd"}, {"\u212A", "k"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, written, text string) {
		written, text = strings.ToValidUTF8(written, "?"), strings.ToValidUTF8(text, "?")
		n := newNaive(t, nil)
		if got, want := detect.PatternMatches(written, text), n.text(naivePattern(written), []string{text}, nil); got != want {
			t.Errorf("pattern %q, text %q: %t, the regular expression says %t", written, text, got, want)
		}
	})
}
