package detect_test

import (
	"testing"

	"holdfast/internal/detect"
)

// TestPatterns compares all patterns of up to four characters with regular expressions, on all texts.
func TestPatterns(t *testing.T) {
	n := newNaive(t, nil)
	texts := words("ab", 5)
	for _, written := range words(`ab*?\`, 4) {
		re := n.regexp(`(?is)\A(?:` + naivePattern(written) + `)\z`)
		for _, text := range texts {
			if got, want := detect.PatternMatches(written, text), re.MatchString(text); got != want {
				t.Fatalf("pattern %q, text %q: %t, the regular expression says %t", written, text, got, want)
			}
		}
	}
	for _, c := range []struct {
		written, text string
		want          bool
	}{
		{"ab*b?b", "abab", false}, // what stands before the star is not used again behind it
		{"ab*b?b", "abxbab", true},
		{"a?*?c*?", "abbcd", true},
		{"*?", "", false},
		{"?", "日", true},
		{"*日?語*", "x日本語y", true},
	} {
		if got := detect.PatternMatches(c.written, c.text); got != c.want {
			t.Errorf("pattern %q, text %q: %t, want %t", c.written, c.text, got, c.want)
		}
	}
}

// words are all texts of up to n of these characters.
func words(letters string, n int) []string {
	all, last := []string{""}, []string{""}
	for range n {
		var next []string
		for _, w := range last {
			for _, r := range letters {
				next = append(next, w+string(r))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"Ab1", "aB1"}, {"\u212A", "k"}, {"ſ", "S"}, {"ẞ", "ß"}, {"Σ", "ς"}, {"σ", "ς"}, {"Ǆ", "ǅ"}, {"É", "é"},
	} {
		if detect.Fold(c.a) != detect.Fold(c.b) {
			t.Errorf("%q and %q fold to %q and %q", c.a, c.b, detect.Fold(c.a), detect.Fold(c.b))
		}
	}
	for _, c := range []struct{ a, b string }{{"ß", "ss"}, {"İ", "i"}, {"ı", "i"}, {"é", "e"}} {
		if detect.Fold(c.a) == detect.Fold(c.b) {
			t.Errorf("%q and %q fold to the same", c.a, c.b)
		}
	}
}
