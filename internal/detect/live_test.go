package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

// few is a rule that an earlier event can keep from matching, so that a finding is less than it was.
const few = `---
title: Few
name: few
logsource: {category: authentication}
taxonomy: ocsf
level: low
detection: {s: {holdfast.failures_person_10m|lt: 3, status: Failure}, condition: s}
`

// hasty does everything as often as it can.
func hasty() detect.Pace {
	return detect.Pace{Batch: 7, Snapshots: 9, Snapshot: time.Nanosecond, Checkpoint: time.Nanosecond, Poll: time.Nanosecond, Share: -1}
}

// shuffle lets events come up to so late, in the time of events.
func shuffle(d dice, events []signals.Event, late time.Duration) []signals.Event {
	type arrival struct {
		at time.Time
		e  signals.Event
	}
	var all []arrival
	for _, e := range events {
		delay := time.Duration(0)
		if d.IntN(4) == 0 {
			delay = time.Duration(d.IntN(int(late/time.Second))) * time.Second
		}
		all = append(all, arrival{e.Time.Add(delay), e})
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return a.at.Compare(b.at) })
	var out []signals.Event
	for _, a := range all {
		a.e.ReceivedAt = a.at
		out = append(out, a.e)
	}
	return out
}

// line is a finding as a line, with everything that is stored of it.
func line(f detect.Found) string {
	var s strings.Builder
	s.WriteString(fmt.Sprintf("%s %s %s %s %s", f.ID, plain([]detect.Found{f})[0], f.Subject, f.PersonID, f.Version))
	for _, v := range f.Features {
		s.WriteString(fmt.Sprint(" ", v.Name, v.Value.Texts()))
	}
	return s.String()
}

// reference is what Run finds.
func reference(t testing.TB, set *detect.Set, people detect.People, events []signals.Event) (lines []string) {
	t.Helper()
	x, err := detect.NewEngine(detect.Config{Set: set, Memory: detect.NewVersions(), People: people, AllFeatures: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range run(t, x, events) {
		f.Seqs = nil
		lines = append(lines, line(f))
	}
	return lines
}

// standing are the findings of a desk that are not withdrawn.
func (d *desk) standing() (lines []string) {
	var all []detect.Found
	for _, k := range d.findings {
		if k.withdrawn {
			continue
		}
		f := k.change.Found
		all = append(all, f)
	}
	detect.OrderFound(all)
	for i := range all {
		k := d.findings[all[i].ID]
		var events []signals.Stored
		for seq := range k.events {
			events = append(events, d.events[seq-1])
		}
		slices.SortFunc(events, func(a, b signals.Stored) int { return detect.Earlier(&a.Event, &b.Event) })
		all[i].Events = nil
		for _, e := range events {
			all[i].Events = append(all[i].Events, e.Event.SourceID)
		}
		lines = append(lines, line(all[i]))
	}
	return lines
}

func (d *desk) withdrawn() (n int) {
	for _, k := range d.findings {
		if k.withdrawn {
			n++
		}
	}
	return n
}

// byEmail matches people by address.
type byEmail map[string]string

func (b byEmail) Person(e *signals.Event) (detect.Person, bool) {
	id, ok := b[e.User.Email]
	return detect.Person{ID: id}, ok
}

// TestLiveOrder is that whatever order events come in, however often processes end, and however many there
// are: what is found is what Run finds.
func TestLiveOrder(t *testing.T) {
	set := compile(t, several+few, nil)
	people := byEmail{"a@example.com": "PA", "b@example.com": "PB"}
	withdrawn, late := 0, int64(0)
	for seed := range uint64(30) {
		d := newDice(seed)
		events := story(d, 120)
		want := reference(t, set, people, events)
		store, rules := newDesk(), &book{set: set, revision: 1}
		procs := [2]*detect.Course{}
		step := func(i int) {
			for {
				if procs[i] == nil {
					c, err := live(t, store, rules, hasty()).Begin(t.Context(), "A")
					if err != nil {
						t.Fatal(err)
					}
					procs[i] = c
				}
				err := procs[i].Step(t.Context())
				if err == nil {
					return
				}
				if !detect.Overtaken(err) {
					t.Fatal(err)
				}
				procs[i] = nil
			}
		}
		for _, e := range shuffle(d, events, 9*time.Minute) {
			store.add(e, people[e.User.Email])
			if d.IntN(4) == 0 {
				step(0)
			}
			if d.IntN(15) == 0 {
				step(1)
			}
			switch d.IntN(30) {
			case 0: // it dies
				procs[0] = nil
			case 1: // it ends
				if procs[0] != nil {
					if err := procs[0].Leave(t.Context()); err != nil && !detect.Overtaken(err) {
						t.Fatal(err)
					}
					procs[0] = nil
				}
			}
		}
		step(0)
		if err := procs[0].Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, store.standing()); diff != "" {
			t.Fatalf("seed %d (-run +live):\n%s", seed, diff)
		}
		withdrawn += store.withdrawn()
		late += store.state.Late
		if store.state.Cursor != int64(len(events)) || store.written == 0 {
			t.Fatalf("seed %d: the cursor is %d of %d, %d checkpoints", seed, store.state.Cursor, len(events), store.written)
		}
	}
	if withdrawn == 0 || late > 0 {
		t.Errorf("%d findings were withdrawn, want some; %d events were late, want none", withdrawn, late)
	}
}
