package console

import (
	"context"
	"net/http"

	"holdfast/internal/audit"
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

// subjects finds who or what entries are about.
type subjects struct {
	names *names
	c     *Console
	r     *http.Request
}

func (c *Console) subjects(r *http.Request) *subjects { return &subjects{c.names(r), c, r} }

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
	kind, id := partyKind(ref)
	out := subject{Kind: kind, ID: id, Name: id, Icon: "info"}
	switch kind {
	case "user", "client", "events_token", "vault", "group":
		out.Icon = map[string]string{"user": "people", "client": "plug", "events_token": "plug", "vault": "vault", "group": "group"}[kind]
		name, found, err := s.names.of(ctx, kind, id)
		out.Name, out.Path = name, pagesOf[kind]+id
		if !found {
			out.Name, out.Path = s.c.tr(s.r, "audit.subject.no_"+kind), ""
		}
		return out, err
	case "operator":
		out.Icon, out.Name = "settings", s.c.tr(s.r, "audit.subject.operator", "Name", id)
	case "item", "session", "case", "scim", "events_key":
		out.Icon = map[string]string{"item": "key", "session": "device", "case": "case", "scim": "people", "events_key": "key"}[kind]
		out.Name = s.c.tr(s.r, "audit.subject."+kind)
		if kind == "case" && id != "" {
			out.Path = pagesOf[kind] + id
		}
	case "route":
		out.Icon = "signin"
	case "", "system":
		return subject{Kind: "system", Name: s.c.tr(s.r, "audit.subject.system"), Icon: "shield"}, nil
	case "anonymous":
		return subject{Kind: kind, Name: s.c.tr(s.r, "audit.subject.anonymous"), Icon: "alert"}, nil
	default:
		out.Name = ref
	}
	return out, nil
}
