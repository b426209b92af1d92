package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
)

const sessionColumns = "s.id, s.account_id, s.user_id, s.method, s.created_at, s.confirmed_at, s.last_seen_at, s.expires_at, s.idle, s.address, s.user_agent, s.ended_at"

// sessionRow is a session on its way from a row.
type sessionRow struct {
	signin.Session
	created, confirmed, seen, expires, idle int64
	ended                                   sql.NullInt64
}

// into are the targets for sessionColumns.
func (r *sessionRow) into() []any {
	return []any{&r.ID, &r.AccountID, &r.UserID, &r.Method, &r.created, &r.confirmed, &r.seen, &r.expires, &r.idle, &r.Address, &r.UserAgent, &r.ended}
}

func (r *sessionRow) session() signin.Session {
	s := r.Session
	s.CreatedAt, s.ConfirmedAt = time.UnixMicro(r.created).UTC(), time.UnixMicro(r.confirmed).UTC()
	s.LastSeenAt, s.ExpiresAt = time.UnixMicro(r.seen).UTC(), time.UnixMicro(r.expires).UTC()
	s.Idle, s.EndedAt = time.Duration(r.idle)*time.Microsecond, at(r.ended)
	return s
}

// entering looks once more, under the lock, at who is about to get in, and completes the attempt. One who
// may not is refused; the attempt stays on record then, too. An invited person enters by a set-up link only.
func (tx *Tx) entering(account, user string, a *signin.Attempt, by audit.Entry) (signin.Person, error) {
	p, err := tx.person(account, user)
	gone := problem.Is(err, problem.NotFound)
	if err != nil && !gone {
		return p, err
	}
	a.AccountID, a.UserID = account, user
	if !gone {
		a.Name, a.Email = p.DisplayName, p.Email
	}
	if !gone && !p.Suspended && (!p.Invited || by.Action == audit.SignInSetUp) {
		return p, nil
	}
	a.Category, a.Type = signin.CredentialsFailed, signin.AllBlocked
	if err := tx.insertAttempt(*a); err != nil {
		return p, err
	}
	return p, tx.refuse(account, by, signin.ErrMayNot())
}

// SignIn implements [signin.Store].
func (db *DB) SignIn(ctx context.Context, accountID, userID string, n signin.NewSession, used signin.Used, a signin.Attempt, by audit.Entry) (signin.Session, error) {
	by.Actor, by.Action, by.Target = "user:"+userID, audit.SessionBegin, "user:"+userID
	var s signin.Session
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		attempt := a
		p, err := tx.entering(accountID, userID, &attempt, by)
		if err != nil {
			return err
		}
		if err := tx.useUp(p, used); err != nil {
			return err
		}
		if err := tx.screen(&attempt); err != nil {
			return err
		}
		s, err = tx.beginSession(p, n, attempt, by)
		return err
	})
	return s, db.afterScreen(ctx, err, by)
}

// SetUp implements [signin.Store].
func (db *DB) SetUp(ctx context.Context, link seal.Hash, w signin.NewWay, n signin.NewSession, a signin.Attempt, by audit.Entry) (signin.Session, error) {
	owner, err := db.SetupLink(ctx, link, db.now())
	if err != nil {
		return signin.Session{}, err
	}
	account, user := owner.AccountID, owner.UserID
	by.Actor, by.Action, by.Target = "user:"+user, audit.SignInSetUp, "user:"+user
	var s signin.Session
	err = db.do(ctx, account, durable, func(tx *Tx) error {
		attempt := a
		var usable int
		if err := tx.row("SELECT COUNT(*) FROM setup_links WHERE hash = $1 AND used_at IS NULL AND expires_at > $2", link[:], tx.now.UnixMicro()).Scan(&usable); err != nil {
			return fmt.Errorf("read set-up link: %w", err)
		}
		if usable == 0 {
			return errNoLink() // somebody was faster
		}
		p, err := tx.entering(account, user, &attempt, by)
		if err != nil {
			return err
		}
		if err := tx.screen(&attempt); err != nil {
			return err
		}
		if err := tx.startOver(p); err != nil {
			return err
		}
		what, err := tx.insertWay(p, w)
		if err != nil {
			return err
		}
		if err := tx.append(account, by.Because(what)); err != nil {
			return err
		}
		s, err = tx.beginSession(p, n, attempt, by)
		return err
	})
	return s, db.afterScreen(ctx, err, by)
}

// startOver uses up the person's set-up links, makes her active, and leaves her without a way in.
func (tx *Tx) startOver(p signin.Person) error {
	if _, err := tx.exec("UPDATE setup_links SET used_at = $1 WHERE account_id = $2 AND user_id = $3 AND used_at IS NULL",
		tx.now.UnixMicro(), p.AccountID, p.UserID); err != nil {
		return fmt.Errorf("use set-up link up: %w", err)
	}
	if p.Invited {
		if _, err := tx.exec("UPDATE users SET lifecycle = $1 WHERE account_id = $2 AND id = $3", string(directory.Active), p.AccountID, p.UserID); err != nil {
			return fmt.Errorf("make %q active: %w", p.UserID, err)
		}
	}
	if err := tx.removeWays(p.AccountID, p.UserID); err != nil {
		return err
	}
	_, err := tx.endSessions(p.AccountID, p.UserID, "", "set up anew")
	return err
}

// insertWay stores the first way in, and says which.
func (tx *Tx) insertWay(p signin.Person, w signin.NewWay) (what string, err error) {
	switch {
	case w.Passkey != nil && w.PasswordHash == "":
		k := *w.Passkey
		k.AccountID, k.UserID = p.AccountID, p.UserID
		return "passkey", tx.insertPasskey(k)
	case w.Passkey == nil && w.PasswordHash != "":
		return "password", tx.writePassword(p.AccountID, p.UserID, w.PasswordHash)
	}
	return "", errors.New("a set-up link is for a passkey or a password, exactly one of the two")
}

// beginSession makes the session, and records how.
func (tx *Tx) beginSession(p signin.Person, n signin.NewSession, a signin.Attempt, by audit.Entry) (signin.Session, error) {
	limits, err := tx.policy(p.AccountID)
	if err != nil {
		return signin.Session{}, err
	}
	now := tx.now.Truncate(time.Microsecond)
	s := signin.Session{
		ID: seal.NewID(), AccountID: p.AccountID, UserID: p.UserID, Method: n.Method, CreatedAt: now, ConfirmedAt: now, LastSeenAt: now,
		ExpiresAt: now.Add(limits.Absolute), Idle: limits.Idle,
		Address: storable(n.Client.Address, mostAddress), UserAgent: storable(n.Client.UserAgent, mostUserAgent),
	}
	if _, err := tx.exec(`INSERT INTO sessions (hash, id, account_id, user_id, method, created_at, confirmed_at, last_seen_at, expires_at, idle, address, user_agent)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, n.Hash[:], s.ID, s.AccountID, s.UserID, string(s.Method), now.UnixMicro(), now.UnixMicro(),
		now.UnixMicro(), s.ExpiresAt.UnixMicro(), s.Idle.Microseconds(), s.Address, s.UserAgent); err != nil {
		return s, fmt.Errorf("insert session: %w", err)
	}
	a.SessionID = s.ID
	if err := tx.insertAttempt(a); err != nil {
		return s, err
	}
	by.Action, by.Target = audit.SessionBegin, "session:"+s.ID
	return s, tx.append(p.AccountID, by.Because(string(s.Method)))
}

// Confirm implements [signin.Store].
func (db *DB) Confirm(ctx context.Context, accountID, userID, sessionID string, at time.Time, used signin.Used, a signin.Attempt, by audit.Entry) error {
	by.Action, by.Target = audit.SessionConfirm, "session:"+sessionID
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		attempt := a
		p, err := tx.entering(accountID, userID, &attempt, by)
		if err != nil {
			return err
		}
		n, err := tx.exec("UPDATE sessions SET confirmed_at = $1 WHERE account_id = $2 AND id = $3 AND user_id = $4 AND ended_at IS NULL AND expires_at > $1",
			at.UnixMicro(), accountID, sessionID, userID)
		if err != nil {
			return fmt.Errorf("confirm session: %w", err)
		}
		if n == 0 {
			return signin.ErrSessionEnded()
		}
		if err := tx.useUp(p, used); err != nil {
			return err
		}
		attempt.SessionID = sessionID
		if err := tx.screen(&attempt); err != nil {
			return err
		}
		if err := tx.insertAttempt(attempt); err != nil {
			return err
		}
		return tx.append(accountID, by.Because(string(a.Method)))
	})
	return db.afterScreen(ctx, err, by)
}

// SessionByHash implements [signin.Store].
func (db *DB) SessionByHash(ctx context.Context, hash seal.Hash) (signin.Session, signin.Person, error) {
	var r sessionRow
	rows, err := db.query(ctx, "SELECT "+personColumns+", "+sessionColumns+` FROM sessions s JOIN users u ON u.account_id = s.account_id AND u.id = s.user_id
		JOIN accounts a ON a.id = s.account_id WHERE s.hash = $1`, hash[:])
	people, err := collect(rows, err, func(row scanner) (signin.Person, error) { return scanPerson(row, r.into()...) })
	if err != nil {
		return signin.Session{}, signin.Person{}, fmt.Errorf("read session: %w", err)
	}
	if len(people) == 0 {
		return signin.Session{}, signin.Person{}, problem.New(problem.NotFound, "no such session")
	}
	return r.session(), people[0], nil
}

// Seen implements [signin.Store].
func (db *DB) Seen(ctx context.Context, accountID, sessionID string, at time.Time, address string) error {
	return db.do(ctx, accountID, lazy, func(tx *Tx) error {
		_, err := tx.exec("UPDATE sessions SET last_seen_at = $1, address = $2 WHERE account_id = $3 AND id = $4 AND ended_at IS NULL AND last_seen_at < $1",
			at.UnixMicro(), storable(address, mostAddress), accountID, sessionID)
		if err != nil {
			return fmt.Errorf("note use of session: %w", err)
		}
		return nil
	})
}

// Sessions implements [signin.Store].
func (db *DB) Sessions(ctx context.Context, accountID, userID string, now time.Time) ([]signin.Session, error) {
	rows, err := db.query(ctx, "SELECT "+sessionColumns+` FROM sessions s WHERE s.account_id = $1 AND s.user_id = $2 AND s.ended_at IS NULL
		AND s.expires_at > $3 AND s.last_seen_at + s.idle > $3 ORDER BY s.created_at DESC, s.id DESC`, accountID, userID, now.UnixMicro())
	all, err := collect(rows, err, func(row scanner) (signin.Session, error) {
		var r sessionRow
		err := row.Scan(r.into()...)
		return r.session(), err
	})
	if err != nil {
		return nil, fmt.Errorf("read sessions of %q: %w", userID, err)
	}
	return all, nil
}

// EndSession implements [signin.Store].
func (db *DB) EndSession(ctx context.Context, accountID, userID, sessionID string, by audit.Entry) error {
	by.Action, by.Target = audit.SessionEnd, "session:"+sessionID
	return db.do(ctx, accountID, durable, func(tx *Tx) error {
		var over sql.NullInt64
		err := tx.row("SELECT ended_at FROM sessions WHERE account_id = $1 AND id = $2 AND user_id = $3", accountID, sessionID, userID).Scan(&over)
		if errors.Is(err, sql.ErrNoRows) {
			return problem.New(problem.NotFound, "no session %q", sessionID)
		}
		if err != nil {
			return fmt.Errorf("read session %q: %w", sessionID, err)
		}
		if over.Valid {
			return nil
		}
		if _, err := tx.exec("UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE account_id = $3 AND id = $4",
			tx.now.UnixMicro(), storable(by.Reason, mostText), accountID, sessionID); err != nil {
			return fmt.Errorf("end session %q: %w", sessionID, err)
		}
		return tx.append(accountID, by)
	})
}

// EndSessions implements [signin.Store].
func (db *DB) EndSessions(ctx context.Context, accountID, userID, except string, by audit.Entry) (int, error) {
	by.Action, by.Target = audit.SessionEnd, "user:"+userID
	var ended int64
	err := db.do(ctx, accountID, durable, func(tx *Tx) error {
		if _, err := tx.user(accountID, userID); err != nil {
			return err
		}
		var err error
		if ended, err = tx.endSessions(accountID, userID, except, by.Reason); err != nil || ended == 0 {
			return err
		}
		what := "sessions ended: " + strconv.FormatInt(ended, 10)
		if by.Reason != "" {
			what += "; " + by.Reason
		}
		return tx.append(accountID, by.Because(what))
	})
	return int(ended), err
}

// endSessions ends the sessions of a person but the one named, and returns how many. Whether they have
// expired is not asked: on a server whose clock is behind ours they may not have.
func (tx *Tx) endSessions(account, user, except, reason string) (n int64, err error) {
	n, err = tx.exec("UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE account_id = $3 AND user_id = $4 AND ended_at IS NULL AND id <> $5",
		tx.now.UnixMicro(), storable(reason, mostText), account, user, except)
	if err != nil {
		return 0, fmt.Errorf("end sessions of %q: %w", user, err)
	}
	return n, nil
}

// signOut ends all sessions of a person who must not get in again, and removes her ways in.
func (tx *Tx) signOut(account, user, reason string) error {
	if _, err := tx.endSessions(account, user, "", reason); err != nil {
		return err
	}
	return tx.removeWays(account, user)
}

// shortenSessions holds the sessions that there are to limits that have become shorter.
func (tx *Tx) shortenSessions(account string, p, before signin.Policy) error {
	if p.Idle >= before.Idle && p.Absolute >= before.Absolute {
		return nil
	}
	_, err := tx.exec(`UPDATE sessions SET idle = CASE WHEN idle > $1 THEN $1 ELSE idle END,
		expires_at = CASE WHEN expires_at > created_at + $2 THEN created_at + $2 ELSE expires_at END
		WHERE account_id = $3 AND ended_at IS NULL AND (idle > $1 OR expires_at > created_at + $2)`,
		p.Idle.Microseconds(), p.Absolute.Microseconds(), account)
	if err != nil {
		return fmt.Errorf("shorten sessions: %w", err)
	}
	return nil
}
