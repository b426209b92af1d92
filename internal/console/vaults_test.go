package console_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/vault"
)

// theirs is what the person at the desk sees with.
func (d *desk) theirs() vault.Viewer {
	return vault.Viewer{AccountID: d.person.AccountID, UserID: d.person.UserID}
}

// safe makes a vault with an item through the forms, and returns their addresses.
func (d *desk) safe(t *testing.T) (vaultAt, itemAt string) {
	t.Helper()
	w := d.send(t, "/vaults", url.Values{"name": {"Night shift"}})
	vaultAt, _, _ = strings.Cut(w.Header().Get("Location"), "?")
	w = d.send(t, vaultAt+"/items", url.Values{
		"category": {"Login"}, "title": {"Break glass"}, "username": {"ines"}, "password": {"pw-hidden"}, "url": {"javascript:alert(1)"}, "notes": {"one\r\ntwo"},
		"name_0": {""}, "label_0": {"Desk"}, "value_0": {"4"}, "secret_name_0": {""}, "secret_label_0": {"PIN"}, "secret": {"pin-hidden"},
	})
	if w.Code != 303 {
		t.Fatalf("saving the item answers %d\n%s", w.Code, w.Body)
	}
	itemAt, _, _ = strings.Cut(w.Header().Get("Location"), "?")
	return vaultAt, itemAt
}

// values are the fields of the item as they are stored, the concealed ones revealed.
func (d *desk) values(t *testing.T, vaultAt, itemAt string) map[string]string {
	t.Helper()
	vaultID, itemID := strings.TrimPrefix(vaultAt, "/vaults/"), itemAt[strings.LastIndex(itemAt, "/")+1:]
	i, err := d.vaults.Item(t.Context(), d.theirs(), vaultID, itemID)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"title": i.Title}
	for _, f := range i.Fields {
		if values[f.Name] = f.Value; f.Concealed {
			value, err := d.vaults.Reveal(t.Context(), d.theirs(), vault.RevealRequest{
				VaultID: vaultID, ItemID: itemID, Field: f.Name, Action: vault.Reveal,
			}, audit.Entry{Actor: d.person.Actor})
			if err != nil {
				t.Fatal(err)
			}
			values[f.Name] = value.Reveal()
		}
	}
	return values
}

// TestItemSecrets wants a concealed value in the answers that were asked for it, and in no other one.
func TestItemSecrets(t *testing.T) {
	d := newDesk(t)
	vaultAt, itemAt := d.safe(t)
	for _, path := range []string{"/vaults", vaultAt, vaultAt + "/access", itemAt, itemAt + "/edit", itemAt + "/archive"} {
		d.page(t, 200, path, nil)
	}
	for _, path := range []string{itemAt + "/reveal", itemAt + "/copy"} {
		d.page(t, 303, path, nil)
	}
	ask := url.Values{"field": {"password"}}
	d.page(t, 303, itemAt+"/copy", ask, "Accept", "text/html")
	d.page(t, 404, itemAt+"/reveal", url.Values{"field": {"nothing"}})
	if n := d.shown("pw-hidden") + d.shown("pin-hidden"); n != 0 {
		t.Errorf("%d answers show a concealed value that nobody asked for", n)
	}
	if page := d.page(t, 200, itemAt, nil); strings.Contains(page, `href="javascript`) {
		t.Error("a value that is no https address is a link")
	}
	for _, tt := range []struct{ name, path, accept, want string }{
		{"reveal_by_script", itemAt + "/reveal", "text/plain, application/json;q=0.5", "pw-hidden"},
		{"copy_by_script", itemAt + "/copy", "text/plain, application/json;q=0.5", "pw-hidden"},
		{"reveal_on_page", itemAt + "/reveal", "text/html", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := d.send(t, tt.path, ask, "Accept", tt.accept)
			if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d, Cache-Control %q", w.Code, w.Header().Get("Cache-Control"))
			}
			if tt.want != "" && w.Body.String() != tt.want {
				t.Errorf("answered %q", w.Body)
			}
			if tt.want == "" && (!strings.Contains(w.Body.String(), "pw-hidden") || !strings.HasPrefix(w.Header().Get("Refresh"), "30; url="+itemAt)) {
				t.Errorf("Refresh %q\n%s", w.Header().Get("Refresh"), w.Body)
			}
		})
	}
}

// TestItemEdit: what a form does not carry, or carries empty because it is concealed, is kept; somebody
// else's change is not overwritten unseen.
func TestItemEdit(t *testing.T) {
	d := newDesk(t)
	vaultAt, itemAt := d.safe(t)
	typed := func(version string) url.Values {
		return url.Values{
			"version": {version}, "title": {"Break glass"}, "username": {"omar"}, "password": {""}, "url": {"javascript:alert(1)"}, "notes": {"one\r\ntwo"},
			"name_0": {"custom_1"}, "label_0": {"Desk"}, "value_0": {"4"}, "secret_name_0": {"custom_2"}, "secret_label_0": {"PIN"}, "secret": {""},
		}
	}
	want := map[string]string{
		"title": "Break glass", "username": "ines", "password": "pw-hidden", "url": "javascript:alert(1)", "notes": "one\ntwo", "custom_1": "4", "custom_2": "pin-hidden",
	}
	check := func() {
		t.Helper()
		if diff := cmp.Diff(want, d.values(t, vaultAt, itemAt)); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	}
	check()
	d.page(t, 303, itemAt+"/edit", typed("1"))
	want["username"] = "omar"
	check()

	late := typed("1")
	late.Set("username", "sol")
	late.Set("password", "typed-hidden")
	page := d.page(t, 409, itemAt+"/edit", late)
	d.mustHave(t, page, `value="sol"`, "Stored now: omar", `name="version" value="2"`)
	if strings.Contains(page, "typed-hidden") {
		t.Error("the form shows a concealed value that was typed")
	}
	check()

	// As it comes back after signing in again: without what is secret.
	back := typed("2")
	back.Del("password")
	back.Del("secret")
	back.Set("value_0", "")
	d.page(t, 303, itemAt+"/edit", back)
	delete(want, "custom_1")
	check()

	gone := typed("3")
	gone.Set("remove", "password")
	gone.Del("name_0")
	gone.Del("label_0")
	gone.Set("secret", "pin-new")
	d.page(t, 303, itemAt+"/edit", gone)
	delete(want, "password")
	want["custom_2"] = "pin-new"
	check()
}

// TestItemRows says beside the row what is wrong with it.
func TestItemRows(t *testing.T) {
	d := newDesk(t)
	vaultAt, _ := d.safe(t)
	for _, tt := range []struct {
		name, control string
		typed         url.Values
	}{
		{"value_without_label", `name="label_1" value=""`, url.Values{"label_0": {""}, "value_0": {""}, "label_1": {""}, "value_1": {"x"}}},
		{"label_without_value", `name="value_0" value=""`, url.Values{"label_0": {"x"}, "value_0": {""}}},
		{"secret_without_label", `name="secret_label_0" value=""`, url.Values{"secret_label_0": {""}, "secret": {"typed-hidden"}}},
		{"secret_without_value", `id="s-0" name="secret"`, url.Values{"secret_label_0": {"x"}, "secret": {""}}},
		{"value_not_shown", `id="v-username" name="username"`, url.Values{"username": {"a\x01"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.typed.Set("title", "x")
			tt.typed.Set("category", "Login")
			page := d.page(t, 422, vaultAt+"/items", tt.typed)
			_, input, found := strings.Cut(page, tt.control)
			if input, _, _ = strings.Cut(input, ">"); !found || !strings.Contains(input, `aria-invalid="true"`) {
				t.Errorf("the field %s is not marked\n%s", tt.control, page)
			}
			if strings.Contains(page, "typed-hidden") {
				t.Error("the form shows a concealed value that was typed")
			}
		})
	}
}

// TestVaultAccess: who has no access finds nothing; too little is said in words; the last one who manages stays.
func TestVaultAccess(t *testing.T) {
	d := newDesk(t)
	vaultAt, itemAt := d.safe(t)
	owner := d.person
	other, err := d.db.AddUser(t.Context(), owner.AccountID, directory.NewUser{Email: "omar@example.org", DisplayName: "Omar"}, audit.Entry{Actor: owner.Actor})
	if err != nil {
		t.Fatal(err)
	}
	as := func(id string) {
		d.person = owner
		d.person.UserID, d.person.Actor = id, "user:"+id
	}
	may := map[string][]int{} // view, edit and manage the vault; answers of item, its form, and the list of access
	look := func(name string) {
		t.Helper()
		as(other.ID)
		for _, path := range []string{itemAt, itemAt + "/edit", vaultAt + "/access", vaultAt + "/delete"} {
			may[name] = append(may[name], d.send(t, path, nil).Code)
		}
		as(owner.UserID)
	}
	look("none")
	d.page(t, 422, vaultAt+"/access", url.Values{"email": {"omar"}, "access": {"view"}})
	for _, access := range []string{"view", "edit", "manage"} {
		d.page(t, 303, vaultAt+"/access", url.Values{"email": {"OMAR@example.org"}, "access": {access}})
		look(access)
	}
	want := map[string][]int{"none": {404, 404, 404, 404}, "view": {200, 403, 403, 403}, "edit": {200, 200, 403, 403}, "manage": {200, 200, 200, 200}}
	if diff := cmp.Diff(want, may); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	grants, err := d.vaults.Grants(t.Context(), d.theirs(), strings.TrimPrefix(vaultAt, "/vaults/"))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range grants {
		if g.Grantee != "user:"+owner.UserID {
			d.page(t, 303, vaultAt+"/access/remove", url.Values{"grantee": {g.Grantee}})
		}
	}
	d.mustHave(t, d.page(t, 409, vaultAt+"/access/remove", url.Values{"grantee": {"user:" + owner.UserID}}), "Nobody else manages this vault")
	look("removed")
	if diff := cmp.Diff(want["none"], may["removed"]); diff != "" {
		t.Errorf("answers after the removal (-want +got):\n%s", diff)
	}
}

// TestBrowserReveal reveals in place, with the script of the page.
func TestBrowserReveal(t *testing.T) {
	h := newHouse(t)
	her := vault.Viewer{AccountID: h.Account.ID, UserID: h.Owner.ID}
	by := audit.Entry{Actor: "user:" + h.Owner.ID}
	box, err := h.Vaults().Create(t.Context(), her, "Night shift", "", by)
	if err != nil {
		t.Fatal(err)
	}
	item, err := h.Vaults().Save(t.Context(), her, box.ID, vault.NewItem{
		Category: vault.Login, Title: "Break glass", Fields: []vault.Field{{Name: "password", Value: "pw-hidden", Concealed: true}},
	}, by)
	if err != nil {
		t.Fatal(err)
	}
	tab := h.signedIn(t, h.Owner)
	at := "/vaults/" + box.ID + "/items/" + item.ID
	tab.Go(at)
	tab.Click("button", "Reveal Password")
	tab.Wait("pw-hidden")
	if got := h.path(tab); got != at {
		t.Errorf("revealing leads to %s", got)
	}
	tab.Click("button", "Reveal Password")
	if strings.Contains(tab.HTML(), "pw-hidden") {
		t.Error("the value is still in the page after it was concealed")
	}
	uses, err := h.Vaults().Usages(t.Context(), her, box.ID, item.ID, 9)
	if err != nil || len(uses) != 2 || uses[0].Action != vault.Reveal {
		t.Errorf("recorded: %+v, %v", uses, err)
	}
}
