package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"holdfast/internal/config"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/server"
	"holdfast/internal/store"
)

// globals are the flags of every command.
type globals struct {
	Config string `type:"path" placeholder:"FILE" complete:"file" help:"Configuration file (YAML). Every key can also be given as HOLDFAST_…; see docs/operations/configuration.md."`
	Data   string `type:"path" placeholder:"DIR" complete:"dir" help:"Data folder with the database and the master key (default: ./holdfast-data)."`
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

// open opens the store that is there. Most commands make nothing: in a wrong folder they say so.
func (g *globals) open(ctx context.Context, std stdio) (*handle, error) {
	return g.openWith(ctx, std, store.Options{Existing: true})
}

// openNew opens the store, makes what is missing, and brings its tables up to date.
func (g *globals) openNew(ctx context.Context, std stdio) (*handle, error) {
	return g.openWith(ctx, std, store.Options{Migrate: true})
}

func (g *globals) openWith(ctx context.Context, std stdio, o store.Options) (*handle, error) {
	cfg, err := g.load(std, nil)
	if err != nil {
		return nil, err
	}
	o.Database, o.Dir, o.MmapSize = cfg.Database, cfg.Data, int64(cfg.SQLite.MmapSize)
	o.Now, o.Log = time.Now, slog.New(slog.NewTextHandler(std.err, nil))
	var db *store.DB
	if o.Master, err = store.OpenMaster(ctx, o, cfg.MasterKey, std.env...); err == nil {
		db, err = store.Open(ctx, o)
	}
	if errors.Is(err, store.ErrNoDatabase) {
		return nil, nothingThere(cfg)
	}
	if err != nil {
		return nil, err
	}
	return &handle{cfg: cfg, db: db}, nil
}

// nothingThere says how to begin.
func nothingThere(cfg config.Config) error {
	where := "in " + cfg.Data
	if cfg.Database != "sqlite" {
		where = "in the PostgreSQL database"
	}
	return problem.New(problem.NotFound, "there is nothing %s yet.\n"+
		"  To begin:   holdfast account create --name N --owner-email E --owner-name O\n"+
		"  To try out: holdfast demo\n"+
		"  If it is elsewhere, name the folder with --data DIR or the configuration with --config FILE", where)
}

// openAccount opens the store and finds the account: the one named, or the only one.
func (g *globals) openAccount(ctx context.Context, std stdio, id string) (*handle, string, error) {
	return g.openAccountWith(ctx, std, id, store.Options{})
}

func (g *globals) openAccountWith(ctx context.Context, std stdio, id string, o store.Options) (*handle, string, error) {
	o.Existing = true
	h, err := g.openWith(ctx, std, o)
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
	enc := json.NewEncoder(std.out)
	enc.SetEscapeHTML(false) // it is read by programs and people, not put into a page
	return enc.Encode(v)
}

// printResults prints a list as one object.
func printResults[T, V any](std stdio, list []T, view func(T) V) error {
	views := make([]V, len(list))
	for i, v := range list {
		views[i] = view(v)
	}
	return printJSON(std, map[string]any{"results": views})
}

// pageOf is how many people are read at once.
const pageOf = 1000

// printPages prints people page by page, so that a million of them take no memory. With JSON they are
// the results of one object, which begins with the fields of head.
func printPages(std stdio, asJSON bool, head any, page func(after string, limit int) ([]directory.User, error)) error {
	out := bufio.NewWriter(std.out)
	defer out.Flush() // also what came before an error
	sep := ""
	if asJSON {
		begin, err := json.Marshal(head)
		if err != nil {
			return err
		}
		begin = begin[:len(begin)-1] // without the closing brace
		if len(begin) > 1 {
			begin = append(begin, ',')
		}
		fmt.Fprintf(out, `%s"results":[`, begin)
	}
	for after := ""; ; {
		us, err := page(after, pageOf)
		if err != nil {
			return err
		}
		for _, u := range us {
			if !asJSON {
				printUserLine(out, u)
				continue
			}
			b, err := json.Marshal(u.API())
			if err != nil {
				return err
			}
			if _, err := out.WriteString(sep + string(b)); err != nil {
				return err
			}
			sep = ","
		}
		if len(us) < pageOf {
			break
		}
		after = us[len(us)-1].ID
	}
	if asJSON {
		fmt.Fprintln(out, "]}")
	}
	return out.Flush()
}

func apiUsers(us []directory.User) []directory.APIUser {
	views := make([]directory.APIUser, len(us))
	for i, u := range us {
		views[i] = u.API()
	}
	return views
}

type versionCmd struct{}

func (versionCmd) Run(std stdio) error {
	fmt.Fprintln(std.out, "holdfast", server.Version())
	return nil
}

type migrateCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

func (c *migrateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, err := g.openNew(ctx, std)
	if err != nil {
		return err
	}
	defer h.close()
	have, _, err := h.db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std, map[string]any{"database": h.db.Kind(), "version": have})
	}
	fmt.Fprintf(std.out, "The %s database is up to date, version %d.\n", h.db.Kind(), have)
	return nil
}
