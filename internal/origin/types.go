package origin

// Client is the program that calls, in the words of the Events API. Every field may be empty.
type Client struct {
	Address   string // of the peer, as text; empty if unknown
	UserAgent string // as sent, at most 400 bytes

	App, AppVersion           string // such as "Holdfast console"; set by who builds it, never by Parse
	Platform, PlatformVersion string // browser or program: "Chrome", "129.0.0.0"
	OS, OSVersion             string // "Windows", "10.0"
}

// Location is where an address is, as far as the databases know; the zero Location is unknown.
type Location struct {
	Country      string // ISO 3166-1 alpha-2, upper case
	Continent    string // AF AN AS EU NA OC SA
	Region, City string // English names

	Latitude, Longitude float64 // degrees; mean something only if Radius > 0
	Radius              int     // km around the point in which the address is; 0: no point is known

	ASN     int64  // autonomous system number; 0 if unknown
	Network string // organisation that runs the autonomous system

	Anonymous      bool // VPN, proxy, Tor exit or hosting, as a database of anonymous networks says
	AnonymousKnown bool // such a database is there, so that a false Anonymous means something
}

// HasPoint says whether Latitude and Longitude mean something.
func (l Location) HasPoint() bool { return l.Radius > 0 }

// Locator finds where an address, as text, is. It answers the zero Location for what it does not
// know, and for what is no address.
type Locator interface{ Locate(address string) Location }
