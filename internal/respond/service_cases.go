package respond

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// maxComment is how many characters a comment or a note can have.
const maxComment = 4000

// checkComment is a text of several lines, without space around it.
func checkComment(field, text string) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	switch {
	case text == "":
		return "", problem.InField(field, "there is nothing in it")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return "", problem.InField(field, "the text holds characters that cannot be shown")
	case utf8.RuneCountInString(text) > maxComment:
		return "", problem.InField(field, "the text has %d characters; at most %d are possible", utf8.RuneCountInString(text), maxComment)
	}
	return text, nil
}

// Act does what a person wants from a case: to go on with a held run, or an action of their own. What the guard rails do
// not allow is a Conflict with the check's code; m.Override is the stated reason to go beyond those that allow it.
func (s *Service) Act(ctx context.Context, accountID string, m Manual, by audit.Entry) (Responded, error) {
	if m.Override != "" {
		why, err := CheckWhy("override", m.Override)
		if err != nil {
			return Responded{}, err
		}
		m.Override = why
	}
	name := ""
	if m.RunID != "" {
		rec, err := s.Store.Case(ctx, accountID, m.CaseID)
		if err != nil {
			return Responded{}, err
		}
		run := pick(rec.Runs, func(r Run) bool { return r.ID == m.RunID })
		switch {
		case run == nil:
			return Responded{}, problem.New(problem.NotFound, "the case has no run %q", plain(m.RunID, maxName))
		case run.State != RunHeld:
			return Responded{}, problem.Coded(problem.Conflict, CodeWrongState, "the run is %s; only one that is held can be gone on with", run.State)
		}
		name = run.Playbook
	} else if m.Target != "" && m.Target != LocalTarget {
		all, err := s.Store.Targets(ctx, accountID)
		if err != nil {
			return Responded{}, err
		}
		if !slices.ContainsFunc(all, func(t TargetSetup) bool { return t.Name == m.Target }) {
			return Responded{}, problem.InField("target", "there is no target %q", plain(m.Target, maxName))
		}
	}
	var p *Playbook
	if name != "" {
		e, err := s.Playbook(ctx, accountID, name)
		if err != nil {
			return Responded{}, err
		}
		p = e.Playbook
		if e.Fault != "" {
			return Responded{}, problem.New(problem.Conflict, "the playbook cannot be read any more: %s", e.Fault)
		}
	}
	return s.Store.RespondTo(ctx, accountID, m, func(f Facts) (Plan, error) {
		f.Guard.Kill = s.killed(f.Guard.Kill)
		plan, err := DecideManual(p, f, m)
		if err != nil {
			return Plan{}, err
		}
		if err := plan.Refusal(); err != nil {
			return Plan{}, err
		}
		if p == nil && len(plan.Actions) == 0 {
			return Plan{}, problem.Coded(problem.Conflict, string(CheckBlast)+".already_held", "a case holds the person there already; nothing was changed")
		}
		return plan, nil
	}, by)
}

// Closing is how a case is closed.
type Closing struct {
	Resolution Resolution
	Note       string // optional
	Release    bool   // end what the case holds, too; a case that holds somebody is not closed without
}

// Resolutions lists what a case can turn out to be.
func Resolutions() []Resolution { return []Resolution{TrueAttack, FalseAlarm, Benign, Unclear} }

// Close closes a case. After a false alarm its findings are judged to be harmless, so that habits are learned from their
// events.
func (s *Service) Close(ctx context.Context, accountID, caseID string, x Closing, by audit.Entry) (Case, error) {
	if !slices.Contains(Resolutions(), x.Resolution) {
		return Case{}, problem.InField("resolution", "say what the case turned out to be: %s", listed(Resolutions()))
	}
	if strings.TrimSpace(x.Note) != "" {
		note, err := checkComment("note", x.Note)
		if err != nil {
			return Case{}, err
		}
		x.Note = note
	}
	rec, err := s.Store.Case(ctx, accountID, caseID)
	if err != nil {
		return Case{}, err
	}
	if rec.Case.State == CaseContained && !x.Release {
		return Case{}, ErrStillHolding()
	}
	if err := MoveCase(rec.Case.State, CaseClosed); err != nil || rec.Case.State == CaseClosed {
		return Case{}, problem.Coded(problem.Conflict, CodeFinal, "the case was closed already, as %s", rec.Case.Resolution)
	}
	if rec.Case.State == CaseContained {
		if _, err := s.Store.UndoCase(ctx, accountID, rec.Case.ID, "the case is closed: "+string(x.Resolution), by); err != nil {
			return Case{}, err
		}
	}
	if x.Resolution == FalseAlarm {
		for _, f := range rec.Findings {
			if _, err := s.Findings.JudgeFinding(ctx, accountID, f.ID, true, by); err != nil && problem.KindOf(err) != problem.NotFound {
				return Case{}, err
			}
		}
	}
	return s.Store.CloseCase(ctx, accountID, rec.Case.ID, x.Resolution, x.Note, by)
}

// ErrStillHolding is the answer to closing a case that holds somebody.
func ErrStillHolding() *problem.Error {
	return problem.Coded(problem.Conflict, CodeStillHolding, "the case holds the person; release them with it, since nobody stays suspended without a case that says why")
}

// Assign gives the case to a person of the account; empty: to nobody.
func (s *Service) Assign(ctx context.Context, accountID, caseID, userID string, by audit.Entry) (Case, error) {
	return s.Store.AssignCase(ctx, accountID, caseID, userID, by)
}

// Comment writes to the timeline of the case.
func (s *Service) Comment(ctx context.Context, accountID, caseID, text string, by audit.Entry) error {
	text, err := checkComment("text", text)
	if err != nil {
		return err
	}
	return s.Store.CommentCase(ctx, accountID, caseID, text, by)
}

// Keep says that the hold of an action does not end by itself, or that it does again.
func (s *Service) Keep(ctx context.Context, accountID, actionID string, kept bool, by audit.Entry) error {
	return s.Store.KeepHold(ctx, accountID, actionID, kept, by)
}

// Undo ends what the case holds and cancels what it has planned.
func (s *Service) Undo(ctx context.Context, accountID, caseID, reason string, by audit.Entry) (Case, error) {
	reason, err := CheckWhy("reason", reason)
	if err != nil {
		return Case{}, err
	}
	return s.Store.UndoCase(ctx, accountID, caseID, reason, by)
}
