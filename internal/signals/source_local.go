package signals

import (
	"context"
	"fmt"
	"strconv"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// local reads the account's own feed, in process. Its events go the way of those of another Holdfast.
type local struct{}

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

// Pull follows each stream.
func (local) Pull(ctx context.Context, l *Live) error {
	return l.each(ctx, l.Feed.Streams(), func(ctx context.Context, stream string) error {
		after, err := l.begin(ctx, stream)
		for first := true; err == nil; first = false {
			var lines [][]byte
			var last int64
			if lines, last, err = l.Feed.Read(ctx, l.Setup.AccountID, stream, after, localPage); err != nil {
				break
			}
			if first || last > after { // at first also if there is nothing: it went well
				if err = l.take(ctx, Batch{Stream: stream, Lines: lines, Cursor: strconv.FormatInt(last, 10)}); err != nil {
					break
				}
			}
			if last > after {
				after = last
				continue
			}
			err = l.Feed.Wait(ctx, l.Setup.AccountID, stream, after)
		}
		return err
	})
}

// begin is the number after which the stream is read.
func (l *Live) begin(ctx context.Context, stream string) (int64, error) {
	if cursor := l.cursors[stream]; cursor != "" {
		n, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("the cursor of %s is no number: %w", stream, err)
		}
		return n, nil
	}
	return l.Feed.After(ctx, l.Setup.AccountID, stream, l.Setup.Config.Since)
}

// Test reads nothing: the feed is in the same database.
func (local) Test(context.Context, *Live) (string, error) {
	return "the account's own feed is in this database", nil
}
