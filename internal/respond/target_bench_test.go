package respond_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/respond"
)

// relay is a way to a server that takes as long as one to another continent: what is sent into it comes out later, in
// each direction. It returns the address to connect to.
func relay(b *testing.B, to string, late time.Duration) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = l.Close() // Accept hears of it
	})
	type piece struct {
		due  time.Time
		text []byte
	}
	pass := func(from, to net.Conn) {
		way := make(chan piece, 1024)
		go func() {
			defer close(way)
			for {
				text := make([]byte, 32<<10)
				n, err := from.Read(text)
				if n > 0 {
					way <- piece{time.Now().Add(late), text[:n]}
				}
				if err != nil {
					return // the other end hears of it below
				}
			}
		}()
		for p := range way {
			<-time.After(time.Until(p.due))
			if _, err := to.Write(p.text); err != nil {
				break
			}
		}
		_ = to.Close() // there is nothing more to come
		for range way {
			continue
		}
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // closed
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close() // the client hears of it
				continue
			}
			go pass(near, far)
			go pass(far, near)
		}
	}()
	return l.Addr().String()
}

// BenchmarkRemoteSuspend: how long a suspension takes at a target that is 50 ms away, there and back: the first one,
// with connection, TLS and token, and the ones after it.
func BenchmarkRemoteSuspend(b *testing.B) {
	r := newRemote(b)
	mira := r.AddUser(b, "mira@example.org")
	address := relay(b, strings.TrimPrefix(r.URL, "https://"), 25*time.Millisecond)
	target := r.target(b, "far", "https://"+address, r.Credentials)
	who := respond.Wanted{AccountID: r.Account.ID, PersonID: mira.ID}
	var took []time.Duration
	for b.Loop() {
		at := time.Now()
		if o, err := target.Suspend(b.Context(), who); o.Kind != respond.OutcomeDone || err != nil {
			b.Fatalf("%+v %v", o, err)
		}
		took = append(took, time.Since(at))
		if o, err := target.Reactivate(b.Context(), who); o.Kind != respond.OutcomeDone || err != nil {
			b.Fatalf("%+v %v", o, err)
		}
	}
	b.ReportMetric(float64(took[0].Milliseconds()), "ms/first")
	if later := slices.Sorted(slices.Values(took[1:])); len(later) > 0 {
		b.ReportMetric(float64(later[len(later)/2].Microseconds())/1000, "ms/p50")
		b.ReportMetric(float64(later[len(later)*99/100].Microseconds())/1000, "ms/p99")
	}
}
