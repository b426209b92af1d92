package feed

import (
	"context"
	"net/http"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// Keys seals and marks; *[seal.Keyring] does.
type Keys interface {
	Seal(value []byte, purpose string, identity ...string) ([]byte, error)
	Open(sealed []byte, purpose string, identity ...string) ([]byte, error)
	MAC(purpose string, parts ...[]byte) []byte
	VerifyMAC(mark []byte, purpose string, parts ...[]byte) bool
}

// Service serves the Events API and manages its tokens. The fields must be set before the first call; it must
// not be copied after that.
type Service struct {
	Store   Store
	Keys    Keys
	URL     string          // where shippers reach the server, without a slash at the end
	Uses    UseRecorder     // counts what tokens are used for; nil: nobody does
	Limits  *Limits         // nil: none
	Closing context.Context // ends when the server stops, so that nobody waits for events any longer; nil: never
	Now     func() time.Time

	verifiers verifiers
}

// Routes lists the Events API, in its three generations, and the keys. Each line declares who may call it.
func (s *Service) Routes() []web.Route {
	attempts, usages, audited := web.Events(string(SignInAttempts)), web.Events(string(ItemUsages)), web.Events(string(AuditEvents))
	routes := []web.Route{
		{Pattern: "GET /api/auth/introspect", Access: web.Events(""), Handle: s.introspectV1},
		{Pattern: "GET /api/v2/auth/introspect", Access: web.Events(""), Handle: s.introspectV2},

		{Pattern: "POST /api/v1/signinattempts", Access: attempts, Handle: s.post(SignInAttempts, v1)},
		{Pattern: "POST /api/v1/itemusages", Access: usages, Handle: s.post(ItemUsages, v1)},
		{Pattern: "POST /api/v1/auditevents", Access: audited, Handle: s.post(AuditEvents, v1)},

		{Pattern: "POST /api/v2/signinattempts", Access: attempts, Handle: s.post(SignInAttempts, v2)},
		{Pattern: "POST /api/v2/itemusages", Access: usages, Handle: s.post(ItemUsages, v2)},
		{Pattern: "POST /api/v2/auditevents", Access: audited, Handle: s.post(AuditEvents, v2)},

		{Pattern: "GET /api/v3/auditevents", Access: audited, Handle: s.getAuditV3},
	}
	for i := range routes {
		routes[i].Errors = problem.Events
	}
	return append(routes, web.Route{
		Pattern: "GET /.well-known/jwks.json", Access: web.Public("public keys, by which anybody can check an events token"), Handle: s.jwks,
	})
}

// current is the token of the request.
func (s *Service) current(r *http.Request) (Token, error) {
	p := web.RecordOf(r.Context()).Principal
	return s.Store.EventsToken(r.Context(), p.AccountID, tokenID(p))
}

func (s *Service) introspectV1(w http.ResponseWriter, r *http.Request) error {
	return s.introspect(w, r, func(t Token) any {
		return struct {
			UUID     string
			IssuedAt time.Time
			Features []Stream
		}{t.ID, t.CreatedAt, t.Features}
	})
}

func (s *Service) introspectV2(w http.ResponseWriter, r *http.Request) error {
	return s.introspect(w, r, func(t Token) any {
		return struct {
			UUID      string    `json:"uuid"`
			IssuedAt  time.Time `json:"issued_at"`
			Features  []Stream  `json:"features"`
			AccountID string    `json:"account_uuid"`
		}{t.ID, t.CreatedAt, t.Features, t.AccountID}
	})
}

func (s *Service) introspect(w http.ResponseWriter, r *http.Request, view func(Token) any) error {
	if err := s.admit(r, ""); err != nil {
		return err
	}
	t, err := s.current(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, view(t))
}

// Purge deletes events that are older than they are kept for. For 0 all are kept.
func (s *Service) Purge(ctx context.Context, keep time.Duration) error {
	if keep <= 0 {
		return nil
	}
	return s.Store.PurgeEvents(ctx, s.Now().Add(-keep))
}
