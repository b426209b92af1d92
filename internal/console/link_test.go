package console

import (
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSpan(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		rows        int
		want        span
	}{
		{"nothing", "", 0, span{From: 1}},
		{"all_on_one", "?page=1", 50, span{From: 1, To: 50, Of: 50}},
		{"first", "", 51, span{From: 1, To: 50, Of: 51, Next: "/x?page=2"}},
		{"last", "?page=2&q=a&done=saved", 51, span{From: 51, To: 51, Of: 51, First: "/x?q=a"}},
		{"middle", "?page=2", 120, span{From: 51, To: 100, Of: 120, First: "/x", Next: "/x?page=3"}},
		{"beyond", "?page=99", 51, span{From: 51, To: 51, Of: 51, First: "/x"}},
		{"largest", "?page=9223372036854775807", 51, span{From: 51, To: 51, Of: 51, First: "/x"}},
		{"negative", "?page=-9223372036854775808", 51, span{From: 1, To: 50, Of: 51, Next: "/x?page=2"}},
		{"too_large_for_a_number", "?page=99999999999999999999", 51, span{From: 1, To: 50, Of: 51, Next: "/x?page=2"}},
		{"no_number", "?page=x", 51, span{From: 1, To: 50, Of: 51, Next: "/x?page=2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := spanOf(httptest.NewRequest("GET", "/x"+tt.query, nil), tt.rows)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("span (-want +got):\n%s", diff)
			}
		})
	}
}
