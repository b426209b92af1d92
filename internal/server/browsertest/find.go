package browsertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/runtime"
)

// place is a part of a page.
type place struct{ role, name string }

func (p place) String() string { return fmt.Sprintf("%s %q", p.role, p.name) }

// element is something in the accessibility tree of a page.
type element struct {
	place
	node cdp.BackendNodeID
}

// In is the tab with a search narrowed to one part of the page, such as
// In("dialog", "Revoke integration") or In("navigation", "Main").
func (tab *Tab) In(role, name string) *Tab {
	narrow := *tab
	narrow.scope = append(slices.Clone(tab.scope), place{role, name})
	return &narrow
}

// elements lists what is in the accessibility tree below root (the document if 0) with the role, any
// if "", in document order.
func (tab *Tab) elements(root cdp.BackendNodeID, role string) ([]element, error) {
	query := accessibility.QueryAXTreeParams{BackendNodeID: root, Role: role}
	if root == 0 {
		document, err := call(tab, dom.GetDocument, dom.GetDocumentParams{})
		if err != nil {
			return nil, err
		}
		query.BackendNodeID = document.Root.BackendNodeID
	}
	tree, err := call(tab, accessibility.QueryAXTree, query)
	if err != nil {
		return nil, err
	}
	var found []element
	for _, n := range tree.Nodes {
		if n.Ignored || n.BackendDOMNodeID == 0 || n.BackendDOMNodeID == root {
			continue
		}
		e := element{place: place{text(n.Role), text(n.Name)}, node: n.BackendDOMNodeID}
		// Pieces of text are their parent's name once more.
		if role == "" && (e.role == "StaticText" || e.role == "InlineTextBox" || e.role == "LabelText") {
			continue
		}
		found = append(found, e)
	}
	return found, nil
}

// text is a value of the accessibility tree as words.
func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	if json.Unmarshal([]byte(v.Value), &s) != nil {
		s = string(v.Value)
	}
	return words(s)
}

// words has single spaces as its only white space.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// lookup finds the one element with role and name among those with one of the roles.
func (tab *Tab) lookup(name string, roles ...string) (element, error) {
	root := cdp.BackendNodeID(0)
	for i, part := range tab.scope {
		outer := *tab
		outer.scope = tab.scope[:i]
		e, err := outer.one(root, part.name, part.role)
		if err != nil {
			return element{}, err
		}
		root = e.node
	}
	return tab.one(root, name, roles...)
}

func (tab *Tab) one(root cdp.BackendNodeID, name string, roles ...string) (element, error) {
	var all []element
	for _, role := range roles {
		list, err := tab.elements(root, role)
		if err != nil {
			return element{}, fmt.Errorf("%w (%w)", errGone, err)
		}
		all = append(all, list...)
	}
	var named []element
	for _, e := range all {
		if e.name == words(name) {
			named = append(named, e)
		}
	}
	wanted := place{strings.Join(roles, " or "), name}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(named) > 1 && tab.sameLink(named):
		return named[0], nil
	case len(named) > 1:
		return element{}, fmt.Errorf("there are %d of %s; narrow the search with In", len(named), wanted)
	}
	return element{}, errors.New("there is no " + wanted.String() + tab.within() + ", only " + tab.others(root, all, name))
}

// sameLink reports whether all are links to one address: any of them will do.
func (tab *Tab) sameLink(list []element) bool {
	var targets []string
	for _, e := range list {
		var href string
		if e.role != "link" || tab.onNode(e.node, "function() { return this.href }", &href) != nil {
			return false
		}
		targets = append(targets, href)
	}
	return len(slices.Compact(targets)) == 1
}

func (tab *Tab) within() string {
	var b strings.Builder
	for _, p := range slices.Backward(tab.scope) {
		fmt.Fprintf(&b, " in %s", p)
	}
	return b.String()
}

// others says what there is instead of an element that was not found: the names of the role, or the
// roles of the name.
func (tab *Tab) others(root cdp.BackendNodeID, all []element, name string) string {
	var names []string
	for _, e := range all {
		if quoted := fmt.Sprintf("%q", e.name); !slices.Contains(names, quoted) {
			names = append(names, quoted)
		}
	}
	any, err := tab.elements(root, "")
	if err == nil {
		for _, e := range any {
			if e.name == words(name) && !slices.Contains(names, e.String()) && !slices.ContainsFunc(all, func(a element) bool { return a.node == e.node }) {
				names = append(names, e.String())
			}
		}
	}
	if len(names) == 0 {
		return "things of other roles"
	}
	if len(names) > 40 {
		names = append(names[:40], "…")
	}
	return strings.Join(names, ", ")
}

// onNode calls a JavaScript function with the element as this and decodes what it returns.
func (tab *Tab) onNode(node cdp.BackendNodeID, function string, into any, args ...any) error {
	o, err := call(tab, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node})
	if err != nil {
		return err
	}
	yes := true
	params := runtime.CallFunctionOnParams{FunctionDeclaration: function, ObjectID: o.Object.ObjectID, ReturnByValue: &yes, Silent: &yes}
	for _, a := range args {
		raw, err := json.Marshal(a)
		if err != nil {
			return err
		}
		params.Arguments = append(params.Arguments, &runtime.CallArgument{Value: raw})
	}
	r, err := call(tab, runtime.CallFunctionOn, params)
	if err != nil {
		return err
	}
	return value(r.Result, r.ExceptionDetails, into)
}

// fatalf ends the test, with the URL and a picture of the page.
func (tab *Tab) fatalf(format string, args ...any) {
	tab.t.Helper()
	tab.t.Fatal(tab.report(format, args...))
}

func (tab *Tab) errorf(format string, args ...any) {
	tab.t.Helper()
	tab.t.Error(tab.report(format, args...))
}

func (tab *Tab) report(format string, args ...any) string {
	s := fmt.Sprintf(format, args...) + "\n\tat " + tab.url()
	path, err := tab.picture("failed-" + tab.t.Name())
	if err != nil {
		return s + "\n\tno picture: " + err.Error()
	}
	if _, err := os.Stat(path); err == nil {
		s += "\n\tpicture: " + path
	}
	return s
}
