package store_test

import (
	"fmt"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// useRespond calls everything of response once.
func useRespond(t *testing.T, db *store.DB, account, owner string) {
	ctx, by := t.Context(), user(owner)
	s := &scene{DB: db, t: t, id: account}
	s.clock = newClock(time.Now())
	mira := s.person("respond").ID
	s.find(mira, detect.High)
	must(t, db.AwaitFindings(ctx, account))
	_, err := db.RespondingAccounts(ctx)
	must(t, err)
	x := plan(respond.RunActing, suspend(respond.LocalTarget, time.Hour, respond.ReleaseIfQuiet), suspend("eu", time.Hour, respond.ReleaseIfQuiet))
	x.Assignee = "owner@example.org"
	x.Approval = &respond.Approval{Order: respond.After, Needed: 2, From: []string{"Owners", "Team Members"}, OnTimeout: respond.TimeoutDeny, ExpiresAt: time.Now().Add(time.Hour)}
	x.Question = &respond.Question{PersonID: mira, OnConfirm: "release", OnDeny: "keep", OnSilence: "keep", AskedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	out, _, err := db.Respond(ctx, account, func(f respond.Facts) ([]respond.Plan, error) {
		_, err := f.LastRun("mfa-fatigue", "key")
		must(t, err)
		_, err = f.Suspensions("", f.Now.Add(-time.Hour))
		must(t, err)
		_, err = f.HeldPeople()
		must(t, err)
		for i := range x.Actions {
			x.Actions[i].PersonID = mira
		}
		return []respond.Plan{x}, nil
	})
	must(t, err)
	id := out.CaseID
	s.find(mira, detect.Low)
	s.respond(plan(respond.RunWaiting, forEver()), plan2("spray", respond.RunStopped), plan2("held", respond.RunHeld))
	_, _, err = db.Begin(ctx, account, out.Planned[0].ID, passes)
	must(t, err)
	must(t, db.Finish(ctx, account, out.Planned[0].ID, respond.Result{State: respond.ActionUnknown}))
	_, _, err = db.Begin(ctx, account, out.Planned[0].ID, passes)
	must(t, err)
	must(t, db.Finish(ctx, account, out.Planned[0].ID, respond.Result{State: respond.ActionDone}))
	r := s.record(id)
	s.record("1")
	useConsent(t, db, r, owner)
	for _, q := range []respond.CaseQuery{{}, {State: respond.CaseOpen}, {State: "pending"}, {Level: detect.High}, {PersonID: mira}, {State: respond.CaseContained, Level: detect.High, PersonID: mira, Before: 5}} {
		q.AccountID, q.Limit = account, 5
		_, err := db.CaseList(ctx, q)
		must(t, err)
	}
	_, err = db.CaseCounts(ctx, account)
	must(t, err)
	for _, name := range []string{"", "mfa-fatigue"} {
		_, err = db.Runs(ctx, account, name, 5)
		must(t, err)
	}
	_, err = db.RunCounts(ctx, account, time.Now().Add(-time.Hour))
	must(t, err)
	must(t, db.ReleaseDue(ctx, account, r.Actions[0].ID))
	must(t, db.KeepHold(ctx, account, r.Actions[0].ID, true, by), problem.Conflict)
	_, err = db.AssignCase(ctx, account, id, "", by)
	must(t, err)
	must(t, db.CommentCase(ctx, account, id, "seen", by))
	must(t, db.Notified(ctx, account, id, respond.Moment{Kind: "notified"}))
	_, err = db.RespondTo(ctx, account, respond.Manual{CaseID: id, Kind: respond.ActEndSessions}, func(respond.Facts) (respond.Plan, error) {
		return plan2("", respond.RunActing), nil
	}, by)
	must(t, err)
	_, err = db.UndoCase(ctx, account, id, "", by)
	must(t, err)
	_, err = db.CloseCase(ctx, account, id, respond.Benign, "", by)
	must(t, err, problem.Conflict)
	useSettings(t, db, account, by)
}

func plan2(name string, state respond.RunState) respond.Plan {
	x := plan(state)
	x.Playbook = name
	return x
}

// useConsent answers what is asked.
func useConsent(t *testing.T, db *store.DB, r respond.Record, owner string) {
	ctx, account, by := t.Context(), r.Case.AccountID, user(owner)
	a, q := r.Approvals[0].ID, r.Questions[0].ID
	_, err := db.Approvers(ctx, account, a)
	must(t, err)
	_, err = db.PendingApprovals(ctx, account, owner)
	must(t, err)
	_, err = db.PendingQuestions(ctx, account, r.Case.Subject.PersonID)
	must(t, err)
	must(t, db.AddLink(ctx, respond.Link{AccountID: account, ApprovalID: a, UserID: owner, Hash: []byte(a), ExpiresAt: time.Now().Add(time.Hour)}))
	_, _, err = db.ApprovalByLink(ctx, []byte(a))
	must(t, err)
	_, err = db.UseLink(ctx, []byte(a), respond.Vote{UserID: owner, Approve: true}, anybody, by)
	must(t, err)
	_, err = db.Vote(ctx, account, a, respond.Vote{UserID: owner, Approve: true}, anybody, by)
	must(t, err, problem.Conflict)
	must(t, db.ExpireApproval(ctx, account, a))
	must(t, db.ExpireQuestion(ctx, account, q))
	_, err = db.AnswerQuestion(ctx, account, q, r.Case.Subject.PersonID, false, user(r.Case.Subject.PersonID))
	must(t, err)
}

// useSettings calls everything of what is set.
func useSettings(t *testing.T, db *store.DB, account string, by audit.Entry) {
	ctx := t.Context()
	_, err := db.ChangeGuard(ctx, account, func(g *respond.Guard) error { g.MaxPeople = 3; return nil }, by)
	must(t, err)
	_, err = db.Guard(ctx, account)
	must(t, err)
	_, err = db.GuardUse(ctx, account)
	must(t, err)
	_, err = db.SavePlaybook(ctx, respond.StoredPlaybook{AccountID: account, Name: "own", Text: "x"}, by)
	must(t, err)
	_, _, err = db.Playbooks(ctx, account)
	must(t, err)
	_, err = db.PlaybookVersions(ctx, account, "own")
	must(t, err)
	must(t, db.RemovePlaybook(ctx, account, "own", by))
	target, err := db.SaveTarget(ctx, respond.TargetSetup{AccountID: account, Name: "EU", Kind: "users-api", Config: []byte("{}")}, by)
	must(t, err)
	_, err = db.SaveTarget(ctx, target, by)
	must(t, err)
	_, err = db.Targets(ctx, account)
	must(t, err)
	must(t, db.RemoveTarget(ctx, account, "eu", by))
	channel, err := db.SaveChannel(ctx, respond.Channel{AccountID: account, Name: "SOC", Kind: "slack", Config: []byte("{}"), Pages: true}, by)
	must(t, err)
	_, err = db.SaveChannel(ctx, channel, by)
	must(t, err)
	_, err = db.Channels(ctx, account)
	must(t, err)
	must(t, db.RemoveChannel(ctx, account, "soc", by))
}

// TestSettings: each change has the revision that it is made on, and leaves a version.
func TestSettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		s := newScene(t, p)
		ctx, by := t.Context(), user(s.owner.ID)
		g, err := s.Guard(ctx, s.id)
		must(t, err)
		want(t, "default", g.MaxPeople, respond.DefaultGuard().MaxPeople)
		until := s.now().Add(time.Hour)
		for i := range 2 {
			g, err = s.ChangeGuard(ctx, s.id, func(g *respond.Guard) error {
				g.MaxPeople, g.People, g.BreakGlass = 3+i, []respond.Protected{{ID: "A", Why: "on call", Until: until}}, []string{"B"}
				return nil
			}, by)
			must(t, err)
		}
		stored, err := s.Guard(ctx, s.id)
		must(t, err)
		want(t, "stored", fmt.Sprint(stored), fmt.Sprint(g))
		want(t, "revision", g.Revision, 2)
		_, err = s.ChangeGuard(ctx, s.id, func(*respond.Guard) error { return problem.Coded(problem.Conflict, "no", "not so") }, by)
		s.fails(err, "no")
		want(t, "entries", s.audited(audit.GuardSet), 3)

		b, err := s.SavePlaybook(ctx, respond.StoredPlaybook{AccountID: s.id, Name: "own", Text: "one", Version: "1"}, by)
		must(t, err)
		changed := b
		changed.Text, changed.Mode = "two", respond.ModeEnforce
		changed, err = s.SavePlaybook(ctx, changed, by)
		must(t, err)
		want(t, "revision", changed.Revision, 2)
		_, err = s.SavePlaybook(ctx, b, by)
		want(t, "an old revision", problem.KindOf(err), problem.Conflict)
		must(t, s.RemovePlaybook(ctx, s.id, "own", by))
		must(t, s.RemovePlaybook(ctx, s.id, "own", by), problem.NotFound)
		all, revision, err := s.Playbooks(ctx, s.id)
		must(t, err)
		want(t, "playbooks", len(all), 0)
		want(t, "revision of all", revision, 3)
		again, err := s.SavePlaybook(ctx, respond.StoredPlaybook{AccountID: s.id, Name: "own", Text: "one"}, by)
		must(t, err)
		want(t, "revision", again.Revision, 4)
		versions, err := s.PlaybookVersions(ctx, s.id, "own")
		must(t, err)
		want(t, "versions", len(versions), 3)

		target, err := s.SaveTarget(ctx, respond.TargetSetup{AccountID: s.id, Name: "EU", Kind: "users-api", Config: []byte(`{"url":"https://example.org"}`), Secret: []byte{1}}, by)
		must(t, err)
		_, err = s.SaveTarget(ctx, respond.TargetSetup{AccountID: s.id, Name: "eu", Kind: "users-api", Config: []byte("{}")}, by)
		want(t, "the same name", problem.KindOf(err), problem.Conflict)
		old := target
		target.Name = "Europe"
		target, err = s.SaveTarget(ctx, target, by)
		must(t, err)
		_, err = s.SaveTarget(ctx, old, by)
		want(t, "an old revision", problem.KindOf(err), problem.Conflict)
		targets, err := s.Targets(ctx, s.id)
		must(t, err)
		want(t, "stored", fmt.Sprint(targets), fmt.Sprint([]respond.TargetSetup{target}))
		channel, err := s.SaveChannel(ctx, respond.Channel{AccountID: s.id, Name: "SOC", Kind: "slack", Config: []byte("{}"), Pages: true}, by)
		must(t, err)
		channel.Pages = false
		channel, err = s.SaveChannel(ctx, channel, by)
		must(t, err)
		channels, err := s.Channels(ctx, s.id)
		must(t, err)
		want(t, "stored", fmt.Sprint(channels), fmt.Sprint([]respond.Channel{channel}))
		must(t, s.RemoveChannel(ctx, s.id, "soc", by))
		must(t, s.RemoveChannel(ctx, s.id, "soc", by), problem.NotFound)
		storetest.Verify(t, s.DB, s.id)
	})
}
