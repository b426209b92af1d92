package signin

import (
	"context"
	"encoding/hex"
	"net/netip"
	"sync"
	"time"

	"holdfast/internal/web"
)

// When failures begin to cost time, and how much at most.
const (
	freeForPerson  = 5
	freeForAddress = 19
	longestWait    = 15 * time.Minute
	knownFor       = 30 * 24 * time.Hour
)

// personKey is the counter of a person's failures.
func personKey(p Person) string { return "person:" + p.AccountID + "/" + p.UserID }

// addressKey is the counter of an address: of the /64 for IPv6.
func addressKey(c Client) string {
	a, err := netip.ParseAddr(c.Address)
	if err != nil {
		return "address:unknown"
	}
	return "address:" + web.AddressKey(a)
}

// emailKey is the counter of an e-mail address that nobody has. It does not hold the address: people
// mistype theirs, or type their password there.
func (s *Service) emailKey(email string) string {
	return "email:" + hex.EncodeToString(s.Keys.MAC("sign-in email", []byte(fold(email)))[:16])
}

// wait is how long after the failures no other try is looked at: 1, 2, 4… seconds after the last one,
// beginning with the first beyond those that are free.
func (f Failures) wait(free int, now time.Time) time.Duration {
	if f.Count <= free {
		return 0
	}
	pause := longestWait
	if n := f.Count - free - 1; n < 10 {
		pause = min(longestWait, time.Second<<n)
	}
	return max(0, f.Last.Add(pause).Sub(now))
}

// gate is who has to wait, by key.
type gate struct {
	address string // key of the address
	waits   map[string]time.Duration
}

// gate looks at the counters of the address and of the people, or of the e-mail if nobody has it.
func (s *Service) gate(ctx context.Context, c Client, people []Person, email string) (gate, error) {
	g := gate{address: addressKey(c), waits: map[string]time.Duration{}}
	keys := []string{g.address}
	for _, p := range people {
		keys = append(keys, personKey(p))
	}
	if len(people) == 0 {
		keys = append(keys, s.emailKey(email))
	}
	now := s.Now()
	counters, err := s.Store.Throttle(ctx, keys)
	if err != nil {
		return g, err
	}
	g.waits[g.address] = counters[g.address].wait(freeForAddress, now)
	for _, key := range keys[1:] {
		g.waits[key] = counters[key].wait(freeForPerson, now)
	}
	for _, p := range people {
		if key := personKey(p); g.waits[key] > 0 {
			known, err := s.Store.KnownAddress(ctx, p.AccountID, p.UserID, c.Address, now.Add(-knownFor))
			if err != nil {
				return g, err
			}
			if known {
				g.waits[key] = 0
			}
		}
	}
	return g, nil
}

// blockAddress is the answer to an address that has to wait. Only the first try of a pause is recorded:
// who is not looked at must not be able to fill the log.
func (s *Service) blockAddress(ctx context.Context, c Client, g gate, p Person, m Method) error {
	wait := g.waits[g.address]
	if s.blocked.first(g.address, s.Now().Add(wait)) {
		if err := s.fail(ctx, c, p, m, FirewallFailed, AllBlocked); err != nil {
			return err
		}
	}
	return ErrSlowed(wait)
}

// blocked remembers until when an address has to wait, of those whose first try was recorded.
type blocked struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (b *blocked) first(key string, until time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if before, ok := b.until[key]; ok && !until.After(before.Add(time.Millisecond)) {
		return false
	}
	if b.until == nil || len(b.until) >= 10_000 {
		b.until = map[string]time.Time{}
	}
	b.until[key] = until
	return true
}

// turns lets one at a time try the password or code of a person, in this process: of a hundred tries
// sent at once, the counters see each before the next is looked at.
type turns struct {
	mu    sync.Mutex
	queue map[string]*turn
}

type turn struct {
	slot  chan struct{}
	users int
}

func (t *turns) take(ctx context.Context, key string) (release func(), err error) {
	t.mu.Lock()
	if t.queue == nil {
		t.queue = map[string]*turn{}
	}
	q := t.queue[key]
	if q == nil {
		q = &turn{slot: make(chan struct{}, 1)}
		t.queue[key] = q
	}
	if q.users > maxQueue {
		t.mu.Unlock()
		return nil, errBusy()
	}
	q.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if q.users--; q.users == 0 {
			delete(t.queue, key)
		}
	}
	select {
	case q.slot <- struct{}{}:
		return func() { <-q.slot; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// Slowed is how much somebody is slowed down by failures from addresses that she has not used lately.
type Slowed struct {
	Count int       // failures since the last success
	Until time.Time // zero: not at the moment
}

// Slowed reports it of a person, for her and for administrators.
func (s *Service) Slowed(ctx context.Context, accountID, userID string) (Slowed, error) {
	key := personKey(Person{AccountID: accountID, UserID: userID})
	counters, err := s.Store.Throttle(ctx, []string{key})
	if err != nil {
		return Slowed{}, err
	}
	now := s.Now()
	out := Slowed{Count: counters[key].Count}
	if wait := counters[key].wait(freeForPerson, now); wait > 0 {
		out.Until = now.Add(wait)
	}
	return out, nil
}
