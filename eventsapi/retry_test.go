package eventsapi_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/eventsapi"
)

// limited answers 429 with the header Retry-After (none if it is empty).
func limited(retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		refuse(w, http.StatusTooManyRequests, "slow down")
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { refuse(w, code, "fault") }
}

// TestRetry: which answers are tried again, when, and how often. In the bubble a pause is exact.
func TestRetry(t *testing.T) {
	const second = time.Second
	dated := func(clock, wait time.Duration) http.HandlerFunc { // by a server whose clock is off by so much
		return func(w http.ResponseWriter, r *http.Request) {
			now := time.Now().Add(clock).UTC()
			if clock != 0 {
				w.Header().Set("Date", now.Format(http.TimeFormat))
			}
			limited(now.Add(wait).Format(http.TimeFormat))(w, r)
		}
	}
	tests := []struct {
		name     string
		edit     func(*eventsapi.Config)
		follow   bool
		deadline time.Duration // of the caller; 0 for none
		fail     http.HandlerFunc
		fails    int // how many times before it works
		tries    int
		min, max time.Duration
		want     error // nil: it works in the end
	}{
		{name: "once", fail: status(503), fails: 1, tries: 2, min: 250 * time.Millisecond, max: 500 * time.Millisecond},
		{name: "doubling", fail: status(500), fails: 4, tries: 5, min: 3750 * time.Millisecond, max: 7500 * time.Millisecond},
		{name: "five_tries", fail: status(502), fails: 99, tries: 5, min: 3750 * time.Millisecond, max: 7500 * time.Millisecond, want: eventsapi.ErrUnavailable},
		{name: "more_tries", edit: func(c *eventsapi.Config) { c.MaxRetries = 7 }, fail: status(504), fails: 7, tries: 8, min: 31 * second, max: 64 * second},
		{name: "short_pauses", edit: func(c *eventsapi.Config) { c.MaxRetryWait = second }, fail: status(503), fails: 4, tries: 5, min: 1750 * time.Millisecond, max: 3500 * time.Millisecond},
		{name: "never", edit: func(c *eventsapi.Config) { c.MaxRetries = -1 }, fail: status(503), fails: 1, tries: 1, want: eventsapi.ErrUnavailable},
		{name: "limited_without_header", fail: limited(""), fails: 1, tries: 2, min: 250 * time.Millisecond, max: 500 * time.Millisecond},
		{name: "limited_seconds", fail: limited("20"), fails: 2, tries: 3, min: 40 * second, max: 44 * second},
		{name: "limited_date", fail: dated(0, 30*second), fails: 1, tries: 2, min: 29 * second, max: 33 * second},
		{name: "limited_date_of_another_clock", fail: dated(24*time.Hour, 8*second), fails: 1, tries: 2, min: 8 * second, max: 9 * second},
		{name: "limited_past", fail: dated(0, -30*second), fails: 1, tries: 2, min: 250 * time.Millisecond, max: 500 * time.Millisecond},
		{name: "limited_nonsense", fail: limited("soon"), fails: 1, tries: 2, min: 250 * time.Millisecond, max: 500 * time.Millisecond},
		{name: "limited_too_long", fail: limited("3600"), fails: 1, tries: 1, want: eventsapi.ErrRateLimited},
		{name: "limited_absurd", fail: limited("99999999999999999999"), fails: 1, tries: 1, want: eventsapi.ErrRateLimited},
		{name: "deadline_before_retry", deadline: 5 * second, fail: limited("20"), fails: 1, tries: 1, want: eventsapi.ErrRateLimited},
		{name: "deadline_far_enough", deadline: 25 * second, fail: limited("20"), fails: 1, tries: 2, min: 20 * second, max: 22 * second},

		{name: "follow_on_and_on", follow: true, fail: status(503), fails: 40, tries: 41, min: 16 * time.Minute, max: 36 * time.Minute},
		{name: "follow_waits_as_asked", follow: true, fail: limited("3000"), fails: 2, tries: 3, min: 100 * time.Minute, max: 110 * time.Minute},
		{name: "follow_waits_an_hour_at_most", follow: true, fail: limited("99999999999999999999"), fails: 1, tries: 2, min: time.Hour, max: 66 * time.Minute},
		{name: "follow_with_an_end", follow: true, edit: func(c *eventsapi.Config) { c.MaxRetries = 2 }, fail: status(503), fails: 99, tries: 3, min: 750 * time.Millisecond, max: 1500 * time.Millisecond, want: eventsapi.ErrUnavailable},
		{name: "follow_never", follow: true, edit: func(c *eventsapi.Config) { c.MaxRetries = -1 }, fail: limited("1"), fails: 99, tries: 1, want: eventsapi.ErrRateLimited},
		{name: "follow_revoked", follow: true, fail: status(401), fails: 99, tries: 1, want: eventsapi.ErrUnauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(attempt(0)).failFirst(tt.fails, tt.fail)
				c := f.within(t, tt.edit)
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				stream := c.SignInAttempts
				if tt.follow {
					stream = c.FollowSignInAttempts
				}
				start := time.Now()
				err := firstError(stream(ctx, eventsapi.Position{}))
				took := time.Since(start)
				if !errors.Is(err, tt.want) {
					t.Errorf("err = %v, want %v", err, tt.want)
				}
				if e, ok := errors.AsType[*eventsapi.Error](err); ok && e.Tries != tt.tries {
					t.Errorf("the error speaks of %d tries, want %d", e.Tries, tt.tries)
				}
				if got := len(f.requests()); got != tt.tries {
					t.Errorf("sent %d times, want %d", got, tt.tries)
				}
				if took < tt.min || took > tt.max {
					t.Errorf("took %v, want %v to %v", took, tt.min, tt.max)
				}
			})
		})
	}
}

// broken is a transport that fails a number of times.
type broken struct {
	times int
	err   error
	next  http.RoundTripper
}

func (b *broken) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.times--; b.times >= 0 {
		return nil, b.err
	}
	return b.next.RoundTrip(r)
}

// TestBrokenConnections: what may pass is tried again; a follower that has heard of its server before
// waits for it to be found again.
func TestBrokenConnections(t *testing.T) {
	noHost := &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	distrust := &tls.CertificateVerificationError{Err: errors.New("expired")}
	tests := []struct {
		name   string
		err    error
		proven bool
		ends   bool
	}{
		{name: "reset", err: errors.New("connection reset by peer")},
		{name: "resolver_fails", err: &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}},
		{name: "no_such_host", err: noHost, ends: true},
		{name: "no_such_host_any_more", err: noHost, proven: true},
		{name: "distrusted", err: distrust, ends: true},
		{name: "distrusted_by_now", err: distrust, proven: true},
		{name: "token_in_the_text", err: errors.New("cannot send Bearer " + goodToken()), ends: false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(attempt(0), attempt(1))
				b := &broken{err: tt.err, next: inMemory{f.front(f)}}
				if !tt.proven {
					b.times = 30
				}
				var log bytes.Buffer
				c := dial(t, func(cfg *eventsapi.Config) {
					cfg.HTTPClient = &http.Client{Transport: b}
					cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				})
				var got []string
				var ended error
				for p, err := range c.FollowSignInAttempts(t.Context(), eventsapi.Position{Limit: 1}) {
					if ended = err; err != nil {
						break
					}
					got = append(got, uuids(p)...)
					if len(got) == 2 {
						break
					}
					if tt.proven {
						b.times = 30
					}
				}
				switch {
				case tt.ends && (!errors.Is(ended, eventsapi.ErrUnavailable) || len(got) > 0):
					t.Errorf("err = %v, want ErrUnavailable", ended)
				case !tt.ends && (ended != nil || len(got) != 2):
					t.Errorf("read %v, err = %v", got, ended)
				case !tt.ends && strings.Count(log.String(), "level=WARN") != 30:
					t.Errorf("the log does not speak of the 30 tries:\n%s", log.String())
				}
				noToken(t, log.String(), goodToken())
			})
		})
	}
}

// TestEachTryEnds: a server that does not answer is left after Timeout, and after LongPoll more if it was
// asked to wait.
func TestEachTryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fault = func(n int, _ http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				return false
			}
			<-r.Context().Done()
			return true
		}
		c := f.within(t, func(cfg *eventsapi.Config) {
			cfg.Timeout, cfg.MaxRetries = 5*time.Second, 1
			cfg.HTTPClient.Timeout = time.Second // of a client made for something else
		})
		var starts []time.Time
		err := func() error {
			for _, err := range c.FollowSignInAttempts(t.Context(), eventsapi.Position{}) {
				if err != nil {
					return err
				}
			}
			return nil
		}()
		if !errors.Is(err, eventsapi.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in time (2 tries)") {
			t.Errorf("err = %v", err)
		}
		for _, r := range f.requests() {
			starts = append(starts, r.At)
		}
		if len(starts) != 3 {
			t.Fatalf("sent %d requests, want 3", len(starts))
		}
		if long := starts[2].Sub(starts[1]); long < 25*time.Second || long > 26*time.Second {
			t.Errorf("the long try took %v with its pause, want 25s and up to half a second", long)
		}
		if short := time.Since(starts[2]); short != 5*time.Second {
			t.Errorf("the short try took %v, want 5s", short)
		}
	})
}

// TestTheCallerEndsIt: at once, in a request and in a pause, and the error says so.
func TestTheCallerEndsIt(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, h := range map[string]http.HandlerFunc{"in_a_request": hang, "in_a_pause": limited("50")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake().failFirst(9, h)
				c := f.within(t, nil)
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("the operator stopped it")
				time.AfterFunc(7*time.Second, func() { cancel(why) })
				start := time.Now()
				err := firstError(c.SignInAttempts(ctx, eventsapi.Position{}))
				if !errors.Is(err, context.Canceled) || !errors.Is(err, why) || errors.Is(err, eventsapi.ErrInvalid) {
					t.Errorf("err = %v, want Canceled with its cause", err)
				}
				if took := time.Since(start); took != 7*time.Second {
					t.Errorf("took %v, want 7s", took)
				}
			})
		})
	}
}

// TestAnAnswerThatBreaksOff is asked for again, also where it was a good one.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	f := newFake(attempt(0)).failFirst(1, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5000")
		reply(w, `{"cursor":"c","has_more":false,"items":[`)
	})
	var log bytes.Buffer
	c := f.client(t, func(cfg *eventsapi.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.MaxRetryWait = time.Millisecond
	})
	pages, _, err := read(c.SignInAttempts(t.Context(), eventsapi.Position{}))
	if err != nil || len(pages) != 1 || len(pages[0]) != 1 {
		t.Errorf("read %v, err = %v", pages, err)
	}
	if text := log.String(); !strings.Contains(text, "level=DEBUG") || !strings.Contains(text, "the answer (200) broke off: unexpected EOF") {
		t.Errorf("the log says\n%s", text)
	}
}
