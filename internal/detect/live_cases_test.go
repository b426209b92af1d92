package detect_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

func begin(t testing.TB, l *detect.Live) *detect.Course {
	t.Helper()
	c, err := l.Begin(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func step(t testing.TB, c *detect.Course) {
	t.Helper()
	if err := c.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestLiveLate is that what is too late, or of the future, is counted and changes nothing, and that it is the
// same events wherever processes end.
func TestLiveLate(t *testing.T) {
	set := compile(t, several, nil)
	total := int64(0)
	for seed := range uint64(20) {
		d := newDice(seed + 100)
		events := shuffle(d, story(d, 120), 25*time.Minute)
		var want []signals.Event
		var newest time.Time
		late, future := int64(0), int64(0)
		for i := range events {
			if d.IntN(15) == 0 {
				events[i].ReceivedAt = events[i].Time.Add(-10*time.Minute - time.Second)
			}
			switch e := events[i]; {
			case e.Time.Sub(e.ReceivedAt) > 10*time.Minute:
				future++
			case newest.Sub(e.Time) > 10*time.Minute:
				late++
			default:
				want = append(want, e)
				if e.Time.After(newest) {
					newest = e.Time
				}
			}
		}
		slices.SortFunc(want, func(a, b signals.Event) int { return detect.Earlier(&a, &b) })
		store, rules := newDesk(), &book{set: set, revision: 1}
		c := begin(t, live(t, store, rules, hasty()))
		for _, e := range events {
			store.add(e, "")
			if d.IntN(5) == 0 {
				step(t, c)
			}
			if d.IntN(12) == 0 {
				step(t, c)
				c = begin(t, live(t, store, rules, hasty()))
			}
		}
		step(t, c)
		if err := c.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(reference(t, set, nil, want), store.standing()); diff != "" {
			t.Fatalf("seed %d (-run over those in time +live):\n%s", seed, diff)
		}
		if store.state.Late != late || store.state.Ahead != future {
			t.Errorf("seed %d: %d late and %d ahead, want %d and %d", seed, store.state.Late, store.state.Ahead, late, future)
		}
		total += late + future
	}
	if total < 200 {
		t.Errorf("%d events were late or ahead; the test tests too little", total)
	}
}

// TestLiveRules is a change of rules: findings of what changed end, the others go on, and what happened before
// is not looked at again.
func TestLiveRules(t *testing.T) {
	before := compile(t, several, nil)
	after := compile(t, strings.NewReplacer("title: Exactly two", "title: Two", "title: Never seen here\nname: new_address", "title: All\nname: all", "holdfast.known_address: false", "activity_name: Logon").Replace(several), nil)
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart=", restart), func(t *testing.T) {
			store, rules := newDesk(), &book{set: before, revision: 1}
			c := begin(t, live(t, store, rules, hasty()))
			past, events := habits("ann@example.com", 20), burst()
			for _, e := range append(past, events[:2]...) {
				store.add(e, "")
			}
			step(t, c)
			rules.change(after)
			if restart {
				if err := c.Leave(t.Context()); err != nil {
					t.Fatal(err)
				}
				c = begin(t, live(t, store, rules, hasty()))
			}
			step(t, c)
			if !store.state.CheckpointAt.Equal(events[1].Time) || store.state.Rules != 2 {
				t.Errorf("the checkpoint is of %s and rules %d, want that of the last event, and of 2", store.state.CheckpointAt, store.state.Rules)
			}
			store.add(events[0], "") // it is over
			for _, e := range events[2:] {
				store.add(e, "")
			}
			step(t, c)
			got := map[string]string{}
			for _, id := range store.order {
				k := store.findings[id]
				if f := k.change.Found; f.Time.After(past[19].Time.Add(time.Hour)) {
					got[f.Title] = fmt.Sprintf("%t x%d %d", k.change.Open, f.Count, len(k.events))
				}
			}
			want := map[string]string{
				"Failure": "true x4 4", "Exactly two": "false x2 2", "Never seen here": "false x2 2",
				"Then success": "true x2 5", "All": "true x3 3", "Two": "false x2 2",
			}
			if restart { // what is not settled is taken again, by the new rules
				want["Two"], want["All"] = "false x2 4", "true x5 5"
				delete(want, "Exactly two")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if store.state.Late != 1 {
				t.Errorf("%d events were late, want the one from before the change", store.state.Late)
			}
		})
	}
}

// TestLiveHarmless is that habits are learned from what was judged to be harmless, once, wherever processes
// end, and when events come in between.
func TestLiveHarmless(t *testing.T) {
	set := compile(t, newCountry, nil)
	events := habits("ann@example.com", 25)
	away := func(name string, at time.Time) signals.Event {
		e := signIn(name, "ann@example.com", at)
		e.Src.Location.Country, e.Src.IP = "AU", "198.51.100.7"
		return e
	}
	noon := monday().AddDate(0, 0, 25)
	play := func(every int) (lines []string) {
		store, rules := newDesk(), &book{set: set, revision: 1}
		c := begin(t, live(t, store, rules, hasty()))
		n := 0
		add := func(e signals.Event) {
			store.add(e, "")
			if n++; every > 0 && n%every == 0 {
				c = begin(t, live(t, store, rules, hasty()))
			}
			step(t, c)
		}
		for _, e := range events {
			add(e)
		}
		add(away("one", noon))
		for _, id := range store.order {
			store.lessons = append(store.lessons, detect.Lesson{Number: 1, FindingID: id, Events: []int64{int64(len(store.events))}})
		}
		step(t, c)
		if len(store.lessons) != 1 || !store.lessons[0].At.After(noon) {
			t.Fatalf("lessons are %v, want one that is applied", store.lessons)
		}
		add(away("two", noon.Add(5*time.Hour)))
		add(signIn("between", "bob@example.com", noon.Add(5*time.Hour-3*time.Minute)))
		e := away("three", noon.Add(30*time.Hour))
		e.Src.Location.Country = "NZ"
		add(e)
		return store.standing()
	}
	want := play(0)
	if len(want) != 2 || !strings.Contains(want[0], "[one]") || !strings.Contains(want[1], "[three]") {
		t.Fatalf("findings are %q, want those of one and three", want)
	}
	for _, every := range []int{1, 3, 7} {
		if diff := cmp.Diff(want, play(every)); diff != "" {
			t.Errorf("a new process every %d events (-one process +several):\n%s", every, diff)
		}
	}
}

// TestLiveSuspended is that taking an event again does not see the person as they are by now.
func TestLiveSuspended(t *testing.T) {
	set := compile(t, `title: Suspended person
name: suspended
logsource: {category: authentication}
taxonomy: ocsf
level: high
detection: {s: {holdfast.suspended: true}, condition: s}
`, nil)
	store, rules := newDesk(), &book{set: set, revision: 1}
	start := monday()
	store.add(signIn("before", "ann@example.com", start), "P")
	step(t, begin(t, live(t, store, rules, hasty())))
	store.people["P"] = detect.PersonState{ID: "P", Holds: []detect.Span{{From: start.Add(time.Second), Until: start.Add(time.Minute)}}}
	store.add(signIn("while", "ann@example.com", start.Add(2*time.Second)), "P")
	store.add(signIn("after", "ann@example.com", start.Add(time.Minute)), "P")
	step(t, begin(t, live(t, store, rules, hasty())))
	got := store.standing()
	if len(got) != 1 || !strings.Contains(got[0], "[while]") || !strings.Contains(got[0], "person:P P") {
		t.Errorf("findings are %q, want one, of the event while the person was suspended", got)
	}
}

// TestLiveDamaged is that what cannot be read is said, forgotten, and does not stop anything.
func TestLiveDamaged(t *testing.T) {
	set := compile(t, several, nil)
	d := newDice(7)
	store, rules := newDesk(), &book{set: set, revision: 1}
	c := begin(t, live(t, store, rules, hasty()))
	events := story(d, 200)
	for i, e := range events {
		if i == 150 {
			if err := c.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			gone := store.withdrawn()
			store.state.Windows = store.state.Windows[:len(store.state.Windows)/2]
			for key, p := range store.profiles {
				p.Value = append([]byte{1}, bytes.Repeat([]byte{0xff}, 30)...)
				store.profiles[key] = p
				break
			}
			var log bytes.Buffer
			c = begin(t, detect.NewLive(detect.LiveConfig{
				Store: store, Rules: rules, Now: time.Now, Lateness: 10 * time.Minute, Pace: hasty(), Log: slog.New(slog.NewTextHandler(&log, nil)),
			}))
			step(t, c)
			if n := store.withdrawn(); n > gone {
				t.Errorf("%d findings are withdrawn: that they are not found again has another reason", n-gone)
			}
			if got := strings.Count(log.String(), "level=ERROR"); got != 2 {
				t.Errorf("the log is %s, want two errors", log.String())
			}
		}
		store.add(e, "")
		step(t, c)
	}
	if err := c.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := store.findings[store.order[len(store.order)-1]]; last.change.Found.Time.Before(events[150].Time) {
		t.Error("nothing is found any more")
	}
}

// TestLiveRun is the service: it takes what comes while two of them run, and leaves a checkpoint.
func TestLiveRun(t *testing.T) {
	set := compile(t, several, nil)
	d := newDice(11)
	events := story(d, 200)
	want := reference(t, set, nil, events)
	synctest.Test(t, func(t *testing.T) {
		store, rules := newDesk(), &book{set: set, revision: 1}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		for range 2 {
			go func() {
				live(t, store, rules, detect.Pace{Batch: 20, Snapshots: 10, Poll: 50 * time.Millisecond, Look: time.Second}).Run(ctx)
				done <- struct{}{}
			}()
		}
		for _, e := range events {
			store.add(e, "")
			time.Sleep(time.Duration(d.IntN(100)) * time.Millisecond)
		}
		time.Sleep(30 * time.Second)
		stop()
		<-done
		<-done
		if diff := cmp.Diff(want, store.standing()); diff != "" {
			t.Errorf("findings (-run +live):\n%s", diff)
		}
		if store.state.Cursor != 200 || store.state.CheckpointAt.Before(events[150].Time) {
			t.Errorf("the cursor is %d, the checkpoint of %s; the last event is of %s", store.state.Cursor, store.state.CheckpointAt, events[199].Time)
		}
	})
}
