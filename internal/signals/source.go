package signals

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Kind says what a source is. It is stored, so it never changes its meaning.
type Kind string

// The kinds. Where it can ask is KindOkta pulled, without an address pushed.
const (
	KindEventsAPI   Kind = "events-api" // a server of the Events API, asked
	KindOkta        Kind = "okta"       // Okta's System Log, asked; or what Okta's event hooks send
	KindLocal       Kind = "local"      // the account's own feed
	KindOnePassword Kind = "1password"  // events in the form of the Events API, sent
	KindEntra       Kind = "entra"      // sign-ins in the form of Microsoft Graph, sent
	KindOCSF        Kind = "ocsf"       // events of OCSF, sent
)

// A Source is what is known of one kind: one file each, and [Sources] lists them. It holds nothing, so
// that one value serves every source of its kind.
type Source interface {
	Kind() Kind

	// Format is the name of the [Decoder] of its events.
	Format() string

	// Pulls says whether a source of that configuration is asked. Others wait to be sent events.
	Pulls(c Config) bool

	// Check completes the configuration, and refuses one that cannot work, naming the field. The token
	// is the zero Secret if none was given.
	Check(c *Config, token seal.Secret) error

	// Pull asks from where the cursors stand, hands over what comes, and goes on until ctx ends, or until
	// it cannot. The error says why; one made by [revoked] needs a person.
	Pull(ctx context.Context, l *Live) error

	// Test tries whether the source answers, and says in words what was found.
	Test(ctx context.Context, l *Live) (string, error)
}

// Sources lists the kinds.
func Sources() []Source {
	return []Source{
		eventsAPI{},
		oktaLog{},
		local{},
		pushed{KindOnePassword, OnePassword},
		pushed{KindEntra, Entra},
		pushed{KindOCSF, OCSF},
	}
}

// sourceOf is what is known of the kind.
func sourceOf(k Kind) (Source, error) {
	var names []string
	for _, s := range Sources() {
		if s.Kind() == k {
			return s, nil
		}
		names = append(names, string(s.Kind()))
	}
	return nil, problem.InField("kind", "%q is no kind of source; there are %s", k, strings.Join(names, ", "))
}

// Config is how a source is set up, apart from its secret.
type Config struct {
	BaseURL string    `json:"base_url,omitempty"` // where it is asked, without a slash at the end
	CA      string    `json:"ca,omitempty"`       // certificates in PEM that are trusted there, and no others
	Since   time.Time `json:"since,omitzero"`     // the first question asks for what happened from here on
}

// JSON is how a configuration is stored.
func (c Config) JSON() (string, error) {
	b, err := json.Marshal(c)
	return string(b), err
}

// State says whether a source is asked, and heard.
type State string

// The states.
const (
	Active State = "active"
	Failed State = "failed" // the last try went wrong, and there will be another
	Paused State = "paused" // by a person, or by us for a reason that needs one
)

// Setup is a source as it was set up, and how it does.
type Setup struct {
	AccountID string
	ID        string
	Kind      Kind
	Name      string // unique in the account, letter case ignored
	Config    Config
	Secrets   Secrets
	State     State
	Revision  int64 // grows with each change by somebody

	Events      int64     // that came from it
	Unmatched   int64     // of these, without a person
	LastEventAt time.Time // when the last one came; zero: none yet
	LastError   string    // empty: the last try went well
	CreatedAt   time.Time
	CreatedBy   string
}

// Secrets are what a source is asked with, or what senders sign with, sealed.
type Secrets struct {
	Current     []byte // nil: none is needed
	Former      []byte // still good, until FormerUntil; nil: none
	FormerUntil time.Time
}

// Pulls says whether the source is asked. Others wait to be sent events.
func (s Setup) Pulls() bool {
	kind, err := sourceOf(s.Kind)
	return err == nil && kind.Pulls(s.Config)
}

// Target names a source in audit entries.
func (s Setup) Target() string { return "signal_source:" + s.ID }

// Live is a source that is being asked.
type Live struct {
	Setup Setup
	Token seal.Secret
	Feed  Feed          // for the kind local
	Every time.Duration // between two questions, where the other side does not let us wait
	Now   func() time.Time

	client  *http.Client
	cursors map[string]string // by stream
	take    func(context.Context, Batch) error
}

// Batch is what one question was answered with.
type Batch struct {
	Stream string   // whose cursor moves
	Lines  [][]byte // JSON objects
	Cursor string   // where to go on
}

// Feed is the account's own feed.
type Feed interface {
	// Read gives events after the cursor as the Events API has them, in the order in which they happened, at most
	// limit, and the cursor to go on from, which may be another one even if there are none. The empty cursor is
	// before all that happened from the time on.
	Read(ctx context.Context, accountID, cursor string, from time.Time, limit int) (lines [][]byte, next string, err error)
	// Wait returns once there is something after a cursor that Read gave, or with the context's error.
	Wait(ctx context.Context, accountID, cursor string) error
}

// revoked is an error after which asking again is of no use until a person has done something.
type revoked struct{ reason string }

func (r *revoked) Error() string { return r.reason }

// pushed is a source that is sent events.
type pushed struct {
	kind   Kind
	format string
}

func (p pushed) Kind() Kind        { return p.kind }
func (p pushed) Format() string    { return p.format }
func (p pushed) Pulls(Config) bool { return false }

// Check refuses what only sources have that are asked.
func (p pushed) Check(c *Config, token seal.Secret) error {
	switch {
	case c.BaseURL != "":
		return problem.InField("base_url", "events of the kind %s are sent to Holdfast, which asks nobody for them; leave the address out", p.kind)
	case !token.IsZero():
		return problem.InField("token", "events of the kind %s are sent to Holdfast, which makes the secret itself; give no token", p.kind)
	}
	*c = Config{}
	return nil
}

// Pull does nothing: nobody calls it for a source that is not asked.
func (p pushed) Pull(context.Context, *Live) error { return nil }

// Test says when something came last.
func (p pushed) Test(_ context.Context, l *Live) (string, error) {
	if l.Setup.LastEventAt.IsZero() {
		return "it waits for events; none has come yet", nil
	}
	return "it waits for events; the last one came at " + l.Setup.LastEventAt.UTC().Format(time.RFC3339), nil
}
