package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
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

	// Existing refuses a database that is not there ([ErrNoDatabase]) instead of making it.
	Existing bool
	// Migrate brings the tables up to date. Without it, tables of another version are refused.
	Migrate bool
	// Bulk gives the writing connection a larger cache, for imports.
	Bulk bool

	inspect bool // open for reading only
}

// DB is the store of all domains.
type DB struct {
	read, write *sql.DB     // the same pool on PostgreSQL
	postgres    string      // connection URL; empty on SQLite
	wal         walFile     // of SQLite
	readStmts   sync.Map    // query → *sql.Stmt
	writeStmts  sync.Map    // query → *sql.Stmt or missing
	missed      atomic.Bool // writeStmts has one missing
	groups      groups
	bells       bells
	queue       *jobs.Queue
	keys        *seal.Keyring
	now         func() time.Time
	log         *slog.Logger
}

// ErrNoDatabase says that there is no database, or one without our tables, and that none was to be made.
var ErrNoDatabase = errors.New("there is no Holdfast database yet")

// Exists reports whether there is something to open, without opening it. A PostgreSQL database is
// taken to be there; opening it tells.
func Exists(o Options) (bool, error) {
	if postgres(o.Database) {
		return true, nil
	}
	_, err := os.Stat(filepath.Join(o.Dir, sqliteFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the database: %w", err)
	}
	return true, nil
}

func postgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// Open opens the database, brings its tables up to date if asked, and opens the keyring.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := db.prepare(ctx, o); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// connect opens the database and looks at nothing in it.
func connect(ctx context.Context, o Options) (*DB, error) {
	db := &DB{now: o.Now, log: o.Log}
	if o.Existing {
		if there, err := Exists(o); err != nil {
			return nil, err
		} else if !there {
			return nil, fmt.Errorf("%s: %w", o.Dir, ErrNoDatabase)
		}
	}
	var err error
	switch {
	case o.Database == "" || o.Database == "sqlite":
		db.read, db.write, err = openSQLite(ctx, o)
		db.wal.path, db.wal.most, db.wal.every = filepath.Join(o.Dir, sqliteFile)+"-wal", walMost, walEvery
	case postgres(o.Database):
		db.postgres = o.Database
		db.read, err = openPostgres(ctx, o)
		db.write = db.read
	default:
		err = errors.New(`the database must be "sqlite" or a URL that begins with postgres://`)
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

func (db *DB) prepare(ctx context.Context, o Options) error {
	if o.Existing {
		if have, err := db.version(ctx); err != nil {
			return err
		} else if have == 0 {
			return fmt.Errorf("the %s database has no tables: %w", db.Kind(), ErrNoDatabase)
		}
	}
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
func (db *DB) Jobs() jobs.Database {
	return jobs.Database{SQL: db.write, Read: db.read, Postgres: db.postgres}
}

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

// sqlitePath is the path of the file, which is made if it may be: here and with its mode, since SQLite
// would make it readable by others.
func sqlitePath(o Options) (string, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", fmt.Errorf("find data folder: %w", err)
	}
	path := filepath.Join(dir, sqliteFile)
	if o.Existing {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make data folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("open database: %w", err)
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("open database: %w", err)
	}
	return path, nil
}
