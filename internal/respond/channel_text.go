package respond

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
)

// Texts of events were written by whoever made the event, which may be the attacker. Before such a text is put into
// a message it becomes one line of characters that can be seen, in the order in which they are read. Media get it where
// they look for no markup (rich text of Slack, text runs of Adaptive Cards), or escaped (html/template, [slackText]).

const (
	mostMarks = 3 // accents on one letter; more of them are drawn over the lines around

	isolate    = '\u2068' // FIRST STRONG ISOLATE
	endIsolate = '\u2069' // POP DIRECTIONAL ISOLATE
)

// plain makes a text one line of at most n characters: control characters and line breaks become spaces; what has
// no shape, or turns the direction of reading (U+202E and the like), is left out.
func plain(s string, n int) string {
	var b strings.Builder
	count, marks, space := 0, 0, false
	for _, r := range s { // bytes that are no UTF-8 come as U+FFFD
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			space = true
			continue
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r):
			if marks++; marks > mostMarks {
				continue
			}
		case !unicode.IsPrint(r) && r != utf8.RuneError:
			continue
		default:
			marks = 0
		}
		if space && b.Len() > 0 {
			if count++; count < n {
				b.WriteByte(' ')
			}
		}
		space = false
		if count++; count > n {
			return strings.TrimSpace(b.String()) + "…"
		}
		b.WriteRune(r)
	}
	return b.String()
}

// inline is plain for a text that stands inside a sentence: one that is read from right to left is kept from turning
// what stands beside it.
func inline(s string, n int) string {
	s = plain(s, n)
	for _, r := range s {
		p, _ := bidi.LookupRune(r)
		if c := p.Class(); c == bidi.R || c == bidi.AL || c == bidi.AN {
			return string(isolate) + s + string(endIsolate)
		}
	}
	return s
}

// slackText escapes what Slack reads in every text, even where formatting is off: the three characters of which links
// and mentions are made.
func slackText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// cardText takes its meaning from what Adaptive Cards look for in every text, such as {{DATE(…)}}.
func cardText(s string) string { return strings.ReplaceAll(s, "{", "{\u200b") }

// cut is at most n bytes of a text, whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
