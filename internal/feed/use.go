package feed

import (
	"context"
	"net/http"
	"time"

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
