package signals

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestSamples reads every event of the third-party collection that is kept beside the repository.
func TestSamples(t *testing.T) {
	for source, want := range map[string]struct{ events, signIns int }{
		OnePassword: {6, 2}, Okta: {100, 13}, OneLogin: {26, 9},
	} {
		t.Run(source, func(t *testing.T) {
			events := samples(t, map[string]string{OnePassword: "onepassword"}[source], source)
			d, err := NewDecoder(source)
			if err != nil {
				t.Fatal(err)
			}
			signIns := 0
			for i, raw := range events {
				e, err := d.Decode(raw)
				switch {
				case err != nil:
					t.Errorf("event %d: %v\n%s", i+1, err, raw)
					continue
				case e.SignIn():
					signIns++
				}
				if e.Source != source || e.SourceID == "" || e.Raw != string(raw) {
					t.Errorf("event %d: source %q, id %q, raw kept %v", i+1, e.Source, e.SourceID, e.Raw == string(raw))
				}
				if e.Class != ClassBase && e.User.Empty() && e.Src.IP == "" {
					t.Errorf("event %d has a class, but neither a user nor an address:\n%s", i+1, raw)
				}
			}
			if len(events) != want.events || signIns != want.signIns {
				t.Errorf("%d events, %d of them sign-ins; want %d and %d", len(events), signIns, want.events, want.signIns)
			}
		})
	}
}

// samples are the events of a file of the collection.
func samples(t *testing.T, file, source string) (out [][]byte) {
	t.Helper()
	if file == "" {
		file = source
	}
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "signin-events", file+".jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the collection of sign-in events is not beside this repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // was only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Event json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		out = append(out, line.Event)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
