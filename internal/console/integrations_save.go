package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

// once is a text that is shown one time, in the answer to the form that made it: a client secret, an events
// token. The browser sends it back to have it saved in a vault.
type once struct {
	path  string // of the page of what it belongs to; /save, /saved and /kept follow
	field string // in which the browser sends it back, and the item has it
	link  string // of the item to what it belongs to
	facts []fact // about it, that are no secret
	page  func(s saving) page
	check func(ctx context.Context, text string) error // that the text sent is the one that was shown, and good
	item  func(text string) vault.NewItem              // without link and browser
}

// fact is a value with its name, in words.
type fact struct{ Label, Value string }

// saving is what templates/save.html needs. Pages that show something once have it in their data.
type saving struct {
	State  string // "shown", "saved", "already", "failed" or "unconfirmed"
	Path   string
	Field  string
	Secret string // for State "shown" only
	Facts  []fact
	Vaults []vault.Vault // where it can be saved
	Item   vault.Linked  // for State "saved"
}

func (o once) as(state string) saving {
	return saving{State: state, Path: o.path, Field: o.field, Facts: o.facts}
}

// savingRoutes are those behind the page that shows something once, given the path of what it belongs to, what
// goes back there, and what makes a handler of a step. They are not fresh: that page must not be left to
// confirm anything.
func (c *Console) savingRoutes(at string, may web.Access, back web.Handler, of func(step onceHandler) web.Handler) []web.Route {
	return []web.Route{
		{Pattern: "GET " + at + "/save", Access: may, Handle: back},
		{Pattern: "POST " + at + "/save", Access: may, Handle: of(c.saveOnce)},
		{Pattern: "GET " + at + "/saved", Access: may, Handle: of(c.savedOnce)},
		{Pattern: "GET " + at + "/kept", Access: may, Handle: back},
		{Pattern: "POST " + at + "/kept", Access: may, Handle: of(c.keptOnce)},
	}
}

// onceHandler is a step of saving what is shown once.
type onceHandler func(w http.ResponseWriter, r *http.Request, o once) error

// showOnce is the one answer that has the text.
func (c *Console) showOnce(w http.ResponseWriter, r *http.Request, o once, text string) error {
	vaults, err := c.vaultsToSaveIn(r)
	if err != nil {
		return err
	}
	s := o.as("shown")
	s.Secret, s.Vaults = text, vaults
	w.Header().Set("Cache-Control", "no-store")
	return c.render(w, r, o.page(s))
}

// shownAlready answers a form that was sent again.
func (c *Console) shownAlready(w http.ResponseWriter, r *http.Request, o once) error {
	p := o.page(o.as("already"))
	p.status = http.StatusConflict
	return c.render(w, r, p)
}

// vaultsToSaveIn are the vaults in which the person may save items.
func (c *Console) vaultsToSaveIn(r *http.Request) ([]vault.Vault, error) {
	all, err := c.Vaults.List(r.Context(), viewer(r))
	return slices.DeleteFunc(all, func(v vault.Vault) bool { return v.Access < vault.Edit }), err
}

// saveOnce saves what the browser sends back. The answer never has the text: with htmx the page that shows it
// stays where it is, and gets an error put into it.
func (c *Console) saveOnce(w http.ResponseWriter, r *http.Request, o once) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	item, err := c.save(r.Context(), r, o, f)
	if err != nil {
		return c.notSaved(w, r, o, f, err)
	}
	to := o.path + "/saved?item=" + url.QueryEscape(item.ID)
	if byHTMX(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return redirect(w, r, to)
}

func (c *Console) notSaved(w http.ResponseWriter, r *http.Request, o once, f url.Values, err error) error {
	vaults, errVaults := c.vaultsToSaveIn(r)
	if errVaults != nil {
		return errVaults
	}
	pr, ok := problemOf(err)
	if !ok {
		return err
	}
	f.Del(o.field) // not even by mistake
	s := o.as("failed")
	s.Vaults = vaults
	p := o.page(s)
	p.form, p.status = f, http.StatusUnprocessableEntity
	if byHTMX(r) {
		p.errors = map[string]string{pr.Field: c.words(c.catalogue.languageOf(r), pr)}
		return c.part(w, r, "save-fields", p)
	}
	return c.again(w, r, p, err)
}

// problemOf is the problem if it is one that the person can do something about. A vault that has gone
// meanwhile is said beside the choice, not by a page of its own that takes the secret away.
func problemOf(err error) (*problem.Error, bool) {
	switch problem.KindOf(err) {
	case problem.Invalid, problem.Conflict, problem.Forbidden, problem.NotFound, problem.TooMany:
		return errors.AsType[*problem.Error](err)
	}
	return nil, false
}

// save checks the text and saves the item, in a new vault if there was none.
func (c *Console) save(ctx context.Context, r *http.Request, o once, f url.Values) (vault.Item, error) {
	who, text := viewer(r), f.Get(o.field)
	if err := o.check(ctx, text); err != nil {
		return vault.Item{}, err
	}
	vaultID := f.Get("vault")
	if name := strings.TrimSpace(f.Get("vault_name")); vaultID == "" && f.Has("vault_name") {
		if name == "" {
			return vault.Item{}, problem.InField("vault_name", "the vault needs a name")
		}
		v, err := c.Vaults.Create(ctx, who, name, "", audit.By(r, audit.VaultCreate, ""))
		if err != nil {
			return vault.Item{}, inField(err, "vault_name")
		}
		vaultID = v.ID
	}
	if vaultID == "" {
		return vault.Item{}, problem.InField("vault", "no vault is chosen; choose where to save the credentials")
	}
	n := o.item(text)
	n.Link, n.Client = o.link, c.usedFrom(r)
	item, err := c.Vaults.Save(ctx, who, vaultID, n, audit.By(r, audit.ItemCreate, ""))
	return item, inField(err, "vault")
}

// inField says beside the field what was wrong with what it named.
func inField(err error, field string) error {
	pr, ok := problemOf(err)
	if !ok {
		return err
	}
	if pr.Kind == problem.NotFound {
		return problem.InField(field, "this vault is not there any more, or you may not see it; choose another one")
	}
	if pr.Kind == problem.Forbidden {
		return problem.InField(field, "saving takes edit in this vault, and you do not have it any more; choose another one")
	}
	moved := *pr
	moved.Field = field
	return &moved
}

func (c *Console) savedOnce(w http.ResponseWriter, r *http.Request, o once) error {
	items, err := c.Vaults.ItemsLinkedTo(r.Context(), viewer(r), o.link)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(items, func(l vault.Linked) bool { return l.Item.ID == r.URL.Query().Get("item") })
	if n < 0 {
		return redirect(w, r, o.path)
	}
	s := o.as("saved")
	s.Item = items[n]
	return c.render(w, r, o.page(s))
}

// keptOnce takes the person's word that the text is kept elsewhere.
func (c *Console) keptOnce(w http.ResponseWriter, r *http.Request, o once) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	if f.Get("kept") == "" {
		p := o.page(o.as("unconfirmed"))
		p.form = f
		return c.again(w, r, p, problem.InField("kept", "save the secret, or tick the box once you have stored it elsewhere"))
	}
	return redirect(w, r, o.path)
}
