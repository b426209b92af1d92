package console

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
)

// integrationForm is the data of pages/integration-form.html.
type integrationForm struct {
	App    oauth.Client // empty for a new one
	Scopes []string     // that can be chosen
}

// New reports whether the form makes an application.
func (f integrationForm) New() bool { return f.App.ID == "" }

// Action is where the form goes.
func (f integrationForm) Action() string {
	if f.New() {
		return "/integrations/oauth"
	}
	return "/integrations/" + f.App.ID + "/edit"
}

// formScopes are the scopes in the order in which an application is given them: first what only reads.
func formScopes() []string {
	return []string{"get_user", "list_users", "suspend_users", "reactivate_users"}
}

func formOf(app oauth.Client) integrationForm {
	return integrationForm{App: app, Scopes: formScopes()}
}

func (c *Console) newIntegration(w http.ResponseWriter, r *http.Request) error {
	f := url.Values{"key": {rand.Text()}, "name": {""}}
	if name := r.URL.Query().Get("platform"); slices.ContainsFunc(platforms(), func(p platform) bool { return p.Name == name }) {
		f.Set("name", name)
	}
	return c.render(w, r, page{name: "integration-form", title: c.tr(r, "integration_form.title"), form: f, data: formOf(oauth.Client{})})
}

// newClient reads the form's fields.
func newClient(f url.Values) oauth.NewClient {
	return oauth.NewClient{
		Name: f.Get("name"), Description: f.Get("description"), RedirectURL: f.Get("redirect_url"), Scopes: f["scopes"],
		Key: f.Get("key"), RequireRedirect: true,
	}
}

// createIntegration makes the application and shows its secret, in the answer to the form itself: it is
// in no other one. Sent again (by a second click, or by reloading) it says that it has been done.
func (c *Console) createIntegration(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	n := newClient(f)
	if n.Key == "" {
		// Without one, sending the form twice would make two applications.
		err = problem.InField("key", "the form is not complete; open it again")
	}
	var made oauth.Credentials
	if err == nil {
		made, err = c.OAuth.Create(r.Context(), me(r).AccountID, n, audit.By(r, audit.AppCreate, ""))
	}
	if id, already := oauth.AlreadyCreated(err); already {
		return c.alreadyShown(w, r, id, false)
	}
	if err != nil {
		return c.again(w, r, page{name: "integration-form", title: c.tr(r, "integration_form.title"), form: f, data: formOf(oauth.Client{})}, err)
	}
	return c.showSecret(w, r, made, false)
}

// savePage is the data of pages/integration-save.html.
type savePage struct {
	State      string // "shown", "saved", "already", "failed" or "unconfirmed"
	App        oauth.Client
	Secret     string // for State "shown" only
	Rotated    bool   // the secret is a further one
	Connection Connection
	Vaults     []vault.Vault // where it can be saved
	Item       vault.Linked  // for State "saved"
}

// showSecret is the one answer that has the secret.
func (c *Console) showSecret(w http.ResponseWriter, r *http.Request, made oauth.Credentials, rotated bool) error {
	vaults, err := c.vaultsToSaveIn(r)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return c.render(w, r, page{name: "integration-save", title: c.saveTitle(r, made.Client, rotated), data: savePage{
		State: "shown", App: made.Client, Secret: made.Secret.Reveal(), Rotated: rotated, Connection: c.connection(made.Client), Vaults: vaults,
	}})
}

func (c *Console) saveTitle(r *http.Request, app oauth.Client, rotated bool) string {
	if rotated {
		return c.tr(r, "integration_save.rotated_title", "Name", app.Name)
	}
	return c.tr(r, "integration_save.title")
}

// wasRotated reports whether the newest secret is not the first one.
func wasRotated(app oauth.Client) bool { return len(app.Secrets) > 1 }

// alreadyShown answers a form that was sent again: the secret was in the first answer.
func (c *Console) alreadyShown(w http.ResponseWriter, r *http.Request, id string, rotated bool) error {
	app, err := c.OAuth.Client(r.Context(), me(r).AccountID, id)
	if err != nil {
		return err
	}
	return c.render(w, r, page{
		name: "integration-save", title: c.saveTitle(r, app, rotated), status: http.StatusConflict,
		data: savePage{State: "already", App: app, Rotated: rotated, Connection: c.connection(app)},
	})
}

// vaultsToSaveIn are the vaults in which the person may save items.
func (c *Console) vaultsToSaveIn(r *http.Request) ([]vault.Vault, error) {
	all, err := c.Vaults.List(r.Context(), viewer(r))
	return slices.DeleteFunc(all, func(v vault.Vault) bool { return v.Access < vault.Edit }), err
}

// saveCredentials saves what the browser sends back. The answer never has the secret: with htmx the page
// that shows it stays where it is, and gets an error put into it.
func (c *Console) saveCredentials(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app, err := c.app(r)
	if err != nil {
		return err
	}
	item, err := c.save(r.Context(), r, app, f)
	if err != nil {
		return c.notSaved(w, r, app, f, err)
	}
	to := "/integrations/" + app.ID + "/saved?item=" + url.QueryEscape(item.ID)
	if byHTMX(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return redirect(w, r, to)
}

func (c *Console) notSaved(w http.ResponseWriter, r *http.Request, app oauth.Client, f url.Values, err error) error {
	vaults, errVaults := c.vaultsToSaveIn(r)
	if errVaults != nil {
		return errVaults
	}
	pr, ok := problemOf(err)
	if !ok {
		return err
	}
	f.Del("client_secret") // not even by mistake
	p := page{
		name: "integration-save", title: c.saveTitle(r, app, wasRotated(app)), form: f, status: http.StatusUnprocessableEntity,
		data: savePage{State: "failed", App: app, Rotated: wasRotated(app), Connection: c.connection(app), Vaults: vaults},
	}
	if byHTMX(r) {
		p.errors = map[string]string{pr.Field: c.words(c.catalogue.languageOf(r), pr)}
		return c.part(w, r, "integration-save-fields", p)
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

// save checks that the secret is the application's and saves the item, in a new vault if there was none.
func (c *Console) save(ctx context.Context, r *http.Request, app oauth.Client, f url.Values) (vault.Item, error) {
	who, secret := viewer(r), f.Get("client_secret")
	holds, err := c.OAuth.HoldsSecret(ctx, who.AccountID, app.ID, secret)
	if err != nil {
		return vault.Item{}, err
	}
	if !holds {
		return vault.Item{}, problem.Coded(problem.Conflict, "secret_not_live",
			"what was sent is not a secret of this application that is alive; rotate it and save the new one")
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
	item, err := c.Vaults.Save(ctx, who, vaultID, c.itemOf(r, app, c.connection(app), secret), audit.By(r, audit.ItemCreate, ""))
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

// itemOf is the item that holds the credentials.
func (c *Console) itemOf(r *http.Request, app oauth.Client, at Connection, secret string) vault.NewItem {
	return vault.NewItem{
		Category: vault.APICredential, Title: app.Name, Link: "client:" + app.ID,
		Fields: []vault.Field{
			{Name: "client_id", Value: app.ID},
			{Name: "client_secret", Value: secret, Concealed: true},
			{Name: "account_id", Value: app.AccountID},
			{Name: "token_url", Value: at.TokenURL()},
			{Name: "base_url", Value: at.BaseURL},
			{Name: "scopes", Value: strings.Join(app.Scopes, " ")},
		},
		Client: c.usedFrom(r),
	}
}

func (c *Console) savedCredentials(w http.ResponseWriter, r *http.Request) error {
	app, err := c.app(r)
	if err != nil {
		return err
	}
	items, err := c.Vaults.ItemsLinkedTo(r.Context(), viewer(r), "client:"+app.ID)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(items, func(l vault.Linked) bool { return l.Item.ID == r.URL.Query().Get("item") })
	if n < 0 {
		return c.backToIntegration(w, r)
	}
	return c.render(w, r, page{name: "integration-save", title: c.saveTitle(r, app, wasRotated(app)), data: savePage{
		State: "saved", App: app, Rotated: wasRotated(app), Connection: c.connection(app), Item: items[n],
	}})
}

// keptCredentials takes the person's word that the secret is kept elsewhere.
func (c *Console) keptCredentials(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app, err := c.app(r)
	if err != nil {
		return err
	}
	if f.Get("kept") == "" {
		err := problem.InField("kept", "save the secret, or tick the box once you have stored it elsewhere")
		return c.again(w, r, page{name: "integration-save", title: c.saveTitle(r, app, wasRotated(app)), form: f, data: savePage{
			State: "unconfirmed", App: app, Rotated: wasRotated(app), Connection: c.connection(app),
		}}, err)
	}
	return redirect(w, r, "/integrations/"+app.ID)
}
