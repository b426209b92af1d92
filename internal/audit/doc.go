// Package audit is the record of who did what: entries that are appended and never changed, linked
// into one hash chain per account.
//
// # Chain
//
// An entry with its number and hashes is a [Link]. Numbers rise by one from 1. The hash of a link is
// SHA-256 over the hash of the link before it and all fields of the entry in a fixed, length-prefixed
// encoding ([Link.Sum]), so whoever has an export can check it without us. The head of a chain, its
// last number and hash, is kept beside it under a MAC made with a key that is not in the database:
// rewriting the chain, or cutting its tail off, shows as long as the master key is safe.
//
// # Rules
//
// A store method that changes something takes an [Entry] and writes it in the same transaction. What
// was refused is recorded too, with [Refused] as the outcome. No entry holds a secret, a token or a
// request body. What belongs to no account is in the chain [System].
//
// Action names are what people's alerting depends on: they are added, never renamed or reused.
package audit
