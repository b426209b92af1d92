package usersapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/usersapi"
)

// ids runs the list to its end.
func ids(ctx context.Context, c *usersapi.Client, filter usersapi.Filter) ([]string, error) {
	var out []string
	for u, err := range c.Users(ctx, filter) {
		if err != nil {
			return out, err
		}
		out = append(out, u.ID)
	}
	return out, nil
}

func numbered(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, personID(i))
	}
	return out
}

func TestUsers(t *testing.T) {
	tests := []struct {
		name      string
		people    int
		pageSize  int
		filter    usersapi.Filter
		suspended []int
		want      []string
		pages     int
	}{
		{name: "nobody", people: 0, want: nil, pages: 1},
		{name: "one_page", people: 30, want: numbered(0, 30), pages: 1},
		{name: "several_pages", people: 23, pageSize: 5, want: numbered(0, 23), pages: 5},
		{name: "full_last_page", people: 20, pageSize: 5, want: numbered(0, 20), pages: 4},
		{name: "more_than_the_largest_page", people: 1500, want: numbered(0, 1500), pages: 2},
		{name: "only_suspended", people: 9, pageSize: 2, filter: usersapi.OnlySuspended, suspended: []int{1, 4, 7}, want: []string{personID(1), personID(4), personID(7)}, pages: 2},
		{name: "only_active", people: 4, filter: usersapi.OnlyActive, suspended: []int{1, 2}, want: []string{personID(0), personID(3)}, pages: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(tt.people)
			for _, i := range tt.suspended {
				f.people[i].State = usersapi.Suspended
			}
			c := f.start(t, func(cfg *usersapi.Config) { cfg.PageSize = tt.pageSize })
			for round := range 2 { // a loop begins anew each time
				got, err := ids(t.Context(), c, tt.filter)
				if err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("round %d (-want +got):\n%s", round, diff)
				}
			}
			if got := f.requests("/users"); got != 2*tt.pages {
				t.Errorf("asked for %d pages in two rounds, want %d", got, 2*tt.pages)
			}
			if got := f.requests("/token"); got != 1 {
				t.Errorf("asked for %d tokens, want 1", got)
			}
		})
	}
}

func TestUsersStopsWithTheLoop(t *testing.T) {
	f := newFake(100)
	c := f.start(t, func(cfg *usersapi.Config) { cfg.PageSize = 10 })
	for u, err := range c.Users(t.Context(), usersapi.Everybody) {
		if err != nil || u.ID != personID(0) {
			t.Fatalf("first = %q, %v", u.ID, err)
		}
		break
	}
	if got := f.requests("/users"); got != 1 {
		t.Errorf("asked for %d pages, want 1", got)
	}
}

func TestUsersEndsWithTheError(t *testing.T) {
	f := newFake(30)
	c := f.start(t, func(cfg *usersapi.Config) { cfg.PageSize = 10 })
	f.breakAt("/users", func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 3 {
			rpcError(w, http.StatusForbidden, 7, "the scope was withdrawn")
		}
		return n == 3
	})
	got, err := ids(t.Context(), c, usersapi.Everybody)
	if diff := cmp.Diff(numbered(0, 20), got); diff != "" {
		t.Errorf("people before the error (-want +got):\n%s", diff)
	}
	if !errors.Is(err, usersapi.ErrForbidden) {
		t.Errorf("err = %v, want ErrForbidden", err)
	}
}

func TestUsersRefusesAnEndlessList(t *testing.T) {
	f := newFake(1)
	f.breakAt("/users", func(n int, w http.ResponseWriter, _ *http.Request) bool {
		reply(w, http.StatusOK, map[string]any{"results": []any{}, "next_page_token": string("ab"[n%2])})
		return true
	})
	c := f.start(t, nil)
	if _, err := ids(t.Context(), c, usersapi.Everybody); err == nil || !strings.Contains(err.Error(), "never end") {
		t.Errorf("err = %v, want one that speaks of an endless list", err)
	}
}

func TestSuspendAndReactivate(t *testing.T) {
	for _, version := range []usersapi.APIVersion{"", usersapi.V1, usersapi.V1Beta1} {
		t.Run("version_"+string(version), func(t *testing.T) {
			f := newFake(3)
			c := f.start(t, func(cfg *usersapi.Config) { cfg.APIVersion = version })
			want := f.people[1]
			steps := []struct {
				do    func(context.Context, string) (usersapi.User, error)
				state usersapi.State
			}{
				{c.User, usersapi.Active}, {c.Suspend, usersapi.Suspended}, {c.Suspend, usersapi.Suspended},
				{c.User, usersapi.Suspended}, {c.Reactivate, usersapi.Active}, {c.Reactivate, usersapi.Active}, {c.User, usersapi.Active},
			}
			for i, step := range steps {
				got, err := step.do(t.Context(), want.ID)
				if err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				want.State = step.state
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("step %d (-want +got):\n%s", i, diff)
				}
			}
			if err := c.Revoke(t.Context()); err != nil {
				t.Errorf("Revoke: %v", err)
			}
			prefix := "/v1/"
			if version == usersapi.V1Beta1 {
				prefix = "/v1beta1/"
			}
			for _, a := range f.asked {
				if _, path, _ := strings.Cut(a, " "); !strings.HasPrefix(path, prefix) {
					t.Errorf("asked %s, want only paths below %s", a, prefix)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	f := newFake(3)
	f.owner, f.managed = personID(0), personID(1)
	c := f.start(t, nil)
	stranger := dial(t, baseURL(t, f), func(cfg *usersapi.Config) { cfg.AccountID = "AAAAAAAAAAAAAAAAAAAAAAAAAA" })
	impostor := dial(t, baseURL(t, f), func(cfg *usersapi.Config) { cfg.ClientSecret = "hfs_wrong" })

	all := []error{
		usersapi.ErrInvalid, usersapi.ErrUnauthorized, usersapi.ErrInvalidClient, usersapi.ErrForbidden, usersapi.ErrLastOwner,
		usersapi.ErrExternallyManaged, usersapi.ErrNotFound, usersapi.ErrRateLimited, usersapi.ErrUnavailable, usersapi.ErrOutcomeUnknown,
	}
	one := func(do func(context.Context, string) (usersapi.User, error), id string) func(context.Context) error {
		return func(ctx context.Context) error { _, err := do(ctx, id); return err }
	}
	tests := []struct {
		name string
		do   func(context.Context) error
		want []error // and none of the others
		text string
	}{
		{"unknown_person", one(c.User, personID(9)), []error{usersapi.ErrNotFound}, `usersapi: get user "K7QWZP3M5XNB2RTYDHCVFAEAAJ": 404 no user "K7QWZP3M5XNB2RTYDHCVFAEAAJ" (request REQ7)`},
		{"last_owner", one(c.Suspend, personID(0)), []error{usersapi.ErrForbidden, usersapi.ErrLastOwner}, `usersapi: suspend user "K7QWZP3M5XNB2RTYDHCVFAEAAA": 403 no_owner_remain (request REQ7)`},
		{"externally_managed", one(c.Suspend, personID(1)), []error{usersapi.ErrForbidden, usersapi.ErrExternallyManaged}, ""},
		{"other_account", one(stranger.User, personID(2)), []error{usersapi.ErrNotFound}, ""},
		{"bad_filter", func(ctx context.Context) error { _, err := ids(ctx, c, "user.isOwner()"); return err }, []error{usersapi.ErrInvalid}, ""},
		{"wrong_secret", one(impostor.Suspend, personID(2)), []error{usersapi.ErrUnauthorized, usersapi.ErrInvalidClient},
			`usersapi: suspend user "K7QWZP3M5XNB2RTYDHCVFAEAAC": get a token: 401 invalid_client: client authentication failed (request REQ7)`},
		{"empty_id", one(c.Suspend, ""), []error{usersapi.ErrInvalid}, `usersapi: suspend user "": the user ID is empty`},
		{"dots", one(c.User, ".."), []error{usersapi.ErrInvalid}, ""},
		{"id_with_verb", one(c.User, personID(2)+":suspend"), []error{usersapi.ErrInvalid}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			var got []error
			for _, sentinel := range all {
				if errors.Is(err, sentinel) {
					got = append(got, sentinel)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("err = %v\nis   %v\nwant %v", err, got, tt.want)
			}
			if tt.text != "" && err.Error() != tt.text {
				t.Errorf("text\n got %s\nwant %s", err, tt.text)
			}
			if _, ok := errors.AsType[*usersapi.Error](err); !ok {
				t.Errorf("err is a %T, want *usersapi.Error", err)
			}
		})
	}
	if f.people[2].State != usersapi.Active {
		t.Error("a refused call suspended somebody")
	}
}

// baseURL serves the fake under one more address, without the contract: for clients that are wrong on purpose.
func baseURL(t *testing.T, f *fake) string {
	t.Helper()
	srv := httptest.NewServer(f.front(f.routes()))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestErrorFields(t *testing.T) {
	f := newFake(1)
	f.owner = personID(0)
	c := f.start(t, nil)
	_, err := c.Suspend(t.Context(), f.owner)
	got, ok := errors.AsType[*usersapi.Error](err)
	if !ok {
		t.Fatalf("err = %v", err)
	}
	want := &usersapi.Error{Op: `suspend user "` + f.owner + `"`, StatusCode: 403, Code: 7, Message: "no_owner_remain", RequestID: "REQ7", Tries: 1}
	if diff := cmp.Diff(*want, *got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// TestIDsAreEscaped: whatever an ID holds, it stays one segment of the path.
func TestIDsAreEscaped(t *testing.T) {
	const odd = "a/b?c#d e%2Fé"
	var got string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			reply(w, 200, map[string]any{"access_token": "t", "token_type": "bearer"})
			return
		}
		got = r.URL.EscapedPath()
		reply(w, 200, usersapi.User{ID: odd, State: usersapi.Suspended})
	}))
	defer srv.Close()
	c := dial(t, srv.URL+"/prefix/", func(cfg *usersapi.Config) { cfg.AccountID = "x/y" })
	if _, err := c.Suspend(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	if want := "/prefix/v1/accounts/x%2Fy/users/a%2Fb%3Fc%23d%20e%252F%C3%A9:suspend"; got != want {
		t.Errorf("path\n got %s\nwant %s", got, want)
	}
}

func TestRequestHeaders(t *testing.T) {
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			got = r.Header
			body, _ := io.ReadAll(r.Body)
			if string(body) != "grant_type=client_credentials" {
				t.Errorf("token form = %q", body)
			}
			reply(w, 200, map[string]any{"access_token": "t1", "token_type": "bearer", "expires_in": 900})
			return
		}
		if a := r.Header.Get("Authorization"); a != "Bearer t1" {
			t.Errorf("Authorization = %q, want Bearer t1", a)
		}
		if r.ContentLength != 0 || r.Header.Get("Content-Type") != "" {
			t.Errorf("suspend was sent %d bytes of %q, want no body", r.ContentLength, r.Header.Get("Content-Type"))
		}
		reply(w, 200, usersapi.User{ID: "U", State: usersapi.Suspended})
	}))
	defer srv.Close()
	c := dial(t, srv.URL, func(cfg *usersapi.Config) { cfg.UserAgent = "AcmeSOAR/2.1" })
	if _, err := c.Suspend(t.Context(), "U"); err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Accept": {"application/json"}, "User-Agent": {"AcmeSOAR/2.1"}, "Content-Type": {"application/x-www-form-urlencoded"},
	}
	for name := range want {
		if diff := cmp.Diff(want[name], got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	r := http.Request{Header: got}
	if id, s, ok := r.BasicAuth(); !ok || id != clientID || s != secret {
		t.Errorf("Basic credentials arrived as %q (%t)", id, ok)
	}
}

// TestOtherServers: what 1Password and proxies send differs in ways that must not matter.
func TestOtherServers(t *testing.T) {
	const mira = `{"id":"U","email":"mira@example.org","state":"ACTIVE","create_time":"2025-03-02T08:14:00.25+02:00","path":"p","group":["new"],"mfa":{"on":true}}`
	tests := []struct {
		name, token string
		want        string // part of the error; empty for none
	}{
		{"lower_case_type", `{"access_token":"t","token_type":"bearer","expires_in":900}`, ""},
		{"no_type", `{"access_token":"t","expires_in":900}`, ""},
		{"no_lifetime", `{"access_token":"t","token_type":"Bearer"}`, ""},
		{"lifetime_as_text", `{"access_token":"t","token_type":"Bearer","expires_in":"900"}`, ""},
		{"lifetime_as_fraction", `{"access_token":"t","token_type":"Bearer","expires_in":9e2}`, ""},
		{"lifetime_null", `{"access_token":"t","token_type":"Bearer","expires_in":null}`, ""},
		{"more_members", `{"access_token":"t","token_type":"Bearer","expires_in":900,"scope":"openid","id_token":"x"}`, ""},
		{"other_type", `{"access_token":"t","token_type":"DPoP"}`, "not of the type Bearer"},
		{"no_token", `{"token_type":"Bearer"}`, "no token"},
		{"unprintable_token", `{"access_token":"t\r\nX: y","token_type":"Bearer"}`, "no token"},
		{"web_page", `<html>sign in</html>`, "no token response"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/token") {
					_, _ = io.WriteString(w, tt.token)
					return
				}
				_, _ = io.WriteString(w, mira)
			}))
			defer srv.Close()
			got, err := dial(t, srv.URL, nil).User(t.Context(), "U")
			if tt.want != "" {
				if _, ok := errors.AsType[*usersapi.OAuthError](err); !ok || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("err = %v, want an OAuthError with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := usersapi.User{ID: "U", Email: "mira@example.org", State: usersapi.Active, CreateTime: time.Date(2025, 3, 2, 6, 14, 0, 250e6, time.UTC), Path: "p"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStrangeAnswers: what no server of this contract sends ends in an error that says what came.
func TestStrangeAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed a redirect: %s %s with Authorization %t", r.Method, r.URL, r.Header.Get("Authorization") != "")
	}))
	defer elsewhere.Close()
	tests := []struct {
		name    string
		status  int
		header  string
		body    string
		want    string
		unknown bool
	}{
		{"redirect", 307, "Location: " + elsewhere.URL + "/?secret=1", "", "redirects to " + elsewhere.URL + ";", false},
		{"redirect_after_post", 303, "Location: /login", "", "redirects elsewhere", false},
		{"web_page", 200, "Content-Type: text/html", "<html>sign in</html>", `20 bytes of type "text/html"`, true},
		{"empty_object", 200, "", "{}", "no person", true},
		{"empty", 200, "", "", "empty", true},
		{"wrong_state", 200, "", `{"id":"U","state":"ACTIVE"}`, `"ACTIVE" in the answer, not "SUSPENDED"`, true},
		{"cut_off", 200, "", `{"id":"U","sta`, "not in the form", true},
		{"error_page", 403, "Content-Type: text/html", "<h1>blocked</h1>", "is BaseURL right?", false},
		{"error_with_text_code", 403, "", `{"code":"PERMISSION_DENIED","message":"m"}`, "403 m", false},
		{"log_injection", 400, "", `{"code":3,"message":"a\nlevel=ERROR \u001b[31m"}`, "400 a?level=ERROR ?[31m", false},
		{"long_message", 400, "", `{"code":3,"message":"` + strings.Repeat("x", 5000) + `"}`, "xxx…", false},
		{"teapot", 418, "", `{"code":3,"message":"m"}`, "418 m", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(1)
			f.breakAt(":suspend", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				if name, value, ok := strings.Cut(tt.header, ": "); ok {
					w.Header().Set(name, value)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
				return true
			})
			c := f.start(t, nil)
			_, err := c.Suspend(t.Context(), "U")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("err = %v, want it to say %q", err, tt.want)
			}
			if got := errors.Is(err, usersapi.ErrOutcomeUnknown); got != tt.unknown {
				t.Errorf("outcome unknown = %t, want %t: %v", got, tt.unknown, err)
			}
			if n := f.requests(":suspend"); n != 1 {
				t.Errorf("sent %d times, want once", n)
			}
			if len(err.Error()) > 800 || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("the error is no short line: %q", err.Error())
			}
		})
	}
}

func TestAnswersAreBounded(t *testing.T) {
	for _, path := range []string{"/token", ":suspend", "/users"} {
		t.Run(strings.Trim(path, "/:"), func(t *testing.T) {
			f := newFake(1)
			f.breakAt(path, func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				chunk := []byte(strings.Repeat(" ", 1<<20))
				for range 64 {
					if _, err := w.Write(chunk); err != nil {
						return true // the client hung up, as it should
					}
				}
				t.Error("the client read 64 MiB")
				return true
			})
			c := f.start(t, nil)
			var err error
			if path == "/users" {
				_, err = ids(t.Context(), c, usersapi.Everybody)
			} else {
				_, err = c.Suspend(t.Context(), personID(0))
			}
			if err == nil || !strings.Contains(err.Error(), "more than") {
				t.Errorf("err = %v, want one about the size", err)
			}
			if n := f.requests(path); n != 1 {
				t.Errorf("sent %d times, want once", n)
			}
		})
	}
}

func TestUserRoundTripsAsJSON(t *testing.T) {
	want := newFake(1).people[0]
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got usersapi.User
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}
