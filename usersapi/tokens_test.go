package usersapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/usersapi"
)

// inMemory is a transport without network, for tests in a synctest bubble: time passes only where
// somebody waits for it.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	done := make(chan *http.Response, 1)
	go func() {
		rec := httptest.NewRecorder()
		m.handler.ServeHTTP(rec, r)
		done <- rec.Result()
	}()
	select {
	case res := <-done:
		return res, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// within makes a client of the fake that needs no network.
func (f *fake) within(t *testing.T, edit func(*usersapi.Config)) *usersapi.Client {
	t.Helper()
	return dial(t, "https://holdfast.example.com", func(cfg *usersapi.Config) {
		cfg.HTTPClient = &http.Client{Transport: inMemory{f.front(f.routes())}}
		cfg.MaxRetryWait = 0
		if edit != nil {
			edit(cfg)
		}
	})
}

func TestTokenIsRenewedBeforeItEnds(t *testing.T) {
	tests := []struct {
		life int // seconds
		at   time.Duration
		want int // tokens asked for by then
	}{
		{900, 839 * time.Second, 1},
		{900, 841 * time.Second, 2}, // a minute before
		{10, 7 * time.Second, 1},
		{10, 9 * time.Second, 2}, // a fifth before
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("life_%d_at_%v", tt.life, tt.at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(1)
				f.life = tt.life
				c := f.within(t, nil)
				if _, err := c.User(t.Context(), personID(0)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.at)
				if _, err := c.User(t.Context(), personID(0)); err != nil {
					t.Fatal(err)
				}
				if got := f.requests("/token"); got != tt.want {
					t.Errorf("asked for %d tokens, want %d", got, tt.want)
				}
			})
		})
	}
}

func TestTokenWithoutLifetimeIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.breakAt("/token", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.live["t"] = true
			reply(w, http.StatusOK, map[string]any{"access_token": "t", "token_type": "bearer"})
			return true
		})
		c := f.within(t, nil)
		for range 3 {
			if _, err := c.User(t.Context(), personID(0)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
		}
		if got := f.requests("/token"); got != 1 {
			t.Errorf("asked for %d tokens, want 1: it was never refused", got)
		}
	})
}

// TestTokenIsRenewedAfter401: a token that was revoked elsewhere costs one more request, not an error.
func TestTokenIsRenewedAfter401(t *testing.T) {
	f := newFake(2)
	c := f.start(t, func(cfg *usersapi.Config) { cfg.MaxRetries = -1 })
	if _, err := c.User(t.Context(), personID(0)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	clear(f.live)
	f.mu.Unlock()
	u, err := c.Suspend(t.Context(), personID(1))
	if err != nil || u.State != usersapi.Suspended {
		t.Fatalf("Suspend = %+v, %v", u, err)
	}
	if got := f.requests("/token"); got != 2 {
		t.Errorf("asked for %d tokens, want 2", got)
	}
	if got := f.requests(":suspend"); got != 2 {
		t.Errorf("sent suspend %d times, want 2", got)
	}
}

func TestSecond401IsAnError(t *testing.T) {
	f := newFake(1)
	f.breakAt(":suspend", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", "Bearer")
		rpcError(w, http.StatusUnauthorized, 16, "no")
		return true
	})
	c := f.start(t, nil)
	_, err := c.Suspend(t.Context(), personID(0))
	if !errors.Is(err, usersapi.ErrUnauthorized) || errors.Is(err, usersapi.ErrOutcomeUnknown) {
		t.Errorf("err = %v, want ErrUnauthorized with a known outcome", err)
	}
	if got := f.requests(":suspend"); got != 2 {
		t.Errorf("sent suspend %d times, want 2", got)
	}
}

func TestOneTokenRequestForAll(t *testing.T) {
	f := newFake(1)
	c := f.start(t, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := c.User(t.Context(), personID(0)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := f.requests("/token"); got != 1 {
		t.Errorf("asked for %d tokens, want 1", got)
	}
}

// TestFailureIsSharedToo: fifty workers with a wrong secret are one failed authentication, not fifty,
// which would run into the server's limits.
func TestFailureIsSharedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.breakAt("/token", func(int, http.ResponseWriter, *http.Request) bool { time.Sleep(time.Second); return false })
		c := f.within(t, func(cfg *usersapi.Config) { cfg.ClientSecret = "wrong" })
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := c.User(t.Context(), personID(0)); !errors.Is(err, usersapi.ErrInvalidClient) {
					t.Errorf("err = %v, want ErrInvalidClient", err)
				}
			})
		}
		wg.Wait()
		if got := f.requests("/token"); got != 1 {
			t.Errorf("asked for %d tokens, want 1", got)
		}
	})
}

// TestWhoLeavesDoesNotTakeTheTokenAway: the caller that asks for the token gives up; another, who
// waited for the same request, gets its token all the same, and a third gives up while waiting.
func TestWhoLeavesDoesNotTakeTheTokenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		f.breakAt("/token", func(int, http.ResponseWriter, *http.Request) bool { time.Sleep(10 * time.Second); return false })
		c := f.within(t, nil)
		start := time.Now()
		var wg sync.WaitGroup
		call := func(patience, want time.Duration, ok bool) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := c.User(ctx, personID(0))
				if (err == nil) != ok || !ok && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("with %v patience: err = %v, want success %t", patience, err, ok)
				}
				if got := time.Since(start); got != want {
					t.Errorf("with %v patience: ended after %v, want %v", patience, got, want)
				}
			})
			synctest.Wait()
		}
		call(3*time.Second, 3*time.Second, false) // asks, gives up
		call(time.Minute, 13*time.Second, true)   // waits, asks anew at 3 s
		call(2*time.Second, 2*time.Second, false) // waits, gives up
		wg.Wait()
	})
}

func TestRevoke(t *testing.T) {
	f := newFake(1)
	c := f.start(t, nil)
	if err := c.Revoke(t.Context()); err != nil || f.requests("/revoke") != 0 {
		t.Errorf("Revoke without a token = %v after %d requests, want nothing", err, f.requests("/revoke"))
	}
	if _, err := c.User(t.Context(), personID(0)); err != nil {
		t.Fatal(err)
	}
	if err := c.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.live) != 0 {
		t.Errorf("%d tokens are live after Revoke, want none", len(f.live))
	}
	if err := c.Revoke(t.Context()); err != nil || f.requests("/revoke") != 1 {
		t.Errorf("second Revoke = %v, %d requests in all, want 1", err, f.requests("/revoke"))
	}
	if _, err := c.User(t.Context(), personID(0)); err != nil {
		t.Errorf("User after Revoke: %v", err)
	}
	if got := f.requests("/token"); got != 2 {
		t.Errorf("asked for %d tokens, want 2", got)
	}
}

func TestRevokeThatFailsCanBeRepeated(t *testing.T) {
	f := newFake(1)
	c := f.start(t, func(cfg *usersapi.Config) { cfg.MaxRetries = -1 })
	if _, err := c.User(t.Context(), personID(0)); err != nil {
		t.Fatal(err)
	}
	f.breakAt("/revoke", func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			reply(w, http.StatusServiceUnavailable, map[string]string{"error": "temporarily_unavailable"})
		}
		return n == 1
	})
	err := c.Revoke(t.Context())
	if _, ok := errors.AsType[*usersapi.OAuthError](err); !ok || !errors.Is(err, usersapi.ErrUnavailable) {
		t.Errorf("err = %v, want an OAuthError that is ErrUnavailable", err)
	}
	if err := c.Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.live) != 0 {
		t.Errorf("%d tokens are live, want none", len(f.live))
	}
}

func TestOAuthErrors(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   []error
		text   string
	}{
		{"invalid_client_as_400", 400, `{"error":"invalid_client"}`, []error{usersapi.ErrInvalidClient, usersapi.ErrUnauthorized}, "400 invalid_client"},
		{"invalid_scope", 400, `{"error":"invalid_scope","error_description":"d"}`, []error{usersapi.ErrInvalid}, "400 invalid_scope: d"},
		{"unauthorized_client", 403, `{"error":"unauthorized_client"}`, []error{usersapi.ErrForbidden}, "403 unauthorized_client"},
		{"limited", 429, `{"error":"temporarily_unavailable"}`, []error{usersapi.ErrRateLimited}, "429 temporarily_unavailable"},
		{"fault", 500, `oops`, []error{usersapi.ErrUnavailable}, "is BaseURL right?"},
		{"not_there", 404, ``, nil, "404: the answer is empty"},
		{"rpc_form", 401, `{"code":16,"message":"m"}`, []error{usersapi.ErrUnauthorized}, "is BaseURL right?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(1)
			f.breakAt("/token", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
				return true
			})
			c := f.start(t, func(cfg *usersapi.Config) { cfg.MaxRetries = -1 })
			_, err := c.Suspend(t.Context(), personID(0))
			for _, want := range tt.want {
				if !errors.Is(err, want) {
					t.Errorf("err = %v, want %v", err, want)
				}
			}
			o, ok := errors.AsType[*usersapi.OAuthError](err)
			if !ok || o.StatusCode != tt.status {
				t.Fatalf("err = %v, want an OAuthError with status %d", err, tt.status)
			}
			if got := err.Error(); !contains(got, tt.text) || !contains(got, "suspend user") {
				t.Errorf("text = %q, want it to name the operation and %q", got, tt.text)
			}
			if errors.Is(err, usersapi.ErrOutcomeUnknown) {
				t.Errorf("err = %v: nothing was sent, so the outcome is known", err)
			}
		})
	}
}
