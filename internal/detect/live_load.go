package detect

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// load makes the engine what the database says: it begins at the checkpoint and takes again what has come since.
func (l *Live) load(ctx context.Context, account string) (*course, error) {
	state, err := l.Store.DetectState(ctx, account)
	if err != nil {
		return nil, err
	}
	set, rules, err := l.Rules.Rules(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("load the rules: %w", err)
	}
	c := &course{
		l: l, account: account, version: state.Version, cursor: state.Cursor, read: state.Cursor, rules: rules, set: set,
		newest: state.CheckpointAt, floor: state.CheckpointAt, saved: state.CheckpointAt, polled: l.Now(),
		memory: NewVersions(), ignored: map[int64]time.Time{}, findings: map[string]*committed{},
	}
	if err := c.remember(ctx); err != nil {
		return nil, err
	}
	if c.engine, err = c.build(set); err != nil {
		return nil, err
	}
	c.passed = make([]int, len(set.rules))
	snapshot := state.Windows
	if snapshot != nil {
		if err := c.engine.Restore(snapshot); err != nil {
			l.Log.ErrorContext(ctx, "stored windows cannot be read; they begin empty", "account", account, "error", err.Error())
			snapshot, c.maimed = nil, true
		}
	}
	if snapshot == nil {
		if snapshot, err = c.engine.Snapshot(); err != nil {
			return nil, err
		}
	}
	copy(c.passed, c.engine.passed)
	c.points = []point{{at: state.CheckpointAt, snapshot: snapshot, mark: c.memory.Mark()}}
	c.memory.Settle(c.points[0].mark)
	if err := c.recall(ctx, state.CheckpointAt); err != nil {
		return nil, err
	}
	if err := c.again(ctx, state.CheckpointAt, c.newest); err != nil {
		return nil, err
	}
	c.maimed = false
	if !state.CheckpointAt.IsZero() && state.Rules != rules {
		return c, c.line(ctx, set, rules)
	}
	return c, nil
}

func (c *course) build(set *Set) (*Engine, error) {
	return NewEngine(Config{Set: set, Memory: c.memory, People: &c.crowd, Suppress: c.l.Suppress, AllFeatures: true, Track: true})
}

// remember loads the profiles. One that is damaged is forgotten: habits are learned again.
func (c *course) remember(ctx context.Context) error {
	damaged := 0
	err := c.l.Store.Profiles(ctx, c.account, func(key string, value []byte, until time.Time) error {
		if err := checkProfile(key, value); err != nil {
			damaged++
			c.memory.Spoil(key)
			return nil
		}
		c.memory.Load(key, value, until)
		return nil
	})
	if damaged > 0 {
		c.l.Log.ErrorContext(ctx, "stored profiles cannot be read; what they remember is learned again", "account", c.account, "profiles", damaged)
	}
	return err
}

// recall loads what is known of the time after the checkpoint: findings, lessons, and which events came too
// late. That follows from the times of the events in the order in which they came.
func (c *course) recall(ctx context.Context, from time.Time) error {
	findings, err := c.l.Store.FindingsAfter(ctx, c.account, from)
	if err != nil {
		return err
	}
	for _, f := range findings {
		k := &committed{rule: f.Rule, text: f.Text, at: f.At, last: f.Last, count: f.Count, more: f.More, open: f.Open, events: map[int64]struct{}{}, overAt: f.Last}
		for _, seq := range f.Events {
			k.events[seq] = struct{}{}
		}
		c.findings[f.ID] = k
	}
	lessons, err := c.l.Store.Lessons(ctx, c.account, from)
	if err != nil {
		return err
	}
	c.lessons = slices.DeleteFunc(lessons, func(l Lesson) bool { return l.At.IsZero() })
	slices.SortFunc(c.lessons, func(a, b Lesson) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Number, b.Number)) })

	const page = 5000
	s := Stretch{After: Place{At: from, Seq: math.MaxInt64}, Until: end(), UpTo: c.cursor}
	var all []SignalTime
	for {
		times, err := c.l.Store.SignalTimes(ctx, c.account, s, page)
		if err != nil {
			return err
		}
		all = append(all, times...)
		if len(times) < page {
			break
		}
		last := times[len(times)-1]
		s.After = Place{At: last.At, Seq: last.Seq}
	}
	slices.SortFunc(all, func(a, b SignalTime) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, t := range all {
		switch {
		case ahead(t.At, t.ReceivedAt, c.l.Lateness):
		case c.late(t.At):
			c.ignored[t.Seq] = t.At
		default:
			c.newest = laterOf(c.newest, t.At)
		}
	}
	return nil
}

// end is a time that nothing happens after.
func end() time.Time { return time.Unix(1<<40, 0) }

// poll looks for rules that have changed and findings that were judged, now and then.
func (c *course) poll(ctx context.Context) error {
	if c.now().Before(c.polled.Add(c.l.Pace.Poll)) {
		return nil
	}
	c.polled = c.now()
	set, rules, err := c.l.Rules.Rules(ctx, c.account)
	if err != nil {
		return fmt.Errorf("load the rules: %w", err)
	}
	if rules != c.rules {
		if err := c.line(ctx, set, rules); err != nil {
			return err
		}
	}
	lessons, err := c.l.Store.Lessons(ctx, c.account, end()) // none is applied so late: the new ones
	if err != nil {
		return err
	}
	for _, lesson := range lessons {
		if !lesson.At.IsZero() || slices.ContainsFunc(c.pending.Learned, func(l Lesson) bool { return l.Number == lesson.Number }) {
			continue
		}
		lesson.At = c.last.When().Add(time.Microsecond)
		c.lessons = append(c.lessons, lesson)
		c.pending.Learned = append(c.pending.Learned, lesson)
	}
	return nil
}

// line goes over to other rules. What happened until now is over for good: the old rules have looked at it.
func (c *course) line(ctx context.Context, set *Set, rules int64) error {
	c.busy = true
	if !c.back.IsZero() {
		if err := c.goBack(ctx); err != nil {
			return err
		}
	}
	if err := c.close(); err != nil {
		return err
	}
	c.tell(false)
	now := c.last.When()
	next, err := c.build(set)
	if err != nil {
		return fmt.Errorf("go over to other rules: %w", err)
	}
	snapshot, err := c.engine.Snapshot()
	if err == nil {
		err = next.Restore(snapshot)
	}
	if err != nil {
		c.l.Log.WarnContext(ctx, "windows are not kept over a change of rules", "account", c.account, "error", err.Error())
	}
	c.engine, c.set, c.rules = next, set, rules
	c.passed = slices.Clone(next.passed)
	if snapshot, err = next.Snapshot(); err != nil {
		return err
	}
	c.points = []point{{at: now, snapshot: snapshot, mark: c.memory.Mark()}}
	c.memory.Settle(c.points[0].mark)
	c.floor, c.recent = now, 0
	c.engine.TouchOpen()
	c.withdraw(now, c.tell(false))
	c.forget()
	c.busy = false
	if err := c.commit(ctx, true); err != nil {
		return err
	}
	return c.checkpoint(ctx, true)
}
