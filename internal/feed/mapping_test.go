package feed

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
)

// TestMapping compares the tables of the document with the code: an action is in one of them, and in one only.
func TestMapping(t *testing.T) {
	text, err := os.ReadFile("../../docs/events/audit-mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	with, without, ok := strings.Cut(string(text), "## Actions that are not in the stream")
	if !ok {
		t.Fatal("the document has no part about what is not in the stream")
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `([a-z]+)` \\| `([a-z]+)` \\|")
	documented := map[audit.Action]code{}
	for _, m := range row.FindAllStringSubmatch(with, -1) {
		documented[audit.Action(m[1])] = code{audit.Action(m[1]), m[2], m[3]}
	}
	if diff := cmp.Diff(codesByAction(), documented); diff != "" {
		t.Errorf("actions with a code (-code +document):\n%s", diff)
	}
	var left []audit.Action
	for line := range strings.Lines(without) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(line, "| `") {
			for name := range strings.SplitSeq(cell, ", ") {
				left = append(left, audit.Action(strings.Trim(name, "`")))
			}
		}
	}
	for _, a := range audit.Actions() {
		if _, known := documented[a]; known == slices.Contains(left, a) {
			t.Errorf("%s must be in one of the two tables of docs/events/audit-mapping.md", a)
		}
	}
}

func TestRefusedIsNotShown(t *testing.T) {
	for _, tt := range []struct {
		entry audit.Entry
		want  bool
	}{
		{audit.Entry{Action: audit.UserSuspend, Outcome: audit.Done}, true},
		{audit.Entry{Action: audit.UserSuspend, Outcome: audit.Refused}, false},
		{audit.Entry{Action: audit.TokenIssue, Outcome: audit.Done}, false},
	} {
		if got := shown(tt.entry); got != tt.want {
			t.Errorf("%+v is shown: %t", tt.entry, got)
		}
	}
}
