package jobs_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/jobs"
	"holdfast/internal/store/storetest"
)

// note is a job of the tests.
type note struct {
	Text string `json:"text"`
}

func (note) Kind() string { return "test.note" }

// tick is a job that is due again and again.
type tick struct{}

func (tick) Kind() string { return "test.tick" }

// bench is a database with jobs in it.
type bench struct {
	jobs.Database
	kind  string
	queue *jobs.Queue
}

func open(t *testing.T, p *storetest.Place) bench {
	t.Helper()
	b := bench{Database: p.Open(t).Jobs(), kind: p.Kind}
	var err error
	if b.queue, err = jobs.NewQueue(b.Database); err != nil {
		t.Fatal(err)
	}
	return b
}

// enqueue adds the job in a transaction that ends as told.
func (b bench) enqueue(t *testing.T, end func(*sql.Tx) error, list ...jobs.Job) {
	t.Helper()
	tx, err := b.SQL.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.queue.Enqueue(t.Context(), tx, list...), end(tx)); err != nil {
		t.Fatal(err)
	}
}

// run starts a runner that stops when the test ends.
func (b bench) run(t *testing.T, w *jobs.Workers) *jobs.Runner {
	t.Helper()
	r, err := jobs.NewRunner(t.Context(), b.Database, w, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// state is the state of the only job of the kind, and how often it was tried.
func (b bench) state(t *testing.T, args jobs.Args) string {
	t.Helper()
	var state string
	var attempts int
	if err := b.SQL.QueryRowContext(t.Context(), "SELECT state, attempt FROM river_job WHERE kind = $1", args.Kind()).Scan(&state, &attempts); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s after %d", state, attempts)
}

// within waits until something is so.
func within(t *testing.T, d time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, d)
		}
	}
}

const patience = 60 * time.Second // on a busy machine; usually it takes milliseconds, or what is said

// collect is a handler that keeps what it was given.
func collect(w *jobs.Workers) chan string {
	got := make(chan string, 1000)
	jobs.Handle(w, func(_ context.Context, n note) error {
		got <- n.Text
		return nil
	})
	return got
}

func TestEnqueueFollowsItsTransaction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		b := open(t, p)
		w := jobs.NewWorkers()
		got := collect(w)
		b.enqueue(t, (*sql.Tx).Commit, jobs.Job{Args: note{"before"}}, jobs.Job{Args: note{"later"}, RunAt: time.Now().Add(time.Hour)})
		b.enqueue(t, (*sql.Tx).Rollback, jobs.Job{Args: note{"rolled back"}})
		b.enqueue(t, (*sql.Tx).Commit) // none
		r := b.run(t, w)
		if !r.Running() {
			t.Error("the runner does not run")
		}
		b.enqueue(t, (*sql.Tx).Rollback, jobs.Job{Args: note{"rolled back while it runs"}})
		b.enqueue(t, (*sql.Tx).Commit, jobs.Job{Args: note{"after"}})
		seen := map[string]int{}
		for len(seen) < 2 {
			select {
			case text := <-got:
				seen[text]++
			case <-time.After(patience):
				t.Fatalf("ran: %v, want before and after", seen)
			}
		}
		time.Sleep(200 * time.Millisecond) // for what must not come
		for {
			select {
			case text := <-got:
				seen[text]++
				continue
			default:
			}
			break
		}
		if len(seen) != 2 || seen["before"] != 1 || seen["after"] != 1 {
			t.Errorf("ran: %v, want before and after once each", seen)
		}
	})
}

func TestRetryAndDiscard(t *testing.T) {
	tests := []struct {
		name string
		fail func(try int32) error
		want string
		runs int32
	}{
		{"succeeds", func(int32) error { return nil }, "completed after 1", 1},
		{"fails_once", func(try int32) error {
			if try == 1 {
				return errors.New("busy")
			}
			return nil
		}, "completed after 2", 2},
		{"panics_once", func(try int32) error {
			if try == 1 {
				panic("oh")
			}
			return nil
		}, "completed after 2", 2},
		{"discarded", func(int32) error { return jobs.Discard(errors.New("hopeless")) }, "cancelled after 1", 1},
		{"discarded_deep_inside", func(int32) error { return fmt.Errorf("notify: %w", jobs.Discard(errors.New("hopeless"))) }, "cancelled after 1", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, p *storetest.Place) {
				t.Parallel() // a retry waits for a second or more
				b := open(t, p)
				w := jobs.NewWorkers()
				var tries atomic.Int32
				jobs.Handle(w, func(context.Context, note) error { return tt.fail(tries.Add(1)) })
				b.enqueue(t, (*sql.Tx).Commit, jobs.Job{Args: note{tt.name}})
				b.run(t, w)
				within(t, patience, tt.want, func() bool { return b.state(t, note{}) == tt.want })
				if got := tries.Load(); got != tt.runs {
					t.Errorf("it ran %d times, want %d", got, tt.runs)
				}
			})
		})
	}
	if err := jobs.Discard(sql.ErrNoRows); !errors.Is(err, sql.ErrNoRows) || err.Error() != sql.ErrNoRows.Error() {
		t.Errorf("Discard hides its cause: %v", err)
	}
}

// TestPeriodic runs two servers on one database: what is due every second is done every second, not twice.
func TestPeriodic(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		t.Parallel() // it takes seconds
		b := open(t, p)
		var runs atomic.Int32
		for range 2 {
			w := jobs.NewWorkers()
			jobs.Handle(w, func(context.Context, tick) error { runs.Add(1); return nil })
			jobs.Every(w, time.Second, tick{})
			b.run(t, w)
		}
		within(t, patience, "the first run", func() bool { return runs.Load() > 0 })
		start, before := time.Now(), runs.Load()
		within(t, patience, "three more", func() bool { return runs.Load() >= before+3 })
		time.Sleep(2 * time.Second)
		most := before + 2 + int32(time.Since(start)/time.Second)
		if got := runs.Load(); got > most {
			t.Errorf("%d runs, want at most %d: each server does it for itself", got, most)
		}
	})
}

// TestStop waits for what runs, and lets what would not end be run again by the next.
func TestStop(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		t.Parallel() // what was cancelled is tried again after a second or more
		b := open(t, p)
		w := jobs.NewWorkers()
		started, release := make(chan struct{}, 1), make(chan struct{})
		jobs.Handle(w, func(ctx context.Context, n note) error {
			started <- struct{}{}
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		b.enqueue(t, (*sql.Tx).Commit, jobs.Job{Args: note{"patient"}})
		r := b.run(t, w)
		<-started
		stopped := make(chan error)
		go func() { stopped <- r.Stop(t.Context()) }()
		select {
		case err := <-stopped:
			t.Fatalf("it stopped while a job ran: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		close(release)
		if err := <-stopped; err != nil || r.Running() {
			t.Errorf("stop: %v", err)
		}
		if got := b.state(t, note{}); got != "completed after 1" {
			t.Errorf("after stopping the job is %s", got)
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Errorf("stopping twice: %v", err)
		}

		release = make(chan struct{})
		b.enqueue(t, (*sql.Tx).Commit, jobs.Job{Args: tick{}})
		impatient := jobs.NewWorkers()
		jobs.Handle(impatient, func(ctx context.Context, _ tick) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
		r = b.run(t, impatient)
		<-started
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := r.Stop(short); err != nil {
			t.Errorf("stop without patience: %v", err)
		}
		next := jobs.NewWorkers()
		var ran atomic.Bool
		jobs.Handle(next, func(context.Context, tick) error { ran.Store(true); return nil })
		b.run(t, next)
		within(t, patience, "the job runs again", ran.Load)
	})
}

func TestHandlersAreNotRegisteredTwice(t *testing.T) {
	p := storetest.NewPlace(t, "sqlite")
	w := jobs.NewWorkers()
	collect(w)
	collect(w)
	if _, err := jobs.NewRunner(t.Context(), open(t, p).Database, w, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "test.note") {
		t.Errorf("NewRunner with two handlers of a kind: %v", err)
	}
}

func TestNewerTablesAreRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		b := open(t, p)
		if err := errors.Join(jobs.Check(t.Context(), b.Database), jobs.Migrate(t.Context(), b.Database)); err != nil {
			t.Fatalf("tables of today: %v", err)
		}
		if _, err := b.SQL.ExecContext(t.Context(), "INSERT INTO river_migration (line, version) VALUES ('main', 9999)"); err != nil {
			t.Fatal(err)
		}
		for name, do := range map[string]func(context.Context, jobs.Database) error{"check": jobs.Check, "migrate": jobs.Migrate} {
			if err := do(t.Context(), b.Database); err == nil || !strings.Contains(err.Error(), "newer holdfast binary") {
				t.Errorf("%s: %v, want a refusal that says what to do", name, err)
			}
		}
	})
}
