package store_test

import (
	"net/netip"
	"testing"
	"time"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// useSignIn calls everything of signing in once; the person is left without a way in.
func useSignIn(t *testing.T, db *store.DB, account, user string) {
	ctx, by, now := t.Context(), storetest.By(), time.Now()
	hash := func() seal.Hash {
		_, h := seal.NewCredential("test_")
		return h
	}
	try := func() signin.Attempt { return signin.Attempt{At: now, Category: signin.Success, Type: signin.MFAOK} }
	k := signin.Passkey{ID: seal.NewID(), AccountID: account, UserID: user, Credential: []byte("{}"), RawID: []byte(seal.NewID())}
	must(t, db.AddPasskey(ctx, k, by))
	must(t, db.RenamePasskey(ctx, account, user, k.ID, "Phone", by))
	code := hash()
	must(t, db.SetPassword(ctx, account, user, "hash", by))
	must(t, db.SetTOTP(ctx, account, user, []byte("sealed"), 1, []seal.Hash{code}, by))
	must(t, db.Fail(ctx, signin.Attempt{At: now, AccountID: account, UserID: user}, []string{"key"}, by))
	_, err := db.Throttle(ctx, []string{"key"})
	must(t, err)
	cookie := hash()
	s, err := db.SignIn(ctx, account, user, signin.NewSession{Hash: cookie}, signin.Used{
		Passkey: &k, PasswordHash: "hash", TOTPStep: 2, RecoveryCode: code, Issuer: "https://id.example", Subject: "1", Forget: []string{"key"},
	}, try(), by)
	must(t, err)
	must(t, db.Confirm(ctx, account, user, s.ID, now, signin.Used{}, try(), by))
	must(t, db.Seen(ctx, account, s.ID, now.Add(time.Minute), "192.0.2.1"))
	policy, err := db.Policy(ctx, account)
	must(t, err)
	policy.Idle = time.Hour
	policy.SecretVersion++
	must(t, db.SetPolicy(ctx, account, policy, []byte("sealed"), by))
	readSignIn(t, db, account, user, k.RawID, cookie)
	must(t, db.EndSession(ctx, account, user, s.ID, by))
	_, err = db.EndSessions(ctx, account, user, "", by)
	must(t, err)
	must(t, db.SetRecoveryCodes(ctx, account, user, []seal.Hash{hash()}, by))
	must(t, db.RemoveTOTP(ctx, account, user, by))
	must(t, db.RemovePassword(ctx, account, user, by))
	must(t, db.SetPassword(ctx, account, user, "hash", by))
	must(t, db.RemovePasskey(ctx, account, user, k.ID, by))
	ticket := hash()
	must(t, db.Put(ctx, ticket, "sso", []byte("sealed"), now.Add(time.Minute)))
	_, err = db.Peek(ctx, ticket, "sso", now)
	must(t, err)
	_, err = db.Take(ctx, ticket, "sso", now)
	must(t, err)
	must(t, db.Purge(ctx, now))
}

// readSignIn reads everything of signing in once.
func readSignIn(t *testing.T, db *store.DB, account, user string, rawID []byte, cookie seal.Hash) {
	ctx, now := t.Context(), time.Now()
	_, err := db.People(ctx, "mira@example.org", 5)
	must(t, err)
	_, err = db.Person(ctx, account, user)
	must(t, err)
	_, err = db.Methods(ctx, account, user)
	must(t, err)
	_, err = db.PasskeyByRawID(ctx, rawID)
	must(t, err)
	_, err = db.UserBySubject(ctx, account, "https://id.example", "1")
	must(t, err)
	_, _, err = db.SessionByHash(ctx, cookie)
	must(t, err)
	_, err = db.Sessions(ctx, account, user, now)
	must(t, err)
	_, err = db.SSOSecret(ctx, account)
	must(t, err)
	_, err = db.SSOAccounts(ctx)
	must(t, err)
	_, err = db.KnownAddress(ctx, account, user, "192.0.2.1", now)
	must(t, err)
	searchAttempts(t, db, account, user)
}

// searchAttempts asks for attempts by every condition, alone and beside each of the others.
func searchAttempts(t *testing.T, db *store.DB, account, user string) {
	ctx, now := t.Context(), time.Now()
	conditions := []func(*signin.AttemptQuery){
		func(*signin.AttemptQuery) {},
		func(q *signin.AttemptQuery) { q.UserID = user },
		func(q *signin.AttemptQuery) { q.Category = signin.Success },
		func(q *signin.AttemptQuery) { q.Country = "SE" },
		func(q *signin.AttemptQuery) { q.Addresses = netip.MustParsePrefix("192.0.2.1/32") },
		func(q *signin.AttemptQuery) { q.Addresses = netip.MustParsePrefix("192.0.0.0/14") },
		func(q *signin.AttemptQuery) { q.Method = signin.ByPasskey },
		func(q *signin.AttemptQuery) { q.Failed = true },
		func(q *signin.AttemptQuery) { q.ASN = 64496 },
		func(q *signin.AttemptQuery) { q.SessionID = "S" },
		func(q *signin.AttemptQuery) { q.ID = "I" },
		func(q *signin.AttemptQuery) { q.Text = "telecom" },
	}
	for i, first := range conditions {
		for _, second := range conditions[i:] {
			q := signin.AttemptQuery{AccountID: account, Limit: 3, From: now.AddDate(0, 0, -7)}
			first(&q)
			second(&q)
			_, err := db.FindAttempts(ctx, q)
			must(t, err)
			_, _, err = db.CountAttempts(ctx, q, 10)
			must(t, err)
			_, _, err = db.AttemptsSince(ctx, q, 0)
			must(t, err)
		}
	}
	_, err := db.AttemptsAfter(ctx, account, user, now, "I", 5)
	must(t, err)
	_, err = db.AttemptCountries(ctx, account, now)
	must(t, err)
	if _, err := db.Attempt(ctx, account, now, "I"); !problem.Is(err, problem.NotFound) {
		t.Errorf("an attempt that there is not: %v", err)
	}
}

// useSetupLink makes an account whose owner sets up a way in.
func useSetupLink(t *testing.T, db *store.DB) {
	ctx, by := t.Context(), storetest.By()
	_, link := seal.NewCredential("test_")
	_, cookie := seal.NewCredential("test_")
	_, _, err := db.CreateAccount(ctx, directory.NewAccount{
		Name: "Harbour", OwnerEmail: "owner@example.org", OwnerName: "Ines", SetupLink: link, SetupExpires: time.Now().Add(time.Hour),
	}, by)
	must(t, err)
	_, err = db.SetUp(ctx, link, signin.NewWay{PasswordHash: "hash"}, signin.NewSession{Hash: cookie}, signin.Attempt{}, by)
	must(t, err)
}
