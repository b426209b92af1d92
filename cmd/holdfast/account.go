package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
)

type accountCmd struct {
	Create accountCreateCmd `cmd:"" help:"Create an account with its first owner."`
	List   accountListCmd   `cmd:"" help:"List accounts."`
}

type accountCreateCmd struct {
	Name       string `required:"" help:"Name of the account, such as the company's."`
	OwnerEmail string `required:"" help:"Email of the first owner."`
	OwnerName  string `required:"" help:"Name of the first owner, as others see it."`
	Password   bool   `name:"owner-password-stdin" help:"Read the owner's password from the first line of standard input, instead of making a set-up link."`
	JSON       bool   `name:"json" help:"Print one JSON object."`
}

func (c *accountCreateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	n := directory.NewAccount{Name: c.Name, OwnerEmail: c.OwnerEmail, OwnerName: c.OwnerName}
	if err := n.Check(); err != nil {
		return err
	}
	var password string
	var link seal.Secret
	if c.Password {
		var err error
		if password, err = firstLine(std.in); err != nil {
			return fmt.Errorf("read the owner's password: %w", err)
		}
		if err := signin.CheckPassword(password, n.OwnerEmail); err != nil {
			return err
		}
	} else {
		link, n.SetupLink = directory.NewLink()
		n.SetupExpires = time.Now().Add(directory.LinkLife)
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
	url := ""
	if c.Password {
		people := &signin.Service{Store: h.db, Keys: h.db.Keys(), Now: time.Now}
		if err := people.SetInitialPassword(ctx, a.ID, owner.ID, password, operator(std)); err != nil {
			return fmt.Errorf("set the owner's password: %w", err)
		}
	} else {
		url = h.cfg.ConsoleURL(h.cfg.Listen.API) + "/setup#" + link.Reveal()
	}
	if c.JSON {
		return printJSON(std, map[string]any{"account_id": a.ID, "owner_id": owner.ID, "setup_url": url})
	}
	fmt.Fprintf(std.out, "Account     %s (%s)\nOwner       %s <%s>, %s\n", a.ID, a.Name, owner.DisplayName, owner.Email, owner.ID)
	if url != "" {
		fmt.Fprintf(std.out, "Set-up link %s\n", url)
		fmt.Fprint(std.out, "\nThe link works once, within 24 hours, while the server runs (holdfast serve). Whoever\nopens it becomes the owner: give it to nobody else.\n")
	} else {
		fmt.Fprintf(std.out, "Console     %s/sign-in\n", h.cfg.ConsoleURL(h.cfg.Listen.API))
	}
	fmt.Fprintf(std.out, "\nNext: holdfast app create --account %s --name 'My platform' --scope list_users,get_user\n", a.ID)
	return nil
}

// firstLine is the first line of the input, without its end.
func firstLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
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
