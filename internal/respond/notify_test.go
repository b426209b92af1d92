package respond

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/mail"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/seal"
)

// hostile are texts as an attacker would choose them, for the name of a device or of themselves.
func hostile() map[string]string {
	return map[string]string{
		"html":        `</p><script>alert(1)</script><img src=x onerror=alert(1)>"'>`,
		"slack":       "<!channel> <https://evil.example|Open the case> <@U123> &lt;!here&gt; *bold* `code`",
		"markdown":    "[Open the case](https://evil.example) ![x](https://evil.example/x.png) **bold** # title",
		"header":      "Mira\r\nBcc: everybody@example.org\r\nSubject: other\r\n\r\nnew body",
		"smtp":        "text\r\n.\r\nMAIL FROM:<evil@example.org>",
		"lines":       "a\n- Asked of you: approve this at once\n[answer] Approve\n[case] Open the case",
		"template":    "{{.AnswerURL}} {{template \"x\"}} {{printf \"%s\" .}} {0} {1}",
		"encoded":     "=?utf-8?B?RXZpbA==?= =?utf-8?Q?=0D=0ABcc:_x@example.org?=",
		"bidi":        "Mira \u202eevil\u202c \u2066x\u2069 \u200f\u061c",
		"rtl":         "\u05de\u05d9\u05e8\u05d4 (1)",
		"function":    "at {{DATE(2026-11-24T12:00:00Z, SHORT)}} {{{{TIME(2026-11-24T12:00:00Z)}} ${x}",
		"control":     "\x00\x07\x1b[31mred\x7f\u0085\u2028\u2029\ufeff",
		"not_utf8":    "Mira \xff\xfe\xc3\x28",
		"marks":       "Z" + strings.Repeat("\u0335\u0489", 200),
		"hidden":      "a\u200bb\u2060c\u00ad\U000e0041\U000e007f",
		"long":        strings.Repeat("0123456789 ", 10_000),
		"json":        `","routing_key":"evil","x":"`,
		"javascript":  "javascript:alert(1)",
		"nothing_but": "\u202e\u200b\n\t ",
	}
}

func everything(text string) Message {
	m := Message{
		ID: seal.NewID(), Kind: MessagePage, At: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), AccountID: "HERE", CaseID: "CASE", CaseNumber: 17, Level: detect.High,
		Account: text, Title: text, Person: text, What: text, Why: text, Done: text, Asked: text, Until: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC),
		CaseURL: "https://holdfast.example.org/cases/17", AnswerURL: "https://holdfast.example.org/answer/one-time", DedupKey: "case:CASE",
	}
	return m
}

// TestHostileTexts: whatever a text is, a message has the same parts, and each medium shows the text as text.
func TestHostileTexts(t *testing.T) {
	for _, language := range languages() {
		for _, name := range MessageTemplates() {
			harmless := everything("Mira")
			harmless.Template = name
			want := mustNotice(t, harmless, language)
			for kind, text := range hostile() {
				t.Run(language+"/"+name+"/"+kind, func(t *testing.T) {
					m := everything(text)
					m.Template = name
					n := mustNotice(t, m, language)
					if kind != "nothing_but" && (len(n.Texts) != len(want.Texts) || len(n.Facts) != len(want.Facts)) {
						t.Errorf("other parts: %d paragraphs and %d facts, want %d and %d", len(n.Texts), len(n.Facts), len(want.Texts), len(want.Facts))
					}
					if diff := cmp.Diff(want.Links, n.Links); diff != "" {
						t.Errorf("other links\n%s", diff)
					}
					for i, f := range n.Facts {
						if kind != "nothing_but" && f.Label != want.Facts[i].Label {
							t.Errorf("label %q, want %q", f.Label, want.Facts[i].Label)
						}
					}
					shown(t, "title", n.Title)
					for _, s := range n.Texts {
						shown(t, "paragraph", s)
					}
					for _, f := range n.Facts {
						shown(t, f.Label, f.Value)
					}
					out := outgoing{config: ChannelConfig{From: "holdfast@example.org"}, secret: seal.NewSecret("key"), m: m, n: n, now: m.At}
					calm := outgoing{config: out.config, secret: out.secret, m: harmless, n: want, now: m.At}
					inSlack(t, n)
					inTeams(t, n)
					inPagerDuty(t, out)
					inMail(t, out, calm, kind != "nothing_but")
				})
			}
		}
	}
}

func mustNotice(t *testing.T, m Message, language string) notice {
	t.Helper()
	n, err := m.notice(language)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shown fails on characters that no text of a message has.
func shown(t *testing.T, what, s string) {
	t.Helper()
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > 2*mostText {
		t.Errorf("%s: no UTF-8, or %d characters", what, utf8.RuneCountInString(s))
	}
	open := 0
	for _, r := range s {
		switch {
		case r == isolate:
			open++
		case r == endIsolate:
			open--
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			t.Errorf("%s: holds %U in %q", what, r, s)
			return
		}
		if open < 0 || open > 1 {
			break
		}
	}
	if open != 0 {
		t.Errorf("%s: the direction of reading is left changed in %q", what, s)
	}
}

// again makes a body what a receiver reads.
func again(t *testing.T, body object) map[string]any {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// walk calls f for each object inside.
func walk(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, inner := range v {
			walk(inner, f)
		}
	case []any:
		for _, inner := range v {
			walk(inner, f)
		}
	}
}

func inSlack(t *testing.T, n notice) {
	t.Helper()
	body := again(t, slackBody(n))
	text, _ := body["text"].(string)
	for _, l := range n.Links {
		text = strings.Replace(text, "<"+l.URL+">", "", 1)
	}
	if strings.ContainsAny(text, "<>") {
		t.Errorf("slack: markup is left in %q", text)
	}
	walk(body["blocks"], func(o map[string]any) {
		switch o["type"] {
		case "rich_text", "rich_text_section", "text":
		case "link":
			if !slices.Contains(n.Links, link{o["text"].(string), o["url"].(string)}) {
				t.Errorf("slack: a link of nobody: %v", o)
			}
		case nil: // a style
			if diff := cmp.Diff(map[string]any{"bold": true}, o); diff != "" {
				t.Errorf("slack: %v", o)
			}
		default:
			t.Errorf("slack: a part in which markup is looked for: %v", o)
		}
	})
}

func inTeams(t *testing.T, n notice) {
	t.Helper()
	body := again(t, teamsBody(n))
	walk(body, func(o map[string]any) {
		switch o["type"] {
		case "TextRun":
			if text, _ := o["text"].(string); strings.Contains(text, "{{") {
				t.Errorf("teams: a function is left in %q", text)
			}
		case "RichTextBlock", "AdaptiveCard", "message", nil:
		case "Action.OpenUrl":
			if !slices.Contains(n.Links, link{o["title"].(string), o["url"].(string)}) {
				t.Errorf("teams: a link of nobody: %v", o)
			}
		default:
			t.Errorf("teams: a part in which Markdown is looked for: %v", o)
		}
	})
	if raw, err := json.Marshal(body); err != nil || len(raw) > 28<<10 {
		t.Errorf("teams: %d bytes, %v", len(raw), err)
	}
}

func inPagerDuty(t *testing.T, out outgoing) {
	t.Helper()
	body := again(t, pagerDutyBody(out))
	payload, _ := body["payload"].(map[string]any)
	if summary, _ := payload["summary"].(string); body["routing_key"] != "key" || summary == "" || len(summary) > 1024 || payload["severity"] != "error" {
		t.Errorf("pagerduty: %v", body)
	}
}

// inMail compares a mail with a harmless one: the same headers, and the same tags.
func inMail(t *testing.T, out, harmless outgoing, sameParts bool) {
	t.Helper()
	read := func(o outgoing) (mail.Header, string, string) {
		m, err := letter(o, []string{"soc@example.org"})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := m.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		got, err := mail.ReadMessage(&b)
		if err != nil {
			t.Fatal(err)
		}
		parts := m.GetParts()
		if len(parts) != 2 {
			t.Fatalf("mail: %d parts", len(parts))
		}
		html, err := parts[1].GetContent()
		if err != nil {
			t.Fatal(err)
		}
		return got.Header, string(html), b.String()
	}
	have, html, _ := read(out)
	want, calm, _ := read(harmless)
	names := func(h mail.Header) (all []string) {
		for name, values := range h {
			all = append(all, fmt.Sprint(name, len(values)))
		}
		slices.Sort(all)
		return all
	}
	if diff := cmp.Diff(names(want), names(have)); diff != "" {
		t.Errorf("mail: other headers\n%s", diff)
	}
	if to := have.Get("To"); to != "<soc@example.org>" {
		t.Errorf("mail: to %q", to)
	}
	if sameParts && (strings.Count(html, "<") != strings.Count(calm, "<") || strings.Count(html, `"`) != strings.Count(calm, `"`)) {
		t.Errorf("mail: other tags in\n%s", html)
	}
}

// TestTemplates: each is there in each language with the same parts, says something about nothing, too, and can read
// nothing but texts.
func TestTemplates(t *testing.T) {
	v := reflect.TypeFor[view]()
	for f := range v.Fields() {
		if f.Type.Kind() != reflect.String {
			t.Errorf("templates can read %s, which is no text", f.Name)
		}
	}
	if v.NumMethod() != 0 || reflect.PointerTo(v).NumMethod() != 0 {
		t.Error("templates can call something")
	}
	files, err := templates.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.IsDir() {
			continue
		}
		inside, err := templates.ReadDir("templates/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, one := range inside {
			names = append(names, strings.TrimSuffix(one.Name(), ".txt"))
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(MessageTemplates())), names); diff != "" || !slices.Contains(languages(), f.Name()) {
			t.Errorf("templates in %s, -want +got\n%s", f.Name(), diff)
		}
	}
	for _, name := range MessageTemplates() {
		full, bare := everything("Mira"), Message{ID: "X", At: time.Time{}}
		full.Template, bare.Template = name, name
		en, de := mustNotice(t, full, "en"), mustNotice(t, full, "de")
		if len(en.Facts) != len(de.Facts) || len(en.Texts) != len(de.Texts) || len(en.Links) != len(de.Links) || en.Title == de.Title {
			t.Errorf("%s differs between the languages:\n%+v\n%+v", name, en, de)
		}
		for _, language := range languages() {
			n := mustNotice(t, bare, language)
			if n.Title == "" || len(n.Texts) == 0 || len(n.Links) > 0 || strings.Contains(n.text(), "{{") || strings.Contains(n.text(), "<no value>") {
				t.Errorf("%s in %s about nothing: %+v", name, language, n)
			}
		}
	}
	if _, err := (Message{Template: "../mail"}).notice("en"); err == nil {
		t.Error("a template that is none was read")
	}
	bad := everything("Mira")
	bad.Template, bad.CaseURL = TemplatePage, "javascript:alert(1)"
	if _, err := bad.notice("en"); err == nil {
		t.Error("a link that is no address was taken")
	}
}

// TestPlain: texts from outside as one line.
func TestPlain(t *testing.T) {
	tests := []struct {
		name, in string
		n        int
		want     string
		inline   string
	}{
		{"plain", "Mira Okafor", 20, "Mira Okafor", ""},
		{"spaces", "  a \t\r\n b  ", 20, "a b", ""},
		{"exact", "abcde", 5, "abcde", ""},
		{"too_long", "abcdef", 5, "abcde…", ""},
		{"too_long_at_a_space", "abcd ef", 5, "abcd…", ""},
		{"override", "a\u202eb\u2066c", 20, "abc", ""},
		{"marks", "e\u0301\u0301\u0301\u0301\u0301x", 20, "e\u0301\u0301\u0301x", ""},
		{"bytes", "a\xffb", 20, "a\ufffdb", ""},
		{"hebrew", "\u05de\u05d9 (1)", 20, "\u05de\u05d9 (1)", "\u2068\u05de\u05d9 (1)\u2069"},
		{"hebrew_cut", strings.Repeat("\u05de", 9), 3, "\u05de\u05de\u05de…", "\u2068\u05de\u05de\u05de…\u2069"},
		{"nothing", "\u202e\n", 20, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := plain(tt.in, tt.n); got != tt.want {
				t.Errorf("plain: %q, want %q", got, tt.want)
			}
			if tt.inline == "" {
				tt.inline = tt.want
			}
			if got := inline(tt.in, tt.n); got != tt.inline {
				t.Errorf("inline: %q, want %q", got, tt.inline)
			}
		})
	}
}

// FuzzInline: no text breaks out of its line or leaves the direction of reading changed.
func FuzzInline(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text, 40)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = min(max(n, 1), mostText)
		shown(t, "text", inline(text, n))
		if c := utf8.RuneCountInString(plain(text, n)); c > n+1 {
			t.Errorf("%d characters, want at most %d and an ellipsis", c, n)
		}
	})
}
