package directory_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// people is a store that lists made-up people and notes what it was asked. What is not overridden must
// not be called.
type people struct {
	directory.Store
	n     int   // how many there are
	err   error // of everything
	asked []directory.ListQuery
	calls []string
}

// personID makes ids that rise with the number.
func personID(i int) string {
	const digits = "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ" // in the order of their bytes
	return "AAAAAAAAAAAAAAAAAAAAAAAA" + string(digits[i>>5&31]) + string(digits[i&31])
}

func (p *people) ListUsers(_ context.Context, account string, q directory.ListQuery) ([]directory.User, error) {
	p.asked = append(p.asked, q)
	var all []directory.User
	for i := range p.n {
		if id := personID(i); id > q.After && len(all) < q.Limit {
			all = append(all, directory.User{AccountID: account, ID: id, Email: "e", DisplayName: "d", Lifecycle: directory.Active, CreatedAt: time.Unix(0, 0)})
		}
	}
	return all, p.err
}

func (p *people) User(_ context.Context, account, id string) (directory.User, error) {
	p.calls = append(p.calls, "get "+id)
	state := directory.Active
	if strings.HasPrefix(id, "INVITED") {
		state = directory.Invited
	}
	return directory.User{AccountID: account, ID: id, Lifecycle: state}, p.err
}

func (p *people) SuspendUser(_ context.Context, account, id string, h directory.NewHold, by audit.Entry) (directory.User, error) {
	p.calls = append(p.calls, fmt.Sprintf("suspend %s for %s by %s", id, h.Holder, by.Actor))
	return directory.User{AccountID: account, ID: id, Suspended: true}, p.err
}

func (p *people) ReactivateUser(_ context.Context, account, id string, by audit.Entry) (directory.User, error) {
	p.calls = append(p.calls, fmt.Sprintf("reactivate %s by %s", id, by.Actor))
	return directory.User{AccountID: account, ID: id}, p.err
}

// anybody is an authorizer: the token is the account.
type anybody struct{}

func (anybody) Authorize(_ context.Context, token string) (web.Principal, error) {
	return web.Principal{Actor: "client:1", AccountID: token, Scopes: []string{"list_users", "get_user", "suspend_users", "reactivate_users"}}, nil
}

type api struct {
	*people
	service *directory.Service
	h       http.Handler
}

func newAPI(t testing.TB, n int) api {
	t.Helper()
	master, err := seal.OpenMaster("file", t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	keys, _, err := seal.NewKeyring(master)
	if err != nil {
		t.Fatal(err)
	}
	a := api{people: &people{n: n}}
	a.service = &directory.Service{Store: a.people, Keys: keys, Now: time.Now}
	a.h, err = web.New(web.Config{Routes: a.service.Routes(), Authorizer: anybody{}, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a api) do(method, account, rest string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "/", nil)
	path, query, _ := strings.Cut(rest, "?")
	req.URL.Path, req.URL.RawQuery = "/v1/accounts/"+account+"/users"+path, query
	req.Header.Set("Authorization", "Bearer "+account)
	w := httptest.NewRecorder()
	a.h.ServeHTTP(w, req)
	return w
}

type listed struct {
	Results []directory.APIUser `json:"results"`
	Users   []directory.APIUser `json:"users"`
	Next    string              `json:"next_page_token"`
}

func (a api) list(t testing.TB, account, query string) (int, listed) {
	t.Helper()
	w := a.do("GET", account, "?"+query)
	var l listed
	if err := json.Unmarshal(w.Body.Bytes(), &l); w.Code == 200 && err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return w.Code, l
}

func TestListQuery(t *testing.T) {
	tests := []struct {
		name, query string
		want        *directory.ListQuery // nil: refused with 400
	}{
		{"none", "", &directory.ListQuery{Limit: 26}},
		{"filter_active", "filter=user.isActive()", &directory.ListQuery{Limit: 26, State: directory.OnlyActive}},
		{"filter_encoded", "filter=user.isSuspended%28%29", &directory.ListQuery{Limit: 26, State: directory.OnlySuspended}},
		{"filter_empty", "filter=", &directory.ListQuery{Limit: 26}},
		{"size", "max_page_size=7", &directory.ListQuery{Limit: 8}},
		{"size_camel", "maxPageSize=7", &directory.ListQuery{Limit: 8}},
		{"size_both_equal", "maxPageSize=7&max_page_size=7", &directory.ListQuery{Limit: 8}},
		{"size_empty", "max_page_size=&maxPageSize=9", &directory.ListQuery{Limit: 10}},
		{"size_1000", "max_page_size=1000", &directory.ListQuery{Limit: 1001}},
		{"size_over", "max_page_size=1001", &directory.ListQuery{Limit: 1001}},
		{"size_absurd", "max_page_size=" + strings.Repeat("9", 40), &directory.ListQuery{Limit: 1001}},
		{"size_leading_zeros", "max_page_size=0007", &directory.ListQuery{Limit: 8}},
		{"unknown_parameter", "order_by=email", &directory.ListQuery{Limit: 26}},
		{"filter_other", "filter=user.isOwner()", nil},
		{"filter_case", "filter=user.isactive()", nil},
		{"filter_space", "filter=user.isActive()%20", nil},
		{"size_zero", "max_page_size=0", nil},
		{"size_zeros", "max_page_size=000", nil},
		{"size_negative", "max_page_size=-1", nil},
		{"size_plus", "max_page_size=%2B5", nil},
		{"size_float", "max_page_size=1.5", nil},
		{"size_hex", "max_page_size=0x10", nil},
		{"size_arabic_digits", "max_page_size=%D9%A3", nil},
		{"size_both_differ", "maxPageSize=7&max_page_size=8", nil},
		{"size_twice", "max_page_size=7&max_page_size=7", nil},
		{"token_made_up", "page_token=djE6MjU=", nil},
		{"token_no_base64", "page_token=!!!", nil},
		{"not_encoded", "filter=%zz", nil},
		{"semicolon", "filter=a;b", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAPI(t, 0)
			status, _ := a.list(t, "ACCOUNT", tt.query)
			if tt.want == nil {
				if status != 400 || len(a.asked) != 0 {
					t.Errorf("status %d, asked %+v, want 400", status, a.asked)
				}
				return
			}
			if diff := cmp.Diff([]directory.ListQuery{*tt.want}, a.asked); status != 200 || diff != "" {
				t.Errorf("status %d, asked (-want +got):\n%s", status, diff)
			}
		})
	}
}

// TestPages goes through all pages of every size: each person once, tokens only while there is more.
func TestPages(t *testing.T) {
	const n = 37
	a := newAPI(t, n)
	for size := 1; size <= n+1; size++ {
		seen, pages, token := map[string]bool{}, 0, ""
		for {
			status, l := a.list(t, "ACCOUNT", fmt.Sprintf("max_page_size=%d&pageToken=%s", size, url.QueryEscape(token)))
			if status != 200 || len(l.Results) > size || l.Next != "" && len(l.Results) != size || len(l.Next) > 2048 {
				t.Fatalf("size %d, page %d: status %d, %d people, token %q", size, pages, status, len(l.Results), l.Next)
			}
			for _, u := range l.Results {
				if seen[u.ID] {
					t.Fatalf("size %d: %s twice", size, u.ID)
				}
				seen[u.ID] = true
			}
			pages++
			if token = l.Next; token == "" {
				break
			}
		}
		if len(seen) != n || pages != (n+size-1)/size {
			t.Errorf("size %d: %d people on %d pages", size, len(seen), pages)
		}
	}
	if w := newAPI(t, 0).do("GET", "ACCOUNT", ""); w.Body.String() != "{\"results\":[]}\n" {
		t.Errorf("nobody: %s", w.Body)
	}
}

// TestPageTokenIsSealed flips every bit of a token, and takes it to other lists: it is refused each time.
func TestPageTokenIsSealed(t *testing.T) {
	a := newAPI(t, 10)
	_, l := a.list(t, "ACCOUNT", "max_page_size=3&filter=user.isActive()")
	raw, err := base64.URLEncoding.DecodeString(l.Next)
	if err != nil {
		t.Fatal(err)
	}
	try := func(account, token, filter string) int {
		status, _ := a.list(t, account, "filter="+filter+"&page_token="+url.QueryEscape(token))
		return status
	}
	if got := try("ACCOUNT", l.Next, "user.isActive()"); got != 200 {
		t.Fatalf("the token itself: %d", got)
	}
	for bit := range len(raw) * 8 {
		flipped := []byte(string(raw))
		flipped[bit/8] ^= 1 << (bit % 8)
		if got := try("ACCOUNT", base64.URLEncoding.EncodeToString(flipped), "user.isActive()"); got != 400 {
			t.Errorf("with bit %d flipped: %d", bit, got)
		}
	}
	for i := range len(l.Next) * 8 { // and of its text: base64 must have one spelling
		flipped := []byte(l.Next)
		flipped[i/8] ^= 1 << (i % 8)
		if got := try("ACCOUNT", string(flipped), "user.isActive()"); got != 400 {
			t.Errorf("with bit %d of the text flipped: %d", i, got)
		}
	}
	for name, got := range map[string]int{
		"other_account": try("OTHER", l.Next, "user.isActive()"), "other_filter": try("ACCOUNT", l.Next, "user.isSuspended()"), "no_filter": try("ACCOUNT", l.Next, ""),
		"cut": try("ACCOUNT", base64.URLEncoding.EncodeToString(raw[:len(raw)-1]), "user.isActive()"), "longer": try("ACCOUNT", base64.URLEncoding.EncodeToString(append(raw, 0)), "user.isActive()"),
		"unpadded": try("ACCOUNT", strings.TrimRight(l.Next, "=")+"x", "user.isActive()"), "line_break": try("ACCOUNT", l.Next[:10]+"\n"+l.Next[10:], "user.isActive()"),
	} {
		if got != 400 {
			t.Errorf("%s: %d", name, got)
		}
	}
	// Another installation has other keys.
	b := newAPI(t, 10)
	if status, _ := b.list(t, "ACCOUNT", "filter=user.isActive()&page_token="+url.QueryEscape(l.Next)); status != 400 {
		t.Errorf("at another installation: %d", status)
	}
}

func TestOperations(t *testing.T) {
	const id = "K7QWZP3M5XNB2RTYDHCVFAEJ4U"
	tests := []struct {
		name, method, rest string
		err                error
		status             int
		call               string // of the store; empty: none
	}{
		{"get", "GET", "/" + id, nil, 200, "get " + id},
		{"suspend", "POST", "/" + id + ":suspend", nil, 200, "suspend " + id + " for client:1 by client:1"},
		{"reactivate", "POST", "/" + id + ":reactivate", nil, 200, "reactivate " + id + " by client:1"},
		{"get_invited", "GET", "/INVITEDM5XNB2RTYDHCVFAEJ4U", nil, 404, "get INVITEDM5XNB2RTYDHCVFAEJ4U"},
		{"id_in_small_letters", "GET", "/" + strings.ToLower(id), nil, 404, ""},
		{"id_too_short", "POST", "/" + id[1:] + ":suspend", nil, 404, ""},
		{"id_by_email", "GET", "/mira@example.org", nil, 404, ""},
		{"id_empty", "POST", "/:suspend", nil, 404, ""},
		{"other_verb", "POST", "/" + id + ":delete", nil, 404, ""},
		{"two_verbs", "POST", "/" + id + ":suspend:suspend", nil, 404, ""},
		{"verb_in_capitals", "POST", "/" + id + ":Suspend", nil, 404, ""},
		{"last_owner", "POST", "/" + id + ":suspend", directory.ErrLastOwner(), 403, "suspend " + id + " for client:1 by client:1"},
		{"fault", "POST", "/" + id + ":suspend", errors.New("disk"), 500, "suspend " + id + " for client:1 by client:1"},
		{"busy", "GET", "/" + id, problem.New(problem.Unavailable, "busy"), 503, "get " + id},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAPI(t, 0)
			a.err = tt.err
			w := a.do(tt.method, "ACCOUNT", tt.rest)
			var calls []string
			if tt.call != "" {
				calls = []string{tt.call}
			}
			if diff := cmp.Diff(calls, a.calls); w.Code != tt.status || diff != "" {
				t.Errorf("%d %s, calls (-want +got):\n%s", w.Code, w.Body, diff)
			}
		})
	}
}

func TestUsersAlias(t *testing.T) {
	a := newAPI(t, 2)
	if _, l := a.list(t, "ACCOUNT", ""); len(l.Results) != 2 || l.Users != nil {
		t.Errorf("%+v", l)
	}
	a.service.UsersAlias = true
	if _, l := a.list(t, "ACCOUNT", ""); len(l.Results) != 2 || len(l.Users) != 2 {
		t.Errorf("%+v", l)
	}
}

// FuzzList: no query makes a fault, and what a page token lets through was issued here, for this list.
func FuzzList(f *testing.F) {
	a := newAPI(f, 10)
	_, l := a.list(f, "ACCOUNT", "max_page_size=3&filter=user.isActive()")
	issued := l.Next
	f.Add("filter=user.isActive()&page_token=" + url.QueryEscape(issued))
	f.Add("filter=user.isActive()&pageToken=" + issued + "&maxPageSize=2")
	f.Add("filter=&page_token=" + issued)
	f.Add("max_page_size=99999999999999999999&maxPageSize=%31")
	f.Add("filter=%zz&a;b&=&&page_token=%00")
	f.Fuzz(func(t *testing.T, query string) {
		a.asked = nil
		w := a.do("GET", "ACCOUNT", "?"+query)
		if w.Code != 200 && w.Code != 400 && w.Code != 429 {
			t.Fatalf("%q: %d %s", query, w.Code, w.Body)
		}
		if w.Code != 200 {
			if len(a.asked) > 0 {
				t.Fatalf("%q: refused after the database was asked", query)
			}
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q is accepted: %v", query, err)
		}
		q := a.asked[0]
		if q.Limit < 2 || q.Limit > 1001 {
			t.Fatalf("%q: limit %d", query, q.Limit)
		}
		if q.After != "" && values.Get("page_token") != issued && values.Get("pageToken") != issued {
			t.Fatalf("%q: a token that was never issued leads to %q", query, q.After)
		}
		if q.After != "" && q.State != directory.OnlyActive {
			t.Fatalf("%q: a token of another filter is accepted", query)
		}
	})
}
