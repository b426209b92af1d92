// Command holdfast is the server and its tools.
//
// Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 refused (by policy, or because it
// conflicts with what is there); 4 not found; 5 a verification found something broken.
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
)

// cli is the command line; each command is a field, its flags are fields of the command.
type cli struct {
	globals

	Serve serveCmd `cmd:"" help:"Run the server."`
	Demo  demoCmd  `cmd:"" help:"Run a throw-away account with people, an OAuth application, and things to try."`

	Account accountCmd `cmd:"" help:"Create and list accounts."`
	App     appCmd     `cmd:"" help:"Manage OAuth applications, by which security platforms use the Users API."`
	User    userCmd    `cmd:"" help:"Manage people."`
	Audit   auditCmd   `cmd:"" help:"Verify and export the audit log."`

	Migrate    migrateCmd    `cmd:"" help:"Bring the database to the version of this binary."`
	Doctor     doctorCmd     `cmd:"" help:"Check configuration, keys, database and audit log, and say what to do."`
	Bench      benchCmd      `cmd:"" help:"Measure this machine: Holdfast beside bare floors."`
	Completion completionCmd `cmd:"" help:"Print a completion script for your shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

func run(ctx context.Context, args []string, std stdio) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("holdfast"),
		kong.Description("Holdfast suspends people when their sign-ins look wrong: by rules that explain themselves, within limits that cannot be exceeded, and with a way back.\n\nTry it: holdfast demo\n\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 refused, 4 not found, 5 a verification found something broken."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std, &c.globals),
	)
	if err != nil {
		fmt.Fprintln(std.err, "holdfast:", err)
		return exitFailed
	}
	if err := kong.Bind(parser).Apply(parser); err != nil {
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
		fmt.Fprintf(std.err, "holdfast: %v\nSee: holdfast --help\n", err)
		return exitUsage
	}
	return report(std.err, cmd.Run())
}

// report says what went wrong, and what that means for a script.
func report(w io.Writer, err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return exitDone
	}
	fmt.Fprintln(w, "holdfast:", err)
	if b, ok := errors.AsType[*brokenError](err); ok && b != nil {
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
