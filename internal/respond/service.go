package respond

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
)

// Judge tells detection what people say about findings; a detect.Store does.
type Judge interface {
	JudgeFinding(ctx context.Context, accountID, id string, harmless bool, by audit.Entry) (detect.StoredFinding, error)
}

// Opener opens targets; *[Targets] does.
type Opener interface {
	Open(ctx context.Context, accountID, name string) (Target, error)
}

// Sender sends messages; *[Channels] does.
type Sender interface {
	List(ctx context.Context, accountID string) ([]Channel, error)
	Send(ctx context.Context, c Channel, m Message) error
}

// Service responds. All fields but the optional ones must be set before the first call; it must not be copied after
// that.
type Service struct {
	Store    Store
	Shipped  []*Playbook // of the program and of the server's folder; an account's own of the same name counts instead
	Targets  Opener
	Channels Sender
	Findings Judge
	Account  func(ctx context.Context, accountID string) (string, error) // what the account is called
	KillFile func() (Kill, error)                                        // optional: a kill switch beside the database
	URL      string                                                      // where people reach the console, without a slash at the end
	Log      *slog.Logger                                                // nil: silence
	Now      func() time.Time

	books bookCache
}

func (s *Service) log() *slog.Logger { return cmp.Or(s.Log, slog.New(slog.DiscardHandler)) }

// killed is the kill switch of the database, or else that of the file. A file that is there and cannot be read is on:
// somebody has put it there.
func (s *Service) killed(k Kill) Kill {
	if k.On || s.KillFile == nil {
		return k
	}
	file, err := s.KillFile()
	if err != nil {
		return Kill{On: true, Door: DoorFile, By: "system", Reason: "the file of the kill switch cannot be read: " + err.Error()}
	}
	return file
}

// Doors by which a person does something.
const (
	DoorConsole = "console"
	DoorLink    = "link"
	DoorCLI     = "cli"
	DoorFile    = "file"
)

// staleBook is the error of a decision by playbooks that have changed since they were read.
type staleBook struct{}

func (staleBook) Error() string { return "the playbooks have changed since they were read" }

// How often Run looks for accounts, and how long it waits after a failure.
const (
	lookForAccounts = 5 * time.Second
	waitAtFirst     = 100 * time.Millisecond
	waitAtMost      = 10 * time.Second
)

// Run responds to findings of all accounts until ctx ends. Any number of servers may do so at once: which finding is
// next is decided under the account's lock.
func (s *Service) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	running := map[string]bool{}
	tick := time.NewTicker(lookForAccounts)
	defer tick.Stop()
	for {
		all, err := s.Store.RespondingAccounts(ctx)
		if err != nil && ctx.Err() == nil {
			s.log().WarnContext(ctx, "accounts to respond for cannot be looked up; those that run go on", "error", err.Error())
		}
		for _, id := range all {
			if !running[id] {
				running[id] = true
				wg.Go(func() { s.account(ctx, id) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// account responds to the findings of one account until ctx ends.
func (s *Service) account(ctx context.Context, id string) {
	failures := 0
	for ctx.Err() == nil {
		_, more, err := s.Next(ctx, id)
		if err == nil && !more {
			err = s.Store.AwaitFindings(ctx, id)
		}
		if err == nil {
			failures = 0
			continue
		}
		if ctx.Err() != nil {
			return
		}
		wait := min(waitAtFirst<<min(failures, 10), waitAtMost)
		failures++
		s.log().WarnContext(ctx, "a finding cannot be responded to; it is tried again", "account", id, "again_in", wait.String(), "error", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// Next responds to the account's next finding. False: there is none.
func (s *Service) Next(ctx context.Context, accountID string) (Responded, bool, error) {
	for fresh := false; ; fresh = true {
		book, err := s.book(ctx, accountID, fresh)
		if err != nil {
			return Responded{}, false, err
		}
		done, some, err := s.Store.Respond(ctx, accountID, func(f Facts) ([]Plan, error) {
			if f.BookRevision != book.revision {
				return nil, staleBook{}
			}
			f.Guard.Kill = s.killed(f.Guard.Kill)
			return DecideAll(book.playbooks, f)
		})
		if _, stale := errors.AsType[staleBook](err); stale {
			continue
		}
		if err == nil && some {
			s.note(ctx, accountID, done)
		}
		return done, some, err
	}
}

// note writes one line about what came of a finding.
func (s *Service) note(ctx context.Context, accountID string, r Responded) {
	if len(r.Runs) == 0 {
		return
	}
	runs := make([]any, 0, len(r.Runs))
	for _, run := range r.Runs {
		runs = append(runs, slog.String(run.Playbook, string(run.State)))
	}
	s.log().InfoContext(ctx, "responded to a finding", "account", accountID, "finding", r.FindingID, "case", r.CaseID, slog.Group("runs", runs...))
}

// again is [Again] with the kill switch of now.
func (s *Service) again(f Facts, a Action) (Check, error) {
	f.Guard.Kill = s.killed(f.Guard.Kill)
	return Again(f, a)
}
