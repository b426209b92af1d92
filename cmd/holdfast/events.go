package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/feed"
	"holdfast/internal/problem"
)

type eventsCmd struct {
	Tail eventsTailCmd `cmd:"" help:"Show events as they happen."`
}

type eventsTailCmd struct {
	accountFlag
	Stream []string      `placeholder:"STREAM" complete:"signinattempts itemusages auditevents" help:"Only these: signinattempts, itemusages, auditevents. Repeat, or separate by commas (default: all)."`
	Since  time.Duration `default:"10m" placeholder:"TIME" help:"Begin with what happened within this time, such as 1h; 0s for nothing (default: 10m)."`
	Follow bool          `default:"true" negatable:"" help:"Go on with what happens, until Ctrl-C (default)."`
	JSON   bool          `name:"json" help:"Print each event as the Events API has it, one JSON object a line, with its stream."`
}

// tailRead is how many events of a stream are read at a time.
const tailRead = 500

func (c *eventsTailCmd) Run(ctx context.Context, g *globals, std stdio) error {
	streams, err := chosenStreams(c.Stream)
	if err != nil {
		return err
	}
	if c.Since < 0 {
		return problem.New(problem.Invalid, "--since is %s; it must not be negative", c.Since)
	}
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	t := &tail{store: h.db, account: account, from: time.Now().Add(-c.Since), out: newEventLines(std, c.JSON)}
	if err := t.begin(ctx, streams, c.Since == 0); err != nil {
		return interrupted(ctx, err)
	}
	for {
		if err := t.print(ctx); err != nil {
			return interrupted(ctx, err)
		}
		if !c.Follow {
			return nil
		}
		if err := t.wait(ctx); err != nil {
			return interrupted(ctx, err)
		}
	}
}

// interrupted is no error if the person has ended what would go on for ever.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func chosenStreams(names []string) ([]feed.Stream, error) {
	if len(names) == 0 {
		return feed.Streams(), nil
	}
	var chosen []feed.Stream
	for _, name := range names {
		s := feed.Stream(strings.ToLower(name))
		if !slices.Contains(feed.Streams(), s) {
			return nil, problem.New(problem.Invalid, "there is no stream %q; there are signinattempts, itemusages and auditevents", name)
		}
		if !slices.Contains(chosen, s) {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// tail reads streams side by side and prints their events in the order of their times.
type tail struct {
	store   feed.Store
	account string
	from    time.Time
	streams []*tailed
	out     *eventLines
}

// tailed is a stream, and what was read of it and not printed.
type tailed struct {
	stream feed.Stream
	after  int64 // number of the last one that was read
	events []tailEvent
	ended  bool // nothing more was there when it was read last
}

// tailEvent is an event of any stream.
type tailEvent struct {
	feed.Event
	stream feed.Stream
	view   any // as the Events API has it
	line   eventLine
}

// begin finds where each stream begins: at its end, or with what happened since.
func (t *tail) begin(ctx context.Context, streams []feed.Stream, atEnd bool) error {
	for _, s := range streams {
		_, after, err := t.store.Bounds(ctx, t.account, s)
		if err == nil && !atEnd {
			after, err = feed.After(ctx, t.store, t.account, s, t.from)
		}
		if err != nil {
			return fmt.Errorf("find the beginning of %s: %w", s, err)
		}
		t.streams = append(t.streams, &tailed{stream: s, after: after})
	}
	return nil
}

// print prints what there is, oldest first, until all streams are at their end.
func (t *tail) print(ctx context.Context) error {
	for _, s := range t.streams {
		s.ended = false
	}
	for {
		var next *tailed
		for _, s := range t.streams {
			for len(s.events) == 0 && !s.ended {
				if err := t.read(ctx, s); err != nil {
					return err
				}
			}
			if len(s.events) > 0 && (next == nil || s.events[0].At.Before(next.events[0].At)) {
				next = s
			}
		}
		if next == nil {
			return nil
		}
		if err := t.out.print(next.events[0]); err != nil {
			return fmt.Errorf("print event: %w", err)
		}
		next.events = next.events[1:]
	}
}

// read reads the next events of a stream.
func (t *tail) read(ctx context.Context, s *tailed) error {
	found, n, last, err := readEvents(ctx, t.store, t.account, s.stream, s.after)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.stream, err)
	}
	if s.ended = n < tailRead; n > 0 {
		s.after = last
	}
	for _, e := range found {
		if !e.At.Before(t.from) {
			s.events = append(s.events, e)
		}
	}
	return nil
}

// readEvents reads events of a stream after a number: those that readers see, how many there were, and the number of
// the last.
func readEvents(ctx context.Context, store feed.Store, account string, s feed.Stream, after int64) (found []tailEvent, n int, last int64, err error) {
	add := func(e feed.Event, view any, line eventLine) {
		n++
		last = e.Seq
		if view != nil {
			found = append(found, tailEvent{e, s, view, line})
		}
	}
	switch s {
	case feed.SignInAttempts:
		all, err := store.FeedAttempts(ctx, account, after, tailRead)
		for _, a := range all {
			add(a.Event, feed.ViewAttempt(a, account), attemptLine(a))
		}
		return found, n, last, err
	case feed.ItemUsages:
		all, err := store.FeedUsages(ctx, account, after, tailRead)
		for _, u := range all {
			add(u.Event, feed.ViewUsage(u, account), usageLine(u))
		}
		return found, n, last, err
	}
	all, err := store.FeedAudited(ctx, account, after, tailRead)
	for _, a := range all {
		add(a.Event, feed.ViewAudited(a, account), auditedLine(a))
	}
	return found, n, last, err
}

// wait returns once any of the streams has something new.
func (t *tail) wait(ctx context.Context) error {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	results := make(chan error, len(t.streams))
	for _, s := range t.streams {
		go func() { results <- t.store.WaitEvents(waiting, t.account, s.stream, s.after) }()
	}
	first := <-results
	stop()
	for range len(t.streams) - 1 { // none of them is left behind
		<-results
	}
	return cmp.Or(ctx.Err(), first)
}

// jsonLine is the event with the name of its stream in front.
func jsonLine(e tailEvent) ([]byte, error) {
	stream, err := json.Marshal(e.stream)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it is read by programs and people, not put into a page
	if err := enc.Encode(e.view); err != nil {
		return nil, err
	}
	return []byte(`{"stream":` + string(stream) + "," + strings.TrimPrefix(b.String(), "{")), nil
}
