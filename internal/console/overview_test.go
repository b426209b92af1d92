package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/signin"
)

func TestRoundUp(t *testing.T) {
	for n, want := range map[int]int{0: 2, 1: 2, 2: 2, 3: 4, 5: 10, 10: 10, 11: 20, 39: 40, 41: 100, 999: 1000} {
		if got := roundUp(n); got != want {
			t.Errorf("the axis for %d ends at %d, want %d", n, got, want)
		}
	}
}

func TestChart(t *testing.T) {
	now := time.Date(2026, 3, 10, 14, 20, 0, 0, time.UTC)
	at := func(hours, minutes int) audit.Link {
		return audit.Link{Time: now.Add(-time.Duration(hours)*time.Hour - time.Duration(minutes)*time.Minute)}
	}
	// The last one is within 24 hours, but in an hour of which a part is not.
	chart := chartOf(now, []audit.Link{at(0, 0), at(0, 19), at(2, 0), at(23, 50)}, []audit.Link{at(0, 5), at(23, 0)})
	if len(chart.Bars) != chartHours || chart.Peak != 3 || chart.At.Hour() != 14 {
		t.Fatalf("%d bars, at most %d at %s", len(chart.Bars), chart.Peak, chart.At)
	}
	last, first := chart.Bars[chartHours-1], chart.Bars[0]
	want := signInBar{X: 684, Mid: 694, Y: 80, Height: 60, BadY: 49, BadHeight: 30, Now: true}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("this hour (-want +got):\n%s", diff)
	}
	if first.Height != 0 || first.BadHeight != 30 {
		t.Errorf("23 hours ago: %+v", first)
	}
}

func TestOwnSteps(t *testing.T) {
	key := []signin.Passkey{{ID: "K"}}
	all := signin.Policy{Passkeys: true, Passwords: true, SingleSignOn: true}
	for name, tt := range map[string]struct {
		methods signin.Methods
		policy  signin.Policy
		want    []string
	}{
		"password_only":       {signin.Methods{PasswordHash: "x"}, all, []string{"codes", "passkey"}},
		"password_and_code":   {signin.Methods{PasswordHash: "x", TOTP: []byte("s"), RecoveryCodes: 10}, all, []string{"passkey"}},
		"one_passkey":         {signin.Methods{Passkeys: key}, all, []string{"second_passkey"}},
		"two_passkeys":        {signin.Methods{Passkeys: append(key, key...)}, all, nil},
		"sso":                 {signin.Methods{SSO: true}, all, nil},
		"few_codes":           {signin.Methods{Passkeys: key, PasswordHash: "x", TOTP: []byte("s"), RecoveryCodes: 1}, all, []string{"recovery"}},
		"passwords_forbidden": {signin.Methods{Passkeys: key, PasswordHash: "x"}, signin.Policy{Passkeys: true}, []string{"second_passkey"}},
		"no_passkeys_allowed": {signin.Methods{PasswordHash: "x"}, signin.Policy{Passwords: true}, []string{"codes"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range ownSteps(tt.methods, tt.policy) {
				got = append(got, s.Kind)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
