package tally_test

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"holdfast/internal/tally"
)

type count struct {
	Name string
	N    int
}

// sheet is a tally of names, and what was written of it.
type sheet struct {
	*tally.Tally[string, count]
	written [][]count
	fail    error
}

func newSheet() *sheet {
	s := &sheet{}
	s.Tally = tally.New(tally.Options[string, count]{
		Name: "names", Log: slog.New(slog.DiscardHandler),
		Key:   func(c count) string { return c.Name },
		Merge: func(into *count, c count) { into.N += c.N },
		Order: func(a, b count) int { return cmp.Compare(a.Name, b.Name) },
		Write: func(_ context.Context, counts []count) error {
			if s.fail == nil {
				s.written = append(s.written, counts)
			}
			return s.fail
		},
	})
	return s
}

func TestFlush(t *testing.T) {
	s := newSheet()
	for _, c := range []count{{"b", 1}, {"a", 2}, {"b", 3}} {
		s.Add(c)
	}
	s.fail = errors.New("away")
	if err := s.Flush(t.Context()); !errors.Is(err, s.fail) {
		t.Errorf("a write that fails: %v", err)
	}
	s.fail = nil
	s.Add(count{"a", 10})
	for range 2 { // the second time there is nothing to write
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff([][]count{{{"a", 12}, {"b", 4}}}, s.written); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

// TestBound: other keys without end do not fill the memory, and those that are there go on being counted.
func TestBound(t *testing.T) {
	s := newSheet()
	for i := range 20_000 {
		s.Add(count{strings.Repeat("x", i%10) + string(rune(0x4e00+i)), 1})
	}
	first := string(rune(0x4e00))
	s.Add(count{first, 5})
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.written) != 1 || len(s.written[0]) != 10_000 {
		t.Fatalf("%d writes", len(s.written))
	}
	for _, c := range s.written[0] {
		if c.Name == first && c.N != 6 {
			t.Errorf("what was there already was counted %d times", c.N)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{"curl/8": "curl/", "a\x00b": "ab", "a\xffb": "ab", "abcdé": "abcd", "": ""} {
		if got := tally.Text(in, 5); got != want {
			t.Errorf("%q is stored as %q, want %q", in, got, want)
		}
	}
}
