package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"holdfast/internal/web"
)

// System is the chain of what belongs to no account, such as a token request of an unknown client.
const System = "system"

// Outcome says how it ended.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused"
)

// Entry is who did what to whom. The store adds number, time and hashes.
type Entry struct {
	Actor     string // "client:<uuid>", "user:<id>", "operator:<name>" on the command line, "system", "anonymous"
	Action    Action
	Target    string // "user:<id>", "client:<uuid>", …; empty if the account itself
	Outcome   Outcome
	Reason    string // why it was done or refused, in words
	RequestID string // of the HTTP request; empty on the command line
	Address   string // of the client; empty on the command line
}

// By starts an entry for what the request does.
func By(r *http.Request, action Action, target string) Entry {
	rec := web.RecordOf(r.Context())
	rec.Target = target
	return Entry{
		Actor: web.Actor(r), Action: action, Target: target, Outcome: Done,
		RequestID: rec.RequestID, Address: addressOf(rec),
	}
}

// Because returns the entry with a reason.
func (e Entry) Because(reason string) Entry {
	e.Reason = reason
	return e
}

// For returns the entry with what is done and to whom.
func (e Entry) For(action Action, target string) Entry {
	e.Action, e.Target = action, target
	return e
}

// AsRefused returns the entry as the record of an attempt that was turned down.
func (e Entry) AsRefused(reason string) Entry {
	e.Outcome, e.Reason = Refused, reason
	return e
}

func addressOf(rec *web.Record) string {
	if !rec.Address.IsValid() {
		return ""
	}
	return rec.Address.String()
}

// Hash is SHA-256; the zero Hash comes before the first link.
type Hash [sha256.Size]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is the hash in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// Link is an entry in its chain.
type Link struct {
	AccountID string
	Seq       int64     // from 1, without gaps
	Time      time.Time // UTC, microseconds
	Entry     Entry
	Prev      Hash
	Hash      Hash
}

// Head is the end of a chain.
type Head struct {
	AccountID string
	Seq       int64 // 0 if the chain is empty
	Hash      Hash
}

// Next links the entry to the head, at the time given.
func (h Head) Next(e Entry, at time.Time) Link {
	l := Link{AccountID: h.AccountID, Seq: h.Seq + 1, Time: at.UTC().Truncate(time.Microsecond), Entry: e.clean(), Prev: h.Hash}
	l.Hash = l.Sum()
	return l
}

// Head is the head of the chain that ends in the link.
func (l Link) Head() Head { return Head{AccountID: l.AccountID, Seq: l.Seq, Hash: l.Hash} }

// Sum is the link's hash: SHA-256 over the text "holdfast audit 1", the previous hash, the account,
// the number, the time in microseconds since 1970, and the entry's texts in the order of [Entry].
// Numbers are 8 bytes, big endian; a text stands behind its length in bytes as such a number.
func (l Link) Sum() Hash {
	var buf [640]byte
	b := append(buf[:0], "holdfast audit 1"...)
	b = append(b, l.Prev[:]...)
	b = appendField(b, l.AccountID)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(l.Time.UnixMicro()))
	for _, f := range [...]string{
		l.Entry.Actor, string(l.Entry.Action), l.Entry.Target, string(l.Entry.Outcome),
		l.Entry.Reason, l.Entry.RequestID, l.Entry.Address,
	} {
		b = appendField(b, f)
	}
	return sha256.Sum256(b)
}

func appendField(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
}

// clean makes the texts valid UTF-8 without NUL (PostgreSQL stores nothing else) and bounds them, so
// that the hash is over what is stored.
func (e Entry) clean() Entry {
	for _, f := range []*string{&e.Actor, &e.Target, &e.Reason, &e.RequestID, &e.Address} {
		*f = text(*f)
	}
	if e.Outcome == "" {
		e.Outcome = Done
	}
	return e
}

const longest = 1000 // bytes of one field

func text(s string) string {
	if len(s) > longest {
		s = s[:longest]
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return strings.ToValidUTF8(s, "?")
}

// Bytes is the head in a fixed encoding, for a MAC.
func (h Head) Bytes() []byte {
	b := appendField(make([]byte, 0, 80), h.AccountID)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Seq))
	return append(b, h.Hash[:]...)
}

func parseHash(s string) (h Hash, err error) {
	b, err := hex.DecodeString(s)
	if err == nil && len(b) != len(h) {
		err = fmt.Errorf("a hash has %d bytes, found %d", len(h), len(b))
	}
	copy(h[:], b)
	return h, err
}
