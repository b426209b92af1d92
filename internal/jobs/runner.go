package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
)

// A job that runs longer is cancelled; one whose process died is taken over after rescueAfter, which
// River wants to be longer.
const (
	jobTimeout  = 20 * time.Second
	rescueAfter = 30 * time.Second
)

// Workers is the list of what this process can do.
type Workers struct {
	river    *river.Workers
	periodic []*river.PeriodicJob
	err      error
}

// NewWorkers makes an empty list.
func NewWorkers() *Workers { return &Workers{river: river.NewWorkers()} }

// Handle adds the handler for jobs with arguments of type T. An error is retried later, unless it is
// from Discard.
func Handle[T Args](w *Workers, do func(ctx context.Context, args T) error) {
	err := river.AddWorkerSafely(w.river, river.WorkFunc(func(ctx context.Context, job *river.Job[T]) error {
		err := do(ctx, job.Args)
		if d, ok := errors.AsType[*discarded](err); ok {
			return river.JobCancel(d.err)
		}
		return err
	}))
	w.err = errors.Join(w.err, err)
}

// Every enqueues the job in this interval, once for all servers.
func Every(w *Workers, interval time.Duration, args Args) {
	w.periodic = append(w.periodic, river.NewPeriodicJob(
		river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) { return args, nil },
		&river.PeriodicJobOpts{RunOnStart: true},
	))
}

type discarded struct{ err error }

func (d *discarded) Error() string { return d.err.Error() }
func (d *discarded) Unwrap() error { return d.err }

// Discard marks an error that no retry will cure.
func Discard(err error) error { return &discarded{err} }

// Runner runs jobs.
type Runner struct {
	client  *river.Client[*sql.Tx]
	listen  *pgxpool.Pool // nil on SQLite
	glance  *sql.Stmt     // nil on PostgreSQL
	running atomic.Bool
}

// NewRunner makes a runner; nothing runs before Start.
func NewRunner(ctx context.Context, d Database, w *Workers, log *slog.Logger) (*Runner, error) {
	if w.err != nil {
		return nil, fmt.Errorf("register job handlers: %w", w.err)
	}
	r := &Runner{}
	driver, poll, err := r.driver(ctx, d)
	if err != nil {
		return nil, err
	}
	client, err := river.NewClient(driver, &river.Config{
		// Measured: with these, a job starts milliseconds after its transaction committed.
		FetchCooldown:        2 * time.Millisecond,
		FetchPollInterval:    poll,
		PollOnly:             d.Postgres == "",
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		Logger:               log,
		Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 16}},
		Workers:              w.river,
		PeriodicJobs:         w.periodic,
	})
	if err != nil {
		r.close()
		return nil, fmt.Errorf("open job runner: %w", err)
	}
	r.client = client
	return r, nil
}

// driver returns the driver to run jobs with, and how often it looks for some.
func (r *Runner) driver(ctx context.Context, d Database) (riverdriver.Driver[*sql.Tx], time.Duration, error) {
	if d.Postgres != "" {
		driver, err := r.listening(ctx, d)
		return driver, 50 * time.Millisecond, err
	}
	driver, err := newGlancing(ctx, d.driver(), d.Read)
	if err != nil {
		return nil, 0, err
	}
	r.glance = driver.glance
	return driver, 10 * time.Millisecond, nil
}

// listening gives River a connection of its own for LISTEN, without which PostgreSQL is only polled.
func (r *Runner) listening(ctx context.Context, d Database) (riverdriver.Driver[*sql.Tx], error) {
	cfg, err := pgxpool.ParseConfig(d.Postgres)
	if err != nil {
		return nil, fmt.Errorf("read database URL for job notifications: %w", err)
	}
	cfg.MinConns, cfg.MaxConns = 0, 1
	if r.listen, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("connect for job notifications: %w", err)
	}
	return riverdatabasesql.NewWithPgxListener(d.SQL, r.listen), nil
}

// Start begins to run jobs. Cancelling the context does not stop it; Stop does.
func (r *Runner) Start(ctx context.Context) error {
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start job runner: %w", err)
	}
	r.running.Store(true)
	return nil
}

// Running reports whether jobs are taken.
func (r *Runner) Running() bool { return r.running.Load() }

// Stop takes no more jobs and waits for the running ones; when the context ends they are cancelled,
// and will be run again.
func (r *Runner) Stop(ctx context.Context) error {
	defer r.close()
	if !r.running.Swap(false) {
		return nil
	}
	err := r.client.Stop(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		stopNow, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = r.client.StopAndCancel(stopNow)
	}
	if err != nil {
		return fmt.Errorf("stop job runner: %w", err)
	}
	return nil
}

func (r *Runner) close() {
	if r.listen != nil {
		r.listen.Close()
	}
	if r.glance != nil {
		_ = r.glance.Close() // it only reads
	}
}
