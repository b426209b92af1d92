package signin

import (
	"context"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Store is what this package needs from a database.
//
// Methods are atomic and safe for concurrent use, also by several processes. What changes something
// writes its audit entry in the same transaction. What lets somebody in looks at the person inside the
// transaction: one who is suspended or removed is refused with [ErrMayNot], and the attempt is kept.
type Store interface {
	RuleStore

	// People returns who has the e-mail (folded as the directory folds it), in any account, in the order of
	// account ids; at most limit.
	People(ctx context.Context, email string, limit int) ([]Person, error)
	Person(ctx context.Context, accountID, userID string) (Person, error)
	Methods(ctx context.Context, accountID, userID string) (Methods, error)
	Policy(ctx context.Context, accountID string) (Policy, error)

	// SetPolicy stores how people may sign in; ssoSecret, sealed, only if not nil, and then p.SecretVersion must
	// be one more than that of the stored policy (Conflict if somebody else was faster). It is refused with
	// [ErrLastWay] if the actor (user:<id>) would be left without a way in. Limits that become shorter hold for
	// the sessions that there are, too.
	SetPolicy(ctx context.Context, accountID string, p Policy, ssoSecret []byte, by audit.Entry) error
	SSOSecret(ctx context.Context, accountID string) (sealed []byte, err error)
	// SSOAccounts returns the accounts with single sign-on, with their policies.
	SSOAccounts(ctx context.Context) (map[string]Policy, error)
	AccountName(ctx context.Context, accountID string) (string, error)

	// SetupLink returns whose link it is while it can be used, else a problem of kind NotFound.
	SetupLink(ctx context.Context, link seal.Hash, now time.Time) (Person, error)

	// SetUp uses the link up, stores the way in, makes an invited person active, ends her other sessions,
	// and begins a session, all or nothing. Other ways in that she had are removed: a link is for people
	// who have none, or have lost theirs.
	SetUp(ctx context.Context, link seal.Hash, w NewWay, s NewSession, a Attempt, by audit.Entry) (Session, error)

	// SignIn begins a session after a successful authentication, forgets the failures that used names, and
	// stores the attempt with the session's id and the person's name and e-mail. used says what else the
	// authentication changed.
	SignIn(ctx context.Context, accountID, userID string, s NewSession, used Used, a Attempt, by audit.Entry) (Session, error)

	// Confirm moves ConfirmedAt of the session, with the same checks as SignIn; [ErrSessionEnded] if it has ended.
	Confirm(ctx context.Context, accountID, userID, sessionID string, at time.Time, used Used, a Attempt, by audit.Entry) error

	// Fail stores a failed or refused attempt (if the person is known and a rule denies where she is, as one that
	// the rule refused; see [Screen]) and counts it against the keys (see Throttle). It may be lost with
	// the power: who guesses must not be able to make the disk sync.
	Fail(ctx context.Context, a Attempt, keys []string, by audit.Entry) error

	// Throttle returns the counters of the keys; one that does not exist, or whose last failure is older than
	// [FailuresFor], is zero.
	Throttle(ctx context.Context, keys []string) (map[string]Failures, error)

	// KnownAddress reports whether the person signed in successfully from the address since then.
	KnownAddress(ctx context.Context, accountID, userID, address string, since time.Time) (bool, error)

	// SessionByHash returns a session with its person, whatever its state; NotFound if there is none.
	SessionByHash(ctx context.Context, hash seal.Hash) (Session, Person, error)
	// Seen notes when and from where the session was used last. Not durable, not audited.
	Seen(ctx context.Context, accountID, sessionID string, at time.Time, address string) error
	// Sessions returns live sessions, newest first.
	Sessions(ctx context.Context, accountID, userID string, now time.Time) ([]Session, error)
	EndSession(ctx context.Context, accountID, userID, sessionID string, by audit.Entry) error
	// EndSessions ends all sessions of the person but the one named (or none), and returns how many.
	EndSessions(ctx context.Context, accountID, userID, except string, by audit.Entry) (int, error)

	// AddPasskey, SetPassword, SetTOTP and SetRecoveryCodes store a way in of an active person.
	AddPasskey(ctx context.Context, p Passkey, by audit.Entry) error
	RenamePasskey(ctx context.Context, accountID, userID, id, name string, by audit.Entry) error
	// RemovePasskey and RemovePassword are refused with [ErrLastWay] if no way in would be left that the account's
	// policy allows, RemoveTOTP with [ErrCodeRequired]. Removing the password removes one-time codes and recovery
	// codes too, and removing one-time codes removes recovery codes.
	RemovePasskey(ctx context.Context, accountID, userID, id string, by audit.Entry) error
	SetPassword(ctx context.Context, accountID, userID, hash string, by audit.Entry) error
	// SetFirstPassword is SetPassword for the operator: of somebody invited it makes an active person, and voids
	// her set-up links.
	SetFirstPassword(ctx context.Context, accountID, userID, hash string, by audit.Entry) error
	RemovePassword(ctx context.Context, accountID, userID string, by audit.Entry) error
	SetTOTP(ctx context.Context, accountID, userID string, sealed []byte, step int64, codes []seal.Hash, by audit.Entry) error
	RemoveTOTP(ctx context.Context, accountID, userID string, by audit.Entry) error
	SetRecoveryCodes(ctx context.Context, accountID, userID string, codes []seal.Hash, by audit.Entry) error
	// PasskeyByRawID returns a passkey by the credential's own ID; NotFound if nobody has it.
	PasskeyByRawID(ctx context.Context, rawID []byte) (Passkey, error)
	// UserBySubject returns who is known by the subject of the account's OpenID provider.
	UserBySubject(ctx context.Context, accountID, issuer, subject string) (userID string, err error)

	// Put keeps something for a while under the hash of a ticket; Take returns it once (NotFound after
	// that, and once it has expired); Peek returns it and leaves it.
	Put(ctx context.Context, ticket seal.Hash, purpose string, sealed []byte, expires time.Time) error
	Take(ctx context.Context, ticket seal.Hash, purpose string, now time.Time) (sealed []byte, err error)
	Peek(ctx context.Context, ticket seal.Hash, purpose string, now time.Time) (sealed []byte, err error)
	// Purge removes expired tickets, sessions that are over for [KeepSessions], and old counters.
	Purge(ctx context.Context, now time.Time) error

	// Attempts returns attempts, newest first.
	Attempts(ctx context.Context, q AttemptQuery) ([]Attempt, error)
	// FindAttempts returns a page of attempts, newest first, and looks at a bounded number of others.
	FindAttempts(ctx context.Context, q AttemptQuery) (AttemptPage, error)
	// CountAttempts counts no further than most; more says that there are others, or that not all were looked at.
	CountAttempts(ctx context.Context, q AttemptQuery, most int) (n int, more bool, err error)
	// AttemptsSince returns those that were stored after the one with the number, newest first, and the number
	// of the account's last one. Of many it looks at the newest. With a negative number it returns no attempts.
	AttemptsSince(ctx context.Context, q AttemptQuery, after int64) (all []Attempt, last int64, err error)
	// Attempt returns one by its time and ID; NotFound if the account has none like that.
	Attempt(ctx context.Context, accountID string, at time.Time, id string) (Attempt, error)
	// AttemptsAfter returns a person's next ones after the time and ID, oldest first.
	AttemptsAfter(ctx context.Context, accountID, userID string, at time.Time, id string, limit int) ([]Attempt, error)
	// AttemptCountries lists the countries from where somebody tried since then, by code.
	AttemptCountries(ctx context.Context, accountID string, since time.Time) ([]string, error)
}

// NewWay is the first way in: one of the two.
type NewWay struct {
	Passkey      *Passkey
	PasswordHash string
}

// NewSession is a session to begin.
type NewSession struct {
	Hash   seal.Hash
	Method Method
	Client Client
}

// Used is what an authentication changes besides the session. A part that is no longer as it was read
// (a code used meanwhile, a step accepted already, a passkey removed) fails the whole with [ErrWrong].
type Used struct {
	Passkey      *Passkey  // with the new counter in Credential
	PasswordHash string    // the stored hash that the password was compared with; empty: not used
	TOTPStep     int64     // accepted only if later than the stored one; 0: not used
	RecoveryCode seal.Hash // removed; zero: not used
	Issuer       string    // of the OpenID provider, with Subject; stored at the first sign-in
	Subject      string
	Forget       []string // keys of counters (see Throttle) that begin anew
}

// How long is kept what is worth nothing any more.
const (
	FailuresFor  = 15 * time.Minute    // a counter begins anew so long after the last failure
	KeepSessions = 30 * 24 * time.Hour // after their end
)

// Failures are those of one key.
type Failures struct {
	Count int
	Last  time.Time
}

// ErrWrong is the one answer to whatever was wrong with who signs in.
func ErrWrong() *problem.Error {
	return problem.Coded(problem.Unauthenticated, "sign_in_failed", "the e-mail address, the password or the code is wrong")
}

// ErrMayNot is the answer to somebody whose credentials are right and who may not sign in all the same.
// Only who has shown the right credentials hears it.
func ErrMayNot() *problem.Error {
	return problem.Coded(problem.Forbidden, "suspended", "this person may not sign in at present; an administrator of the account can say why")
}

// ErrSlowed is the answer after too many failures.
func ErrSlowed(wait time.Duration) *problem.Error {
	p := problem.Coded(problem.TooMany, "slowed", "too many failed sign-ins; wait before the next try")
	p.RetryAfter = wait
	return p
}

// ErrSessionEnded is the answer to who confirms a session that has ended meanwhile.
func ErrSessionEnded() *problem.Error {
	return problem.Coded(problem.Unauthenticated, "session_ended", "the session has ended; sign in again")
}

// ErrLastWay is the answer to removing the only way in.
func ErrLastWay() *problem.Error {
	return problem.Coded(problem.Conflict, "last_way_in", "this is the only way to sign in; add another one first")
}

// ErrCodeRequired is the answer to removing the one-time codes that the account asks for.
func ErrCodeRequired() *problem.Error {
	return problem.Coded(problem.Conflict, "code_required", "the account asks for one-time codes besides the password; replace them, or remove the password")
}
