package respond

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"holdfast/internal/problem"
)

// Key is by what cases of one subject are found: "user:<id>", or "name:<e-mail or name, folded>". Empty: there is
// nobody.
func (s Subject) Key() string {
	if s.PersonID != "" {
		return "user:" + s.PersonID
	}
	name := strings.TrimSpace(s.Email)
	if name == "" {
		name = strings.TrimSpace(s.Name)
	}
	if name == "" {
		return ""
	}
	return "name:" + norm.NFC.String(cases.Fold().String(norm.NFC.String(name)))
}

// machine is a state machine: from each state, the states that may follow. From "" comes what is new. States from
// which nothing leads are final.
type machine[S ~string] map[S][]S

// move says whether the step is one of the machine. To stay is no step, and is allowed.
func (m machine[S]) move(what string, from, to S) error {
	next, known := m[from]
	switch {
	case from == to && known && from != "", slices.Contains(next, to):
		return nil
	case !known:
		return problem.New(problem.Conflict, "the %s is in a state %q that this version does not know", what, from)
	case from == "":
		return problem.New(problem.Conflict, "no %s begins as %q; possible: %s", what, to, listed(next))
	case len(next) == 0:
		return problem.Coded(problem.Conflict, CodeFinal, "the %s is %s, which is final, and cannot become %s", what, from, to)
	}
	return problem.Coded(problem.Conflict, CodeWrongState, "the %s is %s and cannot become %s; possible: %s", what, from, to, listed(next))
}

func listed[S ~string](states []S) string {
	words := make([]string, len(states))
	for i, s := range states {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// final says whether nothing leads away from the state.
func (m machine[S]) final(s S) bool { next, known := m[s]; return known && len(next) == 0 }

// states are all there are, in the order of the alphabet.
func (m machine[S]) states() []S {
	all := slices.Sorted(maps.Keys(m))
	return slices.DeleteFunc(all, func(s S) bool { return s == "" })
}

// Codes of problems that states lead to.
const (
	CodeFinal      = "already_ended"
	CodeWrongState = "wrong_state"
)

func caseMachine() machine[CaseState] {
	return machine[CaseState]{
		"":            {CaseOpen},
		CaseOpen:      {CaseContained, CaseClosed},
		CaseContained: {CaseOpen, CaseClosed},
		CaseClosed:    nil,
	}
}

func runMachine() machine[RunState] {
	return machine[RunState]{
		"":          {RunObserved, RunStopped, RunHeld, RunWaiting, RunActing, RunDone},
		RunHeld:     {RunWaiting, RunActing, RunDone, RunStopped},
		RunWaiting:  {RunActing, RunHeld, RunDenied, RunExpired, RunStopped},
		RunActing:   {RunDone, RunFailed, RunHeld, RunStopped},
		RunObserved: nil,
		RunStopped:  nil,
		RunDone:     nil,
		RunFailed:   nil,
		RunDenied:   nil,
		RunExpired:  nil,
	}
}

func actionMachine() machine[ActionState] {
	return machine[ActionState]{
		"":              {ActionPlanned},
		ActionPlanned:   {ActionBegun, ActionDone, ActionRefused, ActionCancelled},
		ActionBegun:     {ActionDone, ActionRefused, ActionFailed, ActionPlanned, ActionUnknown},
		ActionUnknown:   {ActionDone, ActionPlanned, ActionRefused, ActionFailed},
		ActionDone:      {ActionUndone},
		ActionRefused:   nil,
		ActionFailed:    nil,
		ActionCancelled: nil,
		ActionUndone:    nil,
	}
}

func approvalMachine() machine[ApprovalState] {
	return machine[ApprovalState]{
		"":               {ApprovalPending},
		ApprovalPending:  {ApprovalApproved, ApprovalDenied, ApprovalExpired},
		ApprovalApproved: nil,
		ApprovalDenied:   nil,
		ApprovalExpired:  nil,
	}
}

func questionMachine() machine[QuestionState] {
	return machine[QuestionState]{
		"":                {QuestionPending},
		QuestionPending:   {QuestionConfirmed, QuestionDenied, QuestionSilent},
		QuestionConfirmed: nil,
		QuestionDenied:    nil,
		QuestionSilent:    nil,
	}
}

// MoveCase says whether a case may go from one state to the other; a Conflict says why not. A new one comes from "".
func MoveCase(from, to CaseState) error { return caseMachine().move("case", from, to) }

// MoveRun is [MoveCase] of runs.
func MoveRun(from, to RunState) error { return runMachine().move("run", from, to) }

// MoveAction is [MoveCase] of actions.
func MoveAction(from, to ActionState) error { return actionMachine().move("action", from, to) }

// MoveApproval is [MoveCase] of approvals.
func MoveApproval(from, to ApprovalState) error { return approvalMachine().move("approval", from, to) }

// MoveQuestion is [MoveCase] of questions.
func MoveQuestion(from, to QuestionState) error { return questionMachine().move("question", from, to) }

// Final says that the run has come to its end.
func (s RunState) Final() bool { return runMachine().final(s) }

// Final says that nothing more comes of the action, except that it may be undone.
func (s ActionState) Final() bool { return s == ActionDone || actionMachine().final(s) }
