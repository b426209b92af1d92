package detect

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"holdfast/internal/signals"
)

// FeaturePrefix is how the name of every feature begins. docs/events/features.md is the table of them.
const FeaturePrefix = "holdfast."

// People is what the directory knows about who an event is about.
type People interface {
	// Person is who the event's user is matched to; false for nobody.
	Person(e *signals.Event) (Person, bool)
}

// Person is somebody in the directory.
type Person struct {
	ID                   string
	Suspended, Protected bool
	Groups               []string // ids
}

// learningTime and learningSuccesses are how long somebody's habits are not relied on.
const (
	learningTime      = 14 * 24 * time.Hour
	learningSuccesses = 10
)

// features computes what rules read beyond an event, from what is remembered of earlier ones. Load an
// event, ask, then learn. It is for one goroutine at a time, and uses its memory again.
type features struct {
	memory Memory
	people People

	event     *signals.Event
	at        int64 // milliseconds of Unix
	timed     bool
	directory Person
	matched   bool   // directory is who it is about
	who       string // key of the person; empty: the event names nobody
	whoHash   uint64

	country, network, address, device, client uint64 // hashes; 0: unknown
	machine                                   uint64 // the device, exactly

	person  personProfile
	place   loaded[placeProfile, *placeProfile]
	area    loaded[placeProfile, *placeProfile] // the network
	devices loaded[deviceProfile, *deviceProfile]
	session loaded[sessionProfile, *sessionProfile]

	write scribe
	read  recall
	key   []byte
	err   error // what kept something from being read
}

// profile is what is remembered of something.
type profile[T any] interface {
	*T
	read(from *recall, value []byte) error
	write(to *scribe)
	until() time.Time
}

// loaded is a profile that is read when it is first asked for.
type loaded[T any, P profile[T]] struct {
	value T
	key   string // empty: there is none for this event
	ready bool
}

func (l *loaded[T, P]) reset(key string) { l.key, l.ready = key, false }

// get is the profile, or nil if the event has none.
func (l *loaded[T, P]) get(f *features) P {
	if l.key == "" {
		return nil
	}
	if !l.ready {
		l.ready = true
		recallInto(f, l.key, P(&l.value))
	}
	return &l.value
}

func (l *loaded[T, P]) put(f *features) {
	if l.key != "" && l.ready {
		store(f, l.key, P(&l.value))
	}
}

func recallInto[T any, P profile[T]](f *features, key string, p P) {
	value, _, err := f.memory.Get(key)
	if err == nil {
		err = p.read(&f.read, value)
	}
	if err != nil && f.err == nil {
		f.err = err
	}
}

func store[T any, P profile[T]](f *features, key string, p P) {
	p.write(&f.write)
	if err := f.memory.Put(key, f.write.b, p.until()); err != nil && f.err == nil {
		f.err = err
	}
}

// load begins with an event.
func (f *features) load(e *signals.Event) {
	f.event, f.err = e, nil
	when := e.When()
	f.at, f.timed = when.UnixMilli(), !when.IsZero()
	f.directory, f.matched = Person{}, false
	if f.people != nil {
		f.directory, f.matched = f.people.Person(e)
	}
	f.who, f.whoHash = "", 0
	if name := personName(e, f.directory, f.matched); name != "" {
		f.who = f.keyed('p', name)
		f.whoHash = hashOf(name)
	}
	f.locate(e)
	f.machines(e)
	f.session.reset("")
	if e.Session != "" {
		f.session.reset(f.keyed('s', e.Session))
	}
	if f.who == "" {
		f.person.read(&f.read, nil) // none; cannot fail
		return
	}
	recallInto(f, f.who, &f.person)
}

// personName is who the event is about: in the directory, or by what the source calls them.
func personName(e *signals.Event, p Person, matched bool) string {
	if matched {
		return "id:" + p.ID
	}
	for _, name := range [...]string{e.User.Email, e.User.Login, e.User.ID} {
		if name != "" {
			return fold(name)
		}
	}
	return ""
}

// keyed is the key of something within the event's account.
func (f *features) keyed(kind byte, name string) string {
	f.key = append(f.key[:0], kind, ':')
	f.key = append(f.key, f.event.AccountID...)
	f.key = append(f.key, ':')
	f.key = append(f.key, name...)
	return string(f.key)
}

// locate finds address, network and country of the event.
func (f *features) locate(e *signals.Event) {
	f.country, f.network, f.address = 0, 0, 0
	f.place.reset("")
	f.area.reset("")
	if c := e.Src.Location.Country; c != "" {
		f.country = hashOf(c)
	}
	a, ok := addressOf(e.Src.IP)
	if ok {
		bits, wide := 32, 24
		if a.Is6() {
			bits, wide = 64, 48
		}
		near := prefixText(a, bits)
		f.address = hashOf(near)
		f.place.reset(f.keyed('a', near))
		if e.Src.Location.ASN == 0 {
			far := prefixText(a, wide)
			f.network = hashOf(far)
			f.area.reset(f.keyed('n', far))
		}
	}
	if n := e.Src.Location.ASN; n != 0 {
		name := IntValue(n).Texts()[0]
		f.network = hashOf(name)
		f.area.reset(f.keyed('n', name))
	}
}

func prefixText(a netip.Addr, bits int) string {
	p, err := a.Prefix(bits)
	if err != nil { // the length fits the family
		return a.String()
	}
	return p.Addr().String()
}

// machines finds device and client.
func (f *features) machines(e *signals.Event) {
	f.device, f.client, f.machine = 0, 0, 0
	f.devices.reset("")
	c := &e.Client
	switch {
	case e.Device.ID != "":
		f.device = hashOf(e.Device.ID)
		f.machine = f.device
	case c.Platform != "" || c.OS != "":
		f.device = hashOf(c.Platform, c.OS)
		f.machine = hashOf(c.Platform, c.PlatformVersion, c.OS, c.OSVersion, e.Src.IP)
	case c.UserAgent != "":
		f.device = hashOf(c.UserAgent)
		f.machine = hashOf(c.UserAgent, e.Src.IP)
	}
	switch {
	case c.App != "":
		f.client = hashOf(c.App)
	case c.Platform != "":
		f.client = hashOf(c.Platform)
	}
	if f.machine != 0 {
		var text [16]byte
		for i := range text {
			text[i] = "0123456789abcdef"[f.machine>>(4*i)&15]
		}
		f.devices.reset(f.keyed('d', string(text[:])))
	}
}

// hashOf is FNV-1a, which is the same on every machine, of texts that stay apart. It is never 0.
func hashOf(texts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range texts {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // no byte of UTF-8
	}
	return max(1, h)
}

// ago is so long before the event.
func (f *features) ago(d time.Duration) int64 { return f.at - d.Milliseconds() }

// learning says whether the person's habits are not to be relied on yet.
func (f *features) learning() bool {
	return f.person.successes < learningSuccesses || f.at-f.person.first < learningTime.Milliseconds()
}

// failed says that the event is a failure that counts.
func failed(e *signals.Event) bool {
	if !e.Failed() {
		return false
	}
	switch e.Reason {
	case signals.Interrupted, signals.ClientOutdated, signals.ConsentMissing, signals.BadClient, signals.SessionExpired, signals.TooManyRequests:
		return false
	}
	return e.SignIn() || failedFactor(e)
}

// failedFactor says that the second factor did not hold.
func failedFactor(e *signals.Event) bool {
	return e.Failed() && (e.Reason == signals.MFAFailed || e.Reason == signals.MFADenied || e.Reason == signals.MFATimeout)
}

// byRecovery says whether the event is by a recovery code, in the words of the sources.
func byRecovery(e *signals.Event) bool {
	for i := range e.Factors {
		name := e.Factors[i].Name
		if name == "code" && e.Source == signals.OnePassword {
			return true
		}
		for _, word := range [...]string{"recovery", "backup", "bypass"} {
			if strings.Contains(fold(name), word) {
				return true
			}
		}
	}
	return false
}

// factorOff says that a second factor was switched off, or was asked for in vain since it is.
func factorOff(e *signals.Event) bool {
	return e.Class == signals.ClassAccountChange && e.Activity == signals.FactorDisable ||
		e.Class == signals.ClassAuthentication && e.Reason == signals.MFAFailed && strings.HasSuffix(e.StatusCode, "_disabled")
}

// tells says whether the location can be measured from: there is a point, and the address is not that of
// a network that people hide behind.
func tells(e *signals.Event) bool {
	l := &e.Src.Location
	return l.HasPoint() && !l.Anonymous && e.Src.Proxy != signals.Yes
}

// groups are those of the person; everybody is one where none is known.
func (f *features) groups() []string {
	const most = 8
	if len(f.directory.Groups) == 0 {
		return []string{""}
	}
	return f.directory.Groups[:min(most, len(f.directory.Groups))]
}

// crowd is how many people of a group got in from a country; of country 0, from anywhere. The separator is one that
// no text of an event has, and that PostgreSQL stores, which it does not do with a zero.
func (f *features) crowd(group string, country bool) (string, crowdProfile) {
	name := group
	if country {
		name += "\x1f" + f.event.Src.Location.Country
	}
	key := f.keyed('g', name)
	var c crowdProfile
	recallInto(f, key, &c)
	return key, c
}

// unlearn takes back what successes of a person at these times alone have taught.
func (f *features) unlearn(who string, times []int64) error {
	f.err = nil
	var p personProfile
	recallInto(f, who, &p)
	changed := false
	for i := range p.habits {
		before := len(p.habits[i])
		p.habits[i] = slices.DeleteFunc(p.habits[i], func(s sighting) bool {
			return slices.Contains(times, s.first) && slices.Contains(times, s.last)
		})
		changed = changed || len(p.habits[i]) < before
	}
	if changed {
		store(f, who, &p)
	}
	return f.err
}
