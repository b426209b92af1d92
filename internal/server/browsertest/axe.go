package browsertest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"

	"holdfast/internal/store/storetest"
)

// axeResult is the part of what axe-core returns that is of interest here.
type axeResult struct {
	Passes     int
	Violations []struct {
		ID, Help, HelpURL string
		Nodes             []struct {
			Target         []json.RawMessage
			HTML           string
			FailureSummary string
		}
	}
}

// axeRun asks for WCAG 2.0 to 2.2, levels A and AA.
//
// A page is looked at in two colour schemes. Where neither an element nor a box of it differs from what all
// rules have seen, only the rules about colours can find anything else, and only they are asked.
const axeRun = `(() => {
	const drawn = [...document.querySelectorAll("*")].map(e => {
		const b = e.getBoundingClientRect()
		return [e.value, e.checked, b.x, b.y, b.width, b.height, getComputedStyle(e).visibility]
	})
	const seen = JSON.stringify([innerWidth, innerHeight, scrollX, scrollY, document.documentElement.outerHTML, drawn])
	const rules = seen === globalThis.seen ? {type: "rule", values: ["color-contrast", "link-in-text-block"]} :
		{type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
	return axe.run(document, {runOnly: rules, resultTypes: ["violations"], preload: false}).then(r => {
		globalThis.seen = seen
		return JSON.stringify({passes: r.passes.length, violations: r.violations})
	})
})()`

// Axe looks for faults of accessibility with axe-core and fails the test for each, with the rule, the
// element and what would help.
//
// The script runs in a world of its own beside the page: the page's policy neither stops it nor has
// to be loosened for it.
func (tab *Tab) Axe() {
	tab.t.Helper()
	tab.rest()
	root, err := repository()
	if err != nil {
		tab.t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, "test", "clients", "node_modules", "axe-core", "axe.min.js"))
	storetest.Require(tab.t, "npm", err == nil, fmt.Sprintf("run npm ci in test/clients (%v)", err))
	found, err := tab.axe(string(script))
	switch {
	case err != nil:
		tab.fatalf("axe-core: %v", err)
	case found.Passes == 0:
		tab.fatalf("axe-core found nothing to look at")
	}
	for _, v := range found.Violations {
		for _, n := range v.Nodes {
			var target strings.Builder
			for _, part := range n.Target {
				target.WriteString(string(part))
			}
			tab.errorf("axe %s: %s\n\telement: %s\n\t%s\n\t%s\n\tsee %s", v.ID, v.Help, target.String(), cut(words(n.HTML), 200), words(n.FailureSummary), v.HelpURL)
		}
	}
}

func (tab *Tab) axe(script string) (found axeResult, err error) {
	if tab.set.noScript {
		// A page that lives without scripts is looked at with one.
		if err := do(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false}); err != nil {
			return found, err
		}
		defer func() {
			_ = do(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		}()
	}
	// The script is put into a document once. A document that is gone takes its worlds with it.
	if world := tab.watch.axeWorld(); world != 0 {
		if err := tab.axeIn(world, axeRun, &found); err == nil {
			return found, nil
		}
	}
	world, err := call(tab, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tab.watch.frame, WorldName: "axe"})
	if err != nil {
		return found, err
	}
	if err := tab.axeIn(world.ExecutionContextID, script+"\n;null", nil); err != nil {
		return found, err
	}
	tab.watch.keepAxeWorld(world.ExecutionContextID)
	return found, tab.axeIn(world.ExecutionContextID, axeRun, &found)
}

// axeIn evaluates the source in the world; what it returns, if anything, is JSON.
func (tab *Tab) axeIn(world runtime.ExecutionContextID, source string, into *axeResult) error {
	yes := true
	r, err := call(tab, runtime.Evaluate, runtime.EvaluateParams{
		Expression: source, ContextID: world, ReturnByValue: &yes, AwaitPromise: &yes,
	})
	if err != nil {
		return err
	}
	if into == nil {
		return value(r.Result, r.ExceptionDetails, nil)
	}
	var s string
	if err := value(r.Result, r.ExceptionDetails, &s); err != nil {
		return err
	}
	return json.Unmarshal([]byte(s), into)
}
