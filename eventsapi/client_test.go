package eventsapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/eventsapi"
)

func TestIntrospect(t *testing.T) {
	f := newFake()
	c := f.client(t, func(cfg *eventsapi.Config) { cfg.UserAgent = "AcmeSIEM/4.0" })
	got, err := c.Introspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := eventsapi.Introspection{
		UUID: "P5DGQ2LRXH4SNWV7JTZBKCM3YA", IssuedAt: time.Date(2026, 2, 11, 9, 0, 0, 0, time.UTC),
		Features: []eventsapi.Feature{"auditevents", "signinattempts"}, AccountUUID: "T4JX9QZL2VNRWB6KMPSDCYGH7E",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if agent := f.requests()[0].Agent; agent != "AcmeSIEM/4.0" {
		t.Errorf("the product calls itself %q", agent)
	}
}

// TestClaimsAreACopy: what a caller does to the claims does not reach the client.
func TestClaimsAreACopy(t *testing.T) {
	c := newFake().within(t, nil)
	c.Claims().Audience[0] = "elsewhere.example.org"
	c.Claims().Features[0] = "nothing"
	if got := c.Claims(); got.Audience[0] != host || got.Features[0] != eventsapi.FeatureAuditEvents {
		t.Errorf("the claims have become %v", got)
	}
}

// read collects a stream: the uuids of each page, its cursors, and what ended it.
func read(seq iter.Seq2[eventsapi.Page[eventsapi.SignInAttempt], error]) (pages [][]string, cursors []string, err error) {
	for p, err := range seq {
		if err != nil {
			return pages, cursors, err
		}
		pages = append(pages, uuids(p))
		cursors = append(cursors, p.Cursor)
	}
	return pages, cursors, nil
}

func uuids(p eventsapi.Page[eventsapi.SignInAttempt]) []string {
	ids := []string{}
	for _, e := range p.Items {
		ids = append(ids, e.UUID)
	}
	return ids
}

func TestPages(t *testing.T) {
	first := time.Date(2026, 10, 19, 3, 41, 7, 482910663, time.UTC)
	zone := time.FixedZone("UTC-3", -3*3600)
	tests := []struct {
		name    string
		events  int
		oddMore bool
		from    eventsapi.Position
		pages   [][]string
		body    string // of the first request
	}{
		{name: "nothing", pages: [][]string{{}}, body: `{"limit":1000}`},
		{name: "one_page", events: 3, pages: [][]string{{"EVENT0", "EVENT1", "EVENT2"}}, body: `{"limit":1000}`},
		{name: "limit", events: 5, from: eventsapi.Position{Limit: 2}, pages: [][]string{{"EVENT0", "EVENT1"}, {"EVENT2", "EVENT3"}, {"EVENT4"}}, body: `{"limit":2}`},
		{name: "more_is_nothing", events: 2, oddMore: true, from: eventsapi.Position{Limit: 1}, pages: [][]string{{"EVENT0"}, {"EVENT1"}, {}}, body: `{"limit":1}`},
		{name: "start", events: 3, from: eventsapi.Position{Start: first.Add(time.Minute)}, pages: [][]string{{"EVENT1", "EVENT2"}},
			body: `{"limit":1000,"start_time":"2026-10-19T03:42:07.482910663Z"}`},
		{name: "start_and_end", events: 4, from: eventsapi.Position{Limit: 1, Start: first.In(zone), End: first.Add(2 * time.Minute)}, pages: [][]string{{"EVENT0"}, {"EVENT1"}, {}},
			body: `{"limit":1,"start_time":"2026-10-19T03:41:07.482910663Z","end_time":"2026-10-19T03:43:07.482910663Z"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(attempts(tt.events)...)
			f.oddMore = tt.oddMore
			c := f.client(t, nil)
			stream := c.SignInAttempts(t.Context(), tt.from)
			for range 2 { // each loop begins anew
				pages, _, err := read(stream)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.pages, pages); diff != "" {
					t.Error(diff)
				}
			}
			asked := f.requests()[0]
			if diff := cmp.Diff(tt.body, asked.Body); diff != "" {
				t.Error(diff)
			}
			if asked.Path != "/api/v2/signinattempts" || asked.ContentType != "application/json" || asked.Prefer != "" {
				t.Errorf("asked %+v", asked)
			}
		})
	}
}

// TestResume: from each cursor reading continues exactly behind its page, whatever else the position says.
func TestResume(t *testing.T) {
	f := newFake(attempts(7)...)
	c := f.client(t, nil)
	pages, cursors, err := read(c.SignInAttempts(t.Context(), eventsapi.Position{Limit: 2}))
	if err != nil || len(pages) != 4 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	f.add(attempt(7))
	all := append(slices.Concat(pages...), "EVENT7")
	for i, cursor := range cursors {
		from := eventsapi.Position{Cursor: cursor, Limit: 5, Start: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
		rest, _, err := read(c.SignInAttempts(t.Context(), from))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(all[min(7, 2*(i+1)):], slices.Concat(rest...)); diff != "" {
			t.Errorf("after page %d: %s", i, diff)
		}
	}
}

// TestLeavingEarly: a page that nobody asks for is not fetched.
func TestLeavingEarly(t *testing.T) {
	f := newFake(attempts(5)...)
	for range f.client(t, nil).SignInAttempts(t.Context(), eventsapi.Position{Limit: 1}) {
		break
	}
	if got := len(f.requests()); got != 1 {
		t.Errorf("sent %d requests, want 1", got)
	}
}

// TestStreams: each stream has its address, followed or not.
func TestStreams(t *testing.T) {
	f := newFake()
	c := f.client(t, nil)
	from := eventsapi.Position{}
	streams := map[string]func(ctx context.Context) error{
		"signinattempts":  func(ctx context.Context) error { return firstError(c.SignInAttempts(ctx, from)) },
		"itemusages":      func(ctx context.Context) error { return firstError(c.ItemUsages(ctx, from)) },
		"auditevents":     func(ctx context.Context) error { return firstError(c.AuditEvents(ctx, from)) },
		"signinattempts+": func(ctx context.Context) error { return firstError(c.FollowSignInAttempts(ctx, from)) },
		"itemusages+":     func(ctx context.Context) error { return firstError(c.FollowItemUsages(ctx, from)) },
		"auditevents+":    func(ctx context.Context) error { return firstError(c.FollowAuditEvents(ctx, from)) },
	}
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		if err := streams[name](t.Context()); err != nil {
			t.Error(err)
		}
		asked := f.requests()
		if got, want := asked[len(asked)-1].Path, "/api/v2/"+strings.TrimSuffix(name, "+"); got != want {
			t.Errorf("%s is at %s, want %s", name, got, want)
		}
	}
}

// firstError is the error of the first pair.
func firstError[T any](seq iter.Seq2[eventsapi.Page[T], error]) error {
	for _, err := range seq {
		return err
	}
	return errors.New("an empty sequence")
}

// TestImpossiblePositions are refused before anything is sent.
func TestImpossiblePositions(t *testing.T) {
	at := time.Date(2026, 10, 19, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		from   eventsapi.Position
		follow bool
		want   string
	}{
		{name: "limit_above", from: eventsapi.Position{Limit: 1001}, want: "1001"},
		{name: "limit_below", from: eventsapi.Position{Limit: -1}, want: "-1"},
		{name: "backwards", from: eventsapi.Position{Start: at, End: at.Add(-1)}, want: "before Position.Start"},
		{name: "following_to_an_end", from: eventsapi.Position{End: at}, follow: true, want: "has no end"},
		{name: "year_that_cannot_be_written", from: eventsapi.Position{Start: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}, want: "year"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			c := f.client(t, nil)
			stream := c.SignInAttempts
			if tt.follow {
				stream = c.FollowSignInAttempts
			}
			err := firstError(stream(t.Context(), tt.from))
			if !errors.Is(err, eventsapi.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want ErrInvalid with %q", err, tt.want)
			}
			if got := len(f.requests()); got != 0 {
				t.Errorf("sent %d requests, want none", got)
			}
		})
	}
}

// TestRefusals: what the server says reaches the caller, once, and nothing is tried again.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		body    string
		is      error // nil: none
		message string
	}{
		{name: "contract", status: 400, body: `{"Error":{"Message":"the cursor is not valid"}}`, is: eventsapi.ErrInvalid, message: "the cursor is not valid"},
		{name: "lower_case", status: 400, body: `{"error":{"message":"no such stream"}}`, is: eventsapi.ErrInvalid, message: "no such stream"},
		{name: "message_beside", status: 400, body: `{"Error":{},"message":"no such stream"}`, is: eventsapi.ErrInvalid, message: "no such stream"},
		{name: "message_alone", status: 401, body: `{"status":401,"message":"revoked"}`, is: eventsapi.ErrUnauthorized, message: "revoked"},
		{name: "error_is_text", status: 401, body: `{"error":"invalid_token","message":"revoked"}`, is: eventsapi.ErrUnauthorized, message: "revoked"},
		{name: "forbidden", status: 403, body: `{"Error":{"Message":"not this stream"}}`, is: eventsapi.ErrUnauthorized, message: "not this stream"},
		{name: "many_lines", status: 401, body: `{"Error":{"Message":"a\u001b[31m\nb"}}`, is: eventsapi.ErrUnauthorized, message: "a?[31m?b"},
		{name: "echo", status: 401, body: `{"Error":{"Message":"unknown: ` + goodToken() + `!"}}`, is: eventsapi.ErrUnauthorized, message: "unknown: (token)!"},
		{name: "not_found", status: 404, body: `<h1>nginx</h1>`, message: "an answer that is not of the Events API; is BaseURL right?"},
		{name: "not_implemented", status: 501, is: eventsapi.ErrUnavailable, message: "an answer that is not of the Events API; is BaseURL right?"},
		{name: "another_success", status: 202, body: `{}`, message: "an answer that is not of the Events API; is BaseURL right?"},
		{name: "no_json", status: 200, body: `<h1>sign in to the network</h1>`, message: "the page cannot be read; is BaseURL right?"},
		{name: "another_json", status: 200, body: `{"results":[]}`, message: "the page has no cursor; is BaseURL right?"},
		{name: "items_are_none", status: 200, body: `{"cursor":"c","items":[7]}`, message: "the page cannot be read; is BaseURL right?"},
		{name: "item_is_null", status: 200, body: `{"cursor":"c","items":[null]}`, message: "the page cannot be read; is BaseURL right?"},
		{name: "event_without_uuid", status: 200, body: `{"cursor":"c","items":[{"timestamp":"2026-10-19T03:41:07Z"}]}`, message: "the page cannot be read; is BaseURL right?"},
		{name: "event_without_time", status: 200, body: `{"cursor":"c","items":[{"uuid":"EVENT0","timestamp":"today"}]}`, message: "the page cannot be read; is BaseURL right?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake().failFirst(9, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Request-Id", "REQ\t8")
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body)) // the client left; its test says so
			})
			err := firstError(f.client(t, nil).FollowSignInAttempts(t.Context(), eventsapi.Position{}))
			e, ok := errors.AsType[*eventsapi.Error](err)
			if !ok {
				t.Fatalf("err = %v, want an *Error", err)
			}
			want := &eventsapi.Error{Op: "read signinattempts", StatusCode: tt.status, Message: tt.message, RequestID: "REQ?8", Tries: 1}
			if diff := cmp.Diff(want, e, cmpopts.IgnoreFields(eventsapi.Error{}, "Err")); diff != "" {
				t.Error(diff)
			}
			for _, known := range []error{eventsapi.ErrInvalid, eventsapi.ErrUnauthorized, eventsapi.ErrRateLimited, eventsapi.ErrUnavailable} {
				if got := errors.Is(err, known); got != (known == tt.is) {
					t.Errorf("errors.Is(%v, %v) = %t", err, known, got)
				}
			}
			noToken(t, err.Error(), goodToken())
			if got := len(f.requests()); got != 1 {
				t.Errorf("sent %d requests, want 1", got)
			}
		})
	}
}

func TestIntrospectionOfAnotherServer(t *testing.T) {
	f := newFake().failFirst(1, func(w http.ResponseWriter, _ *http.Request) { reply(w, `{"active":true}`) })
	_, err := f.client(t, nil).Introspect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no introspection") {
		t.Errorf("err = %v", err)
	}
	f = newFake().failFirst(1, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusUnauthorized, "revoked") })
	if _, err := f.client(t, nil).Introspect(t.Context()); !errors.Is(err, eventsapi.ErrUnauthorized) {
		t.Errorf("err = %v, want ErrUnauthorized", err)
	}
}

// TestARepeatedCursorEnds: a server that repeats itself would keep the reader for ever.
func TestARepeatedCursorEnds(t *testing.T) {
	for name, page := range map[string]string{
		"items":        `{"cursor":"same","has_more":false,"items":[` + attempt(0) + `]}`,
		"items_more":   `{"cursor":"same","has_more":true,"items":[` + attempt(0) + `]}`,
		"nothing_more": `{"cursor":"same","has_more":true,"items":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake().failFirst(9, func(w http.ResponseWriter, _ *http.Request) { reply(w, page) })
			_, _, err := read(f.client(t, nil).SignInAttempts(t.Context(), eventsapi.Position{Cursor: "same"}))
			if err == nil || !strings.Contains(err.Error(), "repeats a cursor") {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// TestRedirectsAreNotFollowed: the token goes to no other address.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			other := newFake()
			elsewhere := httptest.NewServer(other)
			defer elsewhere.Close()
			f := newFake().failFirst(9, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL+r.URL.Path, status) })
			c := f.client(t, func(cfg *eventsapi.Config) {
				cfg.HTTPClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
			})
			_, err := c.Introspect(t.Context())
			if err == nil || !strings.Contains(err.Error(), "points elsewhere") {
				t.Errorf("err = %v", err)
			}
			if got := other.requests(); len(got) != 0 {
				t.Errorf("another server was asked %v", got)
			}
		})
	}
}

// TestAnEndlessAnswer is cut off, and not asked for again.
func TestAnEndlessAnswer(t *testing.T) {
	f := newFake().failFirst(9, func(w http.ResponseWriter, r *http.Request) {
		for chunk := []byte(strings.Repeat(" ", 1<<20)); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	_, err := f.client(t, nil).Introspect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "more than 33554432 bytes") {
		t.Errorf("err = %v", err)
	}
	if got := len(f.requests()); got != 1 {
		t.Errorf("sent %d requests, want 1", got)
	}
}

// TestRawIsWhatTheServerSent, for every event of a page.
func TestRawIsWhatTheServerSent(t *testing.T) {
	event := `{"uuid":"EVENT0","timestamp":"2026-10-19T03:41:07Z","new_field":{"a":[1,2.50]}}`
	f := newFake(event)
	for p, err := range f.within(t, nil).AuditEvents(t.Context(), eventsapi.Position{}) {
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(json.RawMessage(event), p.Items[0].Raw); diff != "" {
			t.Error(diff)
		}
	}
}
