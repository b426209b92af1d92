package browsertest

import (
	"net/http"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
)

// Cookies are those that the browser would send to the base URL, with their attributes; they can be
// given to an http.Client.
func (tab *Tab) Cookies() []*http.Cookie {
	tab.t.Helper()
	tab.settle()
	r, err := call(tab, network.GetCookies, network.GetCookiesParams{URLs: []string{tab.base + "/", tab.url()}})
	if err != nil {
		tab.fatalf("cookies: %v", err)
	}
	var list []*http.Cookie
	for _, c := range r.Cookies {
		k := &http.Cookie{Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path, Secure: c.Secure, HttpOnly: c.HTTPOnly}
		switch c.SameSite {
		case network.CookieSameSiteStrict:
			k.SameSite = http.SameSiteStrictMode
		case network.CookieSameSiteLax:
			k.SameSite = http.SameSiteLaxMode
		case network.CookieSameSiteNone:
			k.SameSite = http.SameSiteNoneMode
		}
		if !c.Session {
			k.Expires = time.Unix(int64(c.Expires), 0)
		}
		list = append(list, k)
	}
	return list
}

// SetCookie puts a cookie of the base URL into the browser, as an attacker who wants to fix a session
// would.
func (tab *Tab) SetCookie(c *http.Cookie) {
	tab.t.Helper()
	path := c.Path
	if path == "" {
		path = "/"
	}
	err := do(tab, network.SetCookie, network.SetCookieParams{
		Name: c.Name, Value: c.Value, URL: tab.base + "/", Path: path, Secure: &c.Secure, HTTPOnly: &c.HttpOnly,
	})
	if err != nil {
		tab.fatalf("set the cookie %s: %v", c.Name, err)
	}
}

// ClearCookies removes all cookies of this test: the session is gone while the page still stands.
func (tab *Tab) ClearCookies() {
	tab.t.Helper()
	if err := do(tab, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		tab.fatalf("clear cookies: %v", err)
	}
}
