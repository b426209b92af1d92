package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/server/browsertest"
	"holdfast/internal/web"
)

// fillApplication fills in the form for a new OAuth application.
func fillApplication(tab *browsertest.Tab, name string) {
	tab.Go("/integrations/oauth/new")
	tab.Fill("Application name", name)
	tab.Fill("Description", "Watches the <quay> & more")
	tab.Fill("Redirect URL", "https://soar.example.org/callback")
	tab.Check("Get user")
	tab.Check("List users")
}

// resumed goes on from the page that shows what had been typed.
func (h *house) resumed(t *testing.T, tab *browsertest.Tab, name string) {
	t.Helper()
	tab.Wait("Go on where you were")
	if !strings.HasPrefix(h.path(tab), "/resume/") {
		t.Errorf("at %s, want /resume/…", h.path(tab))
	}
	tab.MustHave(name, "Watches the <quay> & more", "https://soar.example.org/callback", "list_users")
	tab.Click("button", "Go on")
	tab.Wait("The client secret is shown only now.")
	tab.MustHave("Credentials of " + name)
}

// TestBrowserInterrupted loses the session, and later its freshness, between filling in a form and
// sending it. Nothing that was typed is lost.
func TestBrowserInterrupted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner)
	tab.AcceptDialogs(true) // leaving a secret that was not saved

	fillApplication(tab, "Elastic")
	if _, err := h.SignIn().EndSessions(t.Context(), h.Account.ID, h.Owner.ID, operator().For(audit.SessionEnd, "user:"+h.Owner.ID)); err != nil {
		t.Fatal(err)
	}
	tab.Click("button", "Generate credentials")
	tab.Wait(onSignIn)
	enter(tab, h.Owner.Email, password)
	h.resumed(t, tab, "Elastic")

	fillApplication(tab, "n8n")
	h.clock.Forward(6 * time.Minute)
	tab.Click("button", "Generate credentials")
	tab.Wait(onConfirm)
	tab.Fill("Password", "a lantern that nobody lit")
	tab.Click("button", "Confirm")
	tab.Wait(refused)
	tab.Fill("Password", password)
	tab.Click("button", "Confirm")
	h.resumed(t, tab, "n8n")

	// Somebody else who signs in here does not see what was typed.
	fillApplication(tab, "Node-RED")
	tab.ClearCookies()
	eve := h.person(t, "Eve", "Owners")
	h.seat(t, tab, h.Owner)
	h.clock.Forward(6 * time.Minute)
	tab.Click("button", "Generate credentials")
	tab.Wait(onConfirm)
	next := "/" + strings.TrimPrefix(tab.URL(), h.ConsoleURL()+"/confirm?next=%2F")
	parked, err := url.PathUnescape(next)
	if err != nil || !strings.HasPrefix(parked, "/resume/") {
		t.Fatalf("what was typed is kept at %q (%v), want /resume/…", parked, err)
	}
	h.seat(t, tab, eve)
	tab.Go(parked)
	tab.MustNotHave("Node-RED", "quay")
	if n := h.applications(t); n != 3 { // that of the house, and two
		t.Errorf("%d applications, want 3", n)
	}
}

func (h *house) applications(t *testing.T) int {
	t.Helper()
	apps, err := h.OAuth().Clients(t.Context(), h.Account.ID)
	if err != nil {
		t.Fatal(err)
	}
	return len(apps)
}

// TestBrowserSessions looks after the sessions of a person: the list, ending one, signing out and going
// back, and being suspended.
func TestBrowserSessions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mira := h.person(t, "Mira", "Security")
	tab := h.open(t)
	tab.Go("/sign-in?next=/profile")
	enter(tab, mira.Email, password)
	tab.Wait(onProfile)
	other := h.open(t)
	other.Go("/sign-in?next=/profile")
	enter(other, mira.Email, password)
	other.Wait(onProfile)

	tab.Reload()
	var end string
	for _, name := range tab.Names("link") {
		if strings.HasPrefix(name, "End session of ") {
			end = name
		}
	}
	if !strings.HasSuffix(end, " at 127.0.0.1") {
		t.Fatalf("the link that ends the other session is %q, of %q", end, tab.Names("link"))
	}
	lost := token(other)
	tab.Click("link", end)
	tab.Click("button", "End session")
	tab.Wait("The session has ended.")
	if h.alive(t, lost) || !h.alive(t, token(tab)) {
		t.Errorf("alive: the ended session %v, this one %v; want false, true", h.alive(t, lost), h.alive(t, token(tab)))
	}
	other.Click("link", "Integrations")
	other.Wait(onSignIn)

	old := token(tab)
	leave(tab)
	if h.alive(t, old) || token(tab) != "" {
		t.Errorf("after signing out the session is alive: %v, the cookie is there: %v", h.alive(t, old), token(tab) != "")
	}
	tab.Back()
	tab.Wait(onSignIn)
	tab.MustNotHave(onProfile, mira.Email)

	tab.Go("/sign-in?next=/profile")
	enter(tab, mira.Email, password)
	tab.Wait(onProfile)
	old = token(tab)
	if a := h.Call(t, "POST", h.UsersURL()+"/"+mira.ID+":suspend", h.Token(t, h.Credentials)); a.Status != http.StatusOK {
		t.Fatalf("suspend: %d %s", a.Status, a.Body)
	}
	tab.Click("link", "Integrations")
	tab.Wait(onSignIn)
	tab.MustNotHave(mira.Email)
	if h.alive(t, old) {
		t.Error("the session of a suspended person is alive")
	}
	enter(tab, mira.Email, password)
	tab.Wait("This person may not sign in at present.")
}

// TestBrowserTricks lets an attacker prepare the browser: with an address that leads elsewhere, and with
// a session of the attacker's own.
func TestBrowserTricks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	eve := h.person(t, "Eve")
	tab := h.open(t)
	evil := []string{"//evil.example/", "https://evil.example/", `/\evil.example/`, "/\t/evil.example/", "javascript:alert(1)"}
	tab.Go("/sign-in?next=" + url.QueryEscape(evil[0]))

	// The victim is at the sign-in page; now the attacker's session comes into the browser.
	h.seat(t, tab, eve)
	fixed := token(tab)
	enter(tab, h.Owner.Email, password)
	if got := h.path(tab); got != "/" {
		t.Errorf("next=%s leads to %s", evil[0], tab.URL())
	}
	after := token(tab)
	if after == fixed || h.alive(t, fixed) || !h.alive(t, after) {
		t.Errorf("the session is new: %v; the attacker's is alive: %v, the victim's: %v; want true, false, true",
			after != fixed, h.alive(t, fixed), h.alive(t, after))
	}
	for _, c := range tab.Cookies() {
		if c.Name == web.SessionCookie && (!c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/") {
			t.Errorf("the cookie is %+v", c)
		}
	}

	// Whoever is signed in goes on at once.
	for _, next := range evil {
		tab.Go("/sign-in?next=" + url.QueryEscape(next))
		if got := h.path(tab); got != "/" {
			t.Errorf("next=%q leads to %s", next, tab.URL())
		}
	}

	// A session that was made up is no session, and is not taken over.
	tab.ClearCookies()
	invented := fixed[:len(fixed)-10] + strings.Repeat("a", 10)
	tab.SetCookie(web.Cookie(web.SessionCookie, invented, time.Now().Add(time.Hour)))
	tab.Go("/profile")
	tab.Wait(onSignIn)
	enter(tab, h.Owner.Email, password)
	tab.Wait(onProfile)
	if token(tab) == invented {
		t.Error("the session that was made up is the victim's now")
	}
}
