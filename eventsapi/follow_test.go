package eventsapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/eventsapi"
)

// arrival is when a page came, since the beginning.
type arrival struct {
	After time.Duration
	IDs   []string
}

// follow follows the fake for so long.
func follow(t *testing.T, c *eventsapi.Client, from eventsapi.Position, long time.Duration) (got []arrival, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(long, cancel)
	start := time.Now()
	for p, err := range c.FollowSignInAttempts(ctx, from) {
		if err != nil {
			if p.Cursor != "" || p.Items != nil {
				t.Errorf("the error comes with %+v", p)
			}
			return got, err
		}
		got = append(got, arrival{time.Since(start), uuids(p)})
	}
	return got, errors.New("the sequence ended without an error")
}

// addLater adds the i-th attempt after so long.
func (f *fake) addLater(i int, after time.Duration) {
	time.AfterFunc(after, func() { f.add(attempt(i)) })
}

// TestFollow: what is there comes at once, page by page; what comes later, at the next poll, or with no
// delay where the server waits.
func TestFollow(t *testing.T) {
	const second = time.Second
	preferences := func(f *fake) (all []string) {
		for _, r := range f.requests() {
			all = append(all, r.Prefer)
		}
		return all
	}
	tests := []struct {
		name    string
		waits   bool
		oddMore bool
		edit    func(*eventsapi.Config)
		later   []time.Duration // when attempts 3, 4, … come
		want    []arrival
		prefer  []string
	}{
		{name: "polling", later: []time.Duration{12 * second, 13 * second},
			want:   []arrival{{0, []string{"EVENT0", "EVENT1"}}, {0, []string{"EVENT2"}}, {20 * second, []string{"EVENT3", "EVENT4"}}},
			prefer: []string{"", "wait=20", "wait=20", "wait=20", "wait=20"}}, // at 0, 0, 10, 20, 30
		{name: "polling_by_choice", waits: true, edit: func(c *eventsapi.Config) { c.LongPoll, c.PollInterval = -1, 15*second }, later: []time.Duration{second},
			want:   []arrival{{0, []string{"EVENT0", "EVENT1"}}, {0, []string{"EVENT2"}}, {15 * second, []string{"EVENT3"}}},
			prefer: []string{"", "", "", ""}},
		{name: "waiting", waits: true, later: []time.Duration{12 * second, 31 * second},
			want:   []arrival{{0, []string{"EVENT0", "EVENT1"}}, {0, []string{"EVENT2"}}, {12 * second, []string{"EVENT3"}}, {31 * second, []string{"EVENT4"}}},
			prefer: []string{"", "wait=20", "wait=20", "wait=20", "wait=20"}}, // at 0, 0, 0, 12, 31
		{name: "waiting_less", waits: true, edit: func(c *eventsapi.Config) { c.LongPoll = 5500 * time.Millisecond }, later: []time.Duration{13 * second},
			want:   []arrival{{0, []string{"EVENT0", "EVENT1"}}, {0, []string{"EVENT2"}}, {13 * second, []string{"EVENT3"}}},
			prefer: append([]string{""}, slices.Repeat([]string{"wait=5"}, 9)...)}, // at 0, 0, 5, 10, 13, 18, 23, 28, 33
		{name: "more_is_nothing", oddMore: true, later: []time.Duration{second},
			want:   []arrival{{0, []string{"EVENT0", "EVENT1"}}, {0, []string{"EVENT2"}}, {10 * second, []string{"EVENT3"}}},
			prefer: []string{"", "wait=20", "wait=20", "wait=20", "wait=20"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(attempts(3)...)
				f.waits, f.oddMore = tt.waits, tt.oddMore
				for i, after := range tt.later {
					f.addLater(3+i, after)
				}
				got, err := follow(t, f.within(t, tt.edit), eventsapi.Position{Limit: 2}, 35*second)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("err = %v, want Canceled", err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.prefer, preferences(f)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestFollowNothing: an empty first page comes, for its cursor; later ones without news do not.
func TestFollowNothing(t *testing.T) {
	for _, waits := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.waits = waits
			got, err := follow(t, f.within(t, nil), eventsapi.Position{}, time.Hour)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v, want Canceled", err)
			}
			if diff := cmp.Diff([]arrival{{0, []string{}}}, got); diff != "" {
				t.Error(diff)
			}
			if n := len(f.requests()); n > 362 || n < 180 {
				t.Errorf("sent %d requests in an hour", n)
			}
		})
	}
}

// TestEventsThatDripIn: a busy stream costs no more requests than the API allows for three streams.
func TestEventsThatDripIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.waits = true
		for i := range 600 {
			f.addLater(i, time.Duration(i)*100*time.Millisecond+time.Nanosecond)
		}
		got, err := follow(t, f.within(t, nil), eventsapi.Position{}, time.Minute+time.Second)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want Canceled", err)
		}
		var ids []string
		for _, a := range got {
			ids = append(ids, a.IDs...)
		}
		if len(ids) != 600 || ids[599] != "EVENT599" {
			t.Errorf("read %d events", len(ids))
		}
		if n := len(f.requests()); n > 200 {
			t.Errorf("sent %d requests in a minute; three streams may have 600", n)
		}
	})
}

// TestAServerThatDoesNotKeepItsWord says that it has waited, and has not: it is not asked all the time.
func TestAServerThatDoesNotKeepItsWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fault = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Add("Preference-Applied", "return=minimal, Wait = 20")
			reply(w, `{"cursor":"same","has_more":true,"items":[]}`)
			return true
		}
		if _, err := follow(t, f.within(t, nil), eventsapi.Position{}, time.Minute); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want Canceled", err)
		}
		if n := len(f.requests()); n > 8 {
			t.Errorf("sent %d requests in a minute", n)
		}
	})
}

// TestAServerThatPromisesMore and gives nothing is not asked all the time either, and its cursors are
// handed on.
func TestAServerThatPromisesMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fault = func(n int, w http.ResponseWriter, _ *http.Request) bool {
			reply(w, fmt.Sprintf(`{"cursor":"c%d","has_more":true,"items":[]}`, n))
			return true
		}
		got, err := follow(t, f.within(t, nil), eventsapi.Position{}, time.Minute)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want Canceled", err)
		}
		if n := len(f.requests()); n > 121 || len(got) < n-1 {
			t.Errorf("sent %d requests in a minute, and %d pages came", n, len(got))
		}
	})
}

// TestAProxyThatCutsLongAnswersOff makes events late, and loses none.
func TestAProxyThatCutsLongAnswersOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.waits = true
		f.fault = func(_ int, w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Prefer") == "" {
				return false
			}
			time.Sleep(15 * time.Second)
			w.WriteHeader(http.StatusGatewayTimeout)
			return true
		}
		f.addLater(0, 4*time.Second)
		f.addLater(1, 40*time.Second)
		got, err := follow(t, f.within(t, nil), eventsapi.Position{}, time.Minute)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want Canceled", err)
		}
		var ids []string
		for _, a := range got {
			ids = append(ids, a.IDs...)
		}
		if diff := cmp.Diff([]string{"EVENT0", "EVENT1"}, ids); diff != "" {
			t.Error(diff)
		}
		if late := got[1].After - 4*time.Second; late > 13*time.Second {
			t.Errorf("EVENT0 came %v late", late)
		}
	})
}

// TestResumeFollowing: a program that stops after any page and starts again with its cursor misses
// nothing and takes nothing twice, also while the server has trouble.
func TestResumeFollowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(attempts(50)...)
		f.waits = true
		f.fault = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n%3 == 0 {
				status(http.StatusBadGateway)(w, r)
			}
			return n%3 == 0
		}
		for i := range 50 {
			f.addLater(50+i, time.Duration(i)*700*time.Millisecond)
		}
		c := f.within(t, nil)
		var ids []string
		from := eventsapi.Position{Limit: 7}
		for n := 0; len(ids) < 100 && n < 1000; n++ {
			pages := 0
			for p, err := range c.FollowSignInAttempts(t.Context(), from) {
				if err != nil {
					t.Fatal(err)
				}
				ids, from.Cursor = append(ids, uuids(p)...), p.Cursor
				if pages++; pages > n%3 || len(ids) >= 100 {
					break
				}
			}
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(ids))); len(ids) != 100 || len(sorted) != 100 {
			t.Errorf("read %d events, %d of them different", len(ids), len(sorted))
		}
	})
}
