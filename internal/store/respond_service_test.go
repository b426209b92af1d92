package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/jobs"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
	"holdfast/internal/store/storetest"
)

// cloud is a target in memory that fails as it is told: with which outcome, and whether it happened all the same.
type cloud struct {
	mu        sync.Mutex
	suspended map[string]bool // by e-mail
	calls     int
	changes   int
	fail      []fault // of the next calls, in order
	blind     bool    // it cannot be looked up
	changed   chan struct{}
}

type fault struct {
	outcome  respond.OutcomeKind // empty: an error, as of a process that is killed
	happened bool
}

var errKilled = errors.New("the process was killed")

func (r *cloud) Open(_ context.Context, _, name string) (respond.Target, error) {
	if name != "cloud" {
		return nil, problem.New(problem.NotFound, "no target %q", name)
	}
	return r, nil
}

func (r *cloud) Suspend(_ context.Context, who respond.Wanted) (respond.Outcome, error) {
	return r.change(who, true)
}

func (r *cloud) Reactivate(_ context.Context, who respond.Wanted) (respond.Outcome, error) {
	return r.change(who, false)
}

func (r *cloud) change(who respond.Wanted, to bool) (respond.Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	var f fault
	if len(r.fail) > 0 {
		f, r.fail = r.fail[0], r.fail[1:]
		if f.happened {
			r.set(who.Email, to)
		}
		if f.outcome == "" {
			return respond.Outcome{}, errKilled
		}
		return respond.Outcome{Kind: f.outcome, Code: "test", Reason: "the test says so"}, nil
	}
	if r.suspended[who.Email] == to {
		return respond.Outcome{Kind: respond.OutcomeAlready}, nil
	}
	r.set(who.Email, to)
	return respond.Outcome{Kind: respond.OutcomeDone}, nil
}

func (r *cloud) set(email string, to bool) {
	r.changes++
	r.suspended[email] = to
	select {
	case r.changed <- struct{}{}:
	default: // nobody waits for more than the first
	}
}

func (r *cloud) State(_ context.Context, who respond.Wanted) (respond.TargetState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.blind:
		return "", problem.New(problem.Unavailable, "the target does not answer")
	case r.suspended[who.Email]:
		return respond.TargetSuspended, nil
	}
	return respond.TargetActive, nil
}

func (r *cloud) Test(context.Context) (string, error) { return "a test", nil }

// post is channels in memory.
type post struct {
	mu   sync.Mutex
	all  []respond.Channel
	sent []respond.Message
	fail []error // of the next messages, in order
}

func (p *post) List(context.Context, string) ([]respond.Channel, error) { return p.all, nil }

func (p *post) Send(_ context.Context, c respond.Channel, m respond.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.fail) > 0 {
		err := p.fail[0]
		p.fail = p.fail[1:]
		if err != nil {
			return err
		}
	}
	m.DedupKey = c.Name // for the test: who took it
	p.sent = append(p.sent, m)
	return nil
}

// flaky is a store of which Finish fails as it is told: nil as usual, else before or after it is written.
type flaky struct {
	respond.Store
	finish []flake
}

type flake struct{ written bool }

func (f *flaky) Finish(ctx context.Context, account, action string, r respond.Result) error {
	if len(f.finish) == 0 {
		return f.Store.Finish(ctx, account, action, r)
	}
	how := f.finish[0]
	f.finish = f.finish[1:]
	if how.written {
		if err := f.Store.Finish(ctx, account, action, r); err != nil {
			return err
		}
	}
	return errKilled
}

// judged notes which findings were judged to be harmless.
type judged struct{ ids []string }

func (j *judged) JudgeFinding(_ context.Context, _, id string, harmless bool, _ audit.Entry) (detect.StoredFinding, error) {
	if harmless {
		j.ids = append(j.ids, id)
	}
	return detect.StoredFinding{}, nil
}

const bookText = `apiVersion: holdfast/v1
kind: Playbook
metadata: {name: fatigue, owner: secops}
mode: enforce
on: [mfa_fatigue]
%s
do:
  - suspend: {for: 24h, release: if_quiet%s}
  - end_sessions: {}
`

// drama is a scene with a service.
type drama struct {
	*scene
	*respond.Service
	remote *cloud
	post   *post
	judged *judged
	killed respond.Kill
}

// newDrama has one playbook, with what is added at its head and to the step that suspends.
func newDrama(t *testing.T, p *storetest.Place, head, step string) *drama {
	t.Helper()
	d := &drama{scene: newScene(t, p), remote: &cloud{suspended: map[string]bool{}, changed: make(chan struct{}, 1)}, post: &post{}, judged: &judged{}}
	d.Service = d.service(t, fmt.Sprintf(bookText, head, step))
	g := respond.DefaultGuard()
	g.MaxShare, g.MaxPeople = 100, 100 // there are only a few people
	_, err := d.SetGuard(t.Context(), d.id, g, user(d.owner.ID))
	must(t, err)
	return d
}

func (d *drama) service(t *testing.T, text string) *respond.Service {
	t.Helper()
	books, err := respond.ParsePlaybooks("fatigue.yml", []byte(text))
	must(t, err)
	return &respond.Service{
		Store: d.DB, Shipped: books, Targets: d.remote, Channels: d.post, Findings: d.judged, Now: d.now, URL: "https://holdfast.example",
		Account:  func(context.Context, string) (string, error) { return "Example", nil },
		KillFile: func() (respond.Kill, error) { return d.killed, nil },
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// next responds to the next finding.
func (d *drama) next() respond.Responded {
	d.t.Helper()
	r, ok, err := d.Next(d.t.Context(), d.id)
	if err != nil || !ok {
		d.t.Fatalf("next: %t, %v", ok, err)
	}
	return r
}

// action is one of the case's actions.
func (d *drama) action(caseID, id string) respond.Action {
	d.t.Helper()
	for _, a := range d.record(caseID).Actions {
		if a.ID == id {
			return a
		}
	}
	d.t.Fatalf("the case has no action %q", id)
	return respond.Action{}
}

// approvalOf is that of a run.
func (d *drama) approvalOf(r respond.Responded) respond.Approval {
	d.t.Helper()
	for _, a := range d.record(r.CaseID).Approvals {
		if a.RunID == r.Runs[0].ID {
			return a
		}
	}
	d.t.Fatalf("the run %q asks for no approval", r.Runs[0].ID)
	return respond.Approval{}
}

// mail is a channel that people can be written to.
func mail(name string) respond.Channel {
	return respond.Channel{ID: "CHANNEL" + name, Name: name, Kind: respond.ChannelEmail, Pages: true, Config: json.RawMessage(`{"language":"en"}`)}
}

func TestServiceResponds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		d := newDrama(t, p, "dedupe: {key: user.id, window: 1h}", "")
		mira := d.person("mira")
		d.find(mira.ID, detect.High)
		r := d.next()
		want(t, "suspended", d.suspended(mira.ID), true)
		want(t, "run", d.record(r.CaseID).Runs[0].State, respond.RunDone)
		d.find(mira.ID, detect.High)
		again := d.next()
		want(t, "run within the window", again.Runs[0].State, respond.RunStopped)
		want(t, "holds", d.count("SELECT COUNT(*) FROM holds"), 1)

		// Another server has set the mode: what this one remembers is not used.
		other := d.service(t, fmt.Sprintf(bookText, "", ""))
		if _, err := other.SetMode(t.Context(), d.id, "fatigue", "everything", user(d.owner.ID)); problem.KindOf(err) != problem.Invalid {
			t.Errorf("a mode that there is not: %v", err)
		}
		_, err := other.SetMode(t.Context(), d.id, "fatigue", respond.ModeObserve, user(d.owner.ID))
		must(t, err)
		noor := d.person("noor")
		d.find(noor.ID, detect.High)
		want(t, "run", d.next().Runs[0].State, respond.RunObserved)
		want(t, "suspended", d.suspended(noor.ID), false)
		_, err = other.SetMode(t.Context(), d.id, "fatigue", respond.ModeOff, user(d.owner.ID))
		must(t, err)
		d.find(noor.ID, detect.High)
		want(t, "runs", len(d.next().Runs), 0)
		storetest.Verify(t, d.DB, d.id)
	})
}

// TestServiceKill: a file holds everything back; what was held goes on when a person says so, and not before it is gone.
func TestServiceKill(t *testing.T) {
	p := storetest.NewPlace(t, "sqlite")
	d := newDrama(t, p, "", "")
	d.killed = respond.Kill{On: true, Door: respond.DoorFile, Reason: "a drill"}
	mira := d.person("mira")
	d.find(mira.ID, detect.High)
	r := d.next()
	want(t, "run", r.Runs[0].State, respond.RunHeld)
	want(t, "suspended", d.suspended(mira.ID), false)
	want(t, "pages", d.queued("respond.send"), 1)
	m := respond.Manual{CaseID: r.CaseID, RunID: r.Runs[0].ID, Override: "agreed on the phone"}
	_, err := d.Act(t.Context(), d.id, m, user(d.owner.ID))
	d.fails(err, "kill_switch.on")
	want(t, "refusals", d.count("SELECT COUNT(*) FROM audit_links WHERE outcome = 'refused'"), 1)

	d.killed = respond.Kill{}
	d.pass(time.Hour) // older than what is acted on: that, the person can go beyond
	m.Override = ""
	_, err = d.Act(t.Context(), d.id, m, user(d.owner.ID))
	d.fails(err, "event_age.too_old")
	m.Override = "agreed on the phone"
	_, err = d.Act(t.Context(), d.id, m, user(d.owner.ID))
	must(t, err)
	want(t, "suspended", d.suspended(mira.ID), true)
	rec := d.record(r.CaseID)
	want(t, "run", rec.Runs[0].State, respond.RunDone)
	want(t, "reason", rec.Actions[0].Override, m.Override)
	_, err = d.Act(t.Context(), d.id, m, user(d.owner.ID))
	d.fails(err, respond.CodeWrongState)

	_, err = d.Act(t.Context(), d.id, respond.Manual{CaseID: r.CaseID, Kind: respond.ActSuspend, Override: "again"}, user(d.owner.ID))
	d.fails(err, "blast_radius.already_held")

	g, err := d.Kill(t.Context(), d.id, respond.DoorConsole, " stop ", user(d.owner.ID))
	must(t, err)
	want(t, "kill switch", g.Kill.On, true)
	d.killed = respond.Kill{On: true, Door: respond.DoorFile, Reason: "a drill"}
	_, err = d.Resume(t.Context(), d.id, "it is over", user(d.owner.ID))
	d.fails(err, "kill_file")
	d.killed = respond.Kill{}
	g, err = d.Service.Guard(t.Context(), d.id)
	must(t, err)
	want(t, "kill switch", g.Kill.On, false)
	if _, err := d.Kill(t.Context(), d.id, respond.DoorConsole, "  ", user(d.owner.ID)); problem.KindOf(err) != problem.Invalid {
		t.Errorf("without a reason: %v", err)
	}
	storetest.Verify(t, d.DB, d.id)
}

// TestServiceFailures lets everything fail that can while a person is suspended elsewhere, each in two forms: it failed,
// and it failed but happened. In the end the person is suspended once, and the run says so.
func TestServiceFailures(t *testing.T) {
	tests := []struct {
		name    string
		calls   []fault
		finish  []flake
		changes int
		state   respond.ActionState
	}{
		{"nothing", nil, nil, 1, respond.ActionDone},
		{"killed_before_the_call", []fault{{"", false}}, nil, 1, respond.ActionDone},
		{"killed_after_the_call", []fault{{"", true}}, nil, 1, respond.ActionDone},
		{"killed_before_the_record", nil, []flake{{false}}, 1, respond.ActionDone},
		{"killed_after_the_record", nil, []flake{{true}}, 1, respond.ActionDone},
		{"unknown_and_it_failed", []fault{{respond.OutcomeUnknown, false}}, nil, 1, respond.ActionDone},
		{"unknown_and_it_happened", []fault{{respond.OutcomeUnknown, true}}, nil, 1, respond.ActionDone},
		{"unknown_and_killed", []fault{{respond.OutcomeUnknown, true}}, []flake{{false}, {true}, {false}}, 1, respond.ActionDone},
		{"later", []fault{{respond.OutcomeRetry, false}, {respond.OutcomeRetry, false}}, nil, 1, respond.ActionDone},
		{"later_and_killed", []fault{{respond.OutcomeRetry, false}, {"", true}}, []flake{{false}}, 1, respond.ActionDone},
		{"refused", []fault{{respond.OutcomeRefused, false}}, nil, 0, respond.ActionRefused},
		{"refused_and_killed", []fault{{respond.OutcomeRefused, false}}, []flake{{true}}, 0, respond.ActionRefused},
	}
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		d := newDrama(t, p, "", ", targets: [cloud]")
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				someone := d.person(fmt.Sprint("person", i))
				d.find(someone.ID, detect.High)
				r := d.next()
				d.remote.fail, d.remote.changes = tt.calls, 0
				d.Store = &flaky{d.DB, tt.finish}
				var errs []error
				for range 10 {
					errs = append(errs, d.DoAction(t.Context(), respond.Do{AccountID: d.id, ActionID: r.Planned[0].ID}))
				}
				if last := errs[len(errs)-1]; last != nil {
					t.Fatalf("it did not converge: %v", errs)
				}
				rec := d.record(r.CaseID)
				want(t, "changes", d.remote.changes, tt.changes)
				want(t, "suspended there", d.remote.suspended[someone.Email], tt.changes == 1)
				want(t, "action", d.action(r.CaseID, r.Planned[0].ID).State, tt.state)
				if run := rec.Runs[len(rec.Runs)-1]; tt.state == respond.ActionDone && run.State != respond.RunDone || tt.state == respond.ActionRefused && run.State != respond.RunFailed {
					t.Errorf("the run is %s after an action that is %s", run.State, tt.state)
				}
			})
		}
		storetest.Verify(t, d.DB, d.id)
	})
}

// TestServiceGivesUp: a target that never answers ends in a failure that somebody hears of.
func TestServiceGivesUp(t *testing.T) {
	d := newDrama(t, storetest.NewPlace(t, "sqlite"), "", ", targets: [cloud]")
	d.find(d.person("mira").ID, detect.High)
	r := d.next()
	job := respond.Do{AccountID: d.id, ActionID: r.Planned[0].ID}
	for range 30 {
		d.remote.fail = append(d.remote.fail, fault{respond.OutcomeRetry, false})
	}
	for range 30 {
		must(t, d.DoAction(t.Context(), job))
	}
	want(t, "calls", d.remote.calls, 25)
	a := d.action(r.CaseID, job.ActionID)
	want(t, "action", a.State, respond.ActionFailed)
	if !strings.Contains(a.Reason, "25 tries") {
		t.Errorf("reason is %q", a.Reason)
	}
	want(t, "pages", d.queued("respond.send"), 1)

	// A target that was removed, and one that cannot be looked at after an unknown outcome.
	d.find(d.person("noor").ID, detect.High)
	r = d.next()
	job.ActionID = r.Planned[0].ID
	d.remote.fail, d.remote.blind = []fault{{respond.OutcomeUnknown, true}}, true
	must(t, d.DoAction(t.Context(), job))
	must(t, d.DoAction(t.Context(), job))
	want(t, "action", d.action(r.CaseID, job.ActionID).State, respond.ActionUnknown)
	d.remote.blind = false
	must(t, d.DoAction(t.Context(), job))
	want(t, "action", d.action(r.CaseID, job.ActionID).State, respond.ActionDone)
}

// TestServiceApprovalByLink: each approver gets a link of their own; it shows and changes nothing, acts once, and not for
// whom it is about, nor too late.
func TestServiceApprovalByLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		d := newDrama(t, p, "approval: {order: before, from: {groups: [Owners, Security], not: [self]}, timeout: 30m, on_timeout: deny}", "")
		d.post.all = []respond.Channel{mail("desk")}
		mira := d.person("mira", "security")
		ask := func() (respond.Responded, map[string]string) {
			t.Helper()
			d.find(mira.ID, detect.High)
			r := d.next()
			want(t, "run", r.Runs[len(r.Runs)-1].State, respond.RunWaiting)
			id := d.approvalOf(r).ID
			d.post.sent = nil
			d.post.fail = []error{nil, &respond.SendError{Detail: "busy"}}
			job := respond.Send{AccountID: d.id, CaseID: r.CaseID, Template: respond.TemplateApprovalNeeded, ApprovalID: id, RunID: r.Runs[0].ID}
			if err := d.SendMessage(t.Context(), job); err == nil {
				t.Error("a message that was not taken is not tried again")
			}
			must(t, d.SendMessage(t.Context(), job))
			links := map[string]string{}
			for _, m := range d.post.sent {
				links[m.To] = strings.TrimPrefix(m.AnswerURL, "https://holdfast.example"+respond.LinkPath)
			}
			want(t, "messages", len(d.post.sent), 2) // to the owner, and to the channel without a link
			return r, links
		}
		r, links := ask()
		if links[mira.Email] != "" || links[""] != "" {
			t.Errorf("a link for whom it is about, or for everybody: %v", links)
		}
		token := links[d.owner.Email]
		asked, err := d.Link(t.Context(), token)
		must(t, err)
		want(t, "case", asked.Case.ID, r.CaseID)
		want(t, "refused", asked.Refused, nil)
		want(t, "person", asked.UserID, d.owner.ID)
		_, err = d.Link(t.Context(), token)
		must(t, err)
		want(t, "suspended by looking", d.suspended(mira.ID), false)
		for _, forged := range []string{"", "x", token[:len(token)-1], strings.ToUpper(token), "hfl_" + strings.Repeat("A", len(token)-4)} {
			_, err := d.Link(t.Context(), forged)
			d.fails(err, "bad_link")
			_, err = d.AnswerLink(t.Context(), forged, respond.Answering{Approve: true}, audit.Entry{})
			d.fails(err, "bad_link")
		}
		a, err := d.AnswerLink(t.Context(), token, respond.Answering{Approve: true, Reason: "it is an attack"}, audit.Entry{Actor: "anonymous"})
		must(t, err)
		want(t, "approval", a.State, respond.ApprovalApproved)
		want(t, "door", a.Votes[0].Door, respond.DoorLink)
		_, err = d.AnswerLink(t.Context(), token, respond.Answering{}, audit.Entry{})
		d.fails(err, "link_used")
		asked, err = d.Link(t.Context(), token)
		must(t, err)
		d.fails(asked.Refused, "link_used")
		for _, a := range d.record(r.CaseID).Actions {
			must(t, d.DoAction(t.Context(), respond.Do{AccountID: d.id, ActionID: a.ID}))
		}
		want(t, "suspended", d.suspended(mira.ID), true)
		want(t, "entries of the owner", d.count("SELECT COUNT(*) FROM audit_links WHERE actor = $1 AND action = 'approval.approve' AND outcome = 'done'", "user:"+d.owner.ID), 1)

		// Another one, too late; and by those who may not.
		_, err = d.Undo(t.Context(), d.id, r.CaseID, "checked", user(d.owner.ID))
		must(t, err)
		r, links = ask()
		id := d.approvalOf(r).ID
		for who, code := range map[string]string{mira.ID: respond.CodeSelf, d.person("noor").ID: respond.CodeNotAsked} {
			_, err := d.Answer(t.Context(), d.id, id, who, respond.Answering{Approve: true, Door: respond.DoorConsole}, user(who))
			d.fails(err, code)
		}
		d.pass(30 * time.Minute)
		_, err = d.AnswerLink(t.Context(), links[d.owner.Email], respond.Answering{Approve: true}, audit.Entry{})
		if problem.KindOf(err) != problem.Conflict {
			t.Errorf("too late: %v", err)
		}
		storetest.Verify(t, d.DB, d.id)
	})
}

// TestServiceMessages: each channel hears once, in its language; who is not to be asked is not; what nobody can be told is
// in the timeline.
func TestServiceMessages(t *testing.T) {
	d := newDrama(t, storetest.NewPlace(t, "sqlite"), "on_release:\n  - notify: {to: [desk], template: released}", "")
	german := mail("wache")
	german.Config = json.RawMessage(`{"language":"de"}`)
	quiet := mail("desk")
	quiet.Pages = false
	d.find(d.person("mira").ID, detect.High)
	r := d.next()
	page := respond.Send{AccountID: d.id, CaseID: r.CaseID, Template: respond.TemplatePage, RunID: r.Runs[0].ID}
	must(t, d.SendMessage(t.Context(), page)) // there is no channel
	d.post.all = []respond.Channel{german, mail("soc"), quiet}
	d.post.fail = []error{&respond.SendError{Detail: "gone", Permanent: true}}
	must(t, d.SendMessage(t.Context(), page))
	must(t, d.SendMessage(t.Context(), page)) // the first one is tried again, as nobody has taken it; the second is not
	released := page
	released.Template = respond.TemplateReleased
	must(t, d.SendMessage(t.Context(), released))
	var got []string
	for _, m := range d.post.sent {
		got = append(got, fmt.Sprintf("%s to %s: %s; %s; %s", m.Kind, m.DedupKey, m.Why, m.Done, m.CaseURL))
		if !seal.ValidID(m.ID) || m.Account != "Example" || m.What == "" || m.Person == "" {
			t.Errorf("a message lacks something: %+v", m)
		}
	}
	wanted := []string{
		"page to soc: The playbook fatigue; suspended, sessions ended; https://holdfast.example/cases/1",
		"page to wache: Das Playbook fatigue; gesperrt, Sitzungen beendet; https://holdfast.example/cases/1",
		"release to desk: The playbook fatigue; suspended, sessions ended; https://holdfast.example/cases/1",
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	failed := map[string]int{}
	for _, m := range d.record(r.CaseID).Moments {
		if m.Kind == respond.MomentNotifyFailed {
			failed[m.Facts["channel"]]++
		}
	}
	if failed[""] != 1 || failed["wache"] != 1 {
		t.Errorf("failures in the timeline: %v", failed)
	}
	must(t, d.SendMessage(t.Context(), respond.Send{AccountID: d.id, CaseID: r.CaseID, Template: respond.TemplateAskPerson, RunID: r.Runs[0].ID}))
	want(t, "messages without a question", len(d.post.sent), 3)
	if err := d.SendMessage(t.Context(), respond.Send{AccountID: d.id, CaseID: "999", Template: respond.TemplatePage}); problem.KindOf(err) != problem.NotFound {
		t.Errorf("a case that there is not: %v", err)
	}
}

// TestServiceClose: a case that holds somebody is closed with their release only; after a false alarm habits are learned.
func TestServiceClose(t *testing.T) {
	d := newDrama(t, storetest.NewPlace(t, "sqlite"), "", "")
	mira := d.person("mira")
	f := d.find(mira.ID, detect.High)
	r := d.next()
	by := user(d.owner.ID)
	_, err := d.Close(t.Context(), d.id, r.CaseID, respond.Closing{Resolution: "x"}, by)
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Field != "resolution" {
		t.Errorf("a resolution that there is not: %v", err)
	}
	_, err = d.Close(t.Context(), d.id, r.CaseID, respond.Closing{Resolution: respond.TrueAttack}, by)
	d.fails(err, respond.CodeStillHolding)
	want(t, "suspended", d.suspended(mira.ID), true)
	c, err := d.Close(t.Context(), d.id, r.CaseID, respond.Closing{Resolution: respond.FalseAlarm, Note: "a new phone", Release: true}, by)
	must(t, err)
	want(t, "state", c.State, respond.CaseClosed)
	want(t, "suspended", d.suspended(mira.ID), false)
	want(t, "judged", fmt.Sprint(d.judged.ids), fmt.Sprint([]string{f.ID}))
	_, err = d.Close(t.Context(), d.id, r.CaseID, respond.Closing{Resolution: respond.FalseAlarm}, by)
	d.fails(err, respond.CodeFinal)
	storetest.Verify(t, d.DB, d.id)
}

func TestServiceGuard(t *testing.T) {
	d := newDrama(t, storetest.NewPlace(t, "sqlite"), "", "")
	by := user(d.owner.ID)
	g, err := d.Service.Guard(t.Context(), d.id)
	must(t, err)
	bad := map[string]func(*respond.Guard){
		"max_people":    func(g *respond.Guard) { g.MaxPeople = -1 },
		"window":        func(g *respond.Guard) { g.Window = time.Second },
		"max_share":     func(g *respond.Guard) { g.MaxShare = 101 },
		"max_event_age": func(g *respond.Guard) { g.MaxEventAge = 0 },
		"min_trust":     func(g *respond.Guard) { g.MinTrust = 4 },
		"people":        func(g *respond.Guard) { g.People = []respond.Protected{{ID: d.owner.ID}} },
		"groups":        func(g *respond.Guard) { g.Groups = []respond.Protected{{ID: "Owners", Why: "x"}} },
		"break_glass":   func(g *respond.Guard) { g.BreakGlass = []string{d.owner.ID, d.owner.ID} },
	}
	for field, change := range bad {
		next := g
		change(&next)
		_, err := d.SetGuard(t.Context(), d.id, next, by)
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	g.MaxPeople = 3
	next, err := d.SetGuard(t.Context(), d.id, g, by)
	must(t, err)
	want(t, "max people", next.MaxPeople, 3)
	_, err = d.SetGuard(t.Context(), d.id, g, by)
	d.fails(err, "guard_changed")

	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { _ = root.Close() }) // it is only read from
	look := respond.KillFile(root)
	k, err := look()
	must(t, err)
	want(t, "without a file", k.On, false)
	must(t, os.WriteFile(filepath.Join(dir, respond.KillFileName), []byte(" a drill \x00<b>\n"), 0o600))
	k, err = look()
	must(t, err)
	if !k.On || !strings.HasPrefix(k.Reason, "a drill") || strings.Contains(k.Reason, "\x00") {
		t.Errorf("kill switch is %+v", k)
	}
}

// TestServiceRuns lets it run as a server does: what is found is responded to, and what was planned is done.
func TestServiceRuns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		d := newDrama(t, p, "", ", targets: [local, cloud]")
		mira := d.person("mira")
		w := jobs.NewWorkers()
		d.Jobs(w)
		runner, err := jobs.NewRunner(t.Context(), d.DB.Jobs(), w, slog.New(slog.DiscardHandler))
		must(t, err)
		must(t, runner.Start(t.Context()))
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 { // two servers
			wg.Go(func() { d.service(t, fmt.Sprintf(bookText, "", ", targets: [local, cloud]")).Run(ctx) })
		}
		d.find(mira.ID, detect.High)
		select {
		case <-d.remote.changed:
		case <-time.After(20 * time.Second):
			t.Error("nothing was done within 20 s")
		}
		must(t, runner.Stop(context.WithoutCancel(t.Context()))) // once what it is at is written
		stop()
		wg.Wait()
		want(t, "suspended", d.suspended(mira.ID), true)
		want(t, "runs that are done", d.count("SELECT COUNT(*) FROM runs WHERE state = 'done'"), 1)
		want(t, "runs", d.count("SELECT COUNT(*) FROM runs"), 1)
		want(t, "changes", d.remote.changes, 1)
	})
}
