package browsertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// Request is one that a page made. A redirect is a request of its own.
type Request struct {
	Method, URL string
	Type        string // Document, Stylesheet, Script, Image, Font, Fetch, XHR, …
	Status      int    // 0 if there was no answer
	Bytes       int    // of the answer as it came over the wire, header and compressed body
	Cached      bool   // answered by the browser's cache
	Failed      string // why there was no answer

	id   network.RequestID
	open bool
	at   time.Time
}

// longRequest is how old a request may be before a tab no longer waits for it: it is one that stays
// open, to hear of news.
const longRequest = 3 * time.Second

// watch is what a tab has seen of its pages. The browser tells while the test acts, hence the lock.
type watch struct {
	mu       sync.Mutex
	frame    cdp.FrameID // the main frame
	loading  bool
	last     time.Time // when something happened
	requests []*Request
	number   int // of requests, ever
	console  []string
	wrong    []string // what fails the test at its end
	dialogs  []string
	accept   *bool // answer to dialogs; nil if none is expected
	answer   func(accept bool)
	world    runtime.ExecutionContextID // in which axe-core is, of the document in the main frame; 0 if it is in none
}

// hear takes an event of the browser. It must not block.
func (w *watch) hear(ev any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch ev := ev.(type) {
	case *page.EventFrameStartedLoading:
		w.load(ev.FrameID, true)
	case *page.EventFrameStoppedLoading:
		w.load(ev.FrameID, false)
	case *page.EventFrameNavigated:
		w.last = time.Now()
		if ev.Frame.ID == w.frame {
			w.world = 0
		}
	case *page.EventFrameRequestedNavigation, *page.EventFrameStartedNavigating:
		w.last = time.Now()
	case *page.EventJavascriptDialogOpening:
		w.dialog(ev)
	case *network.EventRequestWillBeSent:
		w.sent(ev)
	case *network.EventRequestServedFromCache:
		w.request(ev.RequestID, func(r *Request) { r.Cached = true })
	case *network.EventResponseReceived:
		w.request(ev.RequestID, func(r *Request) {
			r.Type = string(ev.Type)
			w.answered(r, ev.Response)
		})
	case *network.EventLoadingFinished:
		w.request(ev.RequestID, func(r *Request) { r.open, r.Bytes = false, int(ev.EncodedDataLength) })
	case *network.EventLoadingFailed:
		w.request(ev.RequestID, func(r *Request) { r.open, r.Failed = false, ev.ErrorText })
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
		w.say("exception: "+text, true)
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, a := range ev.Args {
			words = append(words, strings.Trim(string(a.Value), `"`)+a.Description)
		}
		w.say(fmt.Sprintf("console.%s: %s", ev.Type, strings.Join(words, " ")), ev.Type == runtime.ConsoleAPICalledTypeError)
	case *log.EventEntryAdded:
		e := ev.Entry
		// The status of a page is the test's business; that of what a page consists of is noted above.
		failed := e.Level == log.EntryLevelError && e.Source != log.EntrySourceNetwork || strings.Contains(e.Text, "Content Security Policy")
		w.say(fmt.Sprintf("%s %s: %s", e.Source, e.Level, e.Text), failed)
	}
}

func (w *watch) load(frame cdp.FrameID, on bool) {
	if frame == w.frame {
		w.loading, w.last = on, time.Now()
	}
}

func (w *watch) say(text string, fails bool) {
	text = strings.TrimSpace(text)
	w.console = append(w.console, text)
	if fails {
		w.wrong = append(w.wrong, text)
	}
}

// sent notes a request. That of a new page begins the list anew.
func (w *watch) sent(ev *network.EventRequestWillBeSent) {
	if strings.HasPrefix(ev.Request.URL, "data:") || strings.HasPrefix(ev.Request.URL, "blob:") {
		return
	}
	w.last = time.Now()
	w.number++
	if ev.RedirectResponse != nil {
		w.request(ev.RequestID, func(r *Request) {
			w.answered(r, ev.RedirectResponse)
			r.open, r.Bytes = false, int(ev.RedirectResponse.EncodedDataLength)
		})
	} else if ev.Type == network.ResourceTypeDocument && ev.FrameID == w.frame {
		w.requests = nil
	}
	waits := ev.Type != network.ResourceTypeEventSource && ev.Type != network.ResourceTypeWebSocket && ev.Type != network.ResourceTypePing
	w.requests = append(w.requests, &Request{
		Method: ev.Request.Method, URL: ev.Request.URL, Type: string(ev.Type), id: ev.RequestID, open: waits, at: time.Now(),
	})
}

// request changes the newest request with this identifier; redirects share one.
func (w *watch) request(id network.RequestID, change func(*Request)) {
	for _, r := range slices.Backward(w.requests) {
		if r.id == id {
			change(r)
			w.last = time.Now()
			return
		}
	}
}

func (w *watch) answered(r *Request, a *network.Response) {
	r.Status = int(a.Status)
	r.Cached = r.Cached || a.FromDiskCache
	switch r.Type {
	case "Document", "XHR", "Fetch", "EventSource", "Other":
		return
	}
	if r.Status >= 400 {
		w.wrong = append(w.wrong, fmt.Sprintf("%s %s is answered %d", r.Type, r.URL, r.Status))
	}
}

// dialog notes a dialog of the browser (not one of the page) and answers it.
func (w *watch) dialog(ev *page.EventJavascriptDialogOpening) {
	text := strings.TrimSpace(fmt.Sprintf("%s %s", ev.Type, ev.Message))
	w.dialogs = append(w.dialogs, text)
	accept := false
	if w.accept != nil {
		accept = *w.accept
	} else {
		w.wrong = append(w.wrong, "a dialog that no AcceptDialogs expects: "+text)
	}
	w.last = time.Now()
	go w.answer(accept)
}

// calm reports whether nothing is loading and nothing has happened for a moment.
func (w *watch) calm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loading || time.Since(w.last) < 40*time.Millisecond {
		return false
	}
	return !slices.ContainsFunc(w.requests, func(r *Request) bool { return r.open && time.Since(r.at) < longRequest })
}

// sentSoFar is the number of requests up to now.
func (w *watch) sentSoFar() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.number
}

// waitSent waits until there were more requests than so many, or the time is over.
func (w *watch) waitSent(before int, limit time.Duration) {
	for end := time.Now().Add(limit); w.sentSoFar() <= before && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *watch) axeWorld() runtime.ExecutionContextID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.world
}

func (w *watch) keepAxeWorld(world runtime.ExecutionContextID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.world = world
}

// touch marks that the test has just done something, which may have begun something.
func (w *watch) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now()
}

// Requests are those of the page at which the tab is, from the request for it on, redirects on the
// way included.
func (tab *Tab) Requests() []Request {
	tab.t.Helper()
	tab.settle()
	w := tab.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Request
	for _, r := range w.requests {
		list = append(list, *r)
	}
	return list
}

// Status is the HTTP status of the page at which the tab is.
func (tab *Tab) Status() int {
	tab.t.Helper()
	status := 0
	for _, r := range tab.Requests() {
		if r.Type == string(network.ResourceTypeDocument) {
			status = r.Status
		}
	}
	return status
}

// Console is everything that pages and the browser wrote to the console of the tab, such as
// "console.log: text" or "security error: text".
func (tab *Tab) Console() []string {
	tab.watch.mu.Lock()
	defer tab.watch.mu.Unlock()
	return slices.Clone(tab.watch.console)
}

// Forgive takes back what would fail the test at its end: each line so far that contains the text.
// It is an error if there is none.
func (tab *Tab) Forgive(text string) {
	tab.t.Helper()
	w := tab.watch
	w.mu.Lock()
	before := len(w.wrong)
	w.wrong = slices.DeleteFunc(w.wrong, func(s string) bool { return strings.Contains(s, text) })
	none := len(w.wrong) == before
	w.mu.Unlock()
	if none {
		tab.errorf("nothing to forgive: no complaint of the browser contains %q", text)
	}
}

// AcceptDialogs says how dialogs of the browser are answered from now on, such as the question
// whether to leave a page with unsaved work: true leaves, false stays.
func (tab *Tab) AcceptDialogs(accept bool) {
	tab.watch.mu.Lock()
	defer tab.watch.mu.Unlock()
	tab.watch.accept = &accept
}

// Dialogs are the dialogs of the browser so far, as "beforeunload" or "confirm Really?".
func (tab *Tab) Dialogs() []string {
	tab.watch.mu.Lock()
	defer tab.watch.mu.Unlock()
	return slices.Clone(tab.watch.dialogs)
}
