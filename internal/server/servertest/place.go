package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/store/storetest"
)

// Clock is the time of the servers at a place. It runs, and can be put forward.
type Clock struct{ ahead atomic.Int64 }

// NewClock gives the place a clock. Call it before a server is started there.
func NewClock(p *storetest.Place) *Clock {
	c := &Clock{}
	p.Now = c.Now
	return c
}

// Now is the time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Forward puts the clock forward.
func (c *Clock) Forward(d time.Duration) { c.ahead.Add(int64(d)) }

// Mark is where the audit chains of an instance ended: the last number of each.
type Mark map[string]int64

// Mark notes where the audit chains end.
func (in *Instance) Mark(t testing.TB) Mark {
	t.Helper()
	m := Mark{}
	chains, err := in.Store().AuditChains(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range chains {
		head, err := in.Store().AuditHead(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		m[account] = head.Seq
	}
	return m
}

// Since returns what was appended to the audit chains after the mark.
func (in *Instance) Since(t testing.TB, m Mark) []audit.Link {
	t.Helper()
	var links []audit.Link
	for account := range in.Mark(t) {
		for l, err := range in.Store().AuditLinks(t.Context(), account, m[account]) {
			if err != nil {
				t.Fatal(err)
			}
			links = append(links, l)
		}
	}
	return links
}

// Certificate makes a certificate for 127.0.0.1 and returns settings with which a server uses it.
func Certificate(t testing.TB) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject:      pkix.Name{CommonName: "Holdfast test"}, // OpenSSL, and so curl, takes none without a name
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	settings := map[string]string{
		"tls.mode": "files", "tls.cert_file": filepath.Join(dir, "tls.crt"), "tls.key_file": filepath.Join(dir, "tls.key"),
	}
	for file, block := range map[string]*pem.Block{
		settings["tls.cert_file"]: {Type: "CERTIFICATE", Bytes: cert},
		settings["tls.key_file"]:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return settings
}

// trusting is a transport that trusts the certificate in the file and no other.
func trusting(t testing.TB, file string) *http.Transport {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", file)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}
