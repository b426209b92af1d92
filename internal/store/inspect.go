package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/seal"
)

// Inspect opens a database as it is, to look at it: whatever state it is in, nothing is made, migrated
// or written, which the database itself sees to. What needs keys waits for [DB.OpenKeyring].
func Inspect(ctx context.Context, o Options) (*DB, error) {
	o.Existing, o.inspect = true, true
	return connect(ctx, o)
}

// OpenKeyring opens the keyring of an inspected database. One that has none is ErrNoDatabase: no server
// was started on it.
func (db *DB) OpenKeyring(ctx context.Context, master *seal.Master) error {
	keys, err := db.readKeyring(ctx, master)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("the database has no keyring: %w", ErrNoDatabase)
	}
	db.keys = keys
	return err
}

// version is the version of the tables; 0 if there are none.
func (db *DB) version(ctx context.Context) (int64, error) {
	ask := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'goose_db_version'"
	if db.postgres != "" {
		ask = "SELECT COUNT(to_regclass('goose_db_version'))"
	}
	var tables, version int64
	err := db.read.QueryRowContext(ctx, ask).Scan(&tables)
	if err == nil && tables > 0 {
		err = db.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version").Scan(&version)
	}
	if err != nil {
		return 0, fmt.Errorf("read version of tables: %w", err)
	}
	return version, nil
}

// QuickCheck reads the whole SQLite file and returns what is damaged in it; nothing if it is well. A
// PostgreSQL server checks its pages by itself.
func (db *DB) QuickCheck(ctx context.Context) ([]string, error) {
	if db.postgres != "" {
		return nil, nil
	}
	rows, err := db.read.QueryContext(ctx, "PRAGMA quick_check(20)")
	found, err := collect(rows, err, func(r scanner) (line string, err error) { return line, r.Scan(&line) })
	if err != nil {
		return nil, fmt.Errorf("check the database file: %w", err)
	}
	if len(found) == 1 && found[0] == "ok" {
		return nil, nil
	}
	return found, nil
}

// Clock is the time of the database server; of this machine on SQLite.
func (db *DB) Clock(ctx context.Context) (time.Time, error) {
	if db.postgres == "" {
		return db.now(), nil
	}
	var us int64
	if err := db.read.QueryRowContext(ctx, "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)").Scan(&us); err != nil {
		return time.Time{}, fmt.Errorf("ask the database for the time: %w", err)
	}
	return time.UnixMicro(us).UTC(), nil
}

// JobCounts says how the queue stands.
type JobCounts struct {
	Waiting int64 // to be run, now or later
	Overdue int64 // should have been started a minute ago
	GivenUp int64 // failed for good
}

// CountJobs counts the jobs of the queue.
func (db *DB) CountJobs(ctx context.Context) (c JobCounts, err error) {
	before := "datetime('now', '-1 minute')"
	if db.postgres != "" {
		before = "now() - INTERVAL '1 minute'"
	}
	err = db.read.QueryRowContext(ctx, `SELECT
		COALESCE(SUM(CASE WHEN state IN ('available', 'scheduled', 'retryable', 'pending') THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN state IN ('available', 'scheduled', 'retryable') AND scheduled_at < `+before+` THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN state = 'discarded' THEN 1 ELSE 0 END), 0) FROM river_job`).Scan(&c.Waiting, &c.Overdue, &c.GivenUp)
	if err != nil {
		return c, fmt.Errorf("count jobs: %w", err)
	}
	return c, nil
}

// LastLink returns the link to which the chain's head points, after checking it against the head. An
// empty chain has the zero link.
func (db *DB) LastLink(ctx context.Context, account string) (audit.Link, error) {
	head, err := db.AuditHead(ctx, account)
	if err != nil {
		return audit.Link{}, err
	}
	if head.Seq == 0 {
		return audit.Link{}, db.nothingBeyond(ctx, head)
	}
	for l, err := range db.AuditLinks(ctx, account, head.Seq-1) {
		if err != nil {
			return l, err
		}
		if l.Seq != head.Seq || l.Hash != head.Hash || l.Sum() != head.Hash {
			break
		}
		return l, db.nothingBeyond(ctx, head)
	}
	return audit.Link{}, &audit.Fault{AccountID: account, Seq: head.Seq, What: "the link to which the head points is missing or was changed"}
}

// VerifyAudit checks a whole chain, of which more may be written meanwhile. It returns the number of
// good links; the error is a *[audit.Fault] at the first that is not, or says what is wrong with the head.
func (db *DB) VerifyAudit(ctx context.Context, account string) (good int64, err error) {
	head, err := db.AuditHead(ctx, account)
	if err != nil {
		return 0, err
	}
	if good, err = audit.Verify(upTo(head.Seq, db.AuditLinks(ctx, account, 0)), head); err != nil {
		return good, err
	}
	return good, db.nothingBeyond(ctx, head)
}

// upTo ends the links with the one of the number.
func upTo(last int64, links iter.Seq2[audit.Link, error]) iter.Seq2[audit.Link, error] {
	return func(yield func(audit.Link, error) bool) {
		for l, err := range links {
			if err == nil && l.Seq > last || !yield(l, err) || l.Seq == last {
				return
			}
		}
	}
}

// nothingBeyond refuses a link beyond the head. Link and head are committed together, so a link that
// was written after the head was read shows in the head that is read after it.
func (db *DB) nothingBeyond(ctx context.Context, head audit.Head) error {
	for l, err := range db.AuditLinks(ctx, head.AccountID, head.Seq) {
		if err != nil {
			return err
		}
		now, err := db.AuditHead(ctx, head.AccountID)
		if err == nil && now.Seq < l.Seq {
			err = &audit.Fault{AccountID: head.AccountID, Seq: l.Seq, What: fmt.Sprintf("the chain goes on after its head, which says that link %d is the last", now.Seq)}
		}
		return err
	}
	return nil
}
