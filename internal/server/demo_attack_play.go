package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/signals"
)

// Play attacks the company of the running demo, and says what happens, until the leases are over. The context
// ends it early. It goes through the pages of the console as a browser would.
func (a *Attack) Play(ctx context.Context) (AttackResult, error) {
	if err := a.ready(ctx); err != nil {
		return AttackResult{}, fmt.Errorf("wait until detection has seen the history: %w", err)
	}
	var err error
	if a.before, err = a.suspended(ctx); err != nil {
		return AttackResult{}, err
	}
	a.began = a.s.now()
	if err := a.begin(ctx); err != nil {
		return AttackResult{}, err
	}
	r := AttackResult{Contained: true}
	for _, play := range []func(context.Context) (time.Duration, bool, error){a.prompts, a.spray} {
		took, contained, err := play(ctx)
		if err != nil {
			return r, err
		}
		r.ToContain, r.Contained = max(r.ToContain, took), r.Contained && contained
	}
	asked, err := a.askedForOwner(ctx)
	if err != nil {
		return r, err
	}
	r.Contained = r.Contained && asked
	if err := a.strangers(ctx, &r); err != nil {
		return r, err
	}
	if err := a.released(ctx); err != nil {
		return r, err
	}
	r.Took = a.s.now().Sub(a.began)
	return r, a.strangers(ctx, &r)
}

// patience is how long something is waited for that takes milliseconds on an idle machine.
const patience = 20 * time.Second

// until looks again and again until the condition holds, and tells meanwhile what is new. False: it never did.
func (a *Attack) until(ctx context.Context, most time.Duration, holds func(context.Context) (bool, error)) (bool, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := a.s.now().Add(most)
	for {
		if !a.began.IsZero() {
			if err := a.tell(ctx); err != nil {
				return false, err
			}
		}
		if ok, err := holds(ctx); ok || err != nil {
			return ok, err
		}
		if a.s.now().After(end) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-tick.C:
		}
	}
}

// pause lets the time pass, as an attacker has to.
func (a *Attack) pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	end := a.s.now().Add(d)
	_, err := a.until(ctx, d+time.Second, func(context.Context) (bool, error) { return !a.s.now().Before(end), nil })
	return err
}

// ready waits until the history of the company has gone through detection and playbooks: an attack must not wait behind it.
func (a *Attack) ready(ctx context.Context) error {
	db, account := a.s.db, a.d.Account.ID
	still := 0 // looks in a row at which there was nothing to do
	ok, err := a.until(ctx, 2*time.Minute, func(ctx context.Context) (bool, error) {
		source, err := db.SignalSource(ctx, account, signals.LocalID)
		if err != nil {
			return false, err
		}
		state, err := db.DetectState(ctx, account)
		if err != nil {
			return false, err
		}
		next, err := db.SignalsBySeq(ctx, account, []int64{state.Cursor + 1})
		if err != nil {
			return false, err
		}
		if source.Events < int64(a.d.Attempts) || len(next) > 0 {
			still = 0
			return false, nil
		}
		moment, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		defer stop()
		switch err := db.AwaitFindings(moment, account); {
		case err == nil: // there are findings that playbooks have not seen
			still = 0
		case moment.Err() == nil:
			return false, err
		default:
			still++
		}
		return still >= 3, nil
	})
	if err == nil && !ok {
		err = problem.New(problem.Unavailable, "detection has not come to an end of the demo's history within two minutes")
	}
	return err
}

func (a *Attack) say(kind, user, format string, args ...any) {
	a.sayAt(a.s.now(), kind, user, format, args...)
}

func (a *Attack) sayAt(at time.Time, kind, user, format string, args ...any) {
	a.o.Say(AttackLine{After: max(0, at.Sub(a.began)), At: at, Kind: kind, User: user, Text: fmt.Sprintf(format, args...)})
}

func (a *Attack) begin(ctx context.Context) error {
	g, err := a.s.respond.Guard(ctx, a.d.Account.ID)
	if err != nil {
		return err
	}
	a.say("begin", "", "guard rails: at most %d people suspended within %s, %g %% of all at a time, no event older than %s, never the last owner",
		g.MaxPeople, respond.Span(g.Window), g.MaxShare, respond.Span(g.MaxEventAge))
	a.say("begin", "", "the playbook demo-attack is enforced; a suspension is a lease of %s", respond.Span(a.o.Lease))
	return nil
}

// prompts is the attack on somebody with a second factor: the password is known, and codes are asked for until one is given.
func (a *Attack) prompts(ctx context.Context) (time.Duration, bool, error) {
	v := a.fatigued
	in := a.from(promptsFrom)
	a.say("attempt", v.DisplayName, "somebody who knows the password signs in from %s", promptsFrom)
	for try := 1; try <= 6; try++ {
		if try == 1 || try == 6 { // the fifth wrong code ends what the password began
			if status, err := in.password(ctx, v); err != nil || status != http.StatusSeeOther {
				return 0, false, unexpected(err, status, "the right password")
			}
		}
		code, err := a.wrongCode(v)
		if err != nil {
			return 0, false, err
		}
		if status, err := in.post(ctx, "/sign-in/code", url.Values{"code": {code}}); err != nil || status != http.StatusUnauthorized {
			return 0, false, unexpected(err, status, "a wrong code")
		}
		a.say("attempt", v.DisplayName, "second factor in vain, %d", try)
		if err := a.pause(ctx, a.o.Pace); err != nil {
			return 0, false, err
		}
	}
	if err := a.pause(ctx, 1200*time.Millisecond); err != nil { // six failures cost a second
		return 0, false, err
	}
	code, err := a.code(v, 0)
	if err != nil {
		return 0, false, err
	}
	if status, err := in.post(ctx, "/sign-in/code", url.Values{"code": {code}}); err != nil || status != http.StatusSeeOther {
		return 0, false, unexpected(err, status, "the right code")
	}
	return a.contained(ctx, v, in, "the second factor is given, and the attacker is in")
}

// code is the one-time code that is shown so much later than now.
func (a *Attack) code(v victim, later time.Duration) (string, error) {
	code, err := totp.GenerateCode(v.seed, a.s.now().Add(later))
	if err != nil {
		return "", fmt.Errorf("compute one-time code: %w", err)
	}
	return code, nil
}

// wrongCode is a code that is not right now.
func (a *Attack) wrongCode(v victim) (string, error) {
	var right []string
	for steps := -2; steps <= 2; steps++ {
		code, err := a.code(v, time.Duration(steps)*codePeriod)
		if err != nil {
			return "", err
		}
		right = append(right, code)
	}
	for n := 0; ; n++ {
		if code := fmt.Sprintf("%06d", n); !slices.Contains(right, code) {
			return code, nil
		}
	}
}

// spray tries one password for many people, and is in for two of them, of whom one is an owner.
func (a *Attack) spray(ctx context.Context) (time.Duration, bool, error) {
	a.say("attempt", "", "one password is tried for many people from %s", sprayFrom)
	for _, p := range a.others {
		in := a.from(sprayFrom)
		if status, err := in.password(ctx, victim{Person: p, password: "Harbour2026!"}); err != nil || status != http.StatusUnauthorized {
			return 0, false, unexpected(err, status, "a wrong password")
		}
		if err := a.pause(ctx, a.o.Pace/2); err != nil {
			return 0, false, err
		}
	}
	a.say("attempt", "", "%d wrong passwords of %d people", len(a.others), len(a.others))
	in := a.from(sprayFrom)
	if status, err := in.password(ctx, a.sprayed); err != nil || status != http.StatusSeeOther {
		return 0, false, unexpected(err, status, "the right password")
	}
	took, ok, err := a.contained(ctx, a.sprayed, in, "the password is right, and the attacker is in")
	if err != nil {
		return took, ok, err
	}
	in = a.from(sprayFrom)
	if status, err := in.password(ctx, a.owner); err != nil || status != http.StatusSeeOther {
		return 0, false, unexpected(err, status, "the right password")
	}
	_, err = a.letIn(ctx, a.owner, "the password is right, and the attacker is in, as an owner")
	return took, ok, err
}

// letIn says that the attacker is in as the victim, and since when by the store.
func (a *Attack) letIn(ctx context.Context, v victim, what string) (time.Time, error) {
	at, err := a.s.signInOf(ctx, v.Person, a.began)
	if err == nil {
		a.sayAt(at, "attempt", v.DisplayName, "%s", what)
	}
	return at, err
}

// contained waits until the victim is suspended, and tries again: with the session that was opened, and with what let the
// attacker in. It returns the time from the sign-in, as it was stored, to the suspension.
func (a *Attack) contained(ctx context.Context, v victim, in *intruder, what string) (time.Duration, bool, error) {
	since, err := a.letIn(ctx, v, what)
	if err != nil {
		return 0, false, err
	}
	var did respond.Action
	ok, err := a.until(ctx, patience, func(context.Context) (bool, error) {
		var ok bool
		did, ok = a.suspension(v)
		return ok, nil
	})
	if err != nil {
		return 0, false, err
	}
	if !ok {
		a.say("suspended", v.DisplayName, "NOT suspended within %s", respond.Span(patience))
		return 0, false, nil
	}
	took := did.EndedAt.Sub(since)
	a.sayAt(did.EndedAt, "suspended", v.DisplayName, "%d ms after the sign-in was stored", took.Milliseconds())
	inside, err := in.inside(ctx)
	if err != nil {
		return 0, false, err
	}
	status, err := a.again(ctx, v, in.address)
	if err != nil {
		return 0, false, err
	}
	a.say("refused", v.DisplayName, "the session of the attacker %s; another sign-in is answered with %d %s",
		map[bool]string{true: "STILL WORKS", false: "is over"}[inside], status, http.StatusText(status))
	return took, !inside && status == http.StatusForbidden, a.pause(ctx, 200*time.Millisecond+2*a.o.Pace) // the attempt is found, too
}

// again signs in once more, with a right password and a right code.
func (a *Attack) again(ctx context.Context, v victim, address string) (int, error) {
	in := a.from(address)
	status, err := in.password(ctx, v)
	if err != nil || v.seed == "" || status != http.StatusSeeOther {
		return status, err
	}
	code, err := a.code(v, codePeriod) // a code is good once
	if err != nil {
		return 0, err
	}
	return in.post(ctx, "/sign-in/code", url.Values{"code": {code}})
}

// suspension is the suspension of the victim by a playbook since the attack began, as of the last look.
func (a *Attack) suspension(v victim) (respond.Action, bool) {
	for _, x := range a.records[v.UserID].Actions {
		done := x.State == respond.ActionDone || x.State == respond.ActionUndone
		if x.Kind == respond.ActSuspend && done && x.RunID != "" && !x.EndedAt.Before(a.began.Truncate(time.Microsecond)) {
			return x, true
		}
	}
	return respond.Action{}, false
}

// askedForOwner waits for the approval that is asked for, answers it if the demo is to, and waits for what follows. False:
// the owner was suspended without one, or nobody was asked.
func (a *Attack) askedForOwner(ctx context.Context) (bool, error) {
	var asked respond.Approval
	pending := func(state respond.ApprovalState) bool { return state == respond.ApprovalPending }
	ok, err := a.until(ctx, patience, func(context.Context) (bool, error) {
		for _, x := range a.records[a.owner.UserID].Approvals {
			if !x.AskedAt.Before(a.began.Truncate(time.Microsecond)) {
				asked = x
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil || !ok {
		return false, err
	}
	if _, acted := a.suspension(a.owner); acted {
		return false, nil
	}
	if a.o.Answer {
		if err := a.pause(ctx, 500*time.Millisecond); err != nil {
			return false, err
		}
		by := audit.Entry{Actor: a.guardian.Actor()}
		x := respond.Answering{Approve: true, Reason: "Adaeze is at her desk, and it was not her", Door: respond.DoorConsole}
		if _, err := a.s.respond.Answer(ctx, a.d.Account.ID, asked.ID, a.guardian.UserID, x, by); err != nil {
			return false, fmt.Errorf("approve as %s: %w", a.guardian.DisplayName, err)
		}
	} else {
		number := a.records[a.owner.UserID].Case.Number
		a.say("approval", a.owner.DisplayName, "answer it in the console as %s: %s/cases/%d", a.d.Owner.DisplayName, a.s.ConsoleURL(), number)
	}
	_, err = a.until(ctx, 2*time.Minute, func(context.Context) (bool, error) {
		for _, x := range a.records[a.owner.UserID].Approvals {
			if x.ID == asked.ID && pending(x.State) {
				return false, nil
			}
			if x.ID == asked.ID && x.State != respond.ApprovalApproved {
				return true, nil
			}
		}
		_, acted := a.suspension(a.owner)
		return acted, nil
	})
	if err != nil {
		return false, err
	}
	_, acted := a.suspension(a.owner)
	return acted || !a.o.Answer, nil
}

// released waits until all suspensions have ended by themselves.
func (a *Attack) released(ctx context.Context) error {
	_, err := a.until(ctx, 6*a.o.Lease+time.Minute, func(context.Context) (bool, error) {
		for _, v := range []victim{a.fatigued, a.sprayed, a.owner} {
			if x, ok := a.suspension(v); ok && x.State != respond.ActionUndone {
				return false, nil
			}
		}
		return true, nil
	})
	return err
}
