package detect

import (
	"cmp"
	"slices"
	"time"
)

// Versions is a Memory in the process with the versions that one may have to go back to, for one goroutine at
// a time. Make one with NewVersions.
//
// The present values are at hand. Each version has, of the keys that changed after it and before the next one,
// the value that they had then. So what is kept grows with what changes, not with what there is.
type Versions struct {
	values map[string]remembered
	eras   []*era // the oldest first; there always is one
	marks  int
	dirty  map[string]struct{} // changed before the oldest version, and since the last Saved
	now    int64               // seconds of Unix; what ended before is as none
	swept  int64
	bytes  int64
}

// era is the time after a version.
type era struct {
	mark int
	undo map[string]remembered
}

// absent is the until of a value that is not there.
const absent = -1 << 63

// NewVersions makes a memory that remembers nothing yet, and its first version.
func NewVersions() *Versions {
	return &Versions{values: map[string]remembered{}, eras: []*era{{undo: map[string]remembered{}}}, dirty: map[string]struct{}{}, now: absent + 1}
}

// Load puts in what was saved. It is for the beginning, before anything else.
func (m *Versions) Load(key string, value []byte, until time.Time) {
	m.bytes += int64(len(value))
	m.values[key] = remembered{slices.Clone(value), until.Unix()}
}

// Spoil notes that what was saved under the key is to be removed.
func (m *Versions) Spoil(key string) { m.dirty[key] = struct{}{} }

// Now says what time it is among events. A value that ended before is as none, whether it is still there or not.
func (m *Versions) Now(t time.Time) { m.now = t.Unix() }

// Get is the value of the key.
func (m *Versions) Get(key string) ([]byte, bool, error) {
	r, ok := m.values[key]
	if !ok || r.until < m.now {
		return nil, false, nil
	}
	return r.value, true, nil
}

// Put keeps a copy of the value.
func (m *Versions) Put(key string, value []byte, until time.Time) error {
	r, ok := m.values[key]
	m.bytes += int64(len(value) - len(r.value))
	e := m.eras[len(m.eras)-1]
	if _, kept := e.undo[key]; !kept {
		before := remembered{until: absent}
		if ok {
			before = r
		}
		e.undo[key] = before
		r.value = nil // it is the older version's now
	}
	r.value = append(r.value[:0], value...)
	r.until = until.Unix()
	m.values[key] = r
	return nil
}

// Mark makes what is remembered now a version.
func (m *Versions) Mark() int {
	m.marks++
	m.eras = append(m.eras, &era{mark: m.marks, undo: map[string]remembered{}})
	return m.marks
}

// place is where the version is.
func (m *Versions) place(mark int) int {
	return slices.IndexFunc(m.eras, func(e *era) bool { return e.mark == mark })
}

// Back makes the version the present, which it stays a version of; later ones are gone. It says whether there
// is such a version.
func (m *Versions) Back(mark int) bool {
	i := m.place(mark)
	if i < 0 {
		return false
	}
	for k := len(m.eras) - 1; k >= i; k-- {
		for key, r := range m.eras[k].undo {
			m.bytes += int64(len(r.value) - len(m.values[key].value))
			if r.until == absent {
				delete(m.values, key)
			} else {
				m.values[key] = r
			}
		}
	}
	m.eras = m.eras[:i+1]
	m.eras[i].undo = map[string]remembered{}
	return true
}

// Forget gives a version up, but for the oldest.
func (m *Versions) Forget(mark int) {
	i := m.place(mark)
	if i < 1 {
		return
	}
	before := m.eras[i-1].undo
	for key, r := range m.eras[i].undo {
		if _, kept := before[key]; !kept {
			before[key] = r
		}
	}
	m.eras = slices.Delete(m.eras, i, i+1)
}

// Settle gives up all versions before this one.
func (m *Versions) Settle(mark int) {
	i := m.place(mark)
	if i < 0 {
		return
	}
	for _, e := range m.eras[:i] {
		for key := range e.undo {
			m.dirty[key] = struct{}{}
		}
	}
	m.eras = slices.Delete(m.eras, 0, i)
}

// Changed is what is different between the last Saved and the oldest version, in order of the keys. Values may
// be used until the next Put.
func (m *Versions) Changed() []ProfileRow {
	rows := make([]ProfileRow, 0, len(m.dirty))
	for key := range m.dirty {
		rows = append(rows, m.oldest(key))
	}
	slices.SortFunc(rows, func(a, b ProfileRow) int { return cmp.Compare(a.Key, b.Key) })
	return rows
}

// All is everything in the oldest version.
func (m *Versions) All() []ProfileRow {
	keys := map[string]struct{}{}
	for key := range m.values {
		keys[key] = struct{}{}
	}
	for _, e := range m.eras {
		for key := range e.undo {
			keys[key] = struct{}{}
		}
	}
	var rows []ProfileRow
	for key := range keys {
		if r := m.oldest(key); r.Value != nil {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b ProfileRow) int { return cmp.Compare(a.Key, b.Key) })
	return rows
}

// oldest is the value of the key in the oldest version.
func (m *Versions) oldest(key string) ProfileRow {
	r, ok := m.values[key]
	for _, e := range m.eras {
		if u, changed := e.undo[key]; changed {
			r, ok = u, u.until != absent
			break
		}
	}
	if !ok {
		return ProfileRow{Key: key}
	}
	return ProfileRow{Key: key, Value: r.value, Until: time.Unix(r.until, 0).UTC()}
}

// Saved says that what Changed gave is saved.
func (m *Versions) Saved() { clear(m.dirty) }

// Dirty is how many keys Changed would give.
func (m *Versions) Dirty() int { return len(m.dirty) }

// Sweep forgets what ended before the oldest version, which is of this time. It looks every six hours of event
// time only.
func (m *Versions) Sweep(oldest time.Time) {
	now := oldest.Unix()
	if m.swept != 0 && now-m.swept < int64((6*time.Hour).Seconds()) {
		return
	}
	m.swept = now
	for key, r := range m.values {
		if r.until >= now || slices.ContainsFunc(m.eras, func(e *era) bool { _, changed := e.undo[key]; return changed }) {
			continue
		}
		m.bytes -= int64(len(r.value))
		delete(m.values, key)
		m.dirty[key] = struct{}{}
	}
}

// Usage says how much is remembered at present.
func (m *Versions) Usage() Usage {
	return Usage{Keys: len(m.values), Largest: len(m.values), Bytes: m.bytes}
}
