// Package web is the edge: it turns a table of routes into one http.Handler.
//
// A route is one line: pattern, access, handler. A route without a declared access does not start
// ([New] refuses it), so forgetting authorization is impossible rather than unlikely. Handlers
// return errors; this package alone answers them, in the form that the route's protocol wants, so
// that status, body, log line and metric cannot disagree.
//
// What every request passes, in this order:
//
//	peer        plain HTTP off loopback is served to trusted proxies only
//	path        clean or 404: nothing is redirected, so no token ever follows a redirect
//	query       a secret in the query string is refused (it would end up in logs)
//	route       404, or 405 with Allow
//	access      bearer token → principal → account in the path → scope
//	limits      body size
//	handler     panics become 500
//	record      one wide log line, one metric
//
// Patterns are those of [http.ServeMux] with one addition: the last segment may end in a custom
// verb behind a colon, as in "POST /v1/accounts/{account}/users/{user}:suspend". ServeMux cannot
// express that; a verb sent as %3Asuspend matches too.
//
// Refusals are audited through [RefusalLog], each exactly once. An address that keeps failing gets
// 429 and no further audit entries, so that nobody can fill the log from outside; a request with
// valid credentials is never limited by the failures of others.
package web
