package usersapi_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"holdfast/usersapi"
)

func valid() usersapi.Config {
	return usersapi.Config{BaseURL: "https://holdfast.example.com", AccountID: account, ClientID: clientID, ClientSecret: secret}
}

func TestNewChecksTheConfiguration(t *testing.T) {
	tests := []struct {
		name string
		edit func(*usersapi.Config)
		want []string // parts of the error; none: it is accepted
	}{
		{"valid", func(*usersapi.Config) {}, nil},
		{"prefix", func(c *usersapi.Config) { c.BaseURL = "https://example.com/holdfast/" }, nil},
		{"loopback_name", func(c *usersapi.Config) { c.BaseURL = "http://localhost:8080" }, nil},
		{"loopback_v4", func(c *usersapi.Config) { c.BaseURL = "http://127.9.9.9" }, nil},
		{"loopback_v6", func(c *usersapi.Config) { c.BaseURL = "http://[::1]:8080" }, nil},
		{"beta", func(c *usersapi.Config) { c.APIVersion = usersapi.V1Beta1 }, nil},
		{"own_paths", func(c *usersapi.Config) { c.TokenPath, c.RevokePath = "/oauth/issue", "/oauth/end" }, nil},
		{"no_retries", func(c *usersapi.Config) { c.MaxRetries = -5 }, nil},

		{"empty", func(c *usersapi.Config) { *c = usersapi.Config{} }, []string{"BaseURL", "AccountID", "ClientID", "ClientSecret"}},
		{"plain_http", func(c *usersapi.Config) { c.BaseURL = "http://holdfast.example.com" }, []string{"BaseURL", "use https"}},
		{"plain_http_looks_local", func(c *usersapi.Config) { c.BaseURL = "http://localhost.example.com" }, []string{"use https"}},
		{"plain_http_private", func(c *usersapi.Config) { c.BaseURL = "http://10.0.0.1" }, []string{"use https"}},
		{"other_scheme", func(c *usersapi.Config) { c.BaseURL = "ftp://example.com" }, []string{`"ftp"`}},
		{"no_scheme", func(c *usersapi.Config) { c.BaseURL = "holdfast.example.com" }, []string{"name a host"}},
		{"opaque", func(c *usersapi.Config) { c.BaseURL = "https:example.com" }, []string{"name a host"}},
		{"query", func(c *usersapi.Config) { c.BaseURL = "https://example.com?a=b" }, []string{"no query"}},
		{"empty_query", func(c *usersapi.Config) { c.BaseURL = "https://example.com?" }, []string{"no query"}},
		{"fragment", func(c *usersapi.Config) { c.BaseURL = "https://example.com#a" }, []string{"no query"}},
		{"user_in_url", func(c *usersapi.Config) { c.BaseURL = "https://id:" + secret + "@example.com" }, []string{"user name"}},
		{"broken_user_in_url", func(c *usersapi.Config) { c.BaseURL = "https://id:" + secret + "%zz@example.com" }, []string{"BaseURL"}},
		{"account_with_verb", func(c *usersapi.Config) { c.AccountID = "A:b" }, []string{"AccountID"}},
		{"account_dots", func(c *usersapi.Config) { c.AccountID = ".." }, []string{"AccountID"}},
		{"client_with_colon", func(c *usersapi.Config) { c.ClientID = "a:b" }, []string{"ClientID"}},
		{"secret_with_line_break", func(c *usersapi.Config) { c.ClientSecret = secret + "\n" }, []string{"ClientSecret", "line break"}},
		{"agent_with_line_break", func(c *usersapi.Config) { c.UserAgent = "a\r\nX: y" }, []string{"UserAgent"}},
		{"version", func(c *usersapi.Config) { c.APIVersion = "v2" }, []string{"APIVersion", `"v2"`}},
		{"token_path", func(c *usersapi.Config) { c.TokenPath = "oauth/token" }, []string{"TokenPath", "slash"}},
		{"token_path_query", func(c *usersapi.Config) { c.TokenPath = "/t?a=b" }, []string{"TokenPath"}},
		{"page_size", func(c *usersapi.Config) { c.PageSize = 1001 }, []string{"PageSize", "1001"}},
		{"negative_page_size", func(c *usersapi.Config) { c.PageSize = -1 }, []string{"PageSize"}},
		{"negative_times", func(c *usersapi.Config) { c.Timeout, c.MaxRetryWait = -1, -1 }, []string{"Timeout", "MaxRetryWait"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := valid()
			tt.edit(&cfg)
			c, err := usersapi.New(cfg)
			if (err == nil) != (tt.want == nil) || (c == nil) == (err == nil) {
				t.Fatalf("New = %v, %v; want success %t", c, err, tt.want == nil)
			}
			for _, part := range tt.want {
				if !contains(err.Error(), part) {
					t.Errorf("err = %v\nwant it to mention %q", err, part)
				}
			}
			if err != nil && contains(err.Error(), secret) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestPathsOfTokens(t *testing.T) {
	tests := []struct {
		name          string
		edit          func(*usersapi.Config)
		token, revoke string
	}{
		{"default", func(*usersapi.Config) {}, "/v1/oauth/token", "/v1/oauth/revoke"},
		{"beta", func(c *usersapi.Config) { c.APIVersion = usersapi.V1Beta1 }, "/v1beta1/users/oauth2/token", "/v1beta1/users/oauth2/revoke"},
		{"own_token_path", func(c *usersapi.Config) { c.TokenPath = "/x/token" }, "/x/token", "/x/revoke"},
		{"own_paths", func(c *usersapi.Config) { c.TokenPath, c.RevokePath = "/issue", "/end" }, "/issue", "/end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			c := dial(t, "https://holdfast.example.com/p", func(cfg *usersapi.Config) {
				tt.edit(cfg)
				cfg.HTTPClient = &http.Client{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					got = append(got, r.URL.Path)
					reply(w, 200, map[string]any{"access_token": "t", "id": "U"})
				})}}
			})
			if _, err := c.User(t.Context(), "U"); err != nil {
				t.Fatal(err)
			}
			if err := c.Revoke(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got[0] != "/p"+tt.token || got[len(got)-1] != "/p"+tt.revoke {
				t.Errorf("asked for %q, want /p%s first and /p%s last", got, tt.token, tt.revoke)
			}
		})
	}
}

// TestSecretsAreNeverShown formats, marshals and logs everything that a caller holds, after a server has
// sent back whatever it was sent.
func TestSecretsAreNeverShown(t *testing.T) {
	const token = "hft_InventedForThisTestOnlyAndNeverIssued000000000001"
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		auth := r.Header.Get("Authorization")
		_, plain, _ := r.BasicAuth()
		said := auth + " " + plain + " " + r.Form.Encode() + " " + url.QueryEscape(plain)
		switch {
		case strings.HasSuffix(r.URL.Path, "/token") && r.Header.Get("User-Agent") == "good":
			reply(w, 200, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 900})
		case strings.HasPrefix(r.URL.Path, "/v1/oauth"):
			reply(w, 401, map[string]string{"error": said, "error_description": said})
		default:
			rpcError(w, 403, 7, said)
		}
	})
	var log strings.Builder
	cfg := valid()
	cfg.HTTPClient = &http.Client{Transport: inMemory{echo}}
	cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	bad, err := usersapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.UserAgent = "good"
	good, err := usersapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, tokenErr := bad.User(t.Context(), "U")
	_, userErr := good.Suspend(t.Context(), "U")
	revokeErr := good.Revoke(t.Context())
	oauthErr, _ := errors.AsType[*usersapi.OAuthError](tokenErr)
	apiErr, _ := errors.AsType[*usersapi.Error](userErr)
	if oauthErr == nil || apiErr == nil || revokeErr == nil || !contains(apiErr.Message, "Bearer (hidden)") {
		t.Fatalf("errors = %v; %v; %v: want all three, with what was hidden marked", tokenErr, userErr, revokeErr)
	}

	values := map[string]any{
		"config": cfg, "config_pointer": &cfg, "client": good, "client_value": *good,
		"in_struct": struct {
			C      usersapi.Config
			Client *usersapi.Client
			hidden *usersapi.Client
			value  usersapi.Client
		}{cfg, good, good, *good},
		"in_slice":    []any{cfg, good, *good},
		"token_error": tokenErr, "oauth_error": oauthErr, "oauth_error_value": *oauthErr,
		"user_error": userErr, "api_error_value": *apiErr, "revoke_error": revokeErr,
	}
	never := []string{
		secret, token, fmt.Sprintf("%x", secret), fmt.Sprintf("%x", token),
		base64.StdEncoding.EncodeToString([]byte(clientID + ":" + secret)),
	}
	check := func(where, text string) {
		t.Helper()
		for _, s := range never {
			if contains(strings.ToLower(text), strings.ToLower(s)) {
				t.Errorf("%s shows %q: %s", where, s, text)
			}
		}
	}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%o", "%U"} {
			check(name+" "+verb, fmt.Sprintf(verb, v))
		}
		if text, err := json.Marshal(v); err == nil {
			check(name+" as JSON", string(text))
		}
		if text, err := xml.Marshal(v); err == nil {
			check(name+" as XML", string(text))
		}
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).Info("test", "v", v)
		}
	}
	check("the log", log.String())
	check("String", cfg.String()+cfg.GoString()+good.String()+good.GoString())
	if got := fmt.Sprintf("%+v", cfg); !contains(got, account) || !contains(got, "(hidden)") {
		t.Errorf("a Config prints as %q, want it to be of use all the same", got)
	}
	if got, want := fmt.Sprint(good), "usersapi.Client{BaseURL: https://holdfast.example.com, AccountID: "+account+", ClientID: "+clientID+"}"; got != want {
		t.Errorf("a Client prints as %q, want %q", got, want)
	}
	cfg.BaseURL = "https://id:" + secret + "@example.com"
	check("a Config with the secret in the wrong place", fmt.Sprint(cfg))
}

// FuzzAnswers: whatever a server answers, the client returns, and its error is one readable line.
func FuzzAnswers(f *testing.F) {
	f.Add(uint16(200), "application/json", "", `{"access_token":"t","token_type":"bearer","expires_in":900}`, `{"id":"U","state":"SUSPENDED"}`)
	f.Add(uint16(403), "application/json", "7", `{"error":"invalid_client","error_description":"d"}`, `{"code":7,"message":"no_owner_remain","details":[]}`)
	f.Add(uint16(503), "text/html", "Wed, 21 Oct 2026 07:28:00 GMT", `{"access_token":"t","expires_in":"1e999"}`, "\xff\x00\n")
	f.Add(uint16(307), "", "-1", `{"access_token":"t"}`, `{"results":[{"id":"U"}],"next_page_token":"x"}`)
	f.Fuzz(func(t *testing.T, status uint16, mediaType, retryAfter, tokenAnswer, answer string) {
		status = 200 + status%400
		c := dial(t, "https://holdfast.example.com", func(cfg *usersapi.Config) {
			cfg.MaxRetries, cfg.MaxRetryWait = 1, time.Nanosecond
			cfg.HTTPClient = &http.Client{Transport: inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = []string{mediaType}
				w.Header()["Retry-After"] = []string{retryAfter}
				w.Header()["Location"] = []string{answer}
				w.Header()["Request-Id"] = []string{answer}
				if strings.HasSuffix(r.URL.Path, "/token") {
					_, _ = w.Write([]byte(tokenAnswer))
					return
				}
				w.WriteHeader(int(status))
				_, _ = w.Write([]byte(answer))
			})}}
		})
		u, err := c.Suspend(t.Context(), "U")
		if (err == nil) != (u.ID != "" && u.State == usersapi.Suspended) {
			t.Errorf("Suspend = %+v, %v: success and a suspended person must come together", u, err)
		}
		_, listErr := ids(t.Context(), c, usersapi.Everybody)
		for _, err := range []error{err, listErr, c.Revoke(t.Context())} {
			if err == nil {
				continue
			}
			if text := err.Error(); strings.ContainsAny(text, "\n\r\x1b\x00") || len(text) > 2000 {
				t.Errorf("the error is no short line: %q", text)
			}
		}
	})
}
