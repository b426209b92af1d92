package console

import (
	"context"
	"net/http"
	"strings"
)

// party is somebody or something that acts: an actor of an audit entry, or the holder of a hold.
type party struct {
	Kind string // "user", "client", "operator", "scim", "case", "system", "anonymous"; the key of its words
	ID   string
	Name string // of a person, an application, an operator; else empty
	Href string // of its page; empty: it has none, or who looks may not open it
}

// parties finds out who is meant by what audit entries and holds say.
type parties struct{ names *names }

func (c *Console) parties(r *http.Request) *parties { return &parties{c.names(r)} }

// of finds the party. Who has been removed has a kind of her own, and no name.
func (p *parties) of(ctx context.Context, actor string) (party, error) {
	kind, id := partyKind(actor)
	switch kind {
	case "user", "client", "group":
		name, found, err := p.names.of(ctx, kind, id)
		out := party{Kind: kind, ID: id, Name: name, Href: pagesOf[kind] + id}
		if !found {
			out = party{Kind: "unknown", ID: id}
			if kind == "user" {
				out.Kind = "removed"
			}
		}
		return out, err
	case "case":
		number, found, err := p.names.of(ctx, kind, id)
		if !found {
			return party{Kind: kind, ID: id, Name: id}, err
		}
		return party{Kind: kind, ID: id, Name: number, Href: pagesOf[kind] + id}, err
	case "operator", "scim":
		return party{Kind: kind, ID: id, Name: id}, nil
	case "system", "anonymous":
		return party{Kind: kind}, nil
	}
	return party{Kind: "unknown", ID: actor}, nil
}

// pagesOf is where what has a page has it; the ID follows.
var pagesOf = map[string]string{"user": "/people/", "client": "/integrations/", "events_token": eventsTokenPage, "vault": "/vaults/", "group": "/groups/", "case": casesPath}

// partyKind splits an actor, a target or a holder into its kind and its ID.
func partyKind(text string) (kind, id string) {
	kind, id, _ = strings.Cut(text, ":")
	return kind, id
}
