package respond

import (
	"context"
	"math"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
)

func errUnreadable(name, fault string) error {
	return problem.InField("enforce", "playbook %q cannot be read, so it cannot be rehearsed: %s", name, fault)
}

func errNoPlaybook(name string) error {
	return problem.InField("enforce", "there is no playbook %q", plain(name, maxName))
}

// Run says what the account's playbooks would have done in the last days. One rehearsal runs at a time; another one waits
// for it. Progress hears how many events of how many have been taken, and may be nil. Fields of errors are days, enforce
// and text. The kill switch is taken to be off.
func (r *Rehearser) Run(ctx context.Context, accountID string, ask RehearseRequest, progress func(done, of int)) (Rehearsed, error) {
	if ask.Days == 0 {
		ask.Days = MaxRehearseDays
	}
	if ask.Days < 1 || ask.Days > MaxRehearseDays {
		return Rehearsed{}, problem.InField("days", "%d days cannot be rehearsed; from 1 to %d can", ask.Days, MaxRehearseDays)
	}
	now := r.Now().UTC().Truncate(time.Microsecond)
	from := now.AddDate(0, 0, -ask.Days)
	// Habits are learned for two weeks before that, or the first days would find what is new to nobody.
	start, count, err := r.History.SignalsReach(ctx, accountID, from.Add(-rehearseLearning), rehearseEvents)
	if err != nil {
		return Rehearsed{}, err
	}
	cut := start.At.After(from)
	if cut {
		from = start.At
	}
	res, err := r.Rehearse(ctx, accountID, ask, start, from, func(done, _ int) {
		if progress != nil {
			progress(min(done, count), count)
		}
	}, nil)
	res.Cut = cut
	return res, err
}

// Rehearse rehearses the events behind a place, with decisions about what begins at a time or later, which each, if not
// nil, hears one by one. Days of the request are passed over.
func (r *Rehearser) Rehearse(ctx context.Context, accountID string, ask RehearseRequest, start detect.Place, from time.Time, progress func(done, of int), each func(Decision) error) (Rehearsed, error) {
	free, err := r.turn(ctx)
	if err != nil {
		return Rehearsed{}, err
	}
	defer free()
	run, err := r.prepare(ctx, accountID, ask)
	if err != nil {
		return Rehearsed{}, err
	}
	now := r.Now().UTC().Truncate(time.Microsecond)
	run.From, run.Each = from, each
	run.Events = r.events(ctx, accountID, start, now, func(done int) { progress(done, 0) })
	res, err := Rehearse(ctx, run)
	if err == nil {
		res.To = now
	}
	return res, err
}

// turn waits until no other rehearsal runs.
func (r *Rehearser) turn(ctx context.Context) (free func(), err error) {
	r.once.Do(func() { r.busy = make(chan struct{}, 1) })
	select {
	case r.busy <- struct{}{}:
		return func() { <-r.busy }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// prepare reads what decisions are made on.
func (r *Rehearser) prepare(ctx context.Context, accountID string, ask RehearseRequest) (Rehearsal, error) {
	entries, err := r.Service.Playbooks(ctx, accountID)
	if err != nil {
		return Rehearsal{}, err
	}
	run := Rehearsal{Consent: ask.Consent, Silence: ask.Silence}
	if run.Books, err = rehearseBooks(entries, ask); err != nil {
		return run, err
	}
	if run.Guard, err = r.Service.Store.Guard(ctx, accountID); err != nil {
		return run, err
	}
	if ask.Guard != nil {
		run.Guard = *ask.Guard
	}
	run.Guard.Kill = Kill{}
	if run.Set, _, err = r.Rules.Rules(ctx, accountID); err != nil {
		return run, err
	}
	if run.People, err = r.History.Residents(ctx, accountID); err != nil {
		return run, err
	}
	sources, err := r.History.SignalSources(ctx, accountID)
	if err != nil {
		return run, err
	}
	trust := map[string]Trust{}
	for _, s := range sources {
		trust[s.ID] = TrustOf(s)
	}
	run.Trust = func(id string) Trust {
		if t, there := trust[id]; there {
			return t
		}
		return TrustSent // it was removed: nobody knows any more
	}
	return run, nil
}

// events reads pages, and rests after each for as long as it took.
func (r *Rehearser) events(ctx context.Context, accountID string, start detect.Place, until time.Time, progress func(done int)) func(func(*signals.Stored, error) bool) {
	return func(yield func(*signals.Stored, error) bool) {
		s := detect.Stretch{After: detect.Place{At: start.At.Add(-time.Microsecond), Seq: math.MaxInt64}, Until: until, UpTo: math.MaxInt64}
		for done := 0; ; {
			began := r.Now()
			page, err := r.History.SignalsByTime(ctx, accountID, s, rehearsePage)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				e := &page[i]
				if !yield(e, nil) {
					return
				}
				s.After = detect.Place{At: e.Event.When(), Seq: e.Seq}
			}
			done += len(page)
			progress(done)
			if len(page) < rehearsePage {
				return
			}
			if err := r.rest(ctx, r.Now().Sub(began)); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

func (r *Rehearser) rest(ctx context.Context, d time.Duration) error {
	if r.Hurry {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
