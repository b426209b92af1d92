package console_test

import (
	"cmp"
	"context"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/console"
	"holdfast/internal/detect"
	detectrules "holdfast/internal/detect/rules"
	"holdfast/internal/directory"
	"holdfast/internal/feed"
	"holdfast/internal/oauth"
	"holdfast/internal/respond"
	"holdfast/internal/signin"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

// desk is a console on a database of its own, at which one person sits who has just signed in.
type desk struct {
	db      *store.DB
	apps    *oauth.Service
	vaults  *vault.Service
	events  *feed.Service
	owner   directory.User
	person  web.Principal
	handler http.Handler
	seen    []string // every answer so far
}

// Session is web.Sessions: whoever has a cookie is the person.
func (d *desk) Session(context.Context, string, string) (web.Principal, error) { return d.person, nil }

func newDesk(t *testing.T) *desk {
	t.Helper()
	place := storetest.NewPlace(t, "sqlite")
	d := &desk{db: place.Open(t)}
	account, owner := storetest.Account(t, d.db)
	d.owner = owner
	d.person = web.Principal{
		Actor: "user:" + owner.ID, AccountID: account.ID, UserID: owner.ID, SessionID: "S", Name: "Ines", Account: "Harbour",
		Roles: []web.Role{signin.Enrolling, web.Member, web.Integrations, web.People, web.Owner}, Fresh: true,
	}
	keys := d.db.Keys()
	d.apps = &oauth.Service{Store: d.db, Limits: oauth.NewLimits(time.Now), Now: time.Now}
	d.vaults = &vault.Service{Store: d.db, Keys: keys, Now: time.Now}
	d.events = &feed.Service{Store: d.db, Keys: keys, URL: "https://api.example", Now: time.Now}
	rules, err := detect.NewRules(detect.RulesConfig{Store: d.db, Pack: detectrules.FS(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c, err := console.New(console.Config{
		SignIn:    &signin.Service{Store: d.db, Keys: keys, Origin: "http://console.example", Now: time.Now},
		Directory: &directory.Service{Store: d.db, Keys: keys, Now: time.Now},
		OAuth:     d.apps, Vaults: d.vaults, Audit: d.db, Feed: d.events, Findings: d.db, Rules: rules, Respond: &respond.Service{Store: d.db, Now: time.Now},
		APIURL: "https://api.example", Origin: "http://console.example", Version: "test", Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.handler, err = web.New(web.Config{
		Routes: c.Routes(), Sessions: d, Page: c.Problem, Refusals: noRefusals{}, MaxBody: 1 << 16,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type noRefusals struct{}

func (noRefusals) Refused(context.Context, web.Refusal) error { return nil }

// send sends a request of the console's own pages; a form makes it a POST. Header is pairs.
func (d *desk) send(t *testing.T, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://console.example"+path, nil)
	if form != nil {
		r = httptest.NewRequestWithContext(t.Context(), "POST", "http://console.example"+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.RemoteAddr = "127.0.0.1:5000"
	r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: "x"})
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	d.seen = append(d.seen, w.Body.String()+w.Header().Get("Location")+w.Header().Get("HX-Redirect"))
	return w
}

// page is the text of a page that must be answered with the status.
func (d *desk) page(t *testing.T, status int, path string, form url.Values, header ...string) string {
	t.Helper()
	w := d.send(t, path, form, header...)
	if w.Code != status {
		t.Fatalf("%s answers %d, want %d\n%s", path, w.Code, status, w.Body)
	}
	return html.UnescapeString(w.Body.String())
}

// field is the value of a hidden field.
func field(t *testing.T, page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`<input type="hidden" name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no field %q in\n%s", name, page)
	}
	return m[1]
}

var shownSecret = regexp.MustCompile(`hfs_[A-Za-z0-9]+`)

// shown counts the answers that have the text.
func (d *desk) shown(text string) (n int) {
	for _, answer := range d.seen {
		if strings.Contains(answer, text) {
			n++
		}
	}
	return n
}

func newApp(key string) url.Values {
	return url.Values{
		"key": {key}, "name": {"Elastic"}, "description": {"cases"}, "redirect_url": {"https://soar.example/cb"},
		"scopes": {"get_user", "suspend_users"},
	}
}

// create makes an application through the form, and returns it with its secret.
func (d *desk) create(t *testing.T) (id, secret string) {
	t.Helper()
	page := d.page(t, 200, "/integrations/oauth", newApp(field(t, d.page(t, 200, "/integrations/oauth/new", nil), "key")))
	secret = shownSecret.FindString(page)
	if secret == "" {
		t.Fatalf("no secret in\n%s", page)
	}
	all, err := d.apps.Clients(t.Context(), d.person.AccountID)
	if err != nil {
		t.Fatal(err)
	}
	return all[len(all)-1].ID, secret
}

func (d *desk) mustHave(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			_, main, _ := strings.Cut(page, "<main")
			t.Errorf("the page does not have %q:\n%s", text, cmp.Or(main, page))
		}
	}
}

func TestIntegrationSecretIsInOneAnswer(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	key := field(t, d.page(t, 200, "/integrations/oauth/new", nil), "key")
	w := d.send(t, "/integrations/oauth", newApp(key))
	secret := shownSecret.FindString(w.Body.String())
	if w.Code != 200 || secret == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("the answer is %d, Cache-Control %q\n%s", w.Code, w.Header().Get("Cache-Control"), w.Body)
	}
	d.mustHave(t, d.page(t, 409, "/integrations/oauth", newApp(key)), "Elastic exists already.", "Rotate secret", "View integration")
	all, err := d.apps.Clients(t.Context(), d.person.AccountID)
	if err != nil || len(all) != 1 {
		t.Fatalf("there are %d applications (%v), want one", len(all), err)
	}
	at := "/integrations/" + all[0].ID

	save := url.Values{"client_secret": {secret}, "vault_name": {" "}}
	d.mustHave(t, d.page(t, 422, at+"/save", save), "The credentials were not saved.")
	d.mustHave(t, d.page(t, 422, at+"/save", save, "HX-Request", "true"), `id="vault_name"`, `aria-invalid="true"`)
	save.Set("vault_name", "Automation")
	w = d.send(t, at+"/save", save)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("saving answers %d\n%s", w.Code, w.Body)
	}
	d.mustHave(t, d.page(t, 200, w.Header().Get("Location"), nil), "Saved in Automation.", "Open item")
	for _, path := range []string{"", "?tab=activity", "?tab=connect", "/edit", "/rotate", "/revoke", "/activity"} {
		d.send(t, at+path, nil)
	}
	if n := d.shown(secret); n != 1 {
		t.Errorf("the secret is in %d answers, want one", n)
	}

	viewer := vault.Viewer{AccountID: d.person.AccountID, UserID: d.person.UserID}
	items, err := d.vaults.ItemsLinkedTo(t.Context(), viewer, "client:"+all[0].ID)
	if err != nil || len(items) != 1 {
		t.Fatalf("there are %d items (%v), want one", len(items), err)
	}
	item, err := d.vaults.Item(t.Context(), viewer, items[0].Vault.ID, items[0].Item.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range item.Fields {
		if f.Concealed {
			v, err := d.vaults.Reveal(t.Context(), viewer, vault.RevealRequest{
				VaultID: item.VaultID, ItemID: item.ID, Field: f.Name, Action: vault.Reveal,
			}, audit.Entry{Actor: d.person.Actor})
			if err != nil {
				t.Fatal(err)
			}
			f.Value = "concealed " + v.Reveal()
		}
		got[f.Name] = f.Value
	}
	want := map[string]string{
		"client_id": all[0].ID, "client_secret": "concealed " + secret, "account_id": d.person.AccountID,
		"token_url": "https://api.example/v1/oauth/token", "base_url": "https://api.example", "scopes": "get_user suspend_users",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("fields of the item (-want +got):\n%s", diff)
	}
}

func TestIntegrationForm(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	tests := []struct {
		name, field, value, says string
	}{
		{"no-name", "name", " ", "The application needs a name"},
		{"plain-http", "redirect_url", "http://soar.example/cb", "must begin with https://"},
		{"no-redirect", "redirect_url", "", "needs a redirect URL"},
		{"fragment", "redirect_url", "https://soar.example/#a", "must not have a fragment"},
		{"credentials", "redirect_url", "https://a:b@soar.example/", "must not hold a user or password"},
		{"no-scope", "scopes", "", "at least one scope"},
		{"no-key", "key", "", "Open it again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newApp("k" + tt.name)
			f.Set(tt.field, tt.value)
			if tt.field == "scopes" {
				f.Del("scopes")
			}
			page := d.page(t, 422, "/integrations/oauth", f)
			if !strings.Contains(strings.ToLower(page), strings.ToLower(tt.says)) {
				t.Errorf("the page does not say %q:\n%s", tt.says, page)
			}
			if tt.field != "name" {
				d.mustHave(t, page, `value="Elastic"`)
			}
		})
	}
	if all, err := d.apps.Clients(t.Context(), d.person.AccountID); err != nil || len(all) != 0 {
		t.Errorf("there are %d applications (%v), want none", len(all), err)
	}
}

// TestIntegrationSaveRefused keeps what must not be saved out of vaults, and the secret out of the answer.
func TestIntegrationSaveRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, secret := d.create(t)
	_, other := d.create(t)
	somebody := storetest.User(t, d.db, d.person.AccountID, "mira@example.org")
	her, by := vault.Viewer{AccountID: d.person.AccountID, UserID: somebody.ID}, audit.Entry{Actor: "user:" + somebody.ID}
	vaults := map[vault.Access]string{}
	for _, access := range []vault.Access{vault.View, vault.Edit} {
		v, err := d.vaults.Create(t.Context(), her, access.String(), "", by)
		if err == nil {
			err = d.vaults.SetGrant(t.Context(), her, v.ID, vault.UserGrantee+d.person.UserID, access, by)
		}
		if err != nil {
			t.Fatal(err)
		}
		grants, err := d.vaults.Grants(t.Context(), her, v.ID)
		for _, g := range grants {
			if err == nil && g.Name == "Owners" { // that is more than the access of this case
				err = d.vaults.RemoveGrant(t.Context(), her, v.ID, g.Grantee, by)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		vaults[access] = v.ID
	}
	before := len(d.seen)
	tests := []struct {
		name   string
		form   url.Values
		status int
	}{
		{"wrong-secret", url.Values{"client_secret": {"hfs_wrong"}, "vault": {vaults[vault.Edit]}}, 409},
		{"secret-of-another", url.Values{"client_secret": {other}, "vault": {vaults[vault.Edit]}}, 409},
		{"view-only", url.Values{"client_secret": {secret}, "vault": {vaults[vault.View]}}, 422},
		{"no-vault", url.Values{"client_secret": {secret}}, 422},
		{"gone", url.Values{"client_secret": {secret}, "vault": {"AAAAAAAAAAAAAAAAAAAAAAAAAA"}}, 422},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d.mustHave(t, d.page(t, tt.status, "/integrations/"+id+"/save", tt.form), "The credentials were not saved.", "Rotate secret")
			// The page that shows the secret stays, and gets fields only.
			part := d.page(t, 422, "/integrations/"+id+"/save", tt.form, "HX-Request", "true")
			if strings.Contains(part, "<html") {
				t.Errorf("a whole page is put into the page:\n%s", part)
			}
			if strings.Contains(part, vaults[vault.View]) || !strings.Contains(part, vaults[vault.Edit]) {
				t.Errorf("the choice is not of the vaults with edit:\n%s", part)
			}
		})
	}
	for _, answer := range d.seen[before:] {
		if strings.Contains(answer, secret) || strings.Contains(answer, other) {
			t.Errorf("a secret is in an answer:\n%s", answer)
		}
	}
	d.page(t, 303, "/integrations/"+id+"/save", url.Values{"client_secret": {secret}, "vault": {vaults[vault.Edit]}})
}

func TestIntegrationKept(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.create(t)
	d.mustHave(t, d.page(t, 422, "/integrations/"+id+"/kept", url.Values{}), `id="kept-err"`, "or tick the box once", "Rotate secret")
	if w := d.send(t, "/integrations/"+id+"/kept", url.Values{"kept": {"1"}}); w.Header().Get("Location") != "/integrations/"+id {
		t.Errorf("with the box ticked the answer is %d to %q", w.Code, w.Header().Get("Location"))
	}
}

func TestIntegrationRotate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, first := d.create(t)
	at := "/integrations/" + id + "/rotate"
	form := func() url.Values {
		return url.Values{"newest": {field(t, d.page(t, 200, at, nil), "newest")}, "overlap": {"1h0m0s"}}
	}
	one := form()
	second := shownSecret.FindString(d.page(t, 200, at, one))
	d.mustHave(t, d.page(t, 409, at, one), "The secret was rotated already.")
	d.mustHave(t, d.page(t, 409, at, form()), "Two secrets are alive already.")
	bad := form()
	bad.Set("overlap", "999h")
	d.mustHave(t, d.page(t, 422, at, bad), `id="overlap-err"`)
	if n := d.shown(second); n != 1 {
		t.Errorf("the new secret is in %d answers, want one", n)
	}
	alive := func(secret string) bool {
		holds, err := d.apps.HoldsSecret(t.Context(), d.person.AccountID, id, secret)
		if err != nil {
			t.Fatal(err)
		}
		return holds
	}
	if !alive(first) || !alive(second) {
		t.Error("with an overlap of an hour both secrets must be alive")
	}
	now := form()
	now.Set("overlap", "0s")
	third := shownSecret.FindString(d.page(t, 200, at, now))
	if alive(first) || alive(second) || !alive(third) {
		t.Error("without overlap the new secret alone must be alive")
	}
}

func TestIntegrationDropScopes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.create(t)
	d.page(t, 303, "/integrations/"+id+"/scopes", url.Values{"drop": {"get_user", "list_users"}})
	app, err := d.apps.Client(t.Context(), d.person.AccountID, id)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(app.Scopes, []string{"suspend_users"}) || app.RedirectURL != "https://soar.example/cb" {
		t.Errorf("the application has %v and redirects to %q", app.Scopes, app.RedirectURL)
	}
	if w := d.send(t, "/integrations/"+id+"/scopes", url.Values{"drop": {"suspend_users"}}); w.Code != 400 {
		t.Errorf("dropping the last scope answers %d, want 400", w.Code)
	}
}

func TestIntegrationRevoked(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.create(t)
	at := "/integrations/" + id
	d.page(t, 303, at+"/revoke", url.Values{"reason": {"the trial is over"}})
	links, err := d.db.AuditEntries(t.Context(), audit.Query{AccountID: d.person.AccountID, Target: "client:" + id, Limit: 1})
	if err != nil || links[0].Entry.Action != audit.AppRevoke || links[0].Entry.Reason != "the trial is over" {
		t.Errorf("the last entry is %+v (%v)", links, err)
	}
	for _, tab := range []string{"", "?tab=activity", "?tab=connect"} {
		page := d.page(t, 200, at+tab, nil)
		d.mustHave(t, page, "Revoked")
		if strings.Contains(page, `badge--ok`) {
			t.Errorf("%q of a revoked application shows something as good:\n%s", tab, page)
		}
		for _, action := range []string{"<button class=\"btn\"", at + "/edit", at + "/rotate", at + "/revoke", "hx-get"} {
			if strings.Contains(page, action) {
				t.Errorf("%q of a revoked application has %s", tab, action)
			}
		}
	}
	for _, path := range []string{"/edit", "/rotate", "/revoke"} {
		d.page(t, 303, at+path, nil)
	}
	for _, path := range []string{"/edit", "/rotate", "/scopes"} {
		d.page(t, 409, at+path, newApp("k"))
	}
	d.mustHave(t, d.page(t, 200, "/integrations", nil), "0 active, 1 revoked", "Show revoked")
	d.mustHave(t, d.page(t, 200, "/integrations?state=revoked", nil), at)
}

// TestIntegrationLive answers a poll only when there is something new.
func TestIntegrationLive(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.create(t)
	poll := func() string {
		page := d.page(t, 200, "/integrations/"+id+"?tab=activity", nil)
		return html.UnescapeString(regexp.MustCompile(`hx-get="([^"]*)"`).FindStringSubmatch(page)[1])
	}
	at := poll()
	d.page(t, 204, at, nil, "HX-Request", "true")
	call := oauth.ActivityCount{
		AccountID: d.person.AccountID, ClientID: id, Operation: "get_user", Hour: time.Now().UTC().Truncate(time.Hour), Calls: 1,
		LastAt: time.Now().UTC(), LastDoneAt: time.Now().UTC(), LastAddress: "203.0.113.7", LastUserAgent: "<script>SOAR/1",
	}
	if err := d.db.AddActivity(t.Context(), []oauth.ActivityCount{call}); err != nil {
		t.Fatal(err)
	}
	part := d.send(t, at, nil, "HX-Request", "true").Body.String()
	d.mustHave(t, part, "203.0.113.7", "&lt;script&gt;SOAR/1")
	if strings.Contains(part, "<html") {
		t.Error("a whole page is put into the page")
	}
	d.page(t, 204, poll(), nil, "HX-Request", "true")
}
