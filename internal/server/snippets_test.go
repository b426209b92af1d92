package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/console"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// The page Connect your platform shows snippets. Programs are run as they stand there; configuration is
// read, and what it names is called.

// programs says how a snippet is run that is saved as a file, and what the machine needs for it.
var programs = map[string]struct{ part, command, hint string }{
	"curl":       {"", "sh", ""},
	"go":         {"", "go", ""},
	"python":     {"python", "python3", "install Python 3"},
	"javascript": {"npm", "node", "install Node.js"},
}

func snippetsOf(t *testing.T, in *servertest.Instance, cred oauth.Credentials) []console.Snippet {
	t.Helper()
	all, err := console.Snippets(console.Connection{
		BaseURL: in.URL, AccountID: in.Account.ID, ClientID: cred.Client.ID, Scopes: cred.Client.Scopes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSnippetPrograms(t *testing.T) {
	t.Parallel()
	in, somebody := startWithPeople(t)
	for _, scopes := range [][]string{oauth.Scopes(), {"list_users"}, {"reactivate_users", "suspend_users"}} {
		cred := in.NewApp(t, scopes...)
		for _, s := range snippetsOf(t, in, cred) {
			if s.File == "" {
				continue
			}
			t.Run(s.ID+"/"+strings.Join(scopes, "+"), func(t *testing.T) { runSnippet(t, in, cred, s, somebody) })
		}
	}
}

// runSnippet runs a program and looks into the audit log, the counts and the output for what it did.
func runSnippet(t *testing.T, in *servertest.Instance, cred oauth.Credentials, s console.Snippet, somebody directory.User) {
	program := programs[s.ID]
	path, err := exec.LookPath(program.command)
	if program.part != "" {
		storetest.Require(t, program.part, err == nil, program.hint)
	} else if err != nil {
		t.Fatal(err) // what the README needs, too
	}
	file := filepath.Join(t.TempDir(), s.File)
	if err := os.WriteFile(file, []byte(s.Text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{file}
	if s.ID == "go" {
		args = []string{"run", file}
	}
	before := dones(t, in, cred)

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*", "CLIENT_SECRET="+cred.Secret.Reveal(), "USER_ID="+somebody.ID)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", s.Name, err, out)
	}

	want := []audit.Action{audit.TokenIssue}
	if slices.Contains(cred.Client.Scopes, "suspend_users") {
		want = append(want, audit.UserSuspend)
	}
	if slices.Contains(cred.Client.Scopes, "reactivate_users") {
		want = append(want, audit.UserReactivate)
	}
	if got := dones(t, in, cred)[len(before):]; !slices.Equal(got, want) {
		t.Errorf("%s left the entries %v, want %v\n%s", s.Name, got, want, out)
	}
	if slices.Contains(cred.Client.Scopes, "list_users") && !strings.Contains(string(out), "@example.org") {
		t.Errorf("%s lists nobody:\n%s", s.Name, out)
	}
	if slices.Contains(cred.Client.Scopes, "suspend_users") && !strings.Contains(string(out), "SUSPENDED") {
		t.Errorf("%s does not say that the person is suspended:\n%s", s.Name, out)
	}
	if strings.Contains(string(out), cred.Secret.Reveal()) {
		t.Errorf("%s prints the secret", s.Name)
	}
}

// dones are the actions that the application was seen to carry out, the oldest first.
func dones(t *testing.T, in *servertest.Instance, cred oauth.Credentials) (actions []audit.Action) {
	t.Helper()
	links, err := in.Store().AuditEntries(t.Context(), audit.Query{AccountID: in.Account.ID, Actor: "client:" + cred.Client.ID, Outcome: "done", Limit: audit.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range slices.Backward(links) {
		actions = append(actions, l.Entry.Action)
	}
	return actions
}

// TestSnippetConfiguration uses the addresses that the snippets for platforms name, as those platforms do.
func TestSnippetConfiguration(t *testing.T) {
	t.Parallel()
	in, somebody := startWithPeople(t)
	cred := in.Credentials
	for _, s := range snippetsOf(t, in, cred) {
		if s.File != "" {
			continue
		}
		t.Run(s.ID, func(t *testing.T) {
			if !strings.Contains(s.Text, cred.Client.ID) {
				t.Errorf("the client ID is not in it:\n%s", s.Text)
			}
			if strings.Contains(s.Text, cred.Secret.Reveal()) {
				t.Error("the secret is in it")
			}
			tokenURL, calls := addresses(t, s)
			a := in.Form(t, strings.TrimPrefix(tokenURL, in.URL), cred.Client.ID, cred.Secret.Reveal(), map[string][]string{
				"grant_type": {"client_credentials"}, "scope": {"openid"},
			})
			if a.Status != http.StatusOK {
				t.Fatalf("%s answers %d %s", tokenURL, a.Status, a.Body)
			}
			if len(calls) == 0 {
				t.Fatalf("nothing is called:\n%s", s.Text)
			}
			for _, c := range calls {
				method, target, _ := strings.Cut(c, " ")
				for _, placeholder := range []string{"{{{user_id}}}", "{{ $json.id }}", "USER_ID"} {
					target = strings.ReplaceAll(target, placeholder, somebody.ID)
				}
				if got := in.Call(t, strings.ToUpper(method), target, a.Field("access_token")); got.Status != http.StatusOK {
					t.Errorf("%s answers %d %s", c, got.Status, got.Body)
				}
			}
		})
	}
}

// addresses are the token URL of a snippet and its calls, as "METHOD URL".
func addresses(t *testing.T, s console.Snippet) (tokenURL string, calls []string) {
	t.Helper()
	switch s.ID {
	case "elastic":
		var c struct {
			Config struct{ Method, URL, AccessTokenURL string }
		}
		if err := json.Unmarshal([]byte(s.Text), &c); err != nil {
			t.Fatal(err)
		}
		return c.Config.AccessTokenURL, []string{c.Config.Method + " " + c.Config.URL}
	case "node-red":
		var nodes []struct {
			Type, Method, URL string
			TokenURL          string `json:"access_token_url"`
		}
		if err := json.Unmarshal([]byte(s.Text), &nodes); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			switch n.Type {
			case "oauth2":
				tokenURL = n.TokenURL
			case "http request":
				calls = append(calls, n.Method+" "+n.URL)
			}
		}
		return tokenURL, calls
	case "n8n":
		method := ""
		for line := range strings.Lines(s.Text) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "  ")
			switch value = strings.TrimSpace(value); name {
			case "Access Token URL":
				tokenURL = value
			case "Method":
				method = value
			case "URL":
				calls = append(calls, method+" "+value)
			}
		}
		return tokenURL, calls
	}
	t.Fatalf("nobody looks at the addresses of %q", s.ID)
	return "", nil
}
