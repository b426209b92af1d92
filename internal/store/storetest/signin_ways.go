package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
)

// testOnce uses each thing that is good for one time from many sides at once.
func testOnce(t *testing.T, p *Place) {
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	a, owner := Account(t, dbs[0])
	wrong := func(err error) bool { return code(err) == signin.ErrWrong().Code }
	gone := func(err error) bool { return problem.Is(err, problem.NotFound) }
	left, spent := newHash(), newHash()
	if err := dbs[0].SetTOTP(t.Context(), a.ID, owner.ID, []byte("sealed"), 100, []seal.Hash{left, spent}, By()); err != nil {
		t.Fatal(err)
	}
	signIn := func(db *store.DB, used signin.Used) error {
		n := newSession(signin.ByPasswordCode)
		_, err := db.SignIn(t.Context(), a.ID, owner.ID, n, used, success(n.Method), By())
		return err
	}
	t.Run("time_step", func(t *testing.T) {
		one(t, dbs, wrong, func(db *store.DB, _ int) error { return signIn(db, signin.Used{TOTPStep: 101}) })
		for _, old := range []int64{100, 101} {
			wantCode(t, signIn(dbs[0], signin.Used{TOTPStep: old}), signin.ErrWrong())
		}
	})
	t.Run("recovery_code", func(t *testing.T) {
		one(t, dbs, wrong, func(db *store.DB, _ int) error { return signIn(db, signin.Used{RecoveryCode: spent}) })
		if m := of(dbs[0].Methods(t.Context(), a.ID, owner.ID)).must(t); m.RecoveryCodes != 1 || m.TOTPStep != 101 {
			t.Errorf("ways in %+v, want one recovery code left and step 101", m)
		}
	})
	t.Run("undone_together", func(t *testing.T) { // a code that fails does not use up the step
		wantCode(t, signIn(dbs[0], signin.Used{TOTPStep: 102, RecoveryCode: spent}), signin.ErrWrong())
		if err := signIn(dbs[0], signin.Used{TOTPStep: 102, RecoveryCode: left}); err != nil {
			t.Error(err)
		}
	})
	t.Run("confirming", func(t *testing.T) {
		s, _ := signedIn(t, dbs[0], a.ID, owner.ID)
		one(t, dbs, wrong, func(db *store.DB, _ int) error {
			return db.Confirm(t.Context(), a.ID, owner.ID, s.ID, time.Now(), signin.Used{TOTPStep: 103}, success(signin.ByPasswordCode), By())
		})
	})
	t.Run("ticket", func(t *testing.T) {
		ticket, value, now := newHash(), []byte("sealed"), time.Now()
		if err := dbs[0].Put(t.Context(), ticket, "sso", value, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for _, peek := range []bool{true, false} {
			look := dbs[1].Take
			if peek {
				look = dbs[1].Peek
			}
			_, err := look(t.Context(), ticket, "passkey", now)
			wantKind(t, err, problem.NotFound)
			_, err = look(t.Context(), ticket, "sso", now.Add(time.Minute))
			wantKind(t, err, problem.NotFound)
		}
		if got := of(dbs[1].Peek(t.Context(), ticket, "sso", now)).must(t); string(got) != string(value) {
			t.Errorf("ticket holds %q", got)
		}
		one(t, dbs, gone, func(db *store.DB, _ int) error {
			got, err := db.Take(t.Context(), ticket, "sso", now)
			if err == nil && string(got) != string(value) {
				t.Errorf("ticket holds %q", got)
			}
			return err
		})
		_, err := dbs[0].Peek(t.Context(), ticket, "sso", now)
		wantKind(t, err, problem.NotFound)
	})
	t.Run("setup_link", func(t *testing.T) {
		link := setupLink(t, p, a.ID, owner.ID, directory.Active, time.Now().Add(time.Hour))
		one(t, dbs, gone, func(db *store.DB, i int) error {
			n := newSession(signin.BySetupLink)
			_, err := db.SetUp(t.Context(), link, signin.NewWay{PasswordHash: fmt.Sprintf("hash %d", i)}, n, success(n.Method), By())
			return err
		})
		if list := of(dbs[0].Sessions(t.Context(), a.ID, owner.ID, time.Now())).must(t); len(list) != 1 {
			t.Errorf("%d sessions, want the one that came of the link", len(list))
		}
	})
	Verify(t, dbs[0], a.ID)
}

func testSetUp(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	u := User(t, db, a.ID, "new@example.org")
	use := func(link seal.Hash, w signin.NewWay) (signin.Session, error) {
		n := newSession(signin.BySetupLink)
		return db.SetUp(t.Context(), link, w, n, success(n.Method), By())
	}
	wantState := func(invited bool) {
		t.Helper()
		if person := of(db.Person(t.Context(), a.ID, u.ID)).must(t); person.Invited != invited {
			t.Errorf("invited is %t", person.Invited)
		}
	}
	expired := setupLink(t, p, a.ID, u.ID, directory.Invited, time.Now().Add(-time.Second))
	_, err := use(expired, signin.NewWay{PasswordHash: "hash"})
	wantKind(t, err, problem.NotFound)
	link := setupLink(t, p, a.ID, u.ID, directory.Invited, time.Now().Add(time.Hour))
	second := setupLink(t, p, a.ID, u.ID, directory.Invited, time.Now().Add(time.Hour))
	if owner := of(db.SetupLink(t.Context(), link, time.Now())).must(t); owner.UserID != u.ID || !owner.Invited {
		t.Errorf("the link is of %+v", owner)
	}
	_, err = db.SetupLink(t.Context(), link, time.Now().Add(time.Hour))
	wantKind(t, err, problem.NotFound)
	if _, err := use(link, signin.NewWay{}); err == nil {
		t.Error("a link was used for no way in")
	}
	wantState(true)
	s := of(use(link, signin.NewWay{PasswordHash: "hash"})).must(t)
	wantState(false)
	if s.Method != signin.BySetupLink || s.UserID != u.ID {
		t.Errorf("session %+v", s)
	}
	if diff := cmp.Diff([]audit.Action{audit.SignInSetUp, audit.SessionBegin}, actions(t, db, a.ID)[2:]); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
	for name, l := range map[string]seal.Hash{"used": link, "another of hers": second} {
		if _, err := use(l, signin.NewWay{PasswordHash: "other"}); !problem.Is(err, problem.NotFound) {
			t.Errorf("%s: %v, want that there is no such link", name, err)
		}
	}
	if m := of(db.Methods(t.Context(), a.ID, u.ID)).must(t); m.PasswordHash != "hash" {
		t.Errorf("ways in %+v", m)
	}

	// Who has lost her ways in begins anew: what she had is worth nothing any more.
	if err := db.SetTOTP(t.Context(), a.ID, u.ID, []byte("sealed"), 1, []seal.Hash{newHash()}, By()); err != nil {
		t.Fatal(err)
	}
	_, old := signedIn(t, db, a.ID, u.ID)
	lost := newPasskey(a.ID, u.ID)
	if err := db.AddPasskey(t.Context(), lost, By()); err != nil {
		t.Fatal(err)
	}
	of(db.SignIn(t.Context(), a.ID, u.ID, newSession(signin.BySSO), signin.Used{Issuer: "https://id.example", Subject: "1"}, success(signin.BySSO), By())).must(t)
	link = setupLink(t, p, a.ID, u.ID, directory.Active, time.Now().Add(time.Hour))
	found := newPasskey(a.ID, u.ID)
	of(use(link, signin.NewWay{Passkey: &found})).must(t)
	m := of(db.Methods(t.Context(), a.ID, u.ID)).must(t)
	if len(m.Passkeys) != 1 || m.Passkeys[0].ID != found.ID || m.PasswordHash != "" || m.TOTP != nil || m.RecoveryCodes != 0 || m.SSO {
		t.Errorf("ways in after setting up anew: %+v", m)
	}
	if s, _, err := db.SessionByHash(t.Context(), old); err != nil || s.Live(time.Now()) {
		t.Errorf("a session from before is alive: %v", err)
	}

	link = setupLink(t, p, a.ID, u.ID, directory.Active, time.Now().Add(time.Hour))
	taken := newPasskey(a.ID, u.ID)
	other := newPasskey(a.ID, User(t, db, a.ID, "other@example.org").ID)
	if err := db.AddPasskey(t.Context(), other, By()); err != nil {
		t.Fatal(err)
	}
	taken.RawID = other.RawID
	_, err = use(link, signin.NewWay{Passkey: &taken})
	wantKind(t, err, problem.Conflict)
	if m := of(db.Methods(t.Context(), a.ID, u.ID)).must(t); len(m.Passkeys) != 1 {
		t.Errorf("what failed was not undone: %+v", m)
	}
	suspend(t, db, a.ID, u.ID)
	_, err = use(link, signin.NewWay{PasswordHash: "hash"})
	wantCode(t, err, signin.ErrMayNot())
	of(db.ReactivateUser(t.Context(), a.ID, u.ID, By())).must(t)
	of(use(link, signin.NewWay{PasswordHash: "hash"})).must(t) // what is refused does not use the link up
	Verify(t, db, a.ID)
}

func testWays(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	ctx, id := t.Context(), owner.ID
	first, second := newPasskey(a.ID, id), newPasskey(a.ID, id)
	for _, k := range []signin.Passkey{first, second} {
		if err := db.AddPasskey(ctx, k, By()); err != nil {
			t.Fatal(err)
		}
	}
	again := newPasskey(a.ID, User(t, db, a.ID, "mira@example.org").ID)
	again.RawID = first.RawID
	wantKind(t, db.AddPasskey(ctx, again, By()), problem.Conflict)
	ignore := cmpopts.IgnoreFields(signin.Passkey{}, "CreatedAt", "LastUsedAt")
	if diff := cmp.Diff(first, of(db.PasskeyByRawID(ctx, first.RawID)).must(t), ignore); diff != "" {
		t.Errorf("passkey (-added +read):\n%s", diff)
	}
	first.Credential = []byte(`{"counter":7}`)
	of(db.SignIn(ctx, a.ID, id, newSession(signin.ByPasskey), signin.Used{Passkey: &first}, success(signin.ByPasskey), By())).must(t)
	got := of(db.PasskeyByRawID(ctx, first.RawID)).must(t)
	if diff := cmp.Diff(first, got, ignore); diff != "" || got.LastUsedAt.IsZero() {
		t.Errorf("used passkey, last used %s (-want +read):\n%s", got.LastUsedAt, diff)
	}
	for range 2 { // the second time changes nothing
		if err := db.RenamePasskey(ctx, a.ID, id, first.ID, "Key ring", By()); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.RemovePasskey(ctx, a.ID, id, second.ID, By()); err != nil {
		t.Fatal(err)
	}
	_, err := db.SignIn(ctx, a.ID, id, newSession(signin.ByPasskey), signin.Used{Passkey: &second}, success(signin.ByPasskey), By())
	wantCode(t, err, signin.ErrWrong())
	wantCode(t, db.RemovePasskey(ctx, a.ID, id, first.ID, By()), signin.ErrLastWay())
	if e := lastEntry(t, db, a.ID); e.Action != audit.PasskeyRemove || e.Outcome != audit.Refused {
		t.Errorf("audit entry %+v, want the refusal", e)
	}

	wantKind(t, db.RemovePassword(ctx, a.ID, id, By()), problem.NotFound)
	wantKind(t, db.RemoveTOTP(ctx, a.ID, id, By()), problem.NotFound)
	for _, hash := range []string{"old", "new"} {
		if err := db.SetPassword(ctx, a.ID, id, hash, By()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = db.SignIn(ctx, a.ID, id, newSession(signin.ByPassword), signin.Used{PasswordHash: "old"}, success(signin.ByPassword), By())
	wantCode(t, err, signin.ErrWrong()) // it was changed meanwhile
	of(db.SignIn(ctx, a.ID, id, newSession(signin.ByPassword), signin.Used{PasswordHash: "new"}, success(signin.ByPassword), By())).must(t)
	if err := db.SetTOTP(ctx, a.ID, id, []byte("sealed"), 5, []seal.Hash{newHash(), newHash()}, By()); err != nil {
		t.Fatal(err)
	}
	if err := db.SetRecoveryCodes(ctx, a.ID, id, []seal.Hash{newHash(), newHash(), newHash()}, By()); err != nil {
		t.Fatal(err)
	}
	m := of(db.Methods(ctx, a.ID, id)).must(t)
	if m.PasswordHash != "new" || string(m.TOTP) != "sealed" || m.TOTPStep != 5 || m.RecoveryCodes != 3 || m.PasswordChangedAt.IsZero() || m.TOTPSince.IsZero() || m.SSO ||
		len(m.Passkeys) != 1 || m.Passkeys[0].Name != "Key ring" {
		t.Errorf("ways in %+v", m)
	}
	if err := db.RemoveTOTP(ctx, a.ID, id, By()); err != nil {
		t.Fatal(err)
	}
	if m := of(db.Methods(ctx, a.ID, id)).must(t); m.TOTP != nil || m.RecoveryCodes != 0 {
		t.Errorf("after removing one-time codes: %+v", m)
	}
	if err := db.SetTOTP(ctx, a.ID, id, []byte("sealed"), 5, []seal.Hash{newHash()}, By()); err != nil {
		t.Fatal(err)
	}
	if err := db.RemovePassword(ctx, a.ID, id, By()); err != nil {
		t.Fatal(err)
	}
	if m := of(db.Methods(ctx, a.ID, id)).must(t); m.TOTP != nil || m.RecoveryCodes != 0 || m.PasswordHash != "" || m.None() {
		t.Errorf("after removing the password: %+v", m)
	}
	Verify(t, db, a.ID)
}

func testSubjects(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	mira := User(t, db, a.ID, "mira@example.org")
	const issuer = "https://id.example"
	enter := func(user, issuer, subject string) error {
		_, err := db.SignIn(t.Context(), a.ID, user, newSession(signin.BySSO), signin.Used{Issuer: issuer, Subject: subject}, success(signin.BySSO), By())
		return err
	}
	_, err := db.UserBySubject(t.Context(), a.ID, issuer, "1")
	wantKind(t, err, problem.NotFound)
	for _, subject := range []string{"1", "1"} {
		if err := enter(owner.ID, issuer, subject); err != nil {
			t.Fatal(err)
		}
	}
	if id := of(db.UserBySubject(t.Context(), a.ID, issuer, "1")).must(t); id != owner.ID {
		t.Errorf("the subject is of %s", id)
	}
	wantCode(t, enter(mira.ID, issuer, "1"), signin.ErrWrong())  // somebody else's
	wantCode(t, enter(owner.ID, issuer, "2"), signin.ErrWrong()) // she is another one there
	if err := enter(mira.ID, issuer, "2"); err != nil {
		t.Error(err)
	}
	if err := enter(mira.ID, "https://other.example", "1"); err != nil {
		t.Error(err)
	}
	if m := of(db.Methods(t.Context(), a.ID, mira.ID)).must(t); !m.SSO || m.None() {
		t.Errorf("ways in %+v", m)
	}
	one(t, []*store.DB{db, p.Open(t)}, func(err error) bool { return code(err) == signin.ErrWrong().Code }, func(db *store.DB, i int) error {
		_, err := db.SignIn(t.Context(), a.ID, owner.ID, newSession(signin.BySSO), signin.Used{Issuer: "https://third.example", Subject: fmt.Sprint(i)}, success(signin.BySSO), By())
		return err
	})
	Verify(t, db, a.ID)
}
