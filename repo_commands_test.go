package repo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCommands runs the commands of README.md and of the documents below docs/, as a reader would.
//
// The blocks of a document whose language is sh run in their order in one bash, in an empty folder
// with a HOME of its own. The first command that fails ends it, and is named by its line in the
// document. In a block "sh background" is one command that goes on serving: it runs beside the ones that
// follow, which wait until its /readyz answers 200; it is stopped when another one begins on its port,
// or at the end.
//
// What differs from a reader's terminal: `go run ./cmd/holdfast` is a binary that was built before, and
// the ports 8080 to 8089 are free ones.
func TestCommands(t *testing.T) {
	repo := openTree(t, ".")
	var documents []string
	for _, p := range repo.paths {
		if isDocument(p) && slices.ContainsFunc(blocks(repo, p), block.runs) {
			documents = append(documents, p)
		}
	}
	if len(documents) == 0 {
		t.Fatal("no document has a block of language sh; README.md must show how to start")
	}
	binary := buildBinary(t, "./cmd/holdfast")
	for _, p := range documents {
		t.Run(p, func(t *testing.T) {
			out, err := runDocument(t, repo, p, binary, commandLimits{total: 3 * time.Minute, ready: 30 * time.Second})
			if err != nil {
				t.Errorf("%v; the commands printed:\n%s", err, out)
			}
		})
	}
}

// TestCommandsHarness shows on documents of its own that commands share one session, that each way to
// fail is told with its line, and that nothing is left running.
func TestCommandsHarness(t *testing.T) {
	samples := newTree(os.DirFS("testdata/commands"))
	binary := buildBinary(t, "./testdata/commands/holdfast")
	tests := []struct {
		name   string
		limits commandLimits
		want   []string // in the output, in this order
		fails  string   // in the error; empty: it must not fail
	}{
		{name: "good.md", want: []string{"first\n", "hello Mira\n", "second server\n", "done in work\n"}},
		{name: "fails.md", want: []string{"before\n", "fails.md: line 6: exit status 3: holdfast fail"}, fails: "exit status 3"},
		{name: "pipe.md", want: []string{"pipe.md: line 4: exit status 3: "}, fails: "exit status 3"},
		{name: "unset.md", want: []string{"line 4", "nobody_set_this: unbound variable"}, fails: "exit status"},
		{name: "dies.md", want: []string{"dies.md: line 5: the command ended before it was ready", "cannot serve"}, fails: "exit status 1"},
		{name: "unready.md", limits: commandLimits{ready: time.Second}, want: []string{"unready.md: line 5: /readyz did not answer 200 in time"}, fails: "exit status 1"},
		{name: "hangs.md", limits: commandLimits{total: 2 * time.Second}, want: []string{"before\n"}, fails: "hangs.md: not done after 2s"},
		{name: "ends-badly.md", want: []string{"served\n", "ends-badly.md: the command of line 4 ended with exit status 4 when it was stopped"}, fails: "exit status 1"},
	}
	for _, tt := range tests {
		t.Run(strings.TrimSuffix(tt.name, ".md"), func(t *testing.T) {
			t.Parallel()
			limits := commandLimits{total: time.Minute, ready: 20 * time.Second}
			if tt.limits.total > 0 {
				limits.total = tt.limits.total
			}
			if tt.limits.ready > 0 {
				limits.ready = tt.limits.ready
			}
			out, err := runDocument(t, samples, tt.name, binary, limits)
			if got := fmt.Sprint(err); (err != nil) != (tt.fails != "") || !strings.Contains(got, tt.fails) {
				t.Errorf("error = %q, want %q in it", got, tt.fails)
			}
			rest := out
			for _, want := range tt.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("output is without %q, or not in this order:\n%s", want, out)
				}
				rest = after
			}
			for pid := range strings.FieldsSeq(firstSubmatches(`pid (\d+)`, out)) {
				if alive(pid) {
					t.Errorf("process %s was left running", pid)
				}
			}
		})
	}
}

func firstSubmatches(pattern, text string) string {
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return strings.Join(all, " ")
}

// alive reports whether a process runs; one that ended and was not waited for does not.
func alive(pid string) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", pid).Output()
	state := strings.TrimSpace(string(out))
	return err == nil && state != "" && !strings.HasPrefix(state, "Z")
}

type commandLimits struct {
	total time.Duration // for a document
	ready time.Duration // for one server to answer
}

func (b block) runs() bool { return b.info == "sh" || b.background() }

func (b block) background() bool { return b.info == "sh background" }

func buildBinary(t *testing.T, pkg string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "holdfast")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, pkg).CombinedOutput()
	if err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return binary
}

// runDocument runs the blocks of a document and returns what they print, and why they failed.
func runDocument(t *testing.T, r *tree, document, binary string, limits commandLimits) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	work, home, harness := filepath.Join(dir, "work"), filepath.Join(dir, "home"), filepath.Join(dir, "harness")
	for _, d := range []string{work, home, harness} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary, filepath.Join(work, "holdfast")); err != nil {
		t.Fatal(err)
	}
	ports := map[string]string{}
	script := filepath.Join(harness, filepath.Base(document))
	for file, text := range map[string]string{
		script:                               documentScript(r, document, func(port string) string { return freePort(t, ports, port) }),
		filepath.Join(harness, "prelude.sh"): commandsPrelude,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(harness, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()

	ctx, cancel := context.WithTimeoutCause(t.Context(), limits.total, fmt.Errorf("%s: not done after %s", document, limits.total))
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", script)
	cmd.Dir = work
	cmd.Env = []string{
		"PATH=" + work + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + dir, "LANG=C.UTF-8",
		"HARNESS=" + harness, fmt.Sprintf("HARNESS_READY=%d", int(limits.ready.Seconds())),
		"HOLDFAST_LISTEN_API=127.0.0.1:" + freePort(t, ports, "8080"), "HOLDFAST_LISTEN_OPS=127.0.0.1:" + freePort(t, ports, "8081"),
	}
	cmd.Stdout, cmd.Stderr = log, log // a file: nothing that outlives bash keeps Wait from returning
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // usually there is nobody left, which is an error
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	text, errRead := os.ReadFile(log.Name())
	return strings.ReplaceAll(string(text), harness+string(filepath.Separator), ""), errors.Join(err, errRead)
}

var (
	goRun       = regexp.MustCompile(`\bgo run \./cmd/holdfast\b`)
	usualPort   = regexp.MustCompile(`\b808[0-9]\b`)
	listenFlag  = regexp.MustCompile(`--listen[ =]\S*:(\d+)`)
	serves      = regexp.MustCompile(`\bholdfast(\s+\S+)*?\s+(serve|demo)\b`)
	lineComment = regexp.MustCompile(`\s#\s.*$`)
)

// documentScript is the document as a program for bash. A line of the program is the line of the
// document, or empty, so that what bash says about lines holds for the document.
func documentScript(r *tree, document string, port func(string) string) string {
	var lines []string
	set := func(n int, text string) {
		for len(lines) < n {
			lines = append(lines, "")
		}
		lines[n-1] += text
	}
	set(1, `. "$HARNESS/prelude.sh"; `) // line 1 holds no command: it is text or a fence
	for _, b := range blocks(r, document) {
		if !b.runs() {
			continue
		}
		code := make([]string, len(b.code))
		for i, line := range b.code {
			line = goRun.ReplaceAllString(line, "holdfast")
			code[i] = usualPort.ReplaceAllStringFunc(line, port)
		}
		if b.background() {
			last := len(code) - 1
			for last > 0 && strings.TrimSpace(code[last]) == "" {
				last--
			}
			begins, served := b.line+1, port("8080")
			if commands := commandLines(b); len(commands) > 0 {
				begins += commands[0]
			}
			text := strings.Join(code, "\n")
			if m := listenFlag.FindStringSubmatch(text); m != nil {
				served = m[1]
			}
			code[last] = lineComment.ReplaceAllString(code[last], "")
			if serves.MatchString(text) && !strings.Contains(text, "--listen") {
				code[last] += " --listen 127.0.0.1:" + served // its default may be a port that is taken
			}
			code[last] += fmt.Sprintf(` >"$HARNESS/%d.log" 2>&1 &`, begins)
			set(b.line, "harness_free "+served)
			set(b.line+len(code)+1, fmt.Sprintf("harness_ready $! %s %d", served, begins))
		}
		for i, line := range code {
			set(b.line+1+i, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// freePort is a free loopback port that stands for the usual one in this document.
func freePort(t *testing.T, ports map[string]string, usual string) string {
	t.Helper()
	if p, ok := ports[usual]; ok {
		return p
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, p, err := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	ports[usual] = p
	return p
}

// commandsPrelude is what the program of a document begins with. HARNESS is a folder for its logs,
// HARNESS_READY the seconds that a server has to get ready.
const commandsPrelude = `
set -Eeuo pipefail
harness_name=${0##*/}
harness_pids=
trap 'harness_status=$?; echo "$harness_name: line $LINENO: exit status $harness_status: $BASH_COMMAND"; exit $harness_status' ERR
trap harness_end EXIT

# harness_ready PID PORT LINE waits until the server that was just started answers.
harness_ready() {
  local answer began=$SECONDS
  harness_pids="$harness_pids $1"
  eval "harness_pid_$2=$1 harness_line_$1=$3"
  while kill -0 "$1" 2>/dev/null; do
    answer=$( (exec 3<>"/dev/tcp/127.0.0.1/$2" && printf 'GET /readyz HTTP/1.0\r\nHost: 127.0.0.1:%s\r\n\r\n' "$2" >&3 && head -n 1 <&3) 2>/dev/null) || answer=
    case $answer in *' 200 '*) return 0 ;; esac
    if ((SECONDS - began > HARNESS_READY)); then
      echo "$harness_name: line $3: /readyz did not answer 200 in time"
      exit 1
    fi
    sleep 0.1
  done
  harness_pids=${harness_pids% "$1"}
  echo "$harness_name: line $3: the command ended before it was ready; it printed:"
  cat "$HARNESS/$3.log"
  exit 1
}

# harness_free PORT stops what an earlier block started there.
harness_free() {
  local pid="harness_pid_$1"
  [ -z "${!pid:-}" ] || harness_stop "${!pid}"
}

# harness_stop PID ends one, which must end well: with status 0, or by the signal if it does not handle it.
harness_stop() {
  local status=0 line="harness_line_$1"
  case " $harness_pids " in *" $1 "*) ;; *) return 0 ;; esac
  harness_pids=" $harness_pids "
  harness_pids=${harness_pids/ $1 / }
  kill -TERM "$1" 2>/dev/null || true
  wait "$1" || status=$?
  cat "$HARNESS/${!line}.log"
  if [ "$status" -ne 0 ] && [ "$status" -ne 143 ]; then
    echo "$harness_name: the command of line ${!line} ended with exit status $status when it was stopped"
    return 1
  fi
}

harness_end() {
  local status=$? pid
  trap - ERR EXIT
  set +e
  for pid in $harness_pids; do
    harness_stop "$pid" || status=1
  done
  exit "$status"
}
`
