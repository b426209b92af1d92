package detect_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/signals"
)

// story is a random stream about few people and addresses, with many events of one time.
func story(d dice, n int) (all []signals.Event) {
	for i := range n {
		email := pick(d, "a@example.com", "b@example.com", "c@example.com")
		e := signIn(fmt.Sprintf("e%03d", i), email, monday().Add(time.Duration(d.IntN(n*4))*15*time.Second))
		e.Src.IP = pick(d, "192.0.2.1", "192.0.2.2", "203.0.113.9")
		e.Session = pick(d, "", "s1", "s2")
		if d.IntN(3) > 0 {
			e = fail(e, signals.BadCredentials)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b signals.Event) int { return detect.Earlier(&a, &b) })
	return all
}

func snapshotOf(t testing.TB, x *detect.Engine) []byte {
	t.Helper()
	b, err := x.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func results(lines []string, res detect.Result) []string {
	for _, f := range res.Begun {
		lines = append(lines, "begun "+f.ID+" "+plain([]detect.Found{f})[0])
	}
	for _, g := range res.Grown {
		lines = append(lines, fmt.Sprintf("grown %s %d %s", g.ID, g.Count, g.Last))
	}
	for _, f := range res.Ended {
		lines = append(lines, "ended "+f.ID+" "+plain([]detect.Found{f})[0]+fmt.Sprint(f.Features))
	}
	return lines
}

// TestSnapshot is that an engine which is restored, in another process or to go back, does what it would have
// done.
func TestSnapshot(t *testing.T) {
	set := compile(t, several, nil)
	restored := 0
	for seed := range uint64(40) {
		d := newDice(seed)
		events := story(d, 150)
		build := func(m detect.Memory) *detect.Engine {
			x, err := detect.NewEngine(detect.Config{Set: set, Memory: m, AllFeatures: seed%2 == 0})
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		take := func(x *detect.Engine, i int) []string {
			res, err := x.Take(&events[i])
			if err != nil {
				t.Fatal(err)
			}
			return results(nil, res)
		}
		var want, got []string
		whole := build(detect.NewVersions())
		m := detect.NewVersions()
		x := build(m)
		back, mark, snapshot, length := 0, m.Mark(), snapshotOf(t, x), 0
		for i := range events {
			want = append(want, take(whole, i)...)
		}
		for i, leaps := 0, 0; i < len(events); i++ {
			got = append(got, take(x, i)...)
			switch d.IntN(12) {
			case 0: // another process
				before := snapshotOf(t, x)
				x = build(m)
				if err := x.Restore(before); err != nil {
					t.Fatal(err)
				}
				if again := snapshotOf(t, x); !bytes.Equal(before, again) {
					t.Fatalf("seed %d: what was restored is written in another way", seed)
				}
				restored++
			case 1:
				back, mark, snapshot, length = i+1, m.Mark(), snapshotOf(t, x), len(got)
			case 2:
				if leaps++; leaps > 10 || !m.Back(mark) {
					continue
				}
				if err := x.Restore(snapshot); err != nil {
					t.Fatal(err)
				}
				i, got = back-1, got[:length]
			}
		}
		for _, engine := range []*detect.Engine{whole, x} {
			res, err := engine.Finish()
			if err != nil {
				t.Fatal(err)
			}
			if engine == whole {
				want = results(want, res)
			} else {
				got = results(got, res)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-uninterrupted +restored):\n%s", seed, diff)
		}
	}
	if restored < 100 {
		t.Errorf("restored %d times; the test tests too little", restored)
	}
}

// TestRestoreRefuses is what no Snapshot gave.
func TestRestoreRefuses(t *testing.T) {
	set := compile(t, several, nil)
	x := newEngine(t, set, detect.NewVersions())
	events := story(newDice(1), 100)
	for i := range events {
		if _, err := x.Take(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	whole := snapshotOf(t, x)
	for name, snapshot := range map[string][]byte{
		"nothing": nil, "version": {9}, "longer": append(bytes.Clone(whole), 0), "cut": whole[:len(whole)-1], "half": whole[:len(whole)/2],
	} {
		if err := x.Restore(snapshot); err == nil {
			t.Errorf("%s is restored", name)
		}
	}
	if !bytes.Equal(whole, snapshotOf(t, x)) {
		t.Error("what is refused has changed the engine")
	}
}

// TestRestoreOtherRules is that what belongs to rules that have changed is dropped, and the rest kept, whatever
// the order of the rules.
func TestRestoreOtherRules(t *testing.T) {
	documents := strings.Split(several, "---\n")
	slices.Reverse(documents)
	for i, d := range documents {
		documents[i] = strings.TrimSuffix(d, "\n") + "\n"
	}
	other := compile(t, strings.Replace(strings.Join(documents, "---\n"), "condition: {gte: 3}", "condition: {gte: 2}", 1), nil)
	m := detect.NewVersions()
	x := newEngine(t, compile(t, several, nil), m)
	events := append(habits("ann@example.com", 20), burst()...)
	half := len(events) - 2
	for i := range events[:half] {
		if _, err := x.Take(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	y := newEngine(t, other, m)
	if err := y.Restore(snapshotOf(t, x)); err != nil {
		t.Fatal(err)
	}
	var found []detect.Found
	for res, err := range y.Run(t.Context(), slices.Values(events[half:])) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, res.Ended...)
	}
	detect.OrderFound(found)
	got := plain(found)
	want := []string{ // many has no events from before, so there is nothing to be followed by a success
		"failure ann@example.com 203.0.113.5 09:00:00+2m0s x4 [f0 f1 f2 f3] ",
		"new_address ann@example.com 203.0.113.5 09:00:00+5m0s x5 [f0 f1 f2 f3 in] ",
		"two ann@example.com 203.0.113.5 09:00:40+1m20s x2 [f0 f1 f2 f3] ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// FuzzRestore is that no text does worse than an error, and that what is restored is written the same again.
func FuzzRestore(f *testing.F) {
	set := compile(f, several, nil)
	x := newEngine(f, set, detect.NewVersions())
	events := story(newDice(2), 60)
	for i := range events {
		if i%20 == 0 {
			f.Add(snapshotOf(f, x))
		}
		if _, err := x.Take(&events[i]); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(snapshotOf(f, x))
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		x := newEngine(t, set, detect.NewVersions())
		if x.Restore(snapshot) != nil {
			return
		}
		first := snapshotOf(t, x)
		if err := x.Restore(first); err != nil {
			t.Fatalf("what was written is not restored: %v", err)
		}
		if !bytes.Equal(first, snapshotOf(t, x)) {
			t.Error("what was restored is written in another way")
		}
		late := signIn("last", "a@example.com", monday().AddDate(0, 0, 2))
		if _, err := x.Take(&late); err != nil {
			t.Error(err)
		}
		if _, err := x.Finish(); err != nil {
			t.Error(err)
		}
	})
}
