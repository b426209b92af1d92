package console

import (
	"cmp"
	"html"
	"html/template"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/vault"
)

// maxHelpSearch bounds what is searched for, in bytes.
const maxHelpSearch = 100

// helpHit is a topic that was found.
type helpHit struct {
	*helpTopic
	Excerpt template.HTML // the sentence that says most about it, with what was looked for marked
}

// findHelp returns the topics that have every word of the search, the most fitting first. A word is found
// as a part of a longer one, too, since German builds such words.
func findHelp(chapters []helpNav, search string) []helpHit {
	words := wordsOf(search)
	if len(words) == 0 {
		return nil
	}
	type scored struct {
		helpHit
		score int
	}
	var found []scored
	for _, chapter := range chapters {
		for _, t := range chapter.Topics {
			if n := score(t, words); n > 0 {
				found = append(found, scored{helpHit{t, excerpt(t.Plain, words)}, n})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	hits := make([]helpHit, len(found))
	for i, f := range found {
		hits[i] = f.helpHit
	}
	return hits
}

// What a word counts, by where it is found.
const (
	inTitle   = 20 // at the beginning of a word of the title
	inText    = 2  // at the beginning of a word of the text
	within    = 1  // inside a word
	mostCount = 8  // what is said more often is not said better
)

// score is zero if a word is missing.
func score(t *helpTopic, words []string) int {
	title, text, sum := wordsOf(t.Title), wordsOf(t.Plain), 0
	for _, w := range words {
		n := 0
		for _, have := range title {
			if strings.HasPrefix(have, w) {
				n += inTitle
			} else if partOf(have, w) {
				n += inTitle / 2
			}
		}
		count := 0
		for _, have := range text {
			if strings.HasPrefix(have, w) {
				count += inText
			} else if partOf(have, w) {
				count += within
			}
		}
		n += min(count, mostCount)
		if n == 0 {
			return 0
		}
		sum += n
	}
	return sum
}

// partOf reports whether the word is inside the other, and long enough to mean something.
func partOf(have, w string) bool { return utf8.RuneCountInString(w) >= 4 && strings.Contains(have, w) }

// wordsOf are the words of a text, folded, without what does not tell them apart.
func wordsOf(s string) []string {
	words := strings.FieldsFunc(vault.Key(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
	return words
}

// longestExcerpt is in runes.
const longestExcerpt = 220

// excerpt is the sentence with the most of the words, else the first.
func excerpt(text string, words []string) template.HTML {
	best, most := "", -1
	for _, sentence := range sentences(text) {
		n := 0
		have := wordsOf(sentence)
		for _, w := range words {
			if slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, w) || partOf(h, w) }) {
				n++
			}
		}
		if n > most {
			best, most = sentence, n
		}
	}
	if utf8.RuneCountInString(best) > longestExcerpt {
		best = strings.TrimSpace(string([]rune(best)[:longestExcerpt])) + "…"
	}
	return marked(best, words)
}

// sentences splits at full stops and the like that a space follows.
func sentences(text string) []string {
	var out []string
	start := 0
	for i, r := range text {
		if (r == '.' || r == ':' || r == '\n') && i+1 < len(text) && (text[i+1] == ' ' || r == '\n') {
			if s := strings.TrimSpace(text[start : i+1]); s != "" {
				out = append(out, s)
			}
			start = i + 1
		}
	}
	if s := strings.TrimSpace(text[start:]); s != "" {
		out = append(out, s)
	}
	return out
}

// marked escapes the text and marks the words that were looked for.
func marked(text string, words []string) template.HTML {
	var b strings.Builder
	for len(text) > 0 {
		end := strings.IndexFunc(text, func(r rune) bool { return !letterLike(r) })
		if end == 0 {
			end = strings.IndexFunc(text, letterLike)
			if end < 0 {
				end = len(text)
			}
			b.WriteString(template.HTMLEscapeString(text[:end]))
			text = text[end:]
			continue
		}
		if end < 0 {
			end = len(text)
		}
		word, folded := text[:end], vault.Key(text[:end])
		if slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(folded, w) || partOf(folded, w) }) {
			b.WriteString("<mark>" + template.HTMLEscapeString(word) + "</mark>")
		} else {
			b.WriteString(template.HTMLEscapeString(word))
		}
		text = text[end:]
	}
	return template.HTML(b.String())
}

func letterLike(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// textOf is the text of our own markup: one line for each block, references resolved.
func textOf(markup string) string {
	var b strings.Builder
	for len(markup) > 0 {
		text, rest, ok := strings.Cut(markup, "<")
		b.WriteString(text)
		if !ok {
			break
		}
		tag, after, _ := strings.Cut(rest, ">")
		switch strings.TrimPrefix(tag, "/") {
		case "p", "li", "h2", "pre", "dt", "dd":
			b.WriteString("\n")
		}
		markup = after
	}
	lines := strings.Split(html.UnescapeString(b.String()), "\n")
	out := lines[:0]
	for _, l := range lines {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// cut bounds a text, in bytes, at a whole character.
func cut(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }
