package eventsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"
)

// Position is where reading begins. With a Cursor it continues exactly behind the page that the cursor
// came with, and the other fields, which the server has kept, count for nothing. So a program may always
// pass the same Start and Limit, with the cursor that it has kept or none.
type Position struct {
	Cursor string

	Start time.Time // the first event's at the earliest; zero leaves it to the server
	End   time.Time // events are before it; zero for no end
	Limit int       // events a page at the most, 1 to 1000; 0 means 1000
}

// Page is a part of a stream, oldest event first.
type Page[T any] struct {
	Items   []T    // may be empty, even if HasMore
	Cursor  string // where to continue, now or in a year; keep it in the transaction that keeps the items
	HasMore bool   // there is another page right now
}

const (
	maxLimit = 1000 // events a page

	// minPoll is the least from one question of a follower to the next at the end of a stream. Three
	// followers with one token stay below 600 requests a minute and 30,000 an hour, however events drip in.
	minPoll = 500 * time.Millisecond
)

// pages reads a stream, up to its end or beyond.
func pages[T any](ctx context.Context, c *Client, stream string, from Position, follow bool) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		q := request{op: "read " + stream, method: http.MethodPost, path: "/api/v2/" + stream, tries: c.tries(follow)}
		at := from
		for first := true; ; first = false {
			var err error
			if q.body, err = at.ask(follow); err != nil {
				yield(Page[T]{}, &Error{Op: q.op, Message: err.Error()})
				return
			}
			began := time.Now()
			p, r, err := fetch[T](ctx, c, q)
			again := err == nil && p.Cursor == at.Cursor // which is fine at the end of the stream
			if again && (len(p.Items) > 0 || p.HasMore && !follow) {
				err = unreadable(q, r, "the server repeats a cursor; the stream would never end", nil)
			}
			if err != nil {
				yield(Page[T]{}, err)
				return
			}
			news := first || !follow || len(p.Items) > 0 || !again
			if news && !yield(p, nil) || !p.HasMore && !follow {
				return
			}
			if follow && (len(p.Items) == 0 || !p.HasMore) {
				gap := c.gap(r, len(p.Items) > 0, time.Since(began))
				if p.HasMore && !again { // the server is looking for them
					gap = min(gap, minPoll)
				}
				if err := sleep(ctx, time.Until(began.Add(gap))); err != nil {
					yield(Page[T]{}, &Error{Op: q.op, Err: err})
					return
				}
			}
			at, q.proven = Position{Cursor: p.Cursor}, true
			if follow {
				q.wait = c.wait
			}
		}
	}
}

// ask is the body of a request: a ResetCursor or a Cursor, as the contract calls them.
func (p Position) ask(follow bool) ([]byte, error) {
	if p.Cursor != "" {
		return json.Marshal(struct {
			Cursor string `json:"cursor"`
		}{p.Cursor})
	}
	switch {
	case p.Limit < 0 || p.Limit > maxLimit:
		return nil, fmt.Errorf("Position.Limit is %d; it must be from 1 to %d, or 0 for the most", p.Limit, maxLimit)
	case follow && !p.End.IsZero():
		return nil, errors.New("Position.End is set, and what is followed has no end; leave it zero")
	case !p.Start.IsZero() && !p.End.IsZero() && p.End.Before(p.Start):
		return nil, errors.New("Position.End is before Position.Start; no event can be between")
	case p.Limit == 0:
		p.Limit = maxLimit
	}
	return json.Marshal(struct {
		Limit int       `json:"limit"`
		Start time.Time `json:"start_time,omitzero"`
		End   time.Time `json:"end_time,omitzero"`
	}{p.Limit, p.Start.UTC(), p.End.UTC()})
}

// fetch gets one page.
func fetch[T any](ctx context.Context, c *Client, q request) (Page[T], reply, error) {
	r, err := c.send.do(ctx, q)
	if err != nil {
		return Page[T]{}, r, err
	}
	var p struct {
		Cursor  string `json:"cursor"`
		HasMore bool   `json:"has_more"`
		Items   []T    `json:"items"`
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		return Page[T]{}, r, unreadable(q, r, "the page cannot be read; is BaseURL right?", err)
	}
	if p.Cursor == "" {
		return Page[T]{}, r, unreadable(q, r, "the page has no cursor; is BaseURL right?", nil)
	}
	return Page[T]{Items: p.Items, Cursor: p.Cursor, HasMore: p.HasMore}, r, nil
}

// gap is how long after the beginning of the last request, which took so long, the next one is due.
func (c *Client) gap(r reply, news bool, took time.Duration) time.Duration {
	soon := min(minPoll, c.poll)
	switch {
	case c.wait == 0:
		return c.poll
	case !r.asked: // as the next one will be
		return soon
	case waits(r.header) && (news || took >= time.Second):
		return soon
	}
	return c.poll // the server does not wait, or said nothing and did not wait for long
}

// unreadable is an answer of 200 that is not of the contract.
func unreadable(q request, r reply, message string, err error) *Error {
	return &Error{Op: q.op, StatusCode: http.StatusOK, Message: message, RequestID: requestID(r.header), Tries: r.tries, Err: err}
}
