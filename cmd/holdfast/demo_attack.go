package main

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"holdfast/internal/problem"
	"holdfast/internal/server"
)

// How long a suspension of the attack is, and how fast it goes: for who watches, and for a script that waits.
const (
	leaseToWatch  = 20 * time.Second
	leaseToScript = 4 * time.Second
	paceToWatch   = 400 * time.Millisecond
)

// attackLineJSON is a line of the attack's timeline.
type attackLineJSON struct {
	Time    time.Time `json:"time"`
	AfterMS int64     `json:"after_ms"`
	Kind    string    `json:"kind"`
	User    string    `json:"user"` // name; empty: nobody in particular
	Text    string    `json:"text"`
}

// attackResultJSON is the last line.
type attackResultJSON struct {
	Kind             string `json:"kind"` // "result"
	Contained        bool   `json:"contained"`
	WronglySuspended int    `json:"wrongly_suspended"`
	MSToContain      int64  `json:"ms_to_contain"`
	MS               int64  `json:"ms"`
}

// attack runs the demo with an attack on it.
func (c *demoCmd) attack(ctx context.Context, std stdio, s *server.Server, show *follower, dir string, keep bool, d server.Demo) error {
	show.hush(true) // those of the attackers would stand between the lines
	o := server.AttackOptions{Lease: leaseToWatch, Pace: paceToWatch, Say: attackLines(std)}
	var broken error
	if c.JSON {
		o.Lease, o.Pace, o.Answer = leaseToScript, 0, true
		o.Say = func(l server.AttackLine) {
			if err := printJSON(std, attackLineJSON{l.At.UTC(), l.After.Milliseconds(), l.Kind, l.User, l.Text}); broken == nil {
				broken = err
			}
		}
	}
	a, err := s.PrepareAttack(ctx, d, o)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if !c.JSON {
		fmt.Fprintf(std.out, attackText, d.People, d.Account.Name, s.ConsoleURL()+"/cases", d.Owner.Email, d.Password.Reveal())
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		err := s.Run(serving)
		stop() // whatever ended it, nobody is attacked any more
		ended <- err
	}()
	result, err := a.Play(serving)
	show.hush(false)
	if err == nil {
		err = c.sayResult(std, result)
	}
	if ctx.Err() != nil { // somebody stopped it
		err = nil
	}
	if c.JSON || err != nil {
		stop()
	}
	err = errors.Join(err, broken, <-ended)
	if err == nil && !c.JSON {
		return stopped(std, dir, keep)
	}
	return err
}

// attackText is what stands above the timeline.
const attackText = `
Holdfast demo: %d people at %s are attacked. Watch it in the console, as the owner:

  %s
  Email     %s
  Password  %s

`

// attackLines prints the timeline in columns.
func attackLines(std stdio) func(server.AttackLine) {
	paint := painter(std.out, std.env)
	colours := map[string]string{"attempt": red, "finding": yellow, "suspended": green, "refused": green, "approval": cyan, "released": green}
	return func(l server.AttackLine) {
		user := l.User + fmt.Sprintf("%*s", max(0, 15-utf8.RuneCountInString(l.User)), "")
		fmt.Fprintf(std.out, "%s  %s  %s  %s\n", paint(grey, fmt.Sprintf("%7.2f s", l.After.Seconds())), paint(colours[l.Kind], fmt.Sprintf("%-9s", l.Kind)), user, l.Text)
	}
}

// sayResult prints the result. An attack that was not contained, or somebody who was suspended wrongly, is an error.
func (c *demoCmd) sayResult(std stdio, r server.AttackResult) error {
	if c.JSON {
		if err := printJSON(std, attackResultJSON{"result", r.Contained, r.WronglySuspended, r.ToContain.Milliseconds(), r.Took.Milliseconds()}); err != nil {
			return err
		}
	} else {
		what := "The attack was contained"
		if !r.Contained {
			what = "The attack was not contained"
		}
		fmt.Fprintf(std.out, "\n%s, %d ms after the attacker was in at most. Suspended without having been attacked: %d.\nThe demo goes on; Ctrl-C stops it.\n\n",
			what, r.ToContain.Milliseconds(), r.WronglySuspended)
	}
	switch {
	case !r.Contained:
		return problem.New(problem.Internal, "the attack was not contained")
	case r.WronglySuspended > 0:
		return problem.New(problem.Internal, "the attack was contained, but %s suspended who was not attacked", plural(r.WronglySuspended, "person was", "people were"))
	}
	return nil
}
