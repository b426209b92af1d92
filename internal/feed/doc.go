// Package feed serves the Events API: what happened in an account, read by programs of others with a cursor.
//
// # Streams
//
// There are three: sign-in attempts, item usages, audit events. Each is the account's own, in the order in
// which its events were committed. An event's number in its stream (1, 2, 3…) is given inside the transaction
// that writes it, under the lock of the account, which is held until the transaction is visible. So no event
// can appear behind a number that a reader has passed, however many servers write: a reader who asks for what
// comes after the last number it has seen misses nothing and gets nothing twice.
//
// # Cursors
//
// A cursor is that number together with what the reader asked for at first (limit, start, end), marked with
// the installation's key for the account and stream. It is no state of the server: it outlives restarts, can
// be used from two places, and goes on as long as the events are kept. It is base64url, 96 characters.
//
// # Times
//
// Events are asked for by number and filtered by time. Where to begin is found by bisection over the numbers,
// which takes some twenty look-ups however long the log is. Times and numbers rise together but for the clocks
// of several servers; [disorder] is how far they may be apart. Events later than that before the end that a
// reader asked for are not waited for.
//
// # Tokens
//
// An events token is a JWT signed with ES256, since shippers read from it where to send it (aud) and what it
// is good for (1password.com/fts). Here its signature is checked, and then it is looked up by its hash, with
// each request: what is revoked is refused from the next one on. It is shown once and not kept.
//
// # Where the contract is lenient
//
// Clients send no Content-Type, {} or nothing, null for a time, a cursor beside other keys: all of that is
// accepted, since they did not ask us. A limit out of range, a time that is none, and a cursor that is not ours
// are refused.
//
// # Waiting
//
// A client that sends Prefer: wait=20 (RFC 7240 §4.3) and has read everything gets its answer as soon as there
// is something, or after that many seconds. Clients that do not know it poll.
package feed
