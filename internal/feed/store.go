package feed

import (
	"context"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/seal"
)

// Store is what this package needs from a database.
//
// Methods are atomic and safe for concurrent use, also by several processes. What changes something writes
// its audit entry in the same transaction.
type Store interface {
	// Bounds returns the lowest and the highest number of the account's stream; 0 and 0 if it is empty. What
	// is committed after an answer has a higher number than the answer's.
	Bounds(ctx context.Context, accountID string, s Stream) (first, last int64, err error)

	// TimeOf returns when the event with the lowest number from seq on happened; ok is false if there is none.
	TimeOf(ctx context.Context, accountID string, s Stream, seq int64) (at time.Time, ok bool, err error)

	// Attempts, Usages and Audited return the events after the number, in order; at most limit.
	FeedAttempts(ctx context.Context, accountID string, after int64, limit int) ([]Attempt, error)
	FeedUsages(ctx context.Context, accountID string, after int64, limit int) ([]Usage, error)
	FeedAudited(ctx context.Context, accountID string, after int64, limit int) ([]Audited, error)

	// WaitEvents returns once the stream has an event after the number, or with the context's error. Events
	// that this process writes wake it at once.
	WaitEvents(ctx context.Context, accountID string, s Stream, after int64) error

	// CreateToken stores a token and the hash of its text. One with the key of an earlier one is refused with
	// [ErrAlreadyCreated].
	CreateToken(ctx context.Context, t Token, hash seal.Hash, by audit.Entry) error
	// EventsTokens lists the account's tokens in the order of their creation, revoked ones too.
	EventsTokens(ctx context.Context, accountID string) ([]Token, error)
	// EventsToken is NotFound if the account does not have it.
	EventsToken(ctx context.Context, accountID, id string) (Token, error)
	// EventsTokenByHash returns the token with the hash, of whatever account and state; NotFound if there is none.
	EventsTokenByHash(ctx context.Context, hash seal.Hash) (Token, error)
	// RevokeEventsToken is final. For one that is revoked already it changes nothing and writes no entry.
	RevokeEventsToken(ctx context.Context, accountID, id string, by audit.Entry) error

	// SigningKeys returns all keys, the newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddSigningKey stores a key. With first, it does nothing if there is a key already. With revoke, all
	// tokens that other keys have signed are revoked in the same transaction, with an entry in the chain of
	// each account; the key itself has its entry in the system's chain.
	AddSigningKey(ctx context.Context, k SigningKey, first, revoke bool, by audit.Entry) error

	// AddTokenUse adds to what tokens were used for. It may be lost with the power.
	AddTokenUse(ctx context.Context, uses []TokenUse) error
	// TokenUses returns what the account's tokens were used for, or the one with the ID if that is not empty.
	// Hours before since are summed up as hour zero.
	TokenUses(ctx context.Context, accountID, id string, since time.Time) ([]TokenUse, error)
	// PurgeTokenUse sums up the hours before.
	PurgeTokenUse(ctx context.Context, before time.Time) error

	// PurgeEvents deletes sign-in attempts and item usages that happened before, but for the last of each
	// stream. The audit log is never cut.
	PurgeEvents(ctx context.Context, before time.Time) error
}

// SigningKey signs events tokens.
type SigningKey struct {
	ID        string
	Public    []byte // PKIX, DER
	Sealed    []byte // PKCS #8, DER, sealed
	CreatedAt time.Time
}
