package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what to measure with.
type Options struct {
	// Self is how this program runs its hidden commands: path and first arguments.
	Self    []string
	Version string
	Now     func() time.Time

	Database string // "sqlite" or the URL of a PostgreSQL server on which databases may be made
	MmapSize int64  // as in the configuration
	Dir      string // where the data is put, in a folder that is removed at the end

	People   int           // in the account; a multiple of the page size
	Duration time.Duration // of measuring, for each row and side
	Rounds   int           // into which the duration is cut
	Only     []string      // rows; all if empty
	Events   int           // in the long log of [Events]
	Attempts int           // that readers of [Events] wait for, and [Detect] and [Respond] act on, for each row
	Keys     int           // of which [Detect] tells the memory

	CPUProfile, AllocProfile string // files for profiles of Holdfast; empty for none

	// Progress is told what is being done, and how much of it is done, from 0 to 1.
	Progress func(what string, done float64)
}

const pageSize = 100

// APIRows are the rows of [API].
func APIRows() []string { return []string{workGet, workList, workToken, workSuspend} }

// API measures the requests that platforms make.
func API(ctx context.Context, o Options) (report Report, err error) {
	rows, err := o.rows(APIRows())
	if err != nil {
		return report, err
	}
	if err := o.check(); err != nil {
		return report, err
	}
	dir, remove, err := o.workspace()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	report.Machine = o.machine()

	o.Progress("prepare", 0)
	ours, err := o.newPlace(ctx, filepath.Join(dir, "holdfast"))
	defer func() { err = errors.Join(err, o.drop(ctx, ours)) }()
	if err != nil {
		return report, err
	}
	a, err := o.fill(ctx, ours, o.People, true, func(int) {})
	if err != nil {
		return report, err
	}
	bare, err := o.copyPlace(ctx, ours, filepath.Join(dir, "floor"))
	defer func() { err = errors.Join(err, o.drop(ctx, bare)) }()
	if err != nil {
		return report, err
	}
	s, err := o.sides(ctx,
		side{serveHoldfast, o.served(ours, dir), a},
		side{serveFloor, served{Database: bare.Database, Dir: bare.Dir, MmapSize: o.MmapSize}, a})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, name := range rows {
		each := order{What: name, For: o.Duration / time.Duration(o.Rounds), Conns: connections, PageSize: pageSize}
		rounds, err := s.turns(func(int) order { return each }, func(done float64) { o.Progress(name, done) })
		if err != nil {
			return report, err
		}
		report.Rows = append(report.Rows, newRow(name, perSecond, rounds, result.perSecond))
	}
	return report, nil
}

// rows are those to measure, of those that there are.
func (o Options) rows(all []string) ([]string, error) {
	for _, name := range o.Only {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no row %q; there are: %s", name, strings.Join(all, ", "))
		}
	}
	if len(o.Only) > 0 {
		return o.Only, nil
	}
	return all, nil
}

// check refuses what could not be measured.
func (o Options) check() error {
	switch {
	case o.People < pageSize || o.People%pageSize != 0:
		return fmt.Errorf("the account cannot have %d people; the number must be a multiple of %d", o.People, pageSize)
	case o.Rounds < 1:
		return fmt.Errorf("there cannot be %d rounds; at least one round is needed", o.Rounds)
	case o.Duration <= 0:
		return fmt.Errorf("the duration cannot be %s; it must be longer than 0", o.Duration)
	}
	return nil
}

func (o Options) served(p place, dir string) served {
	return served{
		Database: p.Database, Dir: p.Dir, MmapSize: o.MmapSize, Log: filepath.Join(dir, filepath.Base(p.Dir)+".log"),
		CPUProfile: o.CPUProfile, AllocProfile: o.AllocProfile,
	}
}

// side is a server to measure.
type side struct {
	command string
	served  served
	account account
}

// sides are two servers that are measured in turns, and the generator.
type sides struct {
	rounds  int
	servers []*child
	load    *child
	at      [2]serving
}

func (o Options) sides(ctx context.Context, a, b side) (*sides, error) {
	s := &sides{rounds: o.Rounds}
	for i, side := range []side{a, b} {
		c, err := o.start(ctx, side.command, side.served, &s.at[i])
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		s.servers = append(s.servers, c)
	}
	var err error
	s.load, err = o.start(ctx, generateLoad, setup{map[string]account{s.at[0].URL: a.account, s.at[1].URL: b.account}}, &ready{})
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// stop stops the generator first: its connections would keep the servers waiting.
func (s *sides) stop() error {
	var errs []error
	if s.load != nil {
		errs = append(errs, s.load.stop())
	}
	for _, c := range s.servers {
		errs = append(errs, c.stop())
	}
	return errors.Join(errs...)
}

// round runs one round on one of the sides.
func (s *sides) round(i int, o order) (result, error) {
	o.URL = s.at[i].URL
	var r result
	if err := s.load.ask(o, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s, asked of %s: %s%s", o.What, s.servers[i].name, r.Error, s.servers[i].last)
	}
	return r, nil
}

// turns measures the two sides in turns, after a turn that does not count.
func (s *sides) turns(what func(side int) order, progress func(float64)) (rounds [2][]result, err error) {
	return turns(s.rounds, func(i int) (result, error) { return s.round(i, what(i)) }, progress)
}

func turns(n int, round func(side int) (result, error), progress func(float64)) (rounds [2][]result, err error) {
	for turn := range n + 1 {
		progress(float64(turn) / float64(n+1))
		for i := range rounds {
			r, err := round(i)
			if err != nil {
				return rounds, err
			}
			if turn > 0 {
				rounds[i] = append(rounds[i], r)
			}
		}
	}
	return rounds, nil
}

// newRow takes the medians of the rounds.
func newRow(name, unit string, rounds [2][]result, of func(result) float64) Row {
	row := Row{
		Name: name, Unit: unit, Value: median(rounds[0], of), Floor: median(rounds[1], of),
		P99: median(rounds[0], func(r result) float64 { return r.P99 }),
	}
	row.Ratio = row.Value / row.Floor
	return row
}
