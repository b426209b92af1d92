package signals

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/seal"
)

// Runner asks the sources that are asked. Several processes may each run one on the same database: a lease
// makes one of them ask a source at a time, and what a process writes that has lost it is refused.
type Runner struct {
	intake *Intake
	holder string // names this process in leases
	look   time.Duration
	lease  time.Duration
	log    *slog.Logger

	running map[sourceKey]*worker
}

type sourceKey struct{ account, id string }

// worker asks one source.
type worker struct {
	revision int64
	stop     context.CancelFunc
	done     chan struct{} // closed when it has ended
}

// How often a Runner looks which sources there are, and for how long it takes one. Who dies is replaced when
// the lease is over.
const (
	lookEvery = 5 * time.Second
	leaseFor  = 20 * time.Second
)

// NewRunner makes a runner.
func NewRunner(s *Intake) *Runner {
	return &Runner{
		intake: s, holder: seal.NewID(), look: lookEvery, lease: leaseFor,
		log: cmp.Or(s.Log, slog.New(slog.DiscardHandler)), running: map[sourceKey]*worker{},
	}
}

// Run asks until ctx ends. When it returns nobody asks any more, and the leases are given back.
func (r *Runner) Run(ctx context.Context) {
	defer r.end(context.WithoutCancel(ctx))
	tick := time.NewTicker(r.look)
	defer tick.Stop()
	for {
		if err := r.once(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "sources of events cannot be looked up; the ones that run go on", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.intake.Changed:
		}
	}
}

// end stops all workers and gives their leases back.
func (r *Runner) end(ctx context.Context) {
	for _, w := range r.running {
		w.stop()
	}
	for key, w := range r.running {
		<-w.done
		r.giveBack(ctx, key)
	}
	clear(r.running)
}

// giveBack lets another process ask at once. If it fails, the lease ends by itself.
func (r *Runner) giveBack(ctx context.Context, key sourceKey) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := r.intake.Store.LeaseSource(ctx, key.account, key.id, r.holder, time.Time{}); err != nil {
		r.log.DebugContext(ctx, "a lease was not given back", "source", key.id, "error", err.Error())
	}
}

// once starts what should run and does not, and stops what runs and should not.
func (r *Runner) once(ctx context.Context) error {
	all, err := r.intake.Store.SignalSources(ctx, "")
	if err != nil {
		return err
	}
	wanted := map[sourceKey]Setup{}
	for _, x := range all {
		if x.State != Paused && x.Pulls() {
			wanted[sourceKey{x.AccountID, x.ID}] = x
		}
	}
	for key, w := range maps.Clone(r.running) {
		x, ok := wanted[key]
		select {
		case <-w.done: // the lease was lost, or it is paused
		default:
			if ok && x.Revision == w.revision {
				continue
			}
			w.stop()
			<-w.done
		}
		delete(r.running, key)
		r.giveBack(ctx, key)
	}
	var errs []error
	for key, x := range wanted {
		ours, err := r.intake.Store.LeaseSource(ctx, key.account, key.id, r.holder, r.intake.Now().Add(r.lease))
		w := r.running[key]
		switch {
		case err != nil:
			errs = append(errs, err) // who runs already goes on while the lease is good
		case !ours && w != nil:
			w.stop()
			<-w.done
			delete(r.running, key)
		case ours && w == nil:
			r.start(ctx, key, x)
		}
	}
	return errors.Join(errs...)
}

// start asks the source in the background.
func (r *Runner) start(ctx context.Context, key sourceKey, x Setup) {
	ctx, stop := context.WithCancel(ctx)
	w := &worker{revision: x.Revision, stop: stop, done: make(chan struct{})}
	r.running[key] = w
	go func() {
		defer close(w.done)
		defer stop()
		r.work(ctx, x)
	}()
}

// work asks, and asks again after a failure, until ctx ends or a person is needed.
func (r *Runner) work(ctx context.Context, x Setup) {
	log := r.log.With("source", x.ID, "kind", string(x.Kind), "account", x.AccountID)
	for failures := 0; ctx.Err() == nil; {
		came, err := r.pull(ctx, x)
		if ctx.Err() != nil {
			return
		}
		if leaseLost(err) {
			return
		}
		if came {
			failures = 0
		}
		failures++
		if err == nil {
			err = errors.New("the source ended by itself")
		}
		reason := clean(err.Error())
		if no, ok := errors.AsType[*revoked](err); ok {
			if err := r.pause(ctx, x, no.reason); err != nil {
				log.WarnContext(ctx, "a source whose token is not accepted cannot be paused", "error", err.Error())
			}
			log.WarnContext(ctx, "a source of events is paused", "reason", no.reason)
			return
		}
		next := wait(failures, err)
		log.WarnContext(ctx, "a source of events failed", "reason", reason, "again_in", next.String())
		if err := r.intake.Store.SourceFailed(ctx, x.AccountID, x.ID, r.holder, reason); err != nil {
			if leaseLost(err) {
				return
			}
			log.WarnContext(ctx, "the failure of a source cannot be noted", "error", err.Error())
		}
		if pause(ctx, next) != nil {
			return
		}
	}
}

// pull asks from where the cursors stand. It reports whether anything was stored.
func (r *Runner) pull(ctx context.Context, x Setup) (came bool, err error) {
	s := r.intake
	kind, err := sourceOf(x.Kind)
	if err != nil {
		return false, err
	}
	d, err := NewDecoder(kind.Format())
	if err != nil {
		return false, err
	}
	l, err := s.live(x)
	if err != nil {
		return false, err
	}
	defer l.hangUp()
	if l.Feed == nil && x.Kind == KindLocal {
		return false, errors.New("this process has no feed of its own")
	}
	if l.cursors, err = s.Store.SourceCursors(ctx, x.AccountID, x.ID); err != nil {
		return false, err
	}
	var mu sync.Mutex // streams come at once
	l.take = func(ctx context.Context, b Batch) error {
		if err := s.take(ctx, x, d, r.holder, b); err != nil {
			return fmt.Errorf("store events: %w", err)
		}
		mu.Lock()
		defer mu.Unlock()
		came = true
		return nil
	}
	err = kind.Pull(ctx, l)
	return came, err
}

// pause stops a source until a person has done something about it.
func (r *Runner) pause(ctx context.Context, x Setup, reason string) error {
	by := audit.Entry{Actor: "system"}.For(audit.SourcePause, x.Target()).Because(reason)
	_, err := r.intake.Store.ChangeSource(ctx, x.AccountID, x.ID, func(now *Setup) error {
		if now.Revision != x.Revision {
			return ErrNoLease() // somebody has done something already
		}
		now.State, now.LastError = Paused, reason
		return nil
	}, by)
	if leaseLost(err) {
		return nil
	}
	return err
}
