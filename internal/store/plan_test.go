package store

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// plan is what must be in the plan of a query.
type plan struct {
	name  string
	query string
	types string // of the parameters, on PostgreSQL
	args  []any
	want  string
}

// TestPlansSQLite: what is asked most often is found by an index, in the order in which it is wanted.
func TestPlansSQLite(t *testing.T) {
	db := openPlain(t)
	for _, p := range []plan{
		{"page", listAnybody, "", []any{"A", "M", 101}, "(account_id=? AND id>?)"},
		{"page_by_state", listByStateSQLite, "", []any{"A", true, "M", 101}, "(account_id=? AND suspended=? AND id>?)"},
		{"owners", countOwners, "", []any{"U", "A", false}, "SEARCH u USING PRIMARY KEY (account_id=? AND id=?)"},
	} {
		t.Run(p.name, func(t *testing.T) {
			rows, err := db.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+p.query, p.args...)
			p.check(t, rows, err, func(r scanner) (line string, err error) {
				var id, parent, unused int
				return line, r.Scan(&id, &parent, &unused, &line)
			}, "TEMP B-TREE", "SCAN")
		})
	}
}

// CheckPlans looks at PostgreSQL's plans of the same queries, made for their parameters or for any.
func (db *DB) CheckPlans(t *testing.T, mode, account string) {
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
	} {
		t.Run(p.name, func(t *testing.T) {
			if _, err := conn.ExecContext(t.Context(), "PREPARE "+p.name+" ("+p.types+") AS "+p.query); err != nil {
				t.Fatal(err)
			}
			rows, err := conn.QueryContext(t.Context(), "EXPLAIN EXECUTE "+p.name+" ("+p.literals()+")")
			p.check(t, rows, err, func(r scanner) (line string, err error) { return line, r.Scan(&line) }, "Sort", "Seq Scan on users")
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

func (p plan) check(t *testing.T, rows *sql.Rows, err error, line func(scanner) (string, error), bad ...string) {
	t.Helper()
	lines, err := collect(rows, err, line)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(lines, "\n")
	if !strings.Contains(got, p.want) {
		t.Errorf("the plan does not hold %q:\n%s", p.want, got)
	}
	for _, b := range bad {
		if strings.Contains(got, b) {
			t.Errorf("the plan holds %q:\n%s", b, got)
		}
	}
}
