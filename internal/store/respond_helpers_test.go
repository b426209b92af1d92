package store_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// scene is an account in which findings are answered.
type scene struct {
	*store.DB
	t     *testing.T
	place *storetest.Place
	clock *atomic.Int64 // microseconds
	id    string        // of the account
	owner directory.User
	seq   int64
}

// newScene opens a database whose clock stands still until it is moved.
func newScene(t *testing.T, p *storetest.Place) *scene {
	t.Helper()
	s := &scene{t: t, place: p, clock: newClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))}
	p.Now = s.now
	s.DB = p.Open(t)
	a, owner := storetest.Account(t, s.DB)
	s.id, s.owner = a.ID, owner
	return s
}

func newClock(at time.Time) *atomic.Int64 {
	c := new(atomic.Int64)
	c.Store(at.UnixMicro())
	return c
}

// anew is another account in the same database: to make one costs more than most tests.
func (s *scene) anew(t *testing.T) *scene {
	t.Helper()
	a, owner := storetest.Account(t, s.DB)
	return &scene{DB: s.DB, t: t, place: s.place, clock: s.clock, id: a.ID, owner: owner}
}

func (s *scene) now() time.Time { return time.UnixMicro(s.clock.Load()).UTC() }

// pass moves the clock; backwards, too.
func (s *scene) pass(d time.Duration) { s.clock.Add(d.Microseconds()) }

func (s *scene) person(name string, groups ...string) directory.User {
	return storetest.User(s.t, s.DB, s.id, name+"@example.org", groups...)
}

// find stores a finding about the person with one event, as detection does.
func (s *scene) find(person string, level detect.Level) detect.StoredFinding {
	s.t.Helper()
	s.seq++
	f := detect.StoredFinding{AccountID: s.id, Seq: s.seq}
	f.ID, f.Rule, f.Title, f.Level, f.PersonID, f.User, f.Time = fmt.Sprintf("F%d", s.seq), "mfa_fatigue", "Many prompts", level, person, "somebody", s.now()
	if person == "" {
		f.User = "Stranger@example.net"
	}
	event := []byte(`{"class_uid":3002,"activity_id":1,"status_id":2,"metadata":{"uid":"e` + fmt.Sprint(s.seq) + `"},"src_endpoint":{"ip":"192.0.2.7"}}`)
	err := s.Do(s.t.Context(), s.id, func(tx *store.Tx) error {
		if err := tx.Exec(`INSERT INTO findings (account_id, seq, id, rule, rule_id, version, level, title, person, person_id, user_name, address, subject, key, at, last_at,
			count, more, features, explain, state, harmless, judged_by, case_id, created_at)
			VALUES ($1, $2, $3, $4, '', '1', $5, $6, '', $7, $8, '192.0.2.7', '', '[]', $9, $9, 1, 0, '[]', '{}', 'ended', $10, '', '', $9)`,
			s.id, f.Seq, f.ID, f.Rule, string(level), f.Title, person, f.User, s.now().UnixMicro(), false); err != nil {
			return err
		}
		if err := tx.Exec("INSERT INTO finding_events (account_id, finding, event, event_id) VALUES ($1, $2, $2, $3)", s.id, f.Seq, fmt.Sprint("e", f.Seq)); err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO signal_events (account_id, seq, source_id, source_event_id, at, received_at, person_id, matched_by, event, raw)
			VALUES ($1, $2, 'local', $3, $4, $4, $5, '', $6, $6)`, s.id, f.Seq, fmt.Sprint("e", f.Seq), s.now().UnixMicro(), person, event)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// respond answers the next finding with the plans.
func (s *scene) respond(plans ...respond.Plan) respond.Responded {
	s.t.Helper()
	out, ok, err := s.Respond(s.t.Context(), s.id, func(f respond.Facts) ([]respond.Plan, error) {
		for i := range plans {
			for j := range plans[i].Actions {
				plans[i].Actions[j].PersonID = f.Person.ID
			}
			if q := plans[i].Question; q != nil {
				q.PersonID = f.Person.ID
			}
		}
		return plans, nil
	})
	if err != nil || !ok {
		s.t.Fatalf("respond: %t, %v", ok, err)
	}
	return out
}

// record is everything about a case.
func (s *scene) record(id string) respond.Record {
	s.t.Helper()
	r, err := s.Case(s.t.Context(), s.id, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// suspended says whether the person is.
func (s *scene) suspended(id string) bool {
	s.t.Helper()
	u, err := s.User(s.t.Context(), s.id, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Suspended
}

// count reads one number.
func (s *scene) count(query string, args ...any) int64 {
	s.t.Helper()
	var n int64
	err := s.Do(s.t.Context(), s.id, func(tx *store.Tx) error {
		var err error
		n, err = tx.Int(query, args...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// queued is how many jobs of a kind there are.
func (s *scene) queued(kind string) int64 {
	return s.count("SELECT COUNT(*) FROM river_job WHERE kind = $1", kind)
}

// audited is how many entries of an action there are.
func (s *scene) audited(action audit.Action) int64 {
	return s.count("SELECT COUNT(*) FROM audit_links WHERE account_id = $1 AND action = $2", s.id, string(action))
}

// fails checks that an error is a problem with the code.
func (s *scene) fails(err error, code string) {
	s.t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Code != code {
		s.t.Errorf("error is %v, want a problem with the code %q", err, code)
	}
}

// want compares a state.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// plan is one that acts; its actions are changed by who calls.
func plan(state respond.RunState, actions ...respond.Action) respond.Plan {
	for i := range actions {
		actions[i].Step = i
	}
	return respond.Plan{
		Playbook: "mfa-fatigue", Version: "abc", Mode: respond.ModeEnforce, State: state, DedupeKey: seal.NewID(),
		Checks: []respond.Check{{Name: respond.CheckKill, Verdict: respond.Pass}}, Actions: actions, Title: "Many prompts", Level: detect.High,
	}
}

func suspend(target string, length time.Duration, r respond.Release) respond.Action {
	return respond.Action{Kind: respond.ActSuspend, Target: target, For: length, Release: r}
}

func forEver() respond.Action { return suspend(respond.LocalTarget, 0, respond.ReleaseNever) }

// passes is again of Begin where nothing stands against it.
func passes(respond.Facts, respond.Action) (respond.Check, error) {
	return respond.Check{Name: respond.CheckBlast, Verdict: respond.Pass}, nil
}

// anybody is may of Vote where nothing stands against it.
func anybody(respond.Approval, respond.Case, respond.Person) error { return nil }

func user(id string) audit.Entry { return audit.Entry{Actor: "user:" + id} }
