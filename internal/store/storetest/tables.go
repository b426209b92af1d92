package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/internal/seal"
	"holdfast/internal/store"
)

// tables makes a database of each kind as it is after migrating, once per test binary: migrating takes
// fifty times as long as copying, and hundreds of tests begin with it.
var tables = struct {
	sqlite   func() ([]byte, error) // the file
	postgres func() (*original, error)
}{sync.OnceValues(sqliteTables), sync.OnceValues(postgresTables)}

// original is a database on the server that others are copied from.
type original struct {
	name string
	held *sql.Conn // as long as this connection is there, nobody drops the database
}

// originals is how the names of such databases begin.
const originals = "holdfast_tables_"

// sqliteWithTables puts a database file into the data folder.
func sqliteWithTables(t testing.TB, dir string) {
	t.Helper()
	file, err := tables.sqlite()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "holdfast.db"), file, 0o600)
	}
	if err != nil {
		t.Fatalf("make tables for tests: %v", err)
	}
}

// postgresWithTables is [Postgres] with tables.
func postgresWithTables(t testing.TB) string {
	t.Helper()
	return postgresLike(t, func(string) (string, error) {
		o, err := tables.postgres()
		if err != nil {
			return "", err
		}
		return o.name, nil
	})
}

func sqliteTables() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "holdfast-tables-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// No test's context: what one test makes is for all.
	if err := migrate(context.Background(), "sqlite", dir); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "holdfast.db"))
}

// postgresTables makes the original and drops those of test binaries that have ended: there is no end of
// all tests at which one could do it for itself.
func postgresTables() (o *original, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server := os.Getenv(serverVariable)
	o = &original{name: originals + strings.ToLower(rand.Text())}
	target, err := databaseURL(server, o.name)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		return nil, err
	}
	if o.held, err = db.Conn(ctx); err != nil {
		return nil, err
	}
	if _, err := o.held.ExecContext(ctx, "SELECT set_config('application_name', $1, false)", o.name); err != nil {
		return nil, err
	}
	if err := dropAbandoned(ctx, o.held); err != nil {
		return nil, err
	}
	if _, err := o.held.ExecContext(ctx, "CREATE DATABASE "+o.name); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "holdfast-tables-")
	if err != nil {
		return nil, err
	}
	return o, errors.Join(migrate(ctx, target, dir), os.RemoveAll(dir))
}

// dropAbandoned drops the originals that nobody holds.
func dropAbandoned(ctx context.Context, conn *sql.Conn) error {
	names, err := abandoned(ctx, conn)
	for _, name := range names {
		// Another test binary may be at it; what neither drops, the next one does.
		_, _ = conn.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name)
	}
	return err
}

func abandoned(ctx context.Context, conn *sql.Conn) (names []string, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT datname FROM pg_database d WHERE starts_with(datname, $1)
		AND NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = d.datname)`, originals)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		names = append(names, name)
	}
	return names, errors.Join(rows.Err(), rows.Close())
}

// migrate makes the tables. Opening also makes a keyring, which is taken out again: it belongs to a master
// key that no test has.
func migrate(ctx context.Context, database, dir string) error {
	master, err := seal.OpenMaster("file", dir, true)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Options{
		Database: database, Dir: dir, Master: master, Now: time.Now, Log: slog.New(slog.DiscardHandler), Migrate: true,
	})
	if err != nil {
		return err
	}
	_, err = db.Jobs().SQL.ExecContext(ctx, "DELETE FROM keyrings")
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("leave tables without a keyring: %w", err)
	}
	return nil
}
