package signin_test

import (
	"strings"
	"testing"
	"time"

	"holdfast/internal/signin"
)

func TestCheckPassword(t *testing.T) {
	tests := []struct {
		password string
		good     bool
	}{
		{"nine lanterns over the quay", true},
		{"kZ8#vQ2!mT5x", true},
		{"tr4nsluc3nt-0tter", true},
		{"größe der fähre im hafen", true},
		{"日本語の長いパスワードです。", true},
		{"eleven chars"[:11], false},
		{strings.Repeat("aB3$xY9&", 40), false},
		{"password1234", false},
		{"Password123!", false},
		{"P@ssw0rd1234", false},
		{"passwordpassword", false},
		{"123456789012", false},
		{"qwertyuiop123", false},
		{"1q2w3e4r5t6y", false},
		{"zaq12wsxcde3", false},
		{"poiuytrewq12", false},
		{"aaaaaaaaaaaa", false},
		{"abcabcabcabcabc", false},
		{"iloveyou1234", false},
		{"administrator", false},
		{"letmeinletmein", false},
		{"Summer2025!!!", false},
		{"Willkommen2026", false},
		{"trustno1trustno1", false},
		{"correcthorsebatterystaple", false},
		{"holdfast2026!", false},
		{"mira.oduya2026", false},
		{"miraodduyamira", true},
		{"lighthouse.example", false},
		{"odUyA-odUyA-odUyA-", false},
		{"twelve bytes\x00", false},
	}
	for _, tt := range tests {
		t.Run(tt.password, func(t *testing.T) {
			err := signin.CheckPassword(tt.password, "mira.oduya@lighthouse.example")
			if (err == nil) != tt.good || err != nil && code(err) != "password" {
				t.Errorf("error %v (%d parts), want good %v", err, signin.Parts(strings.ToLower(tt.password)), tt.good)
			}
		})
	}
}

// FuzzCheckPassword: it always ends, soon, and never refuses a password for what was added to it being
// unlike anything.
func FuzzCheckPassword(f *testing.F) {
	f.Add("password1234", "mira@example.org")
	f.Add(strings.Repeat("a", 256), "@")
	f.Add("\xff\xfe", "")
	f.Fuzz(func(t *testing.T, password, email string) {
		begun := time.Now()
		err := signin.CheckPassword(password, email)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
		if err == nil && len(password) < 12 {
			t.Errorf("%q has less than twelve bytes and is taken", password)
		}
	})
}

// FuzzCode: a code is read the same however it is spaced, and is a recovery code only in its form.
func FuzzCode(f *testing.F) {
	for _, s := range []string{"123456", "123 456", "abcde-fghij", "ABCDEFGH23", "", "\u00a01\u20132", strings.Repeat("1", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code := signin.PlainCode(typed)
		if again := signin.PlainCode(code); again != code {
			t.Errorf("%q became %q and then %q", typed, code, again)
		}
		if signin.IsRecovery(code) && (len(code) != 10 || code != strings.ToUpper(code)) {
			t.Errorf("%q is taken for a recovery code", code)
		}
	})
}

// FuzzWithin: where to go next is always a path of ours.
func FuzzWithin(f *testing.F) {
	for _, s := range []string{"/", "/people?q=a#b", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := signin.Within(next)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("%q leads to %q", next, got)
		}
	})
}
