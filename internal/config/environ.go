package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	envPrefix = "HOLDFAST_"
	envFile   = envPrefix + "CONFIG" // names the file, as --config does
)

// notSettings begin variables that are no settings: those of the test suite, and those in which the
// examples keep the credentials of a client.
var notSettings = []string{envPrefix + "TEST_", envPrefix + "CLIENT_"}

// serviceLink is a variable that Kubernetes sets in every pod of a namespace for a service whose name
// begins with "holdfast". Nobody wrote it, so it must not keep the server from starting.
var serviceLink = regexp.MustCompile(`^HOLDFAST_(?:\w+_)?(?:SERVICE_HOST=|SERVICE_PORT(?:_\w+)?=\d+$|PORT=(?:tcp|udp|sctp)://|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?=)`)

// variables picks what is meant for Holdfast.
func variables(environ []string) map[string]string {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if begins(envPrefix) && !serviceLink.MatchString(kv) && !slices.ContainsFunc(notSettings, begins) {
			vars[name] = value
		}
	}
	return vars
}

// fromVariables takes what is set by variables. What is left is unknown.
func fromVariables(all []field, vars map[string]string) (source, map[string]bool) {
	s, unknown := newSource(), map[string]bool{}
	for name := range vars {
		unknown[name] = name != envFile
	}
	for _, f := range all {
		if value, ok := vars[f.env()]; ok {
			s.values[f.key], s.where[f.key] = value, "the variable "+f.env()
			unknown[f.env()] = false
		}
	}
	return s, unknown
}

// refuseUnknown tells of the variables that are no settings, less the one that holds the master key.
func refuseUnknown(all []field, unknown map[string]bool, masterKey string) []error {
	if name, ok := strings.CutPrefix(masterKey, "env:"); ok {
		unknown[name] = false
	}
	known := map[string]bool{}
	for _, f := range all {
		known[f.env()] = true
	}
	var errs []error
	for _, name := range names(unknown) {
		if unknown[name] {
			errs = append(errs, fmt.Errorf("there is no variable %s%s", shownKey(name), nearest(name, names(known))))
		}
	}
	return errs
}
