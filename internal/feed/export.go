package feed

import (
	"context"
	"time"

	"holdfast/internal/audit"
)

// ViewAttempt is the attempt as the second generation of the Events API has it, to be written as JSON.
func ViewAttempt(a Attempt, accountID string) any { return renderAttempt(a, accountID, v2) }

// ViewUsage is the usage as the second generation of the Events API has it, to be written as JSON.
func ViewUsage(u Usage, accountID string) any { return renderUsage(u, accountID, v2) }

// ViewAudited is the audit event as the second generation of the Events API has it, to be written as JSON; nil
// if readers do not see it.
func ViewAudited(a Audited, accountID string) any {
	if !Shown(a.Entry) {
		return nil
	}
	return renderAudited(a, accountID, v2)
}

// Shown reports whether readers of the first two generations see the entry.
func Shown(e audit.Entry) bool { return shown(e) }

// After is the number behind which everything of the stream is that happened at the time or later, and perhaps
// a little of what happened before.
func After(ctx context.Context, store Store, accountID string, stream Stream, from time.Time) (int64, error) {
	c, err := (&Service{Store: store}).start(ctx, accountID, stream, ask{From: from})
	return c.After, err
}
