package bench

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// serveOnce answers each request of one connection with the text.
func serveOnce(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 4096)
		for {
			if _, err := conn.Read(buf); err != nil {
				return
			}
			if _, err := conn.Write([]byte(answer)); err != nil {
				return
			}
		}
	}()
	return "http://" + l.Addr().String()
}

func http200(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
}

// TestWrongAnswers: an answer that is not what was asked for ends the benchmark, however fast it came.
func TestWrongAnswers(t *testing.T) {
	person := func(state string) string { return `{"id":"U","state":"` + state + `"}` }
	page := func(n int, next string) string {
		return `{"results":[` + strings.TrimSuffix(strings.Repeat(person("ACTIVE")+",", n), ",") + `]` + next + `}`
	}
	const more = `,"next_page_token":"t"`
	for _, tt := range []struct {
		name   string
		what   string
		answer string
		want   string // of the error; empty for none
	}{
		{"get", workGet, http200(person("ACTIVE")), ""},
		{"get_other", workGet, http200(`{"id":"V","state":"ACTIVE"}`), "does not hold"},
		{"get_suspended", workGet, http200(person("SUSPENDED")), "does not hold"},
		{"get_empty", workGet, http200(""), "does not hold"},
		{"status", workGet, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", "503 Service Unavailable: busy"},
		{"no_length", workGet, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "without a sensible Content-Length"},
		{"bad_length", workGet, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "read header"},
		{"huge", workGet, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "without a sensible Content-Length"},
		{"list", workList, http200(page(2, more)), ""},
		{"list_short", workList, http200(page(1, more)), "has 1 people, not 2"},
		{"list_ends_early", workList, http200(page(2, "")), "did not meet everybody"},
		{"walk_ends_early", workWalk, http200(page(2, "")), "did not meet everybody"},
		{"token", workToken, http200(`{"access_token":"hft_x","token_type":"Bearer","expires_in":900}`), ""},
		{"token_missing", workToken, http200(`{"token_type":"Bearer","expires_in":900}`), "access_token"},
		{"suspend", workSuspend, http200(person("SUSPENDED")), ""},
		{"suspend_without_effect", workSuspend, http200(person("ACTIVE")), "SUSPENDED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &caller{url: serveOnce(t, tt.answer), account: account{ID: "A", Size: 4}, people: []string{"U"}}
			if err := c.connect(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			defer c.close()
			err := works[tt.what](c, order{PageSize: 2, Pages: []string{""}})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []int
		want float64
	}{{[]int{7}, 7}, {[]int{1, 9, 2}, 2}, {[]int{4, 1, 3, 2}, 2.5}} {
		var rs []result
		for _, n := range tt.in {
			rs = append(rs, result{Requests: n, Seconds: 1})
		}
		if got := median(rs, result.perSecond); got != tt.want {
			t.Errorf("median of %v is %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "", 0.54: "0.5", 99.94: "99.9", 100: "100", 1234.6: "1,235", 1000000: "1,000,000"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
}
