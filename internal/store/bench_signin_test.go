package store_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"holdfast/internal/origin"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// manyAttempts is of how many attempts one page is looked for.
const manyAttempts = 1_000_000

// fillAttempts imports so many attempts of 20,000 people within 90 days.
func fillAttempts(b *testing.B, db *store.DB, account string, people []string) {
	rnd := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	countries := []string{"SE", "DE", "GB", "FR", "US", "NL", "PL", "ES", "IT", "BR", "CL", "JP", "KR", "IN", "ZA", "KE", "NZ", "AU", "CA", "MX"}
	methods := []signin.Method{signin.ByPasskey, signin.ByPasskey, signin.BySSO, signin.ByPasswordCode, signin.ByPassword}
	const part = 100_000
	for from := 0; from < manyAttempts; from += part {
		list := make([]signin.Attempt, part)
		for i := range list {
			n, who := from+i, rnd.IntN(len(people))
			a := signin.Attempt{
				At: begin.Add(time.Duration(n) * 90 * 24 * time.Hour / manyAttempts), Category: signin.Success, Type: signin.MFAOK, UserID: people[who],
				Name: fmt.Sprintf("Person %d", who), Email: fmt.Sprintf("p%d@example.org", who), Method: methods[rnd.IntN(len(methods))], SessionID: fmt.Sprintf("S%d", n),
				Client: origin.Client{
					Address: fmt.Sprintf("10.%d.%d.%d", who%7, who/200, who%200), Platform: "Chrome", PlatformVersion: "129.0.0.0", OS: "Windows",
					UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36",
				},
				Location: origin.Location{Country: countries[min(rnd.IntN(20), rnd.IntN(20))], City: "Lund", ASN: int64(64496 + who%50), Network: fmt.Sprintf("Network %d", who%50)},
			}
			switch {
			case n%1000 == 0:
				a.Category, a.Type, a.Method = signin.FirewallReported, signin.MFAOK, signin.ByRecoveryCode
			case n%12 == 0:
				a.Category, a.Type = signin.CredentialsFailed, signin.PasswordSecretBad
			}
			list[i] = a
		}
		if err := db.ImportAttempts(b.Context(), account, list, storetest.By()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFindAttempts finds a page of 50 among a million attempts, as the sign-in events explorer does, with its
// count. The figures are of the time within which half of the pages, and 99 of 100, were there.
func BenchmarkFindAttempts(b *testing.B) {
	db := storetest.NewPlace(b, "sqlite").Open(b)
	a, _ := storetest.Account(b, db)
	people := make([]string, 20_000)
	for i := range people {
		people[i] = seal.NewID()
	}
	fillAttempts(b, db, a.ID, people)
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, bb := range []struct {
		name   string
		choose func(q *signin.AttemptQuery)
	}{
		{"all", func(*signin.AttemptQuery) {}},
		{"person", func(q *signin.AttemptQuery) { q.UserID = people[rnd.IntN(len(people))] }},
		{"ten_people", func(q *signin.AttemptQuery) { q.UserIDs = people[rnd.IntN(100)*10:][:10] }},
		{"category", func(q *signin.AttemptQuery) { q.Category = signin.CredentialsFailed }},
		{"rare_category", func(q *signin.AttemptQuery) { q.Category = signin.FirewallReported }},
		{"failed", func(q *signin.AttemptQuery) { q.Failed = true }},
		{"country", func(q *signin.AttemptQuery) { q.Country = "MX" }},
		{"country_and_category", func(q *signin.AttemptQuery) { q.Country, q.Category = "JP", signin.CredentialsFailed }},
		{"address", func(q *signin.AttemptQuery) {
			q.Addresses = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rnd.IntN(7)), byte(rnd.IntN(100)), byte(rnd.IntN(200))}), 32)
		}},
		{"range_24", func(q *signin.AttemptQuery) { q.Addresses = netip.MustParsePrefix("10.3.77.0/24") }},
		{"range_14", func(q *signin.AttemptQuery) { q.Addresses = netip.MustParsePrefix("10.0.0.0/14") }},
		{"method", func(q *signin.AttemptQuery) { q.Method = signin.BySSO }},
		{"rare_method", func(q *signin.AttemptQuery) { q.Method = signin.ByRecoveryCode }},
		{"network", func(q *signin.AttemptQuery) { q.ASN = int64(64496 + rnd.IntN(50)) }},
		{"text", func(q *signin.AttemptQuery) { q.Text = "network 17" }},
		{"text_not_there", func(q *signin.AttemptQuery) { q.Text = "nowhere" }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				q := signin.AttemptQuery{AccountID: a.ID, Limit: 50}
				bb.choose(&q)
				began := time.Now()
				p, err := db.FindAttempts(b.Context(), q)
				if err == nil && p.More && !p.Searching {
					_, _, err = db.CountAttempts(b.Context(), q, 1000)
				}
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
		})
	}
}
