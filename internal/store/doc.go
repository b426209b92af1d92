// Package store is all SQL: one text for SQLite and PostgreSQL wherever the two agree, which is
// nearly everywhere. The interfaces it implements, with their contracts, are declared by the domains.
//
// # Writing
//
// Every change is a unit of work ([DB.do]): it runs in a transaction under its account's lock, appends
// its audit entry, enqueues its jobs, and is committed or never happened. Units that arrive while
// another commit is on its way share the next transaction (group commit): one sync of the disk then
// serves many of them, and none hears an answer before it. If one fails after it has changed something,
// the transaction is given up and each of them is run again in one of its own.
//
//	SQLite      one writing connection; one group at a time for the whole file
//	PostgreSQL  one group at a time per account and process; the account's advisory lock, taken
//	            first, keeps other processes out until the commit
//
// A unit is durable when it has been answered (SQLite synchronous=FULL, PostgreSQL synchronous_commit)
// unless all units of its group said that they may be lost with the power.
//
// # Reading
//
// Reads are single statements on a pool of their own, so each sees one consistent state, and every
// commit that was answered before it began.
//
// # SQL
//
// Placeholders are $1…$n in rising order of first appearance: not every driver heeds the number.
// Times are microseconds since 1970.
package store
