package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// The environment of the tests; CONTRIBUTING.md says who sets it.
const (
	serverVariable  = "TEST_POSTGRES"         // URL of a PostgreSQL server on which databases may be made
	requireVariable = "HOLDFAST_TEST_REQUIRE" // parts that must be there, with commas
)

// parts are what a machine may lack.
var parts = []string{"postgres", "chromium", "npm", "python"}

// Postgres returns the URL of a fresh, empty database on the server of TEST_POSTGRES, which is
// dropped when the test ends. Without that variable the test is skipped, or fails if
// HOLDFAST_TEST_REQUIRE lists postgres.
func Postgres(t testing.TB) string {
	t.Helper()
	return postgresLike(t, func(string) (string, error) { return "template1", nil })
}

// postgresLike makes a database as Postgres does, as a copy of the one that template names.
func postgresLike(t testing.TB, template func(server string) (string, error)) string {
	t.Helper()
	server := os.Getenv(serverVariable)
	Require(t, "postgres", server != "", serverVariable+" is not set; run make test, or: scripts/with-postgres.sh go test ./…")
	name := "holdfast_test_" + strings.ToLower(rand.Text())
	target, err := databaseURL(server, name)
	if err != nil {
		t.Fatal(err)
	}
	original, err := template(server)
	if err != nil {
		t.Fatalf("make tables for tests on the server of %s: %v", serverVariable, err)
	}
	// Identifiers cannot be parameters; these are made of letters, digits and underscores.
	if err := execOnce(t.Context(), server, "CREATE DATABASE "+name+" TEMPLATE "+original); err != nil {
		t.Fatalf("create a database for the test on the server of %s: %v", serverVariable, err)
	}
	t.Cleanup(func() {
		// The test's context has ended. FORCE, since a test that failed may leave connections behind.
		if err := execOnce(context.WithoutCancel(t.Context()), server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return target
}

// Require goes on if the part (postgres, chromium or npm) was found. If not, the test ends: it fails
// when HOLDFAST_TEST_REQUIRE lists the part, and is skipped otherwise. The hint says how to get it.
func Require(t testing.TB, part string, found bool, hint string) {
	t.Helper()
	required, err := isRequired(os.Getenv(requireVariable), part)
	switch {
	case err != nil:
		t.Fatal(err)
	case found:
	case required:
		t.Fatalf("%s is missing, and %s lists it: %s", part, requireVariable, hint)
	default:
		t.Skipf("%s is missing: %s", part, hint)
	}
}

// isRequired reports whether the list, as in HOLDFAST_TEST_REQUIRE, names the part. A word that is no
// part is an error: a mistyped one would let tests be skipped unseen.
func isRequired(list, part string) (bool, error) {
	if !slices.Contains(parts, part) {
		return false, fmt.Errorf("%q is no part of a test machine; the parts are %s", part, strings.Join(parts, ", "))
	}
	required := false
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if word != "" && !slices.Contains(parts, word) {
			return false, fmt.Errorf("%s lists %q; the parts are %s", requireVariable, word, strings.Join(parts, ", "))
		}
		required = required || word == part
	}
	return required, nil
}

// databaseURL is the server's URL with another database. The URL may hold a password, so no error shows it.
func databaseURL(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" {
		return "", fmt.Errorf("%s is not a URL of the form postgres://user:password@host:5432/name", serverVariable)
	}
	u.Path = "/" + name
	return u.String(), nil
}

// execOnce runs one statement on a connection of its own.
func execOnce(ctx context.Context, server, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	db, err := sql.Open("pgx", server)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}
