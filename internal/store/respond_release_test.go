package store_test

import (
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/store/storetest"
)

// TestReleaseDue: a hold ends at its time, its own and no other, unless something keeps it.
func TestReleaseDue(t *testing.T) {
	const day = 24 * time.Hour
	holds := []struct {
		name      string
		release   respond.Release
		prepare   func(t *testing.T, s *scene, mira directory.User, action string)
		released  bool
		suspended bool
		why       string
	}{
		{"quiet", respond.ReleaseIfQuiet, func(*testing.T, *scene, directory.User, string) {}, true, false, ""},
		{"newer_finding", respond.ReleaseIfQuiet, func(_ *testing.T, s *scene, mira directory.User, _ string) {
			s.pass(time.Hour)
			s.find(mira.ID, detect.Medium)
			s.pass(-time.Hour)
		}, false, true, "newer_finding"},
		{"newer_finding_of_no_weight", respond.ReleaseIfQuiet, func(_ *testing.T, s *scene, mira directory.User, _ string) {
			s.pass(time.Hour)
			s.find(mira.ID, detect.Low)
			s.pass(-time.Hour)
		}, true, false, ""},
		{"always", respond.ReleaseAlways, func(_ *testing.T, s *scene, mira directory.User, _ string) {
			s.pass(time.Hour)
			s.find(mira.ID, detect.Critical)
			s.pass(-time.Hour)
		}, true, false, ""},
		{"kept", respond.ReleaseAlways, func(t *testing.T, s *scene, _ directory.User, action string) {
			must(t, s.KeepHold(t.Context(), s.id, action, true, user(s.owner.ID)))
		}, false, true, "kept"},
		{"not_kept_any_more", respond.ReleaseAlways, func(t *testing.T, s *scene, _ directory.User, action string) {
			must(t, s.KeepHold(t.Context(), s.id, action, true, user(s.owner.ID)))
			must(t, s.KeepHold(t.Context(), s.id, action, false, user(s.owner.ID)))
		}, true, false, ""},
		{"another_holder", respond.ReleaseIfQuiet, func(t *testing.T, s *scene, mira directory.User, _ string) {
			_, err := s.SuspendUser(t.Context(), s.id, mira.ID, directory.NewHold{Holder: "operator:test", Reason: "leave"}, storetest.By())
			must(t, err)
		}, true, true, ""},
		{"never", respond.ReleaseNever, func(*testing.T, *scene, directory.User, string) {}, false, true, ""},
	}
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		base := newScene(t, p)
		for _, tt := range holds {
			t.Run(tt.name, func(t *testing.T) {
				s := base.anew(t)
				mira := s.person("mira")
				s.find(mira.ID, detect.High)
				id := s.respond(plan(respond.RunActing, suspend(respond.LocalTarget, day, tt.release))).CaseID
				action := s.record(id).Actions[0].ID
				tt.prepare(t, s, mira, action)

				s.pass(-time.Hour) // a clock that jumps back ends nothing
				must(t, s.ReleaseDue(t.Context(), s.id, action))
				want(t, "suspended", s.suspended(mira.ID), true)
				s.pass(time.Hour + day)
				must(t, s.ReleaseDue(t.Context(), s.id, action))
				must(t, s.ReleaseDue(t.Context(), s.id, action)) // the job runs once more
				r := s.record(id)
				want(t, "suspended", s.suspended(mira.ID), tt.suspended)
				want(t, "undone", r.Actions[0].State == respond.ActionUndone, tt.released)
				want(t, "contained", r.Case.State == respond.CaseContained, !tt.released)
				want(t, "entries", s.audited(audit.HoldRelease), map[bool]int64{true: 1}[tt.released])
				last := r.Moments[len(r.Moments)-1]
				if tt.why != "" {
					want(t, "reason", last.Facts["why"], tt.why)
					want(t, "end", r.Case.HeldUntil, s.now().Add(day))
				}
				if tt.released {
					want(t, "moment", last.Kind, "released")
				}
			})
		}
	})
}

// TestReactivated: who reactivates a person in the directory ends the case's hold, and the case knows.
func TestReactivated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		s := newScene(t, p)
		mira := s.person("mira")
		s.find(mira.ID, detect.High)
		id := s.respond(plan(respond.RunActing, forEver())).CaseID
		_, err := s.CloseCase(t.Context(), s.id, id, respond.TrueAttack, "", user(s.owner.ID))
		s.fails(err, respond.CodeStillHolding)
		_, err = s.ReactivateUser(t.Context(), s.id, mira.ID, user(s.owner.ID))
		must(t, err)
		r := s.record(id)
		want(t, "state", r.Case.State, respond.CaseOpen)
		want(t, "action", r.Actions[0].State, respond.ActionUndone)
		use, err := s.GuardUse(t.Context(), s.id)
		must(t, err)
		want(t, "use", use, respond.GuardUse{Suspended: 1, Active: 2}) // undone, and counts all the same

		// The case outlives the person.
		must(t, s.RemoveUser(t.Context(), s.id, mira.ID, user(s.owner.ID)))
		must(t, s.CommentCase(t.Context(), s.id, id, "gone", user(s.owner.ID)))
		closed, err := s.CloseCase(t.Context(), s.id, id, respond.FalseAlarm, "it was her", user(s.owner.ID))
		must(t, err)
		want(t, "state", closed.State, respond.CaseClosed)
		want(t, "name", closed.Subject.Email, "mira@example.org")
		_, err = s.CloseCase(t.Context(), s.id, id, respond.FalseAlarm, "", user(s.owner.ID))
		s.fails(err, respond.CodeFinal)
		_, err = s.UndoCase(t.Context(), s.id, id, "", user(s.owner.ID))
		s.fails(err, respond.CodeFinal)

		// Who is removed while a case holds them: the hold is over, and the case can be closed.
		yuki := s.person("yuki")
		s.find(yuki.ID, detect.High)
		held := s.respond(plan(respond.RunActing, forEver())).CaseID
		must(t, s.RemoveUser(t.Context(), s.id, yuki.ID, user(s.owner.ID)))
		want(t, "state", s.record(held).Case.State, respond.CaseOpen)
		_, err = s.CloseCase(t.Context(), s.id, held, respond.Benign, "", user(s.owner.ID))
		must(t, err)

		// What comes later opens another.
		s.find(mira.ID, detect.High)
		next := s.respond(plan(respond.RunActing, forEver()))
		want(t, "opened", next.Opened, true)
		want(t, "refused", s.record(next.CaseID).Actions[0].Code, "no_user")
		list, err := s.CaseList(t.Context(), respond.CaseQuery{AccountID: s.id, Limit: 5})
		must(t, err)
		want(t, "cases", len(list), 3)
		want(t, "newest first", list[0].Number, 3)
		counts, err := s.CaseCounts(t.Context(), s.id)
		must(t, err)
		want(t, "counts", counts, respond.CaseCounts{Open: 1})
	})
}

// elsewhere is a scene with a suspension at a target.
func elsewhere(base *scene, t *testing.T, length time.Duration, r respond.Release) (s *scene, caseID, action string) {
	s = base.anew(t)
	mira := s.person("mira")
	s.find(mira.ID, detect.High)
	out := s.respond(plan(respond.RunActing, forEver(), suspend("eu", length, r)))
	if len(out.Planned) != 1 {
		t.Fatalf("%d actions are planned, want the one at the target", len(out.Planned))
	}
	return s, out.CaseID, out.Planned[0].ID
}

// begin begins an action, and returns its state.
func (s *scene) begin(action string) (respond.ActionState, bool) {
	s.t.Helper()
	a, ok, err := s.Begin(s.t.Context(), s.id, action, passes)
	must(s.t, err)
	return a.State, ok
}

// TestElsewhere is about targets and what people do, in one database.
func TestElsewhere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		base := newScene(t, p)
		for name, test := range map[string]func(*testing.T, *scene){
			"remote": testRemote, "remote_release": testRemoteRelease, "undo_on_the_way": testUndoOnTheWay, "already": testAlready,
			"killed_between": testKilledBetween, "manual": testManual,
		} {
			t.Run(name, func(t *testing.T) { test(t, base) })
		}
	})
}

// testRemote: an action elsewhere is begun once; what is not known is read back; undoing plans the way back.
func testRemote(t *testing.T, base *scene) {
	jobs := base.queued("respond.do")
	s, id, action := elsewhere(base, t, time.Hour, respond.ReleaseIfQuiet)
	state, ok := s.begin(action)
	want(t, "state", state, respond.ActionBegun)
	want(t, "to do", ok, true)
	s.pass(time.Minute)
	state, ok = s.begin(action) // the process that had begun it is gone
	want(t, "state", state, respond.ActionUnknown)
	want(t, "to read back", ok, true)
	must(t, s.Finish(t.Context(), s.id, action, respond.Result{State: respond.ActionPlanned, RetryAt: s.now().Add(time.Minute), Code: "timeout"}))
	want(t, "jobs", s.queued("respond.do")-jobs, 2)
	s.begin(action)
	must(t, s.Finish(t.Context(), s.id, action, respond.Result{State: respond.ActionDone}))
	r := s.record(id)
	want(t, "state", r.Runs[0].State, respond.RunDone)
	want(t, "attempts", r.Actions[1].Attempts, 2)
	want(t, "end", r.Actions[1].Until, s.now().Add(time.Hour))
	want(t, "entries", s.audited(audit.CaseAct), 1)

	// The directory's hold is released by a person: the target's keeps the case contained.
	_, err := s.ReactivateUser(t.Context(), s.id, r.Case.Subject.PersonID, user(s.owner.ID))
	must(t, err)
	want(t, "state", s.record(id).Case.State, respond.CaseContained)

	c, err := s.UndoCase(t.Context(), s.id, id, "a drill", user(s.owner.ID))
	must(t, err)
	want(t, "state", c.State, respond.CaseContained) // until it is done
	_, err = s.UndoCase(t.Context(), s.id, id, "once more", user(s.owner.ID))
	must(t, err)
	r = s.record(id)
	want(t, "actions", len(r.Actions), 3)
	back := r.Actions[2]
	want(t, "way back", back.Kind, respond.ActReactivate)
	s.begin(back.ID)
	must(t, s.Finish(t.Context(), s.id, back.ID, respond.Result{State: respond.ActionDone}))
	r = s.record(id)
	want(t, "suspension", r.Actions[1].State, respond.ActionUndone)
	want(t, "state", r.Case.State, respond.CaseOpen)
	storetest.Verify(t, s.DB, s.id)
}

// testRemoteRelease: the end of a hold elsewhere plans the way back there.
func testRemoteRelease(t *testing.T, base *scene) {
	s, id, action := elsewhere(base, t, time.Hour, respond.ReleaseAlways)
	s.begin(action)
	must(t, s.Finish(t.Context(), s.id, action, respond.Result{State: respond.ActionDone}))
	s.pass(time.Hour)
	must(t, s.ReleaseDue(t.Context(), s.id, action))
	must(t, s.ReleaseDue(t.Context(), s.id, action))
	r := s.record(id)
	want(t, "actions", len(r.Actions), 3)
	want(t, "way back", r.Actions[2].Kind, respond.ActReactivate)
	want(t, "suspended here", s.suspended(r.Case.Subject.PersonID), true)
}

// testUndoOnTheWay: what is undone while its outcome is not known is taken back once it is.
func testUndoOnTheWay(t *testing.T, base *scene) {
	s, id, action := elsewhere(base, t, 0, respond.ReleaseNever)
	s.begin(action)
	_, err := s.UndoCase(t.Context(), s.id, id, "", user(s.owner.ID))
	must(t, err)
	s.pass(time.Second)
	must(t, s.Finish(t.Context(), s.id, action, respond.Result{State: respond.ActionDone}))
	r := s.record(id)
	want(t, "actions", len(r.Actions), 3)
	want(t, "way back", r.Actions[2].Kind, respond.ActReactivate)
}

// testAlready: who was suspended elsewhere before stays so when the case is undone, and takes nobody's place.
func testAlready(t *testing.T, base *scene) {
	s := base.anew(t)
	s.find(s.person("mira").ID, detect.High)
	out := s.respond(plan(respond.RunActing, suspend("eu", 0, respond.ReleaseNever)))
	s.begin(out.Planned[0].ID)
	must(t, s.Finish(t.Context(), s.id, out.Planned[0].ID, respond.Result{State: respond.ActionDone, Already: true}))
	want(t, "state", s.record(out.CaseID).Case.State, respond.CaseOpen)
	use, err := s.GuardUse(t.Context(), s.id)
	must(t, err)
	want(t, "use", use, respond.GuardUse{Active: 2})
	_, err = s.UndoCase(t.Context(), s.id, out.CaseID, "", user(s.owner.ID))
	must(t, err)
	want(t, "actions", len(s.record(out.CaseID).Actions), 1)
}

// testKilledBetween: what was planned is not begun after the kill switch was turned on; a person may go on later.
func testKilledBetween(t *testing.T, base *scene) {
	jobs := base.queued("respond.do")
	s, id, action := elsewhere(base, t, 0, respond.ReleaseNever)
	_, err := s.ChangeGuard(t.Context(), s.id, func(g *respond.Guard) error {
		g.Kill = respond.Kill{On: true, Door: "console", Reason: "wrong rule"}
		return nil
	}, user(s.owner.ID))
	must(t, err)
	again := func(f respond.Facts, _ respond.Action) (respond.Check, error) {
		if f.Guard.Kill.On {
			return respond.Check{Name: respond.CheckKill, Verdict: respond.Hold, Code: "on"}, nil
		}
		return respond.Check{Name: respond.CheckKill, Verdict: respond.Pass}, nil
	}
	_, ok, err := s.Begin(t.Context(), s.id, action, again)
	must(t, err)
	want(t, "begun", ok, false)
	r := s.record(id)
	want(t, "action", r.Actions[1].State, respond.ActionCancelled)
	want(t, "run", r.Runs[0].State, respond.RunHeld)
	want(t, "entries", s.audited(audit.RunHold)+s.audited(audit.GuardKill), 2)

	_, err = s.ChangeGuard(t.Context(), s.id, func(g *respond.Guard) error { g.Kill.On = false; return nil }, user(s.owner.ID))
	must(t, err)
	want(t, "entries", s.audited(audit.GuardResume), 1)
	s.pass(time.Second)
	on := respond.Manual{CaseID: id, RunID: r.Runs[0].ID, Override: "it is an attack"}
	_, err = s.RespondTo(t.Context(), s.id, on, func(f respond.Facts) (respond.Plan, error) {
		return respond.Plan{}, problem.Coded(problem.Conflict, "no", "not like this")
	}, user(s.owner.ID))
	s.fails(err, "no")
	out, err := s.RespondTo(t.Context(), s.id, on, func(f respond.Facts) (respond.Plan, error) {
		want(t, "held at", len(f.HeldAt), 1)
		want(t, "run", f.Run.ID, on.RunID)
		x := plan(respond.RunActing, suspend("eu", 0, respond.ReleaseNever))
		x.Override = on.Override
		return x, nil
	}, user(s.owner.ID))
	must(t, err)
	want(t, "planned", len(out.Planned), 1)
	r = s.record(id)
	want(t, "run", r.Runs[0].State, respond.RunActing)
	want(t, "stated reason", r.Actions[2].Override, on.Override)
	want(t, "actor", r.Actions[2].By, "user:"+s.owner.ID)
	want(t, "jobs", s.queued("respond.do")-jobs, 2)
	_, err = s.RespondTo(t.Context(), s.id, on, nil, user(s.owner.ID))
	s.fails(err, respond.CodeWrongState)
}

// testManual: what a person does from a case is theirs, and does not take a playbook's place.
func testManual(t *testing.T, base *scene) {
	s := base.anew(t)
	mira := s.person("mira")
	s.find(mira.ID, detect.High)
	id := s.respond().CaseID
	on := respond.Manual{CaseID: id, Kind: respond.ActSuspend, Target: respond.LocalTarget}
	_, err := s.RespondTo(t.Context(), s.id, on, func(respond.Facts) (respond.Plan, error) {
		x := plan(respond.RunActing, forEver())
		x.Playbook = ""
		return x, nil
	}, user(s.owner.ID))
	must(t, err)
	r := s.record(id)
	want(t, "suspended", s.suspended(mira.ID), true)
	want(t, "runs", len(r.Runs), 0)
	want(t, "state", r.Case.State, respond.CaseContained)
	use, err := s.GuardUse(t.Context(), s.id)
	must(t, err)
	want(t, "use", use, respond.GuardUse{Held: 1, Active: 2})
	want(t, "entries of the person", s.count("SELECT COUNT(*) FROM audit_links WHERE actor = $1 AND action = 'user.suspend'", "user:"+s.owner.ID), 1)
}
