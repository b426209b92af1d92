package storetest

import (
	"database/sql"
	"errors"
	"os"
	"slices"
	"testing"

	"holdfast/internal/store"
)

// TestPlaces: one kind of place has all tables and no keyring, the other no tables.
func TestPlaces(t *testing.T) {
	Each(t, func(t *testing.T, p *Place) {
		o := p.Options(t)
		o.Migrate, o.Existing = false, true
		db, err := store.Inspect(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		have, known, err := db.SchemaVersion(t.Context())
		if have != known || err != nil {
			t.Errorf("tables of version %d, %v; want %d", have, err, known)
		}
		var keyrings int
		if err := p.raw(t).QueryRow("SELECT COUNT(*) FROM keyrings").Scan(&keyrings); keyrings != 0 || err != nil {
			t.Errorf("%d keyrings, %v; want none", keyrings, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if db, err = store.Open(t.Context(), o); err != nil {
			t.Fatalf("open without migrating: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	EachBare(t, func(t *testing.T, p *Place) {
		o := p.Options(t)
		o.Existing = true
		if db, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrNoDatabase) {
			t.Errorf("open = %v, %v, want that there is no database", db, err)
		}
	})
}

// TestOriginalsAreDropped: what an ended test binary left is dropped, what a living one holds is not.
func TestOriginalsAreDropped(t *testing.T) {
	Postgres(t) // or the test is skipped, or fails
	held, err := tables.postgres()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", os.Getenv(serverVariable))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := originals + "left"
	if _, err := conn.ExecContext(t.Context(), "CREATE DATABASE "+left); err != nil {
		t.Fatal(err)
	}
	if err := dropAbandoned(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	names, err := abandoned(t.Context(), conn)
	if err != nil || slices.Contains(names, left) {
		t.Errorf("abandoned are %q, %v, want %s to be gone", names, err, left)
	}
	var n int
	if err := conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM pg_database WHERE datname = $1", held.name).Scan(&n); n != 1 || err != nil {
		t.Errorf("%d databases %s, %v, want the one that is held", n, held.name, err)
	}
}
