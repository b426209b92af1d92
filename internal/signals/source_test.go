package signals

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/eventsapi"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

func TestNextLink(t *testing.T) {
	for name, tt := range map[string]struct {
		values []string
		want   string
	}{
		"none":       {nil, ""},
		"two_values": {[]string{`<https://x/a>; rel="self"`, `<https://x/b?c=1,2>; rel="next"`}, "https://x/b?c=1,2"},
		"one_value":  {[]string{`<https://x/a>; rel="self", <https://x/b>; rel="next"`}, "https://x/b"},
		"unquoted":   {[]string{`<https://x/b>;title=x; REL=next`}, "https://x/b"},
		"broken":     {[]string{`https://x/b; rel="next"`, "<https://x", `<>`}, ""},
	} {
		if got := nextLink(tt.values); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestOktaAddress: the token goes to the organisation and nowhere else.
func TestOktaAddress(t *testing.T) {
	c := Config{BaseURL: "https://harbour.okta.com"}
	at, err := oktaLog{}.address(c, oktaCursor{Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	if want := "https://harbour.okta.com/api/v1/logs?limit=1000&since=2026-01-02T03%3A04%3A05.000Z&sortOrder=ASCENDING"; err != nil || at != want {
		t.Errorf("%s, %v", at, err)
	}
	for _, next := range []string{"https://evil.example/api/v1/logs", "https://harbour.okta.com.evil.example/", "https://harbour.okta.com@evil.example/", "//evil.example/x"} {
		if _, err := (oktaLog{}).address(c, oktaCursor{Next: next}); err == nil {
			t.Errorf("%s is followed", next)
		}
	}
}

// eventsToken has the form of an events token, without a good signature.
func eventsToken(claims string) seal.Secret {
	b := base64.RawURLEncoding.EncodeToString
	return seal.NewSecret(b([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + b([]byte(claims)) + "." + b([]byte("sig")))
}

func TestCheckSources(t *testing.T) {
	token := eventsToken(`{"aud":["events.1password.eu"],"1password.com/fts":["signinattempts"]}`)
	for name, tt := range map[string]struct {
		kind  Kind
		in    Config
		token seal.Secret
		base  string // after the check
		field string // of the problem; empty: accepted
	}{
		"region":         {KindEventsAPI, Config{BaseURL: "ca"}, token, "https://events.1password.ca", ""},
		"of_the_token":   {KindEventsAPI, Config{}, token, "https://events.1password.eu", ""},
		"plain":          {KindEventsAPI, Config{BaseURL: "http://events.example.org"}, token, "", "token"},
		"no_token":       {KindEventsAPI, Config{BaseURL: "us"}, seal.Secret{}, "", "token"},
		"no_jwt":         {KindEventsAPI, Config{BaseURL: "us"}, seal.NewSecret("x"), "", "token"},
		"no_feature":     {KindEventsAPI, Config{BaseURL: "us"}, eventsToken(`{"aud":["x.example"],"1password.com/fts":["other"]}`), "", "token"},
		"bad_ca":         {KindEventsAPI, Config{BaseURL: "us", CA: "nothing"}, token, "", "token"},
		"okta":           {KindOkta, Config{BaseURL: "https://harbour.okta.com/"}, seal.NewSecret("00x"), "https://harbour.okta.com", ""},
		"okta_hook":      {KindOkta, Config{}, seal.Secret{}, "", ""},
		"okta_token":     {KindOkta, Config{}, seal.NewSecret("00x"), "", "base_url"},
		"okta_path":      {KindOkta, Config{BaseURL: "https://harbour.okta.com/api"}, seal.NewSecret("00x"), "", "base_url"},
		"okta_plain":     {KindOkta, Config{BaseURL: "http://harbour.okta.com"}, seal.NewSecret("00x"), "", "base_url"},
		"okta_no_token":  {KindOkta, Config{BaseURL: "https://harbour.okta.com"}, seal.Secret{}, "", "token"},
		"okta_odd_token": {KindOkta, Config{BaseURL: "https://harbour.okta.com"}, seal.NewSecret("a\r\nb"), "", "token"},
		"local":          {KindLocal, Config{}, seal.Secret{}, "", ""},
		"local_address":  {KindLocal, Config{BaseURL: "us"}, seal.Secret{}, "", "base_url"},
		"sent":           {KindEntra, Config{}, seal.Secret{}, "", ""},
		"sent_token":     {KindOCSF, Config{}, seal.NewSecret("x"), "", "token"},
	} {
		kind, err := sourceOf(tt.kind)
		if err != nil {
			t.Fatal(err)
		}
		c := tt.in
		err = kind.Check(&c, tt.token)
		p, _ := errors.AsType[*problem.Error](err)
		switch {
		case tt.field == "" && (err != nil || c.BaseURL != tt.base):
			t.Errorf("%s: %+v, %v", name, c, err)
		case tt.field != "" && (p == nil || p.Field != tt.field):
			t.Errorf("%s: %v, want a problem in the field %s", name, err, tt.field)
		}
		if err != nil && !tt.token.IsZero() && len(tt.token.Reveal()) > 5 && strings.Contains(err.Error(), tt.token.Reveal()) {
			t.Errorf("%s: the error tells the token", name)
		}
	}
}

func TestWait(t *testing.T) {
	var got []time.Duration
	for _, n := range []int{1, 2, 3, 9, 10, 1000} {
		got = append(got, wait(n, errors.New("x")))
	}
	got = append(got, wait(1, &oktaStatus{429, time.Minute}), wait(1, &eventsapi.Error{RetryAfter: 30 * time.Second}))
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 256 * time.Second, 5 * time.Minute, 5 * time.Minute, time.Minute, 30 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	now := time.Unix(1000, 0)
	for name, tt := range map[string]struct {
		h    http.Header
		want time.Duration
	}{
		"seconds": {http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"reset":   {http.Header{"X-Rate-Limit-Reset": {"1042"}}, 42 * time.Second},
		"past":    {http.Header{"X-Rate-Limit-Reset": {"42"}}, 0},
		"nothing": {nil, 0},
	} {
		if got := oktaWait(tt.h, now); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
