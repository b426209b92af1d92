package store_test

import (
	"slices"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/respond"
	"holdfast/internal/store/storetest"
)

// consent is a scene with an approval that waits.
type consent struct {
	*scene
	mira, ana, ben, eve directory.User // whom it is about; two who are asked, one who is not
	caseID, approval    string
}

func askFor(s *scene, order respond.Order, needed int, onTimeout respond.OnTimeout) *consent {
	c := &consent{scene: s, mira: s.person("mira", "Security"), ana: s.person("ana", "Security"), ben: s.person("ben", "Security"), eve: s.person("eve")}
	s.find(c.mira.ID, detect.High)
	state := respond.RunWaiting
	if order == respond.After {
		state = respond.RunActing
	}
	x := plan(state, forEver())
	x.Approval = &respond.Approval{Order: order, Needed: needed, From: []string{"security"}, NotSelf: true, OnTimeout: onTimeout, ExpiresAt: s.now().Add(time.Hour)}
	x.Question = &respond.Question{OnConfirm: "release", OnDeny: "keep", OnSilence: "keep", AskedAt: s.now(), ExpiresAt: s.now().Add(10 * time.Minute)}
	c.caseID = s.respond(x).CaseID
	c.approval = s.record(c.caseID).Approvals[0].ID
	return c
}

func (c *consent) vote(u directory.User, approve bool) error {
	_, err := c.Vote(c.t.Context(), c.id, c.approval, respond.Vote{UserID: u.ID, Approve: approve, Reason: "seen", Door: "console"}, anybody, user(u.ID))
	return err
}

// do runs what is planned, as the jobs do.
func (c *consent) do() {
	for _, a := range c.record(c.caseID).Actions {
		if a.State == respond.ActionPlanned {
			if _, ok, err := c.Begin(c.t.Context(), c.id, a.ID, passes); err != nil || ok {
				c.t.Errorf("an action on the own directory is left to do: %t, %v", ok, err)
			}
		}
	}
}

// TestApprovalBefore: two of the group must say yes before anything is done.
func TestApprovalBefore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		c := askFor(newScene(t, p), respond.Before, 2, respond.TimeoutDeny)
		want(t, "suspended", c.suspended(c.mira.ID), false)
		want(t, "waiting", c.record(c.caseID).Case.Pending, 1)
		use, err := c.GuardUse(t.Context(), c.id)
		must(t, err)
		want(t, "use", use, respond.GuardUse{Suspended: 1, Held: 1, Planned: 1, Active: 5})
		c.do() // a run that waits does nothing, whoever asks
		want(t, "suspended", c.suspended(c.mira.ID), false)

		people, err := c.Approvers(t.Context(), c.id, c.approval)
		must(t, err)
		ids := []string{people[0].ID, people[1].ID}
		slices.Sort(ids)
		wanted := []string{c.ana.ID, c.ben.ID}
		slices.Sort(wanted)
		if len(people) != 2 || !slices.Equal(ids, wanted) {
			t.Errorf("%d people are asked: %v, want %v", len(people), ids, wanted)
		}
		c.fails(c.vote(c.mira, true), "self")
		c.fails(c.vote(c.eve, true), "not_asked")
		must(t, c.vote(c.ana, true))
		c.fails(c.vote(c.ana, true), "twice")
		want(t, "state", c.record(c.caseID).Runs[0].State, respond.RunWaiting)
		pending, err := c.PendingApprovals(t.Context(), c.id, c.ana.ID)
		must(t, err)
		want(t, "approvals of who has answered", len(pending), 0)
		pending, err = c.PendingApprovals(t.Context(), c.id, c.ben.ID)
		must(t, err)
		want(t, "approvals of who has not", len(pending), 1)
		must(t, c.vote(c.ben, true))
		c.fails(c.vote(c.ben, false), respond.CodeFinal)
		c.do()
		r := c.record(c.caseID)
		want(t, "suspended", c.suspended(c.mira.ID), true)
		want(t, "state of the run", r.Runs[0].State, respond.RunDone)
		want(t, "approval", r.Approvals[0].State, respond.ApprovalApproved)
		want(t, "votes", len(r.Approvals[0].Votes), 2)
		want(t, "question", r.Questions[0].ExpiresAt, c.now().Add(10*time.Minute))
		want(t, "entries", c.audited(audit.ApprovalApprove), 2+3)
		storetest.Verify(t, c.DB, c.id)
	})
}

// TestApprovalEnds: what follows from a no, and from no answer, before and after.
func TestApprovalEnds(t *testing.T) {
	type end struct {
		name      string
		order     respond.Order
		onTimeout respond.OnTimeout
		deny      bool
		approval  respond.ApprovalState
		run       respond.RunState
		suspended bool
	}
	ends := []end{
		{"before_denied", respond.Before, respond.TimeoutApprove, true, respond.ApprovalDenied, respond.RunDenied, false},
		{"before_deny", respond.Before, respond.TimeoutDeny, false, respond.ApprovalExpired, respond.RunExpired, false},
		{"before_approve", respond.Before, respond.TimeoutApprove, false, respond.ApprovalExpired, respond.RunDone, true},
		{"before_hold", respond.Before, respond.TimeoutHold, false, respond.ApprovalExpired, respond.RunHeld, false},
		{"after_denied", respond.After, respond.TimeoutApprove, true, respond.ApprovalDenied, respond.RunDone, false},
		{"after_deny", respond.After, respond.TimeoutDeny, false, respond.ApprovalExpired, respond.RunDone, false},
		{"after_approve", respond.After, respond.TimeoutApprove, false, respond.ApprovalExpired, respond.RunDone, true},
		{"after_hold", respond.After, respond.TimeoutHold, false, respond.ApprovalExpired, respond.RunDone, true},
	}
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		base := newScene(t, p)
		for _, tt := range ends {
			t.Run(tt.name, func(t *testing.T) {
				c := askFor(base.anew(t), tt.order, 1, tt.onTimeout)
				if tt.deny {
					must(t, c.vote(c.ana, false))
				} else {
					before := c.queued("respond.end_approval")
					must(t, c.ExpireApproval(t.Context(), c.id, c.approval)) // too early: it is looked at again then
					want(t, "approval", c.record(c.caseID).Approvals[0].State, respond.ApprovalPending)
					want(t, "jobs", c.queued("respond.end_approval"), before+1)
					c.pass(time.Hour)
					c.fails(c.vote(c.ana, true), "too_late")
					must(t, c.ExpireApproval(t.Context(), c.id, c.approval))
				}
				must(t, c.ExpireApproval(t.Context(), c.id, c.approval)) // again
				c.do()
				r := c.record(c.caseID)
				want(t, "approval", r.Approvals[0].State, tt.approval)
				want(t, "run", r.Runs[0].State, tt.run)
				want(t, "suspended", c.suspended(c.mira.ID), tt.suspended)
				want(t, "contained", r.Case.State == respond.CaseContained, tt.suspended)
			})
		}
	})
}

// TestLinks: a link answers once, in time, for whom it was sent to.
func TestLinks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		c := askFor(newScene(t, p), respond.Before, 2, respond.TimeoutDeny)
		ctx := t.Context()
		links := map[string]string{"ana": c.ana.ID, "mira": c.mira.ID, "late": c.ben.ID}
		for hash, id := range links {
			l := respond.Link{AccountID: c.id, ApprovalID: c.approval, UserID: id, Hash: []byte(hash), ExpiresAt: c.now().Add(time.Hour)}
			if hash == "late" {
				l.ExpiresAt = c.now()
			}
			must(t, c.AddLink(ctx, l))
		}
		use := func(hash, id string) error {
			_, err := c.UseLink(ctx, []byte(hash), respond.Vote{UserID: id, Approve: true, Door: "link"}, anybody, user(id))
			return err
		}
		c.fails(use("forged", c.ana.ID), "no_link")
		c.fails(use("late", c.ben.ID), "link_expired")
		c.fails(use("ana", c.ben.ID), "link_of_another")
		c.fails(use("mira", c.mira.ID), "self")
		must(t, use("ana", c.ana.ID))
		c.fails(use("ana", c.ana.ID), "link_used")
		a, l, err := c.ApprovalByLink(ctx, []byte("ana"))
		must(t, err)
		want(t, "approval", a.ID, c.approval)
		want(t, "used", l.UsedAt, c.now())
		want(t, "votes", len(a.Votes), 1)
	})
}

// TestQuestion: only the person answers, once and in time, and the playbook says what follows.
func TestQuestion(t *testing.T) {
	answers := []struct {
		name      string
		answer    string
		state     respond.QuestionState
		suspended bool
		kept      bool
	}{
		{"confirmed", "yes", respond.QuestionConfirmed, false, false},
		{"denied", "no", respond.QuestionDenied, true, true},
		{"silent", "", respond.QuestionSilent, true, false},
	}
	storetest.Each(t, func(t *testing.T, p *storetest.Place) {
		base := newScene(t, p)
		for _, tt := range answers {
			t.Run(tt.name, func(t *testing.T) {
				c := askFor(base.anew(t), respond.After, 1, respond.TimeoutApprove)
				q := c.record(c.caseID).Questions[0]
				asked, err := c.PendingQuestions(t.Context(), c.id, c.mira.ID)
				must(t, err)
				want(t, "questions", len(asked), 1)
				answer := func(id string) error {
					_, err := c.AnswerQuestion(t.Context(), c.id, q.ID, id, tt.answer == "yes", user(id))
					return err
				}
				c.fails(answer(c.ana.ID), "not_asked")
				must(t, c.ExpireQuestion(t.Context(), c.id, q.ID)) // too early
				if tt.answer == "" {
					c.pass(10 * time.Minute)
					c.fails(answer(c.mira.ID), "too_late")
					must(t, c.ExpireQuestion(t.Context(), c.id, q.ID))
				} else {
					must(t, answer(c.mira.ID))
				}
				c.fails(answer(c.mira.ID), respond.CodeFinal)
				r := c.record(c.caseID)
				want(t, "state", r.Questions[0].State, tt.state)
				want(t, "suspended", c.suspended(c.mira.ID), tt.suspended)
				want(t, "kept", r.Actions[0].Kept, tt.kept)
			})
		}
	})
}
