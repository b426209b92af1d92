package storetest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

// browser is where people of the tests sit.
func browser() signin.Client {
	return signin.Client{Address: "203.0.113.77", UserAgent: "Mozilla/5.0"}
}

func newHash() seal.Hash {
	_, hash := seal.NewCredential("test_")
	return hash
}

func newSession(m signin.Method) signin.NewSession {
	return signin.NewSession{Hash: newHash(), Method: m, Client: browser()}
}

func success(m signin.Method) signin.Attempt {
	return signin.Attempt{ID: seal.NewID(), At: time.Now().UTC().Truncate(time.Microsecond), Category: signin.Success, Type: signin.MFAOK, Method: m, Client: browser()}
}

func newPasskey(account, user string) signin.Passkey {
	id := seal.NewID()
	return signin.Passkey{ID: id, AccountID: account, UserID: user, Name: "Phone", Credential: []byte(`{"counter":0}`), RawID: []byte("raw " + id)}
}

// signedIn begins a session, and returns it with the hash of its cookie.
func signedIn(t testing.TB, db *store.DB, account, user string) (signin.Session, seal.Hash) {
	t.Helper()
	n := newSession(signin.ByPasskey)
	s := of(db.SignIn(t.Context(), account, user, n, signin.Used{}, success(n.Method), By())).must(t)
	return s, n.Hash
}

// setupLink stores a link for a person; state is the lifecycle that she is in.
func setupLink(t *testing.T, p *Place, account, user string, state directory.Lifecycle, expires time.Time) seal.Hash {
	t.Helper()
	hash, raw := newHash(), p.raw(t)
	if _, err := raw.Exec("INSERT INTO setup_links (hash, account_id, user_id, expires_at) VALUES ($1, $2, $3, $4)", hash[:], account, user, expires.UnixMicro()); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec("UPDATE users SET lifecycle = $1 WHERE account_id = $2 AND id = $3", string(state), account, user); err != nil {
		t.Fatal(err)
	}
	return hash
}

func suspend(t *testing.T, db *store.DB, account, user string) {
	t.Helper()
	if _, err := db.SuspendUser(t.Context(), account, user, directory.NewHold{Holder: "client:1", Reason: "stolen laptop"}, By()); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want *problem.Error) {
	t.Helper()
	if code(err) != want.Code {
		t.Errorf("error is %v, want %v", err, want)
	}
}

// lastEntry is the newest entry of a chain.
func lastEntry(t *testing.T, db *store.DB, account string) audit.Entry {
	t.Helper()
	var last audit.Entry
	for l, err := range db.AuditLinks(t.Context(), account, 0) {
		last = of(l, err).must(t).Entry
	}
	return last
}

// one runs the function many times at once, on two servers, and wants exactly one to go well.
func one(t *testing.T, dbs []*store.DB, lost func(error) bool, run func(db *store.DB, i int) error) {
	t.Helper()
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			if err := run(dbs[i%len(dbs)], i); err == nil {
				won.Add(1)
			} else if !lost(err) {
				t.Errorf("who was too late hears %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d went well, want exactly 1", won.Load())
	}
}

func testSignIn(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	n := newSession(signin.ByPasswordCode)
	try := success(n.Method)
	s := of(db.SignIn(t.Context(), a.ID, owner.ID, n, signin.Used{}, try, By())).must(t)
	got, person, err := db.SessionByHash(t.Context(), n.Hash)
	of(got, err).must(t)
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("stored session (-begun +read):\n%s", diff)
	}
	want := signin.Person{
		AccountID: a.ID, AccountName: a.Name, UserID: owner.ID, Email: owner.Email, DisplayName: owner.DisplayName,
		Invited: owner.Lifecycle == directory.Invited, Groups: []string{"owners"},
	}
	if diff := cmp.Diff(want, person); diff != "" {
		t.Errorf("person (-want +got):\n%s", diff)
	}
	limits := signin.DefaultPolicy()
	if s.Idle != limits.Idle || s.ExpiresAt.Sub(s.CreatedAt) != limits.Absolute || !s.Live(time.Now()) || s.Address != browser().Address {
		t.Errorf("session %+v, want it to be alive within the limits %+v", s, limits)
	}
	try.AccountID, try.UserID, try.SessionID, try.Name, try.Email = a.ID, owner.ID, s.ID, owner.DisplayName, owner.Email
	if diff := cmp.Diff([]signin.Attempt{try}, of(db.Attempts(t.Context(), signin.AttemptQuery{AccountID: a.ID, Limit: 9})).must(t)); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	if e := lastEntry(t, db, a.ID); e.Action != audit.SessionBegin || e.Actor != "user:"+owner.ID || e.Target != "session:"+s.ID {
		t.Errorf("audit entry %+v", e)
	}

	later := s.CreatedAt.Add(2 * time.Minute)
	for _, id := range []string{"NOSUCH", s.ID} {
		if err := db.Seen(t.Context(), a.ID, id, later, "198.51.100.9"); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Seen(t.Context(), a.ID, s.ID, s.CreatedAt, "192.0.2.1"); err != nil { // late news change nothing
		t.Fatal(err)
	}
	confirmed := s.CreatedAt.Add(time.Minute)
	if err := db.Confirm(t.Context(), a.ID, owner.ID, s.ID, confirmed, signin.Used{}, success(signin.ByPasskey), By()); err != nil {
		t.Fatal(err)
	}
	s.LastSeenAt, s.Address, s.ConfirmedAt = later, "198.51.100.9", confirmed
	if diff := cmp.Diff([]signin.Session{s}, of(db.Sessions(t.Context(), a.ID, owner.ID, time.Now())).must(t)); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	for _, when := range []time.Time{later.Add(s.Idle), s.ExpiresAt} {
		if list := of(db.Sessions(t.Context(), a.ID, owner.ID, when)).must(t); len(list) != 0 {
			t.Errorf("at %s there are sessions: %+v", when, list)
		}
	}
	for range 2 { // the second time changes nothing
		if err := db.EndSession(t.Context(), a.ID, owner.ID, s.ID, By()); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err = db.SessionByHash(t.Context(), n.Hash); err != nil || got.Live(time.Now()) {
		t.Errorf("an ended session is alive: %+v, %v", got, err)
	}
	err = db.Confirm(t.Context(), a.ID, owner.ID, s.ID, confirmed, signin.Used{}, success(signin.ByPasskey), By())
	wantCode(t, err, signin.ErrSessionEnded())
	wantActions := []audit.Action{audit.AccountCreate, audit.SessionBegin, audit.SessionConfirm, audit.SessionEnd}
	if diff := cmp.Diff(wantActions, actions(t, db, a.ID)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
	_, _, err = db.SessionByHash(t.Context(), newHash())
	wantKind(t, err, problem.NotFound)

	kept, keptHash := signedIn(t, db, a.ID, owner.ID)
	signedIn(t, db, a.ID, owner.ID)
	signedIn(t, db, a.ID, owner.ID)
	if n := of(db.EndSessions(t.Context(), a.ID, owner.ID, kept.ID, By())).must(t); n != 2 {
		t.Errorf("%d sessions ended, want 2", n)
	}
	if got, _, err := db.SessionByHash(t.Context(), keptHash); err != nil || !got.Live(time.Now()) {
		t.Errorf("the session to keep is over: %+v, %v", got, err)
	}
	Verify(t, db, a.ID)
}

// testMayNot tries to let in who is suspended, removed or only invited.
func testMayNot(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	for _, tt := range []struct {
		name string
		make func(user string) // makes the person one who may not
		keep bool              // the person is still there
	}{
		{"suspended", func(u string) { suspend(t, db, a.ID, u) }, true},
		{"invited", func(u string) { setupLink(t, p, a.ID, u, directory.Invited, time.Now()) }, true},
		{"removed", func(u string) {
			if err := db.RemoveUser(t.Context(), a.ID, u, By()); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := User(t, db, a.ID, tt.name+"@example.org")
			s, hash := signedIn(t, db, a.ID, u.ID)
			k := newPasskey(a.ID, u.ID)
			if err := db.AddPasskey(t.Context(), k, By()); err != nil {
				t.Fatal(err)
			}
			tt.make(u.ID)
			n := newSession(signin.ByPasskey)
			_, err := db.SignIn(t.Context(), a.ID, u.ID, n, signin.Used{Passkey: &k}, success(n.Method), By())
			wantCode(t, err, signin.ErrMayNot())
			if e := lastEntry(t, db, a.ID); e.Outcome != audit.Refused || e.Action != audit.SessionBegin {
				t.Errorf("audit entry %+v, want the refusal", e)
			}
			_, _, err = db.SessionByHash(t.Context(), n.Hash)
			wantKind(t, err, problem.NotFound)
			err = db.Confirm(t.Context(), a.ID, u.ID, s.ID, time.Now(), signin.Used{}, success(n.Method), By())
			wantCode(t, err, signin.ErrMayNot())
			tries := of(db.Attempts(t.Context(), signin.AttemptQuery{AccountID: a.ID, UserID: u.ID, Category: signin.CredentialsFailed, Limit: 9})).must(t)
			if len(tries) != 2 || tries[0].Type != signin.AllBlocked || tries[1].Type != signin.AllBlocked || tries[0].SessionID != "" {
				t.Errorf("attempts %+v, want both on record as blocked", tries)
			}
			if !tt.keep {
				_, err := db.PasskeyByRawID(t.Context(), k.RawID)
				wantKind(t, err, problem.NotFound)
				_, _, err = db.SessionByHash(t.Context(), hash)
				wantKind(t, err, problem.NotFound)
				return
			}
			if k = of(db.PasskeyByRawID(t.Context(), k.RawID)).must(t); !k.LastUsedAt.IsZero() {
				t.Error("the passkey counts as used")
			}
			other := newPasskey(a.ID, u.ID)
			wantCode(t, db.AddPasskey(t.Context(), other, By()), signin.ErrMayNot())
			wantCode(t, db.SetPassword(t.Context(), a.ID, u.ID, "h", By()), signin.ErrMayNot())
			wantCode(t, db.SetTOTP(t.Context(), a.ID, u.ID, []byte("s"), 1, nil, By()), signin.ErrMayNot())
			wantCode(t, db.SetRecoveryCodes(t.Context(), a.ID, u.ID, nil, By()), signin.ErrMayNot())
		})
	}
	Verify(t, db, a.ID)
}

// testSuspendedMeanwhile suspends people while they sign in: afterwards no session of theirs is alive.
func testSuspendedMeanwhile(t *testing.T, p *Place) {
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	a, _ := Account(t, dbs[0])
	begun := 0
	for round := range 6 {
		u := User(t, dbs[0], a.ID, fmt.Sprintf("p%d@example.org", round))
		_, before := signedIn(t, dbs[0], a.ID, u.ID)
		var mu sync.Mutex
		hashes := []seal.Hash{before}
		var suspended atomic.Bool
		var wg sync.WaitGroup
		for i := range 6 {
			db := dbs[i%2]
			wg.Go(func() {
				for range 4 {
					n, late := newSession(signin.ByPasskey), suspended.Load()
					_, err := db.SignIn(t.Context(), a.ID, u.ID, n, signin.Used{}, success(n.Method), By())
					if err == nil && late {
						t.Error("a session began after the suspension was answered")
					}
					if err == nil {
						mu.Lock()
						hashes = append(hashes, n.Hash)
						mu.Unlock()
					} else if code(err) != signin.ErrMayNot().Code {
						t.Errorf("sign in: %v", err)
					}
				}
			})
		}
		wg.Go(func() {
			if _, err := dbs[0].SuspendUser(t.Context(), a.ID, u.ID, directory.NewHold{Holder: "client:1"}, By()); err != nil {
				t.Error(err)
			}
			suspended.Store(true)
		})
		wg.Wait()
		begun += len(hashes)
		for _, h := range hashes {
			for _, db := range dbs {
				s, person, err := db.SessionByHash(t.Context(), h)
				if err != nil || s.Live(time.Now()) || !person.Suspended {
					t.Fatalf("after the suspension a session is alive: %+v, %v", s, err)
				}
			}
		}
		if list := of(dbs[1].Sessions(t.Context(), a.ID, u.ID, time.Now())).must(t); len(list) != 0 {
			t.Errorf("%d sessions are listed", len(list))
		}
	}
	t.Logf("%d sessions began", begun)
	Verify(t, dbs[0], a.ID)
}

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

func testSignInPolicy(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	ctx, id := t.Context(), owner.ID
	owns := By()
	owns.Actor = "user:" + id
	if diff := cmp.Diff(signin.DefaultPolicy(), of(db.Policy(ctx, a.ID)).must(t)); diff != "" {
		t.Errorf("policy of a new account (-want +got):\n%s", diff)
	}
	_, err := db.SSOSecret(ctx, a.ID)
	wantKind(t, err, problem.NotFound)
	wantKind(t, db.SetPolicy(ctx, "NOSUCH", signin.DefaultPolicy(), nil, By()), problem.NotFound)
	if err := db.SetPassword(ctx, a.ID, id, "hash", owns); err != nil {
		t.Fatal(err)
	}
	session, hash := signedIn(t, db, a.ID, id)

	strict := signin.DefaultPolicy()
	strict.Passwords = false
	wantCode(t, db.SetPolicy(ctx, a.ID, strict, nil, owns), signin.ErrLastWay())
	if e := lastEntry(t, db, a.ID); e.Action != audit.PolicySet || e.Outcome != audit.Refused {
		t.Errorf("audit entry %+v, want the refusal", e)
	}
	if of(db.Policy(ctx, a.ID)).must(t) != signin.DefaultPolicy() {
		t.Error("what was refused was stored")
	}

	next := signin.Policy{
		Passkeys: true, Passwords: true, RequireCode: true, Idle: time.Hour, Absolute: 24 * time.Hour,
		SingleSignOn: true, Issuer: "https://id.example", ClientID: "holdfast", SecretVersion: 1,
	}
	if err := db.SetPolicy(ctx, a.ID, next, []byte("sealed"), owns); err != nil {
		t.Fatal(err)
	}
	next.HasSecret = true
	if diff := cmp.Diff(map[string]signin.Policy{a.ID: next}, of(db.SSOAccounts(ctx)).must(t)); diff != "" {
		t.Errorf("accounts with single sign-on (-want +got):\n%s", diff)
	}
	if got := of(db.SSOSecret(ctx, a.ID)).must(t); string(got) != "sealed" {
		t.Errorf("secret %q", got)
	}
	wantKind(t, db.SetPolicy(ctx, a.ID, next, []byte("of a slower administrator"), owns), problem.Conflict)
	if s, _, err := db.SessionByHash(ctx, hash); err != nil || s.Idle != time.Hour || s.ExpiresAt != session.CreatedAt.Add(24*time.Hour) {
		t.Errorf("the session goes on beyond the new limits: %+v, %v", s, err)
	}

	next.SingleSignOn = false // the secret stays, for when it is turned on again
	if err := db.SetPolicy(ctx, a.ID, next, nil, owns); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(next, of(db.Policy(ctx, a.ID)).must(t)); diff != "" {
		t.Errorf("policy (-set +read):\n%s", diff)
	}
	before := Verify(t, db, a.ID)
	if err := db.SetPolicy(ctx, a.ID, next, nil, owns); err != nil || Verify(t, db, a.ID) != before {
		t.Errorf("what changes nothing leaves an entry, or fails: %v", err)
	}
	if len(of(db.SSOAccounts(ctx)).must(t)) != 0 {
		t.Error("an account without single sign-on has it")
	}

	// The account asks for codes: they cannot be taken away from the password.
	if err := db.SetTOTP(ctx, a.ID, id, []byte("sealed"), 1, nil, owns); err != nil {
		t.Fatal(err)
	}
	wantCode(t, db.RemoveTOTP(ctx, a.ID, id, owns), signin.ErrCodeRequired())
	key := newPasskey(a.ID, id)
	if err := db.AddPasskey(ctx, key, owns); err != nil {
		t.Fatal(err)
	}
	next.Passwords = false
	if err := db.SetPolicy(ctx, a.ID, next, nil, owns); err != nil {
		t.Fatal(err)
	}
	wantCode(t, db.RemovePasskey(ctx, a.ID, id, key.ID, owns), signin.ErrLastWay()) // the password is worth nothing now
	if err := db.RemovePassword(ctx, a.ID, id, owns); err != nil {
		t.Fatal(err)
	}
	Verify(t, db, a.ID)
}

func testAttempts(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	mira := User(t, db, a.ID, "mira@example.org")
	base := time.Date(2026, 10, 19, 3, 41, 7, 482910000, time.UTC)
	var all []signin.Attempt // newest first
	for i := range 9 {
		x := signin.Attempt{
			ID: fmt.Sprintf("ID%d", i), AccountID: a.ID, At: base.Add(time.Duration(i/3) * time.Second), Category: signin.CredentialsFailed,
			Type: signin.PasswordSecretBad, Details: "d", SessionID: "S", UserID: owner.ID, Name: "Ines", Email: owner.Email, Method: signin.ByPassword, Client: browser(),
		}
		if i%2 == 0 {
			x.UserID = mira.ID
		}
		if i%4 == 0 {
			x.Category, x.Type = signin.MFAFailed, signin.TOTPBad
		}
		if err := db.Fail(t.Context(), x, nil, By()); err != nil {
			t.Fatal(err)
		}
		all = append([]signin.Attempt{x}, all...)
	}
	if err := db.Fail(t.Context(), signin.Attempt{ID: "NOBODY", At: base, Category: signin.CredentialsFailed, Type: signin.PasswordSecretBad}, nil, By()); err != nil {
		t.Fatal(err)
	}
	where := func(keep func(signin.Attempt) bool) (some []signin.Attempt) {
		for _, x := range all {
			if keep(x) {
				some = append(some, x)
			}
		}
		return some
	}
	for _, tt := range []struct {
		name string
		q    signin.AttemptQuery
		keep func(signin.Attempt) bool
	}{
		{"all", signin.AttemptQuery{}, func(signin.Attempt) bool { return true }},
		{"person", signin.AttemptQuery{UserID: mira.ID}, func(x signin.Attempt) bool { return x.UserID == mira.ID }},
		{"category", signin.AttemptQuery{Category: signin.MFAFailed}, func(x signin.Attempt) bool { return x.Category == signin.MFAFailed }},
		{"person_and_category", signin.AttemptQuery{UserID: mira.ID, Category: signin.CredentialsFailed},
			func(x signin.Attempt) bool { return x.UserID == mira.ID && x.Category == signin.CredentialsFailed }},
		{"from_is_included", signin.AttemptQuery{From: base.Add(time.Second)}, func(x signin.Attempt) bool { return !x.At.Before(base.Add(time.Second)) }},
		{"to_is_not", signin.AttemptQuery{To: base.Add(time.Second)}, func(x signin.Attempt) bool { return x.At.Before(base.Add(time.Second)) }},
	} {
		for _, size := range []int{1, 2, 4, 100} {
			t.Run(fmt.Sprintf("%s_by_%d", tt.name, size), func(t *testing.T) {
				q := tt.q
				q.AccountID, q.Limit = a.ID, size
				var got []signin.Attempt
				for {
					page := of(db.Attempts(t.Context(), q)).must(t)
					got = append(got, page...)
					if len(page) < size || len(got) > len(all) {
						break
					}
					q.Before, q.BeforeID = page[size-1].At, page[size-1].ID
				}
				if diff := cmp.Diff(where(tt.keep), got); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			})
		}
	}
	Verify(t, db, a.ID)
}

// testFailures counts who guesses, and looks at what is kept of a stranger's typing.
func testFailures(t *testing.T, p *Place) {
	var shift atomic.Int64
	p.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	db := dbs[0]
	a, owner := Account(t, db)
	ctx := t.Context()
	const secret = "correct horse battery staple"
	stranger := signin.Attempt{
		At: time.Now(), Category: signin.CredentialsFailed, Type: signin.PasswordSecretBad, Email: secret + "\x00\xff" + strings.Repeat("ü", 300),
		Client: signin.Client{Address: "203.0.113.77", UserAgent: "\x00\xff" + strings.Repeat("ü", 900)},
	}
	if err := db.Fail(ctx, stranger, []string{"address", "address"}, audit.Entry{Actor: "anonymous"}); err != nil {
		t.Fatal(err)
	}
	kept := of(db.Attempts(ctx, signin.AttemptQuery{Limit: 9})).must(t)
	if len(kept) != 1 || !strings.HasPrefix(kept[0].Email, secret+"ü") || len(kept[0].Email) > 254 || len(kept[0].Client.UserAgent) > 400 || kept[0].AccountID != "" {
		t.Errorf("attempts of nobody: %+v", kept)
	}
	if e := lastEntry(t, db, audit.System); e.Action != audit.SignInFail || e.Outcome != audit.Refused || e.Target != "" || strings.Contains(fmt.Sprint(e), secret) {
		t.Errorf("audit entry %+v, want a refusal without what was typed", e)
	}
	known := stranger
	known.AccountID, known.UserID, known.Email = a.ID, owner.ID, owner.Email
	fails := func(n int) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				x, keys := known, []string{"person", "address"}
				if i%2 == 0 { // of no account, and in the other order
					x, keys = stranger, []string{"address", "person"}
				}
				if err := dbs[i/2%2].Fail(ctx, x, keys, By()); err != nil {
					t.Errorf("fail: %v", err)
				}
			})
		}
		wg.Wait()
	}
	wantCounts := func(want map[string]int) {
		t.Helper()
		got := map[string]int{}
		for key, f := range of(db.Throttle(ctx, []string{"person", "address", "unknown"})).must(t) {
			got[key] = f.Count
			if f.Count > 0 && p.Now().Sub(f.Last) > time.Minute {
				t.Errorf("last failure of %s at %s", key, f.Last)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
	}
	wantCounts(map[string]int{"person": 0, "address": 1, "unknown": 0})
	fails(40)
	wantCounts(map[string]int{"person": 40, "address": 41, "unknown": 0})
	if e := lastEntry(t, db, a.ID); e.Action != audit.SignInFail || e.Target != "user:"+owner.ID {
		t.Errorf("audit entry %+v", e)
	}
	shift.Store(int64(signin.FailuresFor + time.Second))
	wantCounts(map[string]int{"person": 0, "address": 0, "unknown": 0})
	fails(1) // begins anew
	wantCounts(map[string]int{"person": 1, "address": 1, "unknown": 0})
	of(db.SignIn(ctx, a.ID, owner.ID, newSession(signin.ByPasskey), signin.Used{Forget: []string{"person", "unknown"}}, success(signin.ByPasskey), By())).must(t)
	wantCounts(map[string]int{"person": 0, "address": 1, "unknown": 0})

	for _, tt := range []struct {
		name, account, user, address string
		since                        time.Time
		want                         bool
	}{
		{"signed in from", a.ID, owner.ID, browser().Address, time.Now().Add(-time.Hour), true},
		{"before", a.ID, owner.ID, browser().Address, time.Now().Add(time.Hour), false},
		{"another address", a.ID, owner.ID, "198.51.100.9", time.Now().Add(-time.Hour), false},
		{"another person", a.ID, "NOSUCH", browser().Address, time.Now().Add(-time.Hour), false},
		{"failed only", "", "", browser().Address, time.Now().Add(-time.Hour), false},
	} {
		if got := of(db.KnownAddress(ctx, tt.account, tt.user, tt.address, tt.since)).must(t); got != tt.want {
			t.Errorf("%s: known is %t", tt.name, got)
		}
	}
	Verify(t, db, a.ID)
}

// testSignInPurge deletes what is worth nothing, and nothing else.
func testSignInPurge(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	ctx, now := t.Context(), time.Now()
	_, alive := signedIn(t, db, a.ID, owner.ID)
	over, overHash := signedIn(t, db, a.ID, owner.ID)
	if err := db.EndSession(ctx, a.ID, owner.ID, over.ID, By()); err != nil {
		t.Fatal(err)
	}
	ticket := newHash()
	for _, err := range []error{
		db.Put(ctx, ticket, "sso", []byte("x"), now.Add(time.Minute)),
		db.Fail(ctx, signin.Attempt{At: now}, []string{"address"}, By()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	life := signin.DefaultPolicy().Absolute
	raw := p.raw(t)
	for _, tt := range []struct {
		name                        string
		when                        time.Time
		alive, over, ticket, failed bool // what is left
	}{
		{"at once", now, true, true, true, true},
		{"two minutes", now.Add(2 * time.Minute), true, true, false, true},
		{"two days", now.Add(48 * time.Hour), true, true, false, false},
		{"thirty days", now.Add(signin.KeepSessions + time.Minute), true, false, false, false},
		{"thirty days after the end", now.Add(life + signin.KeepSessions + time.Minute), false, false, false, false},
	} {
		if err := db.Purge(ctx, tt.when); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			query string
			arg   any
			want  bool
		}{
			"session":       {"SELECT COUNT(*) FROM sessions WHERE hash = $1", alive[:], tt.alive},
			"ended session": {"SELECT COUNT(*) FROM sessions WHERE hash = $1", overHash[:], tt.over},
			"ticket":        {"SELECT COUNT(*) FROM signin_tickets WHERE hash = $1", ticket[:], tt.ticket},
			"counter":       {"SELECT COUNT(*) FROM signin_failures WHERE key = $1", "address", tt.failed},
		} {
			var n int
			if err := raw.QueryRow(c.query, c.arg).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n > 0 != c.want {
				t.Errorf("%s: the %s is there: %t", tt.name, what, n > 0)
			}
		}
	}
}

// testSignInIsolation asks with the ids of one account in the name of another: nothing is found or changed.
func testSignInIsolation(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	b, stranger := Account(t, db) // with the same e-mail
	ctx, id := t.Context(), owner.ID
	people := of(db.People(ctx, "OWNER@example.org", 10)).must(t)
	if len(people) != 2 || people[0].AccountID >= people[1].AccountID || people[0].AccountID != min(a.ID, b.ID) {
		t.Errorf("people with the e-mail: %+v, want those of both accounts in order", people)
	}
	if n := len(of(db.People(ctx, "owner@example.org", 1)).must(t)); n != 1 {
		t.Errorf("%d people, want at most 1", n)
	}
	if n := len(of(db.People(ctx, "nobody@example.org", 9)).must(t)); n != 0 {
		t.Errorf("%d people have an unknown e-mail", n)
	}
	key := newPasskey(a.ID, id)
	code := newHash()
	for _, err := range []error{
		db.AddPasskey(ctx, key, By()), db.AddPasskey(ctx, newPasskey(a.ID, id), By()), db.SetPassword(ctx, a.ID, id, "hash", By()),
		db.SetTOTP(ctx, a.ID, id, []byte("sealed"), 1, []seal.Hash{code}, By()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, hash := signedIn(t, db, a.ID, id)
	before := of(db.Methods(ctx, a.ID, id)).must(t)
	entries := Verify(t, db, a.ID)

	for _, other := range []struct{ account, user string }{{b.ID, id}, {b.ID, stranger.ID}, {a.ID, stranger.ID}} {
		who := other.account + "/" + other.user
		for what, err := range map[string]error{
			"end session":    db.EndSession(ctx, other.account, other.user, s.ID, By()),
			"rename passkey": db.RenamePasskey(ctx, other.account, other.user, key.ID, "x", By()),
			"remove passkey": db.RemovePasskey(ctx, other.account, other.user, key.ID, By()),
			"password":       db.RemovePassword(ctx, other.account, other.user, By()),
			"codes":          db.RemoveTOTP(ctx, other.account, other.user, By()),
		} {
			if !problem.Is(err, problem.NotFound) {
				t.Errorf("%s of somebody else as %s: %v", what, who, err)
			}
		}
		for what, used := range map[string]signin.Used{
			"passkey": {Passkey: &key}, "code": {RecoveryCode: code}, "step": {TOTPStep: 9}, "password": {PasswordHash: "hash"},
		} {
			if _, err := db.SignIn(ctx, other.account, other.user, newSession(signin.ByPasskey), used, success(signin.ByPasskey), By()); problem.KindOf(err) != problem.Unauthenticated && problem.KindOf(err) != problem.Forbidden {
				t.Errorf("%s signs in with somebody else's %s: %v", who, what, err)
			}
		}
		if err := db.Confirm(ctx, other.account, other.user, s.ID, time.Now(), signin.Used{}, success(signin.ByPasskey), By()); err == nil {
			t.Errorf("%s confirms somebody else's session", who)
		}
		if list := of(db.Sessions(ctx, other.account, other.user, time.Now())).must(t); len(list) != 0 {
			t.Errorf("%s has sessions: %+v", who, list)
		}
	}
	if err := db.Seen(ctx, b.ID, s.ID, time.Now().Add(time.Hour), "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	_, err := db.Methods(ctx, b.ID, id)
	wantKind(t, err, problem.NotFound)
	_, err = db.Person(ctx, b.ID, id)
	wantKind(t, err, problem.NotFound)
	_, err = db.EndSessions(ctx, b.ID, id, "", By())
	wantKind(t, err, problem.NotFound)
	if n := of(db.EndSessions(ctx, b.ID, stranger.ID, "", By())).must(t); n != 0 {
		t.Errorf("%d sessions ended", n)
	}
	if got, _, err := db.SessionByHash(ctx, hash); err != nil || !cmp.Equal(s, got) {
		t.Errorf("session %+v, %v, want it untouched", got, err)
	}
	if diff := cmp.Diff(before, of(db.Methods(ctx, a.ID, id)).must(t)); diff != "" {
		t.Errorf("ways in (-before +after):\n%s", diff)
	}
	for l, err := range db.AuditLinks(ctx, a.ID, entries) {
		if e := of(l, err).must(t).Entry; e.Outcome != audit.Refused {
			t.Errorf("audit entry %+v, want refusals alone", e)
		}
	}
	Verify(t, db, b.ID)
}
