package feed

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net/http"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

const keyPurpose = "events signing key"

// signer is the key that signs.
type signer struct {
	id  string
	key *ecdsa.PrivateKey
}

func (k signer) sign(c claims) (string, error) {
	signing, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.key, KeyID: k.id}},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	if err != nil {
		return "", fmt.Errorf("sign events token: %w", err)
	}
	text, err := jwt.Signed(signing).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign events token: %w", err)
	}
	return text, nil
}

// signer returns the newest key; the first one is made when it is needed.
func (s *Service) signer(ctx context.Context) (signer, error) {
	for range 2 {
		keys, err := s.Store.SigningKeys(ctx)
		if err != nil {
			return signer{}, err
		}
		if len(keys) > 0 {
			return s.open(keys[0])
		}
		if err := s.addKey(ctx, true, false, audit.Entry{Actor: "system"}); err != nil {
			return signer{}, err
		}
	}
	return signer{}, fmt.Errorf("the key for events tokens was stored and is not there")
}

func (s *Service) open(k SigningKey) (signer, error) {
	der, err := s.Keys.Open(k.Sealed, keyPurpose, k.ID)
	if err != nil {
		return signer{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return signer{}, fmt.Errorf("read key %q for events tokens: %w", k.ID, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return signer{}, fmt.Errorf("the key %q for events tokens is a %T", k.ID, parsed)
	}
	return signer{id: k.ID, key: key}, nil
}

// RotateKey makes a new key, with which tokens are signed from now on. Tokens that earlier keys have signed
// stay good, unless revoke is set: then all of them, of every account, are revoked at once.
func (s *Service) RotateKey(ctx context.Context, revoke bool, by audit.Entry) error {
	return s.addKey(ctx, false, revoke, by)
}

func (s *Service) addKey(ctx context.Context, first, revoke bool, by audit.Entry) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key for events tokens: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make key for events tokens: %w", err)
	}
	k := SigningKey{ID: seal.NewID(), CreatedAt: s.Now().UTC()}
	if k.Public, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		return fmt.Errorf("make key for events tokens: %w", err)
	}
	if k.Sealed, err = s.Keys.Seal(private, keyPurpose, k.ID); err != nil {
		return err
	}
	by.Action, by.Target = audit.EventsKeyRotate, "events_key:"+k.ID
	return s.Store.AddSigningKey(ctx, k, first, revoke, by)
}

// verifiers are the public keys that were looked up. A key never changes and is never taken away; tokens are.
type verifiers struct {
	mu   sync.RWMutex
	keys map[string]*ecdsa.PublicKey
}

// verifier returns the key with the ID; NotFound if there is none.
func (s *Service) verifier(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	s.verifiers.mu.RLock()
	key, ok := s.verifiers.keys[id]
	s.verifiers.mu.RUnlock()
	if ok {
		return key, nil
	}
	if !seal.ValidID(id) {
		return nil, problem.New(problem.NotFound, "the key ID is not one of ours")
	}
	all, err := s.Store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*ecdsa.PublicKey, len(all))
	for _, k := range all {
		parsed, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return nil, fmt.Errorf("read key %q for events tokens: %w", k.ID, err)
		}
		if key, ok := parsed.(*ecdsa.PublicKey); ok {
			found[k.ID] = key
		}
	}
	s.verifiers.mu.Lock()
	s.verifiers.keys = found
	s.verifiers.mu.Unlock()
	if key, ok = found[id]; !ok {
		return nil, problem.New(problem.NotFound, "no such key")
	}
	return key, nil
}

// jwks publishes the keys (RFC 7517 §5), for whoever wants to check a token without asking us.
func (s *Service) jwks(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Store.SigningKeys(r.Context())
	if err != nil {
		return err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range all {
		parsed, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return fmt.Errorf("read key %q for events tokens: %w", k.ID, err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: parsed, KeyID: k.ID, Algorithm: string(jose.ES256), Use: "sig"})
	}
	return web.JSON(w, http.StatusOK, set)
}
