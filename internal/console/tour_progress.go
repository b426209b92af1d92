package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
)

// tourProgress is what has happened of the tour.
type tourProgress struct {
	app      oauth.Client         // zero: none yet
	at       map[string]time.Time // when a step was done, by its ID
	itemPath string
	suspend  []string // IDs of whom the application suspended, the last one first
}

// missing are the scopes that the rest of the tour needs and the application does not have.
func (p tourProgress) missing() []string {
	if p.app.ID == "" || !p.app.RevokedAt.IsZero() {
		return nil
	}
	var out []string
	for _, n := range []struct{ step, scope string }{{"call", "list_users"}, {"suspend", "suspend_users"}, {"reactivate", "reactivate_users"}} {
		if p.at[n.step].IsZero() && !slices.Contains(p.app.Scopes, n.scope) {
			out = append(out, n.scope)
		}
	}
	return out
}

// tourEntries bounds what is read of the audit log: a demo does not do more of one thing.
const tourEntries = 100

// tourApps bounds how many applications are looked at: those that were made last.
const tourApps = 5

// tourProgress looks at each application that the person has made since the tour began, and returns the one
// that has come farthest; of several, the one made last.
func (c *Console) tourProgress(r *http.Request, began time.Time) (tourProgress, error) {
	who := me(r)
	made, err := c.Audit.AuditEntries(r.Context(), audit.Query{
		AccountID: who.AccountID, Actions: []audit.Action{audit.AppCreate}, Actor: who.Actor, Outcome: string(audit.Done), From: began, Limit: tourApps,
	})
	if err != nil {
		return tourProgress{}, err
	}
	best := tourProgress{at: map[string]time.Time{}}
	for _, l := range made {
		id, ok := strings.CutPrefix(l.Entry.Target, "client:")
		if !ok {
			continue
		}
		p, err := c.appProgress(r, id, l.Time)
		if problem.Is(err, problem.NotFound) {
			continue
		}
		if err != nil {
			return tourProgress{}, err
		}
		if len(p.at) > len(best.at) {
			best = p
		}
	}
	return best, nil
}

// appProgress is how far the tour has come with one application.
func (c *Console) appProgress(r *http.Request, id string, created time.Time) (tourProgress, error) {
	p := tourProgress{at: map[string]time.Time{"create": created}}
	account := me(r).AccountID
	var err error
	if p.app, err = c.OAuth.Client(r.Context(), account, id); err != nil {
		return p, err
	}
	items, err := c.Vaults.ItemsLinkedTo(r.Context(), viewer(r), "client:"+id)
	if err != nil {
		return p, err
	}
	if len(items) > 0 {
		p.itemPath = "/vaults/" + items[0].Vault.ID + "/items/" + items[0].Item.ID
		p.at["save"] = items[0].Item.UpdatedAt
	}
	activity, err := c.OAuth.Activity(r.Context(), account, id)
	if err != nil {
		return p, err
	}
	// Reading people is counted and not listed: that it happened is known, and when the token for it was got.
	if slices.ContainsFunc(activity.Calls, func(n oauth.OperationCalls) bool { return n.Operation == "list_users" && n.Total > n.Refused }) {
		tokens, err := c.Audit.AuditEntries(r.Context(), audit.Query{
			AccountID: account, Actions: []audit.Action{audit.TokenIssue}, Actor: "client:" + id, Outcome: string(audit.Done), Limit: tourEntries,
		})
		if err != nil {
			return p, err
		}
		if n := len(tokens); n > 0 {
			p.at["call"] = tokens[n-1].Time
		}
	}
	if err := c.holdsProgress(r, &p, created); err != nil {
		return p, err
	}
	if p.app.RevokedAt.IsZero() {
		return p, nil
	}
	p.at["revoke"] = p.app.RevokedAt
	refused, err := c.Audit.AuditEntries(r.Context(), audit.Query{
		AccountID: account, Actor: "client:" + id, Outcome: string(audit.Refused), From: p.app.RevokedAt, Limit: 1,
	})
	if err == nil && len(refused) > 0 {
		p.at["refused"] = refused[0].Time
	}
	return p, err
}

// holdsProgress finds whom the application suspended, and whether anybody reactivated one of them.
func (c *Console) holdsProgress(r *http.Request, p *tourProgress, created time.Time) error {
	account := me(r).AccountID
	suspended, err := c.Audit.AuditEntries(r.Context(), audit.Query{
		AccountID: account, Actions: []audit.Action{audit.UserSuspend}, Actor: "client:" + p.app.ID, Outcome: string(audit.Done), Limit: tourEntries,
	})
	if err != nil || len(suspended) == 0 {
		return err
	}
	p.at["suspend"] = suspended[len(suspended)-1].Time
	for _, l := range suspended {
		if id, ok := cutUser(l.Entry.Target); ok && !slices.Contains(p.suspend, id) {
			p.suspend = append(p.suspend, id)
		}
	}
	back, err := c.Audit.AuditEntries(r.Context(), audit.Query{
		AccountID: account, Actions: []audit.Action{audit.UserReactivate}, Outcome: string(audit.Done), From: created, Limit: tourEntries,
	})
	if err != nil {
		return err
	}
	for _, l := range back {
		if id, ok := cutUser(l.Entry.Target); ok && slices.Contains(p.suspend, id) {
			p.at["reactivate"] = l.Time // the first in the end: entries come newest first
		}
	}
	return nil
}

// tourPerson is whom the snippets are about: who was suspended last, else somebody who may be.
func (c *Console) tourPerson(r *http.Request, p tourProgress) (id, name string, err error) {
	account := me(r).AccountID
	for _, id := range p.suspend {
		u, err := c.Directory.Store.User(r.Context(), account, id)
		if err == nil {
			return u.ID, u.DisplayName, nil
		}
		if !problem.Is(err, problem.NotFound) {
			return "", "", err
		}
	}
	people, err := c.Directory.Store.ListUsers(r.Context(), account, directory.ListQuery{State: directory.OnlyActive, Limit: 20})
	if err != nil {
		return "", "", err
	}
	for _, u := range people {
		if u.ID == me(r).UserID || u.ExternallyManaged {
			continue
		}
		groups, err := c.Directory.Store.GroupsOf(r.Context(), account, u.ID)
		if err != nil {
			return "", "", err
		}
		if !slices.ContainsFunc(groups, func(g directory.Group) bool { return g.Kind == directory.Owners }) {
			return u.ID, u.DisplayName, nil
		}
	}
	return "", "", nil
}
