package detect_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

func TestMapMemory(t *testing.T) {
	m := detect.NewMemory()
	value := []byte("one")
	if err := m.Put("a", value, monday().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	if err := m.Put("b", []byte("two"), monday().Add(72*time.Hour)); err != nil {
		t.Fatal(err)
	}
	get := func(key string) string {
		v, ok, err := m.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %t", v, ok)
	}
	if got := get("a"); got != "one true" {
		t.Errorf("a is %s: a copy is kept, whatever becomes of what was given", got)
	}
	m.Expire(monday())
	m.Expire(monday().Add(30 * time.Minute))
	if got := get("a"); got != "one true" {
		t.Errorf("a is %s before its time", got)
	}
	m.Expire(monday().Add(48 * time.Hour))
	if got := get("a") + ", " + get("b"); got != " false, two true" {
		t.Errorf("a, b are %s after the time of a", got)
	}
	if diff := cmp.Diff(detect.Usage{Keys: 1, Largest: 2, Bytes: 3}, m.Usage()); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

// brokenMemory fails at the nth question.
type brokenMemory struct {
	*detect.MapMemory
	after int
}

var errBroken = errors.New("the disk is full")

func (m *brokenMemory) Get(key string) ([]byte, bool, error) {
	if m.after--; m.after < 0 {
		return nil, false, errBroken
	}
	return m.MapMemory.Get(key)
}

func (m *brokenMemory) Put(key string, value []byte, until time.Time) error {
	if m.after--; m.after < 0 {
		return errBroken
	}
	return m.MapMemory.Put(key, value, until)
}

// TestBrokenMemory is that no failure of the memory is passed over, whichever question it is at.
func TestBrokenMemory(t *testing.T) {
	set := compile(t, newCountry, nil)
	events := habits("ann@example.com", 3)
	for after := range 60 {
		m := &brokenMemory{detect.NewMemory(), after}
		x := newEngine(t, set, m)
		var last error
		for _, err := range x.Run(t.Context(), slices.Values(events)) {
			last = err
		}
		if (m.after < 0) != errors.Is(last, errBroken) {
			t.Errorf("with a failure at question %d the error is %v", after, last)
		}
	}
}

// TestDamagedMemory is that what cannot have been written is an error, and a version that is not known is
// as nothing.
func TestDamagedMemory(t *testing.T) {
	m := detect.NewMemory()
	e := habits("ann@example.com", 1)[0]
	probe := detect.NewFeatureProbe(m, nil)
	if _, err := probe.Take(&e); err != nil {
		t.Fatal(err)
	}
	keys := detect.Keys(m)
	if len(keys) < 4 {
		t.Fatalf("the keys are %q, want those of a person, an address, a network and a session", keys)
	}
	for _, key := range keys {
		whole, _, _ := m.Get(key)
		whole = bytes.Clone(whole)
		for name, value := range map[string][]byte{"cut": whole[:len(whole)-1], "longer": append(bytes.Clone(whole), 7), "version": {99, 1, 2}, "empty": {}} {
			if err := m.Put(key, value, e.Time); err != nil {
				t.Fatal(err)
			}
			_, err := detect.NewFeatureProbe(m, nil).Take(&e)
			if bad := name == "cut" || name == "longer"; bad != (err != nil) && key[0] != 'd' && key[0] != 'g' {
				t.Errorf("%s of %q: the error is %v", name, key, err)
			}
			if err := m.Put(key, whole, e.Time); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// FuzzProfiles is that no value in the memory does worse than an error, and that what can be read is
// written the same again.
func FuzzProfiles(f *testing.F) {
	m := detect.NewMemory()
	probe := detect.NewFeatureProbe(m, nil)
	for _, e := range append(habits("ann@example.com", 5), fail(signIn("f", "bob@example.com", monday()), signals.MFAFailed)) {
		if _, err := probe.Take(&e); err != nil {
			f.Fatal(err)
		}
	}
	for _, key := range detect.Keys(m) {
		v, _, _ := m.Get(key)
		f.Add(bytes.Clone(v))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if err := detect.RewriteProfiles(value); err != nil {
			t.Error(err)
		}
	})
}
