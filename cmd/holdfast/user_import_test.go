package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newAccount makes a data folder with an account.
func newAccount(t *testing.T) (data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	must(t, "--data", data, "account", "create", "--name", "Harbour", "--owner-email", "ines@example.org", "--owner-name", "Ines Marques")
	return data
}

func countUsers(t *testing.T, data string) int {
	t.Helper()
	return len(must(t, "--data", data, "user", "list")["results"].([]any))
}

// trap is input that is stopped from outside at its end, or never ends.
type trap struct {
	io.Reader
	atEnd func()
}

func (r *trap) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.atEnd()
	}
	return n, err
}

// TestImportInterrupted stops an import while it reads, while nothing comes, and after the last line:
// nobody is imported.
func TestImportInterrupted(t *testing.T) {
	people := "email,name\n" + strings.Repeat("x,y\n", 3000) + "mira@example.org,Mira\n"
	tests := map[string]func(stop func()) io.Reader{
		"reading":    func(stop func()) io.Reader { stop(); return strings.NewReader(people) },
		"at_the_end": func(stop func()) io.Reader { return &trap{strings.NewReader(people), stop} },
		"waiting": func(stop func()) io.Reader {
			r, _ := io.Pipe() // nothing is ever written
			time.AfterFunc(50*time.Millisecond, stop)
			return r
		},
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			data := newAccount(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var out, errs output
			code := run(ctx, []string{"--data", data, "user", "import", "-", "--skip-refused"}, stdio{in: in(stop), out: &out, err: &errs})
			if code != exitInterrupted || out.String() != "" || !strings.Contains(errs.String(), "interrupted: standard input: nothing was imported") {
				t.Errorf("exit code %d: %s%s", code, out.String(), errs.String())
			}
			if n := countUsers(t, data); n != 1 {
				t.Errorf("%d people after an import that was stopped", n)
			}
		})
	}
}

// TestImportTwice imports a file that was imported already: each line is named, blank ones counted, and
// nobody is there twice.
func TestImportTwice(t *testing.T) {
	data := newAccount(t)
	file := filepath.Join(t.TempDir(), "people.csv")
	var b strings.Builder
	b.WriteString("email,name\n")
	for range 3 {
		b.WriteString("\n") // blank lines count
	}
	b.WriteString("mira@example.org,Mira\n")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if m := must(t, "--data", data, "user", "import", file); m["imported"] != 1.0 {
		t.Errorf("imported %v", m)
	}
	code, _, errs := holdfast(t, "--data", data, "user", "import", file)
	if code != exitRefused || !strings.Contains(errs, file+":5: the account already has a person") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if n := countUsers(t, data); n != 2 {
		t.Errorf("%d people", n)
	}
}

func TestImportReportPath(t *testing.T) {
	data := newAccount(t)
	file := filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(file, []byte("email,name\nmira@example.org,Mira\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A report that cannot be written shows before the import, not after.
	code, _, errs := holdfast(t, "--data", data, "user", "import", file, "--report", filepath.Join(data, "no", "such", "folder"))
	if code != exitFailed || !strings.Contains(errs, "write report") || countUsers(t, data) != 1 {
		t.Errorf("exit code %d: %s", code, errs)
	}
	code, _, errs = holdfast(t, "--data", data, "user", "import", filepath.Dir(file))
	if code != exitFailed || !strings.Contains(errs, "is a folder") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
