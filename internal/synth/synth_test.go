package synth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/origin"
	"holdfast/internal/synth"
)

// a quarter is a history with everything in it.
func quarter(seed uint64) synth.Config {
	return synth.Config{
		Seed: seed, Start: time.Date(2026, time.September, 1, 0, 0, 0, 0, time.UTC), Days: 91, Invent: 400,
		Attacks: synth.Each(3), Awkward: true,
	}
}

// few are so few people that all attacks lie within the first 10,000 events.
func few(seed uint64) synth.Config {
	c := quarter(seed)
	c.Days, c.Invent, c.Attacks = 40, 60, synth.Each(1)
	return c
}

// TestGenerateIsDeterministic holds the history of a seed to what it was when this was written. Whoever
// changes the model changes the figure with it, and says so.
func TestGenerateIsDeterministic(t *testing.T) {
	const want = "d6fd276d4f6da7be"
	digest := func(c synth.Config) string {
		h, n := sha256.New(), 0
		for e := range synth.Generate(c) {
			if n++; n > 10_000 {
				break
			}
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			h.Write(text)
		}
		return hex.EncodeToString(h.Sum(nil))[:16]
	}
	c := few(1)
	first, again := digest(c), digest(c)
	if first != want {
		t.Errorf("digest of the first 10,000 events of seed 1 is %s, want %s", first, want)
	}
	if first != again {
		t.Errorf("two runs of one seed differ: %s, %s", first, again)
	}
	if digest(few(2)) == first {
		t.Error("two seeds make the same history")
	}
	events := synth.Generate(c)
	if diff := cmp.Diff(take(events, 100), take(events, 100)); diff != "" {
		t.Errorf("ranging again goes on instead of beginning anew (-first +second):\n%s", diff)
	}
}

func take(events func(func(synth.Event) bool), n int) (got []synth.Event) {
	for e := range events {
		if len(got) == n {
			break
		}
		got = append(got, e)
	}
	return got
}

// TestEvents holds every event to what all must be.
func TestEvents(t *testing.T) {
	// The types that go with a category, as far as contract 4.5 names them.
	types := map[string]string{
		"success":               "credentials_ok mfa_ok",
		"credentials_failed":    "password_secret_bad",
		"mfa_failed":            "mfa_missing totp_disabled totp_bad totp_timeout duo_disabled duo_bad duo_timeout code_bad code_timeout",
		"sso_failed":            "non_sso_user sso_user_mismatch",
		"modern_version_failed": "modern_version_missing modern_version_old",
		"firewall_failed":       "all_blocked",
	}
	id := regexp.MustCompile(`^[A-Z2-7]{26}$`)
	reserved := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32"),
	}
	c := quarter(3)
	roster, end := c.Roster(), c.Start.AddDate(0, 0, c.Days)
	var before time.Time
	n, outcomes, sessions := 0, map[string]int{}, map[string]int{}
	for e := range synth.Generate(c) {
		n++
		switch {
		case e.At.Before(before):
			t.Fatalf("event %d at %v comes after one at %v", n, e.At, before)
		case e.At.Before(c.Start), !e.At.Before(end):
			t.Errorf("event %d at %v lies outside the history", n, e.At)
		case !slices.Contains(strings.Fields(types[e.Category]), e.Type):
			t.Errorf("event %d: category %q with type %q is not in the contract", n, e.Category, e.Type)
		case !slices.Contains([]string{"passkey", "password", "password_code", "recovery_code", "sso"}, e.Method):
			t.Errorf("event %d: method %q", n, e.Method)
		case !id.MatchString(e.Session):
			t.Errorf("event %d: session %q", n, e.Session)
		case e.Person >= 0 && e.Email != roster[e.Person].Email:
			t.Errorf("event %d: e-mail %q of person %d, who has %q", n, e.Email, e.Person, roster[e.Person].Email)
		case e.Person < 0 && slices.ContainsFunc(roster, func(p synth.Person) bool { return p.Email == e.Email }):
			t.Errorf("event %d: %q is somebody's", n, e.Email)
		case e.Person < 0 && e.Category == "success":
			t.Errorf("event %d: nobody got in", n)
		case !e.Location.HasPoint(), e.Location.Country == "", e.Location.ASN == 0, !e.Location.AnonymousKnown:
			t.Errorf("event %d: location %+v", n, e.Location)
		case (e.Truth == "") != (e.Attack == 0), e.Truth != "" && e.Note != "":
			t.Errorf("event %d: truth %q, attack %d, note %q", n, e.Truth, e.Attack, e.Note)
		case e.Takeover && (e.Truth == "" || e.Category != "success"):
			t.Errorf("event %d: takeover by truth %q, category %q", n, e.Truth, e.Category)
		case !documentation(e.Location.ASN):
			t.Errorf("event %d: AS%d may be somebody's", n, e.Location.ASN)
		}
		before = e.At
		a, err := netip.ParseAddr(e.Client.Address)
		if err != nil || !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) }) {
			t.Errorf("event %d: address %q may be somebody's", n, e.Client.Address)
		}
		outcomes[e.Category+" "+e.Type]++
		if e.Category == "success" && e.Truth != synth.StolenSession {
			if sessions[e.Session]++; sessions[e.Session] > 1 {
				t.Errorf("event %d: session %q was made before", n, e.Session)
			}
		}
	}
	if n < 80_000 {
		t.Errorf("%d events, want about 100,000", n)
	}
	if len(outcomes) < 12 {
		t.Errorf("outcomes %v, want at least 12", outcomes)
	}
}

// documentation says whether an AS number is for documentation (RFC 5398) or private use (RFC 6996).
func documentation(asn int64) bool {
	return asn >= 64496 && asn <= 65534 || asn >= 65536 && asn <= 65551
}

// TestNobodyIsInTwoPlaces: who is not behind a VPN travels no faster than an airliner.
func TestNobodyIsInTwoPlaces(t *testing.T) {
	const floor, fastest = 100, 1000 // km, km/h
	for _, seed := range []uint64{1, 2, 3} {
		c := quarter(seed)
		c.Days = 364
		last, trips, far := map[int]synth.Event{}, 0, 0.0
		for e := range synth.Generate(c) {
			if e.Truth != "" || e.Person < 0 || e.Location.Anonymous || e.Location.Network == "Company VPN" {
				continue
			}
			if l, ok := last[e.Person]; ok && l.Location != e.Location {
				km := distance(l.Location, e.Location)
				if km > floor {
					trips++
					far = max(far, km)
				}
				if hours := e.At.Sub(l.At).Hours(); km > floor && km > fastest*hours {
					t.Errorf("seed %d: person %d went %.0f km in %.1f h: %v %s (%s), then %v %s (%s)", seed, e.Person, km, hours,
						l.At, l.Location.City, l.Note, e.At, e.Location.City, e.Note)
				}
			}
			last[e.Person] = e
		}
		if trips < 1000 || far < 5000 {
			t.Errorf("seed %d: %d journeys, the longest of %.0f km; want more to look at", seed, trips, far)
		}
	}
}

// distance is by the spherical law of cosines, which the package does not use.
func distance(a, b origin.Location) float64 {
	const rad = math.Pi / 180
	x := math.Sin(a.Latitude*rad)*math.Sin(b.Latitude*rad) +
		math.Cos(a.Latitude*rad)*math.Cos(b.Latitude*rad)*math.Cos((b.Longitude-a.Longitude)*rad)
	return 6371 * math.Acos(max(-1, min(1, x)))
}

// TestHours: people work by day, where they live.
func TestHours(t *testing.T) {
	c := quarter(4)
	profiles := c.Profiles()
	hours, weekdays := map[string]*[24]int{}, [7]int{}
	for e := range synth.Generate(c) {
		if e.Truth != "" || e.Person < 0 {
			continue
		}
		p := profiles[e.Person]
		if e.Location.Country != p.Country {
			continue // she is travelling, or behind a VPN
		}
		local := e.At.Add(p.Offset)
		name := fmt.Sprintf("%+.1fh", p.Offset.Hours())
		if hours[name] == nil {
			hours[name] = new([24]int)
		}
		hours[name][local.Hour()]++
		weekdays[local.Weekday()]++
	}
	seen := 0
	for name, h := range hours {
		all, working, night := 0, 0, 0
		for i, n := range h {
			all += n
			switch {
			case i >= 7 && i < 19:
				working += n
			case i < 5:
				night += n
			}
		}
		if all < 2000 {
			continue
		}
		seen++
		peak := slices.Index(h[:], slices.Max(h[:]))
		if peak < 7 || peak > 10 || working < all*60/100 || night > all*3/100 {
			t.Errorf("%s: peak at %d h, %d %% from 7 to 19 h, %.1f %% at night: %v", name, peak, working*100/all, float64(night)*100/float64(all), h)
		}
	}
	if seen < 5 {
		t.Errorf("%d time zones with enough people, want at least 5", seen)
	}
	for _, d := range []time.Weekday{time.Monday, time.Wednesday, time.Friday} {
		if weekdays[d] < 4*weekdays[time.Sunday] {
			t.Errorf("%d sign-ins on %vs, %d on Sundays: want four times as many", weekdays[d], d, weekdays[time.Sunday])
		}
	}
}

// TestRates bounds how much happens.
func TestRates(t *testing.T) {
	c := quarter(5)
	c.Attacks = synth.Attacks{}
	per, success, all := make([]int, c.Invent), 0, 0
	busiest, today := 0, map[[2]int]int{}
	for e := range synth.Generate(c) {
		all++
		if e.Category == "success" {
			success++
		}
		if e.Person >= 0 {
			per[e.Person]++
			k := [2]int{e.Person, e.At.YearDay()}
			today[k]++
			busiest = max(busiest, today[k])
		}
	}
	if mean := float64(all) / float64(c.Days*c.Invent); mean < 2.4 || mean > 3.6 {
		t.Errorf("%.2f events per person and day, want 2.4 to 3.6", mean)
	}
	if share := float64(success) / float64(all); share < 0.9 || share > 0.97 {
		t.Errorf("%.3f of the tries succeed, want 0.90 to 0.97", share)
	}
	for i, n := range per {
		if rate := float64(n) / float64(c.Days); rate > 6 {
			t.Errorf("person %d: %.1f events a day", i, rate)
		}
	}
	if busiest > 25 {
		t.Errorf("%d events of one person on one day", busiest)
	}
}

// TestAttacks: each attack that is asked for happens, and most that can succeed do.
func TestAttacks(t *testing.T) {
	c := quarter(6)
	c.Attacks = synth.Each(12)
	c.Attacks.Insider = 5
	c.Attacks.Stuffing = 0
	numbers, took, unknown := map[string]map[int]int{}, map[string]int{}, 0
	for e := range synth.Generate(c) {
		if e.Truth == "" {
			continue
		}
		if numbers[e.Truth] == nil {
			numbers[e.Truth] = map[int]int{}
		}
		numbers[e.Truth][e.Attack]++
		if e.Takeover {
			took[e.Truth]++
		}
		if e.Person < 0 {
			unknown++
		}
	}
	all := 0
	for _, kind := range synth.Kinds() {
		want := c.Attacks.Of(kind)
		if got := len(numbers[kind]); got != want {
			t.Errorf("%s: %d attacks, want %d", kind, got, want)
		}
		if got := took[kind]; got > want || got < want/4 {
			t.Errorf("%s: %d takeovers in %d attacks", kind, got, want)
		}
		all += want
		for n := range numbers[kind] {
			if n < 1 || n > 10*12-10+5 {
				t.Errorf("%s: number %d", kind, n)
			}
		}
	}
	if unknown == 0 {
		t.Error("no spray tried an e-mail that is nobody's")
	}
}

// TestShapes looks at what makes each kind of attack that kind.
func TestShapes(t *testing.T) {
	c := quarter(7)
	c.Attacks = synth.Each(8)
	profiles := c.Profiles()
	type sight struct {
		events, people, addresses, failures, days int
	}
	attacks := map[int][]synth.Event{}
	sessions := map[string]synth.Event{}
	lastBenign, devices := map[int]time.Time{}, map[string]map[int]bool{}
	for e := range synth.Generate(c) {
		if e.Truth != "" {
			attacks[e.Attack] = append(attacks[e.Attack], e)
		}
		place := e.Client.Address + e.Client.UserAgent
		switch {
		case e.Truth == "" && e.Person >= 0:
			if e.Category == "success" {
				sessions[e.Session] = e
			}
			lastBenign[e.Person] = e.At
			if devices[place] == nil {
				devices[place] = map[int]bool{}
			}
			devices[place][e.Person] = true
		case e.Truth == synth.StolenSession:
			was, ok := sessions[e.Session]
			if !ok || was.Person != e.Person || was.Client.Address == e.Client.Address {
				t.Errorf("attack %d: session %s of person %d from %s was %+v", e.Attack, e.Session, e.Person, e.Client.Address, was)
			}
		case e.Truth == synth.SanctionedCountry:
			if !slices.Contains([]string{"IR", "KP", "SY", "CU"}, e.Location.Country) {
				t.Errorf("attack %d from %s", e.Attack, e.Location.Country)
			}
		case e.Truth == synth.DormantAccount && e.Takeover:
			if quiet := e.At.Sub(lastBenign[e.Person]); quiet < 45*24*time.Hour {
				t.Errorf("attack %d: account was quiet for %v only", e.Attack, quiet)
			}
		case e.Truth == synth.Insider:
			if devices[place][e.Person] || len(devices[place]) == 0 {
				t.Errorf("attack %d: device at %s is of %v; it should be known, and not person %d's", e.Attack, place, devices[place], e.Person)
			}
		}
	}
	for n, events := range attacks {
		var s sight
		people, addresses, days := map[int]bool{}, map[string]bool{}, map[int]bool{}
		for _, e := range events {
			s.events++
			if e.Category != "success" {
				s.failures++
				people[e.Person], addresses[e.Client.Address], days[e.At.YearDay()] = true, true, true
			}
		}
		s.people, s.addresses, s.days = len(people), len(addresses), len(days)
		bad := false
		switch kind := events[0].Truth; kind {
		case synth.PasswordSpray:
			bad = s.people < 100 || s.addresses != 1 || s.days > 2
		case synth.SlowSpray:
			bad = s.people < 30 || s.addresses < 10 || s.days < 4
		case synth.DistributedSpray:
			bad = s.people < 100 || s.addresses < 50 || s.days > 2
		case synth.Stuffing:
			bad = s.events < 300 || s.addresses < 10 || !people[-1] || s.days > 2
		case synth.MFAFatigue:
			bad = s.failures < 6 || s.people != 1 || s.addresses != 1
		case synth.RecoveryCode:
			bad = s.failures < 3 || s.people != 1
		case synth.FactorDisabled:
			bad = s.failures < 2 || s.people != 1
		}
		if bad {
			t.Errorf("attack %d, %s: %+v", n, events[0].Truth, s)
		}
	}
	if len(profiles) != c.Invent {
		t.Errorf("%d profiles of %d people", len(profiles), c.Invent)
	}
}

// TestIndependence: who else there is, and what attackers do, changes nobody's life.
func TestIndependence(t *testing.T) {
	alone := quarter(8)
	alone.Attacks = synth.Attacks{}
	alone.People = alone.Roster()[:60]
	lives := func(c synth.Config) (got []synth.Event) {
		for e := range synth.Generate(c) {
			if e.Email != "new.comer@harbour-vale.example" && e.Truth == "" && e.Person >= 0 {
				e.Person = 0 // numbers may differ
				got = append(got, e)
			}
		}
		return got
	}
	want := lives(alone)

	more := alone
	more.People = append([]synth.Person{{ID: "NEWNEWNEWNEWNEWNEWNEWNEWNE", Name: "New Comer", Email: "new.comer@harbour-vale.example"}}, alone.People...)
	attacked := alone
	attacked.Attacks = synth.Each(3)
	attacked.Attacks.DormantAccount = 0 // which is prepared long before
	for name, c := range map[string]synth.Config{"one-more": more, "attacked": attacked} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, lives(c)); diff != "" {
				t.Errorf("the others live otherwise (-alone +%s):\n%.2000s", name, diff)
			}
		})
	}
}

// TestAwkward: all that looks like an attack and is none happens in a year, and none of it unless asked for.
func TestAwkward(t *testing.T) {
	notes := func(awkward bool) map[string]int {
		c := quarter(9)
		c.Days, c.Awkward = 364, awkward
		got := map[string]int{}
		for e := range synth.Generate(c) {
			if e.Truth == "" {
				got[e.Note]++
			}
		}
		return got
	}
	want := []string{
		"", "carrier NAT", "company VPN", "forgotten password", "holiday", "kiosk", "late code", "leaver", "long leave", "lost phone",
		"mistyped", "mistyped e-mail", "moved house", "new employee", "new laptop", "new phone", "night owl", "old client",
		"push outage", "split tunnel", "travel", "vpn", "wrong SSO account",
	}
	if diff := cmp.Diff(want, keys(notes(true))); diff != "" {
		t.Errorf("notes of a year (-want +got):\n%s", diff)
	}
	want = []string{"", "forgotten password", "late code", "mistyped", "mistyped e-mail", "old client", "wrong SSO account"}
	if diff := cmp.Diff(want, keys(notes(false))); diff != "" {
		t.Errorf("notes of a plain year (-want +got):\n%s", diff)
	}
}

func keys(m map[string]int) (got []string) {
	for k := range m {
		got = append(got, k)
	}
	slices.Sort(got)
	return got
}

// TestDocumented: the tables of the package comment name every note and every kind of attack.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	names := synth.Kinds()
	for e := range synth.Generate(quarter(12)) {
		if !slices.Contains(names, e.Note) {
			names = append(names, e.Note)
		}
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^//\t(\w+, )?` + regexp.QuoteMeta(name)).Match(text) {
			t.Errorf("doc.go has no line for %q", name)
		}
	}
}

// TestClients: what package origin reads out of the User-Agent is what the event says.
func TestClients(t *testing.T) {
	seen := map[string]bool{}
	for e := range synth.Generate(quarter(10)) {
		if seen[e.Client.UserAgent] {
			continue
		}
		seen[e.Client.UserAgent] = true
		want := origin.Parse(http.Header{"User-Agent": {e.Client.UserAgent}}, e.Client.Address)
		want.App, want.AppVersion = e.Client.App, e.Client.AppVersion
		if diff := cmp.Diff(want, e.Client); diff != "" {
			t.Errorf("%s (-as origin reads it +as it is said):\n%s", e.Client.UserAgent, diff)
		}
	}
	if len(seen) < 30 {
		t.Errorf("%d browsers and versions, want at least 30", len(seen))
	}
}

// TestMemory: three times as many days take no more memory.
func TestMemory(t *testing.T) {
	peak := func(days int) (most uint64) {
		c := quarter(11)
		c.Days = days
		n := 0
		for range synth.Generate(c) {
			if n++; n%20_000 == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
		return most
	}
	short, long := peak(90), peak(270)
	if long > short+short/2+1<<20 {
		t.Errorf("90 days take %d bytes, 270 days %d", short, long)
	}
}

// TestOdd: what is empty makes an empty history, and no attack needs people who are not there.
func TestOdd(t *testing.T) {
	start := time.Date(2026, time.February, 1, 13, 0, 0, 0, time.FixedZone("", 7200))
	for name, c := range map[string]synth.Config{
		"zero":      {},
		"no-days":   {Start: start, Invent: 5, Attacks: synth.Each(2)},
		"no-people": {Start: start, Days: 5},
		"one-day":   {Start: start, Days: 1, Invent: 3, Attacks: synth.Each(2), Awkward: true},
		"one":       {Start: start, Days: 40, Invent: 1, Attacks: synth.Each(2), Awkward: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for e := range synth.Generate(c) {
				if n++; e.Person >= c.Invent {
					t.Errorf("event of person %d", e.Person)
				}
			}
			if (n > 0) != (c.Days > 0 && c.Invent > 0) {
				t.Errorf("%d events", n)
			}
		})
	}
}

// BenchmarkGenerate is a year of 5,000 people, as far as b.N goes.
func BenchmarkGenerate(b *testing.B) {
	c := quarter(1)
	c.Days, c.Invent, c.Attacks = 365, 5000, synth.Each(20)
	b.ReportAllocs()
	n := 0
	for n < b.N {
		for range synth.Generate(c) {
			if n++; n == b.N {
				break
			}
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
