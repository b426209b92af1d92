package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/server/servertest"
)

const (
	tokenPath      = "/v1/oauth/token"
	revokePath     = "/v1/oauth/revoke"
	introspectPath = "/v1/oauth/introspect"
)

// wantError checks status and "error" of an OAuth endpoint's answer.
func wantError(t *testing.T, a servertest.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.Field("error") != code {
		t.Errorf("got %d %s, want %d %s", a.Status, a.Body, status, code)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be cached")
	}
}

// Row 1: client credentials are the only grant.
func TestSecurityOnlyClientCredentials(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		for _, other := range []string{
			"authorization_code", "password", "implicit", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
			"urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:token-exchange", "CLIENT_CREDENTIALS", "client_credentials ",
		} {
			form := url.Values{"grant_type": {other}, "username": {"owner@example.org"}, "password": {"x"}, "code": {"x"}, "refresh_token": {"x"}}
			e := at.oneEntry(t, func() {
				wantError(t, at.send(t, asks(at.Credentials, form)), http.StatusBadRequest, "unsupported_grant_type")
			})
			if e.Outcome != audit.Refused || e.Action != audit.TokenIssue {
				t.Errorf("%s: entry %+v", other, e)
			}
		}
		wantError(t, at.send(t, asks(at.Credentials, url.Values{"scope": {"openid"}})), http.StatusBadRequest, "invalid_request")
	})
}

// Row 2: token, revoke and introspect want the client's credentials.
func TestSecurityClientMustAuthenticate(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		token := at.Token(t, at.Credentials)
		id, secret := at.Credentials.Client.ID, at.Credentials.Secret.Reveal()
		other := at.NewApp(t, oauth.Scopes()...)
		form := url.Values{"grant_type": {"client_credentials"}, "token": {token}}
		with := func(id, secret string) url.Values {
			f := url.Values{"client_id": {id}, "client_secret": {secret}}
			f["grant_type"], f["token"] = form["grant_type"], form["token"]
			return f
		}
		for i, tt := range []struct {
			name string
			sent sent
		}{
			{"none", sent{form: form}},
			{"id_alone", sent{form: with(id, "")}},
			{"empty_secret", sent{form: form, basic: [2]string{id, ""}}},
			{"empty_id", sent{form: form, basic: [2]string{"", secret}}},
			{"wrong_secret", sent{form: form, basic: [2]string{id, wrongSecret()}}},
			{"wrong_secret_in_body", sent{form: with(id, wrongSecret())}},
			{"half_a_secret", sent{form: form, basic: [2]string{id, secret[:20]}}},
			{"secret_of_another", sent{form: form, basic: [2]string{id, other.Secret.Reveal()}}},
			{"token_as_secret", sent{form: form, basic: [2]string{id, token}}},
			{"unknown_client", sent{form: form, basic: [2]string{uuid.NewString(), secret}}},
			{"swapped", sent{form: form, basic: [2]string{secret, id}}},
			{"no_id_at_all", sent{form: form, basic: [2]string{"\x00'; DROP TABLE clients; --", secret}}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				for _, path := range []string{tokenPath, revokePath, introspectPath, "/v1beta1/users/oauth2/token", "/v1beta1/users/oauth2/revoke", "/v1beta1/users/oauth2/introspect"} {
					tt.sent.path, tt.sent.from = path, address(i)
					e := at.oneEntry(t, func() {
						a := at.send(t, tt.sent)
						wantError(t, a, http.StatusUnauthorized, "invalid_client")
						if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
							t.Errorf("%s: WWW-Authenticate = %q", path, a.Header.Get("WWW-Authenticate"))
						}
					})
					if e.Outcome != audit.Refused || e.Actor != "anonymous" || e.Address != address(i) || strings.Contains(e.Target, "DROP") {
						t.Errorf("%s: entry %+v", path, e)
					}
				}
			})
		}
		if a := at.send(t, sent{path: at.person(at.Owner), bearer: token}); a.Status != http.StatusOK {
			t.Errorf("a client that did not authenticate revoked the token: %d", a.Status)
		}
	})
}

// Row 3: different credentials in two places are refused, equal ones are not.
func TestSecurityOneWayOfAuthentication(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		id, secret := at.Credentials.Client.ID, at.Credentials.Secret.Reveal()
		other := at.NewApp(t, oauth.Scopes()...)
		for name, body := range map[string]url.Values{
			"other_secret": {"client_secret": {wrongSecret()}},
			"other_client": {"client_id": {other.Client.ID}, "client_secret": {other.Secret.Reveal()}},
			"other_id":     {"client_id": {other.Client.ID}},
		} {
			t.Run(name, func(t *testing.T) {
				body["grant_type"] = grant()["grant_type"]
				e := at.oneEntry(t, func() {
					wantError(t, at.send(t, asks(at.Credentials, body)), http.StatusBadRequest, "invalid_request")
				})
				if e.Outcome != audit.Refused || e.Actor != "anonymous" {
					t.Errorf("entry %+v", e)
				}
			})
		}
		same := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
		if a := at.send(t, asks(at.Credentials, same)); a.Status != http.StatusOK {
			t.Errorf("equal credentials in both places: %d %s", a.Status, a.Body)
		}
		s := asks(at.Credentials, grant())
		s.header = []string{"Authorization", "Basic eDp5"}
		wantError(t, at.send(t, s), http.StatusBadRequest, "invalid_request") // two headers
	})
}

// Row 5: no request widens what the application may do.
func TestSecurityScopeIsNotWidened(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		narrow := at.NewApp(t, "list_users")
		for _, scope := range []string{"list_users", "suspend_users", "openid suspend_users", "openid openid", "*", "admin", "openid\tx", "OPENID"} {
			form := grant()
			form.Set("scope", scope)
			e := at.oneEntry(t, func() {
				wantError(t, at.send(t, asks(narrow, form)), http.StatusBadRequest, "invalid_scope")
			})
			if e.Outcome != audit.Refused || e.Actor != "client:"+narrow.Client.ID {
				t.Errorf("%q: entry %+v", scope, e)
			}
		}
		for _, form := range []url.Values{grant(), {"grant_type": {"client_credentials"}, "scope": {"openid"}}, {"grant_type": {"client_credentials"}, "scope": {""}}} {
			a := at.send(t, asks(narrow, form))
			if a.Status != http.StatusOK || a.Field("scope") != "openid" {
				t.Fatalf("%v: %d %s", form, a.Status, a.Body)
			}
			s := sent{method: "POST", path: at.person(at.Owner) + ":suspend", bearer: a.Field("access_token")}
			if got := at.send(t, s); got.Status != http.StatusForbidden {
				t.Errorf("with a token of an application that may only list: %d %s", got.Status, got.Body)
			}
		}
	})
}

// Row 13: revoking tells nothing about tokens that are not the caller's.
func TestSecurityRevokeTellsNothing(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		other := at.NewApp(t, oauth.Scopes()...)
		expired := at.Token(t, at.Credentials)
		at.clock.Forward(oauth.TokenLife)
		foreign, own := at.Token(t, other), at.Token(t, at.Credentials)
		var first servertest.Answer
		for i, tt := range []struct{ name, token string }{
			{"own", own}, {"revoked", own}, {"foreign", foreign}, {"expired", expired}, {"unknown", newToken()},
			{"nonsense", "x"}, {"binary", "\x00\xff"}, {"long", strings.Repeat("x", 30_000)},
		} {
			form := url.Values{"token": {tt.token}, "token_type_hint": {"refresh_token"}}
			s := asks(at.Credentials, form)
			s.path = revokePath
			var a servertest.Answer
			e := at.oneEntry(t, func() { a = at.send(t, s) })
			if e.Outcome != audit.Done || e.Action != audit.TokenRevoke {
				t.Errorf("%s: entry %+v", tt.name, e)
			}
			a.Header.Del("Date")
			a.Header.Del("Request-Id")
			if i == 0 {
				first = a
			}
			if a.Status != http.StatusOK || a.Body != "" || len(a.Header) != len(first.Header) {
				t.Errorf("%s: %+v, want %+v", tt.name, a, first)
			}
			s.path = introspectPath
			if a := at.send(t, s); a.Status != http.StatusOK || strings.TrimSpace(a.Body) != `{"active":false}` {
				t.Errorf("introspect %s: %d %s", tt.name, a.Status, a.Body)
			}
		}
		if a := at.send(t, sent{path: at.person(at.Owner), bearer: foreign}); a.Status != http.StatusOK {
			t.Errorf("the token of another application was revoked: %d", a.Status)
		}
	})
}

// Row 17: an unknown client, a revoked one and a wrong secret look alike, and take the same time.
func TestSecurityUnknownClientLooksLikeWrongSecret(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		revoked := at.NewApp(t, oauth.Scopes()...)
		if err := at.OAuth().Revoke(t.Context(), at.Account.ID, revoked.Client.ID, audit.Entry{Actor: "operator:test"}); err != nil {
			t.Fatal(err)
		}
		secret := wrongSecret()
		try := func(id, secret, from string) servertest.Answer {
			return at.send(t, sent{path: tokenPath, basic: [2]string{id, secret}, form: grant(), from: from})
		}
		want := try(at.Credentials.Client.ID, secret, address(0))
		for i, a := range []servertest.Answer{
			try(uuid.NewString(), secret, address(1)), try(revoked.Client.ID, revoked.Secret.Reveal(), address(2)), try(at.Credentials.Client.ID, "x", address(3)),
		} {
			if a.Status != want.Status || a.Body != want.Body || a.Header.Get("WWW-Authenticate") != want.Header.Get("WWW-Authenticate") {
				t.Errorf("%d: %d %s, want %d %s", i, a.Status, a.Body, want.Status, want.Body)
			}
		}
		if at.Place.Kind != "sqlite" {
			return // the queries are the same; their time is the network's
		}
		unknown := uuid.NewString()
		guess := func(id string) func(int) {
			return func(i int) {
				at.clock.Forward(3 * time.Second) // so that none is one too many
				if a := try(id, secret, address(10+i%500)); a.Status != http.StatusUnauthorized {
					t.Fatalf("try %d: %d %s", i, a.Status, a.Body)
				}
			}
		}
		sameTime(t, 3, 2000, guess(at.Credentials.Client.ID), guess(unknown))
	})
}

// Row 24: a parameter that is given twice is refused, equal or not.
func TestSecurityRepeatedParameters(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		token := at.Token(t, at.Credentials)
		id, secret := at.Credentials.Client.ID, at.Credentials.Secret.Reveal()
		for i, body := range []string{
			"grant_type=client_credentials&grant_type=client_credentials",
			"grant_type=client_credentials&grant_type=password",
			"grant_type=client_credentials&scope=openid&scope=openid",
			"grant_type=client_credentials&scope=&scope=openid",
			"grant_type=client_credentials&client_id=" + id + "&client_id=" + id,
			"grant_type=client_credentials&client_secret=" + secret + "&client%5Fsecret=" + secret,
			"grant_type=client_credentials&x=1&x=2",
		} {
			s := asks(at.Credentials, nil)
			s.body, s.from = body, address(i)
			e := at.oneEntry(t, func() { wantError(t, at.send(t, s), http.StatusBadRequest, "invalid_request") })
			if e.Outcome != audit.Refused {
				t.Errorf("entry %+v", e)
			}
		}
		s := asks(at.Credentials, nil)
		s.path, s.body = revokePath, "token=x&token="+token
		wantError(t, at.send(t, s), http.StatusBadRequest, "invalid_request")
		// A parameter in the query is none of the form's.
		s.path, s.body = tokenPath+"?grant_type=client_credentials", "scope=openid"
		wantError(t, at.send(t, s), http.StatusBadRequest, "invalid_request")
		for _, query := range []string{
			"filter=user.isActive()&filter=user.isActive()", "max_page_size=1&max_page_size=1", "max_page_size=1&maxPageSize=2",
			"page_token=a&pageToken=b", "maxPageSize=1&maxPageSize=2",
		} {
			a := at.send(t, sent{path: at.UsersURL() + "?" + query, bearer: token})
			if a.Status != http.StatusBadRequest || !strings.Contains(a.Body, `"code":3`) {
				t.Errorf("%s: %d %s", query, a.Status, a.Body)
			}
		}
	})
}

// Row 27: what may be stored as redirect URL, and that nothing ever calls or sends anybody there.
func TestSecurityRedirectURL(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	create := func(redirect string) error {
		_, err := at.OAuth().Create(t.Context(), at.Account.ID, oauth.NewClient{Name: "x", RedirectURL: redirect, Scopes: oauth.Scopes()}, audit.Entry{Actor: "operator:test"})
		return err
	}
	for _, bad := range []string{
		"http://soar.example.org/cb", "HTTP://soar.example.org", "//soar.example.org/cb", "/cb", "soar.example.org", "javascript:alert(1)",
		"https://soar.example.org/cb#x", "https://soar.example.org/#", "https://*.example.org/cb", "https://soar.example.org/*",
		"https://user@soar.example.org/", "https://user:pw@soar.example.org/", "https://@soar.example.org/", "https:///cb", "https:soar.example.org", "https://:443/",
		"https://soar.example.org\\@evil.example", "https://soar.example.org/\r\nX: y", "https://soar.example.org/\x00", "https://soar.example.org/ b",
		"https://so\u200bar.example.org/", "ftp://soar.example.org/", "data:text/html,x", "https://soar.example.org:port/", "https://" + strings.Repeat("a", 2000),
	} {
		if err := create(bad); !problem.Is(err, problem.Invalid) {
			t.Errorf("the redirect URL %q gives %v, want a refusal", bad, err)
		}
	}
	var called atomic.Int64
	trap := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	defer trap.Close()
	if err := create(trap.URL + "/callback?x=1"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []sent{
		{path: tokenPath + "?redirect_uri=" + url.QueryEscape(trap.URL)}, {path: "/v1/oauth/authorize?response_type=code&redirect_uri=" + url.QueryEscape(trap.URL)},
		asks(at.Credentials, url.Values{"grant_type": {"client_credentials"}, "redirect_uri": {trap.URL}}),
	} {
		if a := at.send(t, s); a.Status >= 300 && a.Status < 400 || a.Header.Get("Location") != "" {
			t.Errorf("%s redirects: %d %s", s.path, a.Status, a.Header.Get("Location"))
		}
	}
	if n := called.Load(); n != 0 {
		t.Errorf("the redirect URL was called %d times", n)
	}
}
