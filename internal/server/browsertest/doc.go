// Package browsertest lets a test use the product as a person does: in a real Chromium, by the roles
// and the accessible names of what is on the page.
//
//	func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }
//
//	tab := browsertest.Open(t, browsertest.Localhost(srv.URL), browsertest.Narrow(), browsertest.Lang("de"))
//	tab.Go("/integrations")
//	tab.Click("button", "OAuth Application")
//	tab.Fill("Application name", "Elastic")
//	tab.Check("Get user")
//	tab.Click("button", "Generate credentials")
//	secret := tab.Text("status", "Client secret")
//
// A test binary has one browser, which starts with the first tab and ends in [Main]; a test has a
// browser context of its own, so it shares no cookie and no cache with another one and may be
// parallel. [Tab.Second] is another tab beside the first: the same person, the same session.
//
// # Finding
//
// Names and roles come from the accessibility tree that Chromium hands to a screen reader. What that
// tree leaves out is not found: hidden, inert behind a dialog, aria-hidden. A name must be equal, up
// to white space, and must be there once; [Tab.In] narrows the search to a part of the page. An
// element that is disabled or covered by another one is not clicked. All of this is tried again for
// ten seconds, so a test needs no sleeping; what has ended, it then says with the names that were
// there, the URL, and a picture.
//
// Roles that may surprise: an output is "status", a select "combobox", a fieldset "group", a summary
// "DisclosureTriangle", a password field "textbox".
//
// After each action the tab waits until the page and its requests have come to rest.
//
// # What fails by itself
//
// At its end a test fails for what a page should never do: violate its content security policy, throw
// an exception, write an error to the console, refer to a style or script that is not there, open a
// dialog that nobody expected ([Tab.AcceptDialogs]). [Tab.Forgive] takes one of these back.
//
// Motion is switched off (prefers-reduced-motion), and the clock of the browser is in UTC.
package browsertest
