package detect_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/signals"
)

// isPart says that a rule is there for correlations only: its matches are no findings.
func isPart(set *detect.Set, rule int) bool { return !set.Alone(rule) }

// TestPackForm holds the form of the shipped rules: what is in the files besides what to look for.
func TestPackForm(t *testing.T) {
	set := pack(t)
	for _, w := range set.Warnings() {
		t.Errorf("warning: %v", w)
	}
	var (
		name      = regexp.MustCompile(`^[a-z][a-z_]*[a-z]$`)
		tactic    = regexp.MustCompile(`^attack\.(reconnaissance|initial-access|persistence|privilege-escalation|defense-evasion|credential-access|lateral-movement)$`)
		technique = regexp.MustCompile(`^attack\.t1\d{3}(\.\d{3})?$`)
	)
	first := map[string]string{} // name of the first rule, by file
	for i, r := range set.Rules() {
		if !isPart(set, i) && first[r.File] == "" {
			first[r.File] = r.Name
		}
		if !name.MatchString(r.Name) || r.ID == "" || r.Level == "" || r.Status == "" || r.Date == "" || r.Description == "" {
			t.Errorf("%s: name %q, id %q, level %q, status %q, date %q and a description must all be there", r.File, r.Name, r.ID, r.Level, r.Status, r.Date)
		}
		if isPart(set, i) {
			if r.Level != detect.Informational {
				t.Errorf("%s: a part of a correlation has the level %s", r.Name, r.Level)
			}
			continue
		}
		if len(r.FalsePositives) == 0 {
			t.Errorf("%s says nothing of when it is wrong", r.Name)
		}
		techniques := 0
		for _, tag := range r.Tags {
			switch {
			case technique.MatchString(tag):
				techniques++
			case !tactic.MatchString(tag):
				t.Errorf("%s: tag %s is neither a tactic nor a technique of ATT&CK", r.Name, tag)
			}
		}
		if techniques == 0 {
			t.Errorf("%s names no technique of ATT&CK", r.Name)
		}
		for _, language := range []string{"en", "de"} {
			if len(r.Explain[language].Names()) == 0 {
				t.Errorf("%s explains itself in %s without a name from the event", r.Name, language)
			}
		}
		en, de := slices.Sorted(slices.Values(r.Explain["en"].Names())), slices.Sorted(slices.Values(r.Explain["de"].Names()))
		if !slices.Equal(en, de) {
			t.Errorf("%s: the sentences name different things: %v and %v", r.Name, en, de)
		}
	}
	for file, name := range first {
		if strings.TrimSuffix(path.Base(file), ".yml") != name {
			t.Errorf("%s begins with the rule %s; file and rule have one name", file, name)
		}
	}
}

// TestPackFixtures runs each rule over events at which it must speak, and over events at which it must
// not, both after the same month in which everybody's habits were learned.
func TestPackFixtures(t *testing.T) {
	const root = "testdata/pack"
	set := pack(t)
	history := packEvents(t, filepath.Join(root, "history.ndjson"))
	for i, r := range set.Rules() {
		if isPart(set, i) {
			continue
		}
		for _, kind := range []string{"fires", "silent"} {
			files, err := filepath.Glob(filepath.Join(root, r.Name, kind+"*.ndjson"))
			if err != nil {
				t.Fatal(err)
			}
			if len(files) == 0 {
				t.Errorf("%s has no events at which it %s", r.Name, map[string]string{"fires": "speaks", "silent": "is silent"}[kind])
			}
			for _, file := range files {
				t.Run(r.Name+"/"+strings.TrimSuffix(filepath.Base(file), ".ndjson"), func(t *testing.T) {
					events := packEvents(t, file)
					found := packFindings(t, set, r.Name, slices.Concat(history, events))
					if kind == "silent" {
						if len(found) > 0 {
							t.Fatalf("found %v: %s", found[0].Events, found[0].Explain["en"])
						}
						return
					}
					if len(found) != 1 {
						t.Fatalf("%d findings, want 1", len(found))
					}
					checkFinding(t, found[0], events)
				})
			}
		}
	}
}

// checkFinding holds that a finding is about these events only, and that its sentences have a value for
// every name.
func checkFinding(t *testing.T, f detect.Found, events []signals.Event) {
	t.Helper()
	for _, id := range f.Events {
		if !slices.ContainsFunc(events, func(e signals.Event) bool { return e.SourceID == id }) {
			t.Errorf("event %s is evidence, and of the history", id)
		}
	}
	if last := events[len(events)-1].SourceID; !slices.Contains(f.Events, last) {
		t.Errorf("evidence %v lacks the last event, %s", f.Events, last)
	}
	for language, sentence := range f.Explain {
		if sentence == "" || strings.ContainsAny(sentence, "{}–") {
			t.Errorf("%s: %q has a name without a value", language, sentence)
		}
	}
}

// TestPackQuietHistory holds that nothing of level medium or above is found in the month of habits.
func TestPackQuietHistory(t *testing.T) {
	set := pack(t)
	for _, f := range packFindings(t, set, "", packEvents(t, "testdata/pack/history.ndjson")) {
		t.Errorf("%s: %s", f.Rule, f.Explain["en"])
	}
}

func pack(t *testing.T) *detect.Set {
	t.Helper()
	lists, err := detect.ReadLists(rules.FS())
	if err != nil {
		t.Fatal(err)
	}
	set, err := detect.Load(rules.FS(), detect.FieldMaps(), lists)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// packFindings are those of one rule, or of all if name is empty.
func packFindings(t *testing.T, set *detect.Set, name string, events []signals.Event) (found []detect.Found) {
	t.Helper()
	x, err := detect.NewEngine(detect.Config{Set: set, Memory: detect.NewMemory(), People: packPeople{}})
	if err != nil {
		t.Fatal(err)
	}
	for res, err := range x.Run(t.Context(), slices.Values(events)) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Ended {
			if f.Rule == name || name == "" {
				found = append(found, f)
			}
		}
	}
	return found
}

// packPeople is a directory in which one person is protected, and of which the others are not part.
type packPeople struct{}

func (packPeople) Person(e *signals.Event) (detect.Person, bool) {
	return detect.Person{ID: "ada", Protected: true}, e.User.Email == "ada@harbour.example"
}

// packEvents reads lines in the form of 1Password. A member network, if there, is what a location
// database knows of the address.
func packEvents(t *testing.T, file string) (events []signals.Event) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := signals.NewDecoder(signals.OnePassword)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		e, err := decoder.Decode(lines.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var known struct {
			Network *struct {
				ASN       int64  `json:"asn"`
				Name      string `json:"name"`
				Anonymous bool   `json:"anonymous"`
			} `json:"network"`
		}
		if err := json.Unmarshal(lines.Bytes(), &known); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if n := known.Network; n != nil {
			l := &e.Src.Location
			l.ASN, l.Network, l.Anonymous, l.AnonymousKnown = n.ASN, n.Name, n.Anonymous, true
		}
		events = append(events, e)
	}
	return events
}
