package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/directory"
	"holdfast/internal/respond"
	"holdfast/internal/signin"
)

// tell looks at the cases of the victims, and says what is new in them.
func (a *Attack) tell(ctx context.Context) error {
	for _, v := range []victim{a.fatigued, a.sprayed, a.owner} {
		cases, err := a.s.db.CaseList(ctx, respond.CaseQuery{AccountID: a.d.Account.ID, PersonID: v.UserID, Limit: 1})
		if err != nil {
			return err
		}
		if len(cases) == 0 || cases[0].UpdatedAt.Before(a.began.Truncate(time.Microsecond)) {
			continue
		}
		rec, err := a.s.db.Case(ctx, a.d.Account.ID, cases[0].ID)
		if err != nil {
			return err
		}
		a.records[v.UserID] = rec
		for _, m := range rec.Moments {
			if m.Seq <= a.seen[rec.Case.ID] {
				continue
			}
			a.seen[rec.Case.ID] = m.Seq
			if kind, text := a.words(rec, m); text != "" && !m.At.Before(a.began.Truncate(time.Microsecond)) {
				a.sayAt(m.At, kind, v.DisplayName, "%s", text)
			}
		}
	}
	return nil
}

// words are the kind and the text of a line about a moment; an empty text: it is of no interest here.
func (a *Attack) words(rec respond.Record, m respond.Moment) (kind, text string) {
	f := m.Facts
	switch m.Kind {
	case "opened":
		return "finding", fmt.Sprintf("case %d is open", rec.Case.Number)
	case "finding":
		return "finding", fmt.Sprintf("%s (%s, %s)", f["title"], f["rule"], f["level"])
	case "run":
		return "guard", a.checks(rec, f["run"])
	case "approval_asked":
		return "approval", "asked of Security and owners; nobody answering by " + clock(f["until"]) + " means no"
	case "vote":
		said := map[bool]string{true: "approves", false: "denies"}[f["approve"] == "true"]
		return "approval", strings.TrimSuffix(a.called(m.Actor)+" "+said+": "+f["reason"], ": ")
	case "approval":
		return "approval", f["state"]
	case "action":
		return a.action(f)
	case "hold_goes_on":
		why := map[string]string{"newer_finding": "there was another finding", "pending": "an answer is waited for", "kept": "somebody wants it so"}[f["why"]]
		return "goes_on", "the lease is over, but " + why + ": suspended until " + clock(f["until"])
	case "released":
		return "released", "the suspension ended by itself"
	case "undone":
		return "released", "undone by " + a.called(m.Actor)
	}
	return "", ""
}

func (a *Attack) action(f map[string]string) (kind, text string) {
	if f["state"] != string(respond.ActionDone) {
		return "suspended", f["kind"] + " at " + f["target"] + ": " + f["state"]
	}
	switch respond.ActionKind(f["kind"]) {
	case respond.ActSuspend:
		return "suspended", "suspended until " + clock(f["until"])
	case respond.ActEndSessions:
		return "suspended", "sessions ended"
	}
	return "", ""
}

// checks says which guard rails a run passed and which one it did not. Runs of playbooks that only observe are left out.
func (a *Attack) checks(rec respond.Record, runID string) string {
	for _, r := range rec.Runs {
		if r.ID != runID || r.Mode != respond.ModeEnforce {
			continue
		}
		var passed []string
		rest := ""
		for _, c := range r.Checks {
			name := strings.ReplaceAll(string(c.Name), "_", " ")
			switch {
			case c.Verdict != respond.Pass:
				rest = "; " + name + ": " + c.Sentence()
			case c.Name == respond.CheckBlast:
				used, _ := strconv.Atoi(c.Facts["used"]) // a fact that is missing reads as 0, as the check has it
				passed = append(passed, fmt.Sprintf("%s (%d of %s)", name, used+1, c.Facts["limit"]))
			default:
				passed = append(passed, name)
			}
		}
		return "passed: " + strings.Join(passed, ", ") + rest
	}
	return ""
}

// called is the name of an actor who is a person of the demo.
func (a *Attack) called(actor string) string {
	for _, p := range []signin.Person{a.guardian.Person, a.fatigued.Person, a.sprayed.Person, a.owner.Person} {
		if actor == p.Actor() {
			return p.DisplayName
		}
	}
	if actor == "user:"+a.d.Owner.ID {
		return a.d.Owner.DisplayName
	}
	return actor
}

// clock is the time of day of an instant in RFC 3339.
func clock(stamp string) string {
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return stamp
	}
	return at.UTC().Format("15:04:05")
}

// signInOf is when the person was let in first since then.
func (s *Server) signInOf(ctx context.Context, p signin.Person, since time.Time) (time.Time, error) {
	all, err := s.signin.Attempts(ctx, signin.AttemptQuery{AccountID: p.AccountID, UserID: p.UserID, From: since, Limit: 100})
	at := since
	for _, x := range all {
		if x.Category == signin.Success {
			at = x.At
		}
	}
	return at, err
}

// suspended are the ids of all who are suspended.
func (a *Attack) suspended(ctx context.Context) ([]string, error) {
	us, err := a.s.db.ListUsers(ctx, a.d.Account.ID, directory.ListQuery{State: directory.OnlySuspended, Limit: 1000})
	ids := make([]string, len(us))
	for i, u := range us {
		ids[i] = u.ID
	}
	return ids, err
}

// strangers counts those who are suspended, were not before, and were not attacked; and those whom a case suspended
// in between.
func (a *Attack) strangers(ctx context.Context, r *AttackResult) error {
	found := map[string]bool{}
	now, err := a.suspended(ctx)
	if err != nil {
		return err
	}
	for _, id := range now {
		found[id] = !slices.Contains(a.before, id)
	}
	cases, err := a.s.db.CaseList(ctx, respond.CaseQuery{AccountID: a.d.Account.ID, Limit: 1000})
	if err != nil {
		return err
	}
	for _, c := range cases {
		if c.UpdatedAt.Before(a.began) {
			continue
		}
		rec, err := a.s.db.Case(ctx, a.d.Account.ID, c.ID)
		if err != nil {
			return err
		}
		for _, x := range rec.Actions {
			if x.Kind == respond.ActSuspend && (x.State == respond.ActionDone || x.State == respond.ActionUndone) && !x.Already {
				found[x.PersonID] = true
			}
		}
	}
	for _, v := range []victim{a.fatigued, a.sprayed, a.owner} {
		delete(found, v.UserID)
	}
	n := 0
	for _, is := range found {
		if is {
			n++
		}
	}
	r.WronglySuspended = max(r.WronglySuspended, n)
	return nil
}
