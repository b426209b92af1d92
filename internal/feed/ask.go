package feed

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// The sizes of a page (contract 4.3), and how far back the first one begins if nothing is said.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	defaultSince = time.Hour
)

// ask is what a client asks for: to go on from a cursor, or to begin.
type ask struct {
	Cursor   string
	Limit    int
	From, To time.Time
	Wait     time.Duration // how long it would wait for the first event
}

// body is what clients send. What is none of these keys is ignored: they send it all the same.
type body struct {
	Cursor *string          `json:"cursor"`
	Limit  *json.RawMessage `json:"limit"`
	Start  *string          `json:"start_time"`
	End    *string          `json:"end_time"`
}

// readAsk reads the body of a POST. The cursor wins over what stands beside it (contract 4.3); an empty one
// counts as none.
func readAsk(r *http.Request, now time.Time) (ask, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return ask{}, err
		}
		return ask{}, problem.New(problem.Invalid, "the body ended early").WithCause(err)
	}
	var b body
	if text = bytes.TrimSpace(text); len(text) > 0 {
		if err := json.Unmarshal(text, &b); err != nil {
			return ask{}, notAnAsk(err)
		}
	}
	a := ask{Wait: prefersToWait(r)}
	if b.Cursor != nil && *b.Cursor != "" {
		a.Cursor = *b.Cursor
		return a, nil
	}
	if b.Limit != nil {
		if a.Limit, err = readLimit("limit", string(*b.Limit)); err != nil {
			return a, err
		}
	}
	start, end := "", ""
	if b.Start != nil {
		start = *b.Start
	}
	if b.End != nil {
		end = *b.End
	}
	return a.between(start, end, now)
}

func notAnAsk(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return problem.InField(e.Field, "%s is a JSON %s; expected a text", e.Field, e.Value)
	}
	return problem.New(problem.Invalid, `the body is not a JSON object such as {"limit":100,"start_time":"2026-01-31T00:00:00Z"} or {"cursor":"…"}`).WithCause(err)
}

// between completes the ask with times and the defaults.
func (a ask) between(start, end string, now time.Time) (ask, error) {
	if a.Limit == 0 {
		a.Limit = DefaultLimit
	}
	var err error
	if a.From, err = readTime("start_time", start); err != nil {
		return a, err
	}
	if a.To, err = readTime("end_time", end); err != nil {
		return a, err
	}
	if a.From.IsZero() {
		a.From = now.Add(-defaultSince)
		if !a.To.IsZero() {
			a.From = a.To.Add(-defaultSince)
		}
	}
	if !a.To.IsZero() && a.To.Before(a.From) {
		return a, problem.InField("end_time", "end_time is before start_time; nothing can be between them")
	}
	return a, nil
}

// readLimit reads a whole number from 1 to 1000, also one written as 1000.0. null is as if it were not there.
func readLimit(field, text string) (int, error) {
	if text == "null" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 1 || n > MaxLimit || n != math.Trunc(n) {
		return 0, problem.InField(field, "%s is %.20s; it must be a number from 1 to %d", field, text, MaxLimit)
	}
	return int(n), nil
}

// readTime reads every form of RFC 3339 §5.6: any offset, fractions, small letters, a space, a leap second.
// The empty text is no time.
func readTime(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	wrong := problem.InField(field, "%s is not a time in the form of RFC 3339, such as 2026-01-31T09:30:00Z or 2026-01-31T10:30:00.5+01:00", field)
	if len(text) > 64 {
		return time.Time{}, wrong
	}
	form := strings.ToUpper(text)
	if len(form) > 10 && (form[10] == ' ' || form[10] == '_') {
		form = form[:10] + "T" + form[11:]
	}
	leap := len(form) > 18 && form[16:19] == ":60"
	if leap {
		form = form[:16] + ":59" + form[19:]
	}
	t, err := time.Parse(time.RFC3339Nano, form)
	if err != nil {
		return time.Time{}, wrong
	}
	if leap {
		t = t.Add(time.Second)
	}
	if y := t.UTC().Year(); y < 1970 || y > 2261 {
		return time.Time{}, problem.InField(field, "%s is in the year %d; there are no events before 1970 or after 2261", field, y)
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// mostWait bounds for how long a request waits, so that no proxy in between gives it up.
const mostWait = 30 * time.Second

// prefersToWait reads the preference wait (RFC 7240 §4.3), in seconds.
func prefersToWait(r *http.Request) time.Duration {
	for _, value := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(value, ",") {
			name, seconds, _ := strings.Cut(strings.TrimSpace(preference), "=")
			n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(seconds), `"`))
			if strings.EqualFold(strings.TrimSpace(name), "wait") && err == nil && n > 0 {
				return min(mostWait, time.Duration(min(n, 3600))*time.Second)
			}
		}
	}
	return 0
}

// readQuery reads the query of the third generation, of which two sets of names are in the contract. Its
// start is exclusive.
func readQuery(r *http.Request, now time.Time) (ask, error) {
	q, err := web.Query(r, "page_size", "max_page_size", "start_time", "end_time", "page_token", "next_page_token")
	if err != nil {
		return ask{}, err
	}
	a := ask{Wait: prefersToWait(r)}
	if a.Cursor = cmp.Or(q.Get("page_token"), q.Get("next_page_token")); a.Cursor != "" {
		if q.Has("start_time") || q.Has("end_time") {
			return a, problem.InField("start_time", "a page token goes on with the times of the first request; leave start_time and end_time out")
		}
		return a, nil
	}
	for _, name := range []string{"page_size", "max_page_size"} {
		if q.Has(name) {
			if a.Limit, err = readLimit(name, q.Get(name)); err != nil {
				return a, err
			}
		}
	}
	// A plus sign that was not encoded arrives as a space.
	plus := func(text string) string {
		if n := len(text); n > 6 && text[n-6] == ' ' {
			return text[:n-6] + "+" + text[n-5:]
		}
		return text
	}
	if a, err = a.between(plus(q.Get("start_time")), plus(q.Get("end_time")), now); err == nil && q.Get("start_time") != "" {
		a.From = a.From.Add(time.Microsecond)
	}
	return a, err
}
