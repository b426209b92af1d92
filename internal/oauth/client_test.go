package oauth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
)

func TestNewClientCheck(t *testing.T) {
	good := func(change func(*oauth.NewClient)) oauth.NewClient {
		c := oauth.NewClient{Name: "SOAR", Description: "d", RedirectURL: "https://soar.example.org/cb", Scopes: []string{"list_users"}}
		change(&c)
		return c
	}
	tests := []struct {
		name  string
		in    oauth.NewClient
		field string // refused; empty: accepted
	}{
		{"plain", good(func(*oauth.NewClient) {}), ""},
		{"no_redirect", good(func(c *oauth.NewClient) { c.RedirectURL = "" }), ""},
		{"longest_name", good(func(c *oauth.NewClient) { c.Name = strings.Repeat("a", 100) }), ""},
		{"lines_in_description", good(func(c *oauth.NewClient) { c.Description = "a\nb\tc" }), ""},
		{"other_scripts", good(func(c *oauth.NewClient) { c.Name = "Überwachung 監視 😀" }), ""},
		{"redirect_with_port_and_query", good(func(c *oauth.NewClient) { c.RedirectURL = "https://soar.example.org:8443/cb?x=1" }), ""},
		{"no_name", good(func(c *oauth.NewClient) { c.Name = " \t" }), "name"},
		{"long_name", good(func(c *oauth.NewClient) { c.Name = strings.Repeat("é", 51) }), "name"},
		{"lines_in_name", good(func(c *oauth.NewClient) { c.Name = "a\nb" }), "name"},
		{"bad_utf8", good(func(c *oauth.NewClient) { c.Name = "a\xff" }), "name"},
		{"escape_in_description", good(func(c *oauth.NewClient) { c.Description = "a\x1b[0m" }), "description"},
		{"long_description", good(func(c *oauth.NewClient) { c.Description = strings.Repeat("a", 1001) }), "description"},
		{"plain_redirect", good(func(c *oauth.NewClient) { c.RedirectURL = "http://soar.example.org" }), "redirect_url"},
		{"no_scope", good(func(c *oauth.NewClient) { c.Scopes = nil }), "scopes"},
		{"unknown_scope", good(func(c *oauth.NewClient) { c.Scopes = []string{"list_users", "admin"} }), "scopes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.in.Check()
			p, _ := errors.AsType[*problem.Error](err)
			if (err == nil) != (tt.field == "") || err != nil && (p == nil || p.Kind != problem.Invalid || p.Field != tt.field) {
				t.Errorf("Check = %v, want a problem with %q", err, tt.field)
			}
		})
	}
	mine := []string{"suspend_users", "get_user", "suspend_users"}
	c := good(func(c *oauth.NewClient) { c.Name, c.Scopes = " SOAR ", mine })
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"get_user", "suspend_users"}, c.Scopes); diff != "" || c.Name != "SOAR" {
		t.Errorf("checked %+v", c)
	}
	if diff := cmp.Diff([]string{"suspend_users", "get_user", "suspend_users"}, mine); diff != "" {
		t.Errorf("the caller's slice was changed (-was +is):\n%s", diff)
	}
}

func TestTokenAlive(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	live := func(change func(*oauth.TokenState)) oauth.TokenState {
		s := oauth.TokenState{Token: oauth.Token{ExpiresAt: now.Add(time.Second)}}
		change(&s)
		return s
	}
	tests := []struct {
		name  string
		state oauth.TokenState
		want  string // in the problem; empty: alive
	}{
		{"alive", live(func(*oauth.TokenState) {}), ""},
		{"secret_ends_later", live(func(s *oauth.TokenState) { s.SecretEndsAt = now.Add(time.Nanosecond) }), ""},
		{"expired_now", live(func(s *oauth.TokenState) { s.ExpiresAt = now }), "expired"},
		{"revoked", live(func(s *oauth.TokenState) { s.RevokedAt = now.Add(-time.Hour) }), "token was revoked"},
		{"revoked_by_a_clock_ahead", live(func(s *oauth.TokenState) { s.RevokedAt = now.Add(time.Hour) }), "token was revoked"},
		{"application", live(func(s *oauth.TokenState) { s.ClientRevokedAt = now }), "application was revoked"},
		{"secret_ends_now", live(func(s *oauth.TokenState) { s.SecretEndsAt = now }), "rotated out"},
		{"never_issued", oauth.TokenState{}, "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.state.Alive(now)
			if (err == nil) != (tt.want == "") || err != nil && (!problem.Is(err, problem.Unauthenticated) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Alive = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	later, before := now.Add(time.Hour), now.Add(-time.Hour)
	tests := []struct {
		name   string
		others []oauth.SecretInfo
		end    time.Time
		ok     bool
	}{
		{"first_rotation", []oauth.SecretInfo{{}}, later, true},
		{"dead_ones_do_not_count", []oauth.SecretInfo{{EndsAt: before}, {EndsAt: now}, {}}, later, true},
		{"third", []oauth.SecretInfo{{EndsAt: later}, {}}, later, false},
		{"third_without_overlap", []oauth.SecretInfo{{EndsAt: later}, {}}, now, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := oauth.CheckOverlap(tt.others, tt.end, now)
			if (err == nil) != tt.ok || err != nil && !problem.Is(err, problem.Conflict) {
				t.Errorf("CheckOverlap = %v, want success %t", err, tt.ok)
			}
		})
	}
	r := newRig(t)
	for overlap, ok := range map[time.Duration]bool{-time.Second: false, 0: true, 720 * time.Hour: true, 721 * time.Hour: false} {
		if _, err := r.service.Rotate(t.Context(), "A", r.id, overlap, audit.Entry{}); (err == nil) != ok {
			t.Errorf("Rotate with an overlap of %v: %v", overlap, err)
		}
	}
}
