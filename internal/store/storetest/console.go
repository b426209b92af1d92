package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/store"
)

// person is an actor in the console.
func person(u directory.User) audit.Entry { return audit.Entry{Actor: "user:" + u.ID} }

func apps(db *store.DB) *oauth.Service { return &oauth.Service{Store: db, Now: time.Now} }

func people(db *store.DB) *directory.Service {
	return &directory.Service{Store: db, Keys: db.Keys(), Now: time.Now}
}

// last is the newest entry of the account.
func last(t *testing.T, db *store.DB, account string) audit.Entry {
	t.Helper()
	links := of(db.AuditEntries(t.Context(), audit.Query{AccountID: account, Limit: 1})).must(t)
	if len(links) != 1 {
		t.Fatalf("%d entries", len(links))
	}
	return links[0].Entry
}

// testCreateOnce sends one form many times at once, to two servers.
func testCreateOnce(t *testing.T, p *Place) {
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	a, _ := Account(t, dbs[0])
	b, _ := Account(t, dbs[0])
	n := oauth.NewClient{Name: "SOAR", Scopes: oauth.Scopes(), Key: "form-1"}
	var mu sync.Mutex
	made := map[string]int{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			c, err := apps(dbs[i%2]).Create(t.Context(), a.ID, n, By())
			id := c.Client.ID
			if err != nil {
				existing, ok := oauth.AlreadyCreated(err)
				if id = existing; !ok || problem.KindOf(err) != problem.Conflict || code(err) != "already_created" {
					t.Errorf("create: %v", err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			made[id]++
		})
	}
	wg.Wait()
	clients := of(apps(dbs[0]).Clients(t.Context(), a.ID)).must(t)
	if len(clients) != 1 || made[clients[0].ID] != 20 {
		t.Errorf("%d applications, answers %v", len(clients), made)
	}
	of(apps(dbs[0]).Create(t.Context(), b.ID, n, By())).must(t) // the key is the account's
	n.Key = "form-2"
	of(apps(dbs[0]).Create(t.Context(), a.ID, n, By())).must(t)
	n.Key = ""
	for range 2 {
		of(apps(dbs[0]).Create(t.Context(), a.ID, n, By())).must(t)
	}
	Verify(t, dbs[0], a.ID)
}

func testUpdateClient(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	s := apps(db)
	cred := of(s.Create(t.Context(), a.ID, oauth.NewClient{Name: "SOAR", Scopes: []string{"get_user", "list_users"}}, By())).must(t)
	id := cred.Client.ID
	hash, err := issue(t, db, cred.Client, cred.Client.Secrets[0].ID)
	of(hash, err).must(t)
	n := oauth.NewClient{Name: "Night watch", Description: "d", RedirectURL: "https://soar.example.org/cb", Scopes: []string{"list_users"}}
	got := of(s.Update(t.Context(), a.ID, id, n, By())).must(t)
	if diff := cmp.Diff(of(s.Client(t.Context(), a.ID, id)).must(t), got); diff != "" || got.Name != n.Name || got.RedirectURL != n.RedirectURL {
		t.Errorf("updated (-stored +answered):\n%s", diff)
	}
	want := audit.Entry{
		Actor: "operator:test", Action: audit.AppUpdate, Target: "client:" + id, Outcome: audit.Done,
		Reason: `changed name "SOAR" to "Night watch", description, redirect URL, scopes get_user list_users to list_users`,
	}
	if diff := cmp.Diff(want, last(t, db, a.ID)); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	// A token that is out may do less from its next request on.
	if diff := cmp.Diff([]string{"list_users"}, of(db.Token(t.Context(), hash)).must(t).Scopes); diff != "" {
		t.Errorf("scopes of the live token (-want +got):\n%s", diff)
	}
	before := Verify(t, db, a.ID)
	of(s.Update(t.Context(), a.ID, id, n, By())).must(t)
	if after := Verify(t, db, a.ID); after != before {
		t.Error("an update that changes nothing wrote an entry")
	}
	_, err = s.Update(t.Context(), b.ID, id, n, By())
	wantKind(t, err, problem.NotFound)

	if !of(s.HoldsSecret(t.Context(), a.ID, id, cred.Secret.Reveal())).must(t) {
		t.Error("the secret is not known")
	}
	other, _ := seal.NewCredential(oauth.SecretPrefix)
	for _, text := range []string{other.Reveal(), "", "hfs_x", cred.Secret.Reveal() + "x"} {
		if of(s.HoldsSecret(t.Context(), a.ID, id, text)).must(t) {
			t.Error("another text is taken for the secret")
		}
	}
	_, err = s.HoldsSecret(t.Context(), b.ID, id, cred.Secret.Reveal())
	wantKind(t, err, problem.NotFound)
	of(s.Rotate(t.Context(), a.ID, id, 0, By())).must(t)
	if of(s.HoldsSecret(t.Context(), a.ID, id, cred.Secret.Reveal())).must(t) {
		t.Error("a secret that was rotated out is taken for a live one")
	}
	if err := s.Revoke(t.Context(), a.ID, id, By()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Update(t.Context(), a.ID, id, n, By())
	wantKind(t, err, problem.Conflict)
}

func testActivity(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	c, _ := newClient(t, db, a.ID)
	now := time.Now().UTC().Truncate(time.Microsecond)
	s := &oauth.Service{Store: db, Now: func() time.Time { return now }}
	r := oauth.NewRecorder(db, nil)
	record := func(op string, refused bool, ago time.Duration, agent string) {
		r.Record(c.ID, a.ID, op, "192.0.2.1", agent, refused, now.Add(-ago))
	}
	record("list_users", false, 0, "new\x00 \xffagent")
	record("list_users", true, 0, "older")
	r.Record(c.ID, a.ID, "list_users", "192.0.2.9", "oldest", false, now.Add(-time.Minute))
	record("list_users", false, 48*time.Hour, "x")
	record("list_users", false, 40*24*time.Hour, "x")
	record("list_users", false, 100*24*time.Hour, "x")
	record("get_user", false, 40*24*time.Hour, "x")
	record("token", false, time.Hour, "x")
	record("token", true, 2*time.Minute, "x")
	record("audit", false, 0, "not an operation")
	r.Record(uuid.NewString(), a.ID, "get_user", "", "not an application", false, now)
	r.Record(c.ID, b.ID, "get_user", "", "not its account", false, now)
	r.Record("' OR 1=1", a.ID, "get_user", "", "not an id", false, now)
	for range 2 { // the second time there is nothing to write
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	record("list_users", false, time.Second, "merged")
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := oauth.Activity{
		LastTokenAt: now.Add(-time.Hour), LastCallAt: now, LastAddress: "192.0.2.1", LastUserAgent: "new agent",
		Calls: []oauth.OperationCalls{
			{Operation: "list_users", Last24h: 4, Last30d: 5, Total: 7, Refused: 1, LastAt: now},
			{Operation: "get_user", Total: 1, LastAt: now.Add(-40 * 24 * time.Hour)},
			{Operation: "suspend_users"}, {Operation: "reactivate_users"},
			{Operation: "token", Last24h: 2, Last30d: 2, Total: 2, Refused: 1, LastAt: now.Add(-2 * time.Minute)},
		},
		UnusedScopes: []string{"get_user"},
	}
	for _, when := range []string{"before", "after", "again"} {
		if diff := cmp.Diff(want, of(s.Activity(t.Context(), a.ID, c.ID)).must(t)); diff != "" {
			t.Errorf("activity %s purging (-want +got):\n%s", when, diff)
		}
		use := oauth.Use{LastTokenAt: want.LastTokenAt, LastCallAt: want.LastCallAt, UnusedScopes: want.UnusedScopes}
		uses := of(s.Activities(t.Context(), a.ID, of(s.Clients(t.Context(), a.ID)).must(t))).must(t)
		if diff := cmp.Diff(use, uses[c.ID]); diff != "" {
			t.Errorf("activity among all applications, %s purging (-want +got):\n%s", when, diff)
		}
		if err := s.PurgeActivity(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Activity(t.Context(), b.ID, c.ID)
	wantKind(t, err, problem.NotFound)
	if n := len(of(db.Activity(t.Context(), b.ID, c.ID, now)).must(t)); n != 0 {
		t.Errorf("another account sees %d counts", n)
	}
	if n := len(of(db.Activities(t.Context(), b.ID, now)).must(t)); n != 0 {
		t.Errorf("another account sees the use of %d operations", n)
	}

	hash, err := issue(t, db, c, c.Secrets[0].ID)
	of(hash, err).must(t)
	of(db.RevokeToken(t.Context(), a.ID, c.ID, hash, audit.Entry{Actor: "client:" + c.ID, Action: audit.TokenRevoke})).must(t)
	calls := of(s.RecentCalls(t.Context(), a.ID, c.ID, 5)).must(t)
	if len(calls) != 1 || calls[0].Entry.Action != audit.TokenRevoke {
		t.Errorf("recent calls: %+v", calls)
	}
}

func testInvite(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	s := people(db)
	u, link, err := s.Invite(t.Context(), a.ID, directory.NewUser{Email: "Mira@example.org", DisplayName: "Mira", Groups: []string{"Security"}}, person(owner))
	if err != nil || u.Lifecycle != directory.Invited {
		t.Fatalf("invite: %+v, %v", u, err)
	}
	if diff := cmp.Diff(u, of(db.User(t.Context(), a.ID, u.ID)).must(t)); diff != "" {
		t.Errorf("invited (-answered +stored):\n%s", diff)
	}
	if e := last(t, db, a.ID); e.Action != audit.UserInvite || e.Target != "user:"+u.ID || strings.Contains(fmt.Sprint(e), link.Reveal()) {
		t.Errorf("entry %+v", e)
	}
	hash, err := directory.ParseLink(link.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	raw := p.raw(t)
	links := func(hash seal.Hash) (n int) {
		if err := raw.QueryRow("SELECT COUNT(*) FROM setup_links WHERE hash = $1", hash[:]).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if links(hash) != 1 {
		t.Error("the link was not stored")
	}
	if n := len(of(db.ListUsers(t.Context(), a.ID, directory.ListQuery{Limit: 10})).must(t)); n != 1 {
		t.Errorf("platforms see %d people", n)
	}
	for name, want := range map[string]int{"": 1, "invited": 2, "only": 1} {
		q := directory.ListQuery{Limit: 10, IncludeInvited: name == "invited"}
		if name == "only" {
			q.State = directory.OnlyInvited
		}
		if got := of(s.People(t.Context(), a.ID, q)).must(t); len(got.Users) != want {
			t.Errorf("%q lists %d people, want %d", name, len(got.Users), want)
		}
	}
	second := of(s.NewSetupLink(t.Context(), a.ID, u.ID, person(owner))).must(t)
	hash2, err := directory.ParseLink(second.Reveal())
	if err != nil || links(hash) != 0 || links(hash2) != 1 {
		t.Errorf("after a second link the first is there %d times, the second %d: %v", links(hash), links(hash2), err)
	}
	_, _, err = s.Invite(t.Context(), a.ID, directory.NewUser{Email: "mira@EXAMPLE.org", DisplayName: "x"}, person(owner))
	wantKind(t, err, problem.Conflict)
	_, _, err = s.Invite(t.Context(), a.ID, directory.NewUser{Email: "nobody", DisplayName: "x"}, person(owner))
	wantKind(t, err, problem.Invalid)
	_, err = s.NewSetupLink(t.Context(), a.ID, "NOSUCH", person(owner))
	wantKind(t, err, problem.NotFound)
	active := User(t, db, a.ID, "active@example.org")
	of(db.SuspendUser(t.Context(), a.ID, active.ID, directory.NewHold{Holder: "client:1"}, By())).must(t)
	_, err = s.NewSetupLink(t.Context(), a.ID, active.ID, person(owner))
	wantKind(t, err, problem.Conflict)
	Verify(t, db, a.ID)
}

// testOwnersOnly lets an administrator try what only owners may, and everybody what nobody may.
func testOwnersOnly(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	second := User(t, db, a.ID, "second@example.org", "Owners")
	admin := User(t, db, a.ID, "admin@example.org", "Administrators")
	other := User(t, db, a.ID, "other@example.org")
	gone := User(t, db, a.ID, "gone@example.org", "Owners")
	of(db.SuspendUser(t.Context(), a.ID, gone.ID, directory.NewHold{Holder: "client:1"}, By())).must(t)
	s, ctx := people(db), t.Context()
	groups := of(db.Groups(ctx, a.ID)).must(t)
	owners := groups[slices.IndexFunc(groups, func(g directory.Group) bool { return g.Kind == directory.Owners })].ID
	suspend := func(by, u directory.User) error {
		_, err := s.Suspend(ctx, a.ID, u.ID, "why", time.Time{}, person(by))
		return err
	}
	link := func(by, u directory.User) error {
		_, err := s.NewSetupLink(ctx, a.ID, u.ID, person(by))
		return err
	}
	invite := func(by directory.User, group string) error {
		_, _, err := s.Invite(ctx, a.ID, directory.NewUser{Email: by.ID + "@example.org", DisplayName: "x", Groups: []string{group}}, person(by))
		return err
	}
	for _, tt := range []struct {
		name string
		do   func() error
		want string // code; empty: done
	}{
		{"suspend_self", func() error { return suspend(admin, admin) }, "cannot_suspend_self"},
		{"owner_suspends_self", func() error { return suspend(owner, owner) }, "cannot_suspend_self"},
		{"remove_self", func() error { return s.Remove(ctx, a.ID, admin.ID, "why", person(admin)) }, "cannot_remove_self"},
		{"suspend_owner", func() error { return suspend(admin, second) }, "owners_only"},
		{"suspended_owner_acts", func() error { return suspend(gone, second) }, "owners_only"},
		{"remove_owner", func() error { return s.Remove(ctx, a.ID, second.ID, "why", person(admin)) }, "owners_only"},
		{"remove_suspended_owner", func() error { return s.Remove(ctx, a.ID, gone.ID, "why", person(admin)) }, "owners_only"},
		{"link_for_owner", func() error { return link(admin, second) }, "owners_only"},
		{"become_owner", func() error { return db.AddMember(ctx, a.ID, owners, admin.ID, person(admin)) }, "owners_only"},
		{"unmake_owner", func() error { return db.RemoveMember(ctx, a.ID, owners, second.ID, person(admin)) }, "owners_only"},
		{"invite_owner", func() error { return invite(admin, "owners") }, "owners_only"},
		{"invite_admin", func() error { return invite(admin, "Administrators") }, ""},
		{"suspend_other", func() error { return suspend(admin, other) }, ""},
		{"link_for_other", func() error { return link(admin, admin) }, ""},
		{"owner_makes_owner", func() error { return db.AddMember(ctx, a.ID, owners, admin.ID, person(owner)) }, ""},
		{"owner_unmakes_owner", func() error { return db.RemoveMember(ctx, a.ID, owners, admin.ID, person(owner)) }, ""},
		{"owner_suspends_owner", func() error { return suspend(owner, second) }, ""},
		{"operator_removes_owner", func() error { return s.Remove(ctx, a.ID, gone.ID, "why", By()) }, ""},
		{"owner_removes_owner", func() error { return s.Remove(ctx, a.ID, second.ID, "why", person(owner)) }, ""},
	} {
		before := Verify(t, db, a.ID)
		err := tt.do()
		if tt.want == "" && err != nil || tt.want != "" && (problem.KindOf(err) != problem.Forbidden || code(err) != tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if e := last(t, db, a.ID); Verify(t, db, a.ID) != before+1 || (e.Outcome == audit.Refused) != (tt.want != "") || e.Action == "" {
			t.Errorf("%s: last entry %+v", tt.name, e)
		}
	}
}

func testManage(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	u := User(t, db, a.ID, "mira@example.org")
	s, ctx := people(db), t.Context()
	_, err := s.Suspend(ctx, a.ID, u.ID, " \n", time.Time{}, person(owner))
	wantKind(t, err, problem.Invalid)
	_, err = s.Suspend(ctx, a.ID, u.ID, "why", time.Now().Add(-time.Second), person(owner))
	wantKind(t, err, problem.Invalid)
	_, err = s.Reactivate(ctx, a.ID, u.ID, "", person(owner))
	wantKind(t, err, problem.Invalid)
	of(s.Suspend(ctx, a.ID, u.ID, " lost phone ", time.Time{}, person(owner))).must(t)
	of(db.SuspendUser(ctx, a.ID, u.ID, directory.NewHold{Holder: "client:1"}, By())).must(t)
	of(db.SuspendUser(ctx, a.ID, u.ID, directory.NewHold{Holder: "scim:x"}, By())).must(t)
	open := of(db.HoldsOpen(ctx, a.ID, 10)).must(t)
	if len(open) != 3 || open[2].Holder != "user:"+owner.ID || open[2].Reason != "lost phone" || open[0].DisplayName != u.DisplayName || open[0].Email != u.Email {
		t.Fatalf("open holds: %+v", open)
	}
	if two := of(db.HoldsOpen(ctx, a.ID, 2)).must(t); !cmp.Equal(two, open[:2]) {
		t.Errorf("the newest two: %+v", two)
	}
	wantKind(t, s.ReleaseHold(ctx, a.ID, owner.ID, open[2].ID, "why", person(owner)), problem.NotFound)
	wantKind(t, s.ReleaseHold(ctx, a.ID, u.ID, open[2].ID, "", person(owner)), problem.Invalid)
	if err := s.ReleaseHold(ctx, a.ID, u.ID, open[0].ID, "why", person(owner)); code(err) != "suspended_by_provisioning" {
		t.Errorf("releasing the identity provider's hold: %v", err)
	}
	for _, h := range open[1:] {
		if err := s.ReleaseHold(ctx, a.ID, u.ID, h.ID, "found", person(owner)); err != nil {
			t.Error(err)
		}
	}
	if e := last(t, db, a.ID); e.Action != audit.HoldRelease || e.Reason != "found" || e.Target != "user:"+u.ID {
		t.Errorf("entry %+v", e)
	}
	if left := of(db.HoldsOpen(ctx, a.ID, 10)).must(t); len(left) != 1 || left[0].Holder != "scim:x" {
		t.Errorf("left open: %+v", left)
	}

	if err := s.RenameAccount(ctx, a.ID, " Harbour North ", person(owner)); err != nil {
		t.Fatal(err)
	}
	if got := of(db.Account(ctx, a.ID)).must(t).Name; got != "Harbour North" {
		t.Errorf("the account is %q", got)
	}
	wantKind(t, s.RenameAccount(ctx, "NOSUCH", "x", person(owner)), problem.NotFound)
	wantKind(t, s.RenameAccount(ctx, a.ID, "", person(owner)), problem.Invalid)

	g := of(s.CreateGroup(ctx, a.ID, "Night", person(owner))).must(t)
	of(s.CreateGroup(ctx, a.ID, "Day", person(owner))).must(t)
	if err := db.AddMember(ctx, a.ID, g.ID, u.ID, person(owner)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.RenameGroup(ctx, a.ID, g.ID, "DAY", person(owner)), problem.Conflict)
	for _, name := range []string{"NIGHT", "Night watch"} {
		if err := s.RenameGroup(ctx, a.ID, g.ID, name, person(owner)); err != nil {
			t.Error(err)
		}
	}
	counts := map[string]int{}
	for _, c := range of(db.GroupCounts(ctx, a.ID)).must(t) {
		counts[c.Name] = c.Members
	}
	want := map[string]int{"Owners": 1, "Administrators": 0, "Security": 0, "Team Members": 2, "Night watch": 1, "Day": 0}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if err := s.DeleteGroup(ctx, a.ID, g.ID, person(owner)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.DeleteGroup(ctx, a.ID, g.ID, person(owner)), problem.NotFound)
	for _, g := range of(db.Groups(ctx, a.ID)).must(t) {
		if g.Kind == directory.Custom {
			continue
		}
		for _, err := range []error{s.RenameGroup(ctx, a.ID, g.ID, "x", person(owner)), s.DeleteGroup(ctx, a.ID, g.ID, person(owner))} {
			if code(err) != "built_in_group" {
				t.Errorf("%s: %v", g.Name, err)
			}
		}
	}
	Verify(t, db, a.ID)
}

func testCounts(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	for i := range 6 {
		u := User(t, db, a.ID, fmt.Sprintf("p%d@example.org", i))
		switch {
		case i < 2:
			of(db.SuspendUser(t.Context(), a.ID, u.ID, directory.NewHold{Holder: "client:1"}, By())).must(t)
		case i == 2:
			if err := db.RemoveUser(t.Context(), a.ID, u.ID, By()); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, _, err := people(db).Invite(t.Context(), a.ID, directory.NewUser{Email: "i@example.org", DisplayName: "x"}, person(owner))
	if err != nil {
		t.Fatal(err)
	}
	want := directory.Counts{Active: 4, Suspended: 2, Invited: 1, Removed: 1}
	if diff := cmp.Diff(want, of(db.Counts(t.Context(), a.ID)).must(t)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}
