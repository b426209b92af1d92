package server_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/origin"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/vault"
)

// attack is a text that would run if a page did not escape it, in text, in attributes and in scripts.
const attack = `x"'><img src=x onerror=alert(1)><script>alert(1)</script>`

// furnish stores the text in every field that takes one, and returns the ids of what was made.
func furnish(t *testing.T, in *servertest.Instance, b *browser, text string) map[string]string {
	t.Helper()
	by := audit.Entry{Actor: b.who.Actor()}
	ctx, account := t.Context(), in.Account.ID
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	app, err := in.OAuth().Create(ctx, account, oauth.NewClient{
		Name: text[:min(len(text), 100)], Description: text, RedirectURL: "https://soar.example.org/%22%3E%3Cimg%20src=x%3E", Scopes: oauth.Scopes(),
	}, by)
	must(err)
	in.Secrets.Learn(app.Secret.Reveal())
	group, err := in.Directory().CreateGroup(ctx, account, text, by)
	must(err)
	person, err := in.Store().AddUser(ctx, account, directory.NewUser{Email: "pia@example.org", DisplayName: text, Groups: []string{text}}, by)
	must(err)
	held, err := in.Directory().Suspend(ctx, account, person.ID, text, in.Place.Now().AddDate(0, 0, 1), by)
	must(err)
	viewer := vault.Viewer{AccountID: account, UserID: b.who.UserID}
	box, err := in.Vaults().Create(ctx, viewer, text[:min(len(text), 100)], text, by)
	must(err)
	item, err := in.Vaults().Save(ctx, viewer, box.ID, vault.NewItem{
		Category: vault.Login, Title: text, Link: "client:" + app.Client.ID, Client: vault.Client{Client: origin.Client{Address: "127.0.0.1", UserAgent: text}},
		Fields: []vault.Field{
			{Name: "username", Label: "Username", Value: text}, {Name: "url", Label: "URL", Value: "javascript:alert(1)"},
			{Name: "notes", Label: text[:min(len(text), 60)], Value: text}, {Name: "password", Label: "Password", Value: "concealed-" + text, Concealed: true},
		},
	}, by)
	must(err)
	must(in.Directory().RenameAccount(ctx, account, text, by))
	// Somebody tries to sign in with a text for an e-mail, in a browser of that name.
	if _, _, err := in.SignIn().Password(ctx, signin.Client{Address: "192.0.2.7", UserAgent: text}, "pia@example.org", "wrong password, wrong"); err == nil {
		t.Fatal("signed in with a wrong password")
	}
	own, err := in.Rules().Save(ctx, account, "title: "+strconv.Quote(text)+"\nname: own\nlevel: low\ndescription: "+strconv.Quote(text)+"\nauthor: "+strconv.Quote(text)+`
taxonomy: ocsf
logsource: {product: holdfast, category: authentication, service: signin}
detection: {failed: {activity_name: Logon, status: Failure}, condition: failed}
holdfast: {explain: {en: "{user.name} {http_request.user_agent}"}}
`, by)
	must(err)
	made, err := in.Rules().Except(ctx, account, detect.Exception{Rule: own.Key, Field: "user.uid", Values: []string{text}, Reason: text}, by)
	must(err)
	_, err = in.Rules().SaveList(ctx, account, "own", func(l *detect.AccountList) error {
		l.Entries = append(l.Entries, detect.ListEntry{Value: text, Note: text})
		return nil
	}, by)
	must(err)
	holds, err := in.Store().Holds(ctx, account, held.ID)
	must(err)
	return map[string]string{
		"client": app.Client.ID, "secret": app.Client.Secrets[0].ID, "group": group.ID, "user": person.ID, "hold": holds[0].ID,
		"vault": box.ID, "item": item.ID, "rule": own.Key, "exception": made.ID, "list": "own", "finding": "1", "session": "A", "passkey": "A", "ticket": "A", "topic": "scopes", "file": "nothing",
	}
}

// pagesOf are the addresses of every page that an owner can open, with what is named in them.
func pagesOf(in *servertest.Instance, ids map[string]string) []string {
	var pages []string
	for _, route := range consoleRoutes(in) {
		method, path := fill(route.Pattern, ids)
		if method != http.MethodGet || strings.HasPrefix(path, "/static/") || path == "/favicon.ico" {
			continue
		}
		pages = append(pages, path)
	}
	return append(pages, "/people?q="+url.QueryEscape(attack), "/audit?about="+url.QueryEscape(attack), "/help?q="+url.QueryEscape(attack), "/sign-in?next="+url.QueryEscape("/"+attack), "/nothing/"+url.PathEscape(attack))
}

var (
	inline     = regexp.MustCompile(`(?i)<style|\sstyle\s*=|<script[^>]*>[^<]|\son[a-z]+\s*=\s*["']|(?:href|src|action|xlink:href)\s*=\s*["']?\s*javascript:`)
	textKey    = regexp.MustCompile(`[>"]([a-z_]+(?:\.[a-z_0-9]+)+)[<"]`)
	firstTitle = regexp.MustCompile(`<h1[ >]`)
)

// TestConsolePages opens every page in both languages with a hostile text in every field that is stored:
// it is shown as text or not at all, the headers are there, nothing is inline, and no text is missing.
func TestConsolePages(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	owner := newBrowser(t, in, in.Account.ID, "Ola", "Owners")
	ids := furnish(t, in, owner, attack)
	shown := 0
	for _, path := range pagesOf(in, ids) {
		for _, lang := range []string{"en", "de"} {
			resp, body := owner.in1(t, lang, path)
			what := lang + " " + path
			if resp.StatusCode >= 500 {
				t.Errorf("%s: %d", what, resp.StatusCode)
				continue
			}
			if strings.Contains(body, "<img src=x") || strings.Contains(body, "<script>alert") || strings.Contains(body, `x"'>`) {
				t.Errorf("%s: the text is not escaped", what)
			}
			if strings.Contains(body, "&lt;img src=x") {
				shown++
			}
			if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
				continue
			}
			if !strings.Contains(body, `<html lang="`+lang+`">`) && strings.Contains(body, "<!doctype") {
				t.Errorf("%s: the page is not in the language", what)
			}
			csp := resp.Header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") ||
				resp.Header.Get("X-Frame-Options") != "DENY" || resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: the headers are %v", what, resp.Header)
			}
			if found := inline.FindString(strings.ReplaceAll(body, `<script type="module" src=`, "")); found != "" {
				t.Errorf("%s: the page has something inline: %q", what, found)
			}
			if strings.Contains(body, "<!doctype") && len(firstTitle.FindAllString(body, -1)) != 1 {
				t.Errorf("%s: %d headings of the first order", what, len(firstTitle.FindAllString(body, -1)))
			}
			for _, m := range textKey.FindAllStringSubmatch(body, -1) {
				thing, _, _ := strings.Cut(m[1], ".")
				if slices.Contains([]string{"holdfast", "user", "src_endpoint", "http_request", "device"}, thing) {
					continue // rules and findings name fields of events
				}
				if known := audit.Action(m[1]); !strings.Contains(m[1], "example") && !isAction(known) {
					t.Errorf("%s: the text %q is missing", what, m[1])
				}
			}
			if strings.Contains(body, "concealed-x") {
				t.Errorf("%s: a concealed value is shown", what)
			}
		}
	}
	if shown < 10 {
		t.Errorf("the hostile text was seen on %d pages only; the test does not reach what it is about", shown)
	}
}

func isAction(a audit.Action) bool {
	return slices.Contains(audit.Actions(), a)
}

// in1 opens a page in a language.
func (b *browser) in1(t *testing.T, lang, path string) (*http.Response, string) {
	t.Helper()
	return b.with(t, http.Header{"Accept-Language": {lang}}, http.MethodGet, path, nil)
}
