package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/store"
)

func newClient(t *testing.T, db *store.DB, account string) (oauth.Client, seal.Hash) {
	t.Helper()
	_, hash := seal.NewCredential(oauth.SecretPrefix)
	now := time.Now().UTC().Truncate(time.Microsecond)
	secret := oauth.SecretInfo{ID: seal.NewID(), CreatedAt: now}
	c := oauth.Client{
		AccountID: account, ID: uuid.NewString(), Name: "SOAR", Description: "d", RedirectURL: "https://a.example/cb",
		Scopes: []string{"get_user", "list_users"}, CreatedAt: now, CreatedBy: "operator:test", Secrets: []oauth.SecretInfo{secret},
	}
	if err := db.CreateClient(t.Context(), c, secret, hash, By()); err != nil {
		t.Fatal(err)
	}
	return c, hash
}

func issue(t testing.TB, db *store.DB, c oauth.Client, secretID string) (seal.Hash, error) {
	_, hash := seal.NewCredential(oauth.TokenPrefix)
	now := time.Now().UTC()
	return hash, db.IssueToken(t.Context(), oauth.Token{
		Hash: hash, AccountID: c.AccountID, ClientID: c.ID, SecretID: secretID, IssuedAt: now, ExpiresAt: now.Add(oauth.TokenLife),
	}, By())
}

func testOAuth(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	c, secret := newClient(t, db, a.ID)
	if diff := cmp.Diff(c, of(db.Client(t.Context(), a.ID, c.ID)).must(t)); diff != "" {
		t.Errorf("stored application (-created +read):\n%s", diff)
	}
	live := of(db.LiveSecrets(t.Context(), c.ID, time.Now())).must(t)
	want := oauth.ClientSecrets{AccountID: a.ID, Secrets: []oauth.StoredSecret{{ID: c.Secrets[0].ID, Hash: secret}}}
	if diff := cmp.Diff(want, live); diff != "" {
		t.Errorf("live secrets (-want +got):\n%s", diff)
	}
	_, err := db.LiveSecrets(t.Context(), uuid.NewString(), time.Now())
	wantKind(t, err, problem.NotFound)

	hash, err := issue(t, db, c, c.Secrets[0].ID)
	of(hash, err).must(t)
	tok := of(db.Token(t.Context(), hash)).must(t)
	if err := tok.Alive(time.Now()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(c.Scopes, tok.Scopes); diff != "" {
		t.Error(diff)
	}
	if err := tok.Alive(time.Now().Add(oauth.TokenLife)); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("after its life the token is alive: %v", err)
	}
	if used := of(db.Client(t.Context(), a.ID, c.ID)).must(t).LastUsedAt; time.Since(used) > time.Minute {
		t.Errorf("last used %s", used)
	}
	other, _ := newClient(t, db, a.ID)
	if of(db.RevokeToken(t.Context(), a.ID, other.ID, hash, By())).must(t) {
		t.Error("an application revoked the token of another")
	}
	if !of(db.RevokeToken(t.Context(), a.ID, c.ID, hash, By())).must(t) {
		t.Error("the token was not alive")
	}
	if err := of(db.Token(t.Context(), hash)).must(t).Alive(time.Now()); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("a revoked token is alive: %v", err)
	}
	_, err = db.Token(t.Context(), seal.Hash{1})
	wantKind(t, err, problem.NotFound)

	hash, err = issue(t, db, c, c.Secrets[0].ID)
	of(hash, err).must(t)
	for range 2 { // the second time changes nothing
		if err := db.RevokeClient(t.Context(), a.ID, c.ID, By()); err != nil {
			t.Fatal(err)
		}
	}
	if err := of(db.Token(t.Context(), hash)).must(t).Alive(time.Now()); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("a token of a revoked application is alive: %v", err)
	}
	if live := of(db.LiveSecrets(t.Context(), c.ID, time.Now())).must(t); len(live.Secrets) != 0 || live.AccountID != a.ID {
		t.Errorf("live secrets of a revoked application: %+v", live)
	}
	_, err = issue(t, db, c, c.Secrets[0].ID)
	wantKind(t, err, problem.Unauthenticated)
	if err := db.PurgeTokens(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, err = db.Token(t.Context(), hash)
	wantKind(t, err, problem.NotFound)
	if n := len(of(db.Clients(t.Context(), a.ID)).must(t)); n != 2 {
		t.Errorf("%d applications, want 2: a revoked one stays on record", n)
	}
	Verify(t, db, a.ID)
}

func testRotate(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	c, _ := newClient(t, db, a.ID)
	first := c.Secrets[0].ID
	oldToken, err := issue(t, db, c, first)
	of(oldToken, err).must(t)
	rotate := func(end time.Time) (oauth.Client, error) {
		_, hash := seal.NewCredential(oauth.SecretPrefix)
		return db.RotateSecret(t.Context(), a.ID, c.ID, oauth.SecretInfo{ID: seal.NewID(), CreatedAt: time.Now().UTC()}, hash, end, By())
	}
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	got := of(rotate(end)).must(t)
	if len(got.Secrets) != 2 || !got.Secrets[0].EndsAt.Equal(end) || !got.Secrets[1].EndsAt.IsZero() {
		t.Errorf("secrets after rotation: %+v", got.Secrets)
	}
	if live := of(db.LiveSecrets(t.Context(), c.ID, time.Now())).must(t); len(live.Secrets) != 2 {
		t.Errorf("%d live secrets in the overlap, want 2", len(live.Secrets))
	}
	if live := of(db.LiveSecrets(t.Context(), c.ID, end)).must(t); len(live.Secrets) != 1 {
		t.Errorf("%d live secrets after the overlap, want 1", len(live.Secrets))
	}
	tok := of(db.Token(t.Context(), oldToken)).must(t)
	if err := tok.Alive(time.Now()); err != nil {
		t.Errorf("in the overlap the old token is dead: %v", err)
	}
	if err := tok.Alive(end); err == nil {
		t.Error("after the overlap the old token is alive")
	}
	_, err = rotate(time.Now().Add(time.Hour))
	wantKind(t, err, problem.Conflict)
	of(rotate(time.Now().UTC())).must(t) // without overlap: at once
	if err := of(db.Token(t.Context(), oldToken)).must(t).Alive(time.Now()); err == nil {
		t.Error("after a rotation without overlap the old token is alive")
	}
	_, err = issue(t, db, c, first)
	wantKind(t, err, problem.Unauthenticated)
	Verify(t, db, a.ID)
}

// testRevokeParallel revokes an application while tokens are issued: none is alive afterwards.
func testRevokeParallel(t *testing.T, p *Place) {
	db, other := p.Open(t), p.Open(t)
	a, _ := Account(t, db)
	c, _ := newClient(t, db, a.ID)
	var mu sync.Mutex
	var issued []seal.Hash
	var wg sync.WaitGroup
	var revoked atomic.Bool
	for i := range 16 {
		from := []*store.DB{db, other}[i%2]
		wg.Go(func() {
			for !revoked.Load() {
				startedAfter := revoked.Load()
				hash, err := issue(t, from, c, c.Secrets[0].ID)
				if err == nil && startedAfter {
					t.Error("a token was issued after the revocation was answered")
				}
				if err == nil {
					mu.Lock()
					issued = append(issued, hash)
					mu.Unlock()
				} else if !problem.Is(err, problem.Unauthenticated) {
					t.Errorf("issue: %v", err)
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // let some tokens out first; the result does not depend on how many
	if err := db.RevokeClient(t.Context(), a.ID, c.ID, By()); err != nil {
		t.Error(err)
	}
	revoked.Store(true)
	wg.Wait()
	if len(issued) == 0 {
		t.Fatal("no token was issued before the revocation; nothing is proven")
	}
	for _, hash := range issued {
		for _, from := range []*store.DB{db, other} {
			if err := of(from.Token(t.Context(), hash)).must(t).Alive(time.Now()); !problem.Is(err, problem.Unauthenticated) {
				t.Fatalf("a token is alive after the revocation: %v", err)
			}
		}
	}
	Verify(t, db, a.ID)
}

// actions lists the actions of a chain in order.
func actions(t *testing.T, db *store.DB, account string) []audit.Action {
	t.Helper()
	var all []audit.Action
	for l, err := range db.AuditLinks(t.Context(), account, 0) {
		all = append(all, of(l, err).must(t).Entry.Action)
	}
	return all
}
