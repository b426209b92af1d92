package signin

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Ticket carries a sign-in, or something like it, from one request to the next. The browser keeps it in a
// form or a cookie; what it stands for is in the database, sealed. Whoever has it can go on, so it is a
// secret. The empty Ticket is none.
type Ticket string

// LogValue hides the ticket from slog.
func (Ticket) LogValue() slog.Value { return slog.StringValue("[ticket]") }

// How long tickets can be used. The row is kept longer than that, so that who comes too late is told so.
const (
	ticketLife = 5 * time.Minute
	ssoLife    = 10 * time.Minute
	setUpLife  = 15 * time.Minute // to scan a code, or to make a passkey
	parkLife   = 30 * time.Minute
	ticketKept = 30 * time.Minute
)

// What tickets are for. One for one purpose is none for another.
const (
	forCode           = "sign-in code"
	forPasskey        = "sign-in passkey"
	forSSO            = "sign-in sso"
	forSetup          = "setup passkey"
	forConfirmPasskey = "confirm passkey"
	forRegister       = "register passkey"
	forTOTP           = "set totp"
	forParked         = "parked form"
)

// ErrOver is the answer to a ticket that is unknown, was used, or is too old.
func ErrOver() *problem.Error {
	return problem.Coded(problem.Unauthenticated, "sign_in_over", "this took too long or was finished already; begin again")
}

// issue makes a ticket for the value.
func issue[T any](ctx context.Context, s *Service, purpose string, value T, kept time.Duration) (Ticket, error) {
	ticket, hash := seal.NewCredential(TicketPrefix)
	return Ticket(ticket.Reveal()), keep(ctx, s, hash, purpose, value, s.Now().Add(kept))
}

func keep[T any](ctx context.Context, s *Service, hash seal.Hash, purpose string, value T, expires time.Time) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("keep %s: %w", purpose, err)
	}
	sealed, err := s.Keys.Seal(text, "ticket "+purpose, hex.EncodeToString(hash[:]))
	if err != nil {
		return err
	}
	return s.Store.Put(ctx, hash, purpose, sealed, expires)
}

type takes func(ctx context.Context, ticket seal.Hash, purpose string, now time.Time) ([]byte, error)

// redeem reads what the ticket stands for, with Store.Take or Store.Peek.
func redeem[T any](ctx context.Context, s *Service, take takes, ticket Ticket, purpose string) (value T, hash seal.Hash, err error) {
	if hash, err = seal.ParseCredential(TicketPrefix, string(ticket)); err != nil {
		return value, hash, ErrOver().WithCause(err)
	}
	sealed, err := take(ctx, hash, purpose, s.Now())
	if problem.Is(err, problem.NotFound) {
		return value, hash, ErrOver()
	}
	if err != nil {
		return value, hash, err
	}
	text, err := s.Keys.Open(sealed, "ticket "+purpose, hex.EncodeToString(hash[:]))
	if err != nil {
		return value, hash, err
	}
	if err := json.Unmarshal(text, &value); err != nil {
		return value, hash, fmt.Errorf("read %s: %w", purpose, err)
	}
	return value, hash, nil
}
