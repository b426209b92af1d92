package oauth

import (
	"context"
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
		Scopes: n.Scopes, CreatedAt: now, CreatedBy: by.Actor, Secrets: []SecretInfo{info},
	}
	by.Action, by.Target = audit.AppCreate, "client:"+c.ID
	if err := s.Store.CreateClient(ctx, c, info, hash, by); err != nil {
		return Credentials{}, err
	}
	return Credentials{Client: c, Secret: secret}, nil
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
