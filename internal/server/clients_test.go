package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"holdfast/internal/directory"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// Clients that nobody here wrote. The programs in test/clients check every answer; README.md there
// says what each is about.

func TestClientBruno(t *testing.T)         { runClient(t, "bruno.mjs") }
func TestClientNodeRED(t *testing.T)       { runClient(t, "node-red.mjs") }
func TestClientNodeREDEvents(t *testing.T) { runClient(t, "node-red-events.mjs") }
func TestClientOpenIDClient(t *testing.T)  { runClient(t, "openid-client.mjs") }
func TestClientSimpleOAuth2(t *testing.T)  { runClient(t, "simple-oauth2.mjs") }

// TestClientJavaScriptDocument runs the programs that docs/integrations/javascript.md prints.
func TestClientJavaScriptDocument(t *testing.T) { runClient(t, "javascript.mjs") }

// TestClientBrunoEvents runs a collection that only reads.
func TestClientBrunoEvents(t *testing.T) {
	dir := clientsDir(t)
	t.Parallel()
	in, somebody := startWithPeople(t)
	runProgram(t, in, somebody, in.EventsToken(t), dir, "bruno-events.mjs")
	for _, route := range []string{"POST /api/v2/signinattempts", "POST /api/v1/itemusages", "GET /api/v3/auditevents"} {
		if !strings.Contains(in.Log.String(), route) {
			t.Errorf("the program says that all went well, and the log has no %s", route)
		}
	}
}

// runClient runs a program of test/clients against a fresh server and fails if it does, or if it left
// no trace in the audit log.
func runClient(t *testing.T, program string) {
	dir := clientsDir(t)
	t.Parallel()
	in, somebody := startWithPeople(t)
	token := in.EventsToken(t)
	before := storetest.Verify(t, in.Store(), in.Account.ID)
	runProgram(t, in, somebody, token, dir, program)
	if after := storetest.Verify(t, in.Store(), in.Account.ID); after == before {
		t.Errorf("node %s says that all went well, and the audit log has no entry of it", program)
	}
}

// runProgram runs a program with all that the programs take.
func runProgram(t *testing.T, in *servertest.Instance, somebody directory.User, eventsToken, dir, program string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", program)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second // for what it started and did not stop
	// No more than this: neither a proxy nor the settings of whoever runs the test.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(),
		"BASE_URL=" + in.URL, "ACCOUNT_ID=" + in.Account.ID, "USER_ID=" + somebody.ID,
		"CLIENT_ID=" + in.Credentials.Client.ID, "CLIENT_SECRET=" + in.Credentials.Secret.Reveal(),
		"EVENTS_TOKEN=" + eventsToken,
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", program, err, out)
	}
	t.Logf("%s", out)
}

// clientsDir is test/clients, where npm ci has been run.
func clientsDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../test/clients")
	if err != nil {
		t.Fatal(err)
	}
	_, errModules := os.Stat(filepath.Join(dir, "node_modules", "openid-client", "package.json"))
	_, errNode := exec.LookPath("node")
	err = errors.Join(errNode, errModules)
	storetest.Require(t, "npm", err == nil, fmt.Sprintf("run npm ci in test/clients (%v)", err))
	return dir
}

// startWithPeople starts a server with people for several pages, and names one who may be suspended.
func startWithPeople(t *testing.T) (*servertest.Instance, directory.User) {
	t.Helper()
	in := servertest.Start(t, "sqlite")
	somebody := in.AddUser(t, "mira@example.org")
	for i := range 30 {
		in.AddUser(t, fmt.Sprintf("person-%d@example.org", i))
	}
	return in, somebody
}

// TestClientGoOAuth2 uses golang.org/x/oauth2 as a Go program would.
func TestClientGoOAuth2(t *testing.T) {
	t.Parallel()
	in, somebody := startWithPeople(t)
	tests := []struct {
		name            string
		style           oauth2.AuthStyle
		token, accounts string
		scopes          []string
	}{
		{"header", oauth2.AuthStyleInHeader, "/v1/oauth/token", "/v1/accounts/", nil},
		{"params", oauth2.AuthStyleInParams, "/v1/oauth/token", "/v1/accounts/", []string{"openid"}},
		{"detected", oauth2.AuthStyleAutoDetect, "/v1/oauth/token", "/v1/accounts/", nil},
		{"header-preview", oauth2.AuthStyleInHeader, "/v1beta1/users/oauth2/token", "/v1beta1/accounts/", []string{"openid"}},
		{"params-preview", oauth2.AuthStyleInParams, "/v1beta1/users/oauth2/token", "/v1beta1/accounts/", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := clientcredentials.Config{
				ClientID: in.Credentials.Client.ID, ClientSecret: in.Credentials.Secret.Reveal(),
				TokenURL: in.URL + tt.token, AuthStyle: tt.style, Scopes: tt.scopes,
			}
			c := cfg.Client(t.Context())
			users := in.URL + tt.accounts + in.Account.ID + "/users"
			listAll(t, c, users, somebody.ID)
			for _, step := range []struct{ method, verb, state string }{
				{"POST", ":suspend", "SUSPENDED"},
				{"GET", "", "SUSPENDED"},
				{"POST", ":reactivate", "ACTIVE"},
				{"GET", "", "ACTIVE"},
			} {
				var u directory.APIUser
				fetch(t, c, step.method, users+"/"+somebody.ID+step.verb, &u)
				if u.ID != somebody.ID || u.State != step.state {
					t.Errorf("%s %s: %+v, want %s in state %s", step.method, step.verb, u, somebody.ID, step.state)
				}
			}

			cfg.ClientSecret += "x"
			_, err := cfg.Token(t.Context())
			refused, ok := errors.AsType[*oauth2.RetrieveError](err)
			if !ok || refused.ErrorCode != "invalid_client" || refused.Response.StatusCode != http.StatusUnauthorized {
				t.Errorf("with a wrong secret: %v, want 401 invalid_client", err)
			}
		})
	}
}

// listAll reads the people page by page: full pages, nobody twice, the wanted one among them.
func listAll(t *testing.T, c *http.Client, users, wanted string) {
	t.Helper()
	const size = 7
	seen := map[string]bool{}
	for pages, token := 1, ""; ; pages++ {
		var page struct {
			Results []directory.APIUser `json:"results"`
			Next    string              `json:"next_page_token"`
		}
		fetch(t, c, "GET", fmt.Sprintf("%s?max_page_size=%d&page_token=%s", users, size, token), &page)
		if n := len(page.Results); n == 0 || n > size || (page.Next != "" && n != size) {
			t.Fatalf("page %d has %d people, want %d, or fewer on the last", pages, n, size)
		}
		for _, u := range page.Results {
			if seen[u.ID] {
				t.Errorf("page %d: %s was on an earlier page", pages, u.ID)
			}
			seen[u.ID] = true
		}
		if token = page.Next; token == "" {
			if pages < 2 || !seen[wanted] {
				t.Errorf("%d people on %d pages, %s among them: %t; want several pages and true", len(seen), pages, wanted, seen[wanted])
			}
			return
		}
	}
}

// fetch sends the request and decodes the answer, which must be 200 and hold no member but v's.
func fetch(t *testing.T, c *http.Client, method, url string, v any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, url, resp.Status)
	}
	d := json.NewDecoder(resp.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
}
