package signals

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"holdfast/internal/problem"
)

// The names of the decoders, which are the sources of events and the values of --format.
const (
	OnePassword = "1password"
	Okta        = "okta"
	Entra       = "entra"
	OneLogin    = "onelogin"
	OCSF        = "ocsf"
	RBA         = "rba"
)

// A Decoder makes an Event out of one event of a source. It may be used by many goroutines at once.
type Decoder interface {
	// Name is what Event.Source will say.
	Name() string

	// Decode reads one JSON object of at most 1 MiB. It refuses what is no JSON object, is empty, or
	// says a time that cannot be; everything else becomes an event, of ClassBase if need be. Of the
	// event it returns nothing refers to line.
	Decode(line []byte) (Event, error)
}

// Decoders are all there are, each with the memory that it uses again from event to event.
func Decoders() []Decoder {
	where := newCountries()
	return []Decoder{
		newDecoder(OnePassword, onePassword{where}.decode),
		newDecoder(Okta, okta{where}.decode),
		newDecoder(Entra, entra{where, entraCodes()}.decode),
		newDecoder(OneLogin, decodeOneLogin),
		newDecoder(OCSF, ocsf{where}.decode),
		table{newDecoder(RBA, rba{where}.decode)},
	}
}

// NewDecoder is the decoder of that name, or a problem that lists the names.
func NewDecoder(name string) (Decoder, error) {
	var names []string
	for _, d := range Decoders() {
		if d.Name() == name {
			return d, nil
		}
		names = append(names, d.Name())
	}
	return nil, problem.InField("format", "%q is no format of events; it must be one of %s", name, strings.Join(names, ", "))
}

// decoder is a Decoder for JSON: what all of them do before and after the part that differs.
type decoder struct {
	name  string
	fill  func(*document, *Event) error
	spare *sync.Pool // of *document
}

func newDecoder(name string, fill func(*document, *Event) error) decoder {
	return decoder{name, fill, &sync.Pool{New: func() any { return new(document) }}}
}

func (d decoder) Name() string { return d.name }

func (d decoder) Decode(line []byte) (Event, error) {
	if len(line) > maxEvent {
		return Event{}, errTooLong(maxEvent)
	}
	raw := string(line)
	if !utf8.ValidString(raw) {
		raw = strings.ToValidUTF8(raw, "\uFFFD")
	}
	doc, _ := d.spare.Get().(*document)
	defer d.release(doc)
	if err := doc.parse(raw); err != nil {
		return Event{}, err
	}
	if err := doc.isObject(); err != nil {
		return Event{}, err
	}
	e := Event{Source: d.name, Raw: raw}
	if err := d.fill(doc, &e); err != nil {
		return Event{}, err
	}
	e.finish()
	return e, nil
}

func errTooLong(most int) error {
	return fmt.Errorf("the event is longer than %d bytes, the most that is read", most)
}

// release gives the memory back, but not that of one monstrous event, nor the event itself.
func (d decoder) release(doc *document) {
	if cap(doc.nodes) <= 1<<10 {
		doc.src = ""
		d.spare.Put(doc)
	}
}

// table is a decoder whose events also come as CSV.
type table struct{ decoder }

// finish does what all events need.
func (e *Event) finish() {
	if e.SourceID == "" {
		e.SourceID = fingerprint(e.Raw)
	}
	e.Src.IP = address(e.Src.IP)
	e.Client.Address = e.Src.IP
	e.User.finish()
	e.Actor.finish()
	if e.Severity == 0 && e.Source != OCSF { // there it means that nobody knows
		e.Severity = 1
	}
}

// finish takes an address of e-mail from the login, if there is none; never from the name, which people
// choose: whoever calls themself boss@example.org is not the boss.
func (u *User) finish() {
	if u.Email = email(u.Email); u.Email == "" {
		u.Email = email(u.Login)
	}
}

// fingerprint is the id of an event whose source gave it none: the same text is the same event.
func fingerprint(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// when fills in the time. One that cannot be read is noted; one that cannot be is an error.
func (e *Event) when(s string) error {
	t, note, err := parseTime(s)
	switch {
	case err == nil:
		e.Time = t
		if note != "" {
			e.Notes = append(e.Notes, note)
		}
	case !errors.Is(err, errNoTime):
		return err
	case s == "":
		e.Notes = append(e.Notes, "the event says no time")
	default:
		e.Notes = append(e.Notes, "the time cannot be read: "+strings.ToValidUTF8(s[:min(len(s), 40)], ""))
	}
	return nil
}

// keep keeps what the decoder has no place for.
func (e *Event) keep(name, value string) {
	const most = 32 // the rest is in Raw
	if value != "" && len(e.Unmapped) < most {
		e.Unmapped = append(e.Unmapped, Attribute{clean(name), clean(value)})
	}
}

// keepOthers keeps the members of node i whose names are not in the list, which is in lower case.
func (e *Event) keepOthers(d *document, i int, prefix string, known ...string) {
	for j := range d.inside(i) {
		if name := d.key(j); !slices.Contains(known, strings.ToLower(name)) {
			e.keep(prefix+name, d.raw(j))
		}
	}
}

// verdict keeps what the source thinks; of the same name, the last word.
func (e *Event) verdict(name, value string) {
	const most = 64
	if name == "" || value == "" {
		return
	}
	for i := range e.Verdicts {
		if e.Verdicts[i].Name == name {
			e.Verdicts[i].Value = value
			return
		}
	}
	if len(e.Verdicts) < most {
		e.Verdicts = append(e.Verdicts, Attribute{name, value})
	}
}

// radius is how far an address may be from the point that a source gives without saying how exact it
// is, in km: the usual size of what it names.
func radius(city, region string) int {
	switch {
	case city != "":
		return 50
	case region != "":
		return 250
	}
	return 1000
}

// place fills in a location as sources give it: names, and a point if it can be one.
func (e *Event) place(where countries, country, region, city string, lat, long float64) {
	l := &e.Src.Location
	if country != "" {
		if l.Country = where.code(country); l.Country == "" {
			e.keep("country", country)
		}
	}
	l.Region, l.City = region, city
	if (lat != 0 || long != 0) && -90 <= lat && lat <= 90 && -180 <= long && long <= 180 {
		l.Latitude, l.Longitude, l.Radius = lat, long, radius(city, region)
	}
}
