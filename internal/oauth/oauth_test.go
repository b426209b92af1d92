package oauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// one is a store with one application, which can be made to fail.
type one struct {
	oauth.Store // what is not told here is not called

	id     string
	secret oauth.StoredSecret
	fail   error // of everything
	noLog  error // of AppendRefusal alone

	mu      sync.Mutex
	issued  []oauth.Token
	refused []audit.Entry
}

func (o *one) CreateClient(context.Context, oauth.Client, oauth.SecretInfo, seal.Hash, audit.Entry) error {
	return o.fail
}

func (o *one) Client(context.Context, string, string) (oauth.Client, error) {
	return oauth.Client{}, o.fail
}
func (o *one) Clients(context.Context, string) ([]oauth.Client, error) { return nil, o.fail }

func (o *one) RotateSecret(_ context.Context, _, id string, s oauth.SecretInfo, _ seal.Hash, end time.Time, _ audit.Entry) (oauth.Client, error) {
	return oauth.Client{ID: id, Secrets: []oauth.SecretInfo{{ID: o.secret.ID, EndsAt: end}, s}}, o.fail
}
func (o *one) RevokeClient(context.Context, string, string, audit.Entry) error { return o.fail }

func (o *one) LiveSecrets(_ context.Context, id string, _ time.Time) (oauth.ClientSecrets, error) {
	switch {
	case o.fail != nil:
		return oauth.ClientSecrets{}, o.fail
	case id != o.id:
		return oauth.ClientSecrets{}, problem.New(problem.NotFound, "no application")
	}
	return oauth.ClientSecrets{AccountID: "A", Secrets: []oauth.StoredSecret{o.secret}}, nil
}

func (o *one) IssueToken(_ context.Context, t oauth.Token, _ audit.Entry) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.issued = append(o.issued, t)
	return o.fail
}

func (o *one) Token(_ context.Context, hash seal.Hash) (oauth.TokenState, error) {
	for _, t := range o.issued {
		if t.Hash == hash {
			return oauth.TokenState{Token: t, Scopes: []string{"get_user"}}, o.fail
		}
	}
	return oauth.TokenState{}, errors.Join(o.fail, problem.New(problem.NotFound, "no such token"))
}

func (o *one) RevokeToken(context.Context, string, string, seal.Hash, audit.Entry) (bool, error) {
	return false, o.fail
}

func (o *one) AppendRefusal(_ context.Context, _ string, e audit.Entry) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refused = append(o.refused, e)
	return errors.Join(o.fail, o.noLog)
}

// rig is the endpoints over such a store.
type rig struct {
	*one
	service *oauth.Service
	h       http.Handler
	text    string // the secret
}

func newRig(t testing.TB) rig {
	t.Helper()
	secret, hash := seal.NewCredential(oauth.SecretPrefix)
	r := rig{one: &one{id: "6f1c2d7e-94ab-4c61-b0de-52f3a8e91764", secret: oauth.StoredSecret{ID: "S", Hash: hash}}, text: secret.Reveal()}
	r.service = &oauth.Service{Store: r.one, Limits: oauth.NewLimits(time.Now), Issuer: "https://h.example", Audience: "https://h.example", Now: time.Now}
	h, err := web.New(web.Config{Routes: r.service.Routes(), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	r.h = h
	return r
}

const formType = "application/x-www-form-urlencoded"

func (r rig) post(path, contentType, body string, authorization ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", "/v1/oauth/"+path, strings.NewReader(body))
	req.Header["Content-Type"] = []string{contentType}
	if len(authorization) > 0 {
		req.Header["Authorization"] = authorization
	}
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, req)
	return w
}

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

func TestClientCredentials(t *testing.T) {
	const grant = "grant_type=client_credentials"
	r := newRig(t)
	id, secret := r.id, r.text
	percent := func(s string) string { // everything encoded, as a careful client may
		var b strings.Builder
		for _, c := range []byte(s) {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
		}
		return b.String()
	}
	body := func(id, secret string) string {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}.Encode()
	}
	tests := []struct {
		name   string
		body   string
		header []string
		want   int
		code   string
	}{
		{"basic", grant, []string{basic(id + ":" + secret)}, 200, ""},
		{"basic_other_case", grant, []string{"bAsIc " + strings.TrimPrefix(basic(id+":"+secret), "Basic ")}, 200, ""},
		{"basic_form_encoded", grant, []string{basic(percent(id) + ":" + percent(secret))}, 200, ""},
		{"basic_spaces", grant, []string{"Basic   " + strings.TrimPrefix(basic(id+":"+secret), "Basic ") + " "}, 200, ""},
		{"body", body(id, secret), nil, 200, ""},
		{"both_equal", body(id, secret), []string{basic(id + ":" + secret)}, 200, ""},
		{"basic_and_id", body(id, ""), []string{basic(id + ":" + secret)}, 200, ""},
		{"basic_and_secret", body("", secret), []string{basic(id + ":" + secret)}, 200, ""},
		{"both_differ", body(id, "x"), []string{basic(id + ":" + secret)}, 400, "invalid_request"},
		{"ids_differ", body(uuid.NewString(), secret), []string{basic(id + ":" + secret)}, 400, "invalid_request"},
		{"two_headers", grant, []string{basic(id + ":" + secret), basic(id + ":" + secret)}, 400, "invalid_request"},
		{"bearer", grant, []string{"Bearer " + secret}, 400, "invalid_request"},
		{"no_base64", grant, []string{"Basic *"}, 400, "invalid_request"},
		{"url_base64", grant, []string{"Basic -_-_"}, 400, "invalid_request"},
		{"no_colon", grant, []string{basic(id)}, 400, "invalid_request"},
		{"scheme_alone", grant, []string{"Basic"}, 400, "invalid_request"},
		{"empty_header", grant, []string{""}, 400, "invalid_request"},
		{"colon_alone", grant, []string{basic(":")}, 401, "invalid_client"},
		{"colon_in_secret", grant, []string{basic(id + ":" + secret + ":x")}, 401, "invalid_client"},
		{"secret_with_space", grant, []string{basic(id + ":" + secret + " ")}, 401, "invalid_client"},
		{"id_in_capitals", grant, []string{basic(strings.ToUpper(id) + ":" + secret)}, 401, "invalid_client"},
		{"id_in_braces", grant, []string{basic("{" + id + "}:" + secret)}, 401, "invalid_client"},
		{"id_as_urn", grant, []string{basic("urn%3Auuid%3A" + id + ":" + secret)}, 401, "invalid_client"},
		{"encoded_twice", grant, []string{basic(id + ":" + percent(percent(secret)))}, 401, "invalid_client"},
		{"nothing", grant, nil, 401, "invalid_client"},
		{"id_alone", body(id, ""), nil, 401, "invalid_client"},
		{"secret_alone", body("", secret), nil, 401, "invalid_client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t) // limits of its own
			r.one.secret.Hash, _ = seal.ParseCredential(oauth.SecretPrefix, secret)
			w := r.post("token", formType, tt.body, tt.header...)
			if w.Code != tt.want || tt.code != "" && !strings.Contains(w.Body.String(), `"error":"`+tt.code+`"`) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tt.want, tt.code)
			}
			if got := w.Header().Get("WWW-Authenticate") != ""; got != (tt.want == 401) {
				t.Errorf("a challenge is sent: %t", got)
			}
			if len(r.issued)+len(r.refused) != 1 || len(r.issued) == 1 != (tt.want == 200) {
				t.Errorf("%d tokens issued, %d refusals recorded", len(r.issued), len(r.refused))
			}
		})
	}
}

func TestIssuedToken(t *testing.T) {
	r := newRig(t)
	w := r.post("token", formType+"; charset=utf-8", "grant_type=client_credentials&scope=openid", basic(r.id+":"+r.text))
	if w.Code != 200 || w.Header().Get("Pragma") != "no-cache" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	got := r.issued[0]
	if got.AccountID != "A" || got.ClientID != r.id || got.SecretID != "S" || got.ExpiresAt.Sub(got.IssuedAt) != 900*time.Second || got.IssuedAt.Location() != time.UTC {
		t.Errorf("token %+v", got)
	}
	_, token, _ := strings.Cut(w.Body.String(), `"access_token":"`)
	token, _, _ = strings.Cut(token, `"`)
	if hash, err := seal.ParseCredential(oauth.TokenPrefix, token); err != nil || hash != got.Hash {
		t.Errorf("what is stored is not the hash of what was sent: %v", err)
	}
	p, err := r.service.Authorize(t.Context(), token)
	if diff := cmp.Diff(web.Principal{Actor: "client:" + r.id, AccountID: "A", Scopes: []string{"get_user"}}, p); err != nil || diff != "" {
		t.Errorf("authorize: %v\n%s", err, diff)
	}
	for name, text := range map[string]string{"cut": token[:len(token)-1], "secret": r.text, "empty": "", "spaces": " " + token} {
		if _, err := r.service.Authorize(t.Context(), text); !problem.Is(err, problem.Unauthenticated) || strings.Contains(err.Error(), token[8:30]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFaults: when the database fails nothing is granted, and nothing is passed over in silence.
func TestFaults(t *testing.T) {
	fault := errors.New("disk on fire")
	busy := problem.New(problem.Unavailable, "try again")
	tests := []struct {
		name        string
		fail, noLog error
		secret      bool // the right one
		want        int
	}{
		{"fault", fault, nil, true, 500},
		{"busy", busy, nil, true, 503},
		{"fault_wrong_secret", fault, nil, false, 500},
		{"refusal_not_recorded", nil, fault, false, 500},
		{"refusal_not_recorded_busy", nil, busy, false, 503},
		{"right_secret_needs_no_record", nil, fault, true, 200},
	}
	for _, tt := range tests {
		for _, path := range []string{"token", "revoke", "introspect"} {
			t.Run(tt.name+"_"+path, func(t *testing.T) {
				r := newRig(t)
				r.fail, r.noLog = tt.fail, tt.noLog
				secret := r.text
				if !tt.secret {
					secret += "x"
				}
				token, _ := seal.NewCredential(oauth.TokenPrefix)
				w := r.post(path, formType, "grant_type=client_credentials&token="+token.Reveal(), basic(r.id+":"+secret))
				if w.Code != tt.want || strings.Contains(w.Body.String(), "fire") {
					t.Errorf("%d %s, want %d", w.Code, w.Body, tt.want)
				}
			})
		}
	}
}

// FuzzEndpoint: no header and no body makes a fault, and nothing but the right credentials gets a token.
func FuzzEndpoint(f *testing.F) {
	r := newRig(f)
	right := basic(r.id + ":" + r.text)
	f.Add(right, formType, "grant_type=client_credentials")
	f.Add("", formType+"; charset=UTF-8", "grant_type=client_credentials&client_id="+r.id+"&client_secret="+r.text)
	f.Add(right, formType, "grant_type=client_credentials&client_secret=x")
	f.Add("Basic OjpA", "text/plain", "a=%zz&a;b")
	f.Add("basic  "+right[6:], `application/x-www-form-urlencoded; charset="us-ascii"`, "grant_type=client_credentials&scope=%20openid+")
	f.Add("Bearer x", formType, "=&&&=%00")
	f.Fuzz(func(t *testing.T, authorization, contentType, body string) {
		for _, path := range []string{"token", "revoke", "introspect"} {
			r.issued, r.refused = nil, nil
			r.service.Limits = oauth.NewLimits(time.Now)
			var header []string
			if authorization != "" {
				header = []string{authorization}
			}
			w := r.post(path, contentType, body, header...)
			if w.Code >= 500 || w.Code >= 300 && w.Code < 400 {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
			if n := len(r.refused); w.Code >= 400 && w.Code != http.StatusRequestEntityTooLarge && n != 1 || w.Code == 200 && n != 0 {
				t.Fatalf("%s: %d refusals for status %d", path, n, w.Code)
			}
			for _, e := range r.refused {
				if strings.Contains(e.Reason+e.Target, r.text) || e.Target != "" && e.Target != "client:"+r.id && uuid.Validate(strings.TrimPrefix(e.Target, "client:")) != nil {
					t.Fatalf("entry %+v", e)
				}
			}
			if w.Code == http.StatusOK && !presents(r, authorization, body) {
				t.Fatalf("%s was answered 200 to %q, %q", path, authorization, body)
			}
		}
	})
}

// presents reports, apart from how the endpoint reads them, whether the credentials are there.
func presents(r rig, authorization, body string) bool {
	if len(authorization) > 6 {
		text, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(authorization[6:]))
		plain, err := url.QueryUnescape(string(text))
		if string(text) == r.id+":"+r.text || err == nil && plain == r.id+":"+r.text {
			return true
		}
	}
	values, _ := url.ParseQuery(body)
	return values.Get("client_id") == r.id && values.Get("client_secret") == r.text
}
