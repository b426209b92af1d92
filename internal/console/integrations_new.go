package console

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
	"holdfast/internal/web"
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
	return c.showOnce(w, r, c.secretOf(r, made.Client, false), made.Secret.Reveal())
}

// savePage is the data of pages/integration-save.html.
type savePage struct {
	saving
	App        oauth.Client
	Rotated    bool // the secret is a further one
	Connection Connection
}

// secretOf is the newest secret of the application, as something that is shown once.
func (c *Console) secretOf(r *http.Request, app oauth.Client, rotated bool) once {
	title, at := c.tr(r, "integration_save.title"), c.connection(app)
	if rotated {
		title = c.tr(r, "integration_save.rotated_title", "Name", app.Name)
	}
	return once{
		path: "/integrations/" + app.ID, field: "client_secret", link: "client:" + app.ID,
		facts: []fact{{c.tr(r, "integration.client_id"), app.ID}},
		page: func(s saving) page {
			return page{name: "integration-save", title: title, data: savePage{saving: s, App: app, Rotated: rotated, Connection: at}}
		},
		check: func(ctx context.Context, text string) error {
			holds, err := c.OAuth.HoldsSecret(ctx, app.AccountID, app.ID, text)
			if err == nil && !holds {
				err = problem.Coded(problem.Conflict, "secret_not_live",
					"what was sent is not a secret of this application that is alive; rotate it and save the new one")
			}
			return err
		},
		item: func(text string) vault.NewItem {
			return vault.NewItem{Category: vault.APICredential, Title: app.Name, Fields: []vault.Field{
				{Name: "client_id", Value: app.ID},
				{Name: "client_secret", Value: text, Concealed: true},
				{Name: "account_id", Value: app.AccountID},
				{Name: "token_url", Value: at.TokenURL()},
				{Name: "base_url", Value: at.BaseURL},
				{Name: "scopes", Value: strings.Join(app.Scopes, " ")},
			}}
		},
	}
}

// wasRotated reports whether the newest secret is not the first one.
func wasRotated(app oauth.Client) bool { return len(app.Secrets) > 1 }

// alreadyShown answers a form that was sent again: the secret was in the first answer.
func (c *Console) alreadyShown(w http.ResponseWriter, r *http.Request, id string, rotated bool) error {
	app, err := c.OAuth.Client(r.Context(), me(r).AccountID, id)
	if err != nil {
		return err
	}
	return c.shownAlready(w, r, c.secretOf(r, app, rotated))
}

// ofSecret answers with the newest secret of the request's application in hand.
func (c *Console) ofSecret(do onceHandler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		app, err := c.app(r)
		if err != nil {
			return err
		}
		return do(w, r, c.secretOf(r, app, wasRotated(app)))
	}
}
