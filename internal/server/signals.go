package server

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"holdfast/internal/feed"
	"holdfast/internal/store"
)

// ownFeed is the account's own feed, for sources of the kind local: what is stored, in the words of the Events
// API.
type ownFeed struct{ db *store.DB }

// Streams implements signals.Feed.
func (ownFeed) Streams() []string {
	return []string{string(feed.AuditEvents), string(feed.ItemUsages), string(feed.SignInAttempts)}
}

// Read implements signals.Feed.
func (f ownFeed) Read(ctx context.Context, accountID, stream string, after int64, limit int) ([][]byte, int64, error) {
	switch feed.Stream(stream) {
	case feed.SignInAttempts:
		return linesOf(ctx, f.db.FeedAttempts, feed.ViewAttempt, func(a feed.Attempt) int64 { return a.Seq }, accountID, after, limit)
	case feed.ItemUsages:
		return linesOf(ctx, f.db.FeedUsages, feed.ViewUsage, func(u feed.Usage) int64 { return u.Seq }, accountID, after, limit)
	case feed.AuditEvents:
		return linesOf(ctx, f.db.FeedAudited, feed.ViewAudited, func(a feed.Audited) int64 { return a.Seq }, accountID, after, limit)
	}
	return nil, after, fmt.Errorf("there is no stream %q", stream)
}

func linesOf[E any](ctx context.Context, read func(context.Context, string, int64, int) ([]E, error), view func(E, string) any, seq func(E) int64,
	accountID string, after int64, limit int,
) (lines [][]byte, last int64, err error) {
	events, err := read(ctx, accountID, after, limit)
	if err != nil {
		return nil, after, err
	}
	last = after
	for _, e := range events {
		last = seq(e)
		shown := view(e, accountID)
		if shown == nil {
			continue
		}
		line, err := json.Marshal(shown)
		if err != nil {
			return nil, after, fmt.Errorf("write event %d of %s: %w", last, accountID, err)
		}
		lines = append(lines, line)
	}
	return lines, last, nil
}

// Wait implements signals.Feed.
func (f ownFeed) Wait(ctx context.Context, accountID, stream string, after int64) error {
	return f.db.WaitEvents(ctx, accountID, feed.Stream(stream), after)
}

// After implements signals.Feed.
func (f ownFeed) After(ctx context.Context, accountID, stream string, from time.Time) (int64, error) {
	return feed.After(ctx, f.db, accountID, feed.Stream(stream), from)
}
