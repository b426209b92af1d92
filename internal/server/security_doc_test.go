package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestSecurityDocument holds docs/security/checks.md to the tests: rows in order, a status each, tests for
// what is met, every named test there, and every security test named.
func TestSecurityDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/security/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\d+) \|([^|]+)\|([^|]+)\|([^|]+)\|([^|]*)\|$`)
	name := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)(/[a-z0-9_/-]+)?`(?: in `([a-z/]+)`)?")
	tests := testsByFolder(t)
	named := map[string]bool{}
	rows := 0
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		rows++
		if m[1] != strconv.Itoa(rows) {
			t.Fatalf("row %s stands in the place of row %d", m[1], rows)
		}
		status, cell := strings.TrimSpace(m[4]), m[5]
		found := name.FindAllStringSubmatch(cell, -1)
		met := status == "met" || strings.HasPrefix(status, "met for ")
		switch {
		case !met && !strings.HasPrefix(status, "not yet: ") && !strings.HasPrefix(status, "**not met**: "):
			t.Errorf("row %d: the status is %q", rows, status)
		case met != (len(found) > 0):
			t.Errorf("row %d is %q and names %d tests", rows, status, len(found))
		}
		if rest := strings.Trim(name.ReplaceAllString(cell, ""), " ,"); rest != "" {
			t.Errorf("row %d: %q is no test", rows, rest)
		}
		for _, f := range found {
			folder := f[3]
			if folder == "" {
				folder = "internal/server"
			}
			words, ok := tests[folder][f[1]]
			if !ok {
				t.Errorf("row %d: there is no %s in %s", rows, f[1], folder)
			}
			// The parts of the conformance suite are named in storetest.Run.
			if sub := strings.TrimPrefix(f[2], "/"); sub != "" && !words[sub] && !tests[folder]["Run"][sub] {
				t.Errorf("row %d: %s has no part %q", rows, f[1], sub)
			}
			named[f[1]] = true
		}
	}
	if rows != 55 {
		t.Errorf("%d rows, want 55", rows)
	}
	for test := range tests["internal/server"] {
		if strings.HasPrefix(test, "TestSecurity") && test != "TestSecurityDocument" && !named[test] {
			t.Errorf("%s is not named", test)
		}
	}
}

// testsByFolder lists the tests and fuzz targets of each folder, with the texts that stand in them.
func testsByFolder(t *testing.T) map[string]map[string]map[string]bool {
	t.Helper()
	all := map[string]map[string]map[string]bool{}
	root := os.DirFS("../..")
	err := fs.WalkDir(root, "internal", func(file string, d fs.DirEntry, err error) error {
		// Helpers of tests may be in files of other names, as in storetest.
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") {
			return err
		}
		src, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := strings.TrimSuffix(path.Dir(file), "/storetest")
		if all[folder] == nil {
			all[folder] = map[string]map[string]bool{}
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && (strings.HasSuffix(file, "_test.go") || f.Name.Name == "Run") {
				all[folder][f.Name.Name] = texts(f)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// texts are the string constants in a function.
func texts(f *ast.FuncDecl) map[string]bool {
	all := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if s, err := strconv.Unquote(l.Value); err == nil {
				all[s] = true
			}
		}
		return true
	})
	return all
}
