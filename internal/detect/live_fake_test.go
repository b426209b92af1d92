package detect_test

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

// desk keeps what detection keeps, in memory. It is for what does not depend on a database: the order of
// things. It has one account, and no lease is needed.
type desk struct {
	mu       sync.Mutex
	events   []signals.Stored
	people   map[string]detect.PersonState
	state    detect.State
	profiles map[string]detect.ProfileRow
	findings map[string]*kept
	order    []string
	lessons  []detect.Lesson
	commits  int
	written  int
}

type kept struct {
	change    detect.Change
	events    map[int64]string
	withdrawn bool
}

func newDesk() *desk {
	return &desk{profiles: map[string]detect.ProfileRow{}, findings: map[string]*kept{}, people: map[string]detect.PersonState{}}
}

func (d *desk) add(e signals.Event, person string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, signals.Stored{Seq: int64(len(d.events) + 1), SourceID: "src", Match: signals.Match{PersonID: person}, Event: e})
}

func (d *desk) DetectAccounts(context.Context) ([]string, error) { return []string{"A"}, nil }

func (d *desk) LeaseDetection(context.Context, string, string, time.Time) (bool, error) {
	return true, nil
}

func (d *desk) DetectState(context.Context, string) (detect.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state, nil
}

func (d *desk) Profiles(_ context.Context, _ string, take func(string, []byte, time.Time) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.profiles {
		if err := take(p.Key, p.Value, p.Until); err != nil {
			return err
		}
	}
	return nil
}

func (d *desk) Signals(_ context.Context, _ string, after int64, limit int) ([]signals.Stored, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.events[after:]
	return slices.Clone(all[:min(limit, len(all))]), nil
}

func (d *desk) WaitSignals(ctx context.Context, _ string, after int64) error {
	for {
		d.mu.Lock()
		n := len(d.events)
		d.mu.Unlock()
		if int64(n) > after {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (d *desk) SignalTimes(ctx context.Context, account string, s detect.Stretch, limit int) ([]detect.SignalTime, error) {
	all, err := d.SignalsByTime(ctx, account, s, limit)
	var times []detect.SignalTime
	for _, e := range all {
		times = append(times, detect.SignalTime{Seq: e.Seq, At: e.Event.When(), ReceivedAt: e.Event.ReceivedAt})
	}
	return times, err
}

func (d *desk) SignalsByTime(_ context.Context, _ string, s detect.Stretch, limit int) ([]signals.Stored, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []signals.Stored
	for _, e := range d.events {
		when := e.Event.When()
		if e.Seq <= s.UpTo && !when.After(s.Until) && cmp.Or(when.Compare(s.After.At), cmp.Compare(e.Seq, s.After.Seq)) > 0 {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b signals.Stored) int {
		return cmp.Or(a.Event.When().Compare(b.Event.When()), cmp.Compare(a.Seq, b.Seq))
	})
	return all[:min(limit, len(all))], nil
}

func (d *desk) SignalsBySeq(_ context.Context, _ string, seqs []int64) ([]signals.Stored, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []signals.Stored
	for _, seq := range seqs {
		all = append(all, d.events[seq-1])
	}
	slices.SortFunc(all, func(a, b signals.Stored) int {
		return cmp.Or(a.Event.When().Compare(b.Event.When()), cmp.Compare(a.Seq, b.Seq))
	})
	return all, nil
}

func (d *desk) PeopleStates(_ context.Context, _ string, ids []string) (map[string]detect.PersonState, error) {
	states := map[string]detect.PersonState{}
	for _, id := range ids {
		if p, ok := d.people[id]; ok {
			states[id] = p
		}
	}
	return states, nil
}

func (d *desk) FindingsAfter(_ context.Context, _ string, after time.Time) ([]detect.Known, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []detect.Known
	for _, id := range d.order {
		k := d.findings[id]
		f := k.change.Found
		if !k.withdrawn && (k.change.Open || f.Time.After(after)) {
			all = append(all, detect.Known{
				ID: id, Rule: f.Rule, Text: f.Version, At: f.Time, Open: k.change.Open, Last: f.Last, Count: f.Count, More: f.More,
				Events: slices.Sorted(maps.Keys(k.events)),
			})
		}
	}
	return all, nil
}

func (d *desk) Lessons(_ context.Context, _ string, after time.Time) ([]detect.Lesson, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []detect.Lesson
	for _, l := range d.lessons {
		if l.At.IsZero() || l.At.After(after) {
			all = append(all, l)
		}
	}
	return all, nil
}

func (d *desk) CommitDetection(_ context.Context, c detect.Commit) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.From != d.state.Version {
		return detect.ErrOvertaken()
	}
	d.commits++
	d.state.Version++
	d.state.Cursor = c.Cursor
	d.state.Late += c.Late
	d.state.Ahead += c.Ahead
	for _, x := range c.Changes {
		k := d.findings[x.Found.ID]
		if k == nil {
			k = &kept{}
			d.findings[x.Found.ID] = k
			d.order = append(d.order, x.Found.ID)
		}
		if k.events == nil || x.Anew {
			k.events = map[int64]string{}
		}
		k.change, k.withdrawn = x, false
		for _, e := range x.Events {
			k.events[e.Seq] = e.ID
		}
	}
	for _, id := range c.Withdrawn {
		d.findings[id].withdrawn = true
	}
	for _, id := range c.Over {
		d.findings[id].change.Open = false
	}
	for _, l := range c.Learned {
		d.lessons[l.Number-1].At = l.At
	}
	return nil
}

func (d *desk) WriteCheckpoint(_ context.Context, c detect.Checkpoint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.From != d.state.Version {
		return detect.ErrOvertaken()
	}
	d.written++
	d.state.Version++
	d.state.CheckpointAt, d.state.Windows, d.state.Rules = c.At, bytes.Clone(c.Windows), c.Rules
	for _, p := range c.Profiles {
		if p.Value == nil {
			delete(d.profiles, p.Key)
			continue
		}
		p.Value = bytes.Clone(p.Value)
		d.profiles[p.Key] = p
	}
	return nil
}

// book is the rules of everybody.
type book struct {
	mu       sync.Mutex
	set      *detect.Set
	revision int64
}

func (b *book) Rules(context.Context, string) (*detect.Set, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.set, b.revision, nil
}

func (b *book) change(set *detect.Set) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set = set
	b.revision++
}

// live is a process that works on the desk.
func live(t testing.TB, d *desk, rules *book, pace detect.Pace) *detect.Live {
	t.Helper()
	return detect.NewLive(detect.LiveConfig{Store: d, Rules: rules, Now: time.Now, Lateness: 10 * time.Minute, Pace: pace})
}
