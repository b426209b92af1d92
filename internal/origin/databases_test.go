package origin_test

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"holdfast/internal/origin"
	"holdfast/internal/origin/origintest"
)

// made is when the databases of the tests say they were made.
func made() time.Time { return time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC) }

func aWeekLater() time.Time { return made().Add(7 * 24 * time.Hour) }

// open opens a folder; log is what was logged.
func open(t testing.TB, dir string) (d *origin.Databases, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	d, err := origin.Open(dir, slog.New(slog.NewTextHandler(log, nil)), aWeekLater)
	if err != nil {
		t.Fatal(err)
	}
	return d, log
}

func reload(t *testing.T, d *origin.Databases) {
	t.Helper()
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLocate(t *testing.T) {
	d, _ := open(t, origintest.Databases(t))
	london := origin.Location{
		Country: "GB", Continent: "EU", Region: "England", City: "London", Latitude: 51.5142, Longitude: -0.0931, Radius: 10,
		ASN: 64496, Network: "Example Telecom", AnonymousKnown: true,
	}
	for name, tt := range map[string]struct {
		address string
		want    origin.Location
	}{
		"city":              {origintest.London, london},
		"v4_in_v6":          {"::ffff:" + origintest.London, london},
		"country_only":      {origintest.France, origin.Location{Country: "FR", Continent: "EU", Latitude: 48.8582, Longitude: 2.3387, Radius: 500, ASN: 64496, Network: "Example Telecom", AnonymousKnown: true}},
		"name_beyond_ascii": {origintest.Linkoping, origin.Location{Country: "SE", Continent: "EU", Region: "Östergötland County", City: "Linköping", Latitude: 58.4167, Longitude: 15.6167, Radius: 76, ASN: 64497, Network: "Exempel Bredband", AnonymousKnown: true}},
		"south_and_west":    {origintest.Salvador, origin.Location{Country: "BR", Continent: "SA", Region: "Bahia", City: "Salvador", Latitude: -12.97, Longitude: -38.5, Radius: 20, ASN: 64498, Network: "Exemplo Telecom", AnonymousKnown: true}},
		"anonymous":         {origintest.VPN, origin.Location{Country: "NL", Continent: "EU", Region: "North Holland", City: "Amsterdam", Latitude: 52.3759, Longitude: 4.8975, Radius: 20, ASN: 64499, Network: "Example Hosting", Anonymous: true, AnonymousKnown: true}},
		"v6":                {origintest.Berlin, origin.Location{Country: "DE", Continent: "EU", Region: "Land Berlin", City: "Berlin", Latitude: 52.5196, Longitude: 13.4069, Radius: 20, ASN: 64500, Network: "Beispielnetz", AnonymousKnown: true}},
		"unlisted":          {origintest.Unlisted, origin.Location{AnonymousKnown: true}},
		"private":           {"10.1.2.3", origin.Location{}},
		"shared":            {"100.64.0.1", origin.Location{}},
		"loopback":          {"127.0.0.1", origin.Location{}},
		"loopback_v6":       {"::1", origin.Location{}},
		"link_local":        {"fe80::1%eth0", origin.Location{}},
		"unique_local":      {"fd00::1", origin.Location{}},
		"unspecified":       {"0.0.0.0", origin.Location{}},
		"no_address":        {"mira.example.org", origin.Location{}},
		"with_port":         {origintest.London + ":443", origin.Location{}},
		"empty":             {"", origin.Location{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.Locate(tt.address)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Locate(%q) (-want +got):\n%s", tt.address, diff)
			}
			if got.HasPoint() != (tt.want.Radius > 0) {
				t.Errorf("HasPoint is %t with a radius of %d", got.HasPoint(), got.Radius)
			}
		})
	}
}

// A private address is nowhere, even if a file names it: files of this kind exist within companies.
func TestLocatePrivateThatIsNamed(t *testing.T) {
	dir := t.TempDir()
	se := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("SE")}}
	origintest.WriteFile(t, filepath.Join(dir, "c.mmdb"), "Own-Country", made(), map[string]mmdbtype.DataType{"10.0.0.0/8": se, "192.0.2.0/24": se})
	d, _ := open(t, dir)
	if got := d.Locate("10.1.2.3"); got != (origin.Location{}) {
		t.Errorf("10.1.2.3 is at %+v", got)
	}
	if got := d.Locate("192.0.2.1"); got.Country != "SE" {
		t.Errorf("192.0.2.1 is at %+v", got)
	}
}

func TestNoDatabases(t *testing.T) {
	var none *origin.Databases
	if got := none.Locate(origintest.London); got != (origin.Location{}) {
		t.Errorf("nil says %+v", got)
	}
	if none.Files() != nil {
		t.Error("nil has files")
	}
	reload(t, none)

	dir := filepath.Join(t.TempDir(), "geoip")
	d, log := open(t, dir)
	if got := d.Locate(origintest.London); got != (origin.Location{}) || len(d.Files()) != 0 || log.Len() != 0 {
		t.Errorf("a missing folder says %+v and logs %q", got, log)
	}
	origintest.Write(t, dir, made())
	reload(t, d)
	if got := d.Locate(origintest.London); got.City != "London" {
		t.Errorf("a folder that came later is not seen: %+v", got)
	}
}

func TestFolderThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "geoip")
	write(t, path, []byte("x"))
	if _, err := origin.Open(path, slog.New(slog.DiscardHandler), aWeekLater); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names the folder", err)
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Layouts of other makers, and of databases for enterprises.
func TestLayouts(t *testing.T) {
	type m = mmdbtype.Map
	text := func(s string) mmdbtype.String { return mmdbtype.String(s) }
	for name, tt := range map[string]struct {
		record m
		want   origin.Location
	}{
		"country": {m{"country": m{"iso_code": text("SE")}, "continent": m{"code": text("EU")}}, origin.Location{Country: "SE", Continent: "EU"}},
		"city_without_radius": {
			m{"country": m{"iso_code": text("SE")}, "city": m{"names": m{"en": text("Lund")}}, "location": m{"latitude": mmdbtype.Float64(55.7), "longitude": mmdbtype.Float64(13.2)}},
			origin.Location{Country: "SE", Continent: "EU", City: "Lund", Latitude: 55.7, Longitude: 13.2, Radius: 50},
		},
		"middle_of_a_country": {
			m{"country": m{"iso_code": text("US")}, "location": m{"latitude": mmdbtype.Float64(37.7), "longitude": mmdbtype.Float64(-97.8)}},
			origin.Location{Country: "US", Continent: "NA"},
		},
		"enterprise": {
			m{"country": m{"iso_code": text("SE")}, "traits": m{"autonomous_system_number": mmdbtype.Uint32(64511), "autonomous_system_organization": text("Exempel"), "is_anonymous": mmdbtype.Bool(true)}},
			origin.Location{Country: "SE", Continent: "EU", ASN: 64511, Network: "Exempel", Anonymous: true},
		},
		"flat_country":   {m{"country_code": text("nz")}, origin.Location{Country: "NZ", Continent: "OC"}},
		"flat_and_asn":   {m{"country": text("Brazil"), "country_code": text("BR"), "continent": text("South America"), "continent_code": text("SA"), "asn": text("AS64498"), "as_name": text("Exemplo Telecom")}, origin.Location{Country: "BR", Continent: "SA", ASN: 64498, Network: "Exemplo Telecom"}},
		"older_flat":     {m{"country": text("ZA"), "country_name": text("South Africa"), "continent": text("AF"), "asn": text("")}, origin.Location{Country: "ZA", Continent: "AF"}},
		"flat_city":      {m{"city": text("Lund"), "country_code": text("SE"), "state1": text("Skåne"), "latitude": mmdbtype.Float32(55.5), "longitude": mmdbtype.Float32(13.25)}, origin.Location{Country: "SE", Continent: "EU", Region: "Skåne", City: "Lund", Latitude: 55.5, Longitude: 13.25, Radius: 50}},
		"numbers_texts":  {m{"city": text("Lund"), "country": text("SE"), "region": text("Skåne"), "lat": text("55.5"), "lng": text("13.25"), "radius": text("20")}, origin.Location{Country: "SE", Continent: "EU", Region: "Skåne", City: "Lund", Latitude: 55.5, Longitude: 13.25, Radius: 20}},
		"on_the_equator": {m{"city": text("Quito"), "country": text("EC"), "lat": text("0"), "lng": text("-78.5"), "radius": text("NaN")}, origin.Location{Country: "EC", Continent: "SA", City: "Quito", Longitude: -78.5, Radius: 50}},
		"flat_privacy":   {m{"vpn": text("true"), "proxy": text(""), "tor": text("")}, origin.Location{Anonymous: true, AnonymousKnown: true}},
		"flat_not_vpn":   {m{"vpn": mmdbtype.Bool(false), "hosting": mmdbtype.Bool(false)}, origin.Location{AnonymousKnown: true}},
		"tor":            {m{"is_tor_exit_node": mmdbtype.Bool(true)}, origin.Location{Anonymous: true, AnonymousKnown: true}},
		"impossible": {
			m{"country": m{"iso_code": text("Sweden")}, "continent": m{"code": text("XX")}, "city": m{"names": m{"en": text("Lu\u202end\n")}}, "location": m{"latitude": mmdbtype.Float64(155), "longitude": mmdbtype.Float64(13), "accuracy_radius": mmdbtype.Uint16(5)}},
			origin.Location{City: "Lund"},
		},
		"far_too_wide": {m{"country": m{"iso_code": text("AQ")}, "location": m{"latitude": mmdbtype.Float64(-80), "longitude": mmdbtype.Float64(13), "accuracy_radius": mmdbtype.Uint16(65535)}}, origin.Location{Country: "AQ", Continent: "AN", Latitude: -80, Longitude: 13, Radius: 20000}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			origintest.WriteFile(t, filepath.Join(dir, "x.mmdb"), name, made(), map[string]mmdbtype.DataType{"192.0.2.0/24": tt.record})
			d, log := open(t, dir)
			if diff := cmp.Diff(tt.want, d.Locate("192.0.2.1")); diff != "" {
				t.Errorf("(-want +got):\n%s%s", diff, log)
			}
		})
	}
}

// The more exact file answers before the newer one, and the newer one before the older.
func TestWhichAnswers(t *testing.T) {
	country := func(code string) mmdbtype.Map {
		return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
	}
	city := country("SE")
	city["city"] = mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Lund")}}
	dir := t.TempDir()
	put := func(name string, built time.Time, networks map[string]mmdbtype.DataType) {
		origintest.WriteFile(t, filepath.Join(dir, name), name, built, networks)
	}
	put("a.mmdb", made().Add(time.Hour), map[string]mmdbtype.DataType{"192.0.2.0/24": country("NO"), "198.51.100.0/24": country("NO")})
	put("b.mmdb", made(), map[string]mmdbtype.DataType{"192.0.2.0/24": city})
	put("c.mmdb", made().Add(2*time.Hour), map[string]mmdbtype.DataType{"198.51.100.0/24": country("FI"), "192.0.2.0/24": country("FI")})
	d, _ := open(t, dir)
	if got := d.Locate("192.0.2.1"); got.Country != "SE" || got.City != "Lund" {
		t.Errorf("the file of cities is not asked first: %+v", got)
	}
	if got := d.Locate("198.51.100.1"); got.Country != "FI" {
		t.Errorf("the newest file is not asked first: %+v", got)
	}
}

func TestReload(t *testing.T) {
	dir := origintest.Databases(t)
	d, log := open(t, dir)
	cityFile := filepath.Join(dir, origintest.CityFile)
	whole := read(t, cityFile)
	logged := func() string { s := log.String(); log.Reset(); return s }
	logged()

	reload(t, d)
	if s := logged(); s != "" {
		t.Errorf("nothing changed, and yet it logs %q", s)
	}

	// A copy that is written over the file in place: half of it, then all.
	write(t, cityFile, whole[:len(whole)/2])
	reload(t, d)
	if got := d.Locate(origintest.London); got.City != "London" {
		t.Errorf("a broken file took the place of the whole one: %+v", got)
	}
	if s := logged(); !strings.Contains(s, origintest.CityFile) || !strings.Contains(s, "older_in_use=true") {
		t.Errorf("it logs %q", s)
	}
	if f := fileOf(t, d, origintest.CityFile); f.Error == "" || f.Built.IsZero() {
		t.Errorf("the broken file is %+v", f)
	}
	reload(t, d)
	if s := logged(); s != "" {
		t.Errorf("it says again %q", s)
	}
	write(t, cityFile, whole)
	reload(t, d)
	if f := fileOf(t, d, origintest.CityFile); f.Error != "" {
		t.Errorf("the whole file is %+v", f)
	}

	// A new one of the same size in its place, by rename.
	origintest.WriteFile(t, cityFile, "GeoLite2-City", made(), map[string]mmdbtype.DataType{"192.0.2.0/24": mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("SE")}}})
	reload(t, d)
	if got := d.Locate(origintest.London); got.Country != "SE" || got.ASN != 64496 {
		t.Errorf("after the exchange London is at %+v", got)
	}
	logged()
	if err := os.Remove(cityFile); err != nil {
		t.Fatal(err)
	}
	reload(t, d)
	if got := d.Locate(origintest.London); got.Country != "" || got.ASN != 64496 {
		t.Errorf("after the removal London is at %+v", got)
	}
	if s := logged(); !strings.Contains(s, "removed") || !strings.Contains(s, origintest.CityFile) {
		t.Errorf("it logs %q", s)
	}
}

func fileOf(t *testing.T, d *origin.Databases, name string) origin.File {
	t.Helper()
	for _, f := range d.Files() {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("%s is not among %v", name, d.Files())
	return origin.File{}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	origintest.Write(t, dir, made())
	write(t, filepath.Join(dir, "broken.mmdb"), []byte("not a database"))
	write(t, filepath.Join(dir, "README.txt"), []byte("no database either"))
	if err := os.Mkdir(filepath.Join(dir, "folder.mmdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	origintest.WriteFile(t, filepath.Join(dir, "domains.mmdb"), "GeoIP2-Domain", made().Add(-100*24*time.Hour), map[string]mmdbtype.DataType{"192.0.2.0/24": mmdbtype.Map{"domain": mmdbtype.String("example.org")}})
	origintest.WriteFile(t, filepath.Join(dir, "other.mmdb"), "Other", made(), map[string]mmdbtype.DataType{"192.0.2.0/24": mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.Uint32(752)}}})
	d, log := open(t, dir)
	got := d.Files()
	for i, f := range got {
		if f.Error != "" {
			got[i].Error = f.Error[:min(len(f.Error), 20)]
		}
	}
	want := []origin.File{
		{Name: origintest.AnonymousFile, Type: "GeoIP2-Anonymous-IP", Built: made()},
		{Name: origintest.ASNFile, Type: "GeoLite2-ASN", Built: made()},
		{Name: origintest.CityFile, Type: "GeoLite2-City", Built: made()},
		{Name: "broken.mmdb", Error: "it is no whole MMDB "},
		{Name: "domains.mmdb", Error: `it is of type "GeoIP`},
		{Name: "folder.mmdb", Error: "it is no file"},
		{Name: "other.mmdb", Error: "it holds a record fo"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{"broken.mmdb", "domains.mmdb", "folder.mmdb", "other.mmdb"} {
		if !strings.Contains(log.String(), "file="+name) {
			t.Errorf("%s is not in the log: %s", name, log)
		}
	}
	if d.Locate(origintest.London).City != "London" {
		t.Error("broken files keep the others from work")
	}
	if diff := cmp.Diff(d.Files(), d.Verify(t.Context())); diff != "" {
		t.Errorf("verified they are otherwise:\n%s", diff)
	}
}

func TestOldIsLogged(t *testing.T) {
	dir := t.TempDir()
	origintest.Write(t, dir, aWeekLater().Add(-origin.MaxAge-time.Hour))
	if _, log := open(t, dir); strings.Count(log.String(), "days=45") != 3 {
		t.Errorf("it logs %s", log)
	}
}

// Whatever is in a file, nothing panics, and what it says is in bounds.
func TestBrokenFiles(t *testing.T) {
	whole := read(t, filepath.Join(origintest.Databases(t), origintest.CityFile))
	dir := t.TempDir()
	path := filepath.Join(dir, "x.mmdb")
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		data := bytes.Clone(whole)
		if i%4 == 0 {
			data = data[:random.IntN(len(data))]
		}
		for range random.IntN(6) {
			if len(data) > 0 {
				data[random.IntN(len(data))] = byte(random.Uint32())
			}
		}
		write(t, path, data)
		d, err := origin.Open(dir, slog.New(slog.DiscardHandler), aWeekLater)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{origintest.London, origintest.France, origintest.Salvador, origintest.VPN, origintest.Berlin, origintest.Unlisted, "2001:db8::1", "8.0.0.1"} {
			l := d.Locate(a)
			if n := len(l.Country); n != 0 && n != 2 || l.Radius < 0 || len(l.City) > 100 || l.Latitude < -90 || l.Latitude > 90 {
				t.Fatalf("file %d: %s is at %+v", i, a, l)
			}
		}
	}
}

// Lookups go on while files are exchanged, and see one whole state or the other.
func TestReloadUnderLookups(t *testing.T) {
	dir := origintest.Databases(t)
	d, err := origin.Open(dir, slog.New(slog.DiscardHandler), aWeekLater)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var lookups sync.WaitGroup
	for range 4 {
		lookups.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := d.Locate(origintest.London); got.Country != "GB" || got.City != "London" || got.ASN != 64496 {
					t.Errorf("London is at %+v", got)
					return
				}
				d.Files()
			}
		})
	}
	for i := range 30 {
		origintest.Write(t, dir, made().Add(time.Duration(i)*time.Hour))
		var reloads sync.WaitGroup
		for range 2 {
			reloads.Go(func() {
				if err := d.Reload(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		reloads.Wait()
		if f := fileOf(t, d, origintest.CityFile); !f.Built.Equal(made().Add(time.Duration(i) * time.Hour)) {
			t.Fatalf("after exchange %d the file is of %s", i, f.Built)
		}
	}
	close(stop)
	lookups.Wait()
}

func BenchmarkLocate(b *testing.B) {
	d, _ := open(b, origintest.Databases(b))
	for name, address := range map[string]string{"city": origintest.Linkoping, "v6": origintest.Berlin, "unlisted": origintest.Unlisted, "private": "10.0.0.1"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.Locate(address)
			}
		})
	}
}
