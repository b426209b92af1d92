package origin

import "net/netip"

// Locate is where the address is; the zero Location if the databases do not know, if it is no address
// of the public internet, or none at all. What the files say is put together: the place from the
// first one that knows the country, the network from the first that knows the number.
func (d *Databases) Locate(address string) (l Location) {
	if d == nil {
		return Location{}
	}
	addr, err := netip.ParseAddr(address)
	if err != nil || !public(addr.Unmap()) {
		return Location{}
	}
	addr = addr.Unmap()
	for _, f := range *d.files.Load() {
		if f.reader == nil {
			continue
		}
		l.AnonymousKnown = l.AnonymousKnown || f.says&saysAnonymous != 0
		result := f.reader.Lookup(addr)
		if !result.Found() {
			continue
		}
		said, err := f.form.read(result)
		if err != nil {
			continue // one broken record is one address that is not known; the doctor looks at all of them
		}
		l.add(said)
	}
	if l.Continent == "" && l.Country != "" {
		l.Continent = continentOf(l.Country)
	}
	return l
}

// add takes over what is not known yet.
func (l *Location) add(said facts) {
	if l.Country == "" && (said.Country != "" || l.Continent == "") {
		l.Country, l.Continent, l.Region, l.City = said.Country, said.Continent, said.Region, said.City
		l.Latitude, l.Longitude, l.Radius = said.Latitude, said.Longitude, said.Radius
	}
	if l.ASN == 0 {
		l.ASN, l.Network = said.ASN, said.Network
	}
	l.Anonymous = l.Anonymous || said.isAnonymous
}

// public says whether the address may be one of the internet. Addresses of documentation are: they
// are nobody's, and examples and tests use them.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared().Contains(a)
}

// shared is the space between a provider and its customers (RFC 6598).
func shared() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10) }
