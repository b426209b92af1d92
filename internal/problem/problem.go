package problem

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind says what went wrong in a way that a program can act on.
type Kind uint8

// The kinds; the package comment shows how each protocol spells them.
const (
	Internal Kind = iota
	Invalid
	Unauthenticated
	Forbidden
	NotFound
	MethodNotAllowed
	Conflict
	TooLarge
	Unsupported
	TooMany
	Unavailable
)

// kinds is the table of the package comment, indexed by Kind.
var kinds = [...]struct {
	status int
	rpc    int
	oauth  string
	title  string
}{
	Internal:         {http.StatusInternalServerError, 13, "server_error", "internal error"},
	Invalid:          {http.StatusBadRequest, 3, "invalid_request", "invalid request"},
	Unauthenticated:  {http.StatusUnauthorized, 16, "invalid_client", "not authenticated"},
	Forbidden:        {http.StatusForbidden, 7, "unauthorized_client", "not allowed"},
	NotFound:         {http.StatusNotFound, 5, "invalid_request", "not found"},
	MethodNotAllowed: {http.StatusMethodNotAllowed, 12, "invalid_request", "method not allowed"},
	Conflict:         {http.StatusConflict, 6, "invalid_request", "conflict"},
	TooLarge:         {http.StatusRequestEntityTooLarge, 3, "invalid_request", "request too large"},
	Unsupported:      {http.StatusUnsupportedMediaType, 3, "invalid_request", "unsupported media type"},
	TooMany:          {http.StatusTooManyRequests, 8, "temporarily_unavailable", "too many requests"},
	Unavailable:      {http.StatusServiceUnavailable, 14, "temporarily_unavailable", "unavailable"},
}

// Status is the HTTP status of the kind.
func (k Kind) Status() int { return kinds[k].status }

// String is the kind in words, as shown in RFC 9457 "title" and in logs.
func (k Kind) String() string { return kinds[k].title }

// Error is a problem that the caller may hear about.
type Error struct {
	Kind   Kind
	Code   string // machine-readable name in the protocol's own vocabulary, such as "no_owner_remain"; may be empty
	Detail string // one sentence for the caller: what was found, what was expected, what to do
	Field  string // the field of a form that Detail is about; may be empty

	// Challenge is the value of WWW-Authenticate. An endpoint that asks for credentials sets it
	// (RFC 9110 §11.6.1); it may also go with a 403 (RFC 6750 §3.1, insufficient_scope).
	Challenge  string
	RetryAfter time.Duration // with TooMany and Unavailable: when to try again
	Allow      string        // with MethodNotAllowed: the methods that exist

	Err error // the private cause, for the log only; may be nil
}

// New makes a problem whose detail the caller may read.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// Coded makes a problem with a machine-readable code, which the Users API shows as its message.
func Coded(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// InField makes an Invalid problem about one field of a form.
func InField(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// WithCause attaches the private cause and returns the problem.
func (e *Error) WithCause(err error) *Error {
	e.Err = err
	return e
}

func (e *Error) Error() string {
	s := e.Detail
	if s == "" {
		s = e.Kind.String()
	}
	if e.Code != "" {
		s = e.Code + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of the problem in err's chain, or Internal.
func KindOf(err error) Kind {
	if p, ok := errors.AsType[*Error](err); ok {
		return p.Kind
	}
	return Internal
}

// Is reports whether err's chain holds a problem of the kind.
func Is(err error, kind Kind) bool {
	p, ok := errors.AsType[*Error](err)
	return ok && p.Kind == kind
}

// Public is the problem in err's chain, or one of kind Internal that says nothing.
func Public(err error) *Error {
	if p, ok := errors.AsType[*Error](err); ok {
		return p
	}
	return &Error{Kind: Internal, Detail: "internal error", Err: err}
}
