package respond

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"holdfast/internal/detect"
)

// APIVersion and PlaybookKind stand at the head of every playbook.
const (
	APIVersion   = "holdfast/v1"
	PlaybookKind = "Playbook"
)

// Mode says how far a playbook goes.
type Mode string

// The modes.
const (
	ModeOff     Mode = "off"
	ModeObserve Mode = "observe" // all checks are made and stored, nothing is done
	ModeEnforce Mode = "enforce"
)

// Modes lists the modes.
func Modes() []Mode { return []Mode{ModeOff, ModeObserve, ModeEnforce} }

// Playbook is one document of a playbook file. It does not change and is safe for concurrent use.
// docs/response/playbooks.md describes the language.
type Playbook struct {
	File string
	Line int    // where the document begins
	Text string // the document as it is written

	Name, Owner, Description string
	Mode                     Mode
	On                       Trigger
	When                     Condition // zero: always
	Dedupe                   Dedupe    // Window 0: each finding has a run
	Approval                 *ApprovalRule
	Do                       []Step
	OnRelease                []Step // notify, signal and case only
	Guard                    Tighter
	Tests                    []TestCase

	places playbookPlaces
}

// playbookPlaces is where a later look, which knows rules, targets and channels, finds fault.
type playbookPlaces struct {
	name, on, mode place
	words          []placed // names of rules, targets and channels as they are written
}

type place struct{ line, column int }

// placed is a name of something outside the playbook.
type placed struct {
	what, name string // what: rule, target, channel
	at         place
}

// Version tells one wording from another: twelve hexadecimal digits of the hash of its text.
func (p *Playbook) Version() string {
	sum := sha256.Sum256([]byte(p.Text))
	return hex.EncodeToString(sum[:6])
}

// Has says whether a step of the kind is among those that are done.
func (p *Playbook) Has(kind StepKind) bool {
	return slices.ContainsFunc(p.Do, func(s Step) bool { return s.Kind == kind })
}

// Trigger says which findings a playbook is for: those of the rules, and those of the levels.
type Trigger struct {
	Rules  []string // keys of rules
	Levels []detect.Level
	Except []string // rules whose findings are not meant, whatever their level
}

// Meets says whether the playbook is for findings of the rule at this level.
func (t Trigger) Meets(rule string, level detect.Level) bool {
	return slices.Contains(t.Rules, rule) || slices.Contains(t.Levels, level) && !slices.Contains(t.Except, rule)
}

// Dedupe lets a playbook run once for each key within the window.
type Dedupe struct {
	Key    Key
	Window time.Duration
}

// ApprovalRule says whose consent is asked for.
type ApprovalRule struct {
	When      Condition // zero: always
	Order     Order
	Groups    []string // names of groups whose members may answer
	NotSelf   bool     // whom it is about may not
	Needed    int      // 1 or 2
	Timeout   time.Duration
	OnTimeout OnTimeout
}

// StepKind is what a step does.
type StepKind string

// The kinds of steps.
const (
	StepSuspend     StepKind = "suspend"
	StepEndSessions StepKind = "end_sessions"
	StepAskPerson   StepKind = "ask_person"
	StepNotify      StepKind = "notify"
	StepSignal      StepKind = "signal"
	StepCase        StepKind = "case"
)

// StepKinds lists the kinds.
func StepKinds() []StepKind {
	return []StepKind{StepSuspend, StepEndSessions, StepAskPerson, StepNotify, StepSignal, StepCase}
}

// Step is one step. What it does not need is zero.
type Step struct {
	Kind StepKind

	For     time.Duration // suspend: how long; 0: until somebody releases
	Release Release       // suspend
	Targets []string      // suspend: LocalTarget and names of targets, as they are written; never empty

	Within    time.Duration // ask_person: time to answer
	OnConfirm Answer        // ask_person: it was them
	OnDeny    Answer
	OnSilence Answer

	To       []string // notify, signal: names of channels; none with notify: those that take pages
	Template string   // notify

	Level    detect.Level // case: at least this level; empty: the finding's
	Assignee string       // case: a person's e-mail address or id
	Title    string       // case: instead of the rule's title
}

// Answer is what follows from the person's answer, or from none. [Question] has it as a text.
type Answer string

// The answers' consequences.
const (
	AnswerRelease Answer = "release" // the holds of this run end
	AnswerKeep    Answer = "keep"    // they stay, and somebody is paged
)

// Tighter are limits of one playbook besides those of the account. The stricter of both counts, so a playbook
// can tighten the guard rails and never loosen them.
type Tighter struct {
	MaxPeople       int // whom this playbook suspends within Window; 0: the account's limit only
	Window          time.Duration
	MaxShare        float64       // of active people held by cases, in percent; 0: the account's
	MaxEventAge     time.Duration // 0: the account's
	MinTrust        Trust         // 0: the account's
	ProtectedGroups []string      // names of groups whose members this playbook leaves alone
}

// TestCase is a case written in a playbook: what is given, and what is expected of it in mode enforce, whatever the
// playbook's own mode. Its facts are made into [Facts] and decided by [Decide], which is for the runner of tests;
// parsing checks no more than the shape and the types.
type TestCase struct {
	Name  string
	Line  int
	Given Given
	Want  Expected
}

// Given are the facts of a case. What is not said is harmless: a known, active person in no group, an event of now
// that was asked for, no limit near. What is not said of event and state is unknown.
type Given struct {
	Finding map[string]any // rule and level (always there), title, count, events, address: string or int64
	Event   map[string]any // by names of event: string, int64 (asn), bool (mfa, anonymous) or time.Time (time; not said: any)
	User    map[string]any // by names of user: string, bool, or []string (groups); email, id and name are given if not said
	Nobody  bool           // user: nobody, that is, nobody was recognised
	State   map[string]any // by names of state: string, int64, float64 or bool

	EventAge  time.Duration
	Trust     Trust         // 0: TrustAsked
	Kill      bool          // the kill switch is on
	Ran       time.Duration // so long ago the playbook ran for the same key; 0: never
	Suspended int           // other people whom playbooks suspended within the window
	Held      int           // other people whom cases hold
	Active    int           // active people; 0: 1,000
	LastOwner bool
}

// Expected is the outcome. One of Acts, Stops, Holds and Asks says what comes of it; Asks "after" goes with Acts.
type Expected struct {
	Acts  []StepKind // kinds of the steps that are done, in the order of do; a step with several targets is one
	Stops CheckName
	Holds CheckName
	Asks  Order
	Code  string // of the check, with Stops and Holds; empty: any
}
