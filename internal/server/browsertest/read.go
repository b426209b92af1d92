package browsertest

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// read finds an element, calls a JavaScript function on it and decodes what that returns.
func (tab *Tab) read(what, name, function string, into any, roles ...string) {
	tab.t.Helper()
	err := tab.until(func() error {
		e, err := tab.lookup(name, roles...)
		if err != nil {
			return err
		}
		return tab.onNode(e.node, function, into)
	})
	if err != nil {
		tab.fatalf("%s: %q: %v", what, name, err)
	}
}

// Text is what the element shows: its visible text, or the content of a field. An output has the role
// "status".
func (tab *Tab) Text(role, name string) string {
	tab.t.Helper()
	var s string
	tab.read("text of "+role, name, `function() {
		const field = ["input", "textarea", "select"].includes(this.localName);
		return field ? this.value : this.innerText;
	}`, &s, role)
	return strings.TrimSpace(s)
}

// Value is what is in a field, found by its accessible name; of a select, the text of the option.
func (tab *Tab) Value(label string) string {
	tab.t.Helper()
	var s string
	tab.read("value", label, `function() {
		return this.localName === "select" ? this.selectedOptions[0]?.text ?? "" : this.value ?? this.innerText;
	}`, &s, append(fields(), "listbox")...)
	return s
}

// Attribute is the attribute of an element, "" if it has none: Attribute("link", "Help", "href").
func (tab *Tab) Attribute(role, name, attribute string) string {
	tab.t.Helper()
	var s string
	tab.read("attribute "+attribute+" of "+role, name, fmt.Sprintf(`function() { return this.getAttribute(%q) ?? "" }`, attribute), &s, role)
	return s
}

// Disabled reports whether the element cannot be used: disabled, or aria-disabled.
func (tab *Tab) Disabled(role, name string) bool {
	tab.t.Helper()
	var is bool
	tab.read("look whether disabled", name, `function() { return this.matches(":disabled, [aria-disabled=true]") }`, &is, role)
	return is
}

// Names are the accessible names of everything with the role, in the order of the page.
func (tab *Tab) Names(role string) []string {
	tab.t.Helper()
	tab.settle()
	var names []string
	err := tab.until(func() error {
		root := cdp.BackendNodeID(0)
		if n := len(tab.scope); n > 0 {
			outer := *tab
			outer.scope = tab.scope[:n-1]
			e, err := outer.lookup(tab.scope[n-1].name, tab.scope[n-1].role)
			if err != nil {
				return err
			}
			root = e.node
		}
		list, err := tab.elements(root, role)
		names = nil
		for _, e := range list {
			names = append(names, e.name)
		}
		return err
	})
	if err != nil {
		tab.fatalf("names of %s: %v", role, err)
	}
	return names
}

// Exists reports whether there is such an element now, after the page has come to rest.
func (tab *Tab) Exists(role, name string) bool {
	tab.t.Helper()
	tab.settle()
	names := tab.Names(role)
	for _, n := range names {
		if n == words(name) {
			return true
		}
	}
	return false
}

// shown is the visible text of the page, or of the part of it.
func (tab *Tab) shown() (string, error) {
	var s string
	if n := len(tab.scope); n > 0 {
		outer := *tab
		outer.scope = tab.scope[:n-1]
		e, err := outer.lookup(tab.scope[n-1].name, tab.scope[n-1].role)
		if err != nil {
			return "", err
		}
		err = tab.onNode(e.node, "function() { return this.innerText }", &s)
		return words(s), err
	}
	err := tab.eval("document.body ? document.body.innerText : ''", &s)
	return words(s), err
}

// Has reports whether the page shows the text now, after it has come to rest. White space counts as
// one space; the contents of fields are not part of the text.
func (tab *Tab) Has(text string) bool {
	tab.t.Helper()
	tab.settle()
	s, err := tab.shown()
	return err == nil && strings.Contains(s, words(text))
}

// Wait waits until the page shows the text, and ends the test if it never does.
func (tab *Tab) Wait(text string) {
	tab.t.Helper()
	var s string
	err := tab.until(func() (err error) {
		if s, err = tab.shown(); err == nil && !strings.Contains(s, words(text)) {
			err = errors.New("it is not there")
		}
		return err
	})
	if err != nil {
		tab.fatalf("wait for the text %q: %v; the page says: %s", text, err, cut(s, 1500))
	}
	tab.settle()
}

// MustHave waits for each of the texts.
func (tab *Tab) MustHave(texts ...string) {
	tab.t.Helper()
	for _, s := range texts {
		tab.Wait(s)
	}
}

// MustNotHave fails for each of the texts that the page shows after it has come to rest.
func (tab *Tab) MustNotHave(texts ...string) {
	tab.t.Helper()
	for _, s := range texts {
		if tab.Has(s) {
			tab.errorf("the page shows %q", s)
		}
	}
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// HTML is the page as it stands, scripts' doings included.
func (tab *Tab) HTML() string {
	tab.t.Helper()
	tab.settle()
	var s string
	if err := tab.eval("document.documentElement.outerHTML", &s); err != nil {
		tab.fatalf("HTML: %v", err)
	}
	return s
}

// Focused is what has the focus, as button "Suspend"; "" if that is the page as a whole.
func (tab *Tab) Focused() string {
	tab.t.Helper()
	var s string
	err := tab.until(func() error {
		r, err := call(tab, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.activeElement === document.body ? null : document.activeElement"})
		if err != nil || r.Result.ObjectID == "" {
			return err
		}
		no := false
		tree, err := call(tab, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: r.Result.ObjectID, FetchRelatives: &no})
		if err != nil {
			return err
		}
		if len(tree.Nodes) > 0 {
			s = place{text(tree.Nodes[0].Role), text(tree.Nodes[0].Name)}.String()
		}
		return nil
	})
	if err != nil {
		tab.fatalf("focus: %v", err)
	}
	return s
}

// Download clicks and returns the file that the browser then saves: its name and its content.
func (tab *Tab) Download(role, name string) (file string, content []byte) {
	tab.t.Helper()
	before, err := tab.saved()
	if err != nil {
		tab.fatalf("download: %v", err)
	}
	tab.Click(role, name)
	err = tab.until(func() error {
		after, err := tab.saved()
		if err != nil {
			return err
		}
		for _, f := range after {
			if !slices.Contains(before, f) {
				file = f
				content, err = os.ReadFile(filepath.Join(tab.files, f))
				return err
			}
		}
		return errors.New("the browser saves no file")
	})
	if err != nil {
		tab.fatalf("download by %s %q: %v", role, name, err)
	}
	return file, content
}

// saved lists the files that the browser has saved completely.
func (tab *Tab) saved() (names []string, err error) {
	entries, err := os.ReadDir(tab.files)
	for _, e := range entries {
		// Until it is complete, a file has another ending or a hidden name.
		if !strings.HasSuffix(e.Name(), ".crdownload") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// artifactsVariable names the folder for pictures, in place of test-artifacts in the repository.
const artifactsVariable = "HOLDFAST_TEST_ARTIFACTS"

// Screenshot writes a picture of the whole page to screens/<name>.png in the folder of artefacts.
func (tab *Tab) Screenshot(name string) {
	tab.t.Helper()
	tab.rest()
	if _, err := tab.picture(name); err != nil {
		tab.errorf("picture %s: %v", name, err)
	}
}

// picture writes a picture of the page and returns its path.
func (tab *Tab) picture(name string) (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	folder := os.Getenv(artifactsVariable)
	if folder == "" {
		folder = filepath.Join(root, "test-artifacts")
	}
	path := filepath.Join(folder, "screens", regexp.MustCompile(`[^A-Za-z0-9._-]+`).ReplaceAllString(name, "-")+".png")
	size, err := call(tab, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil {
		return "", err
	}
	const tallest = 16000 // higher ones are more than the browser draws
	yes := true
	shot, err := call(tab, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: &yes,
		Clip: &page.Viewport{
			Width:  math.Max(size.CSSContentSize.Width, float64(tab.set.width)),
			Height: math.Min(math.Max(size.CSSContentSize.Height, float64(tab.set.height)), tallest), Scale: 1,
		},
	})
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, shot.Data, 0o644)
}

// repository is the folder of the repository, above the package under test.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working folder")
		}
		dir = up
	}
}
