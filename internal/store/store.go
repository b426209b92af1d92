package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/internal/jobs"
	"holdfast/internal/seal"
)

// Options say which database to open.
type Options struct {
	Database string // "sqlite" or a postgres:// URL
	Dir      string // data folder, for SQLite
	MmapSize int64  // bytes of the SQLite file that are mapped into memory; 0 for none
	Master   *seal.Master
	Now      func() time.Time
	Log      *slog.Logger

	// Migrate brings the tables up to date. Without it, tables of another version are refused.
	Migrate bool
	// Bulk gives the writing connection a larger cache, for imports.
	Bulk bool
}

// DB is the store of all domains.
type DB struct {
	read, write *sql.DB     // the same pool on PostgreSQL
	postgres    string      // connection URL; empty on SQLite
	readStmts   sync.Map    // query → *sql.Stmt
	writeStmts  sync.Map    // query → *sql.Stmt or missing
	missed      atomic.Bool // writeStmts has one missing
	groups      groups
	queue       *jobs.Queue
	keys        *seal.Keyring
	now         func() time.Time
	log         *slog.Logger
}

// Open opens the database, brings its tables up to date if asked, and opens the keyring.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{now: o.Now, log: o.Log}
	var err error
	switch {
	case o.Database == "" || o.Database == "sqlite":
		db.read, db.write, err = openSQLite(ctx, o)
	case strings.HasPrefix(o.Database, "postgres://"), strings.HasPrefix(o.Database, "postgresql://"):
		db.postgres = o.Database
		db.read, err = openPostgres(ctx, o.Database)
		db.write = db.read
	default:
		return nil, errors.New(`the database must be "sqlite" or a URL that begins with postgres://`)
	}
	if err != nil {
		return nil, err
	}
	if err := db.prepare(ctx, o); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) prepare(ctx context.Context, o Options) error {
	if o.Migrate {
		if err := db.Migrate(ctx); err != nil {
			return err
		}
	}
	if err := db.CheckSchema(ctx); err != nil {
		return err
	}
	var err error
	if db.queue, err = jobs.NewQueue(db.Jobs()); err != nil {
		return err
	}
	db.keys, err = db.openKeyring(ctx, o.Master)
	return err
}

// Jobs is where this store keeps its jobs.
func (db *DB) Jobs() jobs.Database { return jobs.Database{SQL: db.write, Postgres: db.postgres} }

// Keys is the keyring of this installation.
func (db *DB) Keys() *seal.Keyring { return db.keys }

// Kind is "sqlite" or "postgres".
func (db *DB) Kind() string {
	if db.postgres != "" {
		return "postgres"
	}
	return "sqlite"
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	if err := db.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	return nil
}

// Close closes the database. On SQLite the log is written back first, so that one file holds everything.
func (db *DB) Close() error {
	var errs []error
	for _, stmts := range []*sync.Map{&db.readStmts, &db.writeStmts} {
		stmts.Range(func(_, v any) bool {
			if stmt, ok := v.(*sql.Stmt); ok {
				errs = append(errs, stmt.Close())
			}
			return true
		})
	}
	if db.read != nil && db.read != db.write {
		errs = append(errs, db.read.Close())
	}
	if db.write != nil {
		errs = append(errs, db.write.Close())
	}
	return errors.Join(errs...)
}

// sqliteFile is the name of the database in the data folder.
const sqliteFile = "holdfast.db"

func sqlitePath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find data folder: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return "", fmt.Errorf("make data folder: %w", err)
	}
	return filepath.Join(abs, sqliteFile), nil
}
