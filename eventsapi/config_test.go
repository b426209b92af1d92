package eventsapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"holdfast/eventsapi"
)

func TestNew(t *testing.T) {
	aud := func(v string) string { return testToken(`{"aud":` + v + `}`) }
	tests := []struct {
		name string
		cfg  eventsapi.Config
		base string
		want []string // parts of the error; none: it is accepted
	}{
		{name: "of_the_token", cfg: eventsapi.Config{Token: goodToken()}, base: "https://" + host},
		{name: "with_a_port", cfg: eventsapi.Config{Token: aud(`["[2001:db8::7]:8443","other.example.org"]`)}, base: "https://[2001:db8::7]:8443"},
		{name: "a_single_audience", cfg: eventsapi.Config{Token: aud(`"holdfast.example.com"`)}, base: "https://holdfast.example.com"},
		{name: "configured", cfg: eventsapi.Config{Token: goodToken(), BaseURL: "https://proxy.example.org/events/"}, base: "https://proxy.example.org/events"},
		{name: "loopback", cfg: eventsapi.Config{Token: goodToken(), BaseURL: "http://127.0.0.1:8443"}, base: "http://127.0.0.1:8443"},
		{name: "old_token_configured", cfg: eventsapi.Config{Token: aud(`["com.1password.streamingservice"]`), BaseURL: "https://events.1password.eu"}, base: "https://events.1password.eu"},

		{name: "nothing", want: []string{"Config.Token is empty"}},
		{name: "old_token", cfg: eventsapi.Config{Token: aud(`["com.1password.streamingservice"]`)}, want: []string{"BaseURL is empty", "old kind"}},
		{name: "no_audience", cfg: eventsapi.Config{Token: testToken(`{}`)}, want: []string{"BaseURL is empty", "names no server"}},
		{name: "empty_audience", cfg: eventsapi.Config{Token: aud(`[]`)}, want: []string{"BaseURL is empty"}},
		{name: "audience_with_path", cfg: eventsapi.Config{Token: aud(`["example.org/elsewhere"]`)}, want: []string{"more than a host"}},
		{name: "audience_with_user", cfg: eventsapi.Config{Token: aud(`["holdfast.example.com@example.org"]`)}, want: []string{"claim aud", "no user name"}},
		{name: "audience_is_an_address", cfg: eventsapi.Config{Token: aud(`["https://example.org"]`)}, want: []string{"claim aud"}},
		{name: "audience_is_no_host", cfg: eventsapi.Config{Token: aud(`[""]`)}, want: []string{"claim aud"}},
		{name: "plain_http", cfg: eventsapi.Config{Token: goodToken(), BaseURL: "http://holdfast.example.com"}, want: []string{"use https"}},
		{name: "scheme", cfg: eventsapi.Config{Token: goodToken(), BaseURL: "ftp://holdfast.example.com"}, want: []string{"use https"}},
		{name: "no_url", cfg: eventsapi.Config{Token: goodToken(), BaseURL: "https://holdfast.example.com:many"}, want: []string{"is no URL"}},
		{name: "no_host", cfg: eventsapi.Config{Token: goodToken(), BaseURL: "https:///api"}, want: []string{"name a host"}},
		{name: "query", cfg: eventsapi.Config{Token: goodToken(), BaseURL: "https://holdfast.example.com/?a=b"}, want: []string{"no query"}},
		{name: "password", cfg: eventsapi.Config{Token: goodToken(), BaseURL: "https://me:hunter2@holdfast.example.com"}, want: []string{"no user name"}},
		{name: "everything_at_once",
			cfg: eventsapi.Config{
				Token: "ops_eyJzZWNyZXQiOjF9", BaseURL: "holdfast.example.com", UserAgent: "Acme\n", MaxRetryWait: -1, Timeout: -1, PollInterval: -1, LongPoll: time.Millisecond,
			},
			want: []string{"Token is no signed JWT", "BaseURL", "UserAgent", "MaxRetryWait", "Timeout", "PollInterval", "LongPoll"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := eventsapi.New(tt.cfg)
			if len(tt.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if got := c.BaseURL(); got != tt.base {
					t.Errorf("BaseURL = %q, want %q", got, tt.base)
				}
				return
			}
			if err == nil {
				t.Fatalf("accepted, with the address %s", c.BaseURL())
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in the error:\n%v", part, err)
				}
			}
			noToken(t, err.Error(), tt.cfg.Token)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a password is in the error: %v", err)
			}
		})
	}
}

// noToken wants no part of the token in a text.
func noToken(t *testing.T, text, token string) {
	t.Helper()
	for part := range strings.SplitSeq(token, ".") {
		if part != "" && strings.Contains(text, part) {
			t.Errorf("the token shows in:\n%s", text)
		}
	}
}

// TestNothingShowsTheToken: neither of Config nor of Client, however they are printed.
func TestNothingShowsTheToken(t *testing.T) {
	cfg := eventsapi.Config{Token: goodToken()}
	c, err := eventsapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, v := range []any{cfg, &cfg, c, *c, struct{ C any }{cfg}, []eventsapi.Config{cfg}, struct{ c *eventsapi.Client }{c}, struct{ c eventsapi.Client }{*c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			_, _ = fmt.Fprintf(&b, verb+"\n", v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		b.Write(text)
		slog.New(slog.NewTextHandler(&b, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "v", v)
	}
	noToken(t, b.String(), goodToken())
	if !strings.Contains(b.String(), "(hidden)") || !strings.Contains(b.String(), "eventsapi.Client{BaseURL: https://"+host+"}") {
		t.Errorf("the texts do not say what they are about:\n%s", b.String())
	}
}

// TestErrorText: one line, with what a ticket needs.
func TestErrorText(t *testing.T) {
	tests := []struct {
		err  eventsapi.Error
		want string
	}{
		{eventsapi.Error{Op: "read auditevents", Message: "Position.Limit is 7000"}, "eventsapi: read auditevents: Position.Limit is 7000"},
		{eventsapi.Error{Op: "read auditevents", StatusCode: 401, Message: "revoked", RequestID: "REQ7", Tries: 1}, "eventsapi: read auditevents: 401 revoked (request REQ7)"},
		{eventsapi.Error{Op: "read auditevents", StatusCode: 503, Message: "busy", RequestID: "REQ7", Tries: 5, Err: errors.New("stopped")}, "eventsapi: read auditevents: 503 busy: stopped (request REQ7, 5 tries)"},
		{eventsapi.Error{Op: "read auditevents", Tries: 2, Err: errors.New("refused")}, "eventsapi: read auditevents: refused (2 tries)"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
