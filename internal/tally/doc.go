// Package tally counts in memory what happens too often to be written each time, and writes the sums.
//
// Counting costs a map look-up. What was counted goes to the database every second, in one unit. What cannot
// be written is put back, so that it comes with the next second's; what was not written when the process is
// killed is lost. Whoever counts must therefore not need the counts to be exact after a crash.
//
// What waits is bounded: whoever makes up ever other keys must not fill the memory.
package tally
