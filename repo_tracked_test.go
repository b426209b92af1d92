package repo_test

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	gocmp "github.com/google/go-cmp/cmp"
)

// hosts are the registries that a package manager fills in from the machine it runs on. A lock file or
// a script that names one cannot be used where another one serves. Written in pieces, since this file
// is tracked too.
var hosts = []string{
	"registry." + "npmjs.org", "registry." + "yarnpkg.com", "npm." + "pkg.github.com",
	"proxy." + "golang.org", "sum." + "golang.org", "goproxy." + "io",
	"deb." + "debian.org", "archive." + "ubuntu.com", "security." + "ubuntu.com",
	"files." + "pythonhosted.org", "pypi." + "org", "static." + "crates.io", "index." + "crates.io",
}

var (
	resolved = regexp.MustCompile(`"resolved"\s*:\s*"https?:`)
	// A folder of somebody's home or work at the start of a path, not within a URL or a longer path.
	ownFolder = regexp.MustCompile("(^|[\\s\"'`=:(,<>\\[|])(/(root|work)(/[\\w.-]*)?|/(home|Users)/[\\w.-]+)\\b")
)

// foreignPlaces finds what ties the repository to one machine: registries, and folders of a home.
func foreignPlaces(r *tree) (found []finding) {
	here := ownPlaces(r)
	for _, p := range r.paths {
		text := r.read(p)
		if bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
			continue // not a text
		}
		for n, line := range r.lines(p) {
			if path.Base(p) == "package-lock.json" && resolved.MatchString(line) {
				found = append(found, finding{p, n, `"resolved" names a host; write the file again with omit-lockfile-registry-resolved=true in .npmrc`})
				continue
			}
			for _, host := range hosts {
				if strings.Contains(line, host) {
					found = append(found, finding{p, n, host + " is a package registry; leave it to the machine which one it uses"})
				}
			}
			if m := ownFolder.FindStringSubmatch(line); m != nil {
				found = append(found, finding{p, n, m[2] + " is a folder of one machine; write a relative path, $HOME or a temporary folder"})
				continue
			}
			for _, place := range here {
				if strings.Contains(line, place) {
					found = append(found, finding{p, n, place + " is where this clone lies; write a relative path"})
				}
			}
		}
	}
	return found
}

// ownPlaces is the folder of this clone, if its name is long enough to mean something.
func ownPlaces(r *tree) []string {
	if r.root == "" {
		return nil
	}
	if wd, err := os.Getwd(); err == nil && strings.Count(wd, "/") > 1 {
		return []string{wd}
	}
	return nil
}

// TestForeignPlaces is the case of the rule "tracked". It is in Go, since a file in testdata with such a
// finding would itself be one.
func TestForeignPlaces(t *testing.T) {
	root, home, users, work := "/"+"root", "/"+"home/ines", "/"+"Users/ines", "/"+"work/main"
	tests := []struct {
		name, file, text string
		want             []string
	}{
		{"clean", "a.md", "see ./docs, $HOME/.config, /etc/holdfast and https://example.org/home/ines\n", nil},
		{"routes", "a.go", "\"GET /workflow\" \"/rootless\" \"/homepage\" api/work/x\n", nil},
		{"resolved", "x/package-lock.json", "{\n  \"resolved\": \"https://example.org/a.tgz\"\n}\n", []string{`x/package-lock.json:2: "resolved" names a host; write the file again with omit-lockfile-registry-resolved=true in .npmrc`}},
		{"resolved-elsewhere", "x.json", "{\"resolved\": \"https://example.org/a.tgz\"}\n", nil},
		{"registry", "s.sh", "curl https://" + hosts[0] + "/x\n", []string{"s.sh:1: " + hosts[0] + " is a package registry; leave it to the machine which one it uses"}},
		{"root", "s.sh", "\nHOME=" + root + "\n", []string{"s.sh:2: " + root + " is a folder of one machine; write a relative path, $HOME or a temporary folder"}},
		{"home", "a.md", "`" + home + "/x`\n", []string{"a.md:1: " + home + " is a folder of one machine; write a relative path, $HOME or a temporary folder"}},
		{"mac", "a.md", users + "/x\n", []string{"a.md:1: " + users + " is a folder of one machine; write a relative path, $HOME or a temporary folder"}},
		{"work", "a.go", "// \"" + work + "/x\"\n", []string{"a.go:1: " + work + " is a folder of one machine; write a relative path, $HOME or a temporary folder"}},
		{"binary", "a.png", "\x00" + home + "\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := parseTree(fstest.MapFS{tt.file: {Data: []byte(tt.text)}}, []string{tt.file})
			r.bad = nil // the texts are no programs
			var got []string
			for _, f := range foreignPlaces(r) {
				got = append(got, f.String())
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFileSizes is the case of the rule "files".
func TestFileSizes(t *testing.T) {
	long := func(lines int) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("package a\n" + strings.Repeat("// more\n", lines-1))}
	}
	got := fileSizes(newTree(fstest.MapFS{"a/short.go": long(maxLines - 1), "a/long.go": long(maxLines + 1), "testdata/long.go": long(maxLines + 1)}))
	if len(got) != 1 || got[0].file != "a/long.go" || !slices.Contains(strings.Fields(got[0].text), fmt.Sprint(maxLines)) {
		t.Errorf("findings = %v, want one, for a/long.go, that says that %d lines are allowed", got, maxLines)
	}
}
