package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

//go:embed static/*.css static/*.js static/*.svg
var staticFiles embed.FS

// HTMXConfig is the content of the meta element "htmx-config". It switches off what the content
// security policy forbids anyway (eval, style elements, scripts in swapped HTML), keeps pages with
// secrets out of the browser's storage (no history cache: Back loads the page again), and swaps the
// answer 422, which is a form with its field errors.
const HTMXConfig = `{"allowEval":false,"allowScriptTags":false,"includeIndicatorStyles":false,` +
	`"selfRequestsOnly":true,"historyCacheSize":0,"refreshOnHistoryMiss":true,` +
	`"attributesToSettle":["class","width","height"],"scrollBehavior":"instant","timeout":15000,` +
	`"responseHandling":[{"code":"204","swap":false},{"code":"[23]..","swap":true},` +
	`{"code":"422","swap":true},{"code":"[45]..","swap":false,"error":true}]}`

// mediaTypes are the kinds of file that are served. The table of the system is not asked: it differs
// from machine to machine, and with nosniff a wrong type is a page without style.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// sibling is how one module names another: "./passkey.js", in an import or as its only argument.
var sibling = regexp.MustCompile(`"\./([a-z0-9.-]+\.js)"`)

// Assets are the files of the console, each at an address that changes with its content. A browser
// therefore keeps them for a year and never asks again, and after an update nobody sees an old one.
type Assets struct {
	paths  map[string]string // by name in the folder static: "holdfast.css" is at "/static/holdfast.<hash>.css"
	served map[string]asset  // by last segment of the path
}

// asset is a file as it is sent.
type asset struct {
	mediaType string
	tag       string // its hash, without quotes
	plain     []byte
	zipped    []byte // nil if compression does not make it smaller
}

// NewAssets reads the embedded files. It fails if a module names another that does not exist, or
// itself by a detour.
func NewAssets() (*Assets, error) {
	sub, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	return newAssets(sub)
}

func newAssets(files fs.FS) (*Assets, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	a := &Assets{paths: map[string]string{}, served: map[string]asset{}}
	for _, e := range entries {
		if err := a.add(files, e.Name(), nil); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// add reads one file, after those that it imports: their addresses are part of its text, hence of its
// hash. parents are the files that wait for this one.
func (a *Assets) add(files fs.FS, name string, parents []string) error {
	if a.paths[name] != "" {
		return nil
	}
	if slices.Contains(parents, name) {
		return fmt.Errorf("static files: %s imports itself by way of %s", name, strings.Join(parents, ", "))
	}
	mediaType := mediaTypes[path.Ext(name)]
	if mediaType == "" {
		return fmt.Errorf("static files: %s has no media type; add its ending to the table", name)
	}
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return fmt.Errorf("static files: %w", err)
	}
	if path.Ext(name) == ".js" {
		var errs []error
		text = sibling.ReplaceAllFunc(text, func(quoted []byte) []byte {
			imported := string(sibling.FindSubmatch(quoted)[1])
			if err := a.add(files, imported, append(parents, name)); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				return quoted
			}
			return []byte(`".` + strings.TrimPrefix(a.paths[imported], "/static") + `"`)
		})
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(text)
	tag := hex.EncodeToString(sum[:6])
	zipped, err := compress(text)
	if err != nil {
		return fmt.Errorf("static files: %s: %w", name, err)
	}
	ext := path.Ext(name)
	last := strings.TrimSuffix(name, ext) + "." + tag + ext
	a.paths[name] = "/static/" + last
	a.served[last] = asset{mediaType: mediaType, tag: tag, plain: text, zipped: zipped}
	return nil
}

// compress makes a gzip stream, or nil if that would be no shorter.
func compress(text []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if out.Len() >= len(text) {
		return nil, nil
	}
	return out.Bytes(), nil
}

// Path is the address of a file: "/static/holdfast.1f0c29a5d3b7.css" for "holdfast.css". It is empty if
// there is no such file, which a test of the templates finds.
func (a *Assets) Path(name string) string { return a.paths[name] }

// Routes serves the files.
func (a *Assets) Routes() []web.Route {
	return []web.Route{{
		Pattern: "GET /static/{file}",
		Access:  web.Public("style, icons and scripts are needed before anybody has signed in, and hold no data"),
		Handle:  a.serve,
	}}
}

func (a *Assets) serve(w http.ResponseWriter, r *http.Request) error {
	f, ok := a.served[r.PathValue("file")]
	if !ok {
		return problem.New(problem.NotFound, "no such file; if a page asked for it, Holdfast was updated since: load the page again")
	}
	body, tag := f.plain, `"`+f.tag+`"`
	h := w.Header()
	if f.zipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			body, tag = f.zipped, `"`+f.tag+`-gzip"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		h.Del("Content-Encoding") // it describes a body, and there is none
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return web.Bytes(w, http.StatusOK, f.mediaType, body)
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3). Nothing said is a no: a client that wants
// gzip says so.
func acceptsGzip(values []string) bool {
	anything := false
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			coding, params, _ := strings.Cut(item, ";")
			accepted := !zeroWeight(params)
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return accepted
			case "*":
				anything = accepted
			}
		}
	}
	return anything
}

// zeroWeight tells whether the parameters hold a weight of 0, 0.0, 0.00 or 0.000.
func zeroWeight(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, weight, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") && strings.Trim(weight, "0.") == "" && weight != "" {
			return true
		}
	}
	return false
}

// matches compares an If-None-Match (RFC 9110 §13.1.2) with an entity tag, weakly.
func matches(values []string, tag string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item == "*" || strings.TrimPrefix(item, "W/") == tag {
				return true
			}
		}
	}
	return false
}
