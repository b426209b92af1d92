package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"holdfast/docs/openapi"
	"holdfast/internal/audit"
	"holdfast/internal/config"
	"holdfast/internal/console"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/feed"
	"holdfast/internal/jobs"
	"holdfast/internal/oauth"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/signals"
	"holdfast/internal/signin"
	"holdfast/internal/store"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

// Options are what a server gets besides its configuration.
type Options struct {
	Log     *slog.Logger
	Now     func() time.Time // nil means time.Now
	Environ []string         // as os.Environ, for a master key in a variable

	Tour bool // the console offers the guided tour of the demo

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
	signin    *signin.Service
	places    *origin.Databases
	vaults    *vault.Service
	feed      *feed.Service
	signals   *signals.Intake
	rules     *detect.Rules
	live      *detect.Live
	respond   *respond.Service
	targets   *respond.Targets
	channels  *respond.Channels
	console   *console.Console
	activity  *oauth.Recorder
	uses      *feed.Recorder
	metrics   *metrics
	runner    *jobs.Runner
	api       http.Handler
	listeners []listener

	closing      context.Context // ends when the server begins to stop
	close        context.CancelFunc
	stopCounting context.CancelFunc
	counted      chan struct{} // closed once counting has ended
	stopAsking   context.CancelFunc
	asked        chan struct{} // closed once no source of events is asked any more
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
	keys := s.db.Keys()
	var err error
	if s.places, err = origin.Open(filepath.Join(s.cfg.Data, origin.Folder), s.log, s.now); err != nil {
		return err
	}
	s.oauth = &oauth.Service{Store: s.db, Limits: oauth.NewLimits(s.now), Issuer: s.URL(), Audience: s.URL(), Now: s.now}
	s.activity = oauth.NewRecorder(s.db, s.log)
	s.directory = &directory.Service{Store: s.db, Keys: keys, UsersAlias: s.cfg.UsersAlias, Now: s.now}
	s.signin = &signin.Service{Store: s.db, Keys: keys, Origin: s.ConsoleURL(), Name: "Holdfast", Places: s.places, Now: s.now}
	s.vaults = &vault.Service{Store: s.db, Keys: keys, Places: s.places, Now: s.now}
	s.closing, s.close = context.WithCancel(context.WithoutCancel(ctx))
	s.uses = feed.NewRecorder(s.db, s.log)
	s.feed = &feed.Service{Store: s.db, Keys: keys, URL: s.URL(), Uses: s.uses, Limits: feed.NewLimits(s.now), Closing: s.closing, Now: s.now}
	s.signals = &signals.Intake{
		Store: s.db, Keys: keys, Feed: ownFeed{s.db}, URL: s.URL(), Refusals: refusals{s.db}, Failures: web.NewLimiter(60, time.Second, 50_000, s.now),
		Log: s.log, Changed: make(chan struct{}, 1), Now: s.now,
	}
	if err := s.automate(); err != nil {
		return err
	}
	s.console, err = console.New(console.Config{
		SignIn: s.signin, Directory: s.directory, OAuth: s.oauth, Vaults: s.vaults, Feed: s.feed, Audit: s.db, Findings: s.db, Rules: s.rules, Respond: s.respond,
		Targets: s.targets, Channels: s.channels,
		Rehearser: &respond.Rehearser{Service: s.respond, Rules: s.rules, History: s.db, Now: s.now},
		APIURL:    s.URL(), Origin: s.ConsoleURL(), Version: Version(), Tour: o.Tour, Now: s.now,
	})
	if err != nil {
		return fmt.Errorf("make console: %w", err)
	}
	handlers, err := web.New(web.Config{
		Routes: s.Routes(), Authorizer: s.oauth, Events: s.feed, Sessions: s.signin, Page: s.console.Problem, Origin: s.ConsoleURL(),
		Refusals: refusals{s.db}, Proxies: s.cfg.TrustedProxies,
		PlainPeers: s.cfg.PlainOffLoopback(), HSTS: s.cfg.TLS.On(), MaxBody: int64(s.cfg.Limits.Body),
		Observe: s.observe, Log: s.log, Now: s.now,
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

// Routes lists every route of the API and of the console.
func (s *Server) Routes() []web.Route {
	return append(s.APIRoutes(), s.console.Routes()...)
}

// APIRoutes lists every route for programs.
func (s *Server) APIRoutes() []web.Route {
	routes := []web.Route{
		{Pattern: "GET /healthz", Access: web.Public("the process answers; tells nothing else"), Handle: s.healthz},
		{Pattern: "GET /readyz", Access: web.Public("whether requests can be served; tells nothing else"), Handle: s.readyz},
		{Pattern: "GET /openapi/users.yaml", Access: web.Public("the contract is public"), Handle: contract(openapi.Users)},
		{Pattern: "GET /openapi/events.yaml", Access: web.Public("the contract is public"), Handle: contract(openapi.Events)},
	}
	routes = append(routes, s.oauth.Routes()...)
	routes = append(routes, s.feed.Routes()...)
	routes = append(routes, s.signals.Routes()...)
	return append(routes, s.directory.Routes()...)
}

// observe measures a request, and counts it as the application's.
func (s *Server) observe(r *http.Request, rec *web.Record, status int, took time.Duration) {
	s.metrics.observe(rec.Route, r.Method, status, took)
	operation := rec.Scope
	if strings.HasSuffix(rec.Route, "/token") {
		operation = oauth.OperationToken
	}
	client, ours := strings.CutPrefix(rec.Principal.Actor, "client:")
	if ours && operation != "" {
		s.activity.Record(client, rec.Principal.AccountID, operation, rec.Address.String(), r.UserAgent(), status >= 400, s.now())
	}
}

// Store is the open store, for commands that run beside the server in one process, such as the demo.
func (s *Server) Store() *store.DB { return s.db }

// OAuth manages OAuth applications.
func (s *Server) OAuth() *oauth.Service { return s.oauth }

// ConsoleURL is where people reach the console, without a slash at the end.
func (s *Server) ConsoleURL() string { return s.cfg.ConsoleURL(s.Addr().String()) }

// Directory manages people and groups.
func (s *Server) Directory() *directory.Service { return s.directory }

// SignIn lets people in.
func (s *Server) SignIn() *signin.Service { return s.signin }

// Events serves the Events API and manages its tokens.
func (s *Server) Events() *feed.Service { return s.feed }

// Signals takes in events of other systems, and manages where they come from.
func (s *Server) Signals() *signals.Intake { return s.signals }

// Vaults keep secrets.
func (s *Server) Vaults() *vault.Service { return s.vaults }

// URL is where platforms reach the server, without a slash at the end.
func (s *Server) URL() string { return s.cfg.BaseURL(s.Addr().String()) }

// Close gives back what New took. A server that ran closes by itself.
func (s *Server) Close() error {
	var errs []error
	if s.close != nil {
		s.close()
	}
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

// purgeSignIn is the job that deletes what signing in leaves behind: tickets, ended sessions, old counters.
type purgeSignIn struct{}

func (purgeSignIn) Kind() string { return "signin.purge" }

// purgeActivity is the job that sums up what applications did long ago.
type purgeActivity struct{}

func (purgeActivity) Kind() string { return "oauth.purge_activity" }

// purgeEvents is the job that deletes events which are older than they are kept for, and sums up what events
// tokens did long ago.
type purgeEvents struct{}

func (purgeEvents) Kind() string { return "events.purge" }

// checkAudit is the job that verifies each chain from where it was last found whole; once a day from its beginning.
type checkAudit struct{}

func (checkAudit) Kind() string { return "audit.check" }

func (s *Server) workers() *jobs.Workers {
	w := jobs.NewWorkers()
	s.directory.Jobs(w)
	s.respond.Jobs(w)
	jobs.Handle(w, func(ctx context.Context, _ purgeTokens) error {
		return s.db.PurgeTokens(ctx, s.now().Add(-time.Hour))
	})
	jobs.Every(w, 10*time.Minute, purgeTokens{})
	jobs.Handle(w, func(ctx context.Context, _ purgeSignIn) error { return s.db.Purge(ctx, s.now()) })
	jobs.Every(w, 10*time.Minute, purgeSignIn{})
	jobs.Handle(w, func(ctx context.Context, _ purgeActivity) error { return s.oauth.PurgeActivity(ctx) })
	jobs.Every(w, 24*time.Hour, purgeActivity{})
	jobs.Handle(w, func(ctx context.Context, _ purgeEvents) error {
		return errors.Join(s.feed.Purge(ctx, s.cfg.Events.Keep), s.feed.PurgeUses(ctx), s.signals.Purge(ctx, s.cfg.Events.Keep), s.purgeFindings(ctx))
	})
	jobs.Every(w, time.Hour, purgeEvents{})
	jobs.Handle(w, func(ctx context.Context, _ checkAudit) error { return s.checkAudit(ctx) })
	jobs.Every(w, time.Minute, checkAudit{})
	return w
}

// fullCheck is how often a chain is verified from its beginning.
const fullCheck = 24 * time.Hour

// checkAudit verifies every chain. What is found stays in its status, where the console shows it, and is
// told to whoever reads the log.
func (s *Server) checkAudit(ctx context.Context) error {
	accounts, err := s.db.Accounts(ctx)
	if err != nil {
		return err
	}
	ids := []string{audit.System}
	for _, a := range accounts {
		ids = append(ids, a.ID)
	}
	for _, id := range ids {
		was, err := s.db.AuditStatus(ctx, id)
		if err != nil {
			return err
		}
		status, err := s.db.CheckAudit(ctx, id, s.now().Sub(was.FullAt) >= fullCheck)
		if err != nil {
			return err
		}
		if status.Broken != "" {
			s.log.ErrorContext(ctx, "the audit log was tampered with", "account", id, "found", status.Broken)
		}
	}
	return nil
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

func contract(text func() []byte) web.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		return web.Bytes(w, http.StatusOK, "application/yaml", text())
	}
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
