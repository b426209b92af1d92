package feed_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// claimsOf reads the claims as shippers do: without looking at the signature.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 || !strings.HasPrefix(token, "eyJ") {
		t.Fatalf("the token has %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTokenForShippers(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	token := in.EventsToken(t, "signinattempts", "auditevents")
	c := claimsOf(t, token)
	host := strings.TrimPrefix(in.URL, "http://")
	want := map[string]any{"aud": []any{host}, "1password.com/fts": []any{"auditevents", "signinattempts"}, "sub": in.Account.ID, "iss": in.URL}
	got := maps.Clone(c)
	for _, name := range []string{"jti", "iat"} {
		if got[name] == nil {
			t.Errorf("no %s in %v", name, c)
		}
		delete(got, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}

	var v1 struct {
		UUID     string
		IssuedAt time.Time
		Features []string
	}
	a := in.Call(t, "GET", "/api/auth/introspect", token)
	if err := json.Unmarshal([]byte(a.Body), &v1); err != nil || v1.UUID != c["jti"] || v1.IssuedAt.Unix() != int64(c["iat"].(float64)) || !slices.Equal(v1.Features, []string{"auditevents", "signinattempts"}) {
		t.Errorf("introspection, v1: %s, %v", a.Body, err)
	}
	if a := in.Call(t, "GET", "/api/v2/auth/introspect", token); a.Field("uuid") != c["jti"] || a.Field("account_uuid") != in.Account.ID {
		t.Errorf("introspection, v2: %s", a.Body)
	}

	// Anybody can check the signature with the published keys.
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(in.Call(t, "GET", "/.well-known/jwks.json", "").Body), &set); err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var checked map[string]any
	if err := signed.Claims(&set, &checked); err != nil {
		t.Errorf("the published keys do not verify the token: %v", err)
	}
	if strings.Contains(in.Call(t, "GET", "/.well-known/jwks.json", "").Body, `"d"`) {
		t.Error("the private key is published")
	}
}

func TestTokenRefused(t *testing.T) {
	each(t, func(t *testing.T, in *servertest.Instance) {
		token := in.EventsToken(t, "signinattempts")
		body := func(token string) string { return strings.Split(token, ".")[1] }
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		forge := func(alg jose.SignatureAlgorithm, key any, kid string) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := jwt.Signed(s).Claims(claimsOf(t, token)).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		signed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		kid := signed.Headers[0].KeyID
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + kid + `"}`))
		for name, bad := range map[string]string{
			"nothing": "", "no JWT": "abc", "two parts": strings.Join(strings.Split(token, ".")[:2], "."), "cut": token[:len(token)-2], "longer": token + "A",
			"alg none": none + "." + body(token) + ".", "another key": forge(jose.ES256, key, kid), "unknown key": forge(jose.ES256, key, "K7QWZP3M5XNB2RTYDHCVFAEJ4U"),
			"HS256": forge(jose.HS256, []byte(strings.Repeat("k", 32)), kid), "huge": strings.Repeat("a", 9000),
			"other claims": strings.Split(token, ".")[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"1password.com/fts":["auditevents"]}`)) + "." + strings.Split(token, ".")[2],
			"access token": in.Token(t, in.Credentials),
		} {
			if a := ask(t, in, "/api/v2/signinattempts", bad, "{}"); a.Status != http.StatusUnauthorized || eventsMessage(a) == "" || a.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if a := ask(t, in, "/api/v2/auditevents", token, "{}"); a.Status != http.StatusUnauthorized || !strings.Contains(eventsMessage(a), "auditevents") {
			t.Errorf("without the feature: %d %s", a.Status, a.Body)
		}
		if a := in.Call(t, "GET", in.UsersURL(), token); a.Status != http.StatusUnauthorized {
			t.Errorf("an events token on the Users API: %d %s", a.Status, a.Body)
		}
		if a := ask(t, in, "/api/v2/signinattempts", token, "{}"); a.Status != http.StatusOK {
			t.Errorf("the token itself: %d %s", a.Status, a.Body)
		}
	})
}

func TestTokenExpires(t *testing.T) {
	place := storetest.NewPlace(t, "sqlite")
	clock := servertest.NewClock(place)
	in := servertest.StartAt(t, place, nil)
	made, err := in.Events().Issue(t.Context(), in.Account.ID, feed.NewToken{Name: "SIEM", Features: feed.Streams(), Life: 30 * 24 * time.Hour}, storetest.By())
	if err != nil {
		t.Fatal(err)
	}
	token := made.Text.Reveal()
	in.Secrets.Learn(token)
	clock.Forward(30*24*time.Hour - 10*time.Second)
	read(t, in, "/api/v1/signinattempts", token, "{}")
	clock.Forward(11 * time.Second)
	if a := ask(t, in, "/api/v1/signinattempts", token, "{}"); a.Status != http.StatusUnauthorized || !strings.Contains(eventsMessage(a), "expired") {
		t.Errorf("after 30 days: %d %s", a.Status, a.Body)
	}
}

// TestRevokeAtOnce revokes while 16 readers read: no request that begins after the answer succeeds.
func TestRevokeAtOnce(t *testing.T) {
	each(t, func(t *testing.T, in *servertest.Instance) {
		in.Events().Limits = nil // this many requests are the point
		made, err := in.Events().Issue(t.Context(), in.Account.ID, feed.NewToken{Name: "SIEM", Features: feed.Streams()}, storetest.By())
		if err != nil {
			t.Fatal(err)
		}
		token := made.Text.Reveal()
		in.Secrets.Learn(token)
		ctx, stop := context.WithCancel(t.Context())
		var revoked atomic.Bool
		var late, served atomic.Int64
		var all sync.WaitGroup
		busy := make(chan struct{}) // closed with the fiftieth answer
		for range 16 {
			all.Go(func() {
				for ctx.Err() == nil {
					after := revoked.Load()
					a := ask(t, in, "/api/v2/itemusages", token, "{}")
					if served.Add(1) == 50 {
						close(busy)
					}
					if after && a.Status == http.StatusOK {
						late.Add(1)
					}
					if after && a.Status != http.StatusOK {
						return
					}
				}
			})
		}
		<-busy
		if err := in.Events().Revoke(t.Context(), in.Account.ID, made.Token.ID, storetest.By()); err != nil {
			t.Fatal(err)
		}
		revoked.Store(true)
		all.Wait()
		stop()
		if late.Load() > 0 {
			t.Errorf("%d requests that began after the revocation succeeded", late.Load())
		}
		if err := in.Events().Revoke(t.Context(), in.Account.ID, made.Token.ID, storetest.By()); err != nil {
			t.Errorf("revoking again: %v", err)
		}
	})
}

func TestRotateKey(t *testing.T) {
	each(t, func(t *testing.T, in *servertest.Instance) {
		before := in.EventsToken(t)
		if err := in.Events().RotateKey(t.Context(), false, storetest.By()); err != nil {
			t.Fatal(err)
		}
		between := in.EventsToken(t)
		for name, token := range map[string]string{"before": before, "after": between} {
			if a := in.Call(t, "GET", "/api/v2/auth/introspect", token); a.Status != http.StatusOK {
				t.Errorf("a token of %s the rotation: %d %s", name, a.Status, a.Body)
			}
		}
		mark := in.Mark(t)
		if err := in.Events().RotateKey(t.Context(), true, storetest.By()); err != nil {
			t.Fatal(err)
		}
		revoked := 0
		for _, l := range in.Since(t, mark) {
			if l.Entry.Action == audit.EventsTokenRevoke {
				revoked++
			}
		}
		if revoked != 2 {
			t.Errorf("%d entries of revocations, want 2", revoked)
		}
		for _, token := range []string{before, between} {
			if a := in.Call(t, "GET", "/api/v2/auth/introspect", token); a.Status != http.StatusUnauthorized {
				t.Errorf("after a rotation that revokes: %d", a.Status)
			}
		}
		if a := in.Call(t, "GET", "/api/v2/auth/introspect", in.EventsToken(t)); a.Status != http.StatusOK {
			t.Errorf("a token of the new key: %d %s", a.Status, a.Body)
		}
	})
}

func TestLimits(t *testing.T) {
	place := storetest.NewPlace(t, "sqlite")
	clock := servertest.NewClock(place)
	in := servertest.StartAt(t, place, nil)
	token, other := in.EventsToken(t), in.EventsToken(t)
	served := 0
	var a servertest.Answer
	for range 2 * feed.PerMinute {
		if a = in.Call(t, "GET", "/api/v2/auth/introspect", token); a.Status != http.StatusOK {
			break
		}
		served++
	}
	if served != feed.PerMinute || a.Status != http.StatusTooManyRequests || eventsMessage(a) == "" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d requests served, then %d %s", served, a.Status, a.Body)
	}
	if a := in.Call(t, "GET", "/api/v2/auth/introspect", other); a.Status != http.StatusOK {
		t.Errorf("another token: %d %s", a.Status, a.Body)
	}
	clock.Forward(time.Minute)
	if a := in.Call(t, "GET", "/api/v2/auth/introspect", token); a.Status != http.StatusOK {
		t.Errorf("a minute later: %d %s", a.Status, a.Body)
	}
}
