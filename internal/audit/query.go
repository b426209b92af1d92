package audit

import (
	"context"
	_ "embed"
	"iter"
	"slices"
	"strings"
	"time"
)

// Query asks for entries of one account. What is zero does not restrict.
type Query struct {
	AccountID string
	Actions   []Action  // one of these
	Actor     string    // exactly
	Target    string    // exactly
	About     string    // actor or target is this, exactly
	Outcome   string    // "done" or "refused"
	From, To  time.Time // from From on, before To
	Before    int64     // only numbers below this: that of the last entry of the page before
	Limit     int       // 50 if zero; at most MaxPage
}

// The sizes of a page of the log.
const (
	DefaultPage = 50
	MaxPage     = 1000
)

// Size is the number of entries that are asked for.
func (q Query) Size() int {
	if q.Limit <= 0 {
		return DefaultPage
	}
	return min(q.Limit, MaxPage)
}

// Log is what reads the audit log.
type Log interface {
	// AuditEntries returns entries, the newest first.
	AuditEntries(ctx context.Context, q Query) ([]Link, error)

	// AuditLinks returns a chain from the link after the given number on, the oldest first, for exports.
	AuditLinks(ctx context.Context, accountID string, after int64) iter.Seq2[Link, error]

	// AuditStatus says what was found when the chain was last verified, without verifying it.
	AuditStatus(ctx context.Context, accountID string) (Status, error)

	// CheckAudit verifies the chain from where it was last found whole, or with full from its beginning,
	// and keeps the result.
	CheckAudit(ctx context.Context, accountID string, full bool) (Status, error)
}

// Status is how far a chain was verified.
type Status struct {
	Seq         int64     // its last number now
	VerifiedSeq int64     // up to which it was found whole
	VerifiedAt  time.Time // when it was last looked at; zero: never
	FullAt      time.Time // when it was last looked at from its beginning; zero: never
	OK          bool      // it was looked at, and nothing was found
	Broken      string    // what was found, in words; empty: nothing
}

//go:embed testdata/actions.txt
var actions string

// Actions lists every action, sorted.
func Actions() []Action {
	var all []Action
	for line := range strings.Lines(actions) {
		if name := strings.TrimSpace(line); name != "" {
			all = append(all, Action(name))
		}
	}
	slices.Sort(all)
	return all
}
