package server_test

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

var updateRoutes = flag.Bool("update-routes", false, "write testdata/console_routes.txt anew")

// TestConsoleRouteTable is every route for people with its access. One that is added, lost, or opened up
// shows as a line of the diff.
func TestConsoleRouteTable(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	var lines []string
	for _, r := range consoleRoutes(in) {
		lines = append(lines, fmt.Sprintf("%-60s %s", r.Pattern, r.Access))
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const file = "testdata/console_routes.txt"
	if *updateRoutes {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("routes (-want +got); if this is meant, run: go test ./internal/server -run TestConsoleRouteTable -update-routes\n%s", diff)
	}
}

// consoleRoutes are those that the API does not have.
func consoleRoutes(in *servertest.Instance) []web.Route {
	api := map[string]bool{}
	for _, r := range in.APIRoutes() {
		api[r.Pattern] = true
	}
	return slices.DeleteFunc(in.Routes(), func(r web.Route) bool { return api[r.Pattern] })
}

// browser is a person's browser.
type browser struct {
	in     *servertest.Instance
	cookie string // session; empty: signed in as nobody
	who    signin.Person
}

// newBrowser signs a new person in, who is in the groups.
func newBrowser(t *testing.T, in *servertest.Instance, account, name string, groups ...string) *browser {
	t.Helper()
	const password = "correct horse battery staple"
	email := strings.ToLower(name) + "@" + strings.ToLower(account) + ".example"
	u, err := in.Store().AddUser(t.Context(), account, directory.NewUser{Email: email, DisplayName: name, Groups: groups}, audit.Entry{Actor: "operator:test"})
	if err != nil {
		t.Fatal(err)
	}
	return signInAs(t, in, u, password)
}

func signInAs(t *testing.T, in *servertest.Instance, u directory.User, password string) *browser {
	t.Helper()
	if err := in.SignIn().SetInitialPassword(t.Context(), u.AccountID, u.ID, password, audit.Entry{Actor: "operator:test"}); err != nil {
		t.Fatal(err)
	}
	in1, ticket, err := in.SignIn().Password(t.Context(), signin.Client{Address: "127.0.0.1", UserAgent: "test"}, u.Email, password)
	if err != nil || ticket != "" {
		t.Fatalf("sign in: ticket %v, %v", ticket != "", err)
	}
	return &browser{in: in, cookie: in1.Token.Reveal(), who: in1.Person}
}

// do sends one request, as a browser that follows no redirect would.
func (b *browser) do(t *testing.T, method, path string, form url.Values) (*http.Response, string) {
	t.Helper()
	return b.with(t, nil, method, path, form)
}

func (b *browser) with(t *testing.T, header http.Header, method, path string, form url.Values) (*http.Response, string) {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, b.in.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if b.cookie != "" {
		r.Header.Set("Cookie", web.SessionCookie+"="+b.cookie)
	}
	resp, err := b.in.Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

var wildcard = regexp.MustCompile(`\{(\w+)\}`)

// fill puts ids in for the wildcards of a pattern.
func fill(pattern string, ids map[string]string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.TrimSuffix(path, "{$}")
	return method, wildcard.ReplaceAllStringFunc(path, func(w string) string {
		return cmp.Or(ids[strings.Trim(w, "{}")], strings.Repeat("A", 26))
	})
}

// needs is the role that a route's access names; empty if it is for everybody.
func needs(a web.Access) string {
	rest, ok := strings.CutPrefix(a.String(), "role ")
	if !ok {
		return ""
	}
	role, _, _ := strings.Cut(rest, ",")
	return role
}

// TestConsoleRoles asks for every route in every role. Who lacks the role gets 403, nobody gets the
// sign-in page, and who has it never hears that she has not.
func TestConsoleRoles(t *testing.T) {
	// Each request comes from an address of its own, since one that is refused often hears nothing but 429.
	in := servertest.StartAt(t, storetest.NewPlace(t, "sqlite"), map[string]string{"trusted_proxies": "127.0.0.1/32"})
	requests := 0
	people := map[string]*browser{
		"member":        newBrowser(t, in, in.Account.ID, "Mia"),
		"security":      newBrowser(t, in, in.Account.ID, "Sol", "Security"),
		"administrator": newBrowser(t, in, in.Account.ID, "Ada", "Administrators"),
		"owner":         newBrowser(t, in, in.Account.ID, "Ola", "Owners"),
	}
	may := map[string][]string{
		"member":        {"enrolling", "member"},
		"security":      {"enrolling", "member", "integrations"},
		"administrator": {"enrolling", "member", "integrations", "people"},
		"owner":         {"enrolling", "member", "integrations", "people", "owner"},
	}
	nobody := &browser{in: in}
	for _, route := range consoleRoutes(in) {
		role := needs(route.Access)
		if role == "" {
			continue
		}
		method, path := fill(route.Pattern, nil)
		if resp, _ := nobody.do(t, method, path, nil); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/sign-in") {
			t.Errorf("nobody: %s: %d, to %q; want the sign-in page", route.Pattern, resp.StatusCode, resp.Header.Get("Location"))
		}
		for name, b := range people {
			if strings.HasPrefix(route.Pattern, "POST /sign-out") || strings.Contains(route.Pattern, "/sessions/") {
				continue // would end the session that the test goes on with
			}
			requests++
			from := http.Header{"X-Forwarded-For": {fmt.Sprintf("198.18.%d.%d", requests/250, requests%250)}}
			resp, body := b.with(t, from, method, path, nil)
			denied := resp.StatusCode == http.StatusForbidden && strings.Contains(body, "You do not have the role")
			if want := !slices.Contains(may[name], role); denied != want {
				t.Errorf("%s: %s (%s): %d, denied %v; want %v", name, route.Pattern, route.Access, resp.StatusCode, denied, want)
			}
			if resp.StatusCode >= 500 {
				t.Errorf("%s: %s: %d", name, route.Pattern, resp.StatusCode)
			}
		}
	}
}

// TestConsoleOtherAccount lets the owner of one account ask for everything of another: nothing is shown,
// nothing is changed.
func TestConsoleOtherAccount(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	by := audit.Entry{Actor: "operator:test"}
	other, otherOwner, err := in.Store().CreateAccount(t.Context(), directory.NewAccount{Name: "Elsewhere", OwnerEmail: "olga@elsewhere.example", OwnerName: "Olga"}, by)
	if err != nil {
		t.Fatal(err)
	}
	victim := signInAs(t, in, otherOwner, "correct horse battery staple")
	app, err := in.OAuth().Create(t.Context(), other.ID, oauth.NewClient{Name: "Secret platform", Scopes: oauth.Scopes()}, by)
	if err != nil {
		t.Fatal(err)
	}
	group, err := in.Store().CreateGroup(t.Context(), other.ID, "Secret group", by)
	if err != nil {
		t.Fatal(err)
	}
	viewer := vault.Viewer{AccountID: other.ID, UserID: otherOwner.ID}
	box, err := in.Vaults().Create(t.Context(), viewer, "Secret vault", "", by)
	if err != nil {
		t.Fatal(err)
	}
	item, err := in.Vaults().Save(t.Context(), viewer, box.ID, vault.NewItem{
		Category: vault.Login, Title: "Secret item", Fields: []vault.Field{{Name: "password", Label: "Password", Value: "s3cret-of-elsewhere", Concealed: true}},
	}, by)
	if err != nil {
		t.Fatal(err)
	}
	person, err := in.Store().AddUser(t.Context(), other.ID, directory.NewUser{Email: "pia@elsewhere.example", DisplayName: "Pia Elsewhere"}, by)
	if err != nil {
		t.Fatal(err)
	}
	session, err := in.SignIn().Sessions(t.Context(), other.ID, victim.who.UserID)
	if err != nil || len(session) != 1 {
		t.Fatalf("%d sessions, %v", len(session), err)
	}
	ids := map[string]string{
		"client": app.Client.ID, "group": group.ID, "vault": box.ID, "item": item.ID, "user": person.ID, "session": session[0].ID, "secret": app.Client.Secrets[0].ID,
	}
	before, err := in.Store().AuditEntries(t.Context(), audit.Query{AccountID: other.ID, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	attacker := newBrowser(t, in, in.Account.ID, "Eve", "Owners")
	form := url.Values{
		"name": {"x"}, "reason": {"x"}, "email": {"pia@elsewhere.example"}, "user": {person.ID}, "group": {group.ID}, "grantee": {"user:" + attacker.who.UserID},
		"access": {"manage"}, "field": {"password"}, "scope": {"get_user"}, "redirect_url": {"https://x.example/"}, "vault": {box.ID}, "title": {"x"}, "version": {"1"},
	}
	for _, route := range consoleRoutes(in) {
		if needs(route.Access) == "" || !strings.Contains(route.Pattern, "{") || strings.HasSuffix(route.Pattern, "{$}") {
			continue
		}
		method, path := fill(route.Pattern, ids)
		resp, body := attacker.do(t, method, path, form)
		if resp.StatusCode < 300 || resp.StatusCode >= 500 {
			t.Errorf("%s: %d", route.Pattern, resp.StatusCode)
		}
		for _, secret := range []string{"Secret", "Pia Elsewhere", "s3cret-of-elsewhere"} {
			if strings.Contains(body, secret) {
				t.Errorf("%s: %d shows %q", route.Pattern, resp.StatusCode, secret)
			}
		}
	}
	after, err := in.Store().AuditEntries(t.Context(), audit.Query{AccountID: other.ID, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if after[0].Seq != before[0].Seq {
		t.Errorf("something happened in the other account: %+v", after[0].Entry)
	}
	if resp, _ := victim.do(t, http.MethodGet, "/profile", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("the session of the other account has ended: %d", resp.StatusCode)
	}
}

// TestConsoleCrossOrigin sends every change as another site would: none is carried out.
func TestConsoleCrossOrigin(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	b := newBrowser(t, in, in.Account.ID, "Ola", "Owners")
	for _, route := range consoleRoutes(in) {
		method, path := fill(route.Pattern, nil)
		if method == http.MethodGet {
			continue
		}
		for name, set := range map[string]func(h http.Header){
			"fetch_metadata": func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
			"same_site":      func(h http.Header) { h.Set("Sec-Fetch-Site", "same-site") },
			"origin":         func(h http.Header) { h.Set("Origin", "https://evil.example") },
			"null_origin":    func(h http.Header) { h.Set("Origin", "null") },
		} {
			r, err := http.NewRequestWithContext(t.Context(), method, in.URL+path, strings.NewReader("name=x"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Cookie", web.SessionCookie+"="+b.cookie)
			set(r.Header)
			resp, err := in.Transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusTooManyRequests {
				t.Errorf("%s, %s: %d, want 403", name, route.Pattern, resp.StatusCode)
			}
		}
	}
}
