package storetest

import (
	"database/sql"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// ending is how a test ended, as seen by a probe.
type ending struct {
	fatal, skip string
}

// probe records how it ends in place of ending the test. It runs in a goroutine of its own, as tests do.
type probe struct {
	testing.TB
	ending
}

func (p *probe) Helper() {}

func (p *probe) Fatal(args ...any) {
	p.fatal = fmt.Sprint(args...)
	runtime.Goexit()
}

func (p *probe) Fatalf(format string, args ...any) {
	p.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (p *probe) Skipf(format string, args ...any) {
	p.skip = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func probed(t *testing.T, test func(testing.TB)) ending {
	t.Helper()
	p := &probe{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(p)
	}()
	<-done
	return p.ending
}

func TestRequire(t *testing.T) {
	tests := []struct {
		name    string
		require string
		part    string
		found   bool
		want    ending
	}{
		{"found", "", "npm", true, ending{}},
		{"found-and-required", "postgres,npm", "npm", true, ending{}},
		{"missing", "", "npm", false, ending{skip: "npm is missing: get it"}},
		{"missing-other-required", "postgres,chromium", "npm", false, ending{skip: "npm is missing: get it"}},
		{"missing-required", "postgres, npm", "npm", false, ending{fatal: "npm is missing, and HOLDFAST_TEST_REQUIRE lists it: get it"}},
		{"mistyped-list", "postgers", "npm", true, ending{fatal: `HOLDFAST_TEST_REQUIRE lists "postgers"; the parts are postgres, chromium, npm, python`}},
		{"mistyped-part", "", "nmp", false, ending{fatal: `"nmp" is no part of a test machine; the parts are postgres, chromium, npm, python`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(requireVariable, tt.require)
			if got := probed(t, func(p testing.TB) { Require(p, tt.part, tt.found, "get it") }); got != tt.want {
				t.Errorf("Require ended with %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestPostgresWithoutServer(t *testing.T) {
	tests := []struct {
		name, require, server string
		fatal, skip           bool
	}{
		{"skipped", "", "", false, true},
		{"required", "postgres", "", true, false},
		{"no-URL", "", "host=localhost password=hunter2", true, false},
		{"other-scheme", "", "mysql://u:hunter2@localhost/x", true, false},
		{"nobody-listens", "", "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(requireVariable, tt.require)
			t.Setenv(serverVariable, tt.server)
			got := probed(t, func(p testing.TB) { Postgres(p) })
			if (got.fatal != "") != tt.fatal || (got.skip != "") != tt.skip {
				t.Errorf("Postgres ended with %+v, want fatal %v, skip %v", got, tt.fatal, tt.skip)
			}
			if strings.Contains(got.fatal+got.skip, "hunter2") {
				t.Errorf("the password is shown: %+v", got)
			}
		})
	}
}

// TestPostgres: two databases apart from each other, gone after the test although a connection was left open.
func TestPostgres(t *testing.T) {
	var left string
	t.Run("use", func(t *testing.T) {
		first, second := Postgres(t), Postgres(t)
		left = first
		if first == second {
			t.Fatalf("the same database twice: %s", first)
		}
		run(t, first, "CREATE TABLE things (id TEXT)")
		run(t, second, "CREATE TABLE things (id TEXT)")

		db := open(t, first)
		conn, err := db.Conn(t.Context()) // not closed: dropping must not wait for it
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if left == "" {
		t.Skip("no PostgreSQL, as the subtest says")
	}
	db := open(t, left)
	if err := db.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("connect after the test = %v, want an error that the database does not exist", err)
	}
	server := open(t, os.Getenv(serverVariable))
	var n int
	name := left[strings.LastIndex(left, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	if err := server.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&n); err != nil || n != 0 {
		t.Errorf("databases of the name = %d, %v, want none", n, err)
	}
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func run(t *testing.T, url, statement string) {
	t.Helper()
	db := open(t, url)
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
