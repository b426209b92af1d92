package store_test

import (
	"fmt"
	"testing"
	"time"

	"holdfast/internal/origin"
	"holdfast/internal/signals"
	"holdfast/internal/store/storetest"
)

// benchRows are events as a source of the Events API gives them, from the number on.
func benchRows(b *testing.B, from, n int) []signals.Row {
	b.Helper()
	rows := make([]signals.Row, n)
	for i := range rows {
		k := from + i
		when := time.Unix(1_700_000_000+int64(k), 0).UTC()
		e := signals.Event{
			Source: signals.OnePassword, SourceID: fmt.Sprintf("%026d", (k*7919)%100_000_007), Time: when, ReceivedAt: when, Class: signals.ClassAuthentication, Activity: signals.Logon,
			StatusID: signals.StatusSuccess, Severity: 1, User: signals.User{ID: fmt.Sprintf("USER%022d", k%500), Name: "Mira Oduya", Email: "mira.oduya@example.org"},
			Src:    signals.Endpoint{IP: "203.0.113.77", Location: origin.Location{Country: "SE", City: "Lund"}},
			Client: origin.Client{Address: "203.0.113.77", App: "Browser extension", AppVersion: "8.10", Platform: "Chrome", OS: "Windows"},
		}
		text, err := signals.EncodeOCSF(&e)
		if err != nil {
			b.Fatal(err)
		}
		rows[i] = signals.Row{
			SourceEventID: e.SourceID, At: when, ReceivedAt: when, Match: signals.Match{PersonID: e.User.ID, By: signals.ByID}, Event: text,
			Raw: `{"uuid":"` + e.SourceID + `","timestamp":"2026-11-20T10:00:00Z","category":"success","type":"credentials_ok","country":"SE","target_user":{"uuid":"` + e.User.ID + `","name":"Mira Oduya","email":"mira.oduya@example.org"},"client":{"ip_address":"203.0.113.77"}}`,
		}
	}
	return rows
}

// BenchmarkAddSignals stores events by the thousand, each new.
func BenchmarkAddSignals(b *testing.B) {
	for _, kind := range storetest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			db := storetest.NewPlace(b, kind).Open(b)
			a, _ := storetest.Account(b, db)
			done := 0
			for b.Loop() {
				b.StopTimer()
				rows := benchRows(b, done, 1000)
				b.StartTimer()
				if _, err := db.AddSignals(b.Context(), signals.Addition{AccountID: a.ID, SourceID: signals.LocalID, Rows: rows}); err != nil {
					b.Fatal(err)
				}
				done += len(rows)
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkSignals reads them by the thousand.
func BenchmarkSignals(b *testing.B) {
	for _, kind := range storetest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			db := storetest.NewPlace(b, kind).Open(b)
			a, _ := storetest.Account(b, db)
			const n = 10_000
			if _, err := db.AddSignals(b.Context(), signals.Addition{AccountID: a.ID, SourceID: signals.LocalID, Rows: benchRows(b, 0, n)}); err != nil {
				b.Fatal(err)
			}
			done := 0
			for b.Loop() {
				all, err := db.Signals(b.Context(), a.ID, int64(done%n), 1000)
				if err != nil {
					b.Fatal(err)
				}
				done += len(all)
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
