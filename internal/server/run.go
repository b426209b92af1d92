package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
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

// Listen binds the addresses. Port 0 takes a free one; Addr tells which.
func (s *Server) Listen(ctx context.Context) error {
	api, err := s.bind(ctx, "api", s.cfg.Listen.API, s.api)
	if err != nil {
		return err
	}
	if s.cfg.TLS.On() {
		cert, err := tls.LoadX509KeyPair(s.cfg.TLS.CertFile, s.cfg.TLS.KeyFile)
		if err != nil {
			return errors.Join(fmt.Errorf("load TLS certificate: %w", err), api.Close())
		}
		api.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	s.listeners = append(s.listeners, api)
	if s.cfg.Listen.OpsOff() {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.Handle("GET /healthz", s.api)
	mux.Handle("GET /readyz", s.api)
	ops, err := s.bind(ctx, "ops", s.cfg.Listen.Ops, mux)
	switch {
	case err == nil:
		s.listeners = append(s.listeners, ops)
	case errors.Is(err, syscall.EADDRINUSE) && !s.cfg.Listen.OpsSet():
		// Nobody asked for this address; a second server on the machine must start all the same.
		s.log.WarnContext(ctx, "metrics are not served: the default address is taken; set listen.ops", "address", s.cfg.Listen.Ops)
	default:
		return errors.Join(err, api.Close())
	}
	return nil
}

func (s *Server) bind(ctx context.Context, name, address string, h http.Handler) (listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return listener{}, fmt.Errorf("listen for %s on %s: %w", name, address, err)
	}
	lim := s.cfg.Limits
	return listener{name: name, Listener: l, http: &http.Server{
		Handler: h, ReadHeaderTimeout: lim.ReadHeaderTimeout, ReadTimeout: lim.ReadTimeout, WriteTimeout: lim.WriteTimeout,
		IdleTimeout: lim.IdleTimeout, MaxHeaderBytes: int(lim.Header),
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // broken connections: noise unless somebody looks
	}}, nil
}

// Addr is where the API is served, after Listen.
func (s *Server) Addr() net.Addr { return s.listeners[0].Addr() }

// Run serves until the context is cancelled, then finishes what it has accepted: requests, then jobs,
// then the database is closed. It listens first if Listen was not called.
func (s *Server) Run(ctx context.Context) error {
	if len(s.listeners) == 0 {
		if err := s.Listen(ctx); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	if err := s.runner.Start(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
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

func (s *Server) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.ShutdownGrace)
	defer cancel()
	start := s.now()
	var errs []error
	for _, l := range s.listeners {
		if err := l.http.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop serving %s: %w", l.name, err), l.http.Close())
		}
	}
	errs = append(errs, s.runner.Stop(ctx), s.Close())
	s.log.InfoContext(ctx, "stopped", "ms", s.now().Sub(start).Milliseconds())
	return errors.Join(errs...)
}
