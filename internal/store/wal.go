package store

import (
	"context"
	"os"
	"sync/atomic"
	"time"
)

// SQLite writes the log from its beginning again only in a moment in which nobody reads from it. Under
// steady load there may be none, and the log would grow for ever: 2.6 MB a second were seen with eight
// readers of long pages. So now and then its size is looked at, and if it is too long, the writer waits
// for the readers under way; new ones find everything in the database file meanwhile.

// walFile is the log beside the database file.
type walFile struct {
	path   string
	most   int64        // bytes
	every  int64        // groups between two looks at it
	groups atomic.Int64 // committed
}

const (
	walMost  = 64 << 20
	walEvery = 256
	trimWait = 500 * time.Millisecond // for readers; if they take longer, the next time may do
)

// trim empties the log if it is too long.
func (db *DB) trim(ctx context.Context) {
	if db.postgres != "" || db.wal.groups.Add(1)%db.wal.every != 0 {
		return
	}
	info, err := os.Stat(db.wal.path)
	if err != nil || info.Size() <= db.wal.most {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trimWait)
	defer cancel()
	var busy, pages, moved int
	if err := db.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil || busy != 0 {
		db.log.WarnContext(ctx, "the log of the database is too long and cannot be emptied now: somebody reads for a long time",
			"bytes", info.Size(), "error", err)
	}
}
