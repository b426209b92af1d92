// Package respond acts on findings: it opens cases, decides by playbooks and within guard rails, and carries
// out what was decided, with a way back.
//
//	finding --Decide--> run (checks, one after the other) --> actions --> Target
//	                     |                                      |
//	                     +-- approval, question, page           +-- timeline of the case
//
// One transaction decides. It holds the account's lock, reads the facts, asks the pure function [Decide], and
// writes case, run, checks, actions, approvals, timeline, audit entries and follow-up jobs; it moves the cursor
// over the findings, too. What a playbook does to the account's own directory happens in that transaction, so
// that no limit can be exceeded by any number of servers. What it does elsewhere is planned there and done by a
// job, which asks the guard rails once more when it begins.
//
// The checks, in this order; the first that does not pass is stored with its reason, after those that did:
//
//	kill switch    nothing is begun while it is on
//	mode           off: no run; observe: all checks are made, nothing is done
//	event age      what is older is recorded, not acted on
//	source trust   how sure it is who sent the event
//	when           the playbook's condition
//	dedupe         the same key within the window
//	protected      people and groups that are listed, the last owner, who is managed elsewhere, break-glass
//	blast radius   so many people in a time, such a share of all: beyond, hold and page, never drop
//	approval       a person's consent, before or after
//
// State machines. Each has one transition function (machine.go), and nothing else writes a state.
//
//	case      open → contained → closed; open → closed; contained → open. Closed is final: what comes later opens another
//	run       observed | stopped | held | waiting | acting; held → acting | stopped; waiting → acting | denied | expired; acting → done | failed
//	action    planned → begun → done | refused | failed; begun → unknown → done | planned; planned → cancelled; done → undone
//	approval  pending → approved | denied | expired
//	question  pending → confirmed | denied | silent
//
// A hold belongs to its case (holder "case:<id>"). It ends by itself only where the playbook says so, only when
// nobody wants it kept, and never takes another holder's hold with it.
//
// What must never happen: a person suspended without a case that says why; a limit exceeded, by any door, by any
// number of servers; an action begun after the kill switch was on; an unknown outcome taken for a known one; an
// approval by who may not, twice, or too late; a text of an event that is read as markup or as a command.
package respond
