package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// Args are what a job is about. They are stored as JSON; Kind is a stable name and must not depend on
// the value.
type Args interface{ Kind() string }

// Job is work to do later.
type Job struct {
	Args  Args
	RunAt time.Time // zero: at once
}

// Database is where jobs live: beside the data, so that both commit together.
type Database struct {
	SQL      *sql.DB
	Read     *sql.DB // the same on PostgreSQL; on SQLite, connections that do not write
	Postgres string  // connection URL, for LISTEN; empty on SQLite
}

func (d Database) driver() riverdriver.Driver[*sql.Tx] {
	if d.Postgres != "" {
		return riverdatabasesql.New(d.SQL)
	}
	return riversqlite.New(d.SQL)
}

// Queue enqueues jobs.
type Queue struct{ client *river.Client[*sql.Tx] }

// NewQueue makes a queue that enqueues and runs nothing.
func NewQueue(d Database) (*Queue, error) {
	client, err := river.NewClient(d.driver(), &river.Config{SkipUnknownJobCheck: true})
	if err != nil {
		return nil, fmt.Errorf("open job queue: %w", err)
	}
	return &Queue{client: client}, nil
}

// Enqueue adds the jobs in the transaction: they run if it commits, and only then.
func (q *Queue) Enqueue(ctx context.Context, tx *sql.Tx, list ...Job) error {
	if len(list) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(list))
	for i, j := range list {
		params[i] = river.InsertManyParams{Args: j.Args, InsertOpts: &river.InsertOpts{ScheduledAt: j.RunAt}}
	}
	if _, err := q.client.InsertManyTx(ctx, tx, params); err != nil {
		return fmt.Errorf("enqueue %d jobs: %w", len(list), err)
	}
	return nil
}
