package console_test

import (
	"strings"
	"testing"

	"holdfast/internal/audit"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
	"holdfast/internal/server/browsertest"
)

// responsePages sets up what playbooks work with, and lists the pages about it.
func (h *house) responsePages(t *testing.T) map[string]string {
	t.Helper()
	ctx, account, by := t.Context(), h.Account.ID, audit.Entry{Actor: "user:" + h.Owner.ID}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := h.Targets().Add(ctx, account, respond.NewTarget{
		Name: "headquarters", Kind: respond.KindUsersAPI, Secret: seal.NewSecret("not-used-anywhere-else"),
		Config: respond.TargetConfig{BaseURL: "https://holdfast.example.org", AccountID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", ClientID: "8c1f"},
	}, by)
	must(err)
	_, err = h.Channels().Add(ctx, account, respond.NewChannel{
		Name: "night-desk", Kind: respond.ChannelEmail, Pages: true,
		Config: respond.ChannelConfig{Host: "smtp.example.org", From: "holdfast@example.org", To: []string{"night@example.org"}},
	}, by)
	must(err)
	_, err = h.Respond().SetMode(ctx, account, "mfa-fatigue", respond.ModeEnforce, by)
	must(err)
	_, err = h.Store().ChangeGuard(ctx, account, func(g *respond.Guard) error {
		g.People = []respond.Protected{{ID: h.Owner.ID, Why: "Answers for the company in the night", Until: h.clock.Now().AddDate(0, 1, 0)}}
		g.BreakGlass = []string{h.Owner.ID}
		return g.Check()
	}, by)
	must(err)
	return map[string]string{
		"guard-rails": "/guard-rails", "guard-protect": "/guard-rails/protect?kind=people", "guard-protect-group": "/guard-rails/protect?kind=groups",
		"playbooks": "/playbooks", "playbook": "/playbooks/mfa-fatigue", "playbook-new": "/playbooks/new", "playbook-edit": "/playbooks/mfa-fatigue/edit",
		"playbook-mode": "/playbooks/mfa-fatigue/mode", "playbook-remove": "/playbooks/mfa-fatigue/remove", "rehearsal": "/rehearsal?playbook=mfa-fatigue",
		"targets": "/targets", "target-new": "/targets/new", "target-edit": "/targets/headquarters/edit", "target-remove": "/targets/headquarters/remove",
		"channels": "/channels", "channel-kind": "/channels/new", "channel-email": "/channels/night-desk/edit", "channel-webhook": "/channels/new?kind=webhook",
		"channel-remove": "/channels/night-desk/remove",
	}
}

// TestBrowserKillSwitch turns the kill switch on with a session that is not fresh, since who does so has no time; a
// playbook with faults is shown again with its text and the line; and a rehearsal comes to its end.
func TestBrowserKillSwitch(t *testing.T) {
	h := newHouse(t)
	tab := h.signedIn(t, h.Owner, browsertest.Wide())
	h.stale(t, h.Owner)
	tab.Go("/guard-rails")
	tab.Fill("Reason", "Something is wrong with the feed")
	tab.Click("button", "Stop all playbooks")
	if p := h.path(tab); !strings.HasPrefix(p, "/guard-rails?done=guard_killed") {
		t.Fatalf("after the kill switch: %s", p)
	}
	g, err := h.Respond().Guard(t.Context(), h.Account.ID)
	if err != nil || !g.Kill.On || g.Kill.Door != respond.DoorConsole || g.Kill.By != "user:"+h.Owner.ID {
		t.Fatalf("kill switch: %+v, %v", g.Kill, err)
	}
	tab.Go("/guard-rails")
	tab.Fill("Reason", "It was a drill")
	tab.Click("button", "Let playbooks act again")
	if p := h.path(tab); !strings.HasPrefix(p, "/confirm") {
		t.Fatalf("resuming needs no fresh session: %s", p)
	}

	h.seat(t, tab, h.Owner)
	tab.Go("/guard-rails")
	tab.Fill("Reason", "It was a drill")
	tab.Click("button", "Let playbooks act again")
	if g, err = h.Respond().Guard(t.Context(), h.Account.ID); err != nil || g.Kill.On {
		t.Fatalf("after resuming: %+v, %v", g.Kill, err)
	}

	tab.Go("/playbooks/new")
	const text = "apiVersion: holdfast/v1\nkind: Playbook\nmetadata: {name: mine}\nmode: sometimes\n"
	tab.Fill("Text of the playbook", text)
	tab.Click("button", "Save playbook")
	var shown, kept string
	tab.Eval("document.querySelector('.note--bad').innerText", &shown)
	tab.Eval("document.getElementById('text').value", &kept)
	if !strings.Contains(shown, "Line 4") || strings.TrimSpace(kept) != strings.TrimSpace(text) {
		t.Errorf("faults %q, text %q", shown, kept)
	}

	tab.Go("/rehearsal?playbook=mfa-fatigue")
	tab.Click("button", "Rehearse")
	tab.Wait("Nobody would have been suspended")
}
