package feed

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"time"

	"holdfast/internal/problem"
)

// cursor is where a reader is in a stream, and what it asked for at first.
type cursor struct {
	Limit    int
	After    int64     // number of the last event that was looked at
	From, To time.Time // of the reset, microseconds; zero: no bound
}

// The layout of a cursor: version, stream, limit, number, from, to, and the mark. Numbers are big endian;
// times are microseconds, with the least number for none.
const (
	cursorVersion = 1
	cursorBody    = 1 + 1 + 2 + 8 + 8 + 8
	cursorMark    = 32
	cursorPurpose = "events cursor"
)

func (s *Service) encodeCursor(accountID string, stream Stream, c cursor) string {
	b := make([]byte, 0, cursorBody+cursorMark)
	b = append(b, cursorVersion, streamNumber(stream))
	b = binary.BigEndian.AppendUint16(b, uint16(c.Limit))
	b = binary.BigEndian.AppendUint64(b, uint64(c.After))
	for _, t := range []time.Time{c.From, c.To} {
		us := int64(math.MinInt64)
		if !t.IsZero() {
			us = t.UnixMicro()
		}
		b = binary.BigEndian.AppendUint64(b, uint64(us))
	}
	b = append(b, s.Keys.MAC(cursorPurpose, []byte(accountID), b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s *Service) decodeCursor(accountID string, stream Stream, text string) (cursor, error) {
	foreign := problem.InField("cursor", "the cursor is not one that this stream of the account has given: it was changed or cut, or is another's; start anew without it")
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorBody+cursorMark {
		return cursor{}, foreign
	}
	body, mark := b[:cursorBody], b[cursorBody:]
	if body[0] != cursorVersion || body[1] != streamNumber(stream) || !s.Keys.VerifyMAC(mark, cursorPurpose, []byte(accountID), body) {
		return cursor{}, foreign
	}
	c := cursor{Limit: int(binary.BigEndian.Uint16(body[2:])), After: int64(binary.BigEndian.Uint64(body[4:]))}
	for i, t := range []*time.Time{&c.From, &c.To} {
		if us := int64(binary.BigEndian.Uint64(body[12+8*i:])); us != math.MinInt64 {
			*t = time.UnixMicro(us).UTC()
		}
	}
	return c, nil
}

// streamNumber tells streams apart in cursors. A number is never given to another stream.
func streamNumber(s Stream) byte {
	switch s {
	case SignInAttempts:
		return 1
	case ItemUsages:
		return 2
	case AuditEvents:
		return 3
	}
	return 0
}
