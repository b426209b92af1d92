package signals

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden decodes the events that we made up per source; the golden file lists the fields that come
// out, as rules see them.
func TestGolden(t *testing.T) {
	for _, d := range Decoders() {
		t.Run(d.Name(), func(t *testing.T) {
			in, err := os.ReadFile(filepath.Join("testdata", d.Name()+".events"))
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for e, bad := range Read(bytes.NewReader(in), d) {
				if bad != nil {
					fmt.Fprintf(&got, "refused: %v\n\n", bad)
					continue
				}
				got.WriteString(dump(&e) + "\n")
			}
			file := filepath.Join("testdata", d.Name()+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("fields (-golden +now):\n%s", diff)
			}
		})
	}
}

// dump lists the fields of an event that say something, one a line.
func dump(e *Event) string {
	var b strings.Builder
	v := View{Event: e}
	for _, name := range FieldNames() {
		switch name {
		case "category_uid", "type_uid", "metadata.product.name", "metadata.product.vendor_name", "metadata.log_provider":
			continue // follow from the others
		}
		get, _ := OCSFField(name)
		for _, value := range get(&v, nil) {
			if strings.HasSuffix(name, "_id") && value == "0" {
				continue
			}
			fmt.Fprintf(&b, "%-38s %s\n", name, value)
		}
	}
	for _, a := range e.Verdicts {
		fmt.Fprintf(&b, "%-38s %s\n", enrichment+a.Name, a.Value)
	}
	for _, a := range e.Unmapped {
		fmt.Fprintf(&b, "%-38s %s\n", "unmapped: "+a.Name, a.Value)
	}
	return b.String()
}
