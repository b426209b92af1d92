package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/web"
)

// The vendored htmx. To verify it against the package, run in an empty folder
//
//	npm pack htmx.org@2.0.11 && tar -xzf htmx.org-2.0.11.tgz && sha256sum package/dist/htmx.min.js
//
// npm checks the archive against the registry's SHA-512. To update: copy that file to static, then change
// the version and the hash here, and the version in static/README.md.
const (
	htmxVersion = "2.0.11"
	htmxSHA256  = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
)

func TestHTMX(t *testing.T) {
	text, err := fs.ReadFile(staticFiles, "static/htmx.min.js")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:]); got != htmxSHA256 {
		t.Errorf("SHA-256 of htmx.min.js = %s, want %s, that of htmx.org %s", got, htmxSHA256, htmxVersion)
	}
	if !strings.Contains(string(text), `version:"`+htmxVersion+`"`) {
		t.Errorf("htmx.min.js does not say that it is version %s", htmxVersion)
	}
	notes, err := os.ReadFile("static/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"htmx " + htmxVersion, "0BSD"} {
		if !strings.Contains(string(notes), want) {
			t.Errorf("static/README.md does not name %q", want)
		}
	}
}

// What the content security policy forbids is switched off, so that htmx does not even try.
func TestHTMXConfig(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal([]byte(HTMXConfig), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"allowEval": false, "allowScriptTags": false, "includeIndicatorStyles": false,
		"selfRequestsOnly": true, "historyCacheSize": 0.0, "refreshOnHistoryMiss": true,
	}
	for name, value := range want {
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// get asks the edge for a file, as a browser would.
func get(t *testing.T, a *Assets, method, path string, header map[string]string) *http.Response {
	t.Helper()
	h, err := web.New(web.Config{Routes: a.Routes(), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func newTestAssets(t *testing.T) *Assets {
	t.Helper()
	a, err := NewAssets()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAssetsServe(t *testing.T) {
	a := newTestAssets(t)
	css := a.Path("holdfast.css")
	tag := strings.Split(css, ".")[1]
	type answer struct {
		Status                        int
		Type, Encoding, Tag, Vary, CC string
	}
	const forever = "public, max-age=31536000, immutable"
	zipped := answer{200, "text/css; charset=utf-8", "gzip", `"` + tag + `-gzip"`, "Accept-Encoding", forever}
	plain := answer{200, "text/css; charset=utf-8", "", `"` + tag + `"`, "Accept-Encoding", forever}
	tests := []struct {
		name, method, path string
		header             map[string]string
		want               answer
	}{
		{"plain", "GET", css, nil, plain},
		{"gzip", "GET", css, map[string]string{"Accept-Encoding": "gzip, deflate, br, zstd"}, zipped},
		{"gzip-head", "HEAD", css, map[string]string{"Accept-Encoding": "gzip"}, zipped},
		{"gzip-any", "GET", css, map[string]string{"Accept-Encoding": "br;q=1, *;q=0.1"}, zipped},
		{"gzip-refused", "GET", css, map[string]string{"Accept-Encoding": "*, gzip; q=0.0"}, plain},
		{"unchanged", "GET", css, map[string]string{"If-None-Match": `"other", W/"` + tag + `"`}, answer{304, "", "", `"` + tag + `"`, "Accept-Encoding", forever}},
		{"unchanged-gzip", "GET", css, map[string]string{"If-None-Match": `"` + tag + `-gzip"`, "Accept-Encoding": "gzip"}, answer{304, "", "", `"` + tag + `-gzip"`, "Accept-Encoding", forever}},
		{"changed", "GET", css, map[string]string{"If-None-Match": `"other"`}, plain},
		{"other-hash", "GET", "/static/holdfast.000000000000.css", nil, answer{404, "application/problem+json", "", "", "", "no-store"}},
		{"no-hash", "GET", "/static/holdfast.css", nil, answer{404, "application/problem+json", "", "", "", "no-store"}},
		{"not-served", "GET", "/static/README.md", nil, answer{404, "application/problem+json", "", "", "", "no-store"}},
		{"climbing", "GET", "/static/..%2fassets.go", nil, answer{404, "application/problem+json", "", "", "", "no-store"}},
		{"script", "GET", a.Path("app.js"), map[string]string{"If-None-Match": "*"}, answer{304, "", "", etag(a, "app.js"), "Accept-Encoding", forever}},
		{"icons", "GET", a.Path("icons.svg"), nil, answer{200, "image/svg+xml", "", etag(a, "icons.svg"), "Accept-Encoding", forever}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := get(t, a, tt.method, tt.path, tt.header)
			h := r.Header
			got := answer{r.StatusCode, h.Get("Content-Type"), h.Get("Content-Encoding"), h.Get("ETag"), h.Get("Vary"), h.Get("Cache-Control")}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func etag(a *Assets, name string) string { return `"` + strings.Split(a.Path(name), ".")[1] + `"` }

// Both forms of every file are the file, but for the names of modules.
func TestAssetsContent(t *testing.T) {
	a := newTestAssets(t)
	for name, path := range a.paths {
		t.Run(name, func(t *testing.T) {
			want, err := fs.ReadFile(staticFiles, "static/"+name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "app.js" {
				for _, module := range []string{"passkey.js", "htmx.min.js"} {
					if !strings.Contains(string(want), `import("./`+module+`")`) {
						t.Errorf("app.js does not load %s", module)
					}
					want = bytes.ReplaceAll(want, []byte(`"./`+module+`"`), []byte(`".`+strings.TrimPrefix(a.Path(module), "/static")+`"`))
				}
			}
			plain, err := io.ReadAll(get(t, a, "GET", path, nil).Body)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(plain, want) {
				t.Errorf("%s is not the file", path)
			}
			r := get(t, a, "GET", path, map[string]string{"Accept-Encoding": "gzip"})
			if r.Header.Get("Content-Encoding") != "gzip" {
				t.Fatalf("%s has no compressed form", path)
			}
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			unzipped, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(unzipped, want) {
				t.Errorf("%s, decompressed, is not the file", path)
			}
		})
	}
}

func TestAssetsRefuse(t *testing.T) {
	tests := []struct {
		name  string
		files fstest.MapFS
		want  string
	}{
		{"missing", fstest.MapFS{"a.js": {Data: []byte(`import "./b.js";`)}}, "static files: open b.js: file does not exist"},
		{"cycle", fstest.MapFS{"a.js": {Data: []byte(`import "./b.js";`)}, "b.js": {Data: []byte(`import "./a.js";`)}}, "a.js imports itself by way of a.js, b.js"},
		{"type", fstest.MapFS{"a.woff2": {Data: []byte("x")}}, "a.woff2 has no media type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newAssets(tt.files)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// The address of a module changes when one that it imports does: else a browser would keep the old pair.
func TestAssetsHashFollowsImports(t *testing.T) {
	paths := map[string]bool{}
	for _, imported := range []string{"let a = 1;", "let a = 2;"} {
		a, err := newAssets(fstest.MapFS{"a.js": {Data: []byte(`import("./b.js")`)}, "b.js": {Data: []byte(imported)}})
		if err != nil {
			t.Fatal(err)
		}
		paths[a.Path("a.js")] = true
	}
	if len(paths) != 2 {
		t.Errorf("the address of the importing module stayed %v", paths)
	}
}

// The first load of a page: all of it but the page, which has 100 kB together with these.
func TestFirstLoad(t *testing.T) {
	const most = 60_000 // bytes; a page of 40 kB compressed would be a very long one
	a := newTestAssets(t)
	total := 0
	for _, name := range []string{"holdfast.css", "icons.svg", "app.js", "passkey.js", "htmx.min.js", "favicon.svg"} {
		r := get(t, a, "GET", a.Path(name), map[string]string{"Accept-Encoding": "gzip"})
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, %v", name, r.StatusCode, err)
		}
		t.Logf("%-14s %6d bytes", name, len(body))
		total += len(body)
	}
	if total > most {
		t.Errorf("first load = %d bytes, want at most %d", total, most)
	}
}

// inline is what the policy of pages would block, or what makes it worthless.
var inline = regexp.MustCompile(`\bon[a-z]+\s*=\s*["'{]|javascript:|\beval\s*\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|setAttribute\(\s*["'](?:style|on)|<style|<script`)

func TestScriptsAreStrict(t *testing.T) {
	for _, name := range []string{"app.js", "passkey.js", "icons.svg", "logo.svg", "favicon.svg"} {
		text, err := fs.ReadFile(staticFiles, "static/"+name)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			if found := inline.FindString(line); found != "" {
				t.Errorf("%s:%d: %q has no place here; make elements, set properties, listen on the document", name, n+1, found)
			}
		}
	}
	for _, bad := range []string{`x.innerHTML = y`, `a.setAttribute("style", b)`, `<a onclick="x()">`, `href = "javascript:x"`, `eval(x)`} {
		if !inline.MatchString(bad) {
			t.Errorf("%q is not found", bad)
		}
	}
}

var (
	symbol  = regexp.MustCompile(`<symbol id="i-([a-z-]+)"`)
	iconUse = map[string]*regexp.Regexp{
		".html": regexp.MustCompile(`(?:\bicon"?\s+"|#i-)([a-z-]+)"`), // {{icon "key"}}, and "icon" "key" of a dict
		".js":   regexp.MustCompile(`"i-([a-z-]+)"`),
	}
)

// An icon that does not exist is an empty square that nobody notices.
func TestIconsExist(t *testing.T) {
	sprite, err := fs.ReadFile(staticFiles, "static/icons.svg")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, m := range symbol.FindAllSubmatch(sprite, -1) {
		if have[string(m[1])] {
			t.Errorf("icons.svg holds i-%s twice", m[1])
		}
		have[string(m[1])] = true
	}
	used := 0
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		pattern := iconUse[filepath.Ext(path)]
		if err != nil || d.IsDir() || pattern == nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range pattern.FindAllSubmatch(text, -1) {
			used++
			if !have[string(m[1])] {
				t.Errorf("%s: icon %q is not in icons.svg", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if used < 10 {
		t.Errorf("only %d uses of icons were found; the pattern no longer fits the templates", used)
	}
}
