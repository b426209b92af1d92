package console_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"holdfast/internal/oauth"
	"holdfast/internal/server/browsertest"
)

// platform is what a security platform does with the credentials: Go's own OAuth client, unmodified.
func platform(h *house, id, secret string) *http.Client {
	cfg := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: h.URL + "/v1/oauth/token", AuthStyle: oauth2.AuthStyleInHeader}
	return cfg.Client(context.WithoutCancel(context.Background()))
}

func status(t *testing.T, resp *http.Response, err error) int {
	t.Helper()
	if err != nil {
		return http.StatusUnauthorized // the token was refused
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// fillIn fills in the form of a new application.
func fillIn(tab *browsertest.Tab, name string) {
	tab.Fill("Application name", name)
	tab.Fill("Description", "Suspends whoever signs in from two places at once.")
	tab.Fill("Redirect URL", "https://soar.example.org/callback")
	tab.In("group", "Scopes").Check("List users")
	tab.In("group", "Scopes").Check("Suspend users")
}

// TestBrowserFlow is the mission of the console: a member of Security creates an application, saves its
// secret in a vault, a platform uses it, she sees it arrive, and revokes it.
func TestBrowserFlow(t *testing.T) {
	h := newHouse(t)
	sol := h.person(t, "Sol", "Security")
	mira := h.person(t, "Mira")
	tab := h.open(t, browsertest.Wide())
	tab.Go("/integrations")
	enter(tab, sol.Email, password)
	tab.Wait("Integrations")

	// A form that was filled in wrongly keeps what was typed, and says beside the field what is wrong.
	tab.Go("/integrations/directory")
	tab.Click("button", "OAuth Application")
	fillIn(tab, "Night watch")
	tab.Fill("Redirect URL", "http://soar.example.org/callback")
	tab.Click("button", "Generate credentials")
	tab.Wait("https://")
	if got := tab.Value("Application name"); got != "Night watch" {
		t.Errorf("the name that was typed is now %q", got)
	}
	tab.Fill("Redirect URL", "https://soar.example.org/callback")
	tab.DoubleClick("button", "Generate credentials")
	tab.Wait("Save credentials")

	id, secret := tab.Text("status", "Client ID"), tab.Text("status", "Client secret")
	h.Secrets.Learn(secret)
	apps, err := h.OAuth().Clients(t.Context(), h.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, a := range apps {
		if a.Name == "Night watch" {
			made++
		}
	}
	if made != 1 {
		t.Fatalf("a double click made %d applications", made)
	}
	if got := tab.Text("status", "Account ID"); got != h.Account.ID {
		t.Errorf("Account ID %q", got)
	}

	tab.Axe()
	tab.Look(browsertest.Narrow(), browsertest.Dark())
	tab.Axe()
	tab.Screenshot("integration-save_en_360_dark")
	tab.Look(browsertest.Wide(), browsertest.Light())
	tab.Screenshot("integration-save_en_1280_light")

	// Leaving warns; the person stays.
	tab.AcceptDialogs(false)
	tab.Fill("Name of a new vault", "Automation")
	tab.Eval(`location.reload()`, nil)
	if len(tab.Dialogs()) == 0 {
		t.Error("leaving without saving does not warn")
	}
	tab.AcceptDialogs(true)
	tab.Click("button", "Save in vault")
	tab.Wait("Saved")
	if strings.Contains(tab.HTML(), secret) {
		t.Error("the page after saving has the secret")
	}
	tab.Click("button", "View integration")
	tab.Wait("Night watch")

	// The platform's turn.
	client := platform(h, id, secret)
	users := h.URL + "/v1/accounts/" + h.Account.ID + "/users"
	resp, err := client.Get(users)
	if got := status(t, resp, err); got != http.StatusOK {
		t.Fatalf("list: %d", got)
	}
	resp, err = client.Post(users+"/"+mira.ID+":suspend", "", nil)
	if got := status(t, resp, err); got != http.StatusOK {
		t.Fatalf("suspend: %d", got)
	}
	resp, err = client.Get(users + "/" + mira.ID) // a scope that it was not given
	if got := status(t, resp, err); got != http.StatusForbidden {
		t.Fatalf("get without the scope: %d", got)
	}

	// The secret is in no page: not in this one, not behind Back, not in the vault before it is revealed.
	for _, path := range []string{"/integrations", "/integrations/" + id, "/vaults", "/audit", "/"} {
		tab.Go(path)
		if strings.Contains(tab.HTML(), secret) {
			t.Errorf("%s has the secret", path)
		}
	}

	// She revokes it, and it is dead at once.
	tab.Go("/integrations/" + id)
	tab.Click("button", "Revoke integration")
	tab.Wait("Keep integration")
	if tab.Exists("dialog", "Revoke integration") {
		tab.In("dialog", "Revoke integration").Click("button", "Revoke integration")
	} else {
		tab.Click("button", "Revoke integration")
	}
	tab.Wait("Revoked")
	resp, err = client.Get(users)
	if got := status(t, resp, err); got != http.StatusUnauthorized {
		t.Errorf("after revoking: %d", got)
	}
	if _, err := platform(h, id, secret).Get(users); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("a new token after revoking: %v", err)
	}
}

// TestBrowserSecretOnce goes back, forward and around after the secret was shown: no second answer has it.
func TestBrowserSecretOnce(t *testing.T) {
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner)
	tab.AcceptDialogs(true)
	tab.Go("/integrations/oauth/new")
	fillIn(tab, "Once")
	tab.Click("button", "Generate credentials")
	tab.Wait("Save credentials")
	secret := tab.Text("status", "Client secret")
	id := tab.Text("status", "Client ID")
	h.Secrets.Learn(secret)

	second := tab.Second()
	second.Go("/integrations/" + id)
	second.MustNotHave(secret)
	second.Go("/integrations/" + id + "/save")
	second.MustNotHave(secret)

	tab.Back()
	tab.MustNotHave(secret)
	tab.Forward()
	tab.MustNotHave(secret)
	before := len(apps(t, h))
	tab.Go("/integrations")
	tab.MustNotHave(secret)
	if after := len(apps(t, h)); after != before {
		t.Errorf("going back and forward made %d applications of %d", after, before)
	}
	for _, e := range []string{"/integrations/" + id + "/saved", "/integrations/" + id + "/rotate", "/integrations/" + id + "/edit"} {
		tab.Go(e)
		tab.MustNotHave(secret)
	}
}

func apps(t *testing.T, h *house) []oauth.Client {
	t.Helper()
	list, err := h.OAuth().Clients(t.Context(), h.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestBrowserVault reveals and copies what was saved; each is a usage on record.
func TestBrowserVault(t *testing.T) {
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner)
	tab.AcceptDialogs(true)
	tab.Go("/integrations/oauth/new")
	fillIn(tab, "Vaulted")
	tab.Click("button", "Generate credentials")
	tab.Wait("Save credentials")
	secret := tab.Text("status", "Client secret")
	h.Secrets.Learn(secret)
	tab.Fill("Name of a new vault", "Automation")
	tab.Click("button", "Save in vault")
	tab.Wait("Saved")
	tab.Click("link", "Vaulted") // the item
	tab.Wait("Client secret")
	tab.MustNotHave(secret)
	tab.Click("button", "Reveal Client secret")
	tab.Wait(secret)
	tab.Reload()
	tab.MustNotHave(secret)
	tab.Wait("reveal")
}

// TestBrowserKeyboard creates an application without a mouse.
func TestBrowserKeyboard(t *testing.T) {
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner)
	tab.AcceptDialogs(true)
	tab.Go("/integrations/directory")
	tab.TabTo("button", "OAuth Application")
	tab.Press("Enter")
	tab.Wait("Set up integration")
	tab.TabTo("textbox", "Application name")
	tab.Type("By keyboard")
	tab.TabTo("textbox", "Redirect URL")
	tab.Type("https://soar.example.org/callback")
	tab.TabTo("checkbox", "Get user")
	tab.Press("Space")
	tab.TabTo("button", "Generate credentials")
	tab.Press("Enter")
	tab.Wait("Save credentials")
	secret := tab.Text("status", "Client secret")
	h.Secrets.Learn(secret)
	if !strings.HasPrefix(secret, "hfs_") {
		t.Errorf("the secret is %d characters, without its prefix", len(secret))
	}
}

// TestBrowserNoScript does the main job without JavaScript.
func TestBrowserNoScript(t *testing.T) {
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner, browsertest.NoScript(), browsertest.Lang("de"))
	tab.Go("/integrations/oauth/new")
	tab.Wait("Anwendung")
	html := tab.HTML()
	key := between(html, `name="key" value="`, `"`)
	if key == "" {
		t.Fatal("the form has no key")
	}
	form := url.Values{"key": {key}, "name": {"Ohne Skript"}, "redirect_url": {"https://soar.example.org/callback"}, "scopes": {"get_user"}}
	head := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Cookie": {"__Host-holdfast=" + token(tab)}, "Accept": {"text/html"}}
	a := h.Do(t, http.MethodPost, "/integrations/oauth", form.Encode(), head)
	secret := between(a.Body, `name="client_secret" value="`, `"`)
	h.Secrets.Learn(secret)
	if a.Status != http.StatusOK || !strings.HasPrefix(secret, "hfs_") {
		t.Fatalf("%d, a secret of %d characters", a.Status, len(secret))
	}
	again := h.Do(t, http.MethodPost, "/integrations/oauth", form.Encode(), head)
	if strings.Contains(again.Body, secret) || bytes.Contains([]byte(again.Body), []byte("hfs_")) {
		t.Error("sent again, the form shows a secret again")
	}
	id := between(a.Body, `action="/integrations/`, `/save"`)
	kept := h.Do(t, http.MethodPost, "/integrations/"+id+"/kept", "", head)
	if kept.Status != http.StatusUnprocessableEntity {
		t.Errorf("going on without having kept the secret: %d", kept.Status)
	}
	saved := h.Do(t, http.MethodPost, "/integrations/"+id+"/save", url.Values{"client_secret": {secret}, "vault_name": {"Tresor"}}.Encode(), head)
	if saved.Status != http.StatusSeeOther || strings.Contains(saved.Body, secret) {
		t.Errorf("save: %d", saved.Status)
	}
}

func between(s, from, to string) string {
	_, rest, ok := strings.Cut(s, from)
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, to)
	return text
}
