package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/server/servertest"
)

// paths are the paths of the server's routes with the methods of each, filled in for the target.
func (at target) paths() map[string][]string {
	fill := strings.NewReplacer("{account}", at.Account.ID, "{user}", at.Owner.ID)
	all := map[string][]string{}
	for _, r := range at.APIRoutes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		path = fill.Replace(path)
		all[path] = append(all[path], method)
	}
	return all
}

// harmless checks what every answer must have, whatever it is.
func harmless(t *testing.T, what string, a servertest.Answer) {
	t.Helper()
	h := a.Header
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Server": "", "Location": "", "Set-Cookie": "",
		"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s = %q, want %q", what, name, got, want)
		}
	}
	if h.Get("Request-Id") == "" {
		t.Errorf("%s: no Request-Id", what)
	}
	if a.Status >= 300 && a.Status < 400 {
		t.Errorf("%s: redirects, %d", what, a.Status)
	}
	if a.Body == "" {
		return
	}
	// JSON and YAML define no charset (RFC 8259 §11, RFC 9512 §2.1); any text type would need one.
	mediaType := h.Get("Content-Type")
	if !slices.Contains([]string{"application/json", "application/problem+json", "application/yaml"}, mediaType) {
		t.Errorf("%s: Content-Type = %q", what, mediaType)
	}
	if strings.HasSuffix(mediaType, "json") && !json.Valid([]byte(a.Body)) {
		t.Errorf("%s: the body is no JSON: %s", what, a.Body)
	}
}

// Rows 18, 19, 20 and 28: every path with every method. What is not offered gets 405 and says what is;
// every answer may be cached by nobody, is what it says it is, and invites no other origin.
func TestSecurityEveryPathEveryMethod(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	token := at.Token(t, at.Credentials)
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "get", "X"}
	for path, offered := range at.paths() {
		allow := slices.Clone(offered)
		if slices.Contains(offered, "GET") {
			allow = append(allow, "HEAD")
		}
		for i, method := range methods {
			for _, bearer := range []string{"", token} {
				what := fmt.Sprintf("%s %s, token %t", method, path, bearer != "")
				s := sent{method: method, path: path, bearer: bearer, from: address(i), header: []string{
					"Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization",
				}}
				a := at.send(t, s)
				harmless(t, what, a)
				if slices.Contains(allow, method) {
					if a.Status == http.StatusMethodNotAllowed {
						t.Errorf("%s: 405", what)
					}
					continue
				}
				got := strings.Split(a.Header.Get("Allow"), ", ")
				slices.Sort(got)
				slices.Sort(allow)
				if a.Status != http.StatusMethodNotAllowed || !slices.Equal(got, allow) {
					t.Errorf("%s: %d, Allow = %q, want 405 and %q", what, a.Status, got, allow)
				}
			}
		}
	}
	if len(at.paths()) < 12 {
		t.Errorf("only %d paths", len(at.paths()))
	}
	for _, text := range []string{"OPTIONS * HTTP/1.1", "CONNECT 127.0.0.1:22 HTTP/1.1", "CONNECT /v1/oauth/token HTTP/1.1"} {
		all := answers(t, at.raw(t, text+"\r\nHost: x\r\nConnection: close\r\n\r\n", 5*time.Second))
		if len(all) != 1 || all[0].StatusCode != http.StatusNotFound && all[0].StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %+v, want 404 or 405", text, all)
		}
	}
}

// Row 19, errors: each kind of error in each form is what it says it is.
func TestSecurityErrorsAreTyped(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	token := at.Token(t, at.Credentials)
	narrow := at.Token(t, at.NewApp(t, "list_users"))
	large := strings.Repeat("a", 100_000)
	oauthForm, rpcForm, ownForm := `"error":"`, `"code":`, `"status":`
	for name, tt := range map[string]struct {
		sent   sent
		status int
		form   string
	}{
		"no_path":         {sent{path: "/nowhere"}, 404, ownForm},
		"no_path_v1":      {sent{path: "/v1/nowhere"}, 404, rpcForm},
		"no_path_oauth":   {sent{path: "/v1/oauth/authorize"}, 404, oauthForm},
		"no_token":        {sent{path: at.person(at.Owner)}, 401, rpcForm},
		"bad_token":       {sent{path: at.person(at.Owner), bearer: "x"}, 401, rpcForm},
		"no_scope":        {sent{path: at.person(at.Owner), bearer: narrow}, 403, rpcForm},
		"no_person":       {sent{path: at.UsersURL() + "/x", bearer: token}, 404, rpcForm},
		"last_owner":      {sent{method: "POST", path: at.person(at.Owner) + ":suspend", bearer: token}, 403, `"message":"no_owner_remain"`},
		"bad_filter":      {sent{path: at.UsersURL() + "?filter=x", bearer: token}, 400, rpcForm},
		"secret_in_query": {sent{path: at.UsersURL() + "?access_token=x", bearer: token}, 400, rpcForm},
		"no_client":       {sent{path: tokenPath, form: grant()}, 401, oauthForm},
		"json_body":       {sent{method: "POST", path: tokenPath, header: []string{"Content-Type", "application/json"}}, 400, oauthForm},
		"large_body":      {sent{path: tokenPath, body: large}, 413, oauthForm},
		"large_body_rpc":  {sent{method: "POST", path: at.person(at.Owner) + ":reactivate", bearer: token, body: large}, 413, rpcForm},
	} {
		t.Run(name, func(t *testing.T) {
			a := at.send(t, tt.sent)
			harmless(t, name, a)
			if a.Status != tt.status || !strings.Contains(a.Body, tt.form) {
				t.Errorf("%d %s, want %d and %s", a.Status, a.Body, tt.status, tt.form)
			}
		})
	}
}

// Rows 21 and 26: with a certificate, nothing is served in plain or by an old TLS; the API never redirects.
func TestSecurityNoRedirects(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	token := at.Token(t, at.Credentials)
	for _, path := range []string{
		"/v1/oauth/token/", "/v1//oauth/token", "//v1/oauth/token", "/v1/./oauth/token", "/v1/oauth/../oauth/token", "/V1/OAUTH/TOKEN",
		"/v1/accounts/" + at.Account.ID + "/users/", "/v1/accounts/" + at.Account.ID, "", "/v1", "/v1/", "/openapi", "/%2e%2e/v1/oauth/token", "/v1/oauth%2Ftoken", "/.well-known/",
	} {
		for _, method := range []string{"GET", "POST"} {
			text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, path, token)
			for _, a := range answers(t, at.raw(t, text, 5*time.Second)) {
				if a.StatusCode >= 300 && a.StatusCode < 400 || a.Header.Get("Location") != "" || a.StatusCode == 200 || a.StatusCode >= 500 {
					t.Errorf("%s %s: %d, Location %q", method, path, a.StatusCode, a.Header.Get("Location"))
				}
			}
		}
	}
}

// Row 22: whoever is no trusted proxy cannot choose the address under which it is limited and recorded.
func TestSecurityForwardedHeaders(t *testing.T) {
	forged := []string{
		"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
		"Client-Ip", "X-Forwarded-Host", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override",
	}
	tests := []struct {
		name    string
		trusted string
		hops    string // X-Forwarded-For; empty: the forged one
		want    string // address in the audit log
	}{
		{"nobody_is_trusted", "", "", "127.0.0.1"},
		{"another_is_trusted", "192.0.2.1", "", "127.0.0.1"},
		{"forged_before_the_proxy", "127.0.0.1", "10.1.1.1, 198.51.100.77", "198.51.100.77"},
		{"nonsense", "127.0.0.1", "10.1.1.1, unknown", "127.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := attacked(t, "sqlite", map[string]string{"trusted_proxies": tt.trusted})
			limited := false
			for i := range 12 {
				s := sent{path: tokenPath, form: grant(), basic: [2]string{at.Credentials.Client.ID, wrongSecret()}}
				for _, h := range forged {
					value := fmt.Sprintf("10.9.8.%d", i)
					if h == "Forwarded" {
						value = "for=" + value
					}
					s.header = append(s.header, h, value)
				}
				if tt.hops != "" {
					s.from, s.header = tt.hops, s.header[2:]
				} else {
					s.from = fmt.Sprintf("10.9.8.%d", i)
				}
				var a servertest.Answer
				for _, e := range at.entries(t, func() { a = at.send(t, s) }) {
					if e.Address != tt.want {
						t.Errorf("the entry says %q, want %q", e.Address, tt.want)
					}
				}
				limited = limited || a.Status == http.StatusTooManyRequests
			}
			if !limited {
				t.Error("who changes the header is not limited")
			}
			if log := at.Log.String(); strings.Contains(log, "10.9.8.") {
				t.Error("the log believes a forged header")
			}
		})
	}
}

// Row 26: TLS 1.2 and later; a certificate is used for HTTPS alone, and plain HTTP stays on loopback.
func TestSecurityTLS(t *testing.T) {
	at := attacked(t, "sqlite", servertest.Certificate(t))
	a := at.send(t, asks(at.Credentials, grant()))
	if a.Status != http.StatusOK || a.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("over TLS: %d %v", a.Status, a.Header)
	}
	base := at.Transport.(*http.Transport).TLSClientConfig
	for _, tt := range versions() {
		err := handshake(t, at.Addr().String(), base, tt.version)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v, want success %t", tt.name, err, tt.ok)
		}
	}
	// Row 21: a token sent in plain by mistake is not sent on.
	token := a.Field("access_token")
	plain := at.raw(t, "GET "+at.person(at.Owner)+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n", 5*time.Second)
	all := answers(t, plain)
	if len(all) != 1 || all[0].StatusCode != http.StatusBadRequest || all[0].Header.Get("Location") != "" || strings.HasSuffix(plain, stillOpen) {
		t.Errorf("plain HTTP to the TLS port: %q", plain)
	}
}

// Row 26: what would send secrets in plain text over a network does not start.
func TestSecurityPlainStaysOnLoopback(t *testing.T) {
	for name, settings := range map[string]map[string]string{
		"every_address":  {"listen.api": "0.0.0.0:0", "public_url": "https://h.example"},
		"every_address6": {"listen.api": "[::]:0", "public_url": "https://h.example"},
		"no_host":        {"listen.api": ":0", "public_url": "https://h.example"},
		"a_name":         {"listen.api": "holdfast.example:0", "public_url": "https://h.example"},
		"private":        {"listen.api": "192.168.1.2:0", "public_url": "https://h.example"},
		"plain_url":      {"public_url": "http://h.example"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := loads(settings); err == nil {
				t.Error("the configuration is accepted")
			}
			// The same with a certificate, or behind a named proxy, is fine.
			if name == "plain_url" {
				return
			}
			withTLS := maps.Clone(settings)
			maps.Copy(withTLS, servertest.Certificate(t))
			proxied := maps.Clone(settings)
			proxied["trusted_proxies"] = "192.0.2.1"
			for _, s := range []map[string]string{withTLS, proxied} {
				if err := loads(s); err != nil {
					t.Errorf("%v: %v", s, err)
				}
			}
		})
	}
}
