package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	stored := of(db.Attempts(t.Context(), signin.AttemptQuery{AccountID: a.ID, Limit: 9})).must(t)
	if len(stored) != 1 || stored[0].At.Before(try.At) {
		t.Fatalf("attempts %+v, want one, with a time of the store's", stored)
	}
	try.At = stored[0].At
	if diff := cmp.Diff(try, stored[0]); diff != "" {
		t.Errorf("attempt (-want +got):\n%s", diff)
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
