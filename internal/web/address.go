package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the peers whose X-Forwarded-For counts. From anybody else the header is ignored, so
// that an address in limits and audit entries cannot be forged.
type Proxies []netip.Prefix

func (p Proxies) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// client is the address of the client: the peer, or, behind trusted proxies, the last address in
// X-Forwarded-For that no trusted proxy has. The zero Addr if nothing can be parsed.
func (p Proxies) client(r *http.Request) netip.Addr {
	peer := peerAddr(r)
	if len(p) == 0 || !p.trusts(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return peer
		}
		peer = a.Unmap().WithZone("")
		if !p.trusts(peer) {
			return peer
		}
	}
	return peer
}

func peerAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// AddressKey is the key under which an address is limited: the address itself, or the /64 of an
// IPv6 address, since whoever has one address of a /64 usually has them all.
func AddressKey(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
