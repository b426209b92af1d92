package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/respond"
)

type channelCmd struct {
	Add    channelAddCmd    `cmd:"" help:"Add a channel: where messages of playbooks go."`
	List   channelListCmd   `cmd:"" help:"List channels."`
	Test   channelTestCmd   `cmd:"" help:"Send a message that says that it is a test."`
	Remove channelRemoveCmd `cmd:"" help:"Remove a channel."`
}

// channelJSON is a channel without its secret.
type channelJSON struct {
	Channel    string    `json:"channel"` // its name
	Kind       string    `json:"kind"`
	Pages      bool      `json:"pages"`
	Language   string    `json:"language,omitempty"`
	URL        string    `json:"url,omitempty"`
	Host       string    `json:"host,omitempty"`
	Port       int       `json:"port,omitempty"`
	TLS        string    `json:"tls,omitempty"`
	Username   string    `json:"username,omitempty"`
	From       string    `json:"from,omitempty"`
	To         []string  `json:"to,omitempty"`
	LastError  string    `json:"last_error,omitempty"`
	Revision   int64     `json:"revision"`
	CreateTime time.Time `json:"create_time"`
	CreatedBy  string    `json:"created_by"`
	Secret     string    `json:"secret,omitempty"` // that was made; shown once
}

func channelView(x respond.Channel) channelJSON {
	c, err := x.Settings()
	if err != nil && x.LastError == "" {
		x.LastError = "the settings cannot be read: " + err.Error()
	}
	return channelJSON{
		Channel: x.Name, Kind: string(x.Kind), Pages: x.Pages, Language: c.Language, URL: c.URL, Host: c.Host, Port: c.Port, TLS: string(c.TLS), Username: c.Username,
		From: c.From, To: c.To, LastError: x.LastError, Revision: x.Revision, CreateTime: x.CreatedAt, CreatedBy: x.CreatedBy,
	}
}

type channelAddCmd struct {
	respondAccount
	Kind        string   `arg:"" enum:"email,slack,teams,webhook,pagerduty" complete:"email slack teams webhook pagerduty" help:"email, slack, teams, webhook or pagerduty."`
	Name        string   `arg:"" help:"What playbooks call it: small letters, digits, - and _."`
	Pages       bool     `help:"It also takes pages: messages that somebody must look at now."`
	SecretStdin bool     `help:"Read its secret from standard input: address of the webhook (slack, teams), password (email), integration key (pagerduty), or what is signed with (webhook; else one is made and shown this once)."`
	Language    string   `placeholder:"LANG" enum:",en,de" default:"" complete:"en de" help:"Language of the messages: en (default) or de."`
	URL         string   `placeholder:"URL" help:"Where a webhook sends."`
	Host        string   `placeholder:"HOST" help:"Mail server."`
	Port        int      `placeholder:"N" help:"Its port; by TLS if it is left out."`
	TLS         string   `name:"tls" placeholder:"HOW" enum:",starttls,tls,none" default:"" complete:"starttls tls none" help:"starttls (default), tls, or none, for a mail server on the loopback address."`
	Username    string   `placeholder:"NAME" help:"For the mail server."`
	From        string   `placeholder:"EMAIL" help:"Sender of mails."`
	To          []string `sep:"none" placeholder:"EMAIL" help:"Recipient of mails; repeat for several. Without: only people who are asked about themselves."`
	CAFile      string   `placeholder:"FILE" complete:"file" help:"Certificates (PEM) that are trusted there, and no others."`
	Reason      string   `help:"Why, for the audit log."`
}

func (c *channelAddCmd) Run(ctx context.Context, g *globals, std stdio) error {
	secret, err := readToken(std, c.SecretStdin)
	if err != nil {
		return err
	}
	ca, err := readCA(c.CAFile)
	if err != nil {
		return err
	}
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		n := respond.NewChannel{
			Name: c.Name, Kind: respond.ChannelKind(c.Kind), Pages: c.Pages, Secret: secret,
			Config: respond.ChannelConfig{
				Language: c.Language, CA: ca, URL: c.URL, Host: c.Host, Port: c.Port, TLS: respond.MailTLS(c.TLS), Username: c.Username, From: c.From, To: c.To,
			},
		}
		made, err := h.channels().Add(ctx, account, n, operator(std).Because(c.Reason))
		if err != nil {
			return err
		}
		if c.JSON {
			v := channelView(made.Channel)
			v.Secret = made.Secret.Reveal()
			return printJSON(std, v)
		}
		fmt.Fprintf(std.out, "Channel %s is added. Try it: holdfast channel test %s\n", made.Channel.Name, made.Channel.Name)
		if !made.Secret.IsZero() {
			fmt.Fprintf(std.out, "\nThe secret with which messages are signed, shown this once:\n%s\n", made.Secret.Reveal())
		}
		return nil
	})
}

type channelListCmd struct{ respondAccount }

func (c *channelListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		all, err := h.channels().List(ctx, account)
		if err != nil {
			return err
		}
		if c.JSON {
			return printResults(std, all, channelView)
		}
		if len(all) == 0 {
			fmt.Fprintln(std.out, "No channels yet. Add one: holdfast channel add email soc --host mail.example.org --from holdfast@example.org --to soc@example.org --pages")
		}
		for _, x := range all {
			v := channelView(x)
			pages := ""
			if v.Pages {
				pages = "pages"
			}
			fmt.Fprintln(std.out, strings.TrimRight(fmt.Sprintf("%-20s  %-9s  %-5s  %s  %s", v.Channel, v.Kind, pages, firstOf(v.URL, strings.Join(v.To, ", "), v.Host), v.LastError), " "))
		}
		return nil
	})
}

// channelArg names one channel.
type channelArg struct {
	respondAccount
	Name string `arg:"" help:"Name of the channel."`
}

type channelTestCmd struct{ channelArg }

func (c *channelTestCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, s *respond.Service, account string) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		name, err := s.Account(ctx, account)
		if err != nil {
			return err
		}
		if err := h.channels().Test(ctx, account, name, c.Name, operator(std).Actor); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, map[string]any{"channel": c.Name, "sent": true})
		}
		fmt.Fprintf(std.out, "Channel %s has taken the test message.\n", c.Name)
		return nil
	})
}

type channelRemoveCmd struct {
	channelArg
	Reason string `help:"Why, for the audit log."`
}

func (c *channelRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(h *handle, _ *respond.Service, account string) error {
		if err := h.channels().Remove(ctx, account, c.Name, operator(std).Because(c.Reason)); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, map[string]any{"channel": c.Name, "removed": true})
		}
		fmt.Fprintf(std.out, "Channel %s is removed.\n", c.Name)
		return nil
	})
}
