package synth

import (
	"math"
	"math/rand/v2"
	"net/netip"

	"holdfast/internal/origin"
)

// network is a range of addresses in one city, run by one organisation.
type network struct {
	location origin.Location
	city     int
	v4       uint32 // first address
	size     uint32 // how many
	v6       uint16 // 2001:db8:v6::/48
}

// spot is an address with what a location database says about it.
type spot struct {
	network *network
	address string
	kind    spotKind
}

type spotKind uint8

// The kinds of spots that behaviour depends on.
const (
	atOffice spotKind = iota
	atHome
	onMobile
	inTunnel // a VPN: the address says nothing about where the person is
)

// geography is every network there is. It is the same for every seed, so that events of several runs can
// be put together.
type geography struct {
	cities  []city
	fixed   [][2]*network // per city: two providers of fixed lines
	mobile  []*network    // per city
	hosting []*network
	vpn     []*network // anonymous
	tor     []*network // anonymous
	egress  *network   // the company's VPN
	offices []*network
}

// Numbers of autonomous systems come from the ranges for documentation (RFC 5398) and for private use
// (RFC 6996): the 32 of the former are too few for providers of 47 countries to differ.
const (
	companyASN  = 64496
	gatewayASN  = 64497
	hostingASN  = 64500 // and the next ones; ends before 64508
	vpnASN      = 64508 // and 64509
	torASN      = 64511
	providerASN = 64512 // and the next ones, three per country
)

// newGeography lays the networks out. Offices are in the given cities, headquarters first.
func newGeography(offices []int) *geography {
	g := &geography{cities: cities()}
	v4, v6 := ip4(198, 18, 0, 0), uint16(1)
	take := func(c int, asn int64, name string, size uint32, radius int, anonymous bool) *network {
		at := g.cities[c]
		n := &network{city: c, v4: v4, size: size, v6: v6, location: origin.Location{
			Country: at.country, Continent: at.continent, Region: at.region, City: at.name,
			Latitude: at.lat, Longitude: at.lon, Radius: radius,
			ASN: asn, Network: name, Anonymous: anonymous, AnonymousKnown: true,
		}}
		v4 += size
		v6++
		return n
	}

	countries := map[string]int64{}
	for c, at := range g.cities {
		k, known := countries[at.country]
		if !known {
			k = int64(len(countries))
			countries[at.country] = k
		}
		asn := providerASN + 3*k
		g.fixed = append(g.fixed, [2]*network{
			take(c, asn, providerName(k, 0), 512, 10, false),
			take(c, asn+1, providerName(k, 1), 512, 20, false),
		})
		g.mobile = append(g.mobile, take(c, asn+2, providerName(k, 2), 256, 100, false))
	}
	for i, name := range []string{"Amsterdam", "Chicago", "Singapore", "Bucharest", "São Paulo", "Tokyo", "Warsaw", "Toronto"} {
		operator := []string{"Slatecloud Hosting", "Quarry Servers", "Tern Compute", "Lowland Racks"}[i%4]
		g.hosting = append(g.hosting, take(g.find(name), hostingASN+int64(i%4), operator, 256, 50, false))
	}
	for i, name := range []string{"Zurich", "Stockholm", "New York", "Amsterdam", "London", "Singapore", "Los Angeles", "Cologne"} {
		operator := []string{"Veil Tunnel", "Burrow VPN"}[i%2]
		g.vpn = append(g.vpn, take(g.find(name), vpnASN+int64(i%2), operator, 256, 50, true))
	}
	for _, name := range []string{"Vienna", "Denver"} {
		g.tor = append(g.tor, take(g.find(name), torASN, "Onion Relay Society", 256, 100, true))
	}

	v4 = ip4(203, 0, 113, 8)
	for _, c := range offices {
		g.offices = append(g.offices, take(c, companyASN, "Company network", 8, 5, false))
	}
	v4 = ip4(192, 0, 2, 8)
	g.egress = take(offices[0], gatewayASN, "Company VPN", 4, 5, false)
	return g
}

func ip4(a, b, c, d byte) uint32 {
	return uint32(a)<<24 | uint32(b)<<16 | uint32(c)<<8 | uint32(d)
}

// find is the number of a city by its name, -1 if there is none.
func (g *geography) find(name string) int {
	for i, c := range g.cities {
		if c.name == name {
			return i
		}
	}
	return -1
}

// providerName makes up a provider of the k-th country: two of fixed lines and, as number 2, a mobile one.
func providerName(k int64, number int) string {
	first := []string{"Alder", "Beacon", "Cinder", "Dune", "Ember", "Fathom", "Glen", "Heron", "Isle", "Juniper", "Kestrel", "Larch", "Meridian", "Nettle", "Orchard", "Pebble"}
	second := [3][]string{
		{"Fibre", "Broadband", "Networks"},
		{"Cable", "Telecom", "Online"},
		{"Mobile", "Wireless", "Cellular"},
	}
	n := int64(len(first))
	return first[(k+5*int64(number))%n] + " " + second[number][k/n%3]
}

// address4 is the i-th address of the network, counted round. None ends in 0 or 255, which look wrong.
func (n *network) address4(i uint32) string {
	a := n.v4 + i%n.size
	switch a & 255 {
	case 0:
		a++
	case 255:
		a--
	}
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}).String()
}

// address6 is an address in the line-th /64 of the network.
func (n *network) address6(line uint16, host uint64) string {
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, byte(n.v6 >> 8), byte(n.v6), byte(line >> 8), byte(line)}
	for i := range 8 {
		a[8+i] = byte(host >> (56 - 8*i))
	}
	return netip.AddrFrom16(a).String()
}

// any is a random IPv4 address of the network.
func (n *network) any(r *rand.Rand, kind spotKind) spot {
	return spot{network: n, address: n.address4(r.Uint32N(n.size)), kind: kind}
}

// gateway is one of the few addresses behind which a mobile provider puts its customers.
func (n *network) gateway(r *rand.Rand) spot {
	return spot{network: n, address: n.address4(r.Uint32N(12)), kind: onMobile}
}

// km is the distance of two cities along a great circle.
func (g *geography) km(from, to int) float64 {
	a, b := g.cities[from], g.cities[to]
	return kilometres(a.lat, a.lon, b.lat, b.lon)
}

// kilometres is the distance of two points on a sphere of the Earth's mean radius, by the haversine formula.
func kilometres(lat1, lon1, lat2, lon2 float64) float64 {
	const rad, earth = math.Pi / 180, 6371.0
	s, t := math.Sin((lat2-lat1)*rad/2), math.Sin((lon2-lon1)*rad/2)
	h := s*s + math.Cos(lat1*rad)*math.Cos(lat2*rad)*t*t
	return 2 * earth * math.Asin(math.Sqrt(min(1, h)))
}
