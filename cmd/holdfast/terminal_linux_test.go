package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo terminal of the width. What is written to it arrives in out.
func terminal(t *testing.T, width uint16) (tty *os.File, out *output) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(ptmx.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: width})
	}
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	out = &output{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := ptmx.Read(b)
			_, _ = out.Write(b[:n]) // a buffer takes everything
			if err != nil {         // EIO: the other side was closed
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = tty.Close()
		<-done
		_ = ptmx.Close()
	})
	return tty, out
}

// drained waits until what was written before has arrived.
func drained(t *testing.T, tty *os.File, out *output) string {
	t.Helper()
	const mark = "\x00end\x00"
	if _, err := tty.WriteString(mark); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if s, ok := strings.CutSuffix(out.String(), mark); ok {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the terminal swallows its output")
	return ""
}

// TestColours holds that colours are for terminals, and that NO_COLOR and a dumb terminal turn them off.
func TestColours(t *testing.T) {
	data := newAccount(t)
	for _, tt := range []struct {
		name string
		env  []string
		want bool
	}{
		{"terminal", []string{"TERM=xterm"}, true},
		{"no_color", []string{"TERM=xterm", "NO_COLOR=1"}, false},
		{"no_color_empty", []string{"TERM=xterm", "NO_COLOR="}, true}, // no-color.org: only when not empty
		{"dumb", []string{"TERM=dumb"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tty, out := terminal(t, 80)
			code := run(t.Context(), []string{"--data", data, "doctor"}, stdio{out: tty, err: tty, env: append(tt.env, "HOLDFAST_LISTEN_API=127.0.0.1:0", "HOLDFAST_LISTEN_OPS=off")})
			text := drained(t, tty, out)
			if code != exitDone || strings.Contains(text, "\x1b[32mok") != tt.want || strings.Contains(text, "\x1b") != tt.want {
				t.Errorf("exit code %d, colours wanted: %v\n%q", code, tt.want, text)
			}
		})
	}
}

// TestDemoOnTerminal runs the demo as a person sees it.
func TestDemoOnTerminal(t *testing.T) {
	tty, out := terminal(t, 80)
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"demo", "--listen", "127.0.0.1:0"}, stdio{out: tty, err: tty, env: []string{"TERM=xterm"}})
	}()
	for range 6000 { // a month of history takes its time on a busy machine
		if strings.Contains(out.String(), "Ctrl-C stops the demo") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	if c := <-code; c != exitDone {
		t.Errorf("exit code %d", c)
	}
	text := drained(t, tty, out)
	for _, want := range []string{"\x1b[1mHoldfast demo\x1b[0m", "\x1b[36m  CLIENT=", "Stopped, and the data is removed."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %q", want, text)
		}
	}
}

// TestProgressBar holds that the bar is drawn on a terminal, on standard error, and is gone at the end.
func TestProgressBar(t *testing.T) {
	data := newAccount(t)
	file := filepath.Join(t.TempDir(), "people.csv")
	var b strings.Builder
	b.WriteString("email,name\n")
	for i := range 30_000 {
		fmt.Fprintf(&b, "p%d@example.org,Person\n", i)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tty, bar := terminal(t, 100)
	var out output
	code := run(t.Context(), []string{"--data", data, "user", "import", file, "--json"}, stdio{out: &out, err: tty})
	text := drained(t, tty, bar)
	if code != exitDone || !strings.Contains(out.String(), `"imported":30000`) || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	if !strings.Contains(text, "reading") || !strings.Contains(text, "importing") {
		t.Errorf("no bar: %q", text)
	}
	if last := text[strings.LastIndex(strings.TrimRight(text, "\r"), "\r")+1:]; strings.TrimSpace(strings.Trim(last, "\r")) != "" {
		t.Errorf("the bar is left behind: %q", last)
	}
}
