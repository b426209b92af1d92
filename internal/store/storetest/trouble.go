package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/store"
)

// testKilled ends connections at random moments while two servers change things, as a failing network
// or database does. Whoever is answered is answered truly: what was done is there, once, with its
// entry, and what was not done can be asked for again.
func testKilled(t *testing.T, p *Place) {
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	a, _ := Account(t, dbs[0])
	c, _ := newClient(t, dbs[0], a.ID)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var done, failed atomic.Int64
	var mu sync.Mutex
	answered := map[string]bool{} // email → whether the caller heard that the person was added
	var wg sync.WaitGroup
	trouble := func(what string, err error) {
		failed.Add(1)
		if !problem.Is(err, problem.Unavailable) {
			t.Errorf("%s: error is %v (%T), want that the database cannot be reached", what, err, err)
		}
	}
	for i := range 12 {
		db := dbs[i%2]
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				email := fmt.Sprintf("p%d-%d@example.org", i, n)
				_, err := db.AddUser(t.Context(), a.ID, directory.NewUser{Email: email, DisplayName: "x"}, By())
				if err != nil {
					trouble("add", err)
				} else {
					done.Add(1)
				}
				mu.Lock()
				answered[email] = err == nil
				mu.Unlock()
				if _, err := issue(t, db, c, c.Secrets[0].ID); err != nil {
					trouble("issue", err)
				}
				if _, err := db.ListUsers(t.Context(), a.ID, directory.ListQuery{Limit: 3}); err != nil {
					trouble("list", err)
				}
			}
		})
	}
	raw := p.raw(t)
	enough := func() bool { return done.Load() >= 100 && failed.Load() >= 10 }
	for began := time.Now(); ctx.Err() == nil && (time.Since(began) < 3*time.Second || !enough()); {
		if _, err := raw.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'holdfast' ORDER BY random() LIMIT 1`); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	wg.Wait()
	if !enough() {
		t.Errorf("%d done and %d failed; little is proven", done.Load(), failed.Load())
	}
	t.Logf("%d people added, %d calls failed", done.Load(), failed.Load())
	after := User(t, dbs[0], a.ID, "after@example.org") // nobody is stuck, no lock is left behind
	if _, err := dbs[1].SuspendUser(t.Context(), a.ID, after.ID, directory.NewHold{Holder: "client:1"}, By()); err != nil {
		t.Error(err)
	}
	people := int64(2) // the owner, and after@
	for email, heard := range answered {
		_, err := dbs[1].UserByEmail(t.Context(), a.ID, email)
		if err != nil && !problem.Is(err, problem.NotFound) {
			t.Fatal(err)
		}
		if err == nil {
			people++
		}
		if heard && err != nil {
			t.Errorf("%s: the caller heard that it was done, the database says %v", email, err)
		}
	}
	Verify(t, dbs[0], a.ID)
	entries := int64(0)
	for _, action := range actions(t, dbs[0], a.ID) {
		if action == audit.AccountCreate || action == audit.UserAdd {
			entries++
		}
	}
	if entries != people {
		t.Errorf("%d entries for %d people", entries, people)
	}
}

// testStartTogether starts several processes at once on an empty database: each comes up, and all use
// the same keys.
func testStartTogether(t *testing.T, p *Place) {
	const n = 4
	p = NewBarePlace(t, p.Kind)
	o := p.Options(t)
	dbs, errs := make([]*store.DB, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { dbs[i], errs[i] = store.Open(t.Context(), o) })
	}
	wg.Wait()
	for _, db := range dbs {
		if db != nil {
			defer db.Close()
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	a, _ := Account(t, dbs[0])
	for i, db := range dbs {
		User(t, db, a.ID, fmt.Sprintf("p%d@example.org", i))
		Verify(t, db, a.ID) // with the keys of this process
	}
}

// testStricterDefault lets the last owners be suspended where the server's default isolation is stricter
// than READ COMMITTED: what is read behind the lock must not be older than the lock.
func testStricterDefault(t *testing.T, p *Place) {
	if _, err := p.raw(t).Exec(`DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = ''repeatable read''', current_database());
	END $$`); err != nil {
		t.Fatal(err)
	}
	testLastOwner(t, p)
}

// testClocks revokes on one server what another, whose clock is behind, is asked about.
func testClocks(t *testing.T, p *Place) {
	const behind = 5 * time.Second
	db, other := p.Open(t), p.Open(t)
	a, _ := Account(t, db)
	ahead := &oauth.Service{Store: db, Now: time.Now}
	late := func() time.Time { return time.Now().Add(-behind) }
	cred := of(ahead.Create(t.Context(), a.ID, oauth.NewClient{Name: "SOAR", Scopes: oauth.Scopes()}, By())).must(t)
	c, secret := cred.Client, cred.Client.Secrets[0].ID
	store := func(expires time.Time) seal.Hash {
		_, hash := seal.NewCredential(oauth.TokenPrefix)
		tok := oauth.Token{Hash: hash, AccountID: a.ID, ClientID: c.ID, SecretID: secret, IssuedAt: late(), ExpiresAt: expires}
		if err := other.IssueToken(t.Context(), tok, By()); err != nil {
			t.Fatal(err)
		}
		return hash
	}
	dead := func(what string, hash seal.Hash) {
		t.Helper()
		if err := of(other.Token(t.Context(), hash)).must(t).Alive(late()); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("%s, but on a server whose clock is behind the token is alive: %v", what, err)
		}
	}
	expired := store(time.Now().Add(-time.Second)) // by our clock, not by the other's
	of(db.RevokeToken(t.Context(), a.ID, c.ID, expired, By())).must(t)
	dead("revoked", expired)

	alive := store(time.Now().Add(oauth.TokenLife))
	of(ahead.Rotate(t.Context(), a.ID, c.ID, 0, By())).must(t)
	dead("the secret was rotated out", alive)
	live := of(other.LiveSecrets(t.Context(), c.ID, late())).must(t)
	if len(live.Secrets) != 1 || live.Secrets[0].ID == secret {
		t.Errorf("live secrets after a rotation without overlap: %+v", live.Secrets)
	}
	_, hash := seal.NewCredential(oauth.TokenPrefix)
	err := other.IssueToken(t.Context(), oauth.Token{Hash: hash, AccountID: a.ID, ClientID: c.ID, SecretID: secret, IssuedAt: late(), ExpiresAt: time.Now()}, By())
	wantKind(t, err, problem.Unauthenticated)
}

// testEveryDoor takes all owners away at once, by each way there is and from two servers: one remains.
func testEveryDoor(t *testing.T, p *Place) {
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	a, first := Account(t, dbs[0])
	owners := []directory.User{first, User(t, dbs[0], a.ID, "second@example.org", "Owners"), User(t, dbs[0], a.ID, "third@example.org", "Owners")}
	group := ""
	for _, g := range of(dbs[0].Groups(t.Context(), a.ID)).must(t) {
		if g.Kind == directory.Owners {
			group = g.ID
		}
	}
	doors := []func(db *store.DB, id string) error{
		func(db *store.DB, id string) error {
			_, err := db.SuspendUser(t.Context(), a.ID, id, directory.NewHold{Holder: "client:1"}, By())
			return err
		},
		func(db *store.DB, id string) error { return db.RemoveUser(t.Context(), a.ID, id, By()) },
		func(db *store.DB, id string) error { return db.RemoveMember(t.Context(), a.ID, group, id, By()) },
	}
	var refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			err := doors[i%3](dbs[i/9%2], owners[i/3%3].ID)
			switch {
			case code(err) == "no_owner_remain":
				refused.Add(1)
			case err != nil && !problem.Is(err, problem.NotFound): // removed by another
				t.Error(err)
			}
		})
	}
	wg.Wait()
	active := 0
	for _, u := range of(dbs[1].Members(t.Context(), a.ID, group, "", 10)).must(t) {
		if !u.Suspended {
			active++
		}
	}
	if active != 1 || refused.Load() == 0 {
		t.Errorf("%d active owners remain after %d refusals, want exactly 1 after some", active, refused.Load())
	}
	Verify(t, dbs[0], a.ID)
}

// testClosedWhileQueued closes the store while changes are under way, as a server does whose time to stop
// is over: whoever waits is answered, and truly.
func testClosedWhileQueued(t *testing.T, p *Place) {
	db := of(store.Open(t.Context(), p.Options(t))).must(t)
	a, _ := Account(t, db)
	answered := make([]error, 300)
	var begun atomic.Int64
	var wg sync.WaitGroup
	for i := range answered {
		wg.Go(func() {
			begun.Add(1)
			_, answered[i] = db.AddUser(t.Context(), a.ID, directory.NewUser{Email: fmt.Sprintf("p%d@example.org", i), DisplayName: "x"}, By())
		})
	}
	for begun.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
	db = p.Open(t)
	for i, heard := range answered {
		_, err := db.UserByEmail(t.Context(), a.ID, fmt.Sprintf("p%d@example.org", i))
		if (heard == nil) != (err == nil) {
			t.Errorf("the caller heard %v, the database says %v", heard, err)
		}
	}
	Verify(t, db, a.ID)
}
