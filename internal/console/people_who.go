package console

import (
	"context"
	"net/http"
	"strings"

	"holdfast/internal/problem"
)

// party is somebody or something that acts: an actor of an audit entry, or the holder of a hold.
type party struct {
	Kind string // "user", "client", "operator", "scim", "case", "system", "anonymous"; the key of its words
	ID   string
	Name string // of a person, an application, an operator; else empty
	Href string // of its page; empty: it has none, or who looks may not open it
}

// parties finds out who is meant by what audit entries and holds say, each once.
type parties struct {
	c       *Console
	account string
	known   map[string]party
}

func (c *Console) parties(r *http.Request) *parties {
	return &parties{c: c, account: me(r).AccountID, known: map[string]party{}}
}

// of finds the party. Who has been removed has a kind of her own, and no name.
func (p *parties) of(ctx context.Context, actor string) (party, error) {
	if found, ok := p.known[actor]; ok {
		return found, nil
	}
	out, err := p.find(ctx, actor)
	if err == nil {
		p.known[actor] = out
	}
	return out, err
}

func (p *parties) find(ctx context.Context, actor string) (party, error) {
	kind, id := partyKind(actor)
	switch kind {
	case "user":
		u, err := p.c.Directory.Store.User(ctx, p.account, id)
		if problem.Is(err, problem.NotFound) {
			return party{Kind: "removed", ID: id}, nil
		}
		return party{Kind: kind, ID: id, Name: u.DisplayName, Href: "/people/" + id}, err
	case "client":
		app, err := p.c.OAuth.Client(ctx, p.account, id)
		if problem.Is(err, problem.NotFound) {
			return party{Kind: "unknown", ID: id}, nil
		}
		return party{Kind: kind, ID: id, Name: app.Name, Href: "/integrations/" + id}, err
	case "group":
		return p.group(ctx, id)
	case "operator", "scim", "case":
		return party{Kind: kind, ID: id, Name: id}, nil
	case "system", "anonymous":
		return party{Kind: kind}, nil
	}
	return party{Kind: "unknown", ID: actor}, nil
}

func (p *parties) group(ctx context.Context, id string) (party, error) {
	groups, err := p.c.Directory.Store.Groups(ctx, p.account)
	for _, g := range groups {
		if g.ID == id {
			return party{Kind: "group", ID: id, Name: g.Name, Href: "/groups/" + id}, nil
		}
	}
	return party{Kind: "unknown", ID: id}, err
}

// partyKind splits an actor, a target or a holder into its kind and its ID.
func partyKind(text string) (kind, id string) {
	kind, id, _ = strings.Cut(text, ":")
	return kind, id
}
