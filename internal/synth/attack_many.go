package synth

import "holdfast/internal/origin"

// spray tries one or two passwords on most people, from one address.
func (a *attack) spray(w *world) bool {
	r := a.rng
	targets := a.crowd(w, a.part(w, 60, 95, 10, 400))
	t := try{at: a.at, outcome: badPassword, client: tool(r), spot: a.rented(w)}
	low, high := second, 6*second
	if percent(r, 40) {
		low, high = 20*second, 90*second
	}
	rounds := 1 + r.IntN(2)
	winner, round := a.winner(targets, 50), r.IntN(rounds)
	for i := range rounds {
		for _, p := range targets {
			t.at += between(r, low, high)
			if percent(r, 6) {
				a.push(w, -1, a.stranger(), t)
				t.at += between(r, low, high)
			}
			if p == winner && i >= round {
				if i == round {
					a.enter(w, p, t)
				}
				continue // what is known need not be guessed again
			}
			a.hit(w, p, t)
		}
		t.at += between(r, 10*minute, 40*minute)
	}
	return true
}

// slowSpray tries one password per account and day, for days, each time from somewhere else.
func (a *attack) slowSpray(w *world) bool {
	r := a.rng
	targets := a.crowd(w, a.part(w, 10, 50, 10, 150))
	var sources []spot
	for range 12 + r.IntN(60) {
		s := a.household(w)
		if percent(r, 20) {
			s = pick(r, w.geo.hosting).any(r, inTunnel)
		}
		sources = append(sources, s)
	}
	clients := []*origin.Client{browser(r, w.recent[0]), browser(r, w.recent[0]), tool(r)}
	winner, on := a.winner(targets, 50), r.IntN(a.span)
	for d := range a.span {
		for _, p := range targets {
			t := try{
				at: w.midnight(a.day+d) + between(r, 6*hour, 22*hour), outcome: badPassword,
				client: pick(r, clients), spot: pick(r, sources),
			}
			switch {
			case p != winner || d < on:
				a.hit(w, p, t)
			case d == on:
				a.enter(w, p, t)
			}
		}
	}
	return true
}

// distributedSpray is a spray within hours, with hardly an address that appears twice.
func (a *attack) distributedSpray(w *world) bool {
	r := a.rng
	targets := a.crowd(w, a.part(w, 40, 80, 10, 500))
	length := between(r, hour, 4*hour)
	clients := []*origin.Client{tool(r), browser(r, w.recent[0])}
	rounds := 1 + r.IntN(2)
	winner := a.winner(targets, 50)
	s := a.household(w)
	for i := range rounds {
		for _, p := range targets {
			if !percent(r, 30) {
				s = a.household(w)
			}
			t := try{at: a.at + between(r, 0, length), outcome: badPassword, client: pick(r, clients), spot: s}
			switch {
			case p != winner:
				a.hit(w, p, t)
			case i == 0:
				a.enter(w, p, t)
			}
		}
	}
	return true
}

// stuff tries pairs of e-mail and password from leaks. Most e-mails are nobody's here.
func (a *attack) stuff(w *world) bool {
	r := a.rng
	total := max(120, min(1500, len(w.people))) * (100 + r.IntN(100)) / 100
	targets := a.crowd(w, total*(10+r.IntN(25))/100)
	var sources []spot
	for range 15 + r.IntN(45) {
		s := a.rented(w)
		if percent(r, 50) {
			s = a.household(w)
		}
		sources = append(sources, s)
	}
	length := between(r, 30*minute, 6*hour)
	clients := []*origin.Client{tool(r), tool(r), browser(r, w.recent[0])}
	t := func() try {
		return try{at: a.at + between(r, 0, length), outcome: badPassword, client: pick(r, clients), spot: pick(r, sources)}
	}
	for range total - len(targets) {
		a.push(w, -1, a.stranger(), t())
	}
	winner := a.winner(targets, 60)
	for _, p := range targets {
		if p == winner {
			a.enter(w, p, t())
			continue
		}
		for range 1 + r.IntN(2) { // leaks have several passwords for some
			a.hit(w, p, t())
		}
	}
	return true
}

// winner is whose password is guessed, in so many attacks out of a hundred: somebody with a password
// alone, otherwise somebody who also has a second factor.
func (a *attack) winner(targets []*person, chance int) (found *person) {
	if !percent(a.rng, chance) {
		return nil
	}
	for _, p := range targets {
		if p.method == byPassword {
			return p
		}
		if found == nil && p.method == byCode {
			found = p
		}
	}
	return found
}

// enter is a right guess. A second factor stops it there.
func (a *attack) enter(w *world, p *person, t try) {
	if p.method == byCode {
		t.outcome, t.method = noFactor, byCode
		a.hit(w, p, t)
		return
	}
	t.outcome, t.method, t.takeover = okCredentials, byPassword, true
	a.hit(w, p, t)
	if percent(a.rng, 60) { // a person takes over from the machine
		t.client, t.spot = browser(a.rng, w.recent[0]), a.lair(w, p)
	}
	a.comeBack(w, p, t)
}
