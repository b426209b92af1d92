package signals

import (
	"context"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// local reads the account's own feed, in process. Its events go the way of those of another Holdfast. Every
// account has one such source from the beginning.
type local struct{}

// LocalID is the id of the source that is the account's own feed.
const LocalID = "local"

// OwnSource is the source that a new account begins with: all that happens in it, from the beginning.
func OwnSource(accountID string, now time.Time, by string) Setup {
	return Setup{
		AccountID: accountID, ID: LocalID, Kind: KindLocal, Name: "This account", State: Active, Revision: 1,
		CreatedAt: now.UTC().Truncate(time.Microsecond), CreatedBy: by,
	}
}

// ErrOwnSource is the answer to who wants to add the account's own feed, or to remove it.
func ErrOwnSource() *problem.Error {
	return problem.New(problem.Conflict, "the account's own feed is a source of every account, called %q when it was made; it can be paused, neither added nor removed", "This account")
}

func (local) Kind() Kind        { return KindLocal }
func (local) Format() string    { return OnePassword }
func (local) Pulls(Config) bool { return true }

// Check refuses what only other kinds have.
func (local) Check(c *Config, token seal.Secret) error {
	switch {
	case c.BaseURL != "" || c.CA != "":
		return problem.InField("base_url", "the account's own feed has no address; leave it out")
	case !token.IsZero():
		return problem.InField("token", "the account's own feed needs no token; leave it out")
	}
	return nil
}

// localPage is how many events are taken at once.
const localPage = 1000

// ownStream is the one stream of the account's own feed.
const ownStream = "feed"

// Pull follows the feed.
func (local) Pull(ctx context.Context, l *Live) error {
	cursor := l.cursors[ownStream]
	for first := true; ; first = false {
		lines, next, err := l.Feed.Read(ctx, l.Setup.AccountID, cursor, l.Setup.Config.Since, localPage)
		if err != nil {
			return err
		}
		if first || len(lines) > 0 { // at first also if there is nothing: it went well
			if err := l.take(ctx, Batch{Stream: ownStream, Lines: lines, Cursor: next}); err != nil {
				return err
			}
		}
		if next != cursor {
			cursor = next
			continue
		}
		if err := l.Feed.Wait(ctx, l.Setup.AccountID, cursor); err != nil {
			return err
		}
	}
}

// Test reads nothing: the feed is in the same database.
func (local) Test(context.Context, *Live) (string, error) {
	return "the account's own feed is in this database", nil
}
