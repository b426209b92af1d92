package signals

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Signatures of Standard Webhooks (specification 1.0, "Signature scheme"): HMAC-SHA256 over id, timestamp and
// body with dots between them, in base64 behind "v1,". A header may carry several, separated by spaces, so
// that a sender can go over to another secret.

const (
	window        = 5 * time.Minute // how old, or ahead, a timestamp may be
	mostSignature = 16              // in one header
	mostHeader    = 4096            // bytes
	mostID        = 256
)

// signed is what the headers of a delivery say.
type signed struct {
	id        string
	timestamp string // seconds since 1970, as it was sent
	marks     [][sha256.Size]byte
}

// parseSigned reads the headers. It refuses what no sender of the specification sends, and a time that is not
// now; whether a mark is right is not looked at.
func parseSigned(h http.Header, now time.Time) (signed, error) {
	refuse := func(format string, args ...any) (signed, error) {
		return signed{}, problem.New(problem.Unauthenticated, format, args...)
	}
	one := func(name string) (string, bool) {
		values := h.Values(name)
		return strings.Join(values, ""), len(values) == 1 && values[0] != "" && len(values[0]) <= mostHeader
	}
	var s signed
	var header string
	var ok bool
	if s.id, ok = one("Webhook-Id"); !ok || len(s.id) > mostID || strings.ContainsFunc(s.id, func(r rune) bool { return r <= ' ' || r > '~' || r == '.' }) {
		return refuse("the header webhook-id is missing, or is not one text of at most %d visible characters without a dot", mostID)
	}
	if s.timestamp, ok = one("Webhook-Timestamp"); !ok {
		return refuse("the header webhook-timestamp is missing; it holds the seconds since 1970")
	}
	seconds, err := strconv.ParseInt(s.timestamp, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != s.timestamp || seconds < 0 || seconds > 1<<40 {
		return refuse("the header webhook-timestamp is not a whole number of seconds since 1970")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > window || age < -window {
		return refuse("the header webhook-timestamp is more than %s from the time here; the clocks differ, or an old delivery is sent again as it was", window)
	}
	if header, ok = one("Webhook-Signature"); !ok {
		return refuse("the header webhook-signature is missing; it holds v1 and, behind a comma, the signature in base64")
	}
	for text := range strings.SplitSeq(header, " ") {
		version, encoded, found := strings.Cut(text, ",")
		if !found || version != "v1" {
			continue // of another scheme, such as v1a
		}
		b, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || len(b) != sha256.Size {
			return refuse("the header webhook-signature holds a v1 signature that is not %d bytes in base64", sha256.Size)
		}
		s.marks = append(s.marks, [sha256.Size]byte(b))
	}
	if n := len(s.marks); n == 0 || n > mostSignature {
		return refuse("the header webhook-signature holds %d v1 signatures; 1 to %d are read", n, mostSignature)
	}
	return s, nil
}

// by reports whether one of the marks was made with one of the secrets. It takes as long whichever it is, or
// none.
func (s signed) by(body []byte, secrets []seal.Secret) bool {
	good := 0
	for _, secret := range secrets {
		want := seal.MarkWebhook(secret, s.id, s.timestamp, body)
		for _, m := range s.marks {
			if hmac.Equal(m[:], want[:]) {
				good++
			}
		}
	}
	return good > 0
}
