package detect

import (
	"context"
	"errors"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
)

// Store is what detection needs from a database.
//
// Methods are atomic and safe for concurrent use, also by several processes. What changes an account's
// detection holds the account's lock. Times are stored in microseconds.
type Store interface {
	Progress
	Findings
}

// Progress is how far detection has come, for [Live].
//
// Whoever goes on with detection proves that it knows where it stands by the version of the state, which
// each CommitDetection and each WriteCheckpoint makes grow by one. With another version, or without the
// lease, both change nothing and return ErrOvertaken.
type Progress interface {
	// DetectAccounts are the ids of all accounts, in order.
	DetectAccounts(ctx context.Context) ([]string, error)
	// LeaseDetection makes the holder the one process that works on the account until then, unless another
	// one is. It is also how the holder goes on being it; a time that is over gives it back. It makes the
	// account's state where there is none yet: version 0, cursor 0, no checkpoint. It does not make the
	// version grow.
	LeaseDetection(ctx context.Context, accountID, holder string, until time.Time) (bool, error)

	// DetectState is where the account's detection stands; the zero State if it never began.
	DetectState(ctx context.Context, accountID string) (State, error)
	// Profiles calls take with each profile of the checkpoint, in no order. What take returns ends it. The
	// texts may be kept, the value may not.
	Profiles(ctx context.Context, accountID string, take func(key string, value []byte, until time.Time) error) error

	// Signals, WaitSignals: see [signals.Store].
	Signals(ctx context.Context, accountID string, after int64, limit int) ([]signals.Stored, error)
	WaitSignals(ctx context.Context, accountID string, after int64) error
	// SignalTimes are the times of the account's events within the stretch, in order of their places; at most
	// limit.
	SignalTimes(ctx context.Context, accountID string, s Stretch, limit int) ([]SignalTime, error)
	// SignalsByTime are the same events in full, the raw text included.
	SignalsByTime(ctx context.Context, accountID string, s Stretch, limit int) ([]signals.Stored, error)
	// SignalsBySeq are the events with these numbers, in order of time and number. Those that are not kept any
	// more are left out. There may be 1,000.
	SignalsBySeq(ctx context.Context, accountID string, seqs []int64) ([]signals.Stored, error)
	// PeopleStates are the people of the account with these ids, as they are now. Who has been removed or never
	// was there is left out. There may be 1,000.
	PeopleStates(ctx context.Context, accountID string, ids []string) (map[string]PersonState, error)

	// FindingsAfter are the account's findings that are not withdrawn and began after the time, or are open
	// ones however old they are, with the numbers of their events; in order of their numbers.
	FindingsAfter(ctx context.Context, accountID string, after time.Time) ([]Known, error)
	// Lessons are those that nobody has applied yet, and those applied at a time after this one; in order.
	Lessons(ctx context.Context, accountID string, after time.Time) ([]Lesson, error)

	// CommitDetection notes what events led to and wakes who waits for findings. Only what has changes needs to
	// be on the disk when it returns: a cursor that is lost is found again.
	CommitDetection(ctx context.Context, c Commit) error
	// WriteCheckpoint replaces the checkpoint. Lessons applied at its time or before are deleted.
	WriteCheckpoint(ctx context.Context, c Checkpoint) error
}

// Findings are what was found, for the console and whoever acts on it.
type Findings interface {
	// FindingList selects findings, the one with the highest number first.
	FindingList(ctx context.Context, q FindingQuery) ([]StoredFinding, error)
	// Finding is NotFound if the account does not have it. The id may be its number in decimal digits.
	Finding(ctx context.Context, accountID, id string) (StoredFinding, error)
	// FindingEvents are the evidence of a finding, in order of time and number. Events that are not kept any more
	// are left out.
	FindingEvents(ctx context.Context, accountID, id string) ([]signals.Stored, error)
	// RuleCounts are how many findings (not withdrawn ones) each rule had on each of the days that end with the
	// present one, UTC. The slices have an element a day, the present one last; a rule without any is left out.
	RuleCounts(ctx context.Context, accountID string, days int) (map[string][]int, error)
	// Flooded are the rules that matched too much lately, with how many matches were passed over and when that
	// was noted last.
	Flooded(ctx context.Context, accountID string) (map[string]Flood, error)

	// JudgeFinding notes that a person has judged a finding to be harmless, or not to be. The first time that it
	// is harmless, the transaction adds a Lesson with the numbers of its events, so that habits are learned from
	// them; judging it otherwise later takes nothing back. The audit entry is of the action
	// [audit.FindingJudge].
	JudgeFinding(ctx context.Context, accountID, id string, harmless bool, by audit.Entry) (StoredFinding, error)

	// WaitFindings returns once the account has a finding with a number after this one, or with the context's
	// error. Findings that this process commits wake it at once.
	WaitFindings(ctx context.Context, accountID string, after int64) error
	// PurgeFindings deletes findings that ended or were withdrawn, and whose last event happened before, with
	// their evidence; but for the last of each account, so that numbers go on from it, and those of a case.
	PurgeFindings(ctx context.Context, before time.Time) error
}

// State is where an account's detection stands.
type State struct {
	Version int64 // grows with each commit and each checkpoint; 0: it never began
	Cursor  int64 // number of the last event that was looked at
	Late    int64 // events that came too late, since ever
	Ahead   int64 // events that said they were of the future, since ever

	CheckpointAt time.Time // everything that happened until then is in profiles and windows; zero: there is no checkpoint
	Windows      []byte    // what Engine.Snapshot gave; nil: begin with empty ones
	Rules        int64     // revision of the rules that Windows were written by
}

// Place is where an event is in the order of time: by microsecond, then by number.
type Place struct {
	At  time.Time
	Seq int64 // math.MaxInt64: behind all of that time
}

// Stretch is the events of a time that had come when the one with a number was the last.
type Stretch struct {
	After Place
	Until time.Time // included
	UpTo  int64     // the highest number, included
}

// SignalTime is when an event happened (when it came, if it does not say) and when it came.
type SignalTime struct {
	Seq            int64
	At, ReceivedAt time.Time
}

// PersonState is a person as the directory has them.
type PersonState struct {
	ID        string
	Protected bool
	Groups    []string // ids
	Holds     []Span   // when a hold kept the person suspended, of those that have not ended a day ago
}

// Span is a time from From on and before Until, which is zero as long as it goes on.
type Span struct{ From, Until time.Time }

// Known is a finding as it was committed, as far as Live needs to know.
type Known struct {
	ID     string
	Rule   string    // Rule.Key
	Text   string    // version of the rule's text
	At     time.Time // when it began
	Open   bool
	Last   time.Time
	Count  int64
	More   int
	Events []int64 // numbers, rising
}

// Lesson is a finding that a person has judged to be harmless. What its events teach counts from At on, in
// the order of time; so who takes events again comes to the same.
type Lesson struct {
	Number    int64     // 1, 2, 3… in the order of judging
	FindingID string    // which it is from
	Events    []int64   // numbers
	At        time.Time // zero: nobody has applied it yet
}

// Commit is what events led to.
type Commit struct {
	AccountID string
	Holder    string
	From      int64 // version of the state that it follows on

	Cursor    int64
	Changes   []Change       // in the order of their first event
	Withdrawn []string       // ids of findings that there is no reason for any more, since a late event came in between
	Over      []string       // ids of findings that cannot grow any more, and are otherwise as they were
	Learned   []Lesson       // that have been applied; of these, Number and At count
	Late      int64          // how many more events came too late
	Ahead     int64          // how many more were of the future
	Flooded   map[string]int // how many more matches were passed over, by Rule.Key
}

// Change is a finding as it is now.
//
// One whose id is not stored yet gets the next number. One that is stored keeps number, judgement and case,
// and takes everything else from here; one that was withdrawn is there again.
type Change struct {
	Found  Found
	Open   bool       // it may still grow; false: it ended
	Events []Evidence // to add to those stored; what is stored already is passed over
	Anew   bool       // Events are all there are: the stored ones are removed first
}

// Evidence is an event of a finding.
type Evidence struct {
	Seq int64  // of the event
	ID  string // the source's
}

// Checkpoint is a state of the engine that no event can come before any more.
type Checkpoint struct {
	AccountID string
	Holder    string
	From      int64 // version of the state that it follows on

	At       time.Time
	Windows  []byte
	Rules    int64
	Profiles []ProfileRow // that changed since the checkpoint before; each key once
}

// ProfileRow is a value of a Memory.
type ProfileRow struct {
	Key   string
	Value []byte // nil: it is forgotten
	Until time.Time
}

// FindingState says whether a finding goes on.
type FindingState string

// The states of findings.
const (
	FindingOpen      FindingState = "open"
	FindingEnded     FindingState = "ended"
	FindingWithdrawn FindingState = "withdrawn" // a late event has shown that there was no reason for it
)

// StoredFinding is a finding with its number. Events of Found is empty; [Findings.FindingEvents] has them.
type StoredFinding struct {
	Found

	AccountID string
	Seq       int64 // 1, 2, 3… in the order of commit
	State     FindingState
	CaseID    string // empty: none
	Harmless  bool
	JudgedBy  string // empty: nobody has judged it
	JudgedAt  time.Time
	CreatedAt time.Time // when it was committed first
}

// FindingQuery selects findings. What is empty selects all.
type FindingQuery struct {
	AccountID string
	PersonID  string
	Rule      string // Rule.Key
	Levels    []Level
	State     FindingState // empty: all but withdrawn ones
	From, To  time.Time    // when they began; To is not included
	Before    int64        // number; 0: from the highest
	Limit     int
}

// Flood is a rule that matches too much to be of use.
type Flood struct {
	Passed int64     // matches that were passed over
	Last   time.Time // when that was noted last
}

// ErrOvertaken is what CommitDetection and WriteCheckpoint return to who does not know the present state, or
// does not have the lease any more.
func ErrOvertaken() *problem.Error {
	return problem.Coded(problem.Conflict, overtakenCode, "another process has gone on with the account's detection")
}

const overtakenCode = "overtaken"

func overtaken(err error) bool {
	p, ok := errors.AsType[*problem.Error](err)
	return ok && p.Code == overtakenCode
}

// ErrNoFinding is what there is instead of a finding that the account does not have.
func ErrNoFinding(id string) *problem.Error {
	return problem.New(problem.NotFound, "the account has no finding %q", id)
}
