package browsertest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	"holdfast/internal/store/storetest"
)

// patience is how long a tab looks for what is not there yet.
const patience = 10 * time.Second

// shared is the browser of this test binary; Main fills it in.
var shared struct {
	sync.Mutex
	start func() (*chrome, error) // nil outside Main
	stop  func()
}

// chrome is a running browser.
type chrome struct {
	ctx       context.Context // of the browser, as chromedp wants it
	userAgent string          // of a browser that somebody sits at
}

// Main runs the tests of a package and ends the browser that they used:
//
//	func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }
func Main(m *testing.M) int {
	var stop func()
	shared.Lock()
	shared.start = sync.OnceValues(func() (c *chrome, err error) {
		c, stop, err = launch()
		return c, err
	})
	shared.stop = func() {
		if stop != nil {
			stop()
		}
	}
	shared.Unlock()
	defer shared.stop()
	return m.Run()
}

// programs are the names under which Chromium is installed, also those that scripts/test.sh looks for.
func programs() []string {
	return []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
}

// executable is the path of Chromium.
func executable() (string, error) {
	for _, name := range programs() {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("none of %s is on the path", strings.Join(programs(), ", "))
}

// launch starts Chromium with an empty profile. stop ends it and removes the profile.
func launch() (c *chrome, stop func(), err error) {
	path, err := executable()
	if err != nil {
		return nil, nil, err
	}
	profile, err := os.MkdirTemp("", "holdfast-chromium-")
	if err != nil {
		return nil, nil, err
	}
	// Tests of this package call for no context of their own: the browser outlives each of them.
	all, cancelAll := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path),
		chromedp.UserDataDir(profile),
		chromedp.Flag("headless", "new"),
		chromedp.Flag("no-sandbox", true), // as root and in containers there is none to be had
		chromedp.Flag("window-size", "1280,900"),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("no-first-run", true),
		chromedp.Flag("no-default-browser-check", true),
		chromedp.Flag("no-proxy-server", true), // all servers of tests are on this machine
		// Nothing but what the tests ask for goes on in the background.
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-default-apps", true),
		chromedp.Flag("disable-extensions", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("metrics-recording-only", true),
		chromedp.Flag("password-store", "basic"),
		chromedp.Flag("disable-features", "Translate,OptimizationHints,MediaRouter,PasswordLeakDetection"),
		// Tabs of parallel tests are not in front; they must not be slowed down for it.
		chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-ipc-flooding-protection", true),
		// The same pixels everywhere.
		chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("force-device-scale-factor", "1"),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	ctx, cancel := chromedp.NewContext(all, chromedp.WithErrorf(func(string, ...any) {}))
	stop = func() {
		cancel()
		cancelAll()
		os.RemoveAll(profile)
	}
	version, err := chromedp.CallBrowser(ctx, browser.GetVersion, cdp.Empty{})
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("start %s: %w", path, err)
	}
	return &chrome{ctx: ctx, userAgent: strings.Replace(version.UserAgent, "HeadlessChrome", "Chrome", 1)}, stop, nil
}

// instance is the browser of this test binary, started if it was not.
func instance(t testing.TB) *chrome {
	t.Helper()
	_, err := executable()
	storetest.Require(t, "chromium", err == nil, fmt.Sprintf("run make test, or install the package chromium (%v)", err))
	shared.Lock()
	start := shared.start
	shared.Unlock()
	if start == nil {
		t.Fatal("no browser may be started: add to this package's tests: func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }")
	}
	c, err := start()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// settings of a tab.
type settings struct {
	width, height int64
	dark          bool
	language      string
	noScript      bool
	patience      time.Duration
}

// Option changes how a tab looks at pages.
type Option func(*settings)

// Wide is the window of a desk, 1280 by 900 CSS pixels. It is the default.
func Wide() Option { return Size(1280, 900) }

// Narrow is the window of a small phone, 360 by 800 CSS pixels.
func Narrow() Option { return Size(360, 800) }

// Size sets the window, in CSS pixels.
func Size(width, height int) Option {
	return func(s *settings) { s.width, s.height = int64(width), int64(height) }
}

// Dark prefers a dark colour scheme. The default is light.
func Dark() Option { return func(s *settings) { s.dark = true } }

// Light prefers a light one again.
func Light() Option { return func(s *settings) { s.dark = false } }

// Lang sets the languages that the person reads, as in Accept-Language: "de" or "de-AT,de,en". The
// default is "en".
func Lang(languages string) Option { return func(s *settings) { s.language = languages } }

// NoScript switches the scripts of pages off.
func NoScript() Option { return func(s *settings) { s.noScript = true } }

// Patience is how long the tab looks for what is not there yet, instead of ten seconds.
func Patience(d time.Duration) Option { return func(s *settings) { s.patience = d } }

// Localhost is the URL with the name localhost in place of a loopback address: passkeys need a name,
// and browsers treat it as secure.
func Localhost(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Port() == "" {
		return raw
	}
	if h := u.Hostname(); h == "127.0.0.1" || h == "::1" {
		u.Host = "localhost:" + u.Port()
	}
	return u.String()
}

// errGone is what a page that is being left answers; the next try finds the new one.
var errGone = errors.New("the page changed meanwhile")
