package console

import (
	"context"
	"net/http"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
)

// subject is who did something, or what it was done to, as it is shown.
type subject struct {
	Kind string // as in audit entries: user, client, …; "account" and "system" for what has no ID
	ID   string
	Name string
	Path string // of its page; empty: it has none, or not for who looks
	Icon string
}

// Ref is how audit entries write it.
func (s subject) Ref() string {
	if s.ID == "" {
		return ""
	}
	return s.Kind + ":" + s.ID
}

// auditRow is an entry of the log with names.
type auditRow struct {
	audit.Link
	Actor, Target subject
}

// Refused reports whether it was turned down.
func (a auditRow) Refused() bool { return a.Entry.Outcome == audit.Refused }

// subjects finds names. Each is looked up once for a page, and groups are read together.
type subjects struct {
	c      *Console
	r      *http.Request
	known  map[string]subject
	groups map[string]directory.Group // nil: not read yet
}

func (c *Console) subjects(r *http.Request) *subjects {
	return &subjects{c: c, r: r, known: map[string]subject{}}
}

// rows are entries with the names of those they are about.
func (s *subjects) rows(ctx context.Context, links []audit.Link) ([]auditRow, error) {
	rows := make([]auditRow, 0, len(links))
	for _, l := range links {
		actor, err := s.of(ctx, l.Entry.Actor)
		if err != nil {
			return nil, err
		}
		target, err := s.target(ctx, l.Entry.Target)
		if err != nil {
			return nil, err
		}
		rows = append(rows, auditRow{Link: l, Actor: actor, Target: target})
	}
	return rows, nil
}

// target is of, for what something was done to: without a name it is the account.
func (s *subjects) target(ctx context.Context, ref string) (subject, error) {
	if ref == "" {
		return subject{Kind: "account", Name: me(s.r).Account, Icon: "settings"}, nil
	}
	return s.of(ctx, ref)
}

// of is the subject that an audit entry calls ref.
func (s *subjects) of(ctx context.Context, ref string) (subject, error) {
	if known, ok := s.known[ref]; ok {
		return known, nil
	}
	found, err := s.find(ctx, ref)
	if err == nil {
		s.known[ref] = found
	}
	return found, err
}

func (s *subjects) find(ctx context.Context, ref string) (subject, error) {
	kind, id, _ := strings.Cut(ref, ":")
	out := subject{Kind: kind, ID: id, Name: id, Icon: "info"}
	var name string
	var err error
	switch kind {
	case "user":
		out.Icon, out.Path = "people", "/people/"+id
		var u directory.User
		u, err = s.c.Directory.Store.User(ctx, me(s.r).AccountID, id)
		name = u.DisplayName
	case "client":
		out.Icon, out.Path = "plug", "/integrations/"+id
		app, failed := s.c.OAuth.Client(ctx, me(s.r).AccountID, id)
		name, err = app.Name, failed
	case "vault":
		out.Icon, out.Path = "vault", "/vaults/"+id
		v, failed := s.c.Vaults.Vault(ctx, viewer(s.r), id)
		name, err = v.Name, failed
	case "group":
		out.Icon, out.Path = "group", "/groups/"+id
		name, err = s.group(ctx, id)
	case "operator":
		out.Icon, out.Name = "settings", s.c.tr(s.r, "audit.subject.operator", "Name", id)
		return out, nil
	case "item", "session", "case", "scim":
		out.Icon = map[string]string{"item": "key", "session": "device", "case": "case", "scim": "people"}[kind]
		out.Name = s.c.tr(s.r, "audit.subject."+kind)
		return out, nil
	case "route":
		out.Icon = "signin"
		return out, nil
	case "", "system":
		return subject{Kind: "system", Name: s.c.tr(s.r, "audit.subject.system"), Icon: "shield"}, nil
	case "anonymous":
		return subject{Kind: kind, Name: s.c.tr(s.r, "audit.subject.anonymous"), Icon: "alert"}, nil
	default:
		out.Name = ref
		return out, nil
	}
	switch {
	case problem.Is(err, problem.NotFound): // it is there no more, or is not for who looks
		out.Name, out.Path = s.c.tr(s.r, "audit.subject.no_"+kind), ""
	case err != nil:
		return subject{}, err
	default:
		out.Name = name
	}
	return out, nil
}

func (s *subjects) group(ctx context.Context, id string) (string, error) {
	if s.groups == nil {
		all, err := s.c.Directory.Store.Groups(ctx, me(s.r).AccountID)
		if err != nil {
			return "", err
		}
		s.groups = make(map[string]directory.Group, len(all))
		for _, g := range all {
			s.groups[g.ID] = g
		}
	}
	g, ok := s.groups[id]
	if !ok {
		return "", problem.New(problem.NotFound, "no group %q", id)
	}
	return g.Name, nil
}
