package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/signals"
)

// lines are events at these minutes, in the form of 1Password; a negative one cannot be read.
func lines(minutes ...int) string {
	var b strings.Builder
	for i, m := range minutes {
		if m < 0 {
			b.WriteString("{]\n")
			continue
		}
		at := time.Date(2026, 3, 2, 9, m, 0, 0, time.UTC).Format(time.RFC3339)
		fmt.Fprintf(&b, `{"uuid":"E%d","timestamp":%q,"category":"success","type":"credentials_ok","target_user":{"email":"mira@example.org"}}`+"\n", i, at)
	}
	return b.String()
}

func TestEventFile(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		sorted bool
		most   int
		want   string // ids
		err    string
		told   string
	}{
		"any-order":            {lines(3, 1, 2), false, maxHeld, "E1 E2 E0", "", ""},
		"one-time":             {lines(1, 1, 1), false, maxHeld, "E0 E1 E2", "", ""},
		"large-and-in-order":   {lines(1, 2, 3, 4), false, 2000, "E0 E1 E2 E3", "", ""},
		"large-and-not":        {lines(2, 1, 3, 4), false, 2000, "", "f is too large to be sorted in memory; sort it by time and use --sorted", ""},
		"large-and-not-later":  {lines(1, 2, 3, 2), false, 2000, "E0 E1 E2", `f is not in order of time: event "E3" of 2026-03-02 09:02:00 UTC comes after "E2" of 2026-03-02 09:03:00 UTC; sort it`, ""},
		"sorted":               {lines(1, 2, 2, 3), true, maxHeld, "E0 E1 E2 E3", "", ""},
		"sorted-it-said":       {lines(1, 3, 2), true, maxHeld, "E0 E1", `f is not in order of time: event "E2" of 2026-03-02 09:02:00 UTC comes after "E1" of 2026-03-02 09:03:00 UTC; sort it, or leave --sorted out`, ""},
		"refused":              {lines(1, -1, 2), false, maxHeld, "E0 E2", "", "f:2: "},
		"nothing":              {"", false, maxHeld, "", "", ""},
		"more-refused-than-20": {strings.Repeat("{]\n", 25) + lines(1), false, maxHeld, "E0", "", "… and more\n"},
	} {
		t.Run(name, func(t *testing.T) {
			decoder, err := signals.NewDecoder(signals.OnePassword)
			if err != nil {
				t.Fatal(err)
			}
			var told bytes.Buffer
			f := &eventFile{name: "f", sorted: c.sorted, most: c.most, std: stdio{err: &told, out: io.Discard}, tried: &tried{}, read: func() {}}
			var got []string
			for e := range f.events(signals.Read(strings.NewReader(c.text), decoder)) {
				got = append(got, e.SourceID)
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if text := fmt.Sprint(f.err); c.err == "" && f.err != nil || c.err != "" && text != c.err {
				t.Errorf("the error is %s, want %s", text, c.err)
			}
			if !strings.Contains(told.String(), c.told) || strings.Count(told.String(), "\n") > shownErrors+1 {
				t.Errorf("told: %s", told.String())
			}
		})
	}
}

// TestScore is what counts as found, by when the finding came and whom it was about.
func TestScore(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 2, 9, minute, 0, 0, time.UTC) }
	event := func(id, user string, minute int, success bool, tr truth) *labelled {
		e := signals.Event{SourceID: id, Time: at(minute), Class: signals.ClassAuthentication, Activity: signals.Logon, StatusID: signals.StatusFailure, User: signals.User{Email: user}}
		if success {
			e.StatusID = signals.StatusSuccess
		}
		return &labelled{e, tr}
	}
	history := []*labelled{
		event("b", "Ben@example.org", 0, true, truth{}),
		event("t1", "ann@example.org", 1, false, truth{Kind: "spray", Attack: 1}),
		event("t2", "ben@example.org", 2, false, truth{Kind: "spray", Attack: 1}),
		event("t3", "ann@example.org", 3, true, truth{Kind: "spray", Attack: 1, Takeover: true}),
		event("t4", "ann@example.org", 5, true, truth{Kind: "spray", Attack: 1}),
	}
	type hit struct {
		id     string
		minute int
		alone  bool
		high   bool
	}
	for name, c := range map[string]struct {
		hits        []hit
		found, seen string // minutes, or nothing
	}{
		"nothing":                         {nil, "", ""},
		"low":                             {[]hit{{"t3", 3, true, false}}, "", ""},
		"the-takeover":                    {[]hit{{"t3", 3, true, true}}, "3", "3"},
		"what-came-after":                 {[]hit{{"t4", 5, false, true}}, "5", "5"},
		"another-person-before":           {[]hit{{"t2", 2, true, true}}, "", "2"},
		"the-victim-before":               {[]hit{{"t1", 1, true, true}}, "1", "1"},
		"the-victim-among-others-before":  {[]hit{{"t1", 1, false, true}}, "", "1"},
		"among-others-and-then-the-event": {[]hit{{"t1", 1, false, true}, {"t3", 3, false, true}}, "3", "1"},
		"a-benign-event":                  {[]hit{{"b", 1, true, true}}, "", ""},
		"the-victim-before-said-late":     {[]hit{{"t1", 4, true, true}}, "4", "4"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScore()
			for _, l := range history {
				s.note(l)
				for _, h := range c.hits {
					if h.minute == l.event.Time.Minute() || h.minute == 4 && l.event.SourceID == "t4" {
						s.hit(h.id, h.high, at(h.minute), h.alone)
					}
				}
			}
			minute := func(x time.Time) string {
				if x.IsZero() {
					return ""
				}
				return fmt.Sprint(x.Minute())
			}
			a := s.attacks[1]
			if minute(a.found) != c.found || minute(a.seen) != c.seen {
				t.Errorf("found %q and seen %q, want %q and %q", minute(a.found), minute(a.seen), c.found, c.seen)
			}
			if a.victim != "ann@example.org" || len(s.people) != 1 {
				t.Errorf("the victim is %q, there are %d people", a.victim, len(s.people))
			}
		})
	}
}
