package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// completionCases are command lines and what can follow; the last word is the one to complete.
var completionCases = []struct {
	name  string
	words []string
	want  string
}{
	{"commands", []string{""}, "account app audit bench case channel completion demo doctor events events-token firewall group guard migrate playbook rule rule-list serve source target user version"},
	{"beginning", []string{"de"}, "demo"},
	{"subcommands", []string{"user", "re"}, "reactivate remove"},
	{"flags", []string{"app", "rotate", "--o"}, "--overlap"},
	{"flags_of_every_command", []string{"user", "list", "--da"}, "--data"},
	{"values", []string{"user", "list", "--state", ""}, "active any suspended"},
	{"value_begun", []string{"user", "list", "--state", "s"}, "suspended"},
	{"value_of_words", []string{"app", "create", "--name", "x", "--scope", "su"}, "suspend_users"},
	{"after_a_flag_with_value", []string{"--data", "user", "group", "c"}, "create"},
	{"after_a_flag_without_value", []string{"user", "--help", "l"}, "link list"},
	{"subcommands_of_subcommands", []string{"rule", "except", ""}, "add list remove"},
	{"levels", []string{"rule", "tune", "x", "--level", "h"}, "high"},
	{"argument", []string{"completion", ""}, "bash fish zsh"},
	{"file", []string{"user", "import", "peop"}, "people.csv"},
	{"file_of_a_flag", []string{"user", "import", "people.csv", "--report", "peop"}, "people.csv"},
	{"nothing_known", []string{"user", "show", "x"}, ""},
	{"no_such_flag", []string{"user", "show", "--q"}, ""},
}

// complete runs each case in a shell and compares.
func complete(t *testing.T, shell string, command func(dir string, words []string) []string) {
	t.Helper()
	code, script, errs := holdfast(t, "completion", shell)
	if code != exitDone || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"completion": script, "people.csv": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range completionCases {
		t.Run(tt.name, func(t *testing.T) {
			args := command(dir, append([]string{"holdfast"}, tt.words...))
			cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			words := strings.Fields(string(out))
			if diff := cmp.Diff(tt.want, strings.Join(words, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompletionBash(t *testing.T) {
	// Set up what bash itself sets up before it calls the function.
	const try = `source completion
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_holdfast
printf '%s\n' "${COMPREPLY[@]}" | sort`
	complete(t, "bash", func(_ string, words []string) []string {
		return append([]string{"bash", "--norc", "--noprofile", "-c", try, "bash"}, words...)
	})
	// Bash cuts words at "=".
	for _, words := range [][]string{{"--state", "=", "s"}, {"--state=s"}} {
		t.Run("equals", func(t *testing.T) {
			_, script, _ := holdfast(t, "completion", "bash")
			args := append([]string{"-c", script + strings.TrimPrefix(try, "source completion"), "bash", "holdfast", "user", "list"}, words...)
			out, err := exec.CommandContext(t.Context(), "bash", args...).CombinedOutput()
			if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "suspended") {
				t.Errorf("%q: %v %s", words, err, out)
			}
		})
	}
}

// TestCompletionZsh replaces the parts of zsh that only work at its prompt. It runs where zsh is.
func TestCompletionZsh(t *testing.T) {
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Log("zsh is not here; its script was not run")
		return
	}
	const try = `compdef() { }
compset() { }
show() { print -l -- ${(M)@:#${words[CURRENT]}*} | sort }
_describe() { local list=${@[-1]}; show ${${(P)list}%%:*} }
compadd() { shift; show "$@" }
_files() { print -l -- ${words[CURRENT]}*(N) }
source ./completion
words=("$@")
CURRENT=$#
_holdfast || true`
	complete(t, "zsh", func(_ string, words []string) []string {
		return append([]string{"zsh", "-f", "-c", try, "zsh"}, words...)
	})
}

// TestCompletionFish asks fish itself. It runs where fish is.
func TestCompletionFish(t *testing.T) {
	if _, err := exec.LookPath("fish"); err != nil {
		t.Log("fish is not here; its script was not run")
		return
	}
	complete(t, "fish", func(dir string, words []string) []string {
		line := strings.Join(words, " ")
		return []string{"env", "HOME=" + dir, "fish", "--no-config", "-c", `source completion; complete -C "` + line + `" | cut -f1 | sort`}
	})
}
