package origin

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mileusna/useragent"
)

// The most bytes that are kept of what a caller says about itself.
const (
	maxUserAgent = 400
	maxName      = 100
	maxVersion   = 50
)

// Parse says which program sent the headers, and from which address; address is that of the peer, with
// or without a port. It is told from User-Agent, and from the client hints Sec-CH-UA,
// Sec-CH-UA-Full-Version-List, Sec-CH-UA-Platform and Sec-CH-UA-Platform-Version (User-Agent Client
// Hints, structured fields of RFC 9651), which win where both are there. A field that is missing or
// cannot be read leaves its part empty.
func Parse(h http.Header, address string) Client {
	sent := clean(h.Get("User-Agent"), maxUserAgent)
	c := Client{Address: plainAddress(address), UserAgent: sent}
	if sent == "" {
		return c
	}
	ua := useragent.Parse(sent)
	c.Platform, c.PlatformVersion = program(ua, sent)
	c.OS, c.OSVersion = clean(ua.OS, maxName), version(ua.OSVersion)
	if strings.HasPrefix(sent, "Mozilla/") { // as every browser begins; no other program has hints to give
		hintsOf(h).refine(&c)
	}
	return c
}

// program is the name and version of what calls. A text that the library takes for one name, since
// names with spaces are no tokens of RFC 9110, section 10.1.5, is "Name/version" all the same.
func program(ua useragent.UserAgent, sent string) (name, number string) {
	name, number = ua.Name, version(ua.Version)
	switch {
	case name == "Trident" || name == useragent.Msie:
		// Internet Explorer 11 names its engine; "rv" tells the version.
		name = useragent.InternetExplorer
		if _, after, ok := strings.Cut(sent, "rv:"); ok {
			number = version(after)
		}
	case number == "":
		if before, after, ok := strings.Cut(name, "/"); ok && version(after) != "" {
			name, number = before, version(after)
		}
	}
	return clean(name, maxName), number
}

// version is the number at the start of a text: "10.0", "129.0.0.0", "2.31.0-beta.1". It is empty if
// the text begins with something else: libraries hand out "x86_64" as the version of Linux.
func version(s string) string {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return ""
	}
	end := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune(".-+_", r))
	})
	if end >= 0 {
		s = s[:end]
	}
	return s[:min(len(s), maxVersion)]
}

// clean is the printable part of a text, valid UTF-8 of at most limit bytes. What is not printable,
// line breaks and marks that turn the direction of writing among it, is left out: the text is shown
// to people and written to logs.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s[:min(len(s), 4*limit)])
	for len(s) > limit {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}

// plainAddress is the address without its port and zone, an IPv4 address in its own form; empty if it is none.
func plainAddress(s string) string {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return ""
}
