package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

type guardCmd struct {
	Show   guardShowCmd   `cmd:"" help:"Show the guard rails, and how much of them is used."`
	Set    guardSetCmd    `cmd:"" help:"Set limits and who is protected."`
	Kill   guardKillCmd   `cmd:"" help:"Turn the kill switch on: nothing is begun automatically any more."`
	Resume guardResumeCmd `cmd:"" help:"Turn the kill switch off."`
}

// guardJSON is the guard rails with their use.
type guardJSON struct {
	Revision    int64           `json:"revision"`
	Kill        guardKillJSON   `json:"kill_switch"`
	MaxPeople   int             `json:"max_people"`
	Window      string          `json:"window"`
	MaxShare    float64         `json:"max_share"` // percent
	MaxEventAge string          `json:"max_event_age"`
	MinTrust    string          `json:"min_trust"`
	People      []protectedJSON `json:"protected_people"`
	Groups      []protectedJSON `json:"protected_groups"`
	BreakGlass  []string        `json:"break_glass"`
	Use         guardUseJSON    `json:"use"`
	UpdateTime  time.Time       `json:"update_time,omitzero"`
	UpdatedBy   string          `json:"updated_by,omitempty"`
}

type guardKillJSON struct {
	On     bool      `json:"on"`
	Door   string    `json:"door,omitempty"` // console, cli, file
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time,omitzero"`
}

type protectedJSON struct {
	ID    string    `json:"id"`
	Why   string    `json:"why"`
	Until time.Time `json:"until,omitzero"`
}

type guardUseJSON struct {
	Suspended int `json:"suspended"`
	Held      int `json:"held"`
	Planned   int `json:"planned"`
	Active    int `json:"active"`
}

// trustWords are the levels of trust as they are written, from the lowest.
func trustWords() []string { return []string{"sent", "asked", "own"} }

func trustWord(t respond.Trust) string {
	if i := int(t) - int(respond.TrustSent); i >= 0 && i < len(trustWords()) {
		return trustWords()[i]
	}
	return fmt.Sprint(int(t))
}

func protectedViews(all []respond.Protected) []protectedJSON {
	return mapped(all, func(p respond.Protected) protectedJSON { return protectedJSON{p.ID, p.Why, p.Until} })
}

func printGuard(ctx context.Context, h *handle, std stdio, account string, g respond.Guard, asJSON bool) error {
	use, err := h.db.GuardUse(ctx, account)
	if err != nil {
		return err
	}
	if asJSON {
		k := g.Kill
		return printJSON(std, guardJSON{
			g.Revision, guardKillJSON{k.On, k.Door, k.By, k.Reason, k.At}, g.MaxPeople, respond.Span(g.Window), g.MaxShare, respond.Span(g.MaxEventAge), trustWord(g.MinTrust),
			protectedViews(g.People), protectedViews(g.Groups), append([]string{}, g.BreakGlass...), guardUseJSON(use), g.UpdatedAt, g.UpdatedBy,
		})
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(std.out, "%-15s  %s\n", name, fmt.Sprintf(format, args...))
	}
	paint := painter(std.out, std.env)
	if g.Kill.On {
		line("Kill switch", "%s, by %s through the %s since %s: %s", paint(red, "on"), g.Kill.By, g.Kill.Door, moment(g.Kill.At), g.Kill.Reason)
	} else {
		line("Kill switch", "off")
	}
	line("Suspended", "%d of %d people within %s", use.Suspended, g.MaxPeople, respond.Span(g.Window))
	line("Held", "%d of %d active people; at most %g %%", use.Held, use.Active, g.MaxShare)
	line("Planned", "%d", use.Planned)
	line("Event age", "at most %s", respond.Span(g.MaxEventAge))
	line("Source trust", "at least %s", trustWord(g.MinTrust))
	printProtected(line, "Person", g.People)
	printProtected(line, "Group", g.Groups)
	for _, id := range g.BreakGlass {
		line("Break-glass", "%s", id)
	}
	return nil
}

func printProtected(line func(name, format string, args ...any), what string, all []respond.Protected) {
	for _, p := range all {
		until := ""
		if !p.Until.IsZero() {
			until = ", until " + moment(p.Until)
		}
		line(what, "%s: %s%s", p.ID, p.Why, until)
	}
}

type guardShowCmd struct{ respondAccount }

func (c *guardShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, s *respond.Service, account string) error {
		guard, err := s.Guard(ctx, account)
		if err != nil {
			return err
		}
		return printGuard(ctx, h, std, account, guard, c.JSON)
	})
}

type guardSetCmd struct {
	respondAccount
	MaxPeople    *int     `placeholder:"N" help:"How many people playbooks may suspend within the window; 0: nobody."`
	Window       string   `placeholder:"SPAN" help:"Within which time, such as 1h."`
	MaxShare     *float64 `placeholder:"PERCENT" help:"How many of the active people cases may hold at a time, in percent."`
	MaxEventAge  string   `placeholder:"SPAN" help:"Older events are not acted on, such as 15m."`
	MinTrust     string   `placeholder:"TRUST" enum:",sent,asked,own" default:"" complete:"sent asked own" help:"How sure it must be who an event is from: sent to us and signed, asked by us, or the account's own."`
	Protect      []string `sep:"none" placeholder:"PERSON" help:"Email or ID of a person whom no playbook suspends; repeat for several. Needs --reason."`
	Unprotect    []string `sep:"none" placeholder:"PERSON" help:"Take that back."`
	ProtectGroup []string `sep:"none" placeholder:"GROUP" help:"Name or ID of a group whose members no playbook suspends. Needs --reason."`
	UnprotectGrp []string `name:"unprotect-group" sep:"none" placeholder:"GROUP" help:"Take that back."`
	BreakGlass   []string `sep:"none" placeholder:"PERSON" help:"Email or ID of a person who must always be able to get in: nobody suspends them by a case."`
	NoBreakGlass []string `sep:"none" placeholder:"PERSON" help:"Take that back."`
	untilFlag
	Reason string `help:"Why, for the audit log and beside who is protected."`
}

func (c *guardSetCmd) Run(ctx context.Context, g *globals, std stdio) error {
	until, err := c.time(time.Now())
	if err != nil {
		return err
	}
	return c.with(ctx, g, std, func(h *handle, s *respond.Service, account string) error {
		guard, err := s.Guard(ctx, account)
		if err != nil {
			return err
		}
		if err := c.limits(&guard); err != nil {
			return err
		}
		if err := c.people(ctx, h, account, &guard, until); err != nil {
			return err
		}
		if guard, err = s.SetGuard(ctx, account, guard, operator(std).Because(c.Reason)); err != nil {
			return err
		}
		return printGuard(ctx, h, std, account, guard, c.JSON)
	})
}

func (c *guardSetCmd) limits(guard *respond.Guard) error {
	if c.MaxPeople != nil {
		guard.MaxPeople = *c.MaxPeople
	}
	if c.MaxShare != nil {
		guard.MaxShare = *c.MaxShare
	}
	for _, span := range []struct {
		text string
		to   *time.Duration
	}{{c.Window, &guard.Window}, {c.MaxEventAge, &guard.MaxEventAge}} {
		if span.text == "" {
			continue
		}
		d, err := detect.ParseTimespan(span.text)
		if err != nil {
			return err
		}
		*span.to = d
	}
	if c.MinTrust != "" {
		guard.MinTrust = respond.TrustSent + respond.Trust(slices.Index(trustWords(), c.MinTrust))
	}
	return nil
}

func (c *guardSetCmd) people(ctx context.Context, h *handle, account string, guard *respond.Guard, until time.Time) error {
	person := func(who string) (string, error) {
		u, err := userArg{User: who}.find(ctx, h, account)
		return u.ID, err
	}
	group := func(name string) (string, error) {
		groups, err := h.db.Groups(ctx, account)
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(groups, func(g directory.Group) bool {
			return g.ID == name || directory.GroupKey(g.Name) == directory.GroupKey(name)
		})
		if i < 0 {
			return "", problem.New(problem.NotFound, "there is no group %q", name)
		}
		return groups[i].ID, nil
	}
	for _, x := range []struct {
		names, off []string
		id         func(string) (string, error)
		all        *[]respond.Protected
	}{{c.Protect, c.Unprotect, person, &guard.People}, {c.ProtectGroup, c.UnprotectGrp, group, &guard.Groups}} {
		for _, name := range append(slices.Clone(x.off), x.names...) { // who is protected again is so for the new reason
			id, err := x.id(name)
			if err != nil {
				return err
			}
			*x.all = slices.DeleteFunc(*x.all, func(p respond.Protected) bool { return p.ID == id })
			if slices.Contains(x.names, name) {
				*x.all = append(*x.all, respond.Protected{ID: id, Why: c.Reason, Until: until})
			}
		}
	}
	for _, name := range append(slices.Clone(c.NoBreakGlass), c.BreakGlass...) {
		id, err := person(name)
		if err != nil {
			return err
		}
		guard.BreakGlass = slices.DeleteFunc(guard.BreakGlass, func(x string) bool { return x == id })
		if slices.Contains(c.BreakGlass, name) {
			guard.BreakGlass = append(guard.BreakGlass, id)
		}
	}
	return nil
}

type guardKillCmd struct {
	respondAccount
	Reason string `required:"" help:"Why; it is shown until the switch is off again."`
}

func (c *guardKillCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, s *respond.Service, account string) error {
		guard, err := s.Kill(ctx, account, respond.DoorCLI, c.Reason, operator(std))
		if err != nil {
			return err
		}
		return printGuard(ctx, h, std, account, guard, c.JSON)
	})
}

type guardResumeCmd struct {
	respondAccount
	Reason string `required:"" help:"Why, for the audit log."`
}

func (c *guardResumeCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, s *respond.Service, account string) error {
		guard, err := s.Resume(ctx, account, strings.TrimSpace(c.Reason), operator(std))
		if err != nil {
			return err
		}
		return printGuard(ctx, h, std, account, guard, c.JSON)
	})
}
