package signin

import (
	"context"
	"encoding/json"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// ErrLink is the answer to a set-up link that cannot be used (any more).
func ErrLink() *problem.Error {
	return problem.Coded(problem.NotFound, "link_over", "this link was used already or is too old; an administrator of the account can send a new one")
}

// SetupPerson returns whose set-up link it is, and which ways in her account allows.
func (s *Service) SetupPerson(ctx context.Context, link string) (Person, Policy, error) {
	p, _, policy, err := s.linked(ctx, link)
	return p, policy, err
}

func (s *Service) linked(ctx context.Context, link string) (Person, seal.Hash, Policy, error) {
	hash, err := seal.ParseCredential(LinkPrefix, link)
	if err != nil {
		return Person{}, hash, Policy{}, ErrLink().WithCause(err)
	}
	p, err := s.Store.SetupLink(ctx, hash, s.Now())
	if problem.Is(err, problem.NotFound) {
		return Person{}, hash, Policy{}, ErrLink()
	}
	if err != nil {
		return Person{}, hash, Policy{}, err
	}
	policy, err := s.Store.Policy(ctx, p.AccountID)
	return p, hash, policy, err
}

// SetupPassword uses the link up, and signs in.
func (s *Service) SetupPassword(ctx context.Context, c Client, link, password string) (SignedIn, error) {
	c = tidy(c)
	p, hash, policy, err := s.linked(ctx, link)
	if err != nil {
		return SignedIn{}, s.badLink(ctx, c, err)
	}
	if !policy.Passwords {
		return SignedIn{}, errOff("passwords")
	}
	if err := CheckPassword(password, p.Email); err != nil {
		return SignedIn{}, err
	}
	text, err := s.hashes.hash(ctx, password)
	if err != nil {
		return SignedIn{}, err
	}
	return s.setUp(ctx, c, hash, p, NewWay{PasswordHash: text})
}

// BeginSetupPasskey offers to make the first passkey.
func (s *Service) BeginSetupPasskey(ctx context.Context, link string) (json.RawMessage, Ticket, error) {
	p, hash, _, err := s.linked(ctx, link)
	if err != nil {
		return nil, "", err
	}
	return s.beginMake(ctx, forSetup, p, ceremony{Link: hash})
}

// FinishSetupPasskey uses the link up, and signs in.
func (s *Service) FinishSetupPasskey(ctx context.Context, c Client, link string, ticket Ticket, response []byte) (SignedIn, error) {
	c = tidy(c)
	p, hash, _, err := s.linked(ctx, link)
	if err != nil {
		return SignedIn{}, s.badLink(ctx, c, err)
	}
	cer, _, err := redeem[ceremony](ctx, s, s.Store.Take, ticket, forSetup)
	if err != nil {
		return SignedIn{}, err
	}
	if !cer.Link.Equal(hash) || cer.AccountID != p.AccountID || cer.UserID != p.UserID {
		return SignedIn{}, ErrOver()
	}
	key, err := s.finishMake(cer, p, "", response)
	if err != nil {
		return SignedIn{}, err
	}
	return s.setUp(ctx, c, hash, p, NewWay{Passkey: &key})
}

func (s *Service) setUp(ctx context.Context, c Client, link seal.Hash, p Person, w NewWay) (SignedIn, error) {
	token, hash := seal.NewCredential(SessionPrefix)
	ses, err := s.Store.SetUp(ctx, link, w, NewSession{Hash: hash, Method: BySetupLink, Client: c},
		s.attempt(c, p, BySetupLink, Success, CredentialsOK), s.by(ctx, c, p.Actor(), p))
	if problem.Is(err, problem.NotFound) {
		return SignedIn{}, s.badLink(ctx, c, ErrLink().WithCause(err))
	}
	if err != nil {
		return SignedIn{}, err
	}
	p.Invited = false
	enrol, err := s.mustEnrol(ctx, p, BySetupLink)
	return SignedIn{Token: token, Session: ses, Person: p, Enrol: enrol}, err
}

// badLink records a link that could not be used. What has not even the form of one is not recorded.
func (s *Service) badLink(ctx context.Context, c Client, cause error) error {
	if p := problem.Public(cause); p.Kind != problem.NotFound || p.Err != nil && !problem.Is(p.Err, problem.NotFound) {
		return cause
	}
	if err := s.fail(ctx, c, Person{}, BySetupLink, CredentialsFailed, CodeBad, addressKey(c)); err != nil {
		return err
	}
	return cause
}

// SetInitialPassword is for the operator: an owner who begins with a password instead of a set-up link.
func (s *Service) SetInitialPassword(ctx context.Context, accountID, userID, password string, by audit.Entry) error {
	p, err := s.Store.Person(ctx, accountID, userID)
	if err != nil {
		return err
	}
	if err := CheckPassword(password, p.Email); err != nil {
		return err
	}
	hash, err := s.hashes.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.Store.SetFirstPassword(ctx, accountID, userID, hash, by)
}
