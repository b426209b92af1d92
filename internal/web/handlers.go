package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"holdfast/internal/problem"
)

// Config is what the edge needs. Routes, Log and Now must be set; Authorizer and Refusals too if a
// route asks for a scope, Events if one asks for an events token, Sessions and Page if one is for people.
type Config struct {
	Routes     []Route
	Authorizer Authorizer // of access tokens
	Events     Authorizer // of events tokens
	Sessions   Sessions
	Page       func(w http.ResponseWriter, r *http.Request, p *problem.Error) // shows a problem to a person
	Origin     string                                                         // of the console as browsers know it, if a proxy changes Host
	Refusals   RefusalLog
	Proxies    Proxies
	PlainPeers bool  // plain HTTP off loopback: serve trusted proxies and loopback only
	HSTS       bool  // the listener speaks TLS
	MaxBody    int64 // bytes; 0 means 64 KiB
	Failures   *Limiter
	Observe    func(r *http.Request, rec *Record, status int, took time.Duration) // metrics and counters; may be nil
	Log        *slog.Logger
	Now        func() time.Time
}

// Handlers is the http.Handler made of a route table.
type Handlers struct {
	cfg   Config
	mux   *http.ServeMux
	cross *http.CrossOriginProtection
}

// New compiles the table. It fails on a route without declared access, without handler, or declared twice.
func New(cfg Config) (*Handlers, error) {
	byPath, err := compile(cfg.Routes)
	if err != nil {
		return nil, err
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 64 << 10
	}
	if cfg.Failures == nil {
		cfg.Failures = NewLimiter(60, time.Second, 100_000, cfg.Now)
	}
	h := &Handlers{cfg: cfg, mux: http.NewServeMux(), cross: http.NewCrossOriginProtection()}
	if cfg.Origin != "" {
		if err := h.cross.AddTrustedOrigin(cfg.Origin); err != nil {
			return nil, fmt.Errorf("trust the console's origin: %w", err)
		}
	}
	for p, e := range byPath {
		h.mux.Handle(p, h.endpoint(e))
	}
	if byPath["/"] == nil {
		h.mux.Handle("/", h.endpoint(nil))
	}
	return h, nil
}

// endpoint adapts one path to what the mux holds. The error travels back in the response, so that
// ServeHTTP alone answers and logs.
func (h *Handlers) endpoint(e *endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := w.(*response)
		rw.err = guard(rw, r, func(rw *response, r *http.Request) error { return h.serve(rw, r, e) })
	})
}

// ServeHTTP serves one request and leaves one record of it.
func (h *Handlers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &Record{RequestID: rand.Text(), Address: h.cfg.Proxies.client(r), start: h.cfg.Now()}
	rw := &response{ResponseWriter: w, rec: rec, form: formOf(r)}
	r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
	header := w.Header()
	header.Set("Request-Id", rec.RequestID)
	maps.Copy(header, safeHeaders)
	if h.cfg.HSTS {
		header["Strict-Transport-Security"] = hsts
	}
	switch {
	case len(r.TransferEncoding) > 0:
		header.Set("Connection", "close") // there may have been a Content-Length too, RFC 9112 §6.1
	case r.ContentLength > 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		// Node-RED flows announce the body of an earlier request and send none; net/http would wait for
		// it before it answers, unless the connection ends with the answer.
		header.Set("Connection", "close")
	}

	switch {
	case h.cfg.PlainPeers && !h.mayBePlain(r):
		rw.err = problem.New(problem.Forbidden, "plain HTTP is served to trusted proxies only; use https, or add the proxy to trusted_proxies")
	case !cleanPath(r.URL.Path):
		rw.err = problem.New(problem.NotFound, "no such path: it is not in its shortest form")
	default:
		h.mux.ServeHTTP(rw, r)
	}
	if rw.err != nil {
		h.answer(rw, r, rw.err)
	}
	if h.cfg.Observe != nil {
		h.cfg.Observe(r, rec, rec.status, h.cfg.Now().Sub(rec.start))
	}
	h.log(r, rec, rw.err)
}

// The headers are the same for each answer; the slices are shared and never written to.
var (
	safeHeaders = http.Header{
		"Cache-Control":                {"no-store"},
		"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Referrer-Policy":              {"no-referrer"},
		"X-Content-Type-Options":       {"nosniff"},
		"X-Frame-Options":              {"DENY"},
	}
	hsts = []string{"max-age=31536000"}
)

func (h *Handlers) serve(w *response, r *http.Request, e *endpoint) error {
	rec := w.rec
	if e == nil {
		return problem.New(problem.NotFound, "no such path")
	}
	w.form = e.form
	rec.Route = e.path
	if err := refuseSecretInQuery(r.URL); err != nil {
		return h.refuse(r, rec, err)
	}
	route, err := e.find(r)
	if err != nil {
		return err
	}
	w.form = route.Errors
	rec.Route = route.Pattern
	if scope := route.Access.scope; scope != "" || route.Access.events {
		rec.Scope = scope
		if err := h.authorize(r, rec, route.Access); err != nil {
			return h.refuse(r, rec, err)
		}
	}
	if route.Access.browser() {
		if err := h.admit(r, rec, route.Access); err != nil {
			return err
		}
	}
	most := h.cfg.MaxBody
	if route.MaxBody != 0 {
		most = route.MaxBody
	}
	if r.ContentLength > most {
		return problem.New(problem.TooLarge, "the body has %d bytes; at most %d are accepted", r.ContentLength, most)
	}
	if r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w, r.Body, most)
	}
	return route.Handle(w, r)
}

func (h *Handlers) mayBePlain(r *http.Request) bool {
	peer := peerAddr(r)
	return peer.IsLoopback() || h.cfg.Proxies.trusts(peer)
}

// cleanPath is false for a path that ServeMux would redirect: a redirect makes some clients send
// their token again, perhaps elsewhere.
func cleanPath(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	c := path.Clean(p)
	return c == p || c != "/" && c+"/" == p
}

// guard runs what serves a request; a panic is an error like any other, with its stack for the log.
func guard(w *response, r *http.Request, serve func(*response, *http.Request) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return serve(w, r)
}

// authorize checks, in this order: a bearer token is there; it is live; it belongs to the account in
// the path; its application has the scope, or it has the feature.
func (h *Handlers) authorize(r *http.Request, rec *Record, access Access) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	authorizer, scope := h.cfg.Authorizer, access.scope
	if access.events {
		authorizer = h.cfg.Events
	}
	principal, err := authorizer.Authorize(r.Context(), token)
	rec.Principal = principal
	if err != nil {
		if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind == problem.Unauthenticated {
			p.Challenge = `Bearer realm="holdfast", error="invalid_token"`
		}
		return err
	}
	if account := r.PathValue("account"); account != "" && account != principal.AccountID {
		// The same answer whether the account exists or not: nothing is told about other accounts. What is
		// longer than an ID is not repeated, since it may be a token in the wrong place.
		if len(account) > 26 {
			return problem.New(problem.NotFound, "no such account: an account ID has 26 characters A-Z and 2-7")
		}
		return problem.New(problem.NotFound, "no account %q", printable(account, 26))
	}
	if access.events {
		if scope == "" || slices.Contains(principal.Scopes, scope) {
			return nil
		}
		// 401 and not 403: so the contract has it (its section 4.2), and clients of it know no other.
		p := problem.New(problem.Unauthenticated, "the events token has not been given the feature %q; an administrator can make one that has it", scope)
		p.Challenge = fmt.Sprintf(`Bearer realm="holdfast", error="insufficient_scope", scope=%q`, scope)
		return p
	}
	if !slices.Contains(principal.Scopes, scope) {
		p := problem.New(problem.Forbidden, "the application has not been given the scope %q; an administrator can add it to the application", scope)
		p.Challenge = fmt.Sprintf(`Bearer realm="holdfast", error="insufficient_scope", scope=%q`, scope)
		return p
	}
	return nil
}

// bearer is the token of the Authorization header (RFC 6750 §2.1); the scheme's case does not matter.
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	challenge := func(format string, args ...any) error {
		p := problem.New(problem.Unauthenticated, format, args...)
		p.Challenge = `Bearer realm="holdfast"` // RFC 6750 §3.1: no error code if no credentials were sent
		return p
	}
	if len(values) == 0 {
		return "", challenge("no access token: send the header Authorization: Bearer <token>")
	}
	if len(values) > 1 {
		return "", problem.New(problem.Invalid, "there are %d Authorization headers; exactly one is accepted", len(values))
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", challenge("the Authorization header is not of the form: Bearer <token>")
	}
	return strings.TrimSpace(token), nil
}

// refuse audits a refusal, unless the address has failed so often that it only gets 429 from now on.
func (h *Handlers) refuse(r *http.Request, rec *Record, err error) error {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind == problem.Internal || p.Kind == problem.Unavailable {
		return err
	}
	if wait, within := h.cfg.Failures.Fail(AddressKey(rec.Address)); !within {
		tooMany := problem.New(problem.TooMany, "too many refused requests from this address; try again in %d s", 1+int(wait.Seconds()))
		tooMany.RetryAfter = wait
		return tooMany
	}
	if h.cfg.Refusals == nil {
		return err
	}
	logErr := h.cfg.Refusals.Refused(r.Context(), Refusal{
		AccountID: rec.Principal.AccountID, Actor: rec.Principal.Actor, Target: rec.Route,
		Reason: p.Detail, Address: rec.Address.String(), RequestID: rec.RequestID,
	})
	if logErr != nil {
		h.cfg.Log.ErrorContext(r.Context(), "refusal not audited", "request_id", rec.RequestID, "error", logErr)
	}
	return err
}

// answer is the one place where errors become responses.
func (h *Handlers) answer(w *response, r *http.Request, err error) {
	rec := w.rec
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok && problem.KindOf(err) != problem.TooLarge {
		err = problem.New(problem.TooLarge, "the body is too large; at most %d bytes are accepted", tooBig.Limit).WithCause(err)
	}
	p := problem.Public(err)
	rec.Outcome = p.Code
	if rec.Outcome == "" {
		rec.Outcome = printable(p.Detail, 160)
	}
	if rec.status != 0 { // the handler wrote before it failed; the connection cannot be saved
		rec.Outcome += " (after the answer had begun)"
		return
	}
	if w.form == problem.Page && h.cfg.Page != nil {
		h.cfg.Page(w, r, p)
		return
	}
	w.form.Write(w, p)
}

// refuseSecretInQuery refuses credentials as URL parameters (RFC 9700 §4.3.2): URLs end up in logs.
func refuseSecretInQuery(u *url.URL) error {
	if u.RawQuery == "" {
		return nil
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if unescaped, err := url.QueryUnescape(name); err == nil {
			name = unescaped
		}
		switch strings.ToLower(name) {
		case "access_token", "client_secret", "token", "password":
			return problem.New(problem.Invalid, "the query string holds %q: credentials are not accepted in URLs, because URLs end up in logs; treat it as leaked and rotate it", strings.ToLower(name))
		}
	}
	return nil
}

// formOf chooses the error form of a path that no route has.
func formOf(r *http.Request) problem.Form {
	switch p := r.URL.Path; {
	case strings.HasPrefix(p, "/v1/oauth/"), strings.HasPrefix(p, "/v1beta1/users/oauth2/"):
		return problem.OAuth
	case strings.HasPrefix(p, "/v1/"), strings.HasPrefix(p, "/v1beta1/"):
		return problem.RPC
	case strings.HasPrefix(p, "/api/"):
		return problem.Events
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		return problem.Page
	}
	return problem.Detailed
}
