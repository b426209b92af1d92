package server_test

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"holdfast/internal/server/servertest"
)

// inside are words of what must stay inside: SQL, drivers, paths, source files, stacks.
var inside = regexp.MustCompile(`(?i)\b(select|insert|update|delete from|where|sqlite|sqlstate|postgres|pgx|pq:|database/sql|goroutine|panic|runtime error|nil pointer|stack|syntax error|constraint|holdfast/internal)\b|\.go:\d|/tmp/|/ro[o]t/|/ho[m]e/|/var/|0x[0-9a-f]{6,}|hf[st]_[0-9A-Za-z]{8,}`)

// tellsNothing checks that an answer shows nothing of the inside.
func tellsNothing(t *testing.T, what string, a servertest.Answer) {
	t.Helper()
	if strings.Contains(a.Header.Get("Content-Type"), "yaml") {
		return // the contract is public, and long
	}
	if found := inside.FindString(a.Body); found != "" {
		t.Errorf("%s: the answer tells %q: %d %s", what, found, a.Status, a.Body)
	}
}

// odd are values that parsers and databases stumble over.
func odd() []string {
	return []string{
		"", " ", "'", "''", `"`, "\\", "%", "%00", "%zz", "\x00", "\xff\xfe", "\u202e", "😀", "é", "--", "/*", "; DROP TABLE users; --", "' OR '1'='1", "${7*7}", "{{7*7}}",
		"../../etc/passwd", "..", ".", "/", "//", ":", ":suspend", "::", "%2f", "%3A", "*", "0", "-1", "1e9", "9223372036854775808", "NaN", "null", "true", "[]", "{}", "=", "&", "+", "#", "?",
		"user.isActive()", "user.isActive() OR true", "client_credentials", "openid", "Basic", "Bearer", strings.Repeat("A", 26), strings.Repeat("a", 3000), "A234567A234567A234567A2345", "hft_", "hfs_x",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "6f1c2d7e-94ab-4c61-b0de-52f3a8e91764", "\r\n", "\t", "a=b&c=d", "[::1]", "1;2", "İ", "ß", "\ufeff", "ﬃ",
	}
}

// Row 30: every route with odd input, with and without credentials: never a fault of the server, never a
// word of the inside.
func TestSecurityOddInput(t *testing.T) {
	const rounds = 3000
	onEach(t, func(t *testing.T, at target) {
		token := at.Token(t, at.Credentials)
		values := append(odd(), at.Account.ID, at.Owner.ID, at.Credentials.Client.ID)
		rng := rand.New(rand.NewPCG(1, 2)) // the same each time
		one := func() string { return values[rng.IntN(len(values))] }
		names := []string{"grant_type", "scope", "client_id", "token", "token_type_hint", "filter", "max_page_size", "maxPageSize", "page_token", "pageToken", "x"}
		query := func() string {
			var parts []string
			for range rng.IntN(4) {
				name, value := names[rng.IntN(len(names))], one()
				if rng.IntN(3) > 0 {
					name, value = url.QueryEscape(name), url.QueryEscape(value)
				}
				parts = append(parts, name+"="+value)
			}
			return strings.Join(parts, "&")
		}
		var patterns []string
		for _, r := range at.APIRoutes() {
			patterns = append(patterns, r.Pattern)
		}
		statuses := map[int]int{}
		for i := range rounds {
			method, path, _ := strings.Cut(patterns[rng.IntN(len(patterns))], " ")
			account, user := at.Account.ID, one()
			if rng.IntN(5) == 0 {
				account = one()
			}
			path = strings.NewReplacer("{account}", url.PathEscape(account), "{user}", url.PathEscape(user)).Replace(path)
			s := sent{method: method, from: address(i), header: []string{"X-Odd", header(one())}}
			if rng.IntN(10) == 0 {
				path += "/" + url.PathEscape(one())
			}
			q := query()
			if !utf8.ValidString(q) || strings.ContainsAny(q, " \x00\r\n\t#") || !validURL(path+"?"+q) {
				q = "" // the client could not send it; the raw tests do
			}
			s.path = path + "?" + q
			switch rng.IntN(4) {
			case 0, 1:
				s.bearer = token
			case 2:
				s.basic = [2]string{at.Credentials.Client.ID, at.Credentials.Secret.Reveal()}
			case 3:
				s.header = append(s.header, "Authorization", header(one()+" "+one()))
			}
			if method == http.MethodPost {
				s.body = query()
				if rng.IntN(2) == 0 && s.body != "" {
					s.body += "&grant_type=client_credentials"
				}
				if rng.IntN(6) == 0 {
					s.body = ""
					s.header = append(s.header, "Content-Type", header(one()))
				}
			}
			a := at.send(t, s)
			statuses[a.Status]++
			if a.Status >= 500 {
				t.Errorf("%s %q with the body %q: %d %s", method, s.path, s.body, a.Status, a.Body)
			}
			harmless(t, s.path, a)
			if a.Status >= 400 {
				tellsNothing(t, s.path, a)
			}
			if a.Status == http.StatusUnauthorized && i%7 == 0 { // the token may have been revoked by itself
				token = at.Token(t, at.Credentials)
			}
		}
		if statuses[200] < 100 || statuses[400] < 100 || statuses[404] < 100 {
			t.Errorf("statuses %v: the input is not varied enough to prove anything", statuses)
		}
		t.Logf("statuses %v", statuses)
	})
}

// header is what of the text a header can hold.
func header(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s))
}

func validURL(s string) bool {
	_, err := url.Parse("http://x" + s)
	return err == nil
}
