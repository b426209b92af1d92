package origintest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// Addresses that the databases know.
const (
	London    = "192.0.2.10"      // GB, EU, England; AS64496 Example Telecom
	France    = "192.0.2.200"     // FR, EU, no city, within 500 km; AS64496 Example Telecom
	Linkoping = "198.51.100.20"   // SE, EU, Östergötland County, 76 km; AS64497 Exempel Bredband
	Salvador  = "203.0.113.77"    // BR, SA, Bahia; AS64498 Exemplo Telecom
	VPN       = "203.0.113.200"   // NL, EU, North Holland, Amsterdam; AS64499 Example Hosting, anonymous
	Berlin    = "2001:db8:49::10" // DE, EU, Land Berlin; AS64500 Beispielnetz
	Unlisted  = "198.51.100.250"  // public, and in none of them
)

// The names of the files.
const (
	CityFile      = "GeoLite2-City.mmdb"
	ASNFile       = "GeoLite2-ASN.mmdb"
	AnonymousFile = "GeoIP2-Anonymous-IP.mmdb"
)

// place is a network with what the databases say about it.
type place struct {
	network                          string
	country, continent, region, city string
	latitude, longitude              float64
	radius                           int // km
	asn                              int
	owner                            string
	vpn                              bool
}

func places() []place {
	return []place{
		{"192.0.2.0/25", "GB", "EU", "England", "London", 51.5142, -0.0931, 10, 64496, "Example Telecom", false},
		{"192.0.2.128/25", "FR", "EU", "", "", 48.8582, 2.3387, 500, 64496, "Example Telecom", false},
		{"198.51.100.0/25", "SE", "EU", "Östergötland County", "Linköping", 58.4167, 15.6167, 76, 64497, "Exempel Bredband", false},
		{"203.0.113.0/25", "BR", "SA", "Bahia", "Salvador", -12.97, -38.5, 20, 64498, "Exemplo Telecom", false},
		{"203.0.113.128/25", "NL", "EU", "North Holland", "Amsterdam", 52.3759, 4.8975, 20, 64499, "Example Hosting", true},
		{"2001:db8:49::/48", "DE", "EU", "Land Berlin", "Berlin", 52.5196, 13.4069, 20, 64500, "Beispielnetz", false},
	}
}

// Databases is a folder with three databases, of cities, of autonomous systems and of anonymous
// networks, made now.
func Databases(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	Write(t, dir, time.Now())
	return dir
}

// Write puts the three databases into a folder, which it makes if need be. They say that they were
// made at the time built.
func Write(t testing.TB, dir string, built time.Time) {
	t.Helper()
	city, asn, anonymous := map[string]mmdbtype.DataType{}, map[string]mmdbtype.DataType{}, map[string]mmdbtype.DataType{}
	for _, p := range places() {
		city[p.network] = cityRecord(p)
		asn[p.network] = mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(p.asn), "autonomous_system_organization": mmdbtype.String(p.owner)}
		if p.vpn {
			anonymous[p.network] = mmdbtype.Map{"is_anonymous": mmdbtype.Bool(true), "is_anonymous_vpn": mmdbtype.Bool(true), "is_hosting_provider": mmdbtype.Bool(true)}
		}
	}
	WriteFile(t, filepath.Join(dir, CityFile), "GeoLite2-City", built, city)
	WriteFile(t, filepath.Join(dir, ASNFile), "GeoLite2-ASN", built, asn)
	WriteFile(t, filepath.Join(dir, AnonymousFile), "GeoIP2-Anonymous-IP", built, anonymous)
}

func cityRecord(p place) mmdbtype.DataType {
	names := func(s string) mmdbtype.Map {
		return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(s), "de": "(" + mmdbtype.String(s) + ")"}}
	}
	m := mmdbtype.Map{
		"continent": mmdbtype.Map{"code": mmdbtype.String(p.continent)},
		"country":   mmdbtype.Map{"iso_code": mmdbtype.String(p.country), "is_in_european_union": mmdbtype.Bool(p.continent == "EU" && p.country != "GB")},
		"location": mmdbtype.Map{
			"latitude": mmdbtype.Float64(p.latitude), "longitude": mmdbtype.Float64(p.longitude), "accuracy_radius": mmdbtype.Uint16(p.radius),
		},
	}
	if p.city != "" {
		m["city"], m["subdivisions"] = names(p.city), mmdbtype.Slice{names(p.region)}
	}
	return m
}

// WriteFile writes a database with the given records by network, of IPv4 and IPv6. It replaces the
// file in one step, as whoever renews databases does.
func WriteFile(t testing.TB, path, kind string, built time.Time, records map[string]mmdbtype.DataType) {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: kind, Description: map[string]string{"en": "example of a " + kind + " database"}, Languages: []string{"de", "en"},
		BuildEpoch: built.Unix(), IncludeReservedNetworks: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for network, r := range records {
		_, ipnet, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(ipnet, r); err != nil {
			t.Fatalf("%s: %v", network, err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	_, err = tree.WriteTo(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}
