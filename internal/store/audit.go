package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// append links the entry to the account's chain. Links and heads are written at the end of the group.
func (tx *Tx) append(account string, e audit.Entry) error {
	head, err := tx.head(account)
	if err != nil {
		return err
	}
	now, err := tx.tick(account)
	if err != nil {
		return err
	}
	l := head.Next(e, now)
	tx.links = append(tx.links, l)
	tx.heads[account] = l.Head()
	// What was refused is for no reader of events. Who waits for some comes upon it within a tick, and not between two
	// answers, where it would tell that the account is there.
	if l.Entry.Outcome != audit.Refused {
		tx.ring(account)
	}
	return nil
}

// tick is a time that is later than those of all events and links of the account, in this transaction and
// before it: now, or a microsecond after the last one. So all that happens in an account is in one order of
// time, which is that of commit. Whoever adds an event appends a link in the same unit, so the last link is the
// last of all. If that is far ahead, a clock was wrong: the account's time goes back rather than stand still.
func (tx *Tx) tick(account string) (time.Time, error) {
	if _, err := tx.head(account); err != nil {
		return time.Time{}, err
	}
	now := tx.now.Truncate(time.Microsecond)
	if last := tx.chains[account].last; !now.After(last) && last.Sub(now) <= clocksApart {
		now = last.Add(time.Microsecond)
	}
	tx.chains[account].last = now
	return now, nil
}

// chain is the end of an account's chain, as it was before the transaction.
type chain struct {
	head audit.Head
	last time.Time // of all that has a time in the account, in the transaction, too
}

func (tx *Tx) head(account string) (audit.Head, error) {
	if h, ok := tx.heads[account]; ok {
		return h, nil
	}
	if c, ok := tx.chains[account]; ok {
		return c.head, nil
	}
	if err := tx.lock(account); err != nil {
		return audit.Head{}, err
	}
	c := &chain{head: audit.Head{AccountID: account}}
	var hash []byte
	var last sql.NullInt64
	err := tx.row(headQuery, account).Scan(&c.head.Seq, &hash, &last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, fmt.Errorf("read audit head of %q: %w", account, err)
	}
	copy(c.head.Hash[:], hash)
	c.last = at(last)
	tx.chains[account] = c
	return c.head, nil
}

const headQuery = `SELECT h.seq, h.hash, l.at FROM audit_heads h LEFT JOIN audit_links l ON l.account_id = h.account_id AND l.seq = h.seq
	WHERE h.account_id = $1`

const macPurpose = "audit head"

// writeAudit writes what was appended.
func (tx *Tx) writeAudit() error {
	most := 1 // on SQLite a statement is no round trip
	if tx.db.postgres != "" {
		most = groupSize
	}
	for links := range slices.Chunk(tx.links, most) {
		args := make([]any, 0, linkColumns*len(links))
		for _, l := range links {
			args = append(args, l.AccountID, l.Seq, l.Time.UnixMicro(), l.Entry.Actor, string(l.Entry.Action), l.Entry.Target,
				string(l.Entry.Outcome), l.Entry.Reason, l.Entry.RequestID, l.Entry.Address, l.Prev[:], l.Hash[:])
		}
		if _, err := tx.exec(insertLinks(len(links)), args...); err != nil {
			return fmt.Errorf("append audit links from %d of %q on: %w", links[0].Seq, links[0].AccountID, err)
		}
	}
	return tx.writeHeads()
}

const linkColumns = 12

// insertLinks is the text of the statement that inserts so many links.
func insertLinks(rows int) string {
	b := []byte("INSERT INTO audit_links (account_id, seq, at, actor, action, target, outcome, reason, request_id, address, prev, hash) VALUES ")
	for n := range rows * linkColumns {
		switch {
		case n == 0:
			b = append(b, "($"...)
		case n%linkColumns == 0:
			b = append(b, "), ($"...)
		default:
			b = append(b, ", $"...)
		}
		b = strconv.AppendInt(b, int64(n+1), 10)
	}
	return string(append(b, ')'))
}

func (tx *Tx) writeHeads() error {
	for account, h := range tx.heads {
		mac := tx.db.keys.MAC(macPurpose, h.Bytes())
		_, err := tx.exec(`INSERT INTO audit_heads (account_id, seq, hash, mac) VALUES ($1, $2, $3, $4)
			ON CONFLICT (account_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac`,
			account, h.Seq, h.Hash[:], mac)
		if err != nil {
			return fmt.Errorf("write audit head of %q: %w", account, err)
		}
	}
	return nil
}

// AppendRefusal records an attempt that was turned down. It may be lost with the power: the refusal
// took effect without it, and an attacker must not be able to make the disk sync.
func (db *DB) AppendRefusal(ctx context.Context, account string, e audit.Entry) error {
	return db.do(ctx, account, lazy, func(tx *Tx) error { return tx.append(account, e) })
}

// AppendAudit records what changed nothing else in the database, such as an export.
func (db *DB) AppendAudit(ctx context.Context, account string, e audit.Entry) error {
	return db.do(ctx, account, durable, func(tx *Tx) error { return tx.append(account, e) })
}

// AuditChains lists the accounts that have a chain, [audit.System] among them.
func (db *DB) AuditChains(ctx context.Context) ([]string, error) {
	rows, err := db.query(ctx, "SELECT account_id FROM audit_heads UNION SELECT account_id FROM audit_links ORDER BY account_id")
	return collect(rows, err, func(r scanner) (id string, err error) { return id, r.Scan(&id) })
}

// AuditHead returns the head of a chain, after checking that nobody without the key has written it.
// A chain without a head has the zero head.
func (db *DB) AuditHead(ctx context.Context, account string) (audit.Head, error) {
	h := audit.Head{AccountID: account}
	var hash, mac []byte
	err := db.get(ctx, "SELECT seq, hash, mac FROM audit_heads WHERE account_id = $1", []any{account}, &h.Seq, &hash, &mac)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("read audit head of %q: %w", account, err)
	}
	copy(h.Hash[:], hash)
	if len(hash) != len(h.Hash) || !db.keys.VerifyMAC(mac, macPurpose, h.Bytes()) {
		return h, problem.New(problem.Conflict, "the head of the audit chain of %q does not carry the mark of this installation's key: it was written by something else", account)
	}
	return h, nil
}

// auditPage is how many links are read at once.
const auditPage = 1000

// AuditLinks reads a chain from the link after the given number on.
func (db *DB) AuditLinks(ctx context.Context, account string, after int64) iter.Seq2[audit.Link, error] {
	return func(yield func(audit.Link, error) bool) {
		for {
			page, err := db.auditLinks(ctx, account, after)
			if err != nil {
				yield(audit.Link{}, err)
				return
			}
			for _, l := range page {
				if !yield(l, nil) {
					return
				}
				after = l.Seq
			}
			if len(page) < auditPage {
				return
			}
		}
	}
}

func (db *DB) auditLinks(ctx context.Context, account string, after int64) ([]audit.Link, error) {
	rows, err := db.query(ctx, "SELECT "+linkFields+" FROM audit_links WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3", account, after, auditPage)
	links, err := collect(rows, err, scanLink(account))
	if err != nil {
		return nil, fmt.Errorf("read audit log of %q after %d: %w", account, after, err)
	}
	return links, nil
}
