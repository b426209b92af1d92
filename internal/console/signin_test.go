package console

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
	"holdfast/internal/web"
)

const (
	ownerEmail    = "Owner@example.org"
	ownerPassword = "nine lanterns over the quay"
)

// door is a console whose pages of signing in, and of the profile, are served by a real store.
type door struct {
	*Console
	db      *store.DB
	account directory.Account
	owner   directory.User
	url     string

	transport http.RoundTripper // reaches the server by its name

	mu  sync.Mutex
	now time.Time
}

type noRefusals struct{}

func (noRefusals) Refused(context.Context, web.Refusal) error { return nil }

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{now: time.Now().Truncate(time.Second)} // the visitors' cookies expire by the real clock
	clock := func() time.Time {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.now
	}
	place := storetest.NewPlace(t, "sqlite")
	place.Now = clock
	d.db = place.Open(t)
	d.account, d.owner = storetest.Account(t, d.db)
	var handler http.Handler
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	// An address is no RP ID; the certificate of test servers has a name, too.
	transport := srv.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	d.transport = transport
	d.url = strings.Replace(srv.URL, "127.0.0.1", "example.com", 1)
	service := &signin.Service{Store: d.db, Keys: d.db.Keys(), Origin: d.url, Name: "Holdfast", Now: clock}
	if err := service.SetInitialPassword(t.Context(), d.account.ID, d.owner.ID, ownerPassword, audit.Entry{Actor: "operator:test"}); err != nil {
		t.Fatal(err)
	}
	var err error
	d.Console, err = New(Config{
		SignIn: service, Directory: &directory.Service{Store: d.db, Keys: d.db.Keys(), Now: clock}, Origin: d.url, Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	routes := slices.Concat(d.signinRoutes(), d.profileRoutes(), d.commonRoutes())
	for i := range routes {
		routes[i].Errors = problem.Page
	}
	handler, err = web.New(web.Config{
		Routes: routes, Sessions: service, Page: d.Problem,
		Refusals: noRefusals{}, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})), Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *door) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// visitor is a browser without scripts, which follows no redirect by itself.
type visitor struct {
	*http.Client
	t    *testing.T
	d    *door
	lang string
}

func (d *door) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{Client: &http.Client{Transport: d.transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, t: t, d: d}
}

// answer is what came back.
type answer struct {
	status   int
	location string
	body     string
	cookies  []*http.Cookie
	header   http.Header
}

func (v *visitor) do(method, path string, form url.Values, header ...string) answer {
	v.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.d.url+path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.lang != "" {
		req.Header.Set("Accept-Language", v.lang)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := v.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Location"), string(text), resp.Cookies(), resp.Header}
}

func (v *visitor) get(path string) answer { v.t.Helper(); return v.do("GET", path, nil) }

func (v *visitor) post(path string, pairs ...string) answer {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return v.do("POST", path, form)
}

// signIn signs the owner in.
func (v *visitor) signIn() {
	v.t.Helper()
	if a := v.post("/sign-in", "email", ownerEmail, "password", ownerPassword); a.status != http.StatusSeeOther {
		v.t.Fatalf("sign in answers %d:\n%s", a.status, a.body)
	}
}

func (a answer) cookie(name string) *http.Cookie {
	for _, c := range a.cookies {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// field is the value of a hidden field in the page.
func (a answer) field(name string) string {
	m := regexp.MustCompile(`name="` + regexp.QuoteMeta(name) + `" value="([^"]*)"`).FindStringSubmatch(a.body)
	if m == nil {
		return ""
	}
	return m[1]
}

// keeps reports whether a hidden field in the page has the value.
func (a answer) keeps(name, value string) bool {
	return strings.Contains(a.body, fmt.Sprintf(`name="%s" value="%s"`, name, template.HTMLEscapeString(value)))
}

func TestSignInNext(t *testing.T) {
	d := newDoor(t)
	tests := []struct{ name, next, want string }{
		{"none", "", "/"},
		{"page", "/people?q=a&state=active", "/people?q=a&state=active"},
		{"elsewhere", "https://example.net/", "/"},
		{"without_scheme", "//example.net/", "/"},
		{"backslash", `/\example.net/`, "/"},
		{"tab", "/\t/example.net/", "/"},
		{"script", "javascript:alert(1)", "/"},
		{"line_break", "/a\r\nSet-Cookie: b=c", "/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := d.visitor(t)
			a := v.post("/sign-in", "email", ownerEmail, "password", ownerPassword, "next", tt.next)
			if a.status != http.StatusSeeOther || a.location != tt.want {
				t.Errorf("after signing in: %d to %q, want 303 to %q", a.status, a.location, tt.want)
			}
			a = v.get("/sign-in?next=" + url.QueryEscape(tt.next))
			if a.status != http.StatusSeeOther || a.location != tt.want {
				t.Errorf("the page for who is signed in: %d to %q, want 303 to %q", a.status, a.location, tt.want)
			}
			a = v.get("/confirm?next=" + url.QueryEscape(tt.next))
			if a.status != http.StatusSeeOther || a.location != tt.want {
				t.Errorf("confirming while fresh: %d to %q, want 303 to %q", a.status, a.location, tt.want)
			}
		})
	}
}

func TestSessionCookie(t *testing.T) {
	d := newDoor(t)
	v := d.visitor(t)
	a := v.post("/sign-in", "email", ownerEmail, "password", ownerPassword)
	got := a.cookie(web.SessionCookie)
	if got == nil {
		t.Fatalf("no session cookie in %v", a.cookies)
	}
	if !got.Secure || !got.HttpOnly || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" {
		t.Errorf("the cookie is %q; it must be Secure, HttpOnly, SameSite=Lax, for / of this host", got.Raw)
	}
	if want := d.Now().Add(signin.DefaultPolicy().Absolute); !got.Expires.Equal(want) {
		t.Errorf("it expires %s, want %s", got.Expires, want)
	}

	t.Run("new_at_each_sign_in", func(t *testing.T) {
		again := v.post("/sign-in", "email", ownerEmail, "password", ownerPassword).cookie(web.SessionCookie)
		if again == nil || again.Value == got.Value {
			t.Fatal("signing in again keeps the session")
		}
		old := d.visitor(t).do("GET", "/profile", nil, "Cookie", web.SessionCookie+"="+got.Value)
		if old.status != http.StatusSeeOther || !strings.HasPrefix(old.location, "/sign-in") {
			t.Errorf("the session from before answers %d to %q, want the sign-in", old.status, old.location)
		}
	})
	t.Run("planted", func(t *testing.T) {
		const planted = "hfc_planted"
		a := d.visitor(t).do("POST", "/sign-in", url.Values{"email": {ownerEmail}, "password": {ownerPassword}}, "Cookie", web.SessionCookie+"="+planted)
		if c := a.cookie(web.SessionCookie); c == nil || c.Value == planted {
			t.Error("a session cookie from before the sign-in is still worth something")
		}
	})
	t.Run("sign_out", func(t *testing.T) {
		a := v.post("/sign-out")
		c := a.cookie(web.SessionCookie)
		if a.location != "/sign-in?done=signed_out" || c == nil || c.MaxAge >= 0 || a.header.Get("Clear-Site-Data") != `"cache", "storage"` {
			t.Errorf("signing out: to %q, cookie %v, Clear-Site-Data %q", a.location, c, a.header.Get("Clear-Site-Data"))
		}
		if a := v.get("/sign-in?done=signed_out"); !strings.Contains(a.body, "You are signed out.") {
			t.Error("the page does not say so")
		}
		if a := v.post("/sign-out"); a.status != http.StatusSeeOther {
			t.Errorf("signing out twice answers %d", a.status)
		}
	})
}

// TestSameAnswer: what was wrong with a sign-in shows neither in the page nor in status, headers and cookies.
func TestSameAnswer(t *testing.T) {
	type seen struct {
		Status  int
		Body    string
		Cookies int
	}
	var first *seen
	for _, tt := range []struct{ name, email, password string }{
		{"unknown", "nobody@example.org", "not the password"},
		{"known", ownerEmail, "not the password"},
		{"empty_password", ownerEmail, ""},
		{"markup", `"><script>alert(1)</script>`, "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newDoor(t).visitor(t).post("/sign-in", "email", tt.email, "password", tt.password)
			body := strings.ReplaceAll(a.body, `value="`+template.HTMLEscapeString(tt.email)+`"`, `value="E"`)
			body = regexp.MustCompile(`example\.com:\d+`).ReplaceAllString(body, "HOST")
			if tt.password != "" && len(tt.password) > 3 && strings.Contains(a.body, tt.password) {
				t.Error("the password comes back in the page")
			}
			if !strings.Contains(a.body, `value="`+template.HTMLEscapeString(tt.email)+`"`) {
				t.Error("the e-mail address is not kept")
			}
			got := &seen{a.status, body, len(a.cookies)}
			if first == nil {
				first = got
				if got.Status != http.StatusUnauthorized {
					t.Errorf("status %d, want 401", got.Status)
				}
			}
			if diff := cmp.Diff(first, got); diff != "" {
				t.Errorf("the answer tells something (-first +this):\n%s", diff)
			}
		})
	}
}

func TestOneTimeCodes(t *testing.T) {
	d := newDoor(t)
	v := d.visitor(t)
	v.signIn()

	form := v.get("/profile/totp/new")
	secret := regexp.MustCompile(`<code>([A-Z2-7 ]{39,})</code>`).FindStringSubmatch(form.body)
	if form.status != http.StatusOK || secret == nil || !strings.Contains(form.body, `src="data:image/png;base64,`) {
		t.Fatalf("the page to set up one-time codes answers %d, and has no secret or no picture:\n%s", form.status, form.body)
	}
	seed, ticket := strings.ReplaceAll(secret[1], " ", ""), form.field("ticket")
	code := func(steps int) string {
		text, err := totp.GenerateCode(seed, d.Now().Add(time.Duration(steps)*30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if a := v.post("/profile/totp", "ticket", ticket, "code", "000000"); a.status != http.StatusUnprocessableEntity || a.field("ticket") != ticket {
		t.Errorf("a wrong code answers %d and ticket %q, want 422 and the same ticket", a.status, a.field("ticket"))
	}
	done := v.post("/profile/totp", "ticket", ticket, "code", code(0))
	codes := regexp.MustCompile(`<li><code>([A-Z2-7]{5}-[A-Z2-7]{5})</code></li>`).FindAllStringSubmatch(done.body, -1)
	if done.status != http.StatusOK || len(codes) != 10 {
		t.Fatalf("setting up answers %d with %d recovery codes:\n%s", done.status, len(codes), done.body)
	}
	if again := v.post("/profile/totp", "ticket", ticket, "code", code(0)); again.status != http.StatusConflict || strings.Contains(again.body, codes[0][1]) {
		t.Errorf("sending it again answers %d; the codes must be in one answer only", again.status)
	}

	w := d.visitor(t)
	d.pass(time.Minute)
	a := w.post("/sign-in", "email", ownerEmail, "password", ownerPassword, "next", "/vaults")
	step := a.cookie(codeCookie)
	if a.location != "/sign-in/code?next=%2Fvaults" || a.cookie(web.SessionCookie) != nil || step == nil {
		t.Fatalf("the password alone leads to %q, with cookies %v", a.location, a.cookies)
	}
	if !step.Secure || !step.HttpOnly || !step.Expires.Equal(d.Now().Add(5*time.Minute)) {
		t.Errorf("the step's cookie is %q", step.Raw)
	}
	if a := w.post("/sign-in/code", "code", "123456", "next", "/vaults"); a.status != http.StatusUnauthorized || a.cookie(web.SessionCookie) != nil {
		t.Errorf("a wrong code answers %d", a.status)
	}
	a = w.post("/sign-in/code", "code", code(0), "next", "/vaults")
	if a.location != "/vaults" || a.cookie(web.SessionCookie) == nil || a.cookie(codeCookie) == nil || a.cookie(codeCookie).MaxAge >= 0 {
		t.Errorf("the right code: %d to %q, cookies %v", a.status, a.location, a.cookies)
	}

	x := d.visitor(t)
	x.post("/sign-in", "email", ownerEmail, "password", ownerPassword)
	if a := x.post("/sign-in/code", "code", codes[3][1]); a.location != "/" {
		t.Errorf("a recovery code answers %d to %q", a.status, a.location)
	}
	if a := d.visitor(t).post("/sign-in/code", "code", code(1)); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "Begin again") {
		t.Errorf("a code without a password before it answers %d, want the sign-in page that says to begin again", a.status)
	}
}

func TestEnrolFirst(t *testing.T) {
	d := newDoor(t)
	policy := signin.DefaultPolicy()
	policy.RequireCode = true
	if err := d.SignIn.SetPolicy(t.Context(), d.account.ID, policy, "", storetest.By()); err != nil {
		t.Fatal(err)
	}
	v := d.visitor(t)
	a := v.post("/sign-in", "email", ownerEmail, "password", ownerPassword, "next", "/people")
	if a.location != enrolPage {
		t.Fatalf("after signing in to %q, want %q", a.location, enrolPage)
	}
	if a := v.get(enrolPage); a.status != http.StatusOK || strings.Contains(a.body, `href="/people"`) {
		t.Errorf("the page answers %d; it must lead nowhere else", a.status)
	}
	if a := v.get("/profile"); a.location != enrolPage {
		t.Errorf("another page, before the code is set up: %d to %q, want %q", a.status, a.location, enrolPage)
	}
	if a := v.get("/sign-in?next=/people"); a.location != enrolPage {
		t.Errorf("the sign-in page leads to %q", a.location)
	}
	d.pass(signin.FreshFor)
	if a := v.get(enrolPage); !strings.HasPrefix(a.location, "/confirm") {
		t.Errorf("later: %d to %q, want to confirm", a.status, a.location)
	}
	if a := v.post("/confirm", "password", ownerPassword, "next", enrolPage); a.location != enrolPage {
		t.Errorf("confirmed: %d to %q", a.status, a.location)
	}
}

func TestConfirm(t *testing.T) {
	d := newDoor(t)
	v := d.visitor(t)
	v.signIn()
	d.pass(signin.FreshFor)
	a := v.post("/profile/password", "password", "another quiet harbour wall")
	if !strings.HasPrefix(a.location, "/confirm?next=%2Fresume%2F") {
		t.Fatalf("a change without fresh authentication: %d to %q", a.status, a.location)
	}
	to, err := url.Parse(a.location)
	if err != nil {
		t.Fatal(err)
	}
	next := to.Query().Get("next")
	page := v.get(a.location)
	if !page.keeps("next", next) || strings.Contains(page.body, `name="code"`) {
		t.Errorf("the page asks for a code, or forgets where to go:\n%s", page.body)
	}
	if a := v.post("/confirm", "password", "not the password", "next", next); a.status != http.StatusUnauthorized || !a.keeps("next", next) {
		t.Errorf("a wrong password answers %d, or forgets where to go", a.status)
	}
	if a := v.post("/confirm", "password", ownerPassword, "next", next); a.location != next {
		t.Errorf("the right password leads to %q, want %q", a.location, next)
	}
	if a := v.get(next); strings.Contains(a.body, "quiet harbour") {
		t.Error("the new password was kept while confirming")
	}
	d.pass(signin.FreshFor)
	a = v.do("POST", "/profile/passkeys/begin", url.Values{"name": {"Laptop"}}, "Accept", "application/json", "Referer", d.url+"/profile/passkeys/new")
	if a.status != http.StatusForbidden || !strings.Contains(a.body, `{"location":"/confirm?next=%2Fprofile%2Fpasskeys%2Fnew"}`) {
		t.Errorf("a script is told %d %s, want to confirm and to come back to its page", a.status, a.body)
	}
	if a := d.visitor(t).get("/confirm"); !strings.HasPrefix(a.location, "/sign-in") {
		t.Errorf("nobody's session is confirmed: %d to %q", a.status, a.location)
	}
}

func TestSetup(t *testing.T) {
	d := newDoor(t)
	directories := d.Directory
	_, link, err := directories.Invite(t.Context(), d.account.ID, directory.NewUser{Email: "new@example.org", DisplayName: "<Nele>"}, storetest.By())
	if err != nil {
		t.Fatal(err)
	}
	v := d.visitor(t)
	if a := v.get("/setup"); a.status != http.StatusOK || !strings.Contains(a.body, "data-setup-link") {
		t.Fatalf("the page answers %d", a.status)
	}
	a := v.post("/setup", "link", "  "+d.url+"/setup#"+link.Reveal()+" ")
	if a.status != http.StatusOK || a.field("link") != link.Reveal() || !strings.Contains(a.body, "new@example.org") || !strings.Contains(a.body, "&lt;Nele&gt;") {
		t.Fatalf("the link answers %d:\n%s", a.status, a.body)
	}
	if a := v.post("/setup/password", "link", link.Reveal(), "password", "short"); a.status != http.StatusUnprocessableEntity || a.field("link") == "" || !strings.Contains(a.body, `id="password-err"`) {
		t.Errorf("a short password answers %d, want 422 and the error under the field", a.status)
	}
	begun := v.post("/setup/passkey/begin", "link", link.Reveal())
	var options struct{ PublicKey struct{ Challenge string } }
	if err := json.Unmarshal([]byte(begun.body), &options); err != nil || options.PublicKey.Challenge == "" || begun.cookie(passkeyCookie) == nil {
		t.Errorf("a passkey is begun with %d %s (%v)", begun.status, begun.body, err)
	}
	if a := v.do("POST", "/setup/passkey/finish", url.Values{"x": {"y"}}, "Accept", "application/json"); a.status/100 != 4 || !strings.Contains(a.body, `"error":"The passkey could not be made`) {
		t.Errorf("what is no passkey answers %d %s", a.status, a.body)
	}
	a = v.post("/setup/password", "link", link.Reveal(), "password", "a boat that nobody steers")
	if a.location != "/setup/done" || a.cookie(web.SessionCookie) == nil {
		t.Fatalf("setting up: %d to %q", a.status, a.location)
	}
	if a := v.get("/setup/done"); a.status != http.StatusOK || !strings.Contains(a.body, `href="/profile/totp/new"`) {
		t.Errorf("the next steps answer %d", a.status)
	}
	for _, path := range []string{"/setup", "/setup/password"} {
		a := d.visitor(t).post(path, "link", link.Reveal(), "password", "a boat that nobody steers")
		if a.status != http.StatusConflict || strings.Contains(a.body, "new@example.org") || a.cookie(web.SessionCookie) != nil {
			t.Errorf("%s answers %d to a link that was used", path, a.status)
		}
	}
}

func TestProfile(t *testing.T) {
	d := newDoor(t)
	v, other := d.visitor(t), d.visitor(t)
	v.signIn()
	other.signIn()
	for _, lang := range []string{"en", "de"} {
		v.lang = lang
		a := v.get("/profile")
		if a.status != http.StatusOK || !strings.Contains(a.body, "Owners") || strings.Contains(a.body, "profile.") || strings.Contains(a.body, "signin.") {
			t.Errorf("%s: the page answers %d, or shows the key of a text", lang, a.status)
		}
	}
	v.lang = ""
	ids := regexp.MustCompile(`/profile/sessions/([A-Z2-7]+)/end"`).FindAllStringSubmatch(v.get("/profile").body, -1)
	if len(ids) != 1 {
		t.Fatalf("%d sessions can be ended, want the other one", len(ids))
	}
	path := fmt.Sprintf("/profile/sessions/%s/end", ids[0][1])
	if a := v.get(path); a.status != http.StatusOK {
		t.Errorf("the page answers %d", a.status)
	}
	if a := other.get("/profile"); a.status != http.StatusOK {
		t.Error("looking at the page ended the session")
	}
	if a := v.post(path); a.location != "/profile?done=session_ended" {
		t.Errorf("ending: %d to %q", a.status, a.location)
	}
	if a := other.get("/profile"); !strings.HasPrefix(a.location, "/sign-in") {
		t.Errorf("the ended session answers %d", a.status)
	}

	t.Run("of_somebody_else", func(t *testing.T) {
		mate := storetest.User(t, d.db, d.account.ID, "mate@example.org")
		if err := d.SignIn.SetInitialPassword(t.Context(), d.account.ID, mate.ID, "the tide turns at seven", storetest.By()); err != nil {
			t.Fatal(err)
		}
		in, _, err := d.SignIn.Password(t.Context(), signin.Client{Address: "192.0.2.9"}, "mate@example.org", "the tide turns at seven")
		if err != nil {
			t.Fatal(err)
		}
		if a := v.post("/profile/sessions/" + in.Session.ID + "/end"); a.status != http.StatusNotFound {
			t.Errorf("ending another person's session answers %d", a.status)
		}
	})
	t.Run("password", func(t *testing.T) {
		if a := v.post("/profile/password", "password", "password1234"); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a common password answers %d", a.status)
		}
		if a := v.post("/profile/password", "password", "the ferry leaves without us"); a.location != "/profile?done=password_set" {
			t.Errorf("a good one answers %d to %q", a.status, a.location)
		}
		if a := v.post("/profile/password/remove"); a.status != http.StatusConflict || !strings.Contains(a.body, "only way to sign in") {
			t.Errorf("removing the only way in answers %d", a.status)
		}
	})
	t.Run("pages", func(t *testing.T) {
		for _, page := range []string{"/profile/passkeys/new", "/profile/password", "/profile/password/remove", "/profile/totp/remove", "/profile/recovery-codes", "/profile/sessions/end-others"} {
			for _, lang := range []string{"en", "de"} {
				v.lang = lang
				if a := v.get(page); a.status != http.StatusOK || strings.Contains(a.body, ">profile.") {
					t.Errorf("%s in %s answers %d, or shows the key of a text", page, lang, a.status)
				}
			}
		}
	})
}

// TestMinPassword holds the number in the hint to the rule.
func TestMinPassword(t *testing.T) {
	good := "kx7wq zrv9 mh2bd tc"
	if err := signin.CheckPassword(good[:minPassword-1], "a@example.org"); err == nil {
		t.Errorf("%d characters are accepted", minPassword-1)
	}
	if err := signin.CheckPassword(good[:minPassword], "a@example.org"); err != nil {
		t.Errorf("%d characters are refused: %v", minPassword, err)
	}
}
