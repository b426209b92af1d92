package respond

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kinds of moments that sending writes. Their facts are channel, template, ref (what the message is about) and to (the
// person it went to, where it went to one); of a failure also error.
const (
	MomentNotified     = "notified"
	MomentNotifyFailed = "notify_failed"
)

// parcel is a message to be sent through channels, each of which takes it once.
type parcel struct {
	rec      Record
	ref      string // id of the action, approval or run that it is about
	template string
	run      *Run
	action   *Action
	approval *Approval
	question *Question
	to       *Person // the one reader; nil: whoever the channel is read by
	answer   string  // one-time link, or page where a question is answered
}

// SendMessage sends, for its job, what the machinery has to say about a case.
func (s *Service) SendMessage(ctx context.Context, j Send) error {
	rec, err := s.Store.Case(ctx, j.AccountID, j.CaseID)
	if err != nil {
		return given(err)
	}
	p := parcel{rec: rec, template: j.Template, ref: cmp.Or(j.ApprovalID, j.ActionID, j.RunID, j.CaseID)}
	p.run = pick(rec.Runs, func(r Run) bool { return r.ID == j.RunID })
	p.action = pick(rec.Actions, func(a Action) bool { return a.ID == j.ActionID })
	p.approval = pick(rec.Approvals, func(a Approval) bool { return a.ID == j.ApprovalID })
	if p.run == nil && p.action != nil {
		p.run = pick(rec.Runs, func(r Run) bool { return r.ID == p.action.RunID })
	}
	if p.run == nil && p.approval != nil {
		p.run = pick(rec.Runs, func(r Run) bool { return r.ID == p.approval.RunID })
	}
	channels, err := s.Channels.List(ctx, j.AccountID)
	if err != nil {
		return err
	}
	switch j.Template {
	case TemplateAskPerson:
		return s.askPerson(ctx, p, channels)
	case TemplateApprovalNeeded:
		return s.askApprovers(ctx, p, channels)
	}
	through := slices.DeleteFunc(slices.Clone(channels), func(c Channel) bool { return !c.Pages })
	if j.Channel != "" {
		through = slices.DeleteFunc(channels, func(c Channel) bool { return c.Name != j.Channel })
	} else if j.Template == TemplateReleased && p.run != nil {
		if through, err = s.onRelease(ctx, p, channels, through); err != nil {
			return err
		}
	}
	return s.deliver(ctx, p, through)
}

func pick[T any](all []T, is func(T) bool) *T {
	i := slices.IndexFunc(all, is)
	if i < 0 {
		return nil
	}
	return &all[i]
}

// onRelease is where the playbook wants a release to be announced, or else where pages go: none goes unsaid.
func (s *Service) onRelease(ctx context.Context, p parcel, channels, usual []Channel) ([]Channel, error) {
	b, err := s.book(ctx, p.rec.Case.AccountID, false)
	if err != nil {
		return nil, err
	}
	e := pick(b.entries, func(e BookEntry) bool { return e.Playbook.Name == p.run.Playbook })
	if e == nil {
		return usual, nil
	}
	var through []Channel
	for _, step := range e.Playbook.OnRelease {
		for _, name := range step.To {
			if c := pick(channels, func(c Channel) bool { return c.Name == name }); c != nil && !slices.ContainsFunc(through, func(x Channel) bool { return x.Name == name }) {
				through = append(through, *c)
			}
		}
	}
	if len(through) == 0 {
		through = usual
	}
	return through, nil
}

// askPerson asks the person themself, at their own address.
func (s *Service) askPerson(ctx context.Context, p parcel, channels []Channel) error {
	p.question = pick(p.rec.Questions, func(q Question) bool { return p.run != nil && q.RunID == p.run.ID })
	if p.question == nil || p.question.State != QuestionPending {
		return nil // it is answered already
	}
	p.ref, p.to, p.answer = p.question.ID, &p.rec.Person, s.URL+QuestionPath+p.question.ID
	return s.deliver(ctx, p, firstMail(channels))
}

// askApprovers sends each of those who may answer a link of their own, and pages without one.
func (s *Service) askApprovers(ctx context.Context, p parcel, channels []Channel) error {
	if p.approval == nil || p.approval.State != ApprovalPending {
		return nil
	}
	account := p.rec.Case.AccountID
	people, err := s.Store.Approvers(ctx, account, p.approval.ID)
	if err != nil {
		return given(err)
	}
	if len(people) == 0 {
		return s.told(ctx, p, Channel{}, errors.New("nobody is active in the groups that are asked"))
	}
	mail := firstMail(channels)
	var errs []error
	for _, person := range people {
		one := p
		one.to = &person
		if len(mail) == 0 || one.sent(mail[0]) {
			continue
		}
		if one.answer, err = s.newLink(ctx, *p.approval, person.ID); err != nil {
			return err
		}
		errs = append(errs, s.deliver(ctx, one, mail))
	}
	pages := slices.DeleteFunc(slices.Clone(channels), func(c Channel) bool { return !c.Pages })
	if len(pages) > 0 || len(mail) == 0 {
		errs = append(errs, s.deliver(ctx, p, pages))
	}
	return errors.Join(errs...)
}

func firstMail(channels []Channel) []Channel {
	if c := pick(channels, func(c Channel) bool { return c.Kind == ChannelEmail }); c != nil {
		return []Channel{*c}
	}
	return nil
}

// deliver sends through each channel that has not taken the message yet. The error is of those that may take it later.
func (s *Service) deliver(ctx context.Context, p parcel, through []Channel) error {
	if len(through) == 0 {
		return s.told(ctx, p, Channel{}, errors.New("no channel is set up for this"))
	}
	var later []error
	for _, c := range through {
		if p.sent(c) {
			continue
		}
		err := s.sendOne(ctx, p, c)
		if x, ok := errors.AsType[*SendError](err); ok && !x.Permanent {
			later = append(later, err)
			continue
		}
		if err := s.told(ctx, p, c, err); err != nil {
			return err
		}
	}
	return errors.Join(later...)
}

func (s *Service) sendOne(ctx context.Context, p parcel, c Channel) error {
	name, err := s.Account(ctx, p.rec.Case.AccountID)
	if err != nil {
		return err
	}
	language := "en"
	if config, err := c.Settings(); err == nil {
		language = cmp.Or(config.Language, language)
	}
	m := p.message(language)
	m.ID, m.At, m.Account, m.CaseURL = p.messageID(c), s.Now(), name, s.URL+CasePath+fmt.Sprint(p.rec.Case.Number)
	return s.Channels.Send(ctx, c, m)
}

// told writes to the timeline what became of a message.
func (s *Service) told(ctx context.Context, p parcel, c Channel, failed error) error {
	m := Moment{At: s.Now(), Kind: MomentNotified, Actor: "system", Facts: map[string]string{"ref": p.ref, "template": p.template, "channel": c.Name}}
	if p.to != nil {
		m.Facts["to"] = p.to.ID
	}
	if failed != nil {
		m.Kind, m.Facts["error"] = MomentNotifyFailed, plain(failed.Error(), mostText)
	}
	return s.Store.Notified(ctx, p.rec.Case.AccountID, p.rec.Case.ID, m)
}

// sent says whether the channel has taken the message already.
func (p parcel) sent(c Channel) bool {
	to := ""
	if p.to != nil {
		to = p.to.ID
	}
	return slices.ContainsFunc(p.rec.Moments, func(m Moment) bool {
		return m.Kind == MomentNotified && m.Facts["ref"] == p.ref && m.Facts["template"] == p.template && m.Facts["channel"] == c.Name && m.Facts["to"] == to
	})
}

// messageID is the same with each try, so that receivers know a repetition.
func (p parcel) messageID(c Channel) string {
	to := ""
	if p.to != nil {
		to = p.to.ID
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{"respond message", p.ref, p.template, c.ID, to}, "\x00")))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// tell does an action that sends: notify or signal. A message that may have been sent before is sent again under the
// same ID.
func (s *Service) tell(ctx context.Context, a Action) (Result, error) {
	rec, err := s.Store.Case(ctx, a.AccountID, a.CaseID)
	if err != nil {
		return Result{}, err
	}
	channels, err := s.Channels.List(ctx, a.AccountID)
	if err != nil {
		return Result{}, err
	}
	through := slices.DeleteFunc(channels, func(c Channel) bool {
		if a.Target == "" {
			return !c.Pages
		}
		return c.Name != a.Target
	})
	if len(through) == 0 {
		return Result{State: ActionFailed, Code: "no_channel", Reason: fmt.Sprintf("there is no channel %q", cmp.Or(a.Target, "that takes pages"))}, nil
	}
	p := parcel{rec: rec, ref: a.ID, template: cmp.Or(a.Template, TemplatePage), action: &a}
	p.run = pick(rec.Runs, func(r Run) bool { return r.ID == a.RunID })
	wait := retryWait(a.Attempts)
	var taken int
	var failed, later []string
	for _, c := range through {
		if p.sent(c) {
			taken++
			continue
		}
		err := s.sendOne(ctx, p, c)
		x, isSend := errors.AsType[*SendError](err)
		switch {
		case err != nil && ctx.Err() != nil:
			return Result{}, err
		case isSend && !x.Permanent:
			later = append(later, x.Error())
			wait = max(wait, x.After)
			continue
		case err != nil:
			failed = append(failed, err.Error())
		default:
			taken++
		}
		if err := s.told(ctx, p, c, err); err != nil {
			return Result{}, err
		}
	}
	reason := plain(strings.Join(slices.Concat(later, failed), "; "), mostText)
	switch {
	case len(later) > 0:
		return exhausted(a, Result{State: ActionPlanned, Code: "not_sent", Reason: reason, RetryAt: s.Now().Add(wait)}), nil
	case taken == 0:
		return Result{State: ActionFailed, Code: "not_sent", Reason: reason}, nil
	}
	return Result{State: ActionDone, Reason: reason}, nil
}
