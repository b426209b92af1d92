package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"holdfast/internal/config"
	"holdfast/internal/seal"
	"holdfast/internal/store"
)

type doctorCmd struct {
	Deep bool `help:"Read every audit entry, not only the newest of each account, and every record of the location data."`
	JSON bool `name:"json" help:"Print one JSON object with the checks as results."`
}

// status is how a check ended.
type status string

const (
	well     status = "ok"
	warning  status = "warning" // works, but look at it
	broken   status = "problem" // exit code 5
	skipped  status = "skipped" // could not be looked at, because of another problem
	notThere status = "absent"  // not made yet
)

// check is one line of the report.
type check struct {
	Name   string `json:"name"`
	Status status `json:"status"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"` // what to do
}

// doctor looks at an installation and changes nothing.
type doctor struct {
	g       *globals
	std     stdio
	deep    bool
	now     func() time.Time
	results []check

	cfg    config.Config
	there  bool         // there is a database
	master *seal.Master // nil if it cannot be had
	db     *store.DB    // nil if it cannot be opened
	usable bool         // tables are of this version and the keyring is open
}

func (c *doctorCmd) Run(ctx context.Context, g *globals, std stdio) error {
	d := &doctor{g: g, std: std, deep: c.Deep, now: time.Now}
	defer d.close()
	d.examine(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.tell(std, d.results); err != nil {
		return err
	}
	problems := 0
	for _, r := range d.results {
		if r.Status == broken {
			problems++
		}
	}
	if problems > 0 {
		return &brokenError{fmt.Errorf("%s found", plural(problems, "problem", "problems"))}
	}
	return nil
}

func (c *doctorCmd) tell(std stdio, results []check) error {
	ok := true
	for _, r := range results {
		ok = ok && r.Status != broken
	}
	if c.JSON {
		return printJSON(std, map[string]any{"ok": ok, "results": results})
	}
	paint := painter(std.out, std.env)
	colour := map[status]string{well: green, warning: yellow, broken: red, skipped: grey, notThere: grey}
	for _, r := range results {
		found := strings.ReplaceAll(r.Found, "\n", fmt.Sprintf("\n%24s", ""))
		fmt.Fprintf(std.out, "%s  %-13s  %s\n", paint(colour[r.Status], fmt.Sprintf("%-7s", r.Status)), r.Name, found)
		if r.Advice != "" {
			fmt.Fprintf(std.out, "%24s→ %s\n", "", r.Advice)
		}
	}
	return nil
}

// say adds a line to the report.
func (d *doctor) say(name string, s status, found, advice string) {
	d.results = append(d.results, check{Name: name, Status: s, Found: found, Advice: advice})
}

// examine goes from the outside in; what a broken part hides is skipped.
func (d *doctor) examine(ctx context.Context) {
	if !d.configuration() {
		return
	}
	d.folder()
	d.masterKey(ctx)
	d.database(ctx)
	if d.usable {
		d.integrity(ctx)
		d.accounts(ctx)
		d.audit(ctx)
		d.jobs(ctx)
	}
	d.clock(ctx)
	d.disk()
	d.locations(ctx)
	d.certificate()
	d.addresses(ctx)
}

func (d *doctor) close() {
	if d.db != nil {
		_ = d.db.Close() // nothing was written
	}
}

func (d *doctor) configuration() bool {
	var err error
	if d.cfg, err = d.g.load(d.std, nil); err != nil {
		d.say("configuration", broken, err.Error(), "correct it; docs/operations/configuration.md lists every key, holdfast serve --print-example prints them")
		return false
	}
	from, file := d.source()
	if info, err := os.Stat(file); err == nil && openToOthers(info) != "" && d.passwordInFile() {
		d.say("configuration", warning, file+" holds the password of the database and has "+openToOthers(info), "chmod 600 "+file+", or give the URL as HOLDFAST_DATABASE")
		return true
	}
	d.say("configuration", well, from, "")
	return true
}

// masterKey opens the key if there is one.
func (d *doctor) masterKey(ctx context.Context) {
	o := d.options()
	o.Existing = true
	master, err := store.OpenMaster(ctx, o, d.cfg.MasterKey, d.std.env...)
	switch {
	case err == nil:
		d.master = master
		d.say("master key", well, master.ID()+", "+d.cfg.MasterKey, "")
	case errors.Is(err, store.ErrNoDatabase) && strings.HasPrefix(d.cfg.MasterKey, "file"):
		d.say("master key", notThere, "is made at the first start", "")
	case errors.Is(err, seal.ErrNoMaster):
		d.say("master key", broken, err.Error(), "the database cannot be used without the key it was made with")
	default:
		d.say("master key", broken, err.Error(), "")
	}
}

// database opens the database to look at it.
func (d *doctor) database(ctx context.Context) {
	if !d.there {
		d.say("database", notThere, "nothing is there yet", "begin with: holdfast account create --name N --owner-email E --owner-name O, or try: holdfast demo")
		return
	}
	db, err := store.Inspect(ctx, d.options())
	if err != nil {
		d.say("database", broken, err.Error(), "")
		return
	}
	d.db = db
	have, known, err := db.SchemaVersion(ctx)
	switch {
	case err != nil:
		d.say("database", broken, err.Error(), "restore a backup, if the file was damaged")
		return
	case have == 0:
		d.say("database", notThere, "the "+db.Kind()+" database has no tables yet", "begin with: holdfast account create --name N --owner-email E --owner-name O")
		return
	case have < known:
		d.say("database", warning, fmt.Sprintf("%s, tables of version %d, this binary has %d", db.Kind(), have, known), "they are brought up to date when the server starts, or by: holdfast migrate (make a copy before)")
		return
	}
	if err := db.CheckSchema(ctx); err != nil { // a newer version, or the job tables
		d.say("database", broken, err.Error(), "")
		return
	}
	d.say("database", well, fmt.Sprintf("%s, tables of version %d%s", db.Kind(), have, d.databaseSize()), "")
	d.keyring(ctx)
}

func (d *doctor) keyring(ctx context.Context) {
	if d.master == nil {
		d.say("keyring", skipped, "there is no master key to open it with", "")
		return
	}
	if err := d.db.OpenKeyring(ctx, d.master); err != nil {
		d.say("keyring", broken, err.Error(), "")
		return
	}
	d.usable = true
	d.say("keyring", well, "opens with the master key", "")
}

func (d *doctor) options() store.Options {
	return store.Options{
		Database: d.cfg.Database, Dir: d.cfg.Data, MmapSize: int64(d.cfg.SQLite.MmapSize), Now: d.now,
		Log: slog.New(slog.NewTextHandler(d.std.err, nil)),
	}
}
