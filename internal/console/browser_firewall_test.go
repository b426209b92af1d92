package console_test

import (
	"testing"

	"holdfast/internal/server/browsertest"
	"holdfast/internal/signin"
)

// rules gives the house's account rules, which no guard looks at, and returns the last one.
func (h *house) rules(t *testing.T, rules ...signin.Rule) (last signin.Rule) {
	t.Helper()
	for _, r := range rules {
		r.AccountID = h.Account.ID
		var err error
		if last, err = h.SignIn().AddRule(t.Context(), r, signin.Guard{Accept: true}, operator()); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// someRules are of every kind and action; the last one matches people of [tries].
func someRules() []signin.Rule {
	return []signin.Rule{
		{Action: signin.Allow, Kind: signin.MatchAddress, Value: "198.51.100.0/24", Note: "Offices in Leeds and Linköping"},
		{Action: signin.Report, Kind: signin.MatchContinent, Value: "OC"}, {Action: signin.Deny, Kind: signin.MatchAnonymous},
		{Action: signin.Report, Kind: signin.MatchCountry, Value: "SE", Note: "Nobody of ours is there at present"},
	}
}

// TestBrowserFirewall makes, orders and removes rules, and sees whom they would have met.
func TestBrowserFirewall(t *testing.T) {
	h := newHouse(t)
	mira, sol := h.person(t, "Mira"), h.person(t, "Sol")
	tries(t, h, 40, mira, sol)
	tab := h.signedIn(t, h.Owner)
	tab.Go("/firewall")
	tab.MustHave("No rules yet", "No rule matches.")
	tab.Click("link", "Add rule")
	if tab.Exists("textbox", "Address or network") || !tab.Exists("combobox", "Country") {
		t.Error("the form asks for another value than that of the kind chosen")
	}
	tab.Click("button", "Show preview")
	tab.MustHave("no country")
	tab.Choose("Country", "Brazil")
	tab.Wait("This rule would have decided about 10 attempts")
	tab.MustHave("of 1 person.", "Sol")
	tab.Check("Address or network")
	tab.Fill("Address or network", "127.0.0.0/8")
	tab.Press("Tab")
	tab.Wait("You could not sign in any more from where you are.")
	tab.Click("button", "Add rule")
	tab.MustHave("Add a rule before it that allows your address")
	tab.Check("Report")
	tab.Check("Country")
	tab.Choose("Country", "Brazil")
	tab.Wait("This rule would have decided about 10 attempts")
	tab.Fill("Note", "Nobody of ours is there")
	tab.Click("button", "Add rule")
	tab.MustHave("The rule is in force.", "Brazil", "Nobody of ours is there", "Report")

	h.rules(t, signin.Rule{Action: signin.Deny, Kind: signin.MatchAnonymous})
	tab.Go("/firewall")
	tab.TabTo("button", "Move up rule 2, Anonymous networks")
	tab.Press("Enter")
	tab.MustHave("The order is changed.")
	if !tab.Exists("button", "Move down rule 1, Anonymous networks") || !tab.Disabled("button", "Move up rule 1, Anonymous networks") {
		t.Errorf("the order is %q", tab.Names("button"))
	}
	tab.Click("link", "Brazil")
	tab.Check("Deny")
	tab.Wait("Denied")
	tab.Click("button", "Save rule")
	tab.MustHave("The rule is in force as it is now.")
	tab.Click("link", "Remove rule 1, Anonymous networks")
	tab.Click("button", "Remove rule")
	tab.MustHave("The rule is removed.")
	rules, err := h.SignIn().Rules(t.Context(), h.Account.ID)
	if err != nil || len(rules) != 1 || rules[0].String() != "deny country BR" {
		t.Errorf("rules %v, error %v, want that which denies Brazil alone", rules, err)
	}
}

// TestBrowserFirewallDenies signs in from a place that a rule denies.
func TestBrowserFirewallDenies(t *testing.T) {
	h := newHouse(t)
	h.rules(t, signin.Rule{Action: signin.Deny, Kind: signin.MatchAddress, Value: "127.0.0.0/8"})
	tab := h.open(t)
	tab.Go("/sign-in")
	enter(tab, h.Owner.Email, "not her password at all")
	tab.MustNotHave("not allowed")
	enter(tab, h.Owner.Email, password)
	tab.MustHave("Sign-ins from here are not allowed.")
	if token(tab) != "" {
		t.Error("there is a session all the same")
	}
	german := h.open(t, browsertest.Lang("de"))
	german.Go("/sign-in")
	german.Fill("E-Mail-Adresse", h.Owner.Email)
	german.Fill("Passwort", password)
	german.Click("button", "Anmelden")
	german.MustHave("Anmeldungen von hier sind nicht zugelassen.")
}
