package repo_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"holdfast/internal/store/storetest"
)

// TestWithPostgres: the command has a server that works, its exit status is handed on, and the server
// is gone afterwards, whether the command ended by itself or by a signal.
func TestWithPostgres(t *testing.T) {
	_, err := exec.LookPath("initdb")
	servers, errGlob := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if errGlob != nil {
		t.Fatal(errGlob)
	}
	storetest.Require(t, "postgres", err == nil || len(servers) > 0, "install PostgreSQL, or run make test, which does")
	tests := []struct {
		name    string
		command string
		signal  syscall.Signal // sent when the command has said that it runs
		status  int
	}{
		{name: "success", command: `echo "$TEST_POSTGRES"`},
		{name: "failure", command: `echo "$TEST_POSTGRES"; exit 7`, status: 7},
		{name: "interrupt", command: `echo "$TEST_POSTGRES"; exec sleep 60`, signal: syscall.SIGINT, status: 130},
		{name: "terminate", command: `echo "$TEST_POSTGRES"; exec sleep 60`, signal: syscall.SIGTERM, status: 143},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			said, goOn := filepath.Join(t.TempDir(), "url"), filepath.Join(t.TempDir(), "go-on")
			// The URL reaches the file whole, by renaming; then the command waits until the test has seen the server.
			command := `{ ` + strings.Replace(tt.command, `echo "$TEST_POSTGRES"`,
				`echo "$TEST_POSTGRES" >"$0.new"; mv "$0.new" "$0"; while [ ! -e "$1" ]; do sleep 0.05; done`, 1) + `; }`
			cmd := exec.CommandContext(ctx, "scripts/with-postgres.sh", "bash", "-c", command, said, goOn)
			out := &strings.Builder{}
			cmd.Stdout, cmd.Stderr = out, out
			cmd.WaitDelay = 5 * time.Second
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			url := waitForFile(ctx, t, said)
			if err := ping(ctx, url); err != nil {
				t.Errorf("while the command runs: %v", err)
			}
			if err := os.WriteFile(goOn, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.signal != 0 {
				if err := cmd.Process.Signal(tt.signal); err != nil {
					t.Fatal(err)
				}
			}
			err := cmd.Wait()
			if got := exitStatus(err); got != tt.status {
				t.Errorf("exit status = %d (%v), want %d; output:\n%s", got, err, tt.status, out)
			}
			if err := ping(ctx, url); err == nil {
				t.Errorf("the server of %s runs although the command has ended", url)
			}
		})
	}
}

func waitForFile(ctx context.Context, t *testing.T, file string) string {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(file)
		if err == nil {
			return strings.TrimSpace(string(text))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%v: %v", ctx.Err(), err)
		}
	}
}

func ping(ctx context.Context, url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	return errors.Join(db.PingContext(ctx), db.Close())
}

func exitStatus(err error) int {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// script runs a script of the repository and returns what it prints. Programs take precedence over
// those of the machine; each is a bash script.
func script(t *testing.T, dir, name string, env []string, programs map[string]string, args ...string) (out string, status int) {
	t.Helper()
	bin := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/usr/bin/env bash\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, name), args...)
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "CI=")
	cmd.Env = append(cmd.Env, env...)
	text, err := cmd.CombinedOutput()
	return string(text), exitStatus(err)
}

// copyTo copies files of the repository into a folder, with their modes.
func copyTo(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(text), info.Mode())
	}
}

func writeFile(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return lines[len(lines)-1]
}

// TestCheckScript: a finding fails, and the data of govulncheck is the one thing that may be missing.
func TestCheckScript(t *testing.T) {
	tests := []struct {
		name     string
		goTool   string // what stands in for go does, by its arguments
		contains string
		last     string
		status   int
	}{
		{"all-well", "", "ok    govulncheck", "make check: all passed", 0},
		{"not-formatted", "", "not formatted; run: gofmt -w on them", "make check: 1 failed", 1},
		{"no-git", "", "FAIL  scripts", "make check: 2 failed", 1},
		{"vet-finds", `[ "$1" != vet ] || { echo "a.go:1: wrong"; exit 1; }`, "FAIL  vet", "make check: 1 failed", 1},
		{"vulnerable", `case $* in *govulncheck*) echo "Vulnerability #1"; exit 3 ;; esac`, "Vulnerability #1", "make check: 1 failed", 1},
		{
			"data-out-of-reach", `case $* in *govulncheck*) echo "govulncheck: fetching vulnerabilities: no such host"; exit 1 ;; esac`,
			"not checked, since the vulnerability data cannot be reached: no such host", "make check: all passed", 0,
		},
		{"does-not-load", `case $* in *govulncheck*) echo "govulncheck: loading packages: syntax error"; exit 1 ;; esac`, "loading packages: syntax error", "make check: 1 failed", 1},
		{
			"two-fail", `case $* in *staticcheck*) exit 1 ;; "mod tidy -diff") echo "-require x"; exit 1 ;; esac`,
			"go.mod or go.sum is not tidy; run: go mod tidy", "make check: 2 failed", 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			programs := map[string]string{"go": tt.goTool + "\nexit 0\n", "gofmt": "exit 0\n"}
			switch tt.name {
			case "not-formatted":
				programs["gofmt"] = "echo a.go\n"
			case "no-git":
				programs["git"] = "echo no repository; exit 128\n"
			}
			out, status := script(t, ".", "scripts/check.sh", nil, programs)
			if status != tt.status || lastLine(out) != tt.last || !strings.Contains(out, tt.contains) {
				t.Errorf("exit status %d, want %d; last line wanted %q; %q wanted in:\n%s", status, tt.status, tt.last, tt.contains, out)
			}
		})
	}
}

// TestTestScript runs make test's script on small modules and reads its counts.
func TestTestScript(t *testing.T) {
	const pass = "func TestPass(t *testing.T) { t.Run(`sub \"quoted\"`, func(t *testing.T) {}) }\n"
	tests := []struct {
		name   string
		code   string
		ci     bool
		lacks  bool // npm ci fails
		last   string
		status int
	}{
		{name: "pass", code: pass, ci: true, last: "2 passed, 0 failed"},
		{name: "fail", code: pass + "func TestFail(t *testing.T) { t.Fatal(1) }\n", last: "2 passed, 1 failed", status: 1},
		{name: "skip", code: pass + "func TestSkip(t *testing.T) { t.Skip(`no part`) }\n", last: "2 passed, 0 failed, 1 skipped"},
		{name: "skip-in-ci", code: pass + "func TestSkip(t *testing.T) { t.Skip(`no part`) }\n", ci: true, last: "2 passed, 1 failed", status: 1},
		{name: "no-test", code: "", last: "0 passed, 1 failed", status: 1},
		{name: "does-not-compile", code: "func x() { y() }\n", last: "0 passed, 1 failed", status: 1},
		{name: "exits", code: "func TestExit(t *testing.T) { os.Exit(5) }\n", last: "0 passed, 1 failed", status: 1},
		{name: "lacks", code: pass, lacks: true, last: "2 passed, 0 failed"},
		{name: "lacks-in-ci", code: pass, lacks: true, ci: true, last: "2 passed, 1 failed", status: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyTo(t, dir, "scripts/lib.sh", "scripts/test.sh", "tools.mod", "tools.sum")
			writeFile(t, filepath.Join(dir, "go.mod"), "module sample\n\ngo 1.26\n", 0o600)
			writeFile(t, filepath.Join(dir, "a_test.go"), "package sample\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _, _ = os.Exit, testing.Short\n\n"+tt.code, 0o600)
			npm := "mkdir node_modules\n"
			if tt.lacks {
				npm = "echo no such package; exit 1\n"
			}
			writeFile(t, filepath.Join(dir, "test/clients/package-lock.json"), "{}\n", 0o600)
			writeFile(t, filepath.Join(dir, "test/clients/package.json"), `{"engines": {"node": ">=1"}}`, 0o600)
			programs := map[string]string{"chromium": "", "curl": "", "npm": npm, "node": "", "apt-get": "exit 1\n"}
			env := []string{"TEST_POSTGRES=postgres://127.0.0.1:1/unused"}
			if tt.ci {
				env = append(env, "CI=true")
			}
			out, status := script(t, dir, "scripts/test.sh", env, programs)
			if status != tt.status || lastLine(out) != tt.last {
				t.Errorf("exit status %d, want %d; last line wanted %q; output:\n%s", status, tt.status, tt.last, out)
			}
			if missing := strings.Contains(out, "npm: npm ci failed"); missing != tt.lacks {
				t.Errorf("tells that npm ci failed: %v, want %v:\n%s", missing, tt.lacks, out)
			}
			counts, err := os.ReadFile(filepath.Join(dir, "_artifacts/test-result"))
			if err != nil || strings.TrimSpace(string(counts)) != tt.last {
				t.Errorf("counts left for CI = %q, %v, want %q", counts, err, tt.last)
			}
		})
	}
}

// TestCI: both targets are run, whatever the first one says, and the last line cannot be mistaken.
func TestCI(t *testing.T) {
	tests := []struct {
		name   string
		make   string
		last   string
		status int
	}{
		{"pass", `[ $2 = check ] || echo "12 passed, 0 failed" >_artifacts/test-result`, "12 passed, 0 failed", 0},
		{"test-fails", `[ $2 = check ] || { echo "12 passed, 3 failed" >_artifacts/test-result; exit 2; }`, "12 passed, 3 failed", 1},
		{"only-check-fails", `[ $2 = test ] || exit 2`, "0 passed, 1 failed", 1},
		{"check-fails", `if [ $2 = check ]; then exit 2; fi; echo "12 passed, 0 failed" >_artifacts/test-result`, "12 passed, 1 failed", 1},
		{"test-cannot-start", `[ $2 = check ] || exit 69`, "0 passed, 1 failed", 1},
		{"nothing-ran", ``, "0 passed, 1 failed", 1},
		{"skipped", `[ $2 = check ] || echo "12 passed, 0 failed, 4 skipped" >_artifacts/test-result`, "12 passed, 0 failed", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyTo(t, dir, ".ci/run")
			writeFile(t, filepath.Join(dir, "_artifacts/test-result"), "99 passed, 0 failed\n", 0o600) // of an earlier run
			out, status := script(t, dir, ".ci/run", nil, map[string]string{"make": "echo ran $2\n" + tt.make + "\nexit 0\n"})
			if status != tt.status || lastLine(out) != tt.last {
				t.Errorf("exit status %d, want %d; last line wanted %q; output:\n%s", status, tt.status, tt.last, out)
			}
			if !strings.Contains(out, "ran check\n") || !strings.Contains(out, "ran test\n") {
				t.Errorf("not both targets were run:\n%s", out)
			}
		})
	}
}
