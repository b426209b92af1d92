package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// floor is what Holdfast is measured against: a bare net/http server that answers the same requests
// with the same JSON. It is what somebody who knows the trade would write if nothing but the answer
// mattered:
//
//   - ServeMux and the handlers below, without middleware, time limits or headers of ours;
//   - the same driver, the same pools with the same settings (the store opens them), every statement
//     prepared once; only the columns that are needed;
//   - get and list: the token's row with its application and secret, then the person or the page by
//     primary key, 101 rows for a page of 100;
//   - token: the application with its secrets, one SHA-256 and a comparison, then one INSERT that
//     commits by itself, not synced to the disk (SQLite NORMAL, PostgreSQL synchronous_commit=off);
//   - suspend: the token, then one transaction of its own that updates the person and inserts the hold,
//     synced to the disk (SQLite FULL, PostgreSQL's default), on the one writing connection.
//
// It leaves out what Holdfast is for: audit log and chain, scopes, the last-owner rule, refusals and
// their limits, log, metrics, request ids, security headers, MACs of page tokens, strict parsing.
type floor struct {
	sql *floorSQL
	now func() time.Time
}

// ServeFloor is the child that serves the floor.
func ServeFloor(ctx context.Context, in io.Reader, out io.Writer, now func() time.Time) (err error) {
	settings := json.NewDecoder(in)
	var s served
	if err := settings.Decode(&s); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	ctx, cancel := untilInputEnds(ctx, in)
	defer cancel()
	statements, err := openFloor(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, statements.close()) }()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	finish, err := s.profile()
	if err != nil {
		return err
	}
	f := floor{sql: statements, now: now}
	server := &http.Server{Handler: f.mux()}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	if err := json.NewEncoder(out).Encode(serving{"http://" + l.Addr().String(), os.Getpid()}); err != nil {
		return err
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	return errors.Join(err, server.Close(), finish())
}

func (f floor) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/accounts/{account}/users", f.list)
	mux.HandleFunc("GET /v1/accounts/{account}/users/{user}", f.get)
	mux.HandleFunc("POST /v1/accounts/{account}/users/{user}", f.change)
	mux.HandleFunc("POST /v1/oauth/token", f.token)
	mux.HandleFunc("POST "+eventsPath, f.events)
	return mux
}

// floorUser has the fields of the contract.
type floorUser struct {
	ID          string `json:"id"`
	Email       string `json:"email"`
	DisplayName string `json:"display_name"`
	State       string `json:"state"`
	CreateTime  string `json:"create_time"`
	Path        string `json:"path"`
}

type floorPage struct {
	Results []floorUser `json:"results"`
	Next    string      `json:"next_page_token,omitempty"`
}

type floorToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
}

func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		fail(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client left; nothing to do
}

func fail(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// allowed reads the token. The floor knows no scopes.
func (f floor) allowed(w http.ResponseWriter, r *http.Request) (clientID string, ok bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	hash := sha256.Sum256([]byte(token))
	clientID, account, err := f.sql.token(r.Context(), hash[:], f.now().UnixMicro())
	if err != nil {
		fail(w, err)
		return "", false
	}
	if account != r.PathValue("account") {
		http.Error(w, "not allowed", http.StatusForbidden)
		return "", false
	}
	return clientID, true
}

func (f floor) get(w http.ResponseWriter, r *http.Request) {
	if _, ok := f.allowed(w, r); !ok {
		return
	}
	u, err := f.sql.user(r.Context(), r.PathValue("account"), r.PathValue("user"))
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, u)
}

func (f floor) list(w http.ResponseWriter, r *http.Request) {
	if _, ok := f.allowed(w, r); !ok {
		return
	}
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("max_page_size"))
	if err != nil {
		fail(w, err)
		return
	}
	var p floorPage
	if p.Results, err = f.sql.users(r.Context(), r.PathValue("account"), query.Get("page_token"), size+1); err != nil {
		fail(w, err)
		return
	}
	if len(p.Results) > size {
		p.Results = p.Results[:size]
		p.Next = p.Results[size-1].ID
	}
	answer(w, p)
}

func (f floor) change(w http.ResponseWriter, r *http.Request) {
	clientID, ok := f.allowed(w, r)
	if !ok {
		return
	}
	id, verb, _ := strings.Cut(r.PathValue("user"), ":")
	var u floorUser
	var err error
	switch verb {
	case "suspend":
		u, err = f.sql.suspend(r.Context(), r.PathValue("account"), id, "client:"+clientID, rand.Text(), f.now().UnixMicro())
	case "reactivate":
		u, err = f.sql.reactivate(r.Context(), r.PathValue("account"), id, f.now().UnixMicro())
	default:
		err = fmt.Errorf("no verb %q", verb)
	}
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, u)
}

func (f floor) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if r.PostFormValue("grant_type") != "client_credentials" {
		http.Error(w, "unsupported_grant_type", http.StatusBadRequest)
		return
	}
	now := f.now()
	known, err := f.sql.secret(r.Context(), id, now.UnixMicro())
	if err != nil {
		fail(w, err)
		return
	}
	if hash := sha256.Sum256([]byte(secret)); subtle.ConstantTimeCompare(hash[:], known.hash) != 1 {
		http.Error(w, "invalid_client", http.StatusUnauthorized)
		return
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails, says its documentation
	token := "hft_" + base64.RawURLEncoding.EncodeToString(random[:])
	hash := sha256.Sum256([]byte(token))
	if err := f.sql.insertToken(r.Context(), hash[:], known.account, id, known.id, now.UnixMicro(), now.Add(900*time.Second).UnixMicro()); err != nil {
		fail(w, err)
		return
	}
	answer(w, floorToken{AccessToken: token, TokenType: "Bearer", ExpiresIn: 900, Scope: "openid"})
}
