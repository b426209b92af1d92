package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
)

// Methods implements [signin.Store].
func (db *DB) Methods(ctx context.Context, accountID, userID string) (signin.Methods, error) {
	var m signin.Methods
	var hash sql.NullString
	var changed, since, step sql.NullInt64
	var subjects int
	err := db.get(ctx, `SELECT p.hash, p.changed_at, t.sealed, t.since, t.step,
		(SELECT COUNT(*) FROM recovery_codes c WHERE c.account_id = u.account_id AND c.user_id = u.id),
		(SELECT COUNT(*) FROM sso_subjects s WHERE s.account_id = u.account_id AND s.user_id = u.id)
		FROM users u LEFT JOIN passwords p ON p.account_id = u.account_id AND p.user_id = u.id
		LEFT JOIN totp t ON t.account_id = u.account_id AND t.user_id = u.id
		WHERE u.account_id = $1 AND u.id = $2`, []any{accountID, userID},
		&hash, &changed, &m.TOTP, &since, &step, &m.RecoveryCodes, &subjects)
	if errors.Is(err, sql.ErrNoRows) {
		return m, directory.ErrNoUser(userID)
	}
	if err != nil {
		return m, fmt.Errorf("read ways in of %q: %w", userID, err)
	}
	m.PasswordHash, m.PasswordChangedAt, m.TOTPSince, m.TOTPStep, m.SSO = hash.String, at(changed), at(since), step.Int64, subjects > 0
	rows, err := db.query(ctx, "SELECT "+passkeyColumns+" FROM passkeys WHERE account_id = $1 AND user_id = $2", accountID, userID)
	if m.Passkeys, err = collect(rows, err, scanPasskey); err != nil {
		return m, fmt.Errorf("read passkeys of %q: %w", userID, err)
	}
	slices.SortFunc(m.Passkeys, func(a, b signin.Passkey) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return m, nil
}

// ways counts what a person could sign in with.
type ways struct{ passkeys, passwords, codes, subjects int }

// allowed reports whether the policy accepts any of them. A password without the one-time code that the policy
// asks for is one: who has it may set up the code, and nothing else.
func (w ways) allowed(p signin.Policy) bool {
	return p.Passkeys && w.passkeys > 0 || p.Passwords && w.passwords > 0 || p.SingleSignOn && w.subjects > 0
}

// waysIn reads them inside the transaction; subjects are those of the issuer.
func (tx *Tx) waysIn(account, user, issuer string) (ways, error) {
	var w ways
	err := tx.row(`SELECT (SELECT COUNT(*) FROM passkeys WHERE account_id = $1 AND user_id = $2),
		(SELECT COUNT(*) FROM passwords WHERE account_id = $1 AND user_id = $2),
		(SELECT COUNT(*) FROM totp WHERE account_id = $1 AND user_id = $2),
		(SELECT COUNT(*) FROM sso_subjects WHERE account_id = $1 AND user_id = $2 AND issuer = $3)`,
		account, user, issuer).Scan(&w.passkeys, &w.passwords, &w.codes, &w.subjects)
	if err != nil {
		return w, fmt.Errorf("count ways in of %q: %w", user, err)
	}
	return w, nil
}

// keepsWay refuses to take from the person the last way in. take removes from the count what is to go.
func (tx *Tx) keepsWay(account, user string, take func(*ways), by audit.Entry) error {
	p, err := tx.policy(account)
	if err != nil {
		return err
	}
	left, err := tx.waysIn(account, user, p.Issuer)
	if err != nil {
		return err
	}
	if take(&left); !left.allowed(p) {
		return tx.refuse(account, by, signin.ErrLastWay())
	}
	return nil
}

const passkeyColumns = "id, account_id, user_id, name, credential, raw_id, created_at, last_used_at"

func scanPasskey(r scanner) (signin.Passkey, error) {
	var k signin.Passkey
	var created int64
	var used sql.NullInt64
	err := r.Scan(&k.ID, &k.AccountID, &k.UserID, &k.Name, &k.Credential, &k.RawID, &created, &used)
	k.CreatedAt, k.LastUsedAt = time.UnixMicro(created).UTC(), at(used)
	return k, err
}

// PasskeyByRawID implements [signin.Store].
func (db *DB) PasskeyByRawID(ctx context.Context, rawID []byte) (signin.Passkey, error) {
	rows, err := db.query(ctx, "SELECT "+passkeyColumns+" FROM passkeys WHERE raw_id = $1", rawID)
	found, err := collect(rows, err, scanPasskey)
	if err != nil {
		return signin.Passkey{}, fmt.Errorf("read passkey: %w", err)
	}
	if len(found) == 0 {
		return signin.Passkey{}, problem.New(problem.NotFound, "nobody has this passkey")
	}
	return found[0], nil
}

// AddPasskey implements [signin.Store].
func (db *DB) AddPasskey(ctx context.Context, k signin.Passkey, by audit.Entry) error {
	by.Action, by.Target = audit.PasskeyAdd, "user:"+k.UserID
	return db.do(ctx, k.AccountID, durable, func(tx *Tx) error {
		if err := tx.active(k.AccountID, k.UserID, by); err != nil {
			return err
		}
		if err := tx.insertPasskey(k); err != nil {
			return err
		}
		return tx.append(k.AccountID, by.Because(k.Name))
	})
}

func (tx *Tx) insertPasskey(k signin.Passkey) error {
	n, err := tx.exec(`INSERT INTO passkeys (account_id, user_id, id, name, credential, raw_id, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (raw_id) DO NOTHING`, k.AccountID, k.UserID, k.ID, k.Name, k.Credential, k.RawID, tx.now.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert passkey: %w", err)
	}
	if n == 0 {
		return problem.New(problem.Conflict, "this passkey is in use here already")
	}
	return nil
}

// RenamePasskey implements [signin.Store].
func (db *DB) RenamePasskey(ctx context.Context, accountID, userID, id, name string, by audit.Entry) error {
	by.Action, by.Target = audit.PasskeyRename, "user:"+userID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		old, err := tx.passkeyName(accountID, userID, id)
		if err != nil || old == name {
			return err
		}
		if _, err := tx.exec("UPDATE passkeys SET name = $1 WHERE account_id = $2 AND user_id = $3 AND id = $4", name, accountID, userID, id); err != nil {
			return fmt.Errorf("rename passkey %q: %w", id, err)
		}
		return tx.append(accountID, by.Because("from "+old+" to "+name))
	})
}

func (tx *Tx) passkeyName(account, user, id string) (name string, err error) {
	err = tx.row("SELECT name FROM passkeys WHERE account_id = $1 AND user_id = $2 AND id = $3", account, user, id).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", problem.New(problem.NotFound, "no passkey %q", id)
	}
	if err != nil {
		return "", fmt.Errorf("read passkey %q: %w", id, err)
	}
	return name, nil
}

// RemovePasskey implements [signin.Store].
func (db *DB) RemovePasskey(ctx context.Context, accountID, userID, id string, by audit.Entry) error {
	by.Action, by.Target = audit.PasskeyRemove, "user:"+userID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		name, err := tx.passkeyName(accountID, userID, id)
		if err != nil {
			return err
		}
		if err := tx.keepsWay(accountID, userID, func(w *ways) { w.passkeys-- }, by); err != nil {
			return err
		}
		if _, err := tx.exec("DELETE FROM passkeys WHERE account_id = $1 AND user_id = $2 AND id = $3", accountID, userID, id); err != nil {
			return fmt.Errorf("remove passkey %q: %w", id, err)
		}
		return tx.append(accountID, by.Because(name))
	})
}

// SetPassword implements [signin.Store].
func (db *DB) SetPassword(ctx context.Context, accountID, userID, hash string, by audit.Entry) error {
	by.Action, by.Target = audit.PasswordSet, "user:"+userID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		if err := tx.active(accountID, userID, by); err != nil {
			return err
		}
		if err := tx.writePassword(accountID, userID, hash); err != nil {
			return err
		}
		return tx.append(accountID, by)
	})
}

func (tx *Tx) writePassword(account, user, hash string) error {
	_, err := tx.exec(`INSERT INTO passwords (account_id, user_id, hash, changed_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id, user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at`, account, user, hash, tx.now.UnixMicro())
	if err != nil {
		return fmt.Errorf("write password of %q: %w", user, err)
	}
	return nil
}

// RemovePassword implements [signin.Store].
func (db *DB) RemovePassword(ctx context.Context, accountID, userID string, by audit.Entry) error {
	by.Action, by.Target = audit.PasswordRemove, "user:"+userID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		have, err := tx.waysIn(accountID, userID, "")
		if err != nil {
			return err
		}
		if have.passwords == 0 {
			return problem.New(problem.NotFound, "there is no password to remove")
		}
		if err := tx.keepsWay(accountID, userID, func(w *ways) { w.passwords = 0 }, by); err != nil {
			return err
		}
		if err := tx.forget(accountID, userID, "passwords", "totp", "recovery_codes"); err != nil {
			return err
		}
		return tx.append(accountID, by)
	})
}

// SetTOTP implements [signin.Store].
func (db *DB) SetTOTP(ctx context.Context, accountID, userID string, sealed []byte, step int64, codes []seal.Hash, by audit.Entry) error {
	by.Action, by.Target = audit.TOTPSet, "user:"+userID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		if err := tx.active(accountID, userID, by); err != nil {
			return err
		}
		if _, err := tx.exec(`INSERT INTO totp (account_id, user_id, sealed, since, step) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account_id, user_id) DO UPDATE SET sealed = excluded.sealed, since = excluded.since, step = excluded.step`,
			accountID, userID, sealed, tx.now.UnixMicro(), step); err != nil {
			return fmt.Errorf("write one-time codes of %q: %w", userID, err)
		}
		if err := tx.writeCodes(accountID, userID, codes); err != nil {
			return err
		}
		return tx.append(accountID, by)
	})
}

// RemoveTOTP implements [signin.Store].
func (db *DB) RemoveTOTP(ctx context.Context, accountID, userID string, by audit.Entry) error {
	by.Action, by.Target = audit.TOTPRemove, "user:"+userID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		have, err := tx.waysIn(accountID, userID, "")
		if err != nil {
			return err
		}
		if have.codes == 0 {
			return problem.New(problem.NotFound, "there are no one-time codes to remove")
		}
		if p, err := tx.policy(accountID); err != nil {
			return err
		} else if p.RequireCode && have.passwords > 0 { // else the password alone would be enough to set up new ones
			return tx.refuse(accountID, by, signin.ErrCodeRequired())
		}
		if err := tx.forget(accountID, userID, "totp", "recovery_codes"); err != nil {
			return err
		}
		return tx.append(accountID, by)
	})
}

// SetRecoveryCodes implements [signin.Store].
func (db *DB) SetRecoveryCodes(ctx context.Context, accountID, userID string, codes []seal.Hash, by audit.Entry) error {
	by.Action, by.Target = audit.RecoveryCodesSet, "user:"+userID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		if err := tx.active(accountID, userID, by); err != nil {
			return err
		}
		if err := tx.writeCodes(accountID, userID, codes); err != nil {
			return err
		}
		return tx.append(accountID, by.Because("new codes: "+strconv.Itoa(len(codes))))
	})
}

// writeCodes replaces the recovery codes.
func (tx *Tx) writeCodes(account, user string, codes []seal.Hash) error {
	if err := tx.forget(account, user, "recovery_codes"); err != nil {
		return err
	}
	for _, c := range codes {
		if _, err := tx.exec("INSERT INTO recovery_codes (account_id, user_id, hash) VALUES ($1, $2, $3)", account, user, c[:]); err != nil {
			return fmt.Errorf("insert recovery code: %w", err)
		}
	}
	return nil
}

// removeWays removes everything that the person could sign in with.
func (tx *Tx) removeWays(account, user string) error {
	return tx.forget(account, user, "passkeys", "passwords", "totp", "recovery_codes", "sso_subjects")
}

// forget deletes the person's rows of the tables.
func (tx *Tx) forget(account, user string, tables ...string) error {
	for _, table := range tables {
		if _, err := tx.exec("DELETE FROM "+table+" WHERE account_id = $1 AND user_id = $2", account, user); err != nil {
			return fmt.Errorf("delete %s of %q: %w", table, user, err)
		}
	}
	return nil
}

// UserBySubject implements [signin.Store].
func (db *DB) UserBySubject(ctx context.Context, accountID, issuer, subject string) (string, error) {
	var user string
	err := db.get(ctx, "SELECT user_id FROM sso_subjects WHERE account_id = $1 AND issuer = $2 AND subject = $3", []any{accountID, issuer, subject}, &user)
	if errors.Is(err, sql.ErrNoRows) {
		return "", problem.New(problem.NotFound, "nobody has signed in as this subject of the provider before")
	}
	if err != nil {
		return "", fmt.Errorf("read person by subject: %w", err)
	}
	return user, nil
}

// useUp changes what an authentication uses up. Of several that use the same thing at once, one wins: the
// statement that changes it asks whether it is still there.
func (tx *Tx) useUp(p signin.Person, used signin.Used) error {
	account, user := p.AccountID, p.UserID
	if used.PasswordHash != "" {
		var n int
		if err := tx.row("SELECT COUNT(*) FROM passwords WHERE account_id = $1 AND user_id = $2 AND hash = $3", account, user, used.PasswordHash).Scan(&n); err != nil {
			return fmt.Errorf("compare password: %w", err)
		}
		if n == 0 {
			return signin.ErrWrong()
		}
	}
	if used.TOTPStep != 0 {
		if err := tx.useOne("UPDATE totp SET step = $1 WHERE account_id = $2 AND user_id = $3 AND step < $1", used.TOTPStep, account, user); err != nil {
			return err
		}
	}
	if used.RecoveryCode != (seal.Hash{}) {
		if err := tx.useOne("DELETE FROM recovery_codes WHERE account_id = $1 AND user_id = $2 AND hash = $3", account, user, used.RecoveryCode[:]); err != nil {
			return err
		}
	}
	if k := used.Passkey; k != nil {
		if err := tx.useOne("UPDATE passkeys SET credential = $1, last_used_at = $2 WHERE account_id = $3 AND user_id = $4 AND id = $5 AND raw_id = $6",
			k.Credential, tx.now.UnixMicro(), account, user, k.ID, k.RawID); err != nil {
			return err
		}
	}
	if used.Subject != "" {
		if err := tx.useSubject(account, user, used.Issuer, used.Subject); err != nil {
			return err
		}
	}
	return tx.forgetFailures(used.Forget)
}

// useOne runs a statement that must change one row.
func (tx *Tx) useOne(query string, args ...any) error {
	n, err := tx.exec(query, args...)
	if err != nil {
		return fmt.Errorf("use way in up: %w", err)
	}
	if n != 1 {
		return signin.ErrWrong()
	}
	return nil
}

// useSubject remembers the provider's name of the person. A subject is of one person, and she has one.
func (tx *Tx) useSubject(account, user, issuer, subject string) error {
	var owner string
	err := tx.row("SELECT user_id FROM sso_subjects WHERE account_id = $1 AND issuer = $2 AND subject = $3", account, issuer, subject).Scan(&owner)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return tx.useOne("INSERT INTO sso_subjects (account_id, user_id, issuer, subject) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			account, user, issuer, subject)
	case err != nil:
		return fmt.Errorf("read subject: %w", err)
	case owner != user:
		return signin.ErrWrong()
	}
	return nil
}
