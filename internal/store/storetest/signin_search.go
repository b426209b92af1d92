package storetest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/store"
)

// tried stores attempts that differ in everything that is asked for, and returns them newest first. Several
// happen at the same moment.
func tried(t *testing.T, db *store.DB, accountID string, people []string) []signin.Attempt {
	t.Helper()
	base := time.Date(2026, 10, 19, 3, 41, 7, 482910000, time.UTC)
	addresses := []string{"203.0.113.7", "203.0.113.77", "203.0.1.7", "203.1.0.9", "2001:db8::7", "2001:db8:0:1::7", "2001:db9::7"}
	countries := []string{"SE", "", "BR", "SE", "DE"}
	categories := []signin.Category{signin.Success, signin.CredentialsFailed, signin.FirewallReported}
	methods := []signin.Method{signin.ByPasskey, signin.ByPassword}
	networks := []string{"Example Telecom", "100%_Exempel", "Östnät"}
	var all []signin.Attempt
	for i := range 210 {
		x := signin.Attempt{
			ID: fmt.Sprintf("ID%03d", i), AccountID: accountID, At: base.Add(time.Duration(i/4) * time.Minute),
			Category: categories[i%3], Type: signin.MFAOK, SessionID: fmt.Sprintf("S%d", i%11), UserID: people[i%len(people)],
			Name: "Mira Oduya", Email: fmt.Sprintf("p%d@example.org", i%len(people)), Method: methods[i%2],
			Client:   origin.Client{Address: addresses[i%7], UserAgent: "Mozilla/5.0", Platform: "Chrome", OS: "Windows"},
			Location: origin.Location{Country: countries[i%5], ASN: int64(64496 + i%3), Network: networks[i%3], City: "Lund"},
		}
		all = append(all, x)
	}
	if err := db.ImportAttempts(t.Context(), accountID, all, By()); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b signin.Attempt) int { return cmp.Or(b.At.Compare(a.At), strings.Compare(b.ID, a.ID)) })
	return all
}

func testAttemptSearch(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	mira, sol := User(t, db, a.ID, "mira@example.org"), User(t, db, a.ID, "sol@example.org")
	all := tried(t, db, a.ID, []string{owner.ID, mira.ID, sol.ID})
	other, _ := Account(t, db)
	if err := db.ImportAttempts(t.Context(), other.ID, []signin.Attempt{{At: all[0].At, Category: signin.Success, Location: origin.Location{Country: "NO"}}}, By()); err != nil {
		t.Fatal(err)
	}
	in := func(prefix string) func(signin.Attempt) bool {
		return func(x signin.Attempt) bool {
			return netip.MustParsePrefix(prefix).Contains(netip.MustParseAddr(x.Client.Address))
		}
	}
	type query = signin.AttemptQuery
	prefix := netip.MustParsePrefix
	for _, tt := range []struct {
		name string
		q    query
		keep func(signin.Attempt) bool
		sure bool // the count is one
	}{
		{"all", query{}, func(signin.Attempt) bool { return true }, true},
		{"two_people", query{UserIDs: []string{mira.ID, sol.ID, mira.ID}}, func(x signin.Attempt) bool { return x.UserID != owner.ID }, true},
		{"two_people_by_passkey", query{UserIDs: []string{mira.ID, sol.ID}, Method: signin.ByPasskey},
			func(x signin.Attempt) bool { return x.UserID != owner.ID && x.Method == signin.ByPasskey }, true},
		{"reported", query{Category: signin.FirewallReported}, func(x signin.Attempt) bool { return x.Category == signin.FirewallReported }, true},
		{"failed", query{Failed: true}, func(x signin.Attempt) bool { return x.Category == signin.CredentialsFailed }, true},
		{"country", query{Country: "SE"}, func(x signin.Attempt) bool { return x.Location.Country == "SE" }, true},
		{"country_and_category", query{Country: "SE", Category: signin.Success},
			func(x signin.Attempt) bool { return x.Location.Country == "SE" && x.Category == signin.Success }, true},
		{"address", query{Addresses: prefix("203.0.113.7/32")}, func(x signin.Attempt) bool { return x.Client.Address == "203.0.113.7" }, true},
		{"address_v6", query{Addresses: prefix("2001:db8::7/128")}, func(x signin.Attempt) bool { return x.Client.Address == "2001:db8::7" }, true},
		{"network_24", query{Addresses: prefix("203.0.113.0/24")}, in("203.0.113.0/24"), true},
		{"network_15", query{Addresses: prefix("203.0.0.0/15")}, in("203.0.0.0/15"), false},
		{"network_v6_32", query{Addresses: prefix("2001:db8::/32")}, in("2001:db8::/32"), false},
		{"network_v6_64", query{Addresses: prefix("2001:db8:0:1::/64")}, in("2001:db8:0:1::/64"), false},
		{"network_of_a_person", query{Addresses: prefix("203.0.0.0/9"), UserID: mira.ID},
			func(x signin.Attempt) bool { return in("203.0.0.0/9")(x) && x.UserID == mira.ID }, false},
		{"every_v4", query{Addresses: prefix("0.0.0.0/0")}, func(x signin.Attempt) bool { return !strings.Contains(x.Client.Address, ":") }, false},
		{"every_v6", query{Addresses: prefix("::/0")}, func(x signin.Attempt) bool { return strings.Contains(x.Client.Address, ":") }, false},
		{"method", query{Method: signin.ByPassword}, func(x signin.Attempt) bool { return x.Method == signin.ByPassword }, true},
		{"asn", query{ASN: 64497}, func(x signin.Attempt) bool { return x.Location.ASN == 64497 }, true},
		{"session", query{UserID: mira.ID, SessionID: "S3"}, func(x signin.Attempt) bool { return x.UserID == mira.ID && x.SessionID == "S3" }, true},
		{"id", query{ID: "ID077"}, func(x signin.Attempt) bool { return x.ID == "ID077" }, true},
		{"text_in_any_case", query{Text: " TELEcom "}, func(x signin.Attempt) bool { return x.Location.Network == "Example Telecom" }, true},
		{"text_is_no_pattern", query{Text: "%_ex"}, func(x signin.Attempt) bool { return strings.HasPrefix(x.Location.Network, "100%") }, true},
		{"text_beyond_ascii", query{Text: "Östn"}, func(x signin.Attempt) bool { return x.Location.Network == "Östnät" }, true},
		{"text_with_a_nul", query{Text: "tele\x00com"}, func(x signin.Attempt) bool { return x.Location.Network == "Example Telecom" }, true},
		{"text_in_the_email", query{Text: "p2@example"}, func(x signin.Attempt) bool { return x.Email == "p2@example.org" }, true},
		{"within_hours", query{Country: "BR", From: all[180].At, To: all[20].At},
			func(x signin.Attempt) bool {
				return x.Location.Country == "BR" && !x.At.Before(all[180].At) && x.At.Before(all[20].At)
			}, true},
		{"nothing", query{Country: "FI"}, func(signin.Attempt) bool { return false }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []signin.Attempt
			for _, x := range all {
				if tt.keep(x) {
					want = append(want, x)
				}
			}
			tt.q.AccountID = a.ID
			for _, size := range []int{1, 7, 1000} {
				if diff := gocmp.Diff(want, pages(t, db, tt.q, size)); diff != "" {
					t.Errorf("by %d (-want +got):\n%s", size, diff)
				}
			}
			n, more, err := db.CountAttempts(t.Context(), tt.q, 1000)
			if err != nil || tt.sure && (n != len(want) || more) || n > len(want) || !tt.sure && n < len(want) && !more {
				t.Errorf("counted %d, more %t, %v; want %d", n, more, err, len(want))
			}
			if n, more, err := db.CountAttempts(t.Context(), tt.q, 5); err != nil || tt.sure && (n != min(5, len(want)) || more != (len(want) > 5)) {
				t.Errorf("counted %d to 5, more %t, %v; there are %d", n, more, err, len(want))
			}
		})
	}
	got := of(db.AttemptCountries(t.Context(), a.ID, all[len(all)-1].At)).must(t)
	if diff := gocmp.Diff([]string{"BR", "DE", "SE"}, got); diff != "" {
		t.Errorf("countries (-want +got):\n%s", diff)
	}
	if got := of(db.AttemptCountries(t.Context(), a.ID, all[0].At.Add(time.Second))).must(t); len(got) != 0 {
		t.Errorf("countries since the end: %q", got)
	}
	one := of(db.Attempt(t.Context(), a.ID, all[7].At, all[7].ID)).must(t)
	if diff := gocmp.Diff(all[7], one); diff != "" {
		t.Errorf("attempt (-want +got):\n%s", diff)
	}
	if _, err := db.Attempt(t.Context(), other.ID, all[7].At, all[7].ID); !problem.Is(err, problem.NotFound) {
		t.Errorf("an attempt of another account: %v", err)
	}

	var mine []string
	for _, x := range slices.Backward(all[:60]) {
		if x.UserID == mira.ID && (x.At.After(all[59].At) || x.ID > all[59].ID) {
			mine = append(mine, x.ID)
		}
	}
	var next []string
	for _, x := range of(db.AttemptsAfter(t.Context(), a.ID, mira.ID, all[59].At, all[59].ID, 8)).must(t) {
		next = append(next, x.ID)
	}
	if diff := gocmp.Diff(mine[:8], next); diff != "" {
		t.Errorf("the next ones (-want +got):\n%s", diff)
	}
}

// pages reads all attempts page by page.
func pages(t *testing.T, db *store.DB, q signin.AttemptQuery, size int) (got []signin.Attempt) {
	t.Helper()
	q.Limit = size
	for range 1000 {
		page := of(db.FindAttempts(t.Context(), q)).must(t)
		if got = append(got, page.Attempts...); !page.More {
			return got
		}
		if len(page.Attempts) != size || page.Searching {
			t.Errorf("a page of %d of %d, searching %t, though few were looked at", len(page.Attempts), size, page.Searching)
		}
		q.Before, q.BeforeID = page.Next, page.NextID
	}
	t.Fatal("the pages have no end")
	return nil
}

// testAttemptsSince stores attempts out of the order of their times: what is new is what was stored later.
func testAttemptsSince(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	mira, sol := User(t, db, a.ID, "mira@example.org"), User(t, db, a.ID, "sol@example.org")
	at := time.Date(2026, 10, 19, 3, 41, 7, 0, time.UTC)
	try := func(id string, when time.Time, user string) {
		t.Helper()
		x := signin.Attempt{ID: id, AccountID: a.ID, At: when, UserID: user, Category: signin.CredentialsFailed, Client: origin.Client{Address: "203.0.113.7"}}
		if err := db.ImportAttempts(t.Context(), a.ID, []signin.Attempt{x}, By()); err != nil {
			t.Fatal(err)
		}
	}
	q := signin.AttemptQuery{AccountID: a.ID, Limit: 2}
	some, zero, err := db.AttemptsSince(t.Context(), q, -1)
	if err != nil || len(some) != 0 {
		t.Errorf("before the first: %v, %v", some, err)
	}
	try("A", at, mira.ID)
	some, last, err := db.AttemptsSince(t.Context(), q, -1)
	if err != nil || len(some) != 0 || last <= zero {
		t.Errorf("the number alone: %v, %d after %d, %v", some, last, zero, err)
	}
	try("B", at.Add(time.Minute), sol.ID)
	try("C", at.Add(-time.Hour), mira.ID)
	try("D", at.Add(time.Second), mira.ID)
	ids := func(q signin.AttemptQuery, after int64) (ids []string) {
		t.Helper()
		some, end, err := db.AttemptsSince(t.Context(), q, after)
		if err != nil || end != last+3 {
			t.Errorf("since %d: the last is %d, want %d; %v", after, end, last+3, err)
		}
		for _, x := range some {
			ids = append(ids, x.ID)
		}
		return ids
	}
	for _, tt := range []struct {
		name   string
		change func(*signin.AttemptQuery)
		after  int64
		want   []string
	}{
		{"the_newest", func(*signin.AttemptQuery) {}, last, []string{"D", "C"}},
		{"all", func(q *signin.AttemptQuery) { q.Limit = 9 }, last, []string{"D", "C", "B"}},
		{"after_one", func(*signin.AttemptQuery) {}, last + 2, []string{"D"}},
		{"after_all", func(*signin.AttemptQuery) {}, last + 3, nil},
		{"a_person", func(q *signin.AttemptQuery) { q.UserID = sol.ID }, last, []string{"B"}},
		{"people", func(q *signin.AttemptQuery) { q.UserIDs = []string{sol.ID} }, last, []string{"B"}},
		{"from", func(q *signin.AttemptQuery) { q.From = at }, last, []string{"D", "B"}},
		{"to", func(q *signin.AttemptQuery) { q.To = at }, last, []string{"C"}},
		{"address", func(q *signin.AttemptQuery) { q.Addresses = netip.MustParsePrefix("203.0.112.0/23"); q.Limit = 9 }, last, []string{"D", "C", "B"}},
		{"other_address", func(q *signin.AttemptQuery) { q.Addresses = netip.MustParsePrefix("203.0.114.0/23") }, last, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := q
			tt.change(&q)
			if diff := gocmp.Diff(tt.want, ids(q, tt.after)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
