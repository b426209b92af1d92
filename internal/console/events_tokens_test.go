package console_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
)

func newEventsToken(key string) url.Values {
	return url.Values{"key": {key}, "name": {"Night SIEM"}, "expires": {"90"}, "features": {"signinattempts", "auditevents"}}
}

var shownToken = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)

// issue makes an events token through the form, and returns it with its text.
func (d *desk) issue(t *testing.T) (feed.Token, string) {
	t.Helper()
	key := field(t, d.page(t, http.StatusOK, "/integrations/events/new", nil), "key")
	text := shownToken.FindString(d.page(t, http.StatusOK, "/integrations/events", newEventsToken(key)))
	if text == "" {
		t.Fatal("the answer has no token")
	}
	all, err := d.events.Tokens(t.Context(), d.person.AccountID)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return all[len(all)-1], text
}

// TestEventsToken goes the whole way: issued, shown once, saved, used, revoked, dead at once.
func TestEventsToken(t *testing.T) {
	d := newDesk(t)
	key := field(t, d.page(t, http.StatusOK, "/integrations/events/new", nil), "key")
	shown := d.page(t, http.StatusOK, "/integrations/events", newEventsToken(key))
	text := shownToken.FindString(shown)
	if text == "" || !strings.Contains(shown, "https://api.example") {
		t.Fatal("the token or the base URL is not shown")
	}
	again := d.page(t, http.StatusConflict, "/integrations/events", newEventsToken(key))
	if !strings.Contains(again, "Night SIEM exists already") {
		t.Error("a form that is sent twice does not say so")
	}
	all, err := d.events.Tokens(t.Context(), d.person.AccountID)
	if err != nil || len(all) != 1 {
		t.Fatalf("a double click made %d tokens, %v", len(all), err)
	}
	tok := all[0]
	if got := tok.ExpiresAt.Sub(tok.CreatedAt); got != 90*24*time.Hour {
		t.Errorf("it lives for %s", got)
	}
	at := "/events-tokens/" + tok.ID

	// Only the token's own text can be saved, and no answer repeats what was sent.
	d.page(t, http.StatusConflict, at+"/save", url.Values{"token": {text[:len(text)-3] + "abc"}, "vault_name": {"Automation"}})
	w := d.send(t, at+"/save", url.Values{"token": {text}, "vault_name": {"Automation"}})
	if w.Code != http.StatusSeeOther {
		t.Fatalf("saving answers %d\n%s", w.Code, w.Body)
	}
	if saved := d.page(t, http.StatusOK, w.Header().Get("Location"), nil); !strings.Contains(saved, "Saved in Automation") {
		t.Error("the page after saving does not say where")
	}
	viewer := vault.Viewer{AccountID: d.person.AccountID, UserID: d.person.UserID}
	items, err := d.vaults.ItemsLinkedTo(t.Context(), viewer, "events_token:"+tok.ID)
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	item, err := d.vaults.Item(t.Context(), viewer, items[0].Vault.ID, items[0].Item.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range item.Fields {
		got[f.Name] = f.Value
	}
	value, err := d.vaults.Reveal(t.Context(), viewer, vault.RevealRequest{VaultID: items[0].Vault.ID, ItemID: item.ID, Field: "token", Action: vault.Reveal}, audit.Entry{Actor: d.person.Actor})
	if err != nil {
		t.Fatal(err)
	}
	got["token"] = value.Reveal()
	want := map[string]string{
		"token": text, "base_url": "https://api.example", "features": "auditevents signinattempts", "expires": tok.ExpiresAt.Format(time.RFC3339),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the item (-want +got):\n%s", diff)
	}
	if page := d.page(t, http.StatusOK, "/vaults/"+items[0].Vault.ID+"/items/"+item.ID, nil); !strings.Contains(page, at) {
		t.Error("the item does not lead to the token")
	}
	if _, err := d.events.Authorize(t.Context(), text); err != nil {
		t.Errorf("the token is not accepted: %v", err)
	}

	for _, path := range []string{"/integrations", "/integrations/directory", at, at + "/revoke", "/audit", "/"} {
		if !strings.Contains(d.page(t, http.StatusOK, path, nil), "</html>") {
			t.Errorf("%s is no page", path)
		}
	}
	if n := d.shown(text); n != 1 {
		t.Errorf("%d answers have the token", n)
	}

	long := d.page(t, http.StatusUnprocessableEntity, at+"/revoke", url.Values{"reason": {strings.Repeat("x", 1001)}})
	if !strings.Contains(long, "1001 bytes") {
		t.Error("a reason that is too long is not told so")
	}
	if w := d.send(t, at+"/revoke", url.Values{"reason": {"leaked"}}); w.Code != http.StatusSeeOther {
		t.Fatalf("revoking answers %d", w.Code)
	}
	if _, err := d.events.Authorize(t.Context(), text); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("after revoking: %v", err)
	}
	page := d.page(t, http.StatusOK, at, nil)
	if !strings.Contains(page, "This token was revoked") || strings.Contains(page, "/revoke") {
		t.Error("the page of a revoked token does not say so, or offers to revoke it")
	}
	if w := d.send(t, at+"/revoke", nil); w.Code != http.StatusSeeOther {
		t.Errorf("the form for revoking what is revoked: %d", w.Code)
	}
	// Its text, which is still on the page before, cannot be saved any more.
	d.page(t, http.StatusConflict, at+"/save", url.Values{"token": {text}, "vault": {items[0].Vault.ID}})
	if list := d.page(t, http.StatusOK, "/integrations", nil); strings.Contains(list, at) {
		t.Error("a revoked token is among the active ones")
	}
	if list := d.page(t, http.StatusOK, "/integrations?state=revoked", nil); !strings.Contains(list, at) {
		t.Error("a revoked token is not among the revoked ones")
	}
}

func TestEventsTokenForms(t *testing.T) {
	d := newDesk(t)
	for name, tt := range map[string]struct {
		set  url.Values
		want string
	}{
		"no_name":         {url.Values{"name": {" "}}, "The token needs a name"},
		"long_name":       {url.Values{"name": {strings.Repeat("n", 101)}}, "101 bytes"},
		"no_features":     {url.Values{"features": nil}, "at least one kind of events"},
		"unknown_feature": {url.Values{"features": {"passwords"}}, "not a kind of events"},
		"no_expiry":       {url.Values{"expires": nil}, "choose how long the token lives"},
		"unknown_expiry":  {url.Values{"expires": {"365"}}, "choose how long the token lives"},
		"no_key":          {url.Values{"key": nil}, "not complete"},
	} {
		f := newEventsToken("k-" + name)
		maps.Copy(f, tt.set)
		if page := d.page(t, http.StatusUnprocessableEntity, "/integrations/events", f); !strings.Contains(page, tt.want) {
			t.Errorf("%s: the page does not say %q", name, tt.want)
		}
	}
	if all, err := d.events.Tokens(t.Context(), d.person.AccountID); err != nil || len(all) != 0 {
		t.Errorf("forms that are wrong made %d tokens, %v", len(all), err)
	}
	tok, text := d.issue(t)
	at := "/events-tokens/" + tok.ID
	d.page(t, http.StatusUnprocessableEntity, at+"/kept", url.Values{"x": {""}})
	if w := d.send(t, at+"/kept", url.Values{"kept": {"1"}}); w.Header().Get("Location") != at {
		t.Errorf("kept elsewhere leads to %q", w.Header().Get("Location"))
	}
	d.page(t, http.StatusUnprocessableEntity, at+"/save", url.Values{"token": {text}})
	d.page(t, http.StatusNotFound, "/events-tokens/NOSUCHTOKEN", nil)
	if n := d.shown(text); n != 1 {
		t.Errorf("%d answers have the token", n)
	}
}

// TestEventsTokenExpires: the overview, the list and the page say in time that a token expires, and then that
// it has.
func TestEventsTokenExpires(t *testing.T) {
	d := newDesk(t)
	now := time.Now()
	d.events.Now = func() time.Time { return now.Add(-200 * 24 * time.Hour) }
	old, _ := d.issue(t)
	d.events.Now = func() time.Time { return now.Add(-80 * 24 * time.Hour) }
	tok, _ := d.issue(t)
	at := "/events-tokens/" + tok.ID
	for path, want := range map[string]string{
		"/": "1 events token expires within 14 days", "/integrations": "1 events token expires within 14 days", at: "This token expires in 10 days",
	} {
		if page := d.page(t, http.StatusOK, path, nil); !strings.Contains(page, want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
	if page := d.page(t, http.StatusOK, "/events-tokens/"+old.ID, nil); !strings.Contains(page, "This token has expired") {
		t.Error("the page of a token that has expired does not say so")
	}
	if page := d.page(t, http.StatusOK, "/integrations", nil); !strings.Contains(page, old.ID) || !strings.Contains(page, "Expired") {
		t.Error("the list does not show the token that has expired")
	}
}

// TestEventsTokenActivity: what is read with a token is seen on its page.
func TestEventsTokenActivity(t *testing.T) {
	d := newDesk(t)
	tok, _ := d.issue(t)
	at := "/events-tokens/" + tok.ID
	if page := d.page(t, http.StatusOK, at, nil); !strings.Contains(page, "Waiting for the first call") {
		t.Error("a token that was not used does not say so")
	}
	now := time.Now().UTC()
	err := d.db.AddTokenUse(t.Context(), []feed.TokenUse{{
		AccountID: tok.AccountID, TokenID: tok.ID, Feature: feed.SignInAttempts, Hour: now.Truncate(time.Hour), Calls: 3, Events: 4711,
		LastAt: now, LastAddress: "192.0.2.7", LastUserAgent: "shipper/2.1 <script>",
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := d.send(t, at+"/activity", nil, "HX-Request", "true")
	part := w.Body.String()
	for _, want := range []string{"4,711", "192.0.2.7", "shipper/2.1 &lt;script&gt;"} {
		if !strings.Contains(part, want) {
			t.Errorf("the live part does not have %q", want)
		}
	}
	seen := regexp.MustCompile(`seen=(\w+)`).FindStringSubmatch(part)
	if seen == nil {
		t.Fatal("the live part does not say what it has seen")
	}
	if w := d.send(t, at+"/activity?seen="+seen[1], nil, "HX-Request", "true"); w.Code != http.StatusNoContent {
		t.Errorf("what has not changed is sent again: %d", w.Code)
	}
	if w := d.send(t, at+"/activity", nil); w.Header().Get("Location") != at {
		t.Errorf("the live part by itself leads to %q", w.Header().Get("Location"))
	}
}
