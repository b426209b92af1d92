package web

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter counts failures by key, each key with its own bucket. It remembers a bounded number of
// keys; the one unused for longest is forgotten first. Only failures are ever put in, so forgetting
// a key can let a failure through but never keeps out somebody who did nothing wrong.
//
// The buckets live in the process: they bound load and guessing, they are not a truth that another
// server would have to know.
type Limiter struct {
	every time.Duration // one failure is forgiven in this time
	burst int           // failures allowed at once
	keys  int           // most keys remembered
	now   func() time.Time

	mu     sync.Mutex
	recent *list.List // of *bucket, the latest used in front
	byKey  map[string]*list.Element
}

type bucket struct {
	key string
	lim *rate.Limiter
}

// NewLimiter makes a limiter that allows burst failures at once and one more in each period.
func NewLimiter(burst int, every time.Duration, keys int, now func() time.Time) *Limiter {
	return &Limiter{every: every, burst: burst, keys: keys, now: now, recent: list.New(), byKey: map[string]*list.Element{}}
}

// Fail notes a failure of the key and reports whether it is still within the limit, and if not, in
// what time the next one will be.
func (l *Limiter) Fail(key string) (retryAfter time.Duration, within bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	lim := l.bucket(key)
	if lim.AllowN(now, 1) {
		return 0, true
	}
	return l.wait(lim, now), false
}

// Exhausted reports whether the key has used up its failures, and until when, without noting one.
func (l *Limiter) Exhausted(key string) (retryAfter time.Duration, exhausted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	el, ok := l.byKey[key]
	if !ok {
		return 0, false
	}
	now := l.now()
	lim := el.Value.(*bucket).lim
	if lim.TokensAt(now) >= 1 {
		return 0, false
	}
	return l.wait(lim, now), true
}

func (l *Limiter) wait(lim *rate.Limiter, now time.Time) time.Duration {
	return time.Duration((1 - lim.TokensAt(now)) * float64(l.every))
}

func (l *Limiter) bucket(key string) *rate.Limiter {
	if el, ok := l.byKey[key]; ok {
		l.recent.MoveToFront(el)
		return el.Value.(*bucket).lim
	}
	if l.recent.Len() >= l.keys {
		oldest := l.recent.Back()
		delete(l.byKey, oldest.Value.(*bucket).key)
		l.recent.Remove(oldest)
	}
	b := &bucket{key: key, lim: rate.NewLimiter(rate.Every(l.every), l.burst)}
	l.byKey[key] = l.recent.PushFront(b)
	return b.lim
}
