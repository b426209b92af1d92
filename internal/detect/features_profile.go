package detect

import (
	"slices"
	"time"
)

// What a profile has room for. Counts stop there.
const room = 64

// sighting is something that was seen, by the hash of what it is.
type sighting struct {
	key         uint64
	first, last int64 // milliseconds of Unix
	extra       uint64
}

// sightings are at most 64, in no order. Where there is no room, the one not seen for longest goes.
type sightings []sighting

func (s sightings) find(key uint64) int {
	for i := range s {
		if s[i].key == key {
			return i
		}
	}
	return -1
}

// see notes that the key was seen, and returns its place.
func (s *sightings) see(key uint64, at int64) *sighting {
	if i := s.find(key); i >= 0 {
		x := &(*s)[i]
		x.first, x.last = min(x.first, at), max(x.last, at)
		return x
	}
	if len(*s) == room {
		oldest := 0
		for i := range *s {
			if (*s)[i].last < (*s)[oldest].last {
				oldest = i
			}
		}
		(*s)[oldest] = sighting{key: key, first: at, last: at}
		return &(*s)[oldest]
	}
	*s = append(*s, sighting{key: key, first: at, last: at})
	return &(*s)[len(*s)-1]
}

// within is how many were last seen from a time on.
func (s sightings) within(from int64) (n int64) {
	for i := range s {
		if s[i].last >= from {
			n++
		}
	}
	return n
}

// withinAnd is how many there are if the key is seen now, too.
func (s sightings) withinAnd(from int64, key uint64) int64 {
	n := s.within(from)
	if i := s.find(key); i < 0 || s[i].last < from {
		n++
	}
	return min(n, room)
}

func (s sightings) write(to *scribe) {
	to.uint(uint64(len(s)))
	for _, x := range s {
		to.hash(x.key)
		to.int(x.first)
		to.int(x.last - x.first)
		to.uint(x.extra)
	}
}

func (s *sightings) read(from *recall) {
	*s = (*s)[:0]
	n := from.uint()
	if n > room {
		from.b, from.broken = nil, true
		return
	}
	for range n {
		x := sighting{key: from.hash(), first: from.int()}
		x.last = x.first + from.int()
		x.extra = from.uint()
		*s = append(*s, x)
	}
}

// mark is something that happened, of a kind.
type mark struct {
	at   int64 // milliseconds of Unix
	kind uint8
}

// marks are the last 64, in order of time.
type marks []mark

func (m *marks) add(x mark) {
	i := len(*m)
	for i > 0 && (*m)[i-1].at > x.at {
		i--
	}
	*m = slices.Insert(*m, i, x)
	if len(*m) > room {
		*m = slices.Delete(*m, 0, 1)
	}
}

// within is how many of the kinds, a set of bits, happened from one time to another.
func (m marks) within(from, to int64, kinds uint8) (n int64) {
	for i := len(m) - 1; i >= 0 && m[i].at >= from; i-- {
		if m[i].at <= to && m[i].kind&kinds != 0 {
			n++
		}
	}
	return n
}

// drop forgets what happened before a time.
func (m *marks) drop(before int64) {
	i := 0
	for i < len(*m) && (*m)[i].at < before {
		i++
	}
	*m = slices.Delete(*m, 0, i)
}

func (m marks) write(to *scribe) {
	to.uint(uint64(len(m)))
	last := int64(0)
	for _, x := range m {
		to.int(x.at - last)
		to.uint(uint64(x.kind))
		last = x.at
	}
}

func (m *marks) read(from *recall) {
	*m = (*m)[:0]
	n := from.uint()
	if n > room {
		from.b, from.broken = nil, true
		return
	}
	last := int64(0)
	for range n {
		last += from.int()
		*m = append(*m, mark{last, uint8(from.uint())})
	}
}

// The kinds of marks, as bits.
const (
	markFailure  uint8 = 1 << iota // a failed sign-in, or step of one
	markFactor                     // it was the second factor
	markRecovery                   // it was by a recovery code
)

// The habits of a person, as numbers of lists.
const (
	habitCountry = iota
	habitNetwork
	habitAddress
	habitDevice
	habitClient
	habitAnonymous
	habits
)

// personProfile is what is remembered of a person, or of a name that is nobody's.
type personProfile struct {
	first, last       int64 // success; 0: none
	seen              int64 // latest event of any kind
	successes         uint64
	factorYes         uint64 // successes with a second factor
	factorSaid        uint64 // successes that say with or without
	lat, long         int64  // of the last success with a point, in ten-thousandths of a degree
	radius            int64  // km; 0: no point yet
	pointAt           int64
	offset            int64 // of the person's own time, hours ahead of UTC
	hours             [24]uint64
	habits            [habits]sightings
	marks             marks
	factorDisabled    int64 // when; 0: never
	disabled, enabled int64 // the account, as events say
}

func (p *personProfile) write(to *scribe) {
	to.begin()
	for _, n := range [...]int64{p.first, p.last, p.seen, p.lat, p.long, p.radius, p.pointAt, p.offset, p.factorDisabled, p.disabled, p.enabled} {
		to.int(n)
	}
	for _, n := range [...]uint64{p.successes, p.factorYes, p.factorSaid} {
		to.uint(n)
	}
	for _, n := range p.hours {
		to.uint(n)
	}
	for _, h := range p.habits {
		h.write(to)
	}
	p.marks.write(to)
}

func (p *personProfile) read(from *recall, value []byte) error {
	lists, ms := p.habits, p.marks
	*p = personProfile{}
	for i := range lists {
		p.habits[i] = lists[i][:0]
	}
	p.marks = ms[:0]
	if !from.start(value) {
		return nil
	}
	for _, n := range [...]*int64{&p.first, &p.last, &p.seen, &p.lat, &p.long, &p.radius, &p.pointAt, &p.offset, &p.factorDisabled, &p.disabled, &p.enabled} {
		*n = from.int()
	}
	for _, n := range [...]*uint64{&p.successes, &p.factorYes, &p.factorSaid} {
		*n = from.uint()
	}
	for i := range p.hours {
		p.hours[i] = from.uint()
	}
	for i := range p.habits {
		p.habits[i].read(from)
	}
	p.marks.read(from)
	return from.end("a person")
}

// until is when the profile may be forgotten.
func (p *personProfile) until() time.Time {
	if p.successes > 0 {
		return time.UnixMilli(max(p.seen, p.last)).Add(400 * 24 * time.Hour)
	}
	return time.UnixMilli(p.seen).Add(7 * 24 * time.Hour)
}

// placeProfile is what is remembered of an address or a network.
type placeProfile struct {
	seen      int64
	marks     marks     // failures
	tried     sightings // people; extra is 1 for a name that never succeeded anywhere
	failed    sightings
	succeeded sightings
}

func (p *placeProfile) write(to *scribe) {
	to.begin()
	to.int(p.seen)
	p.marks.write(to)
	p.tried.write(to)
	p.failed.write(to)
	p.succeeded.write(to)
}

func (p *placeProfile) read(from *recall, value []byte) error {
	p.seen, p.marks, p.tried, p.failed, p.succeeded = 0, p.marks[:0], p.tried[:0], p.failed[:0], p.succeeded[:0]
	if !from.start(value) {
		return nil
	}
	p.seen = from.int()
	p.marks.read(from)
	p.tried.read(from)
	p.failed.read(from)
	p.succeeded.read(from)
	return from.end("an address or network")
}

func (p *placeProfile) until() time.Time { return time.UnixMilli(p.seen).Add(31 * 24 * time.Hour) }

// deviceProfile is to whom a device was new lately.
type deviceProfile struct {
	seen  int64
	users sightings
}

func (p *deviceProfile) write(to *scribe) {
	to.begin()
	to.int(p.seen)
	p.users.write(to)
}

func (p *deviceProfile) read(from *recall, value []byte) error {
	p.seen, p.users = 0, p.users[:0]
	if !from.start(value) {
		return nil
	}
	p.seen = from.int()
	p.users.read(from)
	return from.end("a device")
}

func (p *deviceProfile) until() time.Time { return time.UnixMilli(p.seen).Add(2 * time.Hour) }

// sessionProfile is where and on what a session began; 0 where that is unknown.
type sessionProfile struct {
	first           int64
	network, device uint64
}

func (p *sessionProfile) write(to *scribe) {
	to.begin()
	to.int(p.first)
	to.hash(p.network)
	to.hash(p.device)
}

func (p *sessionProfile) read(from *recall, value []byte) error {
	*p = sessionProfile{}
	if !from.start(value) {
		return nil
	}
	p.first, p.network, p.device = from.int(), from.hash(), from.hash()
	return from.end("a session")
}

func (p *sessionProfile) until() time.Time { return time.UnixMilli(p.first).Add(30 * 24 * time.Hour) }

// crowdProfile counts the people of a group who got in, from a country or from anywhere, by periods of 30
// days. Who was counted in a period is remembered with the person.
type crowdProfile struct {
	periods [4]struct{ number, people uint64 }
}

func (p *crowdProfile) write(to *scribe) {
	to.begin()
	for _, x := range p.periods {
		to.uint(x.number)
		to.uint(x.people)
	}
}

func (p *crowdProfile) read(from *recall, value []byte) error {
	*p = crowdProfile{}
	if !from.start(value) {
		return nil
	}
	for i := range p.periods {
		p.periods[i].number, p.periods[i].people = from.uint(), from.uint()
	}
	return from.end("a group")
}

func (p *crowdProfile) count(period uint64) {
	x := &p.periods[period%4]
	if x.number != period {
		x.number, x.people = period, 0
	}
	x.people++
}

// of is how many there were in a period.
func (p *crowdProfile) of(period uint64) uint64 {
	if x := p.periods[period%4]; x.number == period {
		return x.people
	}
	return 0
}

func (p *crowdProfile) until() time.Time {
	last := uint64(0)
	for _, x := range p.periods {
		last = max(last, x.number)
	}
	return time.UnixMilli(int64(last+5) * periodLength.Milliseconds())
}

const periodLength = 30 * 24 * time.Hour

func periodOf(at int64) uint64 { return uint64(max(0, at)) / uint64(periodLength.Milliseconds()) }
