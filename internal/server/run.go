package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"holdfast/internal/signals"
	"holdfast/internal/web"
)

// listener is an address and what is served there.
type listener struct {
	name string
	net.Listener
	http *http.Server
}

func (l listener) serve() error {
	if l.http.TLSConfig != nil {
		return l.http.ServeTLS(l.Listener, "", "")
	}
	return l.http.Serve(l.Listener)
}

// listen takes the addresses. Port 0 takes a free one; Addr tells which.
func (s *Server) listen(ctx context.Context) error {
	api, err := s.bind(ctx, "api", s.cfg.Listen.API)
	if err != nil {
		return err
	}
	if !s.cfg.TLS.On() { // plain is what a proxy in front speaks
		api.Listener = web.StrictFraming(api.Listener)
	}
	s.listeners = append(s.listeners, api)
	if s.cfg.TLS.On() {
		cert, err := tls.LoadX509KeyPair(s.cfg.TLS.CertFile, s.cfg.TLS.KeyFile)
		if err != nil {
			return fmt.Errorf("load TLS certificate: %w", err)
		}
		api.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	if s.cfg.Listen.OpsOff() {
		return nil
	}
	ops, err := s.bind(ctx, "ops", s.cfg.Listen.Ops)
	switch {
	case err == nil:
		s.listeners = append(s.listeners, ops)
	case errors.Is(err, syscall.EADDRINUSE) && !s.cfg.Given("listen.ops"):
		// Nobody asked for this address; a second server on the machine must start all the same.
		s.log.WarnContext(ctx, "metrics are not served: the default address is taken; set listen.ops", "address", s.cfg.Listen.Ops)
	default:
		return err
	}
	return nil
}

func (s *Server) bind(ctx context.Context, name, address string) (listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return listener{}, fmt.Errorf("listen for %s on %s: %w", name, address, err)
	}
	lim := s.cfg.Limits
	return listener{name: name, Listener: l, http: &http.Server{
		ReadHeaderTimeout: lim.ReadHeaderTimeout, ReadTimeout: lim.ReadTimeout, WriteTimeout: lim.WriteTimeout,
		IdleTimeout: lim.IdleTimeout, MaxHeaderBytes: int(lim.Header),
		DisableGeneralOptionsHandler: true, // OPTIONS * is a request like any other

		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // broken connections: noise unless somebody looks
	}}, nil
}

// serveOn gives each listener what it serves.
func (s *Server) serveOn() {
	ops := http.NewServeMux()
	ops.Handle("GET /metrics", s.metrics.handler())
	ops.Handle("GET /healthz", s.api)
	ops.Handle("GET /readyz", s.api)
	for _, l := range s.listeners {
		l.http.Handler = s.api
		if l.name == "ops" {
			l.http.Handler = ops
		}
	}
}

// Addr is where the API is served.
func (s *Server) Addr() net.Addr { return s.listeners[0].Addr() }

// Run serves until the context is cancelled, then finishes what it has accepted: requests, then jobs;
// then the database is closed.
func (s *Server) Run(ctx context.Context) error {
	if err := s.runner.Start(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	// Counting ends when nothing is served any more, and is waited for before the store is closed.
	counting, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.counted = make(chan struct{})
	s.stopCounting = stop
	go func() {
		defer close(s.counted)
		var both sync.WaitGroup
		both.Go(func() { s.activity.Run(counting) })
		both.Go(func() { s.uses.Run(counting) })
		both.Wait()
	}()
	go s.reloadPlaces(ctx)
	asking, stopAsking := context.WithCancel(context.WithoutCancel(ctx))
	s.stopAsking, s.asked = stopAsking, make(chan struct{})
	go func() {
		defer close(s.asked)
		var both sync.WaitGroup
		both.Go(func() { signals.NewRunner(s.signals).Run(asking) })
		both.Go(func() { s.runAutomation(asking) })
		both.Wait()
	}()
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		s.log.InfoContext(ctx, "listening", "name", l.name, "address", l.Addr().String(), "tls", l.http.TLSConfig != nil)
		go func() {
			if err := l.serve(); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", l.name, err)
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
		s.log.InfoContext(ctx, "shutting down", "cause", context.Cause(ctx).Error())
	case err = <-failed:
	}
	return errors.Join(err, s.shutdown(context.WithoutCancel(ctx)))
}

// reloadPlaces looks once a minute whether the operator has put other databases of locations in place. Each
// server does so for itself: what is read is in its memory.
func (s *Server) reloadPlaces(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.places.Reload(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "the folder of location databases cannot be read; the ones read before go on", "error", err.Error())
			}
		}
	}
}

func (s *Server) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.ShutdownGrace)
	defer cancel()
	start := s.now()
	s.close() // who waits for events waits no longer
	s.stopAsking()
	var errs []error
	for _, l := range s.listeners {
		if err := l.http.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop serving %s: %w", l.name, err), l.http.Close())
		}
	}
	s.stopCounting()
	errs = append(errs, s.runner.Stop(ctx))
	<-s.counted
	<-s.asked
	errs = append(errs, s.Close())
	s.log.InfoContext(ctx, "stopped", "ms", s.now().Sub(start).Milliseconds())
	return errors.Join(errs...)
}
