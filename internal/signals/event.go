package signals

import (
	"slices"
	"strings"
	"time"

	"holdfast/internal/origin"
)

// SchemaVersion is the version of OCSF that names and numbers here are taken from, and that
// [EncodeOCSF] writes. The first one in which everything that we fill is there: risk level and
// disposition on every class, actor on every class of identity events, metadata.debug.
const SchemaVersion = "1.4.0"

// Class says what kind of event it is: class_uid of OCSF.
type Class int32

// The classes that decoders give. What else a source tells is kept with ClassBase.
const (
	ClassBase             Class = 0    // no sign-in, and nothing below
	ClassAccountChange    Class = 3001 // a person's account, password or second factor was changed
	ClassAuthentication   Class = 3002 // a sign-in, or a step of one
	ClassEntityManagement Class = 3004 // an item was used
	ClassUserAccess       Class = 3005 // privileges were given or taken
)

// Activity says what happened, within the Class: activity_id of OCSF.
type Activity int32

// The activities, by class.
const (
	ActivityUnknown Activity = 0
	ActivityOther   Activity = 99

	// of ClassAuthentication
	Logon   Activity = 1 // somebody asks to be signed in: the outcome is Status
	Logoff  Activity = 2
	Ticket  Activity = 3 // a token is asked for, without anybody typing anything
	Preauth Activity = 6 // a step on the way: a policy was evaluated, a factor was asked for or verified

	// of ClassAccountChange
	AccountCreate    Activity = 1
	AccountEnable    Activity = 2
	PasswordChange   Activity = 3
	PasswordReset    Activity = 4
	AccountDisable   Activity = 5
	AccountDelete    Activity = 6
	AccountLock      Activity = 9
	FactorEnable     Activity = 10
	FactorDisable    Activity = 11
	AccountUnlock    Activity = 12
	PrivilegesAssign Activity = 1 // of ClassUserAccess
	PrivilegesRevoke Activity = 2 // of ClassUserAccess
	EntityRead       Activity = 2 // of ClassEntityManagement
	EntityUpdate     Activity = 3 // of ClassEntityManagement
)

// StatusID is the outcome: status_id of OCSF.
type StatusID int32

// The outcomes. What a source calls by a name that we do not know is StatusUnknown, with the name in
// Event.Status; StatusOther is known to be neither success nor failure, such as a challenge.
const (
	StatusUnknown StatusID = 0
	StatusSuccess StatusID = 1
	StatusFailure StatusID = 2
	StatusOther   StatusID = 99
)

// Severity is severity_id of OCSF: 0 unknown, 1 informational, 2 low, 3 medium, 4 high, 5 critical.
type Severity int32

// Disposition is what a control of the source did: disposition_id of OCSF.
type Disposition int32

// The dispositions that decoders give.
const (
	DispositionUnknown   Disposition = 0
	DispositionAllowed   Disposition = 1
	DispositionBlocked   Disposition = 2
	DispositionLogged    Disposition = 17 // let through, and reported
	DispositionChallenge Disposition = 23
)

// Risk is the risk that the source saw: risk_level_id of OCSF plus one, so that its zero value can mean
// that the source said nothing. OCSF has no number for that and begins with 0, "info".
type Risk int32

// The risk levels.
const (
	RiskUnknown  Risk = 0
	RiskNone     Risk = 1
	RiskLow      Risk = 2
	RiskMedium   Risk = 3
	RiskHigh     Risk = 4
	RiskCritical Risk = 5
)

// Tri is a yes or no that may be unknown, which is its zero value.
type Tri int8

// The three answers.
const (
	Unknown Tri = 0
	Yes     Tri = 1
	No      Tri = -1
)

// Reason is why a sign-in did not succeed, the same word for every source; empty after success and
// where the source does not say.
type Reason string

// The reasons.
const (
	BadCredentials   Reason = "bad_credentials"   // wrong password, or name and password do not belong together
	NoSuchUser       Reason = "no_such_user"      // and the source says so
	MFAFailed        Reason = "mfa_failed"        // a wrong code, a wrong key
	MFADenied        Reason = "mfa_denied"        // the person refused, or reported a prompt
	MFATimeout       Reason = "mfa_timeout"       // nobody answered the prompt
	MFARequired      Reason = "mfa_required"      // asked for, and not given yet
	SSOFailed        Reason = "sso_failed"        // the identity provider and the account do not agree
	Locked           Reason = "locked"            // too many attempts
	Disabled         Reason = "disabled"          // the account is suspended or deactivated
	Blocked          Reason = "blocked"           // a rule about places, networks, devices or risk
	PasswordExpired  Reason = "password_expired"  // the password was right
	SessionExpired   Reason = "session_expired"   // an old session or token was tried
	ConsentMissing   Reason = "consent_missing"   // the application may not be used, or not yet
	Interrupted      Reason = "interrupted"       // a page in between was shown; not a failure
	ClientOutdated   Reason = "client_outdated"   // the program is too old
	BadClient        Reason = "bad_client"        // the application itself could not prove who it is
	TooManyRequests  Reason = "too_many_requests" // the source throttles
	FailedOtherwise  Reason = "failed"            // for a reason that we have no word for
	PhishingDeclined Reason = "phishing_declined" // the authenticator saw a foreign site
)

// Event is one normalised fact. Texts are valid UTF-8 without control characters and at most 1 KiB
// long, except Raw. Everything but Source, SourceID and Raw may be empty: nothing is refused because
// the source said little.
type Event struct {
	AccountID string // whose; set by who takes the event in
	Source    string // name of the Decoder
	SourceID  string // the source's own id of the event, or one made of its text: never empty

	Time       time.Time // when it happened, UTC; zero if the source does not say (see Notes)
	ReceivedAt time.Time // when we got it; set by who takes the event in, never by a Decoder

	Class    Class
	Activity Activity
	Code     string // the source's name for the event, such as user.session.start
	Message  string // the source's sentence about it

	StatusID     StatusID
	Status       string // the source's word for the outcome
	StatusCode   string // the source's code: password_secret_bad, 50126, INVALID_CREDENTIALS
	StatusDetail string // more in the source's words: credentials_failed, or a sentence
	Reason       Reason
	Severity     Severity

	User  User // whom it is about
	Actor User // who did it, if that is somebody else

	Src    Endpoint
	Client origin.Client // the program; its Address is that of Src
	Device Device

	Protocol string // OpenID, SAML, OAUTH 2.0 …, or the source's own word
	MFA      Tri    // a second factor was asked for
	Factors  []Factor
	Session  string // id of the session
	Service  Service
	Entity   Entity // what was used or changed, if that is no user

	// What the source itself thinks of it.
	Disposition Disposition
	Rule        string // the firewall rule, policy or zone that decided
	Alert       bool   // the source wants somebody to look at it
	Risk        Risk
	RiskScore   int    // in the source's own scale; 0 if it gave none
	RiskDetail  string // why, or what became of it
	Verdicts    []Attribute

	Notes    []string    // what the decoder assumed or could not read, in our words
	Unmapped []Attribute // what the decoder knows no place for, by the source's names; values as JSON text
	Raw      string      // the event as it came, valid UTF-8
}

// User is a person or a machine, as the source describes it.
type User struct {
	ID      string   // at the source
	Login   string   // what is typed to sign in
	Name    string   // as shown
	Email   string   // empty unless it looks like an address
	Aliases []string // more names that the same user goes by
	Type    string   // the source's word: User, ServicePrincipal, Guest …
}

// Empty says that nothing is known.
func (u User) Empty() bool {
	return u.ID == "" && u.Login == "" && u.Name == "" && u.Email == "" && len(u.Aliases) == 0 && u.Type == ""
}

// Endpoint is where the request came from.
type Endpoint struct {
	IP       string          // canonical if it is an address, else as it was written
	Location origin.Location // as the source says; who takes the event in may know better
	ISP      string
	Domain   string // of the network
	Proxy    Tri    // the source takes the address for a proxy
}

// Device is the machine that was used.
type Device struct {
	ID        string
	Name      string
	Type      string // Computer, Mobile, desktop …
	Managed   Tri
	Compliant Tri
	Trust     string // how it is joined to the organisation
}

// Service is what was signed in to.
type Service struct{ ID, Name string }

// Entity is a thing that an event is about: an item, a group, a policy.
type Entity struct{ ID, Name, Type string }

// Attribute is a name with a value.
type Attribute struct{ Name, Value string }

// Factor is how the user proved who they are: factor_type_id of OCSF and the source's word.
type Factor struct {
	ID   FactorID
	Name string
}

// FactorID is factor_type_id of OCSF.
type FactorID int32

// The factors.
const (
	FactorUnknown   FactorID = 0
	FactorSMS       FactorID = 1
	FactorQuestion  FactorID = 2
	FactorCall      FactorID = 3
	FactorBiometric FactorID = 4
	FactorPush      FactorID = 5
	FactorHardware  FactorID = 6
	FactorOTP       FactorID = 7
	FactorEmail     FactorID = 8
	FactorU2F       FactorID = 9
	FactorWebAuthn  FactorID = 10
	FactorPassword  FactorID = 11
	FactorOther     FactorID = 99
)

// SignIn says that somebody asked to be signed in, whatever came of it.
func (e *Event) SignIn() bool { return e.Class == ClassAuthentication && e.Activity == Logon }

// Succeeded says that somebody is signed in now.
func (e *Event) Succeeded() bool { return e.SignIn() && e.StatusID == StatusSuccess }

// Failed says that somebody asked to be signed in, or to pass a step of it, and is not.
func (e *Event) Failed() bool { return e.Class == ClassAuthentication && e.StatusID == StatusFailure }

// When is Time, or ReceivedAt for an event that says no time.
func (e *Event) When() time.Time {
	if e.Time.IsZero() {
		return e.ReceivedAt
	}
	return e.Time
}

// Verdict is the source's verdict of that name (letter case is ignored), or nothing.
func (e *Event) Verdict(name string) string {
	i := slices.IndexFunc(e.Verdicts, func(a Attribute) bool { return strings.EqualFold(a.Name, name) })
	if i < 0 {
		return ""
	}
	return e.Verdicts[i].Value
}
