package store

import (
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// CheckSQLitePlans looks at the plans of all statements that the store has run so far. None may read a table
// that grows from end to end, or all that belongs to an account: without statistics, and it keeps none,
// SQLite takes an account for ten rows, and prefers them to an index that leads to the one.
func (db *DB) CheckSQLitePlans(t *testing.T) {
	whole := regexp.MustCompile(`^SCAN (users|holds|group_members|setup_links|removed_users|client_secrets|tokens|audit_links|vaults|vault_grants|vault_items|vault_item_versions|item_usages|[a-z])\b` +
		`|^SEARCH (users|holds|group_members|setup_links|removed_users|vault_grants|vault_items|vault_item_versions|item_usages|[himuvx]) .*\(account_id=\?\)$|TEMP B-TREE FOR ORDER BY` +
		`|^SCAN (sessions|passkeys|passwords|totp|recovery_codes|sso_subjects|signin_failures|signin_tickets|signin_attempts)\b` +
		`|^SEARCH (sessions|passkeys|passwords|totp|recovery_codes|sso_subjects|signin_attempts|[cpst]) .*\(account_id=\?\)$` +
		`|^SCAN signal_events\b|^SEARCH signal_events .*\(account_id=\?\)$` +
		`|^SCAN (findings|finding_events|detect_profiles|detect_lessons)\b|^SEARCH (findings|finding_events|detect_profiles|detect_lessons) .*\(account_id=\?\)$` +
		`|^SCAN (cases|runs|actions|approvals|questions|case_moments|case_findings|approval_votes|approval_links)\b` +
		`|^SEARCH (cases|runs|actions|approvals|questions|case_moments|case_findings|approval_votes) .*\(account_id=\?\)$`)
	allowed := []string{
		"UNION SELECT account_id FROM audit_links",                      // for holdfast audit verify, which reads all of it anyway
		"UNION SELECT id, name, kind FROM groups",                       // sorts the groups of one person
		"UPDATE sessions SET idle = CASE",                               // all of an account, when its policy becomes stricter
		"FROM accounts ORDER BY",                                        // of an installation
		"COUNT(*) FROM removed_users",                                   // counts them
		"FROM findings WHERE account_id = $1 ORDER BY seq DESC LIMIT 1", // likewise
		"SELECT COALESCE((SELECT seq FROM signin_attempts WHERE",        // likewise, of each stream
		"SELECT key, value, until FROM detect_profiles",                 // all of an account, when its detection begins
		"DELETE FROM detect_profiles WHERE account_id = $1",             // all of an account, or by their keys
		"FROM detect_lessons WHERE account_id = $1",                     // few, those that a checkpoint does not hold yet
		"FROM audit_heads h LEFT JOIN audit_links l",                    // the head of one account is one row
		"INDEXED BY findings_open",                                      // an index of the open alone, in the order of their numbers
		"INDEXED BY users_invited",                                      // an index of the invited alone, in the order of their ids
		"INDEXED BY holds_newest",                                       // an index of open holds alone, in the order of their times
		"DELETE FROM groups",                                            // looks for members that may be left; seldom done
		"COUNT(*) FROM users INDEXED BY users_state WHERE account_id = $1 AND lifecycle = 'active'", // counts them
		"FROM finding_events f CROSS JOIN signal_events s",                                          // sorts the events of one finding
		"INDEXED BY holds_cases",                                             // an index of the open holds of cases alone
		"ORDER BY number DESC LIMIT",                                         // the newest cases, at the end of an index
		"FROM runs WHERE account_id = $1 ORDER BY created_at DESC LIMIT",     // the newest runs, likewise
		"INDEXED BY cases_pending",                                           // an index of cases with something to answer alone
		"FROM client_secrets WHERE client_id = $1",                           // sorts the secrets of one application
		"FROM signal_sources WHERE account_id",                               // sorts the sources of one account, which are few
		"FROM signal_events WHERE account_id = $1 ORDER BY seq DESC LIMIT 1", // the last of an account, at the end of an index
	}
	count := 0
	for _, cache := range []*sync.Map{&db.readStmts, &db.writeStmts} {
		cache.Range(func(key, _ any) bool {
			query := key.(string)
			count++
			if slices.ContainsFunc(allowed, func(a string) bool { return strings.Contains(query, a) }) {
				return true
			}
			for _, line := range db.sqlitePlan(t, query) {
				if whole.MatchString(line) {
					t.Errorf("%s: %s", line, query)
				}
			}
			return true
		})
	}
	if count < 40 {
		t.Errorf("only %d statements were looked at", count)
	}
}

// sqlitePlan returns the lines of the plan.
func (db *DB) sqlitePlan(t *testing.T, query string) []string {
	t.Helper()
	args := make([]any, strings.Count(query, "$")) // more than there are is no error
	rows, err := db.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	lines, err := collect(rows, err, func(r scanner) (line string, err error) {
		var id, parent, unused int
		return line, r.Scan(&id, &parent, &unused, &line)
	})
	if err != nil {
		t.Errorf("%v: %s", err, query)
	}
	return lines
}

// plan is what must be in PostgreSQL's plan of a query.
type plan struct {
	name  string
	query string
	types string // of the parameters
	args  []any
	want  string
}

// CheckPostgresPlans looks at the plans of what is asked most, made for its parameters or for any.
func (db *DB) CheckPostgresPlans(t *testing.T, mode, account string) {
	conn, err := db.read.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "SET plan_cache_mode = "+mode); err != nil {
		t.Fatal(err)
	}
	for _, p := range []plan{
		{"page", listAnybody, "text, text, bigint", []any{account, "M", 101}, "users_pkey"},
		{"page_of_active", listByState, "text, boolean, text, bigint", []any{account, false, "M", 101}, "users_state"},
		{"page_of_suspended", listByState, "text, boolean, text, bigint", []any{account, true, "M", 101}, "users_state"},
		{"owners", countOwners, "text, text, boolean", []any{"U", account, false}, "(id = m.user_id)"},
		{"by_email", peopleByEmail, "text, bigint", []any{"p7@example.org", 5}, "users_anywhere"},
	} {
		t.Run(p.name, func(t *testing.T) {
			if _, err := conn.ExecContext(t.Context(), "PREPARE "+p.name+" ("+p.types+") AS "+p.query); err != nil {
				t.Fatal(err)
			}
			rows, err := conn.QueryContext(t.Context(), "EXPLAIN EXECUTE "+p.name+" ("+p.literals()+")")
			p.check(t, rows, err)
			if _, err := conn.ExecContext(t.Context(), "DEALLOCATE "+p.name); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// literals are the arguments as SQL.
func (p plan) literals() string {
	out := make([]string, len(p.args))
	for i, a := range p.args {
		out[i] = fmt.Sprint(a)
		if s, ok := a.(string); ok {
			out[i] = "'" + s + "'"
		}
	}
	return strings.Join(out, ", ")
}

func (p plan) check(t *testing.T, rows *sql.Rows, err error) {
	t.Helper()
	lines, err := collect(rows, err, func(r scanner) (line string, err error) { return line, r.Scan(&line) })
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(lines, "\n")
	if !strings.Contains(got, p.want) || strings.Contains(got, "Sort") || strings.Contains(got, "Seq Scan on users") {
		t.Errorf("the plan does not hold %q, or reads more than it needs:\n%s", p.want, got)
	}
}
