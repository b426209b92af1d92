package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// tokens authorizes by a table.
type tokens map[string]web.Principal

func (t tokens) Authorize(_ context.Context, token string) (web.Principal, error) {
	if token == "panic" {
		panic("secret detail")
	}
	if p, ok := t[token]; ok {
		return p, nil
	}
	return web.Principal{}, problem.New(problem.Unauthenticated, "the token is not known")
}

type refusalLog struct{ all []web.Refusal }

func (l *refusalLog) Refused(_ context.Context, r web.Refusal) error {
	l.all = append(l.all, r)
	return nil
}

func ok(w http.ResponseWriter, r *http.Request) error {
	return web.JSON(w, http.StatusOK, map[string]string{"user": r.PathValue("user"), "actor": web.Actor(r)})
}

type bench struct {
	h       http.Handler
	log     *bytes.Buffer
	refused *refusalLog
}

func newBench(t *testing.T, change func(*web.Config)) bench {
	t.Helper()
	b := bench{log: &bytes.Buffer{}, refused: &refusalLog{}}
	cfg := web.Config{
		Routes: []web.Route{
			{Pattern: "GET /v1/accounts/{account}/users", Access: web.Scope("list"), Errors: problem.RPC, Handle: ok},
			{Pattern: "GET /v1/accounts/{account}/users/{user}", Access: web.Scope("get"), Errors: problem.RPC, Handle: ok},
			{Pattern: "POST /v1/accounts/{account}/users/{user}:suspend", Access: web.Scope("suspend"), Errors: problem.RPC, Handle: ok},
			{Pattern: "POST /v1/oauth/token", Access: web.Public("test"), Errors: problem.OAuth, Handle: func(w http.ResponseWriter, r *http.Request) error {
				form, err := web.Form(r)
				if err != nil {
					return err
				}
				return web.JSON(w, http.StatusOK, form)
			}},
			{Pattern: "GET /panic", Access: web.Public("test"), Handle: func(http.ResponseWriter, *http.Request) error { panic("secret detail") }},
			{Pattern: "GET /fault", Access: web.Public("test"), Handle: func(http.ResponseWriter, *http.Request) error { return errors.New("secret detail") }},
		},
		Authorizer: tokens{
			"all":  {Actor: "client:1", AccountID: "A", Scopes: []string{"list", "get", "suspend"}},
			"list": {Actor: "client:2", AccountID: "A", Scopes: []string{"list"}},
		},
		Refusals: b.refused, MaxBody: 1000, Now: time.Now,
		Log: slog.New(slog.NewJSONHandler(b.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	h, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.h = h
	return b
}

func (b bench) do(method, target, token, body string, header ...string) *httptest.ResponseRecorder {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, r)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, req)
	return w
}

func TestRequests(t *testing.T) {
	const users = "/v1/accounts/A/users"
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	tests := []struct {
		name, method, target, token, body string
		header                            []string
		status                            int
		want                              string // in the body
		challenge                         string
	}{
		{"list", "GET", users, "all", "", nil, 200, `"actor":"client:1"`, ""},
		{"head", "HEAD", users, "all", "", nil, 200, "", ""},
		{"scheme_in_any_case", "GET", users, "", "", []string{"Authorization", "bEARER all"}, 200, `"client:1"`, ""},
		{"get", "GET", users + "/u1", "all", "", nil, 200, `"user":"u1"`, ""},
		{"verb", "POST", users + "/u1:suspend", "all", "", nil, 200, `"user":"u1"`, ""},
		{"verb_encoded", "POST", users + "/u1%3Asuspend", "all", "", nil, 200, `"user":"u1"`, ""},
		{"verb_unknown", "POST", users + "/u1:explode", "all", "", nil, 404, `"code":5`, ""},
		{"verb_missing", "POST", users + "/u1", "all", "", nil, 405, `"code":12`, ""},
		{"verb_with_get", "GET", users + "/u1:suspend", "all", "", nil, 405, "allowed: POST", ""},
		{"no_token", "GET", users, "", "", nil, 401, `"code":16`, `Bearer realm="holdfast"`},
		{"wrong_token", "GET", users, "x", "", nil, 401, `"code":16`, `Bearer realm="holdfast", error="invalid_token"`},
		{"basic_instead", "GET", users, "", "", []string{"Authorization", "Basic YTpi"}, 401, `"code":16`, `Bearer realm="holdfast"`},
		{"two_tokens", "GET", users, "all", "", []string{"Authorization", "Bearer list"}, 400, `"code":3`, ""},
		{"scope_missing", "GET", users + "/u1", "list", "", nil, 403, `"code":7`, `Bearer realm="holdfast", error="insufficient_scope", scope="get"`},
		{"other_account", "GET", "/v1/accounts/B/users", "all", "", nil, 404, `no account \"B\"`, ""},
		{"method", "DELETE", users, "all", "", nil, 405, "allowed: GET, HEAD", ""},
		{"no_path", "GET", "/v1/accounts", "", "", nil, 404, `"code":5`, ""},
		{"no_path_oauth", "GET", "/v1/oauth/nothing", "", "", nil, 404, `"error":"invalid_request"`, ""},
		{"no_path_at_all", "GET", "/nothing", "", "", nil, 404, `"status":404`, ""},
		{"path_not_clean", "GET", "/v1/accounts/A//users", "all", "", nil, 404, `"code":5`, ""},
		{"path_with_dots", "GET", "/v1/accounts/A/x/../users", "all", "", nil, 404, `"code":5`, ""},
		{"trailing_slash", "GET", users + "/", "all", "", nil, 404, `"code":5`, ""},
		{"secret_in_query", "GET", users + "?access_token=all", "all", "", nil, 400, "leaked", ""},
		{"form", "POST", "/v1/oauth/token", "", "a=1&b=%20", form, 200, `{"a":"1","b":" "}`, ""},
		{"form_charset", "POST", "/v1/oauth/token", "", "a=1", []string{"Content-Type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}, 200, `"a"`, ""},
		{"form_empty_is_absent", "POST", "/v1/oauth/token", "", "a=&b=2", form, 200, `{"b":"2"}`, ""},
		{"form_twice", "POST", "/v1/oauth/token", "", "a=1&a=1", form, 400, `"error":"invalid_request"`, ""},
		{"form_json", "POST", "/v1/oauth/token", "", `{"a":1}`, []string{"Content-Type", "application/json"}, 415, "invalid_request", ""},
		{"form_no_type", "POST", "/v1/oauth/token", "", "a=1", nil, 415, "invalid_request", ""},
		{"form_latin1", "POST", "/v1/oauth/token", "", "a=1", []string{"Content-Type", "application/x-www-form-urlencoded; charset=iso-8859-1"}, 415, "UTF-8", ""},
		{"form_broken", "POST", "/v1/oauth/token", "", "a=%zz", form, 400, "percent-encode", ""},
		{"body_too_large", "POST", "/v1/oauth/token", "", "a=" + strings.Repeat("x", 2000), form, 413, "invalid_request", ""},
		{"panic", "GET", "/panic", "", "", nil, 500, `"detail":"internal error"`, ""},
		{"panic_before_the_handler", "GET", users, "panic", "", nil, 500, `"code":13`, ""},
		{"fault", "GET", "/fault", "", "", nil, 500, `"detail":"internal error"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, nil)
			w := b.do(tt.method, tt.target, tt.token, tt.body, tt.header...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %d %s, want %d with %s", w.Code, w.Body, tt.status, tt.want)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("WWW-Authenticate = %q, want %q", got, tt.challenge)
			}
			for _, h := range []string{"Request-Id", "Content-Type", "X-Content-Type-Options", "Content-Security-Policy"} {
				if w.Header().Get(h) == "" {
					t.Errorf("no header %s", h)
				}
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control = %q, want no-store", got)
			}
			if strings.Contains(w.Body.String(), "secret detail") {
				t.Error("the answer tells what went wrong inside")
			}
			if n := strings.Count(b.log.String(), "\n"); n != 1 {
				t.Errorf("%d log lines, want exactly one:\n%s", n, b.log)
			}
			wantRefusals := 0
			if tt.challenge != "" || tt.name == "two_tokens" || tt.name == "other_account" || tt.name == "secret_in_query" {
				wantRefusals = 1
			}
			if len(b.refused.all) != wantRefusals {
				t.Errorf("%d refusals recorded, want %d", len(b.refused.all), wantRefusals)
			}
		})
	}
}

func TestNewRefusesUndeclaredAccess(t *testing.T) {
	for name, routes := range map[string][]web.Route{
		"no_access":    {{Pattern: "GET /a", Handle: ok}},
		"no_handler":   {{Pattern: "GET /a", Access: web.Public("x")}},
		"twice":        {{Pattern: "GET /a", Access: web.Public("x"), Handle: ok}, {Pattern: "GET /a", Access: web.Public("x"), Handle: ok}},
		"no_method":    {{Pattern: "/a", Access: web.Public("x"), Handle: ok}},
		"empty_reason": {{Pattern: "GET /a", Access: web.Public(""), Handle: ok}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := web.New(web.Config{Routes: routes, Now: time.Now}); err == nil {
				t.Error("New accepts the table")
			}
		})
	}
}

func TestFailuresAreLimitedButNeverSuccesses(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newBench(t, func(c *web.Config) {
		c.Now = func() time.Time { return now }
		c.Failures = web.NewLimiter(5, time.Second, 100, c.Now)
	})
	for i := range 20 {
		want := http.StatusUnauthorized
		if i >= 5 {
			want = http.StatusTooManyRequests
		}
		w := b.do("GET", "/v1/accounts/A/users", "wrong", "")
		if w.Code != want {
			t.Fatalf("failure %d: %d, want %d", i+1, w.Code, want)
		}
		if want == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After = %q, want 1", w.Header().Get("Retry-After"))
		}
	}
	if len(b.refused.all) != 5 {
		t.Errorf("%d refusals recorded, want 5: an attacker must not fill the log", len(b.refused.all))
	}
	if w := b.do("GET", "/v1/accounts/A/users", "all", ""); w.Code != http.StatusOK {
		t.Errorf("a valid token from the same address gets %d, want 200", w.Code)
	}
	now = now.Add(2 * time.Second)
	if w := b.do("GET", "/v1/accounts/A/users", "wrong", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("after the time was over: %d, want 401", w.Code)
	}
}

func TestForwardedAddress(t *testing.T) {
	proxies := web.Proxies{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("10.0.0.0/8")}
	tests := []struct {
		name    string
		proxies web.Proxies
		header  []string
		want    string
	}{
		{"nobody_trusted", nil, []string{"X-Forwarded-For", "198.51.100.7"}, "192.0.2.1"},
		{"through_proxy", proxies, []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7"},
		{"through_two", proxies, []string{"X-Forwarded-For", "198.51.100.7, 10.1.1.1"}, "198.51.100.7"},
		{"forged_first_hop", proxies, []string{"X-Forwarded-For", "127.0.0.1, 198.51.100.7"}, "198.51.100.7"},
		{"two_headers", proxies, []string{"X-Forwarded-For", "203.0.113.1", "X-Forwarded-For", "198.51.100.7"}, "198.51.100.7"},
		{"nonsense", proxies, []string{"X-Forwarded-For", "unknown"}, "192.0.2.1"},
		{"real_ip_ignored", proxies, []string{"X-Real-IP", "198.51.100.7"}, "192.0.2.1"},
		{"mapped", proxies, []string{"X-Forwarded-For", "::ffff:198.51.100.7"}, "198.51.100.7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, func(c *web.Config) { c.Proxies = tt.proxies })
			b.do("GET", "/v1/accounts/A/users", "wrong", "", tt.header...) // httptest's peer is 192.0.2.1
			if got := b.refused.all[0].Address; got != tt.want {
				t.Errorf("address = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestPlainPeers(t *testing.T) {
	b := newBench(t, func(c *web.Config) { c.PlainPeers = true })
	if w := b.do("GET", "/v1/accounts/A/users", "all", ""); w.Code != http.StatusForbidden {
		t.Errorf("a stranger over plain HTTP gets %d, want 403", w.Code)
	}
	b = newBench(t, func(c *web.Config) {
		c.PlainPeers, c.Proxies = true, web.Proxies{netip.MustParsePrefix("192.0.2.0/24")}
	})
	if w := b.do("GET", "/v1/accounts/A/users", "all", ""); w.Code != http.StatusOK {
		t.Errorf("a trusted proxy gets %d, want 200", w.Code)
	}
}

func TestRecordIsOneLine(t *testing.T) {
	b := newBench(t, nil)
	b.do("GET", "/v1/accounts/A/users?page_token=private", "wrong-token-text", "", "User-Agent", "evil\r\n{\"level\":\"x\"}\x1b[31m")
	var rec map[string]any
	if err := json.Unmarshal(b.log.Bytes(), &rec); err != nil {
		t.Fatalf("the log is not one JSON object: %v\n%s", err, b.log)
	}
	for _, k := range []string{"time", "ms", "bytes", "request_id"} {
		if rec[k] == nil {
			t.Errorf("no %s in the record", k)
		}
		delete(rec, k)
	}
	want := map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "route": "GET /v1/accounts/{account}/users", "status": 401.0,
		"address": "192.0.2.1", "outcome": "the token is not known", "user_agent": `evil??{"level":"x"}?[31m`,
	}
	if diff := cmp.Diff(want, rec); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestLimiterForgetsTheOldest(t *testing.T) {
	now := time.Unix(0, 0)
	l := web.NewLimiter(1, time.Hour, 2, func() time.Time { return now })
	for _, key := range []string{"a", "b", "c"} { // a is forgotten
		l.Fail(key)
	}
	for key, want := range map[string]bool{"a": false, "b": true, "c": true} {
		if _, got := l.Exhausted(key); got != want {
			t.Errorf("Exhausted(%s) = %v, want %v", key, got, want)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("/v1/accounts/A/users/u1:suspend", "Bearer all", "filter=x")
	f.Add("/v1/oauth/token", "Basic ::", "a=%")
	f.Add("/v1//a/../b", "", "access%5Ftoken=1")
	f.Fuzz(func(t *testing.T, path, authorization, query string) {
		b := newBench(t, nil)
		req := httptest.NewRequest("POST", "/", strings.NewReader("a=1"))
		req.URL.Path, req.URL.RawQuery = path, query
		req.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		b.h.ServeHTTP(w, req)
		if w.Code >= 500 || w.Code >= 300 && w.Code < 400 {
			t.Errorf("POST %q with %q: %d %s", path, authorization, w.Code, w.Body)
		}
		if strings.Count(b.log.String(), "\n") != 1 {
			t.Errorf("not one log line: %q", b.log)
		}
	})
}

// TestGetWithoutItsBody sends a GET that announces a body and never sends it, as careless Node-RED flows
// do: it is answered, and the connection is not used again.
func TestGetWithoutItsBody(t *testing.T) {
	srv := httptest.NewServer(newBench(t, nil).h) // without time limits: nothing but the answer ends the wait
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /v1/accounts/A/users HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer all\r\nContent-Length: 29\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("%s, closing is %v; want 200 and the end of the connection", resp.Status, resp.Close)
	}
}
