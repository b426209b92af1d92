package main

import (
	"cmp"
	"context"
	"fmt"
	"os/user"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/seal"
)

type accountCmd struct {
	Create accountCreateCmd `cmd:"" help:"Create an account with its first owner."`
	List   accountListCmd   `cmd:"" help:"List accounts."`
}

type accountCreateCmd struct {
	Name       string `required:"" help:"Name of the account, such as the company's."`
	OwnerEmail string `required:"" help:"Email of the first owner."`
	OwnerName  string `required:"" help:"Name of the first owner, as others see it."`
	JSON       bool   `name:"json" help:"Print one JSON object."`
}

// setupLife is how long a set-up link can be used.
const setupLife = 24 * time.Hour

func (c *accountCreateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	link, hash := seal.NewCredential("hfl")
	n := directory.NewAccount{
		Name: c.Name, OwnerEmail: c.OwnerEmail, OwnerName: c.OwnerName, SetupLink: hash, SetupExpires: time.Now().Add(setupLife),
	}
	if err := n.Check(); err != nil {
		return err
	}
	h, err := g.openNew(ctx, std)
	if err != nil {
		return err
	}
	defer h.close()
	a, owner, err := h.db.CreateAccount(ctx, n, operator(std))
	if err != nil {
		return fmt.Errorf("create account: %w", err)
	}
	url := h.cfg.BaseURL(h.cfg.Listen.API) + "/setup#" + link.Reveal()
	if c.JSON {
		return printJSON(std, map[string]any{"account_id": a.ID, "owner_id": owner.ID, "setup_url": url})
	}
	fmt.Fprintf(std.out, "Account     %s (%s)\nOwner       %s <%s>, %s\n", a.ID, a.Name, owner.DisplayName, owner.Email, owner.ID)
	fmt.Fprintf(std.out, "Set-up link %s\n", url)
	fmt.Fprint(std.out, "\nNothing answers at the set-up link yet: signing in comes with the console, in a\nlater version. Until then, work with this command.\n")
	fmt.Fprintf(std.out, "\nNext: holdfast app create --account %s --name 'My platform' --scope list_users,get_user\n", a.ID)
	return nil
}

type accountListCmd struct {
	JSON bool `name:"json" help:"Print one JSON object with the list as results."`
}

func (c *accountListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, err := g.open(ctx, std)
	if err != nil {
		return err
	}
	defer h.close()
	accounts, err := h.db.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("list accounts: %w", err)
	}
	if c.JSON {
		return printResults(std, accounts, func(a directory.Account) any {
			return map[string]any{"account_id": a.ID, "name": a.Name, "create_time": a.CreatedAt}
		})
	}
	if len(accounts) == 0 {
		fmt.Fprintln(std.out, "No accounts yet. Create one: holdfast account create --name N --owner-email E --owner-name O")
	}
	for _, a := range accounts {
		fmt.Fprintf(std.out, "%s  %s  %s\n", a.ID, a.CreatedAt.Format(time.DateOnly), a.Name)
	}
	return nil
}

// operator is the actor of what is done on the command line.
func operator(std stdio) audit.Entry {
	name := cmp.Or(variable(std.env, "SUDO_USER"), variable(std.env, "USER"), variable(std.env, "LOGNAME"))
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	return audit.Entry{Actor: "operator:" + cmp.Or(name, "unknown")}
}
