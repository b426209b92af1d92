package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// operations are the four of the Users API, with the scope that each needs.
func operations() []struct{ scope, method, path string } {
	return []struct{ scope, method, path string }{
		{"list_users", "GET", ""},
		{"get_user", "GET", "/%s"},
		{"suspend_users", "POST", "/%s:suspend"},
		{"reactivate_users", "POST", "/%s:reactivate"},
	}
}

// Row 6: each operation with each subset of the scopes. Without its scope it is refused, changes nothing,
// and leaves one entry.
func TestSecurityScopeMatrix(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		all := oauth.Scopes()
		active, held := at.AddUser(t, "active@example.org"), at.AddUser(t, "held@example.org")
		state := func() [2]bool {
			var s [2]bool
			for i, id := range []string{active.ID, held.ID} {
				u, err := at.Store().User(t.Context(), at.Account.ID, id)
				if err != nil {
					t.Fatal(err)
				}
				s[i] = u.Suspended
			}
			return s
		}
		for set := range 1 << len(all) {
			var scopes []string
			for i, s := range all {
				if set>>i&1 == 1 {
					scopes = append(scopes, s)
				}
			}
			cred := at.NewApp(t, all...)
			token := at.Token(t, cred)
			// Taken away while the token is out; the empty set can only come about so.
			if _, err := at.Store().Jobs().SQL.ExecContext(t.Context(), "UPDATE clients SET scopes = $1 WHERE id = $2", strings.Join(scopes, " "), cred.Client.ID); err != nil {
				t.Fatal(err)
			}
			for _, op := range operations() {
				for _, version := range []string{"v1", "v1beta1"} {
					at.clock.Forward(2 * time.Second) // so that no refusal is one too many
					if _, err := at.Store().ReactivateUser(t.Context(), at.Account.ID, active.ID, storetest.By()); err != nil {
						t.Fatal(err)
					}
					if _, err := at.Store().SuspendUser(t.Context(), at.Account.ID, held.ID, directory.NewHold{Holder: "operator:test"}, storetest.By()); err != nil {
						t.Fatal(err)
					}
					who := active
					if op.scope == "reactivate_users" {
						who = held
					}
					path := "/" + version + "/accounts/" + at.Account.ID + "/users" + op.path
					if op.path != "" {
						path = fmt.Sprintf(path, who.ID)
					}
					before := state()
					var a servertest.Answer
					entries := at.entries(t, func() { a = at.send(t, sent{method: op.method, path: path, bearer: token}) })
					if slices.Contains(scopes, op.scope) {
						if a.Status != http.StatusOK {
							t.Errorf("%s %s with %v: %d %s", op.method, path, scopes, a.Status, a.Body)
						}
						continue
					}
					want := fmt.Sprintf(`Bearer realm="holdfast", error="insufficient_scope", scope="%s"`, op.scope)
					if a.Status != http.StatusForbidden || !strings.Contains(a.Body, `"code":7`) || a.Header.Get("WWW-Authenticate") != want {
						t.Errorf("%s %s with %v: %d %s %s", op.method, path, scopes, a.Status, a.Body, a.Header.Get("WWW-Authenticate"))
					}
					if state() != before {
						t.Errorf("%s %s with %v was refused and changed something", op.method, path, scopes)
					}
					if len(entries) != 1 || entries[0].Action != audit.AccessRefuse || entries[0].Outcome != audit.Refused || entries[0].Actor != "client:"+cred.Client.ID {
						t.Errorf("%s %s with %v left %+v", op.method, path, scopes, entries)
					}
				}
			}
		}
	})
}

// Row 7: an application sees, changes and learns nothing of another account.
func TestSecurityAccountsAreApart(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		b, owner, err := at.Store().CreateAccount(t.Context(), directory.NewAccount{Name: "Vale", OwnerEmail: "owner@vale.example", OwnerName: "Ada"}, storetest.By())
		if err != nil {
			t.Fatal(err)
		}
		victim := storetest.User(t, at.Store(), b.ID, "victim@vale.example")
		theirs, err := at.OAuth().Create(t.Context(), b.ID, oauth.NewClient{Name: "b", Scopes: oauth.Scopes()}, storetest.By())
		if err != nil {
			t.Fatal(err)
		}
		at.Secrets.Learn(theirs.Secret.Reveal())
		mine := at.Token(t, at.Credentials)
		yours := at.Token(t, theirs)
		const nobody = "A234567A234567A234567A2345"

		// normal is an answer without what differs by itself.
		normal := func(s sent, ids ...string) string {
			a := at.send(t, s)
			body := a.Body
			for _, id := range ids {
				body = strings.ReplaceAll(body, id, "ID")
			}
			return fmt.Sprintf("%d %s %s", a.Status, body, a.Header.Get("WWW-Authenticate"))
		}
		for _, op := range operations() {
			for _, version := range []string{"v1", "v1beta1"} {
				path := func(account, user string) string {
					p := "/" + version + "/accounts/" + account + "/users" + op.path
					if op.path != "" {
						p = fmt.Sprintf(p, user)
					}
					return p
				}
				for name, pair := range map[string][2]string{
					"account":         {path(b.ID, victim.ID), path(nobody, victim.ID)},
					"account_of_mine": {path(b.ID, at.Owner.ID), path(nobody, at.Owner.ID)},
					"person":          {path(at.Account.ID, victim.ID), path(at.Account.ID, nobody)},
				} {
					if name == "person" && op.path == "" {
						continue
					}
					got := normal(sent{method: op.method, path: pair[0], bearer: mine}, b.ID, victim.ID)
					want := normal(sent{method: op.method, path: pair[1], bearer: mine}, nobody)
					if got != want || !strings.HasPrefix(got, "404 ") {
						t.Errorf("%s %s: %s\nan unknown one: %s", op.method, name, got, want)
					}
					e := at.entries(t, func() { at.send(t, sent{method: op.method, path: pair[0], bearer: mine}) })
					for _, e := range e {
						if e.Actor != "client:"+at.Credentials.Client.ID {
							t.Errorf("entry %+v", e)
						}
					}
				}
				at.clock.Forward(10 * time.Second) // so that no refusal is one too many
			}
		}
		// Nothing of what was tried shows in the other account, and its platform still works.
		for _, id := range []string{owner.ID, victim.ID} {
			if u, err := at.Store().User(t.Context(), b.ID, id); err != nil || u.Suspended {
				t.Errorf("%+v %v", u, err)
			}
		}
		for l, err := range at.Store().AuditLinks(t.Context(), b.ID, 0) {
			if err != nil || l.Entry.Actor == "client:"+at.Credentials.Client.ID {
				t.Errorf("in the log of the other account: %+v %v", l, err)
			}
		}
		if a := at.send(t, sent{path: at.person(victim), bearer: yours}); a.Status != http.StatusOK {
			t.Errorf("the other platform gets %d %s", a.Status, a.Body)
		}
		// A page token of one account is worth nothing in the other.
		page := at.send(t, sent{path: "/v1/accounts/" + b.ID + "/users?max_page_size=1", bearer: yours}).Field("next_page_token")
		if a := at.send(t, sent{path: at.UsersURL() + "?page_token=" + url.QueryEscape(page), bearer: mine}); page == "" || a.Status != http.StatusBadRequest {
			t.Errorf("page token %q of the other account: %d %s", page, a.Status, a.Body)
		}
		if at.Place.Kind == "sqlite" {
			get := func(user string) func(int) {
				return func(int) { at.send(t, sent{path: "/v1/accounts/" + at.Account.ID + "/users/" + user, bearer: mine}) }
			}
			sameTime(t, 3, 500, get(victim.ID), get(nobody))
		}
	})
}

// Row 10: a token lives 900 s, by the server's clock, at every use.
func TestSecurityTokenLife(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		a := at.send(t, asks(at.Credentials, grant()))
		token := a.Field("access_token")
		if !strings.Contains(a.Body, `"expires_in":900`) {
			t.Errorf("the answer is %s", strings.ReplaceAll(a.Body, token, "…"))
		}
		use := func() servertest.Answer { return at.send(t, sent{path: at.person(at.Owner), bearer: token}) }
		at.clock.Forward(15*time.Minute - 30*time.Second)
		if a := use(); a.Status != http.StatusOK {
			t.Errorf("half a minute before its end: %d %s", a.Status, a.Body)
		}
		at.clock.Forward(31 * time.Second)
		e := at.oneEntry(t, func() {
			if a := use(); a.Status != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != `Bearer realm="holdfast", error="invalid_token"` {
				t.Errorf("one second after its end: %d %s %s", a.Status, a.Body, a.Header.Get("WWW-Authenticate"))
			}
		})
		want := audit.Entry{
			Actor: "client:" + at.Credentials.Client.ID, Action: audit.AccessRefuse, Outcome: audit.Refused, Address: "198.51.100.1",
			Target: "route:GET /v1/accounts/{account}/users/{user}", Reason: "the access token has expired; request a new one", RequestID: e.RequestID,
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("entry (-want +got):\n%s", diff)
		}
	})
}

// Rows 11 and 12: 64 connections use a token and its secret while the token is revoked, the secret is
// rotated without overlap, or the application is revoked. What begins after the answer fails.
func TestSecurityRevocationIsImmediate(t *testing.T) {
	tests := []struct {
		name   string
		secret bool // new tokens are refused too
		end    func(t *testing.T, at target, cred oauth.Credentials, token string) error
	}{
		{"token", false, func(t *testing.T, at target, cred oauth.Credentials, token string) error {
			s := asks(cred, url.Values{"token": {token}})
			s.path = revokePath
			if a := at.send(t, s); a.Status != http.StatusOK {
				return fmt.Errorf("revoke: %d %s", a.Status, a.Body)
			}
			return nil
		}},
		{"application", true, func(t *testing.T, at target, cred oauth.Credentials, _ string) error {
			return at.OAuth().Revoke(t.Context(), at.Account.ID, cred.Client.ID, storetest.By())
		}},
		{"rotation", true, func(t *testing.T, at target, cred oauth.Credentials, _ string) error {
			next, err := at.OAuth().Rotate(t.Context(), at.Account.ID, cred.Client.ID, 0, storetest.By())
			at.Secrets.Learn(next.Secret.Reveal())
			return err
		}},
	}
	onEach(t, func(t *testing.T, at target) {
		servers := []string{at.URL}
		if at.Place.Kind == "postgres" { // a second server on the same database must obey the first
			second := servertest.StartAt(t, at.Place, map[string]string{"trusted_proxies": "127.0.0.1"})
			servers = append(servers, second.URL)
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				cred := at.NewApp(t, oauth.Scopes()...)
				token := at.Token(t, cred)
				u := at.AddUser(t, tt.name+"@example.org")
				var over atomic.Bool
				var worked atomic.Int64
				enough := make(chan struct{})
				var wg sync.WaitGroup
				for i := range 64 {
					s := sent{path: servers[i%len(servers)] + at.person(u), bearer: token}
					switch {
					case i%8 == 2:
						s.method, s.path = http.MethodPost, s.path+":suspend"
					case i%8 == 3:
						s.method, s.path = http.MethodPost, s.path+":reactivate"
					case i%8 == 4 && tt.secret:
						s = asks(cred, grant())
						s.path = servers[i/8%len(servers)] + s.path
					}
					s.from = address(i)
					wg.Go(func() {
						for late := 0; late < 5; {
							begun := over.Load()
							a := at.send(t, s)
							switch {
							case begun && a.Status != http.StatusUnauthorized:
								t.Errorf("begun after the answer, and got %d %s", a.Status, a.Body)
								return
							case begun:
								late++
							case a.Status == http.StatusOK:
								if worked.Add(1) == 500 {
									close(enough)
								}
							case a.Status != http.StatusUnauthorized: // 401 while the revocation is under way
								t.Errorf("%d %s", a.Status, a.Body)
								return
							}
						}
					})
				}
				select {
				case <-enough:
				case <-time.After(time.Minute):
					t.Error("too little was done before the revocation; nothing is proven")
				}
				err := tt.end(t, at, cred, token)
				over.Store(true)
				wg.Wait()
				if err != nil {
					t.Fatal(err)
				}
			})
		}
		storetest.Verify(t, at.Store(), at.Account.ID)
	})
}
