package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
)

func newRule(action signin.Action, kind signin.Kind, value string) signin.Rule {
	return signin.Rule{
		ID: seal.NewID(), Action: action, Kind: kind, Value: value, Note: "for " + value, CreatedBy: By().Actor,
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

// setRules makes these the rules of the account.
func setRules(t testing.TB, db *store.DB, account string, rules ...signin.Rule) []signin.Rule {
	t.Helper()
	for i := range rules {
		rules[i].AccountID, rules[i].Position = account, i+1
	}
	by := By()
	by.Action = audit.FirewallAdd
	return of(db.ChangeRules(t.Context(), account, func([]signin.Rule) ([]signin.Rule, error) { return slices.Clone(rules), nil }, by)).must(t)
}

func testFirewall(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	one, two := newRule(signin.Deny, signin.MatchCountry, "BR"), newRule(signin.Allow, signin.MatchAddress, "192.0.2.0/24")
	three := newRule(signin.Report, signin.MatchAnonymous, "")
	want := setRules(t, db, a.ID, one, two)
	theirs := setRules(t, db, b.ID, newRule(signin.Deny, signin.MatchAll, ""))
	if diff := cmp.Diff(want, of(db.Rules(t.Context(), a.ID)).must(t)); diff != "" {
		t.Errorf("rules (-stored +read):\n%s", diff)
	}
	if e := lastEntry(t, db, a.ID); e.Action != audit.FirewallAdd || e.Outcome != audit.Done {
		t.Errorf("audit entry %+v", e)
	}
	// One goes, one is changed, one comes; who made them and when stays.
	changed := want[1]
	changed.Action, changed.Kind, changed.Value, changed.Note, changed.CreatedBy = signin.Report, signin.MatchContinent, "SA", "", "user:other"
	want = setRules(t, db, a.ID, three, changed)
	want[1].CreatedBy = By().Actor
	got := of(db.Rules(t.Context(), a.ID)).must(t)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-changed +read):\n%s", diff)
	}

	entries := len(actions(t, db, a.ID))
	for _, refusal := range []*problem.Error{
		problem.Coded(problem.Conflict, "firewall_lockout", "no"), // a refusal, of which the log knows
		problem.New(problem.NotFound, "no such rule"),
	} {
		_, err := db.ChangeRules(t.Context(), a.ID, func(rules []signin.Rule) ([]signin.Rule, error) {
			if diff := cmp.Diff(got, rules); diff != "" {
				t.Errorf("rules (-read +to change):\n%s", diff)
			}
			return nil, refusal
		}, By())
		wantKind(t, err, refusal.Kind)
		if diff := cmp.Diff(got, of(db.Rules(t.Context(), a.ID)).must(t)); diff != "" {
			t.Errorf("rules (-before +after a refusal):\n%s", diff)
		}
	}
	if e := lastEntry(t, db, a.ID); e.Outcome != audit.Refused || len(actions(t, db, a.ID)) != entries+1 {
		t.Errorf("%d entries more, the last %+v, want the refusal alone", len(actions(t, db, a.ID))-entries, e)
	}
	_, err := db.ChangeRules(t.Context(), "NOSUCH", func(rules []signin.Rule) ([]signin.Rule, error) { return rules, nil }, By())
	wantKind(t, err, problem.NotFound)
	if rules := of(db.Rules(t.Context(), "NOSUCH")).must(t); len(rules) != 0 {
		t.Errorf("an account that there is not has the rules %+v", rules)
	}
	setRules(t, db, a.ID)
	if rules := of(db.Rules(t.Context(), a.ID)).must(t); len(rules) != 0 {
		t.Errorf("rules %+v, want none any more", rules)
	}
	if diff := cmp.Diff(theirs, of(db.Rules(t.Context(), b.ID)).must(t)); diff != "" {
		t.Errorf("rules of the other account (-before +after):\n%s", diff)
	}
	Verify(t, db, a.ID)
}

// testFirewallScreens: the rules decide in the transaction that lets somebody in.
func testFirewallScreens(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	tries := 0
	try := func() signin.Attempt {
		tries++
		n := success(signin.ByPasskey)
		n.At = n.At.Add(time.Duration(tries) * time.Second)
		n.Location = origin.Location{Country: "BR", Continent: "SA"}
		return n
	}
	key := newPasskey(a.ID, owner.ID)
	if err := db.AddPasskey(t.Context(), key, By()); err != nil {
		t.Fatal(err)
	}
	used := key
	used.Credential = []byte(`{"counter":1}`)
	in := func() error {
		_, err := db.SignIn(t.Context(), a.ID, owner.ID, newSession(signin.ByPasskey), signin.Used{Passkey: &used}, try(), By())
		return err
	}
	last := func() string {
		all := of(db.Attempts(t.Context(), signin.AttemptQuery{AccountID: a.ID, Limit: 1})).must(t)
		return fmt.Sprintf("%s/%s/%s", all[0].Category, all[0].Type, all[0].Details)
	}
	setRules(t, db, a.ID, newRule(signin.Deny, signin.MatchContinent, "SA"))
	wantCode(t, in(), signin.ErrFirewall())
	if got := last(); got != "firewall_failed/continent_blocked/SA" {
		t.Errorf("attempt %s", got)
	}
	if e := lastEntry(t, db, a.ID); e.Outcome != audit.Refused || e.Action != audit.SessionBegin || e.Actor != "user:"+owner.ID {
		t.Errorf("audit entry %+v, want the refusal", e)
	}
	if list := of(db.Sessions(t.Context(), a.ID, owner.ID, time.Now())).must(t); len(list) != 0 {
		t.Errorf("%d sessions", len(list))
	}
	if k := of(db.PasskeyByRawID(t.Context(), key.RawID)).must(t); !k.LastUsedAt.IsZero() || string(k.Credential) != string(key.Credential) {
		t.Errorf("the passkey counts as used: %+v", k)
	}
	failed := try()
	failed.AccountID, failed.UserID, failed.Category, failed.Type = a.ID, owner.ID, signin.MFAFailed, signin.U2FBad
	if err := db.Fail(t.Context(), failed, nil, By()); err != nil || last() != "firewall_failed/continent_blocked/SA" {
		t.Errorf("a failure is recorded as %s, error %v", last(), err)
	}
	failed = try()
	failed.AccountID, failed.Category, failed.Type = a.ID, signin.MFAFailed, signin.U2FBad
	if err := db.Fail(t.Context(), failed, nil, By()); err != nil || last() != "mfa_failed/u2f_bad/" {
		t.Errorf("a failure of nobody is recorded as %s, error %v", last(), err)
	}
	failed = try()
	failed.AccountID, failed.UserID, failed.Category, failed.Type = a.ID, owner.ID, signin.FirewallFailed, signin.AllBlocked
	if err := db.Fail(t.Context(), failed, nil, By()); err != nil || last() != "firewall_failed/all_blocked/" {
		t.Errorf("somebody slowed down is recorded as %s, error %v", last(), err)
	}
	setRules(t, db, a.ID, newRule(signin.Report, signin.MatchCountry, "BR"), newRule(signin.Deny, signin.MatchContinent, "SA"))
	if err := in(); err != nil || last() != "firewall_reported_success/mfa_ok/BR" {
		t.Errorf("with a rule that reports: %s, error %v", last(), err)
	}
	if known := of(db.KnownAddress(t.Context(), a.ID, owner.ID, browser().Address, time.Now().Add(-time.Hour))).must(t); known {
		t.Error("a reported sign-in makes the address known")
	}
	link := setupLink(t, p, a.ID, User(t, db, a.ID, "new@example.org").ID, directory.Invited, time.Now().Add(time.Hour))
	setRules(t, db, a.ID, newRule(signin.Deny, signin.MatchAll, ""))
	for _, want := range []*problem.Error{signin.ErrFirewall(), nil} {
		_, err := db.SetUp(t.Context(), link, signin.NewWay{PasswordHash: "h"}, newSession(signin.BySetupLink), try(), By())
		if want == nil && err != nil {
			t.Errorf("the link after the rule has gone: %v", err)
		} else if want != nil {
			wantCode(t, err, want)
		}
		setRules(t, db, a.ID)
	}
	Verify(t, db, a.ID)
}

// testTried pages through attempts that share their time.
func testTried(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	since := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour)
	var want []signin.Tried
	for i := range 9 {
		n := success(signin.ByPasskey)
		n.At = since.Add(time.Duration(i/4-1) * time.Minute) // four too old, four at the bound, one later
		n.Location = origin.Location{Country: "BR", Continent: "SA", Anonymous: i%2 == 0, AnonymousKnown: i%3 != 1}
		n.Location.Anonymous = n.Location.Anonymous && n.Location.AnonymousKnown
		n.UserID, n.Name, n.Email = owner.ID, owner.DisplayName, owner.Email
		if err := db.ImportAttempts(t.Context(), a.ID, []signin.Attempt{n}, By()); err != nil {
			t.Fatal(err)
		}
		if i >= 4 {
			at := n.Location
			at.AnonymousKnown = at.Anonymous
			want = append(want, signin.Tried{
				At: n.At, ID: n.ID, UserID: owner.ID, Name: owner.DisplayName, Email: owner.Email, Address: browser().Address, Location: at,
			})
		}
	}
	slices.SortFunc(want, func(a, b signin.Tried) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return map[bool]int{true: 1, false: -1}[a.ID < b.ID]
	})
	var got []signin.Tried
	for last := (signin.Tried{}); ; last = got[len(got)-1] {
		page := of(db.Tried(t.Context(), a.ID, since, last, 2)).must(t)
		if got = append(got, page...); len(page) < 2 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
}
