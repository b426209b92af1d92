// Package repo_test holds the rules of the repository that a machine can check. CONTRIBUTING.md lists
// them for people; each is a function from the files to its findings, here and in the files beside it,
// and each has a case in testdata/rules that shows what it finds.
package repo_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// rules are what holds for every file. Commands in documents have a test of their own, [TestCommands].
var rules = []struct {
	name  string
	check func(*tree) []finding
}{
	{"parse", parseErrors},
	{"imports", forbiddenImports},
	{"packages", packageComments},
	{"calls", forbiddenCalls},
	{"files", fileSizes},
	{"leftovers", leftovers},
	{"migrations", migrationPairs},
	{"placeholders", placeholderOrder},
	{"entries", missingEntries},
	{"actions", actionNames},
	{"settings", undocumentedSettings},
	{"dependencies", undocumentedDependencies},
	{"tracked", foreignPlaces},
	{"fences", fenceLanguages},
}

// TestRepository holds the files of the repository against every rule.
func TestRepository(t *testing.T) {
	repo := openTree(t, ".")
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, f := range sorted(rule.check(repo)) {
				t.Error(f)
			}
		})
	}
}

// TestRules shows that each rule finds what it is there for, and nothing else: testdata/rules/NAME.txtar
// (or NAME-CASE.txtar) is a tree with the findings of the rule NAME in its file "want".
func TestRules(t *testing.T) {
	cases, err := filepath.Glob("testdata/rules/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{"tracked": true, "files": true} // their cases are in Go, beside them
	for _, file := range cases {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		ruleName, _, _ := strings.Cut(name, "-")
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fsys, want := fstest.MapFS{}, ""
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				fsys[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			var got strings.Builder
			for _, f := range sorted(check(t, ruleName, newTree(fsys))) {
				fmt.Fprintln(&got, f)
			}
			if diff := gocmp.Diff(want, got.String()); diff != "" {
				t.Errorf("findings of rule %q (-want +got):\n%s", ruleName, diff)
			}
		})
		shown[ruleName] = true
	}
	for _, rule := range rules {
		if !shown[rule.name] {
			t.Errorf("rule %q has no case; add testdata/rules/%s.txtar", rule.name, rule.name)
		}
	}
}

func check(t *testing.T, rule string, of *tree) []finding {
	t.Helper()
	for _, r := range rules {
		if r.name == rule {
			return r.check(of)
		}
	}
	t.Fatalf("there is no rule %q", rule)
	return nil
}

// finding is a place where a rule is broken: what is there, and what to do about it.
type finding struct {
	file string
	line int // 0: the file as a whole
	text string
}

func (f finding) String() string {
	if f.line == 0 {
		return f.file + ": " + f.text
	}
	return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.text)
}

func sorted(fs []finding) []finding {
	return slices.SortedStableFunc(slices.Values(fs), func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.text, b.text))
	})
}

// tree is a repository as the rules see it.
type tree struct {
	fs.FS
	root  string   // folder on disk; empty for a case of a rule
	paths []string // the files, sorted
	fset  *token.FileSet
	gos   []source // the Go files outside testdata
	bad   []finding
}

// source is a parsed Go file.
type source struct {
	path string // "internal/web/route.go"
	dir  string // "internal/web"
	file *ast.File
}

// test reports whether the file is test code: a _test.go file, or one of the packages that only tests import.
func (s source) test() bool {
	return strings.HasSuffix(s.path, "_test.go") || isTestSupport(s.dir)
}

func isTestSupport(dir string) bool {
	return dir == "internal/store/storetest" || dir == "internal/server/servertest" || dir == "internal/server/browsertest" || dir == "internal/origin/origintest"
}

// openTree reads the files that git tracks and the new ones that it does not ignore. In a copy without
// git it is every file but those of tools.
func openTree(t *testing.T, root string) *tree {
	t.Helper()
	var paths []string
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err == nil {
		for p := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			// Still in the index, gone from the disk: removed and not committed yet.
			if info, err := os.Lstat(filepath.Join(root, p)); err == nil && info.Mode().IsRegular() {
				paths = append(paths, p)
			}
		}
	} else if paths, err = walk(os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	r := parseTree(os.DirFS(root), paths)
	r.root = root
	return r
}

// newTree is the tree of all files of a file system.
func newTree(fsys fs.FS) *tree {
	paths, err := walk(fsys)
	r := parseTree(fsys, paths)
	if err != nil {
		r.bad = append(r.bad, finding{file: ".", text: err.Error()})
	}
	return r
}

func walk(fsys fs.FS) (paths []string, err error) {
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "_artifacts", "holdfast-data"}, d.Name()):
			return fs.SkipDir
		case d.Type().IsRegular():
			paths = append(paths, p)
		}
		return nil
	})
	return paths, err
}

func parseTree(fsys fs.FS, paths []string) *tree {
	slices.Sort(paths)
	r := &tree{FS: fsys, paths: slices.Compact(paths), fset: token.NewFileSet()}
	for _, p := range r.paths {
		if path.Ext(p) != ".go" || inTestdata(p) {
			continue
		}
		file, err := parser.ParseFile(r.fset, p, r.read(p), parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			r.bad = append(r.bad, finding{file: p, text: "does not parse: " + err.Error()})
			continue
		}
		r.gos = append(r.gos, source{path: p, dir: path.Dir(p), file: file})
	}
	return r
}

func inTestdata(p string) bool {
	return strings.HasPrefix(p, "testdata/") || strings.Contains(p, "/testdata/")
}

func parseErrors(r *tree) []finding { return r.bad }

// read is the text of a file; an unreadable one becomes a finding of the rule "parse".
func (r *tree) read(p string) []byte {
	text, err := fs.ReadFile(r, p)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.bad = append(r.bad, finding{file: p, text: err.Error()})
	}
	return text
}

// lines are the numbered lines of a file, from 1.
func (r *tree) lines(p string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range bytes.Lines(r.read(p)) {
			n++
			if !yield(n, strings.TrimRight(string(line), "\r\n")) {
				return
			}
		}
	}
}

// at is a finding at a place in a Go file.
func (r *tree) at(pos token.Pos, format string, args ...any) finding {
	p := r.fset.Position(pos)
	return finding{file: p.Filename, line: p.Line, text: fmt.Sprintf(format, args...)}
}

// importNames maps the name under which a file knows a package to its path.
func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}
