package feed

import (
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/origin"
)

// Stream is one kind of events, and the feature that a token needs to read it, by the contract's name.
type Stream string

// The streams.
const (
	SignInAttempts Stream = "signinattempts"
	ItemUsages     Stream = "itemusages"
	AuditEvents    Stream = "auditevents"
)

// Streams lists the streams.
func Streams() []Stream { return []Stream{AuditEvents, ItemUsages, SignInAttempts} }

// Event is what all events have.
type Event struct {
	Seq int64 // in its stream and account, from 1
	At  time.Time
	ID  string
}

// Party is who did something, or to whom it was done. Name and Email may be empty.
type Party struct {
	ID, Name, Email string
}

// Attempt is a sign-in attempt.
type Attempt struct {
	Event
	SessionID      string
	Category, Type string // contract 4.5
	Details        string // details.value; empty: none
	Federated      bool   // it went well by single sign-on, for which the second generation has a type
	User           Party
	Client         origin.Client
	Location       origin.Location
}

// Usage is a use of an item of a vault.
type Usage struct {
	Event
	Version         int
	VaultID, ItemID string
	Action          string // contract 4.5
	User            Party
	Client          origin.Client
	Location        origin.Location
}

// Audited is an entry of the audit log with names.
type Audited struct {
	Event
	Entry  audit.Entry
	Actor  Party // ID as in the entry, without its kind
	Target Party
}
