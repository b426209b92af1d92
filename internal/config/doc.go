// Package config is the one Config struct and how it is filled: defaults, then a YAML file, then
// HOLDFAST_* variables, then flags; later ones win.
//
// The struct is the manual: the comment of each field, its default and its key stand in tags, from which
// the example file, the table in docs/operations/configuration.md and the list of known keys come.
//
// A key that is not known is refused, with the nearest one that is: a misspelt setting that is silently
// ignored is worse than a server that does not start. All that is wrong is said at once.
package config
