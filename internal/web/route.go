package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"holdfast/internal/problem"
)

// Handler answers a request, or returns why it cannot. It must not write before it returns an error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is one line of a domain's table.
type Route struct {
	Pattern string       // "METHOD /path/{wildcard}", optionally with a custom verb: "POST /users/{user}:suspend"
	Access  Access       // who may call; the zero value is refused by New
	Errors  problem.Form // how errors are spelt
	Handle  Handler
	MaxBody int64 // bytes of request body; 0 means Config.MaxBody
}

// Access says who may call a route. Make one with [Public], [Scope], [Events] or [SignedIn].
type Access struct {
	public string // why no credentials are needed
	scope  string // the scope that the bearer token's application must have
	events bool   // the bearer token is one for the Events API, and scope the feature that it must have, if any
	role   Role   // the role that the person of the session must have
	fresh  bool   // the person must have shown who she is a short while ago
	guest  bool   // a session is looked up, but need not be there
}

// Role is what a person may do in the console.
type Role string

// The roles. Everybody who is signed in is a Member.
const (
	Member       Role = "member"       // sees what is her own
	Integrations Role = "integrations" // manages integrations
	People       Role = "people"       // manages people, groups, and the account's settings
	Owner        Role = "owner"        // manages owners
)

// Public lets anybody call. The reason is for the reader of the route table, and must be given.
func Public(reason string) Access { return Access{public: reason} }

// Scope asks for a bearer token of an application that has the scope. If the pattern has a
// wildcard {account}, the token must belong to that account.
func Scope(scope string) Access { return Access{scope: scope} }

// Events asks for a bearer token for the Events API that has the feature, or any such token if it is empty.
func Events(feature string) Access { return Access{events: true, scope: feature} }

// SignedIn asks for a session of a person who has the role.
func SignedIn(role Role) Access { return Access{role: role} }

// Fresh asks in addition for an authentication of a short while ago (see [Principal].Fresh).
func (a Access) Fresh() Access {
	a.fresh = true
	return a
}

// Guest is [Public] for pages that look different to who is signed in: a session is looked up, but
// need not be there.
func Guest(reason string) Access { return Access{public: reason, guest: true} }

// String is the access in words, for the route table that `holdfast doctor` and tests print.
func (a Access) String() string {
	switch {
	case a.events && a.scope == "":
		return "any events token"
	case a.events:
		return "events token with " + a.scope
	case a.scope != "":
		return "scope " + a.scope
	case a.fresh:
		return "role " + string(a.role) + ", fresh"
	case a.role != "":
		return "role " + string(a.role)
	}
	return "public: " + a.public
}

func (a Access) declared() bool { return a.scope != "" || a.events || a.public != "" || a.role != "" }

// browser reports whether the route is for browsers, with cookies, and needs the protection that goes
// with them.
func (a Access) browser() bool { return a.role != "" || a.guest }

// Principal is who a bearer token or a session speaks for.
type Principal struct {
	Actor     string   // as in audit entries: "client:<uuid>", "events_token:<id>" or "user:<id>"
	AccountID string   // the account the token or session is bound to
	Scopes    []string // what the application may do now, not when the token was issued; of an events token its features

	UserID    string // of a session; empty for a token
	SessionID string
	Name      string // as the person is shown
	Email     string
	Account   string // name of the account
	Roles     []Role // what the person may do now
	Fresh     bool   // she has authenticated a short while ago
}

// Has reports whether the person has the role.
func (p Principal) Has(role Role) bool { return slices.Contains(p.Roles, role) }

// Sessions checks session cookies.
type Sessions interface {
	// Session returns whom the session speaks for, read from the database at the time of the call. One
	// that is unknown, ended or expired is a problem of kind Unauthenticated; the principal is then
	// filled in as far as it is known.
	Session(ctx context.Context, token, address string) (Principal, error)
}

// Authorizer checks bearer tokens.
type Authorizer interface {
	// Authorize returns whom the token speaks for, read from the database at the time of the call.
	// A token that is unknown, expired or revoked is a problem of kind Unauthenticated; the
	// principal is then filled in as far as it is known, for the audit log only.
	Authorize(ctx context.Context, token string) (Principal, error)
}

// Refusal is a request that was turned away for want of credentials or permission.
type Refusal struct {
	AccountID string // empty if no account is known
	Actor     string // empty if nobody is known
	Target    string // the route, such as "POST /v1/accounts/{account}/users/{user}:suspend"
	Reason    string // one sentence, without secrets
	Address   string
	RequestID string
}

// RefusalLog records refusals in the audit log.
type RefusalLog interface {
	Refused(ctx context.Context, r Refusal) error
}

// endpoint is what one path offers: handlers by method and custom verb.
type endpoint struct {
	path   string
	form   problem.Form
	verb   string              // name of the last wildcard if routes with custom verbs exist
	routes map[string][]*Route // by custom verb ("" for none), each for another method
}

// compile groups the routes by path and refuses what could not be served safely.
func compile(routes []Route) (map[string]*endpoint, error) {
	byPath := map[string]*endpoint{}
	var errs []error
	for i := range routes {
		r := &routes[i]
		method, path, ok := strings.Cut(r.Pattern, " ")
		if !ok || !strings.HasPrefix(path, "/") {
			errs = append(errs, fmt.Errorf("route %q: the pattern is not of the form \"METHOD /path\"", r.Pattern))
			continue
		}
		if !r.Access.declared() {
			errs = append(errs, fmt.Errorf("route %q: no access is declared; use web.Scope or web.Public with a reason", r.Pattern))
		}
		if r.Handle == nil {
			errs = append(errs, fmt.Errorf("route %q: no handler", r.Pattern))
		}
		path, verb, wildcard := splitVerb(path)
		e := byPath[path]
		if e == nil {
			e = &endpoint{path: path, form: r.Errors, routes: map[string][]*Route{}}
			byPath[path] = e
		}
		if verb != "" {
			e.verb = wildcard
		}
		if slices.ContainsFunc(e.routes[verb], func(o *Route) bool { return strings.HasPrefix(o.Pattern, method+" ") }) {
			errs = append(errs, fmt.Errorf("route %q is declared twice", r.Pattern))
		}
		e.routes[verb] = append(e.routes[verb], r)
	}
	return byPath, errors.Join(errs...)
}

// splitVerb cuts the custom verb off a pattern's path: "/users/{user}:suspend" is "/users/{user}", "suspend", "user".
func splitVerb(path string) (base, verb, wildcard string) {
	i := strings.LastIndex(path, "/{")
	j := strings.LastIndex(path, "}:")
	if i < 0 || j < i {
		return path, "", ""
	}
	return path[:j+1], path[j+2:], path[i+2 : j]
}

// find returns the route for the method and verb, or a problem of kind NotFound or MethodNotAllowed.
func (e *endpoint) find(r *http.Request) (*Route, error) {
	verb := ""
	if e.verb != "" {
		if id, v, ok := strings.Cut(r.PathValue(e.verb), ":"); ok {
			r.SetPathValue(e.verb, id)
			verb = v
		}
	}
	routes, ok := e.routes[verb]
	if !ok {
		if _, verbless := e.routes[""]; verb != "" || verbless {
			return nil, problem.New(problem.NotFound, "no such method: the path ends in a custom verb that does not exist here")
		}
		return nil, problem.New(problem.NotFound, "no such path")
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allow []string
	for _, route := range routes {
		m, _, _ := strings.Cut(route.Pattern, " ")
		if m == method {
			return route, nil
		}
		allow = append(allow, m)
		if m == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	p := problem.New(problem.MethodNotAllowed, "method %s is not allowed here; allowed: %s", printable(r.Method, 20), strings.Join(allow, ", "))
	p.Allow = strings.Join(allow, ", ")
	return nil, p
}
