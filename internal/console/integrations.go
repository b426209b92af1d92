package console

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

func (c *Console) integrationRoutes() []web.Route {
	may := web.SignedIn(web.Integrations)
	return slices.Concat(c.eventsTokenRoutes(), c.savingRoutes("/integrations/{client}", may, c.backToIntegration, c.ofSecret), []web.Route{
		{Pattern: "GET /integrations", Access: may, Handle: c.integrations},
		{Pattern: "GET /integrations/directory", Access: may, Handle: c.integrationDirectory},
		{Pattern: "GET /integrations/oauth/new", Access: may, Handle: c.newIntegration},
		{Pattern: "GET /integrations/oauth", Access: may, Handle: c.noIntegration},
		{Pattern: "POST /integrations/oauth", Access: may.Fresh(), Handle: c.createIntegration},

		{Pattern: "GET /integrations/{client}", Access: may, Handle: c.integration},
		{Pattern: "GET /integrations/{client}/activity", Access: may, Handle: c.integrationActivity},
		{Pattern: "GET /integrations/{client}/edit", Access: may, Handle: c.editIntegration},
		{Pattern: "POST /integrations/{client}/edit", Access: may.Fresh(), Handle: c.updateIntegration},
		{Pattern: "POST /integrations/{client}/scopes", Access: may.Fresh(), Handle: c.dropScopes},
		{Pattern: "GET /integrations/{client}/rotate", Access: may, Handle: c.rotateForm},
		{Pattern: "POST /integrations/{client}/rotate", Access: may.Fresh(), Handle: c.rotateIntegration},
		{Pattern: "GET /integrations/{client}/revoke", Access: may, Handle: c.revokeForm},
		{Pattern: "POST /integrations/{client}/revoke", Access: may.Fresh(), Handle: c.revokeIntegration},
	})
}

// integrationsPage is the data of pages/integrations.html.
type integrationsPage struct {
	Apps    []appRow
	Revoked bool // revoked ones are shown instead of live ones
	Live    int
	Ended   int
	Unused  int    // scopes of the live applications shown that nothing uses
	Review  string // the first application that has one
	Tokens  tokenList
	span
}

// appRow is an application in the list.
type appRow struct {
	oauth.Client
	By     string // who created it, by name
	Unused []string
	Used   time.Time
}

// UnusedScope reports whether nothing uses the scope.
func (a appRow) UnusedScope(scope string) bool { return slices.Contains(a.Unused, scope) }

func (c *Console) integrations(w http.ResponseWriter, r *http.Request) error {
	who, query := me(r), r.URL.Query()
	all, err := c.OAuth.Clients(r.Context(), who.AccountID)
	if err != nil {
		return err
	}
	data := integrationsPage{Revoked: query.Get("state") == "revoked"}
	var shown []oauth.Client
	for _, app := range all {
		if app.RevokedAt.IsZero() {
			data.Live++
		} else {
			data.Ended++
		}
		if app.RevokedAt.IsZero() != data.Revoked {
			shown = append(shown, app)
		}
	}
	slices.Reverse(shown) // what was made last is what is looked for
	data.span = spanOf(r, len(shown))
	shown = shown[data.From-1 : data.To]
	names := c.actors(r)
	if data.Tokens, err = c.eventsTokens(r, data.Revoked, names); err != nil {
		return err
	}
	uses, err := c.OAuth.Activities(r.Context(), who.AccountID, shown)
	if err != nil {
		return err
	}
	for _, app := range shown {
		row := appRow{Client: app, Used: app.LastUsedAt}
		if row.By, err = names.of(r.Context(), app.CreatedBy); err != nil {
			return err
		}
		if app.RevokedAt.IsZero() {
			activity := uses[app.ID]
			row.Unused, row.Used = activity.UnusedScopes, laterOf(activity.LastTokenAt, activity.LastCallAt)
			data.Unused += len(row.Unused)
			if len(row.Unused) > 0 {
				data.Review = cmp.Or(data.Review, app.ID)
			}
		}
		data.Apps = append(data.Apps, row)
	}
	return c.render(w, r, page{name: "integrations", title: c.tr(r, "integrations.title"), data: data})
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// platform is one for which docs/integrations has a guide.
type platform struct {
	ID, Name, Tile string
	Tested         bool // our tests run it
}

// platforms are those of the directory, in its order.
func platforms() []platform {
	return []platform{
		{"elastic", "Elastic", "El", false},
		{"n8n", "n8n", "n8", false},
		{"node-red", "Node-RED", "NR", true},
		{"sumo-logic", "Sumo Logic", "SL", false},
		{"nango", "Nango", "Na", false},
		{"probo", "Probo", "Pr", false},
		{"bruno", "Bruno", "Br", true},
		{"go", "Go", "Go", true},
		{"javascript", "JavaScript", "JS", true},
	}
}

// directoryPage is the data of pages/directory.html.
type directoryPage struct {
	Search    string
	Platforms []platform
}

func (c *Console) integrationDirectory(w http.ResponseWriter, r *http.Request) error {
	data := directoryPage{Search: strings.TrimSpace(r.URL.Query().Get("q"))}
	key := vault.Key(data.Search)
	for _, p := range platforms() {
		if strings.Contains(vault.Key(p.Name), key) {
			data.Platforms = append(data.Platforms, p)
		}
	}
	return c.render(w, r, page{name: "directory", title: c.tr(r, "directory.title"), data: data})
}

// noIntegration is what is at the address of a form that was posted, when it is opened as a page.
func (c *Console) noIntegration(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/integrations")
}

func (c *Console) backToIntegration(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/integrations/"+r.PathValue("client"))
}

// app is the application of the request, of the account of the session.
func (c *Console) app(r *http.Request) (oauth.Client, error) {
	return c.OAuth.Client(r.Context(), me(r).AccountID, r.PathValue("client"))
}

// liveApp is an application that can still be changed. One that was revoked is shown as that.
func (c *Console) liveApp(r *http.Request) (oauth.Client, error) {
	app, err := c.app(r)
	if err == nil && !app.RevokedAt.IsZero() {
		err = problem.Coded(problem.Conflict, "app_revoked", "the application was revoked; that is final")
	}
	return app, err
}

// viewer is who looks, for vaults.
func viewer(r *http.Request) vault.Viewer {
	return vault.Viewer{AccountID: me(r).AccountID, UserID: me(r).UserID}
}

// actorNames says in words who did something.
type actorNames struct {
	names *names
	tr    func(key string, pairs ...any) string
}

func (c *Console) actors(r *http.Request) *actorNames {
	return &actorNames{c.names(r), func(key string, pairs ...any) string { return c.tr(r, key, pairs...) }}
}

// of is the name of an actor or target as audit entries have them: "user:<id>", "operator:<name>", ….
func (n *actorNames) of(ctx context.Context, actor string) (string, error) {
	switch kind, id := partyKind(actor); kind {
	case "user":
		name, found, err := n.names.of(ctx, kind, id)
		if err == nil && !found {
			name = n.tr("integrations.actor_removed")
		}
		return name, err
	case "operator":
		return n.tr("integrations.actor_operator", "Name", id), nil
	case "", "system":
		return n.tr("integrations.actor_system"), nil
	}
	return actor, nil
}

// part answers with one template of a page, for what htmx puts into a page that is there.
func (c *Console) part(w http.ResponseWriter, r *http.Request, block string, p page) error {
	lang := c.catalogue.languageOf(r)
	t := c.pages[lang][p.name]
	if t == nil {
		return fmt.Errorf("no template for the page %q", p.name)
	}
	var buf bytes.Buffer
	v := view{Lang: lang, Page: p.name, Title: p.title, Me: me(r), Form: p.form, Errors: p.errors, Data: p.data}
	if err := t.ExecuteTemplate(&buf, block, v); err != nil {
		return fmt.Errorf("render %s of %s: %w", block, p.name, err)
	}
	pageHeaders(w.Header())
	w.Header().Set("Content-Language", lang)
	return web.Bytes(w, cmp.Or(p.status, http.StatusOK), "text/html; charset=utf-8", buf.Bytes())
}

// byHTMX reports whether a part of a page is asked for.
func byHTMX(r *http.Request) bool { return r.Header.Get("HX-Request") != "" }

// auditBy begins the entry of a change of an application.
func auditBy(r *http.Request, action audit.Action, clientID string) audit.Entry {
	return audit.By(r, action, "client:"+clientID)
}
