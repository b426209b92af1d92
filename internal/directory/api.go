package directory

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// Scopes of an OAuth application, one for each operation.
const (
	ScopeList       = "list_users"
	ScopeGet        = "get_user"
	ScopeSuspend    = "suspend_users"
	ScopeReactivate = "reactivate_users"
)

// Service serves the Users API.
type Service struct {
	Store      Store
	Keys       *seal.Keyring // makes page tokens tamper-evident
	UsersAlias bool          // lists carry "users" beside "results", for clients that read the former
	Now        func() time.Time
}

// Routes lists the Users API, in both URL generations of the contract.
func (s *Service) Routes() []web.Route {
	var routes []web.Route
	for _, version := range []string{"v1", "v1beta1"} {
		users := "/" + version + "/accounts/{account}/users"
		routes = append(routes,
			web.Route{Pattern: "GET " + users, Access: web.Scope(ScopeList), Errors: problem.RPC, Handle: s.list},
			web.Route{Pattern: "GET " + users + "/{user}", Access: web.Scope(ScopeGet), Errors: problem.RPC, Handle: s.get},
			web.Route{Pattern: "POST " + users + "/{user}:suspend", Access: web.Scope(ScopeSuspend), Errors: problem.RPC, Handle: s.suspend},
			web.Route{Pattern: "POST " + users + "/{user}:reactivate", Access: web.Scope(ScopeReactivate), Errors: problem.RPC, Handle: s.reactivate},
		)
	}
	return routes
}

// APIUser is a person as the Users API shows one: six fields, no others.
type APIUser struct {
	ID          string `json:"id"`
	Email       string `json:"email"`
	DisplayName string `json:"display_name"`
	State       string `json:"state"`       // "ACTIVE" or "SUSPENDED"
	CreateTime  string `json:"create_time"` // RFC 3339, UTC, whole seconds
	Path        string `json:"path"`        // "accounts/<account>/users/<user>"
}

// API is the person as the Users API shows one.
func (u User) API() APIUser {
	state := "ACTIVE"
	if u.Suspended {
		state = "SUSPENDED"
	}
	return APIUser{
		ID: u.ID, Email: u.Email, DisplayName: u.DisplayName, State: state,
		CreateTime: u.CreatedAt.UTC().Format("2006-01-02T15:04:05Z"),
		Path:       "accounts/" + u.AccountID + "/users/" + u.ID,
	}
}

// page is the answer to a list.
type page struct {
	Results       []APIUser `json:"results"`
	Users         []APIUser `json:"users,omitempty"`
	NextPageToken string    `json:"next_page_token,omitempty"`
}

func (s *Service) list(w http.ResponseWriter, r *http.Request) error {
	account := r.PathValue("account")
	q, err := s.listQuery(r, account)
	if err != nil {
		return err
	}
	limit := q.Limit
	q.Limit++ // one more tells whether there is a next page
	users, err := s.Store.ListUsers(r.Context(), account, q)
	if err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	var p page
	if len(users) > limit {
		users = users[:limit]
		p.NextPageToken = s.pageToken(account, q.State, users[limit-1].ID)
	}
	p.Results = make([]APIUser, len(users))
	for i, u := range users {
		p.Results[i] = u.API()
	}
	if s.UsersAlias {
		p.Users = p.Results
	}
	return web.JSON(w, http.StatusOK, p)
}

func (s *Service) get(w http.ResponseWriter, r *http.Request) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	u, err := s.Store.User(r.Context(), r.PathValue("account"), id)
	if err != nil {
		return fmt.Errorf("get user %q: %w", id, err)
	}
	if u.Lifecycle != Active { // platforms see neither who is only invited nor who is gone
		return ErrNoUser(id)
	}
	return web.JSON(w, http.StatusOK, u.API())
}

func (s *Service) suspend(w http.ResponseWriter, r *http.Request) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	by := audit.By(r, audit.UserSuspend, "user:"+id)
	u, err := s.Store.SuspendUser(r.Context(), r.PathValue("account"), id, NewHold{Holder: by.Actor}, by)
	if err != nil {
		return fmt.Errorf("suspend user %q: %w", id, err)
	}
	return web.JSON(w, http.StatusOK, u.API())
}

func (s *Service) reactivate(w http.ResponseWriter, r *http.Request) error {
	id, err := userID(r)
	if err != nil {
		return err
	}
	u, err := s.Store.ReactivateUser(r.Context(), r.PathValue("account"), id, audit.By(r, audit.UserReactivate, "user:"+id))
	if err != nil {
		return fmt.Errorf("reactivate user %q: %w", id, err)
	}
	return web.JSON(w, http.StatusOK, u.API())
}

// userID is the {user} of the path. What is no id at all gets the answer of an unknown one.
func userID(r *http.Request) (string, error) {
	id := r.PathValue("user")
	if !seal.ValidID(id) {
		return "", problem.New(problem.NotFound, "no such user: a user id has 26 characters A-Z and 2-7")
	}
	web.RecordOf(r.Context()).Target = "user:" + id
	return id, nil
}

// filters are the only expressions of the contract.
var filters = map[string]StateFilter{
	"": AnyState, "user.isActive()": OnlyActive, "user.isSuspended()": OnlySuspended,
}

// The page sizes of the contract.
const (
	defaultPage = 25
	largestPage = 1000
)

// listQuery reads the parameters of a list, in either spelling: snake_case as documented, camelCase
// as Kibana sends it.
func (s *Service) listQuery(r *http.Request, account string) (ListQuery, error) {
	values, err := web.Query(r, "filter", "max_page_size", "maxPageSize", "page_token", "pageToken")
	if err != nil {
		return ListQuery{}, err
	}
	q := ListQuery{Limit: defaultPage}
	state, ok := filters[values.Get("filter")]
	if !ok {
		return q, problem.InField("filter", "the filter is not known; use user.isActive() or user.isSuspended(), or leave it out for both")
	}
	q.State = state
	size, err := either(values, "max_page_size", "maxPageSize")
	if err != nil {
		return q, err
	}
	if size != "" {
		if q.Limit, err = pageSize(size); err != nil {
			return q, err
		}
	}
	token, err := either(values, "page_token", "pageToken")
	if err != nil || token == "" {
		return q, err
	}
	q.After, err = s.openPageToken(account, state, token)
	return q, err
}

// either is the value given under one of two spellings; under both only if they agree.
func either(values map[string][]string, snake, camel string) (string, error) {
	var a, b string
	if v := values[snake]; len(v) > 0 {
		a = v[0]
	}
	if v := values[camel]; len(v) > 0 {
		b = v[0]
	}
	switch {
	case a != "" && b != "" && a != b:
		return "", problem.InField(snake, "%s and %s are both given and differ; give one", snake, camel)
	case a != "":
		return a, nil
	}
	return b, nil
}

// pageSize reads a number from 1 up; more than the largest page is the largest page.
func pageSize(s string) (int, error) {
	digits := strings.TrimLeft(s, "0")
	if digits == "" || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, problem.InField("max_page_size", "max_page_size must be a whole number from 1 to %d", largestPage)
	}
	n := 0
	for _, d := range digits {
		if n = n*10 + int(d-'0'); n >= largestPage {
			return largestPage, nil
		}
	}
	return n, nil
}
