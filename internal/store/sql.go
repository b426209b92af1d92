package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"holdfast/internal/problem"
)

// SQLite parses a statement anew each time unless it is prepared, which costs more than running it.
// (pgx keeps prepared statements by itself.) Reads are prepared at first use. Inside a transaction
// the only writing connection is taken, so a statement that was missed there is prepared afterwards.

type missing struct{} // in DB.writeStmts: seen in a transaction, not yet prepared

func (db *DB) prepared(query string) *sql.Stmt {
	if db.postgres != "" {
		return nil
	}
	v, ok := db.writeStmts.LoadOrStore(query, missing{})
	if !ok {
		db.missed.Store(true)
	}
	stmt, _ := v.(*sql.Stmt)
	return stmt
}

func (db *DB) prepareMissed() {
	if !db.missed.Swap(false) {
		return
	}
	db.writeStmts.Range(func(query, v any) bool {
		if _, ok := v.(missing); ok {
			if stmt, err := db.write.Prepare(query.(string)); err == nil { // else it stays slow, and says why when used
				db.writeStmts.Store(query, stmt)
			}
		}
		return true
	})
}

// readStmt is the prepared form of a read on SQLite, nil on PostgreSQL.
func (db *DB) readStmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if db.postgres != "" {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if v, ok := db.readStmts.Load(query); ok {
		return v.(*sql.Stmt), nil
	}
	stmt, err := db.read.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, err
	}
	if v, loaded := db.readStmts.LoadOrStore(query, stmt); loaded {
		return v.(*sql.Stmt), stmt.Close()
	}
	return stmt, nil
}

// unwatched is the context for a statement on SQLite, which cannot be waiting for a network: it takes
// the moment that it takes. With a context that can end, driver and database/sql would each start a
// goroutine per statement to watch it, which costs half as much again as reading a row.
func (db *DB) unwatched(ctx context.Context) context.Context {
	if db.postgres != "" {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// get reads one row into dest. No row is sql.ErrNoRows.
func (db *DB) get(ctx context.Context, query string, args []any, dest ...any) error {
	stmt, err := db.readStmt(ctx, query)
	if err != nil {
		return err
	}
	if stmt != nil {
		return asUnavailable(stmt.QueryRowContext(db.unwatched(ctx), args...).Scan(dest...))
	}
	return asUnavailable(db.read.QueryRowContext(ctx, query, args...).Scan(dest...))
}

// query reads rows.
func (db *DB) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := db.readStmt(ctx, query)
	if err != nil {
		return nil, err
	}
	var rows *sql.Rows
	if stmt != nil {
		rows, err = stmt.QueryContext(db.unwatched(ctx), args...)
	} else {
		rows, err = db.read.QueryContext(ctx, query, args...)
	}
	return rows, asUnavailable(err)
}

// scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// collect scans each row and closes the rows.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, asUnavailable(rows.Err())
}

// micros is how times are stored; the zero time is NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// at reads a stored time; NULL is the zero time.
func at(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return time.UnixMicro(us.Int64).UTC()
}

// asUnavailable marks what is the database's trouble and not the caller's: busy, full, away. The
// caller hears 503 and may try again.
func asUnavailable(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	// The driver says ErrBadConn of a connection that it knows to be gone: a group is run again on
	// another one, so to [DB.commit] that is no trouble.
	if _, ok := errors.AsType[*problem.Error](err); ok || !databaseTrouble(err) && !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	p := problem.New(problem.Unavailable, "the database is busy or cannot be reached; try again")
	p.RetryAfter = time.Second
	return p.WithCause(err)
}

func databaseTrouble(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true // whatever the reason, the caller has nothing to do with it
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Classes of PostgreSQL's appendix A: connection, transaction rollback, resources, operator, system.
		for _, class := range []string{"08", "40", "53", "57", "58", "25006"} {
			if strings.HasPrefix(e.Code, class) {
				return true
			}
		}
		return false
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err)
}
