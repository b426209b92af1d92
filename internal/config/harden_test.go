package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"holdfast/internal/config"
)

func TestValuesStayAsWritten(t *testing.T) {
	for _, data := range []string{"0755", "2020-01-01", "1_000", "1e3", "yes", "0x10", "12:30:45"} {
		c, err := config.Load(config.Options{File: write(t, "data: "+data)})
		if err != nil || c.Data != data {
			t.Errorf("data: %s is read as %q: %v", data, c.Data, err)
		}
	}
	for name, file := range map[string]string{"key": "users_alias:", "section": "log:", "empty_section": "log: {}", "document": "~", "comments": "# nothing\n"} {
		got, err := config.Load(config.Options{File: write(t, file)})
		want, wantErr := config.Load(config.Options{})
		if err != nil || wantErr != nil || got.String() != want.String() {
			t.Errorf("%s with nothing in it is not the default: %v", name, err)
		}
	}
}

func TestRefusedInsteadOfIgnored(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"second_document", "data: a\n---\ndata: b", "remove ---"},
		{"twice_in_two_forms", "log.level: debug\nlog: {level: error}", "line 2 gives log.level again, after line 1"},
		{"keys_below_a_value", "data: {a: 1}", "takes one value"},
		{"nothing_below_a_value", "data: {}", "takes one value"},
		{"list", "data: [a]", "takes one value"},
		{"value_for_a_section", "listen: 127.0.0.1:80", "such as listen.api"},
		{"unknown_empty", "lgo: {}", "which does not exist"},
		{"last_part", "level: debug", "did you mean log.level?"},
		{"alias", "data: &a x\nmaster_key: *a", "not supported"},
		{"merge", "<<: {data: x}", "does not exist"},
		{"tag", "data: !!int 5", "not supported"},
		{"port", "listen: {api: '127.0.0.1:99999'}", "up to 65535"},
		{"port_name", "listen: {api: '127.0.0.1:http'}", "up to 65535"},
		{"same_address", "listen: {api: '127.0.0.1:8080', ops: '127.0.0.1:8080'}", "give each its own"},
		{"no_body", "limits: {body: 0}", "from 1KiB to 64MiB"},
		{"huge_header", "limits: {header: 9223372036854775807}", "to 1MiB"},
		{"everybody", "trusted_proxies: [0.0.0.0/0]", "everybody"},
		{"everybody_6", "trusted_proxies: ['::/0']", "everybody"},
		{"bits_behind", "trusted_proxies: [10.1.2.3/8]", "write 10.0.0.0/8"},
		{"mapped", "trusted_proxies: ['::ffff:10.0.0.0/104']", "IPv4"},
		{"own_variable", "master_key: env:HOLDFAST_MASTER_KEY", "is a setting"},
		{"database_slash", "database: postgres://u:1/verysecret@h/d", "%2F"},
		{"database_hash", "database: postgres://u:12#verysecret@h/d", "%23"},
		{"database_port", "database: postgres://u:verysecret@h:x/d", "of the form"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := config.Load(config.Options{File: write(t, tt.file)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "verysecret") {
				t.Errorf("error is %v\nwant %q in it", err, tt.want)
			}
			if err != nil && c.Given("data") {
				t.Error("half a configuration comes with the error")
			}
		})
	}
	if _, err := config.Load(config.Options{Overrides: map[string]string{"lissten.api": "x"}}); err == nil || !strings.Contains(err.Error(), "did you mean listen.api?") {
		t.Errorf("an unknown key of a flag: %v", err)
	}
}

// TestWhere names the place of a wrong value, which may be any of three.
func TestWhere(t *testing.T) {
	_, err := config.Load(config.Options{
		File:      write(t, "\nlog:\n  level: loud"),
		Environ:   []string{"HOLDFAST_USERS_ALIAS=perhaps"},
		Overrides: map[string]string{"listen.api": "nowhere"},
	})
	for _, want := range []string{"holdfast.yaml line 3)", "(the variable HOLDFAST_USERS_ALIAS)", "listen.api (a flag)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v\nwant %q in it", err, want)
		}
	}
}

func TestVariablesOfOthers(t *testing.T) {
	_, err := config.Load(config.Options{Environ: []string{
		"HOLDFAST_SERVICE_HOST=10.96.0.7", "HOLDFAST_SERVICE_PORT=80", "HOLDFAST_SERVICE_PORT_HTTP=80", "HOLDFAST_PORT=tcp://10.96.0.7:80",
		"HOLDFAST_PORT_80_TCP=tcp://10.96.0.7:80", "HOLDFAST_PORT_80_TCP_ADDR=10.96.0.7", "HOLDFAST_PORT_80_TCP_PROTO=tcp", "HOLDFAST_OPS_SERVICE_HOST=10.96.0.8",
		"HOLDFAST_CLIENT_SECRET=x", "HOLDFAST_TEST_REQUIRE=npm", "HOLDFAST_MASTER_KEY=env:HOLDFAST_KEK", "HOLDFAST_KEK=x",
	}})
	if err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"HOLDFAST_PORT=9000", "HOLDFAST_LISTEN_PORT=9000", "HOLDFAST_KEK=x", "HOLDFAST_data=x"} {
		if _, err := config.Load(config.Options{Environ: []string{bad}}); err == nil {
			t.Errorf("%s is ignored", bad)
		}
	}
}

// TestPasswordsAreNotRepeated gives values that hold a secret to settings that refuse them.
func TestPasswordsAreNotRepeated(t *testing.T) {
	const db = "postgres://u:verysecret@h/d"
	for _, key := range []string{"listen.api", "listen.ops", "tls.mode", "log.level", "log.format", "limits.body", "limits.read_timeout", "users_alias", "trusted_proxies", "master_key", "public_url", "sqlite.mmap_size"} {
		if _, err := config.Load(config.Options{Overrides: map[string]string{key: db}}); err == nil || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("%s: %v", key, err)
		}
	}
	for name, file := range map[string]string{"key": "? " + db + "\n: 1", "section": "? " + db + "\n: {a: 1}", "alias": "database: *verysecret"} {
		if _, err := config.Load(config.Options{File: write(t, file)}); err == nil || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := config.Load(config.Options{Overrides: map[string]string{"master_key": "dmVyeXNlY3JldCB2ZXJ5c2VjcmV0IQ=="}}); err == nil || strings.Contains(err.Error(), "dmVyeX") {
		t.Errorf("a pasted key: %v", err)
	}
}

func TestConfigNeverPrintsPasswords(t *testing.T) {
	for _, db := range []string{
		"postgres://u:verysecret@h/d", "postgres://h/d?password=verysecret", "postgres://h/d?sslpassword=verysecret", "postgres:u:verysecret@h",
		"postgres://u:1/verysecret@h/d", "postgres://u:12#verysecret@h", "postgres://u:1?verysecret@h", "host=h password=verysecret",
	} {
		c := config.Config{Database: db}
		type nest struct{ C config.Config }
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
			fmt.Fprintf(&out, verb+verb+verb, c, &c, nest{c})
		}
		for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(h).Info("m", "c", c, "n", nest{c})
		}
		if err := json.NewEncoder(&out).Encode(nest{c}); err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{"verysecret", fmt.Sprintf("%x", "verysecret"), fmt.Sprintf("%X", "verysecret")} {
			if strings.Contains(out.String(), form) {
				t.Errorf("%s prints as %s", db, &out)
			}
		}
	}
}
