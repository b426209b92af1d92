package servertest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/docs/openapi"
)

const (
	account = "T4JX7QZL2VNRWB6KMPSDCYGH5E"
	person  = "K7QWZP3M5XNB2RTYDHCVFAEJ4U"
	token   = "hft_InventedForThisTestOnlyAndNeverIssued000000000000"
	jwt     = "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOlsiaG9sZGZhc3QuZXhhbXBsZS5jb20iXX0.bm90LWEtc2lnbmF0dXJl"

	active    = `{"id":"` + person + `","email":"mira.oduya@example.org","display_name":"Mira Oduya","state":"ACTIVE","create_time":"2025-03-02T08:14:00Z","path":"accounts/` + account + `/users/` + person + `"}`
	suspended = `{"id":"` + person + `","email":"mira.oduya@example.org","display_name":"Mira Oduya","state":"SUSPENDED","create_time":"2025-03-02T08:14:00Z","path":"accounts/` + account + `/users/` + person + `"}`
	issued    = `{"access_token":"` + token + `","token_type":"Bearer","expires_in":900,"scope":"openid"}`

	usersPath = "/v1/accounts/" + account + "/users"
	userPath  = usersPath + "/" + person
	betaUser  = "/v1beta1/accounts/" + account + "/users/" + person
)

// witness is a testing.TB that takes notes instead of failing.
type witness struct {
	testing.TB
	mu  sync.Mutex
	saw []string
}

func (w *witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saw = append(w.saw, fmt.Sprintf(format, args...))
}

// side is one half of an exchange: its first line's essence, header as "Name: value", body.
type side struct {
	line   string
	header []string
	body   string
}

func (s side) fill(h http.Header) {
	for _, line := range s.header {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
}

var (
	bearer   = []string{"Authorization: Bearer " + token}
	form     = []string{"Authorization: Basic NmYxYzJkN2U6eA==", "Content-Type: application/x-www-form-urlencoded"}
	jsonBody = []string{"Request-Id: R1", "Cache-Control: no-store", "Content-Type: application/json"}
)

func with(header []string, more ...string) []string {
	return append(header[:len(header):len(header)], more...)
}

// contractTest is an exchange and what is reported of it.
type contractTest struct {
	name   string
	ask    side
	answer side
	want   []string // each a part of the report; none: no report
}

func TestContract(t *testing.T) {
	get := side{"GET " + userPath, bearer, ""}
	ask := side{"POST /v1/oauth/token", form, "grant_type=client_credentials"}
	rpc := func(status int, code int, header ...string) side {
		return side{fmt.Sprint(status), with(jsonBody, header...), fmt.Sprintf(`{"code":%d,"message":"m","details":[]}`, code)}
	}
	oauthError := func(status int, name string, header ...string) side {
		return side{fmt.Sprint(status), with(jsonBody, header...), fmt.Sprintf(`{"error":%q,"error_description":"d"}`, name)}
	}
	ok := func(body string) side { return side{"200", jsonBody, body} }

	tests := []contractTest{
		{name: "get", ask: get, answer: ok(active)},
		{name: "get_beta", ask: side{"GET " + betaUser, bearer, ""}, answer: ok(active)},
		{name: "get_scheme_in_lower_case", ask: side{"GET " + userPath, []string{"Authorization: bearer " + token}, ""}, answer: ok(active)},
		{name: "head", ask: side{"HEAD " + userPath, bearer, ""}, answer: side{"200", jsonBody, ""}},
		{name: "head_refused", ask: side{"HEAD /v1/oauth/token", nil, ""}, answer: oauthError(405, "invalid_request", "Allow: POST")},
		{name: "list", ask: side{"GET " + usersPath + "?filter=user.isActive()&max_page_size=5000", bearer, ""}, answer: ok(`{"results":[` + active + `],"next_page_token":"YQ=="}`)},
		{name: "list_encoded", ask: side{"GET " + usersPath + "?filter=user.isSuspended%28%29&maxPageSize=1&pageToken=YQ%3D%3D", bearer, ""}, answer: ok(`{"results":[]}`)},
		{name: "list_empty_filter", ask: side{"GET " + usersPath + "?filter=", bearer, ""}, answer: ok(`{"results":[]}`)},
		{name: "list_empty_parameters", ask: side{"GET " + usersPath + "?filter=&max_page_size=&page_token=", bearer, ""}, answer: ok(`{"results":[]}`)},
		{name: "list_absurd_size", ask: side{"GET " + usersPath + "?filter=user.isActive()&max_page_size=99999999999999999999999", bearer, ""}, answer: ok(`{"results":[]}`)},
		{name: "list_bad_size_refused", ask: side{"GET " + usersPath + "?max_page_size=0", bearer, ""}, answer: rpc(400, 3)},
		{name: "suspend", ask: side{"POST " + userPath + ":suspend", bearer, ""}, answer: ok(suspended)},
		{name: "suspend_escaped", ask: side{"POST " + userPath + "%3Asuspend", bearer, ""}, answer: ok(suspended)},
		{name: "suspend_escaped_lower", ask: side{"POST " + betaUser + "%3asuspend", bearer, ""}, answer: ok(suspended)},
		{name: "suspend_axios", ask: side{"POST " + userPath + ":suspend", with(bearer, "Content-Type: application/x-www-form-urlencoded"), ""}, answer: ok(suspended)},
		{name: "suspend_last_owner", ask: side{"POST " + userPath + ":suspend", bearer, ""}, answer: rpc(403, 7)},
		{name: "reactivate", ask: side{"POST " + userPath + ":reactivate", bearer, ""}, answer: ok(active)},
		{name: "no_token", ask: side{"GET " + userPath, nil, ""}, answer: rpc(401, 16, `WWW-Authenticate: Bearer realm="holdfast"`)},
		{name: "too_many", ask: get, answer: rpc(429, 8, "Retry-After: 7")},
		{name: "token", ask: ask, answer: ok(issued)},
		{name: "token_charset", ask: side{"POST /v1beta1/users/oauth2/token", []string{form[0], form[1] + "; charset=UTF-8"}, "grant_type=client_credentials&scope=openid"}, answer: ok(issued)},
		{name: "token_form", ask: side{"POST /v1/oauth/token", form[1:], "grant_type=client_credentials&client_id=6f1c2d7e-94ab-4c61-b0de-52f3a8e91764&client_secret=hfs_" + token[4:]}, answer: ok(issued)},
		{name: "token_json_refused", ask: side{"POST /v1/oauth/token", nil, "{}"}, answer: oauthError(400, "invalid_request")},
		{name: "token_refused", ask: ask, answer: oauthError(401, "invalid_client", `WWW-Authenticate: Basic realm="holdfast"`)},
		{name: "revoke", ask: side{"POST /v1/oauth/revoke", form, "token=" + token}, answer: side{"200", []string{"Request-Id: R1"}, ""}},
		{name: "inactive", ask: side{"POST /v1/oauth/introspect", form, "token=x"}, answer: ok(`{"active":false}`)},
		{name: "method_refused", ask: side{"DELETE " + userPath, bearer, ""}, answer: rpc(405, 12, "Allow: GET, HEAD")},
		{name: "method_refused_oauth", ask: side{"GET /v1/oauth/token", nil, ""}, answer: oauthError(405, "invalid_request", "Allow: POST")},
		{name: "unknown_verb", ask: side{"POST " + userPath + ":promote", bearer, ""}, answer: rpc(404, 5)},
		{name: "other_path", ask: side{"GET /console", nil, ""}, answer: side{"200", nil, "<html>"}},
		{name: "unclean_path", ask: side{"GET /v1//oauth/token", nil, ""}, answer: side{"404", nil, "?"}},

		{name: "member_too_many", ask: get, answer: ok(strings.Replace(active, `{"id"`, `{"role":"owner","id"`, 1)), want: []string{"GET " + userPath, "answered 200", "role", `"display_name":"Mira Oduya"`}},
		{name: "member_too_many_in_list", ask: side{"GET " + usersPath, bearer, ""}, answer: ok(`{"results":[],"users":[]}`), want: []string{"users"}},
		{name: "member_missing", ask: get, answer: ok(`{"id":"` + person + `"}`), want: []string{"email"}},
		{name: "wrong_state", ask: side{"POST " + userPath + ":suspend", bearer, ""}, answer: ok(active), want: []string{"state", "SUSPENDED"}},
		{name: "wrong_state_escaped", ask: side{"POST " + userPath + "%3Asuspend", bearer, ""}, answer: ok(active), want: []string{"state", "SUSPENDED"}},
		{name: "fraction_of_a_second", ask: get, answer: ok(strings.Replace(active, "00Z", "00.5Z", 1)), want: []string{"create_time"}},
		{name: "impossible_date", ask: get, answer: ok(strings.Replace(active, "2025-03", "2025-13", 1)), want: []string{"create_time"}},
		{name: "head_of_another_get", ask: side{"HEAD " + userPath, bearer, ""}, answer: ok("{}"), want: []string{"email"}},
		{name: "not_json", ask: get, answer: ok("oops"), want: []string{"decoded", "oops"}},
		{name: "no_body", ask: get, answer: ok(""), want: []string{"body=true"}},
		{name: "media_type", ask: get, answer: side{"200", []string{jsonBody[0], jsonBody[1], "Content-Type: text/plain"}, active}, want: []string{"text/plain"}},
		{name: "undeclared_status", ask: get, answer: rpc(418, 3), want: []string{"418", "getUser"}},
		{name: "undeclared_status_on_verb", ask: side{"POST " + betaUser + "%3Asuspend", bearer, ""}, answer: rpc(409, 6), want: []string{"409", "suspendUserBeta"}},
		{name: "redirect", ask: get, answer: side{"307", []string{"Location: /elsewhere"}, ""}, want: []string{"307"}},
		{name: "no_request_id", ask: get, answer: side{"200", jsonBody[1:], active}, want: []string{"Request-Id"}},
		{name: "cacheable", ask: get, answer: side{"200", []string{jsonBody[0], "Cache-Control: max-age=60", jsonBody[2]}, active}, want: []string{"Cache-Control"}},
		{name: "no_challenge", ask: get, answer: rpc(401, 16), want: []string{"WWW-Authenticate"}},
		{name: "foreign_challenge", ask: get, answer: rpc(401, 16, "WWW-Authenticate: Basic x"), want: []string{"WWW-Authenticate"}},
		{name: "no_retry_after", ask: get, answer: rpc(429, 8), want: []string{"Retry-After"}},
		{name: "retry_after_zero", ask: get, answer: rpc(429, 8, "Retry-After: 0"), want: []string{"Retry-After"}},
		{name: "error_of_the_other_protocol", ask: ask, answer: rpc(400, 3), want: []string{"error"}},
		{name: "body_undeclared", ask: side{"POST /v1/oauth/revoke", form, "token=" + token}, answer: ok("{}"), want: []string{"body=false"}},
		{name: "method_served", ask: side{"PUT " + userPath, bearer, ""}, answer: ok(active), want: []string{"no method PUT", "405"}},
		{name: "method_not_found", ask: side{"PUT " + userPath, bearer, ""}, answer: rpc(404, 5), want: []string{"no method PUT"}},
		{name: "method_not_found_on_verb", ask: side{"GET " + userPath + ":suspend", bearer, ""}, answer: rpc(404, 5), want: []string{"no method GET"}},
		{name: "method_refused_without_allow", ask: side{"PUT " + userPath, bearer, ""}, answer: rpc(405, 12), want: []string{"Allow"}},
		{name: "served_without_token", ask: side{"GET " + userPath, nil, ""}, answer: ok(active), want: []string{"Authorization"}},
		{name: "served_wrong_scheme", ask: side{"GET " + userPath, form[:1], ""}, answer: ok(active), want: []string{"Basic"}},
		{name: "served_bad_filter", ask: side{"GET " + usersPath + "?filter=user.isOwner()", bearer, ""}, answer: ok(`{"results":[]}`), want: []string{"filter"}},
		{name: "served_zero_size", ask: side{"GET " + usersPath + "?max_page_size=0", bearer, ""}, answer: ok(`{"results":[]}`), want: []string{"max_page_size"}},
		{name: "served_absurd_negative_size", ask: side{"GET " + usersPath + "?max_page_size=-99999999999999999999999", bearer, ""}, answer: ok(`{"results":[]}`), want: []string{"max_page_size"}},
		{name: "served_bad_filter_beside_empty", ask: side{"GET " + usersPath + "?page_token=&filter=x", bearer, ""}, answer: ok(`{"results":[]}`), want: []string{"filter"}},
		{name: "served_bad_id", ask: side{"GET " + usersPath + "/mira", bearer, ""}, answer: ok(active), want: []string{"user"}},
		{name: "served_other_grant", ask: side{"POST /v1/oauth/token", form, "grant_type=password"}, answer: ok(issued), want: []string{"grant_type"}},
		{name: "served_empty_form", ask: side{"POST /v1/oauth/token", form, ""}, answer: ok(issued), want: []string{"empty"}},
		{name: "served_json_form", ask: side{"POST /v1/oauth/token", []string{form[0], "Content-Type: application/json"}, "{}"}, answer: ok(issued), want: []string{"application/json"}},
		{name: "malformed_token", ask: ask, answer: ok(strings.Replace(issued, "hft_", "hfx_", 1)), want: []string{"access_token"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func (tt contractTest) run(t *testing.T) {
	w := &witness{TB: t}
	srv := httptest.NewServer(Contract(w, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Errorf("handler: %v", err)
		}
		tt.answer.fill(rw.Header())
		var status int
		if _, err := fmt.Sscan(tt.answer.line, &status); err != nil {
			t.Errorf("handler: %v", err)
		}
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, tt.answer.body)
	})))
	defer srv.Close()
	status, body := send(t, srv, tt.ask)
	want := tt.answer.body
	if strings.HasPrefix(tt.ask.line, "HEAD ") {
		want = ""
	}
	if fmt.Sprint(status) != tt.answer.line || body != want {
		t.Errorf("passed through as %d %q, want %s %q", status, body, tt.answer.line, want)
	}
	switch {
	case tt.want == nil && len(w.saw) > 0:
		t.Errorf("reported, want nothing:\n%s", strings.Join(w.saw, "\n"))
	case tt.want != nil && len(w.saw) != 1:
		t.Errorf("reported %d times %q, want once", len(w.saw), w.saw)
	case tt.want != nil:
		for _, part := range tt.want {
			if !strings.Contains(strings.ToLower(w.saw[0]), strings.ToLower(part)) {
				t.Errorf("the report does not mention %q:\n%s", part, w.saw[0])
			}
		}
		if strings.Contains(w.saw[0], token) || strings.Contains(w.saw[0], jwt) {
			t.Errorf("the report shows the token:\n%s", w.saw[0])
		}
		if testing.Verbose() {
			t.Log(w.saw[0])
		}
	}
}

// send sends the request as it stands, following nothing.
func send(t *testing.T, srv *httptest.Server, s side) (status int, body string) {
	t.Helper()
	method, target, _ := strings.Cut(s.line, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+target, strings.NewReader(s.body))
	if err != nil {
		t.Fatal(err)
	}
	s.fill(r.Header)
	res, err := srv.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestContractInParallel is for -race: one document checks many exchanges at once, and keeps apart
// the right ones from the wrong ones.
func TestContractInParallel(t *testing.T) {
	w := &witness{TB: t}
	srv := httptest.NewServer(Contract(w, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		side{header: jsonBody}.fill(rw.Header())
		body := active
		if strings.HasSuffix(r.URL.Path, ":suspend") && !r.URL.Query().Has("wrong") {
			body = suspended
		}
		_, _ = io.WriteString(rw, body)
	})))
	defer srv.Close()
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			target := []string{"GET " + userPath, "POST " + userPath + "%3Asuspend", "POST " + betaUser + ":suspend?wrong=1"}[i%3]
			send(t, srv, side{target, bearer, ""})
		})
	}
	wg.Wait()
	if len(w.saw) != 20 {
		t.Errorf("reported %d exchanges, want the 20 wrong ones", len(w.saw))
	}
}

// TestContractKeepsTheWriterUsable: streaming and deadlines go through http.ResponseController.
func TestContractKeepsTheWriterUsable(t *testing.T) {
	srv := httptest.NewServer(Contract(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(rw).Flush(); err != nil {
			t.Errorf("Flush: %v", err)
		}
	})))
	defer srv.Close()
	if status, _ := send(t, srv, side{"GET /stream", nil, ""}); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
}

func TestPaths(t *testing.T) {
	docs, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	doc := docs[0]
	tests := map[string]string{ // escaped path → template; "" if none
		"/v1/oauth/token":                         "/v1/oauth/token",
		"/v1/oauth/t%6Fken":                       "/v1/oauth/token",
		"/v1/oauth/token/":                        "",
		"/v1/oauth/":                              "",
		usersPath:                                 "/v1/accounts/{account}/users",
		usersPath + "/":                           "",
		"/v1/accounts//users":                     "",
		"/v1/accounts/x%2Fy/users":                "/v1/accounts/{account}/users",
		userPath:                                  "/v1/accounts/{account}/users/{user}",
		userPath + ":suspend":                     "/v1/accounts/{account}/users/{user}:suspend",
		userPath + "%3Asuspend":                   "/v1/accounts/{account}/users/{user}:suspend",
		betaUser + "%3areactivate":                "/v1beta1/accounts/{account}/users/{user}:reactivate",
		userPath + ":promote":                     "/v1/accounts/{account}/users/{user}",
		usersPath + "/:suspend":                   "/v1/accounts/{account}/users/{user}:suspend",
		"/.well-known/oauth-authorization-server": "/.well-known/oauth-authorization-server",
		"/": "",
	}
	got, want := map[string]string{}, map[string]string{}
	for path, template := range tests {
		want[path] = template
		_, got[path], _ = doc.paths.Lookup(canonical(path))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("templates (-want +got):\n%s", diff)
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"not_yaml":     "\t: {",
		"not_openapi":  "hello: world",
		"no_paths":     "openapi: 3.1.0\ninfo: {title: t, version: v}\npaths: {}\n",
		"no_operation": "openapi: 3.1.0\ninfo: {title: t, version: v}\npaths: {/a: {summary: s}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := compile("t.yaml", []byte(text)); err == nil {
				t.Error("compiled, want an error")
			}
		})
	}
}

// BenchmarkContract is what a checked exchange costs on top of the handler.
func BenchmarkContract(b *testing.B) {
	h := Contract(b, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		side{header: jsonBody}.fill(rw.Header())
		_, _ = io.WriteString(rw, active)
	}))
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, userPath, nil)
		side{header: bearer}.fill(r.Header)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := compile("users.yaml", openapi.Users()); err != nil {
			b.Fatal(err)
		}
	}
}
