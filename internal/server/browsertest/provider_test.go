package browsertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

// relyingParty is a site that signs people in at the provider, trusting whatever comes back, and
// shows the claims.
type relyingParty struct {
	*httptest.Server
	mu     sync.Mutex
	oauth  oauth2.Config
	pkce   string // verifier; none is sent if it is empty
	tokens []string
}

func newRelyingParty(t *testing.T) *relyingParty {
	rp := &relyingParty{pkce: oauth2.GenerateVerifier()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /start", func(w http.ResponseWriter, r *http.Request) {
		opts := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("nonce", "the-nonce"), oauth2.SetAuthURLParam("prompt", "login")}
		if rp.pkce != "" {
			opts = append(opts, oauth2.S256ChallengeOption(rp.pkce))
		}
		http.Redirect(w, r, rp.oauth.AuthCodeURL("the-state", opts...), http.StatusFound)
	})
	mux.HandleFunc("GET /back", func(w http.ResponseWriter, r *http.Request) {
		if e := r.URL.Query().Get("error"); e != "" {
			fmt.Fprint(w, "refused: ", e)
			return
		}
		token, err := rp.oauth.Exchange(r.Context(), r.URL.Query().Get("code"), oauth2.VerifierOption(rp.pkce))
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		id, _ := token.Extra("id_token").(string)
		rp.mu.Lock()
		defer rp.mu.Unlock()
		rp.tokens = append(rp.tokens, id)
		fmt.Fprint(w, "welcome")
	})
	rp.Server = httptest.NewServer(mux)
	t.Cleanup(rp.Close)
	return rp
}

// claims are those of the last ID token, without what differs from one to the next, and whether the
// key that the provider publishes has signed them.
func (rp *relyingParty) claims(t *testing.T, issuer string) (claims map[string]any, signed bool) {
	t.Helper()
	rp.mu.Lock()
	defer rp.mu.Unlock()
	if len(rp.tokens) == 0 {
		t.Fatal("no ID token has come")
	}
	parts := strings.Split(rp.tokens[len(rp.tokens)-1], ".")
	if len(parts) != 3 {
		t.Fatalf("an ID token of %d parts", len(parts))
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		t.Fatalf("a signature of %d bytes (%v)", len(signature), err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	signed = ecdsa.Verify(publishedKey(t, issuer), digest[:], r, s)
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iat", "exp", "auth_time", "at_hash"} {
		delete(claims, name)
	}
	return claims, signed
}

// publishedKey is the key with which the provider says that it signs.
func publishedKey(t *testing.T, issuer string) *ecdsa.PublicKey {
	t.Helper()
	resp, err := http.Get(issuer + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var set struct{ Keys []struct{ X, Y string } }
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("keys %+v (%v)", set, err)
	}
	point := []byte{4} // uncompressed
	for _, coordinate := range []string{set.Keys[0].X, set.Keys[0].Y} {
		b, err := base64.RawURLEncoding.DecodeString(coordinate)
		if err != nil {
			t.Fatal(err)
		}
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestProvider(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t)
	o := Provider(t, "")
	o.Redirect(Localhost(rp.URL) + "/back")
	rp.oauth = oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, RedirectURL: Localhost(rp.URL) + "/back", Scopes: []string{"openid", "email", "profile"},
		Endpoint: oauth2.Endpoint{AuthURL: o.Issuer + "/auth", TokenURL: o.Issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	subject := fmt.Sprintf("p-%x", sha256.Sum256([]byte("mira@example.org")))[:26]
	tests := []struct {
		name  string
		wrong Misbehaviour
		text  string
		want  map[string]any // instead of what is right; nil for a claim that is not there
	}{
		{"right", Misbehaviour{}, "welcome", nil},
		{"other-nonce", Misbehaviour{Claims: map[string]any{"nonce": "another"}}, "welcome", map[string]any{"nonce": "another"}},
		{"unverified", Misbehaviour{Claims: map[string]any{"email_verified": false, "name": nil}}, "welcome", map[string]any{"email_verified": false, "name": nil}},
		{"denied", Misbehaviour{Deny: true}, "refused: access_denied", nil},
		{"forged", Misbehaviour{Forge: true}, "welcome", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o.Misbehave(tt.wrong)
			tab := Open(t, Localhost(rp.URL))
			tab.Go("/start")
			o.SignIn(tab, "mira@example.org")
			tab.Wait(tt.text)
			if tt.wrong.Deny {
				return
			}
			want := map[string]any{
				"iss": o.Issuer, "aud": o.ClientID, "sub": subject, "nonce": "the-nonce",
				"email": "mira@example.org", "email_verified": true, "name": "mira",
			}
			for name, v := range tt.want {
				want[name] = v
				if v == nil {
					delete(want, name)
				}
			}
			got, signed := rp.claims(t, o.Issuer)
			if signed == tt.wrong.Forge {
				t.Errorf("signed by the published key: %v", signed)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("without-pkce", func(t *testing.T) {
		rp.pkce = ""
		o.Misbehave(Misbehaviour{})
		tab := Open(t, Localhost(rp.URL))
		tab.Go("/start")
		tab.Wait("refused: invalid_request")
	})
}
