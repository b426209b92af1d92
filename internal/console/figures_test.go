package console

import (
	"context"
	"fmt"
	"testing"
	"time"

	"holdfast/internal/directory"
)

// countStore has as many active people as it says, and knows how often it was asked.
type countStore struct {
	directory.Store
	active, asked int
}

func (s *countStore) Counts(context.Context, string) (directory.Counts, error) {
	s.asked++
	return directory.Counts{Active: s.active}, nil
}

func TestCountsOfPeople(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		active int
		later  time.Duration
		asked  int
	}{
		"of a small account, each time":  {dearPeople - 1, 0, 2},
		"of a large account, once":       {dearPeople, figuresKept - 1, 1},
		"of a large account, late":       {dearPeople, figuresKept, 2},
		"after the clock was set back":   {dearPeople, -time.Second, 2},
		"of a large account, right away": {dearPeople, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store, now := &countStore{active: tt.active}, start
			c := &Console{Config: Config{Directory: &directory.Service{Store: store}, Now: func() time.Time { return now }}}
			for range 2 {
				n, err := c.counts(t.Context(), "A")
				if err != nil || n.Active != tt.active {
					t.Fatalf("%d active people, error %v; want %d", n.Active, err, tt.active)
				}
				now = start.Add(tt.later)
			}
			if store.asked != tt.asked {
				t.Errorf("counted %d times, want %d", store.asked, tt.asked)
			}
			before := store.asked
			if _, err := c.counts(t.Context(), "B"); err != nil || store.asked != before+1 {
				t.Errorf("another account got figures that were not its own (error %v)", err)
			}
		})
	}
}

func TestFiguresAreBounded(t *testing.T) {
	var f figures[int]
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for i := range 3*mostFigures + 1 {
		f.put(fmt.Sprint(i), i, now)
		if len(f.kept) > mostFigures {
			t.Fatalf("figures of %d accounts are kept, want at most %d", len(f.kept), mostFigures)
		}
	}
}
