package config_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/config"
)

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "holdfast.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLayers(t *testing.T) {
	file := write(t, "data: /from/file\nlisten:\n  api: 127.0.0.1:1\n  ops: 127.0.0.1:2\nlimits: {body: 1MiB, read_timeout: 3s}\ntrusted_proxies: [10.0.0.4, 192.0.2.0/24]\n")
	c, err := config.Load(config.Options{
		File:      file,
		Environ:   []string{"HOLDFAST_LISTEN_API=127.0.0.1:3", "HOLDFAST_USERS_ALIAS=true", "HOLDFAST_TEST_REQUIRE=x", "HOME=/nowhere"},
		Overrides: map[string]string{"listen.ops": "127.0.0.1:4"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Data, c.Listen.API, c.Listen.Ops, c.Limits.Body, c.Limits.ReadTimeout, c.UsersAlias, len(c.TrustedProxies), c.TrustedProxies[0].Bits(), c.Limits.IdleTimeout, c.Given("data"), c.Given("database")}
	want := []any{"/from/file", "127.0.0.1:3", "127.0.0.1:4", config.Bytes(1 << 20), 3 * time.Second, true, 2, 32, 120 * time.Second, true, false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFileFromVariable(t *testing.T) {
	c, err := config.Load(config.Options{Environ: []string{"HOLDFAST_CONFIG=" + write(t, "data: /d")}})
	if err != nil || c.Data != "/d" {
		t.Errorf("data is %q: %v", c.Data, err)
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name, file string
		env        []string
		want       []string
	}{
		{"unknown_key", "lissten: {api: x}", nil, []string{`line 1 has the key "lissten.api"`, "did you mean listen.api?"}},
		{"unknown_variable", "", []string{"HOLDFAST_PUBLC_URL=x"}, []string{"HOLDFAST_PUBLC_URL", "did you mean HOLDFAST_PUBLIC_URL?"}},
		{"far_from_any", "zzzzzzzzzzzz: 1", nil, []string{"lists all"}},
		{"twice", "data: a\ndata: b", nil, []string{"line 2 gives data again, after line 1"}},
		{"not_a_map", "- a\n- b", nil, []string{"is not a list of keys"}},
		{"several", "tls: {mode: maybe}\nlog: {format: xml, level: loud}\nlimits: {body: many, read_timeout: -1s}", nil,
			[]string{"tls.mode", "log.format", "log.level", "limits.body", "limits.read_timeout", "such as 64KiB"[0:7]}},
		{"plain_for_all", "listen: {api: 0.0.0.0:8080}\npublic_url: https://h.example", nil, []string{"plain text", "trusted_proxies"}},
		{"public_needs_url", "listen: {api: 0.0.0.0:8080}\ntrusted_proxies: [10.0.0.1]", nil, []string{"set public_url"}},
		{"url_plain", "public_url: http://holdfast.example.org", nil, []string{"https://"}},
		{"url_path", "public_url: https://holdfast.example.org/x", nil, []string{"scheme and host alone"}},
		{"acme", "tls: {mode: acme}", nil, []string{"this version cannot"}},
		{"tls_half", "tls: {mode: files, cert_file: a}", nil, []string{"must both be set"}},
		{"tls_off_with_file", "tls: {cert_file: a}", nil, []string{"tls.mode is off"}},
		{"address", "listen: {api: '8080'}", nil, []string{"such as 127.0.0.1:8080"}},
		{"database", "database: mysql://u:verysecret@h/d", nil, []string{"neither sqlite"}},
		{"proxies", "trusted_proxies: [everybody]", nil, []string{"10.0.0.0/24"}},
		{"master_key", "master_key: kms", nil, []string{"env:NAME"}},
		{"bool", "users_alias: perhaps", nil, []string{"true or false"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := config.Options{Environ: tt.env}
			if tt.file != "" {
				o.File = write(t, tt.file)
			}
			_, err := config.Load(o)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v\nwant %q in it", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "verysecret") {
				t.Errorf("the error holds a password: %v", err)
			}
		})
	}
	if _, err := config.Load(config.Options{File: "/nowhere/x.yaml"}); err == nil {
		t.Error("a file that is named and missing is no error")
	}
}

func TestAccepted(t *testing.T) {
	for name, file := range map[string]string{
		"empty":    "",
		"proxied":  "listen: {api: 10.0.0.5:8080}\ntrusted_proxies: [10.0.0.4]\npublic_url: https://h.example",
		"tls":      "listen: {api: 0.0.0.0:443}\ntls: {mode: files, cert_file: a, key_file: b}\npublic_url: https://h.example/",
		"ipv6":     "listen: {api: '[::1]:8080'}",
		"no_ops":   "listen: {ops: off}",
		"ops_word": "listen: {ops: 'off'}",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := config.Load(config.Options{File: write(t, file)}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPasswordsDoNotPrint(t *testing.T) {
	for _, url := range []string{"postgres://u:verysecret@h/d", "postgres://h/d?user=u&password=verysecret"} {
		c, err := config.Load(config.Options{Environ: []string{"HOLDFAST_DATABASE=" + url}})
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(verb, c); strings.Contains(s, "verysecret") || !strings.Contains(s, "listen.api=127.0.0.1:8080") {
				t.Errorf("%s prints %s", verb, s)
			}
		}
	}
}

// TestExample uncomments every key of the example and loads it: it must be the defaults.
func TestExample(t *testing.T) {
	var lines []string
	for line := range strings.Lines(config.Example()) {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			line = rest
		}
		lines = append(lines, line)
	}
	got, err := config.Load(config.Options{File: write(t, strings.Join(lines, ""))})
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Load(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), got.String()); diff != "" {
		t.Errorf("-defaults +example:\n%s", diff)
	}
	if !got.Given("limits.shutdown_grace") {
		t.Error("the example leaves keys out")
	}
}

var update = flag.Bool("update", false, "rewrite the generated part of docs/operations/configuration.md")

// TestManual holds the table in the documentation to the struct.
func TestManual(t *testing.T) {
	const path = "../../docs/operations/configuration.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "<!-- keys -->\n")
	_, after, ok2 := strings.Cut(rest, "<!-- /keys -->")
	if !ok || !ok2 {
		t.Fatal("the marks around the table are gone")
	}
	want := before + "<!-- keys -->\n" + config.Manual() + "<!-- /keys -->" + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is not what the struct says; run: go test ./internal/config -update\n%s", path, diff)
	}
}

// FuzzLoad puts a password into a file between bytes of any kind: neither an error nor a configuration
// that was read prints it.
func FuzzLoad(f *testing.F) {
	const password = "v3rys3cr3tw0rd"
	f.Add("database: postgres://u:", "@h/d\nlisten: {api: x}")
	f.Add("database: &a postgres://u:", "@h/d\nlog: {level: *a}")
	f.Add("database: postgres://u:1/", "@h/d")
	f.Add("database: postgres:u:", "@h/d")
	f.Add("database: *", "")
	f.Add("database: !!int postgres://u:", "@h/d")
	f.Add("? postgres://u:", "@h/d\n: 1")
	f.Add("a: &a [*a]\ndatabase: postgres://u:", "@h")
	f.Add("tls:\n  mode: [off]\ndatabase: postgres://h/d?password=", "&x=1")
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, "v3rys") {
			t.Skip()
		}
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, []byte(before+password+after), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{File: path})
		// A password that stands where a path or a name must be cannot be told from one.
		if err == nil && c.Database == "sqlite" {
			return
		}
		if err == nil {
			err = fmt.Errorf("%s", c.String()[strings.Index(c.String(), "database="):strings.Index(c.String(), "sqlite.mmap_size=")])
		}
		if strings.Contains(err.Error(), password) && strings.Contains(before, "://") {
			t.Errorf("the password is in %q", err)
		}
	})
}
