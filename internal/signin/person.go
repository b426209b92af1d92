package signin

import (
	"slices"
	"time"

	"holdfast/internal/web"
)

// Person is who may sign in, as far as signing in is concerned.
type Person struct {
	AccountID   string
	AccountName string
	UserID      string
	Email       string
	DisplayName string
	Invited     bool     // has not set up a way in yet
	Suspended   bool     // at least one hold is open
	Groups      []string // kinds of the built-in groups she is in: owners, administrators, security
}

// Actor is the person as audit entries name her.
func (p Person) Actor() string { return "user:" + p.UserID }

// Roles are what the person may do in the console.
func (p Person) Roles() []web.Role { return rolesOf(p.Groups) }

// rolesOf says what the built-in groups are for: owners and administrators manage people; members of
// Security, too, manage integrations. Everybody sees what is her own.
func rolesOf(groups []string) []web.Role {
	roles := []web.Role{web.Member}
	manages := slices.Contains(groups, "owners") || slices.Contains(groups, "administrators")
	if manages || slices.Contains(groups, "security") {
		roles = append(roles, web.Integrations)
	}
	if manages {
		roles = append(roles, web.People)
	}
	if slices.Contains(groups, "owners") {
		roles = append(roles, web.Owner)
	}
	return roles
}

// Policy is how people of an account may sign in.
type Policy struct {
	Passkeys      bool
	Passwords     bool
	RequireCode   bool          // a password is worth nothing without a one-time code
	Idle          time.Duration // a session unused for so long ends
	Absolute      time.Duration // a session ends then, however much it is used
	SingleSignOn  bool
	Issuer        string // of the OpenID provider, https
	ClientID      string // ours, at the provider
	HasSecret     bool   // a client secret is stored; it is never shown
	SecretVersion int    // of the stored client secret
}

// DefaultPolicy is that of a new account.
func DefaultPolicy() Policy {
	return Policy{Passkeys: true, Passwords: true, Idle: 12 * time.Hour, Absolute: 7 * 24 * time.Hour}
}

// Method is how a session began or was confirmed.
type Method string

// The methods.
const (
	ByPasskey      Method = "passkey"
	ByPassword     Method = "password"
	ByPasswordCode Method = "password_code"
	ByRecoveryCode Method = "recovery_code"
	BySSO          Method = "sso"
	BySetupLink    Method = "setup_link"
)

// Session is a browser that somebody signed in with.
type Session struct {
	ID          string
	AccountID   string
	UserID      string
	Method      Method
	CreatedAt   time.Time
	ConfirmedAt time.Time // of the last fresh authentication
	LastSeenAt  time.Time // to the minute
	ExpiresAt   time.Time // the absolute end
	Idle        time.Duration
	Address     string
	UserAgent   string
	EndedAt     time.Time // zero: not ended by anybody
}

// Live reports whether the session is worth something at the time.
func (s Session) Live(now time.Time) bool {
	return s.EndedAt.IsZero() && now.Before(s.ExpiresAt) && now.Before(s.LastSeenAt.Add(s.Idle))
}

// FreshFor is how long an authentication counts as fresh.
const FreshFor = 5 * time.Minute

// Passkey is a WebAuthn credential.
type Passkey struct {
	ID         string // of ours; the credential's own ID is in Credential
	AccountID  string
	UserID     string
	Name       string
	Credential []byte // go-webauthn's credential as JSON: public key, counter, flags
	RawID      []byte // the credential's ID, unique in the installation
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
}

// Methods are the ways in that a person has.
type Methods struct {
	Passkeys          []Passkey
	PasswordHash      string // argon2id, PHC text; empty for none
	PasswordChangedAt time.Time
	TOTP              []byte // sealed; nil for none
	TOTPSince         time.Time
	TOTPStep          int64 // last time step that was accepted
	RecoveryCodes     int   // left
	SSO               bool  // she has signed in by single sign-on before
}

// None reports whether there is no way in.
func (m Methods) None() bool { return len(m.Passkeys) == 0 && m.PasswordHash == "" && !m.SSO }
