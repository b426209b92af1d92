// Package directory holds accounts, people, groups and holds, and serves the Users API.
//
// # People
//
// A person's lifecycle is
//
//	invited → active → removed
//
// and is no business of platforms. What they see is the state: SUSPENDED while at least one hold is
// open, else ACTIVE. Only active people (suspended or not) are listed.
//
// # Holds
//
// A hold is one reason why a person may not sign in: who holds (client, user, case, scim), why, since
// when, until when. Suspending opens the caller's hold unless the caller has one open. Reactivating
// releases every hold but those of scim, which the identity provider alone can release; while one of
// these is open, reactivating is refused as a whole. A hold with an end is released by a job, which
// releases that hold and no other.
//
// # What must never happen
//
// An account never loses its last active owner. A person who is managed elsewhere is never suspended
// here. Both are checked in the transaction that acts, under the account's lock, so no door and no
// concurrency gets around them.
package directory
