package usersapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// call is one request that may be sent several times.
type call struct {
	op       string     // for errors and logs
	method   string     // GET or POST
	url      string     // absolute
	form     url.Values // body; nil for none
	mutation bool       // a lost answer leaves the outcome unknown
	most     int64      // bytes of the answer
}

// answer is what the server said.
type answer struct {
	status int // 0 if it said nothing
	header http.Header
	body   []byte
}

// result is how a call ended.
type result struct {
	answer
	authorization string // sent with the last try; to be kept out of messages
	err           error  // why there is no answer, or no further try; nil if the last answer stands
	tries         int
	unknown       bool // some try may have taken effect without our hearing of it
}

// authorizer gives the Authorization header of the next try, and hears when it was refused with 401.
// It reports whether another one can be had.
type authorizer interface {
	header(ctx context.Context) (string, error)
	refused(header string) (again bool)
}

// transport sends calls: headers, limits, repeated tries.
type transport struct {
	client    http.Client
	userAgent string
	timeout   time.Duration // of one try
	retries   int
	maxWait   time.Duration
	log       *slog.Logger
}

func newTransport(c Config) *transport {
	t := &transport{
		userAgent: c.UserAgent, timeout: c.Timeout, retries: c.MaxRetries, maxWait: c.MaxRetryWait, log: c.Logger,
	}
	if c.HTTPClient != nil {
		t.client = *c.HTTPClient
	}
	t.client.Jar = nil
	// A redirect would carry the request, and with some clients the credentials, somewhere else.
	t.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return t
}

// do sends the call until it is answered for good, the tries are used up, or ctx ends.
func (t *transport) do(ctx context.Context, c call, auth authorizer) result {
	var r result
	renewed := false
	for failed := 0; ; {
		header, err := auth.header(ctx)
		if err != nil {
			r.answer, r.err = answer{}, err
			return r
		}
		var sent bool
		r.answer, sent, r.err = t.try(ctx, c, header)
		r.authorization = header
		r.tries++
		if c.mutation && sent && (r.err != nil || r.status >= 500 && r.status != http.StatusNotImplemented) {
			r.unknown = true
		}
		if r.status == http.StatusUnauthorized && !renewed && auth.refused(header) {
			renewed = true // the server did nothing, so this does not count as a failed try
			continue
		}
		if failed++; failed > t.retries || !again(ctx, r) {
			return r
		}
		wait, worth := t.pause(failed, r.header)
		if !worth || endsWithin(ctx, wait) {
			return r
		}
		t.log.DebugContext(ctx, "usersapi: trying again", "op", c.op, "tries", r.tries, "wait", wait, "because", because(r))
		if err := sleep(ctx, wait); err != nil {
			r.err = err // beside the last answer
			return r
		}
	}
}

// because is why a try failed, for the log.
func because(r result) string {
	if r.err != nil {
		return r.err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.status, requestID(r.header)))
}

// try sends the call once. sent is false only if it is certain that the server has not seen it.
func (t *transport) try(ctx context.Context, c call, authorization string) (a answer, sent bool, err error) {
	if err := ended(ctx); err != nil {
		return answer{}, false, err
	}
	tctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	var wanted, connected atomic.Bool // a transport that is not net/http's may call neither
	tctx = httptrace.WithClientTrace(tctx, &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	var body io.Reader
	if c.form != nil {
		body = strings.NewReader(c.form.Encode())
	}
	req, err := http.NewRequestWithContext(tctx, c.method, c.url, body)
	if err != nil {
		return answer{}, false, err
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", t.userAgent)
	if c.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := t.client.Do(req)
	if err != nil {
		return answer{}, connected.Load() || !wanted.Load(), t.lost(ctx, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, c.most+1))
	switch {
	case err != nil:
		return answer{}, true, t.lost(ctx, fmt.Errorf("the answer (%d) broke off: %w", res.StatusCode, err))
	case int64(len(text)) > c.most:
		return answer{}, true, errTooLong{most: c.most}
	}
	return answer{status: res.StatusCode, header: res.Header, body: text}, true, nil
}

// lost says why a try was not answered: because the caller stopped waiting, because the try took too
// long, or because of what happened to the connection.
func (t *transport) lost(ctx context.Context, err error) error {
	if e := ended(ctx); e != nil {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) {
		// Not the caller's deadline, so it must not look like it.
		return fmt.Errorf("no complete answer within %v: %w", t.timeout, os.ErrDeadlineExceeded)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err // the rest repeats what Op says
	}
	return err
}

// errTooLong is an answer that no server of this contract gives.
type errTooLong struct{ most int64 }

func (e errTooLong) Error() string {
	return fmt.Sprintf("the answer has more than %d bytes; is BaseURL right?", e.most)
}

// again reports whether another try may end differently.
func again(ctx context.Context, r result) bool {
	if r.err == nil {
		switch r.status {
		case http.StatusTooManyRequests:
			return true
		case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
			return false
		}
		return r.status >= 500
	}
	if ctx.Err() != nil {
		return false
	}
	if _, ok := errors.AsType[errTooLong](r.err); ok {
		return false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](r.err); ok {
		return false
	}
	dns, ok := errors.AsType[*net.DNSError](r.err)
	return !ok || !dns.IsNotFound
}

// pause is how long to wait after the failed-th failure: what the server asks for and up to a tenth more,
// so that clients that were turned away together do not return together; else half a second, doubled
// with each failure, of which the second half is random. It is not worth waiting if the server asks for more
// than the caller wants to wait.
func (t *transport) pause(failed int, h http.Header) (wait time.Duration, worth bool) {
	if asked := retryAfter(h, time.Now()); asked > 0 {
		return asked + rand.N(asked/10+1), asked <= t.maxWait
	}
	d := min(t.maxWait, 500*time.Millisecond<<min(failed-1, 16))
	return d/2 + rand.N(d/2+1), true
}

// retryAfter reads the header of RFC 9110 §10.2.3: seconds or a date. A date is compared with the
// server's own clock if the answer shows it. 0 if there is nothing to wait for.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	const most = 1 << 30 // 34 years; keeps the product from overflowing
	if n, err := strconv.ParseUint(v, 10, 64); err == nil {
		return time.Duration(min(n, most)) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, at.Sub(now))
}

func requestID(h http.Header) string {
	if id := h.Get("Request-Id"); id != "" {
		return tidy(id, 128)
	}
	return tidy(h.Get("X-Request-Id"), 128)
}

// endsWithin reports whether ctx ends before the pause does; then waiting is in vain.
func endsWithin(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < wait
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// ended is why ctx is over, with the cause that its owner gave; nil if it is not.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); err != nil && cause != err {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// tidy makes text from outside fit for one line of a log: printable characters, about n bytes at most.
func tidy(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "…"
	}
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) && r != '\uFFFD' {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(s, "?"))
}
