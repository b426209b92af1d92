package respond_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// mailServer is a small SMTP server on a real socket (RFC 5321, 3207, 4954): it takes one command after the other and
// keeps what it is sent.
type mailServer struct {
	ca   string // of its certificate, in PEM
	host string
	port int

	mu     sync.Mutex
	trust  *tls.Config
	direct bool              // encrypted from the first byte
	hidden bool              // it does not offer STARTTLS
	says   map[string]string // an answer to a command instead of the usual one
	mails  []mailTaken
}

// mailTaken is what was delivered.
type mailTaken struct {
	Encrypted        bool
	User, From, Data string
	To               []string
}

func newMailServer(t *testing.T) *mailServer {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate, which is for 127.0.0.1
	trust := certified.TLS.Clone()
	trust.NextProtos = nil
	s := &mailServer{trust: trust, ca: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw}))}
	certified.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.host, s.port = "127.0.0.1", l.Addr().(*net.TCPAddr).Port
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // Accept hears of it
		all.Wait()
	})
	return s
}

// set changes how the server behaves, and forgets what it was sent.
func (s *mailServer) set(direct, hidden bool, says map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.direct, s.hidden, s.says, s.mails = direct, hidden, says, nil
}

// taken is what was delivered since set.
func (s *mailServer) taken() []mailTaken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

func (s *mailServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the client has what it wants
	s.mu.Lock()
	direct, hidden, says := s.direct, s.hidden, s.says
	s.mu.Unlock()
	m := mailTaken{Encrypted: direct}
	if direct {
		conn = tls.Server(conn, s.trust)
	}
	r := bufio.NewReader(conn)
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	say("220 mail.test")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		if text, ok := says[strings.ToUpper(verb)]; ok {
			say(text)
			continue
		}
		switch strings.ToUpper(verb) {
		case "EHLO":
			text := "250-mail.test\r\n"
			if !hidden && !m.Encrypted {
				text += "250-STARTTLS\r\n"
			}
			if m.Encrypted {
				text += "250-AUTH PLAIN\r\n"
			}
			say(text + "250-ENHANCEDSTATUSCODES\r\n250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, s.trust)
			r = bufio.NewReader(conn)
			m.Encrypted = true
		case "AUTH":
			_, word, _ := strings.Cut(rest, " ")
			text, _ := base64.StdEncoding.DecodeString(word)
			m.User = strings.ReplaceAll(strings.Trim(string(text), "\x00"), "\x00", ":")
			if m.User != "holdfast:correct horse" {
				say("535 5.7.8 " + word + " is not known")
				continue
			}
			say("235 welcome")
		case "MAIL":
			m.From = rest
			say("250 ok")
		case "RCPT":
			m.To = append(m.To, rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(line)
			}
			m.Data = b.String()
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}
