package console_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/server/browsertest"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
	"holdfast/internal/web"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }

// password is that of everybody in these tests.
const password = "nine lanterns over the quay"

// house is a server with a console, an account, and its owner, who has the password. Everything that was
// issued, sessions included, is searched for in log, errors and database when the test ends.
type house struct {
	*servertest.Instance
	clock *servertest.Clock // of the server; the browser's runs on
}

func newHouse(t *testing.T) *house {
	t.Helper()
	place := storetest.NewPlace(t, "sqlite")
	h := &house{clock: servertest.NewClock(place)}
	h.Instance = servertest.StartAt(t, place, nil)
	h.givePassword(t, h.Owner)
	return h
}

func operator() audit.Entry { return audit.Entry{Actor: "operator:test"} }

func (h *house) givePassword(t *testing.T, u directory.User) {
	t.Helper()
	if err := h.SignIn().SetInitialPassword(t.Context(), u.AccountID, u.ID, password, operator()); err != nil {
		t.Fatal(err)
	}
}

// person is somebody new in the house's account, with the password: "Mira" is mira@example.org.
func (h *house) person(t *testing.T, name string, groups ...string) directory.User {
	t.Helper()
	u, err := h.Store().AddUser(t.Context(), h.Account.ID, directory.NewUser{
		Email: strings.ToLower(name) + "@example.org", DisplayName: name, Groups: groups,
	}, operator())
	if err != nil {
		t.Fatal(err)
	}
	h.givePassword(t, u)
	return u
}

// open opens a tab at the console, in which nobody is signed in.
func (h *house) open(t *testing.T, opts ...browsertest.Option) *browsertest.Tab {
	t.Helper()
	return browsertest.Open(t, h.ConsoleURL(), opts...)
}

// signedIn opens a tab with a fresh session of the person, who has the password and no one-time codes.
// Signing in is not done in the browser, which would take longer: see enter.
func (h *house) signedIn(t *testing.T, u directory.User, opts ...browsertest.Option) *browsertest.Tab {
	t.Helper()
	tab := h.open(t, opts...)
	h.seat(t, tab, u)
	return tab
}

// seat gives the tab a new, fresh session of the person.
func (h *house) seat(t *testing.T, tab *browsertest.Tab, u directory.User) signin.SignedIn {
	t.Helper()
	in, ticket, err := h.SignIn().Password(t.Context(), signin.Client{Address: "127.0.0.1", UserAgent: "test"}, u.Email, password)
	if err != nil || ticket != "" {
		t.Fatalf("sign in as %s: a code is asked for: %v, %v", u.Email, ticket != "", err)
	}
	h.Secrets.Learn(in.Token.Reveal())
	tab.SetCookie(web.Cookie(web.SessionCookie, in.Token.Reveal(), in.Session.ExpiresAt))
	return in
}

// enter signs in with the form of the sign-in page, at which the tab is.
func enter(tab *browsertest.Tab, email, password string) {
	tab.Fill("Email", email)
	tab.Fill("Password", password)
	tab.Click("button", "Sign in")
}

// token is the session that the tab has; empty if none.
func token(tab *browsertest.Tab) string {
	for _, c := range tab.Cookies() {
		if c.Name == web.SessionCookie {
			return c.Value
		}
	}
	return ""
}

// alive reports whether the token of a session still opens the profile.
func (h *house) alive(t *testing.T, token string) bool {
	t.Helper()
	a := h.Do(t, "GET", "/profile", "", http.Header{"Accept": {"text/html"}, "Cookie": {web.SessionCookie + "=" + token}})
	return a.Status == http.StatusOK
}

// path is where the tab is, within the console, with the query.
func (h *house) path(tab *browsertest.Tab) string {
	return strings.TrimPrefix(tab.URL(), h.ConsoleURL())
}

// stale takes the freshness from the person's sessions, as if she had signed in ten minutes ago. The
// clock cannot do that where somebody else's clock matters, too.
func (h *house) stale(t *testing.T, u directory.User) {
	t.Helper()
	sessions, err := h.SignIn().Sessions(t.Context(), u.AccountID, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		err := h.Store().Confirm(t.Context(), u.AccountID, u.ID, s.ID, h.clock.Now().Add(-10*time.Minute), signin.Used{}, signin.Attempt{
			AccountID: u.AccountID, UserID: u.ID, SessionID: s.ID, At: h.clock.Now(), Category: signin.Success, Method: s.Method,
		}, operator())
		if err != nil {
			t.Fatal(err)
		}
	}
}

func newPerson(email, name string) directory.NewUser {
	return directory.NewUser{Email: email, DisplayName: name}
}
