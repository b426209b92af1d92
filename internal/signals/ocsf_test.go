package signals

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestOCSFRoundTrip fills every field of an event with something, hundreds of times, and gets it back.
func TestOCSFRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 3002))
	for i := range 500 {
		want := randomEvent(r)
		encoded, err := EncodeOCSF(&want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeOCSF(encoded)
		if err != nil {
			t.Fatalf("event %d: %v\n%s", i, err, encoded)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("event %d (-before +after):\n%s\n%s", i, diff, encoded)
		}
	}
}

// TestOCSFRoundTripOfSources does the same with what decoders give.
func TestOCSFRoundTripOfSources(t *testing.T) {
	for _, d := range Decoders() {
		t.Run(d.Name(), func(t *testing.T) {
			for _, want := range golden(t, d) {
				want.AccountID, want.ReceivedAt = "ACCOUNT", time.Date(2026, 11, 1, 2, 3, 4, 5, time.UTC)
				encoded, err := EncodeOCSF(&want)
				if err != nil {
					t.Fatal(err)
				}
				got, err := DecodeOCSF(encoded)
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
					t.Errorf("%v (-before +after):\n%s\n%s", err, diff, encoded)
				}
			}
		})
	}
}

// TestOCSFForm holds the encoded form against what the schema requires of the class.
func TestOCSFForm(t *testing.T) {
	d, err := NewDecoder(OnePassword)
	if err != nil {
		t.Fatal(err)
	}
	events := golden(t, d)
	encoded, err := EncodeOCSF(&events[0])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "raw_data")
	want := map[string]any{
		"activity_id": 1., "activity_name": "Logon", "category_uid": 3., "category_name": "Identity & Access Management", "class_uid": 3002., "class_name": "Authentication",
		"type_uid": 300201., "time": 1792381267482., "time_dt": "2026-10-19T03:41:07.482910663Z", "severity_id": 1., "severity": "Informational",
		"status_id": 1., "status": "Success", "status_code": "mfa_ok", "status_detail": "success", "is_mfa": true,
		"metadata": map[string]any{
			"version": "1.4.0", "uid": "R2YFJ6WQHD5NVZTAX3MLKBPCSE", "event_code": "signinattempt", "log_provider": "1password",
			"product": map[string]any{"name": "1Password", "vendor_name": "1Password"}, "profiles": []any{"datetime", "host", "security_control"},
		},
		"user":         map[string]any{"uid": "K7QWZP3M5XNB2RTYDHCVFAEJ4U", "name": "mira.oduya@example.org", "full_name": "Mira Oduya", "email_addr": "mira.oduya@example.org"},
		"actor":        map[string]any{"app_name": "1Password Browser Extension"},
		"service":      map[string]any{"name": "1Password"},
		"session":      map[string]any{"uid": "D4KHVQ7ZNXW2MBTRPCLYEAFJGS"},
		"device":       map[string]any{"type_id": 0., "os": map[string]any{"type_id": 0., "name": "Windows", "version": "10.0"}},
		"src_endpoint": map[string]any{"ip": "203.0.113.77", "location": map[string]any{"country": "BR", "region": "Bahia", "city": "Salvador", "lat": -12.97, "long": -38.5}},
		"unmapped": map[string]any{"holdfast": map[string]any{
			"status": "success", "app_version": "20240", "platform": "Chrome", "platform_version": "129.0.0.0", "radius_km": 50.,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
}

func TestDecodeOCSFRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"no_json": "{", "list": "[]", "empty": "{}", "bad_time": `{"time_dt":"3000-01-01T00:00:00Z"}`,
		"bad_logged_time": `{"time":1792381267482,"metadata":{"logged_time_dt":"soon"}}`,
	} {
		if e, err := DecodeOCSF([]byte(in)); err == nil {
			t.Errorf("%s: %+v, want an error", name, e)
		}
	}
}

// golden are the events of our own collection for a decoder.
func golden(t testing.TB, d Decoder) (out []Event) {
	t.Helper()
	in, err := os.ReadFile(filepath.Join("testdata", d.Name()+".events"))
	if err != nil {
		t.Fatal(err)
	}
	for e, bad := range Read(bytes.NewReader(in), d) {
		if bad == nil {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no events in testdata/%s.events", d.Name())
	}
	return out
}

// randomEvent fills an event as decoders might.
func randomEvent(r *rand.Rand) Event {
	var e Event
	fill(r, reflect.ValueOf(&e).Elem())
	pick := func(n int) bool { return r.IntN(n) == 0 }
	e.Source = []string{OnePassword, Okta, Entra, OneLogin, OCSF, RBA, "local"}[r.IntN(7)]
	e.Class = []Class{ClassBase, ClassAccountChange, ClassAuthentication, ClassEntityManagement, 4002}[r.IntN(5)]
	e.Activity = Activity(r.IntN(13))
	e.StatusID = []StatusID{StatusUnknown, StatusSuccess, StatusFailure, StatusOther}[r.IntN(4)]
	e.Severity, e.Risk = Severity(r.IntN(7)), Risk(r.IntN(6))
	e.Disposition, e.RiskScore = Disposition(r.IntN(28)), r.IntN(1000)
	e.Client.Address = e.Src.IP
	l := &e.Src.Location
	l.Country = ""
	if pick(2) {
		l.Country = string([]byte{byte('A' + r.IntN(26)), byte('A' + r.IntN(26))})
	}
	l.ASN, l.Radius = r.Int64N(1<<32), 1+r.IntN(100)
	l.Latitude, l.Longitude = float64(r.IntN(179)-89)+0.25, float64(r.IntN(359)-179)+0.125
	if pick(2) {
		l.Radius, l.Latitude, l.Longitude = 0, 0, 0
	}
	l.Anonymous = l.Anonymous && l.AnonymousKnown
	e.ReceivedAt = time.Unix(1.8e9+r.Int64N(1e8), r.Int64N(1e9)).UTC()
	e.Time = e.ReceivedAt.Add(-time.Duration(r.Int64N(1e15)))
	if pick(5) {
		e.Time = time.Time{}
	}
	if pick(5) {
		e.Protocol = protocols()[1+r.IntN(11)]
	}
	return e
}

// fill puts random values everywhere below v.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		return
	case Tri:
		v.SetInt(int64(r.IntN(3) - 1))
		return
	case []Attribute:
		for i := range r.IntN(4) {
			v.Set(reflect.Append(v, reflect.ValueOf(Attribute{fmt.Sprint("n", i, word(r)), word(r) + "x"})))
		}
		return
	case []Factor:
		for range r.IntN(3) {
			v.Set(reflect.Append(v, reflect.ValueOf(Factor{FactorID(r.IntN(12)), word(r) + "x"})))
		}
		return
	case []string:
		for range r.IntN(3) {
			v.Set(reflect.Append(v, reflect.ValueOf(word(r)+"x")))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(r, field)
		}
	case reflect.String:
		v.SetString(word(r))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	}
}

// word is a text as a field may have it, now and then empty.
func word(r *rand.Rand) string {
	letters := []rune("abcXYZ019 .-_/\\\"'<>&{}[]:,äß日本🙂")
	var b strings.Builder
	for range r.IntN(9) {
		b.WriteRune(letters[r.IntN(len(letters))])
	}
	return b.String()
}
