package signin

import (
	"bytes"
	"context"
	"encoding/base32"
	"fmt"
	"image/png"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// SignOut ends the session in p.
func (s *Service) SignOut(ctx context.Context, p web.Principal, by audit.Entry) error {
	return s.Store.EndSession(ctx, p.AccountID, p.UserID, p.SessionID, by)
}

// Sessions returns the person's live sessions, newest first.
func (s *Service) Sessions(ctx context.Context, accountID, userID string) ([]Session, error) {
	return s.Store.Sessions(ctx, accountID, userID, s.Now())
}

// EndSession ends a session of the person.
func (s *Service) EndSession(ctx context.Context, accountID, userID, sessionID string, by audit.Entry) error {
	return s.Store.EndSession(ctx, accountID, userID, sessionID, by)
}

// EndOtherSessions ends the person's sessions but the one in p, and returns how many.
func (s *Service) EndOtherSessions(ctx context.Context, p web.Principal, by audit.Entry) (int, error) {
	return s.Store.EndSessions(ctx, p.AccountID, p.UserID, p.SessionID, by)
}

// EndSessions ends all sessions of a person, and returns how many.
func (s *Service) EndSessions(ctx context.Context, accountID, userID string, by audit.Entry) (int, error) {
	return s.Store.EndSessions(ctx, accountID, userID, "", by)
}

// Methods returns the ways in that the person has.
func (s *Service) Methods(ctx context.Context, accountID, userID string) (Methods, error) {
	return s.Store.Methods(ctx, accountID, userID)
}

// Attempts returns sign-in attempts, newest first.
func (s *Service) Attempts(ctx context.Context, q AttemptQuery) ([]Attempt, error) {
	return s.Store.Attempts(ctx, q)
}

// FindAttempts returns a page of sign-in attempts, newest first.
func (s *Service) FindAttempts(ctx context.Context, q AttemptQuery) (AttemptPage, error) {
	return s.Store.FindAttempts(ctx, q)
}

// CountAttempts counts sign-in attempts, no further than most.
func (s *Service) CountAttempts(ctx context.Context, q AttemptQuery, most int) (n int, more bool, err error) {
	return s.Store.CountAttempts(ctx, q, most)
}

// AttemptsSince returns attempts that were stored after the one with the number, and the last number.
func (s *Service) AttemptsSince(ctx context.Context, q AttemptQuery, after int64) (all []Attempt, last int64, err error) {
	return s.Store.AttemptsSince(ctx, q, after)
}

// Attempt returns an attempt by its time and ID.
func (s *Service) Attempt(ctx context.Context, accountID string, at time.Time, id string) (Attempt, error) {
	return s.Store.Attempt(ctx, accountID, at, id)
}

// AttemptsAfter returns a person's next attempts after the time and ID, oldest first.
func (s *Service) AttemptsAfter(ctx context.Context, accountID, userID string, at time.Time, id string, limit int) ([]Attempt, error) {
	return s.Store.AttemptsAfter(ctx, accountID, userID, at, id, limit)
}

// AttemptCountries lists the countries from where somebody tried since then.
func (s *Service) AttemptCountries(ctx context.Context, accountID string, since time.Time) ([]string, error) {
	return s.Store.AttemptCountries(ctx, accountID, since)
}

// RenamePasskey gives a passkey of the person another name.
func (s *Service) RenamePasskey(ctx context.Context, p web.Principal, id, name string, by audit.Entry) error {
	name, err := checkName(name)
	if err != nil {
		return err
	}
	return s.Store.RenamePasskey(ctx, p.AccountID, p.UserID, id, name, by)
}

// RemovePasskey removes one, unless it is the only way in.
func (s *Service) RemovePasskey(ctx context.Context, p web.Principal, id string, by audit.Entry) error {
	return s.Store.RemovePasskey(ctx, p.AccountID, p.UserID, id, by)
}

// SetPassword sets or changes the person's password and ends her other sessions: who changes it may do so
// because somebody else knows it.
func (s *Service) SetPassword(ctx context.Context, p web.Principal, password string, by audit.Entry) error {
	policy, err := s.Store.Policy(ctx, p.AccountID)
	if err != nil {
		return err
	}
	if !policy.Passwords {
		return errOff("passwords")
	}
	if err := CheckPassword(password, p.Email); err != nil {
		return err
	}
	hash, err := s.hashes.hash(ctx, password)
	if err != nil {
		return err
	}
	if err := s.Store.SetPassword(ctx, p.AccountID, p.UserID, hash, by); err != nil {
		return err
	}
	_, err = s.Store.EndSessions(ctx, p.AccountID, p.UserID, p.SessionID, by)
	return err
}

// RemovePassword removes it with its one-time codes, unless it is the only way in.
func (s *Service) RemovePassword(ctx context.Context, p web.Principal, by audit.Entry) error {
	return s.Store.RemovePassword(ctx, p.AccountID, p.UserID, by)
}

// TOTPSetup is what somebody needs to set up one-time codes. It is shown once.
type TOTPSetup struct {
	Secret seal.Secret // base32, in groups of four, to type
	URI    seal.Secret // otpauth://…
	QR     []byte      // the URI as a PNG, 232 pixels square
	Ticket Ticket
}

type newTOTP struct {
	AccountID, UserID, SessionID string
	Seed                         []byte
}

// BeginTOTP makes a seed for one-time codes. Nothing changes before FinishTOTP.
func (s *Service) BeginTOTP(ctx context.Context, p web.Principal) (TOTPSetup, error) {
	m, err := s.Store.Methods(ctx, p.AccountID, p.UserID)
	if err != nil {
		return TOTPSetup{}, err
	}
	if m.PasswordHash == "" {
		return TOTPSetup{}, problem.Coded(problem.Conflict, "no_password", "one-time codes go with a password, and there is none; set one first")
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: s.Name, AccountName: p.Email, SecretSize: totpSeed})
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("make one-time code: %w", err)
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key.Secret())
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("make one-time code: %w", err)
	}
	img, err := key.Image(232, 232)
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("draw one-time code: %w", err)
	}
	var qr bytes.Buffer
	if err := png.Encode(&qr, img); err != nil {
		return TOTPSetup{}, fmt.Errorf("draw one-time code: %w", err)
	}
	ticket, err := issue(ctx, s, forTOTP, newTOTP{p.AccountID, p.UserID, p.SessionID, seed}, setUpLife)
	if err != nil {
		return TOTPSetup{}, err
	}
	var groups []string
	for g := range slices.Chunk([]byte(key.Secret()), 4) {
		groups = append(groups, string(g))
	}
	return TOTPSetup{
		Secret: seal.NewSecret(strings.Join(groups, " ")), URI: seal.NewSecret(key.URL()), QR: qr.Bytes(), Ticket: ticket,
	}, nil
}

// FinishTOTP sets up one-time codes, once a code shows that the seed arrived, and returns new recovery
// codes. A wrong code leaves the ticket as it is: there is nothing to guess, the seed was shown to her.
func (s *Service) FinishTOTP(ctx context.Context, p web.Principal, ticket Ticket, code string, by audit.Entry) ([]seal.Secret, error) {
	n, hash, err := redeem[newTOTP](ctx, s, s.Store.Peek, ticket, forTOTP)
	if err != nil {
		return nil, err
	}
	if n.AccountID != p.AccountID || n.UserID != p.UserID || n.SessionID != p.SessionID {
		return nil, ErrOver()
	}
	step, ok, err := totpStep(n.Seed, plainCode(code), s.Now(), 0)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, problem.InField("code", "the code is not the one that belongs to this secret now; check the clock of your device, and type the code that it shows")
	}
	if _, err := s.Store.Take(ctx, hash, forTOTP, s.Now()); err != nil {
		if problem.Is(err, problem.NotFound) {
			return nil, ErrOver()
		}
		return nil, err
	}
	sealed, err := s.Keys.Seal(n.Seed, sealTOTP, p.AccountID, p.UserID)
	if err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes(n.Seed)
	if err := s.Store.SetTOTP(ctx, p.AccountID, p.UserID, sealed, step, hashes, by); err != nil {
		return nil, err
	}
	return codes, nil
}

// RemoveTOTP removes one-time codes and recovery codes, unless the account asks for them.
func (s *Service) RemoveTOTP(ctx context.Context, p web.Principal, by audit.Entry) error {
	return s.Store.RemoveTOTP(ctx, p.AccountID, p.UserID, by)
}

// NewRecoveryCodes replaces the recovery codes. They are shown once.
func (s *Service) NewRecoveryCodes(ctx context.Context, p web.Principal, by audit.Entry) ([]seal.Secret, error) {
	m, err := s.Store.Methods(ctx, p.AccountID, p.UserID)
	if err != nil {
		return nil, err
	}
	if m.TOTP == nil {
		return nil, problem.Coded(problem.Conflict, "no_totp", "recovery codes stand in for one-time codes, and there are none; set them up first")
	}
	seed, err := s.Keys.Open(m.TOTP, sealTOTP, p.AccountID, p.UserID)
	if err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes(seed)
	if err := s.Store.SetRecoveryCodes(ctx, p.AccountID, p.UserID, hashes, by); err != nil {
		return nil, err
	}
	return codes, nil
}
