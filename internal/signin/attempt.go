package signin

import (
	"net/netip"
	"time"

	"holdfast/internal/origin"
)

// Category says how a try ended, in the words of the Events API (contract 4.5).
type Category string

// The categories that signing in here can have. The contract's remaining one, modern_version_failed, is of
// programs that are too old.
const (
	Success           Category = "success"
	CredentialsFailed Category = "credentials_failed"
	MFAFailed         Category = "mfa_failed"
	SSOFailed         Category = "sso_failed"
	FirewallFailed    Category = "firewall_failed"           // a rule refused it, or it came too soon after failures
	FirewallReported  Category = "firewall_reported_success" // it got in, and a rule wants it looked at
)

// Type says it more closely.
type Type string

// The types that signing in here can have.
const (
	CredentialsOK     Type = "credentials_ok"
	MFAOK             Type = "mfa_ok"
	PasswordSecretBad Type = "password_secret_bad" // e-mail or password is wrong
	MFAMissing        Type = "mfa_missing"
	TOTPBad           Type = "totp_bad"
	TOTPTimeout       Type = "totp_timeout"
	CodeBad           Type = "code_bad" // a recovery code or a set-up link
	CodeTimeout       Type = "code_timeout"
	U2FBad            Type = "u2f_bad" // a passkey
	U2FTimeout        Type = "u2f_timout"
	NonSSOUser        Type = "non_sso_user"
	SSOUserMismatch   Type = "sso_user_mismatch"
	AllBlocked        Type = "all_blocked" // suspended, slowed down after too many failures, or by a rule for all
	IPBlocked         Type = "ip_blocked"
	ContinentBlocked  Type = "continent_blocked"
	CountryBlocked    Type = "country_blocked"
	AnonymousBlocked  Type = "anonymous_blocked"
)

// Attempt is one try to enter.
type Attempt struct {
	ID        string
	AccountID string // empty: of no account, since the e-mail is nobody's
	At        time.Time
	Category  Category
	Type      Type
	Details   string // what the Events API calls details.value; empty for null
	SessionID string // of the session that came of it, or of the try
	UserID    string // empty: nobody
	Name      string
	Email     string // as it is stored, or as it was typed
	Method    Method
	Client    Client
	Location  origin.Location // of the client's address, as far as it was known at the time
}

// Client is the browser that tries.
type Client = origin.Client

// AttemptQuery asks for attempts, newest first. They meet all conditions; what is empty is none.
type AttemptQuery struct {
	AccountID string
	UserID    string
	UserIDs   []string // any of them, instead of UserID
	Category  Category
	Failed    bool // of a category in which nobody got in
	Method    Method
	Country   string       // ISO 3166-1 alpha-2
	Addresses netip.Prefix // of a single address: with all its bits
	ASN       int64
	SessionID string
	ID        string
	Text      string    // within name, e-mail, network or city, whatever the case of A to Z
	From, To  time.Time // To is not included
	Before    time.Time // for the next page: what the page before says
	BeforeID  string
	Limit     int
}

// AttemptPage are some of the attempts that were asked for.
type AttemptPage struct {
	Attempts  []Attempt
	More      bool      // there are others, or not all were looked at
	Next      time.Time // Before and BeforeID of the next page
	NextID    string
	Searching bool // the page is short because enough was looked at, not because there was no more
}
