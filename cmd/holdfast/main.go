// Command holdfast is the server and its tools.
//
// Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 refused (by policy, or because it
// conflicts with what is there); 4 not found; 5 a verification found something broken; 130 interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"holdfast/internal/problem"
)

func main() {
	stops := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // the terminal is closed; under nohup it may be
		stops = append(stops, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), stops...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends what does not stop
	code := run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Environ()})
	stop()
	os.Exit(code)
}

// stdio is the world around a command.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	env      []string
}

// The exit codes.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitRefused
	exitNotFound
	exitBroken
	exitInterrupted = 130 // 128 + SIGINT, as shells say it
)

// cli is the command line; each command is a field, its flags are fields of the command. What each is
// good for, with examples, is in lessons.
type cli struct {
	globals `group:"global"`

	Serve serveCmd `cmd:"" group:"run" help:"Run the server."`
	Demo  demoCmd  `cmd:"" group:"run" help:"Run a throw-away account with people, an OAuth application, and things to try."`

	Account accountCmd `cmd:"" group:"manage" help:"Create and list accounts."`
	App     appCmd     `cmd:"" group:"manage" help:"Manage OAuth applications, by which security platforms use the Users API."`

	EventsToken eventsTokenCmd `cmd:"" group:"manage" help:"Manage events tokens, with which a SIEM reads the Events API."`

	Source sourceCmd `cmd:"" group:"manage" help:"Manage sources of events: other systems whose sign-ins are taken in."`

	User  userCmd  `cmd:"" group:"manage" help:"Manage people."`
	Group groupCmd `cmd:"" group:"manage" help:"Manage groups and who is in them; the built-in ones are the roles."`

	RuleList ruleListsCmd `cmd:"" name:"rule-list" group:"manage" help:"Manage lists that detection rules name, such as countries and networks."`

	Firewall firewallCmd `cmd:"" group:"manage" help:"Manage firewall rules: from where people may sign in."`

	Target  targetCmd  `cmd:"" group:"manage" help:"Manage targets: where else people are suspended."`
	Channel channelCmd `cmd:"" group:"manage" help:"Manage channels: where messages go."`

	Playbook playbookCmd `cmd:"" group:"respond" help:"Say what is done about a finding, and try it out."`
	Case     caseCmd     `cmd:"" group:"respond" help:"Look at cases, answer what they ask, and take back what they did."`
	Guard    guardCmd    `cmd:"" group:"respond" help:"Set the limits of what is done by itself, and stop all of it."`

	Events  eventsCmd  `cmd:"" group:"keep" help:"Show sign-ins, uses of vault items and changes as they happen."`
	Rule    ruleCmd    `cmd:"" group:"keep" help:"List, check and try the rules that find what is suspicious."`
	Audit   auditCmd   `cmd:"" group:"keep" help:"Verify and export the audit log."`
	Doctor  doctorCmd  `cmd:"" group:"keep" help:"Check configuration, keys, database and audit log, and say what to do."`
	Migrate migrateCmd `cmd:"" group:"keep" help:"Bring the database to the version of this binary."`
	Bench   benchCmd   `cmd:"" group:"keep" help:"Measure this machine: Holdfast beside bare floors."`

	Completion completionCmd `cmd:"" group:"shell" help:"Print a completion script for your shell."`
	Version    versionCmd    `cmd:"" group:"shell" help:"Print the version."`
}

// newParser makes the parser of the command line. exit hears the code when --help has been answered.
func newParser(ctx context.Context, c *cli, std stdio, exit func(int)) (*kong.Kong, error) {
	parser, err := kong.New(c,
		kong.Name("holdfast"),
		kong.Description(introduction),
		kong.Writers(std.out, std.err),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "run", Title: "Run:"},
			{Key: "manage", Title: "Accounts, people, platforms:"},
			{Key: "respond", Title: "Respond:"},
			{Key: "keep", Title: "Keep it well:"},
			{Key: "shell", Title: "Shell:"},
			{Key: "global", Title: "Flags of every command:"},
		}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std, &c.globals),
	)
	if err != nil {
		return nil, err
	}
	teach(parser.Model)
	return parser, kong.Bind(parser).Apply(parser)
}

func run(ctx context.Context, args []string, std stdio) int {
	var c cli
	exited := -1
	parser, err := newParser(ctx, &c, std, func(code int) { exited = code })
	if err != nil {
		fmt.Fprintln(std.err, "holdfast:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	cmd, err := parser.Parse(args)
	if exited >= 0 { // --help was answered
		return exited
	}
	if err != nil {
		fmt.Fprintf(std.err, "holdfast: %v\nSee: %s --help\n", err, wrongCommand(err))
		return exitUsage
	}
	return report(std.err, cmd.Run())
}

// wrongCommand is the command to whose help a wrong command line is sent.
func wrongCommand(err error) string {
	if p, ok := errors.AsType[*kong.ParseError](err); ok && p.Context.Selected() != nil {
		return p.Context.Selected().FullPath()
	}
	return "holdfast"
}

// report says what went wrong, and what that means for a script.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "holdfast: interrupted:", err)
		return exitInterrupted
	}
	fmt.Fprintln(w, "holdfast:", err)
	if _, ok := errors.AsType[*brokenError](err); ok {
		return exitBroken
	}
	switch problem.KindOf(err) {
	case problem.Forbidden, problem.Conflict:
		return exitRefused
	case problem.NotFound:
		return exitNotFound
	case problem.Invalid:
		return exitUsage
	}
	return exitFailed
}

// brokenError is what a verification found.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }
