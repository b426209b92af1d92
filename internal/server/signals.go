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
// API, all streams together in order of time. The store gives what happens in an account one order of time,
// which is that of commit, so what was there at one moment is before all that comes later.
type ownFeed struct{ db *store.DB }

// ownStreams are the streams in the order of a cursor's numbers.
func ownStreams() [3]feed.Stream {
	return [...]feed.Stream{feed.AuditEvents, feed.ItemUsages, feed.SignInAttempts}
}

// ownEvent is an event of one of the streams.
type ownEvent struct {
	at    time.Time
	seq   int64
	shown any // nil: it is for no reader
}

// Read implements signals.Feed.
func (f ownFeed) Read(ctx context.Context, accountID, cursor string, from time.Time, limit int) ([][]byte, string, error) {
	after, err := f.after(ctx, accountID, cursor, from)
	if err != nil {
		return nil, cursor, err
	}
	ends, err := f.db.FeedEnds(ctx, accountID)
	if err != nil {
		return nil, cursor, err
	}
	var pages [3][]ownEvent
	for i, s := range ownStreams() {
		if pages[i], err = f.page(ctx, s, accountID, after[i], ends[s], limit); err != nil {
			return nil, cursor, err
		}
	}
	var lines [][]byte
	for len(lines) < limit {
		first := -1
		for i := range pages {
			if len(pages[i]) > 0 && (first < 0 || pages[i][0].at.Before(pages[first][0].at)) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		e := pages[first][0]
		pages[first], after[first] = pages[first][1:], e.seq
		if e.shown != nil {
			line, err := json.Marshal(e.shown)
			if err != nil {
				return nil, cursor, fmt.Errorf("write event %d of %s of %s: %w", e.seq, ownStreams()[first], accountID, err)
			}
			lines = append(lines, line)
		}
		if len(pages[first]) == 0 && e.seq < ends[ownStreams()[first]] {
			break // what comes next in this stream may be before what is left of the others
		}
	}
	return lines, fmt.Sprintf(ownCursor, after[0], after[1], after[2]), nil
}

const ownCursor = "%d.%d.%d"

// after are the numbers that the cursor is made of; for the empty one, those behind which everything is that
// happened from the time on.
func (f ownFeed) after(ctx context.Context, accountID, cursor string, from time.Time) (after [3]int64, err error) {
	if cursor != "" {
		if _, err := fmt.Sscanf(cursor, ownCursor, &after[0], &after[1], &after[2]); err != nil {
			return after, fmt.Errorf("the cursor %q of the account's own feed is not three numbers: %w", cursor, err)
		}
		return after, nil
	}
	for i, s := range ownStreams() {
		if after[i], err = feed.After(ctx, f.db, accountID, s, from); err != nil {
			return after, err
		}
	}
	return after, nil
}

// page are events of a stream after a number and up to another.
func (f ownFeed) page(ctx context.Context, s feed.Stream, accountID string, after, upTo int64, limit int) ([]ownEvent, error) {
	if after >= upTo {
		return nil, nil
	}
	switch s {
	case feed.SignInAttempts:
		return eventsOf(ctx, f.db.FeedAttempts, func(a feed.Attempt) ownEvent { return ownEvent{a.At, a.Seq, feed.ViewAttempt(a, accountID)} }, accountID, after, upTo, limit)
	case feed.ItemUsages:
		return eventsOf(ctx, f.db.FeedUsages, func(u feed.Usage) ownEvent { return ownEvent{u.At, u.Seq, feed.ViewUsage(u, accountID)} }, accountID, after, upTo, limit)
	default:
		return eventsOf(ctx, f.db.FeedAudited, func(a feed.Audited) ownEvent { return ownEvent{a.At, a.Seq, feed.ViewAudited(a, accountID)} }, accountID, after, upTo, limit)
	}
}

func eventsOf[E any](ctx context.Context, read func(context.Context, string, int64, int) ([]E, error), view func(E) ownEvent,
	accountID string, after, upTo int64, limit int,
) ([]ownEvent, error) {
	events, err := read(ctx, accountID, after, limit)
	if err != nil {
		return nil, err
	}
	all := make([]ownEvent, 0, len(events))
	for _, e := range events {
		own := view(e)
		if own.seq > upTo {
			break
		}
		all = append(all, own)
	}
	return all, nil
}

// Wait implements signals.Feed.
func (f ownFeed) Wait(ctx context.Context, accountID, cursor string) error {
	after, err := f.after(ctx, accountID, cursor, time.Time{})
	if err != nil {
		return err
	}
	numbers := map[feed.Stream]int64{}
	for i, s := range ownStreams() {
		numbers[s] = after[i]
	}
	return f.db.WaitFeed(ctx, accountID, numbers)
}
