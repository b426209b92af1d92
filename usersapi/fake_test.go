package usersapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/internal/server/servertest"
	"holdfast/usersapi"
)

const (
	account  = "T4JX7QZL2VNRWB6KMPSDCYGH5E"
	clientID = "6f1c2d7e-94ab-4c61-b0de-52f3a8e91764"
	secret   = "hfs_InventedForThisTestOnlyAndNeverIssued000000000000"
)

// fake is a small server that keeps to the contract: start wraps it so that every exchange is held
// against the OpenAPI document. Faults are injected in front of it, where a proxy would be.
type fake struct {
	life int // of tokens, in seconds

	mu      sync.Mutex
	people  []usersapi.User
	owner   string          // who cannot be suspended
	managed string          // nor this one
	issued  int             // tokens so far
	live    map[string]bool // tokens
	asked   []string        // requests, as "METHOD path?query"
	agents  []string
	fault   func(w http.ResponseWriter, r *http.Request) (handled bool) // nil: none
}

func newFake(people int) *fake {
	f := &fake{life: 900, live: map[string]bool{}}
	for i := range people {
		id := personID(i)
		f.people = append(f.people, usersapi.User{
			ID: id, Email: fmt.Sprintf("p%d@example.org", i), DisplayName: fmt.Sprintf("Person %d", i), State: usersapi.Active,
			CreateTime: time.Date(2025, 3, 2, 8, 14, i, 0, time.UTC), Path: "accounts/" + account + "/users/" + id,
		})
	}
	return f
}

// personID is the ID of the i-th person: base32 letters only.
func personID(i int) string {
	id := []byte("K7QWZP3M5XNB2RTYDHCVFAEAAA")
	for at := len(id) - 1; i > 0; at-- {
		id[at] = byte('A' + i%26)
		i /= 26
	}
	return string(id)
}

// start serves the fake and makes a client for it. edit may be nil.
func (f *fake) start(t testing.TB, edit func(*usersapi.Config)) *usersapi.Client {
	t.Helper()
	srv := httptest.NewServer(f.front(servertest.Contract(t, f.routes())))
	t.Cleanup(srv.Close)
	return dial(t, srv.URL, edit)
}

// front injects faults and takes notes.
func (f *fake) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.RequestURI())
		f.agents = append(f.agents, r.UserAgent())
		fault := f.fault
		f.mu.Unlock()
		if fault == nil || !fault(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// requests is how many requests had a path that ends so.
func (f *fake) requests(suffix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.asked {
		path, _, _ := strings.Cut(a, "?")
		if strings.HasSuffix(path, suffix) {
			n++
		}
	}
	return n
}

// breakAt sets what happens to the requests whose path ends so, by their number from 1.
func (f *fake) breakAt(suffix string, fault func(n int, w http.ResponseWriter, r *http.Request) bool) {
	n := 0
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, suffix) {
			return false
		}
		f.mu.Lock()
		n++
		now := n
		f.mu.Unlock()
		return fault(now, w, r)
	}
}

func dial(t testing.TB, baseURL string, edit func(*usersapi.Config)) *usersapi.Client {
	t.Helper()
	cfg := usersapi.Config{BaseURL: baseURL, AccountID: account, ClientID: clientID, ClientSecret: secret, MaxRetryWait: 5 * time.Millisecond}
	if edit != nil {
		edit(&cfg)
	}
	c, err := usersapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (f *fake) routes() http.Handler {
	mux := http.NewServeMux()
	for version, oauth := range map[string]string{"/v1": "/v1/oauth", "/v1beta1": "/v1beta1/users/oauth2"} {
		mux.HandleFunc("POST "+oauth+"/token", f.token)
		mux.HandleFunc("POST "+oauth+"/revoke", f.revoke)
		mux.HandleFunc("GET "+version+"/accounts/{account}/users", f.list)
		mux.HandleFunc(version+"/accounts/{account}/users/{user}", f.one)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Request-Id", "REQ7")
		w.Header().Set("Cache-Control", "no-store")
		f.mu.Lock()
		defer f.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func rpcError(w http.ResponseWriter, status, code int, message string) {
	reply(w, status, map[string]any{"code": code, "message": message, "details": []any{}})
}

func (f *fake) authenticated(w http.ResponseWriter, r *http.Request) bool {
	if id, s, ok := r.BasicAuth(); ok && id == clientID && s == secret {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="holdfast"`)
	reply(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": "client authentication failed"})
	return false
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("grant_type") != "client_credentials" {
		reply(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
		return
	}
	if !f.authenticated(w, r) {
		return
	}
	f.issued++
	value := fmt.Sprintf("hft_InventedForThisTestOnlyAndNeverIssued%012d", f.issued)
	f.live[value] = true
	reply(w, http.StatusOK, map[string]any{"access_token": value, "token_type": "Bearer", "expires_in": f.life, "scope": "openid"})
}

func (f *fake) revoke(w http.ResponseWriter, r *http.Request) {
	token := r.FormValue("token")
	if f.authenticated(w, r) {
		delete(f.live, token)
	}
}

func (f *fake) allowed(w http.ResponseWriter, r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case scheme != "Bearer" || !f.live[token]:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		rpcError(w, http.StatusUnauthorized, 16, "the access token is not valid")
	case r.PathValue("account") != account:
		rpcError(w, http.StatusNotFound, 5, "no such account")
	default:
		return true
	}
	return false
}

func (f *fake) list(w http.ResponseWriter, r *http.Request) {
	if !f.allowed(w, r) {
		return
	}
	q := r.URL.Query()
	people := f.people
	switch q.Get("filter") {
	case "":
	case "user.isActive()":
		people = slices.DeleteFunc(slices.Clone(people), func(u usersapi.User) bool { return u.State != usersapi.Active })
	case "user.isSuspended()":
		people = slices.DeleteFunc(slices.Clone(people), func(u usersapi.User) bool { return u.State != usersapi.Suspended })
	default:
		rpcError(w, http.StatusBadRequest, 3, "the filter is not known")
		return
	}
	size, _ := strconv.Atoi(q.Get("max_page_size"))
	from, _ := strconv.Atoi(strings.TrimPrefix(q.Get("page_token"), "after="))
	to := min(from+size, len(people))
	out := map[string]any{"results": append([]usersapi.User{}, people[from:to]...)}
	if to < len(people) {
		out["next_page_token"] = fmt.Sprintf("after=%d", to)
	}
	reply(w, http.StatusOK, out)
}

func (f *fake) one(w http.ResponseWriter, r *http.Request) {
	id, verb, _ := strings.Cut(r.PathValue("user"), ":")
	want := map[string]string{"": "GET", "suspend": "POST", "reactivate": "POST"}[verb]
	if r.Method != want {
		w.Header().Set("Allow", want)
		rpcError(w, http.StatusMethodNotAllowed, 12, "method not allowed")
		return
	}
	if !f.allowed(w, r) {
		return
	}
	i := slices.IndexFunc(f.people, func(u usersapi.User) bool { return u.ID == id })
	switch {
	case i < 0:
		rpcError(w, http.StatusNotFound, 5, fmt.Sprintf("no user %q", id))
		return
	case verb == "suspend" && id == f.owner:
		rpcError(w, http.StatusForbidden, 7, "no_owner_remain")
		return
	case verb == "suspend" && id == f.managed:
		rpcError(w, http.StatusForbidden, 7, "externally_managed")
		return
	case verb == "suspend":
		f.people[i].State = usersapi.Suspended
	case verb == "reactivate":
		f.people[i].State = usersapi.Active
	}
	reply(w, http.StatusOK, f.people[i])
}
