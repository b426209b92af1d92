package repo_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// changing are the verbs that begin the name of a method that changes something.
var changing = strings.Fields(`
	Add Append Approve Archive Assign Block Cancel Change Clear Close Commit Confirm Create Delete Deny Disable Edit
	Enable End Expire Extend Grant Import Insert Invite Issue Link Lock Mark Merge Move Open Pause Purge Put Reactivate
	Record Refuse Register Release Remove Rename Replace Reset Restore Resume Revoke Rotate Save Set Share Start Stop
	Store Suspend Transfer Unlink Unlock Update Upsert Use Withdraw Write`)

// withoutEntry names the store methods that change something and take no audit entry, with the reason:
// bookkeeping that nobody would look for in an audit log. "package.Interface.Method": "why".
var withoutEntry = map[string]string{
	"oauth.Store.AddActivity":    "counts what is in the log already, call by call or as a token",
	"oauth.Store.PurgeActivity":  "sums up old counts",
	"feed.Store.AddTokenUse":     "counts what tokens were used for; that there are tokens is in the log",
	"feed.Store.PurgeTokenUse":   "sums up old counts",
	"feed.Store.PurgeEvents":     "deletes what is older than the operator wants to keep",
	"signals.Store.AddSignals":   "takes in what other systems say, which is data and has its own numbers; with an entry for each batch, the account's own feed would never end",
	"signals.Store.PurgeSignals": "deletes what is older than the operator wants to keep",
	"signin.Store.Put":           "a step of a sign-in, which is recorded as an attempt when it ends",
	"signin.Store.Purge":         "removes what has expired",
}

// missingEntries wants an audit.Entry among the parameters of whatever changes something, so that no
// caller can leave it out.
func missingEntries(r *tree) (found []finding) {
	seen := map[string]bool{}
	for _, s := range r.gos {
		if s.test() || !strings.HasPrefix(s.dir, "internal/") || s.dir == storeDir {
			continue
		}
		names := importNames(s.file)
		for _, decl := range s.file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				t := spec.(*ast.TypeSpec) // the grammar of type allows nothing else
				face, ok := t.Type.(*ast.InterfaceType)
				if !ok || !strings.HasSuffix(t.Name.Name, "Store") {
					continue
				}
				for _, m := range face.Methods.List {
					fn, ok := m.Type.(*ast.FuncType)
					if !ok { // embedded: found where it is declared, if it is a store too
						continue
					}
					name := m.Names[0].Name
					full := s.file.Name.Name + "." + t.Name.Name + "." + name
					if !slices.Contains(changing, verb(name)) || takesEntry(fn, names, s.dir) {
						continue
					}
					seen[full] = true
					if withoutEntry[full] == "" {
						found = append(found, r.at(m.Pos(), "%s changes something and takes no audit.Entry; add one as the last parameter and write it in the same transaction, or name the method in withoutEntry in repo_audit_test.go with the reason", full))
					}
				}
			}
		}
	}
	for full := range withoutEntry {
		if !seen[full] && r.root != "" {
			found = append(found, finding{file: "repo_audit_test.go", text: fmt.Sprintf("withoutEntry names %s, which is not there or takes an entry; remove it", full)})
		}
	}
	return found
}

// verb is the first word of a Go name: "Rotate" of "RotateSecret".
func verb(name string) string {
	if i := strings.IndexFunc(name[1:], unicode.IsUpper); i >= 0 {
		return name[:i+1]
	}
	return name
}

func takesEntry(fn *ast.FuncType, names map[string]string, dir string) bool {
	for _, p := range fn.Params.List {
		switch t := p.Type.(type) {
		case *ast.SelectorExpr:
			if id, ok := t.X.(*ast.Ident); ok && names[id.Name] == module+"/internal/audit" && t.Sel.Name == "Entry" {
				return true
			}
		case *ast.Ident:
			if t.Name == "Entry" && dir == "internal/audit" {
				return true
			}
		}
	}
	return false
}

const (
	actionsSource = "internal/audit/actions.go"
	actionsGolden = "internal/audit/testdata/actions.txt"
)

var actionForm = regexp.MustCompile(`^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$`)

// actionNames compares the audit actions with the list of all that ever were. Somebody's alerting
// depends on each: one may be added, none renamed, reused or taken away.
func actionNames(r *tree) (found []finding) {
	listed := map[string]int{}
	previous := ""
	for n, line := range r.lines(actionsGolden) {
		switch {
		case listed[line] != 0:
			found = append(found, finding{actionsGolden, n, fmt.Sprintf("%s is listed in line %d too; remove one", line, listed[line])})
		case line < previous:
			found = append(found, finding{actionsGolden, n, fmt.Sprintf("%s comes after %s; keep the list sorted", line, previous)})
		}
		listed[line], previous = n, line
	}
	declared := map[string]token.Pos{}
	for _, s := range r.gos {
		if s.path != actionsSource {
			continue
		}
		for _, decl := range s.file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, spec := range gen.Specs {
				v := spec.(*ast.ValueSpec) // the grammar of const allows nothing else
				if t, ok := v.Type.(*ast.Ident); !ok || t.Name != "Action" || len(v.Values) != 1 {
					continue
				}
				lit, ok := v.Values[0].(*ast.BasicLit)
				if !ok {
					found = append(found, r.at(v.Pos(), "write the name of the action as a literal"))
					continue
				}
				name, err := strconv.Unquote(lit.Value)
				switch {
				case err != nil || !actionForm.MatchString(name):
					found = append(found, r.at(v.Pos(), "%s is not of the form noun.verb in small letters", lit.Value))
				case declared[name] != token.NoPos:
					found = append(found, r.at(v.Pos(), "%q is the name of two actions; each needs its own", name))
				case listed[name] == 0:
					found = append(found, r.at(v.Pos(), "%q is not in %s; add the line (names are kept for good)", name, actionsGolden))
				}
				declared[name] = v.Pos()
			}
		}
	}
	for name, n := range listed {
		if declared[name] == token.NoPos {
			found = append(found, finding{actionsGolden, n, fmt.Sprintf("%s is gone from %s; bring it back, an action that is no longer written keeps its name", name, actionsSource)})
		}
	}
	for _, name := range removedLines(r, actionsGolden) {
		if listed[name] == 0 {
			found = append(found, finding{actionsGolden, 0, fmt.Sprintf("%s was in an earlier commit and is gone; lines may only be added", name)})
		}
	}
	return found
}

// removedLines are the lines that the history of a file took away, as far as this clone goes back.
func removedLines(r *tree, file string) (lines []string) {
	if r.root == "" {
		return nil
	}
	for _, args := range [][]string{{"log", "--format=", "-p"}, {"diff", "HEAD"}} {
		// An error means no git or no history, hence nothing to compare with.
		out, _ := exec.Command("git", append(append([]string{"-C", r.root}, args...), "--", file)...).Output()
		for line := range bytes.Lines(out) {
			if text, ok := strings.CutPrefix(string(line), "-"); ok && !strings.HasPrefix(text, "--") {
				lines = append(lines, strings.TrimSpace(text))
			}
		}
	}
	return lines
}
