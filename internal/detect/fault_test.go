package detect_test

import (
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

var update = flag.Bool("update", false, "write what is found into testdata/faults.txtar; read the difference before it is committed")

// signInFields are the sources of these tests: one that knows its fields, and one that takes any.
func signInFields() []detect.FieldMap {
	return []detect.FieldMap{
		{Name: "signin", Source: detect.LogSource{Product: "holdfast", Service: "signin"}, Fields: map[string]string{
			"user.email": "user.email", "user.id": "user.uid", "client.ip": "src_endpoint.ip", "outcome": "status", "country": "src_endpoint.location.country",
			"new_country": "feature.new_country", "failures": "feature.failures",
		}},
		{Name: "okta", Source: detect.LogSource{Product: "okta", Service: "okta"}, Open: true},
	}
}

// TestFaults loads each .yml file of testdata/faults.txtar with base.yml and compares what is found with the
// file behind it: faults of the file, faults together with others, warnings.
func TestFaults(t *testing.T) {
	const file = "testdata/faults.txtar"
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lists := detect.StaticLists{"sanctioned": detect.NewValueList("KP", "IR")}
	base, faults := detect.Parse("base.yml", archive.Files[0].Data)
	if len(faults) > 0 || archive.Files[0].Name != "base.yml" {
		t.Fatalf("%s: the first file must be base.yml, without faults: %v", file, faults)
	}
	for i := 1; i+1 < len(archive.Files); i += 2 {
		rules, want := archive.Files[i], &archive.Files[i+1]
		name := strings.TrimSuffix(rules.Name, ".yml")
		if want.Name != name+".faults" {
			t.Fatalf("%s: behind %s must be %s.faults, not %s", file, rules.Name, name, want.Name)
		}
		t.Run(name, func(t *testing.T) {
			parsed, faults := detect.Parse("r.yml", rules.Data)
			set, err := detect.Compile(append(slices.Clone(base), parsed...), signInFields(), lists)
			compiled, ok := errors.AsType[detect.Faults](err)
			if err != nil && !ok {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, f := range append(faults, compiled...) {
				b.WriteString(strings.TrimPrefix(f.String(), "r.yml:") + "\n")
			}
			for _, f := range set.Warnings() {
				b.WriteString("warning " + strings.TrimPrefix(f.String(), "r.yml:") + "\n")
			}
			if *update {
				want.Data = []byte(b.String())
				return
			}
			if diff := cmp.Diff(string(want.Data), b.String()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLoadIsAllOrNothing: every fault of every file is in the error, and an endpoint can show it.
func TestLoadIsAllOrNothing(t *testing.T) {
	good := "title: Good\nlogsource: {product: okta}\ndetection: {selection: {eventType: a}, condition: selection}\n"
	files := fstest.MapFS{
		"a.yml":       {Data: []byte(good)},
		"b/c.yaml":    {Data: []byte(strings.Replace(good, "title", "titel", 1))},
		"b/d.yml":     {Data: []byte(strings.Replace(good, "okta", "oktta", 1))},
		"b/notes.txt": {Data: []byte("not a rule")},
		"z.yml":       {Data: []byte(strings.Repeat("#", 256<<10+1))},
	}
	set, err := detect.Load(files, signInFields(), nil)
	if set != nil || !problem.Is(err, problem.Invalid) {
		t.Fatalf("Load = %v, %v; want no set and a problem of kind Invalid", set, err)
	}
	want := `b/c.yaml:1:1: unknown key "titel" (is title meant?)
b/c.yaml:1:1: title is missing
b/d.yml:2:1: no source has events of product oktta; there are: product holdfast, service signin; product okta, service okta
z.yml: the file has 262145 bytes, 262144 are allowed; split it`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}

	delete(files, "b/c.yaml")
	delete(files, "b/d.yml")
	delete(files, "z.yml")
	set, err = detect.Load(files, signInFields(), nil)
	if err != nil || len(set.Rules()) != 1 || set.Rules()[0].File != "a.yml" {
		t.Errorf("Load = %v, %v; want the one rule", set, err)
	}
}

// TestCompileKeepsWhatIsGood: one bad rule does not take the others along.
func TestCompileKeepsWhatIsGood(t *testing.T) {
	rules, faults := detect.Parse("r.yml", []byte(`title: Bad field
name: bad
logsource: {product: holdfast}
detection: {selection: {outcom: failure}, condition: selection}
---
title: Good
name: good
logsource: {product: holdfast}
detection: {selection: {outcome: failure}, condition: selection}
---
title: On the bad one
correlation: {type: event_count, rules: [bad], group-by: [user.id], timespan: 5m, condition: {gte: 5}}
---
title: On the good one
correlation: {type: event_count, rules: [good], group-by: [user.id], timespan: 5m, condition: {gte: 5}}
`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	set, err := detect.Compile(rules, signInFields(), nil)
	want := `r.yml:4:25: events of signin have no field "outcom" (is outcome meant?)
r.yml:12:42: rule "bad" is faulty itself`
	if err == nil || err.Error() != want {
		t.Errorf("Compile: %v\nwant: %s", err, want)
	}
	var titles []string
	for _, r := range set.Rules() {
		titles = append(titles, r.Title)
	}
	if diff := cmp.Diff([]string{"Good", "On the good one"}, titles); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if _, err := detect.Compile(rules, append(signInFields(), signInFields()...), nil); err == nil {
		t.Error("two field maps of one name were taken")
	}
}
