package respond

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/jsonschema/v6"
	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"holdfast/internal/detect"
)

var update = flag.Bool("update", false, "write what is found into testdata/refused.txtar; read the difference before it is committed")

const schemaFile = "../../docs/response/playbook.schema.json"

func playbookSchema(t *testing.T) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("playbook.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("playbook.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	tree, _ := doc.(map[string]any)
	return schema, tree
}

// validate holds all documents of a text against the schema.
func validate(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var doc any
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		asJSON, err := json.Marshal(plainTimes(doc)) // so that numbers are those of JSON
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			return err
		}
	}
}

// plainTimes makes texts of what the YAML library takes for times.
func plainTimes(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = plainTimes(x)
		}
	case []any:
		for i, x := range v {
			v[i] = plainTimes(x)
		}
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return v
}

// TestRefused parses each case of testdata/refused.txtar and compares the faults. The first line of a case's faults says
// whether the schema refuses it as well: it cannot where expressions, the order of steps or other places in the document
// matter.
func TestRefused(t *testing.T) {
	const file = "testdata/refused.txtar"
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	schema, _ := playbookSchema(t)
	for i := 0; i+1 < len(archive.Files); i += 2 {
		playbook, want := string(archive.Files[i].Data), &archive.Files[i+1]
		name := strings.TrimSuffix(archive.Files[i].Name, ".yml")
		if want.Name != name+".faults" {
			t.Fatalf("%s: behind %s must be %s.faults, not %s", file, archive.Files[i].Name, name, want.Name)
		}
		t.Run(name, func(t *testing.T) {
			text := playbook
			if !strings.HasPrefix(text, "# whole\n") {
				text += "apiVersion: holdfast/v1\nkind: Playbook\nmetadata: {name: x}\n"
				for key, value := range map[string]string{"mode": "observe", "on": "[mfa_fatigue]", "do": "[{suspend: {}}]"} {
					if !strings.Contains("\n"+playbook, "\n"+key+":") {
						text += key + ": " + value + "\n"
					}
				}
			}
			all, err := ParsePlaybooks("p", []byte(text))
			faults, ok := errors.AsType[detect.Faults](err)
			if !ok {
				t.Fatalf("%d playbooks, err %v; it should be refused", len(all), err)
			}
			got := "the schema refuses it\n"
			if validate(t, schema, text) == nil {
				got = "the schema cannot tell\n"
			}
			for _, f := range faults {
				got += strings.TrimPrefix(f.String(), "p:") + "\n"
			}
			if *update {
				want.Data = []byte(got)
				return
			}
			if diff := cmp.Diff(string(want.Data), got); diff != "" {
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

// TestSchema holds that the schema accepts what the parser accepts, and knows the same names.
func TestSchema(t *testing.T) {
	schema, tree := playbookSchema(t)
	if err := validate(t, schema, everyKey); err != nil {
		t.Errorf("the example with all keys: %v", err)
	}
	files, err := fs.Glob(shipped, "playbooks/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(shipped, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schema, string(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	defs, _ := tree["$defs"].(map[string]any)
	properties := func(def string) []string {
		of, _ := defs[def].(map[string]any)
		if both, ok := of["oneOf"].([]any); ok { // "nobody", or facts
			of, _ = both[len(both)-1].(map[string]any)
		}
		p, _ := of["properties"].(map[string]any)
		return slices.Sorted(maps.Keys(p))
	}
	for root, names := range map[string][]string{
		"finding": slices.Sorted(maps.Keys(caseTypes("finding", "time", "last"))), "event": slices.Sorted(maps.Keys(caseTypes("event"))),
		"user": slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(caseTypes("user", "matched"))), "last_owner"))), "state": slices.Sorted(maps.Keys(caseTypes("state"))),
	} {
		if diff := cmp.Diff(names, properties(root)); diff != "" {
			t.Errorf("names of %s in the schema (-parser +schema):\n%s", root, diff)
		}
	}
	notify, _ := defs["notify"].(map[string]any)
	props, _ := notify["properties"].(map[string]any)
	template, _ := props["template"].(map[string]any)
	var templates []string
	list, _ := template["enum"].([]any)
	for _, x := range list {
		name, _ := x.(string)
		templates = append(templates, name)
	}
	if diff := cmp.Diff(playbookTemplates(), templates); diff != "" {
		t.Errorf("templates in the schema (-parser +schema):\n%s", diff)
	}
}
