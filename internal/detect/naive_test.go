package detect_test

import (
	"maps"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// naive is a second interpreter of Sigma, written from the package comment and not from the code: it walks
// the decoded YAML for each event, makes regular expressions of patterns, and solves a condition by
// rewriting its text.
type naive struct {
	t     testing.TB
	lists map[string][]string
	cache map[string]*regexp.Regexp
}

func newNaive(t testing.TB, lists map[string][]string) *naive {
	return &naive{t: t, lists: lists, cache: map[string]*regexp.Regexp{}}
}

func (n *naive) regexp(s string) *regexp.Regexp {
	re, ok := n.cache[s]
	if !ok {
		var err error
		if re, err = regexp.Compile(s); err != nil {
			n.t.Fatalf("naive: %v", err)
		}
		n.cache[s] = re
	}
	return re
}

// fieldsByPath flattens an event: for each path the values there; a path without values is there, too.
func fieldsByPath(doc map[string]any) map[string][]any {
	flat := map[string][]any{}
	var put func(path string, v any)
	put = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			if flat[path] == nil {
				flat[path] = []any{}
			}
			for _, e := range v {
				put(path, e)
			}
		case map[string]any:
			flat[path] = append(flat[path], nil)
			for k, e := range v {
				put(path+"."+k, e)
			}
		default:
			flat[path] = append(flat[path], v)
		}
	}
	for k, v := range doc {
		put(k, v)
	}
	return flat
}

func naiveTexts(values []any) (out []string) {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case bool:
			out = append(out, map[bool]string{true: "true", false: "false"}[v])
		case int:
			out = append(out, strconv.Itoa(v))
		case float64:
			out = append(out, strconv.FormatFloat(v, 'f', -1, 64))
		}
	}
	return out
}

func naiveWords(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			out = append(out, naiveWords(e)...)
		}
	case map[string]any:
		for _, e := range v {
			out = append(out, naiveWords(e)...)
		}
	}
	return out
}

// rule says whether the decoded rule matches the event.
func (n *naive) rule(rule map[string]any, doc map[string]any) bool {
	flat := fieldsByPath(doc)
	words := naiveWords(doc)
	detection := rule["detection"].(map[string]any)
	verdicts := map[string]string{}
	for name, body := range detection {
		if name != "condition" {
			verdicts[name] = letter(n.search(body, flat, words))
		}
	}
	return n.condition(detection["condition"].(string), verdicts) == "T"
}

func letter(b bool) string {
	if b {
		return "T"
	}
	return "F"
}

func (n *naive) search(body any, flat map[string][]any, words []string) bool {
	switch body := body.(type) {
	case map[string]any:
		for key, values := range body {
			if !n.predicate(key, values, flat, words) {
				return false
			}
		}
		return true
	case []any:
		return slices.ContainsFunc(body, func(e any) bool { return n.search(e, flat, words) })
	default:
		return n.predicate("", body, flat, words)
	}
}

func (n *naive) predicate(key string, values any, flat map[string][]any, words []string) bool {
	parts := strings.Split(key, "|")
	field, modifiers := parts[0], parts[1:]
	has := func(m string) bool { return slices.Contains(modifiers, m) }
	got, present := flat[field]
	texts := naiveTexts(got)
	if field == "" {
		texts = words
		if !has("re") && !has("startswith") && !has("endswith") && !has("contains") {
			modifiers = append(modifiers, "contains")
		}
	}
	list, ok := values.([]any)
	if !ok {
		list = []any{values}
	}
	one := func(v any) bool {
		switch {
		case has("exists"):
			return present == v.(bool)
		case has("expand"):
			return slices.ContainsFunc(n.lists[strings.Trim(v.(string), "%")], func(entry string) bool {
				return n.value(entry, got, present, texts, modifiers)
			})
		case has("fieldref"):
			return slices.ContainsFunc(naiveTexts(flat[v.(string)]), func(other string) bool {
				if other == "" && (has("contains") || has("startswith") || has("endswith")) {
					return false
				}
				return n.text(regexp.QuoteMeta(other), texts, modifiers)
			})
		default:
			return n.value(v, got, present, texts, modifiers)
		}
	}
	if has("all") {
		return !slices.ContainsFunc(list, func(v any) bool { return !one(v) })
	}
	return slices.ContainsFunc(list, one)
}

func (n *naive) value(v any, got []any, present bool, texts []string, modifiers []string) bool {
	for _, m := range modifiers {
		switch m {
		case "re":
			options := ""
			for _, o := range modifiers {
				if o == "i" || o == "m" || o == "s" {
					options += o
				}
			}
			if options != "" {
				options = "(?" + options + ")"
			}
			return slices.ContainsFunc(texts, n.regexp(options+v.(string)).MatchString)
		case "cidr":
			s := v.(string)
			if !strings.Contains(s, "/") {
				s += map[bool]string{true: "/128", false: "/32"}[strings.Contains(s, ":")]
			}
			_, network, err := net.ParseCIDR(s)
			return err == nil && slices.ContainsFunc(texts, func(t string) bool {
				ip := net.ParseIP(t)
				return ip != nil && network.Contains(ip)
			})
		case "lt", "lte", "gt", "gte":
			want := v
			if i, ok := want.(int); ok {
				want = float64(i)
			}
			return slices.ContainsFunc(got, func(x any) bool {
				var f float64
				switch x := x.(type) {
				case float64:
					f = x
				case int:
					f = float64(x)
				case string:
					if !n.regexp(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`).MatchString(x) {
						return false
					}
					f, _ = strconv.ParseFloat(x, 64) // it is a number, by the line above; one out of range is infinite
				default:
					return false
				}
				w := want.(float64)
				return m == "lt" && f < w || m == "lte" && f <= w || m == "gt" && f > w || m == "gte" && f >= w
			})
		}
	}
	if v == nil {
		return !present || slices.Contains(got, nil)
	}
	return n.text(naivePattern(naiveTexts([]any{v})[0]), texts, modifiers)
}

// naivePattern makes a regular expression of a text of a rule.
func naivePattern(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.ContainsRune(`*?\`, rune(s[i+1])) {
			i++
			b.WriteString(regexp.QuoteMeta(s[i : i+1]))
			continue
		}
		switch s[i] {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		default:
			_, size := utf8.DecodeRuneInString(s[i:])
			b.WriteString(regexp.QuoteMeta(s[i : i+size]))
			i += size - 1
		}
	}
	return b.String()
}

func (n *naive) text(re string, texts, modifiers []string) bool {
	begin, end, options := `\A`, `\z`, "(?is)"
	for _, m := range modifiers {
		switch m {
		case "contains":
			begin, end = "", ""
		case "startswith":
			end = ""
		case "endswith":
			begin = ""
		case "cased":
			options = "(?s)"
		}
	}
	return slices.ContainsFunc(texts, n.regexp(options+begin+"(?:"+re+")"+end).MatchString)
}

// condition rewrites the text until one letter is left.
func (n *naive) condition(s string, verdicts map[string]string) string {
	names := slices.Sorted(maps.Keys(verdicts))
	s = n.regexp(`\b(1|any|all) of (\S+?)(\)|\s|$)`).ReplaceAllStringFunc(s, func(m string) string {
		parts := n.regexp(`^(1|any|all) of (\S+?)(\)|\s|$)$`).FindStringSubmatch(m)
		var chosen []string
		for _, name := range names {
			ok, err := path.Match(parts[2], name)
			if parts[2] == "them" {
				ok = !strings.HasPrefix(name, "_")
			}
			if err == nil && ok {
				chosen = append(chosen, name)
			}
		}
		word := " or "
		if parts[1] == "all" {
			word = " and "
		}
		return "(" + strings.Join(chosen, word) + ")" + parts[3]
	})
	s = n.regexp(`[A-Za-z_][A-Za-z0-9_]*`).ReplaceAllStringFunc(s, func(w string) string {
		if v, ok := verdicts[w]; ok {
			return v
		}
		return w
	})
	inner := n.regexp(`\(([^()]*)\)`)
	for strings.Contains(s, "(") {
		s = inner.ReplaceAllStringFunc(s, func(m string) string { return n.flat(m[1 : len(m)-1]) })
	}
	return n.flat(s)
}

// flat solves a condition without parentheses.
func (n *naive) flat(s string) string {
	s = " " + strings.Join(strings.Fields(s), " ") + " "
	for again := true; again; {
		again = false
		for _, group := range [][][2]string{
			{{" not T ", " F "}, {" not F ", " T "}},
			{{" T and T ", " T "}, {" T and F ", " F "}, {" F and T ", " F "}, {" F and F ", " F "}},
			{{" T or T ", " T "}, {" T or F ", " T "}, {" F or T ", " T "}, {" F or F ", " F "}},
		} {
			for _, x := range group {
				if next := strings.Replace(s, x[0], x[1], 1); next != s {
					s, again = next, true
				}
			}
			if again {
				break
			}
		}
	}
	return strings.TrimSpace(s)
}

// decoded is the rule as YAML sees it.
func decoded(t testing.TB, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}
