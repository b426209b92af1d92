package oauth

import (
	"net/netip"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// Limits slow down whoever guesses secrets, and nobody else. Only failures count.
//
//   - An address that failed too often as one client is turned away before its secret is looked at.
//     The same client from another address is not concerned, nor another client from this address.
//   - An address, or a client wherever it comes from, with too many failures gets 429 instead of 401
//     and leaves no more audit entries. The right secret is still accepted.
type Limits struct {
	pair    *web.Limiter // client and address
	address *web.Limiter
	client  *web.Limiter
}

// NewLimits makes the limits that the server uses.
func NewLimits(now func() time.Time) *Limits {
	const keys = 50_000
	return &Limits{
		pair:    web.NewLimiter(10, 6*time.Second, keys, now),
		address: web.NewLimiter(30, 2*time.Second, keys, now),
		client:  web.NewLimiter(60, time.Second, keys, now),
	}
}

func pairKey(clientID string, a netip.Addr) string { return web.AddressKey(a) + " " + clientID }

// before is called before the secret is looked at.
func (l *Limits) before(clientID string, a netip.Addr) error {
	if wait, exhausted := l.pair.Exhausted(pairKey(clientID, a)); exhausted {
		return tooMany(wait)
	}
	return nil
}

// failed is called after a failure; a problem means that it is one too many.
func (l *Limits) failed(clientID string, a netip.Addr) error {
	wait, within := l.pair.Fail(pairKey(clientID, a))
	if w, ok := l.address.Fail(web.AddressKey(a)); !ok {
		wait, within = max(wait, w), false
	}
	if clientID != "" {
		if w, ok := l.client.Fail(clientID); !ok {
			wait, within = max(wait, w), false
		}
	}
	if within {
		return nil
	}
	return tooMany(wait)
}

func tooMany(wait time.Duration) error {
	p := problem.New(problem.TooMany, "too many failed attempts; try again in %d s", 1+int(wait.Seconds()))
	p.RetryAfter = wait
	return p
}
