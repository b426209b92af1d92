package respond

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"holdfast/internal/detect"
)

//go:embed playbooks/*.yml
var shipped embed.FS

// ShippedPlaybooks are those that Holdfast comes with, in order of their files. None is enforced until somebody says so.
func ShippedPlaybooks() ([]*Playbook, error) {
	files, err := fs.Sub(shipped, "playbooks")
	if err != nil {
		return nil, fmt.Errorf("shipped playbooks: %w", err)
	}
	return ReadPlaybooks(files)
}

// ReadPlaybooks parses all files below fsys that end in .yml or .yaml, in order of their names. The error is
// [detect.Faults], with the playbooks that are good beside it, or what kept a file from being read.
func ReadPlaybooks(fsys fs.FS) ([]*Playbook, error) {
	var all []*Playbook
	var faults detect.Faults
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ext := path.Ext(name); d.IsDir() || ext != ".yml" && ext != ".yaml" {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		playbooks, err := ParsePlaybooks(name, text)
		found, ok := errors.AsType[detect.Faults](err)
		if err != nil && !ok {
			return err
		}
		all, faults = append(all, playbooks...), append(faults, found...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read playbooks: %w", err)
	}
	if len(faults) > 0 {
		return all, faults
	}
	return all, nil
}

// Known is what there is outside playbooks. What is nil is not looked at.
type Known struct {
	Rules    []string // keys
	Targets  []string // without LocalTarget
	Channels []string
}

// CheckPlaybooks says what is wrong about playbooks together, and about what they name: two of one name, and rules,
// targets and channels that there are not. The error is [detect.Faults].
func CheckPlaybooks(all []*Playbook, known Known) error {
	var faults detect.Faults
	bad := func(p *Playbook, at place, format string, args ...any) {
		faults = append(faults, detect.Fault{File: p.File, Line: at.line, Column: at.column, Text: fmt.Sprintf(format, args...)})
	}
	first := map[string]*Playbook{}
	names := map[string][]string{"rule": known.Rules, "target": known.Targets, "channel": known.Channels}
	for _, p := range all {
		if other := first[p.Name]; other != nil {
			bad(p, p.places.name, "a playbook called %s is in %s:%d already; names must differ", p.Name, other.File, other.Line)
		} else {
			first[p.Name] = p
		}
		for _, w := range p.places.words {
			if list := names[w.what]; list != nil && !slices.Contains(list, w.name) {
				bad(p, w.at, "there is no %s %s%s", w.what, detect.Shown(w.name), hintOf(w.name, list))
			}
		}
		for _, c := range p.Tests {
			rule, _ := c.Given.Finding["rule"].(string)
			if known.Rules != nil && !slices.Contains(known.Rules, rule) && !slices.Contains(p.On.Rules, rule) {
				bad(p, place{c.Line, 0}, "there is no rule %s%s", detect.Shown(rule), detect.Meant(rule, known.Rules))
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return faults.Sorted()
}

// hintOf is the nearest name, or all of them where they are few.
func hintOf(written string, known []string) string {
	switch hint := detect.Meant(written, known); {
	case hint != "":
		return hint
	case len(known) == 0:
		return "; there is none at all"
	case len(known) <= 12:
		return "; there are " + strings.Join(known, ", ")
	default:
		return ""
	}
}
