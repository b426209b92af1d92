package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"
	"modernc.org/sqlite"

	"holdfast/internal/jobs"
)

//go:embed migrations
var migrations embed.FS

// Migrate brings the tables to the version of this binary, in order, each step in a transaction. Tables
// of a newer version are refused. Several servers may start at once.
func (db *DB) Migrate(ctx context.Context) error {
	// SQLite has no lock that lasts longer than a step. Of processes that begin the same one, all but the
	// first fail, with nothing changed, since its tables are there; the next attempt goes on behind it.
	return again(ctx, func(*sqlite.Error) bool { return true }, db.migrate)
}

// On SQLite: how often what processes that start at once may get in each other's way with is tried again,
// and after how long. The steps of a process that is ahead take milliseconds.
const (
	startAttempts = 20
	startPause    = 50 * time.Millisecond
)

// again runs what may fail because another process starts at the same time, until it succeeds, fails in
// another way, or has been tried often enough.
func again(ctx context.Context, passes func(*sqlite.Error) bool, run func(context.Context) error) error {
	err := run(ctx)
	for range startAttempts {
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || !passes(e) {
			break
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(startPause):
		}
		err = run(ctx)
	}
	return err
}

func (db *DB) migrate(ctx context.Context) error {
	p, release, err := db.goose(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := db.refuseNewer(ctx, p); err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate tables: %w", err)
	}
	return jobs.Migrate(ctx, db.Jobs())
}

// CheckSchema reports tables that are not of the version of this binary.
func (db *DB) CheckSchema(ctx context.Context) error {
	p, release, err := db.goose(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := db.refuseNewer(ctx, p); err != nil {
		return err
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read version of tables: %w", err)
	}
	if pending {
		return errors.New("the tables are of an older version; run: holdfast migrate")
	}
	return jobs.Check(ctx, db.Jobs())
}

// SchemaVersion returns the version of the tables, 0 if there are none, and the newest that this binary knows.
func (db *DB) SchemaVersion(ctx context.Context) (have, known int64, err error) {
	p, release, err := db.goose(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer release()
	have, err = db.version(ctx)
	sources := p.ListSources()
	return have, sources[len(sources)-1].Version, err
}

func (db *DB) refuseNewer(ctx context.Context, p *goose.Provider) error {
	have, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read version of tables: %w", err)
	}
	if have > known {
		return fmt.Errorf("the tables are of version %d, this binary knows up to %d: use the newer holdfast binary again, or restore a backup made before the upgrade", have, known)
	}
	return nil
}

func (db *DB) goose(ctx context.Context) (p *goose.Provider, release func(), err error) {
	dir, err := fs.Sub(migrations, "migrations/"+db.Kind())
	if err != nil {
		return nil, nil, fmt.Errorf("find migrations: %w", err)
	}
	dialect := goosedb.DialectSQLite3
	release = func() {}
	if db.postgres != "" {
		dialect = goosedb.DialectPostgres
		// Held while migrating: servers that start at once go one after the other.
		if release, err = db.lockSession(ctx, "migrate"); err != nil {
			return nil, nil, err
		}
	}
	p, err = goose.NewProvider(dialect, db.write, dir, goose.WithVerbose(false), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		release()
		return nil, nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, release, nil
}

// lockSession takes an advisory lock on a connection of its own, until release is called.
func (db *DB) lockSession(ctx context.Context, name string) (release func(), err error) {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect for lock %q: %w", name, err)
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", name); err != nil {
		return nil, errors.Join(fmt.Errorf("take lock %q: %w", name, err), conn.Close())
	}
	return func() {
		// A connection that cannot unlock is thrown away, and its locks with it.
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(hashtextextended($1, 0))", name); err != nil {
			discard(conn)
		}
		_ = conn.Close()
	}, nil
}
