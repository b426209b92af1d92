package signin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
)

// ssoBench is a bench whose account has single sign-on at a provider.
func ssoBench(t testing.TB) (*bench, *idp) {
	t.Helper()
	b := newBench(t)
	return b, b.ssoAt(t)
}

// ssoAt gives the account single sign-on at a provider.
func (b *bench) ssoAt(t testing.TB) *idp {
	t.Helper()
	p := newIDP(t)
	b.HTTP = p.Client()
	pol, err := b.Policy(t.Context(), b.account.ID)
	if err != nil {
		t.Fatal(err)
	}
	pol.SingleSignOn, pol.Issuer, pol.ClientID = true, p.URL, "holdfast"
	if err := b.SetPolicy(t.Context(), b.account.ID, pol, "a client secret", by()); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSSO(t *testing.T) {
	type trial struct {
		*bench
		*idp
		answer *signin.SSOAnswer
	}
	claim := func(name string, value any) func(t *testing.T, x trial) {
		return func(_ *testing.T, x trial) { x.claims[name] = value }
	}
	const refused = "sso_failed/non_sso_user/sso"
	tests := []struct {
		name    string
		bend    func(t *testing.T, x trial)
		code    string
		attempt string
	}{
		{"right", nil, "", "success/credentials_ok/sso"},
		{"verified_as_text", claim("email_verified", "true"), "", "success/credentials_ok/sso"},
		{"audience_list", claim("aud", []string{"holdfast"}), "", "success/credentials_ok/sso"},
		{"wrong_nonce", claim("nonce", "another"), "sso_failed", refused},
		{"no_nonce", claim("nonce", ""), "sso_failed", refused},
		{"wrong_audience", claim("aud", "another"), "sso_failed", refused},
		{"audience_of_two", claim("aud", []string{"holdfast", "another"}), "sso_failed", refused},
		{"made_for_another", claim("azp", "another"), "sso_failed", refused},
		{"wrong_issuer", claim("iss", "https://login.example.net"), "sso_failed", refused},
		{"expired", claim("exp", 1_700_000_000), "sso_failed", refused},
		{"of_the_future", claim("iat", 2_000_000_000), "sso_failed", refused},
		{"no_subject", claim("sub", ""), "sso_failed", refused},
		{"unverified_email", claim("email_verified", false), "sso_failed", refused},
		{"verified_missing", claim("email_verified", nil), "sso_failed", refused},
		{"unknown_email", claim("email", "nobody@example.org"), "sso_failed", refused},
		{"alg_none", func(_ *testing.T, x trial) { x.header = map[string]any{"alg": "none"} }, "sso_failed", refused},
		{"alg_hmac", func(_ *testing.T, x trial) { x.header = map[string]any{"alg": "HS256", "kid": "1"} }, "sso_failed", refused},
		{"other_key", func(t *testing.T, x trial) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			x.key2 = key
		}, "sso_failed", refused},
		{"other_browser", func(_ *testing.T, x trial) { x.answer.State = rand.Text() }, "sso_failed", refused},
		{"no_state", func(_ *testing.T, x trial) { x.answer.State = "" }, "sso_failed", refused},
		{"no_code", func(_ *testing.T, x trial) { x.answer.Code = "" }, "sso_failed", refused},
		{"mixed_up", func(_ *testing.T, x trial) { x.answer.Issuer = "https://login.example.net" }, "sso_failed", refused},
		{"issuer_named", func(_ *testing.T, x trial) { x.answer.Issuer = x.URL }, "", "success/credentials_ok/sso"},
		{"denied", func(_ *testing.T, x trial) { x.answer.Error = "access_denied" }, "sso_failed", refused},
		{"code_refused", func(_ *testing.T, x trial) { x.status = http.StatusBadRequest }, "sso_failed", refused},
		{"switched_off", func(t *testing.T, x trial) { x.policy(t, func(p *signin.Policy) { p.SingleSignOn = false }) }, "no_sso", "none"},
		{"suspended", func(t *testing.T, x trial) { x.suspend(t) }, "suspended", "credentials_failed/all_blocked/sso"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, p := ssoBench(t)
			url, ticket, err := b.BeginSSO(t.Context(), b.account.ID, "/people?q=a")
			if err != nil {
				t.Fatal(err)
			}
			answer := signin.SSOAnswer{State: p.answers(t, url, "s-1", email, b.clock.Now()), Code: "c"}
			if tt.bend != nil {
				tt.bend(t, trial{bench: b, idp: p, answer: &answer})
			}
			in, next, err := b.FinishSSO(t.Context(), from("192.0.2.1"), ticket, answer)
			if code(err) != tt.code || next != "/people?q=a" {
				t.Fatalf("error %v, next %s, want error %q", err, next, tt.code)
			}
			if got := b.last(t); got != tt.attempt {
				t.Errorf("attempt %s, want %s", got, tt.attempt)
			}
			if _, _, again := b.FinishSSO(t.Context(), from("192.0.2.1"), ticket, answer); code(again) != "sign_in_over" {
				t.Errorf("the same answer again: %v, want that it is over", again)
			}
			if err == nil && b.session(t, in).UserID != b.owner.ID {
				t.Error("it is not the owner who is in")
			}
		})
	}
}

// TestSSORequests: what the browser and the token endpoint are told.
func TestSSORequests(t *testing.T) {
	b, p := ssoBench(t)
	sentTo, ticket, err := b.BeginSSO(t.Context(), b.account.ID, "//evil.example.net")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(sentTo)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if len(q.Get("nonce")) < 22 || len(q.Get("state")) < 22 || len(q.Get("code_challenge")) != 43 {
		t.Errorf("nonce, state or challenge are short: %s", sentTo)
	}
	for _, random := range []string{"nonce", "state", "code_challenge"} {
		q.Del(random)
	}
	want := url.Values{
		"client_id": {"holdfast"}, "code_challenge_method": {"S256"}, "redirect_uri": {"https://console.example.org/sign-in/sso/callback"},
		"response_type": {"code"}, "scope": {"openid email profile"},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	state := p.answers(t, sentTo, "s-1", email, b.clock.Now())
	_, next, err := b.FinishSSO(t.Context(), from("192.0.2.1"), ticket, signin.SSOAnswer{State: state, Code: "the code"})
	if err != nil || next != "/" {
		t.Fatalf("next %q, error %v", next, err)
	}
	if p.user != "holdfast" || p.form.Get("code") != "the code" || len(p.form.Get("code_verifier")) != 43 {
		t.Errorf("token request of %q: %v", p.user, p.form)
	}
	choices, err := b.SSOChoices(t.Context())
	if diff := cmp.Diff([]signin.SSOChoice{{AccountID: b.account.ID, AccountName: "Harbour"}}, choices); diff != "" || err != nil {
		t.Errorf("choices, error %v (-want +got):\n%s", err, diff)
	}
}

// TestSSOSubject: after the first time the subject counts, and the e-mail does not.
func TestSSOSubject(t *testing.T) {
	b, p := ssoBench(t)
	other := storetest.User(t, b.db, b.account.ID, "second@example.org")
	try := func(subject, email string) (signin.SignedIn, error) {
		b.clock.pass(time.Second)
		sentTo, ticket, err := b.BeginSSO(t.Context(), b.account.ID, "/")
		if err != nil {
			t.Fatal(err)
		}
		in, _, err := b.FinishSSO(t.Context(), from("192.0.2.1"), ticket,
			signin.SSOAnswer{State: p.answers(t, sentTo, subject, email, b.clock.Now()), Code: "c"})
		return in, err
	}
	if _, err := try("s-1", email); err != nil {
		t.Fatal(err)
	}
	if in, err := try("s-1", other.Email); err != nil || in.Person.UserID != b.owner.ID {
		t.Errorf("in as %q, error %v; her e-mail changed at the provider, she is the same", in.Person.Email, err)
	}
	if _, err := try("s-2", email); code(err) != "sso_failed" || b.last(t) != "sso_failed/sso_user_mismatch/sso" {
		t.Errorf("somebody else with her e-mail: error %v, attempt %s", err, b.last(t))
	}
	if in, err := try("s-2", other.Email); err != nil || in.Person.UserID != other.ID {
		t.Errorf("in as %q, error %v, want the other", in.Person.Email, err)
	}
}

func TestConfirmSSO(t *testing.T) {
	b, p := ssoBench(t)
	who := b.in(t)
	for _, tt := range []struct {
		name, subject string
		authTime      func(now time.Time) any
		code          string
	}{
		{"anew", "s-1", func(now time.Time) any { return now.Unix() }, ""},
		{"long_ago", "s-1", func(now time.Time) any { return now.Add(-time.Hour).Unix() }, "sso_failed"},
		{"not_said", "s-1", func(time.Time) any { return nil }, "sso_failed"},
		{"another_person", "s-2", func(now time.Time) any { return now.Unix() }, "sso_failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.clock.pass(6 * time.Minute)
			sentTo, ticket, err := b.BeginConfirmSSO(t.Context(), who, "/vaults")
			if err != nil || !strings.Contains(sentTo, "prompt=login") || !strings.Contains(sentTo, "max_age=0") {
				t.Fatalf("%s, error %v", sentTo, err)
			}
			mail := email
			if tt.subject == "s-2" {
				mail = "second@example.org"
			}
			state := p.answers(t, sentTo, tt.subject, mail, b.clock.Now())
			p.claims["auth_time"] = tt.authTime(b.clock.Now())
			in, next, err := b.FinishSSO(t.Context(), from("192.0.2.1"), ticket, signin.SSOAnswer{State: state, Code: "c"})
			if code(err) != tt.code || next != "/vaults" || !in.Token.IsZero() {
				t.Errorf("next %s, error %v, want %q and no new session", next, err, tt.code)
			}
			all, err := b.Sessions(t.Context(), b.account.ID, b.owner.ID)
			if err != nil || len(all) != 1 {
				t.Fatalf("%d sessions, error %v", len(all), err)
			}
			if fresh := b.clock.Now().Sub(all[0].ConfirmedAt) < signin.FreshFor; fresh != (tt.code == "") {
				t.Errorf("fresh %v", fresh)
			}
		})
	}
}

// TestSSOIssuerAsked: a provider that says that it names itself must.
func TestSSOIssuerAsked(t *testing.T) {
	b, p := newBench(t), newIDP(t)
	p.saysIss, b.HTTP = true, p.Client()
	b.policy(t, func(pol *signin.Policy) { pol.SingleSignOn, pol.Issuer, pol.ClientID = true, p.URL, "holdfast" })
	for issuer, want := range map[string]string{"": "sso_failed", p.URL: ""} {
		sentTo, ticket, err := b.BeginSSO(t.Context(), b.account.ID, "/")
		if err != nil {
			t.Fatal(err)
		}
		a := signin.SSOAnswer{State: p.answers(t, sentTo, "s-1", email, b.clock.Now()), Code: "c", Issuer: issuer}
		if _, _, err := b.FinishSSO(t.Context(), from("192.0.2.1"), ticket, a); code(err) != want {
			t.Errorf("issuer %q: %v, want %q", issuer, err, want)
		}
	}
}

// TestProviderUnreachable: what is called outside is bounded, and does not follow to other hosts.
func TestProviderUnreachable(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect to another host was followed") }))
	defer elsewhere.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			block := make([]byte, 1<<16)
			for r.Context().Err() == nil {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"other_issuer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"https://login.example.net"}`))
		},
		"not_found": http.NotFound,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			srv := httptest.NewServer(answer)
			defer srv.Close()
			p := signin.DefaultPolicy()
			p.SingleSignOn, p.Issuer, p.ClientID = true, srv.URL, "holdfast"
			if err := b.SetPolicy(t.Context(), b.account.ID, p, "", by()); code(err) != "issuer" {
				t.Errorf("error %v, want one about the issuer", err)
			}
		})
	}
}
