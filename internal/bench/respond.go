package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/config"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
)

// RespondServer is a Holdfast that was made and is not yet running, and that acts on findings.
type RespondServer interface {
	EventsServer
	Respond() *respond.Service
	Targets() *respond.Targets
}

// The rows of [Respond].
const (
	rowSuspended = "attempt to suspension"
	rowElsewhere = "attempt to suspension elsewhere"
)

// RespondRows are the rows of [Respond], in their order.
func RespondRows() []string { return []string{rowSuspended, rowElsewhere} }

// Latency is how long a byte to the other system and its answer are under way, together.
const Latency = 50 * time.Millisecond

// Respond measures the time from the call that stores a sign-in until the person is suspended and has no session
// any more: in the account itself, and in an account of another Holdfast behind [Latency]. There is one server on
// SQLite; on PostgreSQL there are three on one database, and sign-ins are stored through each in turn. All servers
// are in this process.
func Respond(ctx context.Context, o Options, build func(context.Context, config.Config, io.Writer) (RespondServer, error)) (report Report, err error) {
	rows, err := o.rows(RespondRows())
	if err == nil {
		err = o.checkRespond()
	}
	if err != nil {
		return report, err
	}
	dir, remove, err := o.workspace()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	servers := 1
	if o.postgres() {
		servers = 3
	}
	report.Machine = o.busyMachine()
	report.Machine.Conns, report.Machine.Servers = 0, servers
	for _, name := range rows {
		b := respondBench{o: o, name: name, dir: filepath.Join(dir, fmt.Sprint(len(report.Rows))), servers: servers, build: build}
		row, err := b.measure(ctx, name == rowElsewhere)
		if err != nil {
			return report, fmt.Errorf("%s: %w", name, err)
		}
		report.Rows = append(report.Rows, row)
	}
	return report, nil
}

func (o Options) checkRespond() error {
	if o.Attempts < 1 || o.Attempts >= o.People {
		return fmt.Errorf("there cannot be %d attempts; each is of another person, and the account has %d with its owner", o.Attempts, o.People)
	}
	return o.check()
}

// respondBench is one row.
type respondBench struct {
	o       Options
	name    string
	dir     string
	servers int
	build   func(context.Context, config.Config, io.Writer) (RespondServer, error)
	stops   []func() error
	last    tail
}

func (b *respondBench) later(stop func() error) { b.stops = append(b.stops, stop) }

// measure starts the servers, acts, and stops everything in the other order.
func (b *respondBench) measure(ctx context.Context, elsewhere bool) (row Row, err error) {
	defer func() {
		for _, stop := range slices.Backward(b.stops) {
			err = errors.Join(err, stop())
		}
	}()
	playbook, there := fmt.Sprintf(benchPlaybook, ""), world{}
	if elsewhere {
		playbook = fmt.Sprintf(benchPlaybook, ", targets: [local, other]")
		if there, err = b.world(ctx, b.dir+"-other", "", 1); err != nil {
			return row, err
		}
	}
	here, err := b.world(ctx, b.dir, playbook, b.servers)
	if err != nil {
		return row, err
	}
	first := here.servers[0]
	guard, err := first.Respond().Guard(ctx, here.account.ID)
	if err != nil {
		return row, err
	}
	guard.MaxPeople, guard.MaxShare = min(10_000, b.o.People), 100
	if _, err := first.Respond().SetGuard(ctx, here.account.ID, guard, audit.Entry{Actor: "operator:bench"}); err != nil {
		return row, fmt.Errorf("set guard rails: %w", err)
	}
	watch := watcher{b.o, here, here.account.People}
	if elsewhere {
		if err := b.target(ctx, first, here.account.ID, there); err != nil {
			return row, err
		}
		if watch, err = here.twins(ctx, b.o, there); err != nil {
			return row, err
		}
	}
	took, err := b.act(ctx, here, watch)
	return Row{Name: b.name, Unit: halfFound, Value: within(took, 50), P99: within(took, 99)}, err
}

// world is an account and the servers that it has.
type world struct {
	account account
	servers []RespondServer
}

func (b *respondBench) world(ctx context.Context, dir, playbook string, servers int) (w world, err error) {
	p, err := b.o.newPlace(ctx, dir)
	b.later(func() error { return b.o.drop(ctx, p) })
	if err != nil {
		return w, err
	}
	if w.account, err = b.o.fill(ctx, p, b.o.People, true, func(int) {}); err != nil {
		return w, err
	}
	cfg, err := b.o.automated(p, dir, playbook)
	if err != nil {
		return w, err
	}
	for range servers {
		s, err := b.build(ctx, cfg, &b.last)
		if err != nil {
			return w, err
		}
		w.servers = append(w.servers, s)
		b.later(run(ctx, s))
	}
	return w, nil
}

// target sets the other world up as a target that is far away.
func (b *respondBench) target(ctx context.Context, s RespondServer, account string, there world) error {
	url, stop, err := b.o.farAway(ctx, there.servers[0].URL(), Latency)
	if err != nil {
		return err
	}
	b.later(stop)
	_, err = s.Targets().Add(ctx, account, respond.NewTarget{
		Name: "other", Kind: respond.KindUsersAPI, Secret: seal.NewSecret(there.account.Secret),
		Config: respond.TargetConfig{BaseURL: url, AccountID: there.account.ID, ClientID: there.account.ClientID},
	}, audit.Entry{Actor: "operator:bench"})
	if err != nil {
		return fmt.Errorf("set up the target: %w", err)
	}
	return nil
}

// act lets people sign in, one after the other, and measures until each is suspended.
func (b *respondBench) act(ctx context.Context, w world, watch watcher) ([]time.Duration, error) {
	took := make([]time.Duration, 0, b.o.Attempts)
	for i := range b.o.Attempts + 1 { // the first one waits until everything runs, and does not count
		b.o.Progress(b.name, float64(i)/float64(b.o.Attempts+1))
		db := w.servers[i%len(w.servers)].Store()
		began := b.o.Now()
		if err := enter(ctx, db, w.account.ID, w.account.People[i], i); err != nil {
			return nil, err
		}
		if err := watch.await(ctx, watch.people[i]); err != nil {
			return nil, fmt.Errorf("%w%s", err, &b.last)
		}
		if i > 0 {
			took = append(took, b.o.Now().Sub(began))
		}
		left, err := db.Sessions(ctx, w.account.ID, w.account.People[i], b.o.Now())
		if err != nil || len(left) > 0 {
			return nil, errors.Join(fmt.Errorf("after the suspension %d sessions are left", len(left)), err)
		}
		if err := pause(ctx, time.Duration(5+i%7)*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// watcher looks whether people are suspended.
type watcher struct {
	o      Options
	where  world
	people []string // ids there, in the order of those who sign in
}

// lookEvery is between two looks; up to that much is added to what is measured.
const lookEvery = time.Millisecond

func (w watcher) await(ctx context.Context, person string) error {
	for began := w.o.Now(); ; {
		u, err := w.where.servers[0].Store().User(ctx, w.where.account.ID, person)
		switch {
		case err != nil:
			return err
		case u.Suspended:
			return nil
		case w.o.Now().Sub(began) > longest:
			return fmt.Errorf("%s was not suspended within %s", u.Email, longest)
		}
		if err := pause(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// twins looks for people in the other world, who have the same e-mail addresses.
func (w world) twins(ctx context.Context, o Options, there world) (watcher, error) {
	ids := map[string]string{}
	for _, id := range there.account.People {
		u, err := there.servers[0].Store().User(ctx, there.account.ID, id)
		if err != nil {
			return watcher{}, err
		}
		ids[u.Email] = id
	}
	watch := watcher{o: o, where: there}
	for _, id := range w.account.People {
		u, err := w.servers[0].Store().User(ctx, w.account.ID, id)
		if err != nil {
			return watch, err
		}
		if ids[u.Email] == "" {
			return watch, fmt.Errorf("nobody elsewhere has the address %s", u.Email)
		}
		watch.people = append(watch.people, ids[u.Email])
	}
	return watch, nil
}
