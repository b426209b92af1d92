package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is one tab of the browser. Its methods end the test if they cannot do what they are asked for.
// One goroutine uses it at a time.
type Tab struct {
	t      testing.TB
	ctx    context.Context // of the tab, as chromedp wants it
	chrome *chrome
	base   string
	set    settings
	watch  *watch
	files  string  // folder for what the browser saves
	scope  []place // parts of the page within which to look, outermost first
}

// Open opens a tab in a browser context of its own. Paths given to [Tab.Go] are added to baseURL. The
// test is skipped if there is no Chromium; storetest.Require says when it fails instead.
func Open(t testing.TB, baseURL string, opts ...Option) *Tab {
	t.Helper()
	c := instance(t)
	set := settings{width: 1280, height: 900, language: "en", patience: patience}
	for _, o := range opts {
		o(&set)
	}
	return open(t, c, baseURL, set, t.TempDir(), c.ctx, chromedp.WithNewBrowserContext())
}

// Second opens another tab of the same browser context: with the same cookies, as the same person.
func (tab *Tab) Second() *Tab {
	tab.t.Helper()
	return open(tab.t, tab.chrome, tab.base, tab.set, tab.files, tab.ctx)
}

func open(t testing.TB, c *chrome, baseURL string, set settings, files string, parent context.Context, opts ...chromedp.ContextOption) *Tab {
	t.Helper()
	w := &watch{last: time.Now()}
	ctx, cancel := chromedp.NewContext(parent, append(opts, chromedp.WithListener(w.hear))...)
	tab := &Tab{t: t, ctx: ctx, chrome: c, base: strings.TrimSuffix(baseURL, "/"), set: set, watch: w, files: files}
	w.mu.Lock()
	w.answer = func(accept bool) {
		// An error means that the tab was closed over the question.
		_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: accept})
	}
	w.mu.Unlock()
	t.Cleanup(func() {
		tab.complain()
		cancel()
	})
	if err := tab.prepare(); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return tab
}

// complain fails the test for what pages did wrong.
func (tab *Tab) complain() {
	tab.t.Helper()
	tab.watch.mu.Lock()
	defer tab.watch.mu.Unlock()
	for _, text := range tab.watch.wrong {
		tab.t.Errorf("the browser complains: %s", text)
	}
	tab.watch.wrong = nil
}

// prepare makes the tab what the settings say.
func (tab *Tab) prepare() error {
	tree, err := chromedp.Call(tab.ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return err
	}
	tab.watch.mu.Lock()
	tab.watch.frame = tree.FrameTree.Frame.ID
	tab.watch.mu.Unlock()
	_, err = chromedp.CallBrowser(tab.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: tab.files, BrowserContextID: chromedp.FromContext(tab.ctx).BrowserContextID,
	})
	return errors.Join(err,
		do(tab, page.Enable, page.EnableParams{}),
		do(tab, network.Enable, network.EnableParams{}),
		do(tab, runtime.Enable, cdp.Empty{}),
		do(tab, log.Enable, cdp.Empty{}),
		tab.look(),
		do(tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
			UserAgent: tab.chrome.userAgent, AcceptLanguage: tab.set.language,
		}),
		do(tab, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"}),
		do(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
		do(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: tab.set.noScript}),
	)
}

// Look changes the size of the window or the colour scheme of an open page, without loading it again.
// Options about anything else have no effect.
func (tab *Tab) Look(opts ...Option) {
	tab.t.Helper()
	for _, o := range opts {
		o(&tab.set)
	}
	if err := tab.look(); err != nil {
		tab.fatalf("look at the page another way: %v", err)
	}
	tab.settle()
}

func (tab *Tab) look() error {
	scheme := "light"
	if tab.set.dark {
		scheme = "dark"
	}
	return errors.Join(
		do(tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: tab.set.width, Height: tab.set.height, DeviceScaleFactor: 1,
		}),
		do(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
	)
}

// call sends a command to the tab and waits as long as the tab is patient, at least.
func call[P, R any](tab *Tab, c cdp.Command[P, R], params P) (R, error) {
	ctx, cancel := context.WithTimeout(tab.ctx, max(tab.set.patience, patience))
	defer cancel()
	r, err := chromedp.Call(ctx, c, params)
	if err != nil {
		err = fmt.Errorf("%s: %w", c.Method, err)
	}
	return r, err
}

// do is call where the answer does not matter.
func do[P, R any](tab *Tab, c cdp.Command[P, R], params P) error {
	_, err := call(tab, c, params)
	return err
}

// eval evaluates an expression in the page and decodes its value, which may be that of a promise.
func (tab *Tab) eval(expression string, into any) error {
	yes := true
	r, err := call(tab, runtime.Evaluate, runtime.EvaluateParams{
		Expression: expression, ReturnByValue: &yes, AwaitPromise: &yes, Silent: &yes,
	})
	if err != nil {
		return err
	}
	return value(r.Result, r.ExceptionDetails, into)
}

// value decodes what a script returned; undefined leaves into as it is.
func value(v *runtime.RemoteObject, thrown *runtime.ExceptionDetails, into any) error {
	if thrown != nil {
		text := thrown.Text
		if thrown.Exception != nil {
			text += " " + thrown.Exception.Description
		}
		return errors.New(text)
	}
	if into == nil || v == nil || len(v.Value) == 0 {
		return nil
	}
	return json.Unmarshal([]byte(v.Value), into)
}

// Eval evaluates a JavaScript expression in the page and decodes its value, or that of its promise,
// as JSON into the variable that into points to; nil if it does not matter.
func (tab *Tab) Eval(expression string, into any) {
	tab.t.Helper()
	if err := tab.eval(expression, into); err != nil {
		tab.fatalf("evaluate %s: %v", expression, err)
	}
	tab.settle()
}

// Go goes to a path of the base URL, or to a whole URL.
func (tab *Tab) Go(path string) {
	tab.t.Helper()
	target := path
	if !strings.Contains(path, "://") && !strings.HasPrefix(path, "about:") {
		target = tab.base + path
	}
	asked := len(tab.Dialogs())
	r, err := call(tab, page.Navigate, page.NavigateParams{URL: target})
	switch {
	case err != nil:
		tab.fatalf("go to %s: %v", target, err)
	case r.ErrorText != "" && !r.IsDownload && len(tab.Dialogs()) == asked: // else a person chose to stay
		tab.fatalf("go to %s: %s", target, r.ErrorText)
	}
	tab.settle()
}

// Reload loads the page again.
func (tab *Tab) Reload() {
	tab.t.Helper()
	if err := do(tab, page.Reload, page.ReloadParams{}); err != nil {
		tab.fatalf("reload: %v", err)
	}
	tab.settle()
}

// Back goes to the previous page of the tab's history.
func (tab *Tab) Back() {
	tab.t.Helper()
	tab.history(-1)
}

// Forward goes to the next page of the tab's history.
func (tab *Tab) Forward() {
	tab.t.Helper()
	tab.history(1)
}

func (tab *Tab) history(step int) {
	tab.t.Helper()
	h, err := call(tab, page.GetNavigationHistory, cdp.Empty{})
	if err != nil {
		tab.fatalf("history: %v", err)
	}
	to := int(h.CurrentIndex) + step
	if to < 0 || to >= len(h.Entries) {
		tab.fatalf("the history has no page there: it has %d, and the tab is at number %d", len(h.Entries), h.CurrentIndex+1)
	}
	if err := do(tab, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: h.Entries[to].ID}); err != nil {
		tab.fatalf("go to %s in the history: %v", h.Entries[to].URL, err)
	}
	tab.settle()
}

// URL is where the tab is.
func (tab *Tab) URL() string {
	tab.t.Helper()
	tab.settle()
	return tab.url()
}

func (tab *Tab) url() string {
	var s string
	if err := tab.eval("location.href", &s); err != nil {
		return "(unknown: " + err.Error() + ")"
	}
	return s
}

// settle waits until the page is loaded and nothing goes on. What never comes to rest is waited for
// in vain; the search for an element then decides.
func (tab *Tab) settle() {
	tab.watch.touch()
	tab.rest()
}

// rest is settle where the test has done nothing since: what settled then is only looked at again.
func (tab *Tab) rest() {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !tab.watch.calm() {
			continue
		}
		var state string
		if err := tab.eval("document.readyState", &state); err == nil && state == "complete" && tab.watch.calm() {
			return
		}
	}
}

// until tries for as long as the tab is patient, and returns the last error.
func (tab *Tab) until(try func() error) error {
	end := time.Now().Add(tab.set.patience)
	for {
		err := try()
		if err == nil || time.Now().After(end) || tab.ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
