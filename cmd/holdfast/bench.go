package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"holdfast/internal/bench"
	"holdfast/internal/config"
	"holdfast/internal/server"
)

type benchCmd struct {
	API   benchAPICmd   `cmd:"" name:"api" help:"Requests a second of get, list, token and suspend, beside a bare server on the same data."`
	Pages benchPagesCmd `cmd:"" help:"What a page costs with a million people, beside a thousand, and what memory the server takes."`

	ServeHoldfast benchServeHoldfastCmd `cmd:"" hidden:"" help:"Part of bench: serves Holdfast."`
	ServeFloor    benchServeFloorCmd    `cmd:"" hidden:"" help:"Part of bench: serves the floor."`
	Load          benchLoadCmd          `cmd:"" hidden:"" help:"Part of bench: generates load."`
}

// benchFlags are common to all benchmarks.
type benchFlags struct {
	JSON         bool          `name:"json" help:"Print one JSON object."`
	Duration     time.Duration `default:"9s" help:"How long to measure each row on each side."`
	Rounds       int           `default:"9" help:"Turns that the two sides take; their median counts."`
	Database     string        `default:"sqlite" placeholder:"sqlite|URL" help:"Database to measure on: sqlite, or the URL of a PostgreSQL server, on which databases are made and dropped again."`
	Dir          string        `default:"." type:"existingdir" help:"Where the data is put, in a folder that is removed at the end. Its disk is what is measured."`
	CPUProfile   string        `name:"cpuprofile" hidden:"" type:"path" help:"Write a CPU profile of the server to this file."`
	AllocProfile string        `name:"allocprofile" hidden:"" type:"path" help:"Write an allocation profile of the server to this file."`
}

type benchAPICmd struct {
	benchFlags
	People int      `default:"10000" help:"People in the account, a multiple of 100."`
	Only   []string `placeholder:"ROW" help:"Measure these rows only: get, list, token, suspend."`
}

func (c *benchAPICmd) Run(ctx context.Context, g *globals, std stdio) error {
	o, done, err := c.options(g, std)
	if err != nil {
		return err
	}
	o.People, o.Only = c.People, c.Only
	r, err := bench.API(ctx, o)
	done()
	return c.print(std, r, err, "Holdfast", "floor")
}

type benchPagesCmd struct {
	benchFlags
	People int `default:"1000000" help:"People in the large account, a multiple of 100."`
}

func (c *benchPagesCmd) Run(ctx context.Context, g *globals, std stdio) error {
	o, done, err := c.options(g, std)
	if err != nil {
		return err
	}
	o.People = c.People
	r, err := bench.Pages(ctx, o)
	done()
	return c.print(std, r, err, grouped(c.People)+" people", "1,000 people")
}

func (c *benchFlags) options(g *globals, std stdio) (o bench.Options, done func(), err error) {
	cfg, err := g.load(std, nil) // for what can be set and matters for speed
	if err != nil {
		return o, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return o, nil, fmt.Errorf("find this program: %w", err)
	}
	bar, phase := newProgress(std.err), ""
	const steps = 1000
	return bench.Options{
		Self: []string{self, "bench"}, Version: server.Version(), Now: time.Now,
		Database: c.Database, MmapSize: int64(cfg.SQLite.MmapSize), Dir: c.Dir, Duration: c.Duration, Rounds: c.Rounds,
		CPUProfile: c.CPUProfile, AllocProfile: c.AllocProfile,
		Progress: func(what string, done float64) {
			if what != phase {
				phase = what
				bar.start(what, steps)
			}
			bar.at(int64(done * steps))
		},
	}, bar.done, nil
}

func (c *benchFlags) print(std stdio, r bench.Report, err error, value, floor string) error {
	switch {
	case err != nil:
		return fmt.Errorf("benchmark: %w", err)
	case c.JSON:
		return printJSON(std, r)
	}
	return r.WriteText(std.out, value, floor)
}

type benchServeHoldfastCmd struct{}

func (benchServeHoldfastCmd) Run(ctx context.Context, std stdio) error {
	collectSeldom(std.env)
	return bench.ServeHoldfast(ctx, std.in, std.out, func(ctx context.Context, cfg config.Config, log io.Writer) (bench.Server, error) {
		return server.New(ctx, cfg, server.Options{Log: newLog(log, cfg)})
	})
}

type benchServeFloorCmd struct{}

func (benchServeFloorCmd) Run(ctx context.Context, std stdio) error {
	collectSeldom(std.env) // a setting of the runtime, not work that Holdfast saves
	return bench.ServeFloor(ctx, std.in, std.out, time.Now)
}

type benchLoadCmd struct{}

func (benchLoadCmd) Run(ctx context.Context, std stdio) error {
	return bench.Load(ctx, std.in, std.out, time.Now)
}
