package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// farAway is an address from which the server at the URL is as far away as the latency, there and back: what is
// sent comes half of it later. Making a connection takes no longer than it does nearby.
func (o Options) farAway(ctx context.Context, url string, latency time.Duration) (far string, stop func() error, err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen for the latency: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			wg.Go(func() { o.carry(ctx, near, strings.TrimPrefix(url, "http://"), latency/2) })
		}
	})
	return "http://" + l.Addr().String(), func() error {
		cancel()
		err := l.Close()
		wg.Wait()
		return err
	}, nil
}

// carry connects both ends until one of them is closed or ctx ends.
func (o Options) carry(ctx context.Context, near net.Conn, address string, delay time.Duration) {
	defer near.Close()
	var d net.Dialer
	far, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return // whoever waits at the other end sees it
	}
	defer far.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wake := context.AfterFunc(ctx, func() { // those who read
		_ = errors.Join(near.Close(), far.Close()) // they may be closed already
	})
	defer wake()
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		wg.Go(func() {
			defer cancel()
			o.late(ctx, way[1], way[0], delay)
		})
	}
	wg.Wait()
}

// parcel is what was read at a time, and when it is due at the other end.
type parcel struct {
	due   time.Time
	bytes []byte
}

// late copies, each byte so much later. What comes in the meantime is under way at the same time.
func (o Options) late(ctx context.Context, to io.Writer, from io.Reader, delay time.Duration) {
	under := make(chan parcel, 1024)
	go func() {
		defer close(under)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				under <- parcel{o.Now().Add(delay), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range under {
		if pause(ctx, p.due.Sub(o.Now())) == nil {
			if _, err := to.Write(p.bytes); err == nil {
				continue
			}
		}
		go func() { // the reader ends once its connection is closed
			for range under {
			}
		}()
		return
	}
}
