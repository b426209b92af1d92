package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"holdfast/internal/config"
	"holdfast/internal/server"
)

type serveCmd struct {
	Listen        string `placeholder:"ADDR" help:"Address of the API, such as 127.0.0.1:8080; port 0 takes a free one."`
	PrintExample  bool   `help:"Print an example configuration with every key, and stop."`
	ConfigChecked bool   `name:"check-config" help:"Check the configuration and stop."`
}

func (c *serveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	if c.PrintExample {
		_, err := io.WriteString(std.out, config.Example())
		return err
	}
	cfg, err := g.load(std, map[string]string{"listen.api": c.Listen})
	if err != nil {
		return err
	}
	if c.ConfigChecked {
		fmt.Fprintln(std.out, "The configuration is good.")
		return nil
	}
	s, err := server.New(ctx, cfg, server.Options{Log: newLog(std.err, cfg), Environ: std.env})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// newLog makes the logger that the configuration asks for.
func newLog(w io.Writer, cfg config.Config) *slog.Logger {
	o := &slog.HandlerOptions{Level: cfg.Log.Level}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}
