package eventsapi_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/eventsapi"
	"holdfast/internal/server/servertest"
)

// host is where tokens say that the API is; nothing of these tests goes there.
const host = "events.example.org"

// testToken is a token as the API's are, signed by nobody.
func testToken(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + part([]byte(claims)) + "." + part([]byte("a signature, invented for these tests"))
}

func goodToken() string {
	return testToken(`{"aud":["` + host + `"],"1password.com/fts":["auditevents","signinattempts"],"iat":1770800400,"sub":"P5DGQ2LRXH4SNWV7JTZBKCM3YA"}`)
}

// request is what the fake was asked.
type request struct {
	Path, Body, Prefer, ContentType, Agent string
	At                                     time.Time
}

// fake is a small server that keeps to the contract. All streams have the same events.
type fake struct {
	waits bool // knows Prefer: wait

	mu      sync.Mutex
	events  []string // JSON, oldest first
	times   []time.Time
	more    chan struct{} // closed when events come
	asked   []request
	fault   func(n int, w http.ResponseWriter, r *http.Request) (handled bool) // n counts from 1; nil: none
	oddMore bool                                                               // has_more before an empty page, as the contract allows
}

func newFake(events ...string) *fake {
	f := &fake{more: make(chan struct{})}
	f.add(events...)
	return f
}

func (f *fake) add(events ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		var v struct{ Timestamp time.Time }
		_ = json.Unmarshal([]byte(e), &v) // an event may be broken on purpose
		f.events, f.times = append(f.events, e), append(f.times, v.Timestamp)
	}
	close(f.more)
	f.more = make(chan struct{})
}

// attempt is the i-th sign-in attempt: one a minute.
func attempt(i int) string {
	at := time.Date(2026, 10, 19, 3, 41, 7, 482910663, time.UTC).Add(time.Duration(i) * time.Minute)
	return fmt.Sprintf(`{"uuid":"EVENT%d","timestamp":%q,"category":"success","type":"credentials_ok","country":"BR","details":null,
		"target_user":{"uuid":"K7QWZP3M5XNB2RTYDHCVFAEJ4U","name":"Mira Oduya","email":"mira.oduya@example.org"},"client":{},
		"account_uuid":"T4JX9QZL2VNRWB6KMPSDCYGH7E"}`, i, at.Format(time.RFC3339Nano))
}

func attempts(n int) (all []string) {
	for i := range n {
		all = append(all, attempt(i))
	}
	return all
}

// front takes notes and injects faults before next, where a proxy would be.
func (f *fake) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.mu.Lock()
		f.asked = append(f.asked, request{r.URL.Path, string(body), r.Header.Get("Prefer"), r.Header.Get("Content-Type"), r.UserAgent(), time.Now()})
		n, fault := len(f.asked), f.fault
		f.mu.Unlock()
		if fault == nil || !fault(n, w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Request-Id", "REQ7")
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+goodToken():
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "the token is not valid")
	case r.Method+" "+r.URL.Path == "GET /api/v2/auth/introspect":
		reply(w, `{"uuid":"P5DGQ2LRXH4SNWV7JTZBKCM3YA","issued_at":"2026-02-11T09:00:00Z","features":["auditevents","signinattempts"],"account_uuid":"T4JX9QZL2VNRWB6KMPSDCYGH7E"}`)
	case r.Method == "POST" && slices.Contains([]string{"/api/v2/signinattempts", "/api/v2/itemusages", "/api/v2/auditevents"}, r.URL.Path):
		f.page(w, r)
	default:
		http.NotFound(w, r)
	}
}

// page answers a ResetCursor or a Cursor. A cursor is the place behind the last event and what the reset said.
func (f *fake) page(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Cursor string
		Limit  int
		Start  time.Time `json:"start_time"`
		End    time.Time `json:"end_time"`
		at     int
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.Limit > 1000 {
		refuse(w, http.StatusBadRequest, "the body is not valid")
		return
	}
	if ask.Cursor != "" {
		text, _ := base64.RawURLEncoding.DecodeString(ask.Cursor)
		var end int64
		if _, err := fmt.Sscanf(string(text), "%d %d %d", &ask.at, &ask.Limit, &end); err != nil {
			refuse(w, http.StatusBadRequest, "the cursor is not valid")
			return
		}
		ask.End = time.Time{}
		if end != 0 {
			ask.End = time.Unix(0, end)
		}
	}
	limit := cmp.Or(ask.Limit, 100)

	f.mu.Lock()
	defer f.mu.Unlock()
	find := func() (found []string) {
		for ; ask.at < len(f.events) && len(found) < limit; ask.at++ {
			if at := f.times[ask.at]; !at.Before(ask.Start) && (ask.End.IsZero() || at.Before(ask.End)) {
				found = append(found, f.events[ask.at])
			}
		}
		return found
	}
	items := find()
	if wait, ok := strings.CutPrefix(r.Header.Get("Prefer"), "wait="); ok && f.waits {
		w.Header().Set("Preference-Applied", "wait="+wait)
		seconds, _ := strconv.Atoi(wait)
		if more := f.more; len(items) == 0 {
			f.mu.Unlock()
			select {
			case <-more:
			case <-time.After(time.Duration(seconds) * time.Second):
			case <-r.Context().Done():
			}
			f.mu.Lock()
			items = find()
		}
	}
	end := int64(0)
	if !ask.End.IsZero() {
		end = ask.End.UnixNano()
	}
	cursor := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %d", ask.at, limit, end))
	hasMore := ask.at < len(f.events) || f.oddMore && len(items) == limit
	reply(w, fmt.Sprintf(`{"cursor":%q,"has_more":%t,"items":[%s]}`, cursor, hasMore, strings.Join(items, ",")))
}

func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body) // the client left; its test says so
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// As above.
	_, _ = fmt.Fprintf(w, `{"Error":{"Message":%q}}`, message)
}

func (f *fake) requests() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// failFirst lets the first requests meet the handler.
func (f *fake) failFirst(times int, h http.HandlerFunc) *fake {
	f.fault = func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n <= times {
			h(w, r)
		}
		return n <= times
	}
	return f
}

// client makes a client of the fake over the network. Every exchange with it is held against the OpenAPI
// document. edit may be nil.
func (f *fake) client(t testing.TB, edit func(*eventsapi.Config)) *eventsapi.Client {
	t.Helper()
	srv := httptest.NewServer(f.front(servertest.Contract(t, f)))
	t.Cleanup(srv.Close)
	return dial(t, func(cfg *eventsapi.Config) {
		cfg.BaseURL = srv.URL
		if edit != nil {
			edit(cfg)
		}
	})
}

// within makes a client of the fake that needs no network, for bubbles of synctest.
func (f *fake) within(t testing.TB, edit func(*eventsapi.Config)) *eventsapi.Client {
	t.Helper()
	return dial(t, func(cfg *eventsapi.Config) {
		cfg.HTTPClient = &http.Client{Transport: inMemory{f.front(f)}}
		if edit != nil {
			edit(cfg)
		}
	})
}

func dial(t testing.TB, edit func(*eventsapi.Config)) *eventsapi.Client {
	t.Helper()
	cfg := eventsapi.Config{Token: goodToken()}
	edit(&cfg)
	c, err := eventsapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// inMemory is a transport that calls the handler.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		m.handler.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		<-done // the handlers of these tests watch the context
		return nil, r.Context().Err()
	}
}
