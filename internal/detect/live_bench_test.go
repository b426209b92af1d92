package detect_test

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/signals"
	"holdfast/internal/store/storetest"
)

func packSet(tb testing.TB) *detect.Set {
	tb.Helper()
	lists, err := detect.ReadLists(rules.FS())
	if err != nil {
		tb.Fatal(err)
	}
	set, err := detect.Load(rules.FS(), detect.FieldMaps(), lists)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// BenchmarkLive takes stored events through the service, with the rule pack, on SQLite: read, decoded, features,
// rules, windows, findings, and all of it stored.
func BenchmarkLive(b *testing.B) {
	events := madeUp(1000, 60, 60_000)
	set := packSet(b)
	for b.Loop() {
		b.StopTimer()
		db := storetest.NewPlace(b, "sqlite").Open(b)
		account, _ := storetest.Account(b, db)
		add := intake(b, db, account.ID)
		for part := range slices.Chunk(events, 1000) {
			for i := range part {
				part[i].ReceivedAt = part[i].Time
			}
			add(part, func(*signals.Event) string { return "" })
		}
		l := detect.NewLive(detect.LiveConfig{Store: db, Rules: &book{set: set, revision: 1}, Now: time.Now})
		ctx, stop := context.WithCancel(b.Context())
		done := make(chan struct{})
		b.StartTimer()
		go func() {
			defer close(done)
			l.Run(ctx)
		}()
		reads(b, db, account.ID, int64(len(events)))
		stop()
		<-done
		b.StopTimer()
		s, err := db.DetectState(b.Context(), account.ID)
		if err != nil || s.CheckpointAt.IsZero() {
			b.Fatalf("%+v %v", s, err)
		}
		b.ReportMetric(float64(len(s.Windows)), "B/snapshot")
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*len(events))/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkLiveDelay is the time from an event that is stored to the finding that is stored of it, while nothing
// else happens.
func BenchmarkLiveDelay(b *testing.B) {
	db := storetest.NewPlace(b, "sqlite").Open(b)
	account, _ := storetest.Account(b, db)
	add := intake(b, db, account.ID)
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	go detect.NewLive(detect.LiveConfig{Store: db, Rules: &book{set: compile(b, several, nil), revision: 1}, Now: time.Now, Suppress: time.Nanosecond}).Run(ctx)
	var took []time.Duration
	n := int64(0)
	for b.Loop() {
		n++
		e := fail(signIn(strconv.FormatInt(n, 10), "ann@example.com", time.Now()), signals.BadCredentials)
		e.ReceivedAt = e.Time
		add([]signals.Event{e}, func(*signals.Event) string { return "" })
		began := time.Now()
		if err := db.WaitFindings(b.Context(), account.ID, int64(len(took))); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
}

// BenchmarkVersions measures what a key takes in a memory with versions.
func BenchmarkVersions(b *testing.B) {
	events := madeUp(3000, 45, 300_000)
	set := packSet(b)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := detect.NewVersions()
		x := newEngine(b, set, m)
		var marks []int
		for i := range events {
			if _, err := x.Take(&events[i]); err != nil {
				b.Fatal(err)
			}
			if i%2000 == 0 {
				if marks = append(marks, m.Mark()); len(marks) > 3 {
					m.Settle(marks[len(marks)-3])
				}
			}
			if i%20_000 == 0 {
				m.Saved()
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		u := m.Usage()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(u.Keys), "B/key")
		b.ReportMetric(float64(u.Keys), "keys")
		runtime.KeepAlive(x)
	}
}
