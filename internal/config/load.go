package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Options say where a configuration comes from.
type Options struct {
	File      string            // YAML; empty means HOLDFAST_CONFIG, and if that is not set, none
	Environ   []string          // as os.Environ
	Overrides map[string]string // by key, from flags
}

// Load fills a Config. All that is wrong is in the error, a line each; with an error the Config is zero.
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

func load(file string, text []byte, environ, overrides map[string]string) (Config, error) {
	c := Config{set: map[string]bool{}}
	all := fields(&c)
	known := make(map[string]field, len(all))
	for _, f := range all {
		known[f.key] = f
	}
	fromFile, errs := readFile(file, text, known, sectionsOf(all))
	fromEnv, unknown := fromVariables(all, environ)
	fromFlags := newSource()
	for _, key := range names(overrides) {
		if _, ok := known[key]; !ok {
			errs = append(errs, fmt.Errorf("a flag sets the key %s, which does not exist%s", shownKey(key), nearest(key, names(known))))
			continue
		}
		fromFlags.values[key], fromFlags.where[key] = overrides[key], "a flag"
	}
	k, where := koanf.New("."), map[string]string{}
	for _, s := range []source{fromFile, fromEnv, fromFlags} {
		if err := k.Load(confmap.Provider(s.values, "."), nil); err != nil {
			errs = append(errs, fmt.Errorf("merge configuration: %w", err))
		}
		maps.Copy(where, s.where)
	}
	unread := map[string]bool{}
	for _, f := range all {
		value := f.def
		if k.Exists(f.key) {
			c.set[f.key] = true
			value = k.String(f.key)
		}
		if value == "" && !c.set[f.key] {
			continue
		}
		if err := f.set(value); err != nil {
			unread[f.key] = true
			errs = append(errs, fmt.Errorf("%s is %s%s: %w", f.key, shown(f.key, value), from(where[f.key]), err))
		}
	}
	errs = append(errs, refuseUnknown(all, unknown, c.MasterKey)...)
	errs = append(errs, c.check(where, unread)...)
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	return c, nil
}

func from(where string) string {
	if where == "" {
		return ""
	}
	return " (" + where + ")"
}

// names are the keys of a map in order.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// nearest suggests a name that was perhaps meant: the whole of it, or the last part of it.
func nearest(name string, known []string) string {
	name = strings.ToLower(name)
	best, at := "", len(name)/2+1
	for _, k := range known {
		low := strings.ToLower(k)
		d := distance(name, low)
		if last := low[strings.LastIndexByte(low, '.')+1:]; last != low {
			d = min(d, 1+distance(name, last))
		}
		if d < at {
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
