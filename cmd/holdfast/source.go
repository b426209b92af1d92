package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signals"
)

type sourceCmd struct {
	Add    sourceAddCmd    `cmd:"" help:"Add a source of events."`
	List   sourceListCmd   `cmd:"" help:"List sources of events."`
	Show   sourceShowCmd   `cmd:"" help:"Show one source."`
	Test   sourceTestCmd   `cmd:"" help:"Try whether a source answers."`
	Rotate sourceRotateCmd `cmd:"" help:"Make a new secret, or give another token."`
	Pause  sourcePauseCmd  `cmd:"" help:"Stop asking a source, and hearing it."`
	Resume sourceResumeCmd `cmd:"" help:"Go on from where a source was paused."`
	Remove sourceRemoveCmd `cmd:"" help:"Forget a source; its events stay. That of the account itself can only be paused."`
	Alias  sourceAliasCmd  `cmd:"" help:"Say by which names other systems call people."`
}

type sourceAddCmd struct {
	accountFlag
	Kind       string        `required:"" complete:"events-api okta 1password entra ocsf" help:"Kind of the source: events-api, okta, 1password, entra or ocsf."`
	Name       string        `required:"" help:"Name of the source, such as that of the system which its events come from."`
	BaseURL    string        `name:"base-url" placeholder:"URL" help:"Where to ask: https address of a server, or one of 1Password's regions: us, ca, eu, enterprise."`
	CAFile     string        `name:"ca-file" type:"path" placeholder:"FILE" complete:"file" help:"Certificates in PEM that are trusted there, and no others."`
	Since      time.Duration `default:"24h" help:"How far back the first question asks (default: 24h)."`
	TokenStdin bool          `help:"Read the token to ask with from standard input."`
	JSON       bool          `name:"json" help:"Print one JSON object."`
}

func (c *sourceAddCmd) Run(ctx context.Context, g *globals, std stdio) error {
	n := signals.NewSource{Kind: signals.Kind(c.Kind), Name: c.Name, Config: signals.Config{BaseURL: c.BaseURL, Since: time.Now().Add(-c.Since).UTC().Truncate(time.Second)}}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return fmt.Errorf("read certificates: %w", err)
		}
		n.Config.CA = string(text)
	}
	var err error
	if n.Token, err = readToken(std, c.TokenStdin); err != nil {
		return err
	}
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	made, err := h.signals().Add(ctx, account, n, operator(std))
	if err != nil {
		return fmt.Errorf("add source: %w", err)
	}
	return h.printMade(std, made, c.JSON)
}

// readToken reads one line, if it is to be read at all.
func readToken(std stdio, read bool) (seal.Secret, error) {
	if !read {
		return seal.Secret{}, nil
	}
	line, err := bufio.NewReader(io.LimitReader(std.in, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return seal.Secret{}, fmt.Errorf("read the token: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return seal.Secret{}, problem.New(problem.Invalid, "standard input holds no token")
	}
	return seal.NewSecret(line), nil
}

// signals manages sources; senders hear the public address of the configuration.
func (h *handle) signals() *signals.Intake {
	return &signals.Intake{Store: h.db, Keys: h.db.Keys(), URL: h.cfg.BaseURL(h.cfg.Listen.API), Now: time.Now}
}

// printMade shows the secret, which nothing shows again.
func (h *handle) printMade(std stdio, made signals.Made, asJSON bool) error {
	x := made.Setup
	if asJSON {
		return printJSON(std, struct {
			sourceJSON
			Secret string `json:"secret,omitempty"`
		}{h.sourceView(x), made.Secret.Reveal()})
	}
	fmt.Fprintf(std.out, "Source ID  %s\nKind       %s\nName       %s\n", x.ID, x.Kind, x.Name)
	if x.Pulls() {
		if x.Config.BaseURL != "" {
			fmt.Fprintf(std.out, "Asks       %s\n", x.Config.BaseURL)
		}
		fmt.Fprintln(std.out, "\nA server that runs begins to ask within seconds.")
		return nil
	}
	fmt.Fprintf(std.out, "Send to    %s\n", h.signals().PushURL(x))
	fmt.Fprintf(std.out, "\n%s\n\nThe secret is shown this once. Save it in your vault now.\n", made.Secret.Reveal())
	return nil
}

type sourceListCmd struct {
	accountFlag
	JSON bool `name:"json" help:"Print one JSON object with the list as results."`
}

func (c *sourceListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	all, err := h.signals().List(ctx, account)
	if err != nil {
		return err
	}
	if c.JSON {
		return printResults(std, all, h.sourceView)
	}
	for _, x := range all {
		fmt.Fprintf(std.out, "%s  %-6s  %-10s  %-30s  %d events, the last %s\n", x.ID, x.State, x.Kind, x.Name, x.Events, moment(x.LastEventAt))
	}
	return nil
}

// sourceArg names one source.
type sourceArg struct {
	accountFlag
	SourceID string `arg:"" help:"ID of the source, as list shows it."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// with opens the account and does something with the source.
func (c *sourceArg) with(ctx context.Context, g *globals, std stdio, do func(*handle, string) error) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	return do(h, account)
}

// say prints the source as JSON, or a sentence about it.
func (c *sourceArg) say(h *handle, std stdio, x signals.Setup, sentence string) error {
	if c.JSON {
		return printJSON(std, h.sourceView(x))
	}
	fmt.Fprintf(std.out, "Source %s %s\n", x.ID, sentence)
	return nil
}

type sourceShowCmd struct{ sourceArg }

func (c *sourceShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, account string) error {
		x, err := h.signals().Get(ctx, account, c.SourceID)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, h.sourceView(x))
		}
		fmt.Fprintf(std.out, "Source ID   %s\nKind        %s\nName        %s\nState       %s\n", x.ID, x.Kind, x.Name, x.State)
		if x.LastError != "" {
			fmt.Fprintf(std.out, "Last error  %s\n", x.LastError)
		}
		if v := h.sourceView(x); v.BaseURL != "" {
			fmt.Fprintf(std.out, "Asks        %s\n", v.BaseURL)
		} else if v.PushURL != "" {
			fmt.Fprintf(std.out, "Send to     %s\n", v.PushURL)
		}
		fmt.Fprintf(std.out, "Events      %d, of these %d about nobody known\nLast event  %s\nCreated     %s by %s\n", x.Events, x.Unmatched, moment(x.LastEventAt), moment(x.CreatedAt), x.CreatedBy)
		return nil
	})
}

type sourceTestCmd struct{ sourceArg }

func (c *sourceTestCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, account string) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		said, err := h.signals().Test(ctx, account, c.SourceID)
		if err != nil {
			return fmt.Errorf("test source: %w", err)
		}
		if c.JSON {
			return printJSON(std, map[string]string{"source_id": c.SourceID, "found": said})
		}
		fmt.Fprintln(std.out, strings.ToUpper(said[:1])+said[1:]+".")
		return nil
	})
}

type sourceRotateCmd struct {
	sourceArg
	TokenStdin bool          `help:"Read the new token to ask with from standard input."`
	Overlap    time.Duration `default:"24h" help:"How long senders may go on with the old secret; 0s ends it at once (default: 24h)."`
}

func (c *sourceRotateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	token, err := readToken(std, c.TokenStdin)
	if err != nil {
		return err
	}
	return c.with(ctx, g, std, func(h *handle, account string) error {
		made, err := h.signals().Rotate(ctx, account, c.SourceID, token, c.Overlap, operator(std))
		if err != nil {
			return fmt.Errorf("rotate secret of source: %w", err)
		}
		return h.printMade(std, made, c.JSON)
	})
}

type sourcePauseCmd struct {
	sourceArg
	Reason string `help:"Why, for the audit log."`
}

func (c *sourcePauseCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, account string) error {
		x, err := h.signals().Pause(ctx, account, c.SourceID, operator(std).Because(c.Reason))
		if err != nil {
			return fmt.Errorf("pause source: %w", err)
		}
		return c.say(h, std, x, "is paused.")
	})
}

type sourceResumeCmd struct{ sourceArg }

func (c *sourceResumeCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, account string) error {
		x, err := h.signals().Resume(ctx, account, c.SourceID, operator(std))
		if err != nil {
			return fmt.Errorf("resume source: %w", err)
		}
		return c.say(h, std, x, "goes on from where it was paused.")
	})
}

type sourceRemoveCmd struct {
	sourceArg
	Reason string `help:"Why, for the audit log."`
}

func (c *sourceRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, account string) error {
		s := h.signals()
		x, err := s.Get(ctx, account, c.SourceID)
		if err == nil {
			err = s.Remove(ctx, account, c.SourceID, operator(std).Because(c.Reason))
		}
		if err != nil {
			return fmt.Errorf("remove source: %w", err)
		}
		return c.say(h, std, x, "is removed. Its events stay.")
	})
}

type sourceAliasCmd struct {
	accountFlag
	Name   string `arg:"" optional:"" help:"Name by which a person is called; without it all names are listed."`
	Person string `arg:"" optional:"" help:"Email or ID of the person."`
	Format string `complete:"1password okta entra onelogin ocsf rba" help:"Only in events of this form: 1password, okta, entra, onelogin, ocsf or rba (default: in all)."`
	Remove bool   `help:"Forget the name."`
	JSON   bool   `name:"json" help:"Print one JSON object with the list as results."`
}

func (c *sourceAliasCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if c.Name != "" && (c.Person == "") != c.Remove {
		return problem.New(problem.Invalid, "give the name and the person whom it means, or the name and --remove")
	}
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	s := h.signals()
	if c.Name != "" {
		a := signals.Alias{AccountID: account, Format: c.Format, Name: c.Name}
		if !c.Remove {
			u, err := userArg{User: c.Person}.find(ctx, h, account)
			if err != nil {
				return err
			}
			a.PersonID = u.ID
		}
		if err := s.SetAlias(ctx, a, operator(std)); err != nil {
			return fmt.Errorf("set alias: %w", err)
		}
	}
	all, err := s.Aliases(ctx, account)
	if err != nil {
		return err
	}
	if c.JSON {
		return printResults(std, all, func(a signals.Alias) any {
			return struct {
				Name     string `json:"name"`
				Format   string `json:"format,omitempty"`
				PersonID string `json:"person_id"`
			}{a.Name, a.Format, a.PersonID}
		})
	}
	for _, a := range all {
		fmt.Fprintf(std.out, "%-30s  %-9s  %s\n", a.Name, a.Format, a.PersonID)
	}
	return nil
}

// sourceJSON is a source without its secret.
type sourceJSON struct {
	AccountID   string    `json:"account_id"`
	SourceID    string    `json:"source_id"`
	Kind        string    `json:"kind"`
	Name        string    `json:"name"`
	State       string    `json:"state"` // "active", "failed" or "paused"
	LastError   string    `json:"last_error,omitempty"`
	BaseURL     string    `json:"base_url,omitempty"` // where it is asked
	PushURL     string    `json:"push_url,omitempty"` // where it sends
	Events      int64     `json:"events"`
	Unmatched   int64     `json:"unmatched"` // events about nobody known
	LastEventAt time.Time `json:"last_event_time,omitzero"`
	CreateTime  time.Time `json:"create_time"`
	CreatedBy   string    `json:"created_by"`
}

func (h *handle) sourceView(x signals.Setup) sourceJSON {
	v := sourceJSON{
		AccountID: x.AccountID, SourceID: x.ID, Kind: string(x.Kind), Name: x.Name, State: string(x.State), LastError: x.LastError, BaseURL: x.Config.BaseURL,
		Events: x.Events, Unmatched: x.Unmatched, LastEventAt: x.LastEventAt, CreateTime: x.CreatedAt, CreatedBy: x.CreatedBy,
	}
	if !x.Pulls() {
		v.PushURL = h.signals().PushURL(x)
	}
	return v
}
