package signals

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParseTime(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tc := range []struct {
		name, in, want, note string
	}{
		{"utc", "2026-10-19T03:41:07Z", "2026-10-19T03:41:07Z", ""},
		{"nanoseconds", "2026-10-19T03:41:07.482910663Z", "2026-10-19T03:41:07.482910663Z", ""},
		{"offset", "2026-10-19T05:41:07.5+02:00", "2026-10-19T03:41:07.5Z", ""},
		{"offset_without_colon", "2026-10-19T05:41:07+0200", "2026-10-19T03:41:07Z", ""},
		{"lower_case", "2026-10-19t03:41:07z", "2026-10-19T03:41:07Z", ""},
		{"space", "2026-10-19 03:41:07.25", "2026-10-19T03:41:07.25Z", noZone},
		{"nine_zeros", "2026-10-19 03:41:07.250000000", "2026-10-19T03:41:07.25Z", noZone},
		{"space_and_zone", "2026-10-19 03:41:07 +0000", "2026-10-19T03:41:07Z", ""},
		{"utc_as_word", "2026-10-19 03:41:07 UTC", "2026-10-19T03:41:07Z", ""},
		{"no_zone", "2026-10-19T03:41:07", "2026-10-19T03:41:07Z", noZone},
		{"no_seconds", "2026-10-19T03:41Z", "2026-10-19T03:41:00Z", ""},
		{"seconds", "1792381267", "2026-10-19T03:41:07Z", ""},
		{"seconds_with_fraction", "1792381267.5", "2026-10-19T03:41:07.5Z", ""},
		{"milliseconds", "1792381267250", "2026-10-19T03:41:07.25Z", ""},
		{"microseconds", "1792381267250001", "2026-10-19T03:41:07.250001Z", ""},
		{"nanoseconds_since", "1792381267250000001", "2026-10-19T03:41:07.250000001Z", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, note, err := parseTime(tc.in)
			if err != nil || !got.Equal(at(tc.want)) || got.Location() != time.UTC {
				t.Errorf("parseTime(%q) = %v, %v; want %v in UTC", tc.in, got, err, tc.want)
			}
			if want := tc.note; note != want {
				t.Errorf("parseTime(%q) notes %q, want %q", tc.in, note, want)
			}
		})
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		noTime   bool // unreadable, rather than impossible
	}{
		{"nothing", "", true},
		{"word", "redacted", true},
		{"not_a_number", "NaN", true},
		{"endless", "Inf", true},
		{"date_of_no_calendar", "2026-02-30T00:00:00Z", true},
		{"huge", "1e300", true},
		{"too_early", "1999-12-31T23:59:59Z", false},
		{"too_late", "2100-01-01T00:00:00Z", false},
		{"zero", "0", false},
		{"negative", "-5", false},
		{"year_one", "0001-01-01T00:00:00Z", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _, err := parseTime(tc.in)
			if err == nil || errors.Is(err, errNoTime) != tc.noTime || !got.IsZero() {
				t.Errorf("parseTime(%q) = %v, %v; want an error, unreadable %v", tc.in, got, err, tc.noTime)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "Mira Oduya", "Mira Oduya"},
		{"letters", "Zoë Ångström 日本", "Zoë Ångström 日本"},
		{"line_break", "a\nb\r\x00c", "a b  c"},
		{"escape_sequence", "a\x1b[31mb\x7f", "a [31mb "},
		{"line_separator", "a\u2028b", "a b"},
		{"not_utf8", "a\xffb", "a\uFFFDb"},
		{"long", strings.Repeat("a", maxText+5), strings.Repeat("a", maxText)},
		{"long_ends_between_characters", "b" + strings.Repeat("é", maxText), "b" + strings.Repeat("é", maxText/2-1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := clean(tc.in); got != tc.want || !utf8.ValidString(got) {
				t.Errorf("clean(%.40q) = %.40q (%d bytes), want %.40q", tc.in, got, len(got), tc.want)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.7":           "203.0.113.7",
		" 203.0.113.7 ":         "203.0.113.7",
		"203.0.113.7:443":       "203.0.113.7",
		"::ffff:203.0.113.7":    "203.0.113.7",
		"2001:DB8:0::1":         "2001:db8::1",
		"[2001:db8::1]:8443":    "2001:db8::1",
		"[2001:db8::1]":         "2001:db8::1",
		"fe80::1%eth0":          "fe80::1",
		"203.0.113.7.9":         "203.0.113.7.9",
		"":                      "",
		"unknown":               "unknown",
		"203.0.113.7, 10.0.0.1": "203.0.113.7, 10.0.0.1",
	} {
		if got := address(in); got != want {
			t.Errorf("address(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEmail(t *testing.T) {
	for in, want := range map[string]string{
		"mira.oduya@example.org": "mira.oduya@example.org", "mira": "", "@example.org": "", "mira@": "", "Mira <m@example.org>": "", "a b@example.org": "",
	} {
		if got := email(in); got != want {
			t.Errorf("email(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCountries(t *testing.T) {
	c := newCountries()
	for in, want := range map[string]string{
		"DE": "DE", "de": "DE", "Germany": "DE", "UNITED STATES": "US", "Korea, Republic of": "KR", "North Korea": "KP", "Iran": "IR", "Russian Federation": "RU",
		"Türkiye": "TR", "T1": "", "ZZ": "ZZ", "Atlantis": "", "": "", "uk": "GB",
	} {
		if got := c.code(in); got != want {
			t.Errorf("code(%q) = %q, want %q", in, got, want)
		}
	}
	codes := map[string]bool{}
	for _, code := range c {
		codes[code] = true
	}
	if len(codes) != 250 {
		t.Errorf("%d countries, want the 249 of ISO 3166-1 and Kosovo", len(codes))
	}
}
