package main

import (
	"context"
	"errors"
	"os"
	"time"

	"holdfast/internal/respond"
)

// respond is what responds to findings, without the server that does it by itself. What a command leaves to be done
// elsewhere, such as messages, the server does.
func (h *handle) respond() (*respond.Service, error) {
	shipped, err := respond.ShippedPlaybooks()
	if err != nil {
		return nil, err
	}
	if h.cfg.Playbooks != "" {
		own, err := respond.ReadPlaybooks(os.DirFS(h.cfg.Playbooks))
		if err != nil {
			return nil, err
		}
		shipped = append(shipped, own...)
	}
	return &respond.Service{
		Store: h.db, Shipped: shipped, Targets: h.targets(), Channels: h.channels(), Findings: h.db, Account: h.accountName,
		KillFile: h.killFile, URL: h.cfg.ConsoleURL(h.cfg.Listen.API), Now: time.Now,
	}, nil
}

func (h *handle) targets() *respond.Targets {
	return &respond.Targets{Store: h.db, Keys: h.db.Keys(), Now: time.Now}
}

func (h *handle) channels() *respond.Channels {
	return &respond.Channels{Store: h.db, Keys: h.db.Keys(), Now: time.Now}
}

func (h *handle) accountName(ctx context.Context, id string) (string, error) {
	a, err := h.db.Account(ctx, id)
	return a.Name, err
}

// killFile looks into the data folder that this command works on.
func (h *handle) killFile() (k respond.Kill, err error) {
	folder, err := os.OpenRoot(h.cfg.Data)
	if errors.Is(err, os.ErrNotExist) { // with PostgreSQL there may be none here
		return respond.Kill{}, nil
	}
	if err != nil {
		return respond.Kill{}, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	return respond.KillFile(folder)()
}

// respondAccount is the account whose responses a command is about.
type respondAccount struct {
	accountFlag
	JSON bool `name:"json" help:"Print one JSON object."`
}

func (c respondAccount) with(ctx context.Context, g *globals, std stdio, do func(h *handle, s *respond.Service, account string) error) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	s, err := h.respond()
	if err != nil {
		return err
	}
	return do(h, s, account)
}
