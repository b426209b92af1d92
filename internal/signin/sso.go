package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// SSOPath is where OpenID providers send the browser back to, below the origin.
const SSOPath = "/sign-in/sso/callback"

// SSOChoice is an account with single sign-on.
type SSOChoice struct{ AccountID, AccountName string }

// SSOAnswer is what the provider gave the browser to bring back.
type SSOAnswer struct {
	State  string
	Code   string
	Error  string // "error" of OpenID Connect Core §3.1.2.6
	Issuer string // "iss" of RFC 9207; empty if the provider sends none
}

// ErrSSO is the one answer to single sign-on that does not let anybody in.
func ErrSSO() *problem.Error {
	return problem.Coded(problem.Unauthenticated, "sso_failed", "single sign-on did not let you in; try again, or ask an administrator of the account")
}

// trip is a browser that has been sent to an OpenID provider.
type trip struct {
	AccountID string
	Issuer    string
	State     string
	Nonce     string
	Verifier  string // of PKCE, RFC 7636
	Next      string
	Begun     time.Time
	UserID    string `json:",omitempty"` // to confirm the session of this person
	SessionID string `json:",omitempty"`
}

// SSOChoices returns the accounts with single sign-on, by name.
func (s *Service) SSOChoices(ctx context.Context) ([]SSOChoice, error) {
	policies, err := s.Store.SSOAccounts(ctx)
	if err != nil {
		return nil, err
	}
	var out []SSOChoice
	for _, id := range slices.Sorted(maps.Keys(policies)) {
		name, err := s.Store.AccountName(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, SSOChoice{AccountID: id, AccountName: name})
	}
	slices.SortStableFunc(out, func(a, b SSOChoice) int { return cmp.Compare(a.AccountName, b.AccountName) })
	return out, nil
}

// BeginSSO returns where to send the browser, and the ticket that it must come back with, in a cookie.
// next is the path of ours to show after that.
func (s *Service) BeginSSO(ctx context.Context, accountID, next string) (redirectURL string, ticket Ticket, err error) {
	return s.beginSSO(ctx, trip{AccountID: accountID, Next: within(next)})
}

// BeginConfirmSSO sends the person of the session to the provider, to authenticate anew.
func (s *Service) BeginConfirmSSO(ctx context.Context, p web.Principal, next string) (redirectURL string, ticket Ticket, err error) {
	return s.beginSSO(ctx, trip{AccountID: p.AccountID, Next: within(next), UserID: p.UserID, SessionID: p.SessionID})
}

func (s *Service) beginSSO(ctx context.Context, t trip) (string, Ticket, error) {
	config, _, policy, err := s.client(ctx, t.AccountID)
	if err != nil {
		return "", "", err
	}
	t.Issuer, t.State, t.Nonce, t.Verifier, t.Begun = policy.Issuer, rand.Text(), rand.Text(), oauth2.GenerateVerifier(), s.Now().UTC()
	opts := []oauth2.AuthCodeOption{oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)}
	if t.SessionID != "" {
		opts = append(opts, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	ticket, err := issue(ctx, s, forSSO, t, ssoLife)
	return config.AuthCodeURL(t.State, opts...), ticket, err
}

// client is what we are at the account's provider.
func (s *Service) client(ctx context.Context, accountID string) (oauth2.Config, provider, Policy, error) {
	policy, err := s.Store.Policy(ctx, accountID)
	if problem.Is(err, problem.NotFound) || err == nil && !policy.SingleSignOn {
		return oauth2.Config{}, provider{}, policy, problem.Coded(problem.NotFound, "no_sso", "this account has no single sign-on")
	}
	if err != nil {
		return oauth2.Config{}, provider{}, policy, err
	}
	found, err := s.provider(ctx, policy.Issuer)
	if err != nil {
		return oauth2.Config{}, provider{}, policy, errUnreachable(err)
	}
	config := oauth2.Config{
		ClientID: policy.ClientID, Endpoint: found.oidc.Endpoint(), RedirectURL: s.Origin + SSOPath,
		Scopes: []string{oidc.ScopeOpenID, oidc.ScopeEmail, oidc.ScopeProfile},
	}
	if policy.HasSecret {
		sealed, err := s.Store.SSOSecret(ctx, accountID)
		if err != nil {
			return config, found, policy, err
		}
		secret, err := s.Keys.Open(sealed, sealSSO, accountID, strconv.Itoa(policy.SecretVersion))
		if err != nil {
			return config, found, policy, err
		}
		config.ClientSecret = string(secret)
	}
	return config, found, policy, nil
}

// sealSSO is the purpose for which the client secret is sealed.
const sealSSO = "sso client secret"

func errUnreachable(cause error) *problem.Error {
	return problem.Coded(problem.Unavailable, "sso_unavailable", "the OpenID provider of the account does not answer as it should; try again later, or sign in another way").
		WithCause(cause)
}

// FinishSSO signs in whom the provider names, and returns where to go next. If the ticket is to confirm a
// session, that session is fresh after it, and SignedIn is zero. Nobody is created: a person must be in the
// account, and is known by what the provider calls her (issuer and subject), the first time by her e-mail,
// if the provider has verified it.
func (s *Service) FinishSSO(ctx context.Context, c Client, ticket Ticket, a SSOAnswer) (in SignedIn, next string, err error) {
	c = tidy(c)
	t, _, err := redeem[trip](ctx, s, s.Store.Take, ticket, forSSO)
	if err != nil {
		return SignedIn{}, "/", err
	}
	p, used, bad, err := s.identify(ctx, t, a)
	if err == nil && t.SessionID != "" {
		err = s.confirm(ctx, c, p, t.SessionID, BySSO, CredentialsOK, used)
	} else if err == nil {
		in, err = s.enter(ctx, c, p, BySSO, CredentialsOK, used)
	}
	if err == nil || !problem.Is(err, problem.Unauthenticated) || problem.Public(err).Code == ErrSessionEnded().Code {
		return in, t.Next, err
	}
	if isWrong(err) {
		bad = SSOUserMismatch // she is known by another subject
	}
	if err := s.fail(ctx, c, p, BySSO, SSOFailed, bad); err != nil {
		return SignedIn{}, t.Next, err
	}
	return SignedIn{}, t.Next, ErrSSO().WithCause(err)
}

// identify finds who came back from the trip. If nobody may get in, err is a problem of kind
// Unauthenticated, and the person is filled in as far as she is known, with her account at least.
func (s *Service) identify(ctx context.Context, t trip, a SSOAnswer) (Person, Used, Type, error) {
	nobody := Person{AccountID: t.AccountID}
	config, found, policy, err := s.client(ctx, t.AccountID)
	if err != nil {
		return nobody, Used{}, NonSSOUser, err
	}
	who, err := s.claims(ctx, t, a, config, found, policy)
	if err != nil {
		if problem.Is(err, problem.Unavailable) {
			return nobody, Used{}, NonSSOUser, err
		}
		return nobody, Used{}, NonSSOUser, ErrSSO().WithCause(err)
	}
	nobody.Email = bounded(who.Email, 254)
	used := Used{Issuer: policy.Issuer, Subject: who.subject}
	p, err := s.bySubject(ctx, t.AccountID, used, who)
	if problem.Is(err, problem.NotFound) {
		return nobody, used, NonSSOUser, ErrSSO()
	}
	if err != nil {
		return nobody, used, NonSSOUser, err
	}
	if t.UserID != "" && p.UserID != t.UserID {
		return p, used, SSOUserMismatch, ErrSSO()
	}
	return p, used, "", nil
}

func (s *Service) bySubject(ctx context.Context, accountID string, used Used, who claims) (Person, error) {
	userID, err := s.Store.UserBySubject(ctx, accountID, used.Issuer, used.Subject)
	if err == nil {
		return s.Store.Person(ctx, accountID, userID)
	}
	if !problem.Is(err, problem.NotFound) || who.Email == "" || !bool(who.Verified) {
		return Person{}, err
	}
	people, err := s.Store.People(ctx, who.Email, 1000) // of all accounts, each of which has it once
	if err != nil {
		return Person{}, err
	}
	if i := slices.IndexFunc(people, func(p Person) bool { return p.AccountID == accountID }); i >= 0 {
		return people[i], nil
	}
	return Person{}, problem.New(problem.NotFound, "nobody in the account has the e-mail")
}

// claims are what an ID token says, as far as it matters here.
type claims struct {
	Email    string     `json:"email"`
	Verified lenient    `json:"email_verified"`
	AuthTime *claimTime `json:"auth_time"`
	AZP      string     `json:"azp"`
	subject  string
}

// lenient is a boolean that some providers write as a text.
type lenient bool

func (b *lenient) UnmarshalJSON(text []byte) error {
	*b = string(text) == "true" || string(text) == `"true"`
	return nil
}

// claimTime is a NumericDate (RFC 7519 §2).
type claimTime float64

func (t claimTime) time() time.Time { return time.Unix(int64(t), 0) }

// skew is how far the provider's clock may be from ours.
const skew = time.Minute

// claims changes the code into an ID token and checks it (OpenID Connect Core §3.1.3.7). go-oidc checks
// signature, algorithm, issuer, audience and expiry.
func (s *Service) claims(ctx context.Context, t trip, a SSOAnswer, config oauth2.Config, found provider, policy Policy) (claims, error) {
	switch {
	case subtle.ConstantTimeCompare([]byte(a.State), []byte(t.State)) != 1:
		return claims{}, errors.New("the state is that of another browser, or none")
	case policy.Issuer != t.Issuer:
		return claims{}, errors.New("the account has another provider now")
	case a.Issuer != "" && a.Issuer != t.Issuer || a.Issuer == "" && found.saysIss:
		return claims{}, fmt.Errorf("the answer is of the issuer %q; the browser was sent to another one", bounded(a.Issuer, 200))
	case a.Error != "":
		return claims{}, fmt.Errorf("the provider answers %q", bounded(a.Error, 100))
	case a.Code == "":
		return claims{}, errors.New("the provider gave no code")
	}
	ctx = s.outward(ctx)
	token, err := config.Exchange(ctx, a.Code, oauth2.VerifierOption(t.Verifier))
	if err != nil {
		if _, refused := errors.AsType[*oauth2.RetrieveError](err); refused {
			return claims{}, errors.New("the provider does not take its code back") // its answer is not repeated: it may hold the code
		}
		return claims{}, errUnreachable(errors.New("the token endpoint cannot be reached"))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return claims{}, errors.New("the provider gave no ID token")
	}
	id, err := found.oidc.Verifier(&oidc.Config{ClientID: config.ClientID, Now: s.Now}).Verify(ctx, raw)
	if err != nil {
		return claims{}, fmt.Errorf("check ID token: %w", err)
	}
	var who claims
	if err := id.Claims(&who); err != nil {
		return claims{}, fmt.Errorf("read ID token: %w", err)
	}
	now := s.Now()
	switch {
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1:
		return claims{}, errors.New("the nonce of the ID token is another one")
	case id.Subject == "" || len(id.Subject) > 255:
		return claims{}, errors.New("the subject of the ID token is missing or longer than 255 bytes")
	case len(id.Audience) > 1 && who.AZP != config.ClientID, who.AZP != "" && who.AZP != config.ClientID:
		return claims{}, errors.New("the ID token was made for another client (azp)")
	case id.IssuedAt.After(now.Add(skew)):
		return claims{}, errors.New("the ID token is of the future")
	case t.SessionID != "" && who.AuthTime == nil:
		return claims{}, errors.New("the provider does not say when the person authenticated (auth_time)")
	case t.SessionID != "" && who.AuthTime.time().Before(t.Begun.Add(-skew)):
		return claims{}, errors.New("the person did not authenticate anew")
	}
	who.subject, who.Email = id.Subject, strings.TrimSpace(who.Email)
	return who, nil
}
