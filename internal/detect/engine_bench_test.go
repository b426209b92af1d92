package detect_test

import (
	"runtime"
	"strconv"
	"testing"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
	"holdfast/internal/signals"
	"holdfast/internal/synth"
)

// madeUp is a history of n events at most, as the decoder of 1Password's form would make them.
func madeUp(people, days, n int) []signals.Event {
	c := synth.Config{Seed: 3, Start: monday(), Days: days, Invent: people, Awkward: true, Attacks: synth.Each(3)}
	var all []signals.Event
	for s := range synth.Generate(c) {
		if len(all) == n {
			break
		}
		e := signals.Event{
			Source: signals.OnePassword, SourceID: "E" + strconv.Itoa(len(all)), Time: s.At, Class: signals.ClassAuthentication, Activity: signals.Logon,
			Code: "signinattempt", StatusID: signals.StatusFailure, Status: s.Category, StatusCode: s.Type, Session: s.Session,
			User: signals.User{Email: s.Email, Login: s.Email}, Client: s.Client, Src: signals.Endpoint{IP: s.Client.Address, Location: s.Location},
		}
		switch s.Category {
		case "success":
			e.StatusID = signals.StatusSuccess
			e.MFA = map[bool]signals.Tri{true: signals.Yes, false: signals.No}[s.Type == "mfa_ok"]
		case "mfa_failed":
			e.Reason = signals.MFAFailed
		case "credentials_failed":
			e.Reason = signals.BadCredentials
		}
		all = append(all, e)
	}
	return all
}

func packEngine(tb testing.TB) (*detect.Engine, *detect.MapMemory, int) {
	tb.Helper()
	lists, err := detect.ReadLists(rules.FS())
	if err != nil {
		tb.Fatal(err)
	}
	set, err := detect.Load(rules.FS(), detect.FieldMaps(), lists)
	if err != nil {
		tb.Fatal(err)
	}
	m := detect.NewMemory()
	return newEngine(tb, set, m), m, len(set.Rules())
}

// BenchmarkEngine is one event through features, the rule pack, correlations and memory, on one core.
func BenchmarkEngine(b *testing.B) {
	events := madeUp(1000, 60, 100_000)
	x, m, n := packEngine(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i%len(events) == 0 && i > 0 { // from the beginning, and with nothing remembered
			b.StopTimer()
			x, m, _ = packEngine(b)
			b.StartTimer()
		}
		if _, err := x.Take(&events[i%len(events)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(n), "rules")
	b.ReportMetric(float64(m.Usage().Keys), "keys")
}

// BenchmarkMemory measures what a key takes: all of the heap that the engine holds, by the keys.
func BenchmarkMemory(b *testing.B) {
	events := madeUp(3000, 45, 300_000)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		x, m, _ := packEngine(b)
		for i := range events {
			if _, err := x.Take(&events[i]); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		u := m.Usage()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(u.Keys), "B/key")
		b.ReportMetric(float64(u.Bytes)/float64(u.Keys), "value-B/key")
		b.ReportMetric(float64(u.Keys), "keys")
		b.ReportMetric(float64(len(events)), "events")
		runtime.KeepAlive(x)
	}
}
