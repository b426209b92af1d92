// Package server puts Holdfast together: it opens the store, makes the domains, gives each what it
// needs, mounts their routes, listens, runs jobs, and shuts down so that what was accepted is finished.
//
// The program is a value: [New] makes it, [Server.Run] runs it, tests do the same.
package server
