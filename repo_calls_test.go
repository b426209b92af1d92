package repo_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// where a use of a function is allowed outside tests.
type where func(dir string) bool

func nowhere(string) bool { return false }

func inCommand(dir string) bool { return strings.HasPrefix(dir, "cmd/") }

// withClock is where the clock of the machine is read: where the parts are put together and get it
// passed in, in what measures, and in the public clients, which wait and have no database, so that their
// tests run in a bubble of testing/synctest.
func withClock(dir string) bool {
	return inCommand(dir) || slices.Contains([]string{"internal/server", "internal/bench", "usersapi", "eventsapi"}, dir)
}

// uses are functions of packages that only some code may mention; a value counts like a call.
var uses = []struct {
	pkg     string
	name    *regexp.Regexp
	allowed where
	do      string
}{
	{"context", regexp.MustCompile(`^(Background|TODO)$`), inCommand,
		"pass the caller's context on; what must outlive it runs on context.WithoutCancel with a timeout"},
	{"time", regexp.MustCompile(`^(Now|Since|Until)$`), withClock,
		"take Now func() time.Time as a dependency, so that a test can set the clock"},
	{"fmt", regexp.MustCompile(`^Print`), inCommand,
		"log with the slog.Logger that is passed in, or return the text"},
	{"os", regexp.MustCompile(`^Exit$`), inCommand,
		"return an error; only main ends the program"},
	{"log", regexp.MustCompile(``), nowhere,
		"use the slog.Logger that is passed in"},
}

var selectAll = regexp.MustCompile(`(?i)\b(select|returning)\s+(\w+\.)?\*`)

// forbiddenCalls holds what must not be done outside tests.
func forbiddenCalls(r *tree) (found []finding) {
	for _, s := range r.gos {
		if s.test() {
			continue
		}
		names := importNames(s.file)
		for _, decl := range s.file.Decls {
			fn, _ := decl.(*ast.FuncDecl)
			if fn != nil && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, r.at(fn.Pos(), "func init: nobody sees what it does to whom; make a value and pass it in"))
			}
			must := fn != nil && regexp.MustCompile(`^[mM]ust`).MatchString(fn.Name.Name)
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if id, ok := n.Fun.(*ast.Ident); ok {
						switch {
						case id.Name == "panic" && !must:
							found = append(found, r.at(n.Pos(), "panic outside a function named must…: return an error"))
						case id.Name == "print" || id.Name == "println":
							found = append(found, r.at(n.Pos(), "%s writes past every log: use the slog.Logger that is passed in", id.Name))
						}
					}
				case *ast.SelectorExpr:
					found = append(found, forbiddenUse(r, s, names, n)...)
				case *ast.BasicLit:
					if text, ok := stringOf(n); ok {
						if m := selectAll.FindString(text); m != "" {
							found = append(found, r.at(n.Pos(), "%s: name the columns; a column that is added later must not change what is read", strings.Join(strings.Fields(m), " ")))
						}
					}
				}
				return true
			})
		}
	}
	return found
}

func forbiddenUse(r *tree, s source, names map[string]string, sel *ast.SelectorExpr) []finding {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return nil
	}
	for _, u := range uses {
		if names[id.Name] != u.pkg || !u.name.MatchString(sel.Sel.Name) || u.allowed(s.dir) {
			continue
		}
		return []finding{r.at(sel.Pos(), "%s.%s is not for package %s: %s", u.pkg, sel.Sel.Name, s.dir, u.do)}
	}
	return nil
}

// stringOf is the text of a string literal.
func stringOf(lit *ast.BasicLit) (string, bool) {
	if lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

const maxLines = 800

// fileSizes keeps a Go file to what one can hold in mind.
func fileSizes(r *tree) (found []finding) {
	for _, s := range r.gos {
		if n := r.fset.File(s.file.FileStart).LineCount(); n > maxLines {
			found = append(found, finding{file: s.path, text: fmt.Sprintf("%d lines, %d are allowed; cut it by subject", n, maxLines)})
		}
	}
	return found
}

var (
	leftover  = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)
	codeFiles = []string{".sh", ".sql", ".js", ".mjs", ".css", ".html", ".yaml", ".yml", ".mod"}
)

// leftovers finds marks of work put off.
func leftovers(r *tree) (found []finding) {
	add := func(file string, line int, mark string) {
		found = append(found, finding{file: file, line: line, text: mark + ": do it, or file it; code does not keep lists"})
	}
	for _, s := range r.gos {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				for i, line := range strings.Split(c.Text, "\n") {
					if m := leftover.FindString(strings.ReplaceAll(line, "context.TODO", "")); m != "" {
						add(s.path, r.fset.Position(c.Pos()).Line+i, m)
					}
				}
			}
		}
	}
	for _, p := range r.paths {
		if inTestdata(p) || !slices.Contains(codeFiles, path.Ext(p)) && path.Base(p) != "Makefile" && p != ".ci/run" {
			continue
		}
		for n, line := range r.lines(p) {
			if m := leftover.FindString(line); m != "" {
				add(p, n, m)
			}
		}
	}
	return found
}
