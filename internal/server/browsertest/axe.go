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
const axeRun = `axe.run(document, {
	runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
	resultTypes: ["violations"], preload: false,
}).then(r => JSON.stringify({passes: r.passes.length, violations: r.violations}))`

// Axe looks for faults of accessibility with axe-core and fails the test for each, with the rule, the
// element and what would help.
//
// The script runs in a world of its own beside the page: the page's policy neither stops it nor has
// to be loosened for it.
func (tab *Tab) Axe() {
	tab.t.Helper()
	tab.settle()
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
	world, err := call(tab, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tab.watch.frame, WorldName: "axe"})
	if err != nil {
		return found, err
	}
	yes := true
	for _, source := range []string{script + "\n;0", axeRun} {
		r, err := call(tab, runtime.Evaluate, runtime.EvaluateParams{
			Expression: source, ContextID: world.ExecutionContextID, ReturnByValue: &yes, AwaitPromise: &yes,
		})
		if err != nil {
			return found, err
		}
		var s string
		if source != axeRun {
			if err := value(r.Result, r.ExceptionDetails, nil); err != nil {
				return found, err
			}
			continue
		}
		if err := value(r.Result, r.ExceptionDetails, &s); err != nil {
			return found, err
		}
		if err := json.Unmarshal([]byte(s), &found); err != nil {
			return found, err
		}
	}
	return found, nil
}
