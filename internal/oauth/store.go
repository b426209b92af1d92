package oauth

import (
	"context"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Store is what this package needs from a database.
//
// Methods are atomic and safe for concurrent use, also by several processes. One that changes
// something writes the audit entry in the same transaction and is durable once it returns, with the
// exception of IssueToken: a token may be lost with the power, and its client asks again. An
// application that the account does not have is a problem of kind NotFound.
type Store interface {
	// CreateClient is [ErrAlreadyCreated] if the account has an application with the same CreateKey.
	CreateClient(ctx context.Context, c Client, secret SecretInfo, hash seal.Hash, by audit.Entry) error
	Client(ctx context.Context, accountID, id string) (Client, error)
	Clients(ctx context.Context, accountID string) ([]Client, error)

	// UpdateClient sets what n says and notes in the entry which fields changed, the scopes with old and
	// new ones. If nothing differs, nothing changes and no entry is written. A revoked application is a
	// problem of kind Conflict.
	UpdateClient(ctx context.Context, accountID, id string, n NewClient, by audit.Entry) (Client, error)

	// RotateSecret adds a secret and lets the others end at the given time, or earlier if they would. If
	// that time has come, they are dead by every clock.
	// It is a problem of kind Conflict if more than one is alive at that time besides the new one.
	RotateSecret(ctx context.Context, accountID, id string, secret SecretInfo, hash seal.Hash, othersEnd time.Time, by audit.Entry) (Client, error)

	// RevokeClient ends the application, its secrets and its tokens. For one that is revoked already
	// nothing changes.
	RevokeClient(ctx context.Context, accountID, id string, by audit.Entry) error

	// LiveSecrets returns account and secrets of a live application, for client authentication.
	LiveSecrets(ctx context.Context, clientID string, now time.Time) (ClientSecrets, error)

	// IssueToken stores a token if application and secret are still alive, else it is a problem of
	// kind Unauthenticated.
	IssueToken(ctx context.Context, t Token, by audit.Entry) error

	// Token returns the token with the current state of its secret and application.
	Token(ctx context.Context, hash seal.Hash) (TokenState, error)

	// RevokeToken ends the token if it belongs to the client, and reports whether there was one to end.
	RevokeToken(ctx context.Context, accountID, clientID string, hash seal.Hash, by audit.Entry) (bool, error)

	// AppendRefusal records an attempt that was turned down.
	AppendRefusal(ctx context.Context, accountID string, by audit.Entry) error

	// AddActivity adds to what is counted. What applications did that are not there, or not of the account
	// named, is left out. It is bookkeeping: no entry is written, and it may be lost with the power.
	AddActivity(ctx context.Context, counts []ActivityCount) error

	// Activity returns the counts of an application since the time, by operation and hour, and one for
	// each operation, with Hour zero, that sums up what was before.
	Activity(ctx context.Context, accountID, id string, since time.Time) ([]ActivityCount, error)

	// Activities returns, for all applications of the account and each of their operations, when it was used
	// last and how often since the time.
	Activities(ctx context.Context, accountID string, since time.Time) ([]OperationUse, error)

	// PurgeActivity adds what is older than the time up into one count for each operation.
	PurgeActivity(ctx context.Context, before time.Time) error

	// AuditEntries reads the audit log, the newest first.
	AuditEntries(ctx context.Context, q audit.Query) ([]audit.Link, error)
}

// ClientSecrets is what client authentication compares with.
type ClientSecrets struct {
	AccountID  string
	LastUsedAt time.Time // as in Client
	Secrets    []StoredSecret
}

// StoredSecret is a secret as it is kept.
type StoredSecret struct {
	ID   string
	Hash seal.Hash
}

// Token is an access token to store.
type Token struct {
	Hash      seal.Hash
	AccountID string
	ClientID  string
	SecretID  string
	IssuedAt  time.Time
	ExpiresAt time.Time

	// ClientUsedAt is ClientSecrets.LastUsedAt, by which IssueToken sees whether to note this use.
	ClientUsedAt time.Time
}

// TokenState is a token with what decides whether it is worth something now.
type TokenState struct {
	Token
	RevokedAt       time.Time // zero: not revoked
	SecretEndsAt    time.Time // zero: with the application
	ClientRevokedAt time.Time // zero: live
	Scopes          []string
}

// Alive is nil while the token is worth something, else a problem that says why not.
func (t TokenState) Alive(now time.Time) error {
	dead := func(why string) error { return problem.New(problem.Unauthenticated, "%s", why) }
	switch {
	case !now.Before(t.ExpiresAt):
		return dead("the access token has expired; request a new one")
	case !t.RevokedAt.IsZero():
		return dead("the access token was revoked; request a new one")
	case !t.ClientRevokedAt.IsZero():
		return dead("the application was revoked; ask an administrator")
	case !t.SecretEndsAt.IsZero() && !now.Before(t.SecretEndsAt):
		return dead("the secret that the access token was issued for was rotated out; request a new one with the new secret")
	}
	return nil
}
