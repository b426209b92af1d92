package synth

import "time"

// live is a day of somebody's life, from midnight to midnight where she is.
func (p *person) live(w *world, d int) {
	switch {
	case d < p.joins:
		return
	case d >= p.leaves:
		p.gone(w, d)
		return
	case d >= p.asleepFrom && d < p.asleepTo:
		return
	case p.fate(w, d): // which fills the day
		return
	case d < p.absentTo:
		p.idle(w, d)
		return
	}
	if p.absence != present {
		if p.absence == onLeave {
			p.comeBack(d)
		}
		p.absence = present
	}
	if w.weekday == time.Saturday || w.weekday == time.Sunday || w.feast {
		p.rest(w, d)
		return
	}
	p.work(w, d)
}

// work is a working day.
func (p *person) work(w *world, d int) {
	r, midnight := p.rng, p.midnight(w, d)
	desk, begin := p.desk(w), midnight+around(p.rng, p.begin, 45*minute)
	if percent(r, 75) { // on the way, or at breakfast
		p.enter(w, begin-between(r, 15*minute, 75*minute), &p.phone, p.pocket(w))
	}
	p.enter(w, begin, &p.laptop, desk)
	if percent(r, 85) {
		p.enter(w, begin+between(r, 2*minute, 90*minute), &p.other, desk)
	}
	if percent(r, 50) {
		p.enter(w, midnight+around(r, 13*hour, 90*minute), &p.phone, p.pocket(w))
	}
	if percent(r, 75) { // the morning's session ended idle
		p.enter(w, begin+around(r, 5*hour, 90*minute), &p.laptop, desk)
	}
	if p.kiosk && desk.kind == atOffice {
		for range 1 + r.IntN(2) {
			p.enter(w, begin+between(r, 30*minute, 8*hour), &p.shared, desk)
		}
	}
	evening := max(midnight+around(r, 20*hour, 2*hour), begin+around(r, 10*hour, 2*hour))
	switch i := r.IntN(100); {
	case i < 45:
		p.enter(w, evening, &p.phone, p.pocket(w))
	case i < 70:
		p.enter(w, evening, &p.laptop, p.wifi(w))
	}
	if permille(r, 1) { // an old tablet at home, which its maker has forgotten
		old := device{model: androidChrome, lag: maxLag, client: clientOf(androidChrome, 88), version: 88}
		p.try(w, evening, old.client, p.wifi(w), oldVersion, p.method, noteOldClient, p.session())
	}
}

// rest is a day off at home.
func (p *person) rest(w *world, d int) {
	r, midnight := p.rng, p.midnight(w, d)
	if percent(r, 30) {
		p.enter(w, midnight+around(r, 14*hour, 5*hour), &p.phone, p.pocket(w))
	}
	if percent(r, 15) {
		p.enter(w, midnight+around(r, 15*hour, 5*hour), &p.laptop, p.wifi(w))
	}
	if p.owl && percent(r, 50) {
		p.sign(w, midnight+around(r, 24*hour, 150*minute), &p.laptop, p.wifi(w), noteOwl)
	}
}

// idle is a day of sickness, of holidays or of a long leave.
func (p *person) idle(w *world, d int) {
	r, midnight := p.rng, p.midnight(w, d)
	chance := [...]int{present: 0, sick: 30, onHoliday: 15, onLeave: 0}[p.absence]
	if percent(r, chance) {
		p.enter(w, midnight+around(r, 14*hour, 5*hour), &p.phone, p.pocket(w))
	}
}

// gone is a day after the last one. Some try what they had.
func (p *person) gone(w *world, d int) {
	r := p.rng
	if d > p.leaves+30 || !permille(r, 20) {
		return
	}
	p.try(w, p.midnight(w, d)+around(r, 14*hour, 5*hour), p.phone.on(d, w.recent), p.wifi(w), refused, p.method, noteLeaver, p.session())
}

// pocket is how a phone is connected: to what the laptop is connected to, or to the mobile network.
func (p *person) pocket(w *world) spot {
	if !w.awkward || percent(p.rng, 45) {
		return p.wifi(w)
	}
	return w.geo.mobile[p.now().city].gateway(p.rng)
}

// fate decides what changes in a life, and says whether that fills the day. Rates are in hundredths a
// year; the table in the package comment shows them.
func (p *person) fate(w *world, d int) bool {
	r := p.rng
	if p.away != nil {
		if d < p.backOn {
			return false
		}
		to := p.home
		p.travel(w, d, to, nil)
		p.absence, p.absentTo = present, d
		return true
	}
	if d < p.absentTo {
		return false
	}
	switch {
	case yearly(r, 300):
		p.absence, p.absentTo = sick, d+1+r.IntN(3)
	case yearly(r, 250):
		p.absence, p.absentTo = onHoliday, d+5+r.IntN(11)
		if w.awkward && percent(r, 40) {
			return p.trip(w, d, p.absentTo, true)
		}
	case !w.awkward:
	case w.weekday != time.Friday && w.weekday != time.Saturday && yearly(r, p.trips*7/5):
		return p.trip(w, d, d+1+r.IntN(5), false)
	case yearly(r, 12):
		p.move(w, d)
		return true
	case yearly(r, 50):
		p.replacePhone(d)
	case yearly(r, 30):
		p.replaceLaptop(d)
	case p.method == byCode && yearly(r, 8):
		p.lost = true
	case yearly(r, 6):
		p.absence, p.absentTo = onLeave, d+30+r.IntN(90)
		return true
	}
	return false
}

// comeBack is the day after a long leave: half of who has a password has forgotten it, some got another
// laptop meanwhile.
func (p *person) comeBack(d int) {
	p.returned = d + 7
	p.forgot = percent(p.rng, 50)
	if percent(p.rng, 25) {
		p.replaceLaptop(d)
	}
}

func (p *person) replacePhone(d int) {
	p.phone = newDevice(p.rng, []model{iphoneSafari, androidChrome}[p.rng.IntN(2)])
	p.phone.fresh, p.phone.since = true, d
}

func (p *person) replaceLaptop(d int) {
	m := p.laptop.model
	if percent(p.rng, 30) {
		m = []model{windowsChrome, windowsEdge, macSafari, macChrome, linuxFirefox}[p.rng.IntN(5)]
	}
	p.laptop = newDevice(p.rng, m)
	p.laptop.fresh, p.laptop.since = true, d
	p.other = p.laptop
	p.other.model = m.other()
}

// trip travels to another city until a day: mostly within the continent, to an office more often.
func (p *person) trip(w *world, d, until int, holidays bool) bool {
	r, to := p.rng, -1
	for range 8 {
		c := r.IntN(homes)
		if !holidays && percent(r, 50) {
			c = w.geo.offices[r.IntN(len(w.geo.offices))].city
		}
		if c == p.home.city {
			continue
		}
		to = c
		if w.geo.cities[c].continent == w.geo.cities[p.home.city].continent || percent(r, 25) {
			break
		}
	}
	if to < 0 {
		return false
	}
	hotel := w.newStay(r, to)
	p.backOn, p.holidays = until, holidays
	p.travel(w, d, hotel, &hotel)
	return true
}

// travel is a day on which somebody goes from where she is to somewhere else: by train up to 300 km, else
// by plane. away is nil for the way home.
func (p *person) travel(w *world, d int, to stay, away *stay) {
	r := p.rng
	km := int64(w.geo.km(p.now().city, to.city))
	takes := 150*minute + km*hour/800
	if km < 300 {
		takes = hour + km*hour/120
	}
	leave := max(p.midnight(w, d)+between(r, 8*hour, 16*hour), p.freeFrom+4*hour)
	if percent(r, 50) {
		p.enter(w, leave-between(r, 100*minute, 200*minute), &p.phone, p.pocket(w))
	}
	p.freeFrom = leave + takes
	p.away = away
	arrival := p.freeFrom + between(r, 20*minute, 2*hour)
	if local := arrival - p.midnight(w, d); (local%day+day)%day > 7*hour && percent(r, 70) {
		p.enter(w, arrival, []*device{&p.phone, &p.laptop}[r.IntN(2)], p.wifi(w))
	}
}

// move moves house: into another flat, or to another city of the country.
func (p *person) move(w *world, d int) {
	r, c := p.rng, p.home.city
	leave := p.midnight(w, d)
	if percent(r, 40) {
		var near []int
		for i := range homes {
			if w.geo.cities[i].country == w.geo.cities[c].country {
				near = append(near, i)
			}
		}
		c = near[r.IntN(len(near))]
	}
	p.home = w.newStay(r, c)
	p.home.nat = p.nat
	p.settle(w)
	p.movedOn, p.freeFrom = d, leave+28*hour
}
