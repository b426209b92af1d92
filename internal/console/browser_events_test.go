package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/internal/feed"
	"holdfast/internal/server/browsertest"
)

// read asks the Events API for sign-in attempts, as a shipper does.
func (h *house) read(t *testing.T, token string) int {
	t.Helper()
	return h.Do(t, "POST", "/api/v2/signinattempts", "{}", http.Header{"Authorization": {"Bearer " + token}}).Status
}

// TestBrowserEventsToken is the other mission of the Directory: the owner issues an events token, saves it in
// a vault, a shipper reads with it, she sees it arrive, and revokes it.
func TestBrowserEventsToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner, browsertest.Wide())
	tab.Go("/integrations/directory")
	tab.Click("button", "Events Reporting")
	tab.In("group", "Kinds of events").Uncheck("Item usages")
	tab.Click("button", "Issue token")
	tab.Wait("The token needs a name")
	tab.Fill("Name", "Night SIEM")
	tab.DoubleClick("button", "Issue token")
	tab.Wait("The token is shown only now.")
	token := tab.Text("status", "Token")
	h.Secrets.Learn(token)
	all, err := h.Events().Tokens(t.Context(), h.Account.ID)
	if err != nil || len(all) != 1 || len(all[0].Features) != 2 {
		t.Fatalf("a double click made %+v, %v", all, err)
	}
	if got := tab.Text("status", "Base URL"); got != h.URL {
		t.Errorf("Base URL %q", got)
	}
	tab.Axe()
	tab.Screenshot("events-token-save_en_1280_light")
	tab.Look(browsertest.Narrow(), browsertest.Dark())
	tab.Axe()
	tab.Screenshot("events-token-save_en_360_dark")
	tab.Look(browsertest.Wide(), browsertest.Light())

	tab.Fill("Name of a new vault", "Automation")
	tab.Click("button", "Save in vault")
	tab.Wait("Saved in Automation")
	tab.Axe()
	if strings.Contains(tab.HTML(), token) {
		t.Error("the page after saving has the token")
	}
	tab.Click("button", "View integration")
	tab.Wait("Waiting for the first call")

	if got := h.read(t, token); got != http.StatusOK {
		t.Fatalf("reading: %d", got)
	}
	tab.Wait("Last address") // by itself, within seconds
	tab.Click("button", "Revoke integration")
	tab.Wait("What stops at once")
	tab.Fill("Reason", "The SIEM is gone")
	tab.Click("button", "Revoke integration")
	tab.Wait("This token was revoked.")
	if got := h.read(t, token); got != http.StatusUnauthorized {
		t.Errorf("reading after revoking: %d", got)
	}
}

// eventsPages are the pages about events tokens, in each of their states.
func (h *house) eventsPages(t *testing.T) map[string]string {
	t.Helper()
	const day = 24 * time.Hour
	issue := func(name string, life, ago time.Duration) string {
		t.Helper()
		s := &feed.Service{Store: h.Store(), Keys: h.Store().Keys(), URL: h.URL, Now: func() time.Time { return h.clock.Now().Add(-ago) }}
		made, err := s.Issue(t.Context(), h.Account.ID, feed.NewToken{Name: name, Features: feed.Streams(), Life: life}, operator())
		if err != nil {
			t.Fatal(err)
		}
		h.Secrets.Learn(made.Text.Reveal())
		return made.Token.ID
	}
	gone, expired, ending, used := issue("Trial", 0, 0), issue("Old shipper", 30*day, 40*day), issue("Sentinel", 90*day, 80*day), issue("Splunk forwarder", 180*day, day)
	issue("Data lake", 0, 2*day)
	if err := h.Events().Revoke(t.Context(), h.Account.ID, gone, operator()); err != nil {
		t.Fatal(err)
	}
	now := h.clock.Now().UTC()
	err := h.Store().AddTokenUse(t.Context(), []feed.TokenUse{
		{AccountID: h.Account.ID, TokenID: used, Feature: feed.SignInAttempts, Hour: now.Truncate(time.Hour), Calls: 1440, Events: 3798, LastAt: now, LastAddress: "203.0.113.40", LastUserAgent: "splunk-addon/1.9.2 (python-requests/2.32.4)"},
		{AccountID: h.Account.ID, TokenID: used, Feature: feed.AuditEvents, Hour: now.Truncate(time.Hour), Calls: 1440, Refused: 2, Events: 214, LastAt: now.Add(-time.Minute), LastAddress: "203.0.113.40", LastUserAgent: "splunk-addon/1.9.2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const at = "/events-tokens/"
	return map[string]string{
		"events-token-new": "/integrations/events/new", "events-token": at + used, "events-token-ending": at + ending, "events-token-expired": at + expired,
		"events-token-revoked": at + gone, "events-token-revoke": at + used + "/revoke", "integrations-revoked": "/integrations?state=revoked", "help-events": "/help/events-reporting",
	}
}
