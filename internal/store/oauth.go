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
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

var _ oauth.Store = (*DB)(nil)

// CreateClient implements [oauth.Store].
func (db *DB) CreateClient(ctx context.Context, c oauth.Client, s oauth.SecretInfo, hash seal.Hash, by audit.Entry) error {
	return db.do(ctx, c.AccountID, durable, func(tx *Tx) error {
		if _, err := tx.groupIDs(c.AccountID); err != nil { // the account exists
			return err
		}
		if err := tx.notCreated(c.AccountID, c.CreateKey); err != nil {
			return err
		}
		_, err := tx.exec(`INSERT INTO clients (id, account_id, name, description, redirect_url, scopes, created_at, created_by, create_key)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			c.ID, c.AccountID, c.Name, c.Description, c.RedirectURL, strings.Join(c.Scopes, " "), c.CreatedAt.UnixMicro(), c.CreatedBy,
			sql.NullString{String: c.CreateKey, Valid: c.CreateKey != ""})
		if err != nil {
			return fmt.Errorf("insert application: %w", err)
		}
		if err := tx.insertSecret(c.ID, s, hash); err != nil {
			return err
		}
		return tx.append(c.AccountID, by.Because(c.Name+": "+strings.Join(c.Scopes, " ")))
	})
}

// notCreated is a conflict that names the application which the account has made with the key.
func (tx *Tx) notCreated(account, key string) error {
	if key == "" {
		return nil
	}
	var id string
	err := tx.row("SELECT id FROM clients WHERE account_id = $1 AND create_key = $2", account, key).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for application: %w", err)
	}
	return oauth.ErrAlreadyCreated(id)
}

func (tx *Tx) insertSecret(clientID string, s oauth.SecretInfo, hash seal.Hash) error {
	_, err := tx.exec("INSERT INTO client_secrets (client_id, id, hash, created_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
		clientID, s.ID, hash[:], s.CreatedAt.UnixMicro(), micros(s.EndsAt))
	if err != nil {
		return fmt.Errorf("insert secret: %w", err)
	}
	return nil
}

const (
	clientColumns = "id, account_id, name, description, redirect_url, scopes, created_at, created_by, last_used_at, revoked_at, COALESCE(create_key, '')"
	secretsOf     = "SELECT id, created_at, ends_at FROM client_secrets WHERE client_id = $1 ORDER BY created_at, id"
)

func scanClient(r scanner) (oauth.Client, error) {
	var c oauth.Client
	var scopes string
	var created int64
	var used, revoked sql.NullInt64
	err := r.Scan(&c.ID, &c.AccountID, &c.Name, &c.Description, &c.RedirectURL, &scopes, &created, &c.CreatedBy, &used, &revoked, &c.CreateKey)
	c.Scopes, c.CreatedAt, c.LastUsedAt, c.RevokedAt = strings.Fields(scopes), time.UnixMicro(created).UTC(), at(used), at(revoked)
	return c, err
}

func scanSecret(r scanner) (oauth.SecretInfo, error) {
	var s oauth.SecretInfo
	var created int64
	var ends sql.NullInt64
	err := r.Scan(&s.ID, &created, &ends)
	s.CreatedAt, s.EndsAt = time.UnixMicro(created).UTC(), at(ends)
	return s, err
}

// Client implements [oauth.Store].
func (db *DB) Client(ctx context.Context, accountID, id string) (oauth.Client, error) {
	rows, err := db.query(ctx, "SELECT "+clientColumns+" FROM clients WHERE id = $1 AND account_id = $2", id, accountID)
	cs, err := collect(rows, err, scanClient)
	if err != nil {
		return oauth.Client{}, fmt.Errorf("read application %q: %w", id, err)
	}
	if len(cs) == 0 {
		return oauth.Client{}, oauth.ErrNoClient(id)
	}
	c := cs[0]
	rows, err = db.query(ctx, secretsOf, id)
	if c.Secrets, err = collect(rows, err, scanSecret); err != nil {
		return c, fmt.Errorf("read secrets of %q: %w", id, err)
	}
	return c, nil
}

// Clients implements [oauth.Store].
func (db *DB) Clients(ctx context.Context, accountID string) ([]oauth.Client, error) {
	rows, err := db.query(ctx, "SELECT "+clientColumns+" FROM clients WHERE account_id = $1 ORDER BY created_at, id", accountID)
	cs, err := collect(rows, err, scanClient)
	if err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	for i := range cs {
		rows, err := db.query(ctx, secretsOf, cs[i].ID)
		if cs[i].Secrets, err = collect(rows, err, scanSecret); err != nil {
			return nil, fmt.Errorf("read secrets of %q: %w", cs[i].ID, err)
		}
	}
	return cs, nil
}

// UpdateClient implements [oauth.Store].
func (db *DB) UpdateClient(ctx context.Context, accountID, id string, n oauth.NewClient, by audit.Entry) (oauth.Client, error) {
	var c oauth.Client
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		var err error
		if c, err = tx.client(accountID, id); err != nil {
			return err
		}
		if !c.RevokedAt.IsZero() {
			return errRevoked()
		}
		changed := changes(c, n)
		if len(changed) == 0 {
			return nil
		}
		c.Name, c.Description, c.RedirectURL, c.Scopes = n.Name, n.Description, n.RedirectURL, n.Scopes
		if _, err := tx.exec("UPDATE clients SET name = $1, description = $2, redirect_url = $3, scopes = $4 WHERE id = $5",
			c.Name, c.Description, c.RedirectURL, strings.Join(c.Scopes, " "), id); err != nil {
			return fmt.Errorf("update application %q: %w", id, err)
		}
		return tx.append(accountID, by.Because("changed "+strings.Join(changed, ", ")))
	})
	return c, err
}

func errRevoked() error {
	return problem.New(problem.Conflict, "the application was revoked, which is final; create a new one")
}

// changes names the fields in which the application would change.
func changes(c oauth.Client, n oauth.NewClient) []string {
	var fields []string
	if c.Name != n.Name {
		fields = append(fields, fmt.Sprintf("name %q to %q", c.Name, n.Name))
	}
	if c.Description != n.Description {
		fields = append(fields, "description")
	}
	if c.RedirectURL != n.RedirectURL {
		fields = append(fields, "redirect URL")
	}
	if !slices.Equal(c.Scopes, n.Scopes) {
		fields = append(fields, "scopes "+strings.Join(c.Scopes, " ")+" to "+strings.Join(n.Scopes, " "))
	}
	return fields
}

// ended is the end of a secret that ends at once: the beginning of time, so that it is dead on every
// server, also on one whose clock is behind ours.
const ended = 0

// RotateSecret implements [oauth.Store].
func (db *DB) RotateSecret(ctx context.Context, accountID, id string, s oauth.SecretInfo, hash seal.Hash, othersEnd time.Time, by audit.Entry) (oauth.Client, error) {
	var c oauth.Client
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		var err error
		if c, err = tx.client(accountID, id); err != nil {
			return err
		}
		if !c.RevokedAt.IsZero() {
			return errRevoked()
		}
		if err := oauth.CheckOverlap(c.Secrets, othersEnd, tx.now); err != nil {
			return err
		}
		end := othersEnd.UnixMicro()
		if !othersEnd.After(tx.now) {
			end = ended
		}
		if _, err := tx.exec("UPDATE client_secrets SET ends_at = $1 WHERE client_id = $2 AND (ends_at IS NULL OR ends_at > $1)", end, id); err != nil {
			return fmt.Errorf("end secrets of %q: %w", id, err)
		}
		if err := tx.insertSecret(id, s, hash); err != nil {
			return err
		}
		if c, err = tx.client(accountID, id); err != nil {
			return err
		}
		return tx.append(accountID, by.Because("the other secrets end at "+othersEnd.Format(time.RFC3339)))
	})
	return c, err
}

func (tx *Tx) client(account, id string) (oauth.Client, error) {
	c, err := scanClient(tx.row("SELECT "+clientColumns+" FROM clients WHERE id = $1 AND account_id = $2", id, account))
	if errors.Is(err, sql.ErrNoRows) {
		return c, oauth.ErrNoClient(id)
	}
	if err != nil {
		return c, fmt.Errorf("read application %q: %w", id, err)
	}
	rows, err := tx.rows(secretsOf, id)
	if c.Secrets, err = collect(rows, err, scanSecret); err != nil {
		return c, fmt.Errorf("read secrets of %q: %w", id, err)
	}
	return c, nil
}

// RevokeClient implements [oauth.Store].
func (db *DB) RevokeClient(ctx context.Context, accountID, id string, by audit.Entry) error {
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		c, err := tx.client(accountID, id)
		if err != nil || !c.RevokedAt.IsZero() {
			return err
		}
		if _, err := tx.exec("UPDATE clients SET revoked_at = $1 WHERE id = $2", tx.now.UnixMicro(), id); err != nil {
			return fmt.Errorf("revoke application %q: %w", id, err)
		}
		return tx.append(accountID, by)
	})
}

// LiveSecrets implements [oauth.Store]. It is one query whatever the client: a wrong secret, a revoked
// application and one that never was take the same time.
func (db *DB) LiveSecrets(ctx context.Context, clientID string, now time.Time) (oauth.ClientSecrets, error) {
	var known oauth.ClientSecrets
	var used sql.NullInt64
	rows, err := db.query(ctx, `SELECT c.account_id, c.last_used_at, s.id, s.hash FROM clients c LEFT JOIN client_secrets s
		ON s.client_id = c.id AND c.revoked_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > $1)
		WHERE c.id = $2`, now.UnixMicro(), clientID)
	secrets, err := collect(rows, err, func(r scanner) (s oauth.StoredSecret, err error) {
		var id sql.NullString // NULL: no secret is alive, but whose application it is, the audit log wants to know
		var hash []byte
		err = r.Scan(&known.AccountID, &used, &id, &hash)
		s.ID = id.String
		copy(s.Hash[:], hash)
		return s, err
	})
	if err != nil {
		return known, fmt.Errorf("read secrets: %w", err)
	}
	if known.AccountID == "" {
		return known, oauth.ErrNoClient(clientID)
	}
	known.LastUsedAt = at(used)
	if secrets[0].ID != "" {
		known.Secrets = secrets
	}
	return known, nil
}

// lastUsedEvery is how exactly the last use of an application is known.
const lastUsedEvery = time.Minute

// IssueToken implements [oauth.Store].
func (db *DB) IssueToken(ctx context.Context, t oauth.Token, by audit.Entry) error {
	return db.do(ctx, t.AccountID, lazy, func(tx *Tx) error {
		// Under the lock it is seen once more: the application may have been revoked since its secret was checked.
		n, err := tx.exec(`INSERT INTO tokens (hash, account_id, client_id, secret_id, issued_at, expires_at)
			SELECT $1, c.account_id, c.id, s.id, $2, $3 FROM clients c JOIN client_secrets s ON s.client_id = c.id
			WHERE c.id = $4 AND s.id = $5 AND c.revoked_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > $2)`,
			t.Hash[:], t.IssuedAt.UnixMicro(), t.ExpiresAt.UnixMicro(), t.ClientID, t.SecretID)
		if err != nil {
			return fmt.Errorf("insert token: %w", err)
		}
		if n == 0 {
			return problem.Coded(problem.Unauthenticated, "invalid_client", "the application or its secret was revoked just now")
		}
		if t.IssuedAt.Sub(t.ClientUsedAt) >= lastUsedEvery {
			if _, err := tx.exec("UPDATE clients SET last_used_at = $1 WHERE id = $2", t.IssuedAt.UnixMicro(), t.ClientID); err != nil {
				return fmt.Errorf("note use of application: %w", err)
			}
		}
		return tx.append(t.AccountID, by)
	})
}

// Token implements [oauth.Store].
func (db *DB) Token(ctx context.Context, hash seal.Hash) (oauth.TokenState, error) {
	t := oauth.TokenState{Token: oauth.Token{Hash: hash}}
	var issued, expires int64
	var revoked, secretEnds, clientRevoked sql.NullInt64
	var scopes string
	err := db.get(ctx, `SELECT t.account_id, t.client_id, t.secret_id, t.issued_at, t.expires_at, t.revoked_at, s.ends_at, c.revoked_at, c.scopes
		FROM tokens t JOIN clients c ON c.id = t.client_id JOIN client_secrets s ON s.client_id = t.client_id AND s.id = t.secret_id
		WHERE t.hash = $1`, []any{hash[:]},
		&t.AccountID, &t.ClientID, &t.SecretID, &issued, &expires, &revoked, &secretEnds, &clientRevoked, &scopes)
	if errors.Is(err, sql.ErrNoRows) {
		return t, problem.New(problem.NotFound, "no such token")
	}
	if err != nil {
		return t, fmt.Errorf("read token: %w", err)
	}
	t.IssuedAt, t.ExpiresAt = time.UnixMicro(issued).UTC(), time.UnixMicro(expires).UTC()
	t.RevokedAt, t.SecretEndsAt, t.ClientRevokedAt = at(revoked), at(secretEnds), at(clientRevoked)
	t.Scopes = strings.Fields(scopes)
	return t, nil
}

// RevokeToken implements [oauth.Store].
func (db *DB) RevokeToken(ctx context.Context, accountID, clientID string, hash seal.Hash, by audit.Entry) (bool, error) {
	var alive bool
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		// Whether it has expired is not asked: on a server whose clock is behind ours it may not have.
		n, err := tx.exec("UPDATE tokens SET revoked_at = $1 WHERE hash = $2 AND client_id = $3 AND revoked_at IS NULL",
			tx.now.UnixMicro(), hash[:], clientID)
		if err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		entry := by // not by itself: the unit may be run again
		if alive = n > 0; !alive {
			entry = by.Because("the token was not alive, or not this application's")
		}
		return tx.append(accountID, entry)
	})
	return alive, err
}

// purgeRows is how many tokens are deleted by one unit, for which others wait. An hour under load leaves
// millions; on SQLite 1,500,000 in one unit kept everybody waiting for 2.7 s.
const purgeRows = 5000

// PurgeTokens deletes tokens that expired before the time. It is bookkeeping: they were worth nothing.
func (db *DB) PurgeTokens(ctx context.Context, before time.Time) error {
	for deleted := int64(purgeRows); deleted == purgeRows; {
		err := db.do(ctx, audit.System, lazy, func(tx *Tx) error {
			var err error
			deleted, err = tx.exec("DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
				before.UnixMicro(), purgeRows)
			return err
		})
		if err != nil {
			return fmt.Errorf("delete expired tokens: %w", err)
		}
	}
	return nil
}
