package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

// itemPage is the data of pages/item.html.
type itemPage struct {
	Vault    vault.Vault
	Item     vault.Item
	By       string // who changed it last, by name
	Fields   []shownField
	App      string // address of the application whose credentials it holds, for who may see it
	AppName  string
	Versions []versionRow
	More     bool // there are earlier versions than those
	Usages   []vault.Usage
}

// shownField is a field on the item's page.
type shownField struct {
	vault.Field        // with the label in words
	ID          string // of the element
	Link        string // where the value leads, if that is safe to follow
	Lines       bool   // the value has more than one line
	Revealed    bool   // the value is that of a concealed field
}

// versionRow is a change of the item.
type versionRow struct {
	vault.Version
	Fields []string // what was changed, in words
}

// How much of the past is shown.
const (
	versionsShown = 20
	usagesShown   = 50
)

func (c *Console) item(w http.ResponseWriter, r *http.Request) error {
	return c.showItem(w, r, "", "")
}

// showItem shows the item, with the value of one field revealed if there is a name.
func (c *Console) showItem(w http.ResponseWriter, r *http.Request, revealed, value string) error {
	ctx, who := r.Context(), viewer(r)
	v, err := c.vaultFor(r, vault.View)
	if err != nil {
		return err
	}
	data := itemPage{Vault: v}
	if data.Item, err = c.Vaults.Item(ctx, who, v.ID, r.PathValue("item")); err != nil {
		return err
	}
	for _, f := range data.Item.Fields {
		shown := shownField{Field: f, ID: "f-" + f.Name, Revealed: f.Concealed && f.Name == revealed}
		if shown.Revealed {
			shown.Value = value
		}
		shown.Label = c.fieldLabel(r, f)
		shown.Lines = strings.Contains(shown.Value, "\n")
		if f.Name == "url" || f.Name == "base_url" {
			shown.Link = safeLink(f.Value)
		}
		data.Fields = append(data.Fields, shown)
	}
	names := c.actors(r)
	if data.By, err = names.of(ctx, data.Item.UpdatedBy); err != nil {
		return err
	}
	if data.App, data.AppName, err = c.appOf(r, data.Item.Link); err != nil {
		return err
	}
	versions, err := c.Vaults.History(ctx, who, v.ID, data.Item.ID)
	if err != nil {
		return err
	}
	data.More = len(versions) > versionsShown
	for _, x := range versions[:min(len(versions), versionsShown)] {
		data.Versions = append(data.Versions, versionRow{x, c.fieldLabels(r, data.Item, x.Changed)})
	}
	if data.Usages, err = c.Vaults.Usages(ctx, who, v.ID, data.Item.ID, usagesShown); err != nil {
		return err
	}
	if revealed != "" {
		// Without scripts nothing else would conceal the value again.
		w.Header().Set("Refresh", fmt.Sprintf("%d; url=%s", int(shownFor.Seconds()), itemPath(v.ID, data.Item.ID)))
	}
	return c.render(w, r, page{name: "item", title: data.Item.Title, data: data})
}

func itemPath(vaultID, itemID string) string {
	return "/vaults/" + url.PathEscape(vaultID) + "/items/" + url.PathEscape(itemID)
}

// fieldLabel is what a field is called.
func (c *Console) fieldLabel(r *http.Request, f vault.Field) string {
	if f.Label != "" || !slices.Contains(vault.Names(), f.Name) {
		return f.Label
	}
	return c.tr(r, "item_field."+f.Name)
}

// fieldLabels are what the fields of the names are called; one that is gone has only its name.
func (c *Console) fieldLabels(r *http.Request, i vault.Item, names []string) []string {
	var labels []string
	for _, name := range names {
		f, ok := i.Field(name)
		switch {
		case ok:
			labels = append(labels, c.fieldLabel(r, f))
		case name == "title":
			labels = append(labels, c.tr(r, "item.title"))
		case slices.Contains(vault.Names(), name):
			labels = append(labels, c.tr(r, "item_field."+name))
		default:
			labels = append(labels, name)
		}
	}
	return labels
}

// safeLink is the text if it is an address that can be followed: the text is a stranger's. One with a user
// before its host does not lead where it seems to.
func safeLink(text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

// appOf is the application or events token of an item's link, for who may see these.
func (c *Console) appOf(r *http.Request, link string) (path, name string, err error) {
	kind, id := partyKind(link)
	if kind != "client" && kind != "events_token" || !me(r).Has(web.Integrations) {
		return "", "", nil
	}
	name, found, err := c.names(r).of(r.Context(), kind, id)
	if err != nil || !found {
		return "", "", err
	}
	return pagesOf[kind] + url.PathEscape(id), name, nil
}

func (c *Console) backToItem(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, itemPath(r.PathValue("vault"), r.PathValue("item")))
}

// use records that the person uses a value, and returns it.
func (c *Console) use(ctx context.Context, r *http.Request, action string, field string) (string, error) {
	did := audit.ItemReveal
	if action == vault.SecureCopy {
		did = audit.ItemCopy
	}
	value, err := c.Vaults.Reveal(ctx, viewer(r), vault.RevealRequest{
		VaultID: r.PathValue("vault"), ItemID: r.PathValue("item"), Field: field, Action: action, Client: c.usedFrom(r),
	}, audit.By(r, did, "item:"+r.PathValue("item")))
	if err != nil {
		return "", err
	}
	return value.Reveal(), nil
}

// wantsText reports whether a script of ours asks for nothing but the value.
func wantsText(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/plain") && !strings.Contains(accept, "text/html")
}

// revealValue answers with the value: as text to app.js, else on the item's page.
func (c *Console) revealValue(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	value, err := c.use(r.Context(), r, vault.Reveal, f.Get("field"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	if wantsText(r) {
		return web.Bytes(w, http.StatusOK, "text/plain; charset=utf-8", []byte(value))
	}
	return c.showItem(w, r, f.Get("field"), value)
}

// copyValue answers with the value, for the clipboard only. Somebody who had to confirm first comes back
// by way of a page, where the value must not appear: she copies again, without being asked.
func (c *Console) copyValue(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	if !wantsText(r) {
		return redirect(w, r, itemPath(r.PathValue("vault"), r.PathValue("item"))+"?done=item_copy_again")
	}
	value, err := c.use(r.Context(), r, vault.SecureCopy, f.Get("field"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.Bytes(w, http.StatusOK, "text/plain; charset=utf-8", []byte(value))
}

// editable is the item of the request with its vault, for who may change it.
func (c *Console) editable(r *http.Request) (vault.Vault, vault.Item, error) {
	v, err := c.vaultFor(r, vault.Edit)
	if err != nil {
		return v, vault.Item{}, err
	}
	i, err := c.Vaults.Item(r.Context(), viewer(r), v.ID, r.PathValue("item"))
	return v, i, err
}

func archiving(v vault.Vault, i vault.Item) vaultForm {
	at := itemPath(v.ID, i.ID)
	return vaultForm{Kind: "archive", Vault: v, Item: i, Action: at + "/archive", Back: at}
}

func (c *Console) archiveForm(w http.ResponseWriter, r *http.Request) error {
	v, i, err := c.editable(r)
	if err != nil {
		return err
	}
	return c.vaultForm(w, r, archiving(v, i), nil, nil)
}

func (c *Console) archiveItem(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("item")
	if err := c.Vaults.Archive(r.Context(), viewer(r), r.PathValue("vault"), id, audit.By(r, audit.ItemArchive, "item:"+id)); err != nil {
		return err
	}
	return redirect(w, r, "/vaults/"+url.PathEscape(r.PathValue("vault"))+"?done=item_archived")
}
