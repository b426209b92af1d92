package store

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/respond"
	"holdfast/internal/signals"
)

// caseHolder is the holder of a case's hold.
const caseHolder = "case:"

// facts are what a decision about a finding is made on. The case may be nil.
func (tx *Tx) facts(account string, f detect.StoredFinding, subject respond.Subject, c *respond.Case) (respond.Facts, error) {
	x := respond.Facts{Now: tx.now, AccountID: account, Case: c}
	if err := tx.addEvidence(account, &f); err != nil {
		return x, err
	}
	x.Finding = f.Found
	var err error
	if x.Event, err = tx.eventOf(account, f.Seq); err != nil {
		return x, err
	}
	if x.Person, err = tx.knownPerson(account, subject.PersonID); err != nil {
		return x, err
	}
	if x.Guard, err = readGuard(tx, account); err != nil {
		return x, err
	}
	if x.ActivePeople, err = tx.activePeople(account); err != nil {
		return x, err
	}
	state, err := tx.respondState(account)
	if err != nil {
		return x, err
	}
	x.BookRevision = state.revision
	if x.HeldAt, err = tx.heldAt(account, subject.PersonID, ""); err != nil {
		return x, err
	}
	person := subject.PersonID
	x.LastRun = func(playbook, key string) (time.Time, error) { return tx.lastRun(account, playbook, key) }
	x.Suspensions = func(playbook string, since time.Time) (int, error) {
		return countSuspensions(tx, account, playbook, person, since)
	}
	x.HeldPeople = func() (int, error) { return tx.db.countHeld(tx, account, person) }
	return x, nil
}

// respondState is how far responding has come.
type respondState struct{ cursor, revision, cases int64 }

func (tx *Tx) respondState(account string) (respondState, error) {
	var s respondState
	err := tx.row("SELECT cursor, revision, cases FROM respond_state WHERE account_id = $1", account).Scan(&s.cursor, &s.revision, &s.cases)
	if errors.Is(err, sql.ErrNoRows) {
		return respondState{}, nil
	}
	if err != nil {
		return s, fmt.Errorf("read state of responding of %q: %w", account, err)
	}
	return s, nil
}

func (tx *Tx) setRespondState(account string, s respondState) error {
	_, err := tx.exec(`INSERT INTO respond_state (account_id, cursor, revision, cases) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id) DO UPDATE SET cursor = excluded.cursor, revision = excluded.revision, cases = excluded.cases`,
		account, s.cursor, s.revision, s.cases)
	if err != nil {
		return fmt.Errorf("write state of responding of %q: %w", account, err)
	}
	return nil
}

// countActive counts with the people who are suspended: they are people of the account all the same.
const (
	countActive       = "SELECT COUNT(*) FROM users WHERE account_id = $1 AND lifecycle = 'active'"
	countActiveSQLite = "SELECT COUNT(*) FROM users INDEXED BY users_state WHERE account_id = $1 AND lifecycle = 'active'"
)

func (db *DB) countActive() string {
	if db.postgres == "" {
		return countActiveSQLite
	}
	return countActive
}

func (tx *Tx) activePeople(account string) (n int, err error) {
	if err := tx.row(tx.db.countActive(), account).Scan(&n); err != nil {
		return 0, fmt.Errorf("count people: %w", err)
	}
	return n, nil
}

// holdsOfCases are the open ones on a person who is still there.
const holdsOfCases = `SELECT COUNT(*) FROM holds h JOIN users u ON u.account_id = h.account_id AND u.id = h.user_id
	WHERE h.account_id = $1 AND h.released_at IS NULL AND substr(h.holder, 1, 5) = 'case:' AND h.user_id = $2`

// heldPeople are those whom cases keep suspended, here or elsewhere, or are about to.
const (
	heldPeople       = "SELECT COUNT(*) FROM (SELECT h.user_id FROM holds h" + whoAreHeld
	heldPeopleSQLite = "SELECT COUNT(*) FROM (SELECT h.user_id FROM holds h INDEXED BY holds_cases" + whoAreHeld
	whoAreHeld       = ` JOIN users u ON u.account_id = h.account_id AND u.id = h.user_id
		WHERE h.account_id = $1 AND h.released_at IS NULL AND substr(h.holder, 1, 5) = 'case:'
		UNION SELECT person_id FROM actions WHERE account_id = $1 AND reserved IS NOT NULL) held WHERE user_id <> $2`
)

func (db *DB) countHeld(q reader, account, except string) (int, error) {
	query := heldPeople
	if db.postgres == "" {
		query = heldPeopleSQLite
	}
	rows, err := q.rows(query, account, except)
	n, _, err := one(rows, err, func(r scanner) (n int, err error) { return n, r.Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("count people whom cases hold: %w", err)
	}
	return n, nil
}

// suspendedSince are the people whom playbooks suspended, or are about to.
const suspendedSince = `SELECT COUNT(DISTINCT person_id) FROM actions
	WHERE account_id = $1 AND counted_at IS NOT NULL AND counted_at > $2 AND (playbook = $3 OR $3 = '') AND person_id <> $4`

func countSuspensions(q reader, account, playbook, except string, since time.Time) (int, error) {
	rows, err := q.rows(suspendedSince, account, since.UnixMicro(), playbook, except)
	n, _, err := one(rows, err, func(r scanner) (n int, err error) { return n, r.Scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("count people whom playbooks suspended: %w", err)
	}
	return n, nil
}

func (tx *Tx) lastRun(account, playbook, key string) (time.Time, error) {
	us, err := number(tx.row(`SELECT created_at FROM runs WHERE account_id = $1 AND playbook = $2 AND dedupe_key = $3 AND state <> 'stopped'
		ORDER BY created_at DESC LIMIT 1`, account, playbook, key))
	if err != nil {
		return time.Time{}, fmt.Errorf("look for an earlier run of %q: %w", playbook, err)
	}
	return at(sql.NullInt64{Int64: us, Valid: us != 0}), nil
}

// knownPerson is somebody as the directory knows them; the zero Person if it does not.
func (tx *Tx) knownPerson(account, id string) (respond.Person, error) {
	if id == "" {
		return respond.Person{}, nil
	}
	p, err := readPerson(tx, account, id)
	if err != nil || p.ID == "" {
		return p, err
	}
	u := directory.User{AccountID: account, ID: id, Lifecycle: directory.Active, Suspended: p.Suspended}
	if p.Active {
		if p.LastOwner, err = tx.isLastOwner(u); err != nil {
			return p, err
		}
	}
	return p, nil
}

const groupsOfPerson = `SELECT g.id, g.name, g.kind FROM group_members m JOIN groups g ON g.account_id = m.account_id AND g.id = m.group_id
	WHERE m.account_id = $1 AND m.user_id = $2
	UNION SELECT id, name, kind FROM groups WHERE account_id = $1 AND kind = 'team_members'`

func readPerson(q reader, account, id string) (respond.Person, error) {
	rows, err := q.rows("SELECT "+userColumns+" FROM users WHERE account_id = $1 AND id = $2", account, id)
	u, ok, err := one(rows, err, scanUser(account))
	if err != nil {
		return respond.Person{}, fmt.Errorf("read user %q: %w", id, err)
	}
	if !ok {
		return respond.Person{}, nil
	}
	p := respond.Person{
		ID: u.ID, Email: u.Email, Name: u.DisplayName, Active: u.Lifecycle == directory.Active, Suspended: u.Suspended,
		ExternallyManaged: u.ExternallyManaged,
	}
	rows, err = q.rows(groupsOfPerson, account, id)
	groups, err := collect(rows, err, scanGroup(account))
	if err != nil {
		return p, fmt.Errorf("read groups of %q: %w", id, err)
	}
	slices.SortFunc(groups, func(a, b directory.Group) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	for _, g := range groups {
		p.Groups, p.GroupIDs = append(p.Groups, g.Name), append(p.GroupIDs, g.ID)
	}
	return p, nil
}

// subjectOf is whom a finding is about: a person, a name that the source has, or else where it came from.
func (tx *Tx) subjectOf(account string, f detect.StoredFinding) (respond.Subject, error) {
	s := respond.Subject{PersonID: f.PersonID, Name: storable(cmp.Or(f.User, f.Address), mostEmail)}
	if s.PersonID == "" {
		if strings.Contains(f.User, "@") {
			s.Email = s.Name
		}
		return s, nil
	}
	err := tx.row(`SELECT display_name, email FROM users WHERE account_id = $1 AND id = $2
		UNION ALL SELECT display_name, email FROM removed_users WHERE account_id = $1 AND id = $2`, account, s.PersonID).Scan(&s.Name, &s.Email)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("read user %q: %w", s.PersonID, err)
	}
	return s, nil
}

// addEvidence completes a finding with its events.
func (tx *Tx) addEvidence(account string, f *detect.StoredFinding) error {
	rows, err := tx.rows("SELECT event_id, event FROM finding_events WHERE account_id = $1 AND finding = $2 ORDER BY event", account, f.Seq)
	f.Events, f.Seqs = nil, nil
	_, err = collect(rows, err, func(r scanner) (struct{}, error) {
		var id string
		var seq int64
		err := r.Scan(&id, &seq)
		f.Events, f.Seqs = append(f.Events, id), append(f.Seqs, seq)
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("read evidence of finding %d: %w", f.Seq, err)
	}
	return nil
}

// eventOf are the facts of the event with which a finding began, with the lowest trust of all its events.
func (tx *Tx) eventOf(account string, finding int64) (respond.EventFacts, error) {
	rows, err := tx.rows(firstEventOf, account, finding)
	e, ok, err := one(rows, err, scanEventFacts)
	if err != nil {
		return e, fmt.Errorf("read the event of finding %d: %w", finding, err)
	}
	if !ok {
		return e, nil
	}
	rows, err = tx.rows(`SELECT DISTINCT s.source_id FROM finding_events f CROSS JOIN signal_events s
		WHERE f.account_id = $1 AND f.finding = $2 AND s.account_id = f.account_id AND s.seq = f.event`, account, finding)
	sources, err := collect(rows, err, func(r scanner) (id string, err error) { return id, r.Scan(&id) })
	if err != nil {
		return respond.EventFacts{}, fmt.Errorf("read sources of finding %d: %w", finding, err)
	}
	e.Trust = respond.TrustOwn
	for _, id := range sources {
		rows, err := tx.rows(oneSource, account, id)
		setup, there, err := one(rows, err, scanSource)
		switch {
		case err != nil:
			return e, fmt.Errorf("read source %q: %w", id, err)
		case !there: // it was removed: nobody knows any more
			e.Trust = respond.TrustSent
		default:
			e.Trust = min(e.Trust, respond.TrustOf(setup))
		}
	}
	return e, nil
}

// firstEventOf is the first event of a finding. SQLite takes CROSS JOIN as the order in which to read; left alone, it
// would read all events of the account.
const firstEventOf = `SELECT source_id, event FROM signal_events WHERE account_id = $1 AND seq = (SELECT s.seq FROM finding_events f CROSS JOIN signal_events s
	WHERE f.account_id = $1 AND f.finding = $2 AND s.account_id = f.account_id AND s.seq = f.event ORDER BY s.at, s.seq LIMIT 1)`

// scanEventFacts reads an event, without its trust. What cannot be read says nothing, not even when it was: no
// playbook acts on it, and what comes after it is not held up.
func scanEventFacts(r scanner) (respond.EventFacts, error) {
	var source string
	var text []byte
	if err := r.Scan(&source, &text); err != nil {
		return respond.EventFacts{}, err
	}
	e, err := signals.DecodeOCSF(text)
	if err != nil {
		return respond.EventFacts{SourceID: source}, nil
	}
	return respond.EventOf(e, source), nil
}
