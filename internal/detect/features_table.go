package detect

import (
	"math"
	"time"

	"holdfast/internal/signals"
)

// Feature describes one feature; docs/events/features.md has the same names and types.
type Feature struct {
	Name string
	Type Kind

	get func(*features) Value
}

// Features are all there are.
func Features() []Feature {
	all := []Feature{
		{"person", Text, func(f *features) Value {
			if !f.matched {
				return Value{}
			}
			return TextValue(f.directory.ID)
		}},
		{"suspended", Bool, (*features).suspended},
		{"protected", Bool, func(f *features) Value {
			if !f.matched {
				return Value{}
			}
			return BoolValue(f.directory.Protected)
		}},
		{"learning", Bool, person(func(f *features) Value { return BoolValue(f.learning()) })},
		{"history_days", Int, person(func(f *features) Value {
			if f.person.successes == 0 {
				return Value{}
			}
			return IntValue(max(0, f.at-f.person.first) / (24 * time.Hour).Milliseconds())
		})},
		{"successes", Int, person(func(f *features) Value { return IntValue(int64(f.person.successes)) })},
		{"known_country", Bool, known(habitCountry, func(f *features) uint64 { return f.country })},
		{"known_network", Bool, known(habitNetwork, func(f *features) uint64 { return f.network })},
		{"known_address", Bool, known(habitAddress, func(f *features) uint64 { return f.address })},
		{"known_device", Bool, known(habitDevice, func(f *features) uint64 { return f.device })},
		{"known_client", Bool, known(habitClient, func(f *features) uint64 { return f.client })},
		{"known_anonymous", Bool, (*features).knownAnonymous},
		{"last_success_hours", Float, func(f *features) Value {
			since, ok := f.sinceSuccess()
			if !ok {
				return Value{}
			}
			return FloatValue(rounded(since.Hours()))
		}},
		{"dormant_days", Int, func(f *features) Value {
			since, ok := f.sinceSuccess()
			if !ok {
				return Value{}
			}
			return IntValue(int64(since / (24 * time.Hour)))
		}},
		{"distance_km", Float, func(f *features) Value {
			km, _, ok := f.travel()
			if !ok {
				return Value{}
			}
			return FloatValue(rounded(km))
		}},
		{"travel_speed", Float, (*features).travelSpeed},
		{"hour_share", Float, func(f *features) Value {
			share, ok := f.hourShare()
			if !ok {
				return Value{}
			}
			return FloatValue(thousandths(share))
		}},
		{"hour_unusual", Bool, func(f *features) Value {
			share, ok := f.hourShare()
			if !ok {
				return Value{}
			}
			return BoolValue(share < 0.01)
		}},
		{"mfa_share", Float, person(func(f *features) Value {
			if f.person.factorSaid < 5 {
				return Value{}
			}
			return FloatValue(thousandths(float64(f.person.factorYes) / float64(f.person.factorSaid)))
		})},
		{"recovery_code_used", Bool, func(f *features) Value {
			if len(f.event.Factors) == 0 {
				return Value{}
			}
			return BoolValue(byRecovery(f.event))
		}},
		{"recovery_code_tries_1h", Int, timed(person(func(f *features) Value {
			n := f.person.marks.within(f.ago(time.Hour), f.at, markRecovery)
			if byRecovery(f.event) {
				n++
			}
			return IntValue(min(n, room))
		}))},
		{"factor_disabled_hours", Float, func(f *features) Value {
			since, ok := f.sinceFactorOff()
			if !ok {
				return Value{}
			}
			return FloatValue(rounded(since.Hours()))
		}},
		{"factor_disabled_recently", Bool, func(f *features) Value {
			since, ok := f.sinceFactorOff()
			if !ok {
				return Value{}
			}
			return BoolValue(since <= 24*time.Hour)
		}},
		{"session_address_jump", Bool, jump(func(f *features, s *sessionProfile) (uint64, uint64) { return s.network, f.network })},
		{"session_device_change", Bool, jump(func(f *features, s *sessionProfile) (uint64, uint64) { return s.device, f.device })},
		{"country_share_group", Float, (*features).countryShare},
		{"unknown_names_address_24h", Int, counted(func(f *features) *placeProfile { return f.place.get(f) }, unknownNames)},
		{"new_device_people_1h", Int, (*features).newDevicePeople},
		{"others_device_24h", Int, timed((*features).othersDevice)},
		{"firewall_reported", Bool, func(f *features) Value {
			if f.event.Disposition == signals.DispositionUnknown {
				return Value{}
			}
			return BoolValue(f.event.Disposition == signals.DispositionLogged)
		}},
	}
	for _, w := range []struct {
		name   string
		length time.Duration
	}{{"10m", 10 * time.Minute}, {"1h", time.Hour}, {"24h", 24 * time.Hour}, {"30d", 30 * 24 * time.Hour}} {
		all = append(all, windowed(w.name, w.length)...)
	}
	for i := range all {
		all[i].Name = FeaturePrefix + all[i].Name
	}
	return all
}

// windowed are the features that look back for so long.
func windowed(name string, length time.Duration) (all []Feature) {
	marked := func(kind uint8) func(*features) Value {
		return timed(person(func(f *features) Value { return IntValue(f.person.marks.within(f.ago(length), f.at, kind)) }))
	}
	near := func(what string, count counter) {
		all = append(all, Feature{what + "_address_" + name, Int, counted(func(f *features) *placeProfile { return f.place.get(f) }, count)})
	}
	far := func(what string, count counter) {
		all = append(all, Feature{what + "_network_" + name, Int, counted(func(f *features) *placeProfile { return f.area.get(f) }, count)})
	}
	tried := func(f *features, p *placeProfile) int64 { return f.distinct(p.tried, length, f.tries()) }
	fail := func(f *features, p *placeProfile) int64 { return f.distinct(p.failed, length, failed(f.event)) }
	got := func(f *features, p *placeProfile) int64 { return p.succeeded.within(f.ago(length)) }
	if length <= 24*time.Hour {
		all = append(all, Feature{"failures_person_" + name, Int, marked(markFailure)}, Feature{"mfa_failures_person_" + name, Int, marked(markFactor)})
		near("failures", func(f *features, p *placeProfile) int64 { return p.marks.within(f.ago(length), f.at, markFailure) })
	}
	if length == time.Hour || length == 24*time.Hour {
		near("people", tried)
		near("failed_people", fail)
		far("people", tried)
		far("failed_people", fail)
	}
	if length >= 24*time.Hour {
		near("succeeded_people", got)
	}
	if length > 24*time.Hour {
		far("succeeded_people", got)
	}
	return all
}

// counter counts what is remembered of an address or a network.
type counter = func(f *features, p *placeProfile) int64

func counted(place func(*features) *placeProfile, count counter) func(*features) Value {
	return timed(func(f *features) Value {
		p := place(f)
		if p == nil {
			return Value{}
		}
		return IntValue(count(f, p))
	})
}

// person is a feature that is unknown where the event names nobody.
func person(get func(*features) Value) func(*features) Value {
	return func(f *features) Value {
		if f.who == "" {
			return Value{}
		}
		return get(f)
	}
}

// timed is a feature that is unknown where the event says no time.
func timed(get func(*features) Value) func(*features) Value {
	return func(f *features) Value {
		if !f.timed {
			return Value{}
		}
		return get(f)
	}
}

// known says whether the person was seen with something, and never no while that may only be because
// not much is known yet.
func known(habit int, key func(*features) uint64) func(*features) Value {
	return person(func(f *features) Value {
		k := key(f)
		switch {
		case k == 0:
			return Value{}
		case f.person.habits[habit].find(k) >= 0:
			return BoolValue(true)
		case f.learning():
			return Value{}
		}
		return BoolValue(false)
	})
}

func (f *features) knownAnonymous() Value {
	h := f.person.habits[habitAnonymous]
	switch {
	case f.who == "":
		return Value{}
	case h.find(anonymity(true)) >= 0:
		return BoolValue(true)
	case f.learning() || len(h) == 0:
		return Value{}
	}
	return BoolValue(false)
}

func (f *features) suspended() Value {
	p := &f.person
	switch {
	case f.matched:
		return BoolValue(f.directory.Suspended)
	case f.event.Reason == signals.Disabled:
		return BoolValue(true)
	case f.who == "" || p.disabled == 0 && p.enabled == 0:
		return Value{}
	}
	return BoolValue(p.disabled > p.enabled)
}

func (f *features) sinceSuccess() (time.Duration, bool) {
	if f.who == "" || !f.timed || f.person.successes == 0 || f.at < f.person.last {
		return 0, false
	}
	return time.Duration(f.at-f.person.last) * time.Millisecond, true
}

func (f *features) sinceFactorOff() (time.Duration, bool) {
	at := f.person.factorDisabled
	if factorOff(f.event) {
		at = f.at
	}
	since := time.Duration(f.at-at) * time.Millisecond
	if f.who == "" || !f.timed || at == 0 || since < 0 || since > 7*24*time.Hour {
		return 0, false
	}
	return since, true
}

// travel is how far it is from the last success at least, in km, and how long ago that was.
func (f *features) travel() (km float64, since time.Duration, ok bool) {
	p := &f.person
	if f.who == "" || !f.timed || p.radius == 0 || f.at < p.pointAt || !tells(f.event) {
		return 0, 0, false
	}
	l := &f.event.Src.Location
	d := greatCircle(float64(p.lat)/1e4, float64(p.long)/1e4, l.Latitude, l.Longitude)
	return max(0, d-float64(p.radius)-float64(l.Radius)), time.Duration(f.at-p.pointAt) * time.Millisecond, true
}

func (f *features) travelSpeed() Value {
	const floor = 100 // km
	km, since, ok := f.travel()
	switch {
	case !ok:
		return Value{}
	case km < floor:
		return FloatValue(0)
	}
	return FloatValue(math.Round(km / max(time.Minute, since).Hours()))
}

// greatCircle is the way between two points along a great circle, in km.
func greatCircle(lat1, long1, lat2, long2 float64) float64 {
	const radius, degree = 6371, math.Pi / 180
	a := math.Pow(math.Sin((lat2-lat1)*degree/2), 2) + math.Cos(lat1*degree)*math.Cos(lat2*degree)*math.Pow(math.Sin((long2-long1)*degree/2), 2)
	return 2 * radius * math.Asin(math.Sqrt(min(1, a)))
}

// hourShare is the share of successes within an hour of the event's hour.
func (f *features) hourShare() (float64, bool) {
	if f.who == "" || !f.timed {
		return 0, false
	}
	hour, ok := f.hour()
	sum := uint64(0)
	for _, n := range f.person.hours {
		sum += n
	}
	if !ok || sum < 50 {
		return 0, false
	}
	near := f.person.hours[(hour+23)%24] + f.person.hours[hour] + f.person.hours[(hour+1)%24]
	return float64(near) / float64(sum), true
}

// jump compares where or on what a session began with now.
func jump(of func(f *features, s *sessionProfile) (then, now uint64)) func(*features) Value {
	return timed(func(f *features) Value {
		s := f.session.get(f)
		if s == nil || s.first == 0 {
			return Value{}
		}
		then, now := of(f, s)
		if then == 0 || now == 0 {
			return Value{}
		}
		return BoolValue(then != now)
	})
}

func (f *features) countryShare() Value {
	const fewest = 5
	if f.who == "" || !f.timed || f.country == 0 {
		return Value{}
	}
	now := periodOf(f.at)
	best, enough := 0.0, false
	for _, g := range f.groups() {
		_, all := f.crowd(g, false)
		_, some := f.crowd(g, true)
		for period := now; period+4 > now && period > 0; period-- {
			if n := all.of(period); n >= fewest {
				enough = true
				best = max(best, float64(some.of(period))/float64(n))
			}
		}
	}
	if !enough {
		return Value{}
	}
	return FloatValue(thousandths(min(1, best)))
}

// tries says whether the event counts as a try.
func (f *features) tries() bool { return f.event.SignIn() || failed(f.event) }

// distinct is how many people there are within the time; with this one, if so.
func (f *features) distinct(s sightings, length time.Duration, with bool) int64 {
	if with && f.whoHash != 0 {
		return s.withinAnd(f.ago(length), f.whoHash)
	}
	return s.within(f.ago(length))
}

// unknownNames counts names that were nobody's when they were tried.
func unknownNames(f *features, p *placeProfile) (n int64) {
	from, here := f.ago(24*time.Hour), f.tries() && f.whoHash != 0 && f.stranger()
	for _, x := range p.tried {
		switch {
		case x.key == f.whoHash:
		case x.last >= from && x.extra == 1:
			n++
		}
	}
	if here {
		n++
	}
	return min(n, room)
}

// othersDevice counts the people, other ones, who got in lately at this address on exactly this machine.
func (f *features) othersDevice() Value {
	p := f.place.get(f)
	if p == nil || f.machine == 0 {
		return Value{}
	}
	n, from := int64(0), f.ago(24*time.Hour)
	for _, x := range p.succeeded {
		if x.key != f.whoHash && x.last >= from && x.extra == f.machine&machineBits {
			n++
		}
	}
	return IntValue(n)
}

func (f *features) newDevicePeople() Value {
	if f.who == "" || !f.timed || !f.newDevice() {
		return Value{}
	}
	d := f.devices.get(f)
	if d == nil {
		return Value{}
	}
	return IntValue(f.distinct(d.users, time.Hour, f.tries()))
}

func rounded(x float64) float64     { return math.Round(x*10) / 10 }
func thousandths(x float64) float64 { return math.Round(x*1000) / 1000 }
