package signin_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
)

// free changes rules without a guard.
func free() signin.Guard { return signin.Guard{Accept: true} }

// rules gives the account these rules and no others.
func (b *bench) rules(t testing.TB, account string, rules ...signin.Rule) (stored []signin.Rule) {
	t.Helper()
	old, err := b.Rules(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range old {
		if err := b.RemoveRule(t.Context(), account, r.ID, free(), by()); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range rules {
		r.AccountID = account
		if r, err = b.AddRule(t.Context(), r, free(), by()); err != nil {
			t.Fatal(err)
		}
		stored = append(stored, r)
	}
	return stored
}

// lastTry is the newest attempt of the account, as category/type/details, and how many there are.
func (b *bench) lastTry(t testing.TB, account string) (last string, tries int) {
	t.Helper()
	all, err := b.Attempts(t.Context(), signin.AttemptQuery{AccountID: account, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return "none", 0
	}
	return fmt.Sprintf("%s/%s/%s", all[0].Category, all[0].Type, all[0].Details), len(all)
}

// TestFirewallWays goes each way in, under each action, on each database.
func TestFirewallWays(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) { firewallWays(t, newBenchOn(t, kind)) })
	}
}

func firewallWays(t *testing.T, b *bench) {
	b.Places = world()
	away := from(abroad)
	who := b.in(t)
	key, provider := b.register(t, who), b.ssoAt(t)
	seed, recovery := b.secondFactor(t, who)
	plain := storetest.User(t, b.db, b.account.ID, "plain@example.org")
	if err := b.SetInitialPassword(t.Context(), b.account.ID, plain.ID, password, by()); err != nil {
		t.Fatal(err)
	}
	owner := func() (string, string) { return b.account.ID, b.owner.ID }
	sso := func(t *testing.T, sentTo string, ticket signin.Ticket, err error) func() error {
		if err != nil {
			t.Fatal(err)
		}
		state := provider.answers(t, sentTo, "s-1", email, b.clock.Now())
		provider.claims["auth_time"] = b.clock.Now().Unix()
		return func() error {
			_, _, err := b.FinishSSO(t.Context(), away, ticket, signin.SSOAnswer{State: state, Code: "c"})
			return err
		}
	}
	// Each way is prepared before the rule is made, so that the last step is what the rule meets. again says
	// whether the same step works once the rule has gone.
	type trial struct {
		account, user string
		run           func() error
		again         bool
	}
	mine := func(run func() error, again bool) trial {
		account, user := owner()
		return trial{account, user, run, again}
	}
	link := func(t *testing.T) (trial, string) {
		a, u, link := linked(t, b)
		return trial{account: a.ID, user: u.ID, again: true}, link
	}
	ways := []struct {
		name, typ string
		prepare   func(t *testing.T) trial
	}{
		{"password", "credentials_ok", func(t *testing.T) trial {
			return trial{b.account.ID, plain.ID, func() error { _, _, err := b.Password(t.Context(), away, plain.Email, password); return err }, true}
		}},
		{"code", "mfa_ok", func(t *testing.T) trial {
			ticket := b.ticket(t, away)
			return mine(func() error { _, err := b.Code(t.Context(), away, ticket, b.code(t, seed, 0)); return err }, false)
		}},
		{"recovery_code", "mfa_ok", func(t *testing.T) trial {
			ticket, code := b.ticket(t, away), recovery[0].Reveal()
			recovery = recovery[1:]
			return mine(func() error { _, err := b.Code(t.Context(), away, ticket, code); return err }, false)
		}},
		{"passkey", "mfa_ok", func(t *testing.T) trial {
			offer, ticket, err := b.BeginPasskey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			answer := key.get(t, offer)
			return mine(func() error { _, err := b.FinishPasskey(t.Context(), away, ticket, answer); return err }, false)
		}},
		{"single_sign_on", "credentials_ok", func(t *testing.T) trial {
			sentTo, ticket, err := b.BeginSSO(t.Context(), b.account.ID, "/")
			return mine(sso(t, sentTo, ticket, err), false)
		}},
		{"link_to_password", "credentials_ok", func(t *testing.T) trial {
			x, link := link(t)
			x.run = func() error { _, err := b.SetupPassword(t.Context(), away, link, password); return err }
			return x
		}},
		{"link_to_passkey", "credentials_ok", func(t *testing.T) trial {
			x, link := link(t)
			x.run = func() error {
				offer, ticket, err := b.BeginSetupPasskey(t.Context(), link)
				if err != nil {
					return err
				}
				_, err = b.FinishSetupPasskey(t.Context(), away, link, ticket, newAuthenticator(t).create(t, offer))
				return err
			}
			return x
		}},
		{"confirm_password", "mfa_ok", func(t *testing.T) trial {
			return mine(func() error { return b.ConfirmPassword(t.Context(), away, who, password, b.code(t, seed, 0)) }, true)
		}},
		{"confirm_passkey", "mfa_ok", func(t *testing.T) trial {
			offer, ticket, err := b.BeginConfirmPasskey(t.Context(), who)
			if err != nil {
				t.Fatal(err)
			}
			answer := key.get(t, offer)
			return mine(func() error { return b.FinishConfirmPasskey(t.Context(), away, who, ticket, answer) }, false)
		}},
		{"confirm_single_sign_on", "credentials_ok", func(t *testing.T) trial {
			sentTo, ticket, err := b.BeginConfirmSSO(t.Context(), who, "/")
			return mine(sso(t, sentTo, ticket, err), false)
		}},
	}
	for _, way := range ways {
		for _, action := range signin.Actions() {
			t.Run(way.name+"_"+string(action), func(t *testing.T) {
				b.clock.pass(time.Minute) // for another one-time code
				x := way.prepare(t)
				b.clock.pass(time.Second)
				b.rules(t, x.account, rule(action, signin.MatchCountry, "BR"))
				before, recoveryBefore := b.state(t, x.account, x.user)
				err := x.run()
				want := map[signin.Action]string{
					signin.Allow:  "success/" + way.typ + "/",
					signin.Report: "firewall_reported_success/" + way.typ + "/BR",
					signin.Deny:   "firewall_failed/country_blocked/BR",
				}[action]
				last, tries := b.lastTry(t, x.account)
				if last != want || tries != before.tries+1 {
					t.Errorf("%d attempts more, the last %s, want one, %s", tries-before.tries, last, want)
				}
				if action != signin.Deny {
					if err != nil {
						t.Errorf("answers %v", err)
					}
					return
				}
				if code(err) != "firewall" || !problem.Is(err, problem.Forbidden) {
					t.Errorf("answers %v, want that sign-ins are not allowed from there", err)
				}
				after, recoveryAfter := b.state(t, x.account, x.user)
				after.tries = before.tries
				if diff := cmp.Diff(before, after); diff != "" || recoveryBefore != recoveryAfter {
					t.Errorf("changed although it was denied (-before +after), recovery codes %d, %d:\n%s", recoveryBefore, recoveryAfter, diff)
				}
				entry := b.lastAudit(t, x.account)
				if entry.Outcome != audit.Refused || entry.Actor != "user:"+x.user {
					t.Errorf("audit entry %+v, want the refusal", entry)
				}
				b.rules(t, x.account)
				if err := x.run(); x.again && err != nil {
					t.Errorf("without the rule the same answers %v", err)
				}
			})
		}
	}
	// What was reported or denied makes no address known, though what it was before the rules does.
	known, err := b.Store.KnownAddress(t.Context(), b.account.ID, plain.ID, hidden, b.clock.Now().Add(-time.Hour))
	if err != nil || known {
		t.Fatalf("known %v, error %v", known, err)
	}
	b.rules(t, b.account.ID, rule(signin.Report, signin.MatchAnonymous, ""))
	if _, _, err := b.Password(t.Context(), from(hidden), plain.Email, password); err != nil {
		t.Fatal(err)
	}
	if known, err = b.Store.KnownAddress(t.Context(), b.account.ID, plain.ID, hidden, b.clock.Now().Add(-time.Hour)); err != nil || known {
		t.Errorf("after a reported sign-in the address is known: %v, error %v", known, err)
	}
	storetest.Verify(t, b.db, b.account.ID)
}

// state is what a denied attempt must leave as it is.
type state struct {
	sessions  int
	confirmed time.Time
	invited   bool
	methods   signin.Methods
	tries     int
}

// Equal is for cmp.
func (s state) Equal(o state) bool {
	return s.sessions == o.sessions && s.confirmed.Equal(o.confirmed) && s.invited == o.invited && s.tries == o.tries && cmp.Equal(s.methods, o.methods)
}

func (b *bench) state(t testing.TB, account, user string) (s state, recovery int) {
	t.Helper()
	all, err := b.Sessions(t.Context(), account, user)
	if err != nil {
		t.Fatal(err)
	}
	s.sessions = len(all)
	for _, ses := range all {
		if ses.ConfirmedAt.After(s.confirmed) {
			s.confirmed = ses.ConfirmedAt
		}
	}
	p, err := b.Store.Person(t.Context(), account, user)
	if err != nil {
		t.Fatal(err)
	}
	s.invited = p.Invited
	if s.methods, err = b.Methods(t.Context(), account, user); err != nil {
		t.Fatal(err)
	}
	_, s.tries = b.lastTry(t, account)
	return s, s.methods.RecoveryCodes
}

func (b *bench) lastAudit(t testing.TB, account string) (last audit.Entry) {
	t.Helper()
	for l, err := range b.db.AuditLinks(t.Context(), account, 0) {
		if err != nil {
			t.Fatal(err)
		}
		last = l.Entry
	}
	return last
}

// TestFirewallWrong: who is denied and shows something wrong hears what is always heard, is recorded as denied, and
// counts as a failure.
func TestFirewallWrong(t *testing.T) {
	b := newBench(t)
	b.Places = world()
	who := b.in(t)
	key := b.register(t, who)
	b.secondFactor(t, who)
	ticket := b.ticket(t, from(abroad))
	b.rules(t, b.account.ID, rule(signin.Deny, signin.MatchContinent, "SA"))
	for _, tt := range []struct {
		name string
		run  func() error
		code string
		last string
	}{
		{"password", func() error {
			_, _, err := b.Password(t.Context(), from(abroad), email, "wrong wrong wrong")
			return err
		},
			"sign_in_failed", "firewall_failed/continent_blocked/SA"},
		{"code", func() error { _, err := b.Code(t.Context(), from(abroad), ticket, "000000"); return err },
			"sign_in_failed", "firewall_failed/continent_blocked/SA"},
		{"recovery_code", func() error { _, err := b.Code(t.Context(), from(abroad), ticket, "ABCDE-FGHIJ"); return err },
			"sign_in_failed", "firewall_failed/continent_blocked/SA"},
		{"passkey", func() error {
			offer, ticket, err := b.BeginPasskey(t.Context())
			if err != nil {
				return err
			}
			bent := *key
			bent.key = newAuthenticator(t).key
			_, err = b.FinishPasskey(t.Context(), from(abroad), ticket, bent.get(t, offer))
			return err
		}, "passkey_failed", "firewall_failed/continent_blocked/SA"},
		{"confirm", func() error { return b.ConfirmPassword(t.Context(), from(abroad), who, "wrong wrong wrong", "") },
			"sign_in_failed", "firewall_failed/continent_blocked/SA"},
		{"password_before_code", func() error { _, _, err := b.Password(t.Context(), from(abroad), email, password); return err },
			"firewall", "firewall_failed/continent_blocked/SA"},
		{"password_elsewhere", func() error {
			_, _, err := b.Password(t.Context(), from(office), email, "wrong wrong wrong")
			return err
		},
			"sign_in_failed", "credentials_failed/password_secret_bad/"},
	} {
		b.clock.pass(time.Second)
		_, before := b.lastTry(t, b.account.ID)
		if err := tt.run(); code(err) != tt.code {
			t.Errorf("%s: answers %v, want %q", tt.name, err, tt.code)
		}
		if last, n := b.lastTry(t, b.account.ID); last != tt.last || n != before+1 {
			t.Errorf("%s: %d attempts more, the last %s, want one, %s", tt.name, n-before, last, tt.last)
		}
	}
	slowed, err := b.Slowed(t.Context(), b.account.ID, b.owner.ID)
	if err != nil || slowed.Count != 5 { // the passkey does not count, nor the right password
		t.Errorf("%d failures count, error %v, want those of passwords and codes", slowed.Count, err)
	}
}

// TestFirewallTellsNothing: from a denied place, wrong passwords for somebody and for nobody look and cost the same,
// also when they become too many.
func TestFirewallTellsNothing(t *testing.T) {
	type answer struct {
		Told   string
		Hashes int64
	}
	script := func(t *testing.T, email string) (out []answer) {
		b := newBench(t)
		b.Places = world()
		b.rules(t, b.account.ID, rule(signin.Deny, signin.MatchAll, ""))
		for i := range 10 {
			before := b.Hashes()
			_, ticket, err := b.Password(t.Context(), from(fmt.Sprintf("198.51.100.%d", i)), email, "not the password")
			out = append(out, answer{told(err) + string(ticket), b.Hashes() - before})
			b.clock.pass(900 * time.Millisecond)
		}
		return out
	}
	known := script(t, email)
	if diff := cmp.Diff(script(t, "nobody@example.org"), known); diff != "" {
		t.Errorf("answers (-unknown +denied):\n%s", diff)
	}
	if known[0].Hashes != 1 || known[0].Told != told(signin.ErrWrong()) {
		t.Errorf("the first answer is %+v", known[0])
	}
}

func TestFirewallGuard(t *testing.T) {
	b := newBench(t)
	b.Places = world()
	here, there := from(office), from(abroad)
	guard := func(c *signin.Client) signin.Guard { return signin.Guard{Client: c} }
	account := b.account.ID
	add := func(g signin.Guard, r signin.Rule) (signin.Rule, error) {
		r.AccountID = account
		return b.AddRule(t.Context(), r, g, by())
	}
	last := func(want audit.Outcome, action audit.Action) {
		t.Helper()
		if e := b.lastAudit(t, account); e.Outcome != want || e.Action != action {
			t.Errorf("audit entry %s %s, want %s %s", e.Action, e.Outcome, action, want)
		}
	}
	if _, err := add(guard(&here), rule(signin.Deny, signin.MatchCountry, "DE")); code(err) != "firewall_lockoutaccept" {
		t.Errorf("denying the own country: %v", err)
	}
	last(audit.Refused, audit.FirewallAdd)
	br, err := add(guard(&here), rule(signin.Deny, signin.MatchCountry, "BR"))
	if err != nil || br.Position != 1 || br.CreatedBy != by().Actor || !br.CreatedAt.Equal(b.clock.Now()) {
		t.Fatalf("denying another country: %+v, error %v", br, err)
	}
	last(audit.Done, audit.FirewallAdd)
	if _, err := add(guard(&here), rule(signin.Report, signin.MatchCountry, "DE")); err != nil {
		t.Errorf("reporting the own country: %v", err)
	}
	if _, err := add(guard(&there), rule(signin.Report, signin.MatchAnonymous, "")); err != nil {
		t.Errorf("a change by who is denied already: %v", err)
	}
	allow, err := add(guard(&here), signin.Rule{Action: signin.Allow, Kind: signin.MatchAddress, Value: office, Position: 1})
	if err != nil || allow.Position != 1 {
		t.Fatal(allow, err)
	}
	all, err := add(guard(&here), rule(signin.Deny, signin.MatchAll, ""))
	if err != nil {
		t.Errorf("denying all others: %v", err)
	}
	changed := allow
	changed.Value = abroad
	eu, err := add(guard(&here), rule(signin.Deny, signin.MatchContinent, "EU"))
	if err != nil {
		t.Fatal(err)
	}
	reported, err := b.Rules(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reported { // what reports the own country would let her in, too
		if r.Action == signin.Report {
			if err := b.RemoveRule(t.Context(), account, r.ID, guard(&here), by()); err != nil {
				t.Errorf("removing %s: %v", r, err)
			}
		}
	}
	if _, err := b.UpdateRule(t.Context(), changed, guard(&here), by()); code(err) != "firewall_lockoutaccept" {
		t.Errorf("allowing another address instead of the own: %v", err)
	}
	last(audit.Refused, audit.FirewallUpdate)
	if _, err := b.MoveRule(t.Context(), account, allow.ID, 9, guard(&here), by()); code(err) != "firewall_lockoutaccept" {
		t.Errorf("moving the own address to the end: %v", err)
	}
	last(audit.Refused, audit.FirewallOrder)
	if err := b.RemoveRule(t.Context(), account, allow.ID, guard(&here), by()); code(err) != "firewall_lockoutaccept" {
		t.Errorf("removing the own address: %v", err)
	}
	last(audit.Refused, audit.FirewallRemove)
	if err := b.RemoveRule(t.Context(), account, allow.ID, guard(nil), by()); code(err) != "firewall_all" {
		t.Errorf("at the command line, leaving %s and %s: %v", br, all, err)
	}
	if err := b.RemoveRule(t.Context(), account, eu.ID, guard(nil), by()); err != nil {
		t.Errorf("at the command line, what harms nobody: %v", err)
	}

	b.rules(t, account, rule(signin.Allow, signin.MatchAddress, office), rule(signin.Deny, signin.MatchAll, ""))
	stored, err := b.Rules(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveRule(t.Context(), account, stored[0].ID, guard(nil), by()); code(err) != "firewall_all" {
		t.Errorf("at the command line, denying everybody: %v", err)
	}
	if _, err := b.MoveRule(t.Context(), account, stored[1].ID, 1, guard(nil), by()); code(err) != "firewall_all" {
		t.Errorf("at the command line, denying everybody first: %v", err)
	}
	if _, err := b.MoveRule(t.Context(), account, stored[1].ID, 1, free(), by()); err != nil {
		t.Errorf("with force: %v", err)
	}
	if _, err := b.MoveRule(t.Context(), account, stored[1].ID, 9, guard(nil), by()); err != nil {
		t.Errorf("undoing it: %v", err)
	}
}

// TestFirewallOrder changes the order from many sides at once: it stays an order of the same rules.
func TestFirewallOrder(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			b := newBenchOn(t, kind)
			var ids []string
			for _, r := range b.rules(t, b.account.ID, rule(signin.Deny, signin.MatchCountry, "BR"), rule(signin.Deny, signin.MatchCountry, "SE"),
				rule(signin.Report, signin.MatchContinent, "AS"), rule(signin.Report, signin.MatchAnonymous, ""), rule(signin.Allow, signin.MatchAll, "")) {
				ids = append(ids, r.ID)
			}
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					r, err := b.MoveRule(t.Context(), b.account.ID, ids[i%len(ids)], 1+i%7, free(), by())
					if err != nil || r.Position != min(1+i%7, len(ids)) {
						t.Errorf("move %d: position %d, error %v", i, r.Position, err)
					}
				})
			}
			wg.Wait()
			rules, err := b.Rules(t.Context(), b.account.ID)
			if err != nil || len(rules) != len(ids) {
				t.Fatalf("%d rules, error %v, want %d", len(rules), err, len(ids))
			}
			seen := map[string]bool{}
			for i, r := range rules {
				if r.Position != i+1 {
					t.Errorf("rule %d has the position %d", i+1, r.Position)
				}
				seen[r.ID] = true
			}
			for _, id := range ids {
				if !seen[id] {
					t.Errorf("the rule %s is gone", id)
				}
			}
			storetest.Verify(t, b.db, b.account.ID)
		})
	}
}

// TestFirewallNow: the rule in force is the one of the moment.
func TestFirewallNow(t *testing.T) {
	b := newBench(t)
	b.Places = world()
	try := func() string {
		_, _, err := b.Password(t.Context(), from(abroad), email, password)
		return code(err)
	}
	if got := try(); got != "" {
		t.Fatal(got)
	}
	r := b.rules(t, b.account.ID, rule(signin.Deny, signin.MatchCountry, "BR"))[0]
	if got := try(); got != "firewall" {
		t.Errorf("once the rule is there: %q", got)
	}
	r.Action = signin.Allow
	if _, err := b.UpdateRule(t.Context(), r, free(), by()); err != nil {
		t.Fatal(err)
	}
	if got := try(); got != "" {
		t.Errorf("once it allows: %q", got)
	}
	other, _, err := b.db.CreateAccount(t.Context(), directory.NewAccount{Name: "Pier", OwnerEmail: "o@example.org", OwnerName: "O"}, by())
	if err != nil {
		t.Fatal(err)
	}
	b.rules(t, other.ID, rule(signin.Deny, signin.MatchAll, ""))
	if got := try(); got != "" {
		t.Errorf("with a rule of another account: %q", got)
	}
}

func TestPreview(t *testing.T) {
	b := newBench(t)
	b.Places = world()
	second := storetest.User(t, b.db, b.account.ID, "second@example.org")
	if err := b.SetInitialPassword(t.Context(), b.account.ID, second.ID, password, by()); err != nil {
		t.Fatal(err)
	}
	try := func(n int, email, address, password string) {
		for range n {
			b.clock.pass(time.Minute)
			_, _, _ = b.Password(t.Context(), from(address), email, password) // what comes of it is in the counts
		}
	}
	try(2, email, abroad, password) // too old to count
	b.clock.pass(31 * 24 * time.Hour)
	try(3, email, abroad, password)
	try(2, email, office, "wrong wrong wrong")
	try(1, second.Email, abroad, password)
	try(4, second.Email, hidden, password)
	try(1, "nobody@example.org", abroad, password) // of no account
	rules := []signin.Rule{rule(signin.Deny, signin.MatchCountry, "BR"), rule(signin.Report, signin.MatchAnonymous, ""), rule(signin.Allow, signin.MatchContinent, "EU")}
	for i := range rules {
		rules[i].ID = fmt.Sprint(i)
	}
	got, err := b.Preview(t.Context(), b.account.ID, rules, signin.PreviewMost)
	if err != nil {
		t.Fatal(err)
	}
	want := signin.Preview{
		Since: b.clock.Now().AddDate(0, 0, -30), Attempts: 10,
		Denied: signin.Tally{Attempts: 4, People: 2}, Reported: signin.Tally{Attempts: 4, People: 1}, Allowed: signin.Tally{Attempts: 2, People: 1},
		Rules: map[string]signin.Tally{"0": {Attempts: 4, People: 2}, "1": {Attempts: 4, People: 1}, "2": {Attempts: 2, People: 1}},
		People: []signin.PreviewPerson{
			{UserID: b.owner.ID, Name: b.owner.DisplayName, Email: b.owner.Email, Denied: 3},
			{UserID: second.ID, Name: second.DisplayName, Email: second.Email, Denied: 1, Reported: 4},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("preview (-want +got):\n%s", diff)
	}
	if got, err = b.Preview(t.Context(), b.account.ID, nil, signin.PreviewMost); err != nil || got.Allowed != (signin.Tally{Attempts: 10, People: 2}) || len(got.People) != 0 {
		t.Errorf("without rules: %+v, error %v", got, err)
	}
}
