package respond

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// KillFileName is the file in the data folder that is a kill switch: while it is there, nothing is begun for any account,
// whatever the database says. What is in it is the reason.
const KillFileName = "KILL"

// KillFile looks for the kill switch in a folder. The time is that of the file.
func KillFile(folder *os.Root) func() (Kill, error) {
	return func() (Kill, error) {
		f, err := folder.Open(KillFileName)
		if errors.Is(err, fs.ErrNotExist) {
			return Kill{}, nil
		}
		if err != nil {
			return Kill{}, err
		}
		text, err := io.ReadAll(io.LimitReader(f, 4*maxWhy))
		info, statErr := f.Stat()
		if err := errors.Join(err, statErr, f.Close()); err != nil {
			return Kill{}, err
		}
		k := Kill{On: true, Door: DoorFile, By: "operator", At: info.ModTime().UTC(), Reason: plain(strings.TrimSpace(string(text)), maxWhy)}
		if k.Reason == "" {
			k.Reason = "no reason is given in the file"
		}
		return k, nil
	}
}

// Guard is the account's guard rails, with the kill switch by whichever door it is on.
func (s *Service) Guard(ctx context.Context, accountID string) (Guard, error) {
	g, err := s.Store.Guard(ctx, accountID)
	g.Kill = s.killed(g.Kill)
	return g, err
}

// SetGuard sets all of the guard rails but the kill switch. Revision is that of the guard rails that the person has
// seen: if somebody else has changed them since, it is a Conflict.
func (s *Service) SetGuard(ctx context.Context, accountID string, g Guard, by audit.Entry) (Guard, error) {
	if err := g.Check(); err != nil {
		return Guard{}, err
	}
	return s.Store.ChangeGuard(ctx, accountID, func(now *Guard) error {
		if now.Revision != g.Revision {
			return problem.Coded(problem.Conflict, "guard_changed", "somebody has changed the guard rails since you opened them; look at them again, and repeat your change")
		}
		kill := now.Kill
		*now = g
		now.Kill = kill
		return nil
	}, by)
}

// Kill turns the kill switch on: what has not begun does not begin. Turning it on twice is no error, and the first
// reason stays.
func (s *Service) Kill(ctx context.Context, accountID, door, reason string, by audit.Entry) (Guard, error) {
	reason, err := CheckWhy("reason", reason)
	if err != nil {
		return Guard{}, err
	}
	return s.Store.ChangeGuard(ctx, accountID, func(g *Guard) error {
		if !g.Kill.On {
			g.Kill = Kill{On: true, Door: door, By: by.Actor, At: s.Now(), Reason: reason}
		}
		return nil
	}, by.Because(reason))
}

// Resume turns the kill switch of the database off. One that is a file is removed where it is: then this is a Conflict,
// and the guard rails come with it.
func (s *Service) Resume(ctx context.Context, accountID, reason string, by audit.Entry) (Guard, error) {
	reason, err := CheckWhy("reason", reason)
	if err != nil {
		return Guard{}, err
	}
	g, err := s.Store.ChangeGuard(ctx, accountID, func(g *Guard) error {
		g.Kill = Kill{}
		return nil
	}, by.Because(reason))
	if err != nil {
		return Guard{}, err
	}
	if g.Kill = s.killed(g.Kill); g.Kill.On {
		return g, problem.Coded(problem.Conflict, "kill_file", "the kill switch is still on, by the file %s in the data folder of a server (%s); remove it there", KillFileName, g.Kill.Reason)
	}
	return g, nil
}
