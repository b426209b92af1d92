package respond

import (
	"context"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
)

// Store is what responding needs from a database.
//
// Methods are atomic and safe for concurrent use, also by several processes; each holds the account's lock while
// it changes something. Functions that are passed in are called in the transaction, may be called again, and must
// leave nothing behind but their result.
type Store interface {
	Responses
	Cases
	Settings
}

// Responses are the steps of the machinery.
type Responses interface {
	// Respond takes the account's first finding after the cursor. Decide gets the facts and says what each playbook
	// that is meant for it leads to; what it returns is written, with the case, and the cursor moves. Local actions are
	// done in the same transaction. False: there is no finding.
	Respond(ctx context.Context, accountID string, decide func(Facts) ([]Plan, error)) (Responded, bool, error)
	// RespondTo does the same for one finding, again, as a person goes on with a run that is held, or acts from a
	// case: the plan is of one playbook or of none (manual).
	RespondTo(ctx context.Context, accountID string, on Manual, decide func(Facts) (Plan, error), by audit.Entry) (Responded, error)
	// RespondingAccounts are the ids of all accounts.
	RespondingAccounts(ctx context.Context) ([]string, error)
	// AwaitFindings returns once the account has a finding after the responder's cursor, or with the context's error.
	AwaitFindings(ctx context.Context, accountID string) error

	// Begin marks a planned action as begun, if again, which sees the facts of now, still says pass; it comes back with
	// the state begun. If not, the action is cancelled, and on Hold its run is held. One that was begun before, by a
	// process that has not said what became of it, comes back with the state unknown and is not asked about again: what
	// is so must be read back first. False: there is nothing left to do; an action on the account's own directory has
	// been done in the transaction.
	Begin(ctx context.Context, accountID, actionID string, again func(Facts, Action) (Check, error)) (Action, bool, error)
	// Finish notes what came of an action that was begun or is unknown, and what follows from it for run and case. One
	// that is planned again gets a job at RetryAt, or none if that is zero: the caller goes on.
	Finish(ctx context.Context, accountID, actionID string, result Result) error

	// Vote answers an approval. May sees approval, case, voter and the voter's groups. The state follows from the votes.
	Vote(ctx context.Context, accountID, approvalID string, v Vote, may func(Approval, Case, Person) error, by audit.Entry) (Approval, error)
	// Approvers are the people who may answer: active, not suspended, of the groups that are asked, and not whom it is
	// about if that is not allowed.
	Approvers(ctx context.Context, accountID, approvalID string) ([]Person, error)
	// ExpireApproval ends an approval whose time is over; nothing happens to one that is answered, or not due yet.
	ExpireApproval(ctx context.Context, accountID, approvalID string) error
	// AnswerQuestion notes the person's own answer; the store checks that it is theirs and pending.
	AnswerQuestion(ctx context.Context, accountID, questionID, personID string, confirmed bool, by audit.Entry) (Question, error)
	// ExpireQuestion does what silence means.
	ExpireQuestion(ctx context.Context, accountID, questionID string) error
	// ReleaseDue ends the hold of an action whose time is over, unless something keeps it; then it says what, and when
	// it will be looked at again. It is written to the timeline in each case.
	ReleaseDue(ctx context.Context, accountID, actionID string) error

	// ApprovalByLink is the approval that a one-time link is for; the link's hash is bound to approval, case and the
	// person it was sent to. UseLink uses it up; a second use is a Conflict.
	ApprovalByLink(ctx context.Context, hash []byte) (Approval, Link, error)
	UseLink(ctx context.Context, hash []byte, v Vote, may func(Approval, Case, Person) error, by audit.Entry) (Approval, error)
	// AddLink stores the hash of a link.
	AddLink(ctx context.Context, l Link) error
	// Notified writes to the timeline that a message was sent, or could not be.
	Notified(ctx context.Context, accountID, caseID string, m Moment) error
}

// Link is a one-time link to answer an approval.
type Link struct {
	AccountID, ApprovalID, UserID string
	Hash                          []byte // SHA-256 of the token
	ExpiresAt, UsedAt             time.Time
}

// Manual is what a person does from a case.
type Manual struct {
	CaseID   string
	RunID    string     // a held run to go on with; empty: an action of their own
	Kind     ActionKind // of that action
	Target   string
	For      time.Duration
	Override string // the stated reason; empty: within all guard rails
}

// Responded is what came of a finding.
type Responded struct {
	FindingID string
	CaseID    string
	Opened    bool // the case
	Runs      []Run
	Planned   []Action // that a job will do
}

// Result is what came of an action that was begun.
type Result struct {
	State   ActionState // done, refused, failed, unknown, or planned: try again at RetryAt
	Code    string
	Reason  string
	RetryAt time.Time
	Already bool // it was so before
}

// Cases are the records of what happened.
type Cases interface {
	CaseList(ctx context.Context, q CaseQuery) ([]Case, error)
	// CaseCounts are the numbers of open, contained and waiting ones.
	CaseCounts(ctx context.Context, accountID string) (CaseCounts, error)
	// Case is everything about a case, in one reading. The id may be its number in decimal digits.
	Case(ctx context.Context, accountID, id string) (Record, error)
	// PendingApprovals are those that the person may answer.
	PendingApprovals(ctx context.Context, accountID, userID string) ([]Approval, error)
	// PendingQuestions are those that the person is asked.
	PendingQuestions(ctx context.Context, accountID, userID string) ([]Question, error)
	Runs(ctx context.Context, accountID, playbook string, limit int) ([]Run, error)
	// RunCounts are the runs of each playbook by state since the time.
	RunCounts(ctx context.Context, accountID string, since time.Time) (map[string]map[RunState]int, error)

	// CloseCase closes a case that holds nobody; one that does is a Conflict with [CodeStillHolding]. What is planned is
	// cancelled, and what waits for an answer expires.
	CloseCase(ctx context.Context, accountID, caseID string, r Resolution, note string, by audit.Entry) (Case, error)
	AssignCase(ctx context.Context, accountID, caseID, userID string, by audit.Entry) (Case, error)
	CommentCase(ctx context.Context, accountID, caseID, text string, by audit.Entry) error
	// KeepHold says that the hold of an action does not end by itself.
	KeepHold(ctx context.Context, accountID, actionID string, kept bool, by audit.Entry) error
	// UndoCase releases what the case holds, here at once and elsewhere by jobs, and cancels what is planned.
	UndoCase(ctx context.Context, accountID, caseID, reason string, by audit.Entry) (Case, error)
}

// CaseQuery selects cases, the newest first.
type CaseQuery struct {
	AccountID string
	State     CaseState // empty: all; "pending" those with something to answer
	Level     detect.Level
	PersonID  string
	Before    int64 // number; 0: from the newest
	Limit     int
}

// CaseCounts are numbers of cases.
type CaseCounts struct{ Open, Contained, Pending int }

// Record is a case with all that belongs to it.
type Record struct {
	Case      Case
	Person    Person // as of now
	Findings  []detect.Found
	Runs      []Run
	Actions   []Action
	Approvals []Approval
	Questions []Question
	Moments   []Moment
	Events    []EventFacts // evidence of all findings, in order of time; the first 200
}

// Settings are what an administrator sets.
type Settings interface {
	Guard(ctx context.Context, accountID string) (Guard, error)
	// ChangeGuard reads, changes and writes the guard rails. What change refuses with a problem is refused.
	ChangeGuard(ctx context.Context, accountID string, change func(*Guard) error, by audit.Entry) (Guard, error)
	// GuardUse is how much of the limits is used now: suspensions in the window, people held, active people, planned.
	GuardUse(ctx context.Context, accountID string) (GuardUse, error)

	// Playbooks are the account's own ones and what it has set for shipped ones, with the revision of the whole.
	Playbooks(ctx context.Context, accountID string) ([]StoredPlaybook, int64, error)
	// SavePlaybook stores a text, or a mode for one that is shipped or in a file (Text empty). Each is a version.
	SavePlaybook(ctx context.Context, p StoredPlaybook, by audit.Entry) (StoredPlaybook, error)
	RemovePlaybook(ctx context.Context, accountID, name string, by audit.Entry) error
	PlaybookVersions(ctx context.Context, accountID, name string) ([]StoredPlaybook, error)

	Targets(ctx context.Context, accountID string) ([]TargetSetup, error)
	SaveTarget(ctx context.Context, t TargetSetup, by audit.Entry) (TargetSetup, error)
	RemoveTarget(ctx context.Context, accountID, name string, by audit.Entry) error
	Channels(ctx context.Context, accountID string) ([]Channel, error)
	SaveChannel(ctx context.Context, c Channel, by audit.Entry) (Channel, error)
	RemoveChannel(ctx context.Context, accountID, name string, by audit.Entry) error
}

// GuardUse is how much of the guard rails is used.
type GuardUse struct {
	Suspended int // people whom playbooks suspended within the window
	Held      int // people whom cases hold now
	Planned   int // suspensions planned, or waiting for an approval
	Active    int // active people of the account
}

// StoredPlaybook is a playbook in the database.
type StoredPlaybook struct {
	AccountID, Name string
	Text            string // YAML; empty: the shipped one, of which only the mode is set
	Mode            Mode   // empty: as the text says
	Version         string // of the text
	Revision        int64
	UpdatedAt       time.Time
	UpdatedBy       string
}

// TargetSetup is where else people are suspended: a server of the Users API.
type TargetSetup struct {
	AccountID, ID, Name, Kind string
	Config                    []byte // JSON, without secrets
	Secret                    []byte // sealed
	Revision                  int64
	LastError                 string
	CreatedAt                 time.Time
	CreatedBy                 string
}
