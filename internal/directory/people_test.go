package directory_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
)

func TestEmailKey(t *testing.T) {
	same := map[string][]string{
		"case":                {"Mira.Oduya@Example.ORG", "mira.oduya@example.org"},
		"sharp_s":             {"straße@example.org", "STRASSE@EXAMPLE.ORG", "straSSe@example.org"},
		"composed":            {"rené@example.org", "rene\u0301@example.org", "RENE\u0301@EXAMPLE.ORG"},
		"final_sigma":         {"ΟΔΥΣΣΕΥΣ@example.org", "οδυσσευς@example.org", "οδυσσευσ@example.org"},
		"kelvin_sign":         {"\u212Aim@example.org", "kim@example.org"},
		"ligature":            {"ﬃx@example.org", "FFIX@example.org"},
		"combining_then_case": {"\u1E9E@example.org", "SS@example.org"},
	}
	for name, emails := range same {
		for _, e := range emails {
			if got, want := directory.EmailKey(e), directory.EmailKey(emails[0]); got != want {
				t.Errorf("%s: %q has the key %q, %q has %q", name, e, got, emails[0], want)
			}
		}
	}
	for _, pair := range [][2]string{
		{"mira@example.org", "mira@example.com"}, {"mira@example.org", "mira+x@example.org"}, {"mira@example.org", "m.ira@example.org"},
		{"\u0131@example.org", "i@example.org"}, // dotless i is another letter
		{"\u0430@example.org", "a@example.org"}, // so is the Cyrillic a
	} {
		if directory.EmailKey(pair[0]) == directory.EmailKey(pair[1]) {
			t.Errorf("%q and %q have the same key", pair[0], pair[1])
		}
	}
	if got := directory.GroupKey(" Team  Members "); got != directory.GroupKey("team  members") || got == directory.GroupKey("team members") {
		t.Errorf("key of a group: %q", got)
	}
}

func TestNewUserCheck(t *testing.T) {
	long := strings.Repeat("a", 300)
	tests := []struct {
		name, email, display string
		field                string // refused; empty: accepted
	}{
		{"plain", "mira@example.org", "Mira Oduya", ""},
		{"spaces_around", " mira@example.org ", " Mira ", ""},
		{"plus", "mira+soc@example.org", "M", ""},
		{"other_scripts", "jürgen@müller.example", "Jürgen Müller 監視", ""},
		{"apostrophe", "o'neil@example.org", "Ciara O'Neil", ""},
		{"empty", "", "M", "email"},
		{"no_at", "mira", "M", "email"},
		{"two_ats", "a@b@example.org", "M", "email"},
		{"no_domain", "mira@", "M", "email"},
		{"name_and_address", "Mira <mira@example.org>", "M", "email"},
		{"angle_brackets", "<mira@example.org>", "M", "email"},
		{"comment", "mira@example.org (Mira)", "M", "email"},
		{"two_addresses", "a@example.org,b@example.org", "M", "email"},
		{"space_inside", "mi ra@example.org", "M", "email"},
		{"line_break", "mira@example.org\r\nBcc: x@example.org", "M", "email"},
		{"nul", "mi\x00ra@example.org", "M", "email"},
		{"zero_width", "mi\u200bra@example.org", "M", "email"},
		{"bidi", "mi\u202era@example.org", "M", "email"},
		{"bad_utf8", "mi\xffra@example.org", "M", "email"},
		{"long", long + "@example.org", "M", "email"},
		{"no_name", "mira@example.org", "  ", "display_name"},
		{"name_line_break", "mira@example.org", "Mira\nOduya", "display_name"},
		{"name_escape", "mira@example.org", "\x1b[31mMira", "display_name"},
		{"name_bidi", "mira@example.org", "Mira\u2066", "display_name"},
		{"name_bad_utf8", "mira@example.org", "Mira\xff", "display_name"},
		{"name_long", "mira@example.org", long, "display_name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := directory.NewUser{Email: tt.email, DisplayName: tt.display}
			err := u.Check()
			p, _ := errors.AsType[*problem.Error](err)
			if (err == nil) != (tt.field == "") || err != nil && (p == nil || p.Kind != problem.Invalid || p.Field != tt.field) {
				t.Errorf("Check = %v, want a problem with %q", err, tt.field)
			}
			if err == nil && (u.Email != strings.TrimSpace(tt.email) || u.DisplayName != strings.TrimSpace(tt.display)) {
				t.Errorf("checked %+v", u)
			}
		})
	}
	a := directory.NewAccount{Name: "\x00", OwnerEmail: "mira@example.org", OwnerName: "Mira"}
	if err := a.Check(); !problem.Is(err, problem.Invalid) {
		t.Errorf("an account's name that does not print: %v", err)
	}
}

// FuzzNewUser: what is accepted can be stored, shown and found again.
func FuzzNewUser(f *testing.F) {
	f.Add("mira@example.org", "Mira Oduya")
	f.Add("STRAßE@example.org", "é\u0301")
	f.Add("\"a b\"@example.org", "\u202e")
	f.Add("a@[127.0.0.1]", "x")
	f.Fuzz(func(t *testing.T, email, name string) {
		u := directory.NewUser{Email: email, DisplayName: name}
		if u.Check() != nil {
			return
		}
		for _, s := range []string{u.Email, u.DisplayName, directory.EmailKey(u.Email)} {
			if s == "" || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\r\n\x1b") {
				t.Fatalf("accepted %q, %q: %q cannot be stored", email, name, s)
			}
		}
		if again := (directory.NewUser{Email: u.Email, DisplayName: u.DisplayName}); again.Check() != nil || again.Email != u.Email {
			t.Fatalf("%q is accepted, and not a second time", email)
		}
		if k := directory.EmailKey(u.Email); directory.EmailKey(k) != k {
			t.Fatalf("the key of %q is %q, its key is %q", u.Email, k, directory.EmailKey(k))
		}
	})
}
