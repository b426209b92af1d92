package origin_test

import (
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/origin"
)

// agents are texts that programs send as User-Agent, with what they are.
func agents() map[string]struct{ sent, platform, version, os, osVersion string } {
	const (
		windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
		mac     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
		iphone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	)
	return map[string]struct{ sent, platform, version, os, osVersion string }{
		"chrome":           {windows + "Chrome/129.0.0.0 Safari/537.36", "Chrome", "129.0.0.0", "Windows", "10.0"},
		"chrome_windows_7": {"Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36", "Chrome", "109.0.0.0", "Windows", "6.1"},
		"chrome_android":   {"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36", "Chrome", "129.0.0.0", "Android", "10"},
		"chrome_ios":       {iphone + "CriOS/129.0.6668.46 Mobile/15E148 Safari/604.1", "Chrome", "129.0.6668.46", "iOS", "17.6.1"},
		"chrome_os":        {"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36", "Chrome", "129.0.0.0", "ChromeOS", ""},
		"headless":         {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/129.0.0.0 Safari/537.36", "Headless Chrome", "129.0.0.0", "Linux", ""},
		"edge":             {windows + "Chrome/129.0.0.0 Safari/537.36 Edg/129.0.2792.52", "Edge", "129.0.2792.52", "Windows", "10.0"},
		"opera":            {windows + "Chrome/129.0.0.0 Safari/537.36 OPR/114.0.0.0", "Opera", "114.0.0.0", "Windows", "10.0"},
		"samsung":          {"Mozilla/5.0 (Linux; Android 14; SM-S928B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36", "Samsung Browser", "26.0", "Android", "14"},
		"firefox":          {"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0", "Firefox", "131.0", "Linux", ""},
		"firefox_windows":  {"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0", "Firefox", "131.0", "Windows", "10.0"},
		"firefox_android":  {"Mozilla/5.0 (Android 14; Mobile; rv:131.0) Gecko/131.0 Firefox/131.0", "Firefox", "131.0", "Android", "14"},
		"firefox_ios":      {iphone + "FxiOS/130.0 Mobile/15E148 Safari/605.1.15", "Firefox", "130.0", "iOS", "17.6.1"},
		"safari":           {mac + "Version/18.0 Safari/605.1.15", "Safari", "18.0", "macOS", "10.15.7"},
		"safari_ios":       {iphone + "Version/17.6 Mobile/15E148 Safari/604.1", "Safari", "17.6", "iOS", "17.6.1"},
		"explorer":         {"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", "11.0", "Windows", "10.0"},
		"curl":             {"curl/8.9.1", "curl", "8.9.1", "", ""},
		"wget":             {"Wget/1.24.5", "Wget", "1.24.5", "", ""},
		"go":               {"Go-http-client/2.0", "Go-http-client", "2.0", "", ""},
		"axios":            {"axios/1.7.7", "axios", "1.7.7", "", ""},
		"node":             {"node", "node", "", "", ""},
		"requests":         {"python-requests/2.32.3", "python-requests", "2.32.3", "", ""},
		"httpx":            {"python-httpx/0.27.2", "python-httpx", "0.27.2", "", ""},
		"aiohttp":          {"aiohttp/3.9 Python/3.12", "aiohttp", "3.9", "", ""},
		"okhttp":           {"okhttp/4.12.0", "okhttp", "4.12.0", "", ""},
		"postman":          {"PostmanRuntime/7.42.0", "PostmanRuntime", "7.42.0", "", ""},
		"java":             {"Apache-HttpClient/5.3.1 (Java/17.0.11)", "Apache-HttpClient", "5.3.1", "", ""},
		"name_with_space":  {"Example CLI/2.30.0", "Example CLI", "2.30.0", "", ""},
		"pre_release":      {"example/1.0.0-beta.2+5", "example", "1.0.0-beta.2+5", "", ""},
	}
}

func TestParseUserAgent(t *testing.T) {
	for name, a := range agents() {
		t.Run(name, func(t *testing.T) {
			want := origin.Client{Address: "192.0.2.10", UserAgent: a.sent, Platform: a.platform, PlatformVersion: a.version, OS: a.os, OSVersion: a.osVersion}
			got := origin.Parse(http.Header{"User-Agent": {a.sent}}, "192.0.2.10")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseHints(t *testing.T) {
	const shuffled = `"Not=A?Brand";v="8", "Chromium";v="129", "Microsoft Edge";v="129"`
	for name, tt := range map[string]struct {
		agent string // of agents
		hints map[string]string
		want  [4]string // platform and os, each with its version
	}{
		"sent_by_default":  {"chrome", map[string]string{"Sec-Ch-Ua": `"Google Chrome";v="129", "Not=A?Brand";v="8", "Chromium";v="129"`, "Sec-Ch-Ua-Platform": `"Windows"`, "Sec-Ch-Ua-Mobile": "?0"}, [4]string{"Chrome", "129.0.0.0", "Windows", "10.0"}},
		"full_version":     {"chrome", map[string]string{"Sec-Ch-Ua": shuffled, "Sec-Ch-Ua-Full-Version-List": `"Chromium";v="129.0.6668.59", "Google Chrome";v="129.0.6668.60", "Not)A;Brand";v="99.0.0.0"`}, [4]string{"Chrome", "129.0.6668.60", "Windows", "10.0"}},
		"other_brand":      {"chrome", map[string]string{"Sec-Ch-Ua": `"Brave";v="129", "Not=A?Brand";v="8", "Chromium";v="129"`}, [4]string{"Brave", "129", "Windows", "10.0"}},
		"edge_keeps_more":  {"edge", map[string]string{"Sec-Ch-Ua": shuffled}, [4]string{"Edge", "129.0.2792.52", "Windows", "10.0"}},
		"newer_than_text":  {"chrome", map[string]string{"Sec-Ch-Ua": `"Google Chrome";v="130"`}, [4]string{"Chrome", "130", "Windows", "10.0"}},
		"prefix_of_number": {"chrome", map[string]string{"Sec-Ch-Ua": `"Google Chrome";v="12"`}, [4]string{"Chrome", "12", "Windows", "10.0"}},
		"chromium_alone":   {"chrome", map[string]string{"Sec-Ch-Ua": `"Chromium";v="129", "Not;A Brand";v="99"`}, [4]string{"Chromium", "129", "Windows", "10.0"}},
		"invented_alone":   {"chrome", map[string]string{"Sec-Ch-Ua": `"(Not(A:Brand";v="8"`}, [4]string{"Chrome", "129.0.0.0", "Windows", "10.0"}},
		"windows_11":       {"chrome", map[string]string{"Sec-Ch-Ua-Platform": `"Windows"`, "Sec-Ch-Ua-Platform-Version": `"15.0.0"`}, [4]string{"Chrome", "129.0.0.0", "Windows", "11"}},
		"windows_10":       {"chrome", map[string]string{"Sec-Ch-Ua-Platform": `"Windows"`, "Sec-Ch-Ua-Platform-Version": `"10.0.0"`}, [4]string{"Chrome", "129.0.0.0", "Windows", "10.0"}},
		"windows_7":        {"chrome_windows_7", map[string]string{"Sec-Ch-Ua-Platform": `"Windows"`, "Sec-Ch-Ua-Platform-Version": `"0.1.0"`}, [4]string{"Chrome", "109.0.0.0", "Windows", "6.1"}},
		"android":          {"chrome_android", map[string]string{"Sec-Ch-Ua-Platform": `"Android"`, "Sec-Ch-Ua-Platform-Version": `"14.0.0"`}, [4]string{"Chrome", "129.0.0.0", "Android", "14.0.0"}},
		"other_system":     {"chrome", map[string]string{"Sec-Ch-Ua-Platform": `"macOS"`}, [4]string{"Chrome", "129.0.0.0", "macOS", ""}},
		"chrome_os":        {"chrome_os", map[string]string{"Sec-Ch-Ua-Platform": `"Chrome OS"`, "Sec-Ch-Ua-Platform-Version": `"16002.51.0"`}, [4]string{"Chrome", "129.0.0.0", "ChromeOS", "16002.51.0"}},
		"unknown_system":   {"chrome", map[string]string{"Sec-Ch-Ua-Platform": `"Unknown"`}, [4]string{"Chrome", "129.0.0.0", "Windows", "10.0"}},
		"tokens":           {"chrome", map[string]string{"Sec-Ch-Ua": `Brave;v=129`, "Sec-Ch-Ua-Platform": `macOS`}, [4]string{"Chrome", "129.0.0.0", "Windows", "10.0"}},
		"inner_list":       {"chrome", map[string]string{"Sec-Ch-Ua": `("Brave" "Edge");v="1"`}, [4]string{"Chrome", "129.0.0.0", "Windows", "10.0"}},
		"version_missing":  {"chrome", map[string]string{"Sec-Ch-Ua": `"Brave", "Chromium";v=129`}, [4]string{"Brave", "", "Windows", "10.0"}},
		"broken":           {"chrome", map[string]string{"Sec-Ch-Ua": `"Brave`, "Sec-Ch-Ua-Platform": `"mac`, "Sec-Ch-Ua-Platform-Version": `;;`}, [4]string{"Chrome", "129.0.0.0", "Windows", "10.0"}},
		"endless":          {"chrome", map[string]string{"Sec-Ch-Ua": `"` + strings.Repeat("B", 2000) + `";v="1"`}, [4]string{"Chrome", "129.0.0.0", "Windows", "10.0"}},
		"no_browser":       {"curl", map[string]string{"Sec-Ch-Ua": shuffled, "Sec-Ch-Ua-Platform": `"macOS"`}, [4]string{"curl", "8.9.1", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"User-Agent": {agents()[tt.agent].sent}}
			for k, v := range tt.hints {
				h.Set(k, v)
			}
			got := origin.Parse(h, "")
			if got := [4]string{got.Platform, got.PlatformVersion, got.OS, got.OSVersion}; got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestParseAddress(t *testing.T) {
	for sent, want := range map[string]string{
		"192.0.2.10": "192.0.2.10", "192.0.2.10:50123": "192.0.2.10", "::ffff:192.0.2.10": "192.0.2.10",
		"2001:DB8:0::10": "2001:db8::10", "[2001:db8::10]:50123": "2001:db8::10", "fe80::1%eth0": "fe80::1",
		"": "", "invalid IP": "", "192.0.2.300": "", "example.org:443": "",
	} {
		if got := origin.Parse(http.Header{}, sent); got != (origin.Client{Address: want}) {
			t.Errorf("%q gives %+v, want the address %q", sent, got, want)
		}
	}
}

func TestParseBounds(t *testing.T) {
	for name, tt := range map[string]struct{ sent, want string }{
		"long":        {strings.Repeat("a", 5000), strings.Repeat("a", 400)},
		"rune_at_end": {strings.Repeat("a", 399) + "é", strings.Repeat("a", 399)},
		"line_break":  {"curl/8.9.1\r\nlevel=error", "curl/8.9.1level=error"},
		"terminal":    {"curl\x1b[31m/8.9.1", "curl[31m/8.9.1"},
		"direction":   {"curl\u202e/8.9.1", "curl/8.9.1"},
		"no_utf8":     {"curl\xff\xfe/8.9.1", "curl/8.9.1"},
		"spaces":      {"  curl/8.9.1 ", "curl/8.9.1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := origin.Parse(http.Header{"User-Agent": {tt.sent}}, "").UserAgent; got != tt.want {
				t.Errorf("kept %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, a := range agents() {
		f.Add(a.sent, `"Google Chrome";v="129", "Not=A?Brand";v="8"`, `"Windows"`, `"15.0.0"`, "192.0.2.10:443")
	}
	f.Add("Mozilla/5.0 (", `("a" b);c, ?1, :YQ==:`, `@1730000000`, `%"f%c3%bc"`, "::%\x00")
	f.Fuzz(func(t *testing.T, agent, brands, platform, version, address string) {
		c := origin.Parse(http.Header{
			"User-Agent": {agent}, "Sec-Ch-Ua": {brands}, "Sec-Ch-Ua-Full-Version-List": {version, brands},
			"Sec-Ch-Ua-Platform": {platform}, "Sec-Ch-Ua-Platform-Version": {version},
		}, address)
		for field, tt := range map[string]struct {
			text string
			most int
		}{
			"UserAgent": {c.UserAgent, 400}, "Platform": {c.Platform, 100}, "OS": {c.OS, 100},
			"PlatformVersion": {c.PlatformVersion, 50}, "OSVersion": {c.OSVersion, 50}, "Address": {c.Address, 45}, "App": {c.App, 0}, "AppVersion": {c.AppVersion, 0},
		} {
			if len(tt.text) > tt.most || !utf8.ValidString(tt.text) || strings.ContainsFunc(tt.text, unicode.IsControl) {
				t.Errorf("%s is %q, which is not printable text of at most %d bytes", field, tt.text, tt.most)
			}
		}
		if c.UserAgent == "" && c != (origin.Client{Address: c.Address}) {
			t.Errorf("nothing is said, and yet it is %+v", c)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	h := http.Header{"User-Agent": {agents()["chrome"].sent}, "Sec-Ch-Ua": {`"Google Chrome";v="129", "Not=A?Brand";v="8", "Chromium";v="129"`}, "Sec-Ch-Ua-Platform": {`"Windows"`}}
	b.ReportAllocs()
	for b.Loop() {
		origin.Parse(h, "192.0.2.10")
	}
}
