package detect

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/signals"
)

// What trying a rule on history may take.
const (
	// MaxTryDays is how far back a trial looks for findings. Before that it learns, as far as events are kept.
	MaxTryDays = 30

	tryEvents = 500_000 // that are taken at most, the latest ones
	tryPage   = 500     // events that are in memory at once
	tryShown  = 20      // findings that are shown
	tryFound  = 100_000 // findings at which the trial ends: nobody would read them
	tryPeople = 100_000 // that are told apart
)

// Trial is what is tried: a text, or a rule that is there, as it would be set.
type Trial struct {
	Text string // as for Save; or
	Rule string // name or id

	Setting    *Setting    // nil: as it is set
	Exceptions []Exception // nil: those that it has; Rule and ID may be empty

	Days int // 1 to MaxTryDays; 0: MaxTryDays
}

// Tried is what came of a trial.
type Tried struct {
	Rules  []string  // that were tried
	From   time.Time // findings are of this time
	To     time.Time
	Events int  // within that time
	Cut    bool // there are more events than a trial takes, so From is later than was asked for

	Findings int        // of the rules
	People   int        // whom they are about
	Days     []DayCount // of each day, UTC, also those without any
	Levels   map[string]int
	Examples []Found        // the first ones
	Flooded  map[string]int // matches that were too many, by rule
	Ended    bool           // the trial ended early, since it found too much
}

// DayCount is how many findings began on a day.
type DayCount struct {
	Day   time.Time // 0:00 UTC
	Count int
}

// Try says what a rule would have found in the account's stored events. It runs what runs live, with all
// other rules as they are, since what they find is not learned; nothing is stored. progress hears how many
// events of how many have been taken, and may be nil. Fields of errors are those of Save, Set and Except,
// and days.
func (s *Rules) Try(ctx context.Context, accountID string, t Trial, progress func(done, of int)) (Tried, error) {
	t.Days = cmp.Or(t.Days, MaxTryDays)
	if t.Days < 1 || t.Days > MaxTryDays {
		return Tried{}, problem.InField("days", "%d days cannot be tried; from 1 to %d can", t.Days, MaxTryDays)
	}
	c, keys, err := s.candidate(ctx, accountID, t)
	if err != nil {
		return Tried{}, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	res := Tried{Rules: keys, From: now.AddDate(0, 0, -t.Days), To: now}
	// Habits are learned for as long again, or the first days would find what is new to nobody.
	start, count, err := s.store.SignalsReach(ctx, accountID, res.From.Add(-learningTime), tryEvents)
	if err != nil {
		return Tried{}, err
	}
	if res.Cut = start.At.After(res.From); res.Cut {
		res.From = start.At
	}
	run := &trial{s: s, account: accountID, keys: keys, res: &res, people: map[string]struct{}{}, days: map[time.Time]int{}}
	memory := NewMemory()
	if run.engine, err = NewEngine(Config{Set: c.set, Memory: memory, People: &run.crowd}); err != nil {
		return Tried{}, err
	}
	if err := run.all(ctx, start, count, progress); err != nil {
		return Tried{}, err
	}
	return res, run.finish()
}

// candidate are the account's rules, changed by the trial, and the keys of those that are tried.
func (s *Rules) candidate(ctx context.Context, accountID string, t Trial) (*compiled, []string, error) {
	c, err := s.current(ctx, accountID)
	if err != nil {
		return nil, nil, err
	}
	var keys []string
	if t.Text != "" {
		own, all, err := s.written(c.model, t.Text)
		if err != nil {
			return nil, nil, err
		}
		if c, err = s.compileWith(c, own); err != nil {
			return nil, nil, err
		}
		t.Rule, keys = own.Name, all
	}
	r, ok := c.model.find(t.Rule)
	if !ok {
		return nil, nil, errNoRule(t.Rule)
	}
	if keys == nil {
		keys = []string{r.Key()}
	}
	var items []RuleItem
	set := c.model.settings[r.Key()]
	if t.Setting != nil {
		set = *t.Setting
	}
	set.Off = false // one that is off is tried as well
	if err := c.model.checkSetting(r, set); err != nil {
		return nil, nil, err
	}
	item, err := itemOf(settingItem, r.Key(), set)
	if err != nil {
		return nil, nil, err
	}
	items = append(items, item)
	if t.Exceptions != nil {
		for _, x := range c.model.exceptionsOf(r.Key()) {
			items = append(items, RuleItem{Kind: exceptionItem, Name: x.ID})
		}
		for i, x := range t.Exceptions {
			x.Rule, x.ID, x.Values = r.Key(), fmt.Sprintf("trial-%d", i), cleanValues(x.Values)
			x.Reason = cmp.Or(x.Reason, "trial")
			if err := c.model.checkException(r, x, time.Time{}); err != nil {
				return nil, nil, err
			}
			item, err := itemOf(exceptionItem, x.ID, x)
			if err != nil {
				return nil, nil, err
			}
			items = append(items, item)
		}
	}
	next, err := c.model.with(items...)
	if err != nil {
		return nil, nil, err
	}
	after, err := compileBook(c.base, next)
	if err != nil {
		return nil, nil, err
	}
	if worse := newFaults(c.faults, after.faults); len(worse) > 0 {
		return nil, nil, inField("field", worse)
	}
	return after, keys, nil
}

// trial is a run over history.
type trial struct {
	s       *Rules
	account string
	keys    []string
	engine  *Engine
	crowd   crowd
	res     *Tried
	people  map[string]struct{}
	days    map[time.Time]int
}

// all takes the events behind the place.
func (t *trial) all(ctx context.Context, start Place, count int, progress func(done, of int)) error {
	stretch := Stretch{After: Place{At: start.At.Add(-time.Microsecond), Seq: math.MaxInt64}, Until: t.res.To, UpTo: math.MaxInt64}
	for done := 0; ; {
		page, err := t.s.store.SignalsByTime(ctx, t.account, stretch, tryPage)
		if err != nil {
			return err
		}
		events := make([]*signals.Stored, len(page))
		for i := range page {
			events[i] = &page[i]
		}
		if err := t.crowd.meet(ctx, t.s.store, t.account, events); err != nil {
			return err
		}
		for _, e := range events {
			if err := t.take(e); err != nil {
				return err
			}
			stretch.After = Place{At: e.Event.When(), Seq: e.Seq}
		}
		done += len(page)
		if progress != nil {
			progress(min(done, count), count)
		}
		if t.res.Ended = t.res.Findings >= tryFound; len(page) < tryPage || t.res.Ended {
			return nil
		}
	}
}

func (t *trial) take(e *signals.Stored) error {
	t.crowd.match = e.Match
	if !e.Event.When().Before(t.res.From) {
		t.res.Events++
	}
	got, err := t.engine.Take(&e.Event)
	if err != nil {
		return fmt.Errorf("try event %d: %w", e.Seq, err)
	}
	t.found(got.Begun, got.Ended)
	return nil
}

// found counts findings when they begin, and shows the first as they are in the end.
func (t *trial) found(begun, ended []Found) {
	for _, f := range begun {
		if !slices.Contains(t.keys, f.Rule) || f.Time.Before(t.res.From) {
			continue
		}
		t.res.Findings++
		t.days[f.Time.UTC().Truncate(24*time.Hour)]++
		if t.res.Levels == nil {
			t.res.Levels = map[string]int{}
		}
		t.res.Levels[string(f.Level)]++
		if who := cmp.Or(f.Person, f.User); who != "" && len(t.people) < tryPeople {
			t.people[who] = struct{}{}
		}
		if len(t.res.Examples) < tryShown {
			t.res.Examples = append(t.res.Examples, f)
		}
	}
	for _, f := range ended {
		if i := slices.IndexFunc(t.res.Examples, func(x Found) bool { return x.ID == f.ID }); i >= 0 {
			t.res.Examples[i] = f
		}
	}
}

func (t *trial) finish() error {
	got, err := t.engine.Finish()
	if err != nil {
		return fmt.Errorf("end the trial: %w", err)
	}
	t.found(got.Begun, got.Ended)
	t.res.People = len(t.people)
	for rule, n := range t.engine.Flooded() {
		if slices.Contains(t.keys, rule) {
			if t.res.Flooded == nil {
				t.res.Flooded = map[string]int{}
			}
			t.res.Flooded[rule] = n
		}
	}
	for day := t.res.From.Truncate(24 * time.Hour); !day.After(t.res.To); day = day.Add(24 * time.Hour) {
		t.res.Days = append(t.res.Days, DayCount{day, t.days[day]})
	}
	return nil
}
