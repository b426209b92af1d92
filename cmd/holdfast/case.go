package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

type caseCmd struct {
	List    caseListCmd    `cmd:"" help:"List cases, the newest first."`
	Show    caseShowCmd    `cmd:"" help:"Show a case with its findings, what was decided and done, and its timeline."`
	Approve caseApproveCmd `cmd:"" help:"Approve what a case asks for, as a person who is asked."`
	Deny    caseDenyCmd    `cmd:"" help:"Deny what a case asks for, as a person who is asked."`
	Undo    caseUndoCmd    `cmd:"" help:"End what a case holds, and cancel what it has planned."`
	Close   caseCloseCmd   `cmd:"" help:"Close a case, and say what it turned out to be."`
}

// caseJSON is a case.
type caseJSON struct {
	CaseID     string    `json:"case_id"`
	Number     int64     `json:"number"`
	State      string    `json:"state"`
	Level      string    `json:"level"`
	Title      string    `json:"title"`
	PersonID   string    `json:"person_id,omitempty"`
	Person     string    `json:"person,omitempty"` // name
	Email      string    `json:"email,omitempty"`
	Findings   int       `json:"findings"`
	Pending    int       `json:"pending"` // answers that are waited for
	HeldUntil  time.Time `json:"held_until,omitzero"`
	AssigneeID string    `json:"assignee_id,omitempty"`
	Resolution string    `json:"resolution,omitempty"`
	Note       string    `json:"note,omitempty"`
	OpenTime   time.Time `json:"open_time"`
	UpdateTime time.Time `json:"update_time"`
	CloseTime  time.Time `json:"close_time,omitzero"`
	ClosedBy   string    `json:"closed_by,omitempty"`
}

func caseView(c respond.Case) caseJSON {
	return caseJSON{
		c.ID, c.Number, string(c.State), string(c.Level), c.Title, c.Subject.PersonID, c.Subject.Name, c.Subject.Email, c.Findings, c.Pending, c.HeldUntil,
		c.AssigneeID, string(c.Resolution), c.Note, c.OpenedAt, c.UpdatedAt, c.ClosedAt, c.ClosedBy,
	}
}

func printCaseLine(std stdio, c respond.Case) {
	waits := ""
	if c.Pending > 0 {
		waits = "  waits for an answer"
	}
	fmt.Fprintf(std.out, "%5d  %-9s  %s  %-24s  %s%s\n", c.Number, c.State, levelWord(painter(std.out, std.env), string(c.Level)),
		cmp.Or(c.Subject.Name, c.Subject.Email), c.Title, waits)
}

type caseListCmd struct {
	respondAccount
	State  string `placeholder:"STATE" enum:",open,contained,closed,pending" default:"" complete:"open contained closed pending" help:"open, contained, closed, or pending: something waits for an answer."`
	Level  string `placeholder:"LEVEL" enum:",informational,low,medium,high,critical" default:"" complete:"informational low medium high critical" help:"Of this level."`
	Person string `placeholder:"PERSON" help:"About the person of this email or ID."`
	Limit  int    `default:"100" placeholder:"N" help:"How many (default: 100)."`
}

func (c *caseListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if c.Limit < 1 {
		return problem.InField("limit", "the limit is %d; it must be 1 or more", c.Limit)
	}
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		q := respond.CaseQuery{AccountID: account, State: respond.CaseState(c.State), Level: detect.Level(c.Level), Limit: c.Limit}
		if c.Person != "" {
			u, err := userArg{User: c.Person}.find(ctx, h, account)
			if err != nil {
				return err
			}
			q.PersonID = u.ID
		}
		all, err := h.db.CaseList(ctx, q)
		if err != nil {
			return err
		}
		if c.JSON {
			return printResults(std, all, caseView)
		}
		if len(all) == 0 {
			fmt.Fprintln(std.out, "There are no such cases.")
		}
		for _, x := range all {
			printCaseLine(std, x)
		}
		return nil
	})
}

// caseArg names one case.
type caseArg struct {
	respondAccount
	Case string `arg:"" help:"Number or ID of the case."`
}

type caseShowCmd struct{ caseArg }

// recordJSON is a case with what belongs to it.
type recordJSON struct {
	caseJSON
	Evidence  []caseFindingJSON `json:"evidence"`
	Runs      []runJSON         `json:"runs"`
	Actions   []actionJSON      `json:"actions"`
	Approvals []approvalJSON    `json:"approvals"`
	Questions []questionJSON    `json:"questions"`
	Timeline  []momentJSON      `json:"timeline"`
}

type caseFindingJSON struct {
	FindingID string    `json:"finding_id"`
	Rule      string    `json:"rule"`
	Title     string    `json:"title"`
	Level     string    `json:"level"`
	Time      time.Time `json:"time"`
	LastTime  time.Time `json:"last_time"`
	Address   string    `json:"address,omitempty"`
}

type runJSON struct {
	RunID     string          `json:"run_id"`
	FindingID string          `json:"finding_id"`
	Playbook  string          `json:"playbook"`
	Version   string          `json:"version"`
	Mode      string          `json:"mode"`
	State     string          `json:"state"`
	Checks    []respond.Check `json:"checks"`
	Time      time.Time       `json:"time"`
	EndTime   time.Time       `json:"end_time,omitzero"`
}

type actionJSON struct {
	ActionID string    `json:"action_id"`
	RunID    string    `json:"run_id,omitempty"`
	Kind     string    `json:"kind"`
	Target   string    `json:"target"`
	State    string    `json:"state"`
	Code     string    `json:"code,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	By       string    `json:"by"`
	Override string    `json:"override,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	PlanTime time.Time `json:"plan_time"`
	EndTime  time.Time `json:"end_time,omitzero"`
}

type approvalJSON struct {
	ApprovalID string     `json:"approval_id"`
	RunID      string     `json:"run_id"`
	Order      string     `json:"order"`
	Needed     int        `json:"needed"`
	From       []string   `json:"from"`
	OnTimeout  string     `json:"on_timeout"`
	State      string     `json:"state"`
	AskTime    time.Time  `json:"ask_time"`
	ExpireTime time.Time  `json:"expire_time"`
	Votes      []voteJSON `json:"votes"`
}

type voteJSON struct {
	UserID  string    `json:"user_id"`
	Approve bool      `json:"approve"`
	Reason  string    `json:"reason,omitempty"`
	Door    string    `json:"door"`
	Time    time.Time `json:"time"`
}

type questionJSON struct {
	QuestionID string    `json:"question_id"`
	PersonID   string    `json:"person_id"`
	State      string    `json:"state"`
	AskTime    time.Time `json:"ask_time"`
	ExpireTime time.Time `json:"expire_time"`
}

type momentJSON struct {
	Time  time.Time         `json:"time"`
	Kind  string            `json:"kind"`
	By    string            `json:"by,omitempty"`
	Facts map[string]string `json:"facts"`
}

func approvalView(a respond.Approval) approvalJSON {
	return approvalJSON{
		a.ID, a.RunID, string(a.Order), a.Needed, append([]string{}, a.From...), string(a.OnTimeout), string(a.State), a.AskedAt, a.ExpiresAt,
		mapped(a.Votes, func(v respond.Vote) voteJSON { return voteJSON{v.UserID, v.Approve, v.Reason, v.Door, v.At} }),
	}
}

func recordView(r respond.Record) recordJSON {
	return recordJSON{
		caseJSON: caseView(r.Case),
		Evidence: mapped(r.Findings, func(f detect.Found) caseFindingJSON {
			return caseFindingJSON{f.ID, f.Rule, f.Title, string(f.Level), f.Time, f.Last, f.Address}
		}),
		Runs: mapped(r.Runs, func(x respond.Run) runJSON {
			return runJSON{x.ID, x.FindingID, x.Playbook, x.Version, string(x.Mode), string(x.State), append([]respond.Check{}, x.Checks...), x.CreatedAt, x.EndedAt}
		}),
		Actions: mapped(r.Actions, func(a respond.Action) actionJSON {
			return actionJSON{a.ID, a.RunID, string(a.Kind), a.Target, string(a.State), a.Code, a.Reason, a.By, a.Override, a.Until, a.PlannedAt, a.EndedAt}
		}),
		Approvals: mapped(r.Approvals, approvalView),
		Questions: mapped(r.Questions, func(q respond.Question) questionJSON {
			return questionJSON{q.ID, q.PersonID, string(q.State), q.AskedAt, q.ExpiresAt}
		}),
		Timeline: mapped(r.Moments, func(m respond.Moment) momentJSON { return momentJSON{m.At, m.Kind, m.Actor, m.Facts} }),
	}
}

func (c *caseShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		r, err := h.db.Case(ctx, account, c.Case)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, recordView(r))
		}
		printRecord(std, r)
		return nil
	})
}

func printRecord(std stdio, r respond.Record) {
	printCaseLine(std, r.Case)
	if !r.Case.HeldUntil.IsZero() {
		fmt.Fprintln(std.out, "Held until", moment(r.Case.HeldUntil))
	}
	if r.Case.State == respond.CaseClosed {
		fmt.Fprintf(std.out, "Closed by %s, %s: %s %s\n", r.Case.ClosedBy, moment(r.Case.ClosedAt), r.Case.Resolution, r.Case.Note)
	}
	heading := func(text string, n int) {
		if n > 0 {
			fmt.Fprintf(std.out, "\n%s\n", text)
		}
	}
	heading("Findings", len(r.Findings))
	for _, f := range r.Findings {
		fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("  %s  %s  %-28s  %-15s  %s", moment(f.Time), levelWord(painter(std.out, std.env), string(f.Level)), f.Rule, f.Address, f.Title), " "))
	}
	heading("Playbooks", len(r.Runs))
	for _, x := range r.Runs {
		fmt.Fprintf(std.out, "  %s  %-9s  %-22s  %s\n", moment(x.CreatedAt), x.State, x.Playbook, x.Mode)
		for _, k := range x.Checks {
			fmt.Fprintf(std.out, "      %-4s  %s\n", k.Verdict, k.Sentence())
		}
	}
	heading("Actions", len(r.Actions))
	for _, a := range r.Actions {
		until := ""
		if !a.Until.IsZero() {
			until = "  until " + moment(a.Until)
		}
		fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("  %s  %-9s  %-12s  %-12s  by %s%s  %s", moment(cmp.Or(a.EndedAt, a.PlannedAt)), a.State, a.Kind, a.Target, a.By, until, a.Reason), " "))
	}
	heading("Approvals", len(r.Approvals))
	for _, a := range r.Approvals {
		fmt.Fprintf(std.out, "  %s  %-9s  of %s, until %s\n", moment(a.AskedAt), a.State, strings.Join(a.From, ", "), moment(a.ExpiresAt))
		for _, v := range a.Votes {
			fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("      %s  %s  %s  %s", moment(v.At), v.UserID, map[bool]string{true: "approves", false: "denies"}[v.Approve], v.Reason), " "))
		}
	}
	heading("Timeline", len(r.Moments))
	for _, m := range r.Moments {
		fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("  %s  %-14s  %-28s  %s", moment(m.At), m.Kind, m.Actor, factsText(m.Facts)), " "))
	}
}

// caseVote answers an approval.
type caseVote struct {
	caseArg
	As     string `required:"" placeholder:"PERSON" help:"Email or ID of the person who answers; the audit log also has who ran the command."`
	Reason string `help:"Why."`
}

func (c caseVote) vote(ctx context.Context, g *globals, std stdio, approve bool) error {
	return c.with(ctx, g, std, func(h *handle, s *respond.Service, account string) error {
		r, err := h.db.Case(ctx, account, c.Case)
		if err != nil {
			return err
		}
		who, err := userArg{User: c.As}.find(ctx, h, account)
		if err != nil {
			return err
		}
		id := ""
		for _, a := range r.Approvals {
			if a.State == respond.ApprovalPending {
				id = a.ID
			}
		}
		if id == "" {
			return problem.New(problem.Conflict, "case %d asks nobody for an approval now", r.Case.Number)
		}
		by := operator(std)
		a, err := s.Answer(ctx, account, id, who.ID, respond.Answering{Approve: approve, Reason: c.Reason, Door: respond.DoorCLI}, by)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, approvalView(a))
		}
		fmt.Fprintf(std.out, "Noted as the answer of %s. The approval is %s.\n", who.Email, a.State)
		return nil
	})
}

type caseApproveCmd struct{ caseVote }

func (c *caseApproveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.vote(ctx, g, std, true)
}

type caseDenyCmd struct{ caseVote }

func (c *caseDenyCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.vote(ctx, g, std, false)
}

type caseUndoCmd struct {
	caseArg
	Reason string `required:"" help:"Why, for the case and the audit log."`
}

func (c *caseUndoCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, s *respond.Service, account string) error {
		r, err := h.db.Case(ctx, account, c.Case) // which may be a number
		if err != nil {
			return err
		}
		x, err := s.Undo(ctx, account, r.Case.ID, c.Reason, operator(std))
		return c.say(std, x, err, "holds nobody here any more; what it did elsewhere is undone by the server.")
	})
}

type caseCloseCmd struct {
	caseArg
	Resolution string `required:"" placeholder:"WHAT" enum:"true_attack,false_alarm,benign,unclear" complete:"true_attack false_alarm benign unclear" help:"true_attack, false_alarm, benign (rightly found, and wanted) or unclear."`
	Note       string `help:"What is to be remembered."`
	Release    bool   `help:"End what the case holds, too."`
}

func (c *caseCloseCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(_ *handle, s *respond.Service, account string) error {
		x, err := s.Close(ctx, account, c.Case, respond.Closing{Resolution: respond.Resolution(c.Resolution), Note: c.Note, Release: c.Release}, operator(std))
		return c.say(std, x, err, "is closed.")
	})
}

func (c caseArg) say(std stdio, x respond.Case, err error, sentence string) error {
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std, caseView(x))
	}
	fmt.Fprintf(std.out, "Case %d %s\n", x.Number, sentence)
	return nil
}

// factsText are the facts of a moment that say something to people.
func factsText(facts map[string]string) string {
	var all []string
	for _, name := range []string{"playbook", "rule", "title", "kind", "target", "channel", "template", "state", "check", "code", "approve", "order", "why", "until", "reason", "resolution", "note", "text", "error"} {
		if v := facts[name]; v != "" {
			all = append(all, name+": "+v)
		}
	}
	return strings.Join(all, ", ")
}
