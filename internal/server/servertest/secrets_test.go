package servertest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/seal"
	"holdfast/internal/store/storetest"
)

func TestSecretsFind(t *testing.T) {
	secret, _ := seal.NewCredential(oauth.SecretPrefix)
	token, _ := seal.NewCredential(oauth.TokenPrefix)
	other, _ := seal.NewCredential(oauth.TokenPrefix)
	var s Secrets
	const events = jwt + "VGhpcyB0ZXh0IHNheXMgbm90aGluZw"
	for _, c := range []string{secret.Reveal(), token.Reveal(), events, "hunter2", "", "hfs_short", "eyJh.eyJh.", "eyJh.eyJh"} {
		s.Learn(c)
	}
	basic := func(id string) string { return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret.Reveal())) }
	pad := strings.Repeat("x", 70_000) // more than is read at once
	tests := []struct {
		name, text string
		want       string // in the finding; empty: none
	}{
		{"secret", "a " + secret.Reveal() + " b", "here: a client secret, at byte 7"},
		{"token_far_behind", pad + token.Reveal(), "an access token, at byte 70005"},
		{"cut", token.Reveal()[:30], "an access token"},
		{"without_prefix", token.Reveal()[4:], "an access token"},
		{"bytes_as_hex", `\x` + hex.EncodeToString([]byte(token.Reveal())), "an access token in hexadecimal"},
		{"basic", "Basic " + basic("a"), "a client secret in base64"},
		{"basic_shifted", "Basic " + basic("ab"), "a client secret in base64"},
		{"basic_shifted_again", "Basic " + basic("abc"), "a client secret in base64"},
		{"events_token", "Bearer " + events, "an events token"},
		{"events_token_signature", events[strings.LastIndexByte(events, '.')+1:], "an events token"},
		{"events_token_claims", events[:strings.LastIndexByte(events, '.')], ""},
		{"other_token", other.Reveal(), ""},
		{"prefix_alone", "hfs_ hft_ hunter2 hfs_short", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := pad[:len(pad)-20] + tt.text // across a border of what is read at once
			for _, text := range []string{tt.text, at} {
				found, err := s.Find("here", iotest.HalfReader(strings.NewReader(text)))
				if err != nil {
					t.Fatal(err)
				}
				if tt.want == "" && len(found) > 0 || tt.want != "" && len(found) != 1 {
					t.Fatalf("found %q, want %q", found, tt.want)
				}
				if tt.want != "" && text == tt.text && !strings.Contains(found[0], tt.want) {
					t.Errorf("found %q, want %q", found, tt.want)
				}
			}
		})
	}
}

// TestLeaks plants credentials where none may be, and has them found.
func TestLeaks(t *testing.T) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) {
			p := &probe{witness: witness{TB: t}} // the planted ones must not fail this test when the instance ends
			in := Start(p, kind)
			token := in.Token(t, in.Credentials)
			if found := in.Leaks(t); len(found) != 0 {
				t.Fatalf("before anything is planted: %q", found)
			}
			wantLeak := func(where, what string) {
				t.Helper()
				for _, f := range in.Leaks(t) {
					if strings.Contains(f, where) && strings.Contains(f, what) {
						return
					}
				}
				t.Errorf("%s in %s is not found: %q", what, where, in.Leaks(t))
			}
			if _, err := in.Log.Write([]byte("token=" + token + "\n")); err != nil {
				t.Fatal(err)
			}
			wantLeak("the server's log", "an access token")
			if err := in.Store().AppendAudit(t.Context(), in.Account.ID, audit.Entry{Actor: "operator:test", Reason: in.Credentials.Secret.Reveal()}); err != nil {
				t.Fatal(err)
			}
			wantLeak("the audit export", "a client secret")
			table := "the table audit_links"
			if kind == "sqlite" {
				table = "the file holdfast.db"
			}
			wantLeak(table, "a client secret")
			if _, err := in.Store().Jobs().SQL.ExecContext(t.Context(), "UPDATE tokens SET hash = $1", []byte(token)); err != nil {
				t.Fatal(err)
			}
			if kind == "postgres" {
				wantLeak("the table tokens", "an access token in hexadecimal")
			} else {
				wantLeak("the file holdfast.db", "an access token")
			}
			if in.Call(t, "GET", "/v1/accounts/"+token+"/users", token).Status != http.StatusUnauthorized {
				t.Error("the token still works, although its hash is gone")
			}
			p.runCleanups()
			if !slices.ContainsFunc(p.saw, func(s string) bool { return strings.HasPrefix(s, "a credential leaked: the server's log") }) {
				t.Errorf("the end of the instance did not report it: %q", p.saw)
			}
		})
	}
}

// probe is a witness that runs clean-up when asked to.
type probe struct {
	witness
	cleanups []func()
}

func (p *probe) Error(args ...any) { p.Errorf("%s", fmt.Sprint(args...)) }

func (p *probe) Cleanup(f func()) { p.cleanups = append(p.cleanups, f) }

func (p *probe) runCleanups() {
	for _, f := range slices.Backward(p.cleanups) {
		f()
	}
}
