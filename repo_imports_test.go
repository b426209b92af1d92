package repo_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// mayImport says which packages of ours a package may import: names below internal/, and the public
// packages at the root. "*" is any. A new edge is a line in the diff of this table.
var mayImport = map[string]string{
	"internal/problem": "",
	"internal/config":  "",
	"internal/web":     "problem",
	"internal/origin":  "problem",
	"internal/synth":   "origin", // makes histories up; knows nothing of the product
	"internal/seal":    "problem",
	"internal/tally":   "",
	"internal/audit":   "problem web",
	"internal/jobs":    "problem web audit",

	"internal/signin":    "problem web audit seal jobs origin",
	"internal/directory": "problem web audit seal jobs",
	"internal/oauth":     "problem web audit seal jobs tally",
	"internal/vault":     "problem web audit seal jobs origin",
	"internal/feed":      "problem web audit seal jobs origin tally",
	"internal/signals":   "problem web audit seal jobs origin eventsapi",
	"internal/detect":    "problem web audit seal origin signals",               // seal: ids of processes in leases
	"internal/respond":   "problem web audit seal jobs signals detect usersapi", // signals: an event is evidence, live and in a rehearsal

	"internal/console": "problem web audit jobs origin " + domains,                                                             // never store or seal
	"internal/store":   "problem audit seal jobs origin " + domains,                                                            // never web or console
	"internal/server":  "* docs/openapi",                                                                                       // puts everything together
	"internal/bench":   "config audit seal directory oauth store origin signin feed signals detect detect/rules respond synth", // measures the product beside a bare floor
	"cmd/holdfast":     "*",                                                                                                    // wiring only
	"usersapi":         "",                                                                                                     // public: needs nothing of ours
	"eventsapi":        "",                                                                                                     // public: needs nothing of ours
	"docs/openapi":     "",                                                                                                     // the documents, embedded

	"internal/detect/rules": "", // the rule pack, embedded
}

const domains = "signin directory oauth vault feed signals detect respond"

const module = "holdfast"

// forbiddenImports holds the import table. Test code is free: it runs on real databases and servers.
func forbiddenImports(r *tree) (found []finding) {
	reported := map[string]bool{}
	for _, s := range r.gos {
		if s.test() {
			continue
		}
		allowed, known := mayImport[s.dir]
		if !known {
			if reported[s.dir] {
				continue
			}
			reported[s.dir] = true
			found = append(found, r.at(s.file.Package, "package %s is not in the import table; add it to mayImport in repo_imports_test.go, with what it may import", s.dir))
			continue
		}
		for _, spec := range s.file.Imports {
			to, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/")
			switch {
			case !ours:
			case isTestSupport(to):
				found = append(found, r.at(spec.Pos(), "%s imports %s, which is for tests; move what it needs", s.dir, to))
			case strings.HasPrefix(to, "cmd/"), to == "internal/server" && s.dir != "cmd/holdfast":
				found = append(found, r.at(spec.Pos(), "%s imports %s, which nothing may import; pass in what it needs", s.dir, to))
			case !importAllowed(allowed, to):
				found = append(found, r.at(spec.Pos(), "%s must not import %s; declare an interface in %s and let server pass the implementation in", s.dir, to, s.dir))
			}
		}
	}
	return found
}

func importAllowed(allowed, to string) bool {
	list := strings.Fields(allowed)
	return slices.Contains(list, strings.TrimPrefix(to, "internal/")) || slices.Contains(list, to) || slices.Contains(list, "*")
}

// deeper are the packages that may lie below another one of internal/.
var deeper = []string{"internal/store/storetest", "internal/server/servertest", "internal/server/browsertest", "internal/detect/rules", "internal/origin/origintest"}

// packageComments wants a design note per package, and internal/ one level deep.
func packageComments(r *tree) (found []finding) {
	documented := map[string]int{}
	first := map[string]source{}
	for _, s := range r.gos {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		if _, ok := first[s.dir]; !ok {
			first[s.dir] = s
		}
		if s.file.Doc == nil {
			continue
		}
		documented[s.dir]++
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command " + path.Base(s.dir) + " "
		}
		if !strings.HasPrefix(s.file.Doc.Text(), want) {
			found = append(found, r.at(s.file.Doc.Pos(), "the package comment must begin with %q", strings.TrimSpace(want)))
		}
	}
	for dir, s := range first {
		switch n := documented[dir]; {
		case n == 0:
			found = append(found, finding{file: s.path, text: fmt.Sprintf("package %s has no comment; write doc.go: what it is for, its states, what it must never do", dir)})
		case n > 1:
			found = append(found, finding{file: s.path, text: fmt.Sprintf("package %s has comments in %d files; keep one, in doc.go", dir, n)})
		}
		if below, ok := strings.CutPrefix(dir, "internal/"); ok && strings.Contains(below, "/") && !slices.Contains(deeper, dir) {
			found = append(found, finding{file: s.path, text: "internal/ is one level deep; make this a package beside its parent, or part of it"})
		}
	}
	return found
}
