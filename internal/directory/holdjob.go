package directory

import (
	"context"

	"holdfast/internal/audit"
	"holdfast/internal/jobs"
)

// ReleaseHold is the job that ends a timed hold.
type ReleaseHold struct {
	AccountID string `json:"account_id"`
	HoldID    string `json:"hold_id"`
}

// Kind is the stable name of the job.
func (ReleaseHold) Kind() string { return "directory.release_hold" }

// Jobs adds what the directory does later.
func (s *Service) Jobs(w *jobs.Workers) {
	jobs.Handle(w, func(ctx context.Context, job ReleaseHold) error {
		return s.Store.ReleaseHold(ctx, job.AccountID, job.HoldID, audit.Entry{Actor: "system", Reason: "the time of the hold was over"})
	})
}

// ImportError is a person who could not be imported; nobody was.
type ImportError struct {
	Index int // in the list, from 0
	Err   error
}

func (e *ImportError) Error() string { return e.Err.Error() }
func (e *ImportError) Unwrap() error { return e.Err }
