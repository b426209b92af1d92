package signin_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
	"holdfast/internal/web"
)

var _ web.Sessions = (*signin.Service)(nil)

func TestSession(t *testing.T) {
	b := newBench(t)
	b.policy(t, func(p *signin.Policy) { p.Idle, p.Absolute = time.Hour, 3*time.Hour })
	begin := func() (token string) {
		in, _, err := b.Password(t.Context(), from("192.0.2.1"), email, password)
		if err != nil {
			t.Fatal(err)
		}
		return in.Token.Reveal()
	}
	see := func(token string) (web.Principal, error) { return b.Session(t.Context(), token, "192.0.2.7") }

	idle := begin()
	b.clock.pass(59 * time.Minute)
	if p, err := see(idle); err != nil || p.Fresh {
		t.Errorf("after 59 minutes: fresh %v, error %v", p.Fresh, err)
	}
	b.clock.pass(59 * time.Minute)
	if _, err := see(idle); err != nil {
		t.Errorf("being seen did not lengthen it: %v", err)
	}
	b.clock.pass(61 * time.Minute)
	if p, err := see(idle); code(err) != "session_ended" || p.UserID != b.owner.ID {
		t.Errorf("idle for too long: %v, of %q", err, p.UserID)
	}
	used := begin()
	for range 4 {
		b.clock.pass(44 * time.Minute)
		if _, err := see(used); err != nil {
			t.Fatal(err)
		}
	}
	b.clock.pass(4 * time.Minute)
	if _, err := see(used); code(err) != "session_ended" {
		t.Errorf("after three hours: %v", err)
	}
	if a, b := begin(), begin(); a == b {
		t.Error("two sign-ins gave the same session")
	}
	made, _ := seal.NewCredential(signin.SessionPrefix)
	for _, bad := range []string{"", "x", made.Reveal(), used + "x"} {
		if p, err := see(bad); !problem.Is(err, problem.Unauthenticated) || p.UserID != "" {
			t.Errorf("a token that never was: %v, of %q", err, p.UserID)
		}
	}
}

func TestEndSessions(t *testing.T) {
	b := newBench(t)
	p, q, r := b.in(t), b.in(t), b.in(t)
	if err := b.EndSession(t.Context(), p.AccountID, p.UserID, q.SessionID, by()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.EndOtherSessions(t.Context(), p, by()); err != nil || n != 1 {
		t.Errorf("%d other sessions ended, error %v, want the one of %s", n, err, r.SessionID)
	}
	if n, err := b.EndSessions(t.Context(), p.AccountID, p.UserID, by()); err != nil || n != 1 {
		t.Errorf("%d sessions ended, error %v, want the last one", n, err)
	}
}

// linked adds an account whose owner is invited, and returns it with her set-up link.
func linked(t *testing.T, b *bench) (directory.Account, directory.User, string) {
	t.Helper()
	link, hash := seal.NewCredential(signin.LinkPrefix)
	a, owner, err := b.db.CreateAccount(t.Context(), directory.NewAccount{
		Name: "Pier", OwnerEmail: "new@example.org", OwnerName: "Nia", SetupLink: hash, SetupExpires: b.clock.Now().Add(24 * time.Hour),
	}, storetest.By())
	if err != nil {
		t.Fatal(err)
	}
	return a, owner, link.Reveal()
}

func TestSetup(t *testing.T) {
	b := newBench(t)
	c := from("192.0.2.1")
	a, owner, link := linked(t, b)
	p, policy, err := b.SetupPerson(t.Context(), link)
	if err != nil || p.UserID != owner.ID || policy != signin.DefaultPolicy() {
		t.Fatalf("the link is of %q, policy %+v, error %v", p.Email, policy, err)
	}
	if _, err := b.SetupPassword(t.Context(), c, link, "short"); code(err) != "password" {
		t.Errorf("a short password: %v", err)
	}
	in, err := b.SetupPassword(t.Context(), c, link, password)
	if err != nil || b.session(t, in).AccountID != a.ID {
		t.Fatal(err)
	}
	if got := b.lastOf(t, a.ID); got != "success/credentials_ok/setup_link" {
		t.Errorf("attempt %s", got)
	}
	if _, err := b.SetupPassword(t.Context(), c, link, password); code(err) != "link_over" {
		t.Errorf("the link again: %v", err)
	}
	if got := b.lastOf(t, ""); got != "credentials_failed/code_bad/setup_link" {
		t.Errorf("attempt of nobody %s", got)
	}
	_, _, late := linked(t, b)
	b.clock.pass(25 * time.Hour)
	if _, _, err := b.SetupPerson(t.Context(), late); code(err) != "link_over" {
		t.Errorf("a link of yesterday: %v", err)
	}
	for _, bad := range []string{"", "hfl_x", strings.Replace(late, "hfl", "hfc", 1)} {
		if _, _, err := b.SetupPerson(t.Context(), bad); code(err) != "link_over" {
			t.Errorf("what never was a link: %v", err)
		}
	}
}

func TestSetupPasskey(t *testing.T) {
	b := newBench(t)
	c := from("192.0.2.1")
	a, _, link := linked(t, b)
	_, _, other := linked(t, b)
	key := newAuthenticator(t)
	offer, ticket, err := b.BeginSetupPasskey(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.FinishSetupPasskey(t.Context(), c, other, ticket, key.create(t, offer)); code(err) != "sign_in_over" {
		t.Errorf("with the link of somebody else: %v", err)
	}
	if offer, ticket, err = b.BeginSetupPasskey(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	in, err := b.FinishSetupPasskey(t.Context(), c, link, ticket, key.create(t, offer))
	if err != nil || b.session(t, in).AccountID != a.ID {
		t.Fatal(err)
	}
	ask, ticket, err := b.BeginPasskey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.FinishPasskey(t.Context(), c, ticket, key.get(t, ask)); err != nil {
		t.Errorf("signing in with it: %v", err)
	}
}

func TestPark(t *testing.T) {
	b := newBench(t)
	p := b.in(t)
	values := url.Values{
		"name": {"Alarm desk"}, "scope": {"get_user", "list_users"}, "password": {"x"}, "new_password": {"x"}, "code": {"x"},
		"client_secret": {"x"}, "secret": {"x"}, "totp": {"x"},
	}
	ticket, err := b.Park(t.Context(), p, "/integrations/new?a=b", values)
	if err != nil {
		t.Fatal(err)
	}
	stranger := web.Principal{AccountID: p.AccountID, UserID: seal.NewID()}
	if _, _, err := b.Unpark(t.Context(), stranger, ticket); !problem.Is(err, problem.NotFound) {
		t.Errorf("a stranger: %v", err)
	}
	path, got, err := b.Unpark(t.Context(), p, ticket)
	if err != nil || path != "/integrations/new?a=b" {
		t.Errorf("path %s, error %v", path, err)
	}
	if diff := cmp.Diff(url.Values{"name": {"Alarm desk"}, "scope": {"get_user", "list_users"}}, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if _, _, err := b.Unpark(t.Context(), p, ticket); !problem.Is(err, problem.NotFound) {
		t.Errorf("again: %v", err)
	}
	if _, err := b.Park(t.Context(), p, "/", url.Values{"a": {strings.Repeat("x", 32<<10)}}); !problem.Is(err, problem.TooLarge) {
		t.Errorf("too much: %v", err)
	}
	if ticket, err = b.Park(t.Context(), p, "/", nil); err != nil {
		t.Fatal(err)
	}
	b.clock.pass(31 * time.Minute)
	if _, _, err := b.Unpark(t.Context(), p, ticket); !problem.Is(err, problem.NotFound) {
		t.Errorf("after half an hour: %v", err)
	}
}

func TestPolicy(t *testing.T) {
	b := newBench(t)
	tests := []struct {
		name   string
		change func(*signin.Policy)
		field  string
	}{
		{"nobody", func(p *signin.Policy) { p.Passkeys, p.Passwords = false, false }, "passkeys"},
		{"idle_short", func(p *signin.Policy) { p.Idle = 4 * time.Minute }, "idle"},
		{"idle_long", func(p *signin.Policy) { p.Idle, p.Absolute = 31*24*time.Hour, 40*24*time.Hour }, "idle"},
		{"absolute_before_idle", func(p *signin.Policy) { p.Idle, p.Absolute = time.Hour, time.Minute }, "absolute"},
		{"absolute_long", func(p *signin.Policy) { p.Absolute = 91 * 24 * time.Hour }, "absolute"},
		{"no_client", func(p *signin.Policy) { p.SingleSignOn, p.Issuer = true, "https://login.example.org" }, "client_id"},
		{"no_issuer", func(p *signin.Policy) { p.SingleSignOn, p.ClientID = true, "x" }, "issuer"},
		{"issuer_in_plain", func(p *signin.Policy) { p.SingleSignOn, p.ClientID, p.Issuer = true, "x", "http://login.example.org" }, "issuer"},
		{"issuer_with_query", func(p *signin.Policy) {
			p.SingleSignOn, p.ClientID, p.Issuer = true, "x", "https://login.example.org/?a"
		}, "issuer"},
		{"issuer_with_user", func(p *signin.Policy) {
			p.SingleSignOn, p.ClientID, p.Issuer = true, "x", "https://a:b@login.example.org"
		}, "issuer"},
		{"good", func(p *signin.Policy) { p.Idle, p.Absolute, p.RequireCode = time.Hour, time.Hour, true }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := signin.DefaultPolicy()
			tt.change(&p)
			if err := b.SetPolicy(t.Context(), b.account.ID, p, "", by()); code(err) != tt.field {
				t.Errorf("error %v, want one about %q", err, tt.field)
			}
			if got, err := b.Policy(t.Context(), b.account.ID); err != nil || (got == p) != (tt.field == "") {
				t.Errorf("policy %+v, error %v", got, err)
			}
		})
	}
}
