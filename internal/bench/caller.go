package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// caller is one keep-alive connection. It speaks as much HTTP/1.1 as the two servers answer with, since
// a whole client would take as long as a server and so bring all ratios closer to 1.
type caller struct {
	url     string // of the server
	conn    net.Conn
	in      *bufio.Reader
	host    string
	used    time.Time // when it was last
	account account
	people  []string // of the account, for this caller alone

	req  []byte
	body []byte // of the last answer

	next      int      // index of the person to get
	page      string   // token of the page to list; empty for the first
	walked    int      // people seen on this walk through the pages
	suspended int      // how many of people, from the first on, are suspended
	tokens    []string // of the pages of a walk
	turn      int      // index into the order's pages
	took      []time.Duration
}

// idle is how long a connection is trusted to be there still. A server closes one that is not used.
const idle = 30 * time.Second

// connect opens the connection if there is none, or not lately.
func (c *caller) connect(ctx context.Context, now time.Time) error {
	if c.conn != nil && now.Sub(c.used) < idle {
		return nil
	}
	c.close()
	var ok bool
	if c.host, ok = strings.CutPrefix(c.url, "http://"); !ok {
		return fmt.Errorf("the server's URL %q does not begin with http://", c.url)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.host)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.conn, c.in = conn, bufio.NewReaderSize(conn, 64<<10)
	return nil
}

func (c *caller) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing was left to be sent
	}
}

// begin starts walks anew; people go on where they were.
func (c *caller) begin() { c.page, c.walked, c.turn = "", 0, 0 }

// ask sends a request and reads the answer into c.body.
func (c *caller) ask(method, path, authorization, form string) error {
	b := append(c.req[:0], method...)
	b = append(append(b, ' '), path...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), c.host...)
	b = append(b, "\r\nUser-Agent: HoldfastBench/1.0\r\nAccept: application/json\r\nAuthorization: "...)
	b = append(b, authorization...)
	if method == "POST" {
		b = append(b, "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(form)), 10)
	}
	return c.send(append(append(b, "\r\n\r\n"...), form...))
}

// view asks for a page, as the browser does that has the cookie; empty for none.
func (c *caller) view(path, cookie string) error {
	b := append(append(c.req[:0], "GET "...), path...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), c.host...)
	b = append(b, "\r\nUser-Agent: HoldfastBench/1.0\r\nAccept: text/html\r\nAccept-Language: en"...)
	if cookie != "" {
		b = append(append(b, "\r\nCookie: "...), cookie...)
	}
	return c.send(append(b, "\r\n\r\n"...))
}

func (c *caller) send(request []byte) error {
	c.req = request // whose room the next one takes
	if _, err := c.conn.Write(request); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return c.answer()
}

// statusError is an answer of another status than 200.
type statusError struct{ status, body string }

func (e *statusError) Error() string { return fmt.Sprintf("%s: %.300s", e.status, e.body) }

// answer reads an answer of status 200 with a Content-Length; any other is an error.
func (c *caller) answer() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read status: %w", err)
	}
	ok := bytes.HasPrefix(line, []byte("HTTP/1.1 200 "))
	status := string(bytes.TrimSpace(line))
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read header: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); len(name) == len("content-length") && bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return fmt.Errorf("read header: %w", err)
			}
		}
	}
	if length < 0 || length > 1<<24 {
		return fmt.Errorf("%s, without a sensible Content-Length", status)
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if !ok {
		return &statusError{status, string(c.body)}
	}
	return nil
}

// want fails unless the body holds each of the texts.
func (c *caller) want(texts ...string) error {
	for _, text := range texts {
		if !bytes.Contains(c.body, []byte(text)) {
			return fmt.Errorf("the answer does not hold %s: %.300s", text, c.body)
		}
	}
	return nil
}

var errIncomplete = errors.New("a walk through all pages did not meet everybody once")
