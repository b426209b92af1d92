package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"holdfast/internal/web"
)

// pipeListener hands out one connection.
type pipeListener struct{ conns chan net.Conn }

func (l pipeListener) Accept() (net.Conn, error) { return <-l.conns, nil }
func (pipeListener) Close() error                { return nil }
func (pipeListener) Addr() net.Addr              { return &net.TCPAddr{} }

// scripted is a connection on which the bytes arrive, in the portions of the reader.
type scripted struct {
	net.Conn
	in io.Reader
}

func (c scripted) Read(p []byte) (int, error) { return c.in.Read(p) }

// delivered is what StrictFraming lets through of the bytes.
func delivered(t testing.TB, in io.Reader) string {
	t.Helper()
	conns := make(chan net.Conn, 1)
	conns <- scripted{in: in}
	c, err := web.StrictFraming(pipeListener{conns}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestStrictFraming(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	const poison = "\x00\r\n\r\n"
	tests := []struct{ name, in, want string }{ // want empty: all of in
		{"get", get, ""},
		{"two", get + get, ""},
		{"body", "POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\na\nb\nc\nd" + get, ""},
		{"empty_line_between", get + "\r\n" + get, ""},
		{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", ""},
		{"cut_short", "GET / HTTP/1.1\r\nHo", ""},
		{"length_then_chunked", "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r" + poison},
		{"chunked_then_length", "POST / HTTP/1.1\r\ntransfer-ENCODING:chunked\r\ncontent-LENGTH:4\r\n\r\n", "POST / HTTP/1.1\r\ntransfer-ENCODING:chunked\r\ncontent-LENGTH:4\r" + poison},
		{"length_twice", "POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", "POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r" + poison},
		{"length_list", "POST / HTTP/1.1\r\nContent-Length: 4, 4\r\n\r\nabcd", "POST / HTTP/1.1\r\nContent-Length: 4, 4\r" + poison},
		{"length_signed", "POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\nabcd", "POST / HTTP/1.1\r\nContent-Length: +4\r" + poison},
		{"chunked_twice", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r" + poison},
		{"chunked_in_old", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r" + poison},
		{"bare_lf_request_line", "GET / HTTP/1.1\nHost: x\r\n\r\n", "GET / HTTP/1.1" + poison},
		{"bare_lf_field", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: x" + poison},
		{"bare_lf_end", "GET / HTTP/1.1\r\nHost: x\r\n\nGET /", "GET / HTTP/1.1\r\nHost: x\r\n" + poison},
		{"bare_lf_first", "\n" + get, poison},
		{"folded", "GET / HTTP/1.1\r\nHost: x\r\n y: z\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n y: z\r" + poison},
		{"second_is_bad", get + "GET / HTTP/1.1\n", get + "GET / HTTP/1.1" + poison},
		{"bad_after_body", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\n", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1" + poison},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if want == "" {
				want = tt.in
			}
			for name, in := range map[string]io.Reader{
				"at_once": strings.NewReader(tt.in), "by_byte": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				if got := delivered(t, in); got != want {
					t.Errorf("%s: delivered %q, want %q", name, got, want)
				}
			}
		})
	}
}

// FuzzStrictFraming: what is delivered does not depend on how the bytes arrive, is never more than they
// were, and net/http cuts it into the same requests.
func FuzzStrictFraming(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3)
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: y\r\n\r\n", 7)
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\nTransfer-Encoding: chunked\r\n\r\n", 20)
	f.Add("POST / HTTP/1.1\nHost: x\r\n\r\n", 1)
	f.Fuzz(func(t *testing.T, in string, cut int) {
		at := min(max(cut, 0), len(in))
		got := delivered(t, strings.NewReader(in))
		parts := delivered(t, io.MultiReader(strings.NewReader(in[:at]), iotest.HalfReader(strings.NewReader(in[at:]))))
		if got != parts {
			t.Fatalf("at once %q, in parts %q", got, parts)
		}
		good, refused := strings.CutSuffix(got, "\x00\r\n\r\n")
		if !strings.HasPrefix(in, good) || !refused && got != in {
			t.Fatalf("%q became %q", in, got)
		}
		// Whatever net/http reads as a request must have passed whole: both see the same borders.
		r := bufio.NewReader(strings.NewReader(got))
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				break
			}
			for name, values := range req.Header {
				for _, v := range values {
					if strings.ContainsAny(name+v, "\n\x00") && !strings.Contains(in, "\x00") {
						t.Fatalf("a request with poison or a bare LF in %q was read from %q", name, got)
					}
				}
			}
			if len(req.TransferEncoding) > 0 {
				break // the server closes here
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				break
			}
		}
	})
}

// TestChunkedCloses: after a request in chunks nothing is read from the connection any more.
func TestChunkedCloses(t *testing.T) {
	b := newBench(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: b.h, ReadHeaderTimeout: time.Second}
	go func() { _ = srv.Serve(web.StrictFraming(l)) }()
	t.Cleanup(func() { _ = srv.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /v1/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"3\r\na=1\r\n0\r\n\r\n"+"GET /v1/accounts/A/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer all\r\n\r\n")
	out, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out); strings.Count(got, "HTTP/1.1 ") != 1 || !strings.Contains(got, "200 OK") || !strings.Contains(got, "Connection: close") {
		t.Errorf("answers:\n%s\nwant one, 200, and that the connection closes", got)
	}
}
