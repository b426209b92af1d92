package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/store"
	"holdfast/internal/vault"
)

const vaultLink = "client:6b0f7c52-83de-4e1a-9c47-2a5d91e0f3b8"

// vaultWorld is an account with a vault that its owner has made.
type vaultWorld struct {
	*vault.Service
	t       *testing.T
	db      *store.DB
	account string
	ines    vault.Viewer // owner
	vault   vault.Vault
}

func newVaults(t *testing.T, p *Place) vaultWorld {
	t.Helper()
	db := p.Open(t)
	a, owner := Account(t, db)
	w := vaultWorld{
		Service: &vault.Service{Store: db, Keys: db.Keys(), Now: time.Now}, t: t, db: db,
		account: a.ID, ines: vault.Viewer{AccountID: a.ID, UserID: owner.ID},
	}
	w.vault = of(w.Create(t.Context(), w.ines, "Security operations", "Shared", w.by(w.ines))).must(t)
	return w
}

func (w vaultWorld) by(v vault.Viewer) audit.Entry {
	return audit.Entry{Actor: "user:" + v.UserID, Address: "192.0.2.7"}
}

// person adds somebody to groups.
func (w vaultWorld) person(email string, groups ...string) vault.Viewer {
	w.t.Helper()
	return vault.Viewer{AccountID: w.account, UserID: User(w.t, w.db, w.account, email, groups...).ID}
}

func (w vaultWorld) grant(grantee string, a vault.Access) {
	w.t.Helper()
	if err := w.SetGrant(w.t.Context(), w.ines, w.vault.ID, grantee, a, w.by(w.ines)); err != nil {
		w.t.Fatal(err)
	}
}

// access is what the viewer has in the vault, and in the list of hers.
func (w vaultWorld) access(v vault.Viewer) vault.Access {
	w.t.Helper()
	one, err := w.Vault(w.t.Context(), v, w.vault.ID)
	if err != nil && !problem.Is(err, problem.NotFound) {
		w.t.Fatal(err)
	}
	listed := vault.None
	for _, l := range of(w.List(w.t.Context(), v)).must(w.t) {
		if l.ID == w.vault.ID {
			listed = l.Access
		}
	}
	if listed != one.Access {
		w.t.Errorf("the access is %s in the list, and %s in the vault", listed, one.Access)
	}
	return one.Access
}

func (w vaultWorld) newItem() vault.NewItem {
	return vault.NewItem{
		Category: vault.APICredential, Title: "Tines contain", Link: vaultLink,
		Fields: []vault.Field{{Name: "client_id", Value: "6b0f"}, {Name: "client_secret", Value: "hfs_hidden", Concealed: true}},
	}
}

func (w vaultWorld) save(v vault.Viewer) (vault.Item, error) {
	return w.Save(w.t.Context(), v, w.vault.ID, w.newItem(), w.by(v))
}

func (w vaultWorld) reveal(v vault.Viewer, i vault.Item, version int, action string) (string, error) {
	s, err := w.Reveal(w.t.Context(), v, vault.RevealRequest{
		VaultID: i.VaultID, ItemID: i.ID, Version: version, Field: "client_secret", Action: action, Client: vault.Client{Client: origin.Client{UserAgent: "Firefox"}},
	}, w.by(v))
	return s.Reveal(), err
}

func (w vaultWorld) rename(v vault.Viewer, i vault.Item, secret string) (vault.Item, error) {
	return w.UpdateItem(w.t.Context(), v, i.VaultID, i.ID, vault.Change{Version: i.Version, Title: i.Title, Fields: []vault.FieldChange{
		{Field: vault.Field{Name: "client_id", Value: "6b0f"}}, {Field: vault.Field{Name: "client_secret", Value: secret}, Keep: true},
	}}, w.by(v))
}

// testVaultAccess goes through all ways in which somebody gets access, and loses it.
func testVaultAccess(t *testing.T, p *Place) {
	w := newVaults(t, p)
	mira := w.person("mira@example.org", "Security")
	groups := map[directory.GroupKind]string{}
	for _, g := range of(w.db.Groups(t.Context(), w.account)).must(t) {
		groups[g.Kind] = "group:" + g.ID
	}
	person := "user:" + mira.UserID
	remove := func(grantee string) func() {
		return func() {
			if err := w.RemoveGrant(t.Context(), w.ines, w.vault.ID, grantee, w.by(w.ines)); err != nil {
				t.Fatal(err)
			}
		}
	}
	set := func(grantee string, a vault.Access) func() { return func() { w.grant(grantee, a) } }
	for _, step := range []struct {
		name string
		do   func()
		want vault.Access
	}{
		{"nothing yet", func() {}, vault.None},
		{"team members", set(groups[directory.TeamMembers], vault.View), vault.View},
		{"her group has more", set(groups[directory.Security], vault.Edit), vault.Edit},
		{"she has most", set(person, vault.Manage), vault.Manage},
		{"she has less than her group", set(person, vault.View), vault.Edit},
		{"a group that is not hers", set(groups[directory.Administrators], vault.Manage), vault.Edit},
		{"suspended", func() {
			of(w.db.SuspendUser(t.Context(), w.account, mira.UserID, directory.NewHold{Holder: "operator:test"}, By())).must(t)
		}, vault.None},
		{"reactivated", func() { of(w.db.ReactivateUser(t.Context(), w.account, mira.UserID, By())).must(t) }, vault.Edit},
		{"out of the group", func() {
			if err := w.db.RemoveMember(t.Context(), w.account, groups[directory.Security][len("group:"):], mira.UserID, By()); err != nil {
				t.Fatal(err)
			}
		}, vault.View},
		{"team members lose it", remove(groups[directory.TeamMembers]), vault.View},
		{"she loses it", remove(person), vault.None},
		{"she gets it once more", set(person, vault.Manage), vault.Manage},
		{"removed", func() {
			if err := w.db.RemoveUser(t.Context(), w.account, mira.UserID, By()); err != nil {
				t.Fatal(err)
			}
		}, vault.None},
	} {
		step.do()
		if got := w.access(mira); got != step.want {
			t.Errorf("%s: the access is %s, want %s", step.name, got, step.want)
		}
	}
	grants := of(w.Grants(t.Context(), w.ines, w.vault.ID)).must(t)
	want := []vault.Grant{
		{Grantee: groups[directory.Administrators], Name: "Administrators", Access: vault.Manage},
		{Grantee: groups[directory.Owners], Name: "Owners", Access: vault.Manage},
		{Grantee: groups[directory.Security], Name: "Security", Access: vault.Edit},
		{Grantee: "user:" + w.ines.UserID, Name: "Ines", Access: vault.Manage},
	}
	if diff := cmp.Diff(want, grants); diff != "" {
		t.Errorf("grants, without those of who was removed (-want +got):\n%s", diff)
	}
	err := w.SetGrant(t.Context(), w.ines, w.vault.ID, person, vault.View, w.by(w.ines))
	wantKind(t, err, problem.Invalid)
	Verify(t, w.db, w.account)
}

// testVaultDoors tries every call with every access: with too little, what can be seen is refused on
// record, and what cannot be seen is not there.
func testVaultDoors(t *testing.T, p *Place) {
	w := newVaults(t, p)
	item := of(w.save(w.ines)).must(t)
	viewers := map[vault.Access]vault.Viewer{}
	for a := vault.None; a <= vault.Manage; a++ {
		viewers[a] = w.person(a.String() + "@example.org")
		if a > vault.None {
			w.grant("user:"+viewers[a].UserID, a)
		}
	}
	b, stranger := Account(t, w.db)
	strangers := vault.Viewer{AccountID: b.ID, UserID: stranger.ID}
	mixed := vault.Viewer{AccountID: b.ID, UserID: viewers[vault.Manage].UserID} // of this account, in the other
	ctx, id := t.Context(), w.vault.ID
	for _, door := range []struct {
		name string
		need vault.Access
		call func(v vault.Viewer) error
	}{
		{"vault", vault.View, func(v vault.Viewer) error { _, err := w.Vault(ctx, v, id); return err }},
		{"grants", vault.View, func(v vault.Viewer) error { _, err := w.Grants(ctx, v, id); return err }},
		{"items", vault.View, func(v vault.Viewer) error { _, err := w.Items(ctx, v, id, "", "", 10); return err }},
		{"item", vault.View, func(v vault.Viewer) error { _, err := w.Item(ctx, v, id, item.ID); return err }},
		{"history", vault.View, func(v vault.Viewer) error { _, err := w.History(ctx, v, id, item.ID); return err }},
		{"usages", vault.View, func(v vault.Viewer) error { _, err := w.Usages(ctx, v, id, item.ID, 10); return err }},
		{"reveal", vault.View, func(v vault.Viewer) error { _, err := w.reveal(v, item, 0, vault.Reveal); return err }},
		{"use", vault.View, func(v vault.Viewer) error {
			u := vault.Usage{ID: seal.NewID(), At: time.Now(), AccountID: v.AccountID, VaultID: id, ItemID: item.ID, UserID: v.UserID, Version: 1, Action: vault.Reveal}
			return w.db.UseItem(ctx, v, u, w.by(v))
		}},
		{"save", vault.Edit, func(v vault.Viewer) error { _, err := w.save(v); return err }},
		{"change", vault.Edit, func(v vault.Viewer) error {
			current := item
			if seen, err := w.Item(ctx, v, id, item.ID); err == nil {
				current.Version = seen.Version
			}
			_, err := w.rename(v, current, "hfs_"+v.UserID)
			return err
		}},
		{"archive", vault.Edit, func(v vault.Viewer) error {
			other := of(w.save(w.ines)).must(t)
			return w.Archive(ctx, v, id, other.ID, w.by(v))
		}},
		{"rename", vault.Manage, func(v vault.Viewer) error { return w.Update(ctx, v, id, "Renamed", "", w.by(v)) }},
		{"give access", vault.Manage, func(v vault.Viewer) error {
			return w.SetGrant(ctx, v, id, "user:"+viewers[vault.View].UserID, vault.View, w.by(v))
		}},
		{"take access", vault.Manage, func(v vault.Viewer) error {
			return w.RemoveGrant(ctx, v, id, "user:"+viewers[vault.None].UserID, w.by(v))
		}},
	} {
		for a, v := range viewers {
			before := Verify(t, w.db, w.account)
			err := door.call(v)
			after := Verify(t, w.db, w.account)
			switch {
			case a == vault.None:
				if !problem.Is(err, problem.NotFound) {
					t.Errorf("%s without access: %v, want that it is not found", door.name, err)
				}
			case a < door.need:
				if !problem.Is(err, problem.Forbidden) || after == before {
					t.Errorf("%s with access %s: %v, want that it is refused, on record", door.name, a, err)
				}
			case err != nil:
				t.Errorf("%s with access %s: %v", door.name, a, err)
			}
		}
		for _, v := range []vault.Viewer{strangers, mixed} {
			if err := door.call(v); !problem.Is(err, problem.NotFound) {
				t.Errorf("%s from another account: %v, want that it is not found", door.name, err)
			}
		}
	}
	for _, v := range []vault.Viewer{strangers, mixed, viewers[vault.None]} {
		seen := len(of(w.List(ctx, v)).must(t)) + len(of(w.ItemsLinkedTo(ctx, v, vaultLink)).must(t))
		if seen != 0 {
			t.Errorf("somebody without access sees %d things", seen)
		}
	}
	if n := Verify(t, w.db, b.ID); n != 1 {
		t.Errorf("%d entries in the chain of the other account, want only its creation", n)
	}
	_, err := w.Create(ctx, mixed, "Mine", "", w.by(mixed))
	wantKind(t, err, problem.Forbidden)
}

// testVaultItems follows an item through its life.
func testVaultItems(t *testing.T, p *Place) {
	w := newVaults(t, p)
	ctx, id := t.Context(), w.vault.ID
	item := of(w.save(w.ines)).must(t)
	if diff := cmp.Diff(item, of(w.Item(ctx, w.ines, id, item.ID)).must(t)); diff != "" {
		t.Errorf("stored item (-saved +read):\n%s", diff)
	}
	if f, _ := item.Field("client_secret"); f.Value != "" {
		t.Error("the answer holds the secret")
	}
	second := of(w.rename(w.ines, item, "")).must(t) // keeps the secret: nothing changes
	if second.Version != 1 {
		t.Errorf("a change of nothing made version %d", second.Version)
	}
	second = of(w.rename(w.ines, item, "hfs_next")).must(t)
	for version, want := range map[int]string{0: "hfs_next", 1: "hfs_hidden", 2: "hfs_next"} {
		if got := of(w.reveal(w.ines, item, version, vault.Reveal)).must(t); got != want {
			t.Errorf("version %d has the secret %q, want %q", version, got, want)
		}
	}
	_, err := w.reveal(w.ines, item, 3, vault.Reveal)
	wantKind(t, err, problem.NotFound)
	_, err = w.rename(w.ines, item, "hfs_late")
	wantKind(t, err, problem.Conflict)

	history := of(w.History(ctx, w.ines, id, item.ID)).must(t)
	wantHistory := []vault.Version{
		{Version: 2, At: second.UpdatedAt, By: "user:" + w.ines.UserID, ByName: "Ines", Changed: []string{"client_secret"}},
		{Version: 1, At: item.CreatedAt, By: "user:" + w.ines.UserID, ByName: "Ines", Changed: []string{}},
	}
	if diff := cmp.Diff(wantHistory, history); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}

	login := vault.NewItem{Category: vault.Login, Title: "break-glass 100%", Fields: []vault.Field{{Name: "username", Value: "root"}, {Name: "password", Value: "p"}}}
	glass := of(w.Save(ctx, w.ines, id, login, w.by(w.ines))).must(t)
	list := func(search, after string, limit int) (subtitles []string) {
		for _, s := range of(w.Items(ctx, w.ines, id, search, after, limit)).must(t) {
			subtitles = append(subtitles, s.Subtitle)
		}
		return subtitles
	}
	for _, tt := range []struct {
		name, search, after string
		limit               int
		want                []string
	}{
		{"all, by title", "", "", 10, []string{"root", "6b0f"}},
		{"first page", "", "", 1, []string{"root"}},
		{"second page", "", glass.ID, 1, []string{"6b0f"}},
		{"found in any case", "CONTAIN", "", 10, []string{"6b0f"}},
		{"a percent sign is one", "0%", "", 10, []string{"root"}},
		{"an underscore is one", "_", "", 10, nil},
		{"no text of a database", "\x00\xff", "", 10, []string{"root", "6b0f"}},
	} {
		if diff := cmp.Diff(tt.want, list(tt.search, tt.after, tt.limit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	linked := of(w.ItemsLinkedTo(ctx, w.ines, vaultLink)).must(t)
	if len(linked) != 1 || linked[0].Vault.Name != "Security operations" || linked[0].Item.ID != item.ID || linked[0].Item.Subtitle != "6b0f" {
		t.Errorf("linked items: %+v", linked)
	}
	if n := of(w.Vault(ctx, w.ines, id)).must(t).Items; n != 2 {
		t.Errorf("the vault has %d items, want 2", n)
	}

	wantKind(t, w.Delete(ctx, w.ines, id, w.by(w.ines)), problem.Conflict)
	for _, i := range []vault.Item{item, glass} {
		if err := w.Archive(ctx, w.ines, id, i.ID, w.by(w.ines)); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.Item(ctx, w.ines, id, item.ID)
	wantKind(t, err, problem.NotFound)
	_, err = w.reveal(w.ines, item, 1, vault.Reveal)
	wantKind(t, err, problem.NotFound)
	wantKind(t, w.Archive(ctx, w.ines, id, item.ID, w.by(w.ines)), problem.NotFound)
	if got := len(list("", glass.ID, 10)) + len(of(w.ItemsLinkedTo(ctx, w.ines, vaultLink)).must(t)); got != 0 {
		t.Errorf("%d archived items are listed", got)
	}
	if err := w.Delete(ctx, w.ines, id, w.by(w.ines)); err != nil {
		t.Fatal(err)
	}
	if got := w.access(w.ines); got != vault.None {
		t.Errorf("a deleted vault can be seen with access %s", got)
	}
	want := []audit.Action{
		audit.AccountCreate, audit.VaultCreate, audit.ItemCreate, audit.ItemUpdate, audit.ItemReveal, audit.ItemReveal, audit.ItemReveal,
		audit.ItemCreate, audit.ItemArchive, audit.ItemArchive, audit.VaultDelete,
	}
	if diff := cmp.Diff(want, actions(t, w.db, w.account)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
	Verify(t, w.db, w.account)
}

// testVaultGroups deletes groups that have access: it ends with them, unless nobody else manages the vault.
func testVaultGroups(t *testing.T, p *Place) {
	w := newVaults(t, p)
	ctx := t.Context()
	ana := w.person("ana@example.org")

	night := of(w.db.CreateGroup(ctx, w.account, "Night", w.by(w.ines))).must(t)
	if err := w.db.AddMember(ctx, w.account, night.ID, ana.UserID, w.by(w.ines)); err != nil {
		t.Fatal(err)
	}
	grants := func() map[string]vault.Access {
		t.Helper()
		has := map[string]vault.Access{}
		for _, g := range of(w.Grants(ctx, ana, w.vault.ID)).must(t) {
			has[g.Grantee] = g.Access
		}
		return has
	}
	w.grant("group:"+night.ID, vault.Manage)
	for grantee := range grants() {
		if grantee != "group:"+night.ID {
			if err := w.RemoveGrant(ctx, ana, w.vault.ID, grantee, w.by(ana)); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := w.db.DeleteGroup(ctx, w.account, night.ID, w.by(w.ines))
	wantKind(t, err, problem.Conflict)
	if code(err) != "group_manages_vault" {
		t.Errorf("deleting the last group that manages: %v", err)
	}
	if diff := cmp.Diff(map[string]vault.Access{"group:" + night.ID: vault.Manage}, grants()); diff != "" {
		t.Errorf("after the refusal (-want +got):\n%s", diff)
	}
	if err := w.SetGrant(ctx, ana, w.vault.ID, "user:"+ana.UserID, vault.Manage, w.by(ana)); err != nil {
		t.Fatal(err)
	}
	if err := w.db.DeleteGroup(ctx, w.account, night.ID, w.by(w.ines)); err != nil {
		t.Fatal(err)
	}
	left := 0
	if err := p.raw(t).QueryRow("SELECT COUNT(*) FROM vault_grants WHERE grantee = $1", "group:"+night.ID).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d grants of the deleted group are left: %v", left, err)
	}
	if diff := cmp.Diff(map[string]vault.Access{"user:" + ana.UserID: vault.Manage}, grants()); diff != "" {
		t.Errorf("after the deletion (-want +got):\n%s", diff)
	}
	Verify(t, w.db, w.account)
}

// testVaultMoved moves what is sealed to where somebody else could read it: it does not open there.
func testVaultMoved(t *testing.T, p *Place) {
	w := newVaults(t, p)
	ctx, raw := t.Context(), p.raw(t)
	first := of(w.save(w.ines)).must(t)
	other := of(w.save(w.ines)).must(t)
	of(w.rename(w.ines, other, "hfs_other")).must(t)
	if _, err := raw.Exec(`UPDATE vault_item_versions SET sealed = (SELECT sealed FROM vault_item_versions x WHERE x.item_id = $1)
		WHERE item_id = $2 AND version = 1`, first.ID, other.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := w.reveal(w.ines, other, 1, vault.Reveal); err == nil || got != "" {
		t.Errorf("the fields of another item open: %v", err)
	}
	if _, err := raw.Exec(`UPDATE vault_item_versions SET sealed = (SELECT sealed FROM vault_item_versions x WHERE x.item_id = $1 AND x.version = 2)
		WHERE item_id = $1 AND version = 1`, other.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := w.reveal(w.ines, other, 1, vault.Reveal); err == nil || got != "" {
		t.Errorf("the fields of another version open: %v", err)
	}
	if _, err := raw.Exec("UPDATE vault_items SET subtitled = (SELECT subtitled FROM vault_items x WHERE x.id = $1) WHERE id = $2", first.ID, other.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Items(ctx, w.ines, w.vault.ID, "", "", 10); err == nil {
		t.Error("the subtitle of another item opens")
	}
	if _, err := raw.Exec("UPDATE item_usages SET action = 'fill'"); err == nil {
		t.Error("the database lets usages be changed")
	}
	for _, column := range []string{"sealed", "changed"} {
		var n int
		if err := raw.QueryRow("SELECT COUNT(*) FROM vault_item_versions WHERE CAST(" + column + " AS TEXT) LIKE '%hfs%'").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d versions show a secret in column %s: %v", n, column, err)
		}
	}
}

// testVaultUsages wants each look on record in both places, or in neither.
func testVaultUsages(t *testing.T, p *Place) {
	w := newVaults(t, p)
	ctx := t.Context()
	mira := w.person("mira@example.org")
	w.grant("user:"+mira.UserID, vault.View)
	item := of(w.save(w.ines)).must(t)
	of(w.reveal(mira, item, 0, vault.Reveal)).must(t)
	of(w.reveal(mira, item, 0, vault.SecureCopy)).must(t)
	_, err := w.reveal(mira, item, 0, "share")
	wantKind(t, err, problem.Invalid)

	stopped, stop := context.WithCancel(ctx)
	stop()
	r := vault.RevealRequest{VaultID: item.VaultID, ItemID: item.ID, Field: "client_secret", Action: vault.Reveal}
	if s, err := w.Reveal(stopped, mira, r, w.by(mira)); err == nil || !s.IsZero() {
		t.Error("a value was revealed that could not be recorded")
	}
	// The usage cannot be written: the audit entry must not stay behind, and nothing is revealed.
	raw := p.raw(t)
	if _, err := raw.Exec("ALTER TABLE item_usages RENAME TO item_usages_away"); err != nil {
		t.Fatal(err)
	}
	before := Verify(t, w.db, w.account)
	if got, err := w.reveal(mira, item, 0, vault.Reveal); err == nil || got != "" {
		t.Error("a value was revealed whose usage could not be written")
	}
	if after := Verify(t, w.db, w.account); after != before {
		t.Error("the audit entry was written without the usage")
	}
	if _, err := raw.Exec("ALTER TABLE item_usages_away RENAME TO item_usages"); err != nil {
		t.Fatal(err)
	}
	if err := w.db.RemoveUser(ctx, w.account, mira.UserID, By()); err != nil {
		t.Fatal(err)
	}
	type use struct{ Action, Name, Address, Agent string }
	var got []use
	for _, u := range of(w.Usages(ctx, w.ines, w.vault.ID, item.ID, 10)).must(t) {
		got = append(got, use{u.Action, u.UserName, u.Client.Address, u.Client.UserAgent})
	}
	want := []use{
		{"secure-copy", "mira@example.org", "192.0.2.7", "Firefox"}, {"reveal", "mira@example.org", "192.0.2.7", "Firefox"},
		{"server-create", "Ines", "192.0.2.7", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("usages (-want +got):\n%s", diff)
	}
	wantActions := []audit.Action{
		audit.AccountCreate, audit.VaultCreate, audit.UserAdd, audit.VaultGrant, audit.ItemCreate, audit.ItemReveal, audit.ItemCopy, audit.UserRemove,
	}
	if diff := cmp.Diff(wantActions, actions(t, w.db, w.account)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}

// testVaultParallel lets two processes change one item, and people take the manage grant from each other.
func testVaultParallel(t *testing.T, p *Place) {
	w := newVaults(t, p)
	other := w
	otherDB := p.Open(t)
	other.Service = &vault.Service{Store: otherDB, Keys: otherDB.Keys(), Now: time.Now}
	worlds := []vaultWorld{w, other}
	item := of(w.save(w.ines)).must(t)
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 10 {
		wg.Go(func() {
			switch _, err := worlds[i%2].rename(w.ines, item, "hfs_"+seal.NewID()); {
			case err == nil:
				won.Add(1)
			case !problem.Is(err, problem.Conflict):
				t.Errorf("change: %v", err)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d changes of one version were saved, want exactly 1", n)
	}

	grantees := []string{}
	for _, g := range of(w.Grants(t.Context(), w.ines, w.vault.ID)).must(t) {
		grantees = append(grantees, g.Grantee)
	}
	empty := of(w.db.CreateGroup(t.Context(), w.account, "Nobody", By())).must(t)
	w.grant("group:"+empty.ID, vault.Manage) // manages nothing: it has no members
	var refused atomic.Int32
	for i, g := range grantees {
		for _, call := range []func() error{
			func() error { return worlds[i%2].RemoveGrant(t.Context(), w.ines, w.vault.ID, g, w.by(w.ines)) },
			func() error {
				return worlds[i%2].SetGrant(t.Context(), w.ines, w.vault.ID, g, vault.Edit, w.by(w.ines))
			},
		} {
			wg.Go(func() {
				if err := call(); problem.Is(err, problem.Conflict) {
					refused.Add(1)
				} else if err != nil && !problem.Is(err, problem.Forbidden) {
					t.Errorf("take access: %v", err)
				}
			})
		}
	}
	wg.Wait()
	if got := w.access(w.ines); got != vault.Manage || refused.Load() == 0 {
		t.Errorf("after all grants were attacked the owner has access %s, and %d attacks were refused", got, refused.Load())
	}
	Verify(t, w.db, w.account)
}
