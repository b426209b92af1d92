package eventsapi_test

import (
	"go/build"
	"os"
	"strings"
	"testing"
)

// TestGuide: the Go code of the guide is code that compiles and runs here.
func TestGuide(t *testing.T) {
	unindented := func(text string) string {
		var lines []string
		for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' }) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	var texts [2]string
	for i, name := range []string{"example_test.go", "../docs/integrations/go-events.md"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	examples, found := unindented(texts[0]), 0
	for i, part := range strings.Split(texts[1], "```") {
		if code, isGo := strings.CutPrefix(part, "go\n"); isGo && i%2 == 1 {
			if found++; !strings.Contains(examples, unindented(code)) {
				t.Errorf("this block of the guide is in no example:\n%s", code)
			}
		}
	}
	if found < 5 {
		t.Errorf("found %d blocks of Go in the guide, want at least 5", found)
	}
}

// TestStandardLibraryOnly: the guide tells vendors to copy the package as it stands.
func TestStandardLibraryOnly(t *testing.T) {
	p, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range p.Imports {
		if dep, err := build.Import(path, ".", build.FindOnly); err != nil || !dep.Goroot {
			t.Errorf("the package imports %s (%v); only the standard library is allowed", path, err)
		}
	}
	if len(p.Imports) == 0 {
		t.Error("found no imports; is the package not here?")
	}
}
