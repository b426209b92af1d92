package browsertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp/kb"
)

// Click clicks the element with the role and the accessible name: Click("button", "Suspend").
func (tab *Tab) Click(role, name string) {
	tab.t.Helper()
	tab.clicks(role, name, 1)
}

// DoubleClick clicks twice: again as soon as what the first click asks for is on its way, or after a
// tenth of a second. Two clicks at the very same moment would be no test: the browser sends one form.
func (tab *Tab) DoubleClick(role, name string) {
	tab.t.Helper()
	tab.clicks(role, name, 2)
}

func (tab *Tab) clicks(role, name string, times int) {
	tab.t.Helper()
	err := tab.until(func() error {
		e, err := tab.lookup(name, role)
		if err != nil {
			return err
		}
		return tab.press(e, times)
	})
	if err != nil {
		tab.fatalf("click %s %q: %v", role, name, err)
	}
	tab.settle()
}

// covered is "" if a click at the point reaches the element, else what is in the way. A click on the
// label of a field reaches the field.
const covered = `function(x, y) {
	const there = document.elementFromPoint(x, y);
	if (!there) return "outside the window";
	const label = there.closest("label");
	if (this === there || this.contains(there) || label && label.control === this) return "";
	const s = there.outerHTML;
	return "covered by " + (s.length > 120 ? s.slice(0, 120) + "…" : s);
}`

// press clicks in the middle of an element, with a mouse. An error means that nothing was clicked.
func (tab *Tab) press(e element, times int) error {
	var disabled bool
	if err := tab.onNode(e.node, `function() { return this.matches(":disabled") }`, &disabled); err != nil {
		return err
	}
	if disabled {
		return fmt.Errorf("%s is disabled", e)
	}
	if err := do(tab, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: e.node}); err != nil {
		return fmt.Errorf("%s has no place on the page: %w", e, err)
	}
	shape, err := call(tab, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: e.node})
	if err != nil {
		return err
	}
	if len(shape.Quads) == 0 || len(shape.Quads[0]) != 8 {
		return fmt.Errorf("%s has no place on the page", e)
	}
	q := shape.Quads[0] // corners: x, y, x, y, …
	x, y := (q[0]+q[4])/2, (q[1]+q[5])/2
	var obstacle string
	if err := tab.onNode(e.node, covered, &obstacle, x, y); err != nil {
		return err
	}
	if obstacle != "" {
		return fmt.Errorf("%s is %s", e, obstacle)
	}
	mouse := func(kind input.DispatchMouseEventType, buttons, count int64) error {
		m := input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Buttons: buttons, ClickCount: count}
		if count > 0 {
			m.Button = input.MouseButtonLeft
		}
		return do(tab, input.DispatchMouseEvent, m)
	}
	if err := mouse(input.DispatchMouseEventTypeMouseMoved, 0, 0); err != nil {
		return err
	}
	sent := tab.watch.sentSoFar()
	for n := range int64(times) {
		if n > 0 {
			tab.watch.waitSent(sent, 100*time.Millisecond)
		}
		err := errors.Join(mouse(input.DispatchMouseEventTypeMousePressed, 1, n+1), mouse(input.DispatchMouseEventTypeMouseReleased, 0, n+1))
		if err != nil {
			tab.fatalf("click %s: %v", e, err) // not again: half of it may have been done
		}
	}
	return nil
}

// Fill replaces what is in a field, found by its accessible name, as a person who selects all and
// types or pastes.
func (tab *Tab) Fill(label, text string) {
	tab.t.Helper()
	err := tab.until(func() error {
		e, err := tab.lookup(label, fields()...)
		if err != nil {
			return err
		}
		return tab.fill(e, text)
	})
	if err != nil {
		tab.fatalf("fill in %q: %v", label, err)
	}
	tab.settle()
}

// fields are the roles into which one can write.
func fields() []string {
	return []string{"textbox", "searchbox", "combobox", "spinbutton", "Date", "DateTime", "InputTime"}
}

func (tab *Tab) fill(e element, text string) error {
	var state string
	if err := tab.onNode(e.node, `function() { return this.readOnly ? "read-only" : this.localName === "select" ? "a list of choices, for Choose" : "" }`, &state); err != nil {
		return err
	}
	if state != "" {
		return fmt.Errorf("%s is %s", e, state)
	}
	if err := tab.press(e, 1); err != nil {
		return err
	}
	if slices.Contains([]string{"Date", "DateTime", "InputTime"}, e.role) {
		return tab.onNode(e.node, setValue, nil, text) // these have no text of their own to type into
	}
	var focused bool
	err := tab.onNode(e.node, `function() {
		if (this.select) this.select(); else getSelection().selectAllChildren(this);
		return document.activeElement === this;
	}`, &focused)
	if err != nil {
		return err
	}
	if !focused {
		return fmt.Errorf("%s does not take the focus", e)
	}
	if text == "" {
		return tab.key("Delete")
	}
	return do(tab, input.InsertText, input.InsertTextParams{Text: text})
}

const setValue = `function(v) {
	this.value = v;
	this.dispatchEvent(new Event("input", {bubbles: true}));
	this.dispatchEvent(new Event("change", {bubbles: true}));
}`

// Check checks a checkbox, a radio button or a switch if it is not yet.
func (tab *Tab) Check(name string) {
	tab.t.Helper()
	tab.check(name, true)
}

// Uncheck takes the check off a checkbox or a switch.
func (tab *Tab) Uncheck(name string) {
	tab.t.Helper()
	tab.check(name, false)
}

const checked = `function() { return "checked" in this ? this.checked : this.getAttribute("aria-checked") === "true" }`

func (tab *Tab) check(name string, want bool) {
	tab.t.Helper()
	err := tab.until(func() error {
		e, err := tab.lookup(name, "checkbox", "radio", "switch")
		if err != nil {
			return err
		}
		var is bool
		if err := tab.onNode(e.node, checked, &is); err != nil || is == want {
			return err
		}
		if err := tab.press(e, 1); err != nil {
			return err
		}
		tab.settle()
		// A click that leads to another page takes the box with it.
		if err := tab.onNode(e.node, checked, &is); err == nil && is != want {
			return fmt.Errorf("%s stays as it is when clicked", e)
		}
		return nil
	})
	if err != nil {
		tab.fatalf("check %q (%v): %v", name, want, err)
	}
	tab.settle()
}

// Checked reports whether the checkbox, radio button or switch is checked.
func (tab *Tab) Checked(name string) bool {
	tab.t.Helper()
	var is bool
	tab.read("look whether checked", name, checked, &is, "checkbox", "radio", "switch")
	return is
}

// Choose chooses an option, by its text, of a select or of a group of radio buttons.
func (tab *Tab) Choose(label, option string) {
	tab.t.Helper()
	err := tab.until(func() error {
		e, err := tab.lookup(label, "combobox", "listbox", "radiogroup", "group")
		if err != nil {
			return err
		}
		if e.role == "radiogroup" || e.role == "group" {
			r, err := tab.In(e.role, label).lookup(option, "radio")
			if err != nil {
				return err
			}
			return tab.press(r, 1)
		}
		var problem string
		err = tab.onNode(e.node, `function(text) {
			if (this.disabled) return "it is disabled";
			const name = o => (o.label || o.text).trim().replace(/\s+/g, " ");
			const all = [...this.options], one = all.find(o => name(o) === text && !o.disabled);
			if (!one) return "it offers " + all.filter(o => !o.disabled).map(name).join(", ");
			this.focus();
			this.value = one.value;
			this.dispatchEvent(new Event("input", {bubbles: true}));
			this.dispatchEvent(new Event("change", {bubbles: true}));
			return "";
		}`, &problem, words(option))
		if err == nil && problem != "" {
			err = errors.New(problem)
		}
		return err
	})
	if err != nil {
		tab.fatalf("choose %q of %q: %v", option, label, err)
	}
	tab.settle()
}

// Press presses keys one after the other: "Tab", "Enter", "Escape", "Space", "ArrowDown", "a", with
// modifiers as in "Shift+Tab".
func (tab *Tab) Press(keys ...string) {
	tab.t.Helper()
	for _, k := range keys {
		if err := tab.key(k); err != nil {
			tab.fatalf("press %s: %v", k, err)
		}
		tab.settle()
	}
}

// Type types a text into what has the focus, key by key.
func (tab *Tab) Type(text string) {
	tab.t.Helper()
	for _, r := range text {
		if err := tab.strike(r, 0); err != nil {
			tab.fatalf("type %q: %v", r, err)
		}
	}
	tab.settle()
}

// named maps the names of keys to the characters under which kb knows them.
func named(key string) (rune, bool) {
	names := map[string]string{
		"Tab": kb.Tab, "Enter": kb.Enter, "Escape": kb.Escape, "Space": " ", "Backspace": kb.Backspace, "Delete": kb.Delete,
		"ArrowUp": kb.ArrowUp, "ArrowDown": kb.ArrowDown, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
		"Home": kb.Home, "End": kb.End, "PageUp": kb.PageUp, "PageDown": kb.PageDown, "F1": kb.F1, "F6": kb.F6,
	}
	if s, ok := names[key]; ok {
		key = s
	}
	if r := []rune(key); len(r) == 1 {
		return r[0], true
	}
	return 0, false
}

// key presses a key such as "Shift+Tab".
func (tab *Tab) key(name string) error {
	modifiers := map[string]int64{"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
	held := int64(0)
	rest := name
	for {
		modifier, after, ok := strings.Cut(rest, "+")
		if bit := modifiers[modifier]; ok && bit != 0 && after != "" {
			held, rest = held|bit, after
			continue
		}
		break
	}
	r, ok := named(rest)
	if !ok {
		return fmt.Errorf("%q is no key; the names are as in KeyboardEvent.key, with Space, and modifiers as in Shift+Tab", name)
	}
	return tab.strike(r, held)
}

func (tab *Tab) strike(r rune, held int64) error {
	const writes = 1 | 2 | 4 // with these held, a key is a command and writes nothing
	for _, event := range kb.Encode(r) {
		if event.Type == kb.KeyChar && held&writes != 0 {
			continue
		}
		event.Modifiers |= held
		if err := do(tab, input.DispatchKeyEvent, *event); err != nil {
			return err
		}
	}
	return nil
}

// TabTo presses the Tab key until the element with the role and name has the focus, and fails if that
// never happens.
func (tab *Tab) TabTo(role, name string) {
	tab.t.Helper()
	wanted := place{role, words(name)}.String()
	var seen []string
	for range 200 {
		now := tab.Focused()
		if now == wanted {
			return
		}
		seen = append(seen, now)
		tab.Press("Tab")
	}
	tab.fatalf("the Tab key never gets to %s; it went to %s", wanted, strings.Join(slices.Compact(seen[:min(60, len(seen))]), ", "))
}
