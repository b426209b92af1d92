package console

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
)

// integrationPage is the data of pages/integration.html.
type integrationPage struct {
	App        oauth.Client
	Tab        string // "overview", "activity" or "connect"
	By         string // who created it, by name
	Connection Connection
	Secrets    []oauth.SecretInfo // that are alive
	Items      []vault.Linked     // that hold its credentials, in vaults that the viewer sees
	Snippets   []Snippet          // for Tab "connect"
	Live       liveActivity
}

// Revoked reports whether nothing can be done with it any more.
func (p integrationPage) Revoked() bool { return !p.App.RevokedAt.IsZero() }

// Keep reports whether a scope would be left if the unused ones were dropped.
func (p integrationPage) Keep() bool { return len(p.Live.UnusedScopes) < len(p.App.Scopes) }

// liveActivity is the part of the page that is loaded again every few seconds.
type liveActivity struct {
	oauth.Activity
	App    oauth.Client
	Recent []recentCall
	Short  bool   // as on the overview: without the list of what happened last
	Seen   string // changes when what is shown does
}

// Used reports whether it has ever come.
func (a liveActivity) Used() bool { return !a.LastTokenAt.IsZero() || !a.LastCallAt.IsZero() }

// LastAt is when it was last here, for whatever.
func (a liveActivity) LastAt() time.Time { return laterOf(a.LastTokenAt, a.LastCallAt) }

// Refused counts what was refused, of all that it did.
func (a liveActivity) Refused() (n int64) {
	for _, calls := range a.Calls {
		n += calls.Refused
	}
	return n
}

// Lately counts the calls of the last 24 hours, without tokens.
func (a liveActivity) Lately() (n int64) {
	for _, calls := range a.Calls {
		if calls.Operation != oauth.OperationToken {
			n += calls.Last24h
		}
	}
	return n
}

// UnusedScope reports whether nothing uses the scope.
func (a liveActivity) UnusedScope(scope string) bool { return slices.Contains(a.UnusedScopes, scope) }

// Has reports whether the application may call the operation.
func (a liveActivity) Has(operation string) bool { return slices.Contains(a.App.Scopes, operation) }

// recentCall is something that an application did, of what the audit log keeps.
type recentCall struct {
	At      time.Time
	Key     string // of what it did, in words; empty: Action is shown
	Action  string
	About   string // name of the person
	UserID  string // of the person; empty: it is about nobody
	Refused bool
	Reason  string
	Address string
	Request string
}

// callKey is the key of the text for an action, if there is one.
func callKey(a audit.Action) string {
	switch a {
	case audit.TokenIssue:
		return "integration.call.token_issue"
	case audit.TokenRevoke:
		return "integration.call.token_revoke"
	case audit.TokenIntrospect:
		return "integration.call.token_introspect"
	case audit.UserSuspend:
		return "integration.call.user_suspend"
	case audit.UserReactivate:
		return "integration.call.user_reactivate"
	case audit.AccessRefuse:
		return "integration.call.access_refuse"
	}
	return ""
}

const recentCalls = 25

func (c *Console) integration(w http.ResponseWriter, r *http.Request) error {
	app, err := c.app(r)
	if err != nil {
		return err
	}
	data := integrationPage{App: app, Tab: r.URL.Query().Get("tab"), Connection: c.connection(app)}
	if !slices.Contains([]string{"activity", "connect"}, data.Tab) || data.Revoked() && data.Tab == "connect" {
		data.Tab = "overview"
	}
	names := c.actors(r)
	if data.By, err = names.of(r.Context(), app.CreatedBy); err != nil {
		return err
	}
	data.Secrets = c.aliveSecrets(app)
	switch data.Tab {
	case "connect":
		data.Snippets, err = Snippets(data.Connection)
	case "overview":
		data.Items, err = c.Vaults.ItemsLinkedTo(r.Context(), viewer(r), "client:"+app.ID)
	}
	if err != nil {
		return err
	}
	if data.Live, err = c.live(r, app, data.Tab != "activity", names); err != nil {
		return err
	}
	return c.render(w, r, page{name: "integration", title: app.Name, data: data})
}

// live reads what the application does.
func (c *Console) live(r *http.Request, app oauth.Client, short bool, names *actorNames) (liveActivity, error) {
	account := me(r).AccountID
	a := liveActivity{App: app, Short: short}
	var err error
	if a.Activity, err = c.OAuth.Activity(r.Context(), account, app.ID); err != nil {
		return a, err
	}
	if !short {
		links, err := c.OAuth.RecentCalls(r.Context(), account, app.ID, recentCalls)
		if err != nil {
			return a, err
		}
		for _, l := range links {
			call, err := c.recent(r, l, names)
			if err != nil {
				return a, err
			}
			a.Recent = append(a.Recent, call)
		}
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%v %v", a.Activity, a.Recent) // never fails
	a.Seen = fmt.Sprintf("%x", h.Sum64())
	return a, nil
}

func (c *Console) recent(r *http.Request, l audit.Link, names *actorNames) (recentCall, error) {
	e := l.Entry
	call := recentCall{
		At: l.Time, Key: callKey(e.Action), Action: string(e.Action), Refused: e.Outcome == audit.Refused,
		Reason: e.Reason, Address: e.Address, Request: e.RequestID,
	}
	if id, ok := cutUser(e.Target); ok {
		name, err := names.of(r.Context(), e.Target)
		if err != nil {
			return call, err
		}
		call.About, call.UserID = name, id
	}
	return call, nil
}

// cutUser is the ID of the person that an actor or target is.
func cutUser(actor string) (id string, ok bool) {
	const prefix = "user:"
	if len(actor) <= len(prefix) || actor[:len(prefix)] != prefix {
		return "", false
	}
	return actor[len(prefix):], true
}

// integrationActivity is the live part by itself.
func (c *Console) integrationActivity(w http.ResponseWriter, r *http.Request) error {
	app, err := c.app(r)
	if err != nil {
		return err
	}
	if !byHTMX(r) {
		return redirect(w, r, "/integrations/"+app.ID+"?tab=activity")
	}
	live, err := c.live(r, app, r.URL.Query().Get("short") != "", c.actors(r))
	if err != nil {
		return err
	}
	return c.liveAgain(w, r, live.Seen, "integration-live", page{name: "integration", data: live})
}

// liveAgain answers with a part of a page that is loaded again and again. If it is what the browser has seen,
// nothing is answered, and what is on the page keeps its focus.
func (c *Console) liveAgain(w http.ResponseWriter, r *http.Request, seen, block string, p page) error {
	if seen == r.URL.Query().Get("seen") {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return c.part(w, r, block, p)
}

// actionPage is the data of pages/integration-action.html.
type actionPage struct {
	Action     string // "rotate" or "revoke"
	App        oauth.Client
	Newest     string             // ID of the secret that was made last
	Secrets    []oauth.SecretInfo // that are alive
	Calls      int64              // of the last 24 hours
	Items      []vault.Linked
	LastAt     time.Time
	LastedFrom string
}

func (c *Console) actionOn(r *http.Request, action string) (actionPage, error) {
	app, err := c.liveApp(r)
	if err != nil {
		return actionPage{}, err
	}
	data := actionPage{Action: action, App: app, Newest: newestSecret(app)}
	data.Secrets = c.aliveSecrets(app)
	activity, err := c.OAuth.Activity(r.Context(), me(r).AccountID, app.ID)
	if err != nil {
		return actionPage{}, err
	}
	live := liveActivity{Activity: activity}
	data.Calls, data.LastAt, data.LastedFrom = live.Lately(), live.LastAt(), activity.LastAddress
	data.Items, err = c.Vaults.ItemsLinkedTo(r.Context(), viewer(r), "client:"+app.ID)
	return data, err
}

// aliveSecrets are the secrets that are accepted now.
func (c *Console) aliveSecrets(app oauth.Client) []oauth.SecretInfo {
	return slices.DeleteFunc(slices.Clone(app.Secrets), func(s oauth.SecretInfo) bool {
		return !app.RevokedAt.IsZero() || !s.Alive(c.Now())
	})
}

// newestSecret is the ID of the secret that was made last.
func newestSecret(app oauth.Client) string {
	var newest oauth.SecretInfo
	for _, s := range app.Secrets {
		if newest.ID == "" || s.CreatedAt.After(newest.CreatedAt) {
			newest = s
		}
	}
	return newest.ID
}

// overlaps are how long the old secret can go on, in the order in which they are offered.
func overlaps() []time.Duration {
	return []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 0}
}

// Overlaps are the values of that choice.
func (actionPage) Overlaps() (values []string) {
	for _, d := range overlaps() {
		values = append(values, d.String())
	}
	return values
}

// parseOverlap reads a choice of the form.
func parseOverlap(s string) (time.Duration, error) {
	for _, d := range overlaps() {
		if s == d.String() {
			return d, nil
		}
	}
	return 0, problem.InField("overlap", "no overlap is chosen; choose how long the old secret goes on")
}
