package bench

import (
	"testing"
	"time"
)

// TestPageFloor: whatever the length of a page, that of the floor's is the same but for half a row.
func TestPageFloor(t *testing.T) {
	f, err := startPageFloor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Error(err)
		}
	})
	c := &caller{url: f.url}
	if err := c.connect(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, size := range []int{0, f.bare, 5000, 33333, 250_000} {
		f.serve(size)
		if err := c.viewNext(order{View: view{Path: "/", Holds: []string{pageEnd}}}); err != nil {
			t.Fatal(err)
		}
		want := max(size, f.bare)
		if off := len(c.body) - want; off > f.row || off < -f.row {
			t.Errorf("a page of %d bytes was wanted, and has %d", want, len(c.body))
		}
	}
}
