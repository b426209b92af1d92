package feed

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// Token is what may be known of an events token after it was shown once.
type Token struct {
	AccountID string
	ID        string // the claim jti
	KeyID     string // of the key that signed it
	Name      string
	Features  []Stream // sorted
	CreatedAt time.Time
	CreatedBy string
	CreateKey string    // as in NewToken
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: not revoked
}

// Alive says why the token is not accepted at the time, nil if it is.
func (t Token) Alive(now time.Time) error {
	switch {
	case !t.RevokedAt.IsZero():
		return problem.New(problem.Unauthenticated, "the events token was revoked; an administrator can make a new one")
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt):
		return problem.New(problem.Unauthenticated, "the events token has expired; an administrator can make a new one")
	}
	return nil
}

// NewToken is a token to issue.
type NewToken struct {
	Name     string
	Features []Stream
	Life     time.Duration // one of [Lives]; 0: it does not expire

	// Key is what a form was given when it was shown; empty for none. Of several tokens of an account with
	// one key the first is issued, the others are [ErrAlreadyCreated].
	Key string
}

const day = 24 * time.Hour

// Lives lists how long tokens can be made to live; 0 is for ever.
func Lives() []time.Duration { return []time.Duration{0, 30 * day, 90 * day, 180 * day} }

const (
	maxName = 100 // bytes
	maxKey  = 64
)

// Check trims the name, sorts the features, and refuses what is not acceptable, naming the field.
func (n *NewToken) Check() error {
	n.Name = strings.TrimSpace(n.Name)
	switch {
	case n.Name == "":
		return problem.InField("name", "the token needs a name, such as that of the program which will read the events")
	case len(n.Name) > maxName:
		return problem.InField("name", "the name has %d bytes; at most %d are possible", len(n.Name), maxName)
	case !utf8.ValidString(n.Name) || strings.ContainsFunc(n.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return problem.InField("name", "the name holds characters that cannot be shown")
	case len(n.Key) > maxKey || strings.ContainsFunc(n.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return problem.InField("key", "the key of the form is not one that was given out; load the form again")
	case !slices.Contains(Lives(), n.Life):
		return problem.InField("expires", "a token can expire after 30, 90 or 180 days, or never; found %s", n.Life)
	case len(n.Features) == 0:
		return problem.InField("features", "the token needs at least one kind of events: auditevents, itemusages or signinattempts")
	}
	for _, f := range n.Features {
		if !slices.Contains(Streams(), f) {
			return problem.InField("features", "%q is not a kind of events; there are auditevents, itemusages and signinattempts", f)
		}
	}
	n.Features = slices.Compact(slices.Sorted(slices.Values(n.Features)))
	return nil
}

// Issued is a token with its text, which is shown once.
type Issued struct {
	Token Token
	Text  seal.Secret
}

// claims are those of an events token. Shippers read aud and fts, and do not verify (contract 4.2).
type claims struct {
	Issuer   string           `json:"iss"`
	Subject  string           `json:"sub"` // the account
	Audience []string         `json:"aud"` // an array, also for one
	Issued   *jwt.NumericDate `json:"iat"`
	Expires  *jwt.NumericDate `json:"exp,omitempty"`
	ID       string           `json:"jti"`
	Features []Stream         `json:"1password.com/fts"`
}

// Issue makes a token. Its text is in the answer and nowhere else.
func (s *Service) Issue(ctx context.Context, accountID string, n NewToken, by audit.Entry) (Issued, error) {
	if err := n.Check(); err != nil {
		return Issued{}, err
	}
	key, err := s.signer(ctx)
	if err != nil {
		return Issued{}, err
	}
	now := s.Now().UTC().Truncate(time.Second)
	t := Token{
		AccountID: accountID, ID: seal.NewID(), KeyID: key.id, Name: n.Name, Features: n.Features, CreatedAt: now, CreatedBy: by.Actor, CreateKey: n.Key,
	}
	host, err := s.host()
	if err != nil {
		return Issued{}, err
	}
	c := claims{Issuer: s.URL, Subject: accountID, Audience: []string{host}, Issued: jwt.NewNumericDate(now), ID: t.ID, Features: t.Features}
	if n.Life > 0 {
		t.ExpiresAt = now.Add(n.Life)
		c.Expires = jwt.NewNumericDate(t.ExpiresAt)
	}
	text, err := key.sign(c)
	if err != nil {
		return Issued{}, err
	}
	by.Action, by.Target = audit.EventsTokenCreate, "events_token:"+t.ID
	if err := s.Store.CreateToken(ctx, t, seal.HashOf(text), by); err != nil {
		return Issued{}, err
	}
	return Issued{Token: t, Text: seal.NewSecret(text)}, nil
}

// host is the audience: where shippers send, without scheme.
func (s *Service) host() (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("the public URL %q has no host", s.URL)
	}
	return u.Host, nil
}

// ErrAlreadyCreated is the answer to a second token with the key of a first.
func ErrAlreadyCreated(id string) *problem.Error {
	return problem.Coded(problem.Conflict, "already_created", "this form has made a token already; it was shown once").WithCause(&alreadyCreated{id})
}

type alreadyCreated struct{ id string }

func (e *alreadyCreated) Error() string { return "the events token is " + e.id }

// AlreadyCreated is the token that the first creation with the same key has made, if that is what the error says.
func AlreadyCreated(err error) (id string, ok bool) {
	e, ok := errors.AsType[*alreadyCreated](err)
	if !ok {
		return "", false
	}
	return e.id, true
}

// ErrNoToken is the answer to a token that the account does not have.
func ErrNoToken(id string) *problem.Error {
	return problem.New(problem.NotFound, "no events token %q", id)
}

// Tokens lists the account's tokens in the order of their creation, revoked ones too.
func (s *Service) Tokens(ctx context.Context, accountID string) ([]Token, error) {
	return s.Store.EventsTokens(ctx, accountID)
}

// Token returns one token of the account.
func (s *Service) Token(ctx context.Context, accountID, id string) (Token, error) {
	return s.Store.EventsToken(ctx, accountID, id)
}

// Is reports whether the text is that of the account's token.
func (s *Service) Is(ctx context.Context, accountID, id, text string) (bool, error) {
	t, err := s.Store.EventsTokenByHash(ctx, seal.HashOf(text))
	if problem.Is(err, problem.NotFound) {
		return false, nil
	}
	return err == nil && t.AccountID == accountID && t.ID == id, err
}

// Revoke ends the token for good, from the next request on.
func (s *Service) Revoke(ctx context.Context, accountID, id string, by audit.Entry) error {
	by.Action, by.Target = audit.EventsTokenRevoke, "events_token:"+id
	return s.Store.RevokeEventsToken(ctx, accountID, id, by)
}

// maxToken bounds what is parsed; our tokens have some 500 bytes.
const maxToken = 4096

// Authorize is web.Authorizer for events tokens: the signature is one of ours, and the token, looked up at
// the time of the call, is alive.
func (s *Service) Authorize(ctx context.Context, text string) (web.Principal, error) {
	forged := problem.New(problem.Unauthenticated, "this is not an events token of this server; an administrator can make one under Integrations, Events Reporting")
	if len(text) > maxToken {
		return web.Principal{}, forged
	}
	signed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || len(signed.Headers) != 1 {
		return web.Principal{}, forged.WithCause(err)
	}
	key, err := s.verifier(ctx, signed.Headers[0].KeyID)
	if problem.Is(err, problem.NotFound) {
		return web.Principal{}, forged.WithCause(err)
	}
	if err != nil {
		return web.Principal{}, err
	}
	var c claims
	if err := signed.Claims(key, &c); err != nil {
		return web.Principal{}, forged.WithCause(err)
	}
	t, err := s.Store.EventsTokenByHash(ctx, seal.HashOf(text))
	if problem.Is(err, problem.NotFound) {
		return web.Principal{}, forged.WithCause(err)
	}
	if err != nil {
		return web.Principal{}, err
	}
	p := web.Principal{Actor: "events_token:" + t.ID, AccountID: t.AccountID, Name: t.Name}
	for _, f := range t.Features {
		p.Scopes = append(p.Scopes, string(f))
	}
	return p, t.Alive(s.Now())
}
