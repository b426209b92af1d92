package respond

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

// Rehearsal is what is rehearsed: events as they happened, through the engine and the decisions that run live, in the
// time of the events. Nothing outside is changed.
type Rehearsal struct {
	Events iter.Seq2[*signals.Stored, error] // in order of time; an event is not kept beyond its turn. Seq may be 0
	From   time.Time                         // what begins before leads to nothing: until then habits are learned

	Set    *detect.Set
	Books  []*Playbook // with the modes that count; those that are off are passed over
	Guard  Guard
	People []Resident
	Who    func(*signals.Stored) string                // id of whom an event is about; nil: of its Match
	Trust  func(sourceID string) (trust Trust)         // nil: TrustAsked
	Meet   func(personID string) (r Resident, ok bool) // who is not among People; nil: nobody
	Active int                                         // people of the account; 0: those among People who are active

	Consent Consent // how approvals are assumed to be answered
	Silence bool    // people who are asked are assumed not to answer; else to say that it was not them

	// Each, if not nil, hears every decision, in order, those of playbooks for which nothing is kept included.
	Each func(Decision) error
	// Before and Taken, if not nil, hear of each event before and after it is taken.
	Before func(x *detect.Engine, e *signals.Stored) error
	Taken  func(e *signals.Stored, got detect.Result) error // e is nil at the end
}

// Resident is a person of the directory, as a rehearsal knows them.
type Resident struct {
	Person
	Owner     bool          // an active owner of the account
	Protected bool          // for rules; see [detect.PersonState]
	MemberOf  []string      // ids of groups, for rules: without the one of everybody
	Away      []detect.Span // when somebody kept them suspended who is no case
}

// Decision is what a playbook would have done about a finding.
type Decision struct {
	N       int // 1, 2, 3… in the order of deciding
	At      time.Time
	Case    int // number of the case within the rehearsal, 1, 2, 3…; 0: it is worth none
	Finding detect.Found
	Event   EventFacts
	Person  Person // zero: nobody was recognised
	Plan    Plan
}

// Last is the check that decided. A decision has at least one.
func (d Decision) Last() Check { return d.Plan.Checks[len(d.Plan.Checks)-1] }

// Suspension is one that would have been, at one place.
type Suspension struct {
	Episode
	Person   Person
	Decision int           // number
	Rule     string        // of the finding
	Took     time.Duration // from the event that led to it, whose time it is decided at; longer than 0 where an approval came first
}

// Rehearsed is what came of a rehearsal.
type Rehearsed struct {
	From, To  time.Time // of the events for which decisions were made
	Events    int       // within that time
	Cut       bool      // there are more events than a rehearsal takes, so From is later than was asked for
	Findings  int
	Cases     int            // nobody closes a case in a rehearsal
	Decisions []Decision     // in the order of deciding; the first 2,000 that were not stopped by a condition, or an earlier run
	More      int            // how many more there are
	Stopped   []StopCount    // why playbooks did nothing, the most frequent first
	Held      []Suspension   // in the order in which they began
	People    int            // who would have been suspended
	AtOnce    int            // most people suspended at a time
	Books     []BookCount    // by name
	Took      time.Duration  // median of Took of suspensions here
	Flooded   map[string]int // matches that were too many, by rule
}

// StopCount is how often a check of a playbook ended a run, and how.
type StopCount struct {
	Playbook string
	Check    CheckName
	Verdict  Verdict // stop or hold
	Code     string
	Count    int
}

// BookCount is what came of a playbook.
type BookCount struct {
	Playbook string
	Mode     Mode
	Runs     map[RunState]int
	People   int // whom it suspended
	Asked    int // approvals
}

// What a rehearsal may take.
const (
	// MaxRehearseDays is how far back stored events are rehearsed.
	MaxRehearseDays = 30

	rehearseLearning = 14 * 24 * time.Hour // before that, habits are not relied on
	rehearseEvents   = 500_000             // that are taken at most, the latest ones
	rehearsePage     = 500                 // events that are in memory at once
	rehearseKept     = 2000                // decisions that are kept
	rehearseFacts    = 100_000             // events of which is known what a condition may ask
)

// RehearseRequest is what is to be rehearsed of an account.
type RehearseRequest struct {
	Days    int      // 1 to MaxRehearseDays; 0: MaxRehearseDays
	Enforce []string // names of playbooks that are rehearsed as if they were enforced; "*": all that are not off
	Only    bool     // only those of Enforce, and the draft
	Draft   string   // text of a playbook, enforced; it takes the place of the one of its name
	Guard   *Guard   // nil: the account's
	Consent Consent
	Silence bool
}

// RehearseHistory is where a rehearsal of an account reads; a store.DB does.
type RehearseHistory interface {
	SignalsReach(ctx context.Context, accountID string, from time.Time, most int) (detect.Place, int, error)
	SignalsByTime(ctx context.Context, accountID string, s detect.Stretch, limit int) ([]signals.Stored, error)
	SignalSources(ctx context.Context, accountID string) ([]signals.Setup, error)
	// Residents are all people of the account, invited ones too.
	Residents(ctx context.Context, accountID string) ([]Resident, error)
}

// Rehearser rehearses stored events. All fields but Hurry must be set; it must not be copied after the first call.
type Rehearser struct {
	Service *Service
	Rules   detect.RulesSource
	History RehearseHistory
	Now     func() time.Time
	// Hurry takes all the time of a processor; else half of it, so that who waits for the server does not notice.
	Hurry bool

	once sync.Once
	busy chan struct{}
}

// rehearseBooks are the playbooks with the modes of the request.
func rehearseBooks(entries []BookEntry, ask RehearseRequest) ([]*Playbook, error) {
	all := map[string]*Playbook{}
	known := map[string]bool{}
	every := slices.Contains(ask.Enforce, "*")
	for _, e := range entries {
		p := *e.Playbook
		known[p.Name] = true
		named := slices.Contains(ask.Enforce, p.Name)
		switch {
		case e.Fault != "" && named:
			return nil, errUnreadable(p.Name, e.Fault)
		case e.Fault != "" || p.Mode == ModeOff && !named, ask.Only && !named && !every:
			continue
		case named || every:
			p.Mode = ModeEnforce
		}
		all[p.Name] = &p
	}
	if ask.Draft != "" {
		p, err := parseOne("", ask.Draft)
		if err != nil {
			return nil, err
		}
		draft := *p
		draft.Mode = ModeEnforce
		all[p.Name] = &draft
		known[p.Name] = true
	}
	for _, name := range ask.Enforce {
		if name != "*" && !known[name] {
			return nil, errNoPlaybook(name)
		}
	}
	books := make([]*Playbook, 0, len(all))
	for _, p := range all {
		books = append(books, p)
	}
	slices.SortFunc(books, func(a, b *Playbook) int { return strings.Compare(a.Name, b.Name) })
	return books, nil
}
