package detect_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
)

// TestVersions compares a memory with versions with copies of everything at each version.
func TestVersions(t *testing.T) {
	type version struct {
		mark   int
		values map[string]string
	}
	forgotten := 0
	for seed := range uint64(60) {
		d := newDice(seed)
		m := detect.NewVersions()
		now := monday().AddDate(1, 0, 0)
		m.Load("k0", []byte("loaded"), now)
		values := map[string]string{"k0": "loaded"}
		saved := maps.Clone(values)
		versions := []version{{0, maps.Clone(values)}}
		stored := func() {
			for _, r := range m.Changed() {
				if r.Value == nil {
					delete(saved, r.Key)
				} else {
					saved[r.Key] = string(bytes.Clone(r.Value))
				}
			}
			m.Saved()
			if diff := cmp.Diff(versions[0].values, saved); diff != "" {
				t.Fatalf("seed %d: what was saved is not the oldest version (-want +got):\n%s", seed, diff)
			}
			if n := len(m.Changed()); n > 0 {
				t.Fatalf("seed %d: %d keys have changed since everything was saved", seed, n)
			}
		}
		for range 400 {
			switch i := d.IntN(len(versions)); d.IntN(14) {
			default:
				key, value := fmt.Sprint("k", d.IntN(12)), fmt.Sprint("v", d.IntN(1_000_000))
				if err := m.Put(key, []byte(value), now); err != nil {
					t.Fatal(err)
				}
				values[key] = value
			case 0, 1:
				versions = append(versions, version{m.Mark(), maps.Clone(values)})
			case 2:
				if !m.Back(versions[i].mark) {
					t.Fatalf("seed %d: version %d is gone", seed, versions[i].mark)
				}
				values = maps.Clone(versions[i].values)
				versions = versions[:i+1]
			case 3:
				if i > 0 {
					forgotten++
					m.Forget(versions[i].mark)
					versions = append(versions[:i:i], versions[i+1:]...)
				}
			case 4:
				m.Settle(versions[i].mark)
				versions = versions[i:]
			case 5:
				stored()
			}
			for n := range 12 {
				key := fmt.Sprint("k", n)
				v, ok, err := m.Get(key)
				if want, there := values[key]; err != nil || ok != there || string(v) != want {
					t.Fatalf("seed %d: %s is %q %t %v, want %q %t", seed, key, v, ok, err, want, there)
				}
			}
			size := int64(0)
			for _, v := range values {
				size += int64(len(v))
			}
			if u := m.Usage(); u.Keys != len(values) || u.Bytes != size {
				t.Fatalf("seed %d: usage is %+v, want %d keys and %d bytes", seed, u, len(values), size)
			}
		}
		stored()
	}
	if forgotten < 100 {
		t.Errorf("%d versions were forgotten; the test tests too little", forgotten)
	}
}

// TestVersionsExpire is that a value is as none after its time at once, and is forgotten with the version that
// nothing can go back to before.
func TestVersionsExpire(t *testing.T) {
	m := detect.NewVersions()
	day := func(n int) time.Time { return monday().AddDate(0, 0, n) }
	m.Load("old", []byte("1"), day(1))
	m.Load("kept", []byte("2"), day(9))
	there := func() string {
		var s strings.Builder
		for _, key := range []string{"old", "kept"} {
			_, ok, err := m.Get(key)
			s.WriteString(fmt.Sprint(key, ok, err, " "))
		}
		return s.String()
	}
	m.Now(day(1))
	if got := there(); got != "oldtrue <nil> kepttrue <nil> " {
		t.Errorf("at its time: %s", got)
	}
	m.Now(day(1).Add(time.Second))
	if got := there(); got != "oldfalse <nil> kepttrue <nil> " {
		t.Errorf("after its time: %s", got)
	}
	m.Now(day(0)) // back
	if got := there(); got != "oldtrue <nil> kepttrue <nil> " {
		t.Errorf("before its time, again: %s", got)
	}
	m.Settle(m.Mark())
	m.Sweep(day(2))
	m.Sweep(day(2).Add(time.Hour))
	if diff := cmp.Diff([]detect.ProfileRow{{Key: "old"}}, m.Changed()); diff != "" || m.Usage().Keys != 1 {
		t.Errorf("what is to be saved after sweeping (-want +got):\n%s", diff)
	}
	m.Spoil("bad")
	if n := len(m.Changed()); n != 2 {
		t.Errorf("%d keys are to be saved, want those that are to be removed: 2", n)
	}
}

// TestKeysAreTexts: PostgreSQL stores no text with a zero in it. A key that has one would keep every checkpoint from
// being written.
func TestKeysAreTexts(t *testing.T) {
	m := detect.NewVersions()
	x := newEngine(t, packSet(t), m)
	events := madeUp(20, 5, 500)
	for i := range events {
		if _, err := x.Take(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	m.Settle(m.Mark())
	all := m.All()
	if len(all) < 20 {
		t.Fatalf("only %d keys; nothing is shown", len(all))
	}
	for _, p := range all {
		if !utf8.ValidString(p.Key) || strings.ContainsRune(p.Key, 0) {
			t.Errorf("%q is no text that can be stored", p.Key)
		}
	}
}
