package console_test

import (
	"context"
	"testing"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/origin"
	"holdfast/internal/server/browsertest"
	"holdfast/internal/signin"
)

// finding makes the server find something: the person signed in from a country on the list of sanctioned ones.
func (h *house) finding(t *testing.T, u directory.User) detect.StoredFinding {
	t.Helper()
	err := h.Store().ImportAttempts(t.Context(), u.AccountID, []signin.Attempt{{
		AccountID: u.AccountID, At: h.clock.Now(), Category: signin.Success, Type: signin.CredentialsOK, SessionID: "FOUND",
		UserID: u.ID, Name: u.DisplayName, Email: u.Email, Method: signin.ByPassword,
		Client: origin.Client{Address: "203.0.113.66", UserAgent: "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"}, Location: origin.Location{Country: "SY", City: "Damascus"},
	}}, operator())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for after := int64(0); ; {
		if err := h.Store().WaitFindings(ctx, u.AccountID, after); err != nil {
			t.Fatalf("nothing was found: %v", err)
		}
		all, err := h.Store().FindingList(ctx, detect.FindingQuery{AccountID: u.AccountID, Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.Rule == "sanctioned_country" && f.PersonID == u.ID {
				return f
			}
			after = max(after, f.Seq)
		}
	}
}

// TestBrowserFindings looks at a finding and why it is one, judges it, sets its rule otherwise, makes and
// removes an exception, and tries the rule.
func TestBrowserFindings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mira := h.person(t, "Mira")
	tab := h.signedIn(t, h.Owner, browsertest.Wide())
	tab.Go("/findings")
	tab.MustHave("Nothing was found yet")
	f := h.finding(t, mira)
	tab.Wait(f.Explain["en"]) // by itself
	tab.Choose("Level", "Low")
	tab.Wait("No finding is like that")
	tab.Click("link", "Clear all")
	tab.Click("link", f.Explain["en"])
	tab.MustHave("Critical", "Damascus", "203.0.113.66", "Mira", "Why")
	tab.Click("button", "Judge harmless")
	tab.MustHave("Judged harmless. Its habits are learned.", "Harmless")
	if got, err := h.Store().Finding(t.Context(), h.Account.ID, f.ID); err != nil || !got.Harmless || got.JudgedBy != "user:"+h.Owner.ID {
		t.Errorf("it is %+v, %v", got, err)
	}
	tab.Click("button", "Judge not harmless")
	tab.MustHave("Judged not harmless.")

	tab.Click("link", f.Title)
	tab.MustHave("Findings, last 30 days", "No exceptions. It finds everybody.", "Source")
	tab.Choose("Level", "Low")
	tab.Click("button", "Save settings")
	tab.MustHave("The rule is set.", "Tuned")
	tab.Click("link", "Add exception")
	tab.Fill("Field", "src_endpoint.ip")
	tab.Fill("Values", "203.0.113.0/24")
	tab.Click("button", "Add exception")
	tab.MustHave("An exception needs a reason")
	tab.Fill("Reason", "Our office in Damascus")
	tab.Click("button", "Add exception")
	tab.MustHave("The exception is in force.", "203.0.113.0/24", "Our office in Damascus")
	tab.Click("button", "Remove exception src_endpoint.ip 203.0.113.0/24")
	tab.MustHave("The exception is removed.", "No exceptions.")
	tab.In("region", "Settings").Click("button", "Try on history")
	tab.MustHave("1 finding.", "Nothing of this was stored.", f.Explain["en"])
}

// ownRule is the text of a rule that finds whoever comes from Syria; its first line is faulty if the title is empty.
func ownRule(title string) string {
	return "title: " + title + `
name: from_syria
level: low
taxonomy: ocsf
logsource: {product: holdfast, category: authentication, service: signin}
detection: {somebody: {activity_name: Logon, src_endpoint.location.country: SY}, condition: somebody}
holdfast: {explain: {en: "Somebody came from Syria."}}
`
}

// TestBrowserRules writes a rule of the account's own: with a fault, tried, saved, removed; and a list.
func TestBrowserRules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.finding(t, h.person(t, "Mira"))
	tab := h.signedIn(t, h.Owner, browsertest.Wide())
	tab.Go("/rules")
	tab.MustHave("Rules that find", "Parts of other rules", "1 finding in 30 days")
	tab.Click("link", "New rule")
	tab.Fill("Text of the rule", ownRule("A\nlevvel: low"))
	tab.Click("button", "Save rule")
	tab.MustHave("Line 2", "levvel", "Nothing was saved.")
	tab.Axe()
	tab.Fill("Text of the rule", ownRule("Somebody from Syria"))
	tab.Click("button", "Try on history")
	tab.MustHave("1 finding.", "About 1 person.", "Somebody came from Syria.")
	tab.Axe()
	tab.Click("button", "Save rule")
	tab.MustHave("The rule is saved and in use.", "Somebody from Syria")
	tab.Click("link", "Remove rule")
	tab.Click("button", "Remove rule")
	tab.MustHave("The rule is removed.")

	tab.Click("link", "Lists")
	tab.Fill("Name", "offices")
	tab.Click("button", "Make list")
	tab.MustHave("The list is there.")
	tab.Fill("Entries", "*")
	tab.Click("button", "Add entries")
	tab.MustHave("stands for everything")
	tab.Fill("Entries", "198.51.100.0/24")
	tab.Fill("Note", "Leeds")
	tab.Click("button", "Add entries")
	tab.MustHave("The entries are in force.", "198.51.100.0/24", "Leeds")
	tab.Click("button", "Remove 198.51.100.0/24")
	tab.MustHave("The entry is removed.", "The account has added nothing.")
}
