package origin

import (
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/dunglas/httpsfv"
)

// maxHint is how many bytes of a hint are read. Browsers send 150 at most.
const maxHint = 1000

// hints are what a browser says beside User-Agent. Browsers of the Chromium family send brand and os
// with every request over TLS, the rest to sites that ask for it with Accept-CH.
type hints struct {
	brand, version string // "Microsoft Edge", "129" or "129.0.2792.52"
	os, osVersion  string // "Windows", "15.0.0"
}

func hintsOf(h http.Header) (found hints) {
	found.brand, found.version = brandOf(h, "Sec-CH-UA-Full-Version-List")
	if found.brand == "" {
		found.brand, found.version = brandOf(h, "Sec-CH-UA")
	}
	found.os = textOf(h, "Sec-CH-UA-Platform")
	found.osVersion = version(textOf(h, "Sec-CH-UA-Platform-Version"))
	return found
}

// brandOf reads a list such as
//
//	"Chromium";v="129", "Not=A?Brand";v="8", "Google Chrome";v="129"
//
// whose order is shuffled, and which has an invented brand, so that nobody relies on either. Chromium
// is what the others are made of: it counts only alone.
func brandOf(h http.Header, name string) (brand, number string) {
	list, err := httpsfv.UnmarshalList(bounded(h, name))
	if err != nil {
		return "", ""
	}
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		text, ok := item.Value.(string)
		if !ok || invented(text) || brand != "" && text == "Chromium" {
			continue
		}
		if brand == "" || brand == "Chromium" {
			v, _ := item.Params.Get("v")
			s, _ := v.(string) // a version that is no text is none
			brand, number = clean(text, maxName), version(s)
		}
	}
	return brand, number
}

// invented tells brands like "Not=A?Brand", "Not;A Brand" and "(Not(A:Brand".
func invented(brand string) bool {
	letters := strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, brand))
	return strings.HasPrefix(letters, "not") && strings.HasSuffix(letters, "brand")
}

func textOf(h http.Header, name string) string {
	item, err := httpsfv.UnmarshalItem(bounded(h, name))
	if err != nil {
		return ""
	}
	s, _ := item.Value.(string) // what is no text says nothing
	return clean(s, maxName)
}

// bounded are the lines of a field, none if they are longer than anybody sends.
func bounded(h http.Header, name string) []string {
	lines, size := h.Values(name), 0
	for _, l := range lines {
		size += len(l) + 1
	}
	if size > maxHint {
		return nil
	}
	return lines
}

// refine puts the hints over what User-Agent says.
func (h hints) refine(c *Client) {
	if name := productName(h.brand); name != "" {
		// A short version says less than the same one in full.
		same := name == c.Platform && h.version != "" && strings.HasPrefix(c.PlatformVersion+".", h.version+".")
		if !same {
			c.Platform, c.PlatformVersion = name, h.version
		}
	}
	if name := systemName(h.os); name != "" {
		if name != c.OS {
			c.OS, c.OSVersion = name, ""
		}
		if v := systemVersion(name, h.osVersion); v != "" {
			c.OSVersion = v
		}
	}
}

// productName spells a brand as User-Agent is read, so that one program has one name.
func productName(brand string) string {
	switch brand {
	case "Google Chrome":
		return "Chrome"
	case "HeadlessChrome":
		return "Headless Chrome"
	case "Microsoft Edge":
		return "Edge"
	case "Samsung Internet":
		return "Samsung Browser"
	}
	return brand
}

func systemName(platform string) string {
	switch platform {
	case "Chrome OS", "Chromium OS":
		return "ChromeOS"
	case "Unknown":
		return ""
	}
	return platform
}

// systemVersion is the version by which people know the system. On Windows the hint counts versions of
// an interface: 13 and more is Windows 11, 1 to 10 is Windows 10, and 0.x is older, which User-Agent
// tells better.
func systemVersion(system, hint string) string {
	if system != "Windows" {
		return hint
	}
	major, _, _ := strings.Cut(hint, ".")
	switch n, err := strconv.Atoi(major); {
	case err != nil || n < 1:
		return ""
	case n >= 13:
		return "11"
	default:
		return "10.0"
	}
}
