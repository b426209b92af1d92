package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/oauth"
)

type appCmd struct {
	Create appCreateCmd `cmd:"" help:"Create an application and show its credentials once."`
	List   appListCmd   `cmd:"" help:"List applications."`
	Show   appShowCmd   `cmd:"" help:"Show one application."`
	Rotate appRotateCmd `cmd:"" help:"Make a new secret; the old one goes on for the overlap."`
	Revoke appRevokeCmd `cmd:"" help:"Revoke an application, its secrets and its tokens, at once and for good."`
}

type appCreateCmd struct {
	accountFlag
	Name        string   `required:"" help:"Name of the application, such as the platform's."`
	Description string   `help:"What it is for."`
	Scope       []string `required:"" placeholder:"SCOPE" complete:"list_users get_user suspend_users reactivate_users" help:"What it may do: list_users, get_user, suspend_users, reactivate_users. Repeat, or separate by commas. Give the least it needs."`
	RedirectURL string   `name:"redirect-url" help:"https URL that the platform's guide asks for; it is stored and never called."`
	JSON        bool     `name:"json" help:"Print one JSON object."`
}

func (c *appCreateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	n := oauth.NewClient{Name: c.Name, Description: c.Description, RedirectURL: c.RedirectURL, Scopes: c.Scope}
	cred, err := h.oauth().Create(ctx, account, n, operator(std))
	if err != nil {
		return fmt.Errorf("create application: %w", err)
	}
	return h.printCredentials(std, cred, c.JSON)
}

// printCredentials shows the secret, which nothing shows again.
func (h *handle) printCredentials(std stdio, cred oauth.Credentials, asJSON bool) error {
	tokenURL := h.cfg.BaseURL(h.cfg.Listen.API) + "/v1/oauth/token"
	usersURL := h.cfg.BaseURL(h.cfg.Listen.API) + "/v1/accounts/" + cred.Client.AccountID + "/users"
	if asJSON {
		return printJSON(std, struct {
			AccountID    string   `json:"account_id"`
			ClientID     string   `json:"client_id"`
			ClientSecret string   `json:"client_secret"`
			Scopes       []string `json:"scopes"`
			TokenURL     string   `json:"token_url"`
			UsersURL     string   `json:"users_url"`
		}{cred.Client.AccountID, cred.Client.ID, cred.Secret.Reveal(), cred.Client.Scopes, tokenURL, usersURL})
	}
	fmt.Fprintf(std.out, "Account ID     %s\nClient ID      %s\nClient secret  %s\n", cred.Client.AccountID, cred.Client.ID, cred.Secret.Reveal())
	fmt.Fprintf(std.out, "Scopes         %s\nToken URL      %s\nUsers URL      %s\n", strings.Join(cred.Client.Scopes, " "), tokenURL, usersURL)
	fmt.Fprintln(std.out, "\nThe secret is shown this once. Save it in your vault now.")
	return nil
}

type appListCmd struct {
	accountFlag
	JSON bool `name:"json" help:"Print one JSON object with the list as results."`
}

func (c *appListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	apps, err := h.db.Clients(ctx, account)
	if err != nil {
		return fmt.Errorf("list applications: %w", err)
	}
	if c.JSON {
		return printResults(std, apps, appView)
	}
	if len(apps) == 0 {
		fmt.Fprintln(std.out, "No applications yet. Create one: holdfast app create --name N --scope list_users")
	}
	for _, a := range apps {
		fmt.Fprintf(std.out, "%s  %-7s  %-30s  %s\n", a.ID, appState(a), a.Name, strings.Join(a.Scopes, " "))
	}
	return nil
}

type appShowCmd struct {
	accountFlag
	ClientID string `arg:"" help:"Client ID of the application."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

func (c *appShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	a, err := h.db.Client(ctx, account, c.ClientID)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std, appView(a))
	}
	fmt.Fprintf(std.out, "Client ID     %s\nAccount ID    %s\nName          %s\nState         %s\n", a.ID, a.AccountID, a.Name, appState(a))
	if a.Description != "" {
		fmt.Fprintf(std.out, "Description   %s\n", a.Description)
	}
	if a.RedirectURL != "" {
		fmt.Fprintf(std.out, "Redirect URL  %s\n", a.RedirectURL)
	}
	fmt.Fprintf(std.out, "Scopes        %s\nCreated       %s by %s\nLast used     %s\n", strings.Join(a.Scopes, " "), moment(a.CreatedAt), a.CreatedBy, moment(a.LastUsedAt))
	for _, s := range a.Secrets {
		fmt.Fprintf(std.out, "Secret        %s, created %s, ends %s\n", s.ID, moment(s.CreatedAt), moment(s.EndsAt))
	}
	return nil
}

type appRotateCmd struct {
	accountFlag
	ClientID string        `arg:"" help:"Client ID of the application."`
	Overlap  time.Duration `default:"24h" help:"How long the old secret goes on; 0 ends it, and the tokens issued for it, at once."`
	JSON     bool          `name:"json" help:"Print one JSON object."`
}

func (c *appRotateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	cred, err := h.oauth().Rotate(ctx, account, c.ClientID, c.Overlap, operator(std))
	if err != nil {
		return fmt.Errorf("rotate secret: %w", err)
	}
	return h.printCredentials(std, cred, c.JSON)
}

type appRevokeCmd struct {
	accountFlag
	ClientID string `arg:"" help:"Client ID of the application."`
	JSON     bool   `name:"json" help:"Print the application as JSON."`
}

func (c *appRevokeCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.oauth().Revoke(ctx, account, c.ClientID, operator(std)); err != nil {
		return fmt.Errorf("revoke application: %w", err)
	}
	if c.JSON {
		a, err := h.db.Client(ctx, account, c.ClientID)
		if err != nil {
			return err
		}
		return printJSON(std, appView(a))
	}
	fmt.Fprintf(std.out, "Application %s is revoked. Its secrets and tokens are refused from now on.\n", c.ClientID)
	return nil
}

func appState(a oauth.Client) string {
	if !a.RevokedAt.IsZero() {
		return "revoked"
	}
	return "live"
}

// appJSON is an application without anything secret.
type appJSON struct {
	AccountID   string       `json:"account_id"`
	ClientID    string       `json:"client_id"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	RedirectURL string       `json:"redirect_url"`
	Scopes      []string     `json:"scopes"`
	State       string       `json:"state"` // "live" or "revoked"
	CreateTime  time.Time    `json:"create_time"`
	CreatedBy   string       `json:"created_by"`
	LastUseTime time.Time    `json:"last_use_time,omitzero"`
	RevokeTime  time.Time    `json:"revoke_time,omitzero"`
	Secrets     []secretJSON `json:"secrets"`
}

type secretJSON struct {
	ID         string    `json:"id"`
	CreateTime time.Time `json:"create_time"`
	EndTime    time.Time `json:"end_time,omitzero"`
}

func appView(a oauth.Client) appJSON {
	v := appJSON{
		AccountID: a.AccountID, ClientID: a.ID, Name: a.Name, Description: a.Description, RedirectURL: a.RedirectURL, Scopes: a.Scopes,
		State: appState(a), CreateTime: a.CreatedAt, CreatedBy: a.CreatedBy, LastUseTime: a.LastUsedAt, RevokeTime: a.RevokedAt, Secrets: []secretJSON{},
	}
	for _, s := range a.Secrets {
		v.Secrets = append(v.Secrets, secretJSON{ID: s.ID, CreateTime: s.CreatedAt, EndTime: s.EndsAt})
	}
	return v
}

// moment is a time for people.
func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
