package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/feed"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// An attempt is found by an index for one condition, and by looking for the others. So that a page never
// takes long, however rare what it looks for, it looks at no more than so many; the next page goes on there.
const (
	attemptsLooked  = 4_000
	attemptsChunk   = 500  // read at a time where Go decides
	attemptsLateral = 2000 // of those that came since
)

const attemptRow = "account_id, at, id, category, type, details, session_id, user_id, name, email, method, " + originColumns

// where builds conditions; parameters are numbered as they are added.
type where struct {
	text strings.Builder
	args []any
}

// and adds a condition in which each ? is the next value.
func (w *where) and(condition string, values ...any) {
	if w.text.Len() > 0 {
		w.text.WriteString(" AND ")
	}
	for _, v := range values {
		before, after, _ := strings.Cut(condition, "?")
		w.args = append(w.args, v)
		w.text.WriteString(before + "$" + strconv.Itoa(len(w.args)))
		condition = after
	}
	w.text.WriteString(condition)
}

// attemptSpan is when the attempts happened: at least from, and before (most, id). An ID that is less than the empty
// one does not exist.
type attemptSpan struct {
	from, most int64
	id         string
}

func attemptSpanOf(q signin.AttemptQuery) attemptSpan {
	s := attemptSpan{from: math.MinInt64, most: math.MaxInt64}
	if !q.From.IsZero() {
		s.from = q.From.UnixMicro()
	}
	if !q.To.IsZero() {
		s.most = q.To.UnixMicro()
	}
	if !q.Before.IsZero() && q.Before.UnixMicro() < s.most {
		s.most, s.id = q.Before.UnixMicro(), q.BeforeID
	}
	return s
}

// searched are the conditions of a query in two parts: what an index leads to, and the rest.
type searched struct {
	account string
	column  string // that has the index; empty: the time alone
	value   any
	rest    []condition
	coarse  bool // some of what is found is not meant: addresses decides
	within  netip.Prefix
}

type condition struct {
	text   string
	values []any
}

// attemptSearch chooses the index: of the condition that probably leaves the fewest. The others are written so that
// neither database takes their index instead.
func attemptSearch(q signin.AttemptQuery) searched {
	s := searched{account: q.AccountID}
	key := func(column, value string) {
		switch {
		case value == "":
		case s.column == "":
			s.column, s.value = column, value
		default:
			s.rest = append(s.rest, condition{column + " || '' = ?", []any{value}})
		}
	}
	key("user_id", q.UserID)
	if q.Addresses.IsValid() && q.Addresses.IsSingleIP() {
		key("address", q.Addresses.Addr().String())
	}
	key("country", q.Country)
	key("category", string(q.Category))
	for _, c := range []struct{ column, value string }{{"method", string(q.Method)}, {"session_id", q.SessionID}, {"id", q.ID}} {
		if c.value != "" {
			s.rest = append(s.rest, condition{c.column + " || '' = ?", []any{c.value}})
		}
	}
	if q.Failed {
		s.rest = append(s.rest, condition{"category NOT IN (?, ?)", []any{string(signin.Success), string(signin.FirewallReported)}})
	}
	if q.ASN != 0 {
		s.rest = append(s.rest, condition{"asn = ?", []any{q.ASN}})
	}
	if q.Addresses.IsValid() && !q.Addresses.IsSingleIP() {
		s.within = q.Addresses.Masked()
		begin, exact := addressText(s.within)
		s.coarse = !exact
		s.rest = append(s.rest, condition{"substr(address, 1, ?) = ?", []any{len(begin), begin}})
	}
	if text := strings.TrimSpace(q.Text); text != "" {
		pattern := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(storable(text, mostText)) + "%"
		s.rest = append(s.rest, condition{`lower(name || ' ' || email || ' ' || network || ' ' || city) LIKE lower(?) ESCAPE '\'`, []any{pattern}})
	}
	return s
}

// addressText is what all addresses of the network begin with, as they are written; exact says that no other
// address begins so.
func addressText(p netip.Prefix) (begin string, exact bool) {
	var b strings.Builder
	if p.Addr().Is4() {
		parts := p.Addr().As4()
		for _, part := range parts[:p.Bits()/8] {
			b.WriteString(strconv.Itoa(int(part)) + ".")
		}
		return b.String(), p.Bits()%8 == 0 && p.Bits() > 0
	}
	bytes := p.Addr().As16()
	for i := 0; i+1 < p.Bits()/8 && i < len(bytes)-2; i += 2 {
		part := uint64(bytes[i])<<8 | uint64(bytes[i+1])
		if part == 0 { // from here on it may be written as "::"
			return b.String(), false
		}
		b.WriteString(strconv.FormatUint(part, 16) + ":")
	}
	return b.String(), false
}

// base is the part that an index leads to.
func (s searched) base(at attemptSpan) *where {
	w := &where{}
	w.and("account_id = ?", s.account)
	if s.column != "" {
		w.and(s.column+" = ?", s.value)
	}
	if s.column == "country" {
		w.and("country <> ''") // the index has no others
	}
	w.and("at >= ?", at.from)
	w.and("at <= ?", at.most)
	w.and("(at < ? OR id < ?)", at.most, at.id)
	return w
}

func (s searched) all(at attemptSpan) *where {
	w := s.base(at)
	for _, c := range s.rest {
		w.and(c.text, c.values...)
	}
	return w
}

// keeps reports whether the attempt is one of those that are meant.
func (s searched) keeps(a signin.Attempt) bool {
	if !s.coarse {
		return true
	}
	address, err := netip.ParseAddr(a.Client.Address)
	return err == nil && s.within.Contains(address.Unmap().WithZone(""))
}

// attemptsBy is the table, for a condition of the column. Left alone, SQLite would look at all attempts of the
// account by their times, which it takes for as good an index: it keeps no statistics.
func (db *DB) attemptsBy(column string) string {
	if db.postgres != "" {
		return "signin_attempts"
	}
	index := map[string]string{"": "at", "user_id": "person"}[column]
	return "signin_attempts INDEXED BY signin_attempts_" + cmp.Or(index, column)
}

// window is the span cut to what may be looked at; whole says that nothing was cut off.
func (db *DB) window(ctx context.Context, s searched, at attemptSpan) (_ attemptSpan, whole bool, err error) {
	if len(s.rest) == 0 {
		return at, true, nil // whatever the index leads to is meant
	}
	w := s.base(at)
	w.args = append(w.args, attemptsLooked)
	query := "SELECT at FROM " + db.attemptsBy(s.column) + " WHERE " + w.text.String() + " ORDER BY at DESC, id DESC LIMIT 1 OFFSET $" + strconv.Itoa(len(w.args))
	var from int64
	err = db.get(ctx, query, w.args, &from)
	if errors.Is(err, sql.ErrNoRows) {
		return at, true, nil
	}
	if err != nil {
		return at, false, fmt.Errorf("see how far to look for attempts: %w", err)
	}
	at.from = from
	return at, false, nil
}

// FindAttempts implements [signin.Store].
func (db *DB) FindAttempts(ctx context.Context, q signin.AttemptQuery) (signin.AttemptPage, error) {
	if len(q.UserIDs) > 0 {
		return db.findOfMany(ctx, q)
	}
	var p signin.AttemptPage
	s := attemptSearch(q)
	at, whole, err := db.window(ctx, s, attemptSpanOf(q))
	if err != nil {
		return p, err
	}
	size := q.Limit + 1
	if s.coarse {
		size = max(size, attemptsChunk)
	}
	for rest := at; ; {
		w := s.all(rest)
		w.args = append(w.args, size)
		rows, err := db.query(ctx, "SELECT "+attemptRow+" FROM "+db.attemptsBy(s.column)+" WHERE "+w.text.String()+" ORDER BY at DESC, id DESC LIMIT $"+strconv.Itoa(len(w.args)), w.args...)
		some, err := collect(rows, err, scanAttempt)
		if err != nil {
			return p, fmt.Errorf("read sign-in attempts: %w", err)
		}
		for _, a := range some {
			if !s.keeps(a) {
				continue
			}
			if len(p.Attempts) == q.Limit {
				last := p.Attempts[len(p.Attempts)-1]
				p.More, p.Next, p.NextID = true, last.At, last.ID
				return p, nil
			}
			p.Attempts = append(p.Attempts, a)
		}
		if len(some) < size {
			break
		}
		rest.most, rest.id = some[len(some)-1].At.UnixMicro(), some[len(some)-1].ID
	}
	if !whole { // all that happened at the same moment was looked at, too
		p.More, p.Searching, p.Next = true, true, time.UnixMicro(at.from).UTC()
	}
	return p, nil
}

// findOfMany asks for each person, and puts together what is newer than where the looking of any ended.
func (db *DB) findOfMany(ctx context.Context, q signin.AttemptQuery) (signin.AttemptPage, error) {
	var all signin.AttemptPage
	ids := slices.Compact(slices.Sorted(slices.Values(q.UserIDs)))
	q.UserIDs = nil
	older := func(a, b signin.Attempt) int { return cmp.Or(b.At.Compare(a.At), strings.Compare(b.ID, a.ID)) }
	for _, id := range ids {
		q.UserID = id
		p, err := db.FindAttempts(ctx, q)
		if err != nil {
			return all, err
		}
		all.Attempts = append(all.Attempts, p.Attempts...)
		if p.More && older(signin.Attempt{At: p.Next, ID: p.NextID}, signin.Attempt{At: all.Next, ID: all.NextID}) < 0 {
			all.More, all.Searching, all.Next, all.NextID = true, p.Searching, p.Next, p.NextID
		}
	}
	slices.SortFunc(all.Attempts, older)
	if all.More {
		end := signin.Attempt{At: all.Next, ID: all.NextID}
		all.Attempts = slices.DeleteFunc(all.Attempts, func(a signin.Attempt) bool { return older(a, end) > 0 })
	}
	if len(all.Attempts) > q.Limit {
		all.Attempts = all.Attempts[:q.Limit]
		last := all.Attempts[q.Limit-1]
		all.More, all.Searching, all.Next, all.NextID = true, false, last.At, last.ID
	}
	return all, nil
}

// Attempts implements [signin.Store].
func (db *DB) Attempts(ctx context.Context, q signin.AttemptQuery) ([]signin.Attempt, error) {
	var all []signin.Attempt
	limit := q.Limit
	for {
		q.Limit = limit - len(all)
		p, err := db.FindAttempts(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, p.Attempts...)
		if !p.More || len(all) >= limit {
			return all, nil
		}
		q.Before, q.BeforeID = p.Next, p.NextID
	}
}

// CountAttempts implements [signin.Store].
func (db *DB) CountAttempts(ctx context.Context, q signin.AttemptQuery, most int) (n int, more bool, err error) {
	if len(q.UserIDs) > 0 {
		ids := slices.Compact(slices.Sorted(slices.Values(q.UserIDs)))
		q.UserIDs = nil
		for _, id := range ids {
			q.UserID = id
			of, others, err := db.CountAttempts(ctx, q, most)
			if err != nil {
				return 0, false, err
			}
			n, more = n+of, more || others
		}
		return min(n, most), more || n > most, nil
	}
	s := attemptSearch(q)
	if s.coarse {
		return 0, true, nil // only reading each would tell
	}
	at, whole, err := db.window(ctx, s, attemptSpanOf(q))
	if err != nil {
		return 0, false, err
	}
	w := s.all(at)
	w.args = append(w.args, most+1)
	query := "SELECT COUNT(*) FROM (SELECT 1 FROM " + db.attemptsBy(s.column) + " WHERE " + w.text.String() + " ORDER BY at DESC, id DESC LIMIT $" + strconv.Itoa(len(w.args)) + ") AS found"
	if err := db.get(ctx, query, w.args, &n); err != nil {
		return 0, false, fmt.Errorf("count sign-in attempts: %w", err)
	}
	return min(n, most), n > most || !whole, nil
}

// AttemptsSince implements [signin.Store].
func (db *DB) AttemptsSince(ctx context.Context, q signin.AttemptQuery, after int64) ([]signin.Attempt, int64, error) {
	_, last, err := db.Bounds(ctx, q.AccountID, feed.SignInAttempts)
	if err != nil || after < 0 || last <= after {
		return nil, last, err
	}
	s := attemptSearch(q)
	w := &where{}
	w.and("account_id = ?", q.AccountID)
	w.and("seq > ?", max(after, last-attemptsLateral))
	w.and("seq <= ?", last)
	if s.column != "" {
		w.and(s.column+" || '' = ?", s.value)
	}
	at := attemptSpanOf(q)
	w.and("at + 0 >= ?", at.from)
	w.and("at + 0 < ?", at.most)
	for _, c := range s.rest {
		w.and(c.text, c.values...)
	}
	rows, err := db.query(ctx, "SELECT "+attemptRow+" FROM signin_attempts WHERE "+w.text.String()+" ORDER BY seq DESC", w.args...)
	all, err := collect(rows, err, scanAttempt)
	if err != nil {
		return nil, 0, fmt.Errorf("read new sign-in attempts: %w", err)
	}
	all = slices.DeleteFunc(all, func(a signin.Attempt) bool {
		return !s.keeps(a) || len(q.UserIDs) > 0 && !slices.Contains(q.UserIDs, a.UserID)
	})
	return all[:min(len(all), q.Limit)], last, nil
}

// Attempt implements [signin.Store].
func (db *DB) Attempt(ctx context.Context, accountID string, at time.Time, id string) (signin.Attempt, error) {
	// SQLite takes an account for a handful of rows, and would read them all if they had not to be in order.
	rows, err := db.query(ctx, "SELECT "+attemptRow+" FROM signin_attempts WHERE account_id = $1 AND at >= $2 AND at <= $2 AND id = $3 ORDER BY at DESC, id DESC LIMIT 1", accountID, at.UnixMicro(), id)
	found, err := collect(rows, err, scanAttempt)
	if err != nil {
		return signin.Attempt{}, fmt.Errorf("read sign-in attempt: %w", err)
	}
	if len(found) == 0 {
		return signin.Attempt{}, problem.New(problem.NotFound, "there is no such sign-in event; events are kept for a limited time")
	}
	return found[0], nil
}

// AttemptsAfter implements [signin.Store].
func (db *DB) AttemptsAfter(ctx context.Context, accountID, userID string, at time.Time, id string, limit int) ([]signin.Attempt, error) {
	rows, err := db.query(ctx, "SELECT "+attemptRow+" FROM "+db.attemptsBy("user_id")+" WHERE account_id = $1 AND user_id = $2 AND at >= $3 AND (at > $3 OR id > $4) ORDER BY at, id LIMIT $5",
		accountID, userID, at.UnixMicro(), id, limit)
	all, err := collect(rows, err, scanAttempt)
	if err != nil {
		return nil, fmt.Errorf("read the next sign-in attempts: %w", err)
	}
	return all, nil
}

// attemptCountries goes from one country to the next by the index, instead of reading all attempts.
const attemptCountries = `WITH RECURSIVE found (country) AS (
		SELECT MIN(country) FROM signin_attempts WHERE account_id = $1 AND country <> '' AND country > ''
		UNION ALL
		SELECT (SELECT MIN(country) FROM signin_attempts WHERE account_id = $1 AND country <> '' AND country > found.country) FROM found WHERE found.country IS NOT NULL
	) SELECT country FROM found WHERE country IS NOT NULL
		AND EXISTS (SELECT 1 FROM signin_attempts WHERE account_id = $1 AND country <> '' AND country = found.country AND at >= $2)`

// AttemptCountries implements [signin.Store].
func (db *DB) AttemptCountries(ctx context.Context, accountID string, since time.Time) ([]string, error) {
	rows, err := db.query(ctx, attemptCountries, accountID, since.UnixMicro())
	all, err := collect(rows, err, func(r scanner) (country string, err error) { return country, r.Scan(&country) })
	if err != nil {
		return nil, fmt.Errorf("list countries of sign-in attempts: %w", err)
	}
	slices.Sort(all)
	return all, nil
}
