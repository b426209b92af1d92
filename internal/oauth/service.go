package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// Service manages applications and serves the endpoints.
type Service struct {
	Store    Store
	Limits   *Limits
	Issuer   string // public URL without a slash at the end (RFC 8414 §2)
	Audience string // where tokens are valid; the same URL
	Now      func() time.Time
}

// Create makes an application with its first secret. The secret is in the answer and nowhere else.
func (s *Service) Create(ctx context.Context, accountID string, n NewClient, by audit.Entry) (Credentials, error) {
	if err := n.Check(); err != nil {
		return Credentials{}, err
	}
	secret, hash := seal.NewCredential(SecretPrefix)
	now := s.Now().UTC()
	info := SecretInfo{ID: seal.NewID(), CreatedAt: now}
	c := Client{
		AccountID: accountID, ID: uuid.NewString(), Name: n.Name, Description: n.Description, RedirectURL: n.RedirectURL,
		Scopes: n.Scopes, CreatedAt: now, CreatedBy: by.Actor, CreateKey: n.Key, Secrets: []SecretInfo{info},
	}
	by.Action, by.Target = audit.AppCreate, "client:"+c.ID
	if err := s.Store.CreateClient(ctx, c, info, hash, by); err != nil {
		return Credentials{}, err
	}
	return Credentials{Client: c, Secret: secret}, nil
}

// ErrAlreadyCreated is the answer to a second creation with the key of a first.
func ErrAlreadyCreated(clientID string) *problem.Error {
	return problem.Coded(problem.Conflict, "already_created", "this form has made an application already; its secret was shown once").
		WithCause(&alreadyCreated{clientID})
}

type alreadyCreated struct{ clientID string }

func (e *alreadyCreated) Error() string { return "the application is " + e.clientID }

// AlreadyCreated is the application that the first creation with the same key has made, if that is what
// the error says.
func AlreadyCreated(err error) (clientID string, ok bool) {
	e, ok := errors.AsType[*alreadyCreated](err)
	if !ok {
		return "", false
	}
	return e.clientID, true
}

// Client returns one application of the account.
func (s *Service) Client(ctx context.Context, accountID, id string) (Client, error) {
	return s.Store.Client(ctx, accountID, id)
}

// Clients lists the applications of the account in the order of their creation, revoked ones too.
func (s *Service) Clients(ctx context.Context, accountID string) ([]Client, error) {
	return s.Store.Clients(ctx, accountID)
}

// Update changes name, description, redirect URL and scopes to those given. It works on tokens that are
// out from their next request on. A revoked application is a problem of kind Conflict.
func (s *Service) Update(ctx context.Context, accountID, id string, n NewClient, by audit.Entry) (Client, error) {
	if err := n.Check(); err != nil {
		return Client{}, err
	}
	by.Action, by.Target = audit.AppUpdate, "client:"+id
	return s.Store.UpdateClient(ctx, accountID, id, n, by)
}

// HoldsSecret reports whether the text is a secret of the application that is alive now. All live ones
// are compared, in constant time.
func (s *Service) HoldsSecret(ctx context.Context, accountID, id, secretText string) (bool, error) {
	known, err := s.Store.LiveSecrets(ctx, id, s.Now())
	if err != nil {
		return false, err
	}
	if known.AccountID != accountID {
		return false, ErrNoClient(id)
	}
	return known.holding(seal.NewSecret(secretText)) != "", nil
}

// ErrNoClient is the answer to an application that the account does not have.
func ErrNoClient(id string) *problem.Error {
	return problem.New(problem.NotFound, "no OAuth application %q", id)
}

// holding is the ID of the secret with the text; empty if there is none.
func (c ClientSecrets) holding(secret seal.Secret) (id string) {
	hash, err := seal.ParseCredential(SecretPrefix, secret.Reveal())
	for _, k := range padded(c.Secrets) {
		if subtle.ConstantTimeCompare(k.Hash[:], hash[:]) == 1 && err == nil && k.ID != "" {
			id = k.ID
		}
	}
	return id
}

// Rotate makes a new secret. The others go on for the overlap, so that the platform can be given the
// new one without downtime; with no overlap they, and the tokens issued for them, are dead at once.
func (s *Service) Rotate(ctx context.Context, accountID, id string, overlap time.Duration, by audit.Entry) (Credentials, error) {
	if overlap < 0 || overlap > 30*24*time.Hour {
		return Credentials{}, problem.InField("overlap", "the overlap is %s; it must be between 0 and 720h", overlap)
	}
	secret, hash := seal.NewCredential(SecretPrefix)
	now := s.Now().UTC()
	by.Action, by.Target = audit.AppRotateSecret, "client:"+id
	c, err := s.Store.RotateSecret(ctx, accountID, id, SecretInfo{ID: seal.NewID(), CreatedAt: now}, hash, now.Add(overlap), by)
	if err != nil {
		return Credentials{}, err
	}
	return Credentials{Client: c, Secret: secret}, nil
}

// Revoke ends the application for good.
func (s *Service) Revoke(ctx context.Context, accountID, id string, by audit.Entry) error {
	by.Action, by.Target = audit.AppRevoke, "client:"+id
	return s.Store.RevokeClient(ctx, accountID, id, by)
}

// Authorize is web.Authorizer for access tokens.
func (s *Service) Authorize(ctx context.Context, token string) (web.Principal, error) {
	hash, err := seal.ParseCredential(TokenPrefix, token)
	if err != nil {
		return web.Principal{}, problem.New(problem.Unauthenticated, "this is not an access token; request one at the token endpoint").WithCause(err)
	}
	t, err := s.Store.Token(ctx, hash)
	if problem.Is(err, problem.NotFound) {
		return web.Principal{}, problem.New(problem.Unauthenticated, "the access token is not known; request a new one")
	}
	if err != nil {
		return web.Principal{}, err
	}
	p := web.Principal{Actor: "client:" + t.ClientID, AccountID: t.AccountID, Scopes: t.Scopes}
	return p, t.Alive(s.Now())
}

// Secrets too many is a conflict that the administrator can solve.
func errTooManySecrets() error {
	return problem.New(problem.Conflict, "two secrets are alive already; rotate without overlap, or wait until the older one has ended")
}

// CheckOverlap refuses a rotation after which more secrets would be alive than allowed.
func CheckOverlap(others []SecretInfo, end, now time.Time) error {
	alive := 0
	for _, o := range others {
		if o.Alive(now) && end.After(now) {
			alive++
		}
	}
	if alive >= maxSecrets {
		return errTooManySecrets()
	}
	return nil
}
