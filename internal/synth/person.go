package synth

import (
	"cmp"
	"math/rand/v2"
	"strings"
	"time"

	"holdfast/internal/origin"
)

// person is somebody's habits and where her life stands. It reads random numbers of its own only.
type person struct {
	index int32
	email string
	hash  uint64 // of who she is
	rng   *rand.Rand

	// Habits.
	method method
	push   bool  // her second factor is a push message, not a code
	begin  int64 // of her working day, after midnight
	office int   // number of the office in her city; -1: none
	inDays uint8 // bit per weekday: in the office
	owl    bool  // signs in late at weekends
	nat    bool  // her home is on a mobile network
	kiosk  bool  // uses a shared machine in the office
	vpn    tunnelling
	exits  [3]spot // of her anonymous VPN
	trips  int     // business trips, in hundredths a year

	laptop, other, phone, shared device // other: a second browser or program on the laptop

	// Employment: from the first day on, up to and without the other.
	joins, leaves int
	// Asleep on days from, up to and without: an attack on a dormant account needs it.
	asleepFrom, asleepTo int

	// Where life stands.
	home     stay
	away     *stay // where she is while travelling
	holidays bool  // is why
	backOn   int   // day of travelling back
	freeFrom int64 // before it she is on the way and signs in nowhere
	movedOn  int
	absence  absence
	absentTo int  // first day back
	returned int  // until this day she is back from a long leave
	lost     bool // her phone
	forgot   bool // her password

	last     sign // the latest success
	lastSeen int  // day of it
}

// sign is a session that was made.
type sign struct {
	at      int64
	session session
	outcome outcome
	client  *origin.Client
	spot    spot
}

type tunnelling uint8

const (
	noTunnel tunnelling = iota
	companyTunnel
	splitTunnel // what she does goes through the company's VPN or beside it, from one moment to the next
	anonymousTunnel
)

type absence uint8

const (
	present absence = iota
	sick
	onHoliday
	onLeave
)

// stay is a place where somebody lives for a while: the line there, and the mobile network of the city.
type stay struct {
	city    int
	line    *network
	number  uint32 // which line
	v6      bool
	nat     bool   // the line is a mobile one
	address string // today's
	until   int    // day from which address is another one
}

const maxLag = 21 // days

// officesOf are the cities of the company's offices, headquarters first.
func officesOf(seed uint64) []int {
	r := stream(seed, "offices", "")
	sites := [][]string{
		{"London", "Berlin", "Lisbon", "Toronto"},
		{"Amsterdam", "New York", "Prague", "Singapore"},
		{"Stockholm", "Munich", "Austin", "Bengaluru"},
		{"Dublin", "Paris", "San Francisco", "Sydney"},
	}
	var found []int
	for _, name := range sites[r.IntN(len(sites))] {
		for i, c := range cities() {
			if c.name == name {
				found = append(found, i)
			}
		}
	}
	return found
}

// newPerson makes up a life.
func (w *world) newPerson(index int, of Person) *person {
	key := cmp.Or(of.ID, of.Email)
	r := stream(w.seed, "person", key)
	p := &person{index: int32(index), email: of.Email, hash: hashOf("rank", key), rng: r, office: -1, leaves: never, backOn: -1, movedOn: -never, returned: -1, lastSeen: -1}

	offices := w.geo.offices
	c := r.IntN(homes)
	if i := r.IntN(100); i < 70 { // most live where an office is, and most of these at headquarters
		c = offices[[]int{0, 0, 0, 1, 1, 2, 3}[i%7]].city
	}
	p.home = w.newStay(r, c)
	p.settle(w)

	switch i := r.IntN(100); {
	case i < 35:
		p.method = byPasskey
	case i < 70:
		p.method, p.push = byCode, r.IntN(3) == 0
	case i < 90:
		p.method = bySSO
	default:
		p.method = byPassword
	}
	p.begin = around(r, 8*hour+45*minute, 100*minute)
	p.inDays = uint8(r.IntN(128)) & 0b0111110 // Sunday is bit 0
	p.owl = percent(r, 12)
	p.vpn = []tunnelling{noTunnel, noTunnel, noTunnel, noTunnel, noTunnel, companyTunnel, companyTunnel, companyTunnel, splitTunnel, anonymousTunnel}[r.IntN(10)]
	for i := range p.exits {
		p.exits[i] = w.geo.vpn[r.IntN(len(w.geo.vpn))].any(r, inTunnel)
	}
	p.kiosk = percent(r, 15)
	p.nat = percent(r, 10)
	p.trips = []int{0, 50, 100, 200, 300, 400, 800, 1500}[r.IntN(8)]
	if !w.awkward {
		p.owl, p.vpn, p.kiosk, p.nat, p.trips = false, noTunnel, false, false, 0
	}
	p.home.nat = p.nat

	p.laptop = newDevice(r, []model{windowsChrome, windowsChrome, windowsEdge, windowsEdge, windowsFirefox, macSafari, macChrome, macChrome, linuxFirefox, linuxChrome}[r.IntN(10)])
	p.other = p.laptop
	p.other.model = p.laptop.model.other()
	p.phone = newDevice(r, []model{iphoneSafari, androidChrome}[r.IntN(2)])
	p.shared = device{model: windowsEdge, lag: maxLag} // the same at every kiosk

	// Of those who are ever there in a year, one in nine comes in its course, and as many go.
	if w.awkward && r.IntN(365) < w.days && permille(r, 110) {
		p.joins = 1 + r.IntN(max(1, w.days-1))
	}
	if w.awkward && r.IntN(365) < w.days && permille(r, 110) {
		p.leaves = p.joins + 1 + r.IntN(max(1, w.days-p.joins))
	}
	return p
}

// never is a day that does not come.
const never = 1 << 30

func newDevice(r *rand.Rand, m model) device { return device{model: m, lag: r.IntN(maxLag)} }

// newStay is a place to live, or a hotel, in a city.
func (w *world) newStay(r *rand.Rand, c int) stay {
	line := w.geo.fixed[c][r.IntN(2)]
	return stay{city: c, line: line, number: r.Uint32N(line.size), v6: percent(r, 40)}
}

// settle finds the office of the city in which she lives.
func (p *person) settle(w *world) {
	p.office = -1
	for i, o := range w.geo.offices {
		if o.city == p.home.city {
			p.office = i
		}
	}
}

// now is where she is living today.
func (p *person) now() *stay {
	if p.away != nil {
		return p.away
	}
	return &p.home
}

// midnight is the beginning of a day where she is.
func (p *person) midnight(w *world, d int) int64 {
	return w.midnight(d) - int64(w.geo.cities[p.now().city].offset)*minute
}

// wifi is the line of the place where she stays. Providers give a line another address now and then; in
// IPv6 the line keeps its /64 and each day has another address in it (RFC 8981).
func (p *person) wifi(w *world) spot {
	s := p.now()
	if s.nat {
		return w.geo.mobile[s.city].gateway(p.rng)
	}
	if s.address == "" || w.day >= s.until {
		if s.v6 {
			s.address, s.until = s.line.address6(uint16(s.number), p.rng.Uint64()), w.day+1
		} else {
			if s.address != "" {
				s.number = p.rng.Uint32N(s.line.size)
			}
			s.address, s.until = s.line.address4(s.number), w.day+20+p.rng.IntN(160)
		}
	}
	return spot{network: s.line, address: s.address, kind: atHome}
}

// desk is where she works today: the office, or where she stays.
func (p *person) desk(w *world) spot {
	if p.away == nil && p.office >= 0 && p.inDays>>w.weekday&1 == 1 {
		n := w.geo.offices[p.office]
		return spot{network: n, address: n.address4(uint32(p.hash) % 2), kind: atOffice}
	}
	return p.wifi(w)
}

// Roster are the people of the history: People, or as many as Invent says.
func (c Config) Roster() []Person {
	if len(c.People) > 0 {
		return c.People
	}
	people := make([]Person, max(0, c.Invent))
	taken := map[string]int{}
	for i := range people {
		people[i] = invent(c.Seed, i, taken)
	}
	return people
}

// Profiles tell how the people of the Roster live, as far as it is known at the start.
func (c Config) Profiles() []Profile {
	w, roster := newWorld(c), c.Roster()
	profiles := make([]Profile, len(roster))
	for i, p := range w.people {
		at := w.geo.cities[p.home.city]
		profiles[i] = Profile{
			Person: roster[i], Home: at.name, Country: at.country, Offset: time.Duration(at.offset) * time.Minute,
			Method: p.method.String(), Joins: time.UnixMicro(w.midnight(p.joins)).UTC(),
		}
		if p.leaves != never {
			profiles[i].Leaves = time.UnixMicro(w.midnight(p.leaves)).UTC()
		}
	}
	return profiles
}

// invent makes up the i-th person. taken counts who has a name, so that e-mails differ.
func invent(seed uint64, i int, taken map[string]int) Person {
	r := stream(seed, "name", numbered(i))
	first := strings.Fields("Ada Amina Anton Beata Bruno Carla Chidi Clara Dario Elif Emil Esra Fatou Felix Greta Hugo Ilse Ines Ivo Jana Jonas Kaito Karim Lena Leon Lina Luca Mara Mei Milan Mina Nadia Nils Noor Olga Omar Paula Pedro Petra Priya Rafael Rosa Samir Sara Selma Sven Tamar Theo Uma Vera Viktor Wanda Yara Yusuf Zoe")
	last := strings.Fields("Abbas Acosta Adler Baker Banerjee Berg Bianchi Castro Cohen Costa Dahl Diallo Duarte Eriksen Farah Ferrari Fischer Garcia Gomes Haas Hansen Ito Ivanova Jansen Kaya Keller Kim Kovacs Kumar Lang Larsen Lopes Maier Mensah Moreau Mori Nagy Novak Okafor Olsen Park Patel Petrov Popescu Quinn Reyes Rossi Sato Schmidt Silva Sousa Tanaka Torres Urban Varga Vogel Walsh Weber Yilmaz Zeman")
	name := [2]string{first[r.IntN(len(first))], last[r.IntN(len(last))]}
	local := strings.ToLower(name[0] + "." + name[1])
	taken[local]++
	if n := taken[local]; n > 1 {
		local += numbered(n)
	}
	groups := []string{"Engineering", "Finance", "Sales", "Support", "Operations"}
	return Person{
		ID: session{r.Uint64(), r.Uint64()}.String(), Name: name[0] + " " + name[1], Email: local + "@harbour-vale.example",
		Groups: []string{groups[r.IntN(len(groups))]},
	}
}
