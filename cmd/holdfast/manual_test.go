package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// update writes docs/operations/cli.md anew: go test ./cmd/holdfast -run TestManual -update
var update = flag.Bool("update", false, "write docs/operations/cli.md from the model of the command line")

const manualFile = "../../docs/operations/cli.md"

func testParser(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := newParser(t.Context(), &cli{}, stdio{out: io.Discard, err: io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// leaves are the commands that do something and are not hidden.
func leaves(app *kong.Application) []*kong.Node {
	return slices.DeleteFunc(app.Leaves(true), func(n *kong.Node) bool { return n.Type != kong.CommandNode })
}

func TestManual(t *testing.T) {
	want := manual(testParser(t).Model)
	if *update {
		if err := os.WriteFile(manualFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(manualFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/operations/cli.md does not say what the command line is; run: go test ./cmd/holdfast -run TestManual -update\n(-model +file):\n%s", diff)
	}
}

// TestLessons holds that every command teaches, and that nothing is taught of one that is not there.
func TestLessons(t *testing.T) {
	all := lessons()
	for _, n := range leaves(testParser(t).Model) {
		path := commandPath(n)
		l := all[path]
		if n.Help == "" || l.text == "" || len(l.examples) == 0 {
			t.Errorf("%s: a command needs a line of help, a text and an example; add it to lessons", path)
		}
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("%s --%s has no help", path, f.Name)
			}
		}
		delete(all, path)
	}
	for path := range all {
		t.Errorf("lessons has %q, which is no command", path)
	}
}

// TestExamples holds that each example is a command line that is understood, of the command it is an
// example of.
func TestExamples(t *testing.T) {
	for path, l := range lessons() {
		for _, example := range l.examples {
			args := shellWords(t, example)
			if args[0] != "holdfast" {
				t.Errorf("%s: %q does not begin with holdfast", path, example)
				continue
			}
			// What must exist to be parsed, such as the file of audit verify, is made.
			t.Chdir(t.TempDir())
			for _, arg := range args {
				if strings.HasSuffix(arg, ".jsonl") {
					if err := os.WriteFile(arg, nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, err := testParser(t).Parse(args[1:])
			if err != nil {
				t.Errorf("%s: %v", example, err)
				continue
			}
			if commandPath(got.Selected()) != path {
				t.Errorf("%q is an example of %q, not of %q", example, commandPath(got.Selected()), path)
			}
		}
	}
}

// shellWords cuts a line as a shell does, as far as examples need it: single quotes, and redirections,
// which are left out.
func shellWords(t *testing.T, line string) []string {
	t.Helper()
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	for i, w := range words {
		if w == ">" || w == "<" {
			return words[:i]
		}
	}
	return words
}

// TestJSONEverywhere holds that what prints something for programs has --json.
func TestJSONEverywhere(t *testing.T) {
	without := map[string]string{
		"serve": "logs", "audit export": "prints JSON anyway", "completion": "prints a script", "version": "prints a line",
	}
	for _, n := range leaves(testParser(t).Model) {
		path := commandPath(n)
		has := slices.ContainsFunc(n.Flags, func(f *kong.Flag) bool { return f.Name == "json" })
		if why, exempt := without[path]; has == exempt {
			t.Errorf("%s: --json is there: %v; exempt since it %q", path, has, why)
		}
	}
}

const manualIntro = `# Command line

<!-- Made from the program: go test ./cmd/holdfast -run TestManual -update -->

` + "`holdfast --help` lists the commands, `holdfast COMMAND --help` explains one with examples, `holdfast completion` lets your shell\ncomplete them. What most commands need is found by itself: the data folder `./holdfast-data`, and the account while there is only one." + `

Commands that make something where nothing is (` + "`serve`, `demo`, `account create`, `migrate`" + `) say so; all others refuse an empty
| ` + "`user link`" + ` | ` + "`id`, `setup_url`" + ` (one-time) |
folder, and change no tables. They may be used beside a running server, which heeds what they change from its next request on.

## Output

For people by default. With ` + "`--json`" + ` standard output has one JSON object on one line and nothing else; a list is its ` + "`results`" + `.
Errors, logs and progress go to standard error. Colours and progress bars are for terminals; ` + "`NO_COLOR`" + ` turns colours off.

| command | object |
|---|---|
| ` + "`account create`" + ` | ` + "`account_id`, `owner_id`, `setup_url`" + ` (one-time; empty with ` + "`--owner-password-stdin`" + `) |
| ` + "`app create`, `app rotate`" + ` | ` + "`account_id`, `client_id`, `client_secret` (shown this once), `scopes`, `token_url`, `users_url`" + ` |
| ` + "`app show`, `app revoke`" + ` | ` + "`account_id`, `client_id`, `name`, `description`, `redirect_url`, `scopes`, `state`, `create_time`, `created_by`, `secrets`, `last_use_time`, `revoke_time`" + ` |
| ` + "`events-token create`" + ` | ` + "`account_id`, `token_id`, `token` (shown this once), `features`, `base_url`, `expires_at` (left out: never)" + ` |
| ` + "`events-token revoke`" + ` | ` + "`account_id`, `token_id`, `name`, `features`, `state`, `create_time`, `created_by`, `expires_at`, `revoke_time`" + ` |
| ` + "`events-token rotate-key`" + ` | ` + "`key_id`, `revoked`" + ` |
| ` + "`user add`, `show`, `suspend`, `reactivate`, `remove`" + ` | the person as the Users API shows one |
| ` + "`user import`" + ` | ` + "`account_id`, `dry_run`, `lines`, `accepted`, `refused`, `imported`, `seconds`, `errors`" + ` (the first 100: ` + "`line`, `email`, `reason`" + `) |
| ` + "`group create`, `show`, `add`, `remove`" + ` | ` + "`account_id`, `group_id`, `name`, `kind`" + `, and people as ` + "`results`" + ` |
| ` + "`audit verify`, `doctor`" + ` | ` + "`ok`, `results`" + ` |
| ` + "`rule check`" + ` | ` + "`ok`, `rules`, `faults` (`file`, `line`, `column`, `text`), `warnings`" + ` |
| ` + "`rule test`" + ` | a line per finding: ` + "`rule`, `name`, `level`, `user`, `time`, `events`, `features`, `id`, `version`, `address`, `key`, `last`, `count`, `more_events`, `explain`" + `; with ` + "`--accuracy`" + ` one object |
| ` + "`demo`" + ` | ` + "`base_url`, `console_url`, `data_dir`, `account_id`, `client_id`, `client_secret`, `events_token`, `owner_email`, `owner_password`" + `, when it is ready |
| ` + "`demo --attack`" + ` | one object a line: ` + "`time`, `after_ms`, `kind`, `user`, `text`" + `; the last one is ` + "`kind` (`result`), `contained`, `wrongly_suspended`, `ms_to_contain`, `ms`" + ` |

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | the command line is wrong |
| 3 | refused: by policy, or because it conflicts with what is there, or lines of an import are refused |
| 4 | not found |
| 5 | a verification found something broken (` + "`audit verify`, `doctor`" + `) |
| 130 | interrupted by Ctrl-C or a signal; ` + "`serve` and `demo`" + ` end with 0 |
`

// manual is docs/operations/cli.md.
func manual(app *kong.Application) string {
	var b strings.Builder
	b.WriteString(manualIntro)
	b.WriteString("\n## Flags of every command\n\n")
	flagTable(&b, app.Flags)
	group := ""
	for _, n := range leaves(app) {
		if g := n.ClosestGroup(); g != nil && g.Title != group {
			group = g.Title
			fmt.Fprintf(&b, "\n## %s\n", strings.TrimSuffix(group, ":"))
		}
		path := commandPath(n)
		l := lessons()[path]
		fmt.Fprintf(&b, "\n### holdfast %s\n\n%s\n\n%s\n", path, n.Help, l.text)
		fmt.Fprintf(&b, "\n```text\n%s\n```\n", strings.Join(l.examples, "\n"))
		if len(n.Positional) > 0 {
			b.WriteString("\n| argument | meaning |\n|---|---|\n")
			for _, p := range n.Positional {
				fmt.Fprintf(&b, "| `%s` | %s |\n", p.Summary(), cell(p.Help))
			}
		}
		if len(n.Flags) > 0 {
			b.WriteString("\n")
			flagTable(&b, n.Flags)
		}
	}
	return b.String()
}

func flagTable(b *strings.Builder, flags []*kong.Flag) {
	b.WriteString("| flag | meaning |\n|---|---|\n")
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		name := strings.TrimPrefix(f.String(), "-h, ")
		help := f.Help
		if f.Required {
			help += " Required."
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", cell(name), cell(help))
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
