package browsertest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestForm(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/form")
	tab.Fill("Application name", "Elastic é 日本")
	tab.Fill("Description", "")
	tab.Fill("Secret", "s3cret")
	tab.Choose("Role", "Owner")
	tab.Fill("Until", "2026-12-31")
	tab.Check("Get user")
	tab.Check("Get user")
	tab.Uncheck("List users")
	tab.Choose("Colour", "Blue")
	if got := tab.Text("status", "Client ID"); got != "abc def" {
		t.Errorf("output %q", got)
	}
	got := []any{tab.Value("Application name"), tab.Value("Role"), tab.Checked("Get user"), tab.Checked("List users"), tab.Disabled("button", "Later"), tab.Names("heading")}
	want := []any{"Elastic é 日本", "Owner", true, false, true, []string{"An application"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the form (-want +got):\n%s", diff)
	}
	if tab.Has("invisible words") {
		t.Error("what is hidden counts as shown")
	}
	tab.Click("button", "Generate credentials")
	tab.MustHave("Made", "colour=blue&description=&name=Elastic+%C3%A9+%E6%97%A5%E6%9C%AC&role=o&scope=get&secret=s3cret&until=2026-12-31")
	if tab.Status() != http.StatusOK || !strings.HasSuffix(tab.URL(), "/made") {
		t.Errorf("at %s with status %d", tab.URL(), tab.Status())
	}
	tab.Back()
	tab.MustHave("An application")
	tab.Forward()
	tab.MustHave("Made")
}

// TestRefusals holds what a tab does not do, and how it says so.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, page string
		act        func(*Tab)
		want       []string // pieces of the message
	}{
		{"missing", "/form", func(tab *Tab) { tab.Click("button", "Generate") }, []string{`there is no button "Generate", only `, `"Generate credentials", "Later", "Twin"`, "/form", "picture: "}},
		{"other-role", "/form", func(tab *Tab) { tab.Click("link", "Twin") }, []string{`there is no link "Twin", only button "Twin"`}},
		{"twice", "/form", func(tab *Tab) { tab.Click("button", "Twin") }, []string{`there are 2 of button "Twin"`}},
		{"disabled", "/form", func(tab *Tab) { tab.Click("button", "Later") }, []string{`button "Later" is disabled`}},
		{"covered", "/covered", func(tab *Tab) { tab.Click("button", "Below") }, []string{`covered by <div style=`}},
		{"field", "/form", func(tab *Tab) { tab.Fill("Applicant", "x") }, []string{`only "Application name", "Description", "Secret"`}},
		{"choice", "/form", func(tab *Tab) { tab.Choose("Role", "King") }, []string{"it offers Member, Owner"}},
		{"text", "/form", func(tab *Tab) { tab.Wait("no such words") }, []string{`"no such words"`, "the page says: An application"}},
		{"part", "/form", func(tab *Tab) { tab.In("group", "Scopes").Check("Red") }, []string{`no checkbox or radio or switch "Red" in group "Scopes", only "Get user", "List users"`}},
		{"key", "/form", func(tab *Tab) { tab.Press("Enterr") }, []string{`"Enterr" is no key`}},
		{"unreachable", "/keys", func(tab *Tab) { tab.TabTo("button", "Stop") }, []string{`never gets to button "Stop"`, `link "Form"`}},
		{"dead", "/form", func(tab *Tab) { tab.Go("http://localhost:1/") }, []string{"ERR_"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			said := failures(t, func(r testing.TB) {
				tab := Open(r, site(t), Patience(300*time.Millisecond))
				tab.Go(tt.page)
				tt.act(tab)
				t.Error("no failure")
			})
			if len(said) != 1 {
				t.Fatalf("%d messages: %q", len(said), said)
			}
			for _, want := range tt.want {
				if !strings.Contains(said[0], want) {
					t.Errorf("message %q lacks %q", said[0], want)
				}
			}
		})
	}
}

func TestModalDialog(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/dialog")
	tab.Click("button", "Revoke")
	if tab.Exists("button", "Behind") {
		t.Error("what is behind a dialog is found")
	}
	tab.In("dialog", "Revoke integration").Click("button", "Revoke")
	tab.Wait("It is gone")
	if !tab.Exists("button", "Behind") {
		t.Error("what was behind the dialog is not found")
	}
}

func TestKeyboard(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/keys")
	tab.TabTo("textbox", "Name")
	tab.Type("Ab c+1")
	tab.Press("Shift+Tab")
	if got, want := tab.Focused(), `link "Form"`; got != want {
		t.Errorf("focus on %s, want %s", got, want)
	}
	if got := tab.Value("Name"); got != "Ab c+1" {
		t.Errorf("typed %q", got)
	}
	tab.TabTo("button", "Go")
	tab.Press("Space")
	tab.MustHave("Pressed")
	tab.Press("Shift+Tab", "Shift+Tab", "Enter")
	tab.MustHave("An application")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []Option
		want string
	}{
		{"default", nil, "en 1280 light"},
		{"narrow-dark-german", []Option{Narrow(), Dark(), Lang("de")}, "de 360 dark"},
		{"languages", []Option{Lang("fr-CH,fr,en"), Size(700, 500)}, "fr-CH 700 light"},
		{"without-scripts", []Option{NoScript()}, "no scripts here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tab := Open(t, site(t), tt.opts...)
			tab.Go("/who")
			tab.MustHave(tt.want)
		})
	}
	t.Run("header", func(t *testing.T) {
		tab := Open(t, site(t), Lang("de"))
		tab.Go("/language")
		tab.MustHave("de", " Chrome/")
		tab.MustNotHave("Headless")
	})
}

func TestSession(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/session")
	cookies := tab.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "__Host-session" || !cookies[0].Secure || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Errorf("cookies %v", cookies)
	}
	second := tab.Second()
	second.Go("/session")
	second.MustHave("hello again, one")
	stranger := Open(t, tab.base)
	stranger.Go("/session")
	stranger.MustNotHave("again")

	tab.ClearCookies()
	tab.Reload()
	tab.MustNotHave("again")
	tab.SetCookie(&http.Cookie{Name: "__Host-session", Value: "fixed", Secure: true})
	tab.Reload()
	tab.MustHave("hello again, fixed")
}

func TestUnsavedWork(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/unsaved")
	tab.Click("button", "Touch")
	tab.AcceptDialogs(false)
	tab.Click("link", "Leave")
	tab.Go("/form")
	if !strings.HasSuffix(tab.URL(), "/unsaved") {
		t.Errorf("left to %s", tab.URL())
	}
	tab.AcceptDialogs(true)
	tab.Click("link", "Leave")
	tab.MustHave("An application")
	if diff := cmp.Diff([]string{"beforeunload", "beforeunload", "beforeunload"}, tab.Dialogs()); diff != "" {
		t.Errorf("dialogs (-want +got):\n%s", diff)
	}
}

func TestDoubleClick(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/twice")
	tab.DoubleClick("button", "Count")
	tab.MustHave("counted 2") // this page has nothing against it
}

func TestRequests(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/form")
	tab.Go("/many")
	var got []string
	bytes := 0
	for _, r := range tab.Requests() {
		if strings.HasSuffix(r.URL, "/favicon.ico") {
			continue // asked for once a site, at a time of the browser's choosing
		}
		got = append(got, r.Method+" "+strings.TrimPrefix(r.URL, tab.base)+" "+r.Type)
		bytes += r.Bytes
		if r.Status != http.StatusOK {
			t.Errorf("%+v", r)
		}
	}
	if diff := cmp.Diff([]string{"GET /many Document", "GET /style.css Stylesheet", "GET /script.js Script", "GET /language Fetch"}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if bytes < 9500 || bytes > 12000 {
		t.Errorf("%d bytes, want about 10 kB", bytes)
	}
	tab.Go("/moved")
	if n := len(tab.Requests()); n != 2 || tab.Status() != http.StatusOK {
		t.Errorf("a redirect makes %d requests, want 2; status %d", n, tab.Status())
	}
}

// TestComplaints holds what fails a test by itself.
func TestComplaints(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, page, want string }{
		{"policy", "/inline", "Content Security Policy"},
		{"exception", "/throws", "nothing is not defined"},
		{"missing-style", "/lacks-style", "/none.css"},
		{"missing-script", "/lacks-script", "/none.js"},
		{"dialog", "/unsaved", "no AcceptDialogs expects: beforeunload"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			visit := func(r testing.TB, forgive bool) {
				tab := Open(r, site(t))
				tab.Go(tt.page)
				if tt.name == "dialog" {
					tab.Click("button", "Touch")
					tab.Click("link", "Leave")
				}
				if forgive {
					tab.Forgive(tt.want)
				}
			}
			said := strings.Join(failures(t, func(r testing.TB) { visit(r, false) }), "\n")
			if !strings.Contains(said, tt.want) {
				t.Errorf("complaints %q lack %q", said, tt.want)
			}
			if said := failures(t, func(r testing.TB) { visit(r, true) }); len(said) != 0 {
				t.Errorf("forgiven, and yet: %q", said)
			}
		})
	}
	said := failures(t, func(r testing.TB) {
		tab := Open(r, site(t))
		tab.Go("/form")
		tab.Forgive("Content Security Policy")
	})
	if len(said) != 1 || !strings.Contains(said[0], "nothing to forgive") {
		t.Errorf("forgiving what was not done: %q", said)
	}
}

func TestAxe(t *testing.T) {
	t.Parallel()
	said := strings.Join(failures(t, func(r testing.TB) {
		tab := Open(r, site(t))
		tab.Go("/faulty")
		tab.Axe()
	}), "\n")
	for _, want := range []string{"axe image-alt", `element: "img"`, "axe color-contrast", "/faulty"} {
		if !strings.Contains(said, want) {
			t.Errorf("complaints %q lack %q", said, want)
		}
	}
	if n := strings.Count(said, "axe "); n != 2 {
		t.Errorf("%d violations, want 2: %s", n, said)
	}
	for _, opts := range [][]Option{nil, {NoScript(), Dark()}} {
		tab := Open(t, site(t), opts...)
		tab.Go("/keys")
		tab.Axe()
	}
}

// TestAxeSchemes: what only the second scheme shows is found, be it a colour or an element, in the same document.
func TestAxeSchemes(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/pale-dark": "axe color-contrast", "/more-dark": "axe image-alt", "/keys": ""} {
		said := strings.Join(failures(t, func(r testing.TB) {
			tab := Open(r, site(t))
			tab.Go(path)
			tab.Axe()
			tab.Look(Dark())
			tab.Axe()
		}), "\n")
		if n := strings.Count(said, "axe "); n != strings.Count(want, "axe ") || !strings.Contains(said, want) {
			t.Errorf("%s: complaints %q, want %q once", path, said, want)
		}
	}
}

// TestAxeUnderPolicy looks at a page whose policy allows no script at all.
func TestAxeUnderPolicy(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/inline")
	tab.Forgive("Content Security Policy") // of the page's own script
	tab.Axe()
}

func TestPasskey(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/passkey")
	a := tab.Authenticator()
	tab.Click("button", "Make")
	tab.Wait("made public-key")
	passkeys := a.Passkeys()
	if len(passkeys) != 1 || passkeys[0].RpID != "localhost" {
		t.Fatalf("passkeys %+v", passkeys)
	}
	tab.Click("button", "Use")
	tab.Wait("used with flags 5") // user present (1), user verified (4)
	a.SetUserVerified(false)
	tab.Click("button", "Use")
	tab.Wait("NotAllowedError")
	a.Remove()

	b := tab.Authenticator()
	tab.Reload()
	tab.Click("button", "Use")
	tab.Wait("NotAllowedError")
	b.Add(passkeys[0])
	tab.Click("button", "Use")
	tab.Wait("used with flags")
}

func TestScreenshot(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(artifactsVariable, dir)
	tab := Open(t, site(t), Narrow())
	tab.Go("/form")
	tab.Screenshot("form narrow/en")
	b, err := os.ReadFile(filepath.Join(dir, "screens", "form-narrow-en.png"))
	if err != nil || len(b) < 1000 || string(b[1:4]) != "PNG" {
		t.Errorf("picture of %d bytes, %v", len(b), err)
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	tab := Open(t, site(t))
	tab.Go("/export")
	if file, content := tab.Download("link", "Export"); file != "audit.csv" || string(content) != "a,b\n" {
		t.Errorf("saved %s: %q", file, content)
	}
	if got := tab.URL(); !strings.HasSuffix(got, "/export") {
		t.Errorf("at %s", got)
	}
}
