package detect

import (
	"cmp"
	"context"
	"slices"
	"time"

	"holdfast/internal/signals"
)

// course is an account's detection in this process, for one goroutine.
type course struct {
	l       *Live
	account string

	version, cursor int64 // as they are stored
	read            int64 // number of the last event that was looked at
	rules           int64
	newest          time.Time     // of all that were in time
	floor           time.Time     // what happened until then is over for good
	last            signals.Event // of those taken; its time and id are where the engine is
	closed          bool          // that time is settled
	maimed          bool          // windows were lost, so that what is not found may have been there
	busy            bool          // some of what was read has not been taken

	set    *Set
	engine *Engine
	memory *Versions
	crowd  crowd
	points []point   // snapshots, the oldest first; never empty
	recent int       // events taken since the last
	ripe   time.Time // when the next one may be taken

	ignored  map[int64]time.Time // late events that happened after the oldest point
	back     time.Time           // of the earliest event that came in between; zero: none did
	backAt   time.Time           // when to go back at the earliest
	lessons  []Lesson            // applied after the oldest point, in order
	learned  int                 // how many of them the engine knows
	findings map[string]*committed
	passed   []int     // matches that were too many, as told
	pending  Commit    // not stored yet; the cursor may have moved without any
	quiet    time.Time // when a cursor without changes is stored at the latest
	polled   time.Time
	saved    time.Time // time of the checkpoint
	saveAt   time.Time // when to write the next one at the earliest
}

// point is a version to go back to.
type point struct {
	at       time.Time // all that happened until then has been taken
	snapshot []byte
	mark     int // of the memory
}

// committed is a finding as it was committed, or is about to be.
type committed struct {
	rule, text string
	at, last   time.Time
	count      int64
	more       int
	open       bool
	events     map[int64]struct{}
	print      uint64    // of everything else
	overAt     time.Time // when it ended, in the time of events
}

func (c *course) now() time.Time { return c.l.Now() }

// step takes the events that have come, and commits what they led to.
func (c *course) step(ctx context.Context) error {
	for {
		if err := c.poll(ctx); err != nil {
			return err
		}
		batch, err := c.l.Store.Signals(ctx, c.account, c.read, c.l.Pace.Batch)
		if err != nil {
			return err
		}
		if err := c.take(ctx, batch); err != nil {
			return err
		}
		if len(batch) < c.l.Pace.Batch {
			return c.commit(ctx, false)
		}
		if err := c.commit(ctx, false); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// wait returns when there is something to do.
func (c *course) wait(ctx context.Context) error {
	until := c.polled.Add(c.l.Pace.Poll)
	if !c.back.IsZero() && c.backAt.Before(until) {
		until = c.backAt
	}
	limited, cancel := context.WithTimeout(ctx, max(time.Millisecond, until.Sub(c.now())))
	defer cancel()
	err := c.l.Store.WaitSignals(limited, c.account, c.read)
	if err != nil && limited.Err() != nil {
		return ctx.Err()
	}
	return err
}

// sort looks at events in the order in which they were stored. What is returned are those that were in time, in
// the order in which they happened.
func (c *course) sort(batch []signals.Stored) []*signals.Stored {
	fresh := make([]*signals.Stored, 0, len(batch))
	for i := range batch {
		s := &batch[i]
		tidy(&s.Event)
		when := s.Event.When()
		c.read = s.Seq
		switch {
		case ahead(when, s.Event.ReceivedAt, c.l.Lateness):
			c.pending.Ahead++
		case c.late(when):
			c.pending.Late++
			c.ignored[s.Seq] = when
		default:
			c.newest = laterOf(c.newest, when)
			fresh = append(fresh, s)
		}
	}
	slices.SortFunc(fresh, before)
	return fresh
}

// tidy gives an event the time that is stored of it: in microseconds.
func tidy(e *signals.Event) {
	e.Time, e.ReceivedAt = e.Time.Truncate(time.Microsecond), e.ReceivedAt.Truncate(time.Microsecond)
}

func before(a, b *signals.Stored) int {
	return cmp.Or(Earlier(&a.Event, &b.Event), cmp.Compare(a.SourceID, b.SourceID), cmp.Compare(a.Seq, b.Seq))
}

// ahead says that the event is of a time that has not come when it came: a clock is wrong, or somebody lies.
func ahead(when, received time.Time, lateness time.Duration) bool {
	return !received.IsZero() && when.Sub(received) > lateness
}

// late says that it is too late for an event to have happened then.
func (c *course) late(when time.Time) bool {
	return !when.After(c.floor) || c.newest.Sub(when) > c.l.Lateness
}

// take gives the engine a batch. Where an event comes in between what was taken, it is left for going back.
func (c *course) take(ctx context.Context, batch []signals.Stored) error {
	c.busy = true
	fresh := c.sort(batch)
	next := fresh[:0]
	for _, s := range fresh {
		if c.between(&s.Event) {
			c.back = earlierOf(c.back, s.Event.When())
		} else {
			next = append(next, s)
		}
	}
	if !c.back.IsZero() && !c.now().Before(c.backAt) {
		if err := c.goBack(ctx); err != nil {
			return err
		}
		c.busy = false
		return nil
	}
	if err := c.crowd.meet(ctx, c.l.Store, c.account, next); err != nil {
		return err
	}
	for _, s := range next {
		if err := c.one(ctx, s); err != nil {
			return err
		}
	}
	if len(batch) < c.l.Pace.Batch && !c.closed {
		if err := c.close(); err != nil {
			return err
		}
	}
	c.tell(false)
	c.tidyUp()
	c.busy = false
	return nil
}

// between says that the event comes before one that was taken, or at a time that is settled.
func (c *course) between(e *signals.Event) bool {
	if c.closed {
		return !e.When().After(c.last.When())
	}
	return Earlier(e, &c.last) < 0
}

func earlierOf(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// one gives the engine the next event.
func (c *course) one(ctx context.Context, s *signals.Stored) error {
	when := s.Event.When()
	if when.After(c.last.When()) {
		if err := c.pass(ctx, when); err != nil {
			return err
		}
	}
	c.crowd.match = s.Match
	if err := c.engine.TakeStored(s); err != nil {
		return err
	}
	c.last = signals.Event{Time: when, SourceID: s.Event.SourceID}
	c.closed = false
	c.recent++
	return nil
}

// pass is what is between two times: a snapshot now and then, and lessons.
func (c *course) pass(ctx context.Context, to time.Time) error {
	if c.recent >= c.l.Pace.Snapshots || c.recent > 0 && !c.now().Before(c.ripe) {
		if err := c.snapshot(); err != nil {
			return err
		}
	}
	for c.learned < len(c.lessons) && !c.lessons[c.learned].At.After(to) {
		if err := c.learn(ctx, c.lessons[c.learned]); err != nil {
			return err
		}
		c.learned++
	}
	return nil
}

// learn learns from the events of a finding that was harmless.
func (c *course) learn(ctx context.Context, lesson Lesson) error {
	events, err := c.l.Store.SignalsBySeq(ctx, c.account, lesson.Events)
	if err != nil {
		return err
	}
	c.memory.Now(lesson.At)
	states := c.crowd.states
	all := make([]*signals.Stored, len(events))
	for i := range events {
		all[i] = &events[i]
	}
	if err := c.crowd.meet(ctx, c.l.Store, c.account, all); err != nil {
		return err
	}
	for _, s := range all {
		tidy(&s.Event)
		c.crowd.match = s.Match
		if err := c.engine.Harmless(&s.Event); err != nil {
			return err
		}
	}
	c.crowd.states = states
	return nil
}

// close settles the present time, because nothing more is there to be taken.
func (c *course) close() error {
	c.closed = true
	return c.engine.Settle()
}

// snapshot makes the present time a version.
func (c *course) snapshot() error {
	began := c.now()
	if err := c.close(); err != nil {
		return err
	}
	b, err := c.engine.Snapshot()
	if err != nil {
		c.ripe, c.recent = began.Add(time.Minute), 0
		c.l.Log.Warn("no snapshot is taken", "account", c.account, "error", err.Error())
		return nil
	}
	c.points = append(c.points, point{at: c.last.When(), snapshot: b, mark: c.memory.Mark()})
	c.recent = 0
	took := c.now().Sub(began)
	c.ripe = began.Add(max(c.l.Pace.Snapshot, 20*took))
	return nil
}
