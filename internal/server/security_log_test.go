package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/store/storetest"
)

// Row 32: whatever the other rows are about leaves exactly one entry, which says who, what, to whom, how
// it ended and why. That no entry holds a secret, every test checks at its end.
func TestSecurityOneEntryEach(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		cred := at.Credentials
		client := "client:" + cred.Client.ID
		narrow := at.NewApp(t, "list_users")
		u := at.AddUser(t, "mira@example.org")
		managed, err := at.Store().AddUser(t.Context(), at.Account.ID, directory.NewUser{Email: "eam@example.org", DisplayName: "Eam", ExternallyManaged: true}, storetest.By())
		if err != nil {
			t.Fatal(err)
		}
		expired := at.Token(t, cred)
		at.clock.Forward(oauth.TokenLife)
		token, listing, doomed := at.Token(t, cred), at.Token(t, narrow), at.Token(t, narrow)
		form := func(s sent, path string, pairs ...string) sent {
			s.path, s.form = path, url.Values{}
			for i := 0; i+1 < len(pairs); i += 2 {
				s.form.Set(pairs[i], pairs[i+1])
			}
			return s
		}
		own := sent{basic: [2]string{cred.Client.ID, cred.Secret.Reveal()}}
		wrong := sent{basic: [2]string{cred.Client.ID, wrongSecret()}}
		stranger := sent{basic: [2]string{uuid.NewString(), wrongSecret()}}
		verb := func(id, verb, bearer string) sent {
			return sent{method: "POST", path: at.UsersURL() + "/" + id + ":" + verb, bearer: bearer}
		}
		const grantType = "grant_type"
		route := func(verb string) string { return "route:POST /v1/accounts/{account}/users/{user}:" + verb }
		routeGet, routeList := "route:GET /v1/accounts/{account}/users/{user}", "route:GET /v1/accounts/{account}/users"
		for _, tt := range []struct {
			name    string
			sent    sent
			account string // of the chain; empty: this account
			want    audit.Entry
			reason  string // what the reason begins with
		}{
			{"token", form(own, tokenPath, grantType, "client_credentials"), "", audit.Entry{Actor: client, Action: audit.TokenIssue, Target: client, Outcome: audit.Done}, ""},
			{"1_grant", form(own, tokenPath, grantType, "password"), "", audit.Entry{Actor: client, Action: audit.TokenIssue, Target: client, Outcome: audit.Refused}, "unsupported_grant_type: "},
			{"2_secret", form(wrong, tokenPath, grantType, "client_credentials"), "", audit.Entry{Actor: "anonymous", Action: audit.TokenIssue, Target: client, Outcome: audit.Refused}, "invalid_client: "},
			{"2_none", form(sent{}, tokenPath, grantType, "client_credentials"), audit.System, audit.Entry{Actor: "anonymous", Action: audit.TokenIssue, Outcome: audit.Refused}, "invalid_client: "},
			{"2_revoke", form(wrong, revokePath, "token", token), "", audit.Entry{Actor: "anonymous", Action: audit.TokenRevoke, Target: client, Outcome: audit.Refused}, "invalid_client: "},
			{"3_two_places", form(own, tokenPath, grantType, "client_credentials", "client_secret", "x"), audit.System, audit.Entry{Actor: "anonymous", Action: audit.TokenIssue, Outcome: audit.Refused}, "the credentials in the Authorization header and in the body differ"},
			{"4_in_url", sent{path: at.UsersURL() + "?access_token=x"}, audit.System, audit.Entry{Actor: "anonymous", Action: audit.AccessRefuse, Target: "route:/v1/accounts/{account}/users", Outcome: audit.Refused}, "the query string holds \"access_token\""},
			{"5_scope", form(own, tokenPath, grantType, "client_credentials", "scope", "suspend_users"), "", audit.Entry{Actor: client, Action: audit.TokenIssue, Target: client, Outcome: audit.Refused}, "invalid_scope: "},
			{"6_no_scope", verb(u.ID, "suspend", listing), "", audit.Entry{Actor: "client:" + narrow.Client.ID, Action: audit.AccessRefuse, Target: route("suspend"), Outcome: audit.Refused}, "the application has not been given the scope \"suspend_users\""},
			{"7_other_account", sent{path: "/v1/accounts/A234567A234567A234567A2345/users", bearer: token}, "", audit.Entry{Actor: client, Action: audit.AccessRefuse, Target: routeList, Outcome: audit.Refused}, "no account \"A234567A234567A234567A2345\""},
			{"no_token", sent{path: at.person(u)}, audit.System, audit.Entry{Actor: "anonymous", Action: audit.AccessRefuse, Target: routeGet, Outcome: audit.Refused}, "no access token"},
			{"unknown_token", sent{path: at.person(u), bearer: newToken()}, audit.System, audit.Entry{Actor: "anonymous", Action: audit.AccessRefuse, Target: routeGet, Outcome: audit.Refused}, "the access token is not known"},
			{"10_expired", sent{path: at.person(u), bearer: expired}, "", audit.Entry{Actor: client, Action: audit.AccessRefuse, Target: routeGet, Outcome: audit.Refused}, "the access token has expired"},
			{"11_revoke", form(sent{basic: [2]string{narrow.Client.ID, narrow.Secret.Reveal()}}, revokePath, "token", doomed), "", audit.Entry{Actor: "client:" + narrow.Client.ID, Action: audit.TokenRevoke, Target: "client:" + narrow.Client.ID, Outcome: audit.Done}, ""},
			{"11_revoked", sent{path: at.UsersURL(), bearer: doomed}, "", audit.Entry{Actor: "client:" + narrow.Client.ID, Action: audit.AccessRefuse, Target: routeList, Outcome: audit.Refused}, "the access token was revoked"},
			{"13_not_mine", form(own, revokePath, "token", listing), "", audit.Entry{Actor: client, Action: audit.TokenRevoke, Target: client, Outcome: audit.Done}, "the token was not alive, or not this application's"},
			{"16_guess", form(wrong, introspectPath, "token", token), "", audit.Entry{Actor: "anonymous", Action: audit.TokenIntrospect, Target: client, Outcome: audit.Refused}, "invalid_client: "},
			{"17_stranger", form(stranger, tokenPath, grantType, "client_credentials"), audit.System, audit.Entry{Actor: "anonymous", Action: audit.TokenIssue, Target: "client:" + stranger.basic[0], Outcome: audit.Refused}, "invalid_client: "},
			{"suspend", verb(u.ID, "suspend", token), "", audit.Entry{Actor: client, Action: audit.UserSuspend, Target: "user:" + u.ID, Outcome: audit.Done}, ""},
			{"reactivate", verb(u.ID, "reactivate", token), "", audit.Entry{Actor: client, Action: audit.UserReactivate, Target: "user:" + u.ID, Outcome: audit.Done}, ""},
			{"last_owner", verb(at.Owner.ID, "suspend", token), "", audit.Entry{Actor: client, Action: audit.UserSuspend, Target: "user:" + at.Owner.ID, Outcome: audit.Refused}, "no_owner_remain: "},
			{"managed", verb(managed.ID, "suspend", token), "", audit.Entry{Actor: client, Action: audit.UserSuspend, Target: "user:" + managed.ID, Outcome: audit.Refused}, "externally_managed: "},
		} {
			t.Run(tt.name, func(t *testing.T) {
				m := at.Mark(t)
				var answer string
				got := at.oneEntry(t, func() { answer = at.send(t, tt.sent).Header.Get("Request-Id") })
				if chain := at.Since(t, m)[0].AccountID; chain != tt.account && (tt.account != "" || chain != at.Account.ID) {
					t.Errorf("it is in the chain of %q", chain)
				}
				reason, _ := strings.CutPrefix(got.Reason, tt.reason)
				if !strings.HasPrefix(got.Reason, tt.reason) || tt.reason == "" && reason != "" {
					t.Errorf("reason %q, want %q…", got.Reason, tt.reason)
				}
				want := tt.want
				want.Reason, want.Address, want.RequestID = got.Reason, "198.51.100.1", answer
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("entry (-want +got):\n%s", diff)
				}
			})
		}
		// Row 12: what an administrator does to an application.
		for _, do := range []struct {
			action audit.Action
			run    func() error
		}{
			{audit.AppRotateSecret, func() error {
				c, err := at.OAuth().Rotate(t.Context(), at.Account.ID, cred.Client.ID, 0, storetest.By())
				at.Secrets.Learn(c.Secret.Reveal())
				return err
			}},
			{audit.AppRevoke, func() error { return at.OAuth().Revoke(t.Context(), at.Account.ID, cred.Client.ID, storetest.By()) }},
		} {
			e := at.oneEntry(t, func() {
				if err := do.run(); err != nil {
					t.Error(err)
				}
			})
			if e.Action != do.action || e.Actor != "operator:test" || e.Target != client || e.Outcome != audit.Done {
				t.Errorf("entry %+v", e)
			}
		}
		// What changes nothing, or only reads, leaves none.
		listing = at.Token(t, narrow)
		for _, s := range []sent{{path: at.UsersURL(), bearer: listing}, {path: at.UsersURL() + "?filter=x", bearer: listing}, {path: "/healthz"}} {
			if n := len(at.entries(t, func() { at.send(t, s) })); n != 0 {
				t.Errorf("%s leaves %d entries", s.path, n)
			}
		}
		storetest.Verify(t, at.Store(), at.Account.ID)
	})
}

// evil are texts that would break a log that is written carelessly.
func evil() []string {
	return []string{
		"a\r\n{\"level\":\"INFO\",\"msg\":\"forged\"}", "a\nb", "\x1b[2J\x1b[31mred", `","outcome":"done","x":"`, "a\u2028b\u2029c", "a\u202eb\u2066c",
		"%0d%0aforged", "${jndi:ldap://x}", "%s%n%x", "<script>alert(1)</script>", "a\u0085b", "\xff\xfe", strings.Repeat("long", 2000),
	}
}

// Row 33: one request is one line of the log and at most one entry, whatever it is made of.
func TestSecurityLogInjection(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		token := at.Token(t, at.Credentials)
		for i, text := range evil() {
			quoted := url.QueryEscape(text)
			header := strings.Map(func(r rune) rune { // what a header can hold at all
				if r < ' ' || r == 0x7f {
					return -1
				}
				return r
			}, text)
			for name, s := range map[string]sent{
				"user_agent": {path: at.person(at.Owner), bearer: token, header: []string{"User-Agent", header}},
				"client_id":  {path: tokenPath, body: "grant_type=client_credentials&client_secret=x&client_id=" + quoted},
				"basic":      {path: tokenPath, form: grant(), basic: [2]string{text, text}},
				"parameter":  {path: tokenPath, body: quoted + "=1&" + quoted + "=2"},
				"type":       {method: "POST", path: tokenPath, header: []string{"Content-Type", header}},
				"account":    {path: "/v1/accounts/" + url.PathEscape(text) + "/users", bearer: token},
				"person":     {path: at.UsersURL() + "/" + url.PathEscape(text), bearer: token},
				"verb":       {method: "POST", path: at.person(at.Owner) + ":" + url.PathEscape(text), bearer: token},
				"filter":     {path: at.UsersURL() + "?filter=" + quoted, bearer: token},
				"page":       {path: at.UsersURL() + "?page_token=" + quoted, bearer: token},
				"bearer":     {path: at.person(at.Owner), header: []string{"Authorization", "Bearer " + header}},
				"forwarded":  {path: at.person(at.Owner), from: header},
				"request_id": {path: at.person(at.Owner), bearer: token, header: []string{"Request-Id", header, "X-Request-Id", header}},
			} {
				if s.from == "" {
					s.from = address(i)
				}
				at.clock.Forward(5 * time.Second)
				logged := len(at.Log.String())
				var entries []audit.Entry
				var status int
				entries = at.entries(t, func() { status = at.send(t, s).Status })
				if status >= 500 || len(entries) > 1 {
					t.Errorf("%s %q: status %d, %d entries", name, text[:min(len(text), 30)], status, len(entries))
				}
				lines := strings.Split(strings.TrimSuffix(at.Log.String()[logged:], "\n"), "\n")
				if len(lines) != 1 {
					t.Fatalf("%s %q: %d lines in the log", name, text, len(lines))
				}
				wholesome(t, lines[0], status)
				for _, e := range entries {
					oneLine(t, at, e)
				}
			}
		}
		storetest.Verify(t, at.Store(), at.Account.ID)
	})
}

// wholesome checks a line of the log: one JSON object, nothing that a terminal would obey, not forged.
func wholesome(t *testing.T, line string, status int) {
	t.Helper()
	var rec struct {
		Time   time.Time `json:"time"`
		Msg    string    `json:"msg"`
		Status int       `json:"status"`
		ID     string    `json:"request_id"`
	}
	d := json.NewDecoder(strings.NewReader(line))
	if err := d.Decode(&rec); err != nil || d.More() {
		t.Fatalf("a line of the log is not one JSON object: %v\n%q", err, line)
	}
	if rec.Msg != "request" || rec.Status != status || rec.Time.IsZero() || len(rec.ID) != 26 {
		t.Errorf("the line is %+v", rec)
	}
	for _, r := range line {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || strings.ContainsRune("\u2028\u2029\u202e\u2066", r) {
			t.Errorf("the line holds %q: %q", r, line)
		}
	}
	if len(line) > 4000 {
		t.Errorf("the line has %d bytes", len(line))
	}
}

// oneLine checks that an entry stays one line in an export, and comes back as it is.
func oneLine(t *testing.T, at target, e audit.Entry) {
	t.Helper()
	var b bytes.Buffer
	l := audit.Head{AccountID: at.Account.ID}.Next(e, at.clock.Now())
	if _, err := audit.Export(&b, func(yield func(audit.Link, error) bool) { yield(l, nil) }); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b.Bytes(), []byte("\n")); n != 1 || bytes.ContainsAny(b.Bytes()[:b.Len()-1], "\r\n\x1b") {
		t.Errorf("the export has %d lines: %q", n, b.String())
	}
	for back, err := range audit.Import(&b) {
		if diff := cmp.Diff(l, back); err != nil || diff != "" {
			t.Errorf("after export: %v\n%s", err, diff)
		}
	}
}

// TestSecurityNamesAreClean: names that would not print do not get in.
func TestSecurityNamesAreClean(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	for i, text := range evil() {
		clean := utf8.ValidString(text) && !strings.ContainsAny(text, "\r\n\x1b\x00\u2028\u2029\u202e\u2066\u0085") && len(text) <= 100
		_, err := at.OAuth().Create(t.Context(), at.Account.ID, oauth.NewClient{Name: text, Scopes: oauth.Scopes()}, storetest.By())
		if clean != (err == nil) || err != nil && !problem.Is(err, problem.Invalid) {
			t.Errorf("application %q: %v", text, err)
		}
		u := directory.NewUser{Email: fmt.Sprintf("p%d@example.org", i), DisplayName: text}
		if err := u.Check(); clean != (err == nil) {
			t.Errorf("person %q: %v", text, err)
		}
		u = directory.NewUser{Email: text + "@example.org", DisplayName: "x"}
		if err := u.Check(); err == nil && (!utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x1b\u202e<\" ")) {
			t.Errorf("email %q is accepted", text)
		}
	}
}
