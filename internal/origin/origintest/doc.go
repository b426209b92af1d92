// Package origintest makes databases of locations for tests.
package origintest
