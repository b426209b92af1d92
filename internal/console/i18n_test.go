package console

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// texts are the texts of a language by key; the forms of a plural are joined.
func texts(t *testing.T, lang string) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := fs.Glob(locales, "locales/"+lang+"/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("texts of %s: %v, %v", lang, files, err)
	}
	for _, file := range files {
		raw, err := locales.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var parsed map[string]any
		if err := yaml.Unmarshal(raw, &parsed); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for key, value := range parsed {
			if _, twice := all[key]; twice {
				t.Errorf("%s: %q is in another file, too", file, key)
			}
			switch v := value.(type) {
			case string:
				all[key] = v
			case map[string]any:
				var forms []string
				for _, form := range slices.Sorted(maps.Keys(v)) {
					text, ok := v[form].(string)
					if !ok || form != "one" && form != "other" {
						t.Errorf("%s: %s: the form %q is none of one and other, or no text", file, key, form)
					}
					forms = append(forms, text)
				}
				if len(forms) != 2 {
					t.Errorf("%s: %s has %d forms; one and other are needed", file, key, len(forms))
				}
				all[key] = strings.Join(forms, "\n")
			default:
				t.Errorf("%s: %s is %T; a text or its plural forms are needed", file, key, value)
			}
			if strings.TrimSpace(all[key]) == "" {
				t.Errorf("%s: %s is empty", file, key)
			}
		}
	}
	return all
}

var placeholder = regexp.MustCompile(`\{\{\.\w+\}\}|\{\w+\}`)

func placeholders(text string) []string {
	found := placeholder.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

func TestTextsInBothLanguages(t *testing.T) {
	english, german := texts(t, "en"), texts(t, "de")
	for _, key := range slices.Sorted(maps.Keys(english)) {
		de, ok := german[key]
		if !ok {
			t.Errorf("%s has no German text", key)
			continue
		}
		if diff := cmp.Diff(placeholders(english[key]), placeholders(de)); diff != "" {
			t.Errorf("%s has other placeholders in German (-en +de):\n%s", key, diff)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(german)) {
		if _, ok := english[key]; !ok {
			t.Errorf("%s has no English text", key)
		}
	}
}

// code is the text of every template and Go file of the package that is no test.
func code(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html", "templates/pages/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(raw)
		}
	}
	return b.String()
}

// built are the prefixes of keys that Go code puts together in a way of its own; those in templates
// (print "prefix." …) and in Go ("prefix."+…) are found.
func built() []string { return []string{"done."} }

var (
	printed  = regexp.MustCompile(`print "([a-z_]+\.[a-z_.]*)"`)
	appended = regexp.MustCompile(`"([a-z_]+\.[a-z_.]*)" ?\+`)
)

func TestTextsAreUsed(t *testing.T) {
	source := code(t)
	prefixes := built()
	for _, form := range []*regexp.Regexp{printed, appended} {
		for _, m := range form.FindAllStringSubmatch(source, -1) {
			prefixes = append(prefixes, m[1])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(texts(t, "en"))) {
		if strings.Contains(source, `"`+key+`"`) {
			continue
		}
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			t.Errorf("%s is used nowhere", key)
		}
	}
}

// A key that is written out must have a text: a missing one is shown as itself.
func TestKeysHaveTexts(t *testing.T) {
	english := texts(t, "en")
	for _, m := range regexp.MustCompile(`[({ ]t "([^"]+)"`).FindAllStringSubmatch(code(t), -1) {
		if _, ok := english[m[1]]; !ok {
			t.Errorf("%q has no text", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`\.(?:tr\(r|text\((?:n\.|f\.)?lang), "([^"]+)"[,)]`).FindAllStringSubmatch(code(t), -1) {
		if _, ok := english[m[1]]; !ok {
			t.Errorf("%q has no text", m[1])
		}
	}
}

func TestTemplatesHaveNoWords(t *testing.T) {
	files, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := fs.Glob(templates, "templates/pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	var (
		action = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
		spoken = regexp.MustCompile(`(?:aria-label|title|alt|placeholder)="([^"]*)"`)
		tag    = regexp.MustCompile(`(?s)<[^>]*>`)
		url    = regexp.MustCompile(`https://\S+`)
		word   = regexp.MustCompile(`\pL{2,}`)
		same   = []string{"Holdfast", "UTC", "English", "Deutsch", "mdash", "middot", "nbsp"} // in both languages
	)
	for _, file := range append(files, pages...) {
		raw, err := templates.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plain := action.ReplaceAllString(string(raw), " ")
		said := []string{tag.ReplaceAllString(plain, " ")}
		for _, m := range spoken.FindAllStringSubmatch(plain, -1) {
			said = append(said, m[1])
		}
		for _, w := range word.FindAllString(url.ReplaceAllString(strings.Join(said, " "), " "), -1) {
			if !slices.Contains(same, w) {
				t.Errorf("%s says %q; words belong in locales", file, w)
			}
		}
	}
}
