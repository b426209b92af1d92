package respond

import (
	"time"

	"holdfast/internal/detect"
)

// Subject is whom a case is about. PersonID is empty where nobody of the directory was recognised.
type Subject struct {
	PersonID string
	Name     string // display name, or what the source calls them
	Email    string
}

// Case is findings about one person, worked on until it is closed.
type Case struct {
	AccountID, ID string
	Number        int64 // 1, 2, 3… in the account, for people to say
	Subject       Subject
	Title         string // of the worst finding's rule
	Level         detect.Level
	State         CaseState
	Resolution    Resolution // of a closed one
	Note          string     // said at closing
	AssigneeID    string
	OpenedAt      time.Time
	UpdatedAt     time.Time
	ClosedAt      time.Time
	ClosedBy      string // actor
	Findings      int
	Pending       int       // approvals and questions that wait
	HeldUntil     time.Time // when the hold of this case ends by itself; zero: not, or there is none
}

// CaseState is how far a case is.
type CaseState string

// The states of a case.
const (
	CaseOpen      CaseState = "open"
	CaseContained CaseState = "contained" // a hold of the case is open
	CaseClosed    CaseState = "closed"
)

// Resolution is what a case turned out to be.
type Resolution string

// The resolutions.
const (
	TrueAttack Resolution = "true_attack"
	FalseAlarm Resolution = "false_alarm" // its findings' events teach habits
	Benign     Resolution = "benign"      // rightly found, and wanted: a drill, an agreed test
	Unclear    Resolution = "unclear"
)

// Run is one execution of a playbook for one finding.
type Run struct {
	AccountID, ID, CaseID string
	FindingID             string
	Playbook, Version     string
	Mode                  Mode
	State                 RunState
	Checks                []Check // in the order in which they were made
	DedupeKey             string
	CreatedAt, EndedAt    time.Time
}

// RunState is how far a run is.
type RunState string

// The states of a run.
const (
	RunObserved RunState = "observed" // all passed, and the mode is observe
	RunStopped  RunState = "stopped"  // by a check; final
	RunHeld     RunState = "held"     // by the kill switch or the blast radius; a person may go on
	RunWaiting  RunState = "waiting"  // for an approval before it acts
	RunActing   RunState = "acting"
	RunDone     RunState = "done"
	RunFailed   RunState = "failed" // at least one action was refused or failed
	RunDenied   RunState = "denied"
	RunExpired  RunState = "expired"
)

// CheckName is one of the checks.
type CheckName string

// The checks, in their order.
const (
	CheckKill      CheckName = "kill_switch"
	CheckMode      CheckName = "mode"
	CheckAge       CheckName = "event_age"
	CheckTrust     CheckName = "source_trust"
	CheckWhen      CheckName = "when"
	CheckDedupe    CheckName = "dedupe"
	CheckProtected CheckName = "protected"
	CheckBlast     CheckName = "blast_radius"
	CheckApproval  CheckName = "approval"
)

// Verdict is what came of a check.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "pass"
	Stop Verdict = "stop" // final, with the reason
	Hold Verdict = "hold" // nothing is done until a person goes on; somebody is paged
	Ask  Verdict = "ask"  // an approval is asked for
)

// Check is one check as it was made. Code and Facts are for machines and for sentences in any language
// ([Check.Sentence] is the English one): code "over_window" with limit 10, window 1h, used 10.
type Check struct {
	Name    CheckName         `json:"name"`
	Verdict Verdict           `json:"verdict"`
	Code    string            `json:"code,omitempty"`
	Facts   map[string]string `json:"facts,omitempty"`
}

// ActionKind is what an action does.
type ActionKind string

// The kinds of actions.
const (
	ActSuspend     ActionKind = "suspend"
	ActReactivate  ActionKind = "reactivate" // the way back of suspend, at a target
	ActEndSessions ActionKind = "end_sessions"
	ActNotify      ActionKind = "notify"
	ActSignal      ActionKind = "signal"
)

// LocalTarget is the name of the account's own directory.
const LocalTarget = "local"

// Action is one step with an effect.
type Action struct {
	AccountID, ID, CaseID, RunID string // RunID is empty for what a person did from the case
	Step                         int    // place in the playbook
	Kind                         ActionKind
	Target                       string // LocalTarget, or a target's or channel's name
	Template                     string // of notify
	PersonID                     string
	State                        ActionState
	Attempts                     int
	Code, Reason                 string // why it was refused or failed: the target's code, and words
	PlannedAt, BegunAt, EndedAt  time.Time
	For                          time.Duration // of suspend; 0: no end
	Release                      Release
	Until                        time.Time
	HoldID                       string // of a local suspend
	Already                      bool   // it was so before, by somebody else: undoing leaves it
	Kept                         bool   // a person wants it kept: it does not end by itself
	Override                     string // why a person went beyond a guard rail
	By                           string // actor: "playbook:<name>", "user:<id>"
	Who                          Person // whom it is about, as of now; filled in by Begin alone
}

// ActionState is how far an action is.
type ActionState string

// The states of an action.
const (
	ActionPlanned   ActionState = "planned"
	ActionBegun     ActionState = "begun"
	ActionUnknown   ActionState = "unknown" // it may have happened: read back before trying again
	ActionDone      ActionState = "done"
	ActionRefused   ActionState = "refused" // by the target's own rules; final
	ActionFailed    ActionState = "failed"
	ActionCancelled ActionState = "cancelled"
	ActionUndone    ActionState = "undone"
)

// Release says when a hold ends by itself.
type Release string

// The ways to end.
const (
	ReleaseNever   Release = "never"
	ReleaseIfQuiet Release = "if_quiet" // at its time, if there was no newer finding about the person; else it goes on for as long again
	ReleaseAlways  Release = "always"
)

// Approval is a consent that is asked for, bound to case, run and person.
type Approval struct {
	AccountID, ID, CaseID, RunID string
	Order                        Order
	Needed                       int      // how many must approve; one who denies is enough
	From                         []string // groups, by name as the playbook has them, or by id; nobody else may answer
	NotSelf                      bool     // whom it is about may not answer
	OnTimeout                    OnTimeout
	State                        ApprovalState
	AskedAt, ExpiresAt           time.Time
	Votes                        []Vote
}

// Vote is one answer.
type Vote struct {
	UserID  string
	Approve bool
	Reason  string
	At      time.Time
	Door    string // console, link, cli
}

// Order says whether an approval comes before or after what it is about.
type Order string

// The orders.
const (
	Before Order = "before"
	After  Order = "after" // contained first; who denies undoes it
)

// OnTimeout is what no answer means.
type OnTimeout string

// The meanings.
const (
	TimeoutDeny    OnTimeout = "deny"
	TimeoutApprove OnTimeout = "approve"
	TimeoutHold    OnTimeout = "hold" // stays as it is, and somebody is paged
)

// ApprovalState is how far an approval is.
type ApprovalState string

// The states of an approval.
const (
	ApprovalPending  ApprovalState = "pending"
	ApprovalApproved ApprovalState = "approved"
	ApprovalDenied   ApprovalState = "denied"
	ApprovalExpired  ApprovalState = "expired"
)

// Question is asked of the person themself: was it you?
type Question struct {
	AccountID, ID, CaseID, RunID, PersonID string
	State                                  QuestionState
	OnConfirm, OnDeny, OnSilence           string // "release" or "keep"
	AskedAt, ExpiresAt, AnsweredAt         time.Time
}

// QuestionState is how far a question is.
type QuestionState string

// The states of a question.
const (
	QuestionPending   QuestionState = "pending"
	QuestionConfirmed QuestionState = "confirmed" // it was them, said with a fresh confirmation
	QuestionDenied    QuestionState = "denied"
	QuestionSilent    QuestionState = "silent"
)

// Moment is a line of a case's timeline. Kind and Facts make the sentence.
type Moment struct {
	Seq   int64
	At    time.Time
	Kind  string // finding, check, action, approval, question, notified, released, comment, closed …
	Actor string
	Facts map[string]string
}

// Trust is how sure it is who an event comes from.
type Trust int

// The levels of trust.
const (
	TrustSent  Trust = 1 // pushed to us and signed
	TrustAsked Trust = 2 // we asked a server that we know, over TLS
	TrustOwn   Trust = 3 // the account's own feed
)

// Guard is an account's guard rails.
type Guard struct {
	Revision    int64
	Kill        Kill
	People      []Protected // of people: never suspended by a playbook
	Groups      []Protected // of groups
	BreakGlass  []string    // ids of people who must always be able to get in, whatever happens; by no door of this package
	MaxPeople   int         // suspended by playbooks within Window; 0: none may be
	Window      time.Duration
	MaxShare    float64       // of active people held by cases at a time, in percent; at least one person is always allowed
	MaxEventAge time.Duration // older events are not acted on
	MinTrust    Trust
	UpdatedAt   time.Time
	UpdatedBy   string
}

// Protected is a person or a group that is protected, and why.
type Protected struct {
	ID    string    `json:"id"`
	Why   string    `json:"why"`
	Until time.Time `json:"until,omitzero"` // zero: for good
}

// Kill is the kill switch. It is on if the database, or a file beside it, says so.
type Kill struct {
	On     bool
	Door   string // console, cli, file
	By     string // actor
	At     time.Time
	Reason string
}

// DefaultGuard are the guard rails of an account that has not set any.
func DefaultGuard() Guard {
	return Guard{MaxPeople: 10, Window: time.Hour, MaxShare: 5, MaxEventAge: 15 * time.Minute, MinTrust: TrustSent}
}

// Person is the subject as the directory knows them at the time of the decision.
type Person struct {
	ID, Email, Name   string
	Active            bool // of the lifecycle; invited and removed people are not
	Suspended         bool
	ExternallyManaged bool
	LastOwner         bool     // suspending them would leave the account without an active owner
	Groups            []string // names
	GroupIDs          []string
}

// EventFacts are the scalars of the event with which a finding began, for conditions. Texts are as the source
// has them: never markup, never a name to look up.
type EventFacts struct {
	ID, Source, SourceID, Kind, Activity, Status, Reason string
	Time                                                 time.Time
	IP, Country, Region, City, Network                   string
	ASN                                                  int64
	Anonymous, MFA                                       *bool // nil: unknown
	Session, App, OS, Verdict                            string
	Trust                                                Trust // the lowest of all events of the finding
}

// Facts are what a decision is made on. Lookups are answered in the same transaction.
type Facts struct {
	Now          time.Time
	AccountID    string
	Finding      detect.Found
	Event        EventFacts
	Person       Person // zero: nobody was recognised
	Guard        Guard
	ActivePeople int // of the account
	BookRevision int64
	Case         *Case                                               // the subject's case that is not closed
	Run          *Run                                                // the held run that a person goes on with
	LastRun      func(playbook, key string) (time.Time, error)       // that was not stopped; zero: none
	Suspensions  func(playbook string, since time.Time) (int, error) // other people whom playbooks (empty: all of them) suspended since, or are about to
	HeldPeople   func() (int, error)                                 // other people whom open holds of cases keep suspended, or are about to
	HeldAt       []string                                            // targets where a case holds the person, or is about to; an approval that is pending does not count
}

// Plan is what was decided for one playbook.
type Plan struct {
	Playbook, Version string
	Mode              Mode
	State             RunState
	Checks            []Check
	DedupeKey         string
	Actions           []Action // planned; ids, case and run are given by the store
	Approval          *Approval
	Question          *Question
	Title             string       // of the case
	Level             detect.Level // at least, of the case
	Assignee          string       // of the case: a person's e-mail address or id; empty: nobody
	Page              bool         // somebody must look now
	Override          string       // why a person went beyond a guard rail
}
