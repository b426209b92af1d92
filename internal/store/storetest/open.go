package storetest

import (
	"log/slog"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/seal"
	"holdfast/internal/store"
)

// Kinds lists the databases that tests run on.
func Kinds() []string { return []string{"sqlite", "postgres"} }

// Each runs the test on every database, with tables. PostgreSQL is skipped, or required, as [Postgres] says.
func Each(t *testing.T, test func(t *testing.T, p *Place)) {
	for _, kind := range Kinds() {
		t.Run(kind, func(t *testing.T) { test(t, NewPlace(t, kind)) })
	}
}

// EachBare runs the test on every database, without tables.
func EachBare(t *testing.T, test func(t *testing.T, p *Place)) {
	for _, kind := range Kinds() {
		t.Run(kind, func(t *testing.T) { test(t, NewBarePlace(t, kind)) })
	}
}

// Place is an empty database that can be opened more than once, as by several processes.
type Place struct {
	Kind     string
	Database string // as in the configuration
	Dir      string // data folder
	Now      func() time.Time
}

// NewPlace makes a database of the kind with tables and nothing in them: a copy, so that opening it has
// nothing to migrate.
func NewPlace(t testing.TB, kind string) *Place {
	t.Helper()
	p := &Place{Kind: kind, Database: "sqlite", Dir: t.TempDir(), Now: time.Now}
	if kind == "postgres" {
		p.Database = postgresWithTables(t)
	} else {
		sqliteWithTables(t, p.Dir)
	}
	return p
}

// NewBarePlace makes a database of the kind without tables, for tests of how they come about. Of SQLite
// there is no file yet.
func NewBarePlace(t testing.TB, kind string) *Place {
	t.Helper()
	p := &Place{Kind: kind, Database: "sqlite", Dir: t.TempDir(), Now: time.Now}
	if kind == "postgres" {
		p.Database = Postgres(t)
	}
	return p
}

// Options are how the place is opened.
func (p *Place) Options(t testing.TB) store.Options {
	t.Helper()
	master, err := seal.OpenMaster("file", p.Dir, true)
	if err != nil {
		t.Fatal(err)
	}
	return store.Options{
		Database: p.Database, Dir: p.Dir, MmapSize: 1 << 28, Master: master, Now: p.Now,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Migrate: true,
	}
}

// Open opens the store and closes it when the test ends.
func (p *Place) Open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), p.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return db
}

// By is an actor for tests.
func By() audit.Entry { return audit.Entry{Actor: "operator:test"} }

// Account creates an account with an owner.
func Account(t testing.TB, db *store.DB) (directory.Account, directory.User) {
	t.Helper()
	a, owner, err := db.CreateAccount(t.Context(), directory.NewAccount{Name: "Harbour", OwnerEmail: "Owner@example.org", OwnerName: "Ines"}, By())
	if err != nil {
		t.Fatal(err)
	}
	return a, owner
}

// User adds a person to groups.
func User(t testing.TB, db *store.DB, account, email string, groups ...string) directory.User {
	t.Helper()
	u, err := db.AddUser(t.Context(), account, directory.NewUser{Email: email, DisplayName: email, Groups: groups}, By())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Verify checks every audit chain and returns the number of entries of one.
func Verify(t testing.TB, db *store.DB, account string) int64 {
	t.Helper()
	chains, err := db.AuditChains(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var entries int64
	for _, id := range chains {
		head, err := db.AuditHead(t.Context(), id)
		if err != nil {
			t.Errorf("head: %v", err)
			continue
		}
		n, err := audit.Verify(db.AuditLinks(t.Context(), id, 0), head)
		if err != nil {
			t.Error(err)
		}
		if id == account {
			entries = n
		}
	}
	return entries
}
