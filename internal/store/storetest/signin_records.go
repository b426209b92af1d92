package storetest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
)

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
		if err := db.ImportAttempts(t.Context(), a.ID, []signin.Attempt{x}, By()); err != nil {
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
