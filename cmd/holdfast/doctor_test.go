package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/store/storetest"
)

// examine runs the doctor in a data folder and returns status and finding of each check.
func examine(t *testing.T, data string, environ ...string) (code int, found map[string][2]string) {
	t.Helper()
	var out, errs output
	env := append([]string{"HOLDFAST_DATA=" + data, "HOLDFAST_LISTEN_API=127.0.0.1:0", "HOLDFAST_LISTEN_OPS=off"}, environ...)
	d := &doctor{g: &globals{}, std: stdio{out: &out, err: &errs, env: env}, now: time.Now}
	defer d.close()
	d.examine(t.Context())
	found = map[string][2]string{}
	for _, r := range d.results {
		found[r.Name] = [2]string{string(r.Status), r.Found}
		if r.Status == broken {
			code = exitBroken
		}
	}
	return code, found
}

// certificate writes a key pair that ends at the given time.
func certificate(t *testing.T, until time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: until, DNSNames: []string{"holdfast.example.org"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestDoctorCertificate(t *testing.T) {
	data := newAccount(t)
	for _, tt := range []struct {
		name string
		left time.Duration
		want status
	}{{"long", 90 * 24 * time.Hour, well}, {"soon", 3 * 24 * time.Hour, warning}, {"over", -time.Minute, broken}} {
		t.Run(tt.name, func(t *testing.T) {
			cert, key := certificate(t, time.Now().Add(tt.left))
			_, found := examine(t, data, "HOLDFAST_TLS_MODE=files", "HOLDFAST_TLS_CERT_FILE="+cert, "HOLDFAST_TLS_KEY_FILE="+key)
			if got := found["certificate"]; got[0] != string(tt.want) || !strings.HasPrefix(got[1], "holdfast.example.org, until 20") {
				t.Errorf("certificate is %q, want %s", got, tt.want)
			}
		})
	}
	cert, _ := certificate(t, time.Now())
	if code, found := examine(t, data, "HOLDFAST_TLS_MODE=files", "HOLDFAST_TLS_CERT_FILE="+cert, "HOLDFAST_TLS_KEY_FILE="+cert); code != exitBroken || found["certificate"][0] != "problem" {
		t.Errorf("a certificate without its key: %d %q", code, found["certificate"])
	}
}

// TestDoctorAddress has somebody else, a Holdfast that is not ready, and nobody at the address.
func TestDoctorAddress(t *testing.T) {
	data := newAccount(t)
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	unready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Request-Id", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"detail":"jobs are not running"}`))
	}))
	defer unready.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cert, key := certificate(t, time.Now().Add(time.Hour))
	for _, tt := range []struct {
		name string
		env  []string
		want map[string]string
	}{
		{"stranger", []string{"HOLDFAST_LISTEN_API=" + host(stranger), "HOLDFAST_LISTEN_OPS=" + host(other)}, map[string]string{"api address": "problem", "ops address": "problem"}},
		{"unready", []string{"HOLDFAST_LISTEN_API=" + host(unready)}, map[string]string{"api address": "warning"}},
		{"silent", []string{"HOLDFAST_LISTEN_API=" + silent.Addr().String()}, map[string]string{"api address": "problem"}},
		{"tls_expected", []string{"HOLDFAST_LISTEN_API=" + host(unready), "HOLDFAST_TLS_MODE=files", "HOLDFAST_TLS_CERT_FILE=" + cert, "HOLDFAST_TLS_KEY_FILE=" + key}, map[string]string{"api address": "problem"}},
		{"not_ours_to_take", []string{"HOLDFAST_LISTEN_API=192.0.2.1:1", "HOLDFAST_TRUSTED_PROXIES=10.0.0.1", "HOLDFAST_PUBLIC_URL=https://holdfast.example.org"}, map[string]string{"api address": "problem"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, found := examine(t, data, tt.env...)
			got := map[string]string{}
			for name := range maps.Keys(tt.want) {
				got[name] = found[name][0]
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%q", diff, found)
			}
		})
	}
	if _, found := examine(t, data, "HOLDFAST_LISTEN_API="+host(unready)); !strings.Contains(found["api address"][1], "answers 503 to /readyz: jobs are not running") {
		t.Errorf("found %q", found["api address"])
	}
}

func host(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

func TestDoctorPasswordInFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "holdfast.yaml")
	if err := os.WriteFile(file, []byte("database: postgres://holdfast:secret@127.0.0.1:1/holdfast\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, found := examine(t, t.TempDir(), "HOLDFAST_CONFIG="+file)
	if got := found["configuration"]; got[0] != "warning" || !strings.Contains(got[1], "holds the password of the database and has the mode 0644") {
		t.Errorf("configuration is %q", got)
	}
	if got := found["database"]; code != exitBroken || got[0] != "problem" || strings.Contains(got[1], "secret") {
		t.Errorf("database is %q", got)
	}
}

func TestDoctorClock(t *testing.T) {
	data := newAccount(t)
	for _, tt := range []struct {
		name string
		now  time.Time
		want [2]string
	}{
		{"never_set", time.Date(1970, 1, 1, 0, 0, 9, 0, time.UTC), [2]string{"problem", "it says 1970-01-01T00:00:09Z"}},
		{"set_back", time.Now().Add(-time.Hour), [2]string{"warning", "the newest audit entry is 1h0m0s in the future"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &doctor{g: &globals{Data: data}, std: stdio{}, now: func() time.Time { return tt.now }}
			defer d.close()
			d.examine(t.Context())
			for _, r := range d.results {
				if r.Name == "clock" {
					if diff := cmp.Diff(tt.want, [2]string{string(r.Status), r.Found}); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
					return
				}
			}
			t.Error("the clock was not looked at")
		})
	}
}

// TestDoctorPostgres looks at an empty database, then at one in use.
func TestDoctorPostgres(t *testing.T) {
	database := "HOLDFAST_DATABASE=" + storetest.Postgres(t)
	data := filepath.Join(t.TempDir(), "data")
	code, found := examine(t, data, database)
	if code != exitDone || found["database"] != [2]string{"absent", "the postgres database has no tables yet"} || found["master key"][0] != "absent" {
		t.Errorf("empty: exit code %d, %q", code, found)
	}
	var out, errs output
	args := []string{"--data", data, "account", "create", "--name", "Harbour", "--owner-email", "ines@example.org", "--owner-name", "Ines"}
	if code := run(t.Context(), args, stdio{out: &out, err: &errs, env: []string{database}}); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	code, found = examine(t, data, database)
	for _, name := range []string{"master key", "database", "keyring", "accounts", "audit log", "jobs", "clock", "disk"} {
		if found[name][0] != "ok" {
			t.Errorf("%s: %q", name, found[name])
		}
	}
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}

	// A second machine without the key is not given one that would be of no use.
	second := filepath.Join(t.TempDir(), "second")
	if code := run(t.Context(), []string{"--data", second, "migrate"}, stdio{out: &out, err: &errs, env: []string{database}}); code != exitFailed || !strings.Contains(errs.String(), "restore the key from your copy") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if code, found := examine(t, second, database); code != exitBroken || found["master key"][0] != "problem" {
		t.Errorf("second machine: exit code %d, %q", code, found)
	}
	if _, err := os.Stat(second); !os.IsNotExist(err) {
		t.Errorf("the second machine has a data folder: %v", err)
	}
}
