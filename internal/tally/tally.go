package tally

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// mostPending bounds what waits. Beyond it, what is not counted yet is not counted.
	mostPending  = 10_000
	flushEvery   = time.Second
	flushTimeout = 5 * time.Second
)

// Options say what is counted. All functions are needed.
type Options[K comparable, V any] struct {
	Name  string                           // of what is counted, for the log, such as "calls of applications"
	Key   func(v V) K                      // counts with one key are summed up
	Merge func(into *V, v V)               // adds what was counted elsewhere of the same key
	Order func(a, b V) int                 // the same on every server, so that they do not wait for each other crosswise
	Write func(context.Context, []V) error // all or nothing
	Log   *slog.Logger
}

// Tally holds counts until they are written. It is safe for concurrent use.
type Tally[K comparable, V any] struct {
	Options[K, V]
	flushes sync.Mutex // one at a time, so that what failed is put back before the next one looks

	mu      sync.Mutex
	pending map[K]*V
}

// New makes a tally that has counted nothing.
func New[K comparable, V any](o Options[K, V]) *Tally[K, V] {
	return &Tally[K, V]{Options: o, pending: map[K]*V{}}
}

// Add counts.
func (t *Tally[K, V]) Add(v V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(v)
}

func (t *Tally[K, V]) addLocked(v V) {
	key := t.Key(v)
	if have, ok := t.pending[key]; ok {
		t.Merge(have, v)
	} else if len(t.pending) < mostPending {
		t.pending[key] = &v
	}
}

// Flush writes what was counted. What cannot be written waits for the next time.
func (t *Tally[K, V]) Flush(ctx context.Context) error {
	t.flushes.Lock()
	defer t.flushes.Unlock()
	counts := t.take()
	if len(counts) == 0 {
		return nil
	}
	err := t.Write(ctx, counts)
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, v := range counts {
			t.addLocked(v)
		}
	}
	return err
}

// take empties what waits.
func (t *Tally[K, V]) take() []V {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := make([]V, 0, len(t.pending))
	for _, v := range t.pending {
		counts = append(counts, *v)
	}
	clear(t.pending)
	slices.SortFunc(counts, t.Order)
	return counts
}

// Run flushes every second until the context ends, and once more then. The store must be open until it returns.
func (t *Tally[K, V]) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
			defer cancel()
			if err := t.Flush(last); err != nil {
				t.Log.Error("the last counts could not be written", "of", t.Name, "error", err)
			}
			return
		case <-tick.C:
			err := t.Flush(ctx)
			if err != nil && !failed && ctx.Err() == nil { // once, not every second
				t.Log.Warn("counts cannot be written now; it is tried again every second", "of", t.Name, "error", err)
			}
			failed = err != nil
		}
	}
}

// Text is the text, cut to the length in bytes, as every database takes it.
func Text(s string, most int) string {
	s = s[:min(len(s), most)]
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
