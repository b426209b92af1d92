package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"
)

// fewPeople is the size of the account that a large one is compared with.
const fewPeople = 1000

// largestPage is the largest that the API gives.
const largestPage = 1000

// Pages measures what a page of 100 costs in an account of o.People, beside one in an account of 1,000
// people in a database of its own, asked for on one connection; and the memory of the server after the
// people were imported and listed while it ran.
func Pages(ctx context.Context, o Options) (report Report, err error) {
	if err := o.check(); err != nil {
		return report, err
	}
	if o.People%largestPage != 0 {
		return report, fmt.Errorf("the account cannot have %d people; pages of %d are listed, so the number must be a multiple of that", o.People, largestPage)
	}
	dir, remove, err := o.workspace()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	report.Machine = o.machine()

	many, err := o.newPlace(ctx, filepath.Join(dir, "many"))
	defer func() { err = errors.Join(err, o.drop(ctx, many)) }()
	if err != nil {
		return report, err
	}
	few, err := o.newPlace(ctx, filepath.Join(dir, "few"))
	defer func() { err = errors.Join(err, o.drop(ctx, few)) }()
	if err != nil {
		return report, err
	}
	var ms memory
	s, err := o.imported(ctx, dir, many, few)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	ms.look(s.at[0].PID)
	tokens, err := s.walk(o.Progress)
	if err != nil {
		return report, err
	}
	ms.look(s.at[0].PID)
	for _, where := range pagePlaces {
		each := order{What: workPage, For: o.Duration / time.Duration(o.Rounds), Conns: 1, PageSize: cmp.Or(where.size, pageSize), Filter: where.filter}
		rounds, err := s.turns(func(i int) order {
			each.Pages = where.of(tokens[i])
			return each
		}, func(done float64) { o.Progress(where.name, done) })
		if err != nil {
			return report, err
		}
		report.Rows = append(report.Rows, newRow(where.name, microseconds, rounds, func(r result) float64 { return 1e6 / r.perSecond() }))
	}
	// Everybody at once, with the largest pages: as much memory as listing can take.
	for _, size := range []int{pageSize, largestPage} {
		if _, err := s.round(0, order{What: workList, For: o.Duration / time.Duration(o.Rounds), Conns: connections, PageSize: size}); err != nil {
			return report, err
		}
		ms.look(s.at[0].PID)
	}
	if ms.largest > 0 {
		report.Rows = append(report.Rows, Row{Name: "memory", Value: ms.largest, Unit: megabytes})
	}
	return report, nil
}

// imported starts a server at each place, and then imports the people from another process than the
// server's, as the command line does.
func (o Options) imported(ctx context.Context, dir string, many, few place) (*sides, error) {
	s := &sides{rounds: o.Rounds}
	accounts := map[string]account{}
	for i, p := range []place{many, few} {
		c, err := o.start(ctx, serveHoldfast, o.served(p, dir), &s.at[i])
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		s.servers = append(s.servers, c)
		size := []int{o.People, fewPeople}[i]
		a, err := o.fill(ctx, p, size, false, func(done int) { o.Progress("import", float64(done)/float64(size)) })
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		accounts[s.at[i].URL] = a
	}
	var err error
	if s.load, err = o.start(ctx, generateLoad, setup{accounts}, &ready{}); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// walk lists everybody page by page on both sides, and returns the tokens of all pages.
func (s *sides) walk(progress func(string, float64)) (tokens [2][]string, err error) {
	for i := range tokens {
		progress("list all", float64(i)/float64(len(tokens)))
		r, err := s.round(i, order{What: workWalk, Conns: 1, PageSize: pageSize})
		if err != nil {
			return tokens, err
		}
		tokens[i] = append([]string{""}, r.Tokens...)
	}
	return tokens, nil
}

// pagePlaces are the pages that are measured, chosen from the tokens of all.
var pagePlaces = []struct {
	name   string
	size   int // 0 for a page of 100
	filter string
	of     func(all []string) []string
}{
	{name: "first page", of: func(all []string) []string { return all[:1] }},
	{name: "middle page", of: func(all []string) []string { return all[len(all)/2 : len(all)/2+1] }},
	{name: "last page", of: func(all []string) []string { return all[len(all)-1:] }},
	{name: "few suspended", size: few, filter: "user.isSuspended()", of: func(all []string) []string { return all[:1] }},
	{name: "any page", of: func(all []string) []string {
		some := slices.Clone(all)
		random := rand.New(rand.NewPCG(3, 4)) // the same pages in each benchmark
		random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		return some[:min(len(some), 1000)]
	}},
}
