// Package storetest is the conformance suite of the store: what both databases must do alike, and
// what tests need to open one.
package storetest
