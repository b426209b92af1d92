package oauth_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
)

// counted is a store that keeps counts, and can be made to fail.
type counted struct {
	oauth.Store
	client oauth.Client

	mu     sync.Mutex
	counts []oauth.ActivityCount
	fail   error
}

func (c *counted) failWith(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

func (c *counted) AddActivity(_ context.Context, counts []oauth.ActivityCount) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail == nil {
		c.counts = append(c.counts, counts...)
	}
	return c.fail
}
func (c *counted) Client(context.Context, string, string) (oauth.Client, error) { return c.client, nil }
func (c *counted) Activity(context.Context, string, string, time.Time) ([]oauth.ActivityCount, error) {
	return c.counts, nil
}

func (c *counted) UpdateClient(_ context.Context, _, _ string, n oauth.NewClient, by audit.Entry) (oauth.Client, error) {
	return oauth.Client{Name: n.Name, CreatedBy: string(by.Action) + " " + by.Target}, nil
}

func TestRecorderRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counted{fail: errors.New("away")}
		r := oauth.NewRecorder(store, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		id := uuid.NewString()
		call := func() { r.Record(id, "A", "get_user", "192.0.2.1", "curl", false, time.Now()) }
		call()
		time.Sleep(1500 * time.Millisecond) // what fails waits for the next second
		synctest.Wait()
		call()
		store.failWith(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(store.counts) != 1 || store.counts[0].Calls != 2 || store.counts[0].ClientID != id {
			t.Errorf("written after trouble: %+v", store.counts)
		}
		call()
		stop()
		<-ended
		if len(store.counts) != 2 || store.counts[1].Calls != 1 {
			t.Errorf("written at the end: %+v", store.counts)
		}
	})
}

func TestUnusedScopes(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	call := oauth.ActivityCount{Operation: "list_users", Hour: now.Truncate(time.Hour), Calls: 1, LastAt: now}
	for _, tt := range []struct {
		name   string
		age    time.Duration
		counts []oauth.ActivityCount
		want   []string
	}{
		{"new", time.Hour, nil, nil},
		{"new_with_a_token", time.Hour, []oauth.ActivityCount{{Operation: "token", Hour: now, Calls: 1, LastAt: now}}, nil},
		{"new_with_calls", time.Hour, []oauth.ActivityCount{call}, []string{"get_user"}},
		{"a_week_old", 7 * 24 * time.Hour, nil, []string{"list_users", "get_user"}},
		{"long_ago", 90 * 24 * time.Hour, []oauth.ActivityCount{{Operation: "get_user", Calls: 5, LastAt: now.Add(-31 * 24 * time.Hour)}}, []string{"list_users", "get_user"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &counted{client: oauth.Client{Scopes: []string{"get_user", "list_users"}, CreatedAt: now.Add(-tt.age)}, counts: tt.counts}
			s := &oauth.Service{Store: store, Now: func() time.Time { return now }}
			got, err := s.Activity(t.Context(), "A", "c")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.UnusedScopes); diff != "" {
				t.Errorf("unused (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUpdateChecks(t *testing.T) {
	s := &oauth.Service{Store: &counted{}, Now: time.Now}
	for name, n := range map[string]oauth.NewClient{
		"no_redirect": {Name: "a", Scopes: oauth.Scopes(), RequireRedirect: true},
		"no_scopes":   {Name: "a"},
		"bad_key":     {Name: "a", Scopes: oauth.Scopes(), Key: "a b"},
	} {
		if _, err := s.Update(t.Context(), "A", "c", n, audit.Entry{}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	c, err := s.Update(t.Context(), "A", "c", oauth.NewClient{Name: " a ", Scopes: oauth.Scopes()}, audit.Entry{})
	if err != nil || c.Name != "a" || c.CreatedBy != "app.update client:c" {
		t.Errorf("update: %+v, %v", c, err)
	}
}
