package servertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Contract serves next and reports to t every exchange that the documents in docs/openapi do not allow.
// The exchange itself is passed through unchanged. Safe for concurrent use.
func Contract(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	docs, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := &reads{ReadCloser: r.Body}
		answer := &writes{ResponseWriter: w}
		inner := r.WithContext(r.Context())
		inner.Body = asked
		next.ServeHTTP(answer, inner)
		answer.finish()
		x := exchange{
			method: r.Method, url: r.URL, header: r.Header, asked: asked.copy.Bytes(),
			status: answer.status, answer: answer.header, body: answer.copy.Bytes(),
		}
		for _, doc := range docs {
			if found := doc.violations(r.Context(), x); len(found) > 0 {
				t.Errorf("%s", x.report(doc.file, found))
			}
		}
	})
}

// exchange is one request and its answer, as they went over the wire.
type exchange struct {
	method string
	url    *url.URL
	header http.Header
	asked  []byte // of the request's body, what the handler read

	status int
	answer http.Header
	body   []byte
}

// request is the request again, under the path and method of the document. What is asked for as JSON is
// read as JSON whatever the client called it, and nothing as an empty object.
func (x exchange) request(ctx context.Context, method, escapedPath string, asJSON bool) *http.Request {
	u := *x.url
	u.Path, u.RawPath = escapedPath, ""
	if plain, err := url.PathUnescape(escapedPath); err == nil && plain != escapedPath {
		u.Path, u.RawPath = plain, escapedPath
	}
	u.RawQuery = plainQuery(u.RawQuery)
	header, body := x.header, x.asked
	if asJSON {
		header = header.Clone()
		header.Set("Content-Type", "application/json")
		if len(bytes.TrimSpace(body)) == 0 {
			body = []byte("{}")
		}
	} else {
		body = plainForm(body)
	}
	r := &http.Request{
		Method: method, URL: &u, Header: header, Host: x.url.Host,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	return r.WithContext(ctx)
}

// plainForm replaces what a client had to percent-encode by a letter: the validator decodes a value and
// then complains that it was not encoded.
func plainForm(form []byte) []byte {
	values, err := url.ParseQuery(string(form))
	if err != nil {
		return form
	}
	const reserved = ":/?#[]@!$&'()*+,;="
	changed := false
	for _, vs := range values {
		for i, v := range vs {
			if strings.ContainsAny(v, reserved) {
				changed = true
				vs[i] = strings.Map(func(r rune) rune {
					if strings.ContainsRune(reserved, r) {
						return 'x'
					}
					return r
				}, v)
			}
		}
	}
	if !changed {
		return form
	}
	return []byte(values.Encode())
}

// plainQuery leaves out parameters without a value, which count as absent, and shortens numbers that are
// too long for the validator; they are far above every limit either way.
func plainQuery(raw string) string {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return raw
	}
	const longest = 18 // digits that fit an int64, whatever they are
	changed := false
	for name, values := range q {
		for i, v := range values {
			if len(v) > longest && strings.Trim(v, "0123456789") == "" {
				values[i], changed = v[:longest], true
			}
		}
		if len(values) == 1 && values[0] == "" {
			delete(q, name)
			changed = true
		}
	}
	if !changed {
		return raw // as it was written, for the validator reads that differently
	}
	return q.Encode()
}

func (x exchange) response() *http.Response {
	return &http.Response{StatusCode: x.status, Header: x.answer, Body: io.NopCloser(bytes.NewReader(x.body))}
}

// report is the text of the test failure. Credentials are masked: test logs are kept and shared.
func (x exchange) report(file string, found []string) string {
	const most = 4 << 10
	body := string(x.body)
	if len(body) > most {
		body = fmt.Sprintf("%s… (%d bytes)", body[:most], len(x.body))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s was answered %d, and docs/openapi/%s does not allow that:\n", x.method, x.url.RequestURI(), x.status, file)
	for _, f := range slices.Compact(found) {
		fmt.Fprintf(&b, "  - %s\n", f)
	}
	fmt.Fprintf(&b, "  body: %s", body)
	return mask(b.String())
}

// A client secret or an access token; or an events token, a JWT.
var credential = regexp.MustCompile(`(hf[st]_)[A-Za-z0-9]+|\b(eyJ)[-_.A-Za-z0-9]+`)

func mask(s string) string { return credential.ReplaceAllString(s, "${1}${2}…") }

// reads copies what the handler reads of the request's body.
type reads struct {
	io.ReadCloser
	copy bytes.Buffer
}

func (b *reads) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.copy.Write(p[:n])
	return n, err
}

// writes copies what the handler answers.
type writes struct {
	http.ResponseWriter
	status int // 0 until the header is written
	header http.Header
	copy   bytes.Buffer
}

func (w *writes) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // 1xx may come before
		w.status, w.header = status, w.Header().Clone()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writes) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status, w.header = http.StatusOK, w.Header().Clone()
	}
	w.copy.Write(p)
	return w.ResponseWriter.Write(p)
}

// finish is for a handler that wrote nothing: net/http then answers 200.
func (w *writes) finish() {
	if w.status == 0 {
		w.status, w.header = http.StatusOK, w.Header().Clone()
	}
}

// Unwrap is for http.ResponseController.
func (w *writes) Unwrap() http.ResponseWriter { return w.ResponseWriter }
