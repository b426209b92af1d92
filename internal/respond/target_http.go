package respond

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"holdfast/internal/problem"
)

// What targets and channels send goes out through connections made here.
//
// An administrator says where to, and the server stands inside a network that the administrator may not reach. So:
// https only, apart from the loopback address; redirects are not followed; no connection is made to addresses that
// only ever name the machine's own surroundings, such as the metadata service of a cloud; and of an answer nobody is
// shown more than its status. A proxy of the environment is used.

const (
	oneCall    = 20 * time.Second // from connecting to the end of the answer
	maxCA      = 64 << 10         // bytes of certificates
	maxAddress = 2048             // bytes of a URL
)

// newTransport makes connections that trust the certificates in PEM, or those of the system if there are none.
func newTransport(ca string) (*http.Transport, error) {
	trust, err := trusting(ca)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		TLSClientConfig:       trust,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   oneCall / 2,
		ResponseHeaderTimeout: oneCall,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   4,
		MaxConnsPerHost:       16,

		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

// trusting is whom TLS trusts.
func trusting(ca string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return c, nil
	}
	if len(ca) > maxCA {
		return nil, problem.InField("ca", "the certificates have %d bytes; at most %d are read", len(ca), maxCA)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM([]byte(ca)) {
		return nil, problem.InField("ca", "there is no certificate in PEM; it begins with -----BEGIN CERTIFICATE-----")
	}
	return c, nil
}

// surroundings reports whether an address only ever names what is around a machine.
func surroundings(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()
}

// dial connects. The address is looked at after names were resolved, so that a name cannot lead elsewhere later.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: oneCall / 2, Control: func(_, resolved string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return fmt.Errorf("connect to %q: %w", resolved, err)
		}
		if surroundings(at.Addr()) {
			return errors.New("the address is link-local, multicast or unspecified; nothing is sent there")
		}
		return nil
	}}
	return d.DialContext(ctx, network, address)
}

// checkURL refuses an address that nothing may be sent to. Its errors do not repeat a secret one.
func checkURL(field, text string, secret bool) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", problem.InField(field, "the address "+format, args...)
	}
	shown := fmt.Sprintf("%q ", text)
	if secret {
		shown = ""
	}
	u, err := url.Parse(text)
	switch {
	case text == "":
		return refuse("is missing; it begins with https://")
	case err != nil || len(text) > maxAddress || !visible(text):
		return refuse("%sis no URL of at most %d visible characters", shown, maxAddress)
	case u.Opaque != "" || u.Hostname() == "":
		return refuse("%snames no host; it begins with https://", shown)
	case u.User != nil:
		return refuse("holds a user name or password; leave them out")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return refuse("has a fragment, which is never sent; leave it out")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return refuse("begins with http, where everybody on the way could read what is sent; use https (http is for the loopback address)")
	case u.Scheme != "https" && u.Scheme != "http":
		return refuse("has the scheme %q; use https", u.Scheme)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && surroundings(a) {
		return refuse("is link-local, multicast or unspecified; nothing is sent there")
	}
	return text, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// visible reports whether the text consists of ASCII characters that one can see.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
