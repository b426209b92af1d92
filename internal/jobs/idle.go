package jobs

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
)

// On SQLite River asks for work a hundred times a second, by an UPDATE that takes the only writing
// connection, and is parsed anew each time. glancing looks into the index first, on a connection that
// reads, and asks only if there is something to do.
type glancing struct {
	riverdriver.Driver[*sql.Tx]
	glance *sql.Stmt
}

func newGlancing(ctx context.Context, d riverdriver.Driver[*sql.Tx], read *sql.DB) (*glancing, error) {
	// Whether the job's time has come is left to River.
	stmt, err := read.PrepareContext(ctx, "SELECT EXISTS (SELECT 1 FROM river_job WHERE state = 'available' AND queue = $1)")
	if err != nil {
		return nil, fmt.Errorf("prepare to look for jobs: %w", err)
	}
	return &glancing{d, stmt}, nil
}

// GetExecutor implements [riverdriver.Driver].
func (g *glancing) GetExecutor() riverdriver.Executor {
	return glancingExecutor{g.Driver.GetExecutor(), g.glance}
}

type glancingExecutor struct {
	riverdriver.Executor
	glance *sql.Stmt
}

// JobGetAvailable implements [riverdriver.Executor].
func (e glancingExecutor) JobGetAvailable(ctx context.Context, p *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	var some bool
	if err := e.glance.QueryRowContext(context.WithoutCancel(ctx), p.Queue).Scan(&some); err != nil {
		return nil, fmt.Errorf("look for jobs: %w", err)
	}
	if !some {
		return &riverdriver.JobGetAvailableResult{}, nil
	}
	return e.Executor.JobGetAvailable(ctx, p)
}
