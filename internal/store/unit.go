package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/jobs"
	"holdfast/internal/problem"
)

// durability says what a unit may lose.
type durability bool

const (
	durable durability = true  // on the disk before the answer
	lazy    durability = false // may be lost with the power, never half
)

// unit is one change that waits for its turn.
type unit struct {
	ctx     context.Context
	durable durability
	most    time.Duration // how long it may take
	alone   bool          // shares its transaction with no other unit
	run     func(tx *Tx) error
	turn    chan bool // true: done; false: lead the next group
	err     error
}

// groups are the queues of units, one for each lock key.
type groups struct {
	mu      sync.Mutex
	waiting map[string][]*unit
	busy    map[string]bool
}

// The most units that share a transaction, and the time they may take.
const (
	groupSize    = 64
	groupTimeout = 30 * time.Second
)

// do runs a change as a unit of work. run may be called again, after the transaction it was part of
// has failed for another unit's sake, so it must not leave anything behind outside the transaction
// but what it assigns anew.
//
// An error of run rolls the unit back, except one made by [Tx.refuse].
func (db *DB) do(ctx context.Context, account string, d durability, run func(tx *Tx) error) error {
	return db.enter(account, &unit{ctx: ctx, durable: d, most: groupTimeout, run: run, turn: make(chan bool, 1)})
}

func (db *DB) enter(account string, u *unit) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	key := account
	if db.postgres == "" {
		key = "" // one file, one writer
	}
	if db.groups.join(key, u) {
		db.lead(key, account)
		return u.err
	}
	select {
	case done := <-u.turn:
		if !done {
			db.lead(key, account)
		}
	case <-u.ctx.Done():
		if db.groups.leave(key, u) {
			return u.ctx.Err()
		}
		if done := <-u.turn; !done { // too late to leave: it is being done, or it must lead
			db.lead(key, account)
		}
	}
	return u.err
}

// join adds the unit and reports whether it must lead.
func (g *groups) join(key string, u *unit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting == nil {
		g.waiting, g.busy = map[string][]*unit{}, map[string]bool{}
	}
	g.waiting[key] = append(g.waiting[key], u)
	if g.busy[key] {
		return false
	}
	g.busy[key] = true
	return true
}

// leave takes a waiting unit out, if it is still waiting.
func (g *groups) leave(key string, u *unit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting[key] {
		if w == u {
			g.waiting[key] = append(g.waiting[key][:i:i], g.waiting[key][i+1:]...)
			select {
			case <-u.turn: // it was summoned to lead just now; somebody else must
				g.passLocked(key)
			default:
			}
			return true
		}
	}
	return false
}

// take returns the next group; the leader's own unit is the first in the queue.
func (g *groups) take(key string) []*unit {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.waiting[key]
	n := 0
	for n < min(len(w), groupSize) && (n == 0 || !w[n].alone && !w[0].alone) {
		n++
	}
	g.waiting[key] = w[n:]
	return w[:n:n]
}

// pass hands the lead to the first unit that waits, or ends the group.
func (g *groups) pass(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passLocked(key)
}

func (g *groups) passLocked(key string) {
	if w := g.waiting[key]; len(w) > 0 {
		w[0].turn <- false
		return
	}
	delete(g.waiting, key)
	delete(g.busy, key)
}

// lead commits one group, to which the caller's unit belongs, and passes the lead on.
func (db *DB) lead(key, account string) {
	// Let the others come first who are about to ask: without this, where a commit takes no longer than
	// a request, nearly every group is of one. Where nobody is, it takes no time.
	runtime.Gosched()
	group := db.groups.take(key)
	db.commit(account, group)
	db.groups.pass(key)
	for _, u := range group {
		u.turn <- true
	}
	db.prepareMissed()
	db.trim(group[0].ctx)
}

// commit runs the units of a group in one transaction. If that fails, and not for trouble with the
// database, each is tried once more alone, so that none suffers for its neighbours.
func (db *DB) commit(account string, group []*unit) {
	if len(group) == 0 {
		return
	}
	err := db.transact(account, group)
	if err == nil {
		return
	}
	_, unknown := errors.AsType[*commitError](err)
	_, own := errors.AsType[*unitError](err)
	// After a failed commit nobody knows what happened; the caller may read and ask again. While the
	// database is in trouble, trying each alone would only make them wait one after the other.
	if len(group) == 1 || unknown || !own && databaseTrouble(err) {
		for _, u := range group {
			u.err = asUnavailable(err)
		}
		return
	}
	for _, u := range group {
		u.err = nil
		if err := db.transact(account, []*unit{u}); err != nil {
			u.err = asUnavailable(err)
		}
	}
}

// commitError is a commit that failed: on PostgreSQL it may have happened all the same.
type commitError struct{ err error }

func (e *commitError) Error() string { return "commit: " + e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

// unitError is the error of a unit after which its transaction cannot go on.
type unitError struct{ err error }

func (e *unitError) Error() string { return e.err.Error() }
func (e *unitError) Unwrap() error { return e.err }

// transact runs the units and commits; the error is about the transaction as a whole. Once it is
// committed there is none, whatever happens to the connection.
func (db *DB) transact(account string, group []*unit) (err error) {
	defer func() {
		if v := recover(); v != nil { // without an answer for the group its queue would stand still for ever
			err = &commitError{fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
		}
	}()
	level, most := lazy, time.Duration(0)
	for _, u := range group {
		level, most = level || u.durable, max(most, u.most)
	}
	// A client that leaves must not undo its neighbours' work: the transaction has its own time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(group[0].ctx), most)
	defer cancel()
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to write: %w", err)
	}
	defer func() { _ = conn.Close() }() // gives it back; fails if it was thrown away
	ctx = db.unwatched(ctx)
	restore, err := db.relax(ctx, conn, level)
	if err != nil {
		return err
	}
	defer restore()
	sqlTx, err := conn.BeginTx(ctx, db.isolation())
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = sqlTx.Rollback() }() // fails when the transaction has ended already, which is what we want
	tx := &Tx{ctx: ctx, tx: sqlTx, db: db, now: db.now().UTC(), heads: map[string]audit.Head{}, chains: map[string]*chain{}, locked: map[string]bool{}}
	if err := tx.enterAccount(account, level); err != nil {
		return err
	}
	for _, u := range group {
		if err := tx.runUnit(u); err != nil {
			return err
		}
	}
	if !tx.changed && len(tx.links) == 0 {
		return nil // there is nothing to commit
	}
	if err := tx.writeAudit(); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return &commitError{err}
	}
	db.bells.ring(tx)
	return nil
}

// relax turns the sync at commit off for a group that may be lost, and returns how to turn it on again.
// The pragma is per connection and has no effect inside a transaction.
func (db *DB) relax(ctx context.Context, conn *sql.Conn, level durability) (restore func(), err error) {
	if level == durable || db.postgres != "" {
		return func() {}, nil
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
		return nil, fmt.Errorf("relax durability: %w", err)
	}
	return func() {
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA synchronous = FULL"); err != nil {
			db.log.WarnContext(ctx, "the writing connection is replaced: it does not go back to full durability", "error", err.Error())
			discard(conn)
		}
	}, nil
}

// discard closes a connection that must not be used again, instead of giving it back to the pool.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // this very error makes the pool close it
}

// isolation is that of every unit. Where the server's default is stricter, what a unit reads after it has
// waited for its lock would be as old as the wait.
func (db *DB) isolation() *sql.TxOptions {
	if db.postgres == "" {
		return nil // one writer at a time
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// runUnit runs one unit. One that ends in a problem before it has changed anything leaves no trace, and
// the transaction goes on. After any other error it cannot: an error is one of the transaction. There are
// no savepoints, since nearly every unit goes well, and two more statements would cost each of them.
func (tx *Tx) runUnit(u *unit) error {
	heads, links, changed := maps.Clone(tx.heads), len(tx.links), tx.changed
	tx.changed = false
	u.err = guarded(u.run, tx)
	clean := !tx.changed
	tx.changed = tx.changed || changed
	if u.err == nil {
		return nil
	}
	if r, ok := errors.AsType[*refused](u.err); ok {
		u.err = r.problem
		return nil
	}
	if kind := problem.KindOf(u.err); !clean || kind == problem.Internal || kind == problem.Unavailable {
		return &unitError{u.err}
	}
	tx.heads, tx.links = heads, tx.links[:links]
	return nil
}

func guarded(run func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return run(tx)
}

// refused is an attempt that policy turned down: the audit entry stays, the caller hears the problem.
type refused struct{ problem *problem.Error }

func (r *refused) Error() string { return r.problem.Error() }

// Tx is a transaction in which a unit runs.
type Tx struct {
	ctx    context.Context
	tx     *sql.Tx
	db     *DB
	now    time.Time
	heads  map[string]audit.Head // of the chains appended to, not yet written
	chains map[string]*chain     // that were asked for
	links  []audit.Link          // not yet written
	locked map[string]bool
	rings  map[string]bool // accounts with something new for who waits

	changed bool // something has been written, links and heads apart, or a statement has failed
}

// refuse records that the attempt was turned down, and returns the error with which the unit must end.
// What the unit has changed before stays: nothing, except for the record of the attempt itself.
func (tx *Tx) refuse(account string, by audit.Entry, p *problem.Error) error {
	reason := p.Detail
	if p.Code != "" {
		reason = p.Code + ": " + reason
	}
	if err := tx.append(account, by.AsRefused(reason)); err != nil {
		return err
	}
	return &refused{p}
}

const takeLock = "pg_advisory_xact_lock(hashtextextended($1, 0))"

// enterAccount takes the lock of the account, and sets the durability, in one statement: on PostgreSQL each
// is a round trip for which all who want the account must wait.
func (tx *Tx) enterAccount(account string, level durability) error {
	if tx.db.postgres == "" || level == durable {
		return tx.lock(account)
	}
	if _, err := tx.tx.ExecContext(tx.ctx, "SELECT set_config('synchronous_commit', 'off', TRUE), "+takeLock, account); err != nil {
		return fmt.Errorf("relax durability and lock %q: %w", account, err)
	}
	tx.locked[account] = true
	return nil
}

// lock makes the transaction the only one for the key until it ends. On SQLite it is so anyway.
func (tx *Tx) lock(key string) error {
	if tx.db.postgres == "" || tx.locked[key] {
		return nil
	}
	if _, err := tx.tx.ExecContext(tx.ctx, "SELECT "+takeLock, key); err != nil {
		return fmt.Errorf("lock %q: %w", key, err)
	}
	tx.locked[key] = true
	return nil
}

func (tx *Tx) enqueue(list ...jobs.Job) error {
	tx.changed = true
	return tx.db.queue.Enqueue(tx.ctx, tx.tx, list...)
}

func (tx *Tx) exec(query string, args ...any) (rows int64, err error) {
	var res sql.Result
	if stmt := tx.db.prepared(query); stmt != nil {
		res, err = tx.tx.StmtContext(tx.ctx, stmt).ExecContext(tx.ctx, args...)
	} else {
		res, err = tx.tx.ExecContext(tx.ctx, query, args...)
	}
	if err != nil {
		tx.changed = true // PostgreSQL goes no further with this transaction
		return 0, err
	}
	rows, err = res.RowsAffected()
	tx.changed = tx.changed || rows > 0 || err != nil
	return rows, err
}

func (tx *Tx) row(query string, args ...any) *sql.Row {
	if stmt := tx.db.prepared(query); stmt != nil {
		return tx.tx.StmtContext(tx.ctx, stmt).QueryRowContext(tx.ctx, args...)
	}
	return tx.tx.QueryRowContext(tx.ctx, query, args...)
}

func (tx *Tx) rows(query string, args ...any) (*sql.Rows, error) {
	if stmt := tx.db.prepared(query); stmt != nil {
		return tx.tx.StmtContext(tx.ctx, stmt).QueryContext(tx.ctx, args...)
	}
	return tx.tx.QueryContext(tx.ctx, query, args...)
}
