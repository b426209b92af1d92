package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

var _ audit.Log = (*DB)(nil)

// clocksApart is how far the times of links may run against their numbers: servers have clocks of their own.
const clocksApart = 5 * time.Minute

// AuditEntries implements [audit.Log]. Whoever asks for one actor, one target, certain actions or what was
// refused is led by an index; a span of time becomes a span of numbers. Of several conditions one leads,
// and the others leave out.
func (db *DB) AuditEntries(ctx context.Context, q audit.Query) ([]audit.Link, error) {
	over, under, err := db.span(ctx, q)
	if err != nil {
		return nil, err
	}
	var all []audit.Link
	for _, party := range parties(q) {
		for _, action := range orAny(q.Actions) {
			page, err := db.entries(ctx, q, party, action, over, under)
			if err != nil {
				return nil, fmt.Errorf("read audit log of %q: %w", q.AccountID, err)
			}
			all = append(all, page...)
		}
	}
	slices.SortFunc(all, func(a, b audit.Link) int { return cmp.Compare(b.Seq, a.Seq) })
	all = slices.CompactFunc(all, func(a, b audit.Link) bool { return a.Seq == b.Seq }) // who did it to herself
	return all[:min(len(all), q.Size())], nil
}

// party is a column with what it must be; none if the column is empty.
type party struct{ column, is string }

func parties(q audit.Query) []party {
	if q.About == "" {
		return []party{{}}
	}
	return []party{{"actor", q.About}, {"target", q.About}}
}

func orAny(actions []audit.Action) []audit.Action {
	if len(actions) == 0 {
		return []audit.Action{""}
	}
	return slices.Compact(slices.Sorted(slices.Values(actions)))
}

// entries reads a page by one of the indexes.
func (db *DB) entries(ctx context.Context, q audit.Query, p party, action audit.Action, over, under int64) ([]audit.Link, error) {
	st := new(statement).add("SELECT " + linkFields + " FROM audit_links")
	conditions := []party{p, {"target", q.Target}, {"actor", q.Actor}, {"action", string(action)}}
	if db.postgres == "" { // left alone, SQLite would look at every link of the account
		st.add(leadingIndex(conditions, q.Outcome))
	}
	st.add(" WHERE account_id = ?", q.AccountID)
	for _, c := range conditions {
		if c.column != "" && c.is != "" {
			st.add(" AND "+c.column+" = ?", c.is)
		}
	}
	switch audit.Outcome(q.Outcome) {
	case "":
	case audit.Refused: // as text, or the index of the refused would not be for it
		st.add(" AND outcome = 'refused'")
	default:
		st.add(" AND outcome = ?", q.Outcome)
	}
	st.add(" AND seq > ? AND seq < ?", over, under)
	if !q.From.IsZero() {
		st.add(" AND at >= ?", q.From.UnixMicro())
	}
	if !q.To.IsZero() {
		st.add(" AND at < ?", q.To.UnixMicro())
	}
	st.add(" ORDER BY seq DESC LIMIT ?", q.Size())
	rows, err := db.query(ctx, st.text.String(), st.args...)
	return collect(rows, err, scanLink(q.AccountID))
}

// leadingIndex names the index of the first condition there is, to SQLite.
func leadingIndex(conditions []party, outcome string) string {
	for _, c := range conditions {
		if c.column != "" && c.is != "" {
			return " INDEXED BY audit_links_" + c.column
		}
	}
	if outcome == string(audit.Refused) {
		return " INDEXED BY audit_links_refused"
	}
	return ""
}

// span are the numbers between which the entries are, both excluded.
func (db *DB) span(ctx context.Context, q audit.Query) (over, under int64, err error) {
	under = math.MaxInt64
	if q.Before > 0 {
		under = q.Before
	}
	if q.From.IsZero() && q.To.IsZero() {
		return 0, under, nil
	}
	var last int64
	err = db.get(ctx, "SELECT seq FROM audit_heads WHERE account_id = $1", []any{q.AccountID}, &last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, 0, fmt.Errorf("read audit head of %q: %w", q.AccountID, err)
	}
	if !q.To.IsZero() {
		first, err := db.firstSince(ctx, q.AccountID, last, q.To.Add(clocksApart))
		if err != nil {
			return 0, 0, err
		}
		under = min(under, first)
	}
	if !q.From.IsZero() {
		first, err := db.firstSince(ctx, q.AccountID, last, q.From.Add(-clocksApart))
		if err != nil {
			return 0, 0, err
		}
		over = first - 1
	}
	return over, under, nil
}

// firstSince looks for the number of the first link since the time, by halves; one behind the last if there
// is none.
func (db *DB) firstSince(ctx context.Context, account string, last int64, since time.Time) (int64, error) {
	low, high := int64(1), last+1
	for low < high {
		middle := low + (high-low)/2
		var us int64
		err := db.get(ctx, "SELECT at FROM audit_links WHERE account_id = $1 AND seq = $2", []any{account, middle}, &us)
		if err != nil && !errors.Is(err, sql.ErrNoRows) { // one that is missing is for the verification to find
			return 0, fmt.Errorf("read audit link %d of %q: %w", middle, account, err)
		}
		if err == nil && us < since.UnixMicro() {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

const linkFields = "seq, at, actor, action, target, outcome, reason, request_id, address, prev, hash"

func scanLink(account string) func(scanner) (audit.Link, error) {
	return func(r scanner) (audit.Link, error) {
		l := audit.Link{AccountID: account}
		var us int64
		var prev, hash []byte
		err := r.Scan(&l.Seq, &us, &l.Entry.Actor, &l.Entry.Action, &l.Entry.Target, &l.Entry.Outcome, &l.Entry.Reason,
			&l.Entry.RequestID, &l.Entry.Address, &prev, &hash)
		l.Time = time.UnixMicro(us).UTC()
		copy(l.Prev[:], prev)
		copy(l.Hash[:], hash)
		return l, err
	}
}

const verifiedPurpose = "audit verified"

// verification is a row of audit_verified.
type verification struct {
	head       audit.Head
	verifiedAt time.Time
	fullAt     time.Time
	broken     string
}

// mark is what the MAC is over.
func (v verification) mark() [][]byte {
	times := fmt.Appendf(nil, "%d %d", hour(v.verifiedAt), hour(v.fullAt))
	return [][]byte{v.head.Bytes(), times, []byte(v.broken)}
}

// verified reads what was found last. What does not carry our mark counts as never looked at.
func (db *DB) verified(ctx context.Context, account string) (verification, error) {
	v := verification{head: audit.Head{AccountID: account}}
	var hash, mac []byte
	var verified, full int64
	err := db.get(ctx, "SELECT seq, hash, verified_at, full_at, broken, mac FROM audit_verified WHERE account_id = $1", []any{account},
		&v.head.Seq, &hash, &verified, &full, &v.broken, &mac)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return v, fmt.Errorf("read verification of %q: %w", account, err)
	}
	copy(v.head.Hash[:], hash)
	v.verifiedAt, v.fullAt = fromHour(verified), fromHour(full)
	if err != nil || len(hash) != len(v.head.Hash) || !db.keys.VerifyMAC(mac, verifiedPurpose, v.mark()...) {
		return verification{head: audit.Head{AccountID: account}}, nil
	}
	return v, nil
}

// AuditStatus implements [audit.Log].
func (db *DB) AuditStatus(ctx context.Context, account string) (audit.Status, error) {
	v, err := db.verified(ctx, account)
	if err != nil {
		return audit.Status{}, err
	}
	head, err := db.AuditHead(ctx, account)
	if problem.Is(err, problem.Conflict) {
		v.broken = cmp.Or(v.broken, problem.Public(err).Detail)
		err = nil
	}
	return v.status(head.Seq), err
}

func (v verification) status(last int64) audit.Status {
	return audit.Status{
		Seq: last, VerifiedSeq: v.head.Seq, VerifiedAt: v.verifiedAt, FullAt: v.fullAt,
		OK: v.broken == "" && !v.verifiedAt.IsZero(), Broken: v.broken,
	}
}

// CheckAudit implements [audit.Log]. A fault is in the status; an error means that it could not be looked at.
func (db *DB) CheckAudit(ctx context.Context, account string, full bool) (audit.Status, error) {
	v, err := db.verified(ctx, account)
	if err != nil {
		return audit.Status{}, err
	}
	now := db.now().UTC().Truncate(time.Microsecond)
	head, err := db.AuditHead(ctx, account)
	if full || v.verifiedAt.IsZero() {
		v.fullAt = now
		if err == nil {
			old := v.head
			v.head = audit.Head{AccountID: account}
			// Up to the link that was good last time it must be the same chain still, or an older one was put in its place.
			v.head, _, err = audit.VerifyFrom(upTo(old.Seq, db.AuditLinks(ctx, account, 0)), v.head, old)
		}
	}
	if err == nil {
		v.head, _, err = audit.VerifyFrom(upTo(head.Seq, db.AuditLinks(ctx, account, v.head.Seq)), v.head, head)
	}
	if err == nil {
		err = db.nothingBeyond(ctx, head)
	}
	switch {
	case err == nil:
		v.broken = ""
	case isFault(err):
		v.broken = strings.ToValidUTF8(faultText(err), "?")
	default:
		return audit.Status{}, err
	}
	v.verifiedAt = now
	return v.status(head.Seq), db.writeVerified(ctx, v)
}

// isFault tells what is wrong with a chain from what went wrong while it was read.
func isFault(err error) bool {
	_, fault := errors.AsType[*audit.Fault](err)
	return fault || problem.Is(err, problem.Conflict)
}

func faultText(err error) string {
	if f, ok := errors.AsType[*audit.Fault](err); ok {
		return f.Error()
	}
	return problem.Public(err).Detail
}

// writeVerified keeps the result. It is bookkeeping: no entry is written.
func (db *DB) writeVerified(ctx context.Context, v verification) error {
	return db.do(ctx, v.head.AccountID, lazy, func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO audit_verified (account_id, seq, hash, verified_at, full_at, broken, mac) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (account_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, verified_at = excluded.verified_at,
			full_at = excluded.full_at, broken = excluded.broken, mac = excluded.mac`,
			v.head.AccountID, v.head.Seq, v.head.Hash[:], hour(v.verifiedAt), hour(v.fullAt), v.broken,
			db.keys.MAC(verifiedPurpose, v.mark()...))
		if err != nil {
			return fmt.Errorf("keep verification of %q: %w", v.head.AccountID, err)
		}
		return nil
	})
}
