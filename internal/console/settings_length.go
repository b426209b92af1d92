package console

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// unit is one in which the length of a session is given.
type unit struct {
	name   string
	length time.Duration
}

// units are those of the form, the longest first.
func units() []unit {
	return []unit{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}}
}

func unitNames() []string {
	var names []string
	for _, u := range units() {
		names = append(names, u.name)
	}
	return names
}

// lengthOf is the length in the longest unit that says it in whole numbers. Parts of a minute are left out.
func lengthOf(d time.Duration) (number, name string) {
	last := unit{"minutes", time.Minute}
	for _, u := range units() {
		if d > 0 && d%u.length == 0 {
			last = u
			break
		}
	}
	return strconv.FormatInt(int64(d/last.length), 10), last.name
}

// length is what was entered in the field and in the one that has its unit.
func length(field string, f url.Values) (time.Duration, error) {
	text := strings.TrimSpace(f.Get(field))
	for _, u := range units() {
		if u.name != f.Get(field+"_unit") {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, problem.InField(field, "the length is %q; it must be a whole number from 1 on", text)
		}
		return min(time.Duration(min(n, int(2*signin.MaxAbsolute/time.Minute)))*u.length, 2*signin.MaxAbsolute), nil // more is refused anyway
	}
	return 0, problem.InField(field, "the unit is %q; it must be one of %s", f.Get(field+"_unit"), strings.Join(unitNames(), ", "))
}
