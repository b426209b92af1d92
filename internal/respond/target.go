package respond

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Target is a place where people are suspended, apart from the account's own directory. It is safe for concurrent
// use. Each method makes one try; what has to be tried again, and when, is the caller's to remember, because the
// caller survives a crash and a target does not.
//
// An error is a fault on our side, or the end of the context, and nothing was changed. Everything else is an Outcome.
type Target interface {
	// Suspend stops the sign-in of the person. Where somebody else has stopped it, the outcome is OutcomeAlready, so
	// that nobody takes that suspension for ours and ends it.
	Suspend(ctx context.Context, who Wanted) (Outcome, error)

	// Reactivate gives the sign-in back.
	Reactivate(ctx context.Context, who Wanted) (Outcome, error)

	// State looks the person up and changes nothing. It is how an unknown outcome becomes a known one. What cannot be
	// seen is a problem: Unavailable and TooMany may pass (with RetryAfter), others do not.
	State(ctx context.Context, who Wanted) (TargetState, error)

	// Test tries what the credentials may do, changes nothing, and says in words what was found.
	Test(ctx context.Context) (string, error)
}

// Wanted is a person to find at a target.
type Wanted struct {
	AccountID string // of Holdfast
	PersonID  string // in that account; empty: nobody of the directory was recognised
	Email     string

	// OtherIDs are the person's ids in other accounts by account, as an event names them. They are what a source says:
	// such an id counts only if the person whom the target has under it has this e-mail address.
	OtherIDs map[string]string
}

// OutcomeKind says how a try ended.
type OutcomeKind string

// The ways in which a try ends.
const (
	OutcomeDone    OutcomeKind = "done"    // the target says that it is so now
	OutcomeAlready OutcomeKind = "already" // it was so before; nothing was sent that changes anything
	OutcomeRefused OutcomeKind = "refused" // for good; Code and Reason say why
	OutcomeRetry   OutcomeKind = "retry"   // nothing was changed; try again, not before After
	OutcomeUnknown OutcomeKind = "unknown" // a change was sent and its answer never came: read back before trying again
)

// Codes of a refusal.
const (
	RefusedLastOwner   = "no_owner_remain"
	RefusedManaged     = "externally_managed"
	RefusedNotFound    = "not_found"
	RefusedAmbiguous   = "ambiguous"           // more than one person, or id and e-mail address do not belong together
	RefusedForbidden   = "forbidden"           // the application lacks the permission
	RefusedCredentials = "revoked_credentials" // client ID or secret are not accepted
	RefusedAnswer      = "unexpected_answer"   // it is no server of this API, or not at this address
)

// Outcome is how a try ended.
type Outcome struct {
	Kind     OutcomeKind
	RemoteID string        // the person's id at the target, if they were found
	Code     string        // of a refusal
	Reason   string        // one sentence for people; empty with done and already
	After    time.Duration // with retry and unknown: how long the target wants to be left alone; 0: it does not say
}

// Result is the outcome as it is stored. The wait is used where the target does not say one.
func (o Outcome) Result(now time.Time, wait time.Duration) Result {
	r := Result{Code: o.Code, Reason: o.Reason}
	switch o.Kind {
	case OutcomeDone:
		r.State = ActionDone
	case OutcomeAlready:
		r.State, r.Already = ActionDone, true
	case OutcomeRefused:
		r.State = ActionRefused
	case OutcomeRetry:
		r.State, r.RetryAt = ActionPlanned, now.Add(cmp.Or(o.After, wait))
	default:
		r.State, r.RetryAt = ActionUnknown, now.Add(cmp.Or(o.After, wait))
	}
	return r
}

// TargetState is whether a person may sign in at a target.
type TargetState string

// The states.
const (
	TargetActive    TargetState = "active"
	TargetSuspended TargetState = "suspended"
	TargetAbsent    TargetState = "absent" // the target knows nobody by that id or address
)

// KindLocal and KindUsersAPI are the kinds of targets.
const (
	KindLocal    = LocalTarget
	KindUsersAPI = "users-api"
)

// TargetConfig is how a target is set up, apart from its secret.
type TargetConfig struct {
	BaseURL   string `json:"base_url"`   // https; http for the loopback address only
	AccountID string `json:"account_id"` // at the target
	ClientID  string `json:"client_id"`  // of an OAuth application there
	CA        string `json:"ca,omitempty"`
}

// Settings is the target's configuration.
func (t TargetSetup) Settings() (TargetConfig, error) {
	var c TargetConfig
	err := json.Unmarshal(t.Config, &c)
	return c, err
}

// check completes the configuration, and refuses one that cannot work, naming the field.
func (c *TargetConfig) check(kind string, secret seal.Secret) error {
	switch kind {
	case KindUsersAPI:
	case KindLocal:
		return problem.InField("kind", "the account's own directory is always there under the name %s; there is nothing to set up", LocalTarget)
	default:
		return problem.InField("kind", "%q is no kind of target; use %s", kind, KindUsersAPI)
	}
	for _, f := range []struct{ name, value string }{{"base_url", c.BaseURL}, {"account_id", c.AccountID}, {"client_id", c.ClientID}} {
		if f.value == "" {
			return problem.InField(f.name, "the %s is missing", strings.ReplaceAll(f.name, "_", " "))
		}
	}
	base, err := checkURL("base_url", c.BaseURL, false)
	if err != nil {
		return err
	}
	c.BaseURL = strings.TrimRight(base, "/")
	if secret.IsZero() {
		return problem.InField("secret", "the target needs the client secret of the OAuth application %s", c.ClientID)
	}
	t, err := openUsersAPI(*c, secret)
	if err != nil {
		return err
	}
	t.hangUp()
	return nil
}
