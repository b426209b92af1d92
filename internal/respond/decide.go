package respond

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

// Decide says what a playbook leads to for a finding. It is pure: what it knows it has from the facts, and the same
// facts give the same plan. A playbook that is off, or not meant for the finding, gives a plan without a state, of
// which there is no run. The error is one of the lookups.
func Decide(p *Playbook, f Facts) (Plan, error) {
	if p.Mode == ModeOff || !p.On.Meets(f.Finding.Rule, f.Finding.Level) {
		return Plan{}, nil
	}
	d := newDecision(p, f)
	return d.end(d.checks())
}

// DecideAll decides for all playbooks, and returns the plans that have a run, in the order of the playbooks. What one of
// them suspends, the next ones find suspended.
func DecideAll(books []*Playbook, f Facts) ([]Plan, error) {
	var plans []Plan
	for _, p := range books {
		plan, err := Decide(p, f)
		if err != nil {
			return nil, fmt.Errorf("playbook %s: %w", p.Name, err)
		}
		if plan.State == "" {
			continue
		}
		plans = append(plans, plan)
		if plan.State != RunActing {
			continue
		}
		f.HeldAt = slices.Clone(f.HeldAt) // the caller's stays as it is
		for _, a := range plan.Actions {
			if a.Kind == ActSuspend {
				f.HeldAt = append(f.HeldAt, a.Target)
			}
		}
	}
	return plans, nil
}

// DecideManual says what comes of what a person does from a case: to go on with a run that is held, by its playbook, or
// an action of their own, for which there is no playbook. The same checks are made. With a stated reason the person goes
// beyond the age of the event, the protection of listed people and groups, and the blast radius; the check says so. The
// kill switch and the rules of the directory hold for everybody.
func DecideManual(p *Playbook, f Facts, m Manual) (Plan, error) {
	if p != nil {
		d := newDecision(p, f)
		d.manual, d.plan.Override = true, m.Override
		return d.end(d.checks())
	}
	if m.Kind != ActSuspend && m.Kind != ActEndSessions {
		return Plan{}, problem.InField("kind", "%q is nothing that can be done from a case; possible: %s, %s", m.Kind, ActSuspend, ActEndSessions)
	}
	step := Step{Kind: StepEndSessions}
	if m.Kind == ActSuspend {
		if m.For < 0 || m.For > maxManualHold {
			return Plan{}, problem.InField("for", "a suspension can last up to %s, or without an end", Span(maxManualHold))
		}
		step = Step{Kind: StepSuspend, For: m.For, Release: ReleaseNever, Targets: []string{m.Target}}
		if m.Target == "" {
			step.Targets = []string{LocalTarget}
		}
		if m.For > 0 {
			step.Release = ReleaseIfQuiet
		}
	}
	d := newDecision(&Playbook{Mode: ModeEnforce, Do: []Step{step}}, f)
	d.plan.Version, d.by = "", ""
	d.manual, d.own, d.plan.Override = true, true, m.Override
	return d.end(d.checks())
}

// Refusal is the problem that a person hears who wanted this, or nil if something is done, or will be once others have
// approved.
func (p Plan) Refusal() error {
	if p.State != RunStopped && p.State != RunHeld || len(p.Checks) == 0 {
		return nil
	}
	c := p.Checks[len(p.Checks)-1]
	hint := ""
	if c.overridable() {
		hint = " Give a reason to do it all the same."
	}
	return problem.Coded(problem.Conflict, string(c.Name)+"."+c.Code, "%s%s", c.Sentence(), hint)
}

// OpensCase says whether a finding that has come to these plans is worth a case of its own. One about somebody who has
// a case already is put to that in any event.
func OpensCase(f detect.Found, plans []Plan) bool {
	return f.Level.Serious() || slices.ContainsFunc(plans, func(p Plan) bool { return p.State != RunStopped })
}

// maxManualHold is how long a person can suspend somebody for from a case.
const maxManualHold = 90 * 24 * time.Hour

// decision is a plan on its way.
type decision struct {
	p      *Playbook
	f      Facts
	guard  Guard // tightened
	env    Env
	plan   Plan
	by     string
	manual bool // a person wants it
	own    bool // it is the person's own action, not a playbook's
}

func newDecision(p *Playbook, f Facts) *decision {
	d := &decision{p: p, f: f, guard: f.Guard.tightened(p.Guard), env: NewEnv(f), by: "playbook:" + p.Name}
	d.plan = Plan{Playbook: p.Name, Version: p.Version(), Mode: p.Mode, Title: f.Finding.Title, Level: f.Finding.Level}
	d.steps()
	return d
}

// steps makes actions of the playbook's steps. A person whom a case holds at a target is not suspended there again.
func (d *decision) steps() {
	for i, s := range d.p.Do {
		a := Action{Step: i, PersonID: d.f.Person.ID, By: d.by}
		switch s.Kind {
		case StepSuspend:
			a.Kind, a.For, a.Release = ActSuspend, s.For, s.Release
			for _, a.Target = range s.Targets {
				if !slices.Contains(d.f.HeldAt, a.Target) {
					d.plan.Actions = append(d.plan.Actions, a)
				}
			}
		case StepEndSessions:
			a.Kind, a.Target = ActEndSessions, LocalTarget
			d.plan.Actions = append(d.plan.Actions, a)
		case StepNotify, StepSignal:
			a.Kind, a.Template = ActNotify, s.Template
			to := s.To
			if s.Kind == StepSignal {
				a.Kind = ActSignal
			} else if len(to) == 0 {
				to = []string{""}
			}
			for _, a.Target = range to {
				d.plan.Actions = append(d.plan.Actions, a)
			}
		case StepAskPerson:
			if d.f.Person.ID != "" && d.plan.Question == nil {
				d.plan.Question = &Question{
					PersonID: d.f.Person.ID, State: QuestionPending, AskedAt: d.f.Now, ExpiresAt: d.f.Now.Add(s.Within),
					OnConfirm: string(s.OnConfirm), OnDeny: string(s.OnDeny), OnSilence: string(s.OnSilence),
				}
			}
		case StepCase:
			if rank(s.Level) > rank(d.plan.Level) {
				d.plan.Level = s.Level
			}
			if s.Title != "" {
				d.plan.Title = s.Title
			}
			d.plan.Assignee = s.Assignee
		}
	}
}

// rank is the place of the level among the others, from the least; -1 where there is none.
func rank(l detect.Level) int {
	return slices.Index(detect.Levels(), l)
}

// has says whether an action of one of the kinds is planned.
func (d *decision) has(kinds ...ActionKind) bool {
	return slices.ContainsFunc(d.plan.Actions, func(a Action) bool { return slices.Contains(kinds, a.Kind) })
}

// checks makes the checks in their order, up to the first that does not pass. An approval that is asked for is the last.
func (d *decision) checks() error {
	for _, one := range []func() (Check, error){
		func() (Check, error) {
			return checkKill(d.f.Guard.Kill, !d.has(ActSuspend, ActEndSessions, ActSignal)), nil
		},
		d.checkMode,
		func() (Check, error) { return checkAge(d.f, d.guard.MaxEventAge), nil },
		d.checkTrust,
		d.checkWhen,
		d.checkDedupe,
		d.checkProtected,
		d.checkBlast,
		d.checkApproval,
	} {
		c, err := one()
		if err != nil {
			return err
		}
		if d.manual && d.plan.Override != "" && (c.Verdict == Stop || c.Verdict == Hold) && c.overridable() {
			c = c.overridden(d.plan.Override)
		}
		if c.Name != "" {
			d.plan.Checks = append(d.plan.Checks, c)
		}
		if c.Verdict == Stop || c.Verdict == Hold {
			return nil
		}
	}
	return nil
}

// end is the plan with the state that follows from the checks.
func (d *decision) end(err error) (Plan, error) {
	if err != nil {
		return Plan{}, err
	}
	last := d.plan.Checks[len(d.plan.Checks)-1]
	observed := d.p.Mode == ModeObserve && !d.manual
	switch {
	case last.Verdict == Stop, last.Verdict == Hold && observed:
		d.plan.State = RunStopped
	case last.Verdict == Hold:
		d.plan.State = RunHeld
	case observed:
		d.plan.State = RunObserved
	case last.Verdict == Ask && d.plan.Approval.Order == Before:
		d.plan.State = RunWaiting
	case len(d.plan.Actions) == 0:
		d.plan.State = RunDone
	default:
		d.plan.State = RunActing
	}
	if last.Verdict == Stop || last.Verdict == Hold {
		d.plan.Actions, d.plan.Approval, d.plan.Question = nil, nil, nil
	} else {
		for i := range d.plan.Actions {
			d.plan.Actions[i].State, d.plan.Actions[i].Override = ActionPlanned, d.plan.Override
		}
	}
	d.plan.Page = !observed && !d.manual && last.pages()
	return d.plan, nil
}

// pages says whether somebody must look because of the check: something should have been done, and is not.
func (c Check) pages() bool {
	switch c.Verdict {
	case Hold:
		return true
	case Stop:
		return c.Name == CheckProtected && slices.Contains([]string{"person", "group", "break_glass", "last_owner", "externally_managed"}, c.Code)
	}
	return false
}

func (d *decision) checkMode() (Check, error) {
	switch {
	case d.manual:
		return pass(CheckMode, "manual"), nil
	case d.p.Mode == ModeObserve:
		return pass(CheckMode, "observe"), nil
	}
	return pass(CheckMode, "enforce"), nil
}

// checkTrust is not made for an action of a person's own: they act on their own word.
func (d *decision) checkTrust() (Check, error) {
	if d.own {
		return Check{}, nil
	}
	return checkTrust(d.f.Event.Trust, d.guard.MinTrust), nil
}

func (d *decision) checkWhen() (Check, error) {
	if d.own {
		return Check{}, nil
	}
	if d.p.When.String() == "" {
		return pass(CheckWhen, "none"), nil
	}
	is, err := d.p.When.Holds(d.env)
	if u, ok := errors.AsType[*Undecided](err); ok {
		return u.check(CheckWhen, "undecidable"), nil
	}
	switch {
	case err != nil:
		return Check{}, err
	case !is:
		return stop(CheckWhen, "does_not_hold"), nil
	}
	return pass(CheckWhen, "holds"), nil
}

// check stops because of what is unknown.
func (u *Undecided) check(name CheckName, code string) Check {
	if len(u.Fields) == 0 {
		return stop(name, "failed", "error", u.Why)
	}
	return stop(name, code, "unknown", strings.Join(u.Fields, ", "))
}

func (d *decision) checkDedupe() (Check, error) {
	if d.own {
		return Check{}, nil
	}
	if d.p.Dedupe.Window <= 0 {
		return pass(CheckDedupe, "none"), nil
	}
	key, err := d.p.Dedupe.Key.Value(d.env)
	if u, ok := errors.AsType[*Undecided](err); ok {
		return u.check(CheckDedupe, "no_key"), nil
	}
	if err != nil {
		return Check{}, err
	}
	d.plan.DedupeKey = key
	last, err := d.f.LastRun(d.p.Name, key)
	if err != nil {
		return Check{}, fmt.Errorf("look up the last run: %w", err)
	}
	window := Span(d.p.Dedupe.Window)
	switch {
	case last.IsZero() || d.f.Now.Sub(last) >= d.p.Dedupe.Window:
		return pass(CheckDedupe, "first", "window", window), nil
	case d.f.Run != nil && !last.After(d.f.Run.CreatedAt):
		return pass(CheckDedupe, "gone_on"), nil
	}
	return stop(CheckDedupe, "again", "last", stamp(last), "window", window, "key", key), nil
}

func (d *decision) checkProtected() (Check, error) {
	needs := d.has(ActSuspend, ActEndSessions) || d.p.Has(StepSuspend)
	if !needs {
		return pass(CheckProtected, "no_effect"), nil
	}
	return checkProtected(d.f, d.p.Guard.ProtectedGroups), nil
}

func (d *decision) checkBlast() (Check, error) {
	switch {
	case d.has(ActSuspend):
		return checkBlast(d.f, d.guard, d.p.Name, d.p.Guard)
	case d.p.Has(StepSuspend):
		return pass(CheckBlast, "already_held"), nil
	}
	return pass(CheckBlast, "no_suspension"), nil
}

// checkApproval asks where the rule's condition holds, and where it cannot be decided: who is not known to be harmless is
// asked about.
func (d *decision) checkApproval() (Check, error) {
	r := d.p.Approval
	if r == nil || !d.has(ActSuspend, ActEndSessions, ActSignal) {
		return pass(CheckApproval, "not_needed"), nil
	}
	is, err := r.When.Holds(d.env)
	u, undecided := errors.AsType[*Undecided](err)
	switch {
	case err != nil && !undecided:
		return Check{}, err
	case err == nil && !is:
		return pass(CheckApproval, "not_needed"), nil
	}
	d.plan.Approval = &Approval{
		Order: r.Order, Needed: max(1, r.Needed), From: slices.Clone(r.Groups), NotSelf: r.NotSelf, OnTimeout: r.OnTimeout,
		State: ApprovalPending, AskedAt: d.f.Now, ExpiresAt: d.f.Now.Add(r.Timeout),
	}
	unknown := ""
	if undecided {
		unknown = strings.Join(u.Fields, ", ")
	}
	return ask(CheckApproval, string(r.Order), "needed", strconv.Itoa(d.plan.Approval.Needed), "from", strings.Join(r.Groups, ", "),
		"timeout", Span(r.Timeout), "unknown", unknown), nil
}

// Again asks once more when an action begins, with the facts of now: a guard rail that has come into force in the
// meantime holds for it. What a person stated when they went beyond a guard rail still counts. Messages, and what undoes
// something, are not held back.
func Again(f Facts, a Action) (Check, error) {
	if a.Kind == ActNotify || a.Kind == ActReactivate {
		return pass(CheckWanted, "wanted"), nil
	}
	if f.Case == nil || f.Case.State == CaseClosed {
		return stop(CheckWanted, "case_closed"), nil
	}
	if c := checkKill(f.Guard.Kill, false); c.Verdict != Pass {
		return c, nil
	}
	if a.Kind == ActSignal {
		return pass(CheckWanted, "wanted"), nil
	}
	if c := checkProtected(f, nil); c.Verdict != Pass && (a.Override == "" || !c.overridable()) {
		return c, nil
	}
	if a.Kind != ActSuspend {
		return pass(CheckWanted, "wanted"), nil
	}
	if slices.Contains(f.HeldAt, a.Target) {
		return stop(CheckWanted, "already_held"), nil
	}
	c, err := checkBlast(f, f.Guard, "", Tighter{})
	if err == nil && c.Verdict != Pass && a.Override != "" {
		c = c.overridden(a.Override)
	}
	return c, err
}
