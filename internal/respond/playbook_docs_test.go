package respond

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPlaybookDocument holds the page about playbooks against the parser: whole playbooks are read and their tests run,
// parts are read within a small one, and all names and shipped playbooks are there.
func TestPlaybookDocument(t *testing.T) {
	const file = "../../docs/response/playbooks.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	schema, _ := playbookSchema(t)
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	if len(blocks) < 4 {
		t.Errorf("%d blocks of yaml; the expression that finds them must have gone wrong", len(blocks))
	}
	for i, b := range blocks {
		yaml := b[1]
		if !strings.HasPrefix(yaml, "apiVersion:") {
			yaml += "apiVersion: holdfast/v1\nkind: Playbook\nmetadata: {name: part}\nmode: observe\non: [mfa_fatigue]\n"
			if !strings.Contains("\n"+b[1], "\ndo:") {
				yaml += "do: [{suspend: {}}]\n"
			}
		}
		all, err := ParsePlaybooks(fmt.Sprintf("block %d", i+1), []byte(yaml))
		if err != nil {
			t.Error(err)
		}
		if err := validate(t, schema, yaml); err != nil {
			t.Errorf("block %d: %v", i+1, err)
		}
		if err := CheckPlaybooks(all, Known{Rules: knownRules(t)}); err != nil {
			t.Error(err)
		}
		for _, p := range all {
			for _, r := range RunTests(p) {
				if r.Fault != "" {
					t.Errorf("%s:%d: %s: %s", p.File, r.Line, r.Name, r.Fault)
				}
			}
		}
	}
	for _, n := range ExpressionNames() {
		if !strings.HasPrefix(n.Name, "state.") && !strings.Contains(text, "`"+n.Name+"`") {
			t.Errorf("%s does not name %s", file, n.Name)
		}
	}
	for _, name := range functionNames() {
		if !regexp.MustCompile("`" + name + "[`(]").MatchString(text) {
			t.Errorf("%s does not name the function %s", file, name)
		}
	}
	for _, name := range stopping() {
		if !strings.Contains(text, "| `"+string(name)+"` |") {
			t.Errorf("%s does not have the check %s", file, name)
		}
	}
	for _, p := range shippedPlaybooks(t) {
		row := "| `" + p.Name + "` | "
		if len(p.On.Levels) == 0 {
			row += "`" + strings.Join(p.On.Rules, "`, `") + "` |"
		}
		if !strings.Contains(text, row) {
			t.Errorf("%s does not have the row %s", file, row)
		}
	}
}
