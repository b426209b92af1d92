package respond

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/jobs"
	"holdfast/internal/problem"
)

// How often an action is tried, and how long is waited in between: 2 s, then twice as long each time, up to 5 minutes;
// in all about an hour and a half. What has not been possible by then is a person's to do.
const (
	triesAtMost = 25
	retryFirst  = 2 * time.Second
	retryAtMost = 5 * time.Minute
)

// Jobs adds what the service does later.
func (s *Service) Jobs(w *jobs.Workers) {
	jobs.Handle(w, s.DoAction)
	jobs.Handle(w, func(ctx context.Context, j EndApproval) error {
		return given(s.Store.ExpireApproval(ctx, j.AccountID, j.ApprovalID))
	})
	jobs.Handle(w, func(ctx context.Context, j EndQuestion) error {
		return given(s.Store.ExpireQuestion(ctx, j.AccountID, j.QuestionID))
	})
	jobs.Handle(w, func(ctx context.Context, j EndHold) error {
		return given(s.Store.ReleaseDue(ctx, j.AccountID, j.ActionID))
	})
	jobs.Handle(w, s.SendMessage)
}

// given gives up what no retry will cure: what the job is about is not there any more.
func given(err error) error {
	if err != nil && problem.KindOf(err) == problem.NotFound {
		return jobs.Discard(err)
	}
	return err
}

// DoAction does an action, for its job: begin, call, finish. The process may die between any two of them. Then the action is found begun,
// and what became of it is read back before anything else is tried.
func (s *Service) DoAction(ctx context.Context, j Do) error {
	for {
		a, ok, err := s.Store.Begin(ctx, j.AccountID, j.ActionID, s.again)
		if err != nil || !ok {
			return given(err)
		}
		var r Result
		switch a.Kind {
		case ActNotify, ActSignal:
			r, err = s.tell(ctx, a)
		case ActSuspend, ActReactivate:
			r, err = s.carryOut(ctx, a)
		default:
			r = Result{State: ActionFailed, Code: "not_possible", Reason: fmt.Sprintf("%s cannot be done at %s", a.Kind, a.Target)}
		}
		if err != nil {
			return err
		}
		again := r.State == ActionPlanned && r.RetryAt.IsZero()
		if err := s.Store.Finish(ctx, j.AccountID, j.ActionID, r); err != nil || !again {
			return err
		}
	}
}

// carryOut suspends or reactivates at a target, or finds out what became of it. An error leaves the action begun, so that
// the next try reads back.
func (s *Service) carryOut(ctx context.Context, a Action) (Result, error) {
	who := Wanted{AccountID: a.AccountID, PersonID: a.PersonID, Email: a.Who.Email}
	target, err := s.Targets.Open(ctx, a.AccountID, a.Target)
	switch {
	case err != nil && problem.KindOf(err) == problem.NotFound:
		return Result{State: ActionFailed, Code: "target_gone", Reason: fmt.Sprintf("there is no target %q any more", a.Target)}, nil
	case err != nil:
		return Result{}, err
	}
	if a.State == ActionUnknown {
		return s.readBack(ctx, target, a, who)
	}
	call := target.Suspend
	if a.Kind == ActReactivate {
		call = target.Reactivate
	}
	outcome, err := call(ctx, who)
	if err != nil {
		return Result{}, err
	}
	r := outcome.Result(s.Now(), retryWait(a.Attempts))
	return exhausted(a, r), nil
}

// readBack makes a known outcome of an unknown one. What the target shows is taken for ours: the change was sent.
func (s *Service) readBack(ctx context.Context, target Target, a Action, who Wanted) (Result, error) {
	state, err := target.State(ctx, who)
	if err != nil {
		p, isProblem := errors.AsType[*problem.Error](err)
		switch {
		case !isProblem:
			return Result{}, err
		case p.Kind == problem.Unavailable || p.Kind == problem.TooMany:
			wait := cmp.Or(p.RetryAfter, retryWait(a.Attempts))
			return exhausted(a, Result{State: ActionUnknown, Code: p.Code, Reason: p.Detail, RetryAt: s.Now().Add(wait)}), nil
		}
		return Result{State: ActionFailed, Code: cmp.Or(p.Code, "not_visible"), Reason: p.Detail}, nil
	}
	wanted := TargetSuspended
	if a.Kind == ActReactivate {
		wanted = TargetActive
	}
	switch state {
	case wanted:
		return Result{State: ActionDone}, nil
	case TargetAbsent:
		return Result{State: ActionRefused, Code: RefusedNotFound, Reason: "the target knows nobody by that address"}, nil
	}
	return Result{State: ActionPlanned}, nil
}

// exhausted makes a failure of a result after which it would be tried again, once it was tried often enough.
func exhausted(a Action, r Result) Result {
	if (r.State == ActionPlanned || r.State == ActionUnknown) && a.Attempts >= triesAtMost {
		return Result{State: ActionFailed, Code: cmp.Or(r.Code, "gave_up"), Reason: fmt.Sprintf("given up after %d tries: %s", a.Attempts, cmp.Or(r.Reason, "the target did not answer"))}
	}
	return r
}

// retryWait is how long to wait after so many tries, from 1.
func retryWait(tries int) time.Duration {
	return min(retryFirst<<min(max(0, tries-1), 20), retryAtMost)
}
