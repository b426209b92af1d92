package synth

import (
	"cmp"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"holdfast/internal/origin"
)

// Config says what history to make. Equal Configs make equal histories.
type Config struct {
	Seed    uint64
	Start   time.Time // its date in UTC is the first day
	Days    int       // no event lies outside Start and Start + Days
	People  []Person
	Invent  int // how many people to make up if People is empty
	Attacks Attacks
	Awkward bool // with the benign behaviour that looks like an attack
}

// Person is somebody who signs in. What she does follows from the seed and her ID (or, without one, her
// Email), not from who else there is.
type Person struct {
	ID, Name, Email string
	Groups          []string
}

// Profile is how the generator made up a person's life at the start.
type Profile struct {
	Person
	Home, Country string
	Offset        time.Duration // of her home, ahead of UTC, all year
	Method        string        // how she usually signs in
	Joins, Leaves time.Time     // her first day, and the day after her last one (zero: none in sight)
}

// Event is one try to sign in. Category and Type are those of the Events API (contract 4.5).
type Event struct {
	At             time.Time // UTC, microseconds
	Person         int       // in Config.People or [Config.Roster]; -1: the e-mail is nobody's
	Email          string    // as typed
	Category, Type string
	Details        string // always empty: no firewall stands before the made-up company
	Session        string // id, 26 characters of A-Z and 2-7
	Client         origin.Client
	Location       origin.Location
	Method         string // passkey, password, password_code, recovery_code, sso
	Truth          string // empty: benign; else the kind of attack
	Attack         int    // its number, from 1 in order of time; 0: none
	Takeover       bool   // this is the event with which the attacker gets in
	Note           string // what is awkward about a benign event
}

// Generate makes the history, in order of time. Each range over it makes the same one afresh; what it
// keeps in memory depends on the number of people and attacks, not of days.
func Generate(c Config) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		w := newWorld(c)
		for d := range c.Days {
			w.begin(d)
			for _, p := range w.people {
				p.live(w, d)
			}
			for _, a := range w.attacks {
				if a.day == d && !a.run(w) {
					a.day, a.at = d+1, a.at+day // nobody of today will do
				}
			}
			// No place is further than 14 hours ahead of UTC, so that the next days add nothing before this.
			if !w.release(w.midnight(d+1)-14*hour, yield) {
				return
			}
		}
		w.release(w.end, yield)
	}
}

// Lengths of time are in microseconds throughout, as whole numbers: a history is the same on every machine.
const (
	second int64 = 1e6
	minute       = 60 * second
	hour         = 60 * minute
	day          = 24 * hour
)

// world is the state of a run.
type world struct {
	seed       uint64
	awkward    bool
	start, end int64
	days       int
	geo        *geography
	people     []*person
	attacks    []*attack

	day     int
	weekday time.Weekday
	feast   bool       // nobody works
	outage  span       // during which no push message arrives
	recent  []releases // of today, of the day before, …

	pending []record // not in order
	ready   []record
	order   uint32
}

// span is a time from its start up to its end.
type span struct{ start, end int64 }

func (s span) covers(at int64) bool { return at >= s.start && at < s.end }

// record is an event before it is written out. Pointers are to what many events share.
type record struct {
	at       int64
	order    uint32 // of making, to tell apart what happens at once
	person   int32
	outcome  outcome
	method   method
	note     note
	takeover bool
	attack   *attack
	client   *origin.Client
	spot     spot
	email    string
	session  session
}

type session [2]uint64

func newWorld(c Config) *world {
	start := c.Start.UTC()
	start = time.Date(start.Year(), start.Month(), start.Day(), 0, 0, 0, 0, time.UTC)
	w := &world{seed: c.Seed, awkward: c.Awkward, days: c.Days, start: start.UnixMicro()}
	w.end = w.midnight(c.Days)
	w.geo = newGeography(officesOf(c.Seed))
	people := c.Roster()
	w.people = make([]*person, len(people))
	for i, p := range people {
		w.people[i] = w.newPerson(i, p)
	}
	w.schedule(c.Attacks)
	return w
}

// midnight is the beginning of a day in UTC.
func (w *world) midnight(d int) int64 { return w.start + int64(d)*day }

func (w *world) begin(d int) {
	at := time.UnixMicro(w.midnight(d)).UTC()
	w.day, w.weekday = d, at.Weekday()
	_, month, date := at.Date()
	w.feast = month == time.December && (date == 25 || date == 26) || month == time.January && date == 1
	if r := stream(w.seed, "outage", numbered(d)); w.awkward && yearly(r, 300) {
		w.outage.start = w.midnight(d) + between(r, 6*hour, 20*hour)
		w.outage.end = w.outage.start + between(r, 20*minute, 2*hour)
	}
	if w.recent == nil {
		for back := range maxLag + 1 {
			w.recent = append(w.recent, releasesOn(at.AddDate(0, 0, -back)))
		}
		return
	}
	copy(w.recent[1:], w.recent)
	w.recent[0] = releasesOn(at)
}

// push adds an event; one outside the history is dropped.
func (w *world) push(r record) {
	if r.at < w.start || r.at >= w.end {
		return
	}
	r.order = w.order
	w.order++
	w.pending = append(w.pending, r)
}

// release hands out what happened before a time. It says false if no more is wanted.
func (w *world) release(before int64, yield func(Event) bool) bool {
	w.ready = w.ready[:0]
	rest := w.pending[:0]
	for _, r := range w.pending {
		if r.at < before {
			w.ready = append(w.ready, r)
		} else {
			rest = append(rest, r)
		}
	}
	w.pending = rest
	slices.SortFunc(w.ready, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order))
	})
	for i := range w.ready {
		if !yield(w.ready[i].event()) {
			return false
		}
	}
	return true
}

func (r *record) event() Event {
	e := Event{
		At: time.UnixMicro(r.at).UTC(), Person: int(r.person), Email: r.email,
		Session: r.session.String(), Client: *r.client, Location: r.spot.network.location,
		Method: r.method.String(), Note: r.note.String(), Takeover: r.takeover,
	}
	e.Category, e.Type = r.outcome.words()
	e.Client.Address = r.spot.address
	if r.attack != nil {
		e.Truth, e.Attack = r.attack.kind, r.attack.number
	}
	return e
}

// String is the id of the session: 26 characters, as [crypto/rand.Text] makes them.
func (s session) String() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b [26]byte
	for half, v := range s {
		for i := range 13 {
			b[13*half+i] = letters[v&31]
			v >>= 5
		}
	}
	return string(b[:])
}

// stream is a source of random numbers for one purpose, apart from all others.
func stream(seed uint64, purpose string, key string) *rand.Rand {
	return rand.New(rand.NewPCG(seed, hashOf(purpose, key)))
}

func hashOf(purpose, key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose + "\x00" + key)) // a hash never fails
	return h.Sum64()
}

// numbered is a key of a stream for the n-th of something.
func numbered(n int) string { return strconv.Itoa(n) }

// around is a random time, from mean - spread to mean + spread, near the middle more often. Whole numbers
// only: a normal distribution would be computed differently on some machines.
func around(r *rand.Rand, mean, spread int64) int64 {
	return mean - spread + (r.Int64N(2*spread+1)+r.Int64N(2*spread+1)+r.Int64N(2*spread+1))/3
}

// between is a random time from low up to high.
func between(r *rand.Rand, low, high int64) int64 { return low + r.Int64N(max(1, high-low)) }

// percent is true so many times out of a hundred.
func percent(r *rand.Rand, n int) bool { return r.IntN(100) < n }

// permille is true so many times out of a thousand.
func permille(r *rand.Rand, n int) bool { return r.IntN(1000) < n }

// yearly is true on so many hundredths of days a year.
func yearly(r *rand.Rand, hundredths int) bool { return r.IntN(36500) < hundredths }
