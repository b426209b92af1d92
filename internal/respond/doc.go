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
//	case      new → open
//	          open → contained | closed
//	          contained → open | closed
//	run       new → observed | stopped | held | waiting | acting | done
//	          held → waiting | acting | done | stopped
//	          waiting → acting | held | denied | expired | stopped
//	          acting → done | failed | held | stopped
//	action    new → planned
//	          planned → begun | done | refused | cancelled
//	          begun → done | refused | failed | planned | unknown
//	          unknown → done | planned | refused | failed
//	          done → undone
//	approval  new → pending
//	          pending → approved | denied | expired
//	question  new → pending
//	          pending → confirmed | denied | silent
//
// What leads nowhere is final. A closed case stays closed: what comes later opens another. A run is held by the kill
// switch or the blast radius, also once more when an action begins, and goes on when a person says so. An unknown
// action may have happened: it is read back before it is tried again. A planned one that is done or refused at once is
// one on the account's own directory.
//
// A hold belongs to its case (holder "case:<id>"). It ends by itself only where the playbook says so, only when
// nobody wants it kept, and never takes another holder's hold with it.
//
// What must never happen: a person suspended without a case that says why; a limit exceeded, by any door, by any
// number of servers; an action begun after the kill switch was on; an unknown outcome taken for a known one; an
// approval by who may not, twice, or too late; a text of an event that is read as markup or as a command.
package respond
