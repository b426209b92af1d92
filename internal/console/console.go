package console

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/feed"
	"holdfast/internal/oauth"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/signin"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

// AuditLog is what pages read the audit log from. An export is itself recorded.
type AuditLog interface {
	audit.Log
	AppendAudit(ctx context.Context, accountID string, by audit.Entry) error
}

// Config is what the console works with.
type Config struct {
	SignIn    *signin.Service
	Directory *directory.Service
	OAuth     *oauth.Service
	Vaults    *vault.Service
	Feed      *feed.Service
	Audit     AuditLog
	Findings  Findings
	Rules     Rules
	Respond   *respond.Service // its Store has the cases
	Targets   Targets
	Channels  Channels
	Rehearser Rehearser

	APIURL  string // base URL of the API, without a slash at the end
	Origin  string // of the console itself
	Version string
	Tour    bool // this is a demo: the guided tour is offered
	Now     func() time.Time
}

// Console serves the pages.
type Console struct {
	Config
	strangers  *web.Limiter // by address
	rehearsed  rehearsals   // the last one of each account
	trying     sync.Mutex   // held while a rule is tried
	assets     *Assets
	catalogue  *catalogue
	pages      map[string]map[string]*template.Template // by language, by name of the page
	chains     chainStates                              // of the audit logs, as far as known
	headcounts figures[directory.Counts]
	day        figures[signInDay]               // sign-ins of the last 24 hours
	countries  figures[[]string]                // from where somebody tried to sign in lately
	help       map[string]map[string]*helpTopic // by language, by ID
}

// New parses templates and texts.
func New(cfg Config) (*Console, error) {
	c := &Console{Config: cfg}
	c.strangers = web.NewLimiter(120, time.Second, 100_000, cfg.Now)
	var err error
	if c.assets, err = NewAssets(); err != nil {
		return nil, fmt.Errorf("prepare assets: %w", err)
	}
	if c.catalogue, err = newCatalogue(); err != nil {
		return nil, err
	}
	if c.pages, err = c.parse(); err != nil {
		return nil, err
	}
	if c.help, err = readHelp(); err != nil {
		return nil, err
	}
	return c, nil
}

// Routes lists every route of the console. Areas add theirs in a function of their own file.
func (c *Console) Routes() []web.Route {
	routes := slices.Concat(
		c.commonRoutes(), c.signinRoutes(), c.profileRoutes(), c.overviewRoutes(), c.integrationRoutes(),
		c.peopleRoutes(), c.groupRoutes(), c.vaultRoutes(), c.auditRoutes(), c.signInEventRoutes(), c.firewallRoutes(),
		c.findingRoutes(), c.ruleRoutes(), c.listRoutes(), c.playbookRoutes(), c.rehearsalRoutes(), c.caseRoutes(), c.targetRoutes(), c.channelRoutes(), c.guardRoutes(), c.settingsRoutes(), c.helpRoutes(), c.tourRoutes(),
	)
	for i := range routes {
		routes[i].Errors = problem.Page
	}
	return append(routes, c.assets.Routes()...)
}

func (c *Console) commonRoutes() []web.Route {
	return []web.Route{
		{Pattern: "POST /language", Access: web.Guest("the sign-in page has the switch, too"), Handle: c.setLanguage},
		{Pattern: "GET /resume/{ticket}", Access: web.SignedIn(web.Member), Handle: c.resume},
		{Pattern: "GET /favicon.ico", Access: web.Public("browsers ask for it"), Handle: c.favicon},
	}
}

func (c *Console) favicon(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, c.assets.Path("favicon.svg"), http.StatusFound)
	return nil
}

// me is who looks at the page.
func me(r *http.Request) web.Principal { return web.RecordOf(r.Context()).Principal }

// client is the browser, for sign-in attempts and item usages.
func (c *Console) client(r *http.Request) origin.Client {
	from := origin.Parse(r.Header, web.RecordOf(r.Context()).Address.String())
	from.App, from.AppVersion = "Holdfast console", c.Version
	return from
}

// local returns the path if it leads to a page of this console, else the one given: an address that was
// handed in must not send anybody elsewhere.
func local(path, otherwise string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t\x00") {
		return otherwise
	}
	return path
}

// redirect answers 303: the browser gets the page, whatever the method was.
func redirect(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}
