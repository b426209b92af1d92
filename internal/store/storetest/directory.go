package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/store"
)

// Run is the whole suite.
func Run(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *Place)
	}{
		{"account", testAccount}, {"users", testUsers}, {"list", testList}, {"list_while_people_change", testListStable},
		{"holds", testHolds}, {"policy", testPolicy}, {"last_owner_in_parallel", testLastOwner}, {"groups", testGroups},
		{"import", testImport}, {"isolation", testIsolation},
		{"events_tokens", testEventsTokens}, {"events_keys", testEventsKeys}, {"events_use", testEventsUse},
		{"oauth", testOAuth}, {"rotate", testRotate}, {"revoke_in_parallel", testRevokeParallel},
		{"vault_access", testVaultAccess}, {"vault_doors", testVaultDoors}, {"vault_groups", testVaultGroups}, {"vault_items", testVaultItems}, {"vault_moved", testVaultMoved},
		{"vault_usages", testVaultUsages}, {"vault_in_parallel", testVaultParallel},
		{"sign_in", testSignIn}, {"sign_in_refused", testMayNot}, {"suspended_meanwhile", testSuspendedMeanwhile}, {"used_once", testOnce},
		{"set_up", testSetUp}, {"ways_in", testWays}, {"subjects", testSubjects}, {"sign_in_policy", testSignInPolicy}, {"attempts", testAttempts}, {"attempt_search", testAttemptSearch}, {"attempts_since", testAttemptsSince},
		{"failures", testFailures}, {"sign_in_purge", testSignInPurge}, {"sign_in_isolation", testSignInIsolation},
		{"audit_tampering", testTampering}, {"group_commit", testGroupCommit}, {"cancelled_callers", testCancelled},
		{"two_processes", testTwoProcesses}, {"newer_schema", testNewerSchema},
		{"start_together", testStartTogether}, {"clocks_apart", testClocks},
		{"last_owner_by_every_door", testEveryDoor}, {"closed_while_queued", testClosedWhileQueued},
		{"create_once", testCreateOnce}, {"update_application", testUpdateClient}, {"activity", testActivity},
		{"invite", testInvite}, {"power_over_owners", testOwnersOnly}, {"manage", testManage}, {"counts", testCounts},
		{"search", testSearch}, {"search_in_windows", testSearchWindows},
		{"audit_entries", testAuditEntries}, {"audit_times", testAuditTimes}, {"audit_status", testAuditStatus},
		{"firewall", testFirewall}, {"firewall_screens", testFirewallScreens}, {"firewall_tried", testTried},
		{"rules", testRules}, {"rules_in_parallel", testRulesParallel}, {"signals_reach", testSignalsReach},
		{"signal_sources", testSources}, {"signal_lease", testSourceLease}, {"signals", testSignals}, {"signal_people", testSignalPeople},
		{"detection", testDetection}, {"detection_of_two", testDetectionTwo}, {"findings", testFindings}, {"stretch", testStretch},
		{"people_states", testPeopleStates}, {"one_time", testOneTime},
	} {
		t.Run(c.name, func(t *testing.T) { Each(t, c.test) })
	}
	t.Run("connections_killed", func(t *testing.T) { testKilled(t, NewPlace(t, "postgres")) })
	t.Run("stricter_default_isolation", func(t *testing.T) { testStricterDefault(t, NewPlace(t, "postgres")) })
}

// code is the code of the problem in err, for comparisons.
func code(err error) string {
	if p, ok := errors.AsType[*problem.Error](err); ok {
		return p.Code
	}
	return fmt.Sprint(err)
}

func wantKind(t *testing.T, err error, kind problem.Kind) {
	t.Helper()
	if err == nil || problem.KindOf(err) != kind {
		t.Errorf("error is %v, want a problem of kind %q", err, kind)
	}
}

// result is a value and an error, to be taken apart where the test is at hand.
type result[T any] struct {
	v   T
	err error
}

func of[T any](v T, err error) result[T] { return result[T]{v, err} }

// must is the value; an error ends the test.
func (r result[T]) must(t testing.TB) T {
	t.Helper()
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.v
}

func testAccount(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	got := of(db.Account(t.Context(), a.ID)).must(t)
	if diff := cmp.Diff(a.Name, got.Name); diff != "" {
		t.Error(diff)
	}
	groups := of(db.Groups(t.Context(), a.ID)).must(t)
	kinds := map[directory.GroupKind]bool{}
	for _, g := range groups {
		kinds[g.Kind] = true
	}
	want := map[directory.GroupKind]bool{directory.Owners: true, directory.Administrators: true, directory.Security: true, directory.TeamMembers: true}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	var names []string
	for _, g := range of(db.GroupsOf(t.Context(), a.ID, owner.ID)).must(t) {
		names = append(names, g.Name)
	}
	if diff := cmp.Diff([]string{"Owners", "Team Members"}, names); diff != "" {
		t.Errorf("groups of the owner (-want +got):\n%s", diff)
	}
	if n := Verify(t, db, a.ID); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
	_, err := db.Account(t.Context(), "NOSUCH")
	wantKind(t, err, problem.NotFound)
}

func testUsers(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	u := User(t, db, a.ID, "Mira.Oduya@Example.org")
	got := of(db.User(t.Context(), a.ID, u.ID)).must(t)
	if diff := cmp.Diff(u, got); diff != "" {
		t.Errorf("stored person (-added +read):\n%s", diff)
	}
	got = of(db.UserByEmail(t.Context(), a.ID, "mira.oduya@EXAMPLE.ORG")).must(t)
	if got.ID != u.ID {
		t.Error("letter case of the email matters")
	}
	for _, email := range []string{"mira.oduya@example.org", "MIRA.ODUYA@example.org"} {
		_, err := db.AddUser(t.Context(), a.ID, directory.NewUser{Email: email, DisplayName: "x"}, By())
		wantKind(t, err, problem.Conflict)
	}
	User(t, db, a.ID, "straße@example.org")
	_, err := db.AddUser(t.Context(), a.ID, directory.NewUser{Email: "STRASSE@example.org", DisplayName: "x"}, By())
	wantKind(t, err, problem.Conflict)
	_, err = db.AddUser(t.Context(), a.ID, directory.NewUser{Email: "a@example.org", DisplayName: "x", Groups: []string{"Nowhere"}}, By())
	wantKind(t, err, problem.Invalid)
	if _, err := db.UserByEmail(t.Context(), a.ID, "a@example.org"); !problem.Is(err, problem.NotFound) {
		t.Error("a person was half added")
	}
	if err := db.RemoveUser(t.Context(), a.ID, u.ID, By()); err != nil {
		t.Fatal(err)
	}
	_, err = db.User(t.Context(), a.ID, u.ID)
	wantKind(t, err, problem.NotFound)
	User(t, db, a.ID, "mira.oduya@example.org") // the address is free again
	Verify(t, db, a.ID)
}

func testList(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	want := map[directory.StateFilter][]string{directory.AnyState: {owner.ID}, directory.OnlyActive: {owner.ID}}
	for i := range 25 {
		u := User(t, db, a.ID, fmt.Sprintf("p%d@example.org", i))
		state := directory.OnlyActive
		if i%3 == 0 {
			of(db.SuspendUser(t.Context(), a.ID, u.ID, directory.NewHold{Holder: "client:x"}, By())).must(t)
			state = directory.OnlySuspended
		}
		want[state] = append(want[state], u.ID)
		want[directory.AnyState] = append(want[directory.AnyState], u.ID)
	}
	for state, ids := range want {
		slices.Sort(ids)
		for _, size := range []int{1, 7, 26, 1000} {
			var got []string
			q := directory.ListQuery{State: state, Limit: size}
			for {
				page := of(db.ListUsers(t.Context(), a.ID, q)).must(t)
				for _, u := range page {
					got = append(got, u.ID)
					if u.Suspended != (state == directory.OnlySuspended) && state != directory.AnyState {
						t.Errorf("filter %d lists %+v", state, u)
					}
				}
				if len(page) < size {
					break
				}
				q.After = page[len(page)-1].ID
			}
			if diff := cmp.Diff(ids, got); diff != "" {
				t.Errorf("filter %d, pages of %d (-want +got):\n%s", state, size, diff)
			}
		}
	}
}

// testListStable reads pages while people come and go: who was there all the time is listed exactly once.
func testListStable(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	stay := map[string]int{owner.ID: 0}
	var leave []string
	for i := range 60 {
		u := User(t, db, a.ID, fmt.Sprintf("p%d@example.org", i))
		if i%3 == 0 {
			leave = append(leave, u.ID)
		} else {
			stay[u.ID] = 0
		}
	}
	q := directory.ListQuery{Limit: 5}
	for i := 0; ; i++ {
		page := of(db.ListUsers(t.Context(), a.ID, q)).must(t)
		for _, u := range page {
			if _, ok := stay[u.ID]; ok {
				stay[u.ID]++
			}
		}
		if len(page) < q.Limit {
			break
		}
		q.After = page[len(page)-1].ID
		if len(leave) > 0 {
			if err := db.RemoveUser(t.Context(), a.ID, leave[0], By()); err != nil {
				t.Fatal(err)
			}
			leave = leave[1:]
		}
		User(t, db, a.ID, fmt.Sprintf("new%d@example.org", i))
	}
	for id, n := range stay {
		if n != 1 {
			t.Errorf("%s was listed %d times, want once", id, n)
		}
	}
}

func testHolds(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	u := User(t, db, a.ID, "mira@example.org")
	suspend := func(holder string, until time.Time) directory.User {
		return of(db.SuspendUser(t.Context(), a.ID, u.ID, directory.NewHold{Holder: holder, Reason: "why " + holder, Until: until}, By().Because("why "+holder))).must(t)
	}
	before := Verify(t, db, a.ID)
	if !suspend("client:1", time.Time{}).Suspended {
		t.Fatal("not suspended")
	}
	suspend("client:1", time.Time{}) // again: nothing changes
	if got := Verify(t, db, a.ID) - before; got != 1 {
		t.Errorf("%d entries for two suspensions by the same holder, want 1", got)
	}
	until := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	suspend("case:1", until)
	holds := of(db.Holds(t.Context(), a.ID, u.ID)).must(t)
	if len(holds) != 2 || holds[0].Holder != "client:1" || holds[1].Holder != "case:1" || !holds[1].Until.Equal(until) {
		t.Fatalf("holds: %+v", holds)
	}
	if err := db.ReleaseHold(t.Context(), a.ID, holds[1].ID, By()); err != nil {
		t.Fatal(err)
	}
	if u := of(db.User(t.Context(), a.ID, u.ID)).must(t); !u.Suspended {
		t.Error("releasing one hold released the other")
	}
	if err := db.ReleaseHold(t.Context(), a.ID, holds[1].ID, By()); err != nil {
		t.Errorf("releasing again: %v", err)
	}
	suspend("case:1", until) // after its release the holder may hold again
	back := of(db.ReactivateUser(t.Context(), a.ID, u.ID, By().Because("all clear"))).must(t)
	if back.Suspended {
		t.Error("still suspended after reactivating")
	}
	for _, h := range of(db.Holds(t.Context(), a.ID, u.ID)).must(t) {
		if h.ReleasedAt.IsZero() {
			t.Errorf("open after reactivating: %+v", h)
		}
	}
	n := Verify(t, db, a.ID)
	of(db.ReactivateUser(t.Context(), a.ID, u.ID, By())).must(t)
	if got := Verify(t, db, a.ID); got != n {
		t.Error("reactivating an active person wrote an entry")
	}
}

func testPolicy(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	managed := of(db.AddUser(t.Context(), a.ID, directory.NewUser{Email: "eam@example.org", DisplayName: "x", ExternallyManaged: true}, By())).must(t)
	by := directory.NewHold{Holder: "client:1"}
	refusals := int64(0)
	refused := func(err error, want string) {
		t.Helper()
		refusals++
		if problem.KindOf(err) != problem.Forbidden || code(err) != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
	before := Verify(t, db, a.ID)
	_, err := db.SuspendUser(t.Context(), a.ID, owner.ID, by, By())
	refused(err, "no_owner_remain")
	_, err = db.SuspendUser(t.Context(), a.ID, managed.ID, by, By())
	refused(err, "externally_managed")
	refused(db.RemoveUser(t.Context(), a.ID, owner.ID, By()), "no_owner_remain")
	for _, g := range of(db.Groups(t.Context(), a.ID)).must(t) {
		if g.Kind == directory.Owners {
			refused(db.RemoveMember(t.Context(), a.ID, g.ID, owner.ID, By()), "no_owner_remain")
		}
	}
	if got := Verify(t, db, a.ID) - before; got != refusals {
		t.Errorf("%d entries for %d refusals", got, refusals)
	}
	var last audit.Link
	for l, err := range db.AuditLinks(t.Context(), a.ID, before) {
		last = of(l, err).must(t)
	}
	if last.Entry.Outcome != audit.Refused || last.Entry.Action != audit.GroupMemberRemove {
		t.Errorf("last entry: %+v", last.Entry)
	}

	u := User(t, db, a.ID, "mira@example.org")
	of(db.SuspendUser(t.Context(), a.ID, u.ID, by, By())).must(t)
	of(db.SuspendUser(t.Context(), a.ID, u.ID, directory.NewHold{Holder: "scim:okta"}, By())).must(t)
	_, err = db.ReactivateUser(t.Context(), a.ID, u.ID, By())
	refused(err, "suspended_by_provisioning")
	for _, h := range of(db.Holds(t.Context(), a.ID, u.ID)).must(t) {
		if !h.ReleasedAt.IsZero() {
			t.Errorf("a refused reactivation released %+v", h)
		}
	}
	second := User(t, db, a.ID, "second@example.org", "Owners")
	of(db.SuspendUser(t.Context(), a.ID, owner.ID, by, By())).must(t) // now another owner is left
	_, err = db.SuspendUser(t.Context(), a.ID, second.ID, by, By())
	refused(err, "no_owner_remain")
}

// testLastOwner lets many callers suspend both owners at once, over two connections to the database.
func testLastOwner(t *testing.T, p *Place) {
	dbs := []*store.DB{p.Open(t), p.Open(t)}
	a, first := Account(t, dbs[0])
	second := User(t, dbs[0], a.ID, "second@example.org", "Owners")
	var refused, done atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			id := []string{first.ID, second.ID}[i%2]
			_, err := dbs[i/2%2].SuspendUser(t.Context(), a.ID, id, directory.NewHold{Holder: fmt.Sprintf("client:%d", i)}, By())
			switch {
			case err == nil:
				done.Add(1)
			case code(err) == "no_owner_remain":
				refused.Add(1)
			default:
				t.Errorf("suspend: %v", err)
			}
		})
	}
	wg.Wait()
	active := of(dbs[1].ListUsers(t.Context(), a.ID, directory.ListQuery{State: directory.OnlyActive, Limit: 10})).must(t)
	if len(active) != 1 {
		t.Errorf("%d owners remain active, want exactly 1", len(active))
	}
	if done.Load() != 50 || refused.Load() != 50 {
		t.Errorf("%d done and %d refused, want 50 and 50", done.Load(), refused.Load())
	}
	Verify(t, dbs[0], a.ID)
}

// testGroupsOfMany compares the groups of a page of people with those of each.
func testGroupsOfMany(t *testing.T, db *store.DB, account string, g directory.Group, u directory.User) {
	night := of(db.CreateGroup(t.Context(), account, "Alarms", By())).must(t)
	if err := db.AddMember(t.Context(), account, night.ID, u.ID, By()); err != nil {
		t.Fatal(err)
	}
	other := User(t, db, account, "noor@example.org", "engineering")
	none := User(t, db, account, "zora@example.org")
	foreign, _ := Account(t, db)
	want := map[string][]directory.Group{u.ID: {night, g}, other.ID: {g}}
	for name, tt := range map[string]struct {
		account string
		ids     []string
		want    map[string][]directory.Group
	}{
		"nobody":             {account, nil, map[string][]directory.Group{}},
		"some":               {account, []string{u.ID, none.ID, other.ID, "nobody"}, want},
		"of another account": {foreign.ID, []string{u.ID, other.ID}, map[string][]directory.Group{}},
	} {
		if diff := cmp.Diff(tt.want, of(db.GroupsOfMany(t.Context(), tt.account, tt.ids)).must(t)); diff != "" {
			t.Errorf("groups of %s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := db.GroupsOfMany(t.Context(), account, make([]string, directory.MaxGroupsOf+1)); err == nil {
		t.Error("groups of more people than one statement asks for")
	}
	if err := db.RemoveMember(t.Context(), account, night.ID, u.ID, By()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{other.ID, none.ID} {
		if err := db.RemoveUser(t.Context(), account, id, By()); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.DeleteGroup(t.Context(), account, night.ID, By()); err != nil {
		t.Fatal(err)
	}
}

func testGroups(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	g := of(db.CreateGroup(t.Context(), a.ID, "Engineering", By())).must(t)
	_, err := db.CreateGroup(t.Context(), a.ID, "ENGINEERING", By())
	wantKind(t, err, problem.Conflict)
	u := User(t, db, a.ID, "mira@example.org", "engineering")
	if n := len(of(db.GroupsOf(t.Context(), a.ID, u.ID)).must(t)); n != 2 {
		t.Errorf("%d groups, want Engineering and Team Members", n)
	}
	testGroupsOfMany(t, db, a.ID, g, u)
	if err := db.RemoveMember(t.Context(), a.ID, g.ID, u.ID, By()); err != nil {
		t.Fatal(err)
	}
	if err := db.AddMember(t.Context(), a.ID, g.ID, u.ID, By()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, db.AddMember(t.Context(), a.ID, "NOSUCH", u.ID, By()), problem.NotFound)
	wantKind(t, db.AddMember(t.Context(), a.ID, g.ID, "NOSUCH", By()), problem.NotFound)
	Verify(t, db, a.ID)
}

func testImport(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	people := func(n int) []directory.NewUser {
		us := make([]directory.NewUser, n)
		for i := range us {
			us[i] = directory.NewUser{Email: fmt.Sprintf("p%d@example.org", i), DisplayName: "x", Groups: []string{"Security"}}
		}
		return us
	}
	count := func() int {
		return len(of(db.ListUsers(t.Context(), a.ID, directory.ListQuery{Limit: 10_000})).must(t))
	}
	bad := people(1500)
	bad[1400].Email = "P7@example.org"
	err := db.ImportUsers(t.Context(), a.ID, bad, func(int) {}, By())
	if e, ok := errors.AsType[*directory.ImportError](err); !ok || e.Index != 1400 || !problem.Is(err, problem.Conflict) {
		t.Errorf("error is %v, want a conflict at 1400", err)
	}
	if n := count(); n != 1 {
		t.Fatalf("%d people after a refused import, want only the owner", n)
	}
	stopped, stop := context.WithCancel(t.Context())
	err = db.ImportUsers(stopped, a.ID, people(1500), func(int) { stop() }, By())
	if !errors.Is(err, context.Canceled) || count() != 1 {
		t.Errorf("stopped import: %v, %d people", err, count())
	}
	var reported []int
	if err := db.ImportUsers(t.Context(), a.ID, people(1500), func(n int) { reported = append(reported, n) }, By()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1000, 1500}, reported); diff != "" || count() != 1501 {
		t.Errorf("%d people, progress (-want +got):\n%s", count(), diff)
	}
	known := of(db.KnownEmails(t.Context(), a.ID, []string{"p3@example.org", "new@example.org"})).must(t)
	if diff := cmp.Diff([]string{"p3@example.org"}, known); diff != "" {
		t.Error(diff)
	}
	Verify(t, db, a.ID)
}

// testIsolation asks one account for everything of another.
func testIsolation(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	u := User(t, db, a.ID, "mira@example.org", "Security")
	of(db.SuspendUser(t.Context(), a.ID, u.ID, directory.NewHold{Holder: "client:1"}, By())).must(t)
	hold := of(db.Holds(t.Context(), a.ID, u.ID)).must(t)[0]
	group := of(db.Groups(t.Context(), a.ID)).must(t)[0]
	client, _ := newClient(t, db, a.ID)

	_, err := db.User(t.Context(), b.ID, u.ID)
	wantKind(t, err, problem.NotFound)
	_, err = db.UserByEmail(t.Context(), b.ID, "mira@example.org")
	wantKind(t, err, problem.NotFound)
	_, err = db.SuspendUser(t.Context(), b.ID, u.ID, directory.NewHold{Holder: "client:2"}, By())
	wantKind(t, err, problem.NotFound)
	_, err = db.ReactivateUser(t.Context(), b.ID, u.ID, By())
	wantKind(t, err, problem.NotFound)
	wantKind(t, db.RemoveUser(t.Context(), b.ID, u.ID, By()), problem.NotFound)
	wantKind(t, db.AddMember(t.Context(), b.ID, group.ID, u.ID, By()), problem.NotFound)
	wantKind(t, db.RemoveMember(t.Context(), b.ID, group.ID, u.ID, By()), problem.NotFound)
	_, err = db.Client(t.Context(), b.ID, client.ID)
	wantKind(t, err, problem.NotFound)
	wantKind(t, db.RevokeClient(t.Context(), b.ID, client.ID, By()), problem.NotFound)
	if err := db.ReleaseHold(t.Context(), b.ID, hold.ID, By()); err != nil {
		t.Error(err)
	}
	if n := len(of(db.Clients(t.Context(), b.ID)).must(t)) + len(of(db.Holds(t.Context(), b.ID, u.ID)).must(t)); n != 0 {
		t.Errorf("account b sees %d things of account a", n)
	}
	if got := of(db.User(t.Context(), a.ID, u.ID)).must(t); !got.Suspended {
		t.Error("account b released a hold of account a")
	}
	if n := Verify(t, db, b.ID); n != 1 {
		t.Errorf("%d entries in the chain of account b, want only its creation", n)
	}
}
