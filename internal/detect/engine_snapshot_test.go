package detect_test

import (
	"bytes"
	"fmt"
	"slices"
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
