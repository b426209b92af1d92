package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
)

// Targets and channels are kept alike: things with a name, a configuration and a sealed secret.

// setup is one of them.
type setup struct {
	table, noun   string // in SQL, in words
	accountID, id string
	name, kind    string
	config        string
	secret        []byte
	pages         bool // of channels
	revision      int64
	lastError     string
	createdAt     time.Time
	createdBy     string
	add, change   audit.Action
}

// Targets implements [respond.Settings].
func (db *DB) Targets(ctx context.Context, accountID string) ([]respond.TargetSetup, error) {
	rows, err := db.query(ctx, `SELECT id, name, kind, config, secret, revision, last_error, created_at, created_by FROM targets WHERE account_id = $1 ORDER BY name_key`, accountID)
	all, err := collect(rows, err, func(r scanner) (respond.TargetSetup, error) {
		t := respond.TargetSetup{AccountID: accountID}
		var us int64
		var config string
		err := r.Scan(&t.ID, &t.Name, &t.Kind, &config, &t.Secret, &t.Revision, &t.LastError, &us, &t.CreatedBy)
		t.Config, t.CreatedAt = []byte(config), time.UnixMicro(us).UTC()
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read targets: %w", err)
	}
	return all, nil
}

// SaveTarget implements [respond.Settings].
func (db *DB) SaveTarget(ctx context.Context, t respond.TargetSetup, by audit.Entry) (respond.TargetSetup, error) {
	x, err := db.saveSetup(ctx, setup{
		table: "targets", noun: "target", accountID: t.AccountID, id: t.ID, name: t.Name, kind: t.Kind, config: string(t.Config), secret: t.Secret,
		revision: t.Revision, lastError: t.LastError, createdAt: t.CreatedAt, createdBy: t.CreatedBy, add: audit.TargetAdd, change: audit.TargetUpdate,
	}, by)
	t.ID, t.Revision, t.CreatedAt, t.CreatedBy = x.id, x.revision, x.createdAt, x.createdBy
	return t, err
}

// RemoveTarget implements [respond.Settings].
func (db *DB) RemoveTarget(ctx context.Context, accountID, name string, by audit.Entry) error {
	return db.removeSetup(ctx, "targets", "target", accountID, name, by.For(audit.TargetRemove, ""))
}

// Channels implements [respond.Settings].
func (db *DB) Channels(ctx context.Context, accountID string) ([]respond.Channel, error) {
	rows, err := db.query(ctx, `SELECT id, name, kind, config, secret, pages, revision, last_error, created_at, created_by FROM channels WHERE account_id = $1 ORDER BY name_key`, accountID)
	all, err := collect(rows, err, func(r scanner) (respond.Channel, error) {
		c := respond.Channel{AccountID: accountID}
		var us int64
		var config string
		err := r.Scan(&c.ID, &c.Name, &c.Kind, &config, &c.Secret, &c.Pages, &c.Revision, &c.LastError, &us, &c.CreatedBy)
		c.Config, c.CreatedAt = []byte(config), time.UnixMicro(us).UTC()
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read channels: %w", err)
	}
	return all, nil
}

// SaveChannel implements [respond.Settings].
func (db *DB) SaveChannel(ctx context.Context, c respond.Channel, by audit.Entry) (respond.Channel, error) {
	x, err := db.saveSetup(ctx, setup{
		table: "channels", noun: "channel", accountID: c.AccountID, id: c.ID, name: c.Name, kind: string(c.Kind), config: string(c.Config), secret: c.Secret,
		pages: c.Pages, revision: c.Revision, lastError: c.LastError, createdAt: c.CreatedAt, createdBy: c.CreatedBy, add: audit.ChannelAdd, change: audit.ChannelUpdate,
	}, by)
	c.ID, c.Revision, c.CreatedAt, c.CreatedBy = x.id, x.revision, x.createdAt, x.createdBy
	return c, err
}

// RemoveChannel implements [respond.Settings].
func (db *DB) RemoveChannel(ctx context.Context, accountID, name string, by audit.Entry) error {
	return db.removeSetup(ctx, "channels", "channel", accountID, name, by.For(audit.ChannelRemove, ""))
}

// saveSetup adds what has no revision, and changes what has the revision that is stored.
func (db *DB) saveSetup(ctx context.Context, x setup, by audit.Entry) (setup, error) {
	saved := x
	err := db.do(ctx, x.accountID, durable, func(tx *Tx) error {
		saved = x
		if err := tx.accountThere(x.accountID); err != nil {
			return err
		}
		if saved.id == "" {
			saved.id = seal.NewID()
		}
		var other string
		err := tx.row("SELECT id FROM "+x.table+" WHERE account_id = $1 AND name_key = $2 AND id <> $3", x.accountID, directory.NameKey(x.name), saved.id).Scan(&other)
		if err == nil {
			return problem.New(problem.Conflict, "another %s of this account is called %q", x.noun, x.name)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("look for the name of a %s: %w", x.noun, err)
		}
		by := by.For(x.add, x.noun+":"+saved.id)
		if by.Reason == "" {
			by.Reason = x.name
		}
		if x.revision == 0 {
			err = tx.insertSetup(&saved, by)
		} else {
			by.Action = x.change
			err = tx.updateSetup(&saved)
		}
		if err != nil {
			return err
		}
		return tx.append(x.accountID, by)
	})
	return saved, err
}

func (tx *Tx) insertSetup(x *setup, by audit.Entry) error {
	x.revision, x.createdBy = 1, by.Actor
	if x.createdAt.IsZero() {
		x.createdAt = tx.now.Truncate(time.Microsecond)
	}
	columns, values := "account_id, id, name, name_key, kind, config, secret, revision, last_error, created_at, created_by", "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11"
	args := []any{x.accountID, x.id, x.name, directory.NameKey(x.name), x.kind, x.config, x.secret, x.revision, x.lastError, x.createdAt.UnixMicro(), x.createdBy}
	if x.table == "channels" {
		columns, values, args = columns+", pages", values+", $12", append(args, x.pages)
	}
	if _, err := tx.exec("INSERT INTO "+x.table+" ("+columns+") VALUES ("+values+")", args...); err != nil {
		return fmt.Errorf("insert %s: %w", x.noun, err)
	}
	return nil
}

func (tx *Tx) updateSetup(x *setup) error {
	set, args := "name = $1, name_key = $2, kind = $3, config = $4, secret = $5, last_error = $6, revision = revision + 1",
		[]any{x.name, directory.NameKey(x.name), x.kind, x.config, x.secret, x.lastError, x.accountID, x.id, x.revision}
	where := " WHERE account_id = $7 AND id = $8 AND revision = $9"
	if x.table == "channels" {
		set, args = "pages = $10, "+set, append(args, x.pages)
	}
	n, err := tx.exec("UPDATE "+x.table+" SET "+set+where, args...)
	if err != nil {
		return fmt.Errorf("update %s %q: %w", x.noun, x.id, err)
	}
	if n == 0 {
		return problem.New(problem.Conflict, "the %s %q has been changed or removed since; look at it again", x.noun, x.name)
	}
	x.revision++
	return nil
}

func (db *DB) removeSetup(ctx context.Context, table, noun, accountID, name string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		var id string
		err := tx.row("SELECT id FROM "+table+" WHERE account_id = $1 AND name_key = $2", accountID, directory.NameKey(name)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return problem.New(problem.NotFound, "the account has no %s %q", noun, name)
		}
		if err != nil {
			return fmt.Errorf("look for %s %q: %w", noun, name, err)
		}
		if _, err := tx.exec("DELETE FROM "+table+" WHERE account_id = $1 AND id = $2", accountID, id); err != nil {
			return fmt.Errorf("remove %s %q: %w", noun, name, err)
		}
		by := by.For(by.Action, noun+":"+id)
		if by.Reason == "" {
			by.Reason = name
		}
		return tx.append(accountID, by)
	})
}
