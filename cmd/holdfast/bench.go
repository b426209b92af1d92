package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/bench"
	"holdfast/internal/config"
	"holdfast/internal/directory"
	"holdfast/internal/server"
	"holdfast/internal/signin"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

type benchCmd struct {
	API     benchAPICmd     `cmd:"" name:"api" help:"Requests a second of get, list, token and suspend, beside a bare server on the same data."`
	Pages   benchPagesCmd   `cmd:"" help:"What a page costs with a million people, beside a thousand, and what memory the server takes."`
	Console benchConsoleCmd `cmd:"" help:"Time of pages of the console for 100,000 people, beside bare pages of the same size."`
	Events  benchEventsCmd  `cmd:"" help:"The Events API with 10,000,000 events, beside 10,000 and a bare server, and how long a waiting reader waits."`
	Detect  benchDetectCmd  `cmd:"" help:"Detection: matching rules, events from their lines to findings on the disk beside bare inserts, delay and memory."`
	Respond benchRespondCmd `cmd:"" help:"Time from a sign-in to the suspension that it leads to, here and in another system that is far away."`

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
	People int `default:"1000000" help:"People in the large account, a multiple of 1000."`
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

type benchConsoleCmd struct {
	benchFlags
	People int      `default:"100000" help:"People in the account, a multiple of 100."`
	Only   []string `placeholder:"ROW" help:"Measure these rows only: people, people search, person, integrations, integration, audit log, vaults, vault, overview, sign-in."`
}

func (c *benchConsoleCmd) Run(ctx context.Context, g *globals, std stdio) error {
	o, done, err := c.options(g, std)
	if err != nil {
		return err
	}
	o.People, o.Only = c.People, c.Only
	collectSeldom(std.env)
	r, err := bench.Console(ctx, o, func(ctx context.Context, cfg config.Config, log io.Writer) (bench.ConsoleServer, error) {
		s, err := server.New(ctx, cfg, server.Options{Log: newLog(log, cfg)})
		return benchConsole{s}, err
	})
	done()
	return c.print(std, r, err, "Holdfast", "bare page")
}

type benchEventsCmd struct {
	benchFlags
	Events   int      `default:"10000000" help:"Sign-in attempts in the long log; a million takes about 1 GB on SQLite."`
	Attempts int      `default:"1000" help:"How many attempts are waited for, for each of the rows that do so."`
	Only     []string `placeholder:"ROW" help:"Measure these rows only: poll at the end, reset in the middle, feed, failure, failure elsewhere, sign-in, sign-in elsewhere."`
}

func (c *benchEventsCmd) Run(ctx context.Context, g *globals, std stdio) error {
	o, done, err := c.options(g, std)
	if err != nil {
		return err
	}
	o.Events, o.Attempts, o.Only = c.Events, c.Attempts, c.Only
	collectSeldom(std.env)
	r, err := bench.Events(ctx, o, func(ctx context.Context, cfg config.Config, log io.Writer) (bench.EventsServer, error) {
		return unlimited(server.New(ctx, cfg, server.Options{Log: newLog(log, cfg)}))
	})
	done()
	return c.print(std, r, err, "Holdfast", "beside")
}

type benchDetectCmd struct {
	benchFlags
	Events   int      `default:"60000" help:"Events that go the whole path, on each side."`
	People   int      `default:"1000" help:"People in the account, a multiple of 100, and more than attempts."`
	Attempts int      `default:"500" help:"How many sign-ins are waited for."`
	Keys     int      `default:"100000" help:"Keys of which the memory is told."`
	Only     []string `placeholder:"ROW" help:"Measure these rows only: match 50 rules, match 1000 rules, whole path, whole path by processor, attempt to finding, memory."`
}

func (c *benchDetectCmd) Run(ctx context.Context, g *globals, std stdio) error {
	o, done, err := c.options(g, std)
	if err != nil {
		return err
	}
	o.Events, o.People, o.Attempts, o.Keys, o.Only = c.Events, c.People, c.Attempts, c.Keys, c.Only
	r, err := bench.Detect(ctx, o, func(ctx context.Context, cfg config.Config, log io.Writer) (bench.EventsServer, error) {
		return server.New(ctx, cfg, server.Options{Log: newLog(log, cfg)})
	})
	done()
	return c.print(std, r, err, "Holdfast", "beside")
}

type benchRespondCmd struct {
	benchFlags
	People   int      `default:"1000" help:"People in the account, a multiple of 100, and more than attempts."`
	Attempts int      `default:"300" help:"How many people sign in and are suspended, for each row."`
	Only     []string `placeholder:"ROW" help:"Measure these rows only: attempt to suspension, attempt to suspension elsewhere."`
}

func (c *benchRespondCmd) Run(ctx context.Context, g *globals, std stdio) error {
	o, done, err := c.options(g, std)
	if err != nil {
		return err
	}
	o.People, o.Attempts, o.Only = c.People, c.Attempts, c.Only
	r, err := bench.Respond(ctx, o, func(ctx context.Context, cfg config.Config, log io.Writer) (bench.RespondServer, error) {
		return server.New(ctx, cfg, server.Options{Log: newLog(log, cfg)})
	})
	done()
	return c.print(std, r, err, "Holdfast", "beside")
}

// unlimited lets events tokens ask as often as they like, as if there were many of them.
func unlimited(s *server.Server, err error) (*server.Server, error) {
	if err == nil {
		s.Events().Limits = nil
	}
	return s, err
}

// benchConsole lets the benchmark be a person in the console.
type benchConsole struct{ *server.Server }

func (b benchConsole) Enter(ctx context.Context, u directory.User) (string, error) {
	password := rand.Text()
	if err := b.SignIn().SetInitialPassword(ctx, u.AccountID, u.ID, password, audit.Entry{Actor: "operator:bench"}); err != nil {
		return "", err
	}
	in, ticket, err := b.SignIn().Password(ctx, signin.Client{Address: "127.0.0.1", UserAgent: "HoldfastBench/1.0"}, u.Email, password)
	if err == nil && ticket != "" {
		err = errors.New("a one-time code is asked for")
	}
	if err != nil {
		return "", err
	}
	return web.SessionCookie + "=" + in.Token.Reveal(), nil
}

func (b benchConsole) AddVault(ctx context.Context, u directory.User, name string, items int) (string, error) {
	who, by := vault.Viewer{AccountID: u.AccountID, UserID: u.ID}, audit.Entry{Actor: "user:" + u.ID}
	made, err := b.Vaults().Create(ctx, who, name, "Made by the benchmark.", by)
	if err != nil {
		return "", err
	}
	for i := range items {
		_, err := b.Vaults().Save(ctx, who, made.ID, vault.NewItem{Category: vault.Login, Title: fmt.Sprintf("Item %02d", i), Fields: []vault.Field{
			{Name: "username", Label: "Username", Value: u.Email},
			{Name: "password", Label: "Password", Value: rand.Text(), Concealed: true},
		}}, by)
		if err != nil {
			return "", err
		}
	}
	return made.ID, nil
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
		return unlimited(server.New(ctx, cfg, server.Options{Log: newLog(log, cfg)}))
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
