package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/respond"
)

type targetCmd struct {
	Add    targetAddCmd    `cmd:"" help:"Add a target: another server where people are suspended, too."`
	List   targetListCmd   `cmd:"" help:"List targets."`
	Test   targetTestCmd   `cmd:"" help:"Try what the credentials of a target may do; nothing is changed there."`
	Remove targetRemoveCmd `cmd:"" help:"Remove a target."`
}

// targetJSON is a target without its secret.
type targetJSON struct {
	Target     string    `json:"target"` // its name
	Kind       string    `json:"kind"`
	BaseURL    string    `json:"base_url"`
	AccountID  string    `json:"account_id"` // there
	ClientID   string    `json:"client_id"`
	LastError  string    `json:"last_error,omitempty"`
	Revision   int64     `json:"revision"`
	CreateTime time.Time `json:"create_time"`
	CreatedBy  string    `json:"created_by"`
}

func targetView(t respond.TargetSetup) targetJSON {
	c, err := t.Settings()
	if err != nil && t.LastError == "" {
		t.LastError = "the settings cannot be read: " + err.Error()
	}
	return targetJSON{t.Name, t.Kind, c.BaseURL, c.AccountID, c.ClientID, t.LastError, t.Revision, t.CreatedAt, t.CreatedBy}
}

// readCA is the text of a file with certificates; none without a name.
func readCA(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", problem.New(problem.NotFound, "%s cannot be read: %v", file, err)
	}
	return string(text), nil
}

type targetAddCmd struct {
	respondAccount
	Name          string `arg:"" help:"What playbooks call it: small letters, digits, - and _."`
	Kind          string `default:"users-api" complete:"users-api" help:"users-api: 1Password, or another Holdfast (default: users-api)."`
	BaseURL       string `required:"" placeholder:"URL" help:"Address of the server."`
	TargetAccount string `required:"" placeholder:"ID" help:"ID of the account there."`
	ClientID      string `required:"" placeholder:"ID" help:"Client ID of an OAuth application there that may list, look up, suspend and reactivate people."`
	SecretStdin   bool   `required:"" help:"Read its client secret from standard input."`
	CAFile        string `placeholder:"FILE" complete:"file" help:"Certificates (PEM) that are trusted there, and no others."`
	Reason        string `help:"Why, for the audit log."`
}

func (c *targetAddCmd) Run(ctx context.Context, g *globals, std stdio) error {
	secret, err := readToken(std, c.SecretStdin)
	if err != nil {
		return err
	}
	ca, err := readCA(c.CAFile)
	if err != nil {
		return err
	}
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		n := respond.NewTarget{
			Name: c.Name, Kind: c.Kind, Secret: secret,
			Config: respond.TargetConfig{BaseURL: c.BaseURL, AccountID: c.TargetAccount, ClientID: c.ClientID, CA: ca},
		}
		t, err := h.targets().Add(ctx, account, n, operator(std).Because(c.Reason))
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, targetView(t))
		}
		fmt.Fprintf(std.out, "Target %s is added. Try it: holdfast target test %s\n", t.Name, t.Name)
		return nil
	})
}

type targetListCmd struct{ respondAccount }

func (c *targetListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		all, err := h.targets().List(ctx, account)
		if err != nil {
			return err
		}
		if c.JSON {
			return printResults(std, all, targetView)
		}
		fmt.Fprintf(std.out, "%-20s  %-9s  %s\n", respond.LocalTarget, "local", "the account's own directory")
		for _, t := range all {
			v := targetView(t)
			fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("%-20s  %-9s  %s  %s", v.Target, v.Kind, v.BaseURL, v.LastError), " "))
		}
		return nil
	})
}

// targetArg names one target.
type targetArg struct {
	respondAccount
	Name string `arg:"" help:"Name of the target."`
}

type targetTestCmd struct{ targetArg }

func (c *targetTestCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		said, err := h.targets().Test(ctx, account, c.Name)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, map[string]string{"target": c.Name, "found": said})
		}
		fmt.Fprintln(std.out, strings.ToUpper(said[:1])+said[1:]+".")
		return nil
	})
}

type targetRemoveCmd struct {
	targetArg
	Reason string `help:"Why, for the audit log."`
}

func (c *targetRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		if err := h.targets().Remove(ctx, account, c.Name, operator(std).Because(c.Reason)); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, map[string]any{"target": c.Name, "removed": true})
		}
		fmt.Fprintf(std.out, "Target %s is removed. Who is suspended there stays suspended.\n", c.Name)
		return nil
	})
}
