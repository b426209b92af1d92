package console

import (
	"context"
	"sync"
	"time"

	"holdfast/internal/directory"
)

// Figures of large accounts cost more to count than all the rest of their page, and nobody notices that
// they are a few seconds old. Those of small accounts are counted each time, so that whoever suspends one
// of ten people sees the figure change.
const (
	figuresKept = 5 * time.Second
	dearPeople  = 5_000 // from this many people on, their counts are kept
	dearSignIns = 200   // from this many sign-ins on, the day's figures are kept
	mostFigures = 1_000 // accounts whose figures are kept at a time
)

// figures keeps what was counted last, by account. The zero value keeps nothing yet.
type figures[T any] struct {
	mu   sync.Mutex
	kept map[string]keptFigure[T]
}

type keptFigure[T any] struct {
	value T
	at    time.Time
}

func (k keptFigure[T]) fresh(now time.Time) bool {
	age := now.Sub(k.at)
	return age >= 0 && age < figuresKept // a clock that was set back makes nothing last longer
}

func (f *figures[T]) get(account string, now time.Time) (T, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.kept[account]
	return k.value, ok && k.fresh(now)
}

func (f *figures[T]) put(account string, value T, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept == nil || len(f.kept) >= mostFigures {
		f.kept = map[string]keptFigure[T]{}
	}
	f.kept[account] = keptFigure[T]{value, now}
}

// counts returns how many people the account has, by state; of a large account up to 5 seconds late.
func (c *Console) counts(ctx context.Context, account string) (directory.Counts, error) {
	now := c.Now()
	if n, ok := c.headcounts.get(account, now); ok {
		return n, nil
	}
	n, err := c.Directory.Store.Counts(ctx, account)
	if err == nil && n.Active+n.Suspended >= dearPeople {
		c.headcounts.put(account, n, now)
	}
	return n, err
}
