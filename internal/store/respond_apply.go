package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/jobs"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
)

// openCase opens the case of the subject.
func (w *work) openCase(plans []respond.Plan) error {
	state, err := w.tx.respondState(w.account)
	if err != nil {
		return err
	}
	state.cases++
	if err := w.tx.setRespondState(w.account, state); err != nil {
		return err
	}
	if err := respond.MoveCase("", respond.CaseOpen); err != nil {
		return err
	}
	now := w.tx.now.Truncate(time.Microsecond)
	w.cse = respond.Case{
		AccountID: w.account, ID: seal.NewID(), Number: state.cases, Subject: w.subject, Title: w.finding.Title, Level: w.finding.Level,
		State: respond.CaseOpen, OpenedAt: now, UpdatedAt: now,
	}
	_, err = w.tx.exec(`INSERT INTO cases (account_id, id, number, subject_key, person_id, name, email, title, level, state, resolution, note, assignee_id,
		opened_at, updated_at, closed_by, findings, pending) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', '', '', $11, $12, '', 0, 0)`,
		w.account, w.cse.ID, w.cse.Number, w.subject.Key(), w.subject.PersonID, w.subject.Name, w.subject.Email,
		storable(w.cse.Title, mostText), string(w.cse.Level), string(w.cse.State), now.UnixMicro(), now.UnixMicro())
	if err != nil {
		return fmt.Errorf("open case: %w", err)
	}
	w.exists, w.out.Opened, w.out.CaseID = true, true, w.cse.ID
	actor := w.by.Actor
	for _, p := range plans {
		if p.State != respond.RunStopped && p.Playbook != "" {
			actor = playbookActor(p.Playbook)
			break
		}
	}
	if err := w.moment("opened", actor, map[string]string{"title": w.cse.Title, "level": string(w.cse.Level)}); err != nil {
		return err
	}
	return w.tx.append(w.account, audit.Entry{Actor: actor, Action: audit.CaseOpen, Target: "case:" + w.cse.ID, Reason: caseWords(w.cse)})
}

func playbookActor(name string) string { return "playbook:" + name }

// addFinding puts the finding to the case.
func (w *work) addFinding() error {
	f := w.finding
	n, err := w.tx.exec(`INSERT INTO case_findings (account_id, case_id, finding_id, seq, at, level, added_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account_id, case_id, seq) DO NOTHING`,
		w.account, w.cse.ID, f.ID, f.Seq, f.Time.UnixMicro(), string(f.Level), w.tx.now.UnixMicro())
	if err != nil {
		return fmt.Errorf("put finding %q to the case: %w", f.ID, err)
	}
	if n == 0 {
		return nil
	}
	if _, err := w.tx.exec("UPDATE findings SET case_id = $1 WHERE account_id = $2 AND seq = $3", w.cse.ID, w.account, f.Seq); err != nil {
		return fmt.Errorf("note the case of finding %q: %w", f.ID, err)
	}
	if err := w.raise(f.Title, f.Level); err != nil {
		return err
	}
	return w.moment("finding", "", map[string]string{
		"finding": f.ID, "rule": f.Rule, "title": f.Title, "level": string(f.Level), "at": f.Time.Format(time.RFC3339),
	})
}

// raise gives the case the title of what is worse.
func (w *work) raise(title string, level detect.Level) error {
	if !worse(level, w.cse.Level) {
		return nil
	}
	w.cse.Title, w.cse.Level = storable(cmp.Or(title, w.cse.Title), mostText), level
	if _, err := w.tx.exec("UPDATE cases SET title = $1, level = $2 WHERE account_id = $3 AND id = $4", w.cse.Title, string(level), w.account, w.cse.ID); err != nil {
		return fmt.Errorf("raise case %q: %w", w.cse.ID, err)
	}
	return nil
}

// assign gives a case that nobody has to whom the playbook names.
func (w *work) assign(assignee string) error {
	if assignee == "" || w.cse.AssigneeID != "" || !w.exists {
		return nil
	}
	rows, err := w.tx.rows("SELECT id FROM users WHERE account_id = $1 AND id = $2 UNION SELECT id FROM users WHERE account_id = $1 AND email_key = $3",
		w.account, assignee, directory.EmailKey(assignee))
	id, ok, err := one(rows, err, func(r scanner) (id string, err error) { return id, r.Scan(&id) })
	if err != nil {
		return fmt.Errorf("look for %q, to whom a case is given: %w", assignee, err)
	}
	if !ok {
		return nil // they are gone; the case is everybody's
	}
	w.cse.AssigneeID = id
	if _, err := w.tx.exec("UPDATE cases SET assignee_id = $1 WHERE account_id = $2 AND id = $3", id, w.account, w.cse.ID); err != nil {
		return fmt.Errorf("assign case %q: %w", w.cse.ID, err)
	}
	return w.moment("assigned", "", map[string]string{"user": id})
}

// addRun stores the run of a plan and does what it says.
func (w *work) addRun(p respond.Plan) error {
	if err := respond.MoveRun("", p.State); err != nil {
		return err
	}
	run := respond.Run{
		AccountID: w.account, ID: seal.NewID(), CaseID: w.cse.ID, FindingID: w.finding.ID, Playbook: p.Playbook, Version: p.Version, Mode: p.Mode,
		State: p.State, Checks: p.Checks, DedupeKey: storable(p.DedupeKey, mostText), CreatedAt: w.tx.now.Truncate(time.Microsecond),
	}
	checks, err := asJSON(p.Checks)
	if err != nil {
		return err
	}
	question, err := laterQuestion(p)
	if err != nil {
		return err
	}
	_, err = w.tx.exec(`INSERT INTO runs (account_id, id, case_id, finding_id, playbook, version, mode, state, checks, dedupe_key, question, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, w.account, run.ID, run.CaseID, run.FindingID, run.Playbook, run.Version,
		string(run.Mode), string(run.State), checks, run.DedupeKey, question, run.CreatedAt.UnixMicro())
	if err != nil {
		return fmt.Errorf("insert run of %q: %w", p.Playbook, err)
	}
	if w.exists {
		if err := w.raise(p.Title, p.Level); err != nil {
			return err
		}
		if err := w.assign(p.Assignee); err != nil {
			return err
		}
	}
	by := audit.Entry{Actor: playbookActor(p.Playbook)}
	if err := w.carryOut(&run, p, by); err != nil {
		return err
	}
	w.out.Runs = append(w.out.Runs, run)
	return nil
}

// carryOut does what a plan says, of a run that is stored.
func (w *work) carryOut(run *respond.Run, p respond.Plan, by audit.Entry) error {
	if !w.exists { // nothing has an effect then
		return w.endRun(run)
	}
	facts := map[string]string{"playbook": p.Playbook, "run": run.ID, "state": string(p.State)}
	if n := len(p.Checks); n > 0 && p.Checks[n-1].Verdict != respond.Pass {
		c := p.Checks[n-1]
		facts["check"], facts["code"] = string(c.Name), c.Code
		for k, v := range c.Facts {
			facts["check."+k] = v
		}
	}
	if p.Override != "" {
		facts["override"] = p.Override
	}
	if err := w.moment("run", by.Actor, facts); err != nil {
		return err
	}
	send := func(template string) error {
		return w.tx.enqueue(jobs.Job{Args: respond.Send{AccountID: w.account, CaseID: w.cse.ID, Template: template, RunID: run.ID}})
	}
	switch p.State {
	case respond.RunHeld:
		reason := caseWords(w.cse) + " (" + facts["check"] + ": " + facts["code"] + ")"
		if err := w.tx.append(w.account, by.For(audit.RunHold, "case:"+w.cse.ID).Because(reason)); err != nil {
			return err
		}
		if err := send(respond.TemplateHeld); err != nil {
			return err
		}
	case respond.RunWaiting:
		if _, err := w.plan(run, p, by, false); err != nil {
			return err
		}
		if err := w.ask(run, p, by); err != nil {
			return err
		}
	case respond.RunActing, respond.RunDone:
		actions, err := w.plan(run, p, by, true)
		if err != nil {
			return err
		}
		if err := w.ask(run, p, by); err != nil {
			return err
		}
		if p.Question != nil {
			if err := w.tx.addQuestion(w.account, w.cse.ID, run.ID, *p.Question); err != nil {
				return err
			}
		}
		if err := w.actNow(actions, by); err != nil {
			return err
		}
	}
	if p.Page && p.State != respond.RunHeld {
		if err := send(respond.TemplatePage); err != nil {
			return err
		}
	}
	return w.endRun(run)
}

// goOn writes what a person does: they go on with a held run, or act by themselves.
func (w *work) goOn(run *respond.Run, p respond.Plan, on respond.Manual) error {
	if run != nil {
		if err := respond.MoveRun(run.State, p.State); err != nil {
			return err
		}
		checks, err := asJSON(p.Checks)
		if err != nil {
			return err
		}
		question, err := laterQuestion(p)
		if err != nil {
			return err
		}
		run.State, run.Checks, run.Version, run.Mode, run.DedupeKey = p.State, p.Checks, p.Version, p.Mode, storable(p.DedupeKey, mostText)
		if _, err := w.tx.exec("UPDATE runs SET state = $1, checks = $2, version = $3, mode = $4, dedupe_key = $5, question = $6 WHERE account_id = $7 AND id = $8",
			string(run.State), checks, run.Version, string(run.Mode), run.DedupeKey, question, w.account, run.ID); err != nil {
			return fmt.Errorf("go on with run %q: %w", run.ID, err)
		}
	}
	what := "goes on with the playbook " + p.Playbook
	if run == nil {
		what = string(on.Kind) + " at " + cmp.Or(on.Target, respond.LocalTarget)
	}
	reason := caseWords(w.cse) + "; " + what
	if on.Override != "" {
		reason += "; beyond the guard rails: " + on.Override
	}
	if err := w.tx.append(w.account, w.by.Because(reason)); err != nil {
		return err
	}
	if run != nil {
		if err := w.carryOut(run, p, w.by); err != nil {
			return err
		}
		w.out.Runs = append(w.out.Runs, *run)
		return nil
	}
	facts := map[string]string{"kind": string(on.Kind), "target": cmp.Or(on.Target, respond.LocalTarget)}
	if on.Override != "" {
		facts["override"] = on.Override
	}
	if err := w.moment("manual", w.by.Actor, facts); err != nil {
		return err
	}
	actions, err := w.plan(nil, p, w.by, true)
	if err != nil {
		return err
	}
	return w.actNow(actions, w.by)
}

// plan stores the actions of a plan. Those of a run that waits have a place in the counts, and no job yet; those on the
// account's own directory are done in this transaction, and have none either.
func (w *work) plan(run *respond.Run, p respond.Plan, by audit.Entry, jobsToo bool) ([]respond.Action, error) {
	actions := slices.Clone(p.Actions)
	for i := range actions {
		a := &actions[i]
		a.AccountID, a.ID, a.CaseID, a.PlannedAt = w.account, seal.NewID(), w.cse.ID, w.tx.now.Truncate(time.Microsecond)
		a.By, a.State, a.PersonID = cmp.Or(a.By, by.Actor), respond.ActionPlanned, cmp.Or(a.PersonID, w.cse.Subject.PersonID)
		a.Override = cmp.Or(a.Override, p.Override)
		if run != nil {
			a.RunID = run.ID
		}
		if err := w.keepOut(*a); err != nil {
			return nil, err
		}
		if err := w.tx.insertAction(*a, p.Playbook); err != nil {
			return nil, err
		}
		if !jobsToo || local(*a) {
			continue
		}
		if err := w.tx.enqueue(jobs.Job{Args: respond.Do{AccountID: w.account, ActionID: a.ID}}); err != nil {
			return nil, err
		}
		w.out.Planned = append(w.out.Planned, *a)
	}
	return actions, nil
}

// keepOut cancels the way back of an earlier suspension in the same place, as long as it has not begun.
func (w *work) keepOut(a respond.Action) error {
	if a.Kind != respond.ActSuspend || local(a) {
		return nil
	}
	all, err := readActions(w.tx, actionsOfCase, w.account, w.cse.ID)
	if err != nil {
		return err
	}
	for _, x := range all {
		if x.Kind == respond.ActReactivate && x.Target == a.Target && x.State == respond.ActionPlanned {
			if err := w.tx.ended(&x, w.cse, respond.Result{State: respond.ActionCancelled, Code: "suspended_again"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// local says whether the action is one on the account's own directory.
func local(a respond.Action) bool {
	switch a.Kind {
	case respond.ActSuspend, respond.ActReactivate, respond.ActEndSessions:
		return a.Target == respond.LocalTarget
	}
	return false
}

func (tx *Tx) insertAction(a respond.Action, playbook string) error {
	if err := respond.MoveAction("", a.State); err != nil {
		return err
	}
	var counted, reserved any
	if a.Kind == respond.ActSuspend && a.PersonID != "" {
		reserved = 1
		if playbook != "" {
			counted = tx.now.UnixMicro()
		}
	}
	_, err := tx.exec(`INSERT INTO actions (account_id, id, case_id, run_id, step, kind, target, template, person_id, state, attempts, code, reason, planned_at,
		hold_for, release, until_at, hold_id, already, kept, unwanted, override, actor, playbook, counted_at, reserved)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', '', $11, $12, $13, $14, '', $15, $15, $15, $16, $17, $18, $19, $20)`,
		a.AccountID, a.ID, a.CaseID, a.RunID, a.Step, string(a.Kind), a.Target, a.Template, a.PersonID, string(a.State), a.PlannedAt.UnixMicro(),
		a.For.Microseconds(), string(a.Release), micros(a.Until), false, storable(a.Override, mostText), a.By, playbook, counted, reserved)
	if err != nil {
		return fmt.Errorf("insert action: %w", err)
	}
	return nil
}

// moment adds a line to the timeline of the case.
func (w *work) moment(kind, actor string, facts map[string]string) error {
	return w.tx.moment(w.account, w.cse.ID, respond.Moment{Kind: kind, Actor: actor, Facts: facts})
}

func (tx *Tx) moment(account, caseID string, m respond.Moment) error {
	facts := map[string]string{}
	for k, v := range m.Facts {
		if v != "" {
			facts[k] = storable(v, mostText)
		}
	}
	text, err := asJSON(facts)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO case_moments (account_id, case_id, seq, at, kind, actor, facts)
		SELECT $1, $2, COALESCE((SELECT seq FROM case_moments WHERE account_id = $1 AND case_id = $2 ORDER BY seq DESC LIMIT 1), 0) + 1, $3, $4, $5, $6`,
		account, caseID, tx.now.UnixMicro(), m.Kind, m.Actor, strings.ToValidUTF8(text, ""))
	if err != nil {
		return fmt.Errorf("write the timeline of case %q: %w", caseID, err)
	}
	return nil
}
