package synth

// fatigue has the password and asks for the second factor until somebody gives in, or does not.
func (a *attack) fatigue(w *world) bool {
	r := a.rng
	p := a.choose(w, func(p *person) bool { return p.method == byCode && p.push && p.known(a.day) })
	if p == nil {
		p = a.choose(w, func(p *person) bool { return p.method == byCode && p.employed(a.day) })
	}
	if p == nil {
		return false
	}
	local := w.midnight(a.day) - int64(w.geo.cities[p.home.city].offset)*minute
	t := try{at: local + between(r, 21*hour, 25*hour), method: byCode, client: browser(r, w.recent[0]), spot: a.lair(w, p)}
	if percent(r, 40) {
		t.at = local + between(r, 6*hour, 17*hour)
	}
	low, high := 20*second, 3*minute
	if percent(r, 25) {
		low, high = 4*minute, 15*minute
	}
	for range 6 + r.IntN(20) {
		t.outcome = lateCode
		if p.push {
			t.outcome = []outcome{latePush, badPush}[r.IntN(2)]
		}
		a.hit(w, p, t)
		t.at += between(r, low, high)
	}
	if percent(r, 70) {
		t.outcome, t.takeover = okFactor, true
		a.hit(w, p, t)
		a.comeBack(w, p, t)
	}
	return true
}

// stealSession uses the cookie of a session that somebody made today. Nobody signs in, so that the
// session's own success is seen again: from another place, and often from another browser.
func (a *attack) stealSession(w *world) bool {
	r := a.rng
	p := a.choose(w, func(p *person) bool { return p.known(a.day) && p.lastSeen == a.day && p.last.at < w.end-12*hour })
	if p == nil {
		return false
	}
	_, m := p.success()
	t := try{
		at: p.last.at + between(r, 20*minute, 8*hour), outcome: p.last.outcome, method: m,
		client: p.last.client, spot: a.lair(w, p), session: p.last.session, takeover: true,
	}
	if percent(r, 60) {
		t.client = browser(r, w.recent[0])
	}
	a.hit(w, p, t)
	t.takeover = false
	for range r.IntN(4) {
		t.at += between(r, 5*minute, 2*hour)
		a.hit(w, p, t)
	}
	return true
}

// fromSanctioned signs in from a country with which nobody may trade.
func (a *attack) fromSanctioned(w *world) bool {
	r := a.rng
	p := a.guessed(w)
	if p == nil {
		return false
	}
	c := homes + r.IntN(len(w.geo.cities)-homes)
	t := try{at: a.at, outcome: badPassword, client: browser(r, w.recent[0]), spot: w.geo.fixed[c][r.IntN(2)].any(r, inTunnel)}
	a.fumble(w, p, &t, 3)
	if percent(r, 20) {
		a.hit(w, p, t)
		return true
	}
	a.succeed(w, p, t)
	return true
}

// fromColleague is somebody's account used from a colleague's home, on the colleague's own machine.
func (a *attack) fromColleague(w *world) bool {
	r := a.rng
	who := a.choose(w, func(p *person) bool {
		return p.known(a.day) && p.lastSeen == a.day && p.last.spot.kind == atHome && p.last.at < w.end-4*hour
	})
	if who == nil {
		return false
	}
	p := a.choose(w, func(p *person) bool {
		return p != who && p.guessable() && p.known(a.day) && p.home.city == who.home.city
	})
	if p == nil {
		p = a.choose(w, func(p *person) bool { return p != who && p.guessable() && p.employed(a.day) })
	}
	if p == nil {
		return false
	}
	t := try{at: who.last.at + between(r, 10*minute, 3*hour), outcome: badPassword, client: who.last.client, spot: who.last.spot}
	a.fumble(w, p, &t, 2)
	t.outcome, t.method = p.success()
	t.takeover = true
	a.hit(w, p, t)
	return true
}

// wake uses an account that its person stopped using weeks ago.
func (a *attack) wake(w *world) bool {
	p := a.victim
	if p == nil {
		return false
	}
	t := try{at: a.at, outcome: badPassword, client: browser(a.rng, w.recent[0]), spot: a.lair(w, p)}
	a.fumble(w, p, &t, 4)
	a.succeed(w, p, t)
	return true
}

// useRecoveryCode has the password, guesses codes in vain, and then has a recovery code.
func (a *attack) useRecoveryCode(w *world) bool {
	r := a.rng
	p := a.coded(w)
	if p == nil {
		return false
	}
	t := try{at: a.at, method: byCode, client: browser(r, w.recent[0]), spot: a.lair(w, p)}
	for range 2 + r.IntN(4) {
		t.outcome = p.refusal()
		a.hit(w, p, t)
		t.at += between(r, 5*second, 2*minute)
	}
	t.outcome, t.method = badRecovery, byRecovery
	for range 1 + r.IntN(5) {
		a.hit(w, p, t)
		t.at += between(r, 10*second, 4*minute)
	}
	if percent(r, 80) {
		t.outcome, t.takeover = okFactor, true
		a.hit(w, p, t)
		t.method, t.outcome = byPassword, okCredentials // who is in can switch the second factor off
		a.comeBack(w, p, t)
	}
	return true
}

// disarm has the password, and talks somebody into switching the second factor off.
func (a *attack) disarm(w *world) bool {
	r := a.rng
	p := a.coded(w)
	if p == nil {
		return false
	}
	t := try{at: a.at, method: byCode, client: browser(r, w.recent[0]), spot: a.lair(w, p)}
	for range 1 + r.IntN(3) {
		t.outcome = p.refusal()
		a.hit(w, p, t)
		t.at += between(r, 20*second, 4*minute)
	}
	t.at += between(r, 20*minute, 6*hour)
	t.outcome = codesOff
	a.hit(w, p, t)
	if percent(r, 85) {
		t.at += between(r, 5*second, 2*minute)
		t.outcome, t.method, t.takeover = okCredentials, byPassword, true
		a.hit(w, p, t)
		a.comeBack(w, p, t)
	}
	return true
}

// guessed is somebody with a password who signed in lately.
func (a *attack) guessed(w *world) *person {
	return a.choose(w, func(p *person) bool { return p.guessable() && p.known(a.day) })
}

// coded is somebody with a second factor who signed in lately.
func (a *attack) coded(w *world) *person {
	return a.choose(w, func(p *person) bool { return p.method == byCode && p.known(a.day) })
}

// refusal is how a second factor says no to who does not have it.
func (p *person) refusal() outcome {
	if p.push {
		return latePush
	}
	return badCode
}

// fumble gets the password wrong up to so many times.
func (a *attack) fumble(w *world, p *person, t *try, most int) {
	for range a.rng.IntN(most + 1) {
		a.hit(w, p, *t)
		t.at += between(a.rng, 5*second, 2*minute)
	}
}

// succeed gets in with all that the account asks for, and comes back.
func (a *attack) succeed(w *world, p *person, t try) {
	t.outcome, t.method = p.success()
	t.takeover = true
	a.hit(w, p, t)
	a.comeBack(w, p, t)
}
