package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/respond"
)

// KillFile is the name of the file in the data directory whose presence means that nothing is done
// automatically on this server. What stands in it is the reason.
const KillFile = "KILL"

// automate puts the automation half together: detection, and what it leads to.
func (s *Server) automate() error {
	keys := s.db.Keys()
	dir, err := detect.RuleFolder(s.cfg.Rules)
	if err != nil {
		return err
	}
	s.rules, err = detect.NewRules(detect.RulesConfig{Store: s.db, Pack: rules.FS(), Dir: dir, Now: s.now, Log: s.log})
	if err != nil {
		return fmt.Errorf("load rules: %w", err)
	}
	s.live = detect.NewLive(detect.LiveConfig{Store: s.db, Rules: s.rules, Log: s.log, Now: s.now})
	playbooks, err := respond.ShippedPlaybooks()
	if err != nil {
		return fmt.Errorf("load playbooks: %w", err)
	}
	if s.cfg.Playbooks != "" {
		own, err := respond.ReadPlaybooks(os.DirFS(s.cfg.Playbooks))
		if err != nil {
			return fmt.Errorf("load playbooks of %s: %w", s.cfg.Playbooks, err)
		}
		playbooks = append(playbooks, own...)
	}
	s.targets = &respond.Targets{Store: s.db, Keys: keys, Now: s.now}
	s.channels = &respond.Channels{Store: s.db, Keys: keys, Now: s.now}
	s.respond = &respond.Service{
		Store: s.db, Shipped: playbooks, Targets: s.targets, Channels: s.channels, Findings: s.db, Account: s.accountName,
		KillFile: killFile(filepath.Join(s.cfg.Data, KillFile)), URL: s.ConsoleURL(), Log: s.log, Now: s.now,
	}
	return nil
}

func (s *Server) accountName(ctx context.Context, id string) (string, error) {
	a, err := s.db.Account(ctx, id)
	return a.Name, err
}

// killFile reads the kill switch beside the database.
func killFile(name string) func() (respond.Kill, error) {
	return func() (respond.Kill, error) {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return respond.Kill{}, nil
		}
		if err != nil {
			return respond.Kill{}, err
		}
		k := respond.Kill{On: true, Door: respond.DoorFile, By: "operator", At: info.ModTime().UTC(), Reason: "a file is there"}
		text, err := os.ReadFile(name)
		if reason := strings.TrimSpace(string(text)); err == nil && reason != "" {
			k.Reason = reason
		}
		return k, nil
	}
}

// lookAtRules is how often the folder of rules is looked at.
const lookAtRules = 5 * time.Second

// runAutomation detects and responds until ctx ends.
func (s *Server) runAutomation(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { s.rules.Run(ctx, lookAtRules) })
	all.Go(func() { s.live.Run(ctx) })
	all.Go(func() { s.respond.Run(ctx) })
}

// Rules are the rules of accounts.
func (s *Server) Rules() *detect.Rules { return s.rules }

// Respond acts on findings.
func (s *Server) Respond() *respond.Service { return s.respond }

// Targets are where else people are suspended.
func (s *Server) Targets() *respond.Targets { return s.targets }

// Channels are where messages go.
func (s *Server) Channels() *respond.Channels { return s.channels }

// purgeFindings deletes findings as old as the events that they rest on.
func (s *Server) purgeFindings(ctx context.Context) error {
	if s.cfg.Events.Keep == 0 {
		return nil
	}
	return s.db.PurgeFindings(ctx, s.now().Add(-s.cfg.Events.Keep))
}
