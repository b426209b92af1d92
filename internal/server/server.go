package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"holdfast/docs/openapi"
	"holdfast/internal/audit"
	"holdfast/internal/config"
	"holdfast/internal/directory"
	"holdfast/internal/jobs"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/store"
	"holdfast/internal/web"
)

// Options are what a server gets besides its configuration.
type Options struct {
	Log     *slog.Logger
	Now     func() time.Time // nil means time.Now
	Environ []string         // as os.Environ, for a master key in a variable

	// Wrap goes around the handler, for tests that look at every request.
	Wrap func(http.Handler) http.Handler
}

// Server is a running Holdfast, or one about to run.
type Server struct {
	cfg       config.Config
	log       *slog.Logger
	now       func() time.Time
	db        *store.DB
	oauth     *oauth.Service
	directory *directory.Service
	metrics   *metrics
	runner    *jobs.Runner
	api       http.Handler
	listeners []listener
}

// New takes the addresses, opens the store, brings it up to date, and puts the parts together. Nothing
// is served before Run.
func New(ctx context.Context, cfg config.Config, o Options) (*Server, error) {
	s := &Server{cfg: cfg, log: o.Log, now: o.Now, metrics: newMetrics()}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context, o Options) error {
	if err := s.listen(ctx); err != nil {
		return err
	}
	so := store.Options{
		Database: s.cfg.Database, Dir: s.cfg.Data, MmapSize: int64(s.cfg.SQLite.MmapSize), Now: s.now, Log: s.log, Migrate: true,
	}
	var err error
	if so.Master, err = store.OpenMaster(ctx, so, s.cfg.MasterKey, o.Environ...); err != nil {
		return err
	}
	if s.db, err = store.Open(ctx, so); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return s.build(ctx, o)
}

func (s *Server) build(ctx context.Context, o Options) error {
	s.oauth = &oauth.Service{Store: s.db, Limits: oauth.NewLimits(s.now), Issuer: s.URL(), Audience: s.URL(), Now: s.now}
	s.directory = &directory.Service{Store: s.db, Keys: s.db.Keys(), UsersAlias: s.cfg.UsersAlias, Now: s.now}
	handlers, err := web.New(web.Config{
		Routes: s.Routes(), Authorizer: s.oauth, Refusals: refusals{s.db}, Proxies: s.cfg.TrustedProxies,
		PlainPeers: s.cfg.PlainOffLoopback(), HSTS: s.cfg.TLS.On(), MaxBody: int64(s.cfg.Limits.Body),
		Observe: s.metrics.observe, Log: s.log, Now: s.now,
	})
	if err != nil {
		return fmt.Errorf("make routes: %w", err)
	}
	s.api = handlers
	if o.Wrap != nil {
		s.api = o.Wrap(s.api)
	}
	s.serveOn()
	s.runner, err = jobs.NewRunner(ctx, s.db.Jobs(), s.workers(), jobLog(s.log))
	return err
}

// Routes lists every route of the API listener.
func (s *Server) Routes() []web.Route {
	routes := []web.Route{
		{Pattern: "GET /healthz", Access: web.Public("the process answers; tells nothing else"), Handle: s.healthz},
		{Pattern: "GET /readyz", Access: web.Public("whether requests can be served; tells nothing else"), Handle: s.readyz},
		{Pattern: "GET /openapi/users.yaml", Access: web.Public("the contract is public"), Handle: usersContract},
	}
	routes = append(routes, s.oauth.Routes()...)
	return append(routes, s.directory.Routes()...)
}

// Store is the open store, for commands that run beside the server in one process, such as the demo.
func (s *Server) Store() *store.DB { return s.db }

// OAuth manages OAuth applications.
func (s *Server) OAuth() *oauth.Service { return s.oauth }

// URL is where platforms reach the server, without a slash at the end.
func (s *Server) URL() string { return s.cfg.BaseURL(s.Addr().String()) }

// Close gives back what New took. A server that ran closes by itself.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// purgeTokens is the job that deletes tokens long expired. They are kept for an hour, so that whose
// expired token was used can be told.
type purgeTokens struct{}

func (purgeTokens) Kind() string { return "oauth.purge_tokens" }

func (s *Server) workers() *jobs.Workers {
	w := jobs.NewWorkers()
	s.directory.Jobs(w)
	jobs.Handle(w, func(ctx context.Context, _ purgeTokens) error {
		return s.db.PurgeTokens(ctx, s.now().Add(-time.Hour))
	})
	jobs.Every(w, 10*time.Minute, purgeTokens{})
	return w
}

// jobLog lets River's own messages through from warnings on; its start and stop are ours to tell.
func jobLog(log *slog.Logger) *slog.Logger { return slog.New(atLeast{log.Handler(), slog.LevelWarn}) }

type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}
func (h atLeast) WithAttrs(as []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(as), h.level}
}
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return web.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz answers 503 until database, tables and jobs are in order.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.db.Ping(ctx); err != nil {
		return problem.New(problem.Unavailable, "the database does not answer").WithCause(err)
	}
	if !s.runner.Running() {
		return problem.New(problem.Unavailable, "jobs are not running")
	}
	return web.JSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func usersContract(w http.ResponseWriter, _ *http.Request) error {
	return web.Bytes(w, http.StatusOK, "application/yaml", openapi.Users())
}

// refusals writes what the edge turned away into the audit log.
type refusals struct{ db *store.DB }

func (r refusals) Refused(ctx context.Context, x web.Refusal) error {
	account, actor := x.AccountID, x.Actor
	if account == "" {
		account = audit.System
	}
	if actor == "" {
		actor = "anonymous"
	}
	return r.db.AppendRefusal(ctx, account, audit.Entry{
		Actor: actor, Action: audit.AccessRefuse, Target: "route:" + x.Target, Outcome: audit.Refused,
		Reason: x.Reason, RequestID: x.RequestID, Address: x.Address,
	})
}
