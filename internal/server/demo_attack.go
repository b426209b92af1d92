package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// AttackOptions say how the attack on the demo's company is played.
type AttackOptions struct {
	Lease  time.Duration    // how long a suspension is
	Pace   time.Duration    // between two attempts, for who reads along
	Answer bool             // a member of Security consents to the suspension of an owner; else whoever watches is waited for
	Say    func(AttackLine) // hears what happens, one call at a time
}

// AttackLine is one line of the attack's timeline.
type AttackLine struct {
	After time.Duration // since the attack began
	At    time.Time
	Kind  string // begin, attempt, finding, guard, suspended, refused, approval, goes_on, released
	User  string // name of the person; empty: nobody in particular
	Text  string
}

// AttackResult is what came of the attack.
type AttackResult struct {
	Contained        bool          // both victims were suspended, their sessions ended, and the next attempts refused
	WronglySuspended int           // people whom nobody attacked
	ToContain        time.Duration // from the sign-in of the attacker to the suspension, the longer one
	Took             time.Duration // all of it
}

// Attack is an attack that is about to be played.
type Attack struct {
	s *Server
	d Demo
	o AttackOptions

	fatigued, sprayed, owner, guardian victim
	others                             []signin.Person // whose passwords are tried in vain

	began   time.Time
	before  []string         // who was suspended before
	seen    map[string]int64 // the last moment that was told, by case
	records map[string]respond.Record
}

// victim is a person of the company whose password the attackers know, or will know.
type victim struct {
	signin.Person
	password string
	seed     string // of one-time codes, in base32; empty: none are set up
}

// Where the attackers are: at addresses for documentation (RFC 5737) from which the made-up people never sign in.
const (
	promptsFrom = "198.51.100.66"
	sprayFrom   = "198.51.100.91"
)

// demoPlaybook is what the demo adds to the playbooks that Holdfast comes with. Its lengths of time are made shorter than
// a playbook can say, since nobody wants to watch for a day.
const demoPlaybook = `apiVersion: holdfast/v1
kind: Playbook
metadata:
  name: demo-attack
  owner: demo
  description: >-
    Of the demo: what the shipped playbooks do in a day, in seconds. The suspension is much shorter than the minute that stands
    here, which is the shortest that a playbook can say.
mode: observe
on: [mfa_fatigue, success_from_sprayer]
when: user.state == "ACTIVE" && event.status in ["Success", "Failure"]
dedupe: {key: user.id, window: 1h}
approval: {when: '"Owners" in user.groups', order: before, from: {groups: [Security, Owners], not: [self]}, timeout: 1m, on_timeout: deny}
do:
  - suspend: {for: 1m, release: if_quiet}
  - end_sessions: {}
tests:
  - name: prompts until somebody gave in
    finding: {rule: mfa_fatigue}
    event: {status: Failure}
    expect: {acts: [suspend, end_sessions]}
  - name: an owner is somebody's decision
    finding: {rule: success_from_sprayer}
    event: {status: Success}
    user: {groups: [Owners]}
    expect: {asks: before}
`

// PrepareAttack gives the victims what the attackers need, and adds the demo's playbook. It must be called before Run.
// The server must trust the X-Forwarded-For of the loopback address.
func (s *Server) PrepareAttack(ctx context.Context, d Demo, o AttackOptions) (*Attack, error) {
	a := &Attack{s: s, d: d, o: o, seen: map[string]int64{}, records: map[string]respond.Record{}}
	by := audit.Entry{Actor: "operator:demo"}
	for _, x := range []struct {
		who  *victim
		name string
		code bool
	}{{&a.fatigued, "Mira Oduya", true}, {&a.sprayed, "Hana Nováková", false}, {&a.owner, "Adaeze Okonkwo", false}} {
		var err error
		if *x.who, err = a.victim(ctx, x.name, x.code, by); err != nil {
			return nil, fmt.Errorf("prepare %s for the attack: %w", x.name, err)
		}
	}
	var err error
	if a.guardian.Person, err = a.person(ctx, "Yuki Tanabe"); err != nil {
		return nil, err
	}
	for _, name := range []string{
		"Luc Fontaine", "Piotr Wójcik", "Diego Ibáñez", "Aroha Ngata", "Siddharth Rao", "Freja Lindqvist", "Kwame Asante", "Chloé Lambert", "Beatriz Nogueira", "Haruto Mori",
	} {
		p, err := a.person(ctx, name)
		if err != nil {
			return nil, err
		}
		a.others = append(a.others, p)
	}
	if err := a.secondOwner(ctx, by); err != nil {
		return nil, fmt.Errorf("make a second owner: %w", err)
	}
	if err := a.room(ctx); err != nil {
		return nil, fmt.Errorf("set the demo's guard rails: %w", err)
	}
	return a, a.playbook(ctx)
}

// room sets the guard rails as the owner would: of fifty people the usual five percent are two.
func (a *Attack) room(ctx context.Context) error {
	g, err := a.s.respond.Guard(ctx, a.d.Account.ID)
	if err != nil {
		return err
	}
	g.MaxShare = 10
	by := audit.Entry{Actor: "user:" + a.d.Owner.ID, Reason: "the company is small"}
	_, err = a.s.respond.SetGuard(ctx, a.d.Account.ID, g, by)
	return err
}

func (a *Attack) person(ctx context.Context, name string) (signin.Person, error) {
	people, err := a.s.db.People(ctx, demoEmail(name), 2)
	if err != nil {
		return signin.Person{}, err
	}
	if len(people) != 1 {
		return signin.Person{}, problem.New(problem.Internal, "%d people have the e-mail address of %s; one was expected", len(people), name)
	}
	return people[0], nil
}

// victim gives the person a password and, with code, one-time codes.
func (a *Attack) victim(ctx context.Context, name string, code bool, by audit.Entry) (victim, error) {
	p, err := a.person(ctx, name)
	if err != nil {
		return victim{}, err
	}
	v := victim{Person: p, password: demoPassword().Reveal()}
	if err := a.s.signin.SetInitialPassword(ctx, p.AccountID, p.UserID, v.password, by); err != nil || !code {
		return v, err
	}
	self := web.Principal{AccountID: p.AccountID, UserID: p.UserID, Email: p.Email}
	setup, err := a.s.signin.BeginTOTP(ctx, self)
	if err != nil {
		return v, err
	}
	v.seed = strings.ReplaceAll(setup.Secret.Reveal(), " ", "")
	first, err := totp.GenerateCode(v.seed, a.s.now().Add(-codePeriod)) // that of now is for the attack
	if err != nil {
		return v, fmt.Errorf("compute one-time code: %w", err)
	}
	_, err = a.s.signin.FinishTOTP(ctx, self, setup.Ticket, first, by)
	return v, err
}

// codePeriod is how long a one-time code is shown.
const codePeriod = 30 * time.Second

// secondOwner makes the attacked administrator an owner: nothing ever suspends the only one.
func (a *Attack) secondOwner(ctx context.Context, by audit.Entry) error {
	groups, err := a.s.db.Groups(ctx, a.d.Account.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(groups, func(g directory.Group) bool { return g.Kind == directory.Owners })
	if i < 0 {
		return problem.New(problem.Internal, "the account has no group of owners")
	}
	return a.s.db.AddMember(ctx, a.d.Account.ID, groups[i].ID, a.owner.UserID, by)
}

// playbook adds the demo's playbook to those of the server, and enforces it as the owner would.
func (a *Attack) playbook(ctx context.Context) error {
	all, err := respond.ParsePlaybooks("demo", []byte(demoPlaybook))
	if err != nil {
		return fmt.Errorf("read the demo's playbook: %w", err)
	}
	for _, p := range all {
		for i := range p.Do {
			if p.Do[i].Kind == respond.StepSuspend {
				p.Do[i].For = a.o.Lease
			}
		}
	}
	a.s.respond.Shipped = append(slices.Clone(a.s.respond.Shipped), all...)
	for _, p := range all {
		if _, err := a.s.respond.SetMode(ctx, a.d.Account.ID, p.Name, respond.ModeEnforce, audit.Entry{Actor: "user:" + a.d.Owner.ID}); err != nil {
			return fmt.Errorf("enforce the demo's playbook: %w", err)
		}
	}
	return nil
}
