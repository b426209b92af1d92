package console

import (
	"net/url"
	"testing"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

func TestLength(t *testing.T) {
	for name, tt := range map[string]struct {
		number, unit string
		want         time.Duration // 0: refused
	}{
		"minutes":   {"45", "minutes", 45 * time.Minute},
		"hours":     {" 12 ", "hours", 12 * time.Hour},
		"days":      {"7", "days", 7 * 24 * time.Hour},
		"too_much":  {"9223372036854775807", "days", 2 * signin.MaxAbsolute},
		"zero":      {"0", "hours", 0},
		"negative":  {"-3", "hours", 0},
		"part":      {"1.5", "hours", 0},
		"no_number": {"", "hours", 0},
		"no_unit":   {"3", "weeks", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := length("idle", url.Values{"idle": {tt.number}, "idle_unit": {tt.unit}})
			if got != tt.want || problem.Is(err, problem.Invalid) != (tt.want == 0) {
				t.Errorf("%s %s is %s, %v; want %s", tt.number, tt.unit, got, err, tt.want)
			}
		})
	}
}

func TestLengthOf(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"5 minutes":  5 * time.Minute,
		"90 minutes": 90 * time.Minute,
		"12 hours":   12 * time.Hour,
		"7 days":     7 * 24 * time.Hour,
		"0 minutes":  0,
	} {
		if number, unit := lengthOf(d); number+" "+unit != want {
			t.Errorf("%s is said as %s %s, want %s", d, number, unit, want)
		}
	}
}
