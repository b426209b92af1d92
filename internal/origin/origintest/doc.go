// Package origintest makes databases of locations for tests, and names addresses that are in them.
//
// The addresses are those that RFC 5737, RFC 3849 and RFC 5398 keep for documentation, so that no test
// speaks about somebody's real network. The files have the layout of MaxMind's, written by the library
// of their maker: nothing is fetched, and no data of anybody is part of the repository.
package origintest
