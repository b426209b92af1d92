package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is what a command wrote so far; a test may look while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// holdfast runs a command in this process and returns its exit code and what it wrote.
func holdfast(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e output
	code = run(t.Context(), args, stdio{in: strings.NewReader(""), out: &o, err: &e, env: []string{"USER=tester"}})
	return code, o.String(), e.String()
}

// must runs a command that prints one JSON object.
func must(t *testing.T, args ...string) map[string]any {
	t.Helper()
	code, out, errs := holdfast(t, append(args, "--json")...)
	var m map[string]any
	if err := json.Unmarshal([]byte(out), &m); code != exitDone || err != nil || errs != "" {
		t.Fatalf("holdfast %s: exit code %d, %v\n%s%s", strings.Join(args, " "), code, err, out, errs)
	}
	return m
}

// started runs a command until the test ends or stop is called, and returns the first line it prints.
func started(t *testing.T, errs io.Writer, args ...string) (first string, stop func() int) {
	t.Helper()
	return startedText(t, io.Discard, errs, args...)
}

// startedText is started for a test that wants the other lines too.
func startedText(t *testing.T, out, errs io.Writer, args ...string) (first string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r, w := io.Pipe()
	done, copied := make(chan int, 1), make(chan struct{})
	go func() {
		done <- run(ctx, args, stdio{in: strings.NewReader(""), out: w, err: errs, env: []string{"USER=tester"}})
		_ = w.Close()
	}()
	stop = sync.OnceValue(func() int {
		cancel()
		select {
		case code := <-done:
			<-copied
			return code
		case <-time.After(30 * time.Second):
			t.Error("the command does not stop")
			return -1
		}
	})
	t.Cleanup(func() { stop() })
	lines := bufio.NewReader(r)
	first, err := lines.ReadString('\n')
	go func() {
		_, _ = io.Copy(out, lines) // ends when the command does
		close(copied)
	}()
	if err != nil {
		t.Fatalf("the command printed nothing: %v", err)
	}
	return first, stop
}
