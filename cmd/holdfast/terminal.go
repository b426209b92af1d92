package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// isTerminal reports whether a person is at the other end.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress is a bar for each phase of something long, on a terminal only.
type progress struct {
	w   io.Writer
	bar *progressbar.ProgressBar // nil: not on a terminal, or between two phases
}

func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		w = nil
	}
	return &progress{w: w}
}

// start begins a phase of so many steps; -1 if nobody knows how many.
func (p *progress) start(what string, steps int64) {
	p.done()
	if p.w == nil {
		return
	}
	p.bar = progressbar.NewOptions64(steps,
		progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(fmt.Sprintf("%-10s", what)),
		progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSpinnerType(14),
	)
	_ = p.bar.RenderBlank() // as in at
}

// at says how many steps are done. That a terminal is gone is no reason to stop.
func (p *progress) at(step int64) {
	if p.bar != nil {
		_ = p.bar.Set64(step)
	}
}

// done ends the phase and clears its line.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
		_ = p.bar.Clear()
		p.bar = nil
	}
}

// grouped writes a number in groups of three digits.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is a number with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// The colours, as the numbers of ECMA-48 SGR.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	grey   = "90"
)

// painter colours text on a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb.
func painter(w io.Writer, environ []string) func(colour, text string) string {
	if !isTerminal(w) || variable(environ, "NO_COLOR") != "" || variable(environ, "TERM") == "dumb" {
		return func(_, text string) string { return text }
	}
	return func(colour, text string) string { return "\x1b[" + colour + "m" + text + "\x1b[0m" }
}

// variable is the value of an environment variable.
func variable(environ []string, name string) string {
	for _, kv := range environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}
