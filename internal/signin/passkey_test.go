package signin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
	"holdfast/internal/web"
)

// register makes a passkey for who is signed in.
func (b *bench) register(t testing.TB, p web.Principal) *authenticator {
	t.Helper()
	a := newAuthenticator(t)
	offer, ticket, err := b.BeginRegister(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	key, err := b.FinishRegister(t.Context(), p, ticket, " Blue key ", a.create(t, offer), by())
	if err != nil {
		t.Fatal(err)
	}
	if key.Name != "Blue key" || string(a.handle) != p.AccountID+p.UserID {
		t.Fatalf("passkey %q of the handle %q", key.Name, a.handle)
	}
	return a
}

func TestPasskey(t *testing.T) {
	type trial struct {
		*bench
		*authenticator
	}
	tests := []struct {
		name    string
		bend    func(t *testing.T, x trial)
		reply   func([]byte) []byte
		code    string
		attempt string
	}{
		{"right", nil, nil, "", "success/mfa_ok/passkey"},
		{"other_origin", func(_ *testing.T, x trial) { x.origin = "https://console.example.net" }, nil, "passkey_failed", "mfa_failed/u2f_bad/passkey"},
		{"origin_in_plain", func(_ *testing.T, x trial) { x.origin = "http://console.example.org" }, nil, "passkey_failed", "mfa_failed/u2f_bad/passkey"},
		{"other_rp", func(_ *testing.T, x trial) { x.rp = "example.org" }, nil, "passkey_failed", "mfa_failed/u2f_bad/passkey"},
		{"not_verified", func(_ *testing.T, x trial) { x.flags = userPresent }, nil, "passkey_failed", "mfa_failed/u2f_bad/passkey"},
		{"counter_back", func(t *testing.T, x trial) { x.counter = 0 }, nil, "passkey_failed", "mfa_failed/u2f_bad/passkey"},
		{"other_person", func(_ *testing.T, x trial) { x.handle = []byte(seal.NewID() + seal.NewID()) }, nil, "passkey_failed", "mfa_failed/u2f_bad/passkey"},
		{"other_key", func(t *testing.T, x trial) { x.key = newAuthenticator(t).key }, nil, "passkey_failed", "mfa_failed/u2f_bad/passkey"},
		{"policy_off", func(t *testing.T, x trial) { x.policy(t, func(p *signin.Policy) { p.Passkeys = false }) }, nil, "passkey_failed", "mfa_failed/u2f_bad/passkey"},
		{"suspended", func(t *testing.T, x trial) { x.suspend(t) }, nil, "suspended", "credentials_failed/all_blocked/passkey"},
		{"unknown", func(t *testing.T, x trial) { x.id = []byte("another") }, nil, "passkey_failed", "success/mfa_ok/passkey"}, // of no account: not in its list
		{"no_json", nil, func([]byte) []byte { return []byte("{") }, "passkey_failed", "success/mfa_ok/passkey"},
		{"too_long", nil, func(b []byte) []byte { return append(b, strings.Repeat(" ", 1<<17)...) }, "passkey_failed", "success/mfa_ok/passkey"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			a := b.register(t, b.in(t))
			try := func() error {
				b.clock.pass(time.Second)
				ask, ticket, err := b.BeginPasskey(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if o := readOptions(t, ask); o.PublicKey.UserVerification != "required" {
					t.Fatalf("user verification is %q, want it required", o.PublicKey.UserVerification)
				}
				reply := a.get(t, ask)
				if tt.reply != nil && a.counter > 5 {
					reply = tt.reply(reply)
				}
				_, err = b.FinishPasskey(t.Context(), from("203.0.113.9"), ticket, reply)
				if _, again := b.FinishPasskey(t.Context(), from("203.0.113.9"), ticket, reply); code(again) != "sign_in_over" {
					t.Errorf("the same answer again: %v, want that it is over", again)
				}
				return err
			}
			a.counter = 4
			if err := try(); err != nil {
				t.Fatalf("before bending: %v", err)
			}
			if tt.bend != nil {
				tt.bend(t, trial{b, a})
			}
			if err := try(); code(err) != tt.code {
				t.Errorf("error %v, want %q", err, tt.code)
			}
			if got := b.last(t); got != tt.attempt {
				t.Errorf("attempt %s, want %s", got, tt.attempt)
			}
		})
	}
}

// TestPasskeyNotSlowed: nothing can be guessed there.
func TestPasskeyNotSlowed(t *testing.T) {
	b := newBench(t)
	a := b.register(t, b.in(t))
	for range 25 {
		_, _, _ = b.Password(t.Context(), from("203.0.113.9"), email, "wrong wrong wrong")
	}
	ask, ticket, err := b.BeginPasskey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.FinishPasskey(t.Context(), from("203.0.113.9"), ticket, a.get(t, ask)); err != nil {
		t.Errorf("a passkey from where others guess: %v", err)
	}
}

func TestConfirmPasskey(t *testing.T) {
	b := newBench(t)
	p := b.in(t)
	mine := b.register(t, p)
	other := storetest.User(t, b.db, b.account.ID, "second@example.org", "owners")
	if err := b.SetInitialPassword(t.Context(), b.account.ID, other.ID, password, by()); err != nil {
		t.Fatal(err)
	}
	in, _, err := b.Password(t.Context(), from("192.0.2.2"), other.Email, password)
	if err != nil {
		t.Fatal(err)
	}
	q := b.session(t, in)
	theirs := b.register(t, q)
	ask := func() (json.RawMessage, signin.Ticket) {
		t.Helper()
		raw, ticket, err := b.BeginConfirmPasskey(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return raw, ticket
	}
	raw, ticket := ask()
	if err := b.FinishConfirmPasskey(t.Context(), from("192.0.2.1"), p, ticket, theirs.get(t, raw)); code(err) != "passkey_failed" {
		t.Errorf("the passkey of another person: %v", err)
	}
	raw, ticket = ask()
	if err := b.FinishConfirmPasskey(t.Context(), from("192.0.2.2"), q, ticket, theirs.get(t, raw)); code(err) != "sign_in_over" {
		t.Errorf("the ticket of another session: %v", err)
	}
	raw, ticket = ask()
	if _, err := b.FinishPasskey(t.Context(), from("192.0.2.1"), ticket, mine.get(t, raw)); code(err) != "sign_in_over" {
		t.Errorf("a ticket to confirm, for signing in: %v", err)
	}
	raw, ticket = ask()
	if err := b.FinishConfirmPasskey(t.Context(), from("192.0.2.1"), p, ticket, mine.get(t, raw)); err != nil {
		t.Errorf("her own: %v", err)
	}
}

func TestRegister(t *testing.T) {
	b := newBench(t)
	p := b.in(t)
	a := b.register(t, p)
	offer, ticket, err := b.BeginRegister(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(offer), b64(a.id)) {
		t.Errorf("the passkey that she has is not excluded: %s", offer)
	}
	if _, err := b.FinishRegister(t.Context(), p, ticket, "", a.create(t, offer), by()); err == nil {
		t.Error("the same passkey was stored twice")
	}
	if offer, ticket, err = b.BeginRegister(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	bad := newAuthenticator(t)
	bad.flags = userPresent
	if _, err := b.FinishRegister(t.Context(), p, ticket, "", bad.create(t, offer), by()); code(err) != "passkey_not_made" {
		t.Errorf("a passkey without user verification: %v", err)
	}
	m, err := b.Methods(t.Context(), b.account.ID, b.owner.ID)
	if err != nil || len(m.Passkeys) != 1 {
		t.Fatalf("%d passkeys, error %v", len(m.Passkeys), err)
	}
	if err := b.RenamePasskey(t.Context(), p, m.Passkeys[0].ID, "a\nb", by()); code(err) != "name" {
		t.Errorf("a name of two lines: %v", err)
	}
	if err := b.RenamePasskey(t.Context(), p, m.Passkeys[0].ID, "Green key", by()); err != nil {
		t.Error(err)
	}
	if err := b.RemovePasskey(t.Context(), p, m.Passkeys[0].ID, by()); err != nil {
		t.Error(err)
	}
}

// TestAddressHasNoPasskeys: an address is no RP ID.
func TestAddressHasNoPasskeys(t *testing.T) {
	for origin, want := range map[string]string{"http://127.0.0.1:8080": "no_passkeys", "http://localhost:8080": ""} {
		b := newBench(t)
		b.Service = &signin.Service{Store: b.db, Keys: b.db.Keys(), Origin: origin, Name: "Holdfast", Now: b.clock.Now}
		if _, _, err := b.BeginPasskey(t.Context()); code(err) != want {
			t.Errorf("at %s: %v, want %q", origin, err, want)
		}
	}
}
