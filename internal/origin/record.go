package origin

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
	"golang.org/x/text/language"
)

// content is a set of what records of a file say.
type content uint8

const (
	saysCity content = 1 << iota
	saysCountry
	saysNetwork
	saysAnonymous
)

// form is how the records of a file are laid out.
type form uint8

const (
	formUnknown form = iota
	nested           // of MaxMind, and of DB-IP: country.iso_code, city.names.en
	flat             // of IPinfo and of ip-location-db: country_code, city
)

// facts are what one record says. The point counts only with a radius.
type facts struct {
	Location

	isAnonymous bool
}

type named struct {
	Names struct {
		English string `maxminddb:"en"`
	} `maxminddb:"names"`
}

type network struct {
	Number uint64 `maxminddb:"autonomous_system_number"`
	Owner  string `maxminddb:"autonomous_system_organization"`
}

type anonymity struct {
	Any         bool `maxminddb:"is_anonymous"`
	VPN         bool `maxminddb:"is_anonymous_vpn"`
	Hosting     bool `maxminddb:"is_hosting_provider"`
	Proxy       bool `maxminddb:"is_public_proxy"`
	Residential bool `maxminddb:"is_residential_proxy"`
	Tor         bool `maxminddb:"is_tor_exit_node"`
}

func (a anonymity) yes() bool {
	return a.Any || a.VPN || a.Hosting || a.Proxy || a.Residential || a.Tor
}

// record is every nested layout in one: no two databases use one key for two things.
type record struct {
	Country struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Continent struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"continent"`
	Subdivisions []named `maxminddb:"subdivisions"`
	City         named   `maxminddb:"city"`
	Point        struct {
		Latitude  float64 `maxminddb:"latitude"`
		Longitude float64 `maxminddb:"longitude"`
		Radius    uint64  `maxminddb:"accuracy_radius"`
	} `maxminddb:"location"`
	Traits struct {
		network
		anonymity
	} `maxminddb:"traits"` // of the databases for enterprises
	network
	anonymity
}

func (r *record) facts() facts {
	l := Location{Country: countryCode(r.Country.Code), Continent: continentCode(r.Continent.Code), City: clean(r.City.Names.English, maxName)}
	if len(r.Subdivisions) > 0 {
		l.Region = clean(r.Subdivisions[0].Names.English, maxName)
	}
	l.setPoint(r.Point.Latitude, r.Point.Longitude, int(min(r.Point.Radius, farthest)))
	n := r.network
	if n.Number == 0 {
		n = r.Traits.network
	}
	l.setNetwork(n.Number, n.Owner)
	return facts{Location: l, isAnonymous: r.anonymity.yes() || r.Traits.yes()}
}

// flatFacts reads a flat record, whose keys differ from database to database, and whose numbers may be texts.
func flatFacts(m map[string]any) facts {
	l := Location{Country: countryCode(firstText(m, "country_code", "country")), Continent: continentCode(firstText(m, "continent_code", "continent"))}
	l.Region, l.City = clean(firstText(m, "region", "region_name", "state1"), maxName), clean(firstText(m, "city"), maxName)
	latitude, okLat := number(m, "latitude", "lat")
	longitude, okLong := number(m, "longitude", "lng")
	radius, _ := number(m, "radius", "accuracy_radius") // 0 if it is not said
	if okLat && okLong {
		l.setPoint(latitude, longitude, int(max(0, min(radius, farthest))))
	}
	asn, ok := number(m, "autonomous_system_number")
	if !ok {
		asn, _ = parsed(strings.TrimPrefix(firstText(m, "asn"), "AS")) // 0 if it is none
	}
	l.setNetwork(uint64(max(0, min(asn, 1<<32))), firstText(m, "autonomous_system_organization", "as_name", "name"))
	f := facts{Location: l}
	for _, key := range privacyKeys() {
		switch v := m[key].(type) {
		case bool:
			f.isAnonymous = f.isAnonymous || v
		case string:
			f.isAnonymous = f.isAnonymous || v == "true" || v == "1"
		}
	}
	return f
}

// privacyKeys are those of flat databases of anonymous networks.
func privacyKeys() []string { return []string{"vpn", "proxy", "tor", "relay", "hosting"} }

// firstText is the first of the keys that holds a text.
func firstText(m map[string]any, keys ...string) string {
	for _, k := range keys {
		if s, ok := m[k].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// number is the first of the keys that holds a number, or a text that is one.
func number(m map[string]any, keys ...string) (n float64, ok bool) {
	for _, k := range keys {
		switch v := m[k].(type) {
		case float64:
			n, ok = v, !math.IsNaN(v)
		case float32:
			n, ok = float64(v), !math.IsNaN(float64(v))
		case uint64:
			n, ok = float64(v), true
		case string:
			n, ok = parsed(v)
		}
		if ok {
			return n, true
		}
	}
	return 0, false
}

// parsed is the number that a text is.
func parsed(s string) (n float64, ok bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsNaN(n)
}

// The radii in kilometres: what a city is taken to be where the database does not say, and half the
// Earth, beyond which a circle means nothing.
const (
	cityRadius = 50
	farthest   = 20000
)

// setPoint takes over a point with its radius. Without one it is that of a city; a point of a whole
// country without a radius is its middle, where nobody need be, so that there is none.
func (l *Location) setPoint(latitude, longitude float64, radius int) {
	if radius == 0 && l.City != "" && (latitude != 0 || longitude != 0) {
		radius = cityRadius
	}
	if radius <= 0 || !(latitude >= -90 && latitude <= 90 && longitude >= -180 && longitude <= 180) {
		return
	}
	l.Latitude, l.Longitude, l.Radius = latitude, longitude, min(radius, farthest)
}

func (l *Location) setNetwork(asn uint64, owner string) {
	if asn > 0 && asn <= 1<<32-1 { // RFC 6793
		l.ASN, l.Network = int64(asn), clean(owner, maxName)
	}
}

// countryCode is the code in upper case, or empty if it is not of ISO 3166-1's form.
func countryCode(s string) string {
	s = strings.ToUpper(s)
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return ""
	}
	return s
}

func continentCode(s string) string {
	switch s {
	case "AF", "AN", "AS", "EU", "NA", "OC", "SA":
		return s
	}
	return ""
}

// continentOf is where a country is by the regions of the United Nations (M49), for databases that do
// not say.
func continentOf(country string) string {
	if country == "AQ" {
		return "AN" // M49 puts it into no region
	}
	region, err := language.ParseRegion(country)
	if err != nil {
		return ""
	}
	for _, c := range [...]struct {
		code string
		m49  int
	}{{"AF", 2}, {"NA", 3}, {"SA", 5}, {"AS", 142}, {"EU", 150}, {"OC", 9}, {"NA", 13}, {"NA", 29}} {
		if group, err := language.EncodeM49(c.m49); err == nil && group.Contains(region) {
			return c.code
		}
	}
	return ""
}

// read decodes one record.
func (f form) read(r maxminddb.Result) (facts, error) {
	if f == flat {
		var m map[string]any
		if err := r.Decode(&m); err != nil {
			return facts{}, err
		}
		return flatFacts(m), nil
	}
	var rec record
	if err := r.Decode(&rec); err != nil {
		return facts{}, err
	}
	return rec.facts(), nil
}

// look tells form and content from one record.
func look(m map[string]any) (f form, c content) {
	has := func(keys ...string) bool {
		return slices.ContainsFunc(keys, func(k string) bool { _, ok := m[k]; return ok })
	}
	structured := func(keys ...string) bool {
		return slices.ContainsFunc(keys, func(k string) bool {
			switch m[k].(type) {
			case map[string]any, []any:
				return true
			}
			return false
		})
	}
	mark := func(yes bool, is form, says content) {
		if yes {
			f, c = is, c|says
		}
	}
	if firstText(m, "country_code", "country", "asn") != "" || has(privacyKeys()...) {
		mark(firstText(m, "country_code", "country") != "", flat, saysCountry)
		mark(firstText(m, "city") != "", flat, saysCity)
		mark(firstText(m, "asn") != "" || has("autonomous_system_number"), flat, saysNetwork)
		mark(has(privacyKeys()...), flat, saysAnonymous)
		return f, c
	}
	mark(structured("country", "continent", "registered_country"), nested, saysCountry)
	mark(structured("city", "subdivisions", "location"), nested, saysCity)
	mark(has("autonomous_system_number"), nested, saysNetwork)
	mark(has("is_anonymous", "is_anonymous_vpn", "is_hosting_provider", "is_public_proxy", "is_residential_proxy", "is_tor_exit_node"), nested, saysAnonymous)
	return f, c
}
