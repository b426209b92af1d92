// Package detect finds what is suspicious in events, with rules that security engineers already know how
// to write: Sigma 2, rules and correlations.
//
//	files --Parse--> Rule --Compile--> Set --Matcher--> rules that match an event
//	                                      \--Correlate--> findings over many events
//
// Parse is strict. A rule that is not understood in full would be silent where its author expects it to
// speak, so an unknown key, modifier or search, a search that is not used, a value that YAML 1.1 and 1.2
// read differently, a condition that always or never holds: each is a Fault with file, line and column,
// and a file's faults are all reported, not the first only. Compile adds what needs more than one
// document to see: names, circles, and fields that the events of the source do not have. What of Sigma is
// not offered (filters, encodings, sums, averages) is refused with the reason.
//
// How values compare. A field holds nothing, null, a text, a number, true or false, or a list of these.
//
//	text in a rule        the whole value, any case (Unicode simple folding) unless |cased; * and ? stand for
//	                      any and one character, a backslash takes that from them
//	number, true, false   as the text of the same form: 3 finds 3, 3.0 and "3"; true finds true and "true"
//	null                  the field is absent, null, or a list with null in it
//	|exists               the field is there, null or empty or not
//	|contains and so on   within the text of the value, numbers too
//	|re                   RE2, anywhere in the text, case-sensitive unless |i; time is linear in the text
//	|cidr                 a network that has the address; IPv4 in IPv6 form is IPv4
//	|lt |lte |gt |gte     numbers, and texts that are decimal numbers
//	|fieldref             another field of the same event
//	|expand               the entries of a list (%name%), as it is when the event is looked at
//	a list in the event   the predicate holds if it holds for one element
//	a list in the rule    one must match; with |all each, by any element
//	no field              a text of the event, anywhere, contains it
//
// A set is compiled for sources, each described by a FieldMap: a rule applies to those whose log source
// its own covers, and its fields become places, numbers under which a Matcher asks an Event. Rules turn
// into closures over such places. An index by field value keeps cost from growing with the number of
// rules: a rule that requires one of certain texts in a field is looked at only if the event has one.
//
// A finding of a correlation is a matter of the events and their times alone, not of the order in which
// they arrive, the clock of the machine or the state of a process. Correlate is the definition.
//
// An Engine runs a Set over events in order of time:
//
//	signals.Event --features--> fields --Matcher--> matches --windows--> findings --explain--> Found
//	                  ^   |
//	                  Memory
//
// Features are what was remembered of earlier events, in profiles of people, addresses, networks, devices
// and sessions of bounded size; docs/events/features.md is their table. An unknown one is absent. They are
// computed before the event teaches anything, and an event of a finding of level high or critical never
// teaches habits. Windows find event by event what Correlate finds with all of them at hand. Profiles are
// in a Memory, which may be a database; windows are in the process, and follow from the matches so far.
//
// Live does so as events are stored, in any number of processes. Events come late, and processes end: each of
// these is going back. An engine can be put back to a Snapshot, and its memory (Versions) to the version of the
// same time; then what is stored since is taken again, in the order in which it happened, and what has become
// different is committed: findings that begin, change, or are withdrawn. A finding's id follows from its rule,
// key and time, so what is found again is the same finding.
//
//	signals in order of arrival --sort--> in time? --no--> counted: late, or ahead of its time
//	                                         |
//	          between what was taken? --yes--> go back to a snapshot before it, at most a tenth of the time
//	                                         |
//	                                      Engine --> Commit{version, cursor, findings} --> Checkpoint
//
// The database is the truth. A checkpoint (profiles, windows) is a snapshot that no event can come before any
// more; with the stored events after it, it is the whole state. Each commit and each checkpoint makes the
// version of the state grow, and is taken only from who knows the version before. Whether an event is late
// follows from the events stored before it, not from when a process looked. Other rules begin where they come:
// the old ones have looked at what was before. What a person judges to be harmless is learned at a place in the
// order of time, so that taking events again comes to the same.
//
// What must never happen: a panic, or time or memory out of proportion, because of what stands in a rule
// file or an event (sizes, depth and combinations are capped, expressions cannot backtrack); a rule that
// is loaded in part; two readings of one rule; a habit learned from the evidence of a serious finding; an
// unknown feature that reads as no.
package detect
