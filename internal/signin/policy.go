package signin

import (
	"context"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// The limits of sessions.
const (
	MinIdle     = 5 * time.Minute
	MaxIdle     = 30 * 24 * time.Hour
	MaxAbsolute = 90 * 24 * time.Hour
)

// Policy returns how people of the account may sign in.
func (s *Service) Policy(ctx context.Context, accountID string) (Policy, error) {
	return s.Store.Policy(ctx, accountID)
}

// SetPolicy changes it. newSSOSecret is the client secret at the OpenID provider; empty leaves the stored
// one as it is.
func (s *Service) SetPolicy(ctx context.Context, accountID string, p Policy, newSSOSecret string, by audit.Entry) error {
	p.Issuer, p.ClientID = strings.TrimSpace(p.Issuer), strings.TrimSpace(p.ClientID)
	if err := p.check(); err != nil {
		return err
	}
	old, err := s.Store.Policy(ctx, accountID)
	if err != nil {
		return err
	}
	p.HasSecret, p.SecretVersion = old.HasSecret, old.SecretVersion
	if p.SingleSignOn && (!old.SingleSignOn || old.Issuer != p.Issuer) {
		if _, err := s.provider(ctx, p.Issuer); err != nil {
			return problem.InField("issuer", "no OpenID provider answers at %s/.well-known/openid-configuration with this issuer",
				strings.TrimSuffix(p.Issuer, "/")).WithCause(err)
		}
	}
	var sealed []byte
	if newSSOSecret != "" {
		if len(newSSOSecret) > 1000 || newSSOSecret != bounded(newSSOSecret, 1000) {
			return problem.InField("client_secret", "the client secret has %d bytes; at most 1000 are possible", len(newSSOSecret))
		}
		p.HasSecret, p.SecretVersion = true, old.SecretVersion+1
		if sealed, err = s.Keys.Seal([]byte(newSSOSecret), sealSSO, accountID, strconv.Itoa(p.SecretVersion)); err != nil {
			return err
		}
	}
	return s.Store.SetPolicy(ctx, accountID, p, sealed, by)
}

func (p Policy) check() error {
	switch {
	case !p.Passkeys && !p.Passwords && !p.SingleSignOn:
		return problem.InField("passkeys", "nobody could sign in any more; leave passkeys, passwords or single sign-on allowed")
	case p.Idle < MinIdle || p.Idle > MaxIdle:
		return problem.InField("idle", "a session ends after %s unused; it must be between 5 minutes and 30 days", p.Idle)
	case p.Absolute < p.Idle:
		return problem.InField("absolute", "a session ends after %s at the latest, which is before it ends unused, after %s", p.Absolute, p.Idle)
	case p.Absolute > MaxAbsolute:
		return problem.InField("absolute", "a session ends after %s at the latest; at most 90 days are possible", p.Absolute)
	case !p.SingleSignOn:
		return nil
	case p.ClientID == "" || len(p.ClientID) > 300 || p.ClientID != bounded(p.ClientID, 300):
		return problem.InField("client_id", "the client ID is missing or longer than 300 bytes; your OpenID provider shows it")
	}
	return checkIssuer(p.Issuer)
}
