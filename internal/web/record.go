package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"holdfast/internal/problem"
)

// Record is what one request leaves in the log: who did what and how it ended. Handlers fill it in
// on the way. It never holds a token, a secret, a query string or a body.
type Record struct {
	RequestID string
	Address   netip.Addr // of the client, behind trusted proxies
	Route     string     // pattern, never the raw path
	Scope     string     // that the route asks of an application; empty if it is none for applications
	Principal Principal
	Target    string // what was acted on, such as "user:K7QW…"
	Outcome   string // code or sentence of the problem that was answered; empty if it went well

	start  time.Time
	status int
	bytes  int64
}

type recordKey struct{}

// RecordOf is the request's record. Outside a request it is an empty one, so that callers need no check.
func RecordOf(ctx context.Context) *Record {
	if rec, ok := ctx.Value(recordKey{}).(*Record); ok {
		return rec
	}
	return &Record{}
}

// Actor is who makes the request, as in audit entries; "anonymous" if no credentials were accepted.
func Actor(r *http.Request) string {
	if a := RecordOf(r.Context()).Principal.Actor; a != "" {
		return a
	}
	return "anonymous"
}

func (h *Handlers) log(r *http.Request, rec *Record, err error) {
	level, now := slog.LevelInfo, h.cfg.Now()
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs,
		slog.String("request_id", rec.RequestID),
		slog.String("method", printable(r.Method, 20)),
		slog.String("route", rec.Route),
		slog.Int("status", rec.status),
		slog.Float64("ms", float64(now.Sub(rec.start).Microseconds())/1000),
		slog.Int64("bytes", rec.bytes),
		slog.String("address", rec.Address.String()),
	)
	if rec.Principal.Actor != "" {
		attrs = append(attrs, slog.String("actor", rec.Principal.Actor), slog.String("account", rec.Principal.AccountID))
	}
	if rec.Target != "" {
		attrs = append(attrs, slog.String("target", printable(rec.Target, 80)))
	}
	if rec.Outcome != "" {
		attrs = append(attrs, slog.String("outcome", rec.Outcome))
	}
	if ua := r.UserAgent(); ua != "" {
		attrs = append(attrs, slog.String("user_agent", printable(ua, 120)))
	}
	if rec.status >= 500 {
		level = slog.LevelError
		if err != nil {
			attrs = append(attrs, slog.String("error", err.Error()))
		}
	}
	// Not by LogAttrs, which looks up who called it for each request; it is always this line.
	handler := h.cfg.Log.Handler()
	if !handler.Enabled(r.Context(), level) {
		return
	}
	record := slog.NewRecord(now, level, "request", 0)
	record.AddAttrs(attrs...)
	_ = handler.Handle(r.Context(), record) // a log that cannot be written must not fail the request
}

// printable keeps a log line one line whatever a client sends, and short.
func printable(s string, most int) string {
	clean := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "?") + "…"
	}
	for _, r := range s {
		if r < ' ' || r > '~' {
			return strings.Map(clean, strings.ToValidUTF8(s, "?"))
		}
	}
	return s
}

// response notes status and size, and carries the error from the route to the one place that answers.
type response struct {
	http.ResponseWriter
	rec  *Record
	form problem.Form
	err  error
}

func (w *response) WriteHeader(status int) {
	if w.rec.status == 0 {
		w.rec.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.rec.status == 0 {
		w.rec.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.rec.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
