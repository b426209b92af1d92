package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/internal/seal"
)

const keyringName = "main"

// OpenMaster opens the master key that spec names. A missing one is made if it may be, but never for a
// database that was made with another: it would be of no use to that, and would hide what is missing.
// Without key and database it is ErrNoDatabase if nothing may be made.
func OpenMaster(ctx context.Context, o Options, spec string, environ ...string) (*seal.Master, error) {
	m, err := seal.OpenMaster(spec, o.Dir, false, environ...)
	if !errors.Is(err, seal.ErrNoMaster) {
		if err != nil {
			err = fmt.Errorf("open master key: %w", err)
		}
		return m, err
	}
	used, lookErr := hasKeyring(ctx, o)
	switch {
	case lookErr != nil:
		return nil, errors.Join(err, lookErr)
	case used:
		return nil, fmt.Errorf("%w, but a database that was made with one; restore the key from your copy", err)
	case o.Existing:
		return nil, errors.Join(ErrNoDatabase, err)
	}
	if m, err = seal.OpenMaster(spec, o.Dir, true, environ...); err != nil {
		return nil, fmt.Errorf("make master key: %w", err)
	}
	return m, nil
}

// hasKeyring reports whether a server was ever started on the database.
func hasKeyring(ctx context.Context, o Options) (bool, error) {
	db, err := Inspect(ctx, o)
	if errors.Is(err, ErrNoDatabase) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	rings := 0
	have, err := db.version(ctx)
	if err == nil && have > 0 {
		err = db.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM keyrings WHERE name = $1", keyringName).Scan(&rings)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return false, fmt.Errorf("look for the keyring: %w", err)
	}
	return rings > 0, nil
}

// openKeyring reads the installation's keyring, or makes it at the first start. When two servers start
// at once, the first row wins and both use it.
func (db *DB) openKeyring(ctx context.Context, master *seal.Master) (*seal.Keyring, error) {
	keys, err := db.readKeyring(ctx, master)
	if !errors.Is(err, sql.ErrNoRows) {
		return keys, err
	}
	_, blob, err := seal.NewKeyring(master)
	if err != nil {
		return nil, fmt.Errorf("make keyring: %w", err)
	}
	_, err = db.write.ExecContext(ctx, `INSERT INTO keyrings (name, sealed, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`,
		keyringName, blob, db.now().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("store keyring: %w", err)
	}
	return db.readKeyring(ctx, master)
}

func (db *DB) readKeyring(ctx context.Context, master *seal.Master) (*seal.Keyring, error) {
	var blob []byte
	if err := db.write.QueryRowContext(ctx, "SELECT sealed FROM keyrings WHERE name = $1", keyringName).Scan(&blob); err != nil {
		return nil, fmt.Errorf("read keyring: %w", err)
	}
	keys, err := seal.OpenKeyring(master, blob)
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	return keys, nil
}
