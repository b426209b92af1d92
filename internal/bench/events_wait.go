package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
)

// mostSeconds is how long a reader is willing to wait for an event.
const mostSeconds = 20

// waits measures the two ways in which attempts are stored: failures, which may be lost with the power, and
// sign-ins, which are on the disk before the browser learns of them.
func (b eventsBench) waits(ctx context.Context, r *eventsReader, db *store.DB, failure, enter string) (rows []Row, err error) {
	log, by := b.logs[1], audit.Entry{Actor: "operator:bench"}
	for _, way := range []struct {
		name  string
		write func(i int) error
	}{
		{failure, func(i int) error {
			a := attempt(4, log.person)
			a.AccountID = log.account
			return db.Fail(ctx, a, []string{fmt.Sprintf("bench:%d", i%100)}, by)
		}},
		{enter, func(int) error {
			_, hash := seal.NewCredential("bench_")
			a := attempt(0, log.person)
			a.AccountID = log.account
			_, err := db.SignIn(ctx, log.account, log.person, signin.NewSession{Hash: hash, Method: a.Method, Client: a.Client}, signin.Used{}, a, by)
			return err
		}},
	} {
		if !b.wants(way.name) {
			continue
		}
		took, err := b.wait(ctx, r, way.name, way.write)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		rows = append(rows, Row{Name: way.name, Unit: halfWaited, Value: within(took, 50), P99: within(took, 99)})
	}
	return rows, nil
}

// wait measures from the call that stores the attempt to the last byte of the answer that the reader was
// waiting for. The storing itself is in it: when the commit became visible cannot be seen from outside.
func (b eventsBench) wait(ctx context.Context, r *eventsReader, name string, write func(i int) error) ([]time.Duration, error) {
	at, err := r.ask(ctx, resetBody(b.o.Now()), 0)
	for err == nil && at.more {
		at, err = r.ask(ctx, cursorBody(at.cursor), 0)
	}
	if err != nil {
		return nil, err
	}
	type answered struct {
		answer eventsAnswer
		when   time.Time
		err    error
	}
	took := make([]time.Duration, b.o.Attempts)
	random := rand.New(rand.NewPCG(5, 6)) // the same pauses in each benchmark
	for i := range took {
		b.o.Progress(name, float64(i)/float64(len(took)))
		answers := make(chan answered, 1)
		go func() {
			a, err := r.ask(ctx, cursorBody(at.cursor), mostSeconds)
			answers <- answered{a, b.o.Now(), err}
		}()
		// Long enough for the request to arrive and wait, and never in step with a clock of the server.
		pause := time.NewTimer(10*time.Millisecond + time.Duration(random.Int64N(int64(20*time.Millisecond))))
		select {
		case got := <-answers:
			pause.Stop()
			if got.err == nil {
				got.err = fmt.Errorf("the reader got %d events before one was written", got.answer.count)
			}
			return nil, got.err
		case <-pause.C:
		}
		begin := b.o.Now()
		if err := write(i); err != nil {
			return nil, err
		}
		got := <-answers
		switch {
		case got.err != nil:
			return nil, got.err
		case got.answer.count != 1:
			return nil, fmt.Errorf("the reader got %d events; one was written", got.answer.count)
		}
		took[i], at = got.when.Sub(begin), got.answer
	}
	return took, nil
}
