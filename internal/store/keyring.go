package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/internal/seal"
)

const keyringName = "main"

// OpenMaster opens the master key that spec names. It is made if it may be, but never beside a SQLite
// database that is there already: a new key would be of no use to that, and would hide what is missing.
func OpenMaster(o Options, spec string, environ ...string) (*seal.Master, error) {
	there, err := Exists(o)
	if err != nil {
		return nil, err
	}
	there = there && !postgres(o.Database)
	m, err := seal.OpenMaster(spec, o.Dir, !o.Existing && !there, environ...)
	if err == nil {
		return m, nil
	}
	if there && errors.Is(err, seal.ErrNoMaster) {
		return nil, fmt.Errorf("%w, but a database that was made with one; restore the key from your copy", err)
	}
	return nil, fmt.Errorf("open master key: %w", err)
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
