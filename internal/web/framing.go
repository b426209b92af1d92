package web

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
)

// StrictFraming is a listener for plain HTTP/1 whose connections deliver no request that a proxy in front
// of us may have cut differently (request smuggling, RFC 9112 §11.2). net/http is lenient where the
// standard allows it; behind a proxy, leniency is what smuggling lives on. Turned into something that
// net/http answers with 400 and closes:
//
//   - a line of the header that does not end in CR LF (§2.2)
//   - Content-Length together with Transfer-Encoding, or either of them twice (§6.3)
//   - Transfer-Encoding in HTTP/1.0 (§6.1)
//   - a header line that continues the one before (§5.2)
//
// After a request in chunks nothing more is looked at: [Handlers] closes the connection after its answer.
func StrictFraming(l net.Listener) net.Listener { return strictListener{l} }

type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strictConn{Conn: c}, nil
}

// poison is a line that no parser of headers accepts, with what ends a header.
const poison = "\x00\r\n\r\n"

// strictConn reads as its connection does, up to the first byte that must not be delivered; from there
// on it reads poison, then the end. Only the one goroutine that reads uses framing.
type strictConn struct {
	net.Conn
	framing framing
	refused bool
	rest    string // of the poison
}

func (c *strictConn) Read(p []byte) (int, error) {
	if c.refused {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		if n == 0 && len(p) > 0 {
			return 0, io.EOF
		}
		return n, nil
	}
	n, err := c.Conn.Read(p)
	good := c.framing.check(p[:n])
	if good == n {
		return n, err
	}
	c.refused, c.rest = true, poison
	if good == 0 {
		return c.Read(p)
	}
	return good, nil
}

// CloseWrite lets net/http end its half of the connection, so that a client can read why.
func (c *strictConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// framing follows the requests on a connection: where headers begin and end, and how long bodies are.
type framing struct {
	line    []byte // begun in an earlier read
	inside  bool   // a request line has been read, the header has not ended
	old     bool   // HTTP/1.0
	length  int64  // Content-Length of the header being read; -1: none
	chunked bool   // it has a Transfer-Encoding
	body    int64  // bytes of the body still to come
	blind   bool   // the rest is not looked at
}

// check reads what arrived and returns how much of it may be delivered.
func (f *framing) check(b []byte) (good int) {
	for good < len(b) && !f.blind {
		if f.body > 0 {
			n := min(f.body, int64(len(b)-good))
			f.body -= n
			good += int(n)
			continue
		}
		end := bytes.IndexByte(b[good:], '\n')
		if end < 0 {
			f.line = append(f.line, b[good:]...) // net/http stops reading at the limit of the header
			return len(b)
		}
		line := b[good : good+end]
		if len(f.line) > 0 {
			line = append(f.line, line...)
			f.line = nil
		}
		line, ok := bytes.CutSuffix(line, []byte("\r"))
		if !ok || !f.take(line) {
			return good + end
		}
		good += end + 1
	}
	return len(b)
}

// take reads a line of a header, without its end, and reports whether it may pass.
func (f *framing) take(line []byte) bool {
	switch {
	case !f.inside && len(line) == 0: // an empty line before a request is ignored, §2.2
	case !f.inside:
		*f = framing{inside: true, old: bytes.HasSuffix(line, []byte(" HTTP/1.0")), length: -1}
	case len(line) == 0:
		f.inside, f.body, f.blind = false, max(f.length, 0), f.chunked
	case line[0] == ' ' || line[0] == '\t':
		return false
	default:
		return f.field(line)
	}
	return true
}

func (f *framing) field(line []byte) bool {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseUint(strings.Trim(string(value), " \t"), 10, 63)
		if err != nil || f.length >= 0 || f.chunked {
			return false
		}
		f.length = int64(n)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if f.length >= 0 || f.chunked || f.old {
			return false
		}
		f.chunked = true
	}
	return true
}
