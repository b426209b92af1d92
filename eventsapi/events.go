package eventsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// Category is how a sign-in attempt ended, coarsely.
type Category string

// The categories.
const (
	CategorySuccess                 Category = "success"
	CategoryCredentialsFailed       Category = "credentials_failed"
	CategoryMFAFailed               Category = "mfa_failed"
	CategorySSOFailed               Category = "sso_failed"
	CategoryModernVersionFailed     Category = "modern_version_failed"
	CategoryFirewallFailed          Category = "firewall_failed"
	CategoryFirewallReportedSuccess Category = "firewall_reported_success" // let in, and reported by a rule
)

// AttemptType is how a sign-in attempt ended, exactly. Servers may know more than stand here.
type AttemptType string

// The types.
const (
	TypeCredentialsOK           AttemptType = "credentials_ok"
	TypeMFAOK                   AttemptType = "mfa_ok"
	TypePasswordSecretBad       AttemptType = "password_secret_bad"
	TypeMFAMissing              AttemptType = "mfa_missing"
	TypeTOTPDisabled            AttemptType = "totp_disabled"
	TypeTOTPBad                 AttemptType = "totp_bad"
	TypeTOTPTimeout             AttemptType = "totp_timeout"
	TypeU2FDisabled             AttemptType = "u2f_disabled"
	TypeU2FBad                  AttemptType = "u2f_bad"
	TypeU2FTimeout              AttemptType = "u2f_timeout" // v1 spells it u2f_timout
	TypeDuoDisabled             AttemptType = "duo_disabled"
	TypeDuoBad                  AttemptType = "duo_bad"
	TypeDuoTimeout              AttemptType = "duo_timeout"
	TypeDuoNativeBad            AttemptType = "duo_native_bad"
	TypeServiceAccountSSODenied AttemptType = "service_account_sso_denied"
	TypeNonSSOUser              AttemptType = "non_sso_user"
	TypeSSOUserMismatch         AttemptType = "sso_user_mismatch"
	TypePlatformSecretDisabled  AttemptType = "platform_secret_disabled"
	TypePlatformSecretBad       AttemptType = "platform_secret_bad"
	TypePlatformSecretProxy     AttemptType = "platform_secret_proxy"
	TypeCodeDisabled            AttemptType = "code_disabled"
	TypeCodeBad                 AttemptType = "code_bad"
	TypeCodeTimeout             AttemptType = "code_timeout"
	TypeIPBlocked               AttemptType = "ip_blocked"
	TypeContinentBlocked        AttemptType = "continent_blocked"
	TypeCountryBlocked          AttemptType = "country_blocked"
	TypeAnonymousBlocked        AttemptType = "anonymous_blocked"
	TypeAllBlocked              AttemptType = "all_blocked"
	TypeModernVersionMissing    AttemptType = "modern_version_missing"
	TypeFederated               AttemptType = "federated" // through an identity provider
	TypeModernVersionOld        AttemptType = "modern_version_old"
)

// SignInAttempt is one try to sign in.
//
// In this and the other events UUID and Timestamp (in UTC) are always there. A field that the answer leaves out,
// or gives in a shape that this package does not know, is zero; Raw has all that the server said.
type SignInAttempt struct {
	UUID        string      `json:"uuid"` // 26 characters; the same event always has the same
	SessionUUID string      `json:"session_uuid"`
	Timestamp   time.Time   `json:"timestamp"`
	Category    Category    `json:"category"`
	Type        AttemptType `json:"type"`
	Country     string      `json:"country"` // a code or a name
	Details     *Details    `json:"details"` // nil unless a firewall rule applied
	TargetUser  User        `json:"target_user"`
	Client      App         `json:"client"`
	Location    *Location   `json:"location,omitempty"`     // nil if unknown
	AccountUUID string      `json:"account_uuid,omitempty"` // 26 characters

	Raw json.RawMessage `json:"-"` // the event as the server sent it
}

// Details is what a firewall rule was about: a country, a continent, an address.
type Details struct {
	Value string `json:"value"`
}

// User is a person in an event, as they were called at the time.
type User struct {
	UUID  string `json:"uuid"` // 26 characters; the ID of the Users API
	Name  string `json:"name"`
	Email string `json:"email"`
}

// App is the program that a person used, and on what.
type App struct {
	AppName         string `json:"app_name"`
	AppVersion      string `json:"app_version"`
	PlatformName    string `json:"platform_name"`
	PlatformVersion string `json:"platform_version"`
	OSName          string `json:"os_name"`
	OSVersion       string `json:"os_version"`
	IPAddress       string `json:"ip_address"`
}

// Location is where an address seems to be.
type Location struct {
	Country   string   `json:"country"` // a code or a name
	Region    string   `json:"region"`
	City      string   `json:"city"`
	Latitude  *float64 `json:"latitude,omitempty"`  // degrees; nil if unknown, for 0 is a place
	Longitude *float64 `json:"longitude,omitempty"` // degrees; nil if unknown
}

// UsageAction is what was done with an item. Servers may know more than stand here.
type UsageAction string

// The actions.
const (
	UsageFill              UsageAction = "fill"
	UsageSelectSSOProvider UsageAction = "select-sso-provider"
	UsageEnterItemEditMode UsageAction = "enter-item-edit-mode"
	UsageExport            UsageAction = "export"
	UsageShare             UsageAction = "share"
	UsageSecureCopy        UsageAction = "secure-copy"
	UsageReveal            UsageAction = "reveal"
	UsageServerCreate      UsageAction = "server-create"
	UsageServerUpdate      UsageAction = "server-update"
	UsageOther             UsageAction = "other"
	UsageServerFetch       UsageAction = "server-fetch"
)

// ItemUsage is one use of an item in a vault.
type ItemUsage struct {
	UUID        string      `json:"uuid"` // 26 characters; the same event always has the same
	Timestamp   time.Time   `json:"timestamp"`
	UsedVersion int64       `json:"used_version"`
	VaultUUID   string      `json:"vault_uuid"`
	ItemUUID    string      `json:"item_uuid"`
	Action      UsageAction `json:"action"`
	User        User        `json:"user"`
	Client      App         `json:"client"`
	Location    *Location   `json:"location,omitempty"`     // nil if unknown
	AccountUUID string      `json:"account_uuid,omitempty"` // 26 characters

	Raw json.RawMessage `json:"-"` // the event as the server sent it
}

// ActorType is what kind of actor did something. Servers may know more than stand here.
type ActorType string

// The types of actors. Those without a person behind them have no ActorDetails.
const (
	ActorUser         ActorType = "user"
	ActorExternalUser ActorType = "external_user" // a person of another account
	ActorApplication  ActorType = "application"   // an OAuth application, by its client ID
	ActorSystem       ActorType = "system"        // the server, or who runs it
)

// Actions of audit events about people. There are many more, and servers may add to them.
const (
	ActionSuspend    = "suspend"
	ActionReactivate = "reactive" // so it is spelt
)

// AuditEvent is something that was done in the account: somebody (the actor) did an action to an
// object, possibly with something else (aux).
type AuditEvent struct {
	UUID             string    `json:"uuid"` // 26 characters; the same event always has the same
	Timestamp        time.Time `json:"timestamp"`
	ActorUUID        string    `json:"actor_uuid"`
	ActorType        ActorType `json:"actor_type,omitempty"`
	ActorAccountUUID string    `json:"actor_account_uuid,omitempty"`
	ActorDetails     *User     `json:"actor_details,omitempty"` // nil unless the actor is a person of the account
	Action           string    `json:"action"`
	ObjectType       string    `json:"object_type"` // "user", "vault", …
	ObjectUUID       string    `json:"object_uuid"`
	ObjectDetails    *User     `json:"object_details,omitempty"` // nil unless the object is a person of the account
	AuxID            int64     `json:"aux_id,omitempty"`
	AuxUUID          string    `json:"aux_uuid,omitempty"`
	AuxDetails       *User     `json:"aux_details,omitempty"`
	AuxInfo          string    `json:"aux_info,omitempty"`
	Session          *Session  `json:"session,omitempty"`      // nil if it was done in none, as by an application
	Location         *Location `json:"location,omitempty"`     // nil if unknown
	AccountUUID      string    `json:"account_uuid,omitempty"` // 26 characters

	Raw json.RawMessage `json:"-"` // the event as the server sent it
}

// Session is the sign-in in which something was done.
type Session struct {
	UUID       string    `json:"uuid"`
	LoginTime  time.Time `json:"login_time,omitzero"`
	DeviceUUID string    `json:"device_uuid"`
	IP         string    `json:"ip"`
}

// UnmarshalJSON reads an event as the API sends it. Without uuid and timestamp there is none.
func (a *SignInAttempt) UnmarshalJSON(b []byte) error {
	type fields SignInAttempt
	a.Raw = bytes.Clone(b)
	return readEvent(b, (*fields)(a), &a.UUID, &a.Timestamp)
}

// UnmarshalJSON reads an event as the API sends it. Without uuid and timestamp there is none.
func (u *ItemUsage) UnmarshalJSON(b []byte) error {
	type fields ItemUsage
	u.Raw = bytes.Clone(b)
	return readEvent(b, (*fields)(u), &u.UUID, &u.Timestamp)
}

// UnmarshalJSON reads an event as the API sends it. Without uuid and timestamp there is none.
func (e *AuditEvent) UnmarshalJSON(b []byte) error {
	type fields AuditEvent
	e.Raw = bytes.Clone(b)
	return readEvent(b, (*fields)(e), &e.UUID, &e.Timestamp)
}

// readEvent reads b into event, of which uuid and at are fields. One field in a shape that nobody
// foresaw must not stop a stream for ever, so only these two have to be right.
func readEvent(b []byte, event any, uuid *string, at *time.Time) error {
	if json.Unmarshal(b, event) == nil && *uuid != "" && !at.IsZero() {
		*at = at.UTC()
		return nil
	}
	var must struct {
		UUID      string    `json:"uuid"`
		Timestamp time.Time `json:"timestamp"`
	}
	if err := json.Unmarshal(b, &must); err != nil {
		return err
	}
	if must.UUID == "" || must.Timestamp.IsZero() {
		return errors.New("an event without uuid or timestamp")
	}
	*uuid, *at = must.UUID, must.Timestamp.UTC()
	return nil
}
