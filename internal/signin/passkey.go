package signin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// maxResponse bounds what an authenticator says, in bytes.
const maxResponse = 64 << 10

// ErrPasskey is the one answer to a passkey that does not let anybody in, whatever the cause.
func ErrPasskey() *problem.Error {
	return problem.Coded(problem.Unauthenticated, "passkey_failed", "the passkey was not accepted; try again, or sign in another way")
}

// relyingParty is what passkeys are bound to.
type relyingParty struct {
	lib *webauthn.WebAuthn
	err error
}

// party is made at the first use. An address is no RP ID (WebAuthn §5.1.2), so at http://127.0.0.1 there
// are no passkeys; at http://localhost there are.
func (s *Service) party() (*webauthn.WebAuthn, error) {
	s.once.Do(func() {
		u, err := url.Parse(s.Origin)
		if err == nil {
			s.keyed.lib, err = webauthn.New(&webauthn.Config{
				RPID: u.Hostname(), RPDisplayName: s.Name, RPOrigins: []string{s.Origin},
				AttestationPreference: protocol.PreferNoAttestation,
				AuthenticatorSelection: protocol.AuthenticatorSelection{
					ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
					UserVerification: protocol.VerificationRequired,
				},
			})
		}
		s.keyed.err = err
	})
	if s.keyed.err != nil {
		return nil, problem.Coded(problem.Unsupported, "no_passkeys", "passkeys do not work here: the address of this console, %s, has no domain name", s.Origin).
			WithCause(s.keyed.err)
	}
	return s.keyed.lib, nil
}

// holder is a person as go-webauthn wants her.
type holder struct {
	person Person
	keys   []webauthn.Credential
}

// WebAuthnID is the user handle: account and person, 52 bytes. Both are random and say nothing about her.
func (h *holder) WebAuthnID() []byte                         { return []byte(h.person.AccountID + h.person.UserID) }
func (h *holder) WebAuthnName() string                       { return h.person.Email }
func (h *holder) WebAuthnDisplayName() string                { return h.person.DisplayName }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

func holderOf(p Person, passkeys ...Passkey) (*holder, error) {
	h := &holder{person: p}
	for _, k := range passkeys {
		var c webauthn.Credential
		if err := json.Unmarshal(k.Credential, &c); err != nil {
			return nil, fmt.Errorf("read passkey %s: %w", k.ID, err)
		}
		h.keys = append(h.keys, c)
	}
	return h, nil
}

// ceremony is a passkey being asked for, or made.
type ceremony struct {
	WebAuthn  webauthn.SessionData
	AccountID string    `json:",omitempty"` // whose it is, if that is known
	UserID    string    `json:",omitempty"`
	SessionID string    `json:",omitempty"` // to confirm
	Link      seal.Hash // to set up with
}

// BeginPasskey asks the browser for a passkey of any person. The options are what
// PublicKeyCredential.parseRequestOptionsFromJSON wants, below publicKey.
func (s *Service) BeginPasskey(ctx context.Context) (options json.RawMessage, ticket Ticket, err error) {
	lib, err := s.party()
	if err != nil {
		return nil, "", err
	}
	asked, data, err := lib.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", fmt.Errorf("ask for a passkey: %w", err)
	}
	return begun(ctx, s, forPasskey, asked, ceremony{WebAuthn: *data}, false)
}

func begun(ctx context.Context, s *Service, purpose string, asked any, c ceremony, slow bool) (json.RawMessage, Ticket, error) {
	options, err := json.Marshal(asked)
	if err != nil {
		return nil, "", fmt.Errorf("write passkey options: %w", err)
	}
	life := ticketLife
	if slow {
		life = setUpLife
	}
	ticket, err := issue(ctx, s, purpose, c, life)
	return options, ticket, err
}

// FinishPasskey signs in whom the passkey belongs to. It is both factors in one: the authenticator has
// verified her.
func (s *Service) FinishPasskey(ctx context.Context, c Client, ticket Ticket, response []byte) (SignedIn, error) {
	c = tidy(c)
	cer, _, err := redeem[ceremony](ctx, s, s.Store.Take, ticket, forPasskey)
	if err != nil {
		return SignedIn{}, err
	}
	p, key, err := s.assert(ctx, cer, response)
	if err == nil {
		var in SignedIn
		if in, err = s.enter(ctx, c, p, ByPasskey, MFAOK, Used{Passkey: &key}); err == nil || !isWrong(err) {
			return in, err
		}
	}
	return SignedIn{}, s.noPasskey(ctx, c, p, err)
}

// noPasskey records that a passkey did not let the person in, if she is known, and is the answer.
func (s *Service) noPasskey(ctx context.Context, c Client, p Person, cause error) error {
	if !problem.Is(cause, problem.Unauthenticated) {
		return cause
	}
	if err := s.fail(ctx, c, p, ByPasskey, MFAFailed, U2FBad); err != nil {
		return err
	}
	return ErrPasskey().WithCause(cause)
}

// assert checks what an authenticator signed. What is wrong with it is a problem of kind Unauthenticated;
// the person is then filled in as far as she is known.
func (s *Service) assert(ctx context.Context, cer ceremony, response []byte) (Person, Passkey, error) {
	lib, err := s.party()
	if err != nil {
		return Person{}, Passkey{}, err
	}
	if len(response) > maxResponse {
		return Person{}, Passkey{}, ErrPasskey()
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return Person{}, Passkey{}, ErrPasskey().WithCause(err)
	}
	key, err := s.Store.PasskeyByRawID(ctx, parsed.RawID)
	if problem.Is(err, problem.NotFound) {
		return Person{}, Passkey{}, ErrPasskey()
	}
	if err != nil {
		return Person{}, Passkey{}, err
	}
	if cer.UserID != "" && (key.AccountID != cer.AccountID || key.UserID != cer.UserID) {
		return Person{}, Passkey{}, ErrPasskey()
	}
	p, err := s.Store.Person(ctx, key.AccountID, key.UserID)
	if problem.Is(err, problem.NotFound) {
		return Person{}, Passkey{}, ErrPasskey()
	}
	if err != nil {
		return Person{}, Passkey{}, err
	}
	policy, err := s.Store.Policy(ctx, p.AccountID)
	if err != nil {
		return p, key, err
	}
	if !policy.Passkeys {
		return p, key, ErrPasskey()
	}
	h, err := holderOf(p, key)
	if err != nil {
		return p, key, err
	}
	proved, err := lib.ValidateDiscoverableLogin(func(_, _ []byte) (webauthn.User, error) { return h, nil }, cer.WebAuthn, parsed)
	if err != nil {
		return p, key, ErrPasskey().WithCause(err)
	}
	if proved.Authenticator.CloneWarning { // the counter went back, WebAuthn §6.1.1: there are two of them
		return p, key, ErrPasskey()
	}
	if key.Credential, err = json.Marshal(proved); err != nil {
		return p, key, fmt.Errorf("write passkey: %w", err)
	}
	key.LastUsedAt = s.Now().UTC()
	return p, key, nil
}

// BeginConfirmPasskey asks for a passkey of the person of the session.
func (s *Service) BeginConfirmPasskey(ctx context.Context, p web.Principal) (json.RawMessage, Ticket, error) {
	lib, err := s.party()
	if err != nil {
		return nil, "", err
	}
	asked, data, err := lib.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", fmt.Errorf("ask for a passkey: %w", err)
	}
	return begun(ctx, s, forConfirmPasskey, asked,
		ceremony{WebAuthn: *data, AccountID: p.AccountID, UserID: p.UserID, SessionID: p.SessionID}, false)
}

// FinishConfirmPasskey is a fresh authentication for the session in p.
func (s *Service) FinishConfirmPasskey(ctx context.Context, c Client, p web.Principal, ticket Ticket, response []byte) error {
	c = tidy(c)
	cer, _, err := redeem[ceremony](ctx, s, s.Store.Take, ticket, forConfirmPasskey)
	if err != nil {
		return err
	}
	if cer.AccountID != p.AccountID || cer.UserID != p.UserID || cer.SessionID != p.SessionID {
		return ErrOver()
	}
	person, key, err := s.assert(ctx, cer, response)
	if err == nil {
		if err = s.confirm(ctx, c, person, p.SessionID, ByPasskey, MFAOK, Used{Passkey: &key}); err == nil || !isWrong(err) {
			return err
		}
	}
	if person.UserID == "" {
		person = Person{AccountID: p.AccountID, UserID: p.UserID, DisplayName: p.Name, Email: p.Email}
	}
	return s.noPasskey(ctx, c, person, err)
}

// BeginRegister offers to make a passkey for the person of the session.
func (s *Service) BeginRegister(ctx context.Context, p web.Principal) (json.RawMessage, Ticket, error) {
	person, err := s.person(ctx, p)
	if err != nil {
		return nil, "", err
	}
	m, err := s.Store.Methods(ctx, p.AccountID, p.UserID)
	if err != nil {
		return nil, "", err
	}
	return s.beginMake(ctx, forRegister, person, ceremony{SessionID: p.SessionID}, m.Passkeys...)
}

// beginMake offers to make a passkey; not on an authenticator that holds one of those that there are.
func (s *Service) beginMake(ctx context.Context, purpose string, p Person, cer ceremony, there ...Passkey) (json.RawMessage, Ticket, error) {
	lib, err := s.party()
	if err != nil {
		return nil, "", err
	}
	policy, err := s.Store.Policy(ctx, p.AccountID)
	if err != nil {
		return nil, "", err
	}
	if !policy.Passkeys {
		return nil, "", errOff("passkeys")
	}
	h, err := holderOf(p, there...)
	if err != nil {
		return nil, "", err
	}
	asked, data, err := lib.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()))
	if err != nil {
		return nil, "", fmt.Errorf("offer to make a passkey: %w", err)
	}
	cer.WebAuthn, cer.AccountID, cer.UserID = *data, p.AccountID, p.UserID
	return begun(ctx, s, purpose, asked, cer, true)
}

func errOff(what string) *problem.Error {
	return problem.Coded(problem.Conflict, "method_off", "this account does not allow %s; an owner can change that in the account's settings", what)
}

// finishMake reads what a new passkey says about itself.
func (s *Service) finishMake(cer ceremony, p Person, name string, response []byte) (Passkey, error) {
	lib, err := s.party()
	if err != nil {
		return Passkey{}, err
	}
	if name, err = checkName(name); err != nil {
		return Passkey{}, err
	}
	refused := func(cause error) error {
		return problem.Coded(problem.Invalid, "passkey_not_made", "the passkey could not be made; try again, or with another device").WithCause(cause)
	}
	if len(response) > maxResponse {
		return Passkey{}, refused(nil)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Passkey{}, refused(err)
	}
	made, err := lib.CreateCredential(&holder{person: p}, cer.WebAuthn, parsed)
	if err != nil {
		return Passkey{}, refused(err)
	}
	made.Attestation = webauthn.CredentialAttestation{} // none was asked for
	text, err := json.Marshal(made)
	if err != nil {
		return Passkey{}, fmt.Errorf("write passkey: %w", err)
	}
	return Passkey{
		ID: seal.NewID(), AccountID: p.AccountID, UserID: p.UserID, Name: name,
		Credential: text, RawID: made.ID, CreatedAt: s.Now().UTC(),
	}, nil
}

// FinishRegister stores the passkey that was made.
func (s *Service) FinishRegister(ctx context.Context, p web.Principal, ticket Ticket, name string, response []byte, by audit.Entry) (Passkey, error) {
	cer, _, err := redeem[ceremony](ctx, s, s.Store.Take, ticket, forRegister)
	if err != nil {
		return Passkey{}, err
	}
	if cer.AccountID != p.AccountID || cer.UserID != p.UserID || cer.SessionID != p.SessionID {
		return Passkey{}, ErrOver()
	}
	person, err := s.person(ctx, p)
	if err != nil {
		return Passkey{}, err
	}
	key, err := s.finishMake(cer, person, name, response)
	if err != nil {
		return Passkey{}, err
	}
	return key, s.Store.AddPasskey(ctx, key, by)
}
