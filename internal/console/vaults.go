package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

func (c *Console) vaultRoutes() []web.Route {
	// Which vaults somebody sees, and what she may do in one, is asked of the vault itself.
	member, makers := web.SignedIn(web.Member), web.SignedIn(web.Integrations)
	return []web.Route{
		{Pattern: "GET /vaults", Access: member, Handle: c.vaults},
		{Pattern: "GET /vaults/new", Access: makers, Handle: c.newVault},
		{Pattern: "POST /vaults", Access: makers, Handle: c.createVault},
		{Pattern: "GET /vaults/{vault}", Access: member, Handle: c.vault},
		{Pattern: "GET /vaults/{vault}/edit", Access: member, Handle: c.editVault},
		{Pattern: "POST /vaults/{vault}/edit", Access: member, Handle: c.updateVault},
		{Pattern: "GET /vaults/{vault}/delete", Access: member, Handle: c.deleteVaultForm},
		{Pattern: "POST /vaults/{vault}/delete", Access: member.Fresh(), Handle: c.deleteVault},

		{Pattern: "GET /vaults/{vault}/access", Access: member, Handle: c.vaultAccess},
		{Pattern: "POST /vaults/{vault}/access", Access: member.Fresh(), Handle: c.grantVault},
		{Pattern: "GET /vaults/{vault}/access/remove", Access: member, Handle: c.backToAccess},
		{Pattern: "POST /vaults/{vault}/access/remove", Access: member.Fresh(), Handle: c.ungrantVault},

		{Pattern: "GET /vaults/{vault}/items", Access: member, Handle: c.backToVault},
		{Pattern: "GET /vaults/{vault}/items/new", Access: member, Handle: c.newItem},
		{Pattern: "POST /vaults/{vault}/items", Access: member, Handle: c.createItem},
		{Pattern: "GET /vaults/{vault}/items/{item}", Access: member, Handle: c.item},
		{Pattern: "GET /vaults/{vault}/items/{item}/edit", Access: member, Handle: c.editItem},
		{Pattern: "POST /vaults/{vault}/items/{item}/edit", Access: member, Handle: c.updateItem},
		{Pattern: "GET /vaults/{vault}/items/{item}/archive", Access: member, Handle: c.archiveForm},
		{Pattern: "POST /vaults/{vault}/items/{item}/archive", Access: member.Fresh(), Handle: c.archiveItem},
		{Pattern: "GET /vaults/{vault}/items/{item}/reveal", Access: member, Handle: c.backToItem},
		{Pattern: "POST /vaults/{vault}/items/{item}/reveal", Access: member.Fresh(), Handle: c.revealValue},
		{Pattern: "GET /vaults/{vault}/items/{item}/copy", Access: member, Handle: c.backToItem},
		{Pattern: "POST /vaults/{vault}/items/{item}/copy", Access: member.Fresh(), Handle: c.copyValue},
	}
}

// vaultsPage is the data of pages/vaults.html.
type vaultsPage struct {
	Vaults []vault.Vault
	span
}

func (c *Console) vaults(w http.ResponseWriter, r *http.Request) error {
	all, err := c.Vaults.List(r.Context(), viewer(r))
	if err != nil {
		return err
	}
	data := vaultsPage{span: spanOf(r, len(all))}
	data.Vaults = all[data.From-1 : data.To]
	return c.render(w, r, page{name: "vaults", title: c.tr(r, "nav.vaults"), data: data})
}

// vaultPage is the data of pages/vault.html.
type vaultPage struct {
	Vault vault.Vault
	Tab   string // "items" or "access"

	Search string
	Items  []itemRow

	Grants []grantRow
	Groups []directory.Group // those that have no access yet
	span
}

// itemRow is an item in the list.
type itemRow struct {
	vault.Summary
	By string // who changed it last, by name
}

// vaultFor is the vault of the request. One that the person may not see is not there; too little access
// is said in words.
func (c *Console) vaultFor(r *http.Request, need vault.Access) (vault.Vault, error) {
	v, err := c.Vaults.Vault(r.Context(), viewer(r), r.PathValue("vault"))
	if err == nil && v.Access < need {
		err = vault.ErrAccess(v.Access, need)
	}
	return v, err
}

func (c *Console) vault(w http.ResponseWriter, r *http.Request) error {
	v, err := c.vaultFor(r, vault.View)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	data := vaultPage{Vault: v, Tab: "items", Search: strings.TrimSpace(query.Get("q"))}
	found, err := c.Vaults.Items(r.Context(), viewer(r), v.ID, data.Search, query.Get("after"), onPage+1)
	if err != nil {
		return err
	}
	if query.Get("after") != "" {
		data.First = here(r, "after", "")
	}
	if len(found) > onPage {
		found = found[:onPage]
		data.Next = here(r, "after", found[onPage-1].ID)
	}
	names := c.actors(r)
	for _, i := range found {
		by, err := names.of(r.Context(), i.UpdatedBy)
		if err != nil {
			return err
		}
		data.Items = append(data.Items, itemRow{i, by})
	}
	return c.render(w, r, page{name: "vault", title: v.Name, data: data})
}

func (c *Console) backToVault(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/vaults/"+url.PathEscape(r.PathValue("vault")))
}

// vaultForm is the data of pages/vault-form.html: one thing to do with a vault or an item.
type vaultForm struct {
	Kind   string // "new", "edit", "delete" or "archive": the key of its texts
	Vault  vault.Vault
	Item   vault.Item // for Kind "archive"
	Action string     // where the form goes
	Back   string     // where it is left to
}

func (c *Console) vaultForm(w http.ResponseWriter, r *http.Request, d vaultForm, f url.Values, failed error) error {
	name := d.Vault.Name
	if d.Kind == "archive" {
		name = d.Item.Title
	}
	p := page{name: "vault-form", title: c.tr(r, "vault_form."+d.Kind+".title", "Name", name), form: f, data: d}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func (c *Console) newVault(w http.ResponseWriter, r *http.Request) error {
	return c.vaultForm(w, r, vaultForm{Kind: "new", Action: "/vaults", Back: "/vaults"}, nil, nil)
}

func (c *Console) createVault(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	v, err := c.Vaults.Create(r.Context(), viewer(r), f.Get("name"), lines(f.Get("description")), audit.By(r, audit.VaultCreate, ""))
	if err != nil {
		return c.vaultForm(w, r, vaultForm{Kind: "new", Action: "/vaults", Back: "/vaults"}, f, err)
	}
	return redirect(w, r, "/vaults/"+v.ID+"?done=vault_created")
}

// lines has line ends as they are stored, not as forms send them.
func lines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func formOfVault(kind string, v vault.Vault) vaultForm {
	return vaultForm{Kind: kind, Vault: v, Action: "/vaults/" + v.ID + "/" + kind, Back: "/vaults/" + v.ID}
}

func (c *Console) editVault(w http.ResponseWriter, r *http.Request) error {
	v, err := c.vaultFor(r, vault.Manage)
	if err != nil {
		return err
	}
	return c.vaultForm(w, r, formOfVault("edit", v), url.Values{"name": {v.Name}, "description": {v.Description}}, nil)
}

func (c *Console) updateVault(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	v, err := c.vaultFor(r, vault.View)
	if err != nil {
		return err
	}
	err = c.Vaults.Update(r.Context(), viewer(r), v.ID, f.Get("name"), lines(f.Get("description")), audit.By(r, audit.VaultUpdate, "vault:"+v.ID))
	if err != nil {
		return c.vaultForm(w, r, formOfVault("edit", v), f, err)
	}
	return redirect(w, r, "/vaults/"+v.ID+"?done=vault_changed")
}

func (c *Console) deleteVaultForm(w http.ResponseWriter, r *http.Request) error {
	v, err := c.vaultFor(r, vault.Manage)
	if err != nil {
		return err
	}
	return c.vaultForm(w, r, formOfVault("delete", v), nil, nil)
}

func (c *Console) deleteVault(w http.ResponseWriter, r *http.Request) error {
	v, err := c.vaultFor(r, vault.View)
	if err != nil {
		return err
	}
	if err := c.Vaults.Delete(r.Context(), viewer(r), v.ID, audit.By(r, audit.VaultDelete, "vault:"+v.ID)); err != nil {
		return c.vaultForm(w, r, formOfVault("delete", v), nil, err)
	}
	return redirect(w, r, "/vaults?done=vault_deleted")
}

// usedFrom is the browser with which the person uses an item.
func (c *Console) usedFrom(r *http.Request) vault.Client {
	return vault.Client{Client: c.client(r), SessionID: me(r).SessionID}
}

// shownFor is how long a value is seen before it is concealed again, as app.js does it.
const shownFor = 30 * time.Second
