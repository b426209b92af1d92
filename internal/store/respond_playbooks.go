package store

import (
	"context"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

const playbookColumns = "v.name, v.text, v.mode, v.version, v.revision, v.updated_at, v.updated_by"

func scanPlaybook(account string) func(scanner) (respond.StoredPlaybook, error) {
	return func(r scanner) (respond.StoredPlaybook, error) {
		p := respond.StoredPlaybook{AccountID: account}
		var us int64
		err := r.Scan(&p.Name, &p.Text, &p.Mode, &p.Version, &p.Revision, &us, &p.UpdatedBy)
		p.UpdatedAt = time.UnixMicro(us).UTC()
		return p, err
	}
}

const playbooksOf = "SELECT " + playbookColumns + ` FROM playbooks p JOIN playbook_versions v
	ON v.account_id = p.account_id AND v.name = p.name AND v.revision = p.revision WHERE p.account_id = $1`

// Playbooks implements [respond.Settings].
func (db *DB) Playbooks(ctx context.Context, accountID string) ([]respond.StoredPlaybook, int64, error) {
	var all []respond.StoredPlaybook
	var revision int64
	err := db.reading(ctx, func(q reader) error {
		rows, err := q.rows("SELECT revision FROM respond_state WHERE account_id = $1", accountID)
		if revision, _, err = one(rows, err, func(r scanner) (n int64, err error) { return n, r.Scan(&n) }); err != nil {
			return fmt.Errorf("read revision of playbooks: %w", err)
		}
		rows, err = q.rows(playbooksOf+" ORDER BY p.name", accountID)
		if all, err = collect(rows, err, scanPlaybook(accountID)); err != nil {
			return fmt.Errorf("read playbooks: %w", err)
		}
		return nil
	})
	return all, revision, err
}

// SavePlaybook implements [respond.Settings]. With a revision, it must be the one in force; without one, whatever is
// there is replaced.
func (db *DB) SavePlaybook(ctx context.Context, p respond.StoredPlaybook, by audit.Entry) (respond.StoredPlaybook, error) {
	saved := p
	err := db.do(ctx, p.AccountID, durable, func(tx *Tx) error {
		saved = p
		if err := tx.accountThere(p.AccountID); err != nil {
			return err
		}
		now, err := tx.playbook(p.AccountID, p.Name)
		if err != nil {
			return err
		}
		if p.Revision != 0 && p.Revision != now.Revision {
			return problem.New(problem.Conflict, "the playbook %q has been changed since: it is at revision %d, and not %d; look at it again", p.Name, now.Revision, p.Revision)
		}
		saved.UpdatedAt, saved.UpdatedBy = tx.now.Truncate(time.Microsecond), by.Actor
		if saved.Revision, err = tx.addPlaybookVersion(saved, false); err != nil {
			return err
		}
		if _, err := tx.exec(`INSERT INTO playbooks (account_id, name, revision) VALUES ($1, $2, $3)
			ON CONFLICT (account_id, name) DO UPDATE SET revision = excluded.revision`, p.AccountID, p.Name, saved.Revision); err != nil {
			return fmt.Errorf("save playbook %q: %w", p.Name, err)
		}
		if by.Reason == "" && p.Mode != "" {
			by := by.Because("mode: " + string(p.Mode))
			return tx.append(p.AccountID, by.For(audit.PlaybookSave, playbookActor(p.Name)))
		}
		return tx.append(p.AccountID, by.For(audit.PlaybookSave, playbookActor(p.Name)))
	})
	return saved, err
}

// playbook is the version in force; the zero one if there is none.
func (tx *Tx) playbook(account, name string) (respond.StoredPlaybook, error) {
	rows, err := tx.rows(playbooksOf+" AND p.name = $2", account, name)
	p, _, err := one(rows, err, scanPlaybook(account))
	if err != nil {
		return p, fmt.Errorf("read playbook %q: %w", name, err)
	}
	return p, nil
}

// addPlaybookVersion adds a version, and makes the revision of all playbooks grow.
func (tx *Tx) addPlaybookVersion(p respond.StoredPlaybook, removed bool) (int64, error) {
	last, err := number(tx.row("SELECT revision FROM playbook_versions WHERE account_id = $1 AND name = $2 ORDER BY revision DESC LIMIT 1", p.AccountID, p.Name))
	if err != nil {
		return 0, fmt.Errorf("read the last version of playbook %q: %w", p.Name, err)
	}
	_, err = tx.exec(`INSERT INTO playbook_versions (account_id, name, revision, text, mode, version, removed, updated_at, updated_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, p.AccountID, p.Name, last+1, p.Text, string(p.Mode), p.Version, removed, tx.now.UnixMicro(), p.UpdatedBy)
	if err != nil {
		return 0, fmt.Errorf("save a version of playbook %q: %w", p.Name, err)
	}
	state, err := tx.respondState(p.AccountID)
	if err != nil {
		return 0, err
	}
	state.revision++
	return last + 1, tx.setRespondState(p.AccountID, state)
}

// RemovePlaybook implements [respond.Settings]. Its versions stay.
func (db *DB) RemovePlaybook(ctx context.Context, accountID, name string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		p, err := tx.playbook(accountID, name)
		if err != nil {
			return err
		}
		if p.Revision == 0 {
			return problem.New(problem.NotFound, "the account has no playbook %q of its own", name)
		}
		p.UpdatedBy = by.Actor
		if _, err := tx.addPlaybookVersion(p, true); err != nil {
			return err
		}
		if _, err := tx.exec("DELETE FROM playbooks WHERE account_id = $1 AND name = $2", accountID, name); err != nil {
			return fmt.Errorf("remove playbook %q: %w", name, err)
		}
		return tx.append(accountID, by.For(audit.PlaybookRemove, playbookActor(name)))
	})
}

// PlaybookVersions implements [respond.Settings]: the newest first, without removals.
func (db *DB) PlaybookVersions(ctx context.Context, accountID, name string) ([]respond.StoredPlaybook, error) {
	rows, err := db.query(ctx, "SELECT "+playbookColumns+` FROM playbook_versions v
		WHERE v.account_id = $1 AND v.name = $2 AND v.removed = $3 ORDER BY v.revision DESC`, accountID, name, false)
	all, err := collect(rows, err, scanPlaybook(accountID))
	if err != nil {
		return nil, fmt.Errorf("read versions of playbook %q: %w", name, err)
	}
	return all, nil
}
