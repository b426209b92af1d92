package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"holdfast/internal/config"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/store"
)

// ConsoleServer is a Holdfast that was made and is not yet running, with what it takes to fill an
// account and to be somebody in it.
type ConsoleServer interface {
	Server
	Store() *store.DB
	OAuth() *oauth.Service

	// Enter signs a person in who has no way to sign in yet, and returns what her browser sends from
	// then on: the header Cookie.
	Enter(ctx context.Context, u directory.User) (cookie string, err error)

	// AddVault makes a vault that the person manages, with items, and returns its id.
	AddVault(ctx context.Context, u directory.User, name string, items int) (id string, err error)
}

// view is a page to get, and what must be in it.
type view struct {
	Path   string   `json:"path"`
	Cookie string   `json:"cookie"` // empty: nobody is signed in
	Holds  []string `json:"holds"`
}

// consolePages are the rows of [Console], in their order.
var consolePages = []struct {
	name string
	of   func(f furnished) view
}{
	{"people", func(f furnished) view { return f.view("/people", emailDomain) }},
	{"people search", func(f furnished) view { return f.view("/people?q=raman", "Raman") }},
	{"person", func(f furnished) view { return f.view("/people/"+f.person.ID, f.person.Email) }},
	{"integrations", func(f furnished) view { return f.view("/integrations", f.app.ID) }},
	{"integration", func(f furnished) view { return f.view("/integrations/"+f.app.ID, f.app.ID, f.app.Name) }},
	{"audit log", func(f furnished) view { return f.view("/audit", f.owner.DisplayName) }},
	{"vaults", func(f furnished) view { return f.view("/vaults", f.vault) }},
	{"vault", func(f furnished) view { return f.view("/vaults/"+f.vault, f.vault) }},
	{"overview", func(f furnished) view { return f.view("/", f.owner.DisplayName) }},
	{"sign-in", func(furnished) view { return view{Path: "/sign-in", Holds: []string{`name="email"`, pageEnd}} }},
}

// pageEnd is in every page that came whole.
const pageEnd = "</html>"

func (f furnished) view(path string, holds ...string) view {
	return view{Path: path, Cookie: f.cookie, Holds: append(holds, pageEnd)}
}

// ConsoleRows are the rows of [Console].
func ConsoleRows() (names []string) {
	for _, p := range consolePages {
		names = append(names, p.name)
	}
	return names
}

// Console measures the time from a request for a page of the console to the last byte of the answer, on
// one connection, signed in as the owner of an account of o.People. The floor is a page of about the same
// size. Holdfast, the floor and the browser are parts of this process.
func Console(ctx context.Context, o Options, build func(context.Context, config.Config, io.Writer) (ConsoleServer, error)) (report Report, err error) {
	rows, err := o.rows(ConsoleRows())
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
	report.Machine.Conns = 1

	at, err := o.newPlace(ctx, filepath.Join(dir, "holdfast"))
	defer func() { err = errors.Join(err, o.drop(ctx, at)) }()
	if err != nil {
		return report, err
	}
	f, err := o.settle(ctx, at)
	if err != nil {
		return report, err
	}
	s := o.served(at, dir)
	ours, err := o.runConsole(ctx, s, &f, build)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	bare, err := startPageFloor(ctx)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	finish, err := s.profile()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	c := comparison{o: o, holdfast: ours.url, floor: bare}
	c.generator = generator{accounts: map[string]account{ours.url: {}, bare.url: {}}, callers: map[string][]*caller{}, now: o.Now}
	defer c.generator.close() // before the servers, which would wait for its connections
	for _, page := range consolePages {
		if !slices.Contains(rows, page.name) {
			continue
		}
		row, err := c.row(ctx, page.name, page.of(f))
		if err != nil {
			return report, fmt.Errorf("%s: %w%s", page.name, err, ours.last)
		}
		report.Rows = append(report.Rows, row)
	}
	return report, nil
}

// comparison is a Holdfast and a floor, and a browser for both.
type comparison struct {
	o         Options
	holdfast  string // URL
	floor     *pageFloor
	generator generator
}

// row measures one page. The first look at it, which is not measured, says how long the floor's has to be.
func (c *comparison) row(ctx context.Context, name string, v view) (Row, error) {
	size, err := c.look(ctx, v)
	if err != nil {
		return Row{}, err
	}
	c.floor.serve(size)
	each := order{What: workView, For: c.o.Duration / time.Duration(c.o.Rounds), Conns: 1}
	sides := [2]order{each, each}
	sides[0].URL, sides[0].View = c.holdfast, v
	sides[1].URL, sides[1].View = c.floor.url, view{Path: "/", Holds: []string{pageEnd}}
	rounds, err := turns(c.o.Rounds, func(i int) (result, error) { return c.generator.round(ctx, sides[i]) },
		func(done float64) { c.o.Progress(name, done) })
	if err != nil {
		return Row{}, err
	}
	return newRow(name, halfWithin, rounds, func(r result) float64 { return r.P50 * 1000 }), nil
}

// look gets the page once and returns its length in bytes.
func (c *comparison) look(ctx context.Context, v view) (int, error) {
	callers, err := c.generator.at(c.holdfast)
	if err != nil {
		return 0, err
	}
	browser := callers[0]
	if err := browser.connect(ctx, c.o.Now()); err != nil {
		return 0, err
	}
	err = browser.viewNext(order{View: v})
	browser.used = c.o.Now()
	return len(browser.body), err
}

// running is a Holdfast that serves in this process.
type running struct {
	url    string
	cancel context.CancelFunc
	ended  chan error
	log    *os.File
	last   *tail // of the log
}

// runConsole makes a server for the place, completes the account in it, and lets it serve.
func (o Options) runConsole(ctx context.Context, s served, f *furnished, build func(context.Context, config.Config, io.Writer) (ConsoleServer, error)) (r *running, err error) {
	cfg, err := s.config()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(s.Log)
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	last := &tail{}
	server, err := build(ctx, cfg, io.MultiWriter(log, last))
	if err != nil {
		cancel()
		return nil, errors.Join(err, log.Close())
	}
	if err := o.furnish(ctx, server, f); err != nil {
		cancel() // a server that is run now ends at once, and gives back what it has
		return nil, errors.Join(err, server.Run(ctx), log.Close())
	}
	r = &running{url: server.URL(), cancel: cancel, ended: make(chan error, 1), log: log, last: last}
	go func() { r.ended <- server.Run(ctx) }()
	return r, nil
}

func (r *running) stop() error {
	r.cancel()
	return errors.Join(<-r.ended, r.log.Close())
}
