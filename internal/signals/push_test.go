package signals

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// vector is the delivery that the specification of Standard Webhooks signs as an example.
func vector() (secret seal.Secret, h http.Header, body string, now time.Time) {
	secret = seal.NewSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
	h = http.Header{
		"Webhook-Id": {"msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"}, "Webhook-Timestamp": {"1649367553"},
		"Webhook-Signature": {"v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="},
	}
	return secret, h, `{"email":"test@example.com","username":"test_user"}`, time.Unix(1649367553, 0)
}

func TestSignatureOfTheSpecification(t *testing.T) {
	secret, h, body, now := vector()
	s, err := parseSigned(h, now)
	if err != nil {
		t.Fatal(err)
	}
	other := seal.NewWebhookSecret()
	for name, tt := range map[string]struct {
		body    string
		secrets []seal.Secret
		want    bool
	}{
		"right":         {body, []seal.Secret{secret}, true},
		"second_secret": {body, []seal.Secret{other, secret}, true},
		"other_secret":  {body, []seal.Secret{other}, false},
		"other_body":    {body + " ", []seal.Secret{secret}, false},
		"no_secret":     {body, nil, false},
	} {
		if got := s.by([]byte(tt.body), tt.secrets); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestSignatureHeaders(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, tt := range map[string]struct {
		id, timestamp, signature string
		want                     string // of the problem; empty: accepted
	}{
		"one":                  {"m", "1000", "v1," + good, ""},
		"several":              {"m", "1000", "v1a,x v1," + good + " v1," + good, ""},
		"on_the_edge":          {"m", "1300", "v1," + good, ""},
		"ahead":                {"m", "1301", "v1," + good, "more than 5m0s"},
		"behind":               {"m", "699", "v1," + good, "more than 5m0s"},
		"no_id":                {"", "1000", "v1," + good, "webhook-id"},
		"dot_in_id":            {"m.1000", "1000", "v1," + good, "webhook-id"},
		"long_id":              {strings.Repeat("m", 257), "1000", "v1," + good, "webhook-id"},
		"no_time":              {"m", "", "v1," + good, "webhook-timestamp"},
		"time_with_plus":       {"m", "+1000", "v1," + good, "whole number"},
		"time_with_zero":       {"m", "01000", "v1," + good, "whole number"},
		"time_beyond":          {"m", "9223372036854775807", "v1," + good, "whole number"},
		"no_signature":         {"m", "1000", "", "webhook-signature is missing"},
		"other_scheme":         {"m", "1000", "v2," + good, "holds 0 v1 signatures"},
		"short":                {"m", "1000", "v1,AAAA", "not 32 bytes"},
		"no_base64":            {"m", "1000", "v1,***", "not 32 bytes"},
		"too_many":             {"m", "1000", strings.TrimSpace(strings.Repeat("v1,"+good+" ", 17)), "holds 17 v1 signatures"},
		"base64_with_more_bit": {"m", "1000", "v1," + good[:42] + "B=", "not 32 bytes"},
	} {
		h := http.Header{}
		h.Set("Webhook-Id", tt.id)
		h.Set("Webhook-Timestamp", tt.timestamp)
		h.Set("Webhook-Signature", tt.signature)
		_, err := parseSigned(h, time.Unix(1000, 0))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (!problem.Is(err, problem.Unauthenticated) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	h := http.Header{"Webhook-Id": {"a", "b"}, "Webhook-Timestamp": {"1000"}, "Webhook-Signature": {"v1," + good}}
	if _, err := parseSigned(h, time.Unix(1000, 0)); err == nil {
		t.Error("two IDs are accepted")
	}
}

// FuzzSignature: no header makes the parser fail otherwise than with 401, what it accepts is within bounds, and
// nothing is good that was not signed.
func FuzzSignature(f *testing.F) {
	secret, h, body, now := vector()
	f.Add(h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), h.Get("Webhook-Signature"), body)
	f.Add("m", "0", "v1, v1,,", "")
	f.Add("m", "-1", "v1", "x")
	want, err := parseSigned(h, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, timestamp, signature, text string) {
		s, err := parseSigned(http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}, now)
		if err != nil {
			if !problem.Is(err, problem.Unauthenticated) {
				t.Fatalf("%v", err)
			}
			return
		}
		if s.id != id || s.timestamp != timestamp || len(s.marks) == 0 || len(s.marks) > mostSignature {
			t.Fatalf("%+v", s)
		}
		if s.by([]byte(text), []seal.Secret{secret}) && (s.id != want.id || s.timestamp != want.timestamp || text != body) {
			t.Fatalf("a forged delivery is accepted: %q %q %q", id, timestamp, text)
		}
	})
}

func TestKnows(t *testing.T) {
	a, b := seal.NewWebhookSecret(), seal.NewWebhookSecret()
	for name, tt := range map[string]struct {
		values []string
		want   bool
	}{
		"plain":  {[]string{a.Reveal()}, true},
		"bearer": {[]string{"bearer " + b.Reveal()}, true},
		"none":   {nil, false},
		"empty":  {[]string{""}, false},
		"twice":  {[]string{a.Reveal(), a.Reveal()}, false},
		"part":   {[]string{a.Reveal()[:20]}, false},
	} {
		if got := knows(tt.values, []seal.Secret{a, b}); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if knows([]string{""}, nil) {
		t.Error("nothing is known where there is no secret")
	}
}
