package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// TestPlansPostgres: PostgreSQL finds by an index what is asked most often, right after an import too,
// before it has looked at the tables by itself.
func TestPlansPostgres(t *testing.T) {
	db := storetest.NewPlace(t, "postgres").Open(t)
	a, _ := storetest.Account(t, db)
	people := make([]directory.NewUser, 5000)
	for i := range people {
		people[i] = directory.NewUser{Email: fmt.Sprintf("p%d@example.org", i), DisplayName: "Somebody"}
	}
	if err := db.ImportUsers(t.Context(), a.ID, people, func(int) {}, storetest.By()); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		t.Run(mode, func(t *testing.T) { db.CheckPostgresPlans(t, mode, a.ID) })
	}
}

// TestPlansSQLite runs what the store can do, and looks at the plan of every statement.
func TestPlansSQLite(t *testing.T) {
	db := storetest.NewPlace(t, "sqlite").Open(t)
	for range 2 { // what is first seen in a transaction is prepared after it
		a, owner := storetest.Account(t, db)
		u := storetest.User(t, db, a.ID, "mira@example.org")
		useSignIn(t, db, a.ID, u.ID)
		useSetupLink(t, db)
		useDirectory(t, db, a.ID, u.ID)
		useOAuth(t, db, a.ID)
		useConsole(t, db, a.ID)
		useVaults(t, db, a.ID, owner.ID)
		useFirewall(t, db, a.ID)
		useSignals(t, db, a.ID, owner.ID)
		useRespond(t, db, a.ID, owner.ID)
		useDetect(t, db, a.ID, owner.ID)
		useRules(t, db, a.ID)
		for _, err := range db.AuditLinks(t.Context(), a.ID, 0) {
			must(t, err)
		}
		_, err := db.VerifyAudit(t.Context(), a.ID)
		must(t, err)
	}
	db.CheckSQLitePlans(t)
}

// must ends the test if there is an error of no kind that is expected.
func must(t *testing.T, err error, expected ...problem.Kind) {
	t.Helper()
	if err != nil && !slices.Contains(expected, problem.KindOf(err)) {
		t.Fatal(err)
	}
}

// useDirectory calls everything of the directory once; the person is removed in the end.
func useDirectory(t *testing.T, db *store.DB, account, user string) {
	ctx, by := t.Context(), storetest.By()
	for _, q := range []directory.ListQuery{{Limit: 3}, {State: directory.OnlyActive, Limit: 3}, {State: directory.OnlySuspended, Limit: 3}} {
		_, err := db.ListUsers(ctx, account, q)
		must(t, err)
	}
	_, err := db.User(ctx, account, user)
	must(t, err)
	_, err = db.UserByEmail(ctx, account, "mira@example.org")
	must(t, err)
	_, err = db.KnownEmails(ctx, account, []string{"mira@example.org"})
	must(t, err)
	_, err = db.SuspendUser(ctx, account, user, directory.NewHold{Holder: "operator:test"}, by)
	must(t, err)
	holds, err := db.Holds(ctx, account, user)
	must(t, err)
	must(t, db.ReleaseHold(ctx, account, holds[0].ID, by))
	_, err = db.SuspendUser(ctx, account, user, directory.NewHold{Holder: "operator:test", Until: time.Now().Add(time.Hour)}, by)
	must(t, err)
	_, err = db.ReactivateUser(ctx, account, user, by)
	must(t, err)
	g, err := db.CreateGroup(ctx, account, "Sales", by)
	must(t, err)
	must(t, db.AddMember(ctx, account, g.ID, user, by))
	_, err = db.Members(ctx, account, g.ID, "", 10)
	must(t, err)
	_, err = db.GroupsOf(ctx, account, user)
	must(t, err)
	_, err = db.GroupsOfMany(ctx, account, []string{user})
	must(t, err)
	_, err = db.Groups(ctx, account)
	must(t, err)
	must(t, db.RemoveMember(ctx, account, g.ID, user, by))
	must(t, db.RemoveUser(ctx, account, user, by))
}

// useOAuth calls everything of the applications once.
func useOAuth(t *testing.T, db *store.DB, account string) {
	ctx, by, now := t.Context(), storetest.By(), time.Now()
	_, hash := seal.NewCredential(oauth.SecretPrefix)
	secret := oauth.SecretInfo{ID: seal.NewID(), CreatedAt: now}
	c := oauth.Client{AccountID: account, ID: uuid.NewString(), Name: "SOAR", Scopes: oauth.Scopes(), CreatedAt: now, CreatedBy: by.Actor, CreateKey: "form"}
	must(t, db.CreateClient(ctx, c, secret, hash, by))
	_, err := db.Client(ctx, account, c.ID)
	must(t, err)
	_, err = db.Clients(ctx, account)
	must(t, err)
	_, err = db.LiveSecrets(ctx, c.ID, now)
	must(t, err)
	_, token := seal.NewCredential(oauth.TokenPrefix)
	must(t, db.IssueToken(ctx, oauth.Token{Hash: token, AccountID: account, ClientID: c.ID, SecretID: secret.ID, IssuedAt: now, ExpiresAt: now.Add(time.Minute)}, by))
	_, err = db.Token(ctx, token)
	must(t, err)
	_, err = db.RevokeToken(ctx, account, c.ID, token, by)
	must(t, err)
	_, other := seal.NewCredential(oauth.SecretPrefix)
	_, err = db.RotateSecret(ctx, account, c.ID, oauth.SecretInfo{ID: seal.NewID(), CreatedAt: now}, other, now.Add(time.Hour), by)
	must(t, err)
	_, err = db.UpdateClient(ctx, account, c.ID, oauth.NewClient{Name: "SOAR 2", Scopes: oauth.Scopes()}, by)
	must(t, err)
	count := oauth.ActivityCount{AccountID: account, ClientID: c.ID, Operation: "get_user", Hour: now.UTC().Truncate(time.Hour), Calls: 1, LastAt: now}
	must(t, db.AddActivity(ctx, []oauth.ActivityCount{count}))
	_, err = db.Activity(ctx, account, c.ID, now)
	must(t, err)
	_, err = db.Activities(ctx, account, now)
	must(t, err)
	must(t, db.PurgeActivity(ctx, now.Add(time.Hour)))
	must(t, db.RevokeClient(ctx, account, c.ID, by))
	must(t, db.PurgeTokens(ctx, now.Add(time.Hour)))
}

// useConsole calls once what only the console asks for.
func useConsole(t *testing.T, db *store.DB, account string) {
	ctx, by := t.Context(), storetest.By()
	for state := directory.AnyState; state <= directory.OnlyInvited; state++ {
		q := directory.ListQuery{State: state, IncludeInvited: true, Limit: 3, Search: "mira"}
		_, err := db.ListUsers(ctx, account, q)
		must(t, err)
		_, _, _, err = db.SearchUsers(ctx, account, q, directory.SearchPlace{Part: directory.SearchEmail})
		must(t, err)
	}
	u, err := db.InviteUser(ctx, account, directory.NewUser{Email: "new@example.org", DisplayName: "New"}, directory.SetupLink{Hash: seal.Hash{1, account[0], account[1], account[2]}}, by)
	must(t, err)
	must(t, db.ReplaceSetupLink(ctx, account, u.ID, directory.SetupLink{Hash: seal.Hash{2, account[0], account[1], account[2]}}, by))
	_, err = db.Counts(ctx, account)
	must(t, err)
	_, err = db.HoldsOpen(ctx, account, 5)
	must(t, err)
	_, err = db.GroupCounts(ctx, account)
	must(t, err)
	must(t, db.RenameAccount(ctx, account, "Another", by))
	g, err := db.CreateGroup(ctx, account, "Night", by)
	must(t, err)
	must(t, db.RenameGroup(ctx, account, g.ID, "Day", by))
	must(t, db.DeleteGroup(ctx, account, g.ID, by))
	must(t, db.AddMember(ctx, account, g.ID, u.ID, audit.Entry{Actor: "user:" + u.ID}), problem.NotFound)
	_, err = db.SuspendUser(ctx, account, u.ID, directory.NewHold{Holder: "user:1"}, audit.Entry{Actor: "user:1"})
	must(t, err, problem.NotFound)
	must(t, db.RemoveUser(ctx, account, u.ID, audit.Entry{Actor: "user:1"}))
	for _, actions := range [][]audit.Action{nil, {audit.UserSuspend}} {
		for _, outcome := range []string{"", "done", "refused"} {
			for _, q := range []audit.Query{{}, {Actor: "user:1"}, {Target: "user:1"}, {About: "user:1"}, {From: time.Now().Add(-time.Hour), To: time.Now()}} {
				q.AccountID, q.Outcome, q.Actions = account, outcome, actions
				_, err := db.AuditEntries(ctx, q)
				must(t, err)
			}
		}
	}
	for _, full := range []bool{true, false} {
		_, err := db.CheckAudit(ctx, account, full)
		must(t, err)
	}
	_, err = db.AuditStatus(ctx, account)
	must(t, err)
}
