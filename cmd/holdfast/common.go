package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"holdfast/internal/config"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/server"
	"holdfast/internal/store"
)

// globals are the flags of every command.
type globals struct {
	Config string `type:"path" placeholder:"FILE" help:"Configuration file (YAML). Every key can also be given as HOLDFAST_…; see docs/operations/configuration.md."`
	Data   string `type:"path" placeholder:"DIR" help:"Data folder with the database and the master key (default: ./holdfast-data)."`
}

// accountFlag chooses the account.
type accountFlag struct {
	Account string `placeholder:"ID" help:"Account ID; may be left out while there is only one account."`
}

// load reads the configuration; overrides are keys that the command's own flags set.
func (g *globals) load(std stdio, overrides map[string]string) (config.Config, error) {
	all := map[string]string{}
	if g.Data != "" {
		all["data"] = g.Data
	}
	for k, v := range overrides {
		if v != "" {
			all[k] = v
		}
	}
	return config.Load(config.Options{File: g.Config, Environ: std.env, Overrides: all})
}

// handle is an open store.
type handle struct {
	cfg config.Config
	db  *store.DB
}

func (g *globals) open(ctx context.Context, std stdio) (*handle, error) {
	return g.openStore(ctx, std, store.Options{Migrate: true})
}

func (g *globals) openStore(ctx context.Context, std stdio, o store.Options) (*handle, error) {
	cfg, err := g.load(std, nil)
	if err != nil {
		return nil, err
	}
	master, err := seal.OpenMaster(cfg.MasterKey, cfg.Data, true, std.env...)
	if err != nil {
		return nil, fmt.Errorf("open master key: %w", err)
	}
	o.Database, o.Dir, o.MmapSize = cfg.Database, cfg.Data, int64(cfg.SQLite.MmapSize)
	o.Master, o.Now, o.Log = master, time.Now, slog.New(slog.NewTextHandler(std.err, nil))
	db, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return &handle{cfg: cfg, db: db}, nil
}

// openAccount opens the store and finds the account: the one named, or the only one.
func (g *globals) openAccount(ctx context.Context, std stdio, id string) (*handle, string, error) {
	h, err := g.open(ctx, std)
	if err != nil {
		return nil, "", err
	}
	id, err = h.account(ctx, id)
	if err != nil {
		return nil, "", errors.Join(err, h.db.Close())
	}
	return h, id, nil
}

func (h *handle) account(ctx context.Context, id string) (string, error) {
	if id != "" {
		a, err := h.db.Account(ctx, id)
		return a.ID, err
	}
	accounts, err := h.db.Accounts(ctx)
	switch {
	case err != nil:
		return "", err
	case len(accounts) == 0:
		return "", problem.New(problem.NotFound, "there is no account yet; create one: holdfast account create --name N --owner-email E --owner-name O")
	case len(accounts) > 1:
		return "", problem.New(problem.Invalid, "there are %d accounts; choose one with --account (see: holdfast account list)", len(accounts))
	}
	return accounts[0].ID, nil
}

func (h *handle) oauth() *oauth.Service {
	return &oauth.Service{Store: h.db, Now: time.Now}
}

// close closes the store; what was written is committed already.
func (h *handle) close() { _ = h.db.Close() }

// printJSON prints one object on one line.
func printJSON(std stdio, v any) error {
	return json.NewEncoder(std.out).Encode(v)
}

type versionCmd struct{}

func (versionCmd) Run(std stdio) error {
	fmt.Fprintln(std.out, "holdfast", server.Version())
	return nil
}

type migrateCmd struct{}

func (migrateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, err := g.open(ctx, std)
	if err != nil {
		return err
	}
	defer h.close()
	have, _, err := h.db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "The %s database is up to date, version %d.\n", h.db.Kind(), have)
	return nil
}
