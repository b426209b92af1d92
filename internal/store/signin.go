package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
)

var _ signin.Store = (*DB)(nil)

// selectPerson reads users u with their account a. What somebody may do follows from the built-in groups.
const (
	personColumns = `u.account_id, a.name, u.id, u.email, u.display_name, u.lifecycle, u.suspended,
		COALESCE((SELECT string_agg(g.kind, ' ') FROM group_members m JOIN groups g ON g.account_id = m.account_id AND g.id = m.group_id
		WHERE m.account_id = u.account_id AND m.user_id = u.id AND g.kind <> 'custom'), '')`
	selectPerson  = "SELECT " + personColumns + " FROM users u JOIN accounts a ON a.id = u.account_id "
	onePerson     = selectPerson + "WHERE u.account_id = $1 AND u.id = $2"
	peopleByEmail = selectPerson + "WHERE u.email_key = $1 ORDER BY u.account_id LIMIT $2"
)

// scanPerson reads personColumns, and more behind them.
func scanPerson(r scanner, more ...any) (signin.Person, error) {
	var p signin.Person
	var lifecycle directory.Lifecycle
	var kinds string
	err := r.Scan(append([]any{&p.AccountID, &p.AccountName, &p.UserID, &p.Email, &p.DisplayName, &lifecycle, &p.Suspended, &kinds}, more...)...)
	p.Invited = lifecycle == directory.Invited
	p.Groups = strings.Fields(kinds)
	slices.Sort(p.Groups)
	return p, err
}

// People implements [signin.Store].
func (db *DB) People(ctx context.Context, email string, limit int) ([]signin.Person, error) {
	rows, err := db.query(ctx, peopleByEmail, directory.EmailKey(email), limit)
	people, err := collect(rows, err, func(r scanner) (signin.Person, error) { return scanPerson(r) })
	if err != nil {
		return nil, fmt.Errorf("read people by email: %w", err)
	}
	return people, nil
}

// Person implements [signin.Store].
func (db *DB) Person(ctx context.Context, accountID, userID string) (signin.Person, error) {
	rows, err := db.query(ctx, onePerson, accountID, userID)
	people, err := collect(rows, err, func(r scanner) (signin.Person, error) { return scanPerson(r) })
	if err != nil {
		return signin.Person{}, fmt.Errorf("read person %q: %w", userID, err)
	}
	if len(people) == 0 {
		return signin.Person{}, directory.ErrNoUser(userID)
	}
	return people[0], nil
}

// person reads a person inside the transaction.
func (tx *Tx) person(account, id string) (signin.Person, error) {
	p, err := scanPerson(tx.row(onePerson, account, id))
	if errors.Is(err, sql.ErrNoRows) {
		return p, directory.ErrNoUser(id)
	}
	if err != nil {
		return p, fmt.Errorf("read person %q: %w", id, err)
	}
	return p, nil
}

// active refuses who is invited or suspended.
func (tx *Tx) active(account, id string, by audit.Entry) error {
	p, err := tx.person(account, id)
	if err != nil {
		return err
	}
	if p.Invited || p.Suspended {
		return tx.refuse(account, by, signin.ErrMayNot())
	}
	return nil
}

// SetupLink implements [signin.Store].
func (db *DB) SetupLink(ctx context.Context, link seal.Hash, now time.Time) (signin.Person, error) {
	rows, err := db.query(ctx, "SELECT "+personColumns+` FROM setup_links l JOIN users u ON u.account_id = l.account_id AND u.id = l.user_id
		JOIN accounts a ON a.id = l.account_id WHERE l.hash = $1 AND l.used_at IS NULL AND l.expires_at > $2`, link[:], now.UnixMicro())
	people, err := collect(rows, err, func(r scanner) (signin.Person, error) { return scanPerson(r) })
	if err != nil {
		return signin.Person{}, fmt.Errorf("read set-up link: %w", err)
	}
	if len(people) == 0 {
		return signin.Person{}, errNoLink()
	}
	return people[0], nil
}

func errNoLink() error {
	return problem.New(problem.NotFound, "this set-up link was used already, has expired or never was; ask for a new one")
}

const policyOf = `SELECT account_id, passkeys, passwords, require_code, idle, absolute, single_sign_on, issuer, client_id,
	sso_secret IS NOT NULL, secret_version FROM signin_policies `

func scanPolicy(r scanner) (account string, p signin.Policy, err error) {
	var idle, absolute int64
	err = r.Scan(&account, &p.Passkeys, &p.Passwords, &p.RequireCode, &idle, &absolute, &p.SingleSignOn, &p.Issuer, &p.ClientID,
		&p.HasSecret, &p.SecretVersion)
	p.Idle, p.Absolute = time.Duration(idle)*time.Microsecond, time.Duration(absolute)*time.Microsecond
	return account, p, err
}

// policies reads policies by their accounts.
func policies(rows *sql.Rows, err error) (map[string]signin.Policy, error) {
	all := map[string]signin.Policy{}
	_, err = collect(rows, err, func(r scanner) (none struct{}, err error) {
		account, p, err := scanPolicy(r)
		all[account] = p
		return none, err
	})
	if err != nil {
		return nil, fmt.Errorf("read sign-in policy: %w", err)
	}
	return all, nil
}

// Policy implements [signin.Store].
func (db *DB) Policy(ctx context.Context, accountID string) (signin.Policy, error) {
	found, err := policies(db.query(ctx, policyOf+"WHERE account_id = $1", accountID))
	return policyIn(found, accountID), err
}

func (tx *Tx) policy(account string) (signin.Policy, error) {
	found, err := policies(tx.rows(policyOf+"WHERE account_id = $1", account))
	return policyIn(found, account), err
}

func policyIn(found map[string]signin.Policy, account string) signin.Policy {
	if p, ok := found[account]; ok {
		return p
	}
	return signin.DefaultPolicy()
}

// SSOAccounts implements [signin.Store].
func (db *DB) SSOAccounts(ctx context.Context) (map[string]signin.Policy, error) {
	return policies(db.query(ctx, policyOf+"WHERE single_sign_on"))
}

// SSOSecret implements [signin.Store].
func (db *DB) SSOSecret(ctx context.Context, accountID string) ([]byte, error) {
	var sealed []byte
	err := db.get(ctx, "SELECT sso_secret FROM signin_policies WHERE account_id = $1", []any{accountID}, &sealed)
	if errors.Is(err, sql.ErrNoRows) || err == nil && sealed == nil {
		return nil, problem.New(problem.NotFound, "the account has no client secret for single sign-on")
	}
	if err != nil {
		return nil, fmt.Errorf("read secret for single sign-on: %w", err)
	}
	return sealed, nil
}

// SetPolicy implements [signin.Store].
func (db *DB) SetPolicy(ctx context.Context, accountID string, p signin.Policy, ssoSecret []byte, by audit.Entry) error {
	by.Action, by.Target = audit.PolicySet, ""
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		if _, err := tx.groupIDs(accountID); err != nil { // the account exists
			return err
		}
		stored, err := tx.policy(accountID)
		if err != nil {
			return err
		}
		next := p
		next.HasSecret = stored.HasSecret || ssoSecret != nil
		switch {
		case ssoSecret == nil:
			next.SecretVersion = stored.SecretVersion
		case p.SecretVersion != stored.SecretVersion+1:
			return problem.New(problem.Conflict, "the client secret was replaced by somebody else just now; look at it, and try again")
		}
		if next == stored {
			return nil
		}
		if actor, ok := strings.CutPrefix(by.Actor, "user:"); ok {
			if ways, err := tx.waysIn(accountID, actor, next.Issuer); err != nil {
				return err
			} else if !ways.allowed(next) {
				return tx.refuse(accountID, by, signin.ErrLastWay())
			}
		}
		if err := tx.writePolicy(accountID, next, ssoSecret); err != nil {
			return err
		}
		if err := tx.shortenSessions(accountID, next, stored); err != nil {
			return err
		}
		return tx.append(accountID, by.Because(describePolicy(next, ssoSecret != nil)))
	})
}

func (tx *Tx) writePolicy(account string, p signin.Policy, ssoSecret []byte) error {
	_, err := tx.exec(`INSERT INTO signin_policies (account_id, passkeys, passwords, require_code, idle, absolute, single_sign_on, issuer, client_id, sso_secret, secret_version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (account_id) DO UPDATE SET passkeys = excluded.passkeys,
		passwords = excluded.passwords, require_code = excluded.require_code, idle = excluded.idle, absolute = excluded.absolute,
		single_sign_on = excluded.single_sign_on, issuer = excluded.issuer, client_id = excluded.client_id,
		sso_secret = COALESCE(excluded.sso_secret, signin_policies.sso_secret), secret_version = excluded.secret_version`,
		account, p.Passkeys, p.Passwords, p.RequireCode, p.Idle.Microseconds(), p.Absolute.Microseconds(), p.SingleSignOn, p.Issuer, p.ClientID,
		ssoSecret, p.SecretVersion)
	if err != nil {
		return fmt.Errorf("write sign-in policy: %w", err)
	}
	return nil
}

// describePolicy says in words what holds from now on.
func describePolicy(p signin.Policy, newSecret bool) string {
	onOff := func(on bool) string {
		if on {
			return "on"
		}
		return "off"
	}
	text := fmt.Sprintf("passkeys %s, passwords %s, codes required %s, sessions end after %s unused and after %s, single sign-on %s",
		onOff(p.Passkeys), onOff(p.Passwords), onOff(p.RequireCode), p.Idle, p.Absolute, onOff(p.SingleSignOn))
	if p.SingleSignOn {
		text += " at " + p.Issuer
	}
	if newSecret {
		text += ", new client secret"
	}
	return text
}
