package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

const (
	envPrefix = "HOLDFAST_"
	envFile   = envPrefix + "CONFIG" // names the file, as --config does
	envTests  = envPrefix + "TEST_"  // for the test suite; not settings
)

// Options say where a configuration comes from.
type Options struct {
	File      string            // YAML; empty means HOLDFAST_CONFIG, and if that is not set, none
	Environ   []string          // as os.Environ
	Overrides map[string]string // by key, from flags
}

// Load fills a Config. All that is wrong is in the error, a line each.
func Load(o Options) (Config, error) {
	environ := variables(o.Environ)
	file := o.File
	if file == "" {
		file = environ[envFile]
	}
	var text []byte
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return Config{}, fmt.Errorf("read configuration: %w", err)
		}
	}
	return load(file, text, environ, o.Overrides)
}

// variables picks what begins with HOLDFAST_.
func variables(environ []string) map[string]string {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, envPrefix) && !strings.HasPrefix(name, envTests) {
			vars[name] = value
		}
	}
	return vars
}

func load(file string, text []byte, environ, overrides map[string]string) (Config, error) {
	var c Config
	all := fields(&c)
	known := make(map[string]field, len(all))
	names := map[string]string{} // variable → key
	for _, f := range all {
		known[f.key] = f
		names[f.env()] = f.key
	}
	k := koanf.New(".")
	var errs []error
	merge := func(from map[string]any) {
		if err := k.Load(confmap.Provider(from, "."), nil); err != nil {
			errs = append(errs, fmt.Errorf("merge configuration: %w", err))
		}
	}
	fromFile, err := parseFile(file, text)
	if err != nil {
		errs = append(errs, err)
	}
	for _, key := range slices.Sorted(maps.Keys(fromFile)) {
		if _, ok := known[key]; !ok {
			errs = append(errs, fmt.Errorf("%s: there is no key %q%s", file, key, nearest(key, slices.Collect(maps.Keys(known)))))
			delete(fromFile, key)
		}
	}
	merge(fromFile)
	fromEnv := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		key, ok := names[name]
		switch {
		case ok:
			fromEnv[key] = environ[name]
		case name != envFile:
			errs = append(errs, fmt.Errorf("there is no variable %s%s", name, nearest(name, slices.Collect(maps.Keys(names)))))
		}
	}
	merge(fromEnv)
	fromFlags := map[string]any{}
	for key, v := range overrides {
		fromFlags[key] = v
	}
	merge(fromFlags)

	c.set = map[string]bool{}
	for _, f := range all {
		value := f.def
		if k.Exists(f.key) {
			c.set[f.key] = true
			value = written(k.Get(f.key))
		}
		if value != "" || c.set[f.key] {
			if err := f.set(value); err != nil {
				errs = append(errs, fmt.Errorf("%s is %q: %w", f.key, redact(f.key, value), err))
			}
		}
	}
	errs = append(errs, c.check()...)
	return c, errors.Join(errs...)
}

// parseFile reads YAML into keys with dots.
func parseFile(file string, text []byte) (map[string]any, error) {
	flat := map[string]any{}
	if len(text) == 0 {
		return flat, nil
	}
	tree, err := yaml.Parser().Unmarshal(text)
	if err != nil {
		// What the parser says may repeat a line of the file, and that line may hold a password.
		return flat, fmt.Errorf("%s is not valid YAML, or is not a list of keys%s", file, lineOf(err))
	}
	flatten(flat, "", tree)
	return flat, nil
}

// lineOf keeps of a YAML error nothing but the line.
func lineOf(err error) string {
	_, rest, ok := strings.Cut(err.Error(), "line ")
	if !ok {
		return ""
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if n <= 0 {
		return ""
	}
	return ": look at line " + rest[:n]
}

func flatten(to map[string]any, prefix string, tree map[string]any) {
	for name, v := range tree {
		key := prefix + name
		if sub, ok := v.(map[string]any); ok && len(sub) > 0 {
			flatten(to, key+".", sub)
			continue
		}
		to[key] = v
	}
}

// written is a YAML value as text: a list joined by commas, nothing for null.
func written(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = fmt.Sprint(p)
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}

// check finds what is wrong with values that can be read, one by one and together.
func (c *Config) check() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Data == "" {
		bad("data is empty; it must be a folder")
	}
	if c.Database != "sqlite" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		bad("database is neither sqlite nor a URL that begins with postgres://")
	}
	for _, l := range []struct{ key, address string }{{"listen.api", c.Listen.API}, {"listen.ops", c.Listen.Ops}} {
		if l.key == "listen.ops" && c.Listen.OpsOff() {
			continue
		}
		if _, _, err := net.SplitHostPort(l.address); err != nil {
			bad("%s is %q; it must be an address with a port, such as 127.0.0.1:8080", l.key, l.address)
		}
	}
	switch c.TLS.Mode {
	case "off":
		if c.TLS.CertFile != "" || c.TLS.KeyFile != "" {
			bad("tls.cert_file or tls.key_file is set, but tls.mode is off; set tls.mode to files")
		}
	case "files":
		if c.TLS.CertFile == "" || c.TLS.KeyFile == "" {
			bad("tls.mode is files; tls.cert_file and tls.key_file must both be set")
		}
	case "acme":
		bad("tls.mode is acme, which this version cannot do; use files, or off behind a proxy that does TLS")
	default:
		bad("tls.mode is %q; it must be off or files", c.TLS.Mode)
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		bad("log.format is %q; it must be json or text", c.Log.Format)
	}
	if kind, arg, _ := strings.Cut(c.MasterKey, ":"); kind != "file" && (kind != "env" || arg == "") {
		bad("master_key is %q; it must be file, file:PATH or env:NAME", c.MasterKey)
	}
	if c.PlainOffLoopback() && len(c.TrustedProxies) == 0 {
		bad("listen.api is %q, which other machines can reach, but tls.mode is off: secrets and tokens would cross the network in plain text; set tls.mode to files, or name the proxies that do TLS in trusted_proxies", c.Listen.API)
	}
	if !c.Listen.OpsOff() && !loopback(c.Listen.Ops) && c.set["listen.ops"] {
		if host, _, err := net.SplitHostPort(c.Listen.Ops); err == nil && host == "" {
			bad("listen.ops is %q, which listens on every address; name the address from which metrics are read", c.Listen.Ops)
		}
	}
	return append(errs, c.checkPublicURL()...)
}

func (c *Config) checkPublicURL() []error {
	if c.PublicURL == "" {
		if !loopback(c.Listen.API) {
			return []error{fmt.Errorf("listen.api is %q; set public_url to the URL under which platforms reach the server", c.Listen.API)}
		}
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return []error{errors.New("public_url must be a URL of scheme and host alone, such as https://holdfast.example.org")}
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "1")):
	default:
		return []error{errors.New("public_url must begin with https:// unless its host is loopback: platforms send their secrets there")}
	}
	return nil
}

// nearest suggests a name that was perhaps meant.
func nearest(name string, known []string) string {
	best, at := "", len(name)/2+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	if best == "" {
		return "; docs/operations/configuration.md lists all"
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is the number of characters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
