//go:build !unix

package bench

import (
	"errors"
	"time"
)

// processorTime cannot be told on this system.
func processorTime() (time.Duration, error) {
	return 0, errors.New("this system does not say how much processor time was used; measure on Linux, macOS or FreeBSD")
}
