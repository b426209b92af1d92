package respond_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
)

func cloud() respond.TargetConfig {
	return respond.TargetConfig{BaseURL: "https://holdfast.example.org/", AccountID: "T4JX7QZL2VNRWB6KMPSDCYGH5E", ClientID: "6f1c2d7e-94ab-4c61-b0de-52f3a8e91764"}
}

// TestTargetConfig: what is refused, by which field, and that the secret does not show.
func TestTargetConfig(t *testing.T) {
	const secret = "very-secret"
	at := func(base string) func(*respond.NewTarget) {
		return func(n *respond.NewTarget) { n.Config.BaseURL = base }
	}
	tests := []struct {
		name  string
		edit  func(*respond.NewTarget)
		field string // empty: taken
	}{
		{"good", func(*respond.NewTarget) {}, ""},
		{"loopback", at("http://127.0.0.1:8080"), ""},
		{"called_local", func(n *respond.NewTarget) { n.Name = respond.LocalTarget }, "name"},
		{"called_nothing", func(n *respond.NewTarget) { n.Name = "" }, "name"},
		{"kind_local", func(n *respond.NewTarget) { n.Kind = respond.KindLocal }, "kind"},
		{"kind", func(n *respond.NewTarget) { n.Kind = "ldap" }, "kind"},
		{"no_address", at(""), "base_url"},
		{"http", at("http://holdfast.example.org"), "base_url"},
		{"http_of_a_name_for_loopback", at("http://localhost.example.org"), "base_url"},
		{"metadata", at("https://169.254.169.254"), "base_url"},
		{"metadata_mapped", at("https://[::ffff:169.254.169.254]"), "base_url"},
		{"password", at("https://a:b@holdfast.example.org"), "base_url"},
		{"query", at("https://holdfast.example.org/?x=1"), "config"},
		{"file", at("file:///etc"), "base_url"},
		{"account", func(n *respond.NewTarget) { n.Config.AccountID = "" }, "account_id"},
		{"account_of_a_path", func(n *respond.NewTarget) { n.Config.AccountID = ".." }, "config"},
		{"client", func(n *respond.NewTarget) { n.Config.ClientID = "" }, "client_id"},
		{"secret", func(n *respond.NewTarget) { n.Secret = seal.Secret{} }, "secret"},
		{"secret_with_line", func(n *respond.NewTarget) { n.Secret = seal.NewSecret(secret + "\n") }, "config"},
		{"ca", func(n *respond.NewTarget) { n.Config.CA = "nothing" }, "ca"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &respond.Targets{Store: &shelf{}, Keys: keys(t), Now: time.Now}
			n := respond.NewTarget{Name: "cloud", Kind: respond.KindUsersAPI, Config: cloud(), Secret: seal.NewSecret(secret)}
			tt.edit(&n)
			made, err := s.Add(t.Context(), "HERE", n, by())
			p, _ := errors.AsType[*problem.Error](err)
			if tt.field == "" && err != nil || tt.field != "" && (p == nil || p.Field != tt.field) {
				t.Errorf("%v, want a problem in %q", err, tt.field)
			}
			if text := fmt.Sprintf("%v %s %s", err, made.Config, made.Secret); strings.Contains(text, secret) {
				t.Errorf("the secret shows: %s", text)
			}
		})
	}
}

// TestTargetChange: the secret goes nowhere else unless it is said again, and what was opened is opened anew.
func TestTargetChange(t *testing.T) {
	s := &respond.Targets{Store: &shelf{}, Keys: keys(t), Now: time.Now}
	if _, err := s.Add(t.Context(), "HERE", respond.NewTarget{Name: "cloud", Kind: respond.KindUsersAPI, Config: cloud(), Secret: seal.NewSecret("one")}, by()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), "HERE", respond.NewTarget{Name: "cloud", Kind: respond.KindUsersAPI, Config: cloud(), Secret: seal.NewSecret("one")}, by()); !problem.Is(err, problem.Conflict) {
		t.Errorf("the same name: %v", err)
	}
	open := func() respond.Target {
		t.Helper()
		x, err := s.Open(t.Context(), "HERE", "cloud")
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	first := open()
	if first != open() {
		t.Error("opened twice without a change")
	}
	elsewhere := cloud()
	elsewhere.BaseURL = "https://elsewhere.example.org"
	_, err := s.Update(t.Context(), "HERE", "cloud", elsewhere, seal.Secret{}, by())
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Field != "secret" {
		t.Errorf("elsewhere without the secret: %v", err)
	}
	if first != open() {
		t.Error("a change that was refused has changed something")
	}
	for _, secret := range []string{"two", "three", ""} { // at another place, another one there, and nothing new
		x, err := s.Update(t.Context(), "HERE", "cloud", elsewhere, seal.NewSecret(secret), by())
		if c, bad := x.Settings(); err != nil || bad != nil || c.BaseURL != elsewhere.BaseURL {
			t.Errorf("%q: %v %v %+v", secret, err, bad, c)
		}
	}
	if first == open() {
		t.Error("opened as it was before the change")
	}
	if err := s.Remove(t.Context(), "HERE", "cloud", by()); err != nil {
		t.Error(err)
	}
	if _, err := s.Open(t.Context(), "HERE", "cloud"); !problem.Is(err, problem.NotFound) {
		t.Errorf("after removal: %v", err)
	}
}
