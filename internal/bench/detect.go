package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"

	"holdfast/internal/config"
)

// The rows of [Detect].
const (
	rowMatch     = "match 50 rules"
	rowMatchMany = "match 1000 rules"
	rowPath      = "whole path"
	rowPathWork  = "whole path by processor"
	rowFinding   = "attempt to finding"
	rowKeys      = "memory"
)

// DetectRows are the rows of [Detect], in their order.
func DetectRows() []string {
	return []string{rowMatch, rowMatchMany, rowPath, rowPathWork, rowFinding, rowKeys}
}

// Detect measures detection: matching alone, by processor time, since that is one core however busy the machine is;
// o.Events events from their lines as a source sends them to everything that follows from them on the disk,
// beside a floor that inserts the same rows in batches; the time from the call that stores a sign-in to the
// finding that is stored of it in a server that has nothing else to do, over o.Attempts sign-ins; and the memory
// of o.Keys keys.
func Detect(ctx context.Context, o Options, build func(context.Context, config.Config, io.Writer) (EventsServer, error)) (report Report, err error) {
	rows, err := o.rows(DetectRows())
	if err == nil {
		err = o.checkDetect()
	}
	if err != nil {
		return report, err
	}
	dir, remove, err := o.workspace()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	report.Machine = o.busyMachine()
	report.Machine.Events, report.Machine.Conns = o.Events, 1
	for _, part := range []struct {
		rows    []string
		measure func() ([]Row, error)
	}{
		{[]string{rowMatch, rowMatchMany}, func() ([]Row, error) { return o.match(ctx) }},
		{[]string{rowPath, rowPathWork}, func() ([]Row, error) { return o.path(ctx, dir) }},
		{[]string{rowFinding}, func() ([]Row, error) { return o.finding(ctx, filepath.Join(dir, "server"), build) }},
		{[]string{rowKeys}, func() ([]Row, error) { return o.keys(ctx) }},
	} {
		if !slices.ContainsFunc(part.rows, func(name string) bool { return slices.Contains(rows, name) }) {
			continue
		}
		some, err := part.measure()
		if err != nil {
			return report, fmt.Errorf("%s: %w", part.rows[0], err)
		}
		for _, row := range some {
			if slices.Contains(rows, row.Name) {
				report.Rows = append(report.Rows, row)
			}
		}
	}
	return report, nil
}

func (o Options) checkDetect() error {
	switch {
	case o.Events < o.Rounds+1:
		return fmt.Errorf("%d events cannot be cut into %d rounds and one to begin with", o.Events, o.Rounds)
	case o.Attempts < 1 || o.Attempts >= o.People:
		return fmt.Errorf("there cannot be %d attempts; each is of another person, and the account has %d with its owner", o.Attempts, o.People)
	case o.Keys < 1:
		return fmt.Errorf("there cannot be %d keys; at least one is needed", o.Keys)
	}
	return o.check()
}

// busyMachine says also what else was going on.
func (o Options) busyMachine() Machine {
	m := o.machine()
	m.Procs, m.Load = runtime.GOMAXPROCS(0), loadAverage()
	return m
}
