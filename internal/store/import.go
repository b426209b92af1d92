package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// importRows is how many people go into one statement. With a million people on SQLite, 1 took 22 s of
// CPU time and 50 took 16 s; on PostgreSQL each statement is a round trip besides.
const importRows = 50

// ImportUsers implements [directory.Store].
//
// People are added in the order of their emails and get their ids in the same order, so that table and
// indexes are filled from left to right: a page is written once, not again and again in between others.
func (db *DB) ImportUsers(ctx context.Context, accountID string, ns []directory.NewUser, progress func(int), by audit.Entry) error {
	run := func(tx *Tx) error {
		groups, err := tx.groupIDs(accountID)
		if err != nil {
			return err
		}
		m := newImporter(tx, accountID, groups, ns)
		defer m.close()
		for start := 0; start < len(ns); start += importRows {
			if err := ctx.Err(); err != nil { // a person stopped it: nothing is imported
				return err
			}
			end := min(start+importRows, len(ns))
			if err := m.add(start, end); err != nil {
				return err
			}
			if end%progressEvery == 0 && end < len(ns) {
				progress(end)
			}
		}
		if err := m.flush(); err != nil {
			return err
		}
		if err := tx.analyze(); err != nil {
			return err
		}
		progress(len(ns))
		by.Action, by.Target = audit.UserImport, ""
		return tx.append(accountID, by.Because(fmt.Sprintf("%d people", len(ns))))
	}
	return db.enter(accountID, &unit{ctx: ctx, durable: durable, most: time.Hour, alone: true, run: run, turn: make(chan bool, 1)})
}

// analyze tells PostgreSQL's planner what the tables hold now. By itself it notices within minutes; until
// then it takes the account for small, and reads all of it for one page, or to look at its owners.
func (tx *Tx) analyze() error {
	if tx.db.postgres == "" {
		return nil // SQLite plans by the indexes alone
	}
	if _, err := tx.tx.ExecContext(tx.ctx, "ANALYZE users, group_members"); err != nil {
		return fmt.Errorf("analyze tables: %w", err)
	}
	return nil
}

// progressEvery is after how many people an import tells how far it is; a multiple of importRows.
const progressEvery = 1000

// importer adds people in statements of many rows.
type importer struct {
	tx      *Tx
	account string
	people  []directory.NewUser
	keys    []string                   // of their emails
	order   []int                      // indexes of people, by key
	ids     []string                   // ids[i] is for people[order[i]]
	groups  map[string]directory.Group // by folded name
	byName  map[string]string          // name as written → id; empty for the group of everybody
	members []any                      // rows of group_members that wait: group, user, group, user, …

	// Statements are prepared here, in the transaction that uses them a thousand times.
	statements map[string]*sql.Stmt
}

func newImporter(tx *Tx, account string, groups map[string]directory.Group, people []directory.NewUser) *importer {
	m := &importer{
		tx: tx, account: account, people: people, groups: groups, byName: map[string]string{}, statements: map[string]*sql.Stmt{},
		keys: make([]string, len(people)), order: make([]int, len(people)), ids: make([]string, len(people)),
	}
	for i, u := range people {
		m.keys[i], m.order[i], m.ids[i] = directory.EmailKey(u.Email), i, seal.NewID()
	}
	slices.Sort(m.ids)
	slices.SortFunc(m.order, func(a, b int) int {
		return cmp.Or(strings.Compare(m.keys[a], m.keys[b]), cmp.Compare(a, b))
	})
	return m
}

// add inserts the people of a part of the order.
func (m *importer) add(start, end int) error {
	args := make([]any, 0, 2+6*(end-start))
	for at := start; at < end; at++ {
		i := m.order[at]
		u := m.people[i]
		if at == start {
			args = append(args, m.account)
		}
		args = append(args, m.ids[at], u.Email, m.keys[i], u.DisplayName, directory.NameKey(u.DisplayName), u.ExternallyManaged)
		if at == start {
			args = append(args, m.tx.now.UnixMicro())
		}
	}
	added, err := m.exec(insertPeople(end-start), args)
	if err != nil {
		return fmt.Errorf("insert people: %w", err)
	}
	if added != int64(end-start) {
		return m.conflict(start, end)
	}
	for at := start; at < end; at++ {
		i := m.order[at]
		for _, name := range m.people[i].Groups {
			group, err := m.group(name)
			if err != nil {
				return &directory.ImportError{Index: i, Err: err}
			}
			if group == "" {
				continue
			}
			m.members = append(m.members, group, m.ids[at])
			if len(m.members) == 2*importRows {
				if err := m.flush(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func insertPeople(rows int) string {
	// The first row brings what all have in common: $1 the account, $8 the time.
	return insertRows("users (account_id, id, email, email_key, display_name, name_key, lifecycle, suspended, externally_managed, created_at)",
		"($1, $2, $3, $4, $5, $6, 'active', FALSE, $7, $8)", "($1, $%d, $%d, $%d, $%d, $%d, 'active', FALSE, $%d, $8)", 6, rows, "(account_id, email_key)")
}

func insertMembers(rows int) string {
	return insertRows("group_members (account_id, group_id, user_id, added_at)",
		"($1, $2, $3, $4)", "($1, $%d, $%d, $4)", 2, rows, "(account_id, group_id, user_id)")
}

// insertRows is the text of an INSERT of many rows, of which those that are there already are left out.
// The placeholders of the second row go on where the first row, with its two shared ones, ends.
func insertRows(into, first, next string, perRow, rows int, key string) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + into + " VALUES " + first)
	n := perRow + 2
	for range rows - 1 {
		b.WriteString(", ")
		parts := strings.Split(next, "%d")
		for i, part := range parts {
			b.WriteString(part)
			if i < len(parts)-1 {
				n++
				b.WriteString(strconv.Itoa(n))
			}
		}
	}
	return b.String() + " ON CONFLICT " + key + " DO NOTHING"
}

// flush inserts the memberships that wait.
func (m *importer) flush() error {
	rows := len(m.members) / 2
	if rows == 0 {
		return nil
	}
	args := make([]any, 0, 2+2*rows)
	args = append(args, m.account)
	args = append(args, m.members[:2]...)
	args = append(args, m.tx.now.UnixMicro())
	args = append(args, m.members[2:]...)
	m.members = m.members[:0]
	if _, err := m.exec(insertMembers(rows), args); err != nil {
		return fmt.Errorf("add people to groups: %w", err)
	}
	return nil
}

// group is the id of a group by its name; empty for the group of everybody, of which no rows are kept.
func (m *importer) group(name string) (string, error) {
	if id, ok := m.byName[name]; ok {
		return id, nil
	}
	g, ok := m.groups[directory.GroupKey(name)]
	if !ok {
		return "", errNoGroup(name)
	}
	id := g.ID
	if g.Kind == directory.TeamMembers {
		id = ""
	}
	m.byName[name] = id
	return id, nil
}

// conflict finds one of the people whose email somebody else has.
func (m *importer) conflict(start, end int) error {
	for at := start; at < end; at++ {
		i := m.order[at]
		var id string
		err := m.tx.row("SELECT id FROM users WHERE account_id = $1 AND email_key = $2", m.account, m.keys[i]).Scan(&id)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("find the email that is taken: %w", err)
		}
		if id != m.ids[at] {
			return &directory.ImportError{Index: i, Err: errEmailTaken(m.people[i].Email)}
		}
	}
	return errors.New("the database left out people whose email nobody has")
}

func (m *importer) exec(query string, args []any) (int64, error) {
	stmt, ok := m.statements[query]
	if !ok {
		var err error
		if stmt, err = m.tx.tx.PrepareContext(m.tx.ctx, query); err != nil {
			return 0, err
		}
		m.statements[query] = stmt
	}
	m.tx.changed = true
	res, err := stmt.ExecContext(m.tx.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (m *importer) close() {
	for _, stmt := range m.statements {
		_ = stmt.Close() // the transaction closes it anyway
	}
}

// emailChunk is how many emails are looked up by one statement.
const emailChunk = 250

// KnownEmails implements [directory.Store].
func (db *DB) KnownEmails(ctx context.Context, accountID string, keys []string) ([]string, error) {
	var known []string
	for chunk := range slices.Chunk(keys, emailChunk) {
		query, args := lookupEmails(accountID, chunk)
		rows, err := db.query(ctx, query, args...)
		found, err := collect(rows, err, func(r scanner) (key string, err error) { return key, r.Scan(&key) })
		if err != nil {
			return nil, fmt.Errorf("look up emails: %w", err)
		}
		known = append(known, found...)
	}
	return known, nil
}

// lookupEmails asks for a chunk of emails, or for one. There are two texts, so that each is prepared
// once: a chunk that is not full repeats its last email.
func lookupEmails(accountID string, keys []string) (query string, args []any) {
	rows := emailChunk
	if len(keys) == 1 {
		rows = 1
	}
	var b strings.Builder
	b.WriteString("SELECT email_key FROM users WHERE account_id = $1 AND email_key IN ($2")
	args = append(make([]any, 0, rows+1), accountID, keys[0])
	for i := 1; i < rows; i++ {
		b.WriteString(", $" + strconv.Itoa(i+2))
		args = append(args, keys[min(i, len(keys)-1)])
	}
	return b.String() + ")", args
}

func errEmailTaken(email string) error {
	p := problem.New(problem.Conflict, "the account already has a person with the email %q", email)
	p.Field = "email"
	return p
}

func errNoGroup(name string) error {
	return problem.InField("groups", "the account has no group %q", strings.TrimSpace(name))
}
