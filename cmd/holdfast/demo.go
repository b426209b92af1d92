package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"holdfast/internal/server"
)

type demoCmd struct {
	Listen string `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address to serve on; port 0 takes a free one."`
	JSON   bool   `name:"json" help:"Print one JSON object when ready; the log goes to standard error."`
}

func (c *demoCmd) Run(ctx context.Context, g *globals, std stdio) (err error) {
	dir := g.Data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "holdfast-demo-"); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	demo := globals{Config: g.Config, Data: dir}
	cfg, err := demo.load(std, map[string]string{"listen.api": c.Listen, "listen.ops": "off", "database": "sqlite"})
	if err != nil {
		return err
	}
	log := slog.New(newFollower(std.out))
	if c.JSON {
		log = newLog(std.err, cfg)
	}
	s, err := server.New(ctx, cfg, server.Options{Log: log})
	if err != nil {
		return err
	}
	d, err := s.SeedDemo(ctx)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	base := s.URL()
	if c.JSON {
		err = printJSON(std, demoJSON{
			BaseURL: base, ConsoleURL: base + "/", DataDir: dir, AccountID: d.Account.ID, ClientID: d.Credentials.Client.ID,
			ClientSecret: d.Credentials.Secret.Reveal(), OwnerEmail: d.Owner.Email,
		})
	} else {
		err = introduce(std.out, base, dir, d)
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Run(ctx)
}

// demoJSON is what a script needs to use the demo.
type demoJSON struct {
	BaseURL      string `json:"base_url"`
	ConsoleURL   string `json:"console_url"`
	DataDir      string `json:"data_dir"`
	AccountID    string `json:"account_id"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	OwnerEmail   string `json:"owner_email"`
}

const demoText = `
Holdfast demo: %[1]d people at %[2]s, one OAuth application with all four scopes.

  Base URL       %[3]s
  Account ID     %[4]s
  Client ID      %[5]s
  Client secret  %[6]s
  Data           %[7]s

Try it in a second terminal. Get a token, then list, suspend, look, reactivate:

  TOKEN=$(curl -s -u '%[5]s:%[6]s' \
    -d grant_type=client_credentials %[3]s/v1/oauth/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  USERS=%[3]s/v1/accounts/%[4]s/users

  curl -s -H "Authorization: Bearer $TOKEN" "$USERS?max_page_size=5"
  curl -s -H "Authorization: Bearer $TOKEN" -X POST "$USERS/%[8]s:suspend"      # %[9]s
  curl -s -H "Authorization: Bearer $TOKEN" "$USERS/%[8]s"
  curl -s -H "Authorization: Bearer $TOKEN" -X POST "$USERS/%[8]s:reactivate"
  curl -s -H "Authorization: Bearer $TOKEN" -X POST "$USERS/%[10]s:suspend"      # the only owner: refused

What happened, and that nobody changed the record of it:

  holdfast --data %[7]s audit export
  holdfast --data %[7]s audit verify

Requests show below as they arrive. Ctrl-C stops the demo%[11]s.

`

func introduce(w io.Writer, base, dir string, d server.Demo) error {
	after := " and removes its data"
	if !strings.Contains(dir, "holdfast-demo-") {
		after = "; its data stays"
	}
	_, err := fmt.Fprintf(w, demoText, d.People, d.Account.Name, base, d.Account.ID, d.Credentials.Client.ID, d.Credentials.Secret.Reveal(),
		dir, d.Somebody.ID, d.Somebody.DisplayName, d.Owner.ID, after)
	return err
}

// follower is a log for people who watch: one short line a request.
type follower struct {
	mu *sync.Mutex
	w  io.Writer
}

func newFollower(w io.Writer) follower { return follower{mu: &sync.Mutex{}, w: w} }

func (f follower) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (f follower) WithAttrs([]slog.Attr) slog.Handler           { return f }
func (f follower) WithGroup(string) slog.Handler                { return f }

func (f follower) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value
		return true
	})
	if r.Message != "request" && r.Level < slog.LevelWarn {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Message != "request" {
		_, err := fmt.Fprintf(f.w, "%s  %s %v\n", r.Time.Format("15:04:05"), r.Message, attrs)
		return err
	}
	line := fmt.Sprintf("%s  %s  %-62s %6.1f ms", r.Time.Format("15:04:05"), attrs["status"], attrs["route"], attrs["ms"].Float64())
	for _, key := range []string{"target", "outcome"} {
		if v, ok := attrs[key]; ok {
			line += "  " + v.String()
		}
	}
	_, err := fmt.Fprintln(f.w, line)
	return err
}
