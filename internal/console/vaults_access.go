package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
)

// grantRow is the access of a person or a group in the list.
type grantRow struct {
	vault.Grant
	Person bool
	ID     string // of the person or the group
	Email  string // of the person: names are not unique
	Mine   bool   // it is the one of who looks
}

func (c *Console) vaultAccess(w http.ResponseWriter, r *http.Request) error {
	v, err := c.vaultFor(r, vault.Manage)
	if err != nil {
		return err
	}
	return c.accessPage(w, r, v, url.Values{}, nil)
}

// accessPage shows who has access, after a failure with the error beside its field.
func (c *Console) accessPage(w http.ResponseWriter, r *http.Request, v vault.Vault, f url.Values, failed error) error {
	ctx, who := r.Context(), me(r)
	grants, err := c.Vaults.Grants(ctx, viewer(r), v.ID)
	if err != nil {
		return err
	}
	data := vaultPage{Vault: v, Tab: "access", span: spanOf(r, len(grants))}
	for _, g := range grants[data.From-1 : data.To] {
		kind, id, _ := strings.Cut(g.Grantee, ":")
		row := grantRow{Grant: g, Person: kind == "user", ID: id, Mine: id == who.UserID}
		if row.Person {
			u, err := c.Directory.Store.User(ctx, who.AccountID, id)
			if err != nil && !problem.Is(err, problem.NotFound) { // removed since the list was read
				return err
			}
			row.Email = u.Email
		}
		data.Grants = append(data.Grants, row)
	}
	groups, err := c.Directory.Store.Groups(ctx, who.AccountID)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if !slices.ContainsFunc(grants, func(has vault.Grant) bool { return has.Grantee == vault.GroupGrantee+g.ID }) {
			data.Groups = append(data.Groups, g)
		}
	}
	p := page{name: "vault", title: c.tr(r, "vault.access_title", "Name", v.Name), form: f, data: data}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func (c *Console) backToAccess(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/vaults/"+url.PathEscape(r.PathValue("vault"))+"/access")
}

// grantVault gives access to a grantee of the list, to a group that was chosen, or to the person with an
// email address. Only the whole address finds somebody: the vault is no way to look people up.
func (c *Console) grantVault(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	v, err := c.vaultFor(r, vault.View)
	if err != nil {
		return err
	}
	grantee, err := c.grantee(r, f)
	if err == nil {
		var access vault.Access
		if access, err = vault.ParseAccess(f.Get("access")); err == nil {
			err = c.Vaults.SetGrant(r.Context(), viewer(r), v.ID, grantee, access, audit.By(r, audit.VaultGrant, "vault:"+v.ID))
		}
	}
	if err != nil {
		return c.accessFailed(w, r, v, f, err)
	}
	return c.accessChanged(w, r, "vault_granted")
}

func (c *Console) grantee(r *http.Request, f url.Values) (string, error) {
	if !f.Has("email") {
		return f.Get("grantee"), nil
	}
	email := strings.TrimSpace(f.Get("email"))
	u, err := c.Directory.Store.UserByEmail(r.Context(), me(r).AccountID, email)
	if email == "" || problem.Is(err, problem.NotFound) || problem.Is(err, problem.Invalid) {
		unknown := problem.InField("email", "nobody in this account has this email address; enter the whole address")
		unknown.Code = "no_such_email"
		return "", unknown
	}
	return vault.UserGrantee + u.ID, err
}

func (c *Console) ungrantVault(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	v, err := c.vaultFor(r, vault.View)
	if err != nil {
		return err
	}
	if err := c.Vaults.RemoveGrant(r.Context(), viewer(r), v.ID, f.Get("grantee"), audit.By(r, audit.VaultUngrant, "vault:"+v.ID)); err != nil {
		return c.accessFailed(w, r, v, f, err)
	}
	return c.accessChanged(w, r, "vault_ungranted")
}

// accessFailed shows the page again to who may see it.
func (c *Console) accessFailed(w http.ResponseWriter, r *http.Request, v vault.Vault, f url.Values, failed error) error {
	if v.Access < vault.Manage {
		return failed
	}
	return c.accessPage(w, r, v, f, failed)
}

// accessChanged goes back to the list, or, if the person took her own access away, to what she still sees.
func (c *Console) accessChanged(w http.ResponseWriter, r *http.Request, done string) error {
	v, err := c.vaultFor(r, vault.View)
	switch {
	case problem.Is(err, problem.NotFound):
		return redirect(w, r, "/vaults?done="+done)
	case err != nil:
		return err
	case v.Access < vault.Manage:
		return redirect(w, r, "/vaults/"+v.ID+"?done="+done)
	}
	return redirect(w, r, "/vaults/"+v.ID+"/access?done="+done)
}
