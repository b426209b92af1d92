package repo_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	migrationsDir = "internal/store/migrations/"
	storeDir      = "internal/store"
)

var migrationName = regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)

// migrationPairs wants every step of the schema for both databases, numbered from 1 without gaps.
func migrationPairs(r *tree) (found []finding) {
	databases := []string{"sqlite", "postgres"}
	steps := map[string][]string{}
	for _, p := range r.paths {
		rest, ok := strings.CutPrefix(p, migrationsDir)
		if !ok || path.Ext(p) == ".go" {
			continue
		}
		database, name, _ := strings.Cut(rest, "/")
		if !slices.Contains(databases, database) || !migrationName.MatchString(name) {
			found = append(found, finding{file: p, text: "is no migration; the form is " + migrationsDir + "{sqlite,postgres}/NNNN_name.sql"})
			continue
		}
		steps[database] = append(steps[database], name)
	}
	for i, database := range databases {
		other := databases[1-i]
		for j, name := range steps[database] { // sorted, as the paths are
			file := migrationsDir + database + "/" + name
			if !slices.Contains(steps[other], name) {
				found = append(found, finding{file: file, text: fmt.Sprintf("has no pair; write %s%s/%s, even if it changes nothing there", migrationsDir, other, name)})
			}
			if want := fmt.Sprintf("%04d", j+1); name[:4] != want {
				found = append(found, finding{file: file, text: fmt.Sprintf("has number %s where %s follows; numbers rise by one, each once", name[:4], want)})
			}
		}
	}
	return found
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

// placeholderOrder wants the placeholders of a statement to appear first in the order $1, $2, …: the
// SQLite driver binds by order of appearance, PostgreSQL by number, and neither complains.
func placeholderOrder(r *tree) (found []finding) {
	for _, s := range r.gos {
		if s.test() || s.dir != storeDir {
			continue
		}
		constants := stringConstants(r, s.dir)
		var judge func(n ast.Node) bool
		judge = func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, whole, isString := statement(e, constants)
			if !isString {
				return true
			}
			if got := firstAppearances(text); !rising(got, whole) {
				found = append(found, r.at(e.Pos(), "placeholders appear in the order %s; number them $1, $2, … as they appear, and reorder the arguments", order(got)))
			}
			// The parts of a concatenation are judged as one; what a part calls, on its own.
			for _, part := range parts(e) {
				if _, literal := part.(*ast.BasicLit); !literal {
					ast.Inspect(part, judge)
				}
			}
			return false
		}
		ast.Inspect(s.file, judge)
	}
	return found
}

// stringConstants are the constants of a package that are string literals.
func stringConstants(r *tree, dir string) map[string]string {
	constants := map[string]string{}
	for _, s := range r.gos {
		if s.dir != dir || s.test() {
			continue
		}
		for _, decl := range s.file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, spec := range gen.Specs {
				v := spec.(*ast.ValueSpec) // the grammar of const allows nothing else
				for i, name := range v.Names {
					if i < len(v.Values) {
						if lit, ok := v.Values[i].(*ast.BasicLit); ok {
							if text, ok := stringOf(lit); ok {
								constants[name.Name] = text
							}
						}
					}
				}
			}
		}
	}
	return constants
}

// statement is the text of a string literal or of a concatenation, with constants filled in. It is
// whole unless a part is known only at run time. An expression without a literal in it is no string.
func statement(e ast.Expr, constants map[string]string) (text string, whole, isString bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, ok := stringOf(e)
		return text, !strings.Contains(text, "$%"), ok // numbers that a format fills in
	case *ast.ParenExpr:
		return statement(e.X, constants)
	case *ast.Ident:
		text, ok := constants[e.Name]
		return text, ok, false
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false, false
		}
		left, leftWhole, leftString := statement(e.X, constants)
		right, rightWhole, rightString := statement(e.Y, constants)
		return left + right, leftWhole && rightWhole, leftString || rightString
	}
	return "", false, false
}

// parts are what a concatenation is made of.
func parts(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return parts(e.X)
	case *ast.BinaryExpr:
		return append(parts(e.X), parts(e.Y)...)
	}
	return []ast.Expr{e}
}

func firstAppearances(text string) (numbers []int) {
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(m[1]); err == nil && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// rising reports whether the numbers rise; if the text is a whole statement that begins with $1, by one.
// One that begins with another number is a fragment of a statement that is put together elsewhere.
func rising(numbers []int, whole bool) bool {
	if len(numbers) == 0 {
		return true
	}
	if !slices.IsSortedFunc(numbers, cmp.Compare[int]) {
		return false
	}
	return !whole || numbers[0] != 1 || numbers[len(numbers)-1] == len(numbers)
}

func order(numbers []int) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = "$" + strconv.Itoa(n)
	}
	return strings.Join(words, ", ")
}
