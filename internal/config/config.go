package config

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Config is everything that can be set. Tags: key in the file; default; doc, the manual.
type Config struct {
	Data      string `key:"data" default:"./holdfast-data" doc:"Folder with the database (SQLite) and the master key. Made with mode 0700 if it is not there."`
	Database  string `key:"database" default:"sqlite" doc:"sqlite, or the URL of a PostgreSQL database: postgres://user:password@host:5432/name. Give a URL with a password as HOLDFAST_DATABASE rather than in a file that many can read."`
	SQLite    SQLite
	PublicURL string `key:"public_url" default:"" doc:"URL under which platforms reach the server, used in links and metadata. Default: made of listen.api. Needed when listen.api is not loopback. https, unless the host is loopback."`
	Listen    Listen
	TLS       TLS

	TrustedProxies []netip.Prefix `key:"trusted_proxies" default:"" doc:"Addresses or CIDR ranges of proxies whose X-Forwarded-For counts. Without tls they are also the only peers off loopback that are served."`
	MasterKey      string         `key:"master_key" default:"file" doc:"Where the master key is: file (master.key in the data folder, made at the first start), file:PATH, or env:NAME (the text of such a file in a variable)."`

	Rules     string `key:"rules" default:"" doc:"Folder with rule files (Sigma, *.yml) that count for every account of this server, beside the ones that come with Holdfast. Looked at again when it changes."`
	Playbooks string `key:"playbooks" default:"" doc:"Folder with playbooks (*.yml) for every account of this server, beside the ones that come with Holdfast. Read at the start."`

	Log        Log
	Limits     Limits
	Events     Events
	UsersAlias bool `key:"users_alias" default:"false" doc:"Lists of people also carry them as users, beside results, for clients that read the former. Breaks the closed schema of the contract."`

	set map[string]bool // keys that were given
}

// SQLite is about the embedded database.
type SQLite struct {
	MmapSize Bytes `key:"sqlite.mmap_size" default:"1GiB" doc:"How much of the database file is mapped into memory for reading; 0 for none. The mapping is of the file, it takes no memory of its own."`
}

// Listen is where the server listens.
type Listen struct {
	API string `key:"listen.api" default:"127.0.0.1:8080" doc:"Address of the API. Port 0 takes a free one."`
	Ops string `key:"listen.ops" default:"127.0.0.1:8081" doc:"Address of the operator listener with /metrics, /healthz and /readyz; off for none. If the default is taken, the server starts without it and says so."`
}

// TLS is how connections are protected.
type TLS struct {
	Mode     string `key:"tls.mode" default:"off" doc:"off, or files for a certificate of your own (1.2 and later)."`
	CertFile string `key:"tls.cert_file" default:"" doc:"Certificate with its chain, PEM; with tls.mode files."`
	KeyFile  string `key:"tls.key_file" default:"" doc:"Private key of the certificate, PEM; with tls.mode files."`
}

// Log is what is logged, to standard error.
type Log struct {
	Level  slog.Level `key:"log.level" default:"info" doc:"debug, info, warn or error. One record a request is info."`
	Format string     `key:"log.format" default:"json" doc:"json or text."`
}

// Limits bound what a request may take.
type Limits struct {
	Body              Bytes         `key:"limits.body" default:"64KiB" doc:"Largest request body."`
	Header            Bytes         `key:"limits.header" default:"32KiB" doc:"Largest request header."`
	ReadHeaderTimeout time.Duration `key:"limits.read_header_timeout" default:"5s" doc:"How long a client may take to send its header."`
	ReadTimeout       time.Duration `key:"limits.read_timeout" default:"15s" doc:"How long a client may take to send its request."`
	WriteTimeout      time.Duration `key:"limits.write_timeout" default:"60s" doc:"How long answering may take, the client's reading included."`
	IdleTimeout       time.Duration `key:"limits.idle_timeout" default:"120s" doc:"How long a connection may be kept without a request."`
	ShutdownGrace     time.Duration `key:"limits.shutdown_grace" default:"20s" doc:"How long stopping may wait for what was accepted."`
}

// Events is about what is recorded of sign-ins and of the use of items.
type Events struct {
	Keep time.Duration `key:"events.keep" default:"8760h" doc:"How long sign-in attempts and item usages are kept, and can be read by the Events API; 0 for ever. The audit log is always kept."`
}

// Bytes is a size.
type Bytes int64

// On reports whether the server itself speaks TLS.
func (t TLS) On() bool { return t.Mode == "files" }

// OpsOff reports whether there is no operator listener.
func (l Listen) OpsOff() bool { return l.Ops == "off" }

// Given reports whether the key was set by anybody, as opposed to its default.
func (c Config) Given(key string) bool { return c.set[key] }

// PlainOffLoopback reports whether plain HTTP can be reached from other machines; then only trusted
// proxies are served.
func (c Config) PlainOffLoopback() bool { return !c.TLS.On() && !loopback(c.Listen.API) }

// BaseURL is public_url, or the URL made of the address that is listened on. No slash at the end.
func (c Config) BaseURL(address string) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	scheme := "http"
	if c.TLS.On() {
		scheme = "https"
	}
	return scheme + "://" + address
}

// ConsoleURL is where people reach the console: BaseURL, but by name where that is loopback by address.
// A passkey belongs to a name, never to an address (WebAuthn Level 3 §5.1.3), and localhost is one.
func (c Config) ConsoleURL(address string) string {
	base := c.BaseURL(address)
	scheme, rest, _ := strings.Cut(base, "://")
	host, port, err := net.SplitHostPort(rest)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return base
	}
	return scheme + "://" + net.JoinHostPort("localhost", port)
}
