package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
	"holdfast/internal/web"
)

// TestSecuritySuspensionEndsSessions lets a platform suspend somebody who is signed in: she is out at the
// next request, and stays out after she was reactivated, until she signs in again.
func TestSecuritySuspensionEndsSessions(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			in := servertest.Start(t, kind)
			mia := newBrowser(t, in, in.Account.ID, "Mia")
			if resp, _ := mia.do(t, http.MethodGet, "/profile", nil); resp.StatusCode != http.StatusOK {
				t.Fatalf("signed in: %d", resp.StatusCode)
			}
			token := in.Token(t, in.Credentials)
			user := "/v1/accounts/" + in.Account.ID + "/users/" + mia.who.UserID
			if a := in.Call(t, "POST", user+":suspend", token); a.Status != http.StatusOK {
				t.Fatalf("suspend: %d %s", a.Status, a.Body)
			}
			out := func(when string) {
				t.Helper()
				if resp, _ := mia.do(t, http.MethodGet, "/profile", nil); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/sign-in") {
					t.Errorf("%s: %d", when, resp.StatusCode)
				}
			}
			out("suspended")
			if a := in.Call(t, "POST", user+":reactivate", token); a.Status != http.StatusOK {
				t.Fatalf("reactivate: %d %s", a.Status, a.Body)
			}
			out("reactivated")
		})
	}
}

// TestSecuritySessionCookie signs in over HTTP: the cookie is for this host only, out of reach of scripts,
// and new at each sign-in; the session of before is over.
func TestSecuritySessionCookie(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	mia := newBrowser(t, in, in.Account.ID, "Mia")
	before := mia.cookie
	resp, _ := mia.do(t, http.MethodGet, "/sign-in", nil)
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the sign-in page for somebody who is signed in: %d", resp.StatusCode)
	}
	stranger := &browser{in: in, cookie: "hfc_planted"}
	resp, _ = stranger.do(t, http.MethodPost, "/sign-in", url.Values{"email": {mia.who.Email}, "password": {"correct horse battery staple"}})
	var cookie *http.Cookie
	for _, c := range resp.Cookies() {
		if c.Name == web.SessionCookie {
			cookie = c
		}
	}
	if resp.StatusCode != http.StatusSeeOther || cookie == nil {
		t.Fatalf("sign in: %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	in.Secrets.Learn(cookie.Value)
	if !cookie.HttpOnly || !cookie.Secure || cookie.Path != "/" || cookie.Domain != "" || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie is %v", cookie)
	}
	if cookie.Value == before || cookie.Value == "hfc_planted" {
		t.Error("the session is not new")
	}
	if resp, _ := stranger.do(t, http.MethodGet, "/profile", nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the planted session: %d", resp.StatusCode)
	}
}

// TestSecuritySignInTellsNothing compares the answers to a wrong password, an unknown e-mail, somebody who
// is suspended, and somebody without a password: they are the same.
func TestSecuritySignInTellsNothing(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	by := audit.Entry{Actor: "operator:test"}
	mia := newBrowser(t, in, in.Account.ID, "Mia")
	sus := newBrowser(t, in, in.Account.ID, "Sus")
	if _, err := in.Directory().Suspend(t.Context(), in.Account.ID, sus.who.UserID, "test", time.Time{}, by); err != nil {
		t.Fatal(err)
	}
	nobody := &browser{in: in}
	var first, firstName string
	for name, email := range map[string]string{
		"wrong password": mia.who.Email, "unknown": "nobody@example.org", "suspended": sus.who.Email, "no password": in.Owner.Email,
	} {
		resp, body := nobody.do(t, http.MethodPost, "/sign-in", url.Values{"email": {email}, "password": {"a wrong password it is"}})
		body = strings.ReplaceAll(body, email, "EMAIL")
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		if first == "" {
			first, firstName = body, name
		} else if body != first {
			t.Errorf("%s and %s are answered differently", name, firstName)
		}
	}
}

// TestSecuritySignInIsRecorded leaves one attempt and one audit entry for each try, without what was typed.
func TestSecuritySignInIsRecorded(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			in := servertest.Start(t, kind)
			mia := newBrowser(t, in, in.Account.ID, "Mia") // one success
			nobody := &browser{in: in}
			nobody.do(t, http.MethodPost, "/sign-in", url.Values{"email": {mia.who.Email}, "password": {"typed-by-mistake-123"}})
			attempts, err := in.SignIn().Attempts(t.Context(), signin.AttemptQuery{AccountID: in.Account.ID, UserID: mia.who.UserID, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			if len(attempts) != 2 || attempts[0].Category != signin.CredentialsFailed || attempts[0].Type != signin.PasswordSecretBad || attempts[1].Category != signin.Success {
				t.Errorf("attempts: %+v", attempts)
			}
			entries, err := in.Store().AuditEntries(t.Context(), audit.Query{AccountID: in.Account.ID, About: "user:" + mia.who.UserID, Limit: 50})
			if err != nil {
				t.Fatal(err)
			}
			count := map[audit.Action]int{}
			for _, e := range entries {
				count[e.Entry.Action]++
				if strings.Contains(e.Entry.Reason, "typed-by-mistake") {
					t.Errorf("the audit log has the password: %+v", e.Entry)
				}
			}
			if count[audit.SessionBegin] != 1 || count[audit.SignInFail] != 1 {
				t.Errorf("entries: %v", count)
			}
		})
	}
}

// TestSecurityNoOpenRedirect signs in with addresses of elsewhere to go on to: nobody is sent there.
func TestSecurityNoOpenRedirect(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	mia := newBrowser(t, in, in.Account.ID, "Mia")
	for _, next := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`, "/\t/evil.example", "javascript:alert(1)", "evil.example", "/%5cevil.example/..//evil.example"} {
		for path, form := range map[string]url.Values{
			"/sign-in":  {"email": {mia.who.Email}, "password": {"correct horse battery staple"}, "next": {next}},
			"/language": {"language": {"de"}, "next": {next}},
		} {
			resp, _ := (&browser{in: in}).do(t, http.MethodPost, path, form)
			for _, c := range resp.Cookies() {
				in.Secrets.Learn(c.Value)
			}
			to, err := url.Parse(resp.Header.Get("Location"))
			if err != nil || to.Host != "" || to.Scheme != "" || strings.HasPrefix(to.Path, "//") || strings.Contains(to.Path, `\`) {
				t.Errorf("%s with next %q leads to %q", path, next, resp.Header.Get("Location"))
			}
		}
	}
}

// TestSecurityStrangersAreMetered begins signing in with a passkey over and over: one address is told to
// wait after a while, another is not.
func TestSecurityStrangersAreMetered(t *testing.T) {
	in := servertest.StartAt(t, storetest.NewPlace(t, "sqlite"), map[string]string{"trusted_proxies": "127.0.0.1/32"})
	stranger := &browser{in: in}
	from := func(address string) *http.Response {
		resp, _ := stranger.with(t, http.Header{"X-Forwarded-For": {address}}, http.MethodPost, "/sign-in/passkey/begin", nil)
		return resp
	}
	slowed := 0
	for range 400 {
		if resp := from("198.51.100.7"); resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "" {
			slowed++
		}
	}
	if slowed < 100 {
		t.Errorf("of 400 requests %d were slowed down", slowed)
	}
	if resp := from("198.51.100.8"); resp.StatusCode != http.StatusOK {
		t.Errorf("another address: %d", resp.StatusCode)
	}
}
