package console

import (
	"context"
	"net/http"
	"strconv"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
)

// names looks up what things are called, each once for a page, and groups all together. How that is
// worded, and what is said of who is gone, is up to the areas.
type names struct {
	c      *Console
	who    vault.Viewer
	known  map[string]string // by kind and ID; empty: it is there no more, or is not for who looks
	groups map[string]directory.Group
}

func (c *Console) names(r *http.Request) *names {
	return &names{c: c, who: viewer(r), known: map[string]string{}}
}

// of is the name of a user, client, events token, vault or group, or the number of a case. It is not found if it is there
// no more, or is not for who looks.
func (n *names) of(ctx context.Context, kind, id string) (name string, found bool, err error) {
	ref := kind + ":" + id
	if name, ok := n.known[ref]; ok {
		return name, name != "", nil
	}
	switch kind {
	case "user":
		var u directory.User
		u, err = n.c.Directory.Store.User(ctx, n.who.AccountID, id)
		name = u.DisplayName
	case "client":
		app, failed := n.c.OAuth.Client(ctx, n.who.AccountID, id)
		name, err = app.Name, failed
	case "events_token":
		t, failed := n.c.Feed.Token(ctx, n.who.AccountID, id)
		name, err = t.Name, failed
	case "vault":
		v, failed := n.c.Vaults.Vault(ctx, n.who, id)
		name, err = v.Name, failed
	case "group":
		name, err = n.group(ctx, id)
	case "case": // its number
		rec, failed := n.c.Respond.Store.Case(ctx, n.who.AccountID, id)
		if err = failed; err == nil {
			name = strconv.FormatInt(rec.Case.Number, 10)
		}
	}
	if problem.Is(err, problem.NotFound) {
		name, err = "", nil
	}
	if err != nil {
		return "", false, err
	}
	n.known[ref] = name
	return name, name != "", nil
}

func (n *names) group(ctx context.Context, id string) (string, error) {
	if n.groups == nil {
		all, err := n.c.Directory.Store.Groups(ctx, n.who.AccountID)
		if err != nil {
			return "", err
		}
		n.groups = make(map[string]directory.Group, len(all))
		for _, g := range all {
			n.groups[g.ID] = g
		}
	}
	return n.groups[id].Name, nil
}
