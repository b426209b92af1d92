package detect

import (
	"fmt"
	"time"
)

// Memory is what is remembered of earlier events: one value per key. The features need nothing else of a
// database, so the same code runs in memory and in a transaction.
type Memory interface {
	// Get is the value of the key, which may be used until the next Put; false where there is none.
	// A value may still be there after its time.
	Get(key string) ([]byte, bool, error)

	// Put keeps a copy of the value until a time, which is one of events and not of the machine.
	Put(key string, value []byte, until time.Time) error
}

// MapMemory is a Memory in the process, for one goroutine at a time. Make one with NewMemory.
type MapMemory struct {
	values  map[string]remembered
	swept   time.Time
	bytes   int64
	largest int
}

type remembered struct {
	value []byte
	until int64 // seconds of Unix
}

// NewMemory makes a memory that remembers nothing yet.
func NewMemory() *MapMemory { return &MapMemory{values: map[string]remembered{}} }

// Get is the value of the key.
func (m *MapMemory) Get(key string) ([]byte, bool, error) {
	r, ok := m.values[key]
	return r.value, ok, nil
}

// Put keeps a copy of the value.
func (m *MapMemory) Put(key string, value []byte, until time.Time) error {
	r := m.values[key]
	m.bytes += int64(len(value) - len(r.value))
	r.value = append(r.value[:0], value...)
	r.until = until.Unix()
	m.values[key] = r
	m.largest = max(m.largest, len(m.values))
	return nil
}

// Expire forgets what is past its time. It looks every six hours of event time only, so it may be called
// with every event.
func (m *MapMemory) Expire(now time.Time) {
	if now.Sub(m.swept) < 6*time.Hour {
		return
	}
	m.swept = now
	for key, r := range m.values {
		if r.until < now.Unix() {
			m.bytes -= int64(len(r.value))
			delete(m.values, key)
		}
	}
}

// Usage is how much is remembered.
type Usage struct {
	Keys    int   // now
	Largest int   // at most so far
	Bytes   int64 // of values, now
}

// Usage says how much is remembered.
func (m *MapMemory) Usage() Usage {
	return Usage{Keys: len(m.values), Largest: m.largest, Bytes: m.bytes}
}

// expirer is a memory in which forgetting is not done by somebody else.
type expirer interface{ Expire(now time.Time) }

// clocked is a memory to which what ended before the present time is as none.
type clocked interface{ Now(t time.Time) }

// memoryVersion is the first byte of every value. A value of another version is as none: habits are
// learned again, which is better than to read them wrongly.
const memoryVersion = 1

// scribe writes a value, reader reads one. Times are milliseconds of Unix.
type scribe struct{ b []byte }

func (s *scribe) begin()        { s.b = append(s.b[:0], memoryVersion) }
func (s *scribe) uint(n uint64) { s.b = appendUvarint(s.b, n) }
func (s *scribe) int(n int64)   { s.b = appendUvarint(s.b, uint64(n)<<1^uint64(n>>63)) }
func (s *scribe) hash(h uint64) {
	s.b = append(s.b, byte(h), byte(h>>8), byte(h>>16), byte(h>>24), byte(h>>32), byte(h>>40), byte(h>>48), byte(h>>56))
}

func appendUvarint(b []byte, n uint64) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// recall reads what a scribe wrote. After the first fault all that is read is 0.
type recall struct {
	b      []byte
	broken bool
}

// start says whether there is a value of this version.
func (r *recall) start(value []byte) bool {
	r.b, r.broken = nil, false
	if len(value) == 0 || value[0] != memoryVersion {
		return false
	}
	r.b = value[1:]
	return true
}

func (r *recall) uint() (n uint64) {
	for i := range min(len(r.b), 10) {
		c := r.b[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.b = r.b[i+1:]
			return n
		}
	}
	r.b, r.broken = nil, true
	return 0
}

func (r *recall) int() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *recall) hash() uint64 {
	if len(r.b) < 8 {
		r.b, r.broken = nil, true
		return 0
	}
	b := r.b
	r.b = b[8:]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// end is an error where the value was not what a scribe writes.
func (r *recall) end(what string) error {
	if r.broken || len(r.b) > 0 {
		return fmt.Errorf("what is remembered of %s is damaged; it was not written by this version", what)
	}
	return nil
}
