package console

import (
	"bytes"
	"encoding/csv"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.9":            "203.0.113.9/32",
		"203.0.113.9/24":         "203.0.113.0/24",
		"::ffff:203.0.113.9":     "203.0.113.9/32",
		"::ffff:203.0.113.9/120": "203.0.113.0/24",
		"2001:DB8::1":            "2001:db8::1/128",
		"fe80::1%eth0":           "fe80::1/128",
		"2001:db8::/32":          "2001:db8::/32",
		"0.0.0.0/0":              "0.0.0.0/0",
	} {
		if got, ok := addresses(text); !ok || got != netip.MustParsePrefix(want) {
			t.Errorf("%s is %s, %t; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "203.0.113", "203.0.113.0/33", "mira@example.org", "AS64496", "1.2.3.4.5"} {
		if got, ok := addresses(text); ok {
			t.Errorf("%q is %s, want no address", text, got)
		}
	}
}

func TestEventRef(t *testing.T) {
	at := time.Date(2026, 3, 10, 14, 24, 11, 482910000, time.UTC)
	for _, id := range []string{"K7QWZP3M5XNB2RTYDHCVFAEJ4U", "", "with-a-dash"} {
		gotAt, gotID, err := eventOf(eventRef(at, id))
		if err != nil || !gotAt.Equal(at) || gotID != id {
			t.Errorf("%q comes back as %s, %q, %v", id, gotAt, gotID, err)
		}
	}
	for _, text := range []string{"", "-", "1773152651482910", "-5-A", "0-A", "x-A", "99999999999999999999-A"} {
		if _, _, err := eventOf(text); !problem.Is(err, problem.NotFound) {
			t.Errorf("%q is %v, want not found", text, err)
		}
	}
}

func TestInert(t *testing.T) {
	for cell, want := range map[string]string{
		"":                        "",
		"Mira Oduya":              "Mira Oduya",
		"=1+1":                    "'=1+1",
		"=cmd|' /C calc'!A0":      "'=cmd|' /C calc'!A0",
		"+49 151 1234":            "'+49 151 1234",
		"-2+3":                    "'-2+3",
		"@SUM(A1)":                "'@SUM(A1)",
		"\t=1":                    "'\t=1",
		"\r=1":                    "'\r=1",
		"-33.45":                  "-33.45",
		"+7":                      "+7",
		"-Inf":                    "-Inf",
		"'quoted":                 "'quoted",
		"2026-03-10T14:24:11Z":    "2026-03-10T14:24:11Z",
		"mail=x@example.org":      "mail=x@example.org",
		"203.0.113.9, =HYPERLINK": "203.0.113.9, =HYPERLINK",
	} {
		if got := inert(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

func TestExportLine(t *testing.T) {
	line := exportLine(signin.Attempt{
		ID: "E", At: time.Date(2026, 3, 10, 14, 24, 11, 500000000, time.UTC), Category: signin.CredentialsFailed, Type: signin.PasswordSecretBad,
		UserID: "U", Name: "=HYPERLINK(\"https://example.org\")", Email: "mira@example.org", Method: signin.ByPassword,
		Location: origin.Location{Country: "CL", City: "Valparaíso", Latitude: -33.04, Longitude: -71.62, Radius: 20, ASN: 64496, Network: "@Net", AnonymousKnown: true},
		Client:   origin.Client{Address: "203.0.113.9", UserAgent: "Mozilla, \"5.0\"\n=1"},
	})
	if len(line) != len(exportHead()) {
		t.Fatalf("a line has %d cells, and the head %d", len(line), len(exportHead()))
	}
	got := map[string]string{}
	for i, name := range exportHead() {
		if line[i] != "" {
			got[name] = line[i]
		}
	}
	want := map[string]string{
		"time": "2026-03-10T14:24:11.5Z", "event_id": "E", "category": "credentials_failed", "type": "password_secret_bad", "person_id": "U",
		"person_name": "'=HYPERLINK(\"https://example.org\")", "person_email": "mira@example.org", "method": "password", "address": "203.0.113.9",
		"country": "CL", "city": "Valparaíso", "latitude": "-33.04", "longitude": "-71.62", "radius_km": "20", "asn": "64496", "network": "'@Net", "anonymous": "false",
		"user_agent": "Mozilla, \"5.0\"\n=1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var b bytes.Buffer
	table := csv.NewWriter(&b)
	if err := table.WriteAll([][]string{line}); err != nil {
		t.Fatal(err)
	}
	back, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(back) != 1 || !cmp.Equal(back[0], line) {
		t.Errorf("read again it is %q, %v", back, err)
	}
}

func TestProgram(t *testing.T) {
	for name, tt := range map[string]struct {
		from origin.Client
		want string
	}{
		"browser":        {origin.Client{Platform: "Chrome", PlatformVersion: "129.0.0.0", OS: "Windows", App: "Holdfast console"}, "Chrome 129, Windows"},
		"no_version":     {origin.Client{Platform: "curl"}, "curl"},
		"user_agent":     {origin.Client{UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", App: "Holdfast console"}, "Firefox, Linux"},
		"application":    {origin.Client{App: "Script"}, "Script"},
		"nothing_at_all": {origin.Client{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := program(tt.from); got != tt.want {
				t.Errorf("%+v is %q, want %q", tt.from, got, tt.want)
			}
		})
	}
}
