package bench_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/bench"
	"holdfast/internal/config"
	"holdfast/internal/directory"
	"holdfast/internal/server"
	"holdfast/internal/signin"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

// furnished is a server as the command line hands it to the benchmark.
type furnished struct {
	*server.Server
	cookie string // instead of the one of the session; empty: that one
}

func (f furnished) Enter(ctx context.Context, u directory.User) (string, error) {
	const password = "correct horse battery staple"
	if err := f.SignIn().SetInitialPassword(ctx, u.AccountID, u.ID, password, audit.Entry{Actor: "operator:test"}); err != nil {
		return "", err
	}
	in, _, err := f.SignIn().Password(ctx, signin.Client{Address: "127.0.0.1", UserAgent: "test"}, u.Email, password)
	if err != nil || f.cookie != "" {
		return f.cookie, err
	}
	return web.SessionCookie + "=" + in.Token.Reveal(), nil
}

func (f furnished) AddVault(ctx context.Context, u directory.User, name string, _ int) (string, error) {
	v, err := f.Vaults().Create(ctx, vault.Viewer{AccountID: u.AccountID, UserID: u.ID}, name, "", audit.Entry{Actor: "user:" + u.ID})
	return v.ID, err
}

func buildConsole(cookie string) func(context.Context, config.Config, io.Writer) (bench.ConsoleServer, error) {
	return func(ctx context.Context, cfg config.Config, log io.Writer) (bench.ConsoleServer, error) {
		s, err := server.New(ctx, cfg, server.Options{Log: slog.New(slog.NewJSONHandler(log, nil))})
		return furnished{s, cookie}, err
	}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Duration, o.Rounds = 20*time.Millisecond, 1
	r, err := bench.Console(t.Context(), o, buildConsole(""))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bench.ConsoleRows(), names(r)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for _, row := range r.Rows {
		if row.Unit != "µs/page (p50)" || row.Value <= 0 || row.Floor <= 0 || row.Ratio != row.Value/row.Floor || row.P99*1000 < row.Value {
			t.Errorf("row is %+v", row)
		}
	}
	if r.Machine.Conns != 1 || r.Machine.People != 200 {
		t.Errorf("machine is %+v", r.Machine)
	}
	checkJSON(t, r)
	empty(t, o.Dir)
}

// TestConsoleFails: a page that cannot be measured ends the benchmark, and its message says which and why.
func TestConsoleFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		do    func(o *bench.Options)
		build func(context.Context, config.Config, io.Writer) (bench.ConsoleServer, error)
		want  string
	}{
		{"row", func(o *bench.Options) { o.Only = []string{"nowhere"} }, buildConsole(""), `no row "nowhere"; there are: people, people search`},
		{"rounds", func(o *bench.Options) { o.Rounds = 0 }, buildConsole(""), "at least one round"},
		{"not_signed_in", func(o *bench.Options) { o.Only = []string{"vaults"} }, buildConsole(web.SessionCookie + "=x"),
			`vaults: the page at /vaults answers "HTTP/1.1 303 See Other"; only one that answers 200 can be measured`},
		{"server", func(*bench.Options) {}, func(context.Context, config.Config, io.Writer) (bench.ConsoleServer, error) {
			return nil, errors.New("no server today")
		}, "no server today"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			tt.do(&o)
			_, err := bench.Console(t.Context(), o, tt.build)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want one about %q", err, tt.want)
			}
			empty(t, o.Dir)
		})
	}
}
