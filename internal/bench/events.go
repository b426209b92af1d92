package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"holdfast/internal/config"
	"holdfast/internal/store"
)

// EventsServer is a Holdfast that was made and is not yet running, without limits for events tokens, and the
// store in which it is written that somebody tried to sign in.
type EventsServer interface {
	Server
	Store() *store.DB
}

// The rows of [Events].
const (
	rowPoll       = "poll at the end"
	rowReset      = "reset in the middle"
	rowFeed       = "feed"
	rowFailHere   = "failure"
	rowFailOther  = "failure elsewhere"
	rowEnterHere  = "sign-in"
	rowEnterOther = "sign-in elsewhere"
)

// EventsRows are the rows of [Events], in their order.
func EventsRows() []string {
	return []string{rowPoll, rowReset, rowFeed, rowFailHere, rowFailOther, rowEnterHere, rowEnterOther}
}

// fewEvents is the length of the log that a long one is compared with.
const fewEvents = 10_000

// Events measures the Events API on one connection: pages of 1,000 in a log of o.Events sign-in attempts, beside
// the same in a log of 10,000 in a database of its own; walking through the long log, beside a floor that reads
// and encodes the same rows; and the time from the call that stores an attempt to the answer in the hands of a
// reader who waits for it, over o.Attempts attempts. For the last, the server that the reader asks is in
// this process, which writes, or in another one.
func Events(ctx context.Context, o Options, build func(context.Context, config.Config, io.Writer) (EventsServer, error)) (report Report, err error) {
	o.People = pageSize
	rows, err := o.rows(EventsRows())
	if err == nil {
		err = o.checkEvents()
	}
	if err != nil {
		return report, err
	}
	dir, remove, err := o.workspace()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	report.Machine = o.machine()
	report.Machine.Events, report.Machine.Conns = o.Events, 1

	var logs [2]eventLog // the long one and the short one
	for i, name := range []string{"long", "short"} {
		p, err := o.newPlace(ctx, filepath.Join(dir, name))
		defer func() { err = errors.Join(err, o.drop(ctx, p)) }()
		if err != nil {
			return report, err
		}
		if logs[i], err = o.fillLog(ctx, p, []int{o.Events, fewEvents}[i]); err != nil {
			return report, err
		}
	}
	b := eventsBench{o: o, dir: dir, logs: logs, rows: rows}
	for _, part := range []func(context.Context) ([]Row, error){
		b.pages, b.feed, b.others,
		func(ctx context.Context) ([]Row, error) { return b.here(ctx, build) },
	} {
		some, err := part(ctx)
		if err != nil {
			return report, err
		}
		report.Rows = append(report.Rows, some...)
	}
	slices.SortStableFunc(report.Rows, func(a, b Row) int {
		return slices.Index(EventsRows(), a.Name) - slices.Index(EventsRows(), b.Name)
	})
	return report, nil
}

func (o Options) checkEvents() error {
	switch {
	case o.Events < fewEvents:
		return fmt.Errorf("the log cannot have %d events; it is compared with one of %d, so it must have as many at least", o.Events, fewEvents)
	case o.Attempts < 1:
		return fmt.Errorf("there cannot be %d attempts; at least one is needed", o.Attempts)
	}
	return o.check()
}

// eventsBench is what the parts of [Events] share.
type eventsBench struct {
	o    Options
	dir  string
	logs [2]eventLog
	rows []string
}

func (b eventsBench) wants(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(b.rows, name) })
}

// pages compares pages of the long log with those of the short one.
func (b eventsBench) pages(ctx context.Context) (rows []Row, err error) {
	if !b.wants(rowPoll, rowReset) {
		return nil, nil
	}
	var readers [2]*eventsReader
	var polls, resets [2]string
	for i, log := range b.logs {
		r, stop, err := b.child(ctx, serveHoldfast, log)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		readers[i] = r
		resets[i] = resetBody(log.at(log.size / 2))
		// The page after that of the last 2,000 begins is the last 1,000.
		p, err := r.ask(ctx, resetBody(log.at(log.size-2*largestPage)), 0)
		if err != nil {
			return nil, err
		}
		polls[i] = cursorBody(p.cursor)
	}
	for _, what := range []struct {
		name   string
		bodies [2]string
	}{{rowPoll, polls}, {rowReset, resets}} {
		if !b.wants(what.name) {
			continue
		}
		rounds, err := turns(b.o.Rounds, func(i int) (result, error) {
			return readers[i].again(ctx, what.bodies[i], b.o.Duration/time.Duration(b.o.Rounds))
		}, func(done float64) { b.o.Progress(what.name, done) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what.name, err)
		}
		rows = append(rows, newRow(what.name, microseconds, rounds, func(r result) float64 { return 1e6 / r.perSecond() }))
	}
	return rows, nil
}

// feed walks through the long log from its beginning, and goes on where it was in the next round.
func (b eventsBench) feed(ctx context.Context) (_ []Row, err error) {
	if !b.wants(rowFeed) {
		return nil, nil
	}
	var readers [2]*eventsReader
	log := b.logs[0]
	first := [2]string{resetBody(log.at(0)), cursorBody(floorCursor(log.account, 0))}
	for i, command := range []string{serveHoldfast, serveFloor} {
		r, stop, err := b.child(ctx, command, log)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		readers[i] = r
	}
	rounds, err := turns(b.o.Rounds, func(i int) (result, error) {
		return readers[i].walk(ctx, first[i], b.o.Duration/time.Duration(b.o.Rounds))
	}, func(done float64) { b.o.Progress(rowFeed, done) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", rowFeed, err)
	}
	return []Row{newRow(rowFeed, eventsPerSecond, rounds, func(r result) float64 { return r.perSecond() * largestPage })}, nil
}

// others measures how long readers wait for what another process than their server writes.
func (b eventsBench) others(ctx context.Context) (_ []Row, err error) {
	if !b.wants(rowFailOther, rowEnterOther) {
		return nil, nil
	}
	log := b.logs[1]
	r, stop, err := b.child(ctx, serveHoldfast, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	db, err := b.o.open(ctx, log.place)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return b.waits(ctx, r, db, rowFailOther, rowEnterOther)
}

// here measures how long readers wait for what their server writes.
func (b eventsBench) here(ctx context.Context, build func(context.Context, config.Config, io.Writer) (EventsServer, error)) (_ []Row, err error) {
	if !b.wants(rowFailHere, rowEnterHere) {
		return nil, nil
	}
	log := b.logs[1]
	cfg, err := b.o.served(log.place, b.dir).config()
	if err != nil {
		return nil, err
	}
	last := &tail{}
	server, err := build(ctx, cfg, last)
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(running) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	r := newEventsReader(server.URL(), log.token, b.o.Now)
	defer r.close() // before the server, which would wait for its connection
	rows, err := b.waits(ctx, r, server.Store(), rowFailHere, rowEnterHere)
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, last)
	}
	return rows, nil
}

// child starts a server for the log and connects to it; stop ends both.
func (b eventsBench) child(ctx context.Context, command string, log eventLog) (r *eventsReader, stop func() error, err error) {
	s := b.o.served(log.place, b.dir)
	if command != serveHoldfast || log.size != b.o.Events {
		s.CPUProfile, s.AllocProfile = "", "" // they are of Holdfast with the long log
	}
	var at serving
	c, err := b.o.start(ctx, command, s, &at)
	if err != nil {
		return nil, nil, err
	}
	r = newEventsReader(at.URL, log.token, b.o.Now)
	return r, func() error {
		r.close()
		return c.stop()
	}, nil
}
