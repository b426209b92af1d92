package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/problem"
	"holdfast/internal/store"
)

// tokensOf is a service whose clock stands.
func tokensOf(db *store.DB, now time.Time) *feed.Service {
	return &feed.Service{Store: db, Keys: db.Keys(), URL: "https://events.example:8443", Now: func() time.Time { return now }}
}

func newToken(name string) feed.NewToken {
	return feed.NewToken{Name: name, Features: []feed.Stream{feed.SignInAttempts, feed.AuditEvents}, Life: 30 * 24 * time.Hour}
}

func testEventsTokens(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	b, _ := Account(t, db)
	now := time.Now().UTC().Truncate(time.Second)
	s := tokensOf(db, now)

	n := newToken(" SIEM ")
	n.Key = "form-1"
	made := of(s.Issue(t.Context(), a.ID, n, person(owner))).must(t)
	want := feed.Token{
		AccountID: a.ID, ID: made.Token.ID, KeyID: made.Token.KeyID, Name: "SIEM", Features: []feed.Stream{feed.AuditEvents, feed.SignInAttempts},
		CreatedAt: now, CreatedBy: "user:" + owner.ID, CreateKey: "form-1", ExpiresAt: now.Add(30 * 24 * time.Hour),
	}
	if diff := cmp.Diff(want, made.Token); diff != "" {
		t.Errorf("issued (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, of(s.Token(t.Context(), a.ID, want.ID)).must(t)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if e := last(t, db, a.ID); e.Action != audit.EventsTokenCreate || e.Target != "events_token:"+want.ID || strings.Contains(e.Reason, made.Text.Reveal()) {
		t.Errorf("entry %+v", e)
	}
	_, err := s.Issue(t.Context(), a.ID, n, person(owner))
	if id, again := feed.AlreadyCreated(err); !again || id != want.ID {
		t.Errorf("a second token of one form: %v", err)
	}
	of(s.Issue(t.Context(), b.ID, n, By())).must(t) // another account's form
	n.Key, n.Life = "", 0
	second := of(s.Issue(t.Context(), a.ID, n, By())).must(t)
	if second.Token.ID == want.ID || !second.Token.ExpiresAt.IsZero() {
		t.Errorf("second token %+v", second.Token)
	}
	if all := of(s.Tokens(t.Context(), a.ID)).must(t); len(all) != 2 {
		t.Errorf("%d tokens in the list", len(all))
	}

	for name, is := range map[string]struct {
		account, id, text string
		want              bool
	}{
		"its_text":        {a.ID, want.ID, made.Text.Reveal(), true},
		"another_token":   {a.ID, second.Token.ID, made.Text.Reveal(), false},
		"another_account": {b.ID, want.ID, made.Text.Reveal(), false},
		"no_token":        {a.ID, want.ID, "eyJ", false},
	} {
		if got := of(s.Is(t.Context(), is.account, is.id, is.text)).must(t); got != is.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	_, err = s.Token(t.Context(), b.ID, want.ID)
	wantKind(t, err, problem.NotFound)

	text := made.Text.Reveal()
	if _, err := s.Authorize(t.Context(), text); err != nil {
		t.Errorf("a live token: %v", err)
	}
	wantKind(t, s.Revoke(t.Context(), b.ID, want.ID, By()), problem.NotFound)
	wantKind(t, s.Revoke(t.Context(), a.ID, "AAAA", By()), problem.NotFound)
	for range 2 { // the second time nothing changes
		if err := s.Revoke(t.Context(), a.ID, want.ID, person(owner).Because("leaked")); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.Authorize(t.Context(), text)
	wantKind(t, err, problem.Unauthenticated)
	entries := of(db.AuditEntries(t.Context(), audit.Query{AccountID: a.ID, Target: "events_token:" + want.ID, Actions: []audit.Action{audit.EventsTokenRevoke}, Limit: 5})).must(t)
	if len(entries) != 1 || entries[0].Entry.Reason != "SIEM: leaked" {
		t.Errorf("revoked twice has the entries %+v", entries)
	}
	if got := of(s.Token(t.Context(), a.ID, want.ID)).must(t); got.RevokedAt.IsZero() {
		t.Error("the token is not revoked")
	}
	_, err = tokensOf(db, now.Add(30*24*time.Hour)).Authorize(t.Context(), second.Text.Reveal())
	if err != nil {
		t.Errorf("a token for ever: %v", err)
	}
}

// testEventsKeys: tokens of an earlier key stay good, unless they are to be revoked.
func testEventsKeys(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	s := tokensOf(db, time.Now())
	s.Now = time.Now // the newest key signs
	first := of(s.Issue(t.Context(), a.ID, newToken("first"), By())).must(t)
	other := of(s.Issue(t.Context(), b.ID, newToken("other"), By())).must(t)
	if err := s.RotateKey(t.Context(), false, By()); err != nil {
		t.Fatal(err)
	}
	if e := last(t, db, audit.System); e.Action != audit.EventsKeyRotate || e.Reason != "tokens of earlier keys stay good" {
		t.Errorf("entry %+v", e)
	}
	second := of(s.Issue(t.Context(), a.ID, newToken("second"), By())).must(t)
	if first.Token.KeyID == second.Token.KeyID {
		t.Error("the new key does not sign")
	}
	for _, issued := range []feed.Issued{first, other, second} {
		if _, err := s.Authorize(t.Context(), issued.Text.Reveal()); err != nil {
			t.Errorf("after rotation, %s: %v", issued.Token.Name, err)
		}
	}
	if err := s.RotateKey(t.Context(), true, By()); err != nil {
		t.Fatal(err)
	}
	third := of(s.Issue(t.Context(), a.ID, newToken("third"), By())).must(t)
	for _, issued := range []feed.Issued{first, other, second} {
		_, err := s.Authorize(t.Context(), issued.Text.Reveal())
		wantKind(t, err, problem.Unauthenticated)
	}
	if _, err := s.Authorize(t.Context(), third.Text.Reveal()); err != nil {
		t.Errorf("a token of the newest key: %v", err)
	}
	if e := last(t, db, b.ID); e.Action != audit.EventsTokenRevoke || e.Target != "events_token:"+other.Token.ID {
		t.Errorf("the other account's entry %+v", e)
	}
	if e := last(t, db, audit.System); e.Action != audit.EventsKeyRotate || !strings.HasPrefix(e.Reason, "3 tokens") {
		t.Errorf("the installation's entry %+v", e)
	}
	if keys := of(db.SigningKeys(t.Context())).must(t); len(keys) != 3 || keys[0].ID != third.Token.KeyID {
		t.Errorf("%d keys", len(keys))
	}
}

func testEventsUse(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	now := time.Now().UTC().Truncate(time.Microsecond)
	s := tokensOf(db, now)
	made, idle := of(s.Issue(t.Context(), a.ID, newToken("busy"), By())).must(t), of(s.Issue(t.Context(), a.ID, newToken("idle"), By())).must(t)
	id := made.Token.ID
	r := feed.NewRecorder(db, nil)
	record := func(account, token string, f feed.Stream, ago time.Duration, events, refused int64, agent string) {
		at := now.Add(-ago)
		r.Record(feed.TokenUse{
			AccountID: account, TokenID: token, Feature: f, Hour: at.Truncate(time.Hour), Calls: 1, Refused: refused, Events: events,
			LastAt: at, LastAddress: "192.0.2.1", LastUserAgent: agent,
		})
	}
	const hours, days = time.Hour, 24 * time.Hour
	record(a.ID, id, feed.SignInAttempts, 0, 100, 0, "new\x00 \xffagent")
	record(a.ID, id, feed.SignInAttempts, time.Minute, 0, 1, "older")
	record(a.ID, id, feed.SignInAttempts, 48*hours, 7, 0, "x")
	record(a.ID, id, feed.SignInAttempts, 40*days, 9, 1, "x")
	record(a.ID, id, feed.SignInAttempts, 100*days, 11, 0, "x")
	record(a.ID, id, feed.AuditEvents, 95*days, 3, 0, "x")
	record(a.ID, "AAAA", feed.AuditEvents, 0, 1, 0, "no token")
	record(b.ID, id, feed.AuditEvents, 0, 1, 0, "not its account")
	for range 2 { // the second time there is nothing to write
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	record(a.ID, id, feed.SignInAttempts, 30*time.Minute, 5, 0, "merged")
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := feed.Activity{
		LastAt: now, LastAddress: "192.0.2.1", LastUserAgent: "new agent",
		Reads: []feed.Reads{
			{Stream: feed.AuditEvents, LastAt: now.Add(-95 * days)},
			{Stream: feed.SignInAttempts, Calls24h: 3, Events24h: 105, Calls30d: 4, Events30d: 112, Refused: 2, LastAt: now},
		},
	}
	for _, when := range []string{"before", "after", "again"} {
		if diff := cmp.Diff(want, of(s.Activity(t.Context(), a.ID, id)).must(t)); diff != "" {
			t.Errorf("activity %s purging (-want +got):\n%s", when, diff)
		}
		if diff := cmp.Diff(map[string]time.Time{id: now}, of(s.LastUses(t.Context(), a.ID)).must(t)); diff != "" {
			t.Errorf("last uses %s purging (-want +got):\n%s", when, diff)
		}
		if err := s.PurgeUses(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	raw := p.raw(t)
	var rows, events int64
	if err := raw.QueryRow("SELECT COUNT(*), SUM(events) FROM events_token_activity").Scan(&rows, &events); err != nil {
		t.Fatal(err)
	}
	if events != 135 || rows < 5 {
		t.Errorf("after purging %d rows have %d events", rows, events)
	}
	nothing := feed.Activity{Reads: []feed.Reads{{Stream: feed.AuditEvents}, {Stream: feed.SignInAttempts}}}
	if diff := cmp.Diff(nothing, of(s.Activity(t.Context(), a.ID, idle.Token.ID)).must(t)); diff != "" {
		t.Errorf("of a token that was not used (-want +got):\n%s", diff)
	}
	_, err := s.Activity(t.Context(), b.ID, id)
	wantKind(t, err, problem.NotFound)
	if n := len(of(db.TokenUses(t.Context(), b.ID, "", now)).must(t)); n != 0 {
		t.Errorf("another account sees %d uses", n)
	}
}
