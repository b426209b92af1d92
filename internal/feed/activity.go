package feed

import (
	"context"
	"slices"
	"time"
)

// Activity is what a token was used for.
type Activity struct {
	LastAt        time.Time // of any call for events, refused ones too; zero: never
	LastAddress   string
	LastUserAgent string
	Reads         []Reads // one for each of the token's features, in the order of [Streams]
}

// Reads count what was read of one kind of events. Hours are what is kept, so the last 24 hours and 30 days
// begin up to one hour late.
type Reads struct {
	Stream    Stream
	Calls24h  int64 // the refused ones too
	Calls30d  int64
	Events24h int64 // that were delivered
	Events30d int64
	Refused   int64 // of all calls ever
	LastAt    time.Time
}

const longSpan = 30 * day

// Activity says what the token was used for.
func (s *Service) Activity(ctx context.Context, accountID, id string) (Activity, error) {
	t, err := s.Token(ctx, accountID, id)
	if err != nil {
		return Activity{}, err
	}
	now := s.Now()
	uses, err := s.Store.TokenUses(ctx, accountID, id, now.Add(-longSpan))
	if err != nil {
		return Activity{}, err
	}
	var a Activity
	for _, f := range Streams() {
		if slices.Contains(t.Features, f) {
			a.Reads = append(a.Reads, Reads{Stream: f})
		}
	}
	for _, u := range uses {
		if u.LastAt.After(a.LastAt) {
			a.LastAt, a.LastAddress, a.LastUserAgent = u.LastAt, u.LastAddress, u.LastUserAgent
		}
		if i := slices.IndexFunc(a.Reads, func(r Reads) bool { return r.Stream == u.Feature }); i >= 0 {
			a.Reads[i].add(u, now)
		}
	}
	return a, nil
}

func (r *Reads) add(u TokenUse, now time.Time) {
	r.Refused += u.Refused
	if u.LastAt.After(r.LastAt) {
		r.LastAt = u.LastAt
	}
	if u.Hour.After(now.Add(-day)) {
		r.Calls24h += u.Calls
		r.Events24h += u.Events
	}
	if u.Hour.After(now.Add(-longSpan)) {
		r.Calls30d += u.Calls
		r.Events30d += u.Events
	}
}

// LastUses says of each of the account's tokens, by its ID, when it was last used. One that was never used is
// not in it.
func (s *Service) LastUses(ctx context.Context, accountID string) (map[string]time.Time, error) {
	uses, err := s.Store.TokenUses(ctx, accountID, "", s.Now()) // one row for each kind of events
	if err != nil {
		return nil, err
	}
	last := map[string]time.Time{}
	for _, u := range uses {
		if u.LastAt.After(last[u.TokenID]) {
			last[u.TokenID] = u.LastAt
		}
	}
	return last, nil
}
