// Package console is the administration in the browser: pages made on the server, in English and German.
//
// # A page
//
// A page is a handler, a template and its texts, each in a file named for the area: people.go,
// templates/people.html, locales/en/people.yaml. Handlers read from the domains' services, fill a struct
// of their own, and [Console.render] it. They return errors as everywhere; [Console.Problem] shows them.
//
// Templates know three things besides their data: texts by key (t), who looks (.Me), and how times and
// numbers are written (the functions of format.go). A page is rendered to memory first: what fails half
// way is an error page, not half a page. There is one parsed set for each language, so that nothing has to
// be looked up by language while rendering.
//
// # A change
//
// Forms post to a route of their own and are answered by 303, so that reloading repeats nothing. A form
// that was filled in wrongly is shown again with what was typed and the error under its field (422). Every
// dialog is also a page at its own address: all but passkeys and copying works without scripts.
//
// When a session has ended, or a change needs a fresh authentication, what was typed is parked with the
// server, the person signs in or confirms, and finds it again (resume.go).
//
// # Defence
//
// Access is declared on each route; package web refuses requests of other sites. Content-Security-Policy
// allows files of this server and nothing inline. html/template escapes by context.
package console
