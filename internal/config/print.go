package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

// String is the configuration without passwords.
func (c Config) String() string {
	var b strings.Builder
	for _, f := range fields(&c) {
		fmt.Fprintf(&b, "%s=%s ", f.key, redact(f.key, f.text()))
	}
	return strings.TrimSpace(b.String())
}

// GoString is the configuration without passwords, for %#v.
func (c Config) GoString() string { return c.String() }

// Format is the configuration without passwords, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue is the configuration without passwords.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON is the configuration without passwords, by key. A logger that writes JSON asks for it when
// a Config is a field of what is logged.
func (c Config) MarshalJSON() ([]byte, error) {
	m := map[string]string{}
	for _, f := range fields(&c) {
		m[f.key] = redact(f.key, f.text())
	}
	return json.Marshal(m)
}

// redact is a value of a key that may be printed.
func redact(key, value string) string {
	if key != "database" {
		return value
	}
	d, err := describeDatabase(value)
	if err != nil {
		return "redacted"
	}
	return d
}

// describeDatabase is the database without password and parameters. An error says what is wrong with it
// and holds nothing of it: a password with a character that must be encoded may end up in any part.
func describeDatabase(database string) (string, error) {
	if database == "sqlite" {
		return database, nil
	}
	if !strings.HasPrefix(database, "postgres://") && !strings.HasPrefix(database, "postgresql://") {
		return "", errors.New("is neither sqlite nor a URL that begins with postgres://")
	}
	u, err := url.Parse(database)
	if err != nil || u.Fragment != "" || strings.ContainsAny(strings.TrimPrefix(u.Path, "/"), "/@") || u.Host == "" && u.RawQuery == "" {
		return "", errors.New("is not a URL of the form postgres://user:password@host:5432/name; in the password, write / as %2F, # as %23, ? as %3F, @ as %40, : as %3A, % as %25")
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += "redacted@"
	}
	shown += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		shown += "?redacted"
	}
	return shown, nil
}

// shown is a value that was refused, if it may be repeated: not what may hold a password or a key, such
// as something that was meant for another setting.
func shown(key, value string) string {
	if key == "database" || key == "master_key" || len(value) > 60 || strings.ContainsAny(value, "@\n") || strings.Contains(value, "://") {
		return "something that is not repeated here"
	}
	return fmt.Sprintf("%q", value)
}

// shownKey is the name of an unknown key, if it looks like a name at all.
func shownKey(key string) string {
	odd := func(r rune) bool {
		return r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if len(key) > 60 || strings.ContainsFunc(key, odd) {
		return "that is no name and not repeated here"
	}
	return fmt.Sprintf("%q", key)
}
