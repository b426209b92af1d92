package detect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/internal/detect"
)

// TestBounds: what is made to be costly is refused, or costs little all the same.
func TestBounds(t *testing.T) {
	rule := func(detection string) string {
		return "title: T\nlogsource: {product: test}\ndetection:\n" + detection
	}
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, text, want string // want is part of the first fault; empty: it loads
	}{
		{"large", strings.Repeat("# x\n", 70_000), "262144 are allowed"},
		{"deep", rule("  a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n  condition: a"), "deep"},
		{"deep-blocks", rule("  a:\n" + deepBlocks(300)), "deep"},
		{"values", rule("  a:\n    x|contains:\n" + many(15_000, "      - v%d\n") + "  condition: a\n"), ""},
		{"too-many-values", rule("  a:\n    x: [" + many(25_000, "%d, ") + "]\n  condition: a\n"), "20000 values"},
		{"searches", rule(many(2000, "  s%d: {x: 1}\n") + "  condition: " + strings.Repeat("1 of s* or ", 200) + "all of s*\n"), "written out"},
		{"condition", rule("  a: {x: 1}\n  condition: " + strings.Repeat("a or ", 900) + "a\n"), "4096 are allowed"},
		{"long-condition", rule("  a: {x: 1}\n  b: {y: 1}\n  condition: " + strings.Repeat("a or not b or ", 250) + "b\n"), "holds for every event"},
		{"parentheses", rule("  a: {x: 1}\n  condition: " + strings.Repeat("not (", 400) + "a" + strings.Repeat(")", 400) + "\n"), "32 levels"},
		{"documents", many(300, "title: T%d\n---\n"), ""},
		{"faults", rule(many(500, "  s%d: {x|contains: ''}\n") + "  condition: 1 of s*\n"), "an empty text"},
		{"regexps", rule("  a:\n    x|re:\n" + many(150, "      - 'a%d'\n") + "  condition: a\n"), "100 regular expressions"},
		{"regexp", rule("  a: {x|re: '" + strings.Repeat("(a*)*", 300) + "'}\n  condition: a\n"), "1024 are allowed"},
		{"regexp-repeats", rule("  a: {x|re: '((a{500}){500}){500}'}\n  condition: a\n"), "cannot be used"},
		{"alternatives", rule("  a:\n" + many(400, "    - {x: [a%d, b], y: c}\n") + "  condition: a\n"), ""},
		{"aliases", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", "an anchor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			rules, faults := detect.Parse("r.yml", []byte(c.text))
			_, err := detect.Compile(rules, anyFields(), nil)
			if err != nil {
				faults = append(faults, detect.Fault{Text: err.Error()})
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			switch {
			case c.name == "documents":
				if len(faults) == 0 {
					t.Error("300 documents without detection loaded")
				}
			case c.want == "" && len(faults) > 0:
				t.Errorf("refused: %v", faults[0])
			case c.want != "" && (len(faults) == 0 || !strings.Contains(faults[0].Text, c.want)):
				t.Errorf("%v\nwant a fault that says %q", faults, c.want)
			}
			if len(faults) > 52 {
				t.Errorf("%d faults are reported, want a few", len(faults))
			}
		})
	}
}

func deepBlocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", 4+i) + "k:\n")
	}
	return b.String() + strings.Repeat(" ", 4+n) + "k: v\n"
}
