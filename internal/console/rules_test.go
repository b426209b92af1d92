package console

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
)

func TestHighlight(t *testing.T) {
	for name, tt := range map[string]struct {
		line string
		want []sourcePart
	}{
		"key_and_text":   {`title: "a # b" # note`, []sourcePart{{"key", "title:"}, {"text", ` "a # b" `}, {"note", "# note"}}},
		"list_of_keys":   {"  - field: 12m", []sourcePart{{"", "  - "}, {"key", "field:"}, {"text", " 12m"}}},
		"key_alone":      {"detection:", []sourcePart{{"key", "detection:"}}},
		"modifier":       {"  user.name|contains: x", []sourcePart{{"", "  "}, {"key", "user.name|contains:"}, {"", " x"}}},
		"plain":          {"  several words: none", []sourcePart{{"", "  several words: none"}}},
		"hash_in_word":   {"x: a#b", []sourcePart{{"key", "x:"}, {"", " a#b"}}},
		"truth":          {"x: false", []sourcePart{{"key", "x:"}, {"text", " false"}}},
		"markup_is_text": {"x: <script>", []sourcePart{{"key", "x:"}, {"", " <script>"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := highlight(tt.line)
			if diff := cmp.Diff([]sourceLine{{Number: 1, Parts: tt.want}}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Nothing of a text is lost or added, whatever it holds.
func TestHighlightKeepsText(t *testing.T) {
	const text = "a: 1\n\n# note\n  - 'x: # no'\n\tb\n\"open: # quote\nähnlich: # ü\n"
	var b strings.Builder
	for i, l := range highlight(text) {
		if l.Number != i+1 {
			t.Errorf("line %d has the number %d", i+1, l.Number)
		}
		for _, p := range l.Parts {
			b.WriteString(p.Text)
		}
		b.WriteString("\n")
	}
	if diff := cmp.Diff(text, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAttackPage(t *testing.T) {
	for tag, want := range map[string]string{
		"attack.t1110":             "https://attack.mitre.org/techniques/T1110/",
		"attack.t1110.003":         "https://attack.mitre.org/techniques/T1110/003/",
		"attack.g0016":             "https://attack.mitre.org/groups/G0016/",
		"attack.s0002":             "https://attack.mitre.org/software/S0002/",
		"attack.credential-access": "",
		"attack.t":                 "",
		"attack.t11/../x":          "",
		"cve.2024-1":               "",
	} {
		if got := attackPage(tag); got != want {
			t.Errorf("%s leads to %q, want %q", tag, got, want)
		}
	}
}

func TestThresholdWords(t *testing.T) {
	for want, th := range map[string]detect.Threshold{
		"≥ 10":     {Min: 10, Max: math.MaxInt64},
		"= 3":      {Min: 3, Max: 3},
		"3–8":      {Min: 3, Max: 8},
		"≥ 1, ≠ 4": {Min: 1, Max: math.MaxInt64, Not: []int64{4}},
		"":         {},
	} {
		if got := thresholdWords(th); got != want {
			t.Errorf("%+v is %q, want %q", th, got, want)
		}
	}
}

func TestBars(t *testing.T) {
	now := time.Date(2026, 3, 10, 14, 24, 0, 0, time.UTC)
	if got := barsOf([]int{0, 0}, now); got != nil {
		t.Errorf("of nothing there is %+v", got)
	}
	day := func(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }
	want := &dayBars{
		Width: 30, Total: 101, Peak: 100, PeakDay: day(8), From: day(8), To: day(10),
		Bars: []dayBar{{X: 1, Y: 4, Height: 46}, {X: 21, Y: 47, Height: 3, Now: true}},
	}
	if diff := cmp.Diff(want, barsOf([]int{100, 0, 1}, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMentions(t *testing.T) {
	const text = "holdfast.people_address_24h|gte: 3\nholdfast.known_device: false"
	for name, want := range map[string]bool{
		"holdfast.known_device": true, "holdfast.people_address_24h": true, "holdfast.people_address_2": false, "holdfast.known": false, "holdfast.mfa_share": false,
	} {
		if got := mentions(text, name); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
}
