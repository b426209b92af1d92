package store_test

import (
	"testing"

	"holdfast/internal/store/storetest"
)

func TestConformance(t *testing.T) { storetest.Run(t) }
