package feed

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// The most requests of one token (contract 4.4).
const (
	PerMinute = 600
	PerHour   = 30_000
)

// Limits count the requests of each token, in minutes and hours that begin with a request. They live in the
// process: they bound load. Each of several servers counts what it serves.
type Limits struct {
	now func() time.Time

	mu     sync.Mutex
	tokens map[string]*[2]window
}

// window is a span of time and the requests in it.
type window struct {
	began time.Time
	count int
}

// NewLimits makes limits that have counted nothing.
func NewLimits(now func() time.Time) *Limits {
	return &Limits{now: now, tokens: map[string]*[2]window{}}
}

// mostTokens is from how many tokens on those are forgotten whose hour is over.
const mostTokens = 10_000

// take counts a request, and returns how long the token must wait if it is one too many.
func (l *Limits) take(token string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	w := l.tokens[token]
	if w == nil {
		if len(l.tokens) >= mostTokens {
			for id, old := range l.tokens {
				if now.Sub(old[1].began) >= time.Hour {
					delete(l.tokens, id)
				}
			}
		}
		w = &[2]window{}
		l.tokens[token] = w
	}
	for i, limit := range [...]struct {
		span time.Duration
		most int
	}{{time.Minute, PerMinute}, {time.Hour, PerHour}} {
		if now.Sub(w[i].began) >= limit.span {
			w[i] = window{began: now}
		}
		if w[i].count >= limit.most {
			wait = max(wait, w[i].began.Add(limit.span).Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	w[0].count++
	w[1].count++
	return 0
}

func tokenID(p web.Principal) string {
	_, id, _ := strings.Cut(p.Actor, ":")
	return id
}

// admit counts the request against the limits of its token.
func (s *Service) admit(r *http.Request, stream Stream) error {
	if s.Limits == nil {
		return nil
	}
	rec := web.RecordOf(r.Context())
	wait := s.Limits.take(tokenID(rec.Principal))
	if wait == 0 {
		return nil
	}
	s.use(r, stream, 0, true)
	p := problem.New(problem.TooMany, "more than %d requests in a minute or %d in an hour; try again in %d s", PerMinute, PerHour, 1+int(wait.Seconds()))
	p.RetryAfter = wait
	return p
}
