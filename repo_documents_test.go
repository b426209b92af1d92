package repo_test

import (
	"fmt"
	"go/ast"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	settingsManual = "docs/operations/configuration.md"
	contributing   = "CONTRIBUTING.md"
	dependencyList = "docs/decisions/dependencies.md"
)

var variable = regexp.MustCompile(`\b(HOLDFAST_[A-Z0-9_]*[A-Z0-9]|TEST_POSTGRES)\b`)

// undocumentedSettings wants every variable that the sources mention, and every key of the
// configuration, in the manual; variables of tests, in CONTRIBUTING.md. What a manual mentions must exist.
func undocumentedSettings(r *tree) (found []finding) {
	manual, guide := string(r.read(settingsManual)), string(r.read(contributing))
	known := map[string]bool{}
	for _, key := range configKeys(r) {
		name := "HOLDFAST_" + strings.ToUpper(strings.ReplaceAll(key.name, ".", "_"))
		known[name] = true
		for _, want := range []string{key.name, name} {
			if !strings.Contains(manual, "`"+want+"`") {
				key.found.text = fmt.Sprintf("%s of the configuration is not in %s; add its row", want, settingsManual)
				found = append(found, key.found)
			}
		}
	}
	used := variableUses(r)
	for _, u := range used {
		known[u.name] = true
	}
	reported := map[string]bool{}
	for _, u := range used {
		switch {
		case u.madeUp || reported[u.name]:
			continue
		case u.test && !strings.Contains(guide, "`"+u.name+"`") && !strings.Contains(manual, "`"+u.name+"`"):
			u.found.text = fmt.Sprintf("%s is not in %s; add it to the variables of the tests", u.name, contributing)
		case !u.test && !strings.Contains(manual, "`"+u.name+"`"):
			u.found.text = fmt.Sprintf("%s is not in %s; say what it does and what it is when unset", u.name, settingsManual)
		default:
			continue
		}
		reported[u.name] = true
		found = append(found, u.found)
	}
	for _, p := range r.paths {
		if path.Ext(p) != ".md" || inTestdata(p) || p == "CHANGELOG.md" {
			continue
		}
		for n, line := range r.lines(p) {
			for _, name := range variable.FindAllString(line, -1) {
				if !known[name] {
					found = append(found, finding{p, n, name + " is neither in the sources nor a key of the configuration; correct the name, or remove it"})
				}
			}
		}
	}
	return found
}

type setting struct {
	name   string
	test   bool // belongs to the tests
	madeUp bool // in an example or a test of its own; needs no entry
	found  finding
}

// configKeys are the keys of the configuration: the tags "key" in its package.
func configKeys(r *tree) (keys []setting) {
	for _, s := range r.gos {
		if s.dir != "internal/config" || s.test() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			f, ok := n.(*ast.Field)
			if !ok || f.Tag == nil {
				return true
			}
			if tag, ok := stringOf(f.Tag); ok {
				if key, ok := reflect.StructTag(tag).Lookup("key"); ok {
					keys = append(keys, setting{name: key, found: r.at(f.Pos(), "")})
				}
			}
			return true
		})
	}
	return keys
}

// variableUses are the variables in string literals of Go files and in scripts; not those that only
// comments name.
func variableUses(r *tree) (uses []setting) {
	for _, s := range r.gos {
		if s.dir == "." { // the rules themselves speak of variables
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok {
				return true
			}
			text, _ := stringOf(lit)
			for _, name := range variable.FindAllString(text, -1) {
				ofTests := strings.HasPrefix(name, "HOLDFAST_TEST_") || name == "TEST_POSTGRES"
				uses = append(uses, setting{name: name, test: s.test(), madeUp: s.test() && !ofTests, found: r.at(lit.Pos(), "")})
			}
			return true
		})
	}
	for _, p := range r.paths {
		if inTestdata(p) || !slices.Contains([]string{".sh", ".mjs", ".js"}, path.Ext(p)) && path.Base(p) != "Makefile" && p != ".ci/run" {
			continue
		}
		for n, line := range r.lines(p) {
			for _, name := range variable.FindAllString(line, -1) {
				uses = append(uses, setting{name: name, test: true, found: finding{file: p, line: n}})
			}
		}
	}
	return uses
}

var (
	requirement = regexp.MustCompile(`^(?:require\s+)?([a-z0-9][^\s]*\.[^\s]*/[^\s]+|[a-z0-9][^\s]*\.[a-z]+) (v\S+)(\s*// indirect)?$`)
	moduleRow   = regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]*) \\|")
)

// undocumentedDependencies wants a reason for each module that go.mod requires itself, and none for
// one that it does not.
func undocumentedDependencies(r *tree) (found []finding) {
	rows := map[string]int{}
	for n, line := range r.lines(dependencyList) {
		if m := moduleRow.FindStringSubmatch(line); m != nil {
			rows[m[1]] = n
			if strings.TrimSpace(m[2]) == "" {
				found = append(found, finding{dependencyList, n, m[1] + " has no reason; say what it is needed for and what would be worse"})
			}
		}
	}
	required := map[string]bool{}
	for n, line := range r.lines("go.mod") {
		m := requirement.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		required[m[1]] = true
		if m[3] == "" && rows[m[1]] == 0 {
			found = append(found, finding{"go.mod", n, fmt.Sprintf("%s is not in %s; add its row: what it is needed for and what would be worse", m[1], dependencyList)})
		}
	}
	for name, n := range rows {
		if !required[name] {
			found = append(found, finding{dependencyList, n, name + " is not required by go.mod; remove the row"})
		}
	}
	return found
}

// block is a fenced block of a document.
type block struct {
	line int    // of the fence
	info string // what stands behind the fence
	code []string
}

var fence = regexp.MustCompile("^( *)(`{3,}|~{3,})(.*)$")

// blocks are the fenced blocks of a Markdown file. Code is without the indentation of its fence.
func blocks(r *tree, file string) (all []block) {
	var open *block
	var indent, mark string
	for n, line := range r.lines(file) {
		m := fence.FindStringSubmatch(line)
		switch {
		case open == nil && m != nil:
			indent, mark = m[1], m[2]
			open = &block{line: n, info: strings.TrimSpace(m[3])}
		case open == nil:
		case m != nil && strings.HasPrefix(m[2], mark) && strings.TrimSpace(m[3]) == "":
			all, open = append(all, *open), nil
		default:
			open.code = append(open.code, strings.TrimPrefix(line, indent))
		}
	}
	if open != nil {
		all = append(all, *open)
	}
	return all
}

// isDocument reports whether the commands of a file are run: README.md and what is below docs/.
func isDocument(p string) bool {
	return p == "README.md" || strings.HasPrefix(p, "docs/") && path.Ext(p) == ".md"
}

// fenceLanguages wants shell blocks in the documents to be marked so that their commands are run.
func fenceLanguages(r *tree) (found []finding) {
	for _, p := range r.paths {
		if !isDocument(p) {
			continue
		}
		for _, b := range blocks(r, p) {
			language, option, _ := strings.Cut(b.info, " ")
			switch {
			case language == "":
				found = append(found, finding{p, b.line, "a block without a language; write sh for commands, which are run by the tests, or text"})
			case slices.Contains([]string{"bash", "shell", "console", "zsh", "shell-session"}, language):
				found = append(found, finding{p, b.line, fmt.Sprintf("a block of language %s; write sh for commands, which are run by the tests, or text", language)})
			case language == "sh" && option == "background":
				if n := len(commandLines(b)); n != 1 {
					found = append(found, finding{p, b.line, "a block for the background has " + strconv.Itoa(n) + " commands; it starts one server and nothing else"})
				}
			case language == "sh" && option != "":
				found = append(found, finding{p, b.line, fmt.Sprintf("%q is not known behind sh; the only word is background", option)})
			}
		}
	}
	return found
}

// commandLines are the lines of a block that begin a command: not comments, not blank, not continued.
func commandLines(b block) (lines []int) {
	continued := false
	for i, line := range b.code {
		text := strings.TrimSpace(line)
		if !continued && text != "" && !strings.HasPrefix(text, "#") {
			lines = append(lines, i)
		}
		continued = strings.HasSuffix(text, `\`)
	}
	return lines
}
