package signin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// idp is an OpenID provider that says what a test wants to hear.
type idp struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu      sync.Mutex
	claims  map[string]any // of the next ID token
	header  map[string]any // of the next ID token
	key2    *ecdsa.PrivateKey
	saysIss bool
	form    url.Values // of the last token request
	user    string     // with which it was authenticated
	status  int        // of the token endpoint; 0: 200
}

func newIDP(t testing.TB) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{key: key}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"}, "authorization_response_iss_parameter_supported": p.saysIss,
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
			"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": b64(point[1:33]), "y": b64(point[33:]),
		}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = r.ParseForm()
		p.form = r.PostForm
		p.user, _, _ = r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		if p.status != 0 {
			w.WriteHeader(p.status)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": "invalid_grant"})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": p.token()})
	})
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *idp) token() string {
	header, _ := json.Marshal(p.header)
	claims, _ := json.Marshal(p.claims)
	text := b64(header) + "." + b64(claims)
	if p.header["alg"] == "none" {
		return text + "."
	}
	key := p.key
	if p.key2 != nil {
		key = p.key2
	}
	digest := sha256.Sum256([]byte(text))
	r, s, _ := ecdsa.Sign(rand.Reader, key, digest[:])
	sig := make([]byte, 64) // r and s, RFC 7518 §3.4
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return text + "." + b64(sig)
}

// answers prepares the ID token for the browser that was sent to the URL.
func (p *idp) answers(t testing.TB, sentTo, subject, email string, now time.Time) (state string) {
	t.Helper()
	u, err := url.Parse(sentTo)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.header = map[string]any{"alg": "ES256", "kid": "1"}
	p.claims = map[string]any{
		"iss": p.URL, "aud": q.Get("client_id"), "sub": subject, "nonce": q.Get("nonce"), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		"email": email, "email_verified": true, "auth_time": now.Unix(),
	}
	p.status, p.key2 = 0, nil
	return q.Get("state")
}
