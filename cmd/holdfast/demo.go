package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"holdfast/internal/config"
	"holdfast/internal/problem"
	"holdfast/internal/server"
	"holdfast/internal/store"
)

type demoCmd struct {
	Listen string `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address to serve on; port 0 takes a free one."`
	Attack bool   `help:"Play an attack against the demo, and print what happens; see it in the console meanwhile."`
	JSON   bool   `name:"json" help:"Print one JSON object when ready; the log goes to standard error. With --attack: one object for each line, and end after the last one."`
}

func (c *demoCmd) Run(ctx context.Context, g *globals, std stdio) (err error) {
	dir, keep := g.Data, g.Data != ""
	if keep {
		if there, err := store.Exists(store.Options{Database: "sqlite", Dir: dir}); err != nil {
			return err
		} else if there {
			return problem.New(problem.Conflict, "%s holds a database already; a demo begins with an empty folder, so name another one, or leave --data out.\nTo go on with what is there: holdfast --data %s serve", dir, dir)
		}
	} else {
		if dir, err = os.MkdirTemp("", "holdfast-demo-"); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	demo := globals{Config: g.Config, Data: dir}
	settings := map[string]string{"listen.api": c.Listen, "listen.ops": "off", "database": "sqlite"}
	if c.Attack { // the attackers are at addresses of their own, behind a proxy that there is not
		settings["trusted_proxies"] = "127.0.0.1,::1"
	}
	cfg, err := demo.load(std, settings)
	if err != nil {
		return err
	}
	return c.serve(ctx, cfg, std, keep)
}

func (c *demoCmd) serve(ctx context.Context, cfg config.Config, std stdio, keep bool) error {
	show := newFollower(std)
	log := slog.New(show)
	if c.JSON {
		log = newLog(std.err, cfg)
	}
	s, err := server.New(ctx, cfg, server.Options{Log: log, Environ: std.env, Tour: true})
	if err != nil {
		return listenTrouble(err, "holdfast demo")
	}
	d, err := s.SeedDemo(ctx)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	show.names(func(ctx context.Context, id string) string {
		u, err := s.Store().User(ctx, d.Account.ID, id)
		if err != nil {
			return ""
		}
		return u.DisplayName
	})
	if c.Attack {
		return c.attack(ctx, std, s, show, cfg.Data, keep, d)
	}
	if c.JSON {
		base := s.URL()
		err = printJSON(std, demoJSON{
			BaseURL: base, ConsoleURL: s.ConsoleURL() + "/", DataDir: cfg.Data, AccountID: d.Account.ID, ClientID: d.Credentials.Client.ID,
			ClientSecret: d.Credentials.Secret.Reveal(), EventsToken: d.EventsToken.Text.Reveal(), OwnerEmail: d.Owner.Email, OwnerPassword: d.Password.Reveal(),
		})
	} else {
		err = introduce(std, s, cfg.Data, keep, d)
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if err := s.Run(ctx); err != nil {
		return err
	}
	if c.JSON {
		return nil
	}
	return stopped(std, cfg.Data, keep)
}

// stopped says what became of the data.
func stopped(std stdio, dir string, keep bool) error {
	_, err := fmt.Fprintln(std.out, map[bool]string{true: "\nStopped. The data stays in " + dir, false: "\nStopped, and the data is removed."}[keep])
	return err
}

// listenTrouble adds to an error about an address what can be done about it.
func listenTrouble(err error, command string) error {
	free := command + " --listen 127.0.0.1:0"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: something else listens there, perhaps another Holdfast.\nStop it, or take a free port: %s", err, free)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: ports below 1024 are the system's.\nTake a higher one, or a free one: %s", err, free)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine does not have that address.\nTake one that it has, such as: %s", err, free)
	}
	return err
}

// demoJSON is what a script needs to use the demo.
type demoJSON struct {
	BaseURL      string `json:"base_url"`
	ConsoleURL   string `json:"console_url"`
	DataDir      string `json:"data_dir"`
	AccountID    string `json:"account_id"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	EventsToken  string `json:"events_token"`
	OwnerEmail   string `json:"owner_email"`

	OwnerPassword string `json:"owner_password"`
}

// The commands of the text can be pasted into bash and zsh as they are: no comments behind them, and
// no variable right before a colon, which zsh takes for a modifier.
const demoText = `
{bold}Holdfast demo{/}: %[1]d people at %[2]s, an application with all four scopes.

{bold}Open the console{/} and take the guided tour:

  %[13]s
  Email          %[14]s
  Password       %[15]s

{bold}What a platform needs:{/}

  Base URL       %[3]s
  Account ID     %[4]s
  Client ID      %[5]s
  Client secret  %[6]s
  Data           %[7]s%[11]s

{bold}Try it in a second terminal.{/} A token for 15 minutes:

{cyan}  CLIENT=%[5]s
  SECRET=%[6]s
  TOKEN=$(curl -s -u "${CLIENT}:${SECRET}" -d grant_type=client_credentials \
    %[3]s/v1/oauth/token |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  AUTH="Authorization: Bearer $TOKEN"
  USERS=%[3]s/v1/accounts/%[4]s/users
{/}
List people; suspend %[9]s, look, and bring back:

{cyan}  curl -s -H "$AUTH" "$USERS?max_page_size=5"
  curl -s -H "$AUTH" -X POST $USERS/%[8]s:suspend
  curl -s -H "$AUTH" $USERS/%[8]s
  curl -s -H "$AUTH" -X POST $USERS/%[8]s:reactivate
{/}
The only owner, whom nobody can suspend:

{cyan}  curl -s -H "$AUTH" -X POST $USERS/%[10]s:suspend
{/}
What happened, and that nobody changed the record of it:

{cyan}  %[12]s --data %[7]s audit export
  %[12]s --data %[7]s audit verify
{/}
{bold}Requests show here as they arrive.{/} Ctrl-C stops the demo.

`

func introduce(std stdio, s *server.Server, dir string, keep bool, d server.Demo) error {
	base := s.URL()
	after := ", removed at the end"
	if keep {
		after = ", which stays"
	}
	text := fmt.Sprintf(demoText, d.People, d.Account.Name, base, d.Account.ID, d.Credentials.Client.ID, d.Credentials.Secret.Reveal(),
		dir, d.Somebody.ID, d.Somebody.DisplayName, d.Owner.ID, after, self(),
		s.ConsoleURL()+"/", d.Owner.Email, d.Password.Reveal())
	paint := painter(std.out, std.env)
	marks := []string{}
	for name, colour := range map[string]string{"bold": bold, "cyan": cyan} {
		begin, end, _ := strings.Cut(paint(colour, "\x00"), "\x00")
		marks = append(marks, "{"+name+"}", begin, "{/}", end)
	}
	_, err := io.WriteString(std.out, strings.NewReplacer(marks...).Replace(text))
	return err
}

// self is how this program can be called again.
func self() string {
	if _, err := exec.LookPath("holdfast"); err == nil {
		return "holdfast"
	}
	path, err := os.Executable()
	if err != nil || strings.Contains(path, string(filepath.Separator)+"go-build") { // go run
		return "go run ./cmd/holdfast"
	}
	return path
}
