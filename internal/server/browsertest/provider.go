package browsertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/internal/store/storetest"
)

// OIDC is a running OpenID provider, oidc-provider from npm, with one confidential client that must
// use PKCE. Its page for signing in has the field Account and the button Continue; it lets in whoever
// is named: "mira@example.org" gets that e-mail address (verified) and the name "mira".
type OIDC struct {
	Issuer, ClientID, ClientSecret string

	t       testing.TB
	control string // secret with which it can be told to misbehave
}

// Misbehaviour is what the provider does wrong; the zero value is to behave.
type Misbehaviour struct {
	// Claims replace those of the ID token, which stays well signed; nil takes one away:
	// {"nonce": "another"}, {"aud": "another"}, {"exp": 1}, {"email_verified": false}, {"sub": nil}.
	Claims map[string]any `json:"claims,omitempty"`
	// Userinfo replaces members of the answer of the userinfo endpoint.
	Userinfo map[string]any `json:"userinfo,omitempty"`
	// Forge signs the ID token with a key that the provider does not publish, under the name of the
	// one that it does.
	Forge bool `json:"forge,omitempty"`
	// Deny sends whoever signs in back with access_denied.
	Deny bool `json:"deny,omitempty"`
}

// Provider starts an OpenID provider, which ends with the test. The redirect URI may be empty, if it
// is not known yet; [OIDC.Redirect] then sets it. The test is skipped if there is no Node.js or npm ci
// was not run; storetest.Require says when it fails instead.
func Provider(t testing.TB, redirectURI string) *OIDC {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "test", "clients")
	_, errNode := exec.LookPath("node")
	_, errModule := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider", "package.json"))
	err = errors.Join(errNode, errModule)
	storetest.Require(t, "npm", err == nil, fmt.Sprintf("run npm ci in test/clients (%v)", err))
	if redirectURI == "" {
		redirectURI = "https://not-yet.example/"
	}

	o := &OIDC{ClientID: "holdfast", ClientSecret: rand.Text(), t: t, control: rand.Text()}
	cmd := exec.Command("node", filepath.Join("oidc", "provider.mjs"))
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"CLIENT_ID=" + o.ClientID, "CLIENT_SECRET=" + o.ClientSecret, "REDIRECT_URI=" + redirectURI, "CONTROL=" + o.control,
	}
	log := &lockedBuffer{}
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // for which it ends; if the test binary dies, it ends too
		if err := wait(cmd, 10*time.Second); err != nil {
			t.Errorf("the OpenID provider: %v\n%s", err, log)
		}
	})
	line := make(chan string, 1)
	go func() {
		s, _ := bufio.NewReader(stdout).ReadString('\n')
		line <- strings.TrimSpace(s)
	}()
	select {
	case o.Issuer = <-line:
	case <-time.After(time.Minute):
	}
	if o.Issuer == "" {
		t.Fatalf("the OpenID provider did not start:\n%s", log)
	}
	if err := o.ready(t.Context()); err != nil {
		t.Fatalf("the OpenID provider does not answer: %v\n%s", err, log)
	}
	return o
}

// wait waits for the program, and ends it by force after the limit.
func wait(cmd *exec.Cmd, limit time.Duration) error {
	end := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer end.Stop()
	return cmd.Wait()
}

// ready reports whether the provider describes itself.
func (o *OIDC) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, "GET", o.Issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var doc struct{ Issuer string }
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || doc.Issuer != o.Issuer {
		return fmt.Errorf("status %d, issuer %q, want %q (%v)", resp.StatusCode, doc.Issuer, o.Issuer, err)
	}
	return nil
}

// Misbehave changes what the provider does wrong from now on.
func (o *OIDC) Misbehave(m Misbehaviour) {
	o.t.Helper()
	o.tell(m)
}

// Redirect sets the redirect URI of the client, in place of the one so far. The provider behaves from
// then on.
func (o *OIDC) Redirect(uri string) {
	o.t.Helper()
	o.tell(map[string]any{"redirect": uri})
}

func (o *OIDC) tell(what any) {
	o.t.Helper()
	body, err := json.Marshal(what)
	if err != nil {
		o.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(o.t.Context(), "PUT", o.Issuer+"/control", bytes.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+o.control)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		o.t.Fatalf("the OpenID provider answers %s to %s", resp.Status, body)
	}
}

// SignIn signs in at the provider, on whose page the tab is.
func (o *OIDC) SignIn(tab *Tab, account string) {
	o.t.Helper()
	tab.Fill("Account", account)
	tab.Click("button", "Continue")
}

// lockedBuffer may be read while the program writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
