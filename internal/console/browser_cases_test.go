package console_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
	"holdfast/internal/server/browsertest"
	"holdfast/internal/web"
)

// watched sets up two playbooks and guard rails for three people: one suspends the first two, who work at night, after a
// yes of an owner; the other asks the third.
func (h *house) watched(t *testing.T, names [3]string) (sol, noor, mira directory.User) {
	t.Helper()
	ctx, account, by := t.Context(), h.Account.ID, audit.Entry{Actor: "user:" + h.Owner.ID}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	night, err := h.Directory().CreateGroup(ctx, account, "Guards", by)
	must(err)
	sol, noor, mira = h.person(t, names[0]), h.person(t, names[1]), h.person(t, names[2])
	for _, u := range []directory.User{sol, noor} {
		must(h.Store().AddMember(ctx, account, night.ID, u.ID, by))
	}
	_, err = h.Store().ChangeGuard(ctx, account, func(g *respond.Guard) error {
		g.MaxShare, g.MaxPeople = 100, 20 // there are only a few people
		return g.Check()
	}, by)
	must(err)
	_, err = h.Targets().Add(ctx, account, respond.NewTarget{
		Name: "elsewhere", Kind: respond.KindUsersAPI, Secret: seal.NewSecret("not-used-anywhere-else"),
		Config: respond.TargetConfig{BaseURL: "https://127.0.0.1:9", AccountID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", ClientID: "8c1f"}, // nothing answers
	}, by)
	must(err)
	for name, text := range map[string]string{
		"night": `when: '"Guards" in user.groups'
approval: {order: before, from: {groups: [Owners], not: [self]}, timeout: 1h, on_timeout: deny}
do: [{suspend: {for: 24h, release: if_quiet}}, {end_sessions: {}}]
`,
		"day": `when: '!("Guards" in user.groups)'
do: [{suspend: {for: 24h, release: if_quiet, targets: [elsewhere]}}, {ask_person: {within: 4h, on_confirm: release, on_deny: keep, on_silence: keep}}]
`,
	} {
		head := "apiVersion: holdfast/v1\nkind: Playbook\nmetadata: {name: " + name + ", owner: secops}\nmode: enforce\non: [sanctioned_country]\n"
		_, err := h.Respond().SavePlaybook(ctx, account, name, head+text, 0, by)
		must(err)
		_, err = h.Respond().SetMode(ctx, account, name, respond.ModeEnforce, by)
		must(err)
	}
	return sol, noor, mira
}

// caseOf makes the server find something about the person, and waits until the playbooks have seen it.
func (h *house) caseOf(t *testing.T, u directory.User) respond.Record {
	t.Helper()
	h.finding(t, u)
	return h.caseWith(t, u, func(rec respond.Record) bool { return len(rec.Runs) > 0 })
}

// caseWith waits until the person's case is so.
func (h *house) caseWith(t *testing.T, u directory.User, so func(respond.Record) bool) respond.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var rec respond.Record
	for {
		all, err := h.Store().CaseList(ctx, respond.CaseQuery{AccountID: u.AccountID, PersonID: u.ID, Limit: 1})
		if err == nil && len(all) > 0 {
			if rec, err = h.Store().Case(ctx, u.AccountID, all[0].ID); err == nil && so(rec) {
				return rec
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the case of %s does not get there: %v; it is %+v", u.Email, err, rec)
		case <-tick.C:
		}
	}
}

// held reports whether the person is suspended.
func (h *house) held(t *testing.T, u directory.User) bool {
	t.Helper()
	now, err := h.Store().User(t.Context(), u.AccountID, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	return now.Suspended
}

// casesPages makes three cases, and lists the pages about them: one waits for an approval, one holds its person, one was
// held back.
func (h *house) casesPages(t *testing.T) map[string]string {
	t.Helper()
	ctx, account, by := t.Context(), h.Account.ID, audit.Entry{Actor: "user:" + h.Owner.ID}
	ada, bo, kit := h.watched(t, [3]string{"Ada", "Bo", "Kit"})
	waits, holds := h.caseOf(t, ada), h.caseOf(t, bo)
	_, err := h.Respond().Answer(ctx, account, holds.Approvals[0].ID, h.Owner.ID, respond.Answering{Approve: true, Door: respond.DoorConsole}, by)
	if err != nil {
		t.Fatal(err)
	}
	h.caseWith(t, bo, func(rec respond.Record) bool { return rec.Case.State == respond.CaseContained })
	if _, err := h.Respond().Kill(ctx, account, respond.DoorConsole, "A drill", by); err != nil {
		t.Fatal(err)
	}
	stopped := h.caseOf(t, kit)
	if _, err := h.Respond().Resume(ctx, account, "The drill is over", by); err != nil {
		t.Fatal(err)
	}
	run := slices.IndexFunc(stopped.Runs, func(r respond.Run) bool { return r.State == respond.RunHeld })
	if run < 0 {
		t.Fatalf("no run was held back: %+v", stopped.Runs)
	}
	w, c := fmt.Sprintf("/cases/%d", waits.Case.Number), fmt.Sprintf("/cases/%d", holds.Case.Number)
	return map[string]string{
		"cases": "/cases", "cases-none": "/cases?state=closed&level=low", "case-waiting": w, "case-approval": w + "/approvals/" + waits.Approvals[0].ID,
		"case-held": c, "case-undo": c + "/undo", "case-close": c + "/close", "case-suspend": w + "/suspend",
		"case-go-on": fmt.Sprintf("/cases/%d/runs/%s/go-on", stopped.Case.Number, stopped.Runs[run].ID),
	}
}

// seen looks at a page that the sweep of all pages cannot reach: nothing breaks its width, and axe-core finds nothing.
func seen(t *testing.T, tab *browsertest.Tab, name string) {
	t.Helper()
	tab.Look(browsertest.Size(390, 844), browsertest.Dark())
	tab.Axe()
	tab.Screenshot(name + "_en_390dark")
	var wider int
	if tab.Eval("document.documentElement.scrollWidth - document.documentElement.clientWidth", &wider); wider > 0 {
		t.Errorf("%s is %d px too wide", name, wider)
	}
}

// TestBrowserCases follows a finding through the console: an owner says yes to a suspension, keeps it, undoes it, and
// closes the case.
func TestBrowserCases(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	sol, noor, mira := h.watched(t, [3]string{"Sol", "Noor", "Mira"})
	rec := h.caseOf(t, sol)
	tab := h.signedIn(t, h.Owner, browsertest.Wide())
	tab.Go("/cases")
	tab.MustHave("Waiting for an answer", "Sol")
	tab.Click("link", rec.Case.Title)
	tab.MustHave("Suspend Sol for", "Guard decisions: night", "Asks first", "203.0.113.66", "Damascus")
	tab.Click("link", "Approve hold")
	tab.Click("button", "Deny")
	tab.MustHave("Asks first") // still here: who denies says why
	if h.held(t, sol) {
		t.Fatal("suspended before anybody said yes")
	}
	tab.Click("button", "Approve hold")
	tab.MustHave("Approved.")
	rec = h.caseWith(t, sol, func(rec respond.Record) bool { return rec.Case.State == respond.CaseContained })
	if !h.held(t, sol) {
		t.Error("the case holds nobody")
	}
	h.live(t, token(tab), rec)
	tab.Reload()
	tab.MustHave("Sol is held by this case.")
	tab.Click("button", "Keep hold")
	tab.MustHave("The hold is kept until a person ends it.")
	tab.Click("button", "Let it end by itself")
	tab.Fill("Add a note", "<b>Called her</b>, it was not her.")
	tab.Click("button", "Add note")
	tab.MustHave("<b>Called her</b>, it was not her.")
	tab.Choose("Given to", h.Owner.DisplayName)
	tab.Click("button", "Assign case")
	tab.MustHave("Case assigned.", "Given to "+h.Owner.DisplayName)

	tab.Go("/people/" + sol.ID)
	tab.Click("link", fmt.Sprintf("Case %d", rec.Case.Number))
	tab.Click("link", "Undo hold")
	tab.Fill("Reason", "She was on a business trip")
	tab.Click("button", "Undo hold")
	tab.MustHave("Undone.")
	h.caseWith(t, sol, func(rec respond.Record) bool { return rec.Case.State == respond.CaseOpen })
	if h.held(t, sol) {
		t.Error("still suspended after undoing")
	}
	tab.Click("link", "Close case")
	tab.Click("button", "Close case")
	tab.MustHave("Choose what it turned out to be.")
	tab.Choose("What it turned out to be", "A false alarm")
	tab.Click("button", "Close case")
	tab.MustHave("Case closed.", "Closed", "A false alarm")
	h.goOn(t, tab, noor)
	h.asked(t, mira)
}

// live asks for news of the case as its page does.
func (h *house) live(t *testing.T, session string, rec respond.Record) {
	t.Helper()
	header := http.Header{"Accept": {"text/html"}, "Cookie": {web.SessionCookie + "=" + session}}
	last := int64(0)
	for _, m := range rec.Moments {
		last = max(last, m.Seq)
	}
	path := fmt.Sprintf("/cases/%d/live?since=", rec.Case.Number)
	if a := h.Do(t, "GET", path+"0", "", header); a.Status != http.StatusOK || !strings.Contains(a.Body, `id="case-live"`) || strings.Contains(a.Body, "<html") {
		t.Errorf("news of the case: %d %.300s", a.Status, a.Body)
	}
	if a := h.Do(t, "GET", path+fmt.Sprint(last), "", header); a.Status != http.StatusNoContent {
		t.Errorf("no news of the case: %d", a.Status)
	}
}

// goOn has a run held back by the kill switch, and goes on with it; the owner says yes by a link without being signed in.
func (h *house) goOn(t *testing.T, tab *browsertest.Tab, noor directory.User) {
	t.Helper()
	ctx, account, by := t.Context(), h.Account.ID, audit.Entry{Actor: "user:" + h.Owner.ID}
	if _, err := h.Respond().Kill(ctx, account, respond.DoorConsole, "A drill", by); err != nil {
		t.Fatal(err)
	}
	rec := h.caseOf(t, noor)
	tab.Go("/cases/" + rec.Case.ID)
	tab.MustHave("Held for a person", "Kill switch on")
	tab.Click("link", "Go on with the playbook night")
	tab.Click("button", "Go on")
	tab.MustHave("kill switch is on")
	if _, err := h.Respond().Resume(ctx, account, "The drill is over", by); err != nil {
		t.Fatal(err)
	}
	tab.Click("button", "Go on")
	tab.MustHave("The playbook goes on.", "Suspend Noor for")
	tab.Click("link", "Suspend")

	rec = h.caseWith(t, noor, func(rec respond.Record) bool { return len(rec.Approvals) > 0 })
	token, hash := seal.NewCredential("hfl_")
	h.Secrets.Learn(token.Reveal())
	err := h.Store().AddLink(ctx, respond.Link{AccountID: account, ApprovalID: rec.Approvals[0].ID, UserID: h.Owner.ID, Hash: hash[:], ExpiresAt: rec.Approvals[0].ExpiresAt})
	if err != nil {
		t.Fatal(err)
	}
	out := h.open(t, browsertest.Wide())
	out.Go(respond.LinkPath + token.Reveal())
	out.MustHave("Suspend Noor for", "Guard decisions: night")
	seen(t, out, "case-link")
	if h.held(t, noor) {
		t.Fatal("looking at the link has suspended")
	}
	out.Click("button", "Deny")
	out.Click("button", "Approve hold")
	out.MustHave("Approved.", "This link was used already.")
	h.caseWith(t, noor, func(rec respond.Record) bool { return rec.Case.State == respond.CaseContained })
	if !h.held(t, noor) {
		t.Error("the link has not suspended")
	}
	a := h.Do(t, "GET", respond.LinkPath+token.Reveal(), "", http.Header{"Accept": {"text/html"}})
	if got := a.Header.Get("Referrer-Policy"); a.Status != http.StatusOK || got != "strict-origin" {
		t.Errorf("the link's page: %d, Referrer-Policy %q", a.Status, got)
	}
}

// asked is a person who is asked whether it was them.
func (h *house) asked(t *testing.T, mira directory.User) {
	t.Helper()
	rec := h.caseOf(t, mira)
	if len(rec.Questions) == 0 {
		t.Fatalf("nobody is asked: %+v", rec.Runs)
	}
	own := h.signedIn(t, mira, browsertest.Wide())
	own.Go("/")
	own.MustHave("Waiting for you")
	seen(t, own, "overview-asked")
	own.Click("link", "Was it you?")
	own.MustHave("Damascus")
	seen(t, own, "question")
	own.Click("button", "It was not me")
	own.MustHave("The security team knows.")
	own.MustNotHave("Waiting for you")
	rec = h.caseWith(t, mira, func(rec respond.Record) bool { return rec.Questions[0].State != respond.QuestionPending })
	if got := rec.Questions[0].State; got != respond.QuestionDenied {
		t.Errorf("the question is %s", got)
	}
}
