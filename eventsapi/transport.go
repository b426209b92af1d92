package eventsapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// request is what is asked for; it may be sent several times.
type request struct {
	op     string // for errors and logs
	method string
	path   string
	body   []byte        // JSON; nil for none
	wait   time.Duration // how long the server may wait for something to say, in whole seconds; 0 for not at all
	tries  int           // at the most; 0 for no end
	proven bool          // the server has given good answers before, so that failing to find it will pass
}

// reply is an answer of 200.
type reply struct {
	body   []byte
	header http.Header
	asked  bool // this answer is to a request that let the server wait
	tries  int
}

// maxAnswer bounds an answer, in bytes. A page of 1000 events has about one megabyte.
const maxAnswer = 32 << 20

var (
	errTimeout = errors.New("no complete answer in time") // not the caller's deadline, so it must not look like it
	errTooLong = fmt.Errorf("the answer has more than %d bytes; is BaseURL right?", maxAnswer)
)

// transport sends requests: headers, limits, repeated tries.
type transport struct {
	client    http.Client
	base      string
	userAgent string
	timeout   time.Duration // of one try
	maxWait   time.Duration
	log       *slog.Logger
	token     func() string // fmt does not look behind a function, whatever the verb
}

func newTransport(c Config) *transport {
	t := &transport{
		base: c.BaseURL, userAgent: c.UserAgent, timeout: c.Timeout, maxWait: c.MaxRetryWait, log: c.Logger,
		token: func() string { return c.Token },
	}
	if c.HTTPClient != nil {
		t.client = *c.HTTPClient
	}
	t.client.Jar, t.client.Timeout = nil, 0 // each try has its own end
	// A redirect would carry the token somewhere else.
	t.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return t
}

// do sends the request until it is answered for good, the tries are used up, or ctx ends.
func (t *transport) do(ctx context.Context, q request) (reply, error) {
	for n := 1; ; n++ {
		res, body, err := t.try(ctx, q)
		if err == nil && res.StatusCode == http.StatusOK {
			return reply{body: body, header: res.Header, asked: q.wait > 0, tries: n}, nil
		}
		e := t.failure(q, n, res, body, err)
		if n == q.tries || ctx.Err() != nil || !passing(e, q.proven) {
			return reply{}, e
		}
		pause, worth := t.pause(e, q.tries == 0)
		if deadline, ok := ctx.Deadline(); !worth || ok && time.Until(deadline) < pause {
			return reply{}, e
		}
		level := slog.LevelDebug
		if q.tries == 0 {
			level = slog.LevelWarn // nobody else will say that nothing comes any more
		}
		t.log.Log(ctx, level, "eventsapi: trying again", "pause", pause, "because", e)
		if err := sleep(ctx, pause); err != nil {
			e.Err = err // beside the last answer
			return reply{}, e
		}
		// A proxy that cuts long answers off would cut the next one, too.
		q.wait = 0
	}
}

// try sends the request once.
func (t *transport) try(ctx context.Context, q request) (*http.Response, []byte, error) {
	if err := ended(ctx); err != nil {
		return nil, nil, err
	}
	tctx, cancel := context.WithTimeoutCause(ctx, t.timeout+q.wait, errTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(tctx, q.method, t.base+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+t.token())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", t.userAgent)
	if q.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.wait > 0 {
		req.Header.Set("Prefer", "wait="+strconv.Itoa(int(q.wait/time.Second))) // RFC 7240 §4.3
	}
	res, err := t.client.Do(req)
	if err != nil {
		return nil, nil, why(ctx, tctx, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, fmt.Errorf("the answer (%d) broke off: %w", res.StatusCode, why(ctx, tctx, err))
	}
	if len(body) > maxAnswer {
		return nil, nil, errTooLong
	}
	return res, body, nil
}

// why says what ended a try: the caller (ctx), the limit of the try (tctx), or the connection.
func why(ctx, tctx context.Context, err error) error {
	if e := ended(ctx); e != nil {
		return e
	}
	if tctx.Err() != nil {
		return errTimeout
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err // the rest repeats what Op says
	}
	return err
}

// failure is the n-th try as an error. res and body are nil if there was no answer.
func (t *transport) failure(q request, n int, res *http.Response, body []byte, err error) *Error {
	e := &Error{Op: q.op, Tries: n}
	if err != nil {
		if e.Err = err; strings.Contains(err.Error(), t.token()) { // a transport that is not net/http's may say anything
			e.Err = errors.New(t.hide(err.Error()))
		}
		return e
	}
	e.StatusCode = res.StatusCode
	e.RequestID = requestID(res.Header)
	e.RetryAfter = retryAfter(res.Header, time.Now())
	// The contract has {"Error":{"Message"}}; some say it with other capitals, or without the envelope.
	// Names match in any case here.
	var says struct {
		Error   json.RawMessage
		Message string
	}
	if json.Unmarshal(body, &says) == nil {
		inner := struct{ Message string }{says.Message}
		_ = json.Unmarshal(says.Error, &inner) // no envelope: what stands outside counts
		e.Message = t.hide(inner.Message)
	}
	switch {
	case e.Message != "":
	case res.StatusCode >= 300 && res.StatusCode < 400:
		e.Message = "the server points elsewhere; set BaseURL to the address itself"
	default:
		e.Message = "an answer that is not of the Events API; is BaseURL right?"
	}
	return e
}

// hide makes text from outside fit for a log, and takes the token out.
func (t *transport) hide(s string) string {
	return tidy(strings.ReplaceAll(s, t.token(), "(token)"), 500)
}

// passing reports whether another try may end differently. A server that has answered before will be
// found again, and will have its certificate renewed; one that never has is probably another one.
func passing(e *Error, proven bool) bool {
	switch e.StatusCode {
	case 0:
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	default:
		return e.StatusCode == http.StatusTooManyRequests || e.StatusCode >= 500
	}
	if errors.Is(e.Err, errTooLong) {
		return false
	}
	dns, unknown := errors.AsType[*net.DNSError](e.Err)
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](e.Err)
	return proven || !distrusted && !(unknown && dns.IsNotFound)
}

// pause is how long to wait after a failed try: what the server asks for and up to a tenth more, so that
// clients that were turned away together do not return together; else half a second, doubled with
// each try, of which the second half is random. It is not worth waiting for a server that asks for more than
// maxWait, unless the tries have no end: then an hour is the most.
func (t *transport) pause(e *Error, endless bool) (d time.Duration, worth bool) {
	if e.RetryAfter > 0 {
		d = min(e.RetryAfter, time.Hour)
		return d + rand.N(d/10+1), endless || e.RetryAfter <= t.maxWait
	}
	d = min(t.maxWait, 500*time.Millisecond<<min(e.Tries-1, 16))
	return d/2 + rand.N(d/2+1), true
}

// retryAfter reads the header of RFC 9110 §10.2.3: seconds, or a date, which is compared with the
// server's own clock if the answer shows it. 0 if there is nothing to wait for.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	return max(0, until.Sub(now))
}

// waits reports whether the server did the waiting that it was asked for (RFC 7240 §3).
func waits(h http.Header) bool {
	for _, line := range h.Values("Preference-Applied") {
		for item := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(item, "=")
			if strings.EqualFold(strings.TrimSpace(name), "wait") {
				return true
			}
		}
	}
	return false
}

func requestID(h http.Header) string {
	for _, name := range []string{"Request-Id", "X-Request-Id"} {
		if id := h.Get(name); id != "" {
			return tidy(id, 128)
		}
	}
	return ""
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// ended is why ctx is over, with the cause that its owner gave; nil if it is not.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// tidy makes text from outside fit for one line of a log: printable, about n bytes at most.
func tidy(s string, n int) string {
	short := strings.ToValidUTF8(s[:min(len(s), n)], "?")
	if len(s) > n {
		short += "…"
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			return '?'
		}
		return r
	}, short)
}
