package detect

import (
	"strings"
	"unicode/utf8"
)

// pattern is a Sigma text value: characters, * for any number of any, ? for one of any.
//
// A backslash takes the meaning from *, ? and itself; before anything else it is a backslash.
type pattern struct {
	// parts are what stands between the stars. With no star there is one part and it is the whole text.
	parts []string
	// starts and ends say that the text must begin with the first part and end with the last one.
	starts, ends bool
	// runes is the whole pattern where it has a ?, in which case parts is not used.
	runes []rune
}

const (
	one  rune = -1 // ?
	many rune = -2 // *
)

// tokens reads the written form.
func tokens(written string) []rune {
	out := make([]rune, 0, len(written))
	escaped := false
	for _, r := range written {
		special := r == '*' || r == '?' || r == '\\'
		switch {
		case escaped && special:
			out = append(out, r)
			escaped = false
			continue
		case escaped:
			out = append(out, '\\')
			escaped = false
		}
		switch r {
		case '\\':
			escaped = true
		case '*':
			out = append(out, many)
		case '?':
			out = append(out, one)
		default:
			out = append(out, r)
		}
	}
	if escaped {
		out = append(out, '\\')
	}
	return out
}

// newPattern reads the written form; before and after add a star there; folded makes it one for folded texts.
func newPattern(written string, before, after, folded bool) pattern {
	ts := tokens(written)
	if before {
		ts = append([]rune{many}, ts...)
	}
	if after {
		ts = append(ts, many)
	}
	if folded {
		for i, r := range ts {
			if r >= 0 {
				ts[i] = foldRune(r)
			}
		}
	}
	p := pattern{starts: true, ends: true}
	var part strings.Builder
	hasOne := false
	for i, r := range ts {
		switch r {
		case one:
			hasOne = true
		case many:
			p.starts = p.starts && i > 0
			p.ends = i < len(ts)-1
			if part.Len() > 0 {
				p.parts = append(p.parts, part.String())
				part.Reset()
			}
			continue
		default:
			p.ends = true
		}
		part.WriteRune(max(r, 0))
	}
	if part.Len() > 0 || len(ts) == 0 {
		p.parts = append(p.parts, part.String())
	}
	if hasOne {
		p.parts, p.runes = nil, ts
	}
	return p
}

// exact is the one text that the pattern matches, if there is only one.
func (p pattern) exact() (string, bool) {
	if p.runes == nil && p.starts && p.ends && len(p.parts) == 1 {
		return p.parts[0], true
	}
	return "", false
}

// everything reports whether the pattern matches every text.
func (p pattern) everything() bool {
	if p.runes == nil {
		return len(p.parts) == 0
	}
	return false
}

func (p pattern) match(s string) bool {
	if p.runes != nil {
		return matchRunes(p.runes, s)
	}
	parts := p.parts
	if len(parts) == 1 && p.starts && p.ends {
		return s == parts[0]
	}
	if p.starts {
		if !strings.HasPrefix(s, parts[0]) {
			return false
		}
		s, parts = s[len(parts[0]):], parts[1:]
	}
	last := ""
	if p.ends && len(parts) > 0 {
		last = parts[len(parts)-1]
		if !strings.HasSuffix(s, last) {
			return false
		}
		s, parts = s[:len(s)-len(last)], parts[:len(parts)-1]
	}
	// Leftmost is best: what a part leaves to those behind it cannot be more.
	for _, part := range parts {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// matchRunes goes back to the last star only, so that it takes no more than len(p)*len(s) steps.
func matchRunes(p []rune, s string) bool {
	i, pi := 0, 0
	star, again := -1, 0
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case pi < len(p) && p[pi] == many:
			star, again = pi, i
			pi++
		case pi < len(p) && (p[pi] == one || p[pi] == r):
			pi++
			i += size
		case star >= 0:
			_, step := utf8.DecodeRuneInString(s[again:])
			again += step
			i, pi = again, star+1
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == many {
		pi++
	}
	return pi == len(p)
}
