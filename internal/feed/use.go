package feed

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"holdfast/internal/tally"
	"holdfast/internal/web"
)

// TokenUse is what one token was used for in one hour.
type TokenUse struct {
	AccountID     string
	TokenID       string
	Feature       Stream
	Hour          time.Time // its beginning, UTC; zero: everything before the hours that are kept
	Calls         int64     // the refused ones too
	Refused       int64
	Events        int64 // that were delivered
	LastAt        time.Time
	LastAddress   string
	LastUserAgent string
}

// usesKept is how long hours are kept.
const usesKept = 90 * day

// PurgeUses sums up the hours of more than 90 days ago.
func (s *Service) PurgeUses(ctx context.Context) error {
	return s.Store.PurgeTokenUse(ctx, s.Now().Add(-usesKept))
}

// use notes what the request's token was used for.
func (s *Service) use(r *http.Request, stream Stream, events int, refused bool) {
	if s.Uses == nil || stream == "" {
		return
	}
	rec := web.RecordOf(r.Context())
	at := s.Now().UTC()
	u := TokenUse{
		AccountID: rec.Principal.AccountID, TokenID: tokenID(rec.Principal), Feature: stream, Hour: at.Truncate(time.Hour),
		Calls: 1, Events: int64(events), LastAt: at, LastAddress: rec.Address.String(), LastUserAgent: r.UserAgent(),
	}
	if refused {
		u.Refused = 1
	}
	s.Uses.Record(u)
}

// UseRecorder counts what tokens are used for.
type UseRecorder interface{ Record(u TokenUse) }

// Merge adds what was counted elsewhere of the same token, feature and hour.
func (u *TokenUse) Merge(o TokenUse) {
	u.Calls += o.Calls
	u.Refused += o.Refused
	u.Events += o.Events
	if o.LastAt.After(u.LastAt) {
		u.LastAt, u.LastAddress, u.LastUserAgent = o.LastAt, o.LastAddress, o.LastUserAgent
	}
}

type useKey struct {
	account, token string
	feature        Stream
	hour           int64
}

// Recorder is the UseRecorder that writes into the store.
type Recorder struct {
	*tally.Tally[useKey, TokenUse]
}

// NewRecorder makes a recorder that has counted nothing.
func NewRecorder(store Store, log *slog.Logger) *Recorder {
	return &Recorder{tally.New(tally.Options[useKey, TokenUse]{
		Name:  "calls with events tokens",
		Key:   func(u TokenUse) useKey { return useKey{u.AccountID, u.TokenID, u.Feature, u.Hour.Unix()} },
		Merge: (*TokenUse).Merge,
		Order: func(a, b TokenUse) int {
			return cmp.Or(strings.Compare(a.TokenID, b.TokenID), cmp.Compare(a.Feature, b.Feature), a.Hour.Compare(b.Hour))
		},
		Write: store.AddTokenUse, Log: log,
	})}
}

const (
	maxAddress   = 64 // bytes
	maxUserAgent = 200
)

// Record counts one call.
func (r *Recorder) Record(u TokenUse) {
	u.LastAddress, u.LastUserAgent = tally.Text(u.LastAddress, maxAddress), tally.Text(u.LastUserAgent, maxUserAgent)
	r.Add(u)
}
