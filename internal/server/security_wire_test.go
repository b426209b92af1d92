package server_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/internal/config"
)

// loads reads a configuration.
func loads(settings map[string]string) error {
	_, err := config.Load(config.Options{Overrides: settings})
	return err
}

// versions are those of TLS, and whether they may be spoken.
func versions() []struct {
	name    string
	version uint16
	ok      bool
} {
	return []struct {
		name    string
		version uint16
		ok      bool
	}{
		{"1.0", tls.VersionTLS10, false}, {"1.1", tls.VersionTLS11, false}, {"1.2", tls.VersionTLS12, true}, {"1.3", tls.VersionTLS13, true},
	}
}

// handshake shakes hands in one version of TLS.
func handshake(t *testing.T, address string, base *tls.Config, version uint16) error {
	t.Helper()
	cfg := base.Clone()
	cfg.MinVersion, cfg.MaxVersion = version, version
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, cfg)
	if err != nil {
		return err
	}
	return c.Close()
}

// Row 23: requests that a proxy in front might cut differently are refused, and the connection ends, so
// that no bytes of one client become the request of another.
func TestSecuritySmuggling(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	token := at.Token(t, at.Credentials)
	smuggled := "POST " + at.person(at.Owner) + ":suspend HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 0\r\n\r\n"
	const head = "POST /v1/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for name, text := range map[string]string{
		"length_and_chunked":  head + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
		"chunked_and_length":  head + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
		"two_lengths":         head + "Content-Length: 6\r\nContent-Length: 5\r\n\r\nabcdeG",
		"two_equal_lengths":   head + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
		"list_of_lengths":     head + "Content-Length: 5, 5\r\n\r\nabcde",
		"signed_length":       head + "Content-Length: +5\r\n\r\nabcde",
		"hex_length":          head + "Content-Length: 0x5\r\n\r\nabcde",
		"space_before_colon":  head + "Content-Length : 5\r\n\r\nabcde",
		"bare_lf_line":        "POST /v1/oauth/token HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
		"bare_lf_in_header":   head + "X: a\nContent-Length: 0\r\n\r\n",
		"bare_lf_at_the_end":  head + "Content-Length: 0\r\n\n",
		"bare_cr":             head + "X: a\rContent-Length: 5\r\n\r\n",
		"folded":              head + "X: a\r\n Content-Length: 5\r\n\r\n",
		"folded_length":       head + "Content-Length:\r\n 5\r\n\r\nabcde",
		"nul":                 head + "X: a\x00b\r\n\r\n",
		"two_encodings":       head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"chunked_in_1.0":      "POST /v1/oauth/token HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two_hosts":           "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"no_host":             "GET /healthz HTTP/1.1\r\n\r\n",
		"space_in_the_target": "GET /healthz HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if n := len(at.entries(t, func() {
				got := at.raw(t, text+smuggled, 10*time.Second)
				all := answers(t, got)
				if len(all) != 1 || all[0].StatusCode != http.StatusBadRequest || strings.HasSuffix(got, stillOpen) {
					t.Errorf("answered %q, want one 400 and the end of the connection", got)
				}
			})); n != 0 {
				t.Errorf("%d audit entries: what was smuggled was served", n)
			}
		})
	}
	// Other encodings are not understood; unknown ones must not be guessed at, RFC 9112 §6.1.
	got := at.raw(t, head+"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"+smuggled, 10*time.Second)
	if all := answers(t, got); len(all) != 1 || all[0].StatusCode != http.StatusNotImplemented || strings.HasSuffix(got, stillOpen) {
		t.Errorf("an unknown encoding: %q", got)
	}
	// Chunks alone are fine, but what follows them is not read: there may have been a length that a proxy believed.
	got = at.raw(t, head+"Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\n"+smuggled, 10*time.Second)
	if all := answers(t, got); len(all) != 1 || all[0].StatusCode != http.StatusUnauthorized || strings.HasSuffix(got, stillOpen) {
		t.Errorf("in chunks: %q", got)
	}
}

// Row 25, sizes: what is too large is refused before it is read, whether it says so or not.
func TestSecuritySizes(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	token := at.Token(t, at.Credentials)
	const gib = 1 << 30
	for name, tt := range map[string]struct {
		head string
		want int
		most int // bytes that the server may take
	}{
		"body_of_1GiB":         {"POST /v1/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1073741824\r\n\r\n", 413, 8 << 20},
		"chunks_of_1GiB":       {"POST /v1/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n", 413, 8 << 20},
		"body_where_none_is":   {"POST " + at.person(at.Owner) + ":reactivate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 1073741824\r\n\r\n", 413, 8 << 20},
		"body_without_token":   {"POST " + at.person(at.Owner) + ":suspend HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n", 401, 8 << 20},
		"body_without_path":    {"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n", 404, 8 << 20},
		"header_of_1MiB":       {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 431, 4 << 20},
		"many_headers":         {"GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: a\r\n", 200_000) + "\r\n", 431, 4 << 20},
		"request_line_of_1MiB": {"GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", at.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			taken := make(chan int, 1)
			go func() { // until the server has had enough
				sum, err := io.WriteString(c, tt.head)
				chunk := []byte(strings.Repeat("a", 64<<10))
				for n := 0; err == nil && sum < gib; sum += n {
					n, err = c.Write(chunk)
				}
				taken <- sum
			}()
			out, err := io.ReadAll(c)
			if op, ok := errors.AsType[*net.OpError](err); err != nil && (!ok || op.Timeout()) {
				t.Fatalf("after %q: %v", out, err)
			}
			if want := fmt.Sprintf("HTTP/1.1 %d ", tt.want); len(out) > 0 && !strings.HasPrefix(string(out), want) {
				t.Errorf("answered %.200q, want %s", out, want)
			} else if len(out) == 0 && err == nil {
				t.Error("no answer")
			}
			c.Close()
			if n := <-taken; n > tt.most {
				t.Errorf("the server took %d bytes", n)
			}
		})
	}
}

// Row 25, slow clients: hundreds that send a byte now and then are cut off, take little, and keep nobody
// from being served.
func TestSecuritySlowClients(t *testing.T) {
	const slow = 300
	at := attacked(t, "sqlite", map[string]string{
		"limits.read_header_timeout": "2s", "limits.read_timeout": "3s", "limits.idle_timeout": "2s",
	})
	token := at.Token(t, at.Credentials)
	before := heap()
	var wg sync.WaitGroup
	ended := make([]time.Duration, slow)
	for i := range slow {
		wg.Go(func() {
			c, err := net.Dial("tcp", at.Addr().String())
			if err != nil {
				t.Errorf("connect: %v", err)
				return
			}
			defer c.Close()
			start := time.Now()
			text := "GET /healthz HTTP/1.1\r\nX: "
			switch i % 3 {
			case 1: // slow body
				text = "POST /v1/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n"
			case 2: // nothing at all
				text = ""
			}
			_, _ = io.WriteString(c, text) // that it fails is what is waited for
			go func() {
				for text != "" {
					time.Sleep(100 * time.Millisecond)
					if _, err := io.WriteString(c, "a"); err != nil {
						return
					}
				}
			}()
			_ = c.SetReadDeadline(start.Add(time.Minute))
			_, _ = io.Copy(io.Discard, c)
			ended[i] = time.Since(start)
		})
	}
	for range 20 { // meanwhile
		start := time.Now()
		if a := at.send(t, sent{path: at.person(at.Owner), bearer: token}); a.Status != http.StatusOK {
			t.Errorf("another client gets %d %s", a.Status, a.Body)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("another client waits %v", took)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if grown := int64(heap()) - int64(before); grown > slow*256<<10 {
		t.Errorf("%d slow clients take %d KiB", slow, grown>>10)
	}
	wg.Wait()
	for i, d := range ended {
		if d > 45*time.Second {
			t.Fatalf("slow client %d was kept for %v", i, d)
		}
	}
}

// heap is what is in use, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
