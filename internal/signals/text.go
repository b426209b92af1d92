package signals

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText bounds a text of an event, in bytes. What is longer is whole in Event.Raw.
const maxText = 1 << 10

// clean makes a text one that can be stored, shown and logged: without control characters, and short.
func clean(s string) string {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return cleanSlowly(s)
		}
	}
	if len(s) > maxText {
		return s[:maxText]
	}
	return s
}

func cleanSlowly(s string) string {
	bad := func(r rune) bool { return r < 0x20 || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029' }
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.ContainsFunc(s, bad) {
		s = strings.Map(func(r rune) rune {
			if bad(r) {
				return ' '
			}
			return r
		}, s)
	}
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") // half of a character may be left at the end
	}
	return s
}

// address is an IP address in its one canonical spelling: without a port, brackets or a zone, IPv4
// where it is one. What is no address stays as it is.
func address(s string) string {
	s = strings.TrimSpace(s)
	a, err := netip.ParseAddr(s)
	if err != nil {
		if p, err := netip.ParseAddrPort(s); err == nil {
			a = p.Addr()
		} else if a, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err != nil {
			return s
		}
	}
	if a.Is4() && a.String() == s {
		return s // keeps the text that is there
	}
	return a.Unmap().WithZone("").String()
}

// email is s if it looks like an address of e-mail, else nothing.
func email(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || len(s) > 320 || strings.ContainsAny(s, " \t<>,;\"") {
		return ""
	}
	return s
}

// The years between which an event can have happened. A source outside of them has a broken clock or
// no good intentions: its event would open windows that no other event closes.
const (
	firstYear = 2000
	lastYear  = 2099
)

// errNoTime is for a text that is no time at all.
var errNoTime = errors.New("no time")

// noZone is the note about a time that was written without a zone.
const noZone = "the time has no zone and was read as UTC"

// parseTime reads what sources write: RFC 3339 with "T" or a space, with a fraction of any length,
// with a zone as "Z", "+02:00", "+0200" or not at all (then it is read as UTC, and said in note), or a
// number since 1970 whose size tells whether it counts seconds, milli-, micro- or nanoseconds.
//
// An error wraps errNoTime if the text is not a time; it does not if the time cannot be.
func parseTime(s string) (t time.Time, note string, err error) {
	if t, err = time.Parse(time.RFC3339, s); err != nil {
		t, note, err = parseOddTime(strings.TrimSpace(s))
	}
	if err != nil {
		return time.Time{}, "", err
	}
	t = t.UTC()
	if y := t.Year(); y < firstYear || y > lastYear {
		return time.Time{}, "", fmt.Errorf("the time %q is outside of the years %d to %d", s, firstYear, lastYear)
	}
	return t, note, nil
}

func parseOddTime(s string) (time.Time, string, error) {
	if s == "" {
		return time.Time{}, "", errNoTime
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return parseEpoch(s, n)
	}
	s, utc := strings.CutSuffix(strings.ToUpper(s), " UTC")
	// Go accepts a fraction after the seconds where the layout has none.
	for _, layout := range [...]string{
		time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z0700",
		"2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 Z07:00", "2006-01-02T15:04Z07:00",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, "", nil
		}
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		t, err := time.Parse(layout, s)
		switch {
		case err == nil && utc:
			return t, "", nil
		case err == nil:
			return t, noZone, nil
		}
	}
	return time.Time{}, "", errNoTime
}

// parseEpoch takes whole numbers exactly and the others as far as a float goes.
func parseEpoch(s string, n float64) (time.Time, string, error) {
	if math.IsNaN(n) || math.IsInf(n, 0) || math.Abs(n) >= math.MaxInt64 {
		return time.Time{}, "", errNoTime
	}
	whole, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil && n < 1e11:
		return time.UnixMicro(int64(n * 1e6)), "", nil
	case err != nil:
		whole = int64(n)
	}
	switch {
	case whole < 1e11:
		return time.Unix(whole, 0), "", nil
	case whole < 1e14:
		return time.UnixMilli(whole), "", nil
	case whole < 1e17:
		return time.UnixMicro(whole), "", nil
	}
	return time.Unix(0, whole), "", nil
}
