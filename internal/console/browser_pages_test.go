package console_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/oauth"
	"holdfast/internal/origin"
	"holdfast/internal/server/browsertest"
	"holdfast/internal/signin"
	"holdfast/internal/vault"
)

// furnished is a house in which something has happened, so that no page is empty.
func furnished(t *testing.T) (h *house, pages map[string]string) {
	t.Helper()
	h = newHouse(t)
	by := audit.Entry{Actor: "user:" + h.Owner.ID, Address: "192.0.2.10", RequestID: "K5W3ZJ7QTR2MD6XNVBAHCPEFGY"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, account := t.Context(), h.Account.ID
	mira, sol := h.person(t, "Mira", "Security"), h.person(t, "Sol", "Administrators")
	invited, link, err := h.Directory().Invite(ctx, account, newPerson("noor@example.org", "Noor van der Heijden"), by)
	must(err)
	h.Secrets.Learn(link.Reveal())
	group, err := h.Directory().CreateGroup(ctx, account, "Night shift", by)
	must(err)
	must(h.Store().AddMember(ctx, account, group.ID, mira.ID, by))
	app, err := h.OAuth().Create(ctx, account, oauth.NewClient{
		Name: "Elastic SOAR", Description: "Contains flagged sign-ins at night.", RedirectURL: "https://soar.example.org/callback", Scopes: oauth.Scopes(),
	}, by)
	must(err)
	h.Secrets.Learn(app.Secret.Reveal())
	gone, err := h.OAuth().Create(ctx, account, oauth.NewClient{Name: "Old platform", Scopes: []string{"get_user"}}, by)
	must(err)
	h.Secrets.Learn(gone.Secret.Reveal())
	must(h.OAuth().Revoke(ctx, account, gone.Client.ID, by))
	viewer := vault.Viewer{AccountID: account, UserID: h.Owner.ID}
	box, err := h.Vaults().Create(ctx, viewer, "Security operations", "What platforms sign in with", by)
	must(err)
	item, err := h.Vaults().Save(ctx, viewer, box.ID, vault.NewItem{
		Category: vault.APICredential, Title: "Elastic SOAR", Link: "client:" + app.Client.ID, Client: vault.Client{Client: origin.Client{Address: "192.0.2.10"}},
		Fields: []vault.Field{
			{Name: "client_id", Label: "Client ID", Value: app.Client.ID}, {Name: "client_secret", Label: "Client secret", Value: app.Secret.Reveal(), Concealed: true},
			{Name: "token_url", Label: "Token URL", Value: h.URL + "/v1/oauth/token"},
		},
	}, by)
	must(err)
	must(h.Vaults().SetGrant(ctx, viewer, box.ID, "group:"+group.ID, vault.View, by))

	client := platform(h, app.Client.ID, app.Secret.Reveal())
	resp, err := client.Get(h.URL + "/v1/accounts/" + account + "/users")
	if got := status(t, resp, err); got != http.StatusOK {
		t.Fatalf("list: %d", got)
	}
	resp, err = client.Post(h.URL+"/v1/accounts/"+account+"/users/"+mira.ID+":suspend", "", nil)
	if got := status(t, resp, err); got != http.StatusOK {
		t.Fatalf("suspend: %d", got)
	}
	_, err = h.Directory().Suspend(ctx, account, mira.ID, "Signed in from two countries within 14 minutes", h.clock.Now().Add(24*time.Hour), by)
	must(err)
	_, _, err = h.SignIn().Password(ctx, signin.Client{Address: "203.0.113.77", UserAgent: "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"}, sol.Email, "not her password, not at all")
	if err == nil {
		t.Fatal("signed in with a wrong password")
	}
	last := tries(t, h, 120, mira, sol)
	rule := "/firewall/" + h.rules(t, someRules()...).ID
	finding := "/findings/" + h.finding(t, sol).ID
	own, err := h.Rules().Save(ctx, account, ownRule("Somebody from Syria"), by)
	must(err)
	_, err = h.Rules().Set(ctx, account, "mfa_fatigue", func(s *detect.Setting) { s.Level = detect.Medium }, by)
	must(err)
	_, err = h.Rules().Except(ctx, account, detect.Exception{Rule: "mfa_fatigue", Field: "src_endpoint.ip", Values: []string{"198.51.100.0/24", "203.0.113.9"}, Reason: "Offices in Leeds and Linköping", Until: h.clock.Now().AddDate(0, 1, 0)}, by)
	must(err)
	_, err = h.Rules().SaveList(ctx, account, "offices", func(l *detect.AccountList) error {
		l.Entries = append(l.Entries, detect.ListEntry{Value: "198.51.100.0/24", Note: "Leeds"}, detect.ListEntry{Value: "2001:db8:77::/48", Until: h.clock.Now().AddDate(0, 0, 7)})
		return nil
	}, by)
	must(err)
	holds, err := h.Store().Holds(ctx, account, mira.ID)
	must(err)
	i, p, g, v := "/integrations/"+app.Client.ID, "/people/"+mira.ID, "/groups/"+group.ID, "/vaults/"+box.ID
	return h, map[string]string{
		"overview": "/", "integrations": "/integrations", "directory": "/integrations/directory", "integration-new": "/integrations/oauth/new",
		"integration": i, "integration-edit": i + "/edit", "integration-rotate": i + "/rotate", "integration-revoke": i + "/revoke",
		"integration-saved": i + "/saved", "integration-revoked": "/integrations/" + gone.Client.ID,
		"people": "/people", "people-suspended": "/people?state=suspended", "people-none": "/people?q=" + url.QueryEscape("nobody at all"), "person-suspended": p,
		"person-active": "/people/" + sol.ID, "person-invited": "/people/" + invited.ID, "person-suspend": "/people/" + sol.ID + "/suspend", "person-reactivate": p + "/reactivate",
		"person-remove": p + "/remove", "person-release": p + "/holds/" + holds[0].ID + "/release", "person-invite": "/people/invite",
		"groups": "/groups", "group": g, "group-new": "/groups/new", "vaults": "/vaults", "vault": v, "vault-new": "/vaults/new",
		"vault-access": v + "/access", "vault-edit": v + "/edit", "vault-delete": v + "/delete", "vault-none": v + "?q=zz",
		"item-archive": v + "/items/" + item.ID + "/archive", "item-login": v + "/items/new?category=Login",
		"item": v + "/items/" + item.ID, "item-new": v + "/items/new", "item-edit": v + "/items/" + item.ID + "/edit",
		"audit": "/audit", "audit-filtered": "/audit?outcome=refused", "settings": "/settings", "profile": "/profile", "profile-password": "/profile/password", "profile-passkey": "/profile/passkeys/new",
		"sign-ins": "/sign-ins", "sign-ins-filtered": "/sign-ins?q=mira&result=failed&time=range&from=2020-01-01", "sign-ins-none": "/sign-ins?q=10.0.0.0%2F8",
		"sign-in-event": fmt.Sprintf("/sign-ins/%d-%s", last.At.UnixMicro(), last.ID), "sign-in-reported": "/sign-ins?result=firewall_reported_success",
		"firewall": "/firewall", "firewall-new": "/firewall/new", "firewall-preview": "/firewall/new?action=deny&kind=country&country=BR&position=1", "firewall-edit": rule + "/edit",
		"firewall-invalid": "/firewall/new?action=deny&kind=address&address=here", "firewall-lockout": "/firewall/new?action=deny&kind=all&position=1",
		"firewall-remove": rule + "/remove", "firewall-move": rule + "/move?to=1",
		"findings": "/findings", "findings-none": "/findings?level=low&state=withdrawn", "finding": finding, "rules": "/rules", "rule": "/rules/mfa_fatigue", "rule-own": "/rules/" + own.Key,
		"rule-new": "/rules/own/new", "rule-edit": "/rules/" + own.Key + "/edit", "rule-remove": "/rules/" + own.Key + "/remove", "rule-exception": "/rules/mfa_fatigue/exceptions",
		"rule-try": "/rules/sanctioned_country/try?days=2", "lists": "/lists", "list": "/lists/offices", "list-remove": "/lists/offices/remove", "help-rules": "/help/rules",
		"help": "/help", "help-search": "/help?q=secret", "help-topic": "/help/scopes", "not-found": "/nothing-here",
	}
}

// signedOut are the pages for who has not signed in.
func signedOut() map[string]string {
	return map[string]string{"sign-in": "/sign-in", "setup": "/setup", "help-signed-out": "/help", "sign-in-done": "/sign-in?done=signed_out"}
}

// TestBrowserPages opens every page in both languages and looks at it wide and narrow, light and dark:
// axe-core finds nothing, nothing is cut off at 360 pixels, the first load is small, and a picture is taken.
func TestBrowserPages(t *testing.T) {
	h, pages := furnished(t)
	maps.Copy(pages, h.eventsPages(t))
	maps.Copy(pages, h.responsePages(t))
	maps.Copy(pages, h.casesPages(t))
	languages := []string{"en", "de"}
	t.Run("fresh", func(t *testing.T) {
		for _, lang := range languages {
			t.Run(lang, func(t *testing.T) {
				t.Parallel()
				in := h.signedIn(t, h.Owner, browsertest.Lang(lang), browsertest.Wide())
				for name, path := range pages {
					look(t, in, lang, name, path)
				}
				out := h.open(t, browsertest.Lang(lang), browsertest.Wide())
				for name, path := range signedOut() {
					look(t, out, lang, name, path)
				}
			})
		}
	})
	for _, lang := range languages {
		t.Run("stale/"+lang, func(t *testing.T) {
			in := h.signedIn(t, h.Owner, browsertest.Lang(lang), browsertest.Wide())
			h.stale(t, h.Owner)
			look(t, in, lang, "confirm", "/confirm?next=/integrations")
		})
	}
}

func look(t *testing.T, tab *browsertest.Tab, lang, name, path string) {
	t.Helper()
	tab.Look(browsertest.Wide(), browsertest.Light())
	tab.Go(path)
	if s := tab.Status(); s != http.StatusOK && name != "not-found" && name != "firewall-invalid" {
		t.Errorf("%s: %d", path, s)
		return
	}
	for _, size := range []struct {
		name   string
		window browsertest.Option
	}{{"1280", browsertest.Wide()}, {"360", browsertest.Narrow()}} {
		for _, scheme := range []struct {
			name string
			set  browsertest.Option
		}{{"light", browsertest.Light()}, {"dark", browsertest.Dark()}} {
			if size.name+scheme.name != "1280light" { // in which it was opened
				tab.Look(size.window, scheme.set)
			}
			tab.Axe()
			if size.name+scheme.name == "1280light" || size.name+scheme.name == "360dark" {
				tab.Screenshot(strings.Join([]string{name, lang, size.name, scheme.name}, "_"))
			}
		}
		var wider int
		tab.Eval("document.documentElement.scrollWidth - document.documentElement.clientWidth", &wider)
		if wider > 0 {
			t.Errorf("%s in %s at %s px is %d px too wide", path, lang, size.name, wider)
		}
	}
}

// TestBrowserFirstLoad counts what a first visit fetches: at most six requests and 100 kB, compressed.
func TestBrowserFirstLoad(t *testing.T) {
	h, pages := furnished(t)
	for _, name := range []string{"overview", "integrations", "integration", "people", "person-suspended", "vaults", "audit", "sign-ins", "firewall", "firewall-preview", "settings", "profile", "help"} {
		t.Run(name, func(t *testing.T) {
			tab := h.signedIn(t, h.Owner)
			tab.Go(pages[name])
			bytes, list := 0, []string{}
			for _, r := range tab.Requests() {
				bytes += int(r.Bytes)
				list = append(list, fmt.Sprintf("%s %s %d", r.Method, r.URL, r.Bytes))
			}
			if len(list) > 6 || bytes > 100_000 {
				t.Errorf("%d requests, %d bytes:\n%s", len(list), bytes, strings.Join(list, "\n"))
			}
		})
	}
}
