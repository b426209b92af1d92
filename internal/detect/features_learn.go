package detect

import (
	"math"

	"holdfast/internal/signals"
)

// learn remembers the event: failures and tries in any case, habits only if it is harmless as far as is
// known.
func (f *features) learn(harmless bool) error {
	e := f.event
	if !f.timed {
		return f.err
	}
	fails := failed(e)
	f.learnPlaces(fails, harmless)
	f.learnDevice(fails)
	if s := f.session.get(f); s != nil && s.first == 0 && e.Class == signals.ClassAuthentication {
		s.first, s.network, s.device = f.at, f.network, f.device
		f.session.put(f)
	}
	if f.who != "" {
		f.learnPerson(fails, harmless)
	}
	return f.err
}

func (f *features) learnPlaces(fails, harmless bool) {
	if !fails && !f.event.SignIn() {
		return
	}
	for _, l := range [...]*loaded[placeProfile, *placeProfile]{&f.place, &f.area} {
		p := l.get(f)
		if p == nil {
			continue
		}
		p.seen = max(p.seen, f.at)
		if fails && l == &f.place { // nobody asks a network
			p.marks.add(mark{f.at, markFailure})
		}
		if f.whoHash != 0 {
			x := p.tried.see(f.whoHash, f.at)
			x.extra = 0
			if f.stranger() {
				x.extra = 1
			}
			if fails {
				p.failed.see(f.whoHash, f.at)
			}
			if harmless && f.event.Succeeded() {
				f.gotIn(p, l == &f.place)
			}
		}
		l.put(f)
	}
}

// gotIn remembers who got in; of an address, also on which machine.
func (f *features) gotIn(p *placeProfile, address bool) {
	x := p.succeeded.see(f.whoHash, f.at)
	if address && x.last == f.at {
		x.extra = f.machine & machineBits
	}
}

// machineBits are enough to tell apart the machines at one address, and short when written.
const machineBits = 1<<28 - 1

// stranger says that the name is nobody's, as far as is known.
func (f *features) stranger() bool { return !f.matched && f.person.successes == 0 }

func (f *features) learnDevice(fails bool) {
	if f.whoHash == 0 || !fails && !f.event.SignIn() || !f.newDevice() {
		return
	}
	if d := f.devices.get(f); d != nil {
		d.seen = max(d.seen, f.at)
		d.users.see(f.whoHash, f.at)
		f.devices.put(f)
	}
}

// newDevice says that the person never got in on a device like this one.
func (f *features) newDevice() bool {
	return f.device != 0 && f.person.habits[habitDevice].find(f.device) < 0
}

func (f *features) learnPerson(fails, harmless bool) {
	e, p := f.event, &f.person
	known := p.seen != 0
	p.seen = max(p.seen, f.at)
	p.marks.drop(f.at - 25*60*60*1000)
	recovery := byRecovery(e)
	if fails || recovery {
		m := mark{at: f.at}
		if fails {
			m.kind |= markFailure
		}
		if failedFactor(e) {
			m.kind |= markFactor
		}
		if recovery {
			m.kind |= markRecovery
		}
		p.marks.add(m)
	}
	if factorOff(e) {
		p.factorDisabled = max(p.factorDisabled, f.at)
	}
	switch {
	case e.Class != signals.ClassAccountChange || e.StatusID == signals.StatusFailure:
	case e.Activity == signals.AccountDisable:
		p.disabled = max(p.disabled, f.at)
	case e.Activity == signals.AccountEnable, e.Activity == signals.AccountUnlock:
		p.enabled = max(p.enabled, f.at)
	}
	if e.Succeeded() && harmless {
		f.learnHabits()
	} else if !known && !fails && e.Class == signals.ClassBase {
		return // an event of no kind that we know makes nobody
	}
	store(f, f.who, p)
}

func (f *features) learnHabits() {
	e, p := f.event, &f.person
	if p.successes == 0 || f.at < p.first {
		p.first = f.at
	}
	p.successes++
	switch e.MFA {
	case signals.Yes:
		p.factorYes++
		p.factorSaid++
	case signals.No:
		p.factorSaid++
	}
	for i, key := range [...]uint64{habitNetwork: f.network, habitAddress: f.address, habitDevice: f.device, habitClient: f.client} {
		if key != 0 {
			p.habits[i].see(key, f.at)
		}
	}
	if f.country != 0 {
		p.habits[habitCountry].see(f.country, f.at)
		f.learnCrowd()
	}
	if l := &e.Src.Location; l.AnonymousKnown || l.Anonymous {
		p.habits[habitAnonymous].see(anonymity(l.Anonymous), f.at)
	}
	if hour, ok := f.hour(); ok {
		f.learnHour(hour)
	}
	if f.at < p.last {
		return // a late one
	}
	p.last = f.at
	if tells(e) {
		l := &e.Src.Location
		p.lat, p.long = int64(math.Round(l.Latitude*1e4)), int64(math.Round(l.Longitude*1e4))
		p.radius, p.pointAt = int64(l.Radius), f.at
		p.offset = offsetOf(l.Longitude)
	}
}

// pardon learns from a success what was not learned when it came.
func (f *features) pardon() error {
	if f.who == "" || !f.timed || !f.event.Succeeded() {
		return f.err
	}
	for _, l := range [...]*loaded[placeProfile, *placeProfile]{&f.place, &f.area} {
		if p := l.get(f); p != nil {
			f.gotIn(p, l == &f.place)
			l.put(f)
		}
	}
	f.learnHabits()
	store(f, f.who, &f.person)
	return f.err
}

// anonymity is the key under which it is remembered that somebody came from an anonymous network, or not.
func anonymity(anonymous bool) uint64 {
	if anonymous {
		return 2
	}
	return 1
}

// learnCrowd counts the person once in a period for everywhere, and once for the country.
func (f *features) learnCrowd() {
	period := periodOf(f.at)
	const anywhere = 1 // no hash of a country is that small
	for _, where := range [...]uint64{anywhere, f.country} {
		s := f.person.habits[habitCountry].see(where, f.at)
		if s.extra > period {
			continue
		}
		s.extra = period + 1
		for _, g := range f.groups() {
			key, c := f.crowd(g, where != anywhere)
			c.count(period)
			store(f, key, &c)
		}
	}
}

// learnHour counts the hour. When there are many, old ones count less, so that habits can change.
func (f *features) learnHour(hour int) {
	p := &f.person
	p.hours[hour]++
	sum := uint64(0)
	for _, n := range p.hours {
		sum += n
	}
	if sum > 2000 {
		for i := range p.hours {
			p.hours[i] /= 2
		}
	}
}

// offsetOf is how many hours a place is ahead of UTC by the sun.
func offsetOf(longitude float64) int64 { return int64(math.Round(longitude / 15)) }

// hour is the hour of the day at the event's place, or where the person was last.
func (f *features) hour() (int, bool) {
	offset := f.person.offset
	switch {
	case tells(f.event):
		offset = offsetOf(f.event.Src.Location.Longitude)
	case f.person.radius == 0:
		return 0, false
	}
	const hour = 60 * 60 * 1000
	return int(((f.at/hour+offset)%24 + 24) % 24), true
}
