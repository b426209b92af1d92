package signin_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
	"holdfast/internal/web"
)

func TestPassword(t *testing.T) {
	b := newBench(t)
	tests := []struct {
		name, email, password string
		code                  string // of the problem
		attempt               string
	}{
		{"right", email, password, "", "success/credentials_ok/password"},
		{"spelt_otherwise", " owner@EXAMPLE.org ", password, "", "success/credentials_ok/password"},
		{"wrong", email, password + "!", "sign_in_failed", "credentials_failed/password_secret_bad/password"},
		{"empty", email, "", "sign_in_failed", "credentials_failed/password_secret_bad/password"},
		{"long", email, strings.Repeat("x", 300), "sign_in_failed", "credentials_failed/password_secret_bad/password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.clock.pass(time.Hour)
			in, ticket, err := b.Password(t.Context(), from("192.0.2.1"), strings.TrimSpace(tt.email), tt.password)
			if code(err) != tt.code || ticket != "" {
				t.Fatalf("error %v, ticket %v, want error %q and no ticket", err, ticket != "", tt.code)
			}
			if got := b.last(t); got != tt.attempt {
				t.Errorf("attempt %s, want %s", got, tt.attempt)
			}
			if err != nil {
				return
			}
			want := web.Principal{
				Actor: "user:" + b.owner.ID, AccountID: b.account.ID, UserID: b.owner.ID, SessionID: in.Session.ID,
				Name: "Ines", Email: email, Account: "Harbour", Fresh: true,
				Roles: []web.Role{signin.Enrolling, web.Member, web.Integrations, web.People, web.Owner},
			}
			if diff := cmp.Diff(want, b.session(t, in)); diff != "" {
				t.Errorf("principal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPasswordNormalised(t *testing.T) {
	b := newBench(t)
	p := b.in(t)
	const typed = "größe der fähre im hafen"
	if err := b.SetPassword(t.Context(), p, norm.NFD.String(typed), by()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Password(t.Context(), from("192.0.2.1"), email, norm.NFC.String(typed)); err != nil {
		t.Errorf("the password typed on another keyboard: %v", err)
	}
}

// TestNothingTold: whether an e-mail exists, whether its person may sign in, and whether passwords are
// allowed show neither in the answers to wrong passwords nor in the work that they cost.
func TestNothingTold(t *testing.T) {
	type answer struct {
		Told   string
		Hashes int64
	}
	script := func(t *testing.T, b *bench, email string) (out []answer) {
		for i := range 14 {
			before := b.Hashes()
			_, ticket, err := b.Password(t.Context(), from(fmt.Sprintf("198.51.100.%d", i)), email, "not the password")
			out = append(out, answer{told(err) + string(ticket), b.Hashes() - before})
			b.clock.pass(900 * time.Millisecond)
		}
		return out
	}
	unknown := script(t, newBench(t), "nobody@example.org")
	if unknown[5].Hashes != 1 || unknown[6].Hashes != 0 {
		t.Fatalf("the sixth costs %d hashes and the seventh %d, want 1 and 0", unknown[5].Hashes, unknown[6].Hashes)
	}
	for _, tt := range []struct {
		name  string
		bench func(t *testing.T, b *bench)
	}{
		{"known", func(*testing.T, *bench) {}},
		{"suspended", func(t *testing.T, b *bench) { b.suspend(t) }},
		{"passwords_off", func(t *testing.T, b *bench) { b.policy(t, func(p *signin.Policy) { p.Passwords = false }) }},
		{"second_factor", func(t *testing.T, b *bench) { b.secondFactor(t, b.in(t)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			tt.bench(t, b)
			if diff := cmp.Diff(unknown, script(t, b, email)); diff != "" {
				t.Errorf("answers (-unknown +this):\n%s", diff)
			}
		})
	}
}

func TestSuspended(t *testing.T) {
	b := newBench(t)
	in, _, err := b.Password(t.Context(), from("192.0.2.1"), email, password)
	if err != nil {
		t.Fatal(err)
	}
	b.suspend(t)
	if _, err := b.Session(t.Context(), in.Token.Reveal(), ""); code(err) != "session_ended" {
		t.Errorf("the session answers %v, want that it has ended", err)
	}
	if _, _, err := b.Password(t.Context(), from("192.0.2.1"), email, password); code(err) != "suspended" {
		t.Errorf("the right password answers %v, want that she may not", err)
	}
	if _, _, err := b.Password(t.Context(), from("192.0.2.1"), email, "a wrong one"); code(err) != "sign_in_failed" {
		t.Errorf("a wrong password answers %v, want what it always answers", err)
	}
}

func TestPasswordsOff(t *testing.T) {
	b := newBench(t)
	b.policy(t, func(p *signin.Policy) { p.Passwords = false })
	if _, _, err := b.Password(t.Context(), from("192.0.2.1"), email, password); code(err) != "sign_in_failed" {
		t.Errorf("the right password answers %v, want what a wrong one answers", err)
	}
}

// TestSlowed: guessing from elsewhere slows others, not her; what she does resets nothing of the address.
func TestSlowed(t *testing.T) {
	b := newBench(t)
	b.in(t)
	for i := range 6 {
		if _, _, err := b.Password(t.Context(), from(fmt.Sprintf("198.51.100.%d", i)), email, "wrong wrong wrong"); code(err) != "sign_in_failed" {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	before := b.Hashes()
	b.clock.pass(time.Millisecond)
	_, _, err := b.Password(t.Context(), from("198.51.100.99"), email, password)
	if told(err) != told(signin.ErrSlowed(999*time.Millisecond)) || b.Hashes() != before {
		t.Errorf("the right password answers %s after %d hashes, want one second of waiting, unseen", told(err), b.Hashes()-before)
	}
	if got := b.last(t); got != "firewall_failed/all_blocked/password" {
		t.Errorf("attempt %s, want that it was refused", got)
	}
	slowed, err := b.Slowed(t.Context(), b.account.ID, b.owner.ID)
	if want := (signin.Slowed{Count: 6, Until: b.clock.Now().Add(999 * time.Millisecond)}); err != nil || !cmp.Equal(want, slowed) {
		t.Errorf("slowed %+v, error %v, want %+v", slowed, err, want)
	}
	b.in(t) // from where she was before
	if slowed, err := b.Slowed(t.Context(), b.account.ID, b.owner.ID); err != nil || slowed.Count != 0 {
		t.Errorf("after she signed in: %+v, error %v, want that her counter is forgotten", slowed, err)
	}
}

func TestSlowedAddress(t *testing.T) {
	b := newBench(t)
	for i := range 20 {
		c := from(fmt.Sprintf("2001:db8:1:2::%x", i)) // a /64 counts as one
		if _, _, err := b.Password(t.Context(), c, fmt.Sprintf("p%d@example.org", i), "wrong wrong wrong"); code(err) != "sign_in_failed" {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	for range 3 {
		if _, _, err := b.Password(t.Context(), from("2001:db8:1:2::ffff"), email, password); code(err) != "slowed" {
			t.Fatalf("the twenty-first try answers %v, want that the address waits", err)
		}
	}
	all, err := b.Attempts(t.Context(), signin.AttemptQuery{Category: signin.FirewallFailed, Limit: 100})
	if err != nil || len(all) != 1 {
		t.Errorf("%d attempts of a blocked address are recorded, error %v, want the first only", len(all), err)
	}
	b.clock.pass(time.Second)
	if _, _, err := b.Password(t.Context(), from("2001:db8:1:2::ffff"), email, password); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// TestTriesAtOnce: tries sent together are no more than tries one after the other.
func TestTriesAtOnce(t *testing.T) {
	b := newBench(t)
	var wrong, slowed atomic.Int32
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			switch _, _, err := b.Password(t.Context(), from(fmt.Sprintf("198.51.100.%d", i)), email, "wrong wrong wrong"); code(err) {
			case "sign_in_failed":
				wrong.Add(1)
			case "slowed":
				slowed.Add(1)
			default:
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	wg.Wait()
	if wrong.Load() != 6 || slowed.Load() != 24 {
		t.Errorf("%d were looked at and %d slowed, want 6 and 24", wrong.Load(), slowed.Load())
	}
}

// TestSameEmail: the password says which account is meant.
func TestSameEmail(t *testing.T) {
	b := newBench(t)
	a, owner := storetest.Account(t, b.db)
	const other = "eleven buoys in the strait"
	if err := b.SetInitialPassword(t.Context(), a.ID, owner.ID, other, by()); err != nil {
		t.Fatal(err)
	}
	for pw, account := range map[string]string{password: b.account.ID, other: a.ID} {
		in, _, err := b.Password(t.Context(), from("192.0.2.1"), email, pw)
		if err != nil || in.Session.AccountID != account {
			t.Errorf("in account %s, error %v, want %s", in.Session.AccountID, err, account)
		}
	}
}

func TestCodes(t *testing.T) {
	b := newBench(t)
	seed, recovery := b.secondFactor(t, b.in(t))
	c := from("192.0.2.1")
	try := func(code string) error {
		_, err := b.Code(t.Context(), c, b.ticket(t, c), code)
		return err
	}
	used := b.code(t, seed, 0)
	steps := []struct {
		name, typed, code, attempt string
	}{
		{"used_to_set_up", used, "sign_in_failed", "mfa_failed/totp_bad/password_code"},
		{"step_after", b.code(t, seed, 1), "", "success/mfa_ok/password_code"},
		{"again", b.code(t, seed, 1), "sign_in_failed", "mfa_failed/totp_bad/password_code"},
		{"two_steps_after", b.code(t, seed, 2), "sign_in_failed", "mfa_failed/totp_bad/password_code"},
		{"none", " ", "sign_in_failed", "mfa_failed/mfa_missing/password_code"},
		{"recovery", " " + strings.ToLower(strings.ReplaceAll(recovery[0].Reveal(), "-", " ")), "", "success/mfa_ok/recovery_code"},
		{"recovery_again", recovery[0].Reveal(), "sign_in_failed", "mfa_failed/code_bad/recovery_code"},
		{"recovery_made_up", "ABCDE-FGHIJ", "sign_in_failed", "mfa_failed/code_bad/recovery_code"},
	}
	for _, tt := range steps {
		b.clock.pass(time.Millisecond)
		if err := try(tt.typed); code(err) != tt.code {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.code)
		}
		if got := b.last(t); got != tt.attempt {
			t.Errorf("%s: attempt %s, want %s", tt.name, got, tt.attempt)
		}
	}
	m, err := b.Methods(t.Context(), b.account.ID, b.owner.ID)
	if err != nil || m.RecoveryCodes != 9 {
		t.Errorf("%d recovery codes are left, error %v, want 9", m.RecoveryCodes, err)
	}
	b.clock.pass(90 * time.Second)
	fresh, err := b.NewRecoveryCodes(t.Context(), web.Principal{AccountID: b.account.ID, UserID: b.owner.ID}, by())
	if err != nil || len(fresh) != 10 {
		t.Fatalf("%d new recovery codes, error %v", len(fresh), err)
	}
	if err := try(recovery[1].Reveal()); code(err) != "sign_in_failed" {
		t.Errorf("a replaced recovery code answers %v", err)
	}
	if err := try(fresh[1].Reveal()); err != nil {
		t.Errorf("a new recovery code: %v", err)
	}
}

// TestTicketGuessed: five wrong codes, or five minutes, end what a password began.
func TestTicketGuessed(t *testing.T) {
	b := newBench(t)
	seed, _ := b.secondFactor(t, b.in(t))
	c := from("192.0.2.1")
	ticket := b.ticket(t, c)
	b.clock.pass(time.Minute)
	for i := range 5 {
		if _, err := b.Code(t.Context(), c, ticket, "000000"); code(err) != "sign_in_failed" {
			t.Fatalf("wrong code %d: %v", i, err)
		}
	}
	if _, err := b.Code(t.Context(), c, ticket, b.code(t, seed, 0)); code(err) != "sign_in_over" {
		t.Errorf("after five wrong codes the right one answers %v, want that it is over", err)
	}
	ticket = b.ticket(t, c)
	b.clock.pass(5 * time.Minute)
	if _, err := b.Code(t.Context(), c, ticket, b.code(t, seed, 0)); code(err) != "sign_in_over" {
		t.Errorf("after five minutes the right code answers %v, want that it is over", err)
	}
	if got := b.last(t); got != "mfa_failed/totp_timeout/password_code" {
		t.Errorf("attempt %s, want that it came late", got)
	}
	made, _ := seal.NewCredential(signin.TicketPrefix)
	for _, bad := range []signin.Ticket{"", "x", signin.Ticket(made.Reveal())} {
		if _, err := b.Code(t.Context(), c, bad, "000000"); code(err) != "sign_in_over" {
			t.Errorf("a ticket that never was answers %v", err)
		}
	}
}

// TestTicketAtOnce: of many codes sent at once with one ticket, few are looked at.
func TestTicketAtOnce(t *testing.T) {
	b := newBench(t)
	seed, _ := b.secondFactor(t, b.in(t))
	c := from("192.0.2.1")
	ticket := b.ticket(t, c)
	b.clock.pass(time.Minute)
	right := b.code(t, seed, 0)
	var in, wrong atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			typed := right
			if i%2 == 0 {
				typed = "000000"
			}
			switch _, err := b.Code(t.Context(), c, ticket, typed); code(err) {
			case "":
				in.Add(1)
			case "sign_in_failed":
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() > 1 || wrong.Load() > 5 {
		t.Errorf("%d got in and %d codes were wrong, want at most 1 and 5", in.Load(), wrong.Load())
	}
}

func TestRequireCode(t *testing.T) {
	b := newBench(t)
	b.policy(t, func(p *signin.Policy) { p.RequireCode = true })
	in, _, err := b.Password(t.Context(), from("192.0.2.1"), email, password)
	if err != nil || !in.Enrol {
		t.Fatalf("enrol %v, error %v, want that she must set up a code", in.Enrol, err)
	}
	p := b.session(t, in)
	if diff := cmp.Diff([]web.Role{signin.Enrolling}, p.Roles); diff != "" {
		t.Errorf("roles before (-want +got):\n%s", diff)
	}
	b.secondFactor(t, p)
	if p = b.session(t, in); !p.Has(web.Owner) {
		t.Errorf("roles after: %v, want all that an owner has", p.Roles)
	}
	if err := b.RemoveTOTP(t.Context(), p, by()); code(err) != "code_required" {
		t.Errorf("removing it answers %v, want that it is refused", err)
	}
}

func TestConfirm(t *testing.T) {
	b := newBench(t)
	p := b.in(t)
	c := from("192.0.2.1")
	fresh := func() bool {
		all, err := b.Sessions(t.Context(), b.account.ID, b.owner.ID)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d sessions, error %v", len(all), err)
		}
		return b.clock.Now().Sub(all[0].ConfirmedAt) < signin.FreshFor
	}
	b.clock.pass(6 * time.Minute)
	if fresh() {
		t.Fatal("the session is fresh after six minutes")
	}
	if err := b.ConfirmPassword(t.Context(), c, p, "wrong wrong wrong", ""); code(err) != "sign_in_failed" || fresh() {
		t.Errorf("a wrong password answers %v", err)
	}
	if err := b.ConfirmPassword(t.Context(), c, p, password, ""); err != nil || !fresh() {
		t.Errorf("the password answers %v, fresh %v", err, fresh())
	}
	seed, _ := b.secondFactor(t, p)
	b.clock.pass(6 * time.Minute)
	if err := b.ConfirmPassword(t.Context(), c, p, password, ""); code(err) != "sign_in_failed" || fresh() {
		t.Errorf("the password without a code answers %v", err)
	}
	right := b.code(t, seed, 0)
	if err := b.ConfirmPassword(t.Context(), c, p, password, right); err != nil || !fresh() {
		t.Errorf("password and code answer %v", err)
	}
	if err := b.ConfirmPassword(t.Context(), c, p, password, right); code(err) != "sign_in_failed" {
		t.Errorf("the same code again answers %v", err)
	}
	if err := b.SignOut(t.Context(), p, by()); err != nil {
		t.Fatal(err)
	}
	b.clock.pass(time.Minute)
	if err := b.ConfirmPassword(t.Context(), c, p, password, b.code(t, seed, 0)); code(err) != "session_ended" {
		t.Errorf("a session that has ended answers %v", err)
	}
}

func TestPasswordChanged(t *testing.T) {
	b := newBench(t)
	p, other := b.in(t), b.in(t)
	if err := b.SetPassword(t.Context(), p, "a heron on the third pier", by()); err != nil {
		t.Fatal(err)
	}
	all, err := b.Sessions(t.Context(), b.account.ID, b.owner.ID)
	if err != nil || len(all) != 1 || all[0].ID != p.SessionID || all[0].ID == other.SessionID {
		t.Errorf("sessions %v, error %v, want only the one that changed the password", all, err)
	}
	if err := b.RemovePassword(t.Context(), p, by()); code(err) != "last_way_in" {
		t.Errorf("removing the only way in answers %v", err)
	}
}
