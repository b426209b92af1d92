package usersapi_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/usersapi"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// TestRetry: which answers are tried again, when, and how often.
func TestRetry(t *testing.T) {
	second := time.Second
	limited := func(retryAfter string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", retryAfter)
			rpcError(w, http.StatusTooManyRequests, 8, "slow down")
		}
	}
	status := func(code int) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) { rpcError(w, code, 13, "fault") }
	}
	inSeconds := func(n int) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			limited(time.Now().Add(time.Duration(n) * time.Second).UTC().Format(http.TimeFormat))(w)
		}
	}
	skewed := func(w http.ResponseWriter) { // the server's clock is a day ahead
		tomorrow := time.Now().Add(24 * time.Hour).UTC()
		w.Header().Set("Date", tomorrow.Format(http.TimeFormat))
		limited(tomorrow.Add(8 * time.Second).Format(http.TimeFormat))(w)
	}
	tests := []struct {
		name     string
		edit     func(*usersapi.Config)
		deadline time.Duration // of the caller; 0 for none
		fail     func(w http.ResponseWriter)
		fails    int // how many times before it works
		tries    int
		min, max time.Duration
		want     error // nil: it works in the end
	}{
		{name: "once", fail: status(503), fails: 1, tries: 2, min: 250 * time.Millisecond, max: 500 * time.Millisecond},
		{name: "doubling", fail: status(500), fails: 4, tries: 5, min: 3750 * time.Millisecond, max: 7500 * time.Millisecond},
		{name: "gives_up", fail: status(502), fails: 99, tries: 5, min: 3750 * time.Millisecond, max: 7500 * time.Millisecond, want: usersapi.ErrUnavailable},
		{name: "more_tries", edit: func(c *usersapi.Config) { c.MaxRetries = 7 }, fail: status(504), fails: 7, tries: 8, min: 31 * second, max: 64 * second},
		{name: "short_pauses", edit: func(c *usersapi.Config) { c.MaxRetryWait = second }, fail: status(503), fails: 4, tries: 5, min: 1750 * time.Millisecond, max: 3500 * time.Millisecond},
		{name: "never", edit: func(c *usersapi.Config) { c.MaxRetries = -1 }, fail: status(503), fails: 1, tries: 1, want: usersapi.ErrUnavailable},
		{name: "retry_after_seconds", fail: limited("20"), fails: 2, tries: 3, min: 40 * second, max: 44 * second},
		{name: "retry_after_date", fail: inSeconds(30), fails: 1, tries: 2, min: 29 * second, max: 33 * second},
		{name: "retry_after_date_other_clock", fail: skewed, fails: 1, tries: 2, min: 8 * second, max: 9 * second},
		{name: "retry_after_past", fail: inSeconds(-30), fails: 1, tries: 2, min: 250 * time.Millisecond, max: 500 * time.Millisecond},
		{name: "retry_after_nonsense", fail: limited("soon"), fails: 1, tries: 2, min: 250 * time.Millisecond, max: 500 * time.Millisecond},
		{name: "retry_after_at_the_limit", fail: limited("60"), fails: 1, tries: 2, min: 60 * second, max: 66 * second},
		{name: "retry_after_too_long", fail: limited("3600"), fails: 1, tries: 1, want: usersapi.ErrRateLimited},
		{name: "retry_after_absurd", fail: limited("99999999999999999"), fails: 1, tries: 1, want: usersapi.ErrRateLimited},
		{name: "deadline_before_retry", deadline: 5 * second, fail: limited("20"), fails: 1, tries: 1, want: usersapi.ErrRateLimited},
		{name: "deadline_far_enough", deadline: 25 * second, fail: limited("20"), fails: 1, tries: 2, min: 20 * second, max: 22 * second},
		{name: "forbidden", fail: status(403), fails: 1, tries: 1, want: usersapi.ErrForbidden},
		{name: "not_implemented", fail: status(501), fails: 1, tries: 1, want: usersapi.ErrUnavailable},
		{name: "bad_request", fail: status(400), fails: 1, tries: 1, want: usersapi.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(1)
				f.breakAt(personID(0), func(n int, w http.ResponseWriter, _ *http.Request) bool {
					if n <= tt.fails {
						tt.fail(w)
					}
					return n <= tt.fails
				})
				c := f.within(t, tt.edit)
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				start := time.Now()
				_, err := c.User(ctx, personID(0))
				took := time.Since(start)
				if !errors.Is(err, tt.want) {
					t.Errorf("err = %v, want %v", err, tt.want)
				}
				if e, ok := errors.AsType[*usersapi.Error](err); ok && e.Tries != tt.tries {
					t.Errorf("the error speaks of %d tries, want %d", e.Tries, tt.tries)
				}
				if got := f.requests(personID(0)); got != tt.tries {
					t.Errorf("sent %d times, want %d", got, tt.tries)
				}
				if took < tt.min || took > tt.max {
					t.Errorf("took %v, want %v to %v", took, tt.min, tt.max)
				}
				if got := f.requests("/token"); got != 1 {
					t.Errorf("asked for %d tokens, want 1", got)
				}
			})
		})
	}
}

// TestPausesVary: clients that failed together do not come back together.
func TestPausesVary(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(1)
			f.breakAt(personID(0), func(n int, w http.ResponseWriter, _ *http.Request) bool {
				if n == 1 {
					rpcError(w, http.StatusServiceUnavailable, 14, "m")
				}
				return n == 1
			})
			c := f.within(t, nil)
			start := time.Now()
			if _, err := c.User(t.Context(), personID(0)); err != nil {
				t.Error(err)
			}
			seen[time.Since(start)] = true
		})
	}
	if len(seen) < 10 {
		t.Errorf("20 pauses had %d lengths, want nearly 20", len(seen))
	}
}

func TestRetryAfterIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.breakAt("/token", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "3600")
			reply(w, http.StatusTooManyRequests, map[string]string{"error": "temporarily_unavailable"})
			return true
		})
		_, err := f.within(t, nil).User(t.Context(), personID(0))
		o, ok := errors.AsType[*usersapi.OAuthError](err)
		if !ok || o.RetryAfter != time.Hour || o.Tries != 1 || !errors.Is(err, usersapi.ErrRateLimited) {
			t.Errorf("err = %#v, want 1 try and an hour to wait", err)
		}
	})
}

func TestCancelEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.breakAt(personID(0), func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "50")
			rpcError(w, http.StatusTooManyRequests, 8, "slow down")
			return true
		})
		reason := errors.New("the case was closed")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(reason) })
		start := time.Now()
		_, err := f.within(t, nil).User(ctx, personID(0))
		for _, want := range []error{context.Canceled, reason, usersapi.ErrRateLimited} {
			if !errors.Is(err, want) {
				t.Errorf("err = %v, want it to be %v too", err, want)
			}
		}
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("ended after %v, want 3s", got)
		}
	})
}

func TestNothingIsSentWithAnEndedContext(t *testing.T) {
	f := newFake(1)
	c := f.start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Suspend(ctx, personID(0))
	if !errors.Is(err, context.Canceled) || errors.Is(err, usersapi.ErrOutcomeUnknown) || errors.Is(err, usersapi.ErrUnavailable) {
		t.Errorf("err = %v, want context.Canceled with a known outcome", err)
	}
	if len(f.asked) != 0 {
		t.Errorf("sent %q, want nothing", f.asked)
	}
}

// TestSlowTry: a try that takes too long is given up and repeated; the error is not mistaken for the
// caller's own deadline.
func TestSlowTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.breakAt(":suspend", func(int, http.ResponseWriter, *http.Request) bool { time.Sleep(time.Minute); return true })
		c := f.within(t, func(cfg *usersapi.Config) { cfg.MaxRetries = 1; cfg.Timeout = 10 * time.Second })
		_, err := c.Suspend(t.Context(), personID(0))
		if !errors.Is(err, usersapi.ErrUnavailable) || !errors.Is(err, usersapi.ErrOutcomeUnknown) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want ErrUnavailable with an unknown outcome", err)
		}
		if got := f.requests(":suspend"); got != 2 {
			t.Errorf("sent %d times, want 2", got)
		}
		time.Sleep(time.Minute) // let the handlers end
	})
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) { panic(http.ErrAbortHandler) }

// halfAnswer begins an answer and hangs up.
func halfAnswer(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"id":"K7QW`)
	panic(http.ErrAbortHandler)
}

// TestOutcome: after a change that was not answered, the caller learns whether it may have happened.
func TestOutcome(t *testing.T) {
	gateway := func(w http.ResponseWriter) { w.WriteHeader(http.StatusGatewayTimeout) }
	forbid := func(w http.ResponseWriter) { rpcError(w, http.StatusForbidden, 7, "withdrawn") }
	limit := func(w http.ResponseWriter) { rpcError(w, http.StatusTooManyRequests, 8, "slow down") }
	tests := []struct {
		name    string
		answers []func(http.ResponseWriter) // of one try after another; then it works
		retries int
		unknown bool
		want    error // nil: it works in the end
	}{
		{"hang_up", []func(http.ResponseWriter){hangUp}, -1, true, usersapi.ErrUnavailable},
		{"half_answer", []func(http.ResponseWriter){halfAnswer}, -1, true, usersapi.ErrUnavailable},
		{"gateway_timeout", []func(http.ResponseWriter){gateway}, -1, true, usersapi.ErrUnavailable},
		{"hang_up_then_well", []func(http.ResponseWriter){hangUp, hangUp}, 4, false, nil},
		{"hang_up_then_forbidden", []func(http.ResponseWriter){hangUp, forbid}, 4, true, usersapi.ErrForbidden},
		{"hang_up_then_limited", []func(http.ResponseWriter){hangUp, limit}, 1, true, usersapi.ErrRateLimited},
		{"limited", []func(http.ResponseWriter){limit, limit}, 1, false, usersapi.ErrRateLimited},
		{"forbidden", []func(http.ResponseWriter){forbid}, 4, false, usersapi.ErrForbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(1)
			answer := func(n int, w http.ResponseWriter, _ *http.Request) bool {
				if n > len(tt.answers) {
					return false
				}
				tt.answers[n-1](w)
				return true
			}
			f.breakAt(":suspend", answer)
			c := f.start(t, func(cfg *usersapi.Config) { cfg.MaxRetries = tt.retries })
			_, err := c.Suspend(t.Context(), personID(0))
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Errorf("err = %v, want %v", err, tt.want)
			}
			if got := errors.Is(err, usersapi.ErrOutcomeUnknown); got != tt.unknown {
				t.Errorf("outcome unknown = %t, want %t: %v", got, tt.unknown, err)
			}
			if err != nil && contains(err.Error(), "may have taken effect") != tt.unknown {
				t.Errorf("the text does not fit: %v", err)
			}

			f.breakAt(personID(0), answer) // reading changes nothing, whatever happens to the answer
			if _, err := c.User(t.Context(), personID(0)); errors.Is(err, usersapi.ErrOutcomeUnknown) {
				t.Errorf("User: %v", err)
			}
		})
	}
}

// TestOutcomeOfWhatWasNeverSent: no connection, no effect.
func TestOutcomeOfWhatWasNeverSent(t *testing.T) {
	f := newFake(1)
	var refuse bool
	c := f.start(t, func(cfg *usersapi.Config) {
		cfg.MaxRetries = 1
		cfg.HTTPClient = &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if refuse {
					return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		}}
	})
	if _, err := c.User(t.Context(), personID(0)); err != nil { // gets the token
		t.Fatal(err)
	}
	refuse = true
	_, err := c.Suspend(t.Context(), personID(0))
	e, ok := errors.AsType[*usersapi.Error](err)
	if !ok || e.OutcomeUnknown || e.Tries != 2 || !errors.Is(err, usersapi.ErrUnavailable) {
		t.Errorf("err = %v, want ErrUnavailable after 2 tries with a known outcome", err)
	}
}

func TestUntrustedCertificateIsNotRetried(t *testing.T) {
	srv := httptest.NewTLSServer(newFake(1).routes())
	defer srv.Close()
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	_, err := dial(t, srv.URL, nil).User(t.Context(), personID(0))
	o, ok := errors.AsType[*usersapi.OAuthError](err)
	if !ok || o.Tries != 1 {
		t.Errorf("err = %v, want 1 try", err)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("err = %v, want x509.UnknownAuthorityError inside", err)
	}
}

func TestHTTPClientIsUsedAndNotChanged(t *testing.T) {
	srv := httptest.NewTLSServer(newFake(1).routes())
	defer srv.Close()
	mine := srv.Client() // trusts the server
	redirects := func(*http.Request, []*http.Request) error { return nil }
	mine.CheckRedirect = redirects
	c := dial(t, srv.URL, func(cfg *usersapi.Config) { cfg.HTTPClient = mine })
	if _, err := c.User(t.Context(), personID(0)); err != nil {
		t.Error(err)
	}
	if mine.CheckRedirect == nil || mine.CheckRedirect(nil, nil) != nil {
		t.Error("New changed the caller's http.Client")
	}
}

func TestLogger(t *testing.T) {
	var log strings.Builder
	f := newFake(1)
	f.breakAt(personID(0), func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			w.Header().Set("Request-Id", "REQ1")
			rpcError(w, http.StatusServiceUnavailable, 14, "m")
		}
		return n == 1
	})
	c := f.start(t, func(cfg *usersapi.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey || a.Key == "wait" || a.Key == "renew_at" {
					return slog.Attr{}
				}
				return a
			},
		}))
	})
	if _, err := c.User(t.Context(), personID(0)); err != nil {
		t.Fatal(err)
	}
	want := `level=DEBUG msg="usersapi: got a token" request_id=REQ7
level=DEBUG msg="usersapi: trying again" op="get user \"K7QWZP3M5XNB2RTYDHCVFAEAAA\"" tries=1 because="503 REQ1"
`
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
