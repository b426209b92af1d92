package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check finds what is wrong with values that can be read, one by one and together. What could not be
// read is in unread and was told already.
func (c *Config) check(where map[string]string, unread map[string]bool) []error {
	var errs []error
	bad := func(key, format string, args ...any) {
		if !unread[key] {
			errs = append(errs, fmt.Errorf("%s%s %s", key, from(where[key]), fmt.Sprintf(format, args...)))
		}
	}
	if c.Data == "" {
		bad("data", "is empty; it must be a folder")
	}
	if _, err := describeDatabase(c.Database); err != nil {
		bad("database", "%v", err)
	}
	addresses := []struct{ key, address string }{{"listen.api", c.Listen.API}, {"listen.ops", c.Listen.Ops}}
	for _, l := range addresses {
		if err := checkAddress(l.address); err != nil && (l.key != "listen.ops" || !c.Listen.OpsOff()) {
			bad(l.key, "is %s; %v", shown(l.key, l.address), err)
			unread[l.key] = true
		}
	}
	if c.Listen.API == c.Listen.Ops && c.set["listen.ops"] && !strings.HasSuffix(c.Listen.API, ":0") {
		bad("listen.ops", "is the address of listen.api; give each its own, or set listen.ops to off")
	}
	c.checkTLS(bad)
	if !slices.Contains([]string{"json", "text"}, c.Log.Format) {
		bad("log.format", "is %s; it must be json or text", shown("log.format", c.Log.Format))
	}
	if err := checkMasterKey(c.MasterKey); err != nil {
		bad("master_key", "%v", err)
	}
	c.checkLimits(bad)
	if unread["listen.api"] {
		return errs
	}
	if c.PlainOffLoopback() && len(c.TrustedProxies) == 0 && !unread["trusted_proxies"] && !unread["tls.mode"] {
		bad("listen.api", "is %q, which other machines can reach, but tls.mode is off: secrets and tokens would cross the network in plain text; set tls.mode to files, or name the proxies that do TLS in trusted_proxies", c.Listen.API)
	}
	if err := c.checkPublicURL(); err != nil {
		bad("public_url", "%v", err)
	}
	return errs
}

func (c *Config) checkTLS(bad func(string, string, ...any)) {
	switch c.TLS.Mode {
	case "off":
		if c.TLS.CertFile != "" || c.TLS.KeyFile != "" {
			bad("tls.mode", "is off, but tls.cert_file or tls.key_file is set; set tls.mode to files")
		}
	case "files":
		if c.TLS.CertFile == "" || c.TLS.KeyFile == "" {
			bad("tls.mode", "is files; tls.cert_file and tls.key_file must both be set")
		}
	case "acme":
		bad("tls.mode", "is acme, which this version cannot do; use files, or off behind a proxy that does TLS")
	default:
		bad("tls.mode", "is %s; it must be off or files", shown("tls.mode", c.TLS.Mode))
	}
}

func (c *Config) checkLimits(bad func(string, string, ...any)) {
	sizes := []struct {
		key        string
		have       Bytes
		least, top Bytes
	}{
		{"limits.body", c.Limits.Body, 1 << 10, 64 << 20},
		{"limits.header", c.Limits.Header, 4 << 10, 1 << 20},
		{"sqlite.mmap_size", c.SQLite.MmapSize, 0, 1 << 40},
	}
	for _, s := range sizes {
		if s.have < s.least || s.have > s.top {
			bad(s.key, "is %s; it must be from %s to %s", s.have, s.least, s.top)
		}
	}
	times := []struct {
		key  string
		have time.Duration
	}{
		{"limits.read_header_timeout", c.Limits.ReadHeaderTimeout}, {"limits.read_timeout", c.Limits.ReadTimeout},
		{"limits.write_timeout", c.Limits.WriteTimeout}, {"limits.idle_timeout", c.Limits.IdleTimeout},
		{"limits.shutdown_grace", c.Limits.ShutdownGrace},
	}
	for _, t := range times {
		if t.have > time.Hour {
			bad(t.key, "is %s; it must be an hour or less", t.have)
		}
	}
}

// checkAddress tells whether an address can be listened on: host and port, the host may be left out.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || strconv.FormatUint(n, 10) != port ||
		strings.ContainsAny(host, " /@") {
		return errors.New("it must be an address with a port up to 65535, such as 127.0.0.1:8080")
	}
	return nil
}

func checkMasterKey(spec string) error {
	kind, arg, _ := strings.Cut(spec, ":")
	switch {
	case spec == "file", kind == "file" && arg != "":
		return nil
	case kind == "env" && strings.HasPrefix(arg, envPrefix) && slices.ContainsFunc(fields(new(Config)), func(f field) bool { return f.env() == arg }):
		return fmt.Errorf("is %q, but that variable is a setting; keep the key in one of another name", spec)
	case kind == "env" && arg != "" && !strings.ContainsAny(arg, "= "):
		return nil
	}
	return errors.New("is something else; it must be file, file:PATH or env:NAME") // it may be the key itself
}

func (c *Config) checkPublicURL() error {
	if c.PublicURL == "" {
		if !loopback(c.Listen.API) {
			return fmt.Errorf("is not set, and cannot be made of listen.api %q; set public_url to the URL under which platforms reach the server", c.Listen.API)
		}
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return errors.New("must be a URL of scheme and host alone, such as https://holdfast.example.org")
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "1")):
	default:
		return errors.New("must begin with https:// unless its host is loopback: platforms send their secrets there")
	}
	return nil
}

// loopback reports whether an address to listen on can be reached from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
