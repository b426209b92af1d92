package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// openSQLite opens the file twice: many connections that read, one that writes. To inspect, the former do.
func openSQLite(ctx context.Context, o Options) (read, write *sql.DB, err error) {
	path, err := sqlitePath(o)
	if err != nil {
		return nil, nil, err
	}
	common := []string{
		"busy_timeout(10000)", "foreign_keys(ON)", "temp_store(MEMORY)",
		"mmap_size(" + strconv.FormatInt(o.MmapSize, 10) + ")",
	}
	read, err = sql.Open("sqlite", sqliteDSN(path, "deferred", append([]string{"query_only(ON)"}, common...)))
	if err != nil {
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	if o.inspect {
		return read, read, nil
	}
	cache := 16 << 10 // KiB
	if o.Bulk {
		cache = 64 << 10 // an import goes through the tables in order; more is no faster
	}
	writer := append([]string{
		"journal_mode(WAL)", "synchronous(FULL)", "cache_size(-" + strconv.Itoa(cache) + ")",
		"journal_size_limit(" + strconv.Itoa(walMost) + ")", // after an import the log would stay as large as the import
	}, common...)
	write, err = sql.Open("sqlite", sqliteDSN(path, "immediate", writer))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open database: %w", err), read.Close())
	}
	write.SetMaxOpenConns(1)
	write.SetConnMaxLifetime(0)
	if err := firstConnect(ctx, write); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), write.Close(), read.Close())
	}
	return read, write, nil
}

// firstConnect makes the file a WAL database before readers connect. Of processes that do so at the same
// time all but one are told at once that the file is busy, whatever their busy timeout: each waits with a
// shared lock that the others want gone.
func firstConnect(ctx context.Context, write *sql.DB) error {
	return again(ctx, func(e *sqlite.Error) bool { return e.Code()&0xff == sqlite3.SQLITE_BUSY }, write.PingContext)
}

func sqliteDSN(path, txlock string, pragmas []string) string {
	q := url.Values{"_txlock": {txlock}, "_pragma": pragmas}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// openPostgres opens the database. The URL may hold a password, so it is in no error.
func openPostgres(ctx context.Context, o Options) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(o.Database)
	if err != nil {
		return nil, errors.New("the database URL cannot be read; it must be of the form postgres://user:password@host:5432/name")
	}
	cfg.RuntimeParams["application_name"] = "holdfast"
	cfg.RuntimeParams["timezone"] = "UTC"
	if o.inspect {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(30)
	db.SetMaxIdleConns(30)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute) // or one to a server that was demoted since would stay
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to PostgreSQL at %s:%d, database %q, as %q: %w", cfg.Host, cfg.Port, cfg.Database, cfg.User, err), db.Close())
	}
	return db, nil
}
