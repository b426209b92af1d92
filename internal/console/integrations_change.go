package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
)

func (c *Console) editIntegration(w http.ResponseWriter, r *http.Request) error {
	app, err := c.app(r)
	if err != nil {
		return err
	}
	if !app.RevokedAt.IsZero() {
		return c.backToIntegration(w, r)
	}
	f := url.Values{"name": {app.Name}, "description": {app.Description}, "redirect_url": {app.RedirectURL}, "scopes": app.Scopes}
	return c.render(w, r, page{name: "integration-form", title: c.editTitle(r, app), form: f, data: formOf(app)})
}

func (c *Console) editTitle(r *http.Request, app oauth.Client) string {
	return c.tr(r, "integration_form.edit_title", "Name", app.Name)
}

func (c *Console) updateIntegration(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app, err := c.liveApp(r)
	if err != nil {
		return err
	}
	n := newClient(f)
	n.Key = ""
	// One that was made on the command line need not have a redirect URL.
	n.RequireRedirect = app.RedirectURL != ""
	if _, err := c.OAuth.Update(r.Context(), me(r).AccountID, app.ID, n, auditBy(r, audit.AppUpdate, app.ID)); err != nil {
		return c.again(w, r, page{name: "integration-form", title: c.editTitle(r, app), form: f, data: formOf(app)}, err)
	}
	return redirect(w, r, "/integrations/"+app.ID+"?done=integration_changed")
}

// dropScopes takes scopes away that the overview proposes to drop.
func (c *Console) dropScopes(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app, err := c.liveApp(r)
	if err != nil {
		return err
	}
	n := oauth.NewClient{Name: app.Name, Description: app.Description, RedirectURL: app.RedirectURL}
	for _, scope := range app.Scopes {
		if !slices.Contains(f["drop"], scope) {
			n.Scopes = append(n.Scopes, scope)
		}
	}
	if _, err := c.OAuth.Update(r.Context(), me(r).AccountID, app.ID, n, auditBy(r, audit.AppUpdate, app.ID)); err != nil {
		return err
	}
	return redirect(w, r, "/integrations/"+app.ID+"?done=scopes_dropped")
}

func (c *Console) rotateForm(w http.ResponseWriter, r *http.Request) error {
	app, err := c.app(r)
	if err != nil {
		return err
	}
	if !app.RevokedAt.IsZero() {
		return c.backToIntegration(w, r)
	}
	data, err := c.actionOn(r, "rotate")
	if err != nil {
		return err
	}
	f := url.Values{"overlap": {(24 * time.Hour).String()}}
	if len(data.Secrets) > 1 {
		f.Set("overlap", time.Duration(0).String()) // the only choice that is left
	}
	return c.render(w, r, page{name: "integration-action", title: c.rotateTitle(r, data.App), form: f, data: data})
}

func (c *Console) rotateTitle(r *http.Request, app oauth.Client) string {
	return c.tr(r, "integration_action.rotate_title", "Name", app.Name)
}

// rotateIntegration makes a further secret and shows it, in the answer to the form itself. The form says
// which secret was the newest when it was shown, so that sending it again rotates nothing.
func (c *Console) rotateIntegration(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app, err := c.liveApp(r)
	if err != nil {
		return err
	}
	if f.Get("newest") != newestSecret(app) {
		return c.alreadyShown(w, r, app.ID, true)
	}
	overlap, err := parseOverlap(f.Get("overlap"))
	var made oauth.Credentials
	if err == nil {
		made, err = c.OAuth.Rotate(r.Context(), me(r).AccountID, app.ID, overlap, auditBy(r, audit.AppRotateSecret, app.ID))
	}
	if err == nil {
		return c.showOnce(w, r, c.secretOf(r, made.Client, true), made.Secret.Reveal())
	}
	data, errData := c.actionOn(r, "rotate")
	if errData != nil {
		return errData
	}
	if problem.Is(err, problem.Conflict) {
		err = problem.Coded(problem.Conflict, "two_secrets",
			"two secrets are alive already; let the old ones stop at once, or wait until the older one has ended")
	}
	return c.again(w, r, page{name: "integration-action", title: c.rotateTitle(r, app), form: f, data: data}, err)
}

func (c *Console) revokeForm(w http.ResponseWriter, r *http.Request) error {
	app, err := c.app(r)
	if err != nil {
		return err
	}
	if !app.RevokedAt.IsZero() {
		return c.backToIntegration(w, r)
	}
	data, err := c.actionOn(r, "revoke")
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "integration-action", title: c.revokeTitle(r, app), data: data})
}

func (c *Console) revokeTitle(r *http.Request, app oauth.Client) string {
	return c.tr(r, "integration_action.revoke_title", "Name", app.Name)
}

const maxRevokeReason = 1000 // bytes, as in the audit log

// revokeReason is the reason that the form gives; it may be empty.
func revokeReason(f url.Values) (string, error) {
	reason := strings.TrimSpace(f.Get("reason"))
	if len(reason) > maxRevokeReason {
		return "", problem.InField("reason", "the reason has %d bytes; at most %d are possible", len(reason), maxRevokeReason)
	}
	return reason, nil
}

func (c *Console) revokeIntegration(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app, err := c.app(r)
	if err != nil {
		return err
	}
	reason, err := revokeReason(f)
	if err != nil {
		data, errData := c.actionOn(r, "revoke")
		if errData != nil {
			return errData
		}
		return c.again(w, r, page{name: "integration-action", title: c.revokeTitle(r, app), form: f, data: data}, err)
	}
	if err := c.OAuth.Revoke(r.Context(), me(r).AccountID, app.ID, auditBy(r, audit.AppRevoke, app.ID).Because(reason)); err != nil {
		return err
	}
	return redirect(w, r, "/integrations/"+app.ID+"?done=integration_revoked")
}
