package eventsapi_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/eventsapi"
)

func TestParseClaims(t *testing.T) {
	enc := base64.RawURLEncoding.EncodeToString
	head, body := enc([]byte(`{"alg":"ES256"}`)), enc([]byte(`{"aud":["a.example.org"]}`))
	tests := []struct {
		name, token string
		want        eventsapi.Claims
		err         string // part of it
	}{
		{name: "full", token: testToken(`{"aud":["a.example.org:8443","b"],"1password.com/fts":["itemusages","new"],"iat":1770800400,"exp":1778576400.5}`),
			want: eventsapi.Claims{
				Audience: []string{"a.example.org:8443", "b"}, Features: []eventsapi.Feature{eventsapi.FeatureItemUsages, "new"},
				IssuedAt: time.Date(2026, 2, 11, 9, 0, 0, 0, time.UTC), Expires: time.Date(2026, 5, 12, 9, 0, 0, 0, time.UTC),
			}},
		{name: "one_audience", token: testToken(`{"aud":"a.example.org"}`), want: eventsapi.Claims{Audience: []string{"a.example.org"}}},
		{name: "odd_dates", token: testToken(`{"iat":"yesterday","exp":1e300}`)},
		{name: "odd_features", token: testToken(`{"1password.com/fts":{"itemusages":true}}`)},

		{name: "empty", err: "is empty"},
		{name: "line_break", token: goodToken() + "\n", err: "line break"},
		{name: "opaque", token: "hfe_InventedForThisTestOnly", err: "no signed JWT"},
		{name: "five_parts", token: strings.Repeat(body+".", 4) + body, err: "no signed JWT"},
		{name: "no_signature", token: head + "." + body + ".", err: "no signed JWT"},
		{name: "padding", token: head + "." + body + "==.c2ln", err: "base64url"},
		{name: "other_alphabet", token: head + "." + body + ".a+/b", err: "base64url"},
		{name: "no_header", token: enc([]byte(`[]`)) + "." + body + ".c2ln", err: "algorithm"},
		{name: "no_algorithm", token: enc([]byte(`{}`)) + "." + body + ".c2ln", err: "algorithm"},
		{name: "no_object", token: testToken(`["aud"]`), err: "no JSON object"},
		{name: "null", token: testToken(`null`), err: "no JSON object"},
		{name: "cut_off", token: testToken(`{"aud":["a.exa`), err: "no JSON object"},
		{name: "audience_of_numbers", token: testToken(`{"aud":[1]}`), err: "aud"},
		{name: "too_long", token: testToken(`{"aud":"` + strings.Repeat("a", 20_000) + `"}`), err: "longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := eventsapi.ParseClaims(tt.token)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("err = %v, want %q in it", err, tt.err)
				}
				noToken(t, err.Error(), tt.token)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzToken: whatever a token says, a client talks to a host by https or is not made, and no error shows
// the token.
func FuzzToken(f *testing.F) {
	f.Add(`{"alg":"ES256"}`, `{"aud":["a.example.org:8443"],"1password.com/fts":["itemusages"],"iat":1,"exp":2}`, "signature")
	f.Add(`{"alg":"none"}`, `{"aud":"//evil.example.org/%2e%2e"}`, "s")
	f.Add(`{"alg":1}`, `{"aud":["x y","\u0000"],"iat":-1e99}`, "")
	f.Add(`null`, `{"AUD":["a"],"aud":[]}`, "\xff")
	f.Fuzz(func(t *testing.T, head, body, signature string) {
		enc := base64.RawURLEncoding.EncodeToString
		token := enc([]byte(head)) + "." + enc([]byte(body)) + "." + enc([]byte(signature))
		claims, parseErr := eventsapi.ParseClaims(token)
		c, err := eventsapi.New(eventsapi.Config{Token: token})
		if err != nil {
			if long := enc([]byte(body)); len(long) > 20 && strings.Contains(err.Error(), long) {
				t.Errorf("the token shows in %v", err)
			}
			return
		}
		if parseErr != nil {
			t.Errorf("a client for a token that cannot be read: %v", parseErr)
		}
		base := c.BaseURL()
		if rest, ok := strings.CutPrefix(base, "https://"); !ok || rest == "" || strings.ContainsAny(rest, "/?#@ \t\r\n") {
			t.Errorf("the token leads to %q", base)
		}
		if diff := cmp.Diff(claims, c.Claims()); diff != "" {
			t.Error(diff)
		}
	})
}
