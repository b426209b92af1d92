package detect

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// RulesSource is where the rules of accounts come from.
type RulesSource interface {
	// Rules are the account's rules as they are now, compiled for FieldMaps, and their revision, which grows with
	// each change. It is asked every second, so it must have the answer at hand as long as nothing changes.
	Rules(ctx context.Context, accountID string) (*Set, int64, error)
}

// Live finds what is suspicious in the events of all accounts as they are stored.
//
// The database is the truth, and what a process has in memory a copy that the version of the state proves:
// who commits with another one has been overtaken, throws everything away and begins where the database
// stands. So any number of processes may run Live; a lease only keeps them from working twice.
//
// Findings are those of [Engine.Run] over all events in order of their times. Since events do not come in that
// order, the engine goes on with what it has, and where one comes in between it goes back to a snapshot from
// before, takes again what is stored since, and says what has become different. How far back that can be is
// Lateness; what is older is counted, and changes nothing. The checkpoint in the database is such a snapshot,
// so beginning after a restart is going back as well.
type Live struct {
	LiveConfig

	holder  string // names this process in leases
	running map[string]*worker
}

// LiveConfig is what a Live is made of.
type LiveConfig struct {
	Store Progress
	Rules RulesSource
	Log   *slog.Logger // nil: nothing is logged
	Now   func() time.Time

	Lateness time.Duration // how late an event may be, by the times of other events; DefaultLateness if 0
	Suppress time.Duration // see Config
	Pace     Pace
}

// Pace is how often things are done; what is 0 is as usual. Tests have other ideas of it.
type Pace struct {
	Batch      int           // events taken at a time; 1,000
	Look       time.Duration // for accounts, and to go on with leases; 5 s
	Poll       time.Duration // for rules and lessons that have changed; 1 s
	Snapshot   time.Duration // between snapshots; 2 s
	Snapshots  int           // events between snapshots, if time has not passed; 2,000
	Checkpoint time.Duration // between checkpoints; 5 s
	Share      int           // one part in so many of the time is spent on going back, and on checkpoints; 10. Less than 0: all of it
}

// DefaultLateness is how late an event may be. It is also how far in the future it may say that it is.
const DefaultLateness = 5 * time.Minute

// leaseFor is for how long a process takes an account. Who dies is replaced when the lease is over.
const leaseFor = 20 * time.Second

// worker goes on with one account.
type worker struct {
	stop context.CancelFunc
	done chan struct{} // closed when it has ended
}

// NewLive makes a Live.
func NewLive(c LiveConfig) *Live {
	c.Lateness = cmp.Or(c.Lateness, DefaultLateness)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	p := &c.Pace
	p.Batch, p.Snapshots, p.Share = cmp.Or(p.Batch, 1000), cmp.Or(p.Snapshots, 2000), cmp.Or(p.Share, 10)
	p.Look, p.Poll = cmp.Or(p.Look, 5*time.Second), cmp.Or(p.Poll, time.Second)
	p.Snapshot, p.Checkpoint = cmp.Or(p.Snapshot, 2*time.Second), cmp.Or(p.Checkpoint, 5*time.Second)
	return &Live{LiveConfig: c, holder: seal.NewID(), running: map[string]*worker{}}
}

// Run works until ctx ends. When it returns nobody works any more, checkpoints are written and leases given
// back.
func (l *Live) Run(ctx context.Context) {
	defer l.end(context.WithoutCancel(ctx))
	tick := time.NewTicker(l.Pace.Look)
	defer tick.Stop()
	for {
		if err := l.once(ctx); err != nil && ctx.Err() == nil {
			l.Log.WarnContext(ctx, "accounts cannot be looked up for detection; those at work go on", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// end stops all workers and gives their leases back.
func (l *Live) end(ctx context.Context) {
	for _, w := range l.running {
		w.stop()
	}
	for account, w := range l.running {
		<-w.done
		l.giveBack(ctx, account)
	}
	clear(l.running)
}

// giveBack lets another process go on at once. If it fails, the lease ends by itself.
func (l *Live) giveBack(ctx context.Context, account string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := l.Store.LeaseDetection(ctx, account, l.holder, time.Time{}); err != nil {
		l.Log.DebugContext(ctx, "a lease was not given back", "account", account, "error", err.Error())
	}
}

// once leases accounts, begins with those that are ours and stops those that are not.
func (l *Live) once(ctx context.Context) error {
	accounts, err := l.Store.DetectAccounts(ctx)
	if err != nil {
		return err
	}
	for account, w := range l.running {
		select {
		case <-w.done: // it has lost the lease
			delete(l.running, account)
		default:
		}
	}
	var errs []error
	for _, account := range accounts {
		ours, err := l.Store.LeaseDetection(ctx, account, l.holder, l.Now().Add(max(leaseFor, 4*l.Pace.Look)))
		w := l.running[account]
		switch {
		case err != nil:
			errs = append(errs, err) // who works already goes on while the lease is good
		case !ours && w != nil:
			w.stop()
			<-w.done
			delete(l.running, account)
		case ours && w == nil:
			l.start(ctx, account)
		}
	}
	return errors.Join(errs...)
}

// start works on the account in the background.
func (l *Live) start(ctx context.Context, account string) {
	ctx, stop := context.WithCancel(ctx)
	w := &worker{stop: stop, done: make(chan struct{})}
	l.running[account] = w
	go func() {
		defer close(w.done)
		defer stop()
		l.work(ctx, account)
	}()
}

// work goes on with the account until ctx ends. After a failure it begins where the database stands.
func (l *Live) work(ctx context.Context, account string) {
	log := l.Log.With("account", account)
	for failures := 0; ctx.Err() == nil; {
		began := l.Now()
		err := l.follow(ctx, account)
		switch {
		case ctx.Err() != nil:
			return
		case problem.Is(err, problem.NotFound): // the account is gone
			log.InfoContext(ctx, "detection ends", "error", err.Error())
			return
		case overtaken(err):
			log.InfoContext(ctx, "another process has gone on with detection; beginning where it stands")
		default:
			log.ErrorContext(ctx, "detection failed; beginning at the last checkpoint", "error", err.Error())
		}
		if l.Now().Sub(began) > time.Minute {
			failures = 0
		}
		failures++
		if rest(ctx, min(time.Minute, 100*time.Millisecond<<min(failures, 10))) != nil {
			return
		}
	}
}

// rest waits, or returns the context's error.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// follow loads where the account's detection stands and goes on from there.
func (l *Live) follow(ctx context.Context, account string) error {
	c, err := l.load(ctx, account)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err = c.step(ctx); err != nil {
			break
		}
		err = c.wait(ctx)
		if err != nil {
			break
		}
	}
	if ctx.Err() == nil || overtaken(err) {
		return err
	}
	// Stopped: what is settled is saved, so that who goes on has less to take again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := c.leave(ctx); err != nil && !overtaken(err) {
		l.Log.WarnContext(ctx, "the last checkpoint was not written; events since the one before will be taken again", "account", account, "error", err.Error())
	}
	return ctx.Err()
}
