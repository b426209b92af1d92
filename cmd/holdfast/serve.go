package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"holdfast/internal/config"
	"holdfast/internal/server"
)

type serveCmd struct {
	Listen        string `placeholder:"ADDR" help:"Address of the API, such as 127.0.0.1:8080; port 0 takes a free one."`
	Rules         string `type:"path" placeholder:"DIR" complete:"dir" help:"Folder with rule files that count for every account, beside the ones that come with Holdfast."`
	PrintExample  bool   `help:"Print an example configuration with every key, and stop."`
	ConfigChecked bool   `name:"check-config" help:"Check the configuration and stop."`
}

func (c *serveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if c.PrintExample {
		_, err := io.WriteString(std.out, config.Example())
		return err
	}
	cfg, err := g.load(std, map[string]string{"listen.api": c.Listen, "rules": c.Rules})
	if err != nil {
		return err
	}
	if c.ConfigChecked {
		fmt.Fprintln(std.out, "The configuration is good.")
		return nil
	}
	collectSeldom(std.env)
	s, err := server.New(ctx, cfg, server.Options{Log: newLog(std.err, cfg), Environ: std.env})
	if err != nil {
		return listenTrouble(err, "holdfast serve")
	}
	return s.Run(ctx)
}

// collectSeldom lets garbage grow to four times of what is in use before it is collected, unless the
// operator has set GOGC. A server that holds a few megabytes would otherwise collect at every four.
func collectSeldom(environ []string) {
	if !slices.ContainsFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, "GOGC=") }) {
		debug.SetGCPercent(400)
	}
}

// newLog makes the logger that the configuration asks for.
func newLog(w io.Writer, cfg config.Config) *slog.Logger {
	o := &slog.HandlerOptions{Level: cfg.Log.Level}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}
