package signin

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"holdfast/internal/audit"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// The prefixes of credentials (see seal) that this package knows.
const (
	SessionPrefix = "hfc" // in the session cookie
	LinkPrefix    = "hfl" // a set-up link
	TicketPrefix  = "hfk" // between the steps of a sign-in
)

// Enrolling is a role that everybody with a session has, also who must set up a one-time code before
// anything else: for the pages that she needs for that, and for signing out.
const Enrolling web.Role = "enrolling"

// Keys seals and marks; [seal.Keyring] does.
type Keys interface {
	Seal(value []byte, purpose string, identity ...string) ([]byte, error)
	Open(sealed []byte, purpose string, identity ...string) ([]byte, error)
	MAC(purpose string, parts ...[]byte) []byte
}

// Service lets people in. The fields must be set before the first call; it must not be copied after that.
type Service struct {
	Store  Store
	Keys   Keys
	Origin string // of the console: https://console.example.org or http://localhost:8080; its host is the RP ID of passkeys
	Name   string // of the installation, as passkeys and one-time codes show it
	HTTP   *http.Client
	Places origin.Locator // where addresses are; nil: nobody knows
	Now    func() time.Time

	hashes    hasher
	providers providers
	blocked   blocked
	turns     turns
	once      sync.Once
	keyed     relyingParty
}

// SignedIn is what comes of a sign-in.
type SignedIn struct {
	Token   seal.Secret // for the cookie; in no other place
	Session Session
	Person  Person
	Enrol   bool // the account asks for a one-time code and she has none: she may set one up, and nothing else
}

// Session is web.Sessions. Besides what the person's groups give her, the principal has the role
// [Enrolling]; who must set up a one-time code has that role only.
func (s *Service) Session(ctx context.Context, token, address string) (web.Principal, error) {
	hash, err := seal.ParseCredential(SessionPrefix, token)
	if err != nil {
		return web.Principal{}, errNoSession().WithCause(err)
	}
	ses, person, err := s.Store.SessionByHash(ctx, hash)
	if problem.Is(err, problem.NotFound) {
		return web.Principal{}, errNoSession()
	}
	if err != nil {
		return web.Principal{}, err
	}
	now := s.Now()
	p := web.Principal{
		Actor: person.Actor(), AccountID: person.AccountID, UserID: person.UserID, SessionID: ses.ID,
		Name: person.DisplayName, Email: person.Email, Account: person.AccountName,
	}
	if !ses.Live(now) || person.Suspended {
		return p, ErrSessionEnded()
	}
	enrol, err := s.mustEnrol(ctx, person, ses.Method)
	if err != nil {
		return p, err
	}
	p.Roles = []web.Role{Enrolling}
	if !enrol {
		p.Roles = append(p.Roles, person.Roles()...)
	}
	p.Fresh = now.Sub(ses.ConfirmedAt) < FreshFor
	if now.Sub(ses.LastSeenAt) >= time.Minute {
		if err := s.Store.Seen(ctx, ses.AccountID, ses.ID, now, address); err != nil {
			return p, err
		}
	}
	return p, nil
}

func errNoSession() *problem.Error {
	return problem.Coded(problem.Unauthenticated, "no_session", "nobody is signed in here; sign in")
}

// mustEnrol reports whether a session that began so is for setting up a one-time code only.
func (s *Service) mustEnrol(ctx context.Context, p Person, by Method) (bool, error) {
	if by != ByPassword && by != BySetupLink {
		return false, nil
	}
	policy, err := s.Store.Policy(ctx, p.AccountID)
	if err != nil || !policy.RequireCode {
		return false, err
	}
	m, err := s.Store.Methods(ctx, p.AccountID, p.UserID)
	return err == nil && m.TOTP == nil && m.PasswordHash != "" && (by == ByPassword || len(m.Passkeys) == 0), err
}

// enter begins a session for who has shown all that is asked of her.
func (s *Service) enter(ctx context.Context, c Client, p Person, m Method, t Type, used Used) (SignedIn, error) {
	token, hash := seal.NewCredential(SessionPrefix)
	used.Forget = append(used.Forget, personKey(p))
	ses, err := s.Store.SignIn(ctx, p.AccountID, p.UserID, NewSession{Hash: hash, Method: m, Client: c}, used,
		s.attempt(c, p, m, Success, t), s.by(ctx, c, p.Actor(), p))
	if err != nil {
		return SignedIn{}, err
	}
	enrol, err := s.mustEnrol(ctx, p, m)
	return SignedIn{Token: token, Session: ses, Person: p, Enrol: enrol}, err
}

// confirm is enter for a session that there is.
func (s *Service) confirm(ctx context.Context, c Client, p Person, sessionID string, m Method, t Type, used Used) error {
	used.Forget = append(used.Forget, personKey(p))
	a := s.attempt(c, p, m, Success, t)
	a.SessionID = sessionID
	return s.Store.Confirm(ctx, p.AccountID, p.UserID, sessionID, s.Now().UTC(), used, a, s.by(ctx, c, p.Actor(), p))
}

// fail records that the person, the zero one for nobody, did not get in.
func (s *Service) fail(ctx context.Context, c Client, p Person, m Method, cat Category, t Type, keys ...string) error {
	return s.Store.Fail(ctx, s.attempt(c, p, m, cat, t), keys, s.by(ctx, c, "anonymous", p))
}

func (s *Service) attempt(c Client, p Person, m Method, cat Category, t Type) Attempt {
	return Attempt{
		ID: seal.NewID(), AccountID: p.AccountID, At: s.Now().UTC(), Category: cat, Type: t,
		UserID: p.UserID, Name: p.DisplayName, Email: p.Email, Method: m, Client: c, Location: s.Locate(c),
	}
}

// Locate is where a browser is, as far as anybody knows.
func (s *Service) Locate(c Client) origin.Location {
	if s.Places == nil {
		return origin.Location{}
	}
	return s.Places.Locate(c.Address)
}

// by starts the audit entry; the store says what was done.
func (s *Service) by(ctx context.Context, c Client, actor string, p Person) audit.Entry {
	e := audit.Entry{Actor: actor, Outcome: audit.Done, Address: c.Address, RequestID: web.RecordOf(ctx).RequestID}
	if p.UserID != "" {
		e.Target = p.Actor()
	}
	return e
}

// person looks up who has the session.
func (s *Service) person(ctx context.Context, p web.Principal) (Person, error) {
	return s.Store.Person(ctx, p.AccountID, p.UserID)
}

// tidy bounds what a browser says about itself.
func tidy(c Client) Client {
	c.UserAgent = bounded(c.UserAgent, 400)
	return c
}

// bounded is the text as it can be stored: at most so many bytes of valid UTF-8, without NUL.
func bounded(text string, most int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "")
	for len(text) > most {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

// fold is what makes two spellings of an e-mail address the same.
func fold(email string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(strings.TrimSpace(email))))
}

// within is where to go next: a path of ours, whatever was asked for.
func within(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || len(next) > 2000 ||
		strings.ContainsFunc(next, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }) {
		return "/"
	}
	return next
}

// checkName trims the name of a passkey.
func checkName(name string) (string, error) {
	name = cmp.Or(strings.TrimSpace(name), "Passkey")
	if len(name) > 100 {
		return "", problem.InField("name", "the name has %d bytes; at most 100 are possible", len(name))
	}
	if name != bounded(name, 100) || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "", problem.InField("name", "the name holds characters that cannot be shown")
	}
	return name, nil
}
