package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"holdfast/internal/problem"
)

// JSON answers with v.
func JSON(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(v); err != nil {
		return err
	}
	return Bytes(w, status, "application/json", body.Bytes())
}

// countedByServer is up to which length net/http finds out the Content-Length of a body by itself. With
// one header less, those of an answer fit into a map that never grows, which is a fifth of what a short
// answer allocates.
const countedByServer = 2048

// Bytes answers with a body that is ready.
func Bytes(w http.ResponseWriter, status int, mediaType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	if len(body) > countedByServer {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client left; nothing to do
	return nil
}

// Query reads the query string. A parameter that is named in once and repeated is refused, others are
// ignored: which of two values a client meant cannot be known.
func Query(r *http.Request, once ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.New(problem.Invalid, "the query string cannot be read; percent-encode it").WithCause(err)
	}
	for _, name := range once {
		if n := len(values[name]); n > 1 {
			return nil, problem.InField(name, "the parameter %s is given %d times; give it once", name, n)
		}
	}
	return values, nil
}

// Form reads a body of type application/x-www-form-urlencoded, any letter case, optionally with
// charset UTF-8. The query string is no part of it. A repeated parameter is refused (RFC 6749 §3.2);
// one without a value counts as absent (same section).
func Form(r *http.Request) (map[string]string, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, problem.New(problem.Unsupported, "the body must be of type application/x-www-form-urlencoded, found %q", printable(r.Header.Get("Content-Type"), 60))
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return nil, problem.New(problem.Unsupported, "the body must be in UTF-8, found charset %q", printable(charset, 20))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, err
		}
		return nil, problem.New(problem.Invalid, "the body ended early").WithCause(err)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, problem.New(problem.Invalid, "the body is not a valid form: percent-encode names and values")
	}
	form := make(map[string]string, len(values))
	for name, vs := range values {
		if len(vs) > 1 {
			return nil, problem.InField(name, "the parameter %s is given %d times; give it once", printable(name, 40), len(vs))
		}
		if vs[0] != "" {
			form[name] = vs[0]
		}
	}
	return form, nil
}
