package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

type userCmd struct {
	Add        userAddCmd        `cmd:"" help:"Add an active person."`
	Import     userImportCmd     `cmd:"" help:"Add people from a CSV file: all of them or none."`
	List       userListCmd       `cmd:"" help:"List people."`
	Show       userShowCmd       `cmd:"" help:"Show one person with groups and holds."`
	Suspend    userSuspendCmd    `cmd:"" help:"Suspend a person."`
	Reactivate userReactivateCmd `cmd:"" help:"Release a person's holds."`
	Link       userLinkCmd       `cmd:"" help:"Make a one-time link by which a person sets up signing in."`
	Remove     userRemoveCmd     `cmd:"" help:"Remove a person for good."`
}

type userAddCmd struct {
	accountFlag
	Email             string   `required:"" help:"Email; unique in the account, letter case ignored."`
	Name              string   `required:"" help:"Name as others see it."`
	Group             []string `sep:"none" help:"Group to join: Owners, Administrators, Security, or a custom one. Repeat for more."`
	ExternallyManaged bool     `help:"The identity provider manages this person; Holdfast refuses to suspend."`
	JSON              bool     `name:"json" help:"Print the person as the Users API shows one."`
}

func (c *userAddCmd) Run(ctx context.Context, g *globals, std stdio) error {
	n := directory.NewUser{Email: c.Email, DisplayName: c.Name, ExternallyManaged: c.ExternallyManaged, Groups: c.Group}
	if err := n.Check(); err != nil {
		return err
	}
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	u, err := h.db.AddUser(ctx, account, n, operator(std))
	if err != nil {
		return fmt.Errorf("add person: %w", err)
	}
	return printUser(std, u, c.JSON)
}

func printUser(std stdio, u directory.User, asJSON bool) error {
	if asJSON {
		return printJSON(std, u.API())
	}
	printUserLine(std.out, u)
	return nil
}

func printUserLine(w io.Writer, u directory.User) {
	fmt.Fprintf(w, "%s  %-9s  %s <%s>\n", u.ID, u.API().State, u.DisplayName, u.Email)
}

type userListCmd struct {
	accountFlag
	State string `enum:"any,active,suspended" default:"any" help:"Whom to list: any, active, suspended."`
	JSON  bool   `name:"json" help:"Print one JSON object with people, as the Users API shows them, as results."`
}

func (c *userListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	state := map[string]directory.StateFilter{"active": directory.OnlyActive, "suspended": directory.OnlySuspended}[c.State]
	return printPages(std, c.JSON, struct{}{}, func(after string, limit int) ([]directory.User, error) {
		return h.db.ListUsers(ctx, account, directory.ListQuery{State: state, After: after, Limit: limit})
	})
}

// userArg names one person.
type userArg struct {
	User string `arg:"" help:"ID or email of the person."`
}

func (a userArg) find(ctx context.Context, h *handle, account string) (directory.User, error) {
	if seal.ValidID(a.User) {
		return h.db.User(ctx, account, a.User)
	}
	if !strings.Contains(a.User, "@") {
		return directory.User{}, problem.New(problem.Invalid, "%q is neither an id (26 characters A-Z, 2-7) nor an email", a.User)
	}
	return h.db.UserByEmail(ctx, account, a.User)
}

type userLinkCmd struct {
	accountFlag
	userArg
	JSON bool `name:"json" help:"Print one JSON object."`
}

func (c *userLinkCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	u, err := c.find(ctx, h, account)
	if err != nil {
		return err
	}
	people := &directory.Service{Store: h.db, Now: time.Now}
	link, err := people.NewSetupLink(ctx, account, u.ID, operator(std))
	if err != nil {
		return fmt.Errorf("make set-up link: %w", err)
	}
	url := h.cfg.ConsoleURL(h.cfg.Listen.API) + "/setup#" + link.Reveal()
	if c.JSON {
		return printJSON(std, map[string]any{"id": u.ID, "setup_url": url})
	}
	fmt.Fprintf(std.out, "%s\n\nThe link works once, within 24 hours, while the server runs. Whoever opens it becomes\n%s: every other way in that was set up before ends then.\n", url, u.DisplayName)
	return nil
}

type userShowCmd struct {
	accountFlag
	userArg
	JSON bool `name:"json" help:"Print the person as the Users API shows one."`
}

func (c *userShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	u, err := c.find(ctx, h, account)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std, u.API())
	}
	groups, err := h.db.GroupsOf(ctx, account, u.ID)
	if err != nil {
		return err
	}
	holds, err := h.db.Holds(ctx, account, u.ID)
	if err != nil {
		return err
	}
	names := make([]string, len(groups))
	for i, gr := range groups {
		names[i] = gr.Name
	}
	fmt.Fprintf(std.out, "ID       %s\nName     %s\nEmail    %s\nState    %s\nGroups   %s\nCreated  %s\n",
		u.ID, u.DisplayName, u.Email, u.API().State, strings.Join(names, ", "), moment(u.CreatedAt))
	if u.ExternallyManaged {
		fmt.Fprintln(std.out, "Managed  by the identity provider")
	}
	for _, hold := range holds {
		fmt.Fprintf(std.out, "Hold     %s\n", describeHold(hold))
	}
	return nil
}

func describeHold(h directory.Hold) string {
	s := h.Holder + " since " + moment(h.OpenedAt)
	if h.Reason != "" {
		s += fmt.Sprintf(" (%s)", h.Reason)
	}
	switch {
	case !h.ReleasedAt.IsZero():
		s += ", released " + moment(h.ReleasedAt) + " by " + h.ReleasedBy
	case !h.Until.IsZero():
		s += ", until " + moment(h.Until)
	}
	return s
}

type userSuspendCmd struct {
	accountFlag
	userArg
	Reason string        `required:"" help:"Why; it is recorded."`
	For    time.Duration `help:"Release the hold by itself after this time, such as 24h."`
	JSON   bool          `name:"json" help:"Print the person as the Users API shows one."`
}

func (c *userSuspendCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if c.For < 0 {
		return problem.InField("for", "--for must be a positive time such as 24h")
	}
	if err := checkReason(c.Reason); err != nil {
		return err
	}
	return g.change(ctx, std, c.accountFlag, c.userArg, c.JSON, func(h *handle, u directory.User, by audit.Entry) (directory.User, error) {
		hold := directory.NewHold{Holder: by.Actor, Reason: c.Reason}
		if c.For > 0 {
			hold.Until = time.Now().Add(c.For)
		}
		return h.db.SuspendUser(ctx, u.AccountID, u.ID, hold, by.Because(c.Reason))
	})
}

type userReactivateCmd struct {
	accountFlag
	userArg
	Reason string `required:"" help:"Why; it is recorded."`
	JSON   bool   `name:"json" help:"Print the person as the Users API shows one."`
}

func (c *userReactivateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if err := checkReason(c.Reason); err != nil {
		return err
	}
	return g.change(ctx, std, c.accountFlag, c.userArg, c.JSON, func(h *handle, u directory.User, by audit.Entry) (directory.User, error) {
		return h.db.ReactivateUser(ctx, u.AccountID, u.ID, by.Because(c.Reason))
	})
}

type userRemoveCmd struct {
	accountFlag
	userArg
	Reason string `required:"" help:"Why; it is recorded."`
	JSON   bool   `name:"json" help:"Print the person, as last known, as the Users API shows one."`
}

func (c *userRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if err := checkReason(c.Reason); err != nil {
		return err
	}
	return g.change(ctx, std, c.accountFlag, c.userArg, c.JSON, func(h *handle, u directory.User, by audit.Entry) (directory.User, error) {
		return u, h.db.RemoveUser(ctx, u.AccountID, u.ID, by.Because(c.Reason))
	})
}

// change finds the person, does something, and prints the result.
func (g *globals) change(ctx context.Context, std stdio, a accountFlag, who userArg, asJSON bool,
	do func(*handle, directory.User, audit.Entry) (directory.User, error)) error {
	h, account, err := g.openAccount(ctx, std, a.Account)
	if err != nil {
		return err
	}
	defer h.close()
	u, err := who.find(ctx, h, account)
	if err != nil {
		return err
	}
	by := operator(std)
	by.Target = "user:" + u.ID
	if u, err = do(h, u, by); err != nil {
		return err
	}
	return printUser(std, u, asJSON)
}

// The longest reason, in bytes; the audit log keeps a little more.
const maxReason = 500

// checkReason keeps the audit log readable: a reason is text, on one line, that a terminal can show.
func checkReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return problem.InField("reason", "--reason is empty; say why, for those who read the audit log")
	case len(reason) > maxReason:
		return problem.InField("reason", "--reason has %d bytes; at most %d are possible", len(reason), maxReason)
	case !utf8.ValidString(reason), strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }):
		return problem.InField("reason", "--reason holds characters that cannot be shown on one line")
	}
	return nil
}
