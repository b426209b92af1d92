package server_test

import (
	"net/http"
	"net/url"
	"testing"

	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// TestMainFlow is the main job: a platform gets a token, lists, suspends, looks, reactivates; in both
// URL generations, on both databases.
func TestMainFlow(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			in := servertest.Start(t, kind)
			u := in.AddUser(t, "mira@example.org", "Security")
			for _, gen := range []struct{ token, revoke, users string }{
				{"/v1/oauth/token", "/v1/oauth/revoke", "/v1/accounts/"},
				{"/v1beta1/users/oauth2/token", "/v1beta1/users/oauth2/revoke", "/v1beta1/accounts/"},
			} {
				id, secret := in.Credentials.Client.ID, in.Credentials.Secret.Reveal()
				a := in.Form(t, gen.token, id, secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}})
				token := a.Field("access_token")
				if a.Status != 200 || token == "" || a.Field("token_type") != "Bearer" {
					t.Fatalf("token: %+v", a)
				}
				users := gen.users + in.Account.ID + "/users"
				for _, step := range []struct{ method, target, state string }{
					{"GET", "?filter=user.isActive()&maxPageSize=10", ""},
					{"POST", "/" + u.ID + ":suspend", "SUSPENDED"},
					{"POST", "/" + u.ID + "%3Asuspend", "SUSPENDED"},
					{"GET", "/" + u.ID, "SUSPENDED"},
					{"POST", "/" + u.ID + ":reactivate", "ACTIVE"},
					{"GET", "/" + u.ID, "ACTIVE"},
				} {
					a := in.Call(t, step.method, users+step.target, token)
					if a.Status != http.StatusOK || a.Field("state") != step.state {
						t.Errorf("%s %s: %d %s, want state %q", step.method, step.target, a.Status, a.Body, step.state)
					}
				}
				if a := in.Form(t, gen.revoke, id, secret, url.Values{"token": {token}}); a.Status != 200 || a.Body != "" {
					t.Errorf("revoke: %d %q", a.Status, a.Body)
				}
				if a := in.Call(t, "GET", users, token); a.Status != 401 {
					t.Errorf("with the revoked token: %d", a.Status)
				}
			}
			storetest.Verify(t, in.Store(), in.Account.ID)
		})
	}
}
