package console_test

import (
	"fmt"
	"testing"
	"time"

	"holdfast/internal/directory"
	"holdfast/internal/origin"
	"holdfast/internal/server/browsertest"
	"holdfast/internal/signin"
)

// tries stores attempts of the people from different places, the last one just now, and returns the newest.
func tries(t *testing.T, h *house, n int, people ...directory.User) signin.Attempt {
	t.Helper()
	places := []origin.Location{
		{Country: "GB", Continent: "EU", Region: "England", City: "Leeds", Latitude: 53.8, Longitude: -1.55, Radius: 20, ASN: 64496, Network: "Example Telecom", AnonymousKnown: true},
		{Country: "BR", Continent: "SA", Region: "Bahia", City: "Salvador", ASN: 64498, Network: "Exemplo Telecom", Anonymous: true, AnonymousKnown: true},
		{},
		{Country: "SE", Continent: "EU", City: "Linköping", ASN: 64497, Network: "Exempel Bredband"},
	}
	ends := []struct {
		category signin.Category
		kind     signin.Type
		method   signin.Method
		details  string
	}{
		{signin.Success, signin.MFAOK, signin.ByPasskey, ""}, {signin.CredentialsFailed, signin.PasswordSecretBad, signin.ByPassword, ""},
		{signin.FirewallReported, signin.MFAOK, signin.ByPasswordCode, "BR"}, {signin.MFAFailed, signin.TOTPBad, signin.ByPasswordCode, ""},
		{signin.FirewallFailed, signin.CountryBlocked, signin.ByPassword, "BR"}, {signin.SSOFailed, signin.NonSSOUser, signin.BySSO, ""},
	}
	var all []signin.Attempt
	for i := range n {
		end, who := ends[i%len(ends)], people[i%len(people)]
		a := signin.Attempt{
			ID: fmt.Sprintf("EVENT%021d", i), AccountID: h.Account.ID, At: h.clock.Now().Add(-time.Duration(n-i) * time.Minute).UTC().Truncate(time.Microsecond),
			Category: end.category, Type: end.kind, Method: end.method, Details: end.details, UserID: who.ID, Name: who.DisplayName, Email: who.Email,
			Location: places[i%len(places)], Client: origin.Client{
				Address: fmt.Sprintf("203.0.113.%d", i%200), UserAgent: "Mozilla/5.0 (Windows NT 10.0) Chrome/129.0.0.0", App: "Holdfast console", AppVersion: "0.4.0",
				Platform: "Chrome", PlatformVersion: "129.0.0.0", OS: "Windows", OSVersion: "11.0",
			},
		}
		if end.category == signin.SSOFailed {
			a.UserID, a.Name, a.Email = "", "", "somebody@example.net"
		}
		if end.category == signin.Success {
			a.SessionID = fmt.Sprintf("SESSION%019d", i)
		}
		all = append(all, a)
	}
	if err := h.Store().ImportAttempts(t.Context(), h.Account.ID, all, operator()); err != nil {
		t.Fatal(err)
	}
	return all[n-1]
}

// becomes waits until the condition holds in the page, for some seconds more than new events take to appear.
func becomes(t *testing.T, tab *browsertest.Tab, condition string) {
	t.Helper()
	var yes bool
	tab.Eval("new Promise((done) => { const end = Date.now() + 15000; const look = () => "+
		condition+" ? done(true) : Date.now() > end ? done(false) : setTimeout(look, 50); look(); })", &yes)
	if !yes {
		t.Fatalf("%s never came to be; the page is %s", condition, tab.URL())
	}
}

// TestBrowserSignInsLive: what happens while the page is open appears on it, and nothing that the person looks
// at or has in focus moves.
func TestBrowserSignInsLive(t *testing.T) {
	h := newHouse(t)
	mira := h.person(t, "Mira", "Security")
	tries(t, h, 120, h.Owner, mira)
	tab := h.signedIn(t, h.Owner)
	tab.Go("/sign-ins?country=SE")
	count := func() (n int) {
		t.Helper()
		tab.Eval("document.querySelectorAll('#sign-ins-rows tr').length", &n)
		return n
	}
	before := count()
	if before != 30 {
		t.Fatalf("%d rows, want the 30 from Sweden", before)
	}
	tab.Eval("(() => { const a = document.querySelectorAll('#sign-ins-rows .title')[12]; a.focus(); a.scrollIntoView({block: 'start'}); })()", nil)
	var top, top2 float64
	tab.Eval("document.activeElement.getBoundingClientRect().top", &top)
	late := signin.Attempt{
		ID: "LATEST0000000000000000000A", AccountID: h.Account.ID, At: h.clock.Now(), Category: signin.CredentialsFailed, Type: signin.PasswordSecretBad,
		UserID: mira.ID, Name: mira.DisplayName, Email: mira.Email, Method: signin.ByPassword, Client: origin.Client{Address: "198.51.100.7"},
	}
	elsewhere := late
	elsewhere.ID, elsewhere.Location.Country = "LATEST0000000000000000000B", "BR"
	late.Location.Country = "SE"
	for _, a := range []signin.Attempt{late, elsewhere} {
		if err := h.Store().Fail(t.Context(), a, nil, operator()); err != nil {
			t.Fatal(err)
		}
	}
	becomes(t, tab, "document.getElementById('event-LATEST0000000000000000000A') !== null")
	if n := count(); n != before+1 {
		t.Errorf("%d rows, want one more than %d: the filter holds for new ones, too", n, before)
	}
	var first, said, focused string
	tab.Eval("document.querySelector('#sign-ins-rows tr').id", &first)
	tab.Eval("document.querySelector('[data-follow-said]').textContent", &said)
	tab.Eval("document.activeElement.className", &focused)
	tab.Eval("document.activeElement.getBoundingClientRect().top", &top2)
	if first != "event-LATEST0000000000000000000A" || said != "1 new event" || focused != "title" {
		t.Errorf("the first row is %q, said is %q, the focus is on %q", first, said, focused)
	}
	if top2 < top-2 || top2 > top+2 {
		t.Errorf("what had the focus moved from %.1f to %.1f", top, top2)
	}

	tab.Click("button", "Pause")
	late.ID = "LATEST0000000000000000000C"
	if err := h.Store().Fail(t.Context(), late, nil, operator()); err != nil {
		t.Fatal(err)
	}
	tab.Eval("new Promise((done) => setTimeout(done, 6000))", nil)
	if n := count(); n != before+1 {
		t.Errorf("%d rows while it is paused, want %d", n, before+1)
	}
	tab.Click("button", "Pause")
	becomes(t, tab, "document.getElementById('event-LATEST0000000000000000000C') !== null")
}

// TestBrowserSignInsFilter filters, removes a filter, and loads older events.
func TestBrowserSignInsFilter(t *testing.T) {
	h := newHouse(t)
	mira := h.person(t, "Mira", "Security")
	last := tries(t, h, 180, h.Owner, mira)
	tab := h.signedIn(t, h.Owner, browsertest.Wide())
	tab.Go("/sign-ins")
	tab.Click("link", "Load older")
	becomes(t, tab, "location.search.includes('before=')")
	tab.Go("/sign-ins?q=mira&result=failed&time=24h")
	becomes(t, tab, "document.querySelectorAll('.chip').length === 3")
	var wrong int
	tab.Eval("[...document.querySelectorAll('#sign-ins-rows tr')].filter((r) => !r.textContent.includes('Mira')).length", &wrong)
	if wrong > 0 {
		t.Errorf("%d rows are of others than Mira", wrong)
	}
	tab.Go(fmt.Sprintf("/sign-ins/%d-%s", last.At.UnixMicro(), last.ID))
	becomes(t, tab, "document.querySelector('#event-json') !== null")
	var text string
	tab.Eval("JSON.parse(document.querySelector('#event-json').textContent).uuid", &text)
	if text != last.ID {
		t.Errorf("the JSON is of %q", text)
	}
}
