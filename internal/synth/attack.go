package synth

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"

	"holdfast/internal/origin"
)

// The kinds of attacks, as they stand in Event.Truth.
const (
	PasswordSpray     = "password spray"
	SlowSpray         = "slow spray"
	DistributedSpray  = "distributed spray"
	Stuffing          = "credential stuffing"
	MFAFatigue        = "mfa fatigue"
	StolenSession     = "stolen session"
	SanctionedCountry = "sanctioned country"
	Insider           = "insider"
	DormantAccount    = "dormant account"
	RecoveryCode      = "recovery code"
	FactorDisabled    = "second factor disabled"
)

// Attacks says how many of each kind there are.
type Attacks struct {
	PasswordSpray, SlowSpray, DistributedSpray, Stuffing int
	MFAFatigue, StolenSession, SanctionedCountry         int
	Insider, DormantAccount, RecoveryCode                int
	FactorDisabled                                       int
}

// Each is n attacks of each kind.
func Each(n int) Attacks {
	return Attacks{n, n, n, n, n, n, n, n, n, n, n}
}

// Kinds are the kinds of attacks, in the order of the table in the package comment.
func Kinds() []string {
	return []string{
		PasswordSpray, SlowSpray, DistributedSpray, Stuffing, MFAFatigue, StolenSession,
		SanctionedCountry, Insider, DormantAccount, RecoveryCode, FactorDisabled,
	}
}

// Of is how many of a kind there are.
func (a Attacks) Of(kind string) int {
	return map[string]int{
		PasswordSpray: a.PasswordSpray, SlowSpray: a.SlowSpray, DistributedSpray: a.DistributedSpray, Stuffing: a.Stuffing,
		MFAFatigue: a.MFAFatigue, StolenSession: a.StolenSession, SanctionedCountry: a.SanctionedCountry, Insider: a.Insider,
		DormantAccount: a.DormantAccount, RecoveryCode: a.RecoveryCode, FactorDisabled: a.FactorDisabled,
	}[kind]
}

// attack is one attack. It reads random numbers of its own only, so that others do not change it.
type attack struct {
	kind   string
	number int
	rng    *rand.Rand
	hash   uint64
	day    int // on which it begins
	span   int // days
	at     int64
	victim *person // of a dormant account, who must sleep beforehand
}

// schedule sets when each attack begins. Detection gets the first two weeks, or a third of a shorter
// history, to learn; a dormant account needs longer to become one.
func (w *world) schedule(counts Attacks) {
	for _, kind := range Kinds() {
		for i := range counts.Of(kind) {
			key := kind + " " + numbered(i)
			a := &attack{kind: kind, rng: stream(w.seed, "attack", key), hash: hashOf("attack", key) ^ w.seed, span: 1}
			first := min(14, w.days/3)
			switch kind {
			case SlowSpray:
				a.span = max(1, min(4+a.rng.IntN(7), w.days-first-1))
			case DormantAccount:
				first = min(90, w.days*2/3)
			}
			a.day = first + a.rng.IntN(max(1, w.days-first-a.span))
			a.at = w.midnight(a.day) + between(a.rng, 0, 18*hour)
			if kind == DormantAccount {
				a.lull(w)
			}
			w.attacks = append(w.attacks, a)
		}
	}
	slices.SortStableFunc(w.attacks, func(a, b *attack) int { return cmp.Compare(a.at, b.at) })
	for i, a := range w.attacks {
		a.number = i + 1
	}
}

// lull chooses somebody who stops signing in weeks before the attack and does not come back.
func (a *attack) lull(w *world) {
	a.victim = a.choose(w, func(p *person) bool { return p.guessable() && p.asleepTo == 0 && p.joins == 0 })
	if p := a.victim; p != nil {
		p.leaves = never
		p.asleepFrom, p.asleepTo = max(min(3, a.day/2), a.day-60-a.rng.IntN(60)), never
	}
}

// run makes all events of the attack. It says false if it found nobody to attack.
func (a *attack) run(w *world) bool {
	switch a.kind {
	case PasswordSpray:
		return a.spray(w)
	case SlowSpray:
		return a.slowSpray(w)
	case DistributedSpray:
		return a.distributedSpray(w)
	case Stuffing:
		return a.stuff(w)
	case MFAFatigue:
		return a.fatigue(w)
	case StolenSession:
		return a.stealSession(w)
	case SanctionedCountry:
		return a.fromSanctioned(w)
	case Insider:
		return a.fromColleague(w)
	case DormantAccount:
		return a.wake(w)
	case RecoveryCode:
		return a.useRecoveryCode(w)
	case FactorDisabled:
		return a.disarm(w)
	}
	return true
}

// guessable says whether there is a password that somebody could find out.
func (p *person) guessable() bool { return p.method == byPassword || p.method == byCode }

// employed says whether the account is in use on a day, whether or not she signs in.
func (p *person) employed(d int) bool {
	return d >= p.joins && d < p.leaves && (d < p.asleepFrom || d >= p.asleepTo)
}

// known says whether she signed in lately, so that there is something to compare with.
func (p *person) known(d int) bool { return p.employed(d) && p.lastSeen >= 0 && p.lastSeen > d-14 }

// rank orders people for an attack at random, such that one more person does not change the others' order.
func (a *attack) rank(p *person) uint64 {
	z := a.hash ^ p.hash // then the finalizer of SplitMix64
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// choose picks somebody, nil if nobody will do.
func (a *attack) choose(w *world, will func(*person) bool) (found *person) {
	for _, p := range w.people {
		if will(p) && (found == nil || a.rank(p) < a.rank(found)) {
			found = p
		}
	}
	return found
}

// crowd picks up to n people who are employed.
func (a *attack) crowd(w *world, n int) []*person {
	var all []*person
	for _, p := range w.people {
		if p.employed(a.day) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(p, q *person) int { return cmp.Compare(a.rank(p), a.rank(q)) })
	return all[:min(n, len(all))]
}

// part is a share, from low to high percent, of all people, within bounds.
func (a *attack) part(w *world, low, high, least, most int) int {
	return max(least, min(most, len(w.people)*(low+a.rng.IntN(high-low))/100))
}

// try is one event of an attack.
type try struct {
	at       int64
	outcome  outcome
	method   method
	client   *origin.Client
	spot     spot
	session  session
	takeover bool
}

// hit is a try at somebody's account.
func (a *attack) hit(w *world, p *person, t try) {
	a.push(w, p.index, p.email, t)
}

func (a *attack) push(w *world, person int32, email string, t try) {
	if t.session == (session{}) {
		t.session = session{a.rng.Uint64(), a.rng.Uint64()}
	}
	w.push(record{
		at: t.at, person: person, email: email, outcome: t.outcome, method: t.method, takeover: t.takeover,
		attack: a, client: t.client, spot: t.spot, session: t.session,
	})
}

// stranger is an e-mail from somebody else's leak; some look as if they were the company's.
func (a *attack) stranger() string {
	r := a.rng
	name := strings.ToLower(invent(r.Uint64(), r.IntN(100), map[string]int{}).Name)
	domain := []string{"harbour-vale.example", "mailbox.example", "post.example", "example.net", "example.org"}[r.IntN(5)]
	return strings.ReplaceAll(name, " ", []string{".", "_", ""}[r.IntN(3)]) + numbered(r.IntN(100)) + "@" + domain
}

// lair is an address from which an attacker works on one account: rented, behind a VPN, or a household's
// whose router sells its line; a few take one in the victim's own city.
func (a *attack) lair(w *world, p *person) spot {
	switch i := a.rng.IntN(100); {
	case i < 35:
		return pick(a.rng, w.geo.hosting).any(a.rng, inTunnel)
	case i < 60:
		return pick(a.rng, w.geo.vpn).any(a.rng, inTunnel)
	case i < 65:
		return pick(a.rng, w.geo.tor).any(a.rng, inTunnel)
	case i < 90:
		return a.household(w)
	default:
		return pick(a.rng, w.geo.fixed[p.home.city][:]).any(a.rng, inTunnel)
	}
}

// household is an exit of a residential proxy, anywhere.
func (a *attack) household(w *world) spot {
	return w.geo.fixed[a.rng.IntN(homes)][a.rng.IntN(2)].any(a.rng, inTunnel)
}

// rented is an address that one buys by the hour: of a server, a VPN or a relay.
func (a *attack) rented(w *world) spot {
	return pick(a.rng, [][]*network{w.geo.hosting, w.geo.hosting, w.geo.hosting, w.geo.vpn, w.geo.tor}[a.rng.IntN(5)]).any(a.rng, inTunnel)
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// success is how somebody's account lets in who has all that it asks for.
func (p *person) success() (outcome, method) {
	if p.method == byCode || p.method == byPasskey {
		return okFactor, p.method
	}
	return okCredentials, p.method
}

// comeBack is the attacker signing in again later, from there or from beside it.
func (a *attack) comeBack(w *world, p *person, t try) {
	t.takeover = false
	network := t.spot.network
	for range a.rng.IntN(3) {
		t.at += between(a.rng, 30*minute, 15*hour)
		t.session = session{}
		if percent(a.rng, 30) {
			t.spot = network.any(a.rng, inTunnel)
		}
		a.hit(w, p, t)
	}
}
