package console

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// functions are what templates can call, in one language.
func (c *Console) functions(lang string) template.FuncMap {
	f := formatter{c, lang}
	return template.FuncMap{
		"t":        func(key string, pairs ...any) string { return c.catalogue.text(lang, key, pairs...) },
		"icon":     f.icon,
		"asset":    c.assets.Path,
		"htmx":     func() string { return HTMXConfig },
		"num":      func(n any) string { return number(lang, n) },
		"time":     f.time,
		"ago":      f.ago,
		"date":     f.date,
		"until":    f.until,
		"span":     spanWords,
		"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"initials": initials,
		"avatar":   avatar,
		"dict":     dict,
		"list":     func(items ...any) []any { return items },
		"join":     strings.Join,
		"in":       func(s string, among ...string) bool { return slices.Contains(among, s) },
		"query":    withQuery,
		"browser":  browserOf,
		"dots":     func() string { return strings.Repeat("•", 12) },
	}
}

type formatter struct {
	c    *Console
	lang string
}

// icon is one of the sprite's symbols, for the eye only.
func (f formatter) icon(name string, class ...string) template.HTML {
	classes := strings.Join(append([]string{"icon"}, class...), " ")
	return template.HTML(fmt.Sprintf(`<svg class="%s" aria-hidden="true"><use href="%s#i-%s"/></svg>`,
		template.HTMLEscapeString(classes), f.c.assets.Path("icons.svg"), template.HTMLEscapeString(name)))
}

// time is an exact time, UTC: the day only if it is not today's.
func (f formatter) time(t time.Time) template.HTML {
	if t.IsZero() {
		return template.HTML(template.HTMLEscapeString(f.c.catalogue.text(f.lang, "time.never")))
	}
	t = t.UTC()
	words := t.Format("15:04:05")
	if now := f.c.Now().UTC(); t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		words = f.date(t) + ", " + words
	}
	return element(t, words)
}

// ago is a time by its distance, up to a day; then it is exact.
func (f formatter) ago(t time.Time) template.HTML {
	if t.IsZero() {
		return template.HTML(template.HTMLEscapeString(f.c.catalogue.text(f.lang, "time.never")))
	}
	d := f.c.Now().Sub(t)
	switch {
	case d < 0 || d >= 24*time.Hour:
		return element(t, f.date(t)+", "+t.UTC().Format("15:04"))
	case d < 10*time.Second:
		return element(t, f.c.catalogue.text(f.lang, "time.now"))
	case d < time.Minute:
		return element(t, f.c.catalogue.text(f.lang, "time.seconds_ago", "Count", int(d/time.Second)))
	case d < time.Hour:
		return element(t, f.c.catalogue.text(f.lang, "time.minutes_ago", "Count", int(d/time.Minute)))
	}
	return element(t, f.c.catalogue.text(f.lang, "time.hours_ago", "Count", int(d/time.Hour)))
}

// until is a time to come, exact to the minute.
func (f formatter) until(t time.Time) template.HTML {
	t = t.UTC()
	words := t.Format("15:04")
	if now := f.c.Now().UTC(); t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		words = f.date(t) + ", " + words
	}
	return element(t, words)
}

var germanMonths = [...]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}

// date is a day: 10 Mar 2026, 10. März 2026.
func (f formatter) date(t time.Time) string {
	t = t.UTC()
	if f.lang == "de" {
		return fmt.Sprintf("%d. %s %d", t.Day(), germanMonths[t.Month()-1], t.Year())
	}
	return t.Format("2 Jan 2006")
}

func element(t time.Time, words string) template.HTML {
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s UTC">%s</time>`,
		t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05"), template.HTMLEscapeString(words)))
}

// number is a whole number as it is written in the language.
func number(lang string, n any) string {
	return message.NewPrinter(language.Make(lang)).Sprint(n)
}

// initials are one or two letters that stand for a person.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' })
	if len(words) == 0 {
		return "?"
	}
	var out strings.Builder
	for _, w := range []string{words[0], words[len(words)-1]}[:min(2, len(words))] {
		r, _ := utf8.DecodeRuneInString(w)
		out.WriteString(string(unicode.ToUpper(r)))
	}
	return out.String()
}

// avatar is one of four colours, always the same for one person.
func avatar(id string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return "avatar avatar--" + string("abcd"[h.Sum32()%4])
}

// dict makes a map of pairs, for the data of a part.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d arguments; it takes pairs of name and value", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: the name %v is not a text", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// retryAfter is delay-seconds of RFC 9110 §10.2.3.
func retryAfter(d time.Duration) string { return strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))) }

// browserOf says in a few words which browser a User-Agent is of, well enough to recognise one's own.
func browserOf(ua string) string {
	name := ""
	for _, b := range [...]struct{ mark, name string }{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	} {
		if strings.Contains(ua, b.mark) {
			name = b.name
			break
		}
	}
	for _, s := range [...]struct{ mark, name string }{
		{"Windows", "Windows"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	} {
		if name != "" && strings.Contains(ua, s.mark) {
			return name + ", " + s.name
		}
	}
	if name == "" && ua != "" {
		name, _, _ = strings.Cut(ua, " ")
	}
	return name
}
