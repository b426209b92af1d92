package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// eventsPath is the stream that is read.
const eventsPath = "/api/v2/signinattempts"

// eventsReader reads a stream as a shipper does, on one connection. Answers are searched and not parsed, since
// its time counts on both sides.
type eventsReader struct {
	url, token string
	client     *http.Client
	now        func() time.Time
	answer     bytes.Buffer
	next       string // body with which a walk goes on; empty: from the beginning
}

func newEventsReader(url, token string, now func() time.Time) *eventsReader {
	return &eventsReader{url: url, token: token, client: &http.Client{Transport: &http.Transport{DisableCompression: true}}, now: now}
}

func (r *eventsReader) close() { r.client.CloseIdleConnections() }

func resetBody(start time.Time) string {
	return fmt.Sprintf(`{"limit":%d,"start_time":%q}`, largestPage, start.UTC().Format(time.RFC3339Nano))
}

func cursorBody(cursor string) string { return fmt.Sprintf(`{"cursor":%q}`, cursor) }

// eventsAnswer is what there is to know of an answer.
type eventsAnswer struct {
	cursor string
	more   bool
	count  int
}

// ask sends one request, which may wait for so many seconds until there is something.
func (r *eventsReader) ask(ctx context.Context, body string, wait int) (a eventsAnswer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+eventsPath, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Content-Type", "application/json")
	if wait > 0 {
		req.Header.Set("Prefer", "wait="+strconv.Itoa(wait))
	}
	res, err := r.client.Do(req)
	if err != nil {
		return a, fmt.Errorf("ask for events: %w", err)
	}
	defer res.Body.Close()
	r.answer.Reset()
	if _, err := r.answer.ReadFrom(res.Body); err != nil {
		return a, fmt.Errorf("read events: %w", err)
	}
	text := r.answer.Bytes()
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("the answer to a request for events is %s: %.300s", res.Status, text)
	}
	head, items, ok := bytes.Cut(text, []byte(`"items":[`))
	_, cursor, found := bytes.Cut(head, []byte(`"cursor":"`))
	cursor, _, closed := bytes.Cut(cursor, []byte(`"`))
	if !ok || !found || !closed {
		return a, fmt.Errorf("the answer to a request for events is no page of them: %.300s", text)
	}
	return eventsAnswer{string(cursor), bytes.Contains(head, []byte(`"has_more":true`)), bytes.Count(items, []byte(`"timestamp":"`))}, nil
}

// again asks for the same full page again and again.
func (r *eventsReader) again(ctx context.Context, body string, duration time.Duration) (result, error) {
	return r.during(duration, func() error {
		_, err := r.full(ctx, body)
		return err
	})
}

// walk asks for one full page after the other, and begins anew at the end.
func (r *eventsReader) walk(ctx context.Context, first string, duration time.Duration) (result, error) {
	return r.during(duration, func() error {
		if r.next == "" {
			r.next = first
		}
		a, err := r.full(ctx, r.next)
		if r.next = ""; a.more {
			r.next = cursorBody(a.cursor)
		}
		return err
	})
}

func (r *eventsReader) full(ctx context.Context, body string) (eventsAnswer, error) {
	a, err := r.ask(ctx, body, 0)
	if err == nil && a.count != largestPage {
		err = fmt.Errorf("a page has %d events; expected %d", a.count, largestPage)
	}
	return a, err
}

// during repeats what is done, once at least.
func (r *eventsReader) during(duration time.Duration, do func() error) (result, error) {
	var took []time.Duration
	begin := r.now()
	for last := begin; ; {
		if err := do(); err != nil {
			return result{}, err
		}
		now := r.now()
		took = append(took, now.Sub(last))
		if last = now; now.Sub(begin) >= duration {
			break
		}
	}
	return result{Requests: len(took), Seconds: r.now().Sub(begin).Seconds(), P50: within(took, 50), P99: within(took, 99)}, nil
}

// within is the time in ms in which so many of 100 were done.
func within(took []time.Duration, percent int) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return float64(sorted[(len(sorted)-1)*percent/100]) / float64(time.Millisecond)
}
