package store

import (
	"context"
	"database/sql"
)

// Pools opens the connections as [Open] does, and nothing else: no tables, keys or jobs. It is for
// measuring what the store adds to its database. On PostgreSQL the two are one pool.
func Pools(ctx context.Context, o Options) (read, write *sql.DB, err error) {
	db, err := connect(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return db.read, db.write, nil
}
