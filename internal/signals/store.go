package signals

import (
	"context"
	"errors"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// Store is what the intake needs from a database.
//
// Methods are atomic and safe for concurrent use, also by several processes. What somebody changes writes
// its audit entry in the same transaction; events that come are no changes.
type Store interface {
	// CreateSource stores a source. A name that another one of the account has is a Conflict.
	CreateSource(ctx context.Context, s Setup, by audit.Entry) error
	// SignalSources lists the account's sources in the order of their creation; of all accounts if it is empty.
	SignalSources(ctx context.Context, accountID string) ([]Setup, error)
	// SignalSource is NotFound if the account does not have it.
	SignalSource(ctx context.Context, accountID, id string) (Setup, error)
	// ChangeSource reads, changes and writes a source, and makes its revision grow. What change refuses with a
	// problem is refused.
	ChangeSource(ctx context.Context, accountID, id string, change func(*Setup) error, by audit.Entry) (Setup, error)
	// RemoveSource removes a source with its cursors. Its events stay. The account's own feed stays: ErrOwnSource.
	RemoveSource(ctx context.Context, accountID, id string, by audit.Entry) error

	// LeaseSource makes the holder the one process that asks the source until then, unless another one is, or
	// the source is paused. It is also how the holder goes on being it; a time that is over gives it back.
	LeaseSource(ctx context.Context, accountID, id, holder string, until time.Time) (bool, error)
	// SourceCursors is how far each stream of the source was read.
	SourceCursors(ctx context.Context, accountID, id string) (map[string]string, error)
	// SourceFailed notes why the last try went wrong; it stands there until something comes. The holder must
	// have the lease.
	SourceFailed(ctx context.Context, accountID, id, holder, reason string) error

	// AddSignals stores the events that are not stored yet, gives them numbers, and moves the cursor. It is on
	// the disk when it returns.
	AddSignals(ctx context.Context, in Addition) (Added, error)
	// Signals returns the account's events after the number, in order; at most limit.
	Signals(ctx context.Context, accountID string, after int64, limit int) ([]Stored, error)
	// WaitSignals returns once the account has an event after the number, or with the context's error. Events
	// that this process stores wake it at once.
	WaitSignals(ctx context.Context, accountID string, after int64) error
	// PurgeSignals deletes events that happened before, but for the last of each account.
	PurgeSignals(ctx context.Context, before time.Time) error

	// FindPeople finds who has one of the IDs, e-mail addresses or aliases of the format. Who has been removed
	// is still found by ID.
	FindPeople(ctx context.Context, accountID, format string, ids, emails, aliases []string) (Found, error)
	// SetAlias says that events of the format (empty: of any) mean the person by the name; nobody if the ID is
	// empty. A person whom the account does not have is NotFound.
	SetAlias(ctx context.Context, a Alias, by audit.Entry) error
	// Aliases lists the account's aliases by name.
	Aliases(ctx context.Context, accountID string) ([]Alias, error)
}

// Alias is a name by which other systems call a person.
type Alias struct {
	AccountID string
	Format    string // of the events in which it counts; empty: all
	Name      string
	PersonID  string
}

// Found are persons by what they were looked for, spelt as it was.
type Found struct {
	IDs, Emails, Aliases map[string]string
}

// Addition is what is stored in one transaction.
type Addition struct {
	AccountID, SourceID string

	Holder         string // who asked; must have the lease. Empty: the events were sent
	Stream, Cursor string // where to go on, for what was asked
	Rows           []Row
}

// Row is an event as it is stored.
type Row struct {
	SourceEventID string
	At            time.Time // When of the event
	ReceivedAt    time.Time
	Match         Match
	Event         []byte // as [EncodeOCSF] gives it, without the raw text
	Raw           string
}

// Added is what became of the rows.
type Added struct {
	Accepted   int
	Duplicates int // stored before, or twice among the rows
	Unmatched  int // of the accepted, without a person
}

// Stored is an event of the account, with its number.
type Stored struct {
	Seq      int64 // 1, 2, 3… in the order of commit
	SourceID string
	Match    Match // Value is empty: it is in the event
	Event    Event
}

// ErrNoLease is what AddSignals and SourceFailed return to a holder that does not have the lease any more.
func ErrNoLease() *problem.Error {
	return problem.Coded(problem.Conflict, noLeaseCode, "another process asks the source now, or it is paused")
}

const noLeaseCode = "no_lease"

// leaseLost reports whether the error is ErrNoLease, or the source is gone.
func leaseLost(err error) bool {
	p, ok := errors.AsType[*problem.Error](err)
	return ok && (p.Code == noLeaseCode || p.Kind == problem.NotFound)
}
