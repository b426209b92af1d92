package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// The hidden commands.
const (
	serveHoldfast = "serve-holdfast"
	serveFloor    = "serve-floor"
	generateLoad  = "load"
)

// child is a process that runs one of the hidden commands.
type child struct {
	name    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	last    *tail
}

// start starts a child, hands it its settings, and reads its first answer into ready.
func (o Options) start(ctx context.Context, name string, settings, ready any) (*child, error) {
	args := append(o.Self[1:len(o.Self):len(o.Self)], name)
	c := &child{name: name, cmd: exec.CommandContext(ctx, o.Self[0], args...), last: &tail{}}
	c.cmd.Stderr = c.last
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.answers = json.NewDecoder(out)
	c.cmd.Cancel, c.cmd.WaitDelay = c.in.Close, 30*time.Second
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := c.ask(settings, ready); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

// ask sends a line and reads one.
func (c *child) ask(order, answer any) error {
	if err := json.NewEncoder(c.in).Encode(order); err != nil {
		return fmt.Errorf("ask %s: %w%s", c.name, err, c.last)
	}
	if err := c.answers.Decode(answer); err != nil {
		return fmt.Errorf("answer of %s: %w%s", c.name, err, c.last)
	}
	return nil
}

// stop ends the input and waits until the child has ended.
func (c *child) stop() error {
	_ = c.in.Close() // it may have been closed by the end of the context
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w%s", c.name, err, c.last)
	}
	return nil
}

// tail keeps the end of what a child says on standard error.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailLen = 2000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	t.buf = t.buf[max(0, len(t.buf)-tailLen):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := bytes.TrimSpace(t.buf); len(text) > 0 {
		return "; it said: " + strings.TrimSpace(string(text))
	}
	return ""
}

// untilInputEnds is a context that ends with the input: the parent has stopped, however it stopped.
func untilInputEnds(ctx context.Context, in io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in) // whatever ends it, it is the end
		cancel()
	}()
	return ctx, cancel
}
