package synth

import (
	"strings"

	"holdfast/internal/origin"
)

func (p *person) enter(w *world, at int64, d *device, s spot) { p.sign(w, at, d, s, plain) }

// session is the id of a new session or try.
func (p *person) session() session { return session{p.rng.Uint64(), p.rng.Uint64()} }

// sign is a sign-in with what may go wrong before it succeeds. Nothing happens while she is on the way.
func (p *person) sign(w *world, at int64, d *device, s spot, n note) {
	if at < p.freeFrom {
		return
	}
	r := p.rng
	at += r.Int64N(minute)
	s, n = p.tunnel(w, d, s, max(n, p.circumstances(w, d, s)))
	client := d.on(w.day, w.recent)
	m, id := p.method, p.session()
	try := func(o outcome, why note) {
		p.try(w, at, client, s, o, m, max(n, why), id)
	}
	wait := func(from, to int64) { at += between(r, from, to) }

	switch m {
	case bySSO:
		if permille(r, 4) {
			try(wrongSSO, noteWrongSSO)
			wait(20*second, 3*minute)
		}
	case byPassword, byCode:
		switch i := r.IntN(10000); {
		case i < 25, p.forgot: // and then sets a new one, by the link in a mail
			n, p.forgot = max(n, noteForgotten), false
			for range 3 + r.IntN(6) {
				try(badPassword, noteForgotten)
				wait(8*second, 2*minute)
			}
			wait(2*minute, 10*minute)
		case i < 400:
			for range 1 + r.IntN(2) {
				try(badPassword, noteMistyped)
				wait(4*second, 30*second)
			}
		case i < 430:
			p.typo(w, at, client, s, id)
			wait(6*second, 40*second)
		}
	}
	done := okCredentials
	switch m {
	case byCode:
		done = okFactor
		if p.lost {
			p.lost = false
			p.withoutPhone(w, &at, client, s, id)
			return
		}
		bad, late := badCode, lateCode
		if p.push {
			bad, late = badPush, latePush
		}
		switch i := r.IntN(1000); {
		case i < 18 && !p.push, i < 3:
			try(bad, noteMistyped)
			wait(5*second, 40*second)
		case i < 24:
			for range []int{1, 1, 1, 1, 2, 2, 2, 3, 4, 5}[r.IntN(10)] { // the phone is in another room
				try(late, noteLateCode)
				wait(30*second, 2*minute)
			}
		}
		if p.push && w.outage.covers(at) {
			n = max(n, noteOutage)
			for range 2 + r.IntN(4) {
				try(late, noteOutage)
				wait(minute, 6*minute)
			}
			at = max(at, w.outage.end+between(r, 0, 20*minute))
		}
	case byPasskey:
		done = okFactor
	}
	try(done, plain)
	p.last, p.lastSeen = sign{at: at, session: id, outcome: done, client: client, spot: s}, w.day
}

// withoutPhone is somebody whose phone is lost or broken: a recovery code, or the administrator switches
// the second factor off until she has set up a new one.
func (p *person) withoutPhone(w *world, at *int64, client *origin.Client, s spot, id session) {
	r := p.rng
	late := lateCode
	if p.push {
		late = latePush
	}
	p.try(w, *at, client, s, late, byCode, noteLostPhone, id)
	if percent(r, 50) {
		for range r.IntN(2) {
			*at += between(r, minute, 5*minute)
			p.try(w, *at, client, s, badRecovery, byRecovery, noteLostPhone, id)
		}
		*at += between(r, minute, 5*minute)
		p.try(w, *at, client, s, okFactor, byRecovery, noteLostPhone, id)
		return
	}
	*at += between(r, 10*minute, 90*minute)
	p.try(w, *at, client, s, codesOff, byCode, noteLostPhone, id)
	*at += between(r, 5*second, 30*second)
	p.try(w, *at, client, s, okCredentials, byPassword, noteLostPhone, id)
	p.phone = newDevice(r, p.phone.model)
	p.phone.fresh, p.phone.since = true, w.day
}

// typo is an e-mail with two letters the wrong way round, which is nobody's.
func (p *person) typo(w *world, at int64, client *origin.Client, s spot, id session) {
	name, domain, _ := strings.Cut(p.email, "@")
	if len(name) < 3 || name[1] == name[2] {
		return
	}
	w.push(record{
		at: at, person: -1, outcome: badPassword, method: p.method, note: noteTypo,
		client: client, spot: s, session: id, email: name[:1] + name[2:3] + name[1:2] + name[3:] + "@" + domain,
	})
}

// try is one event of hers.
func (p *person) try(w *world, at int64, client *origin.Client, s spot, o outcome, m method, n note, id session) {
	w.push(record{
		at: at, person: p.index, outcome: o, method: m, note: n,
		client: client, spot: s, email: p.email, session: id,
	})
}

// circumstances are what is unusual about today, this device and this place.
func (p *person) circumstances(w *world, d *device, s spot) note {
	n := plain
	if s.kind == onMobile {
		n = noteNAT
	}
	if d == &p.shared {
		n = noteKiosk
	}
	if w.day < p.movedOn+14 {
		n = noteMoved
	}
	if p.joins > 0 && w.day < p.joins+7 {
		n = noteJoined
	}
	if p.away != nil {
		n = noteTravel
		if p.holidays {
			n = noteHoliday
		}
	}
	if d.fresh && w.day < d.since+7 {
		n = noteNewLaptop
		if d == &p.phone {
			n = noteNewPhone
		}
	}
	if w.day < p.returned {
		n = noteReturned
	}
	return n
}

// tunnel takes the way through a VPN that somebody uses. Nobody does in the office.
func (p *person) tunnel(w *world, d *device, s spot, n note) (spot, note) {
	r := p.rng
	onLaptop := d == &p.laptop || d == &p.other
	switch {
	case p.vpn == noTunnel || s.kind == atOffice || d == &p.shared:
	case p.vpn == companyTunnel && onLaptop && percent(r, 75):
		return w.geo.egress.fromCompany(p), noteCompanyVPN
	case p.vpn == splitTunnel && onLaptop:
		if percent(r, 50) {
			s = w.geo.egress.fromCompany(p)
		}
		return s, noteSplit
	case p.vpn == anonymousTunnel && percent(r, 45):
		i := 0
		if percent(r, 25) {
			i = 1 + r.IntN(2)
		}
		return p.exits[i], noteVPN
	}
	return s, n
}

func (n *network) fromCompany(p *person) spot {
	return spot{network: n, address: n.address4(uint32(p.hash)), kind: inTunnel}
}
