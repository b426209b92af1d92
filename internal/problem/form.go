package problem

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Form is how a protocol spells an error.
type Form uint8

// The forms.
const (
	Detailed Form = iota // RFC 9457 application/problem+json, on our own endpoints
	RPC                  // google.rpc.Status in JSON, on the Users API
	OAuth                // RFC 6749 §5.2, on the OAuth endpoints
	Events               // {"Error":{"Message":…}}, on the Events API
	Page                 // for people: the console makes a page of it; where it cannot, as Detailed
)

// Body is the status, media type and JSON of the problem in this form.
func (f Form) Body(e *Error) (status int, mediaType string, body []byte) {
	k := kinds[e.Kind]
	detail := e.Detail
	if detail == "" {
		detail = k.title
	}
	mediaType = "application/json"
	var v any
	switch f {
	case RPC:
		v = rpcStatus{Code: k.rpc, Message: cmp.Or(e.Code, detail), Details: []any{}}
	case OAuth:
		v = oauthError{Error: cmp.Or(e.Code, k.oauth), Description: describable(detail)}
	case Events:
		v = eventsError{Error: eventsMessage{Message: detail}}
	default:
		mediaType = "application/problem+json"
		v = details{Type: "about:blank", Title: k.title, Status: k.status, Detail: detail, Code: e.Code, Field: e.Field}
	}
	body, err := json.Marshal(v)
	if err != nil { // cannot happen: the structs hold strings and numbers only
		return http.StatusInternalServerError, "application/json", []byte(`{}`)
	}
	return k.status, mediaType, append(body, '\n')
}

// Write answers with the problem.
func (f Form) Write(w http.ResponseWriter, e *Error) {
	status, mediaType, body := f.Body(e)
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if e.Challenge != "" {
		h.Set("WWW-Authenticate", e.Challenge)
	}
	if e.Allow != "" {
		h.Set("Allow", e.Allow)
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", retrySeconds(e.RetryAfter))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client left; nothing to do
}

// rpcStatus is google.rpc.Status in JSON: a numeric code, a message for machines, no details yet.
type rpcStatus struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details []any  `json:"details"`
}

type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

type eventsError struct {
	Error eventsMessage `json:"Error"`
}

type eventsMessage struct {
	Message string `json:"Message"`
}

type details struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code,omitempty"`
	Field  string `json:"field,omitempty"`
}

// retrySeconds is delay-seconds of RFC 9110 §10.2.3: whole seconds, never zero.
func retrySeconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

// describable keeps what RFC 6749 §5.2 allows in error_description: %x20-21 / %x23-5B / %x5D-7E.
func describable(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		switch {
		case r == '"':
			out = append(out, '\'')
		case r == '\\' || r < 0x20 || r > 0x7e:
			out = append(out, '?')
		default:
			out = append(out, byte(r))
		}
	}
	return string(out)
}
