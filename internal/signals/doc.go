// Package signals makes events of other systems, and of this one, into one form that rules can read.
//
// # The form
//
// [Event] follows OCSF: class Authentication (3002) for sign-ins and the steps of one, a few other
// classes of the same category for what is done to accounts, and class 0 for everything else. The
// version of the schema is pinned (SchemaVersion) and docs/events/ocsf.md holds a table per source.
//
// A sign-in is a Logon of class 3002. Steps on the way to it (a policy was evaluated, a factor was
// asked for) are Preauth, so that one sign-in is not counted three times because its source is
// talkative. [Reason] is one vocabulary for why a sign-in failed; a rule about wrong passwords must
// not know how Okta and Entra spell them.
//
// # Decoders
//
// A [Decoder] is one file; [Decoders] lists them. It parses the line into an index over the text
// (document) and copies nothing but the line itself, which stays with the event: Raw is what the
// source said, and no value that a decoder does not know is lost. A decoder refuses only what is not a
// JSON object or says a time that cannot be. It reads no clock, no database and no network, so that
// the same line gives the same event, today and in a test on history.
//
// Who takes events in sets AccountID and ReceivedAt, may know a better Location than the source, and
// matches the user to a person ([Identify]).
//
// # Fields
//
// Rules ask by name ([Field]): OCSF's names first, then the source's own path in Raw, so that rules
// written for a vendor's log work unchanged. A [View] parses Raw at the first question that needs it.
//
// # Files
//
// [Read] takes NDJSON, JSON arrays, answers of APIs that wrap a list, and for tables CSV. It holds
// one event in memory at a time and goes on after a bad one, with its line and the reason.
//
// # Intake
//
// A [Source] is what is known of one kind of system that events come from; [Sources] lists them. Some are
// asked, by the [Runner] of one process at a time; some send, signed, to the routes of [Intake]. Either
// way an event is decoded, its user is matched to a person, and it is stored with a number of its own
// ([Store].AddSignals), once, however often it comes. How far a source was read moves in the same
// transaction. Who looks for something in the events reads them by their numbers ([Store].Signals) and
// waits for more ([Store].WaitSignals).
//
// # What must never happen
//
// A line costs more than its bounds (1 MiB, 32 levels, 16,384 values). An event that the source sent
// is dropped because we do not know a word in it. A text with control characters reaches a log or a
// page through a field. A label of truth in test data becomes a field of the normalised event. A cursor
// moves and the events before it are not stored. A secret or a token of a source leaves this package,
// but for the one time that it is shown.
package signals
