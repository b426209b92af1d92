package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// TestRespondSuspends: a finding leads to a case, a suspension that belongs to it, and an audit entry that says who did it.
func TestRespondSuspends(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		s := newScene(t, p)
		mira := s.person("mira")
		s.find(mira.ID, detect.High)
		out := s.respond(plan(respond.RunActing, suspend(respond.LocalTarget, 24*time.Hour, respond.ReleaseIfQuiet), respond.Action{Kind: respond.ActEndSessions, Target: respond.LocalTarget},
			respond.Action{Kind: respond.ActNotify, Target: "soc", Template: "suspended"}))
		want(t, "opened", out.Opened, true)
		want(t, "suspended", s.suspended(mira.ID), true)
		want(t, "actions for jobs", len(out.Planned), 1)
		r := s.record(out.CaseID)
		want(t, "state of the case", r.Case.State, respond.CaseContained)
		want(t, "number", r.Case.Number, 1)
		want(t, "end of the hold", r.Case.HeldUntil, s.now().Add(24*time.Hour))
		want(t, "state of the run", r.Runs[0].State, respond.RunActing)
		want(t, "trust", r.Person.Suspended, true)
		if len(r.Events) != 1 || r.Events[0].IP != "192.0.2.7" {
			t.Errorf("events are %+v, want the one", r.Events)
		}
		holds, err := s.Holds(t.Context(), s.id, mira.ID)
		must(t, err)
		want(t, "holder", holds[0].Holder, "case:"+out.CaseID)
		want(t, "entries", s.audited(audit.UserSuspend), 1)
		want(t, "entries of the playbook", s.count("SELECT COUNT(*) FROM audit_links WHERE actor = 'playbook:mfa-fatigue' AND action = 'user.suspend'"), 1)
		want(t, "jobs", s.queued("respond.end_hold"), 1)
		want(t, "jobs", s.queued("respond.do"), 1)

		// The run ends with its last action.
		a, ok, err := s.Begin(t.Context(), s.id, out.Planned[0].ID, passes)
		must(t, err)
		want(t, "begun", ok, true)
		want(t, "template", a.Template, "suspended")
		must(t, s.Finish(t.Context(), s.id, a.ID, respond.Result{State: respond.ActionDone}))
		must(t, s.Finish(t.Context(), s.id, a.ID, respond.Result{State: respond.ActionFailed})) // said once already
		want(t, "state of the run", s.record("1").Runs[0].State, respond.RunDone)

		// What comes later about the same person is put to the same case, and opens no second hold of it.
		s.find(mira.ID, detect.Critical)
		next := s.respond(plan(respond.RunActing, forEver()))
		want(t, "the same case", next.CaseID, out.CaseID)
		want(t, "opened", next.Opened, false)
		r = s.record(out.CaseID)
		want(t, "findings", r.Case.Findings, 2)
		want(t, "level", r.Case.Level, detect.Critical)
		want(t, "holds", s.count("SELECT COUNT(*) FROM holds"), 1)
		want(t, "an end of the hold", r.Case.HeldUntil.IsZero(), true)
		storetest.Verify(t, s.DB, s.id)

		_, ok, err = s.Respond(t.Context(), s.id, func(respond.Facts) ([]respond.Plan, error) { return nil, nil })
		if ok || err != nil {
			t.Errorf("there is another finding: %v", err)
		}
	})
}

// TestRespondCap: however many servers answer findings at once, no more people are suspended than may be.
func TestRespondCap(t *testing.T) {
	const findings, most = 120, 10
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		s := newScene(t, p)
		people := make([]directory.NewUser, findings)
		for i := range people {
			people[i] = directory.NewUser{Email: "p" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + "@example.org", DisplayName: "Somebody"}
		}
		must(t, s.ImportUsers(t.Context(), s.id, people, func(int) {}, storetest.By()))
		all, err := s.ListUsers(t.Context(), s.id, directory.ListQuery{Limit: findings + 1})
		must(t, err)
		for _, u := range all {
			if u.ID != s.owner.ID {
				s.find(u.ID, detect.High)
			}
		}
		servers := []*store.DB{s.DB, p.Open(t), p.Open(t)}
		decide := func(f respond.Facts) ([]respond.Plan, error) {
			n, err := f.Suspensions("", f.Now.Add(-time.Hour))
			if err != nil {
				return nil, err
			}
			held, err := f.HeldPeople()
			if err != nil {
				return nil, err
			}
			if n != held {
				t.Errorf("%d people were suspended, and %d are held", n, held)
			}
			a := forEver()
			a.PersonID = f.Person.ID
			if n+1 > most {
				return []respond.Plan{plan(respond.RunHeld)}, nil
			}
			return []respond.Plan{plan(respond.RunActing, a)}, nil
		}
		var taken atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for {
					_, ok, err := servers[i%len(servers)].Respond(t.Context(), s.id, decide)
					if problem.Is(err, problem.Unavailable) {
						continue
					}
					if err != nil {
						t.Error(err)
					}
					if !ok || err != nil {
						return
					}
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		want(t, "findings taken", taken.Load(), findings)
		want(t, "people suspended", s.count("SELECT COUNT(*) FROM users WHERE suspended"+map[string]string{"sqlite": " = 1", "postgres": ""}[p.Kind]), most)
		want(t, "runs", s.count("SELECT COUNT(*) FROM runs"), findings)
		want(t, "runs held", s.count("SELECT COUNT(*) FROM runs WHERE state = 'held'"), findings-most)
		want(t, "cases", s.count("SELECT COUNT(DISTINCT number) FROM cases"), findings)
		use, err := s.GuardUse(t.Context(), s.id)
		must(t, err)
		want(t, "use", use, respond.GuardUse{Suspended: most, Held: most, Active: findings + 1})
		storetest.Verify(t, s.DB, s.id)
	})
}

// TestRespondObserves: where nothing is to be done there is a run that says why, and a case only where it is worth one.
func TestRespondObserves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		s := newScene(t, p)
		mira := s.person("mira")
		s.find(mira.ID, detect.Low)
		stopped := plan(respond.RunStopped)
		stopped.Checks = append(stopped.Checks, respond.Check{Name: respond.CheckWhen, Verdict: respond.Stop, Code: "false"})
		out := s.respond(stopped)
		want(t, "case", out.CaseID, "")
		runs, err := s.Runs(t.Context(), s.id, "mfa-fatigue", 5)
		must(t, err)
		want(t, "state", runs[0].State, respond.RunStopped)
		want(t, "reason", runs[0].Checks[1].Code, "false")

		s.find(mira.ID, detect.Low)
		observed := plan(respond.RunObserved, forEver())
		observed.Assignee = "OWNER@example.org"
		out = s.respond(observed)
		r := s.record(out.CaseID)
		want(t, "suspended", s.suspended(mira.ID), false)
		want(t, "actions", len(r.Actions), 0)
		want(t, "given to", r.Case.AssigneeID, s.owner.ID)
		counts, err := s.RunCounts(t.Context(), s.id, s.now().Add(-time.Hour))
		must(t, err)
		want(t, "observed", counts["mfa-fatigue"][respond.RunObserved], 1)

		// Nobody of the directory: found again by what the source calls them.
		s.find("", detect.High)
		first := s.respond()
		s.find("", detect.Medium)
		second := s.respond()
		want(t, "the same case", second.CaseID, first.CaseID)
		want(t, "email", s.record(first.CaseID).Case.Subject.Email, "Stranger@example.net")
	})
}

// TestLastRun: a playbook is told when it ran for a key; what was stopped does not count.
func TestLastRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		s := newScene(t, p)
		mira := s.person("mira")
		began := s.now()
		for _, state := range []respond.RunState{respond.RunObserved, respond.RunStopped} {
			x := plan(state)
			x.DedupeKey = "key"
			s.find(mira.ID, detect.High)
			s.respond(x)
			s.pass(time.Minute)
		}
		s.find(mira.ID, detect.High)
		_, _, err := s.Respond(t.Context(), s.id, func(f respond.Facts) ([]respond.Plan, error) {
			for _, tt := range []struct {
				playbook, key string
				want          time.Time
			}{{"mfa-fatigue", "key", began}, {"mfa-fatigue", "other", time.Time{}}, {"spray", "key", time.Time{}}} {
				at, err := f.LastRun(tt.playbook, tt.key)
				must(t, err)
				want(t, "last run of "+tt.playbook+" for "+tt.key, at, tt.want)
			}
			want(t, "trust", f.Event.Trust, respond.TrustOwn)
			want(t, "people", f.ActivePeople, 2)
			want(t, "events", len(f.Finding.Events), 1)
			return nil, nil
		})
		must(t, err)
	})
}

// TestLastOwner: the directory's own rules hold whatever a playbook decides, and the run ends with their reason.
func TestLastOwner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		s := newScene(t, p)
		mira := s.person("mira")
		_, err := s.ChangeGuard(t.Context(), s.id, func(g *respond.Guard) error { g.BreakGlass = []string{mira.ID}; return nil }, user(s.owner.ID))
		must(t, err)
		for _, tt := range []struct{ person, code string }{{s.owner.ID, directory.ErrLastOwner().Code}, {mira.ID, "break_glass"}} {
			s.find(tt.person, detect.High)
			r := s.record(s.respond(plan(respond.RunActing, forEver())).CaseID)
			want(t, "suspended", s.suspended(tt.person), false)
			want(t, "state of the run", r.Runs[0].State, respond.RunFailed)
			want(t, "code", r.Actions[0].Code, tt.code)
			want(t, "state of the case", r.Case.State, respond.CaseOpen)
		}
		want(t, "places", s.count("SELECT COUNT(*) FROM actions WHERE counted_at IS NOT NULL OR reserved IS NOT NULL"), 0)
	})
}
