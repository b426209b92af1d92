// Package origin says where a request comes from: which program sent it (Parse), and where in the
// world its address is (Databases).
//
// # The program
//
// Parse reads User-Agent and, where a browser sends them, the client hints, whose values win: browsers
// freeze the old header (every Windows is 10.0 in it, every macOS 10.15.7). Both are claims of whoever
// calls. They explain an event to the person who reads it, and let a rule notice a change; nothing
// may be granted for them. What comes out is short, valid UTF-8 and without control characters,
// whatever came in.
//
// # The place
//
// The databases are files in the MMDB format that the operator puts in a folder; Holdfast asks no
// service about anybody's address, and works without any file: then every place is unknown. Each file
// says of itself what it holds, so its name does not matter. A broken file is logged and left out, the
// others work.
//
// Files are read into memory once and looked up there. A file that was replaced is noticed by Reload,
// by size and time of change, and the whole set is exchanged at once; a lookup that runs meanwhile
// ends on the set it began with. Addresses that are not of the public internet are nowhere, even if a
// database names them.
//
// It must never: keep an address or a place after the call, grant anything, ask the network.
package origin
