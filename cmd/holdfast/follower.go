package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// follower is a log for people who watch: one short line a request, one for anything that is wrong.
type follower struct {
	mu    sync.Mutex
	w     io.Writer
	width int // of the terminal; 0 if there is none
	paint func(colour, text string) string
	name  func(ctx context.Context, userID string) string
	quiet bool // requests are left out
}

func newFollower(std stdio) *follower {
	f := &follower{w: std.out, paint: painter(std.out, std.env), name: func(context.Context, string) string { return "" }}
	if isTerminal(std.out) {
		if width, _, err := term.GetSize(int(std.out.(*os.File).Fd())); err == nil {
			f.width = width
		}
	}
	return f
}

// names makes the lines show people by name.
func (f *follower) names(name func(ctx context.Context, userID string) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.name = name
}

// hush leaves requests out, or shows them again.
func (f *follower) hush(quiet bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = quiet
}

func (f *follower) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (f *follower) WithAttrs([]slog.Attr) slog.Handler           { return f }
func (f *follower) WithGroup(string) slog.Handler                { return f }

func (f *follower) Handle(ctx context.Context, r slog.Record) error {
	request := r.Message == "request"
	if !request && r.Level < slog.LevelWarn {
		return nil
	}
	attrs := map[string]slog.Value{}
	var others strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value
		fmt.Fprintf(&others, "  %s=%v", a.Key, a.Value)
		return true
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if request && f.quiet {
		return nil
	}
	at := f.paint(grey, r.Time.Format("15:04:05"))
	if !request {
		_, err := fmt.Fprintf(f.w, "%s  %s%s\n", at, f.paint(yellow, r.Message), others.String())
		return err
	}
	status := attrs["status"].Int64()
	colour := green
	switch {
	case status >= 500:
		colour = red
	case status >= 400:
		colour = yellow
	}
	// Time, status and the gaps between take 15 columns.
	_, err := fmt.Fprintf(f.w, "%s  %s  %s\n", at, f.paint(colour, fmt.Sprint(status)), f.fit(f.line(ctx, attrs), 15))
	return err
}

// line is what was asked, how long it took, whom it was about, and why it was refused.
func (f *follower) line(ctx context.Context, attrs map[string]slog.Value) string {
	route := strings.ReplaceAll(text(attrs["route"]), "/accounts/{account}/", "/…/")
	s := fmt.Sprintf("%-38s %6.1f ms", cmp.Or(route, text(attrs["method"])+" (no such path)"), attrs["ms"].Float64())
	if outcome, _, _ := strings.Cut(text(attrs["outcome"]), ":"); outcome != "" {
		s += "  " + outcome
	}
	if id, ok := strings.CutPrefix(text(attrs["target"]), "user:"); ok {
		s += "  " + cmp.Or(f.name(ctx, id), id)
	}
	return s
}

// text is the value if it is a string; a missing attribute is empty.
func text(v slog.Value) string {
	if v.Kind() != slog.KindString {
		return ""
	}
	return v.String()
}

// fit cuts a line that would not fit into the terminal beside what takes so many columns.
func (f *follower) fit(s string, taken int) string {
	room := f.width - taken
	if f.width == 0 || utf8.RuneCountInString(s) <= room {
		return s
	}
	return string([]rune(s)[:max(0, room-1)]) + "…"
}
